"""Take pictures of the terminal, as SVG in docs/pictures; with --check, fail if one of them shows what is no longer so.

The project is that of the tutorial, so the pictures and the page say the same. What differs from run to run (ids,
times) is replaced by something of the same length, so that the same commands make the same files.
"""

import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
TUTORIAL = (ROOT / "docs" / "tutorial" / "first-run.md").read_text(encoding="utf-8")
COLUMNS = 80
SCHEMA = "schemas/orders.yaml"


def steady(text: str) -> str:
    """The text without what differs from run to run."""
    for run in set(re.findall(r"\brun ([0-9a-f]{6})\b", text)):
        text = re.sub(rf"\b{run}\b", "7f3a91", text)
    text = re.sub(r"\(\d+\.\d s\)", lambda took: "(0.4 s)".ljust(len(took[0])), text)
    return re.sub(r"\b\d\d:\d\d:\d\d\b", "09:30:00", text)


def shown(command: str, folder: Path) -> str:
    """What a command prints for a person, with colours; what it tells of its progress is left out."""
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '/usr/bin:/bin')}"
    environment = {"PATH": path, "HOME": str(folder), "LC_ALL": "C.UTF-8", "COLUMNS": str(COLUMNS)}
    environment["PYTHONPATH"] = str(ROOT / "src")
    words = [*command.split(), "--color", "always"]
    done = subprocess.run(
        words, cwd=folder, env=environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return steady(done.stdout.decode())


def picture(name: str, command: str, printed: str) -> str:
    """An SVG of a terminal of 80 columns in which the command was typed."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
    console.print(Text.from_ansi(printed.rstrip("\n")))
    svg = console.export_svg(title="", theme=MONOKAI, unique_id=name)
    # No font is fetched: that of the reader's machine is taken, and each line is as wide as rich says.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL).replace("Fira Code", "ui-monospace, Menlo, Consolas")
    svg = re.sub(r"<!-- .*? -->", "", svg)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{command}" ', 1)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def change(path: Path, old: str, new: str) -> None:
    """Replace a text in a file, which holds it."""
    text = path.read_text(encoding="utf-8")
    if old not in text:
        sys.exit(f"{path.name} does not hold {old!r} any more: look at {Path(__file__).name}")
    path.write_text(text.replace(old, new), encoding="utf-8")


def pictures(folder: Path) -> Iterator[tuple[str, str]]:
    """Each picture with its name, in the order of the tutorial."""
    first, corrected = re.findall(r"^```csv file=orders\.csv\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL)[:2]

    def take(name: str, command: str) -> tuple[str, str]:
        return f"{name}.svg", picture(name, command, shown(command, folder))

    (folder / "orders.csv").write_text(first, encoding="utf-8")
    yield take("init", "pratique init orders.csv")
    yield take("quarantine", "pratique quarantine show Q1")
    change(folder / SCHEMA, "ordered_on: {required", "ordered_on: {tpye: date, required")
    yield take("lint", "pratique lint")
    change(folder / SCHEMA, "tpye", "type")
    (folder / "warehouse.duckdb").unlink()
    (folder / "orders.csv").write_text(corrected, encoding="utf-8")
    yield take("run", "pratique run orders")


def main() -> None:
    """Write every picture, or say which one shows what is no longer so."""
    stale = []
    with tempfile.TemporaryDirectory() as folder:
        for name, svg in pictures(Path(folder)):
            path = PICTURES / name
            if "--check" not in sys.argv:
                path.write_text(svg, encoding="utf-8")
            elif not path.exists() or path.read_text(encoding="utf-8") != svg:
                stale.append(name)
    if stale:
        sys.exit(f"out of date: {', '.join(stale)}; do: python scripts/screenshots.py")


if __name__ == "__main__":
    main()
