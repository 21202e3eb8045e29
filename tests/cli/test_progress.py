"""What moves on a terminal while a run works, and what is left there; what is told where nobody looks."""

import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path

import pytest

from pratique.cli.console import Console
from pratique.cli.pace import pace
from pratique.cli.progress import lines
from pratique.cli.text import columns
from pratique.events import StageProgressed
from pratique.gauge import Amount, Gauge, gauge

SOURCE = str(Path(__file__).parents[2] / "src")
FILES = {
    "config/default.yaml": "connections: {warehouse: {url: 'duckdb://w.duckdb'}}\n",
    "schemas/orders.yaml": "fields: {id: integer, amount: {type: 'decimal(9,2)', minimum: 0}, note: {pattern: '[a-z 0-9]+'}}\n",
    "pipelines/shop.yaml": (
        "sources:\n"
        "  orders: {path: 'in/*.csv', schema: orders}\n"
        "  a_source_with_a_name_that_no_narrow_terminal_has_room_for: {path: 'in/*.csv', schema: orders, table: b}\n"
        "  gone: {path: 'gone/*.csv', schema: orders, table: c}\n"
        "destination: {connection: warehouse, write: replace}\n"
    ),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project whose run takes some seconds."""
    folder = tmp_path
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "in").mkdir()
    rows = "".join(f"{number},{number % 1000}.50,text {number}\n" for number in range(2_400_000))
    (folder / "in" / "orders.csv").write_text(f"id,amount,note\n{rows}")
    return folder


def screen(stream: str) -> list[str]:
    """What stands on a terminal after a stream: line feeds, cursor up, erased lines; colours are left out."""
    page, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", stream):
        if part == "\n":
            row, page = row + 1, page + [""] * (row + 2 - len(page))
        elif part == "\r":
            column = 0
        elif part.endswith("A") and part.startswith("\x1b"):
            row = max(row - int(part[2:-1] or 1), 0)
        elif part == "\x1b[2K":
            page[row] = ""
        elif not part.startswith("\x1b"):
            page[row] = page[row][:column].ljust(column) + part + page[row][column + len(part) :]
            column += len(part)
    return [line.rstrip() for line in page]


def watch(folder: Path, command: list[str], width: int, interrupt: str = "") -> tuple[str, int]:
    """Run a command in a terminal; give all that it wrote, and its exit code. `interrupt`: after this text, Ctrl-C."""
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    plain = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    env = {**plain, "PYTHONPATH": SOURCE, "TERM": "xterm-256color"}
    words = [sys.executable, "-m", "pratique", *command]
    process = subprocess.Popen(words, cwd=folder, env=env, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    written = b""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            piece = os.read(master, 65_536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        written += piece
        if interrupt and interrupt.encode() in written:
            process.send_signal(signal.SIGINT)
            interrupt = ""
    os.close(master)
    return written.decode(), process.wait(60)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_lines_move_and_vanish(project: Path, width: int) -> None:
    """Each source has one line with its stage and amount, never wider than the terminal; after the end, none is left."""
    stream, code = watch(project, ["run", "shop"], width)
    frames = re.split(r"\x1b\[1A|\x1b\[2K|\r|\n", re.sub(r"\x1b\[[0-9;?]*[mhl]", "", stream))
    moved = [frame for frame in frames if re.match(r"orders +\d+:\d\d:\d\d ", frame)]
    assert code == 8
    assert any("judging" in frame for frame in moved)
    assert any(re.search(r"%|of 2,400,000 rows", frame) for frame in moved)
    assert max(map(columns, moved)) <= width
    last = screen(stream)
    assert not [line for line in last if re.search(r"\d:\d\d:\d\d  ?(landing|judging|loading|loaded)", line)]
    report = next(line for line in last if line)
    assert report.startswith("shop")
    assert stream.count("\x1b[?25l") == stream.count("\x1b[?25h")


def test_ctrl_c_leaves_a_tidy_terminal(project: Path) -> None:
    """After Ctrl-C the moving lines are gone, the cursor is back, and what to do next is told; exit code 7."""
    stream, code = watch(project, ["run", "shop"], 80, interrupt="judging")
    last = [line for line in screen(stream) if line]
    assert code == 7
    assert "stopping (SIGINT); once more to stop at once" in last[0]
    assert last[1].startswith("shop")
    assert "INTERRUPTED · exit 7" in "\n".join(last)
    assert not [line for line in last if re.search(r"\d:\d\d:\d\d (landing|judging|loading)", line)]
    assert stream.rindex("\x1b[?25h") > stream.rindex("\x1b[?25l")


def test_quiet_shows_no_progress(project: Path) -> None:
    """With --quiet only the report is written, on a terminal and elsewhere."""
    stream, code = watch(project, ["run", "shop", "--quiet", "--dry-run"], 80)
    assert code == 8
    assert "judging" not in stream
    assert "\x1b[?25l" not in stream


def test_elsewhere_a_long_stage_is_told_now_and_then(capfd: pytest.CaptureFixture[str]) -> None:
    """Where nobody looks, a stage that takes longer than five seconds has a plain line every five seconds."""
    common = {"pipeline": "shop", "run_id": "7f3a91" + "0" * 26, "source": "orders"}
    with lines(Console.choose("never")) as show, gauge.measuring(lambda: Amount("rows", 500, 1_000)):
        show(StageProgressed(**common, stage="judging"))
        time.sleep(11)
    told = capfd.readouterr().err.splitlines()
    assert 1 <= len(told) <= 2
    assert re.fullmatch(r"\d\d:\d\d:\d\d  shop\.orders  judging 500 of 1,000 rows · \d+/s · .* left", told[-1])


@pytest.mark.parametrize(
    ("amount", "seconds", "width", "text"),
    [
        (None, 5, 80, "judging"),
        (Amount("rows", 1_200_000, 8_000_000), 2, 80, "judging 1,200,000 of 8,000,000 rows · 600k/s · 11 s left"),
        (Amount("rows", 1_200_000, 8_000_000), 2, 50, "judging 1,200,000 of 8,000,000 rows · 600k/s"),
        (Amount("rows", 1_200_000, 8_000_000), 2, 20, "judging 15%"),
        (Amount("rows", 1_200_000, 8_000_000), 0.5, 80, "judging 1,200,000 of 8,000,000 rows"),
        (Amount("rows", 5_000, 0), 2, 80, "judging 5,000 rows · 2,500/s"),
        (Amount("bytes", 1_500_000_000, 3_000_000_000), 10, 80, "judging 1.5 GB of 3.0 GB · 150.0 MB/s · 10 s left"),
    ],
    ids=str,
)
def test_pace(amount: Amount | None, seconds: float, width: int, text: str) -> None:
    """A stage is told with as much as is known and fits; time left only where the total is known."""
    assert pace("judging", amount, seconds, width) == text


def test_a_gauge_never_raises() -> None:
    """What is measured may end while it is read: then there is no amount."""
    own = Gauge()
    with own.measuring(lambda: Amount("rows", 1 // 0, 1)):
        assert own.read() is None
    with own.statement(200, lambda: 25.0):
        assert own.read() == Amount("rows", 50, 200)
    with own.statement(200, lambda: -1.0):
        assert own.read() is None
    assert own.read() is None
