"""Packed files: read like others when they are whole, held as a whole when their packing is damaged."""

import bz2
import gzip
import io
import json
import random
import resource
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import duckdb
import forked
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from pratique.errors import SourceError
from pratique.model import Position
from pratique.schema import Field, Schema
from pratique.sources import ReadLimits, open_source
from pratique.sources.files.unpack import unpacked

TEXT = "".join(f"{number},{number % 7}\n" for number in range(1, 3001))
CONTENT = ("id,amount\n" + TEXT).encode()


def zipped(content: bytes, name: str = "orders.csv") -> bytes:
    """One file in a zip."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return made.getvalue()


def framed(content: bytes) -> bytes:
    """A Zstandard frame with a checksum."""
    return zstd.compress(content, options={zstd.CompressionParameter.checksum_flag: 1})


PACKINGS = {"gzip": gzip.compress, "bzip2": bz2.compress, "Zstandard": framed, "zip": zipped}
every_packing = pytest.mark.parametrize("name", list(PACKINGS))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project that reads whatever lies in `in`."""
    for folder in ("config", "pipelines", "schemas", "in"):
        (tmp_path / folder).mkdir()
    (tmp_path / "config" / "default.yaml").write_text("connections:\n  target: {url: 'duckdb://out.duckdb'}\n")
    (tmp_path / "schemas" / "orders.yaml").write_text(
        "schema: orders\nversion: 1\nfields:\n  id: integer\n  amount: integer\n"
    )
    (tmp_path / "pipelines" / "orders.yaml").write_text(
        "sources:\n  orders: {type: files, path: 'in/*', format: csv, schema: orders}\n"
        "destination: {connection: target, table: orders}\n"
    )
    return tmp_path


def run(root: Path, *, exit_code: int = 0) -> dict:
    """`pratique run` as a process: its report."""
    done = forked.pratique("run", "orders", "--env", "dev", "--json", "--project", root)
    assert done.returncode == exit_code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)["sources"][0]


def loaded(root: Path) -> list[tuple[int, int]]:
    """What a reader of the destination sees."""
    with duckdb.connect(str(root / "out.duckdb"), read_only=True) as connection:
        return connection.execute("SELECT id, amount FROM orders ORDER BY id").fetchall()


def land(folder: Path, **limits: int):
    """The files of a folder, landed."""
    schema = Schema("s", 1, (Field("id"), Field("amount")))
    (folder / "work").mkdir(exist_ok=True)
    return open_source(
        "s",
        path="in/*",
        base=folder,
        format="csv",
        schema=schema,
        limits=ReadLimits(**limits),
        workspace=folder / "work",
    ).land(Position())


def reason(folder: Path, content: bytes, **limits: int) -> str:
    """Why a file with this content is held; nothing of it may stay in the workspace."""
    (folder / "in").mkdir(exist_ok=True)
    (folder / "in" / "a").write_bytes(content)
    result = land(folder, **limits)
    assert result.files == ()
    assert list((folder / "work").iterdir()) == []
    assert result.held[0].hint
    return result.held[0].reason


@every_packing
def test_a_packed_file_is_loaded_and_its_bad_records_are_held_with_their_text(root, name):
    """All rows, the bad record with its line and text, the version of the file as it lies there, no passing file."""
    packed = PACKINGS[name](CONTENT + b"3001,many\n")
    (root / "in" / "orders.packed").write_bytes(packed)
    report = run(root)
    assert report["account"]["loaded"] == 3000
    assert loaded(root) == [(number, number % 7) for number in range(1, 3001)]
    shown = forked.pratique("quarantine", "export", "--format", "jsonl", "--project", root)
    held = json.loads(shown.stdout.splitlines()[0])
    assert (held["raw"], held["line"], held["file"]) == ("3001,many", 3002, "in/orders.packed")
    with duckdb.connect(str(root / "out.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT name, size FROM _pratique_files").fetchall() == [
            ("in/orders.packed", len(packed))
        ]
    assert list((root / ".pratique" / "tmp").iterdir()) == []
    assert run(root)["outcome"] == "unchanged"


def test_several_streams_in_one_file_are_one_text(tmp_path):
    """`cat a.gz b.gz` is a gzip file of both; bzip2 and Zstandard know the same."""
    (tmp_path / "in").mkdir()
    half = len(CONTENT) // 2
    for name in ("gzip", "bzip2", "Zstandard"):
        pack = PACKINGS[name]
        (tmp_path / "in" / name).write_bytes(pack(CONTENT[:half]) + pack(b"") + pack(CONTENT[half:]))
    result = land(tmp_path)
    assert [file.records for file in result.files] == [3000] * 3
    assert result.held == ()


def test_the_first_bytes_decide_not_the_suffix(tmp_path):
    """Plain text called .gz is plain text; a gzip file called .csv is unpacked."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "plain.csv.gz").write_bytes(CONTENT)
    (tmp_path / "in" / "packed.csv").write_bytes(gzip.compress(CONTENT + b"7,7\n"))
    assert sorted(file.records for file in land(tmp_path).files) == [3000, 3001]


@every_packing
def test_a_file_that_is_cut_off_is_held(tmp_path, name):
    """Wherever it ends, even one byte early."""
    packed = PACKINGS[name](CONTENT)
    for length in (20, len(packed) // 2, len(packed) - 9, len(packed) - 1):
        assert f"the {name} file is" in reason(tmp_path, packed[:length])


@every_packing
def test_a_checksum_that_does_not_fit_is_noticed(tmp_path, name):
    """The stored checksum is changed; the content could be read without an error."""
    packed = bytearray(PACKINGS[name](CONTENT))
    check = zlib.crc32(CONTENT).to_bytes(4, "little")
    at = {"gzip": len(packed) - 8, "bzip2": 10, "Zstandard": len(packed) - 4, "zip": packed.find(check)}[name]
    packed[at] ^= 1
    if name == "zip":  # the archive's directory holds it once more
        packed[packed.rfind(check)] ^= 1
    assert f"the {name} file is damaged" in reason(tmp_path, bytes(packed))


@pytest.mark.parametrize("name", ["gzip", "bzip2", "Zstandard"])
def test_what_follows_the_stream_is_not_ignored(tmp_path, name):
    """Bytes behind the end are no part of a sound file."""
    assert reason(tmp_path, PACKINGS[name](CONTENT) + b"1,2\n3,4\n") == f"the {name} file is followed by something else"


def test_a_zip_must_hold_one_readable_file(tmp_path):
    """None, several, encrypted, an Office file: each is said. A name that climbs out is used for nothing."""
    several = io.BytesIO()
    with zipfile.ZipFile(several, "w") as archive:
        archive.writestr("a.csv", CONTENT)
        archive.writestr("b.csv", CONTENT)
    office = zipped(CONTENT, "[Content_Types].xml")
    secret = bytearray(zipped(CONTENT))
    secret[6] |= 1
    secret[secret.find(b"PK\x01\x02") + 8] |= 1
    assert reason(tmp_path, several.getvalue()) == "the zip file holds 2 files: 'a.csv', 'b.csv'"
    assert reason(tmp_path, office) == "it is an Excel or Office file"
    assert reason(tmp_path, bytes(secret)) == "the zip file is encrypted"
    (tmp_path / "in" / "a").write_bytes(zipped(CONTENT, "../../evil.csv"))
    assert [file.records for file in land(tmp_path).files] == [3000]
    assert list(tmp_path.parent.rglob("evil.csv")) == []


def test_a_packed_file_in_a_packed_file_is_held(tmp_path):
    """It is packed once or not at all."""
    assert reason(tmp_path, gzip.compress(gzip.compress(CONTENT))) == "it is a packed file inside of a packed file"


@pytest.mark.parametrize("name", ["gzip", "bzip2", "Zstandard"])
def test_an_archive_bomb_is_refused_at_once(tmp_path, name):
    """Some hundred kilobytes that would become 300 MB and more are given up at 64 MiB, within seconds at flat memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    bomb = PACKINGS[name](b"0,0\n" * (1 << 18)) * 300  # 1 MiB again and again: packing 300 MB takes bzip2 a minute
    begin = time.monotonic()
    assert "more than 200 times its size" in reason(tmp_path, bomb)
    assert time.monotonic() - begin < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 900 * 1024


def test_the_limit_of_unpacked_bytes(tmp_path):
    """A file that unpacks to more than allowed is held, and the limit is named."""
    assert "more than 1,000 bytes" in reason(tmp_path, gzip.compress(CONTENT), unpacked_bytes_max=1000)


def test_a_full_disk_is_the_operators(root):
    """No space for the unpacked file: the state folder is named, nothing is loaded, no traceback."""
    content = "id,amount\n" + "".join(f"{random.Random(number).random()},1\n" for number in range(60_000))  # noqa: S311
    (root / "in" / "a.gz").write_bytes(gzip.compress(content.encode()))
    command = [sys.executable, "-m", "pratique", "run", "orders", "--env", "dev", "--project", str(root)]
    small = f"import resource, os; resource.setrlimit(resource.RLIMIT_FSIZE, (800_000, -1)); os.execv({sys.executable!r}, {command!r})"
    done = subprocess.run([sys.executable, "-c", small], capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert "cannot be unpacked into" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not (root / "out.duckdb").exists()


@every_packing
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_mutation_is_a_crash_or_a_silent_change(name, data, tmp_path_factory):
    """Flip, cut or add bytes anywhere: the content comes out as it was, or the file is refused."""
    folder = tmp_path_factory.mktemp("mutated")
    packed = bytearray(PACKINGS[name](CONTENT[:2000]))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    (folder / "a").write_bytes(bytes(packed))
    with (folder / "a").open("rb") as file:
        try:
            made = unpacked(file.fileno(), folder, ReadLimits())
        except SourceError:
            return
    assert made is None or made.read_bytes() == CONTENT[:2000]


def test_the_suffix_before_the_packing_says_the_format(root):
    """`*.csv.gz` needs no `format`."""
    (root / "pipelines" / "orders.yaml").write_text(
        "sources:\n  orders: {type: files, path: 'in/*.csv.gz', schema: orders}\n"
        "destination: {connection: target, table: orders}\n"
    )
    (root / "in" / "orders.csv.gz").write_bytes(gzip.compress(CONTENT))
    assert run(root)["account"]["loaded"] == 3000


def test_packed_json_lines(root):
    """JSON Lines are unpacked likewise, and their records come back exactly."""
    (root / "pipelines" / "orders.yaml").write_text(
        "sources:\n  orders: {type: files, path: 'in/*.jsonl.zst', schema: orders}\n"
        "destination: {connection: target, table: orders}\n"
    )
    lines = (
        "".join(json.dumps({"id": number, "amount": 1}) + "\n" for number in range(100))
        + '{"id": 100, "amount": "x"}\n'
    )
    (root / "in" / "orders.jsonl.zst").write_bytes(framed(lines.encode()))
    account = run(root)["account"]
    assert (account["loaded"], account["quarantined"]) == (100, 1)


def test_files_that_come_later_are_read_and_earlier_ones_are_not_read_again(root):
    """A packed file whose load is committed stays known; several loads in one run need one unpacked file each."""
    (root / "config" / "default.yaml").write_text(
        "connections:\n  target: {url: 'duckdb://out.duckdb'}\nlimits: {files_per_load_max: 1}\n"
    )
    for name in "abc":
        (root / "in" / f"{name}.gz").write_bytes(gzip.compress(f"id,amount\n{ord(name)},1\n".encode()))
    assert run(root)["files_loaded"] == 3
    (root / "in" / "d.gz").write_bytes(gzip.compress(b"id,amount\n1,1\n"))
    report = run(root)
    assert report["files_loaded"] == 1
    assert [number for number, _ in loaded(root)] == [1, 97, 98, 99]
