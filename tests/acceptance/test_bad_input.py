"""What a person sees when something is wrong: what, where, what to do, the exit code of its class, and no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import forked
import pytest

SCHEMA = "schema: orders\nversion: 1\nprimaryKey: id\nfields:\n  id: integer\n  amount: {type: integer}\n"
PIPELINE = (
    "sources:\n  orders: {type: files, path: in/orders.csv, schema: orders}\n"
    "destination: {connection: target, table: orders}\n"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project that works as it is."""
    for folder in ("config", "pipelines", "schemas", "in"):
        (tmp_path / folder).mkdir()
    (tmp_path / "config" / "default.yaml").write_text("connections:\n  target: {url: 'duckdb://out.duckdb'}\n")
    (tmp_path / "schemas" / "orders.yaml").write_text(SCHEMA)
    (tmp_path / "pipelines" / "orders.yaml").write_text(PIPELINE)
    (tmp_path / "in" / "orders.csv").write_text("id,amount\n1,10\n2,20\n")
    return tmp_path


def run(root: Path, *options: str, env: dict[str, str] | None = None, before: tuple[str, ...] = ()) -> tuple[int, str]:
    """`pratique run orders`: its exit code and all it prints."""
    words = ("run", "orders", "--env", "dev", "--project", str(root), *options)
    if before:
        command = [*before, sys.executable, "-m", "pratique", *words]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(env or {})}, check=False)
    else:
        done = forked.pratique(*words, env=env)
    return done.returncode, done.stdout + done.stderr


def assert_taught(output: str, *parts: str) -> None:
    """The output names every part, says what to do, and shows no traceback."""
    for part in parts:
        assert part in output, output
    assert "Traceback" not in output


def test_the_project_of_these_tests_works(root: Path) -> None:
    """Without damage the same project loads: what the other tests see comes from the damage."""
    assert run(root)[0] == 0


def test_a_missing_file_names_it_and_near_ones(root: Path) -> None:
    """A path that leads nowhere is the source owner's: exit 3, the path, and a file with a near name."""
    (root / "in" / "orders.csv").rename(root / "in" / "orders_1.csv")
    code, output = run(root)
    assert code == 3
    assert_taught(output, "in/orders.csv", "orders_1.csv")


def test_an_unreadable_file_is_named(root: Path) -> None:
    """A file without read permission, by a process without the rights of root: exit 3, the file, nothing loaded."""
    (root / "in" / "orders.csv").chmod(0)
    as_nobody_special = ("setpriv", "--inh-caps=-all", "--bounding-set=-all") if os.getuid() == 0 else ()
    code, output = run(root, before=as_nobody_special)
    assert code == 3, output
    assert_taught(output, "orders.csv", "ermission")


def test_an_unknown_key_is_shown_with_its_place_and_the_nearest_known_one(root: Path) -> None:
    """A misspelt key: exit 2, file:line:column and the key that was meant."""
    (root / "schemas" / "orders.yaml").write_text(SCHEMA.replace("type: integer}", "tipe: integer}"))
    code, output = run(root)
    assert code == 2
    assert_taught(output, "schemas/orders.yaml:6:", "tipe", "type")


def test_a_wrong_type_in_a_config_is_shown_with_its_place(root: Path) -> None:
    """A list where a text is due: exit 2, file:line and what was expected."""
    (root / "config" / "default.yaml").write_text(
        "limits:\n  columns_max: many\nconnections:\n  target: {url: 'duckdb://out.duckdb'}\n"
    )
    code, output = run(root)
    assert code == 2
    assert_taught(output, "config/default.yaml:2:", "columns_max")


def test_a_missing_secret_names_the_variable_and_never_its_neighbours(root: Path) -> None:
    """An unset ${NAME}: exit 2, the variable, where it stands; no other secret is printed."""
    (root / "config" / "default.yaml").write_text(
        "connections:\n  target: {url: 'duckdb://${WAREHOUSE_FILE}'}\n  other: {url: 'file://${CANARY}'}\n"
    )
    code, output = run(root, env={"CANARY": "canary-7f3a"})
    assert code == 2
    assert_taught(output, "WAREHOUSE_FILE", "config/default.yaml:2")
    assert "canary-7f3a" not in output


def test_a_rule_that_is_no_expression_is_shown_with_a_caret(root: Path) -> None:
    """A check with a sub-select: exit 2 at its line, before anything is read."""
    (root / "schemas" / "orders.yaml").write_text(SCHEMA + 'checks:\n  sneaky: "amount > (select 1)"\n')
    code, output = run(root)
    assert code == 2
    assert_taught(output, "schemas/orders.yaml:8")


def test_a_bad_value_is_no_error_but_a_verdict(root: Path) -> None:
    """One bad record of twenty: exit 0, the record in quarantine with its reason; --strict makes it 1."""
    lines = [f"{number},{number}" for number in range(3, 23)]
    (root / "in" / "orders.csv").write_text("id,amount\n" + "\n".join(lines) + "\n99,1.7\n")
    code, output = run(root)
    assert code == 0
    assert_taught(output, "orders.amount", "1.7")
    (root / "in" / "orders.csv").write_text("id,amount\n" + "\n".join(lines) + "\n98,1.7\n100,5\n")
    assert run(root, "--strict")[0] == 1


def test_too_many_bad_records_fail_the_gate_and_load_nothing(root: Path) -> None:
    """Half the records are bad: exit 1, the share and the limit, and no table in the destination."""
    (root / "in" / "orders.csv").write_text("id,amount\n1,a\n2,2\n")
    code, output = run(root)
    assert code == 1
    assert_taught(output, "50.00%", "max_share")
    (root / "in" / "orders.csv").write_text("id,amount\n1,1\n2,2\n")
    assert run(root)[0] == 0


def test_a_destination_held_by_another_process_is_named(root: Path) -> None:
    """While another process has the file open: exit 4 after the time-out, its pid, nothing lost, and later it works."""
    assert run(root)[0] == 0
    (root / "config" / "default.yaml").write_text(
        "limits: {lock_timeout_seconds: 1}\nconnections:\n  target: {url: 'duckdb://out.duckdb'}\n"
    )
    (root / "in" / "orders.csv").write_text("id,amount\n3,30\n")
    holder = subprocess.Popen(
        [sys.executable, "-c", f"import duckdb; c = duckdb.connect({str(root / 'out.duckdb')!r}); print(1, flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout
    holder.stdout.readline()
    began = time.monotonic()
    code, output = run(root)
    holder.communicate(b"\n")
    assert code == 4, output
    assert time.monotonic() - began < 20
    assert_taught("".join(output.split()), "out.duckdb", str(holder.pid))
    assert run(root)[0] == 0


@dataclass
class SmallDisk:
    """A folder that is soon full; where nothing may be mounted, the limit of a process stands in for the disk's end."""

    folder: Path
    mounted: bool

    def run(self, root: Path) -> tuple[int, str]:
        """Run with only 200 kB of space left."""
        filler = self.folder / "filler"
        if self.mounted:
            free = os.statvfs(self.folder)
            filler.write_bytes(bytes(free.f_bavail * free.f_frsize - 200_000))
        ended = run(root, before=() if self.mounted else ("prlimit", "--fsize=1000000"))
        filler.unlink(missing_ok=True)
        return ended


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A file system of 8 MB of its own, or what stands in for it."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    yield SmallDisk(folder, mounted)
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_at_the_destination_loses_nothing(root: Path, small_disk: SmallDisk) -> None:
    """The destination's disk is full: exit 4 with its path, nothing visible; with space again the same run succeeds."""
    (root / "config" / "default.yaml").write_text(
        f"connections:\n  target: {{url: 'duckdb://{small_disk.folder}/out.duckdb'}}\n"
    )
    rows = "\n".join(f"{number},{number * 6_364_136_223_846_793_005 % 2**63}" for number in range(1_200_000))
    (root / "in" / "orders.csv").write_text("id,amount\n" + rows + "\n")
    code, output = small_disk.run(root)
    assert code == 4, output
    assert_taught(output, "small/out.duckdb", "no space left to write")
    (root / "in" / "orders.csv").write_text("id,amount\n1,1\n")
    assert run(root)[0] == 0


def test_a_full_disk_at_the_state_folder_stops_before_any_effect(root: Path, small_disk: SmallDisk) -> None:
    """No space for the quarantine: the run fails before the commit, and no good row is loaded without its bad ones."""
    (root / "config" / "default.yaml").write_text(
        f"state: {{path: {small_disk.folder}}}\nquarantine: {{max_share: 1.0}}\n"
        "connections:\n  target: {url: 'duckdb://out.duckdb'}\n"
    )
    assert run(root)[0] == 0
    rows = "\n".join(f"{number},{os.urandom(8).hex()}" for number in range(100_000))
    (root / "in" / "orders.csv").write_text("id,amount\n1000001,5\n" + rows + "\n")
    code, output = small_disk.run(root)
    assert code == 5, output
    assert_taught(output, str(small_disk.folder), "No space left" if small_disk.mounted else "File too large", "df -h")
    assert run(root)[0] == 0
