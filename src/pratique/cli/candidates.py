"""What a shell offers for a name that is being typed: read from the project, fast, silent whatever is wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    import click

    from pratique.ledger import Ledger

_RUNS_MAX: Final = 50  # Limit: older runs are not offered
_SHORT_ID: Final = 6
_Found = Iterator[tuple[str, str]]  # a value, and what it is
_Completer = Callable[["click.Context", "click.Parameter", str], list[CompletionItem]]


def _completer(find: Callable[[Path, dict[str, Any]], _Found]) -> _Completer:
    """Make of a search through a project what click asks for; a project that cannot be read has no names."""

    def complete(ctx: click.Context, _: click.Parameter, typed: str) -> list[CompletionItem]:
        items: dict[str, str] = {}
        with contextlib.suppress(Exception):  # a Tab key is no place to tell of mistakes: `pratique lint` is
            for value, what in find(_root(ctx), ctx.params):
                if value.casefold().startswith(typed.casefold()) and value.isprintable():
                    items.setdefault(value, what)
        return [CompletionItem(value, help=what or None) for value, what in items.items()]

    return complete


def _root(ctx: click.Context) -> Path:
    given = ctx.params.get("root")
    start = Path(given) if given else Path.cwd()
    return start if given else next((at for at in (start, *start.parents) if (at / "config").is_dir()), start)


def _stems(folder: Path) -> list[Path]:
    files = (path for path in folder.iterdir() if path.suffix in {".yaml", ".yml", ".json"})
    return sorted(path for path in files if not path.name.startswith("."))


def _pipelines(root: Path, _: dict[str, Any]) -> _Found:
    return ((path.stem, "pipeline") for path in _stems(root / "pipelines"))


def _environments(root: Path, _: dict[str, Any]) -> _Found:
    return ((path.stem, "environment") for path in _stems(root / "config") if path.stem != "default")


def _schemas(root: Path, _: dict[str, Any]) -> _Found:
    from pratique.documents import load_documents  # noqa: PLC0415 - a YAML parser

    for path in _stems(root / "schemas"):
        name = path.stem.partition("@")[0]
        yield name, "schema, its latest version"
        with contextlib.suppress(Exception):  # the others may be whole
            for document in load_documents(path):
                version = document.value.get("version")
                yield f"{name}@{version or path.stem.partition('@')[2] or 1}", "schema"


def _sources(root: Path, params: dict[str, Any]) -> _Found:
    from pratique.documents import load_document  # noqa: PLC0415 - a YAML parser

    for path in _stems(root / "pipelines"):
        if params.get("pipeline") in {None, path.stem}:
            with contextlib.suppress(Exception):
                yield from ((name, f"source of {path.stem}") for name in load_document(path).value["sources"])


@contextlib.contextmanager
def _ledger(root: Path, params: dict[str, Any]) -> Iterator[tuple[Ledger, Path]]:
    """The ledger, if there is one: a Tab key makes no file. Settings are looked at, not checked: too slow."""
    from pratique.documents import load_document  # noqa: PLC0415 - a YAML parser
    from pratique.ledger import open_ledger  # noqa: PLC0415 - SQLite

    state = ".pratique"
    for name in ("default", params.get("environment") or "dev"):
        for path in (root / "config").glob(f"{name}.*"):
            state = (load_document(path).value.get("state") or {}).get("path") or state
    file = root / state / "ledger.sqlite"
    if not file.is_file():
        raise FileNotFoundError(file)
    with contextlib.closing(open_ledger(file)) as ledger:
        yield ledger, root / state


def _runs(root: Path, params: dict[str, Any]) -> _Found:
    with _ledger(root, params) as (ledger, _):
        for report in ledger.runs(params.get("pipeline"), _RUNS_MAX):
            began = report.started_at[:16].replace("T", " ")
            yield report.run_id[:_SHORT_ID], f"{report.pipeline} {began} {report.outcome}"


def _causes(root: Path, params: dict[str, Any]) -> _Found:
    from pratique.quarantine import Quarantine  # noqa: PLC0415 - only for causes

    with _ledger(root, params) as (ledger, state):
        run = ledger.run(params["run"]).run_id if params.get("run") else None
        for cause in Quarantine(state / "quarantine", ledger).causes(params.get("pipeline"), run=run):
            yield cause.id, f"{cause.source}.{cause.rule}, {cause.records} records"


def _alerts(root: Path, params: dict[str, Any]) -> _Found:
    with _ledger(root, params) as (ledger, _):
        for alert in ledger.alerts.latest(None):
            yield alert.alert_id[:_SHORT_ID], f"{alert.finding.pipeline} {alert.finding.summary}"


def _silenced(root: Path, params: dict[str, Any]) -> _Found:
    yield from _pipelines(root, params)
    yield from _alerts(root, params)


def _channels(root: Path, params: dict[str, Any]) -> _Found:
    from pratique.documents import load_document  # noqa: PLC0415 - a YAML parser

    for name in ("default", params.get("environment") or "dev"):
        for path in (root / "config").glob(f"{name}.*"):
            alerts = load_document(path).value.get("alerts") or {}
            yield from ((channel, "channel") for channel in alerts.get("channels") or {})


def _rules(root: Path, params: dict[str, Any]) -> _Found:
    from pratique.quarantine import Quarantine  # noqa: PLC0415 - only for rules

    with _ledger(root, params) as (ledger, state):
        causes = Quarantine(state / "quarantine", ledger).causes(params.get("pipeline"), params.get("source"))
        yield from ((cause.rule, f"of {cause.source}") for cause in causes)


pipeline_names = _completer(_pipelines)
environment_names = _completer(_environments)
schema_names = _completer(_schemas)
source_names = _completer(_sources)
run_ids = _completer(_runs)
cause_ids = _completer(_causes)
alert_ids = _completer(_alerts)
silence_targets = _completer(_silenced)
channel_names = _completer(_channels)
rule_names = _completer(_rules)
