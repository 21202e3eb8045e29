"""Damaged files: `pratique init` ends in a project whose first run holds what is torn and nothing else, or in an error."""

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from pratique.cli.main import program

SEEDS = {
    "csv": ['id,day,n,t\n1,2026-01-02,1.50,a\n2,01/02/2024,"x\ny",NA\n3,,-,ß\n' * 5, "a;b;c\n1,5;2.000;x\n" * 9],
    "json": ['[{"a":1,"b":"x","c":[1,{"d":null}]},{"a":2.5e3,"b":null}]', '{"a":{"b":1}}'],
    "jsonl": ['{"a":1,"b":"2026-01-02"}\n{"a":2,"b":"x"}\n' * 4],
}
PIECES = [b'"', b",", b";", b"\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b"NA", b"{", b"]", b"1e400", b"'", b"\\"]


def damaged(chance: random.Random, text: str) -> bytes:
    """A text with up to six faults."""
    data = bytearray(text.encode())
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data) + 1)
        fault = chance.randrange(4)
        if fault == 0:
            data[at:at] = chance.choice(PIECES)
        elif fault == 1:
            del data[at : at + chance.randint(1, 9)]
        elif fault == 2:
            data[at:at] = data[: chance.randint(1, 30)]
        else:
            data = data[:at] or data
    return bytes(data)


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_file_is_a_project_or_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """No traceback; what is held is what could not be read, no rule holds or warns of the records it was made from."""
    monkeypatch.chdir(tmp_path)
    chance = random.Random(seed)  # noqa: S311 - faults are to be made again, not to be secret
    suffix = chance.choice(list(SEEDS))
    name = f"data.{suffix}"
    Path(name).write_bytes(damaged(chance, chance.choice(SEEDS[suffix])))
    done = CliRunner().invoke(program, ["init", name, "--json"])
    assert done.exit_code in {0, 1, 3}, done.output  # 1: more than half of the records are torn
    if done.exit_code == 0:
        profile, report = (json.loads(line) for line in done.stdout.splitlines())
        (source,) = report["sources"]
        assert source["account"]["quarantined"] == profile["tables"][0]["torn"]
        assert [rule for rule in source["warnings"] if rule["failed"]] == []
        assert CliRunner().invoke(program, ["lint", "--strict"]).exit_code == 0
