"""The form of a quarantined record, how it is made out of two readings, and what of it people see."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby, islice, zip_longest
from typing import Any, Final

import orjson

from pratique.errors import InternalError
from pratique.model import Cause, Failure, HeldRecord, Landed, LandedFile, RawRecord, Stamp
from pratique.schema import Schema
from pratique.schema.rules import sensitive

MASK: Final = "***"
# Limit: records of one file that are asked of the source's reader at a time; bounds memory.
_CHUNK_RECORDS: Final = 4096


def quarantine_record(
    raw: RawRecord, failures: Iterable[Failure], *, number: int, file: str, shared: Mapping[str, Any]
) -> dict[str, Any]:
    """One quarantined record, as its line of the segment holds it.

    | key | what |
    |---|---|
    | `id` | the first 12 digits of the load id, `-`, the record's number in its segment (from 1) |
    | `file`, `record_number`, `line` | its place: file, number of the record, first physical line (from 1) or null |
    | `sheet` | of a workbook: the sheet whose row `line` is; of an API: the page in which `line` counts records |
    | `offset` | where its text begins, in bytes of the file, unpacked and as UTF-8; null where the format has no text |
    | `raw` | its text without line end; null where the format has no text or the text is not valid UTF-8 |
    | `raw_base64` | only then: its bytes |
    | `values` | header name -> original value; what JSON has no form for is its text (bytes: `{"base64": …}`) |
    | `errors` | every failed rule: `rule`, `field`, `value`, `message`, `severity` |
    | `sensitive` | names of fields and headers that are masked wherever people look |
    | `pipeline`, `source`, `table`, `run_id`, `load_id`, `attempt` | where it comes from and should have gone |
    | `schema`, `schema_version`, `quarantined_at` | what it was judged by, and when (UTC, ISO 8601) |

    A byte of a value that is not valid UTF-8 stands as a lone surrogate, U+DC00 + byte, escaped in JSON (Python's
    `surrogateescape`), so that every value can be given back byte-exact.
    """
    record: dict[str, Any] = {
        "id": f"{shared['load_id'][:12]}-{number}",
        "file": file,
        "record_number": raw.number,
        "line": raw.line,
        "offset": raw.offset,
        "raw": raw.raw,
        "values": raw.values,
        "errors": [
            {
                "rule": failure.rule,
                "field": failure.field,
                "value": failure.value,
                "message": failure.message,
                "severity": failure.severity,
            }
            for failure in failures
        ],
        **shared,
    }
    if raw.sheet is not None:
        record["sheet"] = raw.sheet
    if raw.raw is not None and not raw.raw.isascii():
        try:
            raw.raw.encode()
        except UnicodeEncodeError:
            record["raw"] = None
            record["raw_base64"] = base64.b64encode(_bytes(raw.raw)).decode("ascii")
    return record


def held_records(
    landed: Landed,
    held: Iterable[HeldRecord],
    *,
    pipeline: str,
    table: str,
    schema: Schema,
    stamp: Stamp,
    attempt: int,
) -> Iterator[dict[str, Any]]:
    """Join what the engine judged with the records as they stand in their files, in the order of `held`.

    Two independent readings are checked against each other: where both give a text they must agree, or InternalError
    stops the load before it has any effect. Memory holds a few thousand records at a time.
    """
    shared = {
        "sensitive": sorted(_sensitive(schema)),
        "pipeline": pipeline,
        "source": stamp.source,
        "table": table,
        "run_id": stamp.run_id,
        "load_id": stamp.load_id,
        "attempt": attempt,
        "schema": schema.name,
        "schema_version": schema.version,
        "quarantined_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    places = [(part, file) for part in landed.parts for file in part.files]
    number = 0
    for index, records in groupby(held, key=lambda record: record.file):
        part, file = places[index]
        while chunk := list(islice(records, _CHUNK_RECORDS)):
            read = landed.reader.records(part, file, [record.number for record in chunk])
            for record, raw in zip_longest(chunk, read):
                number += 1
                _agree(file, record, raw)
                yield quarantine_record(raw, record.failures, number=number, file=file.version.name, shared=shared)


def _agree(file: LandedFile, record: HeldRecord | None, raw: RawRecord | None) -> None:
    """Raise InternalError unless engine and source mean the same record.

    A malformed record is compared by its number only: its text cannot be cut into values for sure. An empty text and a
    missing value are not told apart by every reader.
    """
    if record is None or raw is None or record.number != raw.number:
        number = record.number if record else raw.number if raw else 0
        difference = "only one of them has it"
    else:
        number = record.number
        if not record.values or record.values == raw.values:
            return
        malformed = any(failure.rule == "malformed" for failure in record.failures)
        headers = [
            header
            for header, value in record.values.items()
            if not malformed and not _same(value, raw.values.get(header))
        ]
        if not headers:
            return
        difference = f"their texts differ in {', '.join(headers)}"
    raise InternalError(
        f"record {number} of {file.version.name}: engine and source disagree: {difference}",
        hint="nothing of this load was written; compare the file with the schema's dialect and report it",
        facts={"file": file.version.name, "record_number": number},
    )


def _same(judged: Any, read: Any) -> bool:
    texts = all(value is None or isinstance(value, str) for value in (judged, read))
    return not texts or (judged or "") == (read or "")


# --- what stands in the file ------------------------------------------------------------------------------------


def to_line(record: Any) -> bytes:
    """The record as one line of UTF-8 JSON, from which `json.loads` gives every text back exactly."""
    try:
        line = orjson.dumps(record, default=_plain, option=_ORJSON)
        # orjson, ten times as fast as json, makes null of a float that is not finite
        exact = b"null" not in line or not _holds_float(record)
        return line if exact else _READABLE.encode(record).encode() + b"\n"
    except (ValueError, TypeError):  # a lone surrogate, an integer beyond 64 bits, a number that is not finite
        return _ESCAPED.encode(_finite(record)).encode() + b"\n"


def _holds_float(value: Any) -> bool:
    """Whether there is a float in it."""
    if value is None or isinstance(value, str | int):
        return False
    if isinstance(value, Mapping):
        return any(map(_holds_float, value.values()))
    return any(map(_holds_float, value)) if isinstance(value, list | tuple) else isinstance(value, float)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, Mapping):
        return dict(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def _bytes(text: str) -> bytes:
    """The bytes that were decoded with `surrogateescape`; other lone surrogates as UTF-8 would write them."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


_COMPACT: Final = (",", ":")
_READABLE: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=_COMPACT, default=_plain)
_ESCAPED: Final = json.JSONEncoder(separators=_COMPACT, default=_plain)
_ORJSON: Final = orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_DATETIME


def fingerprint(record: Mapping[str, Any]) -> bytes:
    """The same for two records if their texts and their values are, wherever they stand and whatever they failed."""
    return hashlib.sha256(to_line([record["raw"], record.get("raw_base64"), record["values"]])).digest()


# --- what people see --------------------------------------------------------------------------------------------


def masked(record: dict[str, Any]) -> dict[str, Any]:
    """The record as people may see it: sensitive values, the raw text, and messages that may hold them are `***`.

    Where it is not certain which field a value belongs to (a malformed record, a rule that names no field), it is
    masked too. Rule names and places stay.
    """
    hidden = frozenset(record["sensitive"])
    if not hidden:
        return record
    everything = any(error["rule"] == "malformed" for error in record["errors"])
    shown = {name: value for name, value in record.items() if name != "raw_base64"}
    shown["raw"] = MASK
    shown["values"] = {
        header: MASK if (everything or header in hidden) and value is not None and value != "" else value
        for header, value in record["values"].items()
    }
    shown["errors"] = [
        error if not everything and _harmless(error, hidden) else {**error, "value": MASK, "message": MASK}
        for error in record["errors"]
    ]
    return shown


def _harmless(error: Mapping[str, Any], hidden: frozenset[str]) -> bool:
    """True if it is certain that neither value nor message of this error hold a sensitive value."""
    if error["field"]:
        return hidden.isdisjoint({error["field"], *error["field"].split("+")})  # a name may hold a + itself
    return isinstance(error["value"], Mapping) and hidden.isdisjoint(error["value"])


def masked_causes(causes: Iterable[Cause], schema: Schema) -> tuple[Cause, ...]:
    """The causes of a load as reports, markers and logs may hold them: messages about sensitive fields are `***`."""
    hidden = _sensitive(schema)
    return tuple(
        replace(cause, message=MASK) if hidden and not hidden.isdisjoint(_concerned(cause, schema, hidden)) else cause
        for cause in causes
    )


def _concerned(cause: Cause, schema: Schema, hidden: frozenset[str]) -> frozenset[str]:
    """Names of the fields that a cause speaks of; all that are sensitive where that cannot be told."""
    if cause.field:
        return frozenset({cause.field, *cause.field.split("+")})
    keys = dict(schema.keys)
    if cause.rule in keys:
        return frozenset(keys[cause.rule])
    for check in schema.checks:
        if check.name == cause.rule:
            return frozenset(re.findall(r"\w+", f"{check.rule} {check.condition or ''}"))
    for reference in schema.references:
        if cause.rule in {reference.name, "reference." + "+".join(reference.fields)}:
            return frozenset(reference.fields)
    return hidden


def _sensitive(schema: Schema) -> frozenset[str]:
    fields = [schema.field(name) for name in sensitive(schema)]
    return schema.hidden.union(name for field in fields for name in (field.name, *field.headers))
