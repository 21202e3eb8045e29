"""Objects of every cloud keep every promise of a source."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import boto3
import cloud_servers
import fault_proxy
import forked
import pytest
from azure.storage.blob import ContainerClient
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from ssh_server import PASSPHRASE, SshServer

from pratique.testing import SourcePlace, SourceSuite
from pratique.testing.landing_suite import FIELDS, Record, texts

KEY_ID, SECRET = "canary-id-31", "canary/s3+secret-8c"  # of a server that lives for one test
LIMITS = ("columns_max", "unpacked_bytes_max", "record_bytes_max")


def as_csv(records: Sequence[Record]) -> bytes:
    """Records under a header."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, FIELDS)
    writer.writeheader()
    writer.writerows(map(texts, records))
    return text.getvalue().encode()


class TestS3(SourceSuite):
    """CSV objects of an S3 server, found by their connection's own keys."""

    @pytest.fixture
    def place(self, moto_url: str, tmp_path: Path) -> Iterator[SourcePlace]:
        """A bucket behind a proxy."""
        bucket = f"b{abs(hash(tmp_path)):x}"
        client = boto3.client(
            "s3",
            endpoint_url=moto_url,
            aws_access_key_id="x",
            aws_secret_access_key="y",  # noqa: S106 - moto takes any
            region_name="us-east-1",
        )
        client.create_bucket(Bucket=bucket)
        number = itertools.count()

        def put(records: Sequence[Record]) -> None:
            client.put_object(Bucket=bucket, Key=f"in/é {next(number):03}.csv", Body=as_csv(records))

        def refuse() -> None:
            for item in client.list_objects_v2(Bucket=bucket)["Contents"]:
                client.delete_object(Bucket=bucket, Key=item["Key"])
            client.delete_bucket(Bucket=bucket)

        with fault_proxy.before(int(moto_url.rpartition(":")[2])) as proxy:
            yield SourcePlace(
                tmp_path,
                {"connection": "lake_in", "path": "*.csv"},
                put,
                connections={
                    "lake_in": {
                        "url": f"s3://{bucket}/in",
                        "endpoint": f"http://127.0.0.1:{proxy.port}",
                        "access_key_id": "${KEY_ID}",
                        "secret_access_key": "${KEY_SECRET}",
                    }
                },
                secrets={"KEY_ID": KEY_ID, "KEY_SECRET": SECRET},
                limits=LIMITS,
                attempts=lambda: proxy.connections,
                disturb=proxy.disturb,
                refuse=refuse,
                program=[forked.program()],
            )
        client.close()


class TestGoogle(SourceSuite):
    """CSV objects of a server that speaks Google's API; it asks nobody who he is."""

    @pytest.fixture
    def place(self, google_url: str, tmp_path: Path) -> Iterator[SourcePlace]:
        """A bucket behind a proxy."""
        name = f"g{abs(hash(tmp_path)):x}"
        client = storage.Client(
            project="p", credentials=AnonymousCredentials(), client_options={"api_endpoint": google_url}
        )
        bucket = client.create_bucket(name)
        number = itertools.count()

        def put(records: Sequence[Record]) -> None:
            bucket.blob(f"in/é {next(number):03}.csv").upload_from_string(as_csv(records))

        with fault_proxy.before(int(google_url.rpartition(":")[2])) as proxy:
            yield SourcePlace(
                tmp_path,
                {"connection": "lake_in", "path": "*.csv"},
                put,
                connections={
                    "lake_in": {
                        "url": f"gs://{name}/in",
                        "endpoint": f"http://127.0.0.1:{proxy.port}",
                        "anonymous": True,
                    }
                },
                limits=LIMITS,
                attempts=lambda: proxy.connections,
                disturb=proxy.disturb,
                refuse=lambda: bucket.delete(force=True),
                program=[forked.program()],
            )
        client.close()


class TestAzure(SourceSuite):
    """CSV blobs of Azurite, which checks who asks."""

    @pytest.fixture
    def place(self, azurite_url: str, tmp_path: Path) -> Iterator[SourcePlace]:
        """A container behind a proxy."""
        name = f"c{abs(hash(tmp_path)):x}"
        key = {"account_name": cloud_servers.ACCOUNT, "account_key": cloud_servers.KEY}
        with ContainerClient(azurite_url, name, key) as client:
            client.create_container()
            number = itertools.count()

            def put(records: Sequence[Record]) -> None:
                client.upload_blob(f"in/é {next(number):03}.csv", as_csv(records))

            port = int(azurite_url.rpartition("/")[0].rpartition(":")[2])
            with fault_proxy.before(port) as proxy:
                yield SourcePlace(
                    tmp_path,
                    {"connection": "lake_in", "path": "*.csv"},
                    put,
                    connections={
                        "lake_in": {
                            "url": f"az://{name}/in",
                            "endpoint": azurite_url.replace(str(port), str(proxy.port)),
                            "account": cloud_servers.ACCOUNT,
                            "account_key": "${ACCOUNT_KEY}",
                        }
                    },
                    secrets={"ACCOUNT_KEY": cloud_servers.KEY},
                    limits=LIMITS,
                    attempts=lambda: proxy.connections,
                    disturb=proxy.disturb,
                    refuse=lambda: (tmp_path / ".env").write_text("ACCOUNT_KEY=d3Jvbmcga2V5\n") and None,
                    program=[forked.program()],
                )


class TestSftp(SourceSuite):
    """CSV files of an OpenSSH server, which lets in who has a key."""

    @pytest.fixture
    def place(self, sshd: SshServer, tmp_path: Path) -> Iterator[SourcePlace]:
        """A folder of a server behind a proxy."""
        there = sshd.files / f"{abs(hash(tmp_path)):x}"
        there.mkdir()
        number = itertools.count()
        sshd.let_in("key")

        def put(records: Sequence[Record]) -> None:
            (there / f"é {next(number):03}.csv").write_bytes(as_csv(records))

        with fault_proxy.before(sshd.port) as proxy:
            yield SourcePlace(
                tmp_path,
                {"connection": "lake_in", "path": "*.csv"},
                put,
                connections={
                    "lake_in": {
                        "url": f"sftp://{sshd.user}@127.0.0.1:{proxy.port}{there}",
                        "private_key": f"${{file:{sshd.folder / 'key'}}}",
                        "private_key_passphrase": "${PASSPHRASE}",
                        "known_hosts": str(sshd.known(tmp_path, proxy.port)),
                    }
                },
                secrets={"PASSPHRASE": PASSPHRASE},
                limits=LIMITS,
                attempts=lambda: proxy.connections,
                disturb=proxy.disturb,
                refuse=sshd.let_in,
            )
