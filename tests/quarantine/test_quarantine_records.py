"""The form of a quarantined record, the two readings behind it, and what of it people see."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pratique.errors import InternalError
from pratique.model import Cause, Failure, RawRecord
from pratique.quarantine import masked, masked_causes, quarantine_record
from pratique.quarantine.records import to_line
from pratique.schema import Field

_HEAD = b"id,E-Mail,amount\n"


def test_a_record_says_where_it_stands_and_all_that_is_wrong(shop) -> None:
    """Place, text, values by header, every failed rule and the context stand in the record."""
    failures = (
        Failure("amount.type", "amount", "x", "not a number", "quarantine"),
        Failure("big", None, {"amount": "x"}, "too big", "warn"),
    )
    [record] = shop.joined(shop.landed(a=_HEAD + b"1,a@b.c,x\n"), shop.held(0, 2, *failures))
    moment = record.pop("quarantined_at")
    assert moment.endswith("+00:00")
    assert record == {
        "id": "abcdef012345-1",
        "file": "a.csv",
        "record_number": 2,
        "line": 2,
        "offset": None,
        "raw": "1,a@b.c,x",
        "values": {"id": "1", "E-Mail": "a@b.c", "amount": "x"},
        "errors": [
            {
                "rule": "amount.type",
                "field": "amount",
                "value": "x",
                "message": "not a number",
                "severity": "quarantine",
            },
            {"rule": "big", "field": None, "value": {"amount": "x"}, "message": "too big", "severity": "warn"},
        ],
        "sensitive": ["E-Mail", "email"],
        "pipeline": "shop",
        "source": "sales",
        "table": "orders",
        "run_id": "f" * 32,
        "load_id": shop.stamp.load_id,
        "attempt": 1,
        "schema": "orders",
        "schema_version": 3,
    }


def test_records_of_several_files_are_joined_in_order(shop) -> None:
    """More records than are asked for at a time, in two files: each once, in order, numbered through."""
    rows = b"".join(b"%d,m,x\n" % number for number in range(5000))
    held = [shop.held(0, number) for number in range(2, 5002)] + [shop.held(1, 3)]
    records = shop.joined(shop.landed(a=_HEAD + rows, b=_HEAD + rows), *held)
    assert [record["values"]["id"] for record in records] == [*map(str, range(5000)), "1"]
    assert [record["id"].split("-")[1] for record in records] == [*map(str, range(1, 5002))]
    assert (records[-1]["file"], records[-1]["record_number"]) == ("b.csv", 3)


@pytest.mark.parametrize(
    "values",
    [{"amount": "x", "E-Mail": "m"}, {"amount": "x", "E-Mail": "m", "id": 1}, {"amount": "x", "absent": None}],
)
def test_two_readings_that_agree_pass(shop, values: dict[str, Any]) -> None:
    """Texts that both readers give are equal; what is not a text in one of them is not compared."""
    assert len(shop.joined(shop.landed(a=_HEAD + b"1,m,x\n"), shop.held(0, 2, **values))) == 1


@pytest.mark.parametrize("values", [{"amount": "y"}, {"amount": None}, {"absent": "x"}])
def test_two_readings_that_disagree_stop_the_load(shop, values: dict[str, Any]) -> None:
    """A text that the engine read differently names record and file, and tells no value."""
    with pytest.raises(InternalError, match=r"record 2 of a\.csv: engine and source disagree") as caught:
        shop.joined(shop.landed(a=_HEAD + b"1,m,x\n"), shop.held(0, 2, **values))
    assert str(caught.value).endswith(f"their texts differ in {next(iter(values))}")


def test_a_record_that_the_source_does_not_have_stops_the_load(shop) -> None:
    """A number beyond the file's end is a disagreement, also when it is the last one asked for."""
    with pytest.raises(InternalError, match=r"record 9 of a\.csv: .* only one of them has it"):
        shop.joined(shop.landed(a=_HEAD + b"1,m,x\n"), shop.held(0, 2), shop.held(0, 9))


def test_a_malformed_record_is_compared_by_its_number_only(shop) -> None:
    """Where the text cannot be cut for sure, two readers may cut it differently."""
    malformed = Failure("malformed", None, None, "4 values, 3 expected", "quarantine")
    assert shop.joined(shop.landed(a=_HEAD + b"1,m,x,y\n"), shop.held(0, 2, malformed, amount="x,y"))


def test_bytes_that_are_not_utf_8_come_back_exactly(shop) -> None:
    """The raw text goes as base64, values as escaped surrogates; both give the bytes back."""
    content = b"1,\xff\xfe,\xc3\xa9"
    [record] = shop.joined(shop.landed(a=_HEAD + content + b"\n"), shop.held(0, 2))
    read = json.loads(to_line(record))
    assert read["raw"] is None
    assert base64.b64decode(read["raw_base64"]) == content
    assert ",".join(read["values"].values()).encode("utf-8", "surrogateescape") == content


def test_half_a_character_comes_back_exactly() -> None:
    """A lone surrogate that stands for no byte, as JSON can hold one, is in the bytes as UTF-8 would write it."""
    raw = RawRecord(1, None, '"\ud800"', {"a": "\ud800"})
    read = json.loads(to_line(quarantine_record(raw, (), number=1, file="f", shared={"load_id": "x"})))
    assert base64.b64decode(read["raw_base64"]) == b'"\xed\xa0\x80"'
    assert read["values"] == {"a": "\ud800"}


def test_readable_text_stands_readable_in_the_line() -> None:
    """Umlauts are not escaped, so that grep finds them."""
    assert to_line({"raw": "Müller 😀"}) == '{"raw":"Müller 😀"}\n'.encode()


@example({"a": "\ud800"})
@example({"a": "\udcff"})
@given(st.dictionaries(st.text(), st.text(st.characters(exclude_categories=[])) | st.none()))
def test_every_text_comes_back_from_its_line(values: dict[str, str | None]) -> None:
    """Whatever characters a value holds, line ends and lone surrogates too: one line, and the same values again."""
    raw = "".join(value or "" for value in values.values())
    record = quarantine_record(RawRecord(1, None, raw, values), (), number=1, file="f", shared={"load_id": "x"})
    line = to_line(record)
    assert line.count(b"\n") == 1
    read = json.loads(line)
    assert read["values"] == values
    if read["raw"] is None:
        escaped = all("\udc80" <= letter <= "\udcff" for letter in raw if "\ud800" <= letter <= "\udfff")
        assert base64.b64decode(read["raw_base64"]) == raw.encode(
            "utf-8", "surrogateescape" if escaped else "surrogatepass"
        )
    else:
        assert read["raw"] == raw


def test_values_without_a_form_in_json_are_told_as_text() -> None:
    """Decimals, dates, bytes, and numbers that are not finite keep their meaning and the line stays valid JSON."""
    values = {"d": Decimal("1.10"), "t": date(2026, 1, 2), "b": b"\x00\xff", "n": [float("nan"), {"i": float("-inf")}]}
    values["m"] = MappingProxyType({"k": 1})
    read = json.loads(to_line({"values": values}), parse_constant=pytest.fail)
    assert read["values"] == {
        "d": "1.10",
        "t": "2026-01-02",
        "b": {"base64": "AP8="},
        "n": ["nan", {"i": "-inf"}],
        "m": {"k": 1},
    }
    del values["n"]  # without a float the line is written by other code
    assert json.loads(to_line({"values": values}))["values"].items() < read["values"].items()


def _errors(*failures: Failure) -> list[dict[str, Any]]:
    return [
        {
            "rule": item.rule,
            "field": item.field,
            "value": item.value,
            "message": item.message,
            "severity": item.severity,
        }
        for item in failures
    ]


_SECRET = "canary@example.org"  # noqa: S105  it is one for the test


@pytest.mark.parametrize(
    ("failure", "shown"),
    [
        (Failure("amount.type", "amount", "x", "not a number", "quarantine"), True),
        (Failure("big", None, {"amount": "x"}, "too big", "quarantine"), True),
        (Failure("email.format", "email", _SECRET, f"no e-mail: {_SECRET}", "quarantine"), False),
        (Failure("uniqueKeys.id+email", "id+email", _SECRET, f"twice: {_SECRET}", "quarantine"), False),
        (Failure("no_mail", None, {"email": _SECRET}, _SECRET, "quarantine"), False),
        (Failure("no_mail", None, {"E-Mail": _SECRET}, _SECRET, "quarantine"), False),
        (Failure("primaryKey", None, _SECRET, _SECRET, "quarantine"), False),
    ],
)
def test_people_see_no_sensitive_value(shop, failure: Failure, shown: bool) -> None:  # noqa: FBT001
    """Raw text, values and errors about sensitive fields are masked; rules, places and other fields stay."""
    [record] = shop.joined(shop.landed(a=_HEAD + f"1,{_SECRET},x\n".encode()), shop.held(0, 2, failure))
    seen = masked(record)
    assert _SECRET not in json.dumps(seen)
    assert seen["values"] == {"id": "1", "E-Mail": "***", "amount": "x"}
    assert seen["raw"] == "***"
    assert seen["errors"][0]["rule"] == failure.rule
    assert (seen["errors"] == _errors(failure)) is shown
    assert _SECRET in json.dumps(record), "the stored record keeps what people do not see"


def test_a_sensitive_field_may_have_a_plus_in_its_name(shop) -> None:
    """Names of several fields are joined by +, but a + does not make one name several."""
    schema = replace(shop.schema, fields=(Field("a+b", sensitive=True), *shop.schema.fields), primary_key=())
    failure = Failure("a+b.type", "a+b", _SECRET, f"not integer: {_SECRET}", "quarantine")
    [record] = shop.joined(shop.landed(a=_HEAD + b"1,m,x\n"), shop.held(0, 2, failure))
    assert _SECRET not in json.dumps(masked({**record, "sensitive": ["a+b"]})["errors"])
    [cause] = masked_causes([Cause("a+b.type", "a+b", _SECRET, 1)], schema)
    assert cause.message == "***"


def test_a_malformed_record_with_sensitive_fields_shows_no_value(shop) -> None:
    """Its values may stand under the wrong headers: all are masked, the base64 of its bytes is left out."""
    malformed = Failure("malformed", None, None, f"too many: {_SECRET}", "quarantine")
    content = f"1,,{_SECRET},".encode() + b"\xff\n"
    [record] = shop.joined(shop.landed(a=_HEAD + content), shop.held(0, 2, malformed))
    assert "raw_base64" in record
    seen = masked(record)
    assert _SECRET not in json.dumps(seen)
    assert "raw_base64" not in seen
    assert seen["values"] == {"id": "***", "E-Mail": "", "amount": "***"}


def test_without_sensitive_fields_nothing_is_masked(shop) -> None:
    """A schema that marks nothing shows its records as they are."""
    plain = replace(shop.schema, fields=tuple(replace(field, sensitive=False) for field in shop.schema.fields))
    [record] = shop.records("1,m,x", schema=plain)
    assert masked(record) is record


@pytest.mark.parametrize(
    ("rule", "field", "shown"),
    [
        ("amount.type", "amount", True),
        ("big", None, True),
        ("primaryKey", None, True),
        ("reference.amount", None, True),
        ("parent", None, True),
        ("email.format", "email", False),
        ("uniqueKeys.id+email", None, False),
        ("no_mail", None, False),
        ("malformed", None, False),
    ],
)
def test_causes_tell_no_sensitive_value(shop, rule: str, field: str | None, shown: bool) -> None:  # noqa: FBT001
    """The sample message of a cause is masked if it is, or may be, about a sensitive field."""
    [cause] = masked_causes([Cause(rule, field, "sample", 1)], shop.schema)
    assert (cause.message == "sample") is shown
    plain = replace(shop.schema, fields=tuple(replace(item, sensitive=False) for item in shop.schema.fields))
    assert masked_causes([Cause(rule, field, "sample", 1)], plain)[0].message == "sample"
