"""JSON at random, sound and damaged: what is read of it is what two independent readers agree on, or it is held."""

import json
import os
import re
import time
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pyarrow as pa
import pytest

from pratique.model import Position
from pratique.schema import Field, FieldType, Schema
from pratique.sources import open_source

LONG_SECONDS = float(os.environ.get("PRATIQUE_FUZZ_SECONDS", "600")) / 3
SCHEMA = Schema("s", 1, (Field("a"), Field("b", FieldType("json"))), extra_fields="drop")
ATOMS = ["x", "", "[", '"', "\\", "é", "😀", "\n", "\u2028", "\x7f", "{,}", "null"]
NUMBERS = ["0", "-0", "1.10", "1e400", "-1E-7", "12345678901234567890123", "0.1", "7"]
DAMAGE = [
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b" ",
    b"\n",
    b"1",
    b"x",
    b"\0",
    b"\xff",
    b"\\ud800",
    b"\r",
    b"-",
]


def written(chance: Random, depth: int = 0) -> str:
    """A JSON value as text."""
    sort = chance.randrange(4 if depth < 3 else 2)
    space = chance.choice(["", "", " ", "\t"])
    if sort == 0:
        text = "".join(chance.choices(ATOMS, k=chance.randrange(4)))
        return json.dumps(text, ensure_ascii=chance.random() < 0.5)
    if sort == 1:
        return chance.choice([*NUMBERS, "true", "false", "null"])
    inner = [written(chance, depth + 1) for _ in range(chance.randrange(3))]
    if sort == 2:
        return "[" + f",{space}".join(inner) + "]"
    return "{" + ",".join(f'"k{number}"{space}:{space}{value}' for number, value in enumerate(inner)) + "}"


def record(chance: Random) -> str:
    """A record as text."""
    keys = chance.sample(["a", "b", "other"], chance.randrange(1, 4))
    return "{" + ", ".join(f'"{key}": {written(chance)}' for key in keys) + "}"


def damaged(chance: Random, content: bytes) -> bytes:
    """The same with up to three places changed; half of the time none."""
    made = bytearray(content)
    for _ in range(chance.choice([0, 0, 0, 1, 1, 2, 3])):
        at = chance.randrange(len(made) + 1)
        made[at : at + chance.randrange(3)] = b"".join(chance.choices(DAMAGE, k=chance.randrange(3)))
    return bytes(made)


def as_two_readers_say(text: bytes) -> Any:
    """The value, numbers as written; ValueError unless both take it and no key stands twice."""
    of_another_reader(text)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a key stands twice")
        return dict(pairs)

    return json.loads(text, parse_int=_Number, parse_float=_Number, object_pairs_hook=unique)


# orjson takes no number that a double cannot hold; the digits are compared by json.
_BEYOND_DOUBLES = re.compile(rb"(?<![0-9.])[0-9.]+[eE][+]?[0-9]{3,}")


def of_another_reader(text: bytes) -> Any:
    """The value that orjson reads; numbers that no double holds, which it refuses, stand there as 1."""
    try:
        return orjson.loads(text)
    except ValueError:
        return orjson.loads(_BEYOND_DOUBLES.sub(rb"1", text))


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


def landed(folder: Path, form: str, content: bytes):
    """Land one file."""
    (folder / f"a.{form}").write_bytes(content)
    return open_source("s", path=f"a.{form}", base=folder, format=form, schema=SCHEMA).land(Position())


def rows(result) -> list[dict[str, Any]]:
    """The records as the engine gets them."""
    return pa.Table.from_batches(list(result.parts[0].form.batches())).to_pylist() if result.count else []


def check_record(text: bytes, row: dict[str, Any]) -> None:
    """A record is malformed if and only if it is no object for two readers; else it has their values."""
    try:
        value = as_two_readers_say(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        assert row["_malformed"], (text, row)
        return
    assert row["_malformed"] is None, (text, row)
    for key in ("a", "b"):
        there, found = row[key], value.get(key)
        if found is None or isinstance(found, str):
            assert there == found, (text, row)
        else:  # a structure or a truth value: its own text
            assert json.loads(there, parse_int=_Number, parse_float=_Number) == found, (text, row)


def lines_once(folder: Path, chance: Random) -> None:
    """JSON Lines: every line is judged by itself."""
    content = damaged(chance, "\n".join(record(chance) for _ in range(chance.randrange(1, 6))).encode())
    result = landed(folder, "jsonl", content)
    assert result.held == (), (content, result.held)
    texts = [line for line in content.split(b"\n") if line.rstrip(b"\r")]  # one of blanks is a record, and held
    found = rows(result)
    assert len(found) == len(texts) == result.count, (content, found)
    for text, row in zip(texts, found, strict=True):
        check_record(text, row)


def array_once(folder: Path, chance: Random) -> None:
    """A JSON array: a broken structure holds the file or costs an element, a sound one is read whole."""
    content = ("[" + ", ".join(record(chance) for _ in range(chance.randrange(5))) + "]").encode()
    content = damaged(chance, content)
    result = landed(folder, "json", content)
    found = [] if result.held else rows(result)
    try:
        value = of_another_reader(content)
    except ValueError:
        assert result.held or any(row["_malformed"] for row in found), (content, found)
        return
    if not isinstance(value, list | dict):
        assert result.held, (content, found)
        return
    assert not result.held, (content, result.held)
    values = value if isinstance(value, list) else [value]
    assert len(found) == len(values) == result.count, (content, found)
    for item, row in zip(values, found, strict=True):
        if row["_malformed"] is None:
            assert isinstance(item, dict), (content, row)
    if not any(row["_malformed"] for row in found):
        exact = as_two_readers_say(content)
        for item, row in zip(exact if isinstance(exact, list) else [exact], found, strict=True):
            texts = {key: item.get(key) for key in ("a", "b")}
            shown = {key: row[key] for key in texts if texts[key] is None or isinstance(texts[key], str)}
            assert shown == {key: texts[key] for key in shown}, (content, row)


def fuzz(folder: Path, seed: int, rounds: int) -> None:
    """Both forms, as often; the seed and the number of the round tell which file it was."""
    for number in range(rounds):
        for once in (lines_once, array_once):
            once(folder, Random(f"{seed}-{number}"))  # noqa: S311 - files, not secrets


def test_json_at_random(tmp_path: Path) -> None:
    """Sound or damaged: no other exception, nothing read otherwise than two readers read it."""
    fuzz(tmp_path, 1, 600)


@pytest.mark.nightly
def test_json_at_random_for_a_long_time(tmp_path: Path) -> None:
    """The same for a third of PRATIQUE_FUZZ_SECONDS."""
    end, seed = time.monotonic() + LONG_SECONDS, 1
    while time.monotonic() < end:
        seed += 1
        fuzz(tmp_path, seed, 500)
    assert seed > 1
