"""Segments: durable, visible through a committed marker only, verified when read."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pratique.errors import ConfigurationError, InternalError, StateError
from pratique.ledger import open_ledger
from pratique.model import Cause, Failure
from pratique.quarantine import Quarantine

_LOAD = "b" * 32


def _plain(count: int, rule: str = "amount.type") -> Iterator[dict[str, Any]]:
    for number in range(1, count + 1):
        yield {
            "id": f"{_LOAD[:12]}-{number}",
            "values": {"id": str(number), "text": f"{hashlib.sha256(str(number).encode()).hexdigest()} " * 4},
            "errors": [{"rule": rule, "field": None, "value": None, "message": "m", "severity": "quarantine"}],
            "sensitive": [],
        }


def test_a_segment_is_json_lines_that_zstdcat_reads(shop) -> None:
    """An independent program reads the file; its hash and number of records are those of the segment."""
    records = shop.records("1,m,ä", "2,m,x")
    segment = shop.quarantine.write("shop", _LOAD, 7, iter(records))
    assert segment.path == f"shop/{_LOAD}/7.jsonl.zst"
    path = shop.quarantine.folder / segment.path
    assert hashlib.sha256(path.read_bytes()).hexdigest() == segment.sha256
    try:
        text = subprocess.run(["zstd", "-dc", str(path)], capture_output=True, check=True).stdout
    except FileNotFoundError:  # no zstd program here: the bindings on the whole file
        from backports import zstd  # noqa: PLC0415

        text = zstd.decompress(path.read_bytes())
    assert [json.loads(line) for line in text.splitlines()] == records
    assert segment.records == 2


def test_nothing_held_makes_no_segment(shop) -> None:
    """Without records there is no file and no folder."""
    assert shop.quarantine.write("shop", _LOAD, 1, iter(())) is None
    assert not shop.quarantine.folder.exists()


def test_segments_are_readable_by_their_owner_only(shop) -> None:
    """With an open umask folders still are 0700 and files 0600."""
    before = os.umask(0)
    try:
        shop.quarantine.write("shop", _LOAD, 1, _plain(1))
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in shop.quarantine.folder.rglob("*") if path.is_dir()}
    assert modes == {0o700}
    [path] = shop.quarantine.folder.rglob("*.zst")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_segment_is_never_overwritten(shop) -> None:
    """Where a lost ledger counts attempts anew, what another marker names stays as it is."""
    first = shop.quarantine.write("shop", _LOAD, 1, _plain(1))
    second = shop.quarantine.write("shop", _LOAD, 1, _plain(2))
    third = shop.quarantine.write("shop", _LOAD, 1, _plain(3))
    assert [segment.path.rpartition("/")[2] for segment in (first, second, third)] == [
        "1.jsonl.zst",
        "1.2.jsonl.zst",
        "1.3.jsonl.zst",
    ]
    assert hashlib.sha256((shop.quarantine.folder / first.path).read_bytes()).hexdigest() == first.sha256


@pytest.mark.parametrize("name", ["../x", "a/b", "", "..", "\0"])
def test_no_name_leads_out_of_the_folder(shop, name: str) -> None:
    """A pipeline or load whose name is a path is refused, nothing is written."""
    with pytest.raises(ConfigurationError):
        shop.quarantine.write(name, _LOAD, 1, _plain(1))
    with pytest.raises(ConfigurationError):
        shop.quarantine.write("shop", name, 1, _plain(1))
    assert not shop.quarantine.folder.exists()


def test_a_segment_without_a_marker_is_never_seen(shop) -> None:
    """An orphan of a crash is not shown; the committed marker alone makes its records visible."""
    shop.quarantine.write("shop", _LOAD, 1, iter(shop.records("1,m,x")))
    assert list(shop.quarantine.records()) == shop.quarantine.loads() == shop.quarantine.causes() == []
    marker = shop.commit(shop.records("2,m,x"))
    assert [record["values"]["id"] for record in shop.quarantine.records()] == ["2"]
    assert [load.load_id for load in shop.quarantine.loads()] == [marker.load_id]


def test_an_error_while_records_stream_leaves_nothing(shop) -> None:
    """If engine and source disagree halfway, no file of the attempt stays."""

    def broken() -> Iterator[dict[str, Any]]:
        yield from _plain(3)
        raise InternalError("they disagree")

    with pytest.raises(InternalError, match="disagree"):
        shop.quarantine.write("shop", _LOAD, 1, broken())
    assert [path for path in shop.quarantine.folder.rglob("*") if path.is_file()] == []


def test_a_folder_that_cannot_be_made_is_told(shop) -> None:
    """A file where the quarantine should be is an error that names it, before anything is loaded."""
    shop.quarantine.folder.write_text("in the way")
    with pytest.raises(StateError, match=str(shop.quarantine.folder)) as caught:
        shop.quarantine.write("shop", _LOAD, 1, _plain(1))
    assert "is a folder that may be written" in caught.value.hint


def test_many_blocks_make_one_segment(shop) -> None:
    """More than fits into a block comes back whole and in order."""
    shop.commit(_plain(8_000))
    found = [record["values"]["id"] for record in shop.quarantine.records()]
    assert found == [*map(str, range(1, 8_001))]


_ON_SMALL_DISK = """
import subprocess, resource, sys
from pathlib import Path
from pratique.errors import StateError
from pratique.ledger import open_ledger
from pratique.quarantine import Quarantine
folder = Path(sys.argv[1])
folder.mkdir()
mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
if mounted.returncode:  # no mounts here: the limit of the process stands in for the disk's end
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
import hashlib
records = ({"text": hashlib.sha512(str(number).encode()).hexdigest()} for number in range(200_000))
with open_ledger(Path(sys.argv[2])) as ledger:
    try:
        Quarantine(folder / "q", ledger).write("shop", "b" * 32, 1, records)
    except StateError as error:
        print(str(folder / "q") in str(error), "MB free" in str(error), "df -h" in error.hint)
print([path.name for path in folder.rglob("*") if path.is_file()])
"""


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """ENOSPC on a small disk: an error that names path, free space and what to do; no file of the attempt stays."""
    command = [sys.executable, "-c", _ON_SMALL_DISK, str(tmp_path / "small"), str(tmp_path / "ledger.sqlite")]
    own = ["unshare", "--mount", "--map-root-user"]
    usable = subprocess.run([*own, "true"], capture_output=True, check=False).returncode == 0
    done = subprocess.run([*own, *command] if usable else command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["True True True", "[]"]


@pytest.mark.parametrize(("failpoint", "left"), [("quarantine.written", ".tmp"), ("quarantine.renamed", ".zst")])
def test_a_kill_leaves_an_orphan_that_nobody_sees(tmp_path: Path, failpoint: str, left: str) -> None:
    """Killed before or after the rename, nothing is visible, and the next attempt is whole."""
    code = """
import sys
from pathlib import Path
from pratique.ledger import open_ledger
from pratique.quarantine import Quarantine
state = Path(sys.argv[1])
Quarantine(state / "quarantine", open_ledger(state / "ledger.sqlite")).write("shop", "b" * 32, 1, iter([{"id": "x"}]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env={**os.environ, "PRATIQUE_FAILPOINT": failpoint}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    [orphan] = [path for path in (tmp_path / "quarantine").rglob("*") if path.is_file()]
    assert orphan.suffix == left
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        quarantine = Quarantine(tmp_path / "quarantine", ledger)
        assert list(quarantine.records()) == []
        assert quarantine.write("shop", _LOAD, 2, _plain(3)).records == 3
    assert not list((tmp_path / "quarantine").rglob("*.tmp"))


def test_a_changed_segment_is_refused_by_name(shop) -> None:
    """One flipped bit and no record of the file is shown; the error names it."""
    marker = shop.commit(shop.records("1,m,x"))
    path = shop.quarantine.folder / marker.segment.path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(StateError, match=str(path)):
        list(shop.quarantine.records())


def test_a_missing_segment_is_told(shop) -> None:
    """A file that a marker names and that is gone is an error, never an empty list."""
    marker = shop.commit(shop.records("1,m,x"))
    (shop.quarantine.folder / marker.segment.path).unlink()
    with pytest.raises(StateError, match="quarantined 1 records"):
        list(shop.quarantine.records())


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "shop/../../x"])
def test_a_marker_leads_to_no_other_file(shop, path: str) -> None:
    """A path in a marker that leaves the quarantine is refused."""
    marker = shop.commit(shop.records("1,m,x"))
    with shop.ledger.begin("shop", "dev") as run:
        run.record(replace(marker, segment=replace(marker.segment, path=path)))
    with pytest.raises(StateError, match="outside"):
        list(shop.quarantine.records())


def _three_loads(shop) -> None:
    shop.commit(shop.records("1,m,x", "2,m,x"))
    big = Failure("big", "amount", "9", "too big", "quarantine")
    shop.commit(
        shop.records("3,m,9", failures=(big,), stamp=replace(shop.stamp, load_id="2" * 32, run_id="a" * 32)),
        load_id="2" * 32,
        run_id="a" * 32,
        causes=(Cause("big", "amount", "too big", 1, (("b.csv", 4),)),),
        committed_at="2026-01-02T00:00:00+00:00",
    )
    third = replace(shop.stamp, load_id="3" * 32, source="items", run_id="a" * 32)
    shop.commit(
        shop.records("4,m,x", "5,m,x", "6,m,x", stamp=third, pipeline="another"),
        load_id="3" * 32,
        run_id="a" * 32,
        source="items",
        pipeline="another",
        committed_at="2026-01-03T00:00:00+00:00",
    )


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, "123456"),
        ({"pipeline": "shop"}, "123"),
        ({"source": "items"}, "456"),
        ({"run": "aa"}, "3456"),
        ({"rule": "big"}, "3"),
        ({"rule": "bi"}, ""),
        ({"cause": "Q2"}, "12"),
        ({"cause": "q1", "limit": 2}, "45"),
        ({"cause": "Q1", "pipeline": "shop"}, "12"),
        ({"cause": "Q1", "source": "sales"}, ""),
        ({"record": "abcdef012345-2"}, "2"),
        ({"record": "nonsense"}, ""),
        ({"limit": 0}, ""),
        ({"source": None, "rule": None, "cause": None, "limit": None}, "123456"),
    ],
)
def test_records_are_chosen_by_filters(shop, filters: dict[str, Any], found: str) -> None:
    """Each filter chooses what it says, oldest load first; several hold together."""
    _three_loads(shop)
    assert "".join(record["values"]["id"] for record in shop.quarantine.records(**filters)) == found


def test_causes_are_grouped_and_numbered_by_records(shop) -> None:
    """Q1 has most records; ids do not change when some causes are chosen; counts of loads are added."""
    _three_loads(shop)
    shop.commit(shop.records("7,m,x"), load_id="4" * 32, committed_at="2026-01-04T00:00:00+00:00")
    causes = shop.quarantine.causes()
    assert [(cause.id, cause.source, cause.rule, cause.records) for cause in causes] == [
        ("Q1", "items", "amount.type", 3),
        ("Q2", "sales", "amount.type", 3),
        ("Q3", "sales", "big", 1),
    ]
    assert (causes[1].since, causes[1].since_run) == ("2026-01-01T00:00:01+00:00", "f" * 32)
    assert causes[1].places == (("a.csv", 2), ("a.csv", 2))
    assert shop.quarantine.causes(rule="big") == causes[2:]
    assert [cause.id for cause in shop.quarantine.causes(source="sales")] == ["Q2", "Q3"]
    assert [(cause.id, cause.source) for cause in shop.quarantine.causes("shop")] == [("Q1", "sales"), ("Q2", "sales")]
    assert [cause.id for cause in shop.quarantine.causes(run="aa")] == ["Q1", "Q2"]


def test_an_unknown_cause_names_those_that_exist(shop) -> None:
    """A wrong id is the caller's mistake, told with the range of right ones."""
    with pytest.raises(ConfigurationError, match="nothing is held"):
        list(shop.quarantine.records(cause="Q1"))
    _three_loads(shop)
    with pytest.raises(ConfigurationError, match="Q1 to Q3") as caught:
        list(shop.quarantine.records(cause="Q9"))
    assert caught.value.hint == "pratique quarantine list"


def test_a_rule_that_json_escapes_is_found(shop) -> None:
    """Quotes, backslashes and other letters in the name of a rule do not hide its records."""
    for load, rule in enumerate(('a "b" \\c', "größe")):
        records = [{**record, "id": rule} for record in _plain(2, rule)]
        shop.commit(records, load_id=f"{load}" * 32)
        assert [record["id"] for record in shop.quarantine.records(rule=rule)] == [rule, rule]


def test_records_are_masked_unless_revealed(shop) -> None:
    """People see `***` where a field is sensitive; who asks for it sees what is stored."""
    shop.commit(shop.records("1,canary@example.org,x"))
    assert "canary" not in json.dumps(list(shop.quarantine.records()))
    assert next(shop.quarantine.records(reveal=True))["values"]["E-Mail"] == "canary@example.org"


def test_memory_stays_flat_for_many_records(tmp_path: Path) -> None:
    """200,000 records, 60 MB of text, are written and listed in at most 48 MB more than an empty process has."""
    code = """
import resource, sys, hashlib
from pathlib import Path
from dataclasses import replace
sys.path.insert(0, sys.argv[2])
from conftest import Shop
shop = Shop(Path(sys.argv[1]))
row = shop.records("1,m,x")[0]
shop.commit([row], load_id="0" * 32)
assert sum(1 for _ in shop.quarantine.records()) == 1
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
text = "0123456789abcdef" * 6
shop.commit({**row, "raw": f"{number} {text}", "sensitive": []} for number in range(200_000))
listed = sum(1 for _ in shop.quarantine.records())
print(listed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    command = [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)]
    listed, grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert int(listed) == 200_001
    assert int(grown) < 48 * 1024
