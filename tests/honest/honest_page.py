"""The tables of docs/explanation/honest-files.md, made out of the lists that the tests use. Run it to write them."""

import re
from pathlib import Path

from defects import DEFECTS
from public_suites import EXPLAINED
from selection import MODULES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "honest-files.md"
WORDS = {
    "quarantined": "the record is quarantined",
    "held": "the file is held",
    "loaded": "loaded in full",
    "legal": "loaded as it stands",
}


def row(*cells: str) -> str:
    """One row of a table."""
    return "| " + " | ".join(cells) + " |"


def damages() -> str:
    """Every damage and what comes of it."""
    assert MODULES
    rows = [row("damage", "what comes of it", "why, or when"), row("---", "---", "---")]
    for name, defect in sorted(DEFECTS.items(), key=lambda item: item[0].casefold()):
        outcomes = ", or ".join(WORDS[outcome] for outcome in defect.outcomes)
        rows.append(row(name, outcomes, defect.why))
    return "\n".join(rows)


def suites() -> str:
    """Cases of public suites that come out otherwise than they ask."""
    rows = [row("case", "why"), row("---", "---")]
    return "\n".join([*rows, *(row(name, why) for name, why in EXPLAINED.items())])


TABLES = {"damages": damages, "suites": suites}


def written(page: str) -> str:
    """The page with its tables as they are now."""
    for name, table in TABLES.items():
        mark = f"<!-- {name}: made by tests/honest/honest_page.py -->"
        begin, end = page.index(mark) + len(mark), page.index(f"<!-- end of {name} -->")
        page = f"{page[:begin]}\n{table()}\n{page[end:]}"
    return re.sub(r"[ ]+\|  \|", " | |", page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
