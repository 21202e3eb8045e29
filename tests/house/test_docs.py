"""Every code block in the documents is true: files are written, commands run, their output appears, Python runs.

A page is a script. A block with `file=NAME` is a file of the page's own project, `console` holds commands (`$ …`) and
lines of their output (`…` stands for anything), `python` is a program, `sh` is checked by bash only (commands that set
up a machine), `yaml` and `json` without a file are read.
"""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import forked
import pytest
from servers import free_port

from pratique.documents import load_documents

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```(\w*)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORT = re.compile(r"127\.0\.0\.1\W{1,3}([0-9]{5})\b")
LINK = re.compile(r"\[[^\]]+\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)")


@dataclass(frozen=True)
class Block:
    """A code block: its language, the file that it is, its text."""

    language: str
    file: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The code blocks of a page in order; a port that a page names is one that is free now."""
    text = page.read_text(encoding="utf-8")
    for port in set(PORT.findall(text)):
        text = text.replace(port, str(free_port()))
    return [Block(*found) for found in BLOCK.findall(text)]


def run(command: list[str], folder: Path, text: str = "") -> str:
    """What a command prints to both streams; the exit code is part of it."""
    path = f"{Path(forked.program()).parent}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    environment = {"PATH": path, "HOME": str(folder), "LC_ALL": "C.UTF-8", "COLUMNS": "120"}
    environment["PYTHONPATH"] = str(ROOT / "src")  # the pages are true of this tree, whatever is installed
    done = subprocess.run(
        command, cwd=folder, input=text, env=environment, check=False, capture_output=True, text=True, encoding="utf-8"
    )
    return f"{done.stdout}{done.stderr}exit code {done.returncode}\n"


def play_console(text: str, folder: Path) -> list[str]:
    """Run each `$ command`; give the shown lines that did not appear, in order, in what it printed."""
    missing = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *shown = part.rstrip("\n").split("\n")
        printed = run(["bash", "-c", command], folder)
        rest = [" ".join(line.split()) for line in printed.splitlines()]
        for line in shown:
            pattern = re.escape(" ".join(line.split())).replace("…", ".*")
            index = next((number for number, got in enumerate(rest) if re.fullmatch(pattern, got)), None)
            if index is None:
                missing.append(f"$ {command}\nshown: {line}\nprinted:\n{printed}")
                break
            rest = rest[index + 1 :]
        if not any("exit code" in line for line in shown) and "exit code 0" not in printed:
            missing.append(f"$ {command}\nprinted:\n{printed}")
    return missing


def play(block: Block, folder: Path) -> list[str]:
    """Do what a block says in the page's folder; give what is wrong with it."""
    if block.file or block.language == "yaml":
        path = write(folder / (block.file or "block.yaml"), block.text)
        if path.suffix == ".yaml":
            load_documents(path)
        return []
    if block.language == "console":
        return play_console(block.text, folder)
    if block.language == "json":
        json.loads(block.text)
        return []
    command = {"python": [sys.executable, "-"], "sh": ["bash", "-n"]}.get(block.language)
    printed = run(command, folder, block.text) if command else "exit code 0\n"
    return [] if printed.endswith("exit code 0\n") else [f"{block.text}\n{printed}"]


def write(path: Path, text: str) -> Path:
    """Write a file, and the folders above it, and give its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])
def test_every_code_block_is_true(page: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A reader who types what a page shows, in order, gets what it shows."""
    folder = tmp_path_factory.mktemp("page")  # a short name: it stands in messages that are cut at 80 columns
    wrong = [fault for block in blocks(page) for fault in play(block, folder)]
    assert wrong == []


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])
def test_every_link_leads_somewhere(page: Path) -> None:
    """A link between our own pages and files names something that exists; a badge names a workflow that we have."""
    links = [
        link.removesuffix("/badge.svg").replace("../../actions/workflows/", ".github/workflows/")
        for link in LINK.findall(page.read_text(encoding="utf-8"))
    ]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("console", "$ echo one\ntwo\n"),
        ("console", "$ false\n"),
        ("python", "1 / 0\n"),
        ("sh", "if then\n"),
    ],
)
def test_a_false_block_is_noticed(language: str, text: str, tmp_path: Path) -> None:
    """The check of the pages works: a command that prints something else, or fails, is told."""
    assert play(Block(language, "", text), tmp_path)


def test_a_true_block_passes(tmp_path: Path) -> None:
    """Shown lines are found among others, in order, whatever stands for the dots."""
    assert play(Block("console", "", "$ printf 'a\\nb 17 c\\n'; exit 3\nb … c\nexit code 3\n"), tmp_path) == []


def test_reference_pages_are_up_to_date() -> None:
    """The generated pages say what the code says: every command, option, error and event."""
    done = subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
