"""What is special about a Parquet folder: manifests, checks of what was written, and what is tidied."""

import fcntl
import json
import os

import pyarrow.parquet as pq
import pytest

from pratique.destinations import open_destination
from pratique.destinations.parquet_manifest import Manifest, newest, publish
from pratique.errors import DestinationError, DestinationLockedError, DestinationMovedError
from pratique.model import Target, Written
from pratique.testing.destination_suite import load, marker_of, visible

T = Target("sales")
A = (1, "ann", "1.10")
B = (2, "bob", None)
MERGE = Target("sales", "merge", ("id",))


@pytest.fixture
def root(tmp_path):
    """A path for a folder."""
    return tmp_path / "lake"


def parts(root):
    """Data files, by name."""
    return sorted(root.rglob("*.parquet"))


def flip(path, position):
    """Flip a bit."""
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_the_manifest_names_what_is_live(root):
    """The newest manifest names every live file with rows, hash and size; pages carry checksums."""
    load(open_destination("parquet", root), "a1", [A, B], T)
    (part,) = parts(root)
    (file,) = newest(root).tables["sales"].files
    assert (root / file.name, file.rows, file.bytes) == (part, 2, part.stat().st_size)
    assert pq.read_table(part, page_checksum_verification=True).num_rows == 2
    data = bytearray(part.read_bytes())
    data[data.index(b"ann")] ^= 1
    part.write_bytes(data)
    with pytest.raises(OSError, match="CRC"):
        pq.read_table(part, page_checksum_verification=True)


def test_a_flipped_bit_is_not_copied(root):
    """A file that must be rewritten is verified first: damage is an error that names it."""
    destination = open_destination("parquet", root)
    load(destination, "a1", [A, B], T)
    (part,) = parts(root)
    flip(part, part.read_bytes().index(b"bob"))
    with pytest.raises(DestinationError, match="another hash") as caught:
        load(destination, "b2", [(1, "new", None)], MERGE)
    assert caught.value.where == str(part)
    assert len(destination.markers("shop")) == 1


def test_merge_rewrites_only_what_it_must(root):
    """Files without a changed row stay the same files."""
    destination = open_destination("parquet", root)
    load(destination, "a1", [A], T)
    load(destination, "b2", [B], T)
    before = newest(root).tables["sales"].files
    load(destination, "c3", [A, (2, "new", None)], MERGE)
    after = newest(root).tables["sales"].files
    assert before[0] in after
    assert before[1] not in after
    assert len(after) == 2


def test_a_lost_or_cut_file(root):
    """A live file that is missing or has another size is an error at the next lookup."""
    destination = open_destination("parquet", root)
    load(destination, "a1", [A], T)
    (part,) = parts(root)
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(DestinationError, match="not what was written"):
        visible(destination, "sales")
    part.unlink()
    with pytest.raises(DestinationError):
        visible(destination, "sales")


def test_a_damaged_manifest(root):
    """A manifest in which anything was changed is refused by name."""
    destination = open_destination("parquet", root)
    load(destination, "a1", [A], T)
    path = root / "_manifest" / "000000000001.json"
    for damaged in (path.read_text().replace('"loaded": 1', '"loaded": 2'), path.read_text()[:-1], "", "[]"):
        path.write_text(damaged)
        with pytest.raises(DestinationError, match="damaged") as caught:
            destination.markers("shop")
        assert caught.value.where == str(path)


def test_two_writers_cannot_publish_one_number(root):
    """Even without the lock the second to publish a number is refused and changes nothing."""
    load(open_destination("parquet", root), "a1", [A], T)
    before = (root / "_manifest" / "000000000001.json").read_bytes()
    with pytest.raises(DestinationMovedError):
        publish(root, Manifest(1, {}, marker_of("b2", Written(0), T)), lambda: None)
    assert (root / "_manifest" / "000000000001.json").read_bytes() == before
    assert not list(root.rglob("*.tmp"))


def test_tidying(root):
    """Files of the last two states stay; older ones, and those of killed loads, go; files of others are not touched."""
    destination = open_destination("parquet", root)
    target = Target("sales", "replace")
    load(destination, "a1", [A], target)
    (first,) = parts(root)
    foreign = first.with_name("mine.parquet")
    foreign.write_bytes(b"not ours")
    left = first.with_name("part-dead0000-000000000002-0.parquet")
    left.write_bytes(b"left by a killed load")
    load(destination, "b2", [B], target)
    assert first.exists()
    assert not left.exists()
    load(destination, "c3", [A], target)
    assert first.exists(), "of the last but one state when this load began"
    load(destination, "d4", [A], target)
    assert not first.exists()
    assert foreign.read_bytes() == b"not ours"
    assert visible(destination, "sales", ("id",)) == [(1,)]
    assert [marker.load_id for marker in destination.markers("shop")] == ["a1", "b2", "c3", "d4"]
    states = [json.loads(path.read_bytes())["state"] for path in sorted((root / "_manifest").glob("*.json"))]
    assert [state["trimmed"] for state in states] == [True, False, False, False]


def test_held(root):
    """A folder that stays held is an error that names the process; a reader holds only writers up."""
    load(open_destination("parquet", root), "a1", [A], T)
    destination = open_destination("parquet", root, lock_timeout_seconds=0.1)
    with (root / "_manifest" / ".lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DestinationLockedError) as caught:
            load(destination, "b2", [B], T)
        assert caught.value.facts["pid"] == os.getpid()
        assert len(destination.markers("shop")) == 1
    with destination.lookup().existing("sales", ("id",), None):
        assert visible(destination, "sales", ("id",)) == [(1,)]
        with pytest.raises(DestinationLockedError):
            load(destination, "b2", [B], T)
