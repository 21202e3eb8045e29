"""SFTP: nobody but a known host, nothing but whole versions, and every way to say who we are."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fault_proxy
import pytest
from distant_project import DistantProject
from ssh_server import PASSPHRASE, SshServer, password_server

from pratique.errors import ConfigurationError
from pratique.project import Project
from pratique.reports import RunReport

PASSWORD, WRONG = "canary-password-77", "canary-wrong-88"  # of a server that lives for one test


@dataclass
class Partner(DistantProject):
    """A partner's server behind a proxy, and a project that reads from it."""

    server: SshServer
    proxy: fault_proxy.FaultProxy
    files: Path
    connection: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.server.let_in("key", "plain")
        self.connection |= {
            "url": f"sftp://{self.server.user}@127.0.0.1:{self.proxy.port}{self.files}",
            "private_key": f"${{file:{self.server.folder / 'plain'}}}",
            "known_hosts": str(self.server.known(self.root, self.proxy.port)),
            "read_timeout_seconds": 5,
        }

    def put(self, name: str | bytes, text: str) -> Path:
        """Put a file there."""
        path = self.files / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def load(self, path: str, code: int = 0) -> RunReport:
        """Run the pipeline over these files."""
        self.write(self.connection, path)
        report = self.run()
        assert report.exit_code == code, report
        return report


@pytest.fixture
def partner(sshd: SshServer, tmp_path: Path) -> Iterator[Partner]:
    """An empty folder of a server."""
    files = sshd.files / f"p{abs(hash(tmp_path)):x}"
    files.mkdir()
    with fault_proxy.before(sshd.port) as proxy:
        yield Partner(tmp_path, sshd, proxy, files)
    shutil.rmtree(files)


def problem(report: RunReport) -> Any:
    """Why the source failed."""
    return report.sources[0].problem


def test_a_host_that_is_not_known_is_not_spoken_with(partner: Partner) -> None:
    """An unknown host key is refused at once, with the way to add it; nothing is added by itself."""
    partner.put("a.csv", "id\n1\n")
    known = Path(partner.connection["known_hosts"])
    known.write_text("")
    before = partner.proxy.connections
    found = problem(partner.load("*.csv", 3))
    assert (found.code, found.message) == ("source", "the host key of the server 127.0.0.1 is not known")
    assert f"ssh-keyscan -p {partner.proxy.port} 127.0.0.1" in found.hint
    assert str(known) in found.hint
    assert known.read_text() == ""
    assert partner.proxy.connections == before + 1, "it is not tried again"
    partner.server.known(partner.root, partner.proxy.port)
    assert partner.load("*.csv").sources[0].outcome == "loaded"


@pytest.mark.parametrize("how", ["other", "revoked"])
def test_a_host_with_another_key_is_not_spoken_with(partner: Partner, how: str) -> None:
    """A key that is not the known one, or that was revoked, may be somebody in between: told as that."""
    partner.put("a.csv", "id\n1\n")
    known = partner.server.known(partner.root, partner.proxy.port, "other_host" if how == "other" else "host")
    if how == "revoked":
        known.write_text(known.read_text() + "@revoked " + known.read_text())
    found = problem(partner.load("*.csv", 3))
    assert found.message == "the server 127.0.0.1 shows another host key than the one that is known"
    assert f"ssh-keygen -R '[127.0.0.1]:{partner.proxy.port}'" in found.hint


def test_names_are_taken_as_they_are_and_only_what_leads_there_is_looked_into(partner: Partner) -> None:
    """Blanks, any script, bytes that are no UTF-8; hidden names are none; links count as what they lead to."""
    names = ["a/é ü.csv", "a/x+y&z=%41.csv", 'a/"quoted".csv', "a/#?.csv", b"a/latin-\xe9.csv", "a/b/c/deep.csv"]
    for number, name in enumerate(names):
        partner.put(name, f"id\n{number}\n")
    for name in (".hidden.csv", ".trash/x.csv", "a/other.txt", "a/folder.csv/readme.md"):
        partner.put(name, "id\n99\n")
    os.mkfifo(partner.files / "a" / "pipe.csv")
    (partner.files / "a" / "link-to-a-pipe.csv").symlink_to(partner.files / "a" / "pipe.csv")
    (partner.files / "linked.csv").symlink_to(partner.put("elsewhere.txt", "id\n7\n"))
    (partner.files / "a" / "circle").symlink_to(partner.files)
    report = partner.load("**/*.csv")
    assert partner.rows() == [0, 1, 2, 3, 4, 5, 7]
    assert report.sources[0].files_loaded == 7
    assert partner.load("**/*.csv").sources[0].outcome == "unchanged"
    partner.put("new/2026-10/x.csv", "id\n10\n")
    (partner.files / "current").symlink_to(partner.files / "new" / "2026-10")
    partner.load("current/*.csv")
    assert partner.rows()[-1] == 10


def test_a_link_to_nothing_and_a_file_that_may_not_be_read_are_held(partner: Partner) -> None:
    """What the pattern names and nobody can read is told by its name; the other files are loaded."""
    partner.put("a.csv", "id\n1\n")
    (partner.files / "b.csv").symlink_to(partner.files / "nowhere")
    report = partner.load("*.csv", 8)
    assert {file.version.name: file.reason for file in report.sources[0].held} == {
        "b.csv": "it was removed or replaced between listing and reading"
    }
    assert partner.rows() == [1]


@pytest.mark.parametrize("how", ["grows", "replaced", "removed"])
def test_a_file_that_changes_while_it_is_read_is_held(partner: Partner, how: str) -> None:
    """A file whose sender has not finished is not loaded in part: it is held and told, and the next run takes it."""
    partner.put("a.csv", "id\n1\n")
    text = "id\n" + "2\n" * 4_000_000
    big = partner.put("b.csv", text)
    seen = [0]

    def meanwhile(data: bytes) -> bytes:
        before, seen[0] = seen[0], seen[0] + len(data)
        if before < 1_000_000 <= seen[0]:
            if how == "grows":
                with big.open("a") as file:
                    file.write("3\n")
            elif how == "replaced":
                other = partner.put("b.tmp", text.replace("2", "4"))
                os.utime(other, (1, 1))
                other.rename(big)
            else:
                big.unlink()
        return data

    partner.proxy.alter = meanwhile
    report = partner.load("*.csv", 8)
    (held,) = report.sources[0].held
    told = "was removed or replaced" if how == "removed" else "changed"
    assert (held.version.name, held.reason) == ("b.csv", f"it {told} between listing and reading")
    assert partner.rows() == [1]
    partner.put("b.csv", "id\n5\n")
    partner.load("*.csv")
    assert partner.rows() == [1, 5]
    assert list((partner.root / ".pratique" / "tmp").iterdir()) == []


def test_a_folder_that_is_not_there_and_a_file_with_another_name_are_told(partner: Partner) -> None:
    """A mistake in the url is not an empty folder; of a single file near names are told."""
    partner.put("in/orders.csv", "id\n1\n")
    found = problem(partner.load("in/ordres.csv", 3))
    assert found.hint == "did you mean in/orders.csv?"
    assert problem(partner.load("out/*.csv", 3)).message.startswith("no file matches")
    partner.connection["url"] += "/nowhere"
    found = problem(partner.load("*.csv", 3))
    assert found.message == f"there is no folder {partner.connection['url']}"


def test_a_server_that_says_nothing_or_breaks_off_ends_in_time(partner: Partner) -> None:
    """Silence costs the time-out and three retries; a connection that breaks while files come is made anew."""
    for number in range(4):
        partner.put(f"{number}.csv", "id\n" + f"{number}\n" * 300_000)
    seen, broken = [0], [1]

    def once(data: bytes) -> bytes | None:
        seen[0] += len(data)
        if seen[0] > 500_000 and broken[0]:
            broken[0] -= 1
            return None
        return data

    partner.proxy.alter = once
    assert partner.load("*.csv").sources[0].account.loaded == 1_200_000
    assert broken == [0]
    partner.connection |= {"connect_timeout_seconds": 1, "read_timeout_seconds": 1}
    partner.put("5.csv", "id\n" + "5\n" * 300_000)
    seen, silent = [0], [0.0]

    def for_a_while(data: bytes) -> bytes:
        seen[0] += len(data)
        if seen[0] > 300_000 and not silent[0]:
            silent[0] = time.monotonic() + 3
        return data if time.monotonic() > silent[0] else b""

    partner.proxy.alter = for_a_while
    assert partner.load("*.csv").sources[0].account.loaded == 300_000
    partner.put("6.csv", "id\n6\n")
    partner.proxy.alter = lambda _: b""
    began = time.monotonic()
    assert problem(partner.load("*.csv", 3)).code == "source_unreachable"
    assert time.monotonic() - began < 60


def test_an_agent_and_the_keys_of_the_user_are_asked_where_nothing_is_said(partner: Partner, tmp_path: Path) -> None:
    """Without a key in the connection: the agent's, then those of ~/.ssh; a path that names its server needs neither."""
    partner.put("a.csv", "id\n7\n")
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    partner.server.known(home / ".ssh", partner.proxy.port)
    (home / ".ssh" / "config").write_text("Host *\n  ProxyCommand false\n")  # is not looked at
    url = partner.connection["url"]
    del partner.connection["private_key"], partner.connection["known_hosts"]
    partner.write(partner.connection, "*.csv")
    told = partner.command("run", "p", code=3, HOME=str(home))
    assert "does not let this user in" in told
    assert json.loads(partner.command("probe", "p.s", "--json", code=3, HOME=str(home)))["failed"] == "credentials"
    agent = ("ssh-agent", "sh", "-c", f'ssh-add -q {partner.server.folder / "plain"} && exec "$@"', "sh")
    found = json.loads(partner.command("probe", "p.s", "--json", before=agent, HOME=str(home)))
    assert found["records"] == [{"id": "7"}]
    shutil.copy(partner.server.folder / "plain", home / ".ssh" / "id_ed25519")
    partner.write({"url": "file://."}, f"{url}/*.csv", connection=None)
    partner.command("run", "p", HOME=str(home))
    assert partner.rows() == [7]


def test_a_password_is_said_and_never_told(partner: Partner) -> None:
    """A server that asks for a password gets it; a wrong one fails at once, and neither is printed."""
    partner.put("a.csv", "id\n7\n")
    del partner.connection["private_key"]
    with password_server(partner.server, PASSWORD) as port:
        partner.connection |= {
            "url": f"sftp://partner@127.0.0.1:{port}/~/{partner.files.name}",
            "password": "${PARTNER_PASSWORD}",
            "known_hosts": str(partner.server.known(partner.root, port)),
        }
        partner.write(partner.connection, "*.csv")
        told = partner.command("--debug", "run", "p", code=3, PARTNER_PASSWORD=WRONG)
        assert "does not let this user in" in told
        told += partner.command("--debug", "run", "p", PARTNER_PASSWORD=PASSWORD)
    assert "canary" not in told
    assert partner.rows() == [7]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"password": "plain", "private_key": None}, "password stands in the file itself"),
        ({"password": "${PASSPHRASE}"}, "password and private_key are both there"),
        ({"url": "sftp://reader:canary@files.example/in"}, "a password stands in the url"),
        ({"url": "sftp://files.example/in"}, "nothing says which user asks the server"),
        ({"url": "sftp://reader@files.example:99999/in"}, "the url names no server"),
        ({"url": "sftp://reader@/in"}, "the url names no server"),
        ({"endpoint": "https://s3.example"}, "endpoint means nothing for sftp://"),
        ({"privat_key": "x"}, 'unknown key "privat_key"'),
    ],
)
def test_mistakes_in_a_connection_are_told_at_their_place(
    partner: Partner, words: dict[str, Any], message: str
) -> None:
    """Secrets in the file, a server or a user that is missing: refused before anybody is asked."""
    (partner.root / ".env").write_text(f"PASSPHRASE={PASSPHRASE}\n")
    connection = partner.connection | words
    partner.connection = {key: value for key, value in connection.items() if value is not None}
    partner.write(partner.connection, "*.csv")
    with pytest.raises(ConfigurationError, match=message) as caught:
        Project(partner.root, "dev").pipeline("p")
    assert "default.json:1:" in str(caught.value)
    assert "canary" not in str(caught.value)
    assert partner.proxy.connections == 0


@pytest.mark.parametrize(("key", "passphrase"), [("key", None), ("key", "${WRONG}"), ("host.pub", None)])
def test_a_key_that_cannot_be_used_is_told(partner: Partner, key: str, passphrase: str | None) -> None:
    """A key without its passphrase, with another one, or that is none: what is wrong, and no byte of it."""
    (partner.root / ".env").write_text("WRONG=canary-not-it\n")
    partner.connection["private_key"] = f"${{file:{partner.server.folder / key}}}"
    if passphrase:
        partner.connection["private_key_passphrase"] = passphrase
    report = partner.load("*.csv", 3)
    assert "private_key is no private key, or private_key_passphrase" in problem(report).message
    assert partner.proxy.connections == 0
    partner.connection["known_hosts"] = str(partner.root / "nowhere")
    assert "the known hosts of sftp://" in problem(partner.load("*.csv", 2)).message
