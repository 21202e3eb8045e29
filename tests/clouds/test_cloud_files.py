"""What can go wrong between a listing and a record: nothing is read in part, in another version, or damaged."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import fault_proxy
import pytest
from distant_project import DistantProject

from pratique.errors import ConfigurationError, SourceError, SourceUnreachableError
from pratique.inputs import CloudInput
from pratique.model import Position
from pratique.project import Project
from pratique.schema import Field, FieldType, Schema
from pratique.sources import ReadLimits, open_source
from pratique.sources.base import Source

SCHEMA = Schema("s", 1, (Field("id", FieldType("integer")),))


@dataclass
class Lake(DistantProject):
    """A bucket, seen by its owner directly and by us through a proxy."""

    owner: Any
    bucket: str
    proxy: fault_proxy.FaultProxy

    def put(self, key: str, text: str, **more: str) -> None:
        """Put an object there."""
        self.owner.put_object(Bucket=self.bucket, Key=key, Body=text.encode(), ACL="public-read", **more)

    def source(self, path: str, *, prefix: str = "", limits: ReadLimits | None = None, **words: Any) -> Source:
        """A source of CSV objects."""
        endpoint = f"http://127.0.0.1:{self.proxy.port}"
        cloud = CloudInput("s3", self.bucket, prefix, endpoint, anonymous=True, read_timeout_seconds=2)
        workspace = self.root / "workspace"
        workspace.mkdir(exist_ok=True)
        return open_source(
            "s", path=path, base=Path(), format="csv", schema=SCHEMA, cloud=cloud, workspace=workspace, limits=limits, **words
        )  # fmt: skip

    def project(self, path: str, write: str = "append") -> Callable[[], Any]:
        """A project over the bucket; what is returned runs it."""
        words = {"url": f"s3://{self.bucket}/in", "endpoint": f"http://127.0.0.1:{self.proxy.port}", "anonymous": True}
        self.write(words, path, write=write, on_new_version=None if write == "replace" else "append")
        return self.run


@pytest.fixture
def lake(moto_url: str, tmp_path: Path) -> Iterator[Lake]:
    """An empty bucket."""
    words = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": "us-east-1"}
    owner = boto3.client("s3", endpoint_url=moto_url, **words)
    bucket = f"f{abs(hash(tmp_path)):x}"
    owner.create_bucket(Bucket=bucket)
    with fault_proxy.before(int(moto_url.rpartition(":")[2])) as proxy:
        yield Lake(tmp_path, owner, bucket, proxy)
    owner.close()


def names(source: Source) -> list[str]:
    """What it lands."""
    landed = source.land(Position())
    assert landed.held == ()
    return [file.version.name for file in landed.files]


def test_keys_are_taken_as_they_are(lake: Lake) -> None:
    """Whatever a key holds, it is listed, named and read; marks of folders and hidden names are no files."""
    keys = ["a//b.csv", "a/é ü.csv", "a/x+y&z=%41.csv", 'a/"quoted".csv', "a/#?.csv", "a/\u202eb.csv"]
    for number, key in enumerate(keys):
        lake.put(f"in/{key}", f"id\n{number}\n")
    for key in ("in/", "in/a/", "in/a/folder.csv/", "in/a/.hidden.csv", "in/.trash/x.csv", "inner.csv", "in/b.txt"):
        lake.put(key, "")
    assert names(lake.source("**/*.csv", prefix="in/")) == sorted(keys)
    assert names(lake.source("in/a/é ü.csv")) == ["in/a/é ü.csv"]


def test_a_pattern_lists_no_more_than_its_beginning(lake: Lake) -> None:
    """Captures and dates of a path hold for objects; thousands of them come page by page."""
    for number in range(1100):
        lake.put(f"in/acme/sales_2026-{number % 12 + 1:02}_{number}.csv", f"id\n{number}\n")
    source = lake.source("{partner}/sales_{period:%Y-%m}_*.csv", prefix="in/", limits=ReadLimits(files_per_load_max=3))
    landed = source.land(Position())
    assert landed.more
    assert landed.files[0].captures == {"partner": "acme", "period": "2026-01-01"}
    kept = list((lake.root / "workspace").iterdir())
    assert 3 <= len(kept) <= 3 + 2 * 16 + 1, "only a few are landed ahead"


def test_a_missing_object_names_the_nearest(lake: Lake) -> None:
    """No such object, no such bucket: told at once, with what was probably meant."""
    lake.put("in/orders.csv", "id\n1\n")
    with pytest.raises(SourceError, match="there is no file") as caught:
        lake.source("in/ordres.csv").land(Position())
    assert caught.value.hint == "did you mean in/orders.csv?"
    lake.bucket = "no-such-bucket-4711"
    before = lake.proxy.connections
    with pytest.raises(SourceError, match="there is no s3://no-such-bucket-4711: NoSuchBucket"):
        lake.source("*.csv").land(Position())
    assert lake.proxy.connections - before == 1


def test_what_changes_between_listing_and_reading_is_held(lake: Lake) -> None:
    """Another version, or none, is not read in its place; the others are loaded, and the next run takes it."""
    for name in ("a", "b", "c"):
        lake.put(f"in/{name}.csv", f"id\n{ord(name)}\n")
    run = lake.project("*.csv")
    asked: Counter[bytes] = Counter()

    def meanwhile(data: bytes) -> bytes:
        if b"ListBucketResult" in data and not asked[b"list"]:
            asked[b"list"] += 1
            lake.put("in/a.csv", "id\n1\n")
            lake.owner.delete_object(Bucket=lake.bucket, Key="in/b.csv")
        return data

    lake.proxy.alter = meanwhile
    report = run()
    assert report.exit_code == 8
    held = {file.version.name: file.reason for file in report.sources[0].held}
    assert held == {
        "a.csv": "it changed between listing and reading",
        "b.csv": "it was removed or replaced between listing and reading",
    }
    assert lake.rows() == [99]
    assert run().exit_code == 0
    assert lake.rows() == [1, 99]


def test_what_arrives_damaged_or_in_part_is_asked_for_again(lake: Lake) -> None:
    """Bytes that change or stop on the way cost a retry; if it stays so, nothing is loaded and no trace is left."""
    text = "id\n" + "\n".join(map(str, range(70_000, 90_000))) + "\n"
    lake.put("in/a.csv", text)
    for times, code in ((2, 0), (1_000, 3)):
        for fault in (lambda data: data.replace(b"77777", b"77778"), lambda data: None if b"77777" in data else data):
            left = [times]

            def altered(data: bytes, fault: Any = fault, left: list[int] = left) -> bytes | None:
                if left[0] and b"77777" in data:
                    left[0] -= 1
                    return fault(data)
                return data

            lake.proxy.alter = altered
            (lake.root / "lake.duckdb").unlink(missing_ok=True)
            report = lake.project("*.csv")()
            assert report.exit_code == code
            assert left[0] < times, "nothing was damaged"
            if code:
                assert report.sources[0].problem.code == "source_unreachable"
                assert not (lake.root / "lake.duckdb").exists()
            else:
                assert lake.rows() == list(range(70_000, 90_000))
            assert list((lake.root / ".pratique" / "tmp").iterdir()) == []


def test_known_objects_are_not_asked_for_again(lake: Lake) -> None:
    """A second run lists and reads nothing but what is new; a version that came back is told by its content."""
    gets: list[str] = []

    def counted(data: bytes) -> bytes:
        gets.extend(line.split()[1].decode() for line in data.split(b"\r\n") if line.startswith(b"GET /"))
        return data

    lake.proxy.alter_request = counted
    for number in range(5):
        lake.put(f"in/{number}.csv", f"id\n{number}\n")
    run = lake.project("*.csv")
    assert run().exit_code == 0
    assert len([path for path in gets if ".csv" in path]) == 5
    gets.clear()
    lake.put("in/5.csv", "id\n5\n")
    assert run().exit_code == 0
    assert [path.rpartition("/")[2] for path in gets if ".csv" in path] == ["5.csv"]
    assert lake.rows() == [0, 1, 2, 3, 4, 5]
    lake.put("in/5.csv", "id\n6\n")
    assert run().exit_code == 0
    assert lake.rows() == [0, 1, 2, 3, 4, 5, 6]


def test_replace_reads_all_or_nothing(lake: Lake) -> None:
    """`write: replace` reads every object again when one is new, and none when nothing is."""
    lake.put("in/1.csv", "id\n1\n")
    run = lake.project("*.csv", "replace")
    assert run().exit_code == 0
    assert run().sources[0].outcome == "unchanged"
    lake.put("in/2.csv", "id\n2\n")
    assert run().exit_code == 0
    assert lake.rows() == [1, 2]
    lake.owner.delete_object(Bucket=lake.bucket, Key="in/1.csv")
    assert run().exit_code == 0
    assert lake.rows() == [2]


def test_disk_is_bounded_and_given_back(lake: Lake) -> None:
    """A load lands no more bytes than allowed, the rest follows; an object that is larger is held unread."""
    lines = "id\n" + "1\n" * 500
    for number in range(6):
        lake.put(f"in/{number}.csv", lines + f"{number}\n")
    lake.put("in/9.csv", lines * 9)
    source = lake.source("in/*.csv", limits=ReadLimits(unpacked_bytes_max=2_100))
    since, loads = Position(), 0
    while True:
        landed = source.land(since)
        assert sum(file.version.size for file in landed.files) <= 2_100
        since = Position((*since.known, *(file.version for file in landed.files)))
        loads += 1
        if not landed.more:
            break
    assert loads == 3
    assert [held.reason for held in landed.held] == [f"it has {len(lines) * 9:,} bytes, more than 2,100"]
    source.land(since)
    assert list((lake.root / "workspace").iterdir()) == []


def test_a_cloud_that_says_nothing_ends_in_time(lake: Lake) -> None:
    """A server that accepts and then is silent costs the read time-out and three retries, not for ever."""
    lake.put("in/a.csv", "id\n1\n")
    source = lake.source("in/*.csv")
    lake.proxy.alter = lambda _: b""
    with pytest.raises(SourceUnreachableError):
        source.land(Position())


def test_without_credentials_it_is_told_what_to_set(lake: Lake) -> None:
    """Nobody says who we are: told at once, with the ways to say it, in a run and in a probe."""
    lake.project("*.csv")
    config = lake.root / "config" / "default.json"
    config.write_text(config.read_text().replace(', "anonymous": true', ""))
    for words in (["probe", "p.s"], ["run", "p"]):
        told = lake.command(*words, code=3, AWS_EC2_METADATA_DISABLED="true", HOME=str(lake.root))
        assert "AWS_PROFILE" in told
        assert "Unable to locate credentials" in told


@pytest.mark.parametrize("way", ["variables", "profile"])
def test_the_environment_says_who_we_are_and_where(lake: Lake, way: str) -> None:
    """A path that names its bucket itself needs no connection: keys and address come by variables, or by a profile."""
    lake.owner.put_object(Bucket=lake.bucket, Key="in/a.csv", Body=b"id\n7\n")  # for nobody but its owner
    lake.project("*.csv")
    pipeline = lake.root / "pipelines" / "p.json"
    text = pipeline.read_text().replace(
        '"connection": "there", "path": "*.csv"', f'"path": "s3://{lake.bucket}/in/*.csv"'
    )
    pipeline.write_text(text)
    environ = {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{lake.proxy.port}", "AWS_EC2_METADATA_DISABLED": "true"}
    if way == "variables":
        environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "canary-env-9", "AWS_REGION": "us-east-1"}
    else:
        (lake.root / "credentials").write_text("[lake]\naws_access_key_id = x\naws_secret_access_key = canary-env-9\n")
        environ |= {"AWS_SHARED_CREDENTIALS_FILE": str(lake.root / "credentials"), "AWS_PROFILE": "lake"}
        environ |= {"AWS_REGION": "us-east-1"}
    assert "canary-env-9" not in lake.command("run", "p", **environ)
    assert lake.rows() == [7]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"secret_access_key": "plain", "access_key_id": "x"}, "secret_access_key stands in the file itself"),
        ({"access_key_id": "x"}, "one is missing"),
        ({"endpoint": "http://s3.example"}, "endpoint has no TLS"),
        ({"endpoint": "s3.example"}, "endpoint is no address of a server"),
        ({"account": "x"}, "account means nothing for s3://"),
        ({"url": "s3://"}, "the url names no bucket"),
        ({"regoin": "x"}, 'unknown key "regoin"'),
    ],
)
def test_mistakes_in_a_connection_are_told_at_their_place(lake: Lake, words: dict[str, str], message: str) -> None:
    """A secret in the file, an address without TLS, a key of another cloud: refused before anybody is asked."""
    lake.project("*.csv")
    config = lake.root / "config" / "default.json"
    settings = json.loads(config.read_text())
    settings["connections"]["there"].update(words)
    config.write_text(json.dumps(settings))
    with pytest.raises(ConfigurationError, match=message) as caught:
        Project(lake.root, "dev").pipeline("p")
    assert "default.json:1:" in str(caught.value)
    assert lake.proxy.connections == 0
