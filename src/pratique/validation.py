"""The judge for Python users: the same rules, the same SELECT, for one record or a list of them."""

from __future__ import annotations

import json
import tempfile
import threading
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from pratique.engines.settings import EngineSettings
from pratique.engines.texts import text_form
from pratique.errors import ConfigurationError
from pratique.model import (
    LINEAGE_COLUMNS,
    Failure,
    FileVersion,
    Landed,
    LandedFile,
    Part,
    RawRecord,
    RuleTally,
    Stamp,
    Tally,
    Target,
)
from pratique.schema import Schema

if TYPE_CHECKING:
    from pratique.config_manager import ConfigManager

Record = Mapping[str, Any]

_MALFORMED = "the text is not valid Unicode"


class SchemaValidator:
    """Gives records the verdicts that a load would give them; keeps one prepared judge open.

    A record carries values by header name (any of a field's `from`) or by field name. Values that are not text are
    judged by their exact text; None and absent keys are missing values. Lineage columns are ignored. Fields that a
    file would take from its path are taken from the record. Safe with threads: they take turns.
    """

    def __init__(self, schema: Schema, config: ConfigManager | None = None) -> None:
        from pratique.engines.duckdb_record import RecordJudge  # noqa: PLC0415 - loading DuckDB costs 0.1 s

        self.schema = schema
        self._settings = _settings(config)
        self._plain = _without_headers(schema)
        self._keys = _accepted_keys(schema)
        self._judge = RecordJudge(self._settings, self._plain)
        self._turn = threading.Lock()
        weakref.finalize(self, self._judge.close)

    @classmethod
    def from_file(cls, path: str | Path, config: ConfigManager | None = None) -> SchemaValidator:
        """The validator of the newest version in a schema file. Raises ConfigurationError with its place."""
        from pratique.specs.schema_files import load_schemas  # noqa: PLC0415 - loads pydantic

        file = Path(path)
        if not file.is_file():
            raise ConfigurationError(f"there is no schema file {path}", hint="give the path of a schemas/NAME.yaml")
        return cls(load_schemas(file)[-1], config)

    @overload
    def validate(self, record: Record) -> dict[str, Any]: ...
    @overload
    def validate(self, record: Iterable[Record]) -> dict[str, Any]: ...
    def validate(self, record: Record | Iterable[Record]) -> dict[str, Any]:
        """Say whether a record, or every record of a list, would be loaded, and why not.

        For a record: `valid`, `errors`, `warnings`; an error holds `field`, `value`, `rule`, `message`, `severity`.
        For a list also `records` and `passed`, and each error has the `index` of its record; keys are judged within
        the list. References to other tables are not judged.
        """
        if isinstance(record, Mapping):
            values, problems = self._texts(record)
            found = [_entry(item) for item in (*problems, *self._row_failures(values))]
            return _verdict(found)
        records = _listed(record)
        _, failures = self.judge(records)
        found = [{"index": index, **_entry(item)} for index, item in failures]
        bad = {item["index"] for item in found if item["severity"] != "warn"}
        return {**_verdict(found), "records": len(records), "passed": len(records) - len(bad)}

    def judge(self, records: Sequence[Record]) -> tuple[Tally, list[tuple[int, Failure]]]:
        """Judge a list as one load: what was counted, and every failure with the index of its record, in order."""
        from pratique.engines.duckdb_engine import DuckEngine  # noqa: PLC0415 - loading DuckDB costs 0.1 s

        texts: list[dict[str, str | None]] = []
        failures: list[tuple[int, Failure]] = []
        for index, record in enumerate(records):
            values, problems = self._texts(record)
            texts.append(values)
            failures += [(index, problem) for problem in problems if problem.rule == "extraFields"]
        staged = DuckEngine(self._settings).stage(_landed(texts, self._plain), self._plain, _TARGET, _stamp(), None)
        try:
            tally = staged.tally
            failures += [(held.number, item) for held in staged.failing() for item in held.failures]
        finally:
            staged.close()
        if self.schema.extra_fields == "reject":
            extra = len({index for index, item in failures if item.rule == "extraFields"})
            rule = RuleTally("extraFields", None, "quarantine", "validity", extra, extra)  # as a run: malformed
            tally = replace(tally, rules=(*tally.rules, rule))
        return tally, sorted(failures, key=lambda pair: pair[0])

    def _row_failures(self, values: Mapping[str, str | None]) -> tuple[Failure, ...]:
        if _unreadable(values):
            return ()
        with self._turn:
            return self._judge.failures(values)

    def _texts(self, record: Record) -> tuple[dict[str, str | None], list[Failure]]:
        """The text of every field of a record, and what is wrong with it before any rule is asked."""
        used: set[str] = set()
        values: dict[str, str | None] = {}
        for name, accepted in self._keys.items():
            key = next((key for key in accepted if key in record), None)
            values[name] = None if key is None else _text(record[key])
            used.update(accepted)
        problems: list[Failure] = []
        if self.schema.extra_fields == "reject":
            known = [*used, *(item.name for item in self.schema.fields), *LINEAGE_COLUMNS]
            problems = [_extra(str(key), record[key], known) for key in record if key not in known]
        if _unreadable(values):
            problems.append(Failure("malformed", None, None, _MALFORMED, "quarantine"))
        return values, problems


class DataQualityChecker:
    """Scores records 0-100 by SPEC US-03: per dimension 100 x passed / decided, then the mean of the dimensions.

    With a schema its rules decide. Without one every field is expected in every record (completeness), and every
    record once (uniqueness). No record, no decision: the score of an empty list is None.
    """

    def __init__(self, config: ConfigManager | None = None, schema: Schema | None = None) -> None:
        self._validator = SchemaValidator(schema, config) if schema is not None else None

    def check_quality(self, records: Iterable[Record]) -> dict[str, Any]:
        """Give `quality_score`, `dimensions`, `total_records`, `valid_records`, `issues` and `rules`."""
        listed = _listed(records)
        tally, failures = self._validator.judge(listed) if self._validator else _completeness(listed)
        score, dimensions = tally.quality() if listed else (None, {})
        bad = {index for index, item in failures if item.severity != "warn"}
        return {
            "quality_score": score,
            "dimensions": dimensions,
            "total_records": len(listed),
            "valid_records": len(listed) - len(bad),
            "issues": [{"index": index, **_entry(item)} for index, item in failures],
            "rules": [
                {
                    "rule": rule.name,
                    "field": rule.field,
                    "dimension": rule.dimension,
                    "severity": rule.severity,
                    "decided": rule.decided,
                    "failed": rule.failed,
                }
                for rule in tally.rules
            ],
        }


def _completeness(records: list[Record]) -> tuple[Tally, list[tuple[int, Failure]]]:
    """What can be said of records without a schema; a missing value is None or an empty text."""
    names = list(dict.fromkeys(str(key) for record in records for key in record if key not in LINEAGE_COLUMNS))
    failures: list[tuple[int, Failure]] = []
    seen: dict[tuple[str | None, ...], int] = {}
    for index, record in enumerate(records):
        texts = tuple(_text(record.get(name)) for name in names)
        failures += [
            (index, Failure(f"{name}.required", name, text, f"{name} is missing", "quarantine"))
            for name, text in zip(names, texts, strict=True)
            if text in (None, "")
        ]
        first = seen.setdefault(texts, index)
        if first != index:
            failures.append((index, Failure("identical", None, None, f"the same as record {first}", "quarantine")))
    failed = Counter(item.rule for _, item in failures)
    total = len(records)
    rules = [
        RuleTally(f"{name}.required", name, "quarantine", "completeness", total, failed[f"{name}.required"])
        for name in names
    ]
    rules.append(RuleTally("identical", None, "quarantine", "uniqueness", total, failed["identical"]))
    bad = len({index for index, _ in failures})
    return Tally(read=total, good=total - bad, quarantined=bad, rules=tuple(rules)), failures


def _listed(records: Iterable[Record]) -> list[Record]:
    """The records as a list; TypeError for what is no list of records."""
    if isinstance(records, Mapping) or not isinstance(records, Iterable):
        raise TypeError(f"records are a list of mappings of names to values, not {type(records).__name__}")
    listed = list(records)
    for record in listed:
        if not isinstance(record, Mapping):
            raise TypeError(f"a record is a mapping of names to values, not {type(record).__name__}")
    return listed


# --- records as an input of the engine --------------------------------------------------------------------------

_TARGET = Target("records", "replace")


class _NoReader:
    """Records of a list are at hand; nobody asks for them again."""

    def records(self, part: Part, file: LandedFile, numbers: Sequence[int]) -> Iterator[RawRecord]:
        """Yield nothing."""
        del part, file, numbers
        return iter(())


def _landed(texts: list[dict[str, str | None]], schema: Schema) -> Landed:
    broken = [_MALFORMED if _unreadable(values) else None for values in texts]
    columns = {
        item.name: [None if why else values[item.name] for values, why in zip(texts, broken, strict=True)]
        for item in schema.fields
        if item.expression is None
    }
    form = text_form(columns, broken)
    file = LandedFile(Path("records"), FileVersion("records", "", 0), len(texts), first_number=0)
    return Landed("records", (Part(form, (file,)),), _NoReader())


def _stamp() -> Stamp:
    return Stamp("records", "", "", datetime.now(UTC))


def _settings(config: ConfigManager | None) -> EngineSettings:
    """Limits of the configuration, if there is one; temporary files stand in the system's own folder."""
    folder = Path(tempfile.gettempdir())
    if config is None:
        return EngineSettings(folder, threads=1)
    limits = config.settings.limits
    return EngineSettings(folder, memory_limit=limits.memory, threads=limits.threads)


def _without_headers(schema: Schema) -> Schema:
    """The schema with every field read from a column of its own name: records bring no header and no path."""
    return replace(schema, fields=tuple(replace(item, aliases=(), capture=None) for item in schema.fields))


def _accepted_keys(schema: Schema) -> dict[str, tuple[str, ...]]:
    """Under which keys a record may carry each field: its headers, and its own name unless that is another's header."""
    fields = [item for item in schema.fields if item.expression is None]
    taken = {header for item in fields if item.capture is None for header in item.headers}
    return {
        item.name: (
            *(item.headers if item.capture is None else ()),
            *((item.name,) if item.name not in taken else ()),
        )
        for item in fields
    }


def _text(value: Any) -> str | None:
    """The exact text of a value, as a file would hold it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=_text)
    return str(value)


def _unreadable(values: Mapping[str, str | None]) -> bool:
    """Whether a text holds half a character (a lone surrogate), which no file can."""
    try:
        for value in values.values():
            if value is not None and not value.isascii():
                value.encode()
    except UnicodeEncodeError:
        return True
    return False


def _extra(key: str, value: Any, known: list[str]) -> Failure:
    near = get_close_matches(key, known, 1)
    message = f"{key} is not in the schema" + (f" (meant {near[0]}?)" if near else "")
    return Failure("extraFields", key, _text(value), message, "quarantine")


def _entry(item: Failure) -> dict[str, Any]:
    return {
        "field": item.field,
        "value": item.value,
        "rule": item.rule,
        "message": item.message,
        "severity": item.severity,
    }


def _verdict(found: list[dict[str, Any]]) -> dict[str, Any]:
    errors = [item for item in found if item["severity"] != "warn"]
    return {"valid": not errors, "errors": errors, "warnings": [item for item in found if item["severity"] == "warn"]}
