"""Write the reference pages and pictures that come out of the code; with --check, fail if one is out of date."""

import inspect
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from connectors import connectors_page
from pictures import PICTURES

from pratique import errors, events
from pratique.alerts import RULES
from pratique.cases import RECORD_WORDS
from pratique.cli.main import program
from pratique.measures import BUCKETS, METRICS
from pratique.mistakes import CODES
from pratique.schema.expression import CASTS
from pratique.schema.functions import FUNCTIONS, UNITS
from pratique.schema.rules import FORMATS
from pratique.specs.alerts import ChannelSpec
from pratique.specs.base import Spec
from pratique.specs.cases import CaseFileSpec, CaseSpec, ExpectSpec, InputSpec
from pratique.specs.descriptions import WORDS
from pratique.specs.promises import OwnerSpec, PipelineExpectSpec, SourceExpectSpec
from pratique.specs.settings import SettingsSpec

REFERENCE = Path(__file__).resolve().parent / "reference"
PUBLIC = {
    "pratique.config_manager": ("ConfigManager",),
    "pratique.ingestion": ("DataIngestionPipeline", "CSVDataSource", "DatabaseDataSource"),
    "pratique.validation": ("SchemaValidator", "DataQualityChecker"),
    "pratique.logging_config": ("LoggerSetup", "setup_pipeline_logger", "ErrorTracker"),
    "pratique.monitoring": ("MetricsCollector", "PipelineMonitor"),
    "pratique.testing": ("run_pipeline_tests", "TestReport"),
}
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
        f"| `{kind.code}` | {kind.exit_code} | {'yes' if kind.retryable else 'no'} | {first_paragraph(kind)} "
        f"| {kind.action} |"
        for kind in vars(errors).values()
        if inspect.isclass(kind) and issubclass(kind, errors.PratiqueError) and kind is not errors.PratiqueError
    ]
    return "\n".join(
        [
            "# Errors\n",
            NOTE,
            "An error says what happened, where (`file:line:column` where a file is to blame) and what to do next.",
            "Bad data is no error: it is a verdict, and its record is in quarantine.\n",
            "With `--json` it is one problem of RFC 9457 on stderr: `type` (`urn:pratique:problem:CODE`), `title`,",
            "`detail`, and beside them `code`, `where`, `hint`, `exit_code`, `retryable`, and `facts`: the values that",
            "`detail` names.\n",
            "| code | exit | may pass by itself | what it means | what to do, if the error says nothing better |",
            "|---|---:|---|---|---|",
            *rows,
            "",
            "## Mistakes in files\n",
            "A `configuration` error tells every mistake in the files, as [`pratique lint`](cli.md) does. Each has one",
            "of these codes; they are the rules of its SARIF.\n",
            "| code | what is wrong |\n|---|---|",
            *(f"| `{code}` | {text} |" for code, text in CODES.items()),
            "",
        ]
    )


def events_page() -> str:
    """Every event with the values that it carries."""
    kinds = [kind for kind in vars(events).values() if inspect.isclass(kind) and issubclass(kind, events.Event)]
    parts = [
        "# Events\n",
        NOTE,
        "What happens in a run, in frozen values that an observer is handed. Log lines and [metrics](metrics.md) come",
        "from them and from nothing else: an event says its level, its message, its fields and what it measures.\n",
    ]
    for kind in kinds:
        parts.append(f"## {kind.__name__}\n\n{first_paragraph(kind)}\n")
        if kind.action:
            loud = kind.level if kind.loudness is events.Event.loudness else "as grave as it is"
            parts.append(f"Log: `event.action` `{kind.action}`, level {loud}.\n")
        parts.append("".join(f"- `{name}`\n" for name in kind.__dataclass_fields__))
    return "\n".join(parts)


def metrics_page() -> str:
    """Everything that is measured, under both of its names."""
    rows = [
        f"| `{item.name}` | `{item.prometheus}` | {item.kind} | {item.unit or '-'} | "
        f"{', '.join(f'`{name}`' for name in item.attributes)} | {item.meaning} |"
        for item in METRICS.values()
    ]
    return "\n".join(
        [
            "# Metrics\n",
            NOTE,
            "The first name is OpenTelemetry's, the second Prometheus', where a dot in an attribute is an underscore.",
            "`pratique metrics` prints them all. Counters and histograms grow over all runs of a project, gauges are",
            "as of its last run.\n",
            "| name | for Prometheus | kind | unit | attributes | meaning |\n|---|---|---|---|---|---|",
            *rows,
            f"\nBounds of histograms, in seconds: {', '.join(f'{bound:g}' for bound in BUCKETS)}.\n",
        ]
    )


def functions_page() -> str:
    """Every function, unit and cast of the rule language, and every named form of a text."""
    parts = [
        "# The rule language\n",
        NOTE,
        "A rule is one SQL condition over the fields of a record: comparisons, `AND`, `OR`, `NOT`, `IN`, `BETWEEN`,",
        "`LIKE`, `IS NULL`, `CASE`, `+ - * / %`, `||`, texts in single quotes, `DATE '2026-10-31'`, and the functions",
        "below. Nothing else is taken: no subquery, no other table, no function that reads the world or the clock.\n",
    ]
    for title, aggregate in (("Functions", False), ("Functions over the whole load (checks of scope set)", True)):
        parts += [f"## {title}\n", "| function | what it gives | example |\n|---|---|---|"]
        parts += [
            f"| `{item.name}` | {item.doc} | `{item.example}` |"
            for item in FUNCTIONS.values()
            if item.aggregate == aggregate
        ]
        parts.append("")
    parts += [
        f"Units of `date_trunc` and `date_diff`: {', '.join(UNITS)}. Types of `cast`: {', '.join(sorted(CASTS))}.\n"
    ]
    parts += ["## Forms: what `format` may say of a text\n", "| format | the whole text is |\n|---|---|"]
    parts += [f"| `{item.name}` | {item.doc} |" for item in FORMATS.values()]
    return "\n".join([*parts, ""])


def settings(spec: type[Spec], prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Key, default, kind and meaning of every setting under `spec`, in the order of the declarations."""
    for name, item in spec.model_fields.items():
        kind, key = item.annotation, f"{prefix}{name}"
        if inspect.isclass(kind) and issubclass(kind, Spec):
            yield from settings(kind, f"{key}.")
        elif item.default_factory is None:
            choices = ", ".join(map(str, get_args(kind))) if get_origin(kind) is Literal else ""
            shown = (
                choices
                or ("text" if kind is Any else "")
                or getattr(kind, "__name__", str(kind).replace(" | None", " or null"))
            )
            default = "null" if item.default is None else str(item.default)
            yield key, default, shown, WORDS[spec.__name__][name]
        elif kind == dict[str, str]:
            yield key, "none", "names and texts", WORDS[spec.__name__][name]
        elif name == "threads":
            yield key, "all cores", "int", WORDS[spec.__name__][name]


def settings_page() -> str:
    """Every setting with its default, and the variable that sets it for one run."""
    rows = [
        f"| `{key}` | {default} | {kind} | {meaning} | `PRATIQUE__{key.upper().replace('.', '__')}` |"
        for key, default, kind, meaning in settings(SettingsSpec)
    ]
    return "\n".join(
        [
            "# Settings\n",
            NOTE,
            "They stand in `config/default.yaml` and `config/ENVIRONMENT.yaml`, the second over the first; a variable",
            "(in the environment, or in `.env`) over both. Sizes are text such as `700MB` or `2GiB`.\n",
            "| key | default | kind | meaning | variable |\n|---|---|---|---|---|",
            *rows,
            "\n`connections.NAME` is `{url: …}`, or `{type: …, path: …}`: `duckdb://FILE`, `parquet://FOLDER`, or a",
            "folder for sources; relative to the project. Databases: `{url: …}` with `postgres://user@host:port/db`,",
            "`mysql://…`, `mariadb://…` or `sqlite://FILE`, with `user`, `password` (by reference only), `tls`",
            "(verify-full, verify-ca, require, prefer, disable; verify-full unless the server is on this machine),",
            "`tls_ca`, `tls_certificate`, `tls_key`, `connect_timeout_seconds` (10),",
            "`statement_timeout_seconds` (3600). REST APIs: `{url: https://…}` with `auth`, `headers`,",
            "`concurrency` (8), `rate` (such as 10/s), `timeout_seconds` (60, of a request as a whole),",
            "`connect_timeout_seconds` (10), `retry_after_seconds_max` (900), `allowed_origins`,",
            "`allowed_networks`, `tls_ca`: see [how to](../how-to/read-an-api.md). Clouds: `{url: s3://…}`, `gs://…`,",
            "or `az://…` with `endpoint`, `anonymous`, `region`, `profile`, `access_key_id`, `secret_access_key`,",
            "`session_token` (s3), `service_account` (gs), `account`, `account_key`, `sas_token` (az), `tls: disable`,",
            "`connect_timeout_seconds` (10), `read_timeout_seconds` (60): see",
            "[how to](../how-to/read-from-a-cloud.md). SFTP: `{url: sftp://user@host:port/folder}` with `user`,",
            "`password` or `private_key`, `private_key_passphrase` (by reference only), `known_hosts`, and the two",
            "time-outs: see [how to](../how-to/read-from-sftp.md). Programs: any keys.",
            "`alerts.channels.NAME` is `{url: …}`; its words: [alerts](alerts.md).",
            "`${NAME}` and `${file:PATH}` in a value stand for a secret",
            "from the environment (or `.env`), or from a file; what they stand for is printed as `***`.\n",
        ]
    )


def alerts_page() -> str:
    """Every rule, and every word by which alerts are routed and promises are made."""
    tables = {
        "A channel: alerts.channels.NAME of the settings": ChannelSpec,
        "An owner: owner of a pipeline": OwnerSpec,
        "A promise of a pipeline: expect": PipelineExpectSpec,
        "A promise of a source of files: sources.NAME.expect": SourceExpectSpec,
    }
    parts = [
        "# Alerts\n",
        NOTE,
        "[Be told](../how-to/be-told.md) shows them at work; [settings](settings.md) has how often and how grave.\n",
        "## Rules\n",
        "A message is a CloudEvent 1.0 in structured mode (`application/cloudevents+json`); its type begins with",
        "`org.example.pratique.`, that of an end is `alert.resolved.v1`, that of a test `test.v1`. `source` and `id`",
        "name a message: the same twice is the same message. `data` has `status` (raised, again, resolved, test),",
        "`alert_id`, `rule`, `environment`, `pipeline`, `source`, `severity`, `summary`, `action`, `context`,",
        "`run_id`, `began_at`, `last_at`, `occurrences`, and where there are any `owner`, `tier`, `runbook`,",
        "`resolved_at`, `acknowledged_by`.\n",
        "| rule | what it finds | type of its event |\n|---|---|---|",
        *(f"| `{name}` | {meaning} | `{kind}` |" for name, (meaning, kind) in RULES.items()),
        "",
    ]
    for title, spec in tables.items():
        parts += [f"## {title}\n", "| word | default | meaning |\n|---|---|---|"]
        parts += [
            f"| `{name}` | {'none' if item.is_required() else _default(item.get_default(call_default_factory=True))} "
            f"| {WORDS[spec.__name__][name]} |"
            for name, item in spec.model_fields.items()
        ]
        parts.append("")
    return "\n".join(parts)


def _default(value: object) -> str:
    return str(value) if value or value == 0 else "nothing"


def pipeline_tests_page() -> str:
    """Every word of a file of tests."""
    titles = {
        CaseFileSpec: "A file: pipelines/tests/NAME.yaml",
        CaseSpec: "A test",
        InputSpec: "A source that is given, or was before",
        ExpectSpec: "A source that is expected",
    }
    parts = [
        "# Tests of pipelines\n",
        NOTE,
        "Run by `pratique test`; [how to test a pipeline](../how-to/test-a-pipeline.md) shows them at work.\n",
    ]
    for spec, title in titles.items():
        parts += [f"## {title}\n", "| word | meaning |\n|---|---|"]
        parts += [
            f"| `{item.alias or name}` | {WORDS[spec.__name__][item.alias or name]} |"
            for name, item in spec.model_fields.items()
        ]
        parts.append("")
    parts += [
        "A source that is given as a list has these records. What a test does not say of a source must not happen:",
        "no record is quarantined or skipped, no file held, and no source fails; only `loaded`, `quality` and",
        "`warnings` may be left out.\n",
        "## A held record\n",
        "| word | meaning |\n|---|---|",
        *(f"| `{word}` | {meaning} |" for word, meaning in RECORD_WORDS.items()),
        "\nAny other word is a field, or the name that it has in the header, with the original value as text.\n",
    ]
    return "\n".join(parts)


class Annotation:
    """A type as it is written in the source, without the quotes of a text."""

    def __init__(self, text: object) -> None:
        self.text = text

    def __repr__(self) -> str:
        return str(self.text)


def signature(thing: Any, name: str) -> str:
    """How a thing is called, on one line where it fits, else with a line for each parameter."""
    found = inspect.signature(thing)
    kept = [
        item.replace(
            annotation=item.annotation if item.annotation is item.empty else Annotation(item.annotation),
            default=Annotation("…") if inspect.isfunction(item.default) else item.default,
        )
        for item in found.parameters.values()
        if item.name != "self"
    ]
    found = found.replace(parameters=kept, return_annotation=Annotation(found.return_annotation or "None"))
    line = f"{name}{found}"
    if len(line) <= 100:  # noqa: PLR2004 - what fits the width of a page
        return line
    mark = next((item.name for item in found.parameters.values() if item.kind is item.KEYWORD_ONLY), None)
    parts = [f"    {'*, ' if item.name == mark else ''}{item},\n" for item in found.parameters.values()]
    return f"{name}(\n{''.join(parts)}) -> {found.return_annotation}"


def documented(thing: Any, name: str, level: int) -> Iterator[str]:
    """A heading, the signature and the docstring of a function or class; of a class then its public methods."""
    yield f"{'#' * level} {name}\n"
    yield f"```text\n{signature(thing, name)}\n```\n"
    yield f"{inspect.getdoc(thing)}\n"
    if not inspect.isclass(thing):
        return
    for own, member in vars(thing).items():
        if own.startswith("_") or not inspect.getdoc(member):
            continue
        if isinstance(member, property):
            yield f"**`{own}`** {inspect.getdoc(member)}\n"
        elif isinstance(member, classmethod | staticmethod):
            yield from documented(getattr(thing, own), own, level + 1)
        elif inspect.isfunction(member):
            yield from documented(member, own, level + 1)


def python_page() -> str:
    """Every public name with its signature and its docstring, which says first what it guarantees."""
    parts = ["# Python\n", NOTE, "What may be imported, and stays. Everything else may move.\n"]
    for module, names in PUBLIC.items():
        parts.append(f"## {module}\n")
        for name in names:
            parts += documented(getattr(import_module(module), name), name, 3)
    return "\n".join(parts)


PAGES = {
    "alerts.md": alerts_page,
    "cli.md": cli_page,
    "connectors.md": lambda: f"# Connectors\n\n{NOTE}\n{connectors_page()}",
    "errors.md": errors_page,
    "events.md": events_page,
    "functions.md": functions_page,
    "pipeline-tests.md": pipeline_tests_page,
    "metrics.md": metrics_page,
    "settings.md": settings_page,
    "python.md": python_page,
    **{f"../pictures/{name}": picture for name, picture in PICTURES.items()},
}


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
    sys.stdout.write(f"{len(PAGES)} pages and pictures {'are up to date' if '--check' in sys.argv else 'written'}\n")


if __name__ == "__main__":
    main()
