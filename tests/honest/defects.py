"""The list of defects: what each is called, what must come of it, and on which files it can be made."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from base_tables import TABLES
from drafts import ENCODINGS, LINE_ENDS, PACKINGS, Draft, Piece

Kind = Literal["quarantined", "held", "loaded", "legal"]
Maker = Callable[[Draft, Piece, Random], None]

UNICODE = tuple(name for name in ENCODINGS if name.startswith("utf"))
LEGAL_AS_TEXT = "the text is legal: what was meant cannot be known"
WIDE = tuple(name for name in TABLES if name != "words")
TYPED = ("texts", "numbers", "partners", "wide", "bulky")
COUNT = r"^malformed: .*expected \d+ fields, found \d+"
QUOTES = r"^malformed: .*(quote|expected \d+ fields)"
BYTES = r"^malformed: .*(byte|not UTF-8|not utf-|not windows-1252|decode)"


@dataclass(frozen=True)
class Defect:
    """One kind of damage.

    `outcomes`: what comes of the record or file, the usual outcome first. `quarantined`: the damaged record, its
    neighbours load. `held`: the file. `loaded`: everything in it, for it is no damage to the data. `legal`: loaded
    as it stands, because the text is legal.
    """

    name: str
    make: Maker
    outcomes: tuple[Kind, ...]
    why: str
    reason: str
    tables: tuple[str, ...]
    encodings: tuple[str, ...]
    line_ends: tuple[str, ...]
    packings: tuple[str, ...]
    local: bool  # touches one record only
    quotes: bool  # leaves a quote without its partner


DEFECTS: dict[str, Defect] = {}


def defect(
    name: str,
    *outcomes: Kind,
    why: str = "",
    reason: str = "",
    tables: tuple[str, ...] = tuple(TABLES),
    encodings: tuple[str, ...] = tuple(ENCODINGS),
    line_ends: tuple[str, ...] = tuple(LINE_ENDS),
    packings: tuple[str, ...] = PACKINGS,
    local: bool = False,
    quotes: bool = False,
) -> Callable[[Maker], Maker]:
    """Put a maker of damage into the list."""

    def listed(make: Maker) -> Maker:
        DEFECTS[name] = Defect(name, make, outcomes, why, reason, tables, encodings, line_ends, packings, local, quotes)
        return make

    return listed
