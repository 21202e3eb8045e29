"""Write the reference pages that come out of the code; with --check, fail if one of them is out of date."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from pratique import errors, events
from pratique.cli.main import program

REFERENCE = Path(__file__).resolve().parent / "reference"
NOTE = "<!-- Made by docs/generate.py (`make fix`); do not edit. -->\n"


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command under `command`, parents first, each with a context that wraps at 80 columns."""
    context = click.Context(command, info_name=name, terminal_width=80, color=False)
    yield name, command, context
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None:
                yield from commands(found, f"{name} {child}")


def cli_page() -> str:
    """Every command and option, as `--help` prints it."""
    parts = ["# The command line\n", NOTE]
    for name, command, context in commands(program, "pratique"):
        parts.append(f"## {name}\n\n```text\n{command.get_help(context).rstrip()}\n```\n")
    return "\n".join(parts)


def first_paragraph(thing: type) -> str:
    """The docstring of a class up to its first blank line, as one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def errors_page() -> str:
    """Every error with its code, its exit code, and who acts."""
    rows = [
        f"| `{kind.code}` | {kind.exit_code} | {'yes' if kind.retryable else 'no'} | {first_paragraph(kind)} |"
        for kind in vars(errors).values()
        if inspect.isclass(kind) and issubclass(kind, errors.PratiqueError) and kind is not errors.PratiqueError
    ]
    return "\n".join(
        [
            "# Errors\n",
            NOTE,
            "An error says what happened, where (`file:line:column` where a file is to blame) and what to do next.",
            "Bad data is no error: it is a verdict, and its record is in quarantine.\n",
            "| code | exit | may pass by itself | what it means |\n|---|---:|---|---|",
            *rows,
            "",
        ]
    )


def events_page() -> str:
    """Every event with the values that it carries."""
    kinds = [
        kind
        for kind in vars(events).values()
        if inspect.isclass(kind) and kind.__module__ == events.__name__ and hasattr(kind, "__dataclass_fields__")
    ]
    parts = ["# Events\n", NOTE, "What happens in a run, in frozen values that an observer is handed.\n"]
    for kind in kinds:
        parts.append(f"## {kind.__name__}\n\n{first_paragraph(kind)}\n")
        parts.append("".join(f"- `{name}`\n" for name in kind.__dataclass_fields__))
    return "\n".join(parts)


PAGES = {"cli.md": cli_page, "errors.md": errors_page, "events.md": events_page}


def main() -> None:
    """Write every page, or say which one differs from what the code says."""
    stale = []
    for name, page in PAGES.items():
        path, text = REFERENCE / name, page()
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
    if stale:
        sys.exit(f"out of date: {', '.join(stale)}; do: make fix")
    sys.stdout.write(f"{len(PAGES)} reference pages {'are up to date' if '--check' in sys.argv else 'written'}\n")


if __name__ == "__main__":
    main()
