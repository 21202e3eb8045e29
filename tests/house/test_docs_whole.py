"""The documents are whole: nothing is missing in them, every link and anchor leads somewhere, every block is run."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
import pytest

from pratique import errors, events
from pratique.cli.main import program
from pratique.destinations import TYPES
from pratique.inputs import CloudKind, FileFormat
from pratique.mistakes import CODES
from pratique.specs.base import Spec
from pratique.specs.pipeline import SourceType
from pratique.specs.settings import SettingsSpec

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("**/*.md")])
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
RUN = {"console", "python", "json", "yaml"}
GENERATED = {"cli.md", "connectors.md", "errors.md", "events.md", "functions.md", "python.md", "settings.md"}
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]*)#([^)\s]+)\)")
KINDS = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, errors.PratiqueError) and kind is not errors.PratiqueError
]


def anchors(text: str) -> set[str]:
    """The anchors that a page's headings get: lower case, blanks as hyphens, no punctuation."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", text), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in plain}


def lost(page: Path, text: str) -> Iterator[str]:
    """The links whose anchor is on no page."""
    for target, anchor in LINK.findall(FENCE.sub("", text)):
        if not target.startswith(("http:", "https:")):
            other = page.parent / target if target else page
            known = anchors(other.read_text(encoding="utf-8") if target else text)
            if anchor not in known:
                yield f"{target}#{anchor}"


def idle(text: str) -> Iterator[str]:
    """The first lines of code blocks that nothing runs, and that do not say why not."""
    for block in FENCE.finditer(text):
        language, _, file = block[0].splitlines()[0][3:].partition(" file=")
        before = text[: block.start()].rstrip("\n").rpartition("\n")[2]
        if language not in RUN and not file and not re.fullmatch(r"<!-- not run: .{10,} -->", before):
            yield block[0].splitlines()[1]


def malformed(text: str) -> list[str]:
    """The links to other sites that are no https addresses of a host."""
    links = re.findall(r"\]\((https?:[^)]*)\)", FENCE.sub("", text))
    return [link for link in links if not re.fullmatch(r"https://[a-z0-9-]+(\.[a-z0-9-]+)+(/[^\s()]*)?", link)]


def commands(group: click.Command = program, name: str = "pratique") -> Iterator[tuple[str, click.Command]]:
    """Every command with its whole name."""
    yield name, group
    if isinstance(group, click.Group):
        context = click.Context(group, info_name=name)
        for child in group.list_commands(context):
            found = group.get_command(context, child)
            assert found is not None
            yield from commands(found, f"{name} {child}")


def page(name: str) -> str:
    """The text of a page."""
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_every_anchor_exists(path: Path) -> None:
    """A link to a heading, on the same page or another, names a heading that is there."""
    assert list(lost(path, path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", [path for path in PAGES if path.name not in GENERATED], ids=str)
def test_every_block_runs_or_says_why_not(path: Path) -> None:
    """A code block is run by test_docs, or the line before it says in a comment why it is not."""
    assert list(idle(path.read_text(encoding="utf-8"))) == []


def test_the_index_has_every_page() -> None:
    """docs/README.md leads to each page, and its parts are those of Diátaxis."""
    text = page("README.md")
    told = {(DOCS / target).resolve() for target in re.findall(r"\]\(([^)#]+)", text)}
    assert [str(path) for path in DOCS.glob("**/*.md") if path.name != "README.md" and path.resolve() not in told] == []
    parts = [heading.partition(":")[0] for heading in re.findall(r"^## (.+)$", text, re.MULTILINE)]
    assert parts == ["Tutorial", "How to", "Reference", "Explanation"]


def test_every_command_is_shown_at_work() -> None:
    """Every command stands in a how-to or a tutorial; whoever looks for a task finds it."""
    guides = "\n".join(path.read_text(encoding="utf-8") for path in [*DOCS.glob("how-to/*"), *DOCS.glob("tutorial/*")])
    named = [name for name, command in commands() if not isinstance(command, click.Group)]
    assert [name for name in named if not re.search(rf"{name}\b", guides)] == []


def test_every_command_and_option_is_in_the_reference() -> None:
    """The page of the command line has each command as a heading, and under it each of its options."""
    parts = dict(re.findall(r"^## (pratique.*?)\n(.*?)(?=^## |\Z)", page("reference/cli.md"), re.MULTILINE | re.DOTALL))
    for name, command in commands():
        options = [text for item in command.params if isinstance(item, click.Option) for text in item.opts]
        assert [option for option in options if option not in parts.get(name, "")] == [], name


def test_every_exit_code_is_explained() -> None:
    """Each exit code of an error stands in the tables of `run unattended` and of the schedulers, and in the help."""
    table = {int(code) for code in re.findall(r"^\| (\d) \|", page("how-to/run-unattended.md"), re.MULTILINE)}
    assert {kind.exit_code for kind in KINDS} | {0, 8} == table
    again = re.findall(r"^\| (\d(?:, \d)*) \|", page("how-to/schedule-runs.md"), re.MULTILINE)
    assert sorted(int(code) for row in again for code in row.split(", ")) == sorted(table)
    told = re.findall(r"\b(\d) [a-z]", (program.epilog or "").partition("Exit codes:")[2].partition("\b")[0])
    assert {int(code) for code in told} == table


def test_every_code_of_an_error_is_in_the_reference() -> None:
    """Each code of an error and of a mistake in a file stands on the page of errors; an error with what to do."""
    text = page("reference/errors.md")
    assert [code for code in [*CODES, *(kind.code for kind in KINDS)] if f"| `{code}` |" not in text] == []
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `") and line.count(" | ") > 2]
    assert [row for row in rows if len(row[-1].strip(" |")) < 10] == []


def settings(spec: type[Spec] = SettingsSpec, prefix: str = "") -> Iterator[str]:
    """Every setting that has a value of its own, as people write it."""
    for name, item in spec.model_fields.items():
        if inspect.isclass(item.annotation) and issubclass(item.annotation, Spec):
            yield from settings(item.annotation, f"{prefix}{name}.")
        elif name not in {"connections", "channels", "retry", "service"}:  # free, or by name
            yield f"{prefix}{name}"


def test_every_setting_is_in_the_reference() -> None:
    """Each setting has a line with its meaning, and the variable that sets it."""
    rows = dict(re.findall(r"^\| `([\w.]+)` \|(.*)$", page("reference/settings.md"), re.MULTILINE))
    assert [key for key in settings() if len(rows.get(key, "")) < 20] == []


def test_every_event_is_in_the_reference() -> None:
    """Each event has a heading, and under it what it means."""
    parts = dict(re.findall(r"^## (\w+)\n\n(.*)$", page("reference/events.md"), re.MULTILINE))
    kinds = [kind for kind in vars(events).values() if inspect.isclass(kind) and issubclass(kind, events.Event)]
    assert [kind.__name__ for kind in kinds if len(parts.get(kind.__name__, "")) < 20] == []


def test_every_connector_is_in_the_reference() -> None:
    """Each type of source, cloud, format and destination stands on the page of connectors, and has its gaps there."""
    told, _, gaps = page("reference/connectors.md").partition("## Gaps")
    kinds = [*get_args(SourceType), *get_args(CloudKind)]
    assert [kind for kind in kinds if f"`{kind}`" not in told and f"`{kind}://`" not in told] == []
    assert [name for name in get_args(FileFormat) if f"| {name} |" not in told] == []
    assert [kind for kind in TYPES if f"| `{kind}://` |" not in told] == []
    assert [kind for kind in [*kinds, *TYPES] if not re.search(rf"^- \*\*[^*]*\b{kind}\b", gaps, re.MULTILINE)] == []


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_a_link_out_has_the_form_of_one(path: Path) -> None:
    """A link to another site is https and names a host; whether it answers is not asked, for that changes by itself."""
    assert malformed(path.read_text(encoding="utf-8")) == []


def test_what_is_wrong_is_noticed() -> None:
    """The checks work: a lost anchor, an idle block, a link out that is none."""
    assert malformed("[a](https://a.example/b) [b](http://b.example) [c](https:/c.example) [d](https://localhost)") == [
        "http://b.example",
        "https:/c.example",
        "https://localhost",
    ]
    here = DOCS / "README.md"
    assert list(lost(here, "# One two\n[a](#one-two) [b](#three) [c](reference/errors.md#nowhere)\n")) == [
        "#three",
        "reference/errors.md#nowhere",
    ]
    assert list(idle("```text\nabc\n```\n<!-- not run: because of reasons -->\n```sh\nx\n```\n")) == ["abc"]
