"""Damage to a file as a whole: its beginning, its end, its header, its encoding, its packing."""

import re
from random import Random

from base_tables import TABLES
from defects import COUNT, LEGAL_AS_TEXT, QUOTES, TYPED, UNICODE, WIDE, defect
from drafts import BAD, ENCODINGS, Draft, Piece, encoded

HEADER = r"header|missing|unknown|no name|fields"
CUT_WHY = f"a cut in the last field leaves a shorter one: {LEGAL_AS_TEXT}"
PACKED = ("gz", "zst", "bz2", "zip")


def rename(draft: Draft, names: list[str]) -> None:
    """Write another header."""
    draft.pieces[0].text = draft.table.delimiter.join(names)
    draft.held = HEADER


def cut(draft: Draft, piece: Piece, rng: Random) -> None:
    """End the file inside of a record."""
    piece.text = piece.text[: rng.randrange(1, max(len(piece.text), 2))].rstrip("\r\n")
    piece.end, piece.cells = "", []
    del draft.pieces[draft.pieces.index(piece) + 1 :]


@defect("a cut in the last record", "quarantined", "legal", reason=QUOTES, why=CUT_WHY)
def _cut_last(draft: Draft, _: Piece, rng: Random) -> None:
    cut(draft, draft.records()[-1], rng)


@defect("a cut in the middle of the file", "quarantined", "legal", reason=QUOTES, why=CUT_WHY)
def _cut_middle(draft: Draft, piece: Piece, rng: Random) -> None:
    cut(draft, piece, rng)


@defect("a cut in a character", "quarantined", reason=r"^malformed", encodings=("utf-8", "utf-8-bom"))
def _cut_character(draft: Draft, piece: Piece, _: Random) -> None:
    del draft.pieces[draft.pieces.index(piece) + 1 :]
    draft.write(piece, [*piece.cells[:-1], "bro" + BAD])
    piece.end = ""


@defect("no line end at the end", "loaded", why="the last record is whole")
def _no_last_end(draft: Draft, _: Piece, __: Random) -> None:
    draft.pieces[-1].end = ""


@defect("mixed line ends", "loaded", why="LF and CRLF both end a record; CR does where no other does")
def _mixed_ends(draft: Draft, piece: Piece, rng: Random) -> None:
    other = "\n" if draft.line_end != "\n" else "\r\n"
    for part in draft.records():
        if part is piece or rng.random() < 0.2:
            part.end = other


@defect("a byte order mark", "loaded", why="it belongs to no field", encodings=("utf-8-bom", "utf-16"))
def _mark(_: Draft, __: Piece, ___: Random) -> None:
    """The encoding brings it along."""


@defect("two byte order marks", "held", why="the second one belongs to the first name", encodings=UNICODE)
def _two_marks(draft: Draft, _: Piece, __: Random) -> None:
    marks = "\ufeff" if ENCODINGS[draft.encoding][2] else "\ufeff\ufeff"
    draft.pieces[0].text = marks + draft.pieces[0].text
    draft.held = HEADER


@defect("a preamble", "loaded", why="the header is found by the names of the schema, and the lines above it are told")
def _preamble(draft: Draft, _: Piece, rng: Random) -> None:
    for text in ("Report of all branches", "made at noon", "", "for internal use")[: rng.randrange(1, 5)]:
        draft.insert(draft.pieces[0], text, "noise")
    draft.pieces.insert(0, draft.pieces.pop(0))


@defect(
    "a footer that is not declared",
    "quarantined",
    "legal",
    reason=COUNT,
    why=f"where it has as many fields as a record and all are texts, {LEGAL_AS_TEXT}",
)
def _footer(draft: Draft, _: Piece, rng: Random) -> None:
    width = draft.table.width
    text = rng.choice(["Total", draft.table.delimiter.join(["Total", *[""] * (width - 1)])])
    draft.pieces.append(Piece(text, draft.line_end))


@defect("a second table below", "quarantined", reason=COUNT)
def _second_table(draft: Draft, _: Piece, __: Random) -> None:
    mark, width = draft.table.delimiter, draft.table.width
    draft.pieces.append(Piece("", draft.line_end, "noise"))
    for row in (["branch", "place"], ["1", "Rome"], ["2", "Oslo"]):
        made = [*row, *["x"] * (width if width <= 3 else 0)]  # never as wide as the first
        draft.pieces.append(Piece(mark.join(made), draft.line_end))


@defect("no header", "held", why="the first record is no header, and no name is made up")
def _no_header(draft: Draft, _: Piece, __: Random) -> None:
    del draft.pieces[0]
    draft.held = HEADER


@defect("a header with another name", "held")
def _renamed(draft: Draft, _: Piece, rng: Random) -> None:
    names = list(draft.table.header)
    names[rng.randrange(len(names))] = "something_else"
    rename(draft, names)


@defect("a header in another case", "held", why="near names are told; `from` takes them over")
def _case(draft: Draft, _: Piece, __: Random) -> None:
    rename(draft, [name.upper() for name in draft.table.header])


@defect("columns in another order", "loaded", why="columns are found by their names", tables=WIDE)
def _reordered(draft: Draft, _: Piece, rng: Random) -> None:
    order = list(range(draft.table.width))
    rng.shuffle(order)
    for piece in draft.pieces:
        piece.text = draft.table.delimiter.join(piece.cells[place] for place in order)
    table = draft.table
    draft.table = type(table)(
        table.name, table.delimiter, {table.header[at]: table.types[table.header[at]] for at in order}
    )


@defect("a name missing in the header", "held", tables=WIDE)
def _name_missing(draft: Draft, _: Piece, rng: Random) -> None:
    names = list(draft.table.header)
    del names[rng.randrange(len(names))]
    rename(draft, names)


@defect("a column missing", "held", tables=WIDE)
def _column_missing(draft: Draft, _: Piece, rng: Random) -> None:
    gone = rng.randrange(draft.table.width)
    for piece in draft.pieces:
        piece.text = draft.table.delimiter.join(cell for place, cell in enumerate(piece.cells) if place != gone)
    draft.held = HEADER


def surplus(draft: Draft, name: str) -> None:
    """Add a column to the header and to every record."""
    for piece in draft.pieces:
        piece.text += draft.table.delimiter + (name if piece.kind == "header" else "x")
    draft.held = HEADER


@defect("a surplus column", "held", why="`extraFields` says otherwise")
def _column_surplus(draft: Draft, _: Piece, __: Random) -> None:
    surplus(draft, "surplus")


@defect("a name twice in the header", "held")
def _name_twice(draft: Draft, _: Piece, rng: Random) -> None:
    surplus(draft, rng.choice(draft.table.header))


@defect("a blank name in the header", "held")
def _name_blank(draft: Draft, _: Piece, rng: Random) -> None:
    surplus(draft, rng.choice(["", " ", '""']))


@defect("a hostile name in the header", "held")
def _name_hostile(draft: Draft, _: Piece, rng: Random) -> None:
    names = ['"x""; drop table texts; --"', "'); select 1; --", "y" * 300, "{path}", "../../etc", "_file", "_malformed"]
    names += ["\u202egnp.exe", "😀"] if draft.encoding.startswith("utf") else []
    names = [name for name in names if draft.table.delimiter not in name]
    surplus(draft, rng.choice(names))


@defect("NUL in the header", "held", encodings=UNICODE)
def _name_nul(draft: Draft, _: Piece, __: Random) -> None:
    surplus(draft, "sur\0plus")
    draft.held = HEADER + "|NUL"


def respell(draft: Draft, mark: str) -> None:
    """Write the whole file with another delimiter."""
    old = draft.table.delimiter
    for piece in draft.pieces:
        made = [f'"{cell}"' if mark in cell and not cell.startswith('"') else cell for cell in piece.cells]
        piece.text = mark.join(made)
    table = draft.table
    draft.table = type(table)(table.name, mark if not draft.held else old, table.types)


@defect(
    "another delimiter in the whole file",
    "loaded",
    why="none is declared, and exactly one makes the header fit: it is taken and told",
    tables=tuple(name for name in WIDE if TABLES[name].delimiter == ","),
)
def _other_delimiter(draft: Draft, _: Piece, rng: Random) -> None:
    respell(draft, rng.choice(";\t|"))


@defect(
    "another delimiter than the declared one",
    "held",
    tables=tuple(name for name in WIDE if TABLES[name].delimiter != ","),
)
def _undeclared_delimiter(draft: Draft, _: Piece, __: Random) -> None:
    draft.held = HEADER + "|delimiter"
    respell(draft, ",")


@defect(
    "Windows-1252 that is declared as UTF-8",
    "quarantined",
    reason=r"^malformed: .*(byte|not UTF-8|decode)",
    why="the records that hold other characters than ASCII",
    tables=tuple(name for name in TABLES if TABLES[name].columns("string")),
    encodings=("utf-8", "utf-8-bom"),
)
def _wrong_encoding(draft: Draft, piece: Piece, rng: Random) -> None:
    for part in draft.pieces:
        if not part.text.isascii() or part is piece:
            part.text = re.sub(r"[^\x00-\x7f]+", "e\udce9", part.text)
    made = list(piece.cells)
    made[rng.choice(draft.table.columns("string"))] = "caf\udce9"
    draft.write(piece, made)


@defect("UTF-8 that is declared as UTF-16", "held", encodings=("utf-16-le", "utf-16-be", "utf-16"))
def _no_utf16(draft: Draft, _: Piece, __: Random) -> None:
    draft.blocks = "".join(piece.text + piece.end for piece in draft.pieces).encode()
    draft.held = r"."


@defect("UTF-16 that is declared as UTF-8", "held", encodings=("utf-8",))
def _no_utf8(draft: Draft, _: Piece, rng: Random) -> None:
    name = rng.choice(["utf-16", "utf-16-le", "utf-16-be"])
    text = "".join(piece.text + piece.end for piece in draft.pieces)
    draft.blocks = ENCODINGS[name][2] + encoded(text, name)
    draft.held = r"."


@defect(
    "UTF-8 that is declared as Latin-1",
    "legal",
    why="every byte is a character of Latin-1: " + LEGAL_AS_TEXT,
    tables=tuple(name for name in TABLES if TABLES[name].columns("string")),
    encodings=("latin-1",),
)
def _mojibake(draft: Draft, piece: Piece, rng: Random) -> None:
    made = list(piece.cells)
    made[rng.choice(draft.table.columns("string"))] = "Ωmega"
    draft.write(piece, made)
    for part in draft.pieces:
        part.text = part.text.encode().decode("latin-1")


@defect("a record that is too long", "held", reason="", why="nothing tells text from rubbish there")
def _too_long(draft: Draft, piece: Piece, rng: Random) -> None:
    strings = draft.table.columns("string") or draft.table.columns("integer")
    made = list(piece.cells)
    made[rng.choice(strings)] = "7" * 70_000
    draft.write(piece, made)
    draft.held = r"longer than|limit"


@defect("nothing but a header", "loaded", why="no record stands in it")
def _only_header(draft: Draft, _: Piece, rng: Random) -> None:
    del draft.pieces[1:]
    draft.pieces[0].end = rng.choice(["", draft.line_end, draft.line_end * 2])


@defect("nothing but blank lines", "held")
def _only_blank(draft: Draft, _: Piece, rng: Random) -> None:
    draft.pieces = [Piece("", draft.line_end, "noise") for _ in range(rng.randrange(1, 9))]
    draft.held = r"no record|empty|blank"


@defect("zero bytes", "held")
def _empty(draft: Draft, _: Piece, __: Random) -> None:
    draft.pieces, draft.blocks, draft.held = [], b"", r"empty|no record"


@defect("a packed file that was cut", "held", packings=PACKED, why="nothing of it is loaded")
def _cut_archive(draft: Draft, _: Piece, __: Random) -> None:
    draft.pack_damage, draft.held = "cut", r"."


@defect("a packed file with a wrong checksum", "held", packings=PACKED, why="nothing of it is loaded")
def _wrong_checksum(draft: Draft, _: Piece, __: Random) -> None:
    draft.pack_damage, draft.held = "checksum", r"."


@defect("a single value far out of range", "quarantined", tables=TYPED)
def _out_of_range(draft: Draft, piece: Piece, rng: Random) -> None:
    made = list(piece.cells)
    made[rng.choice(draft.table.columns("integer"))] = rng.choice(["9223372036854775808", "1e3", "1.0", "0x1F", "1_0"])
    draft.write(piece, made)
