"""Drawings of how Pratique is built, as SVG out of what is declared: the floors, the story of a run, the deployment.

No layout is computed: rows and columns are enough. Each picture brings its own ground, and follows the reader's choice
of light or dark.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
ROW, GAP, EDGE, LETTER = 34, 8, 16, 7.4
STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.name { font-weight: 600 } .note, .kind { fill: #57606a; font-size: 12px }
.ground { fill: #ffffff } .box { fill: #eef3fa; stroke: #6e8cb5 } .held { fill: #fbeee0; stroke: #c08a3e }
.line { stroke: #57606a; fill: none; stroke-width: 1.5 } .tip { fill: #57606a }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .note, .kind { fill: #a5b1bd }
  .ground { fill: #0d1117 } .box { fill: #182436; stroke: #5b7fb0 } .held { fill: #33261a; stroke: #b98a4c }
  .line { stroke: #a5b1bd } .tip { fill: #a5b1bd }
}
</style>"""


def svg(title: str, width: int, height: int, parts: list[str]) -> str:
    """A whole picture; the title is what a reader hears who does not see it."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">'
    ground = f'<rect class="ground" width="{width}" height="{height}" rx="6"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", STYLE, ground, *parts, "</svg>", ""])


def text(left: float, base: float, words: str, kind: str = "name", anchor: str = "start") -> str:
    """One line of text."""
    return f'<text class="{kind}" x="{left:g}" y="{base:g}" text-anchor="{anchor}">{escape(words)}</text>'


def box(left: float, top: float, width: float, height: float, name: str, kind: str = "box") -> str:
    """A box with a name in its first line."""
    shape = f'<rect class="{kind}" x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" rx="4"/>'
    return shape + text(left + width / 2, top + 21, name, anchor="middle")


def arrow(left: float, top: float, bottom: float) -> str:
    """An arrow that points down."""
    tip = f'<path class="tip" d="M{left - 4:g} {bottom - 7:g}h8l-4 7z"/>'
    return f'<path class="line" d="M{left:g} {top:g}V{bottom - 6:g}"/>{tip}'


# --- the floors -------------------------------------------------------------------------------------------------------


def meaning(name: str) -> str:
    """The beginning of what a module says of itself; nothing where there is none yet."""
    path = ROOT / "src" / "pratique" / name
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) if path.exists() else ""
    return re.split(r"[:;,.]", doc or "")[0].replace("`", "")


def floors() -> str:
    """Who may import whom: the layers that import-linter checks, from pyproject.toml."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = [item for item in settings["tool"]["importlinter"]["contracts"] if item["type"] == "layers"]
    parts, top, width = [], EDGE, 800
    for layer in contract["layers"]:
        left, told = float(EDGE), []
        for name in re.findall(r"\w+", layer):
            if name != "__main__" and not meaning(name):
                continue
            parts.append(box(left, top, wide := len(name) * LETTER + 24, ROW - 4, name.strip("_")))
            left += wide + GAP
            told.append(meaning(name))
        note = " · ".join(told)
        if left + len(note) * 6 < width - EDGE:
            parts.append(text(left + GAP, top + 20, note, "note"))
        top += ROW
    return svg("The floors: a module imports only what stands below it", width, top + EDGE - 4, parts)


# --- the story of a run -----------------------------------------------------------------------------------------------

STORY = (
    ("land", "an input that cannot change any more: name, size, hash, number of records", "killed: it is read again"),
    (
        "read and check",
        "one SELECT over the text: typed values, a verdict of every rule",
        "killed: nothing had an effect",
    ),
    ("split", "good, quarantined, or skipped with a reason", "killed: nothing had an effect"),
    ("gate and balance", "good enough? read = loaded + quarantined + skipped? else nothing follows", ""),
    (
        "quarantine | rows",
        "held records on disk | good rows in the destination's transaction",
        "killed: nobody sees them",
    ),
    ("commit", "rows and the marker that proves them become true in one instant", "from here on it is loaded"),
    (
        "account",
        "the ledger remembers the run; a lost one is rebuilt from the markers",
        "killed: the next run completes it",
    ),
    ("tell", "report, log, metrics, alerts: they come last, and fail no run", ""),
)


def story() -> str:
    """What a run does with the input of a source, from top to bottom, and what a kill leaves there."""
    parts, top, middle, wide = [], float(EDGE), 150.0, 230.0
    for step, what, killed in STORY:
        names = step.split(" | ")
        each = (wide - GAP * (len(names) - 1)) / len(names)
        for number, name in enumerate(names):
            left = middle - wide / 2 + number * (each + GAP)
            parts.append(box(left, top, each, ROW, name, "held" if name == "quarantine" else "box"))
        parts.append(text(middle + wide / 2 + 20, top + (14 if killed else 21), what, "note"))
        if killed:
            parts.append(text(middle + wide / 2 + 20, top + 30, killed, "kind"))
        if step != STORY[-1][0]:
            parts.append(arrow(middle, top + ROW, top + ROW + 22))
        top += ROW + 22
    return svg("The story of one run: land, read, check, split, load, account, tell", 800, int(top) + EDGE - 22, parts)


# --- the deployment ---------------------------------------------------------------------------------------------------


def lines(service: dict[str, Any]) -> Iterator[str]:
    """What a container is, keeps, reads and knows, a line each."""
    image = re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", service["image"])
    yield f"image {image}"
    yield from (f"profile {name}" for name in service.get("profiles", []))
    mounts = [str(item).partition(":")[0] for item in service.get("volumes", [])]
    for word, found in (
        ("keeps", [name for name in mounts if not name.startswith(".")]),
        ("reads", [Path(name).name for name in mounts if name.startswith(".")]),
        ("secret", service.get("secrets", [])),
    ):
        yield from (f"{word} {name}" for name in found)


def deployment() -> str:
    """The containers of docker-compose.yml, the networks that each is in, and what each keeps."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    services, wide, parts = compose["services"], 168, []
    width = EDGE * 2 + len(services) * (wide + GAP) - GAP
    bars: dict[str, int] = {}
    for name, network in reversed(compose["networks"].items()):
        bars[name] = EDGE + len(bars) * (ROW + GAP)
        known = "no way in, none out" if (network or {}).get("internal") else "a way out"
        parts.append(box(EDGE, bars[name], width - 2 * EDGE, ROW - 4, f"network {name}: {known}", "held"))
    top = EDGE + len(bars) * (ROW + GAP) + 18
    tall = 34 + 17 * max(len([*lines(service)]) for service in services.values())
    for number, (name, service) in enumerate(services.items()):
        left = EDGE + number * (wide + GAP)
        for place, network in enumerate(service.get("networks", [])):
            across = left + 20 + place * 14
            parts.append(f'<path class="line" d="M{across} {top}V{bars[network] + ROW - 4}"/>')
        parts.append(box(left, top, wide, tall, name))
        parts += [text(left + 10, top + 42 + 17 * row, line, "note") for row, line in enumerate(lines(service))]
    return svg("The containers of docker-compose.yml and their networks", width, top + tall + EDGE, parts)


PICTURES = {"floors.svg": floors, "story.svg": story, "deployment.svg": deployment}
