"""Pictures show what is so: the terminal as it is today, nothing fetched, and words for whoever does not see them."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PICTURES = sorted((ROOT / "docs" / "pictures").glob("*.svg"))
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
SCRIPT = ROOT / "scripts" / "screenshots.py"


@pytest.fixture(scope="module")
def screenshots() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("screenshots", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pictures_of_the_terminal_show_what_it_shows() -> None:
    """Every picture of the terminal is what the commands of the tutorial print today, but for ids and times."""
    done = subprocess.run([sys.executable, SCRIPT, "--check"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_other_words_make_another_picture(screenshots: ModuleType) -> None:
    """The check works: what a command prints decides the picture, in its words and in its colours."""
    made = {screenshots.picture("a", "pratique", text) for text in ("one", "two", "\x1b[31mone\x1b[0m")}
    assert len(made) == 3


def test_ids_and_times_make_no_other_picture(screenshots: ModuleType) -> None:
    """What differs from run to run is steady, of the same length; dates of the data and words of six letters stay."""
    line = "run {}  dev  {} → {} {}DONE  facade  2026-11-02  pratique runs show {}"
    made = {
        screenshots.steady(line.format("0a1b2c", "23:59:59", "00:00:01", "(1.8 s)  ", "0a1b2c")),
        screenshots.steady(line.format("123456", "01:00:00", "01:00:01", "(10.2 s) ", "123456")),
        screenshots.steady(line.format("abcdef", "01:00:00", "01:00:01", "(0.0 s)  ", "abcdef")),
    }
    assert made == {line.format("7f3a91", "09:30:00", "09:30:00", "(0.4 s)  ", "7f3a91")}


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_a_picture_is_small_alone_and_told_in_words(path: Path) -> None:
    """A picture asks for nothing over the network, has a name for readers who do not see it, and is on a page."""
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 20_000
    assert not re.search(r"@import|@font-face|href=|<script|url\((?!#)", text)
    assert re.search(r'aria-label="[^"]{5,}"|<title>[^<]{5,}</title>', text)
    shown = [
        found for page in PAGES for found in re.findall(r"!\[([^\]]+)\]\([^)]*" + path.name, page.read_text("utf-8"))
    ]
    assert shown
    assert all(len(words) > 20 for words in shown)
