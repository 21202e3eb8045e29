"""Damage to one record, or to the lines beside it."""

from random import Random

from base_tables import TABLES
from defects import BYTES, COUNT, LEGAL_AS_TEXT, QUOTES, TYPED, UNICODE, WIDE, defect
from drafts import BAD, LINE_END, Draft, Piece

STRINGS = tuple(name for name, table in TABLES.items() if table.columns("string"))
DECIMALS = tuple(name for name, table in TABLES.items() if table.columns("decimal(9,2)"))
DATES = tuple(name for name, table in TABLES.items() if table.columns("date"))
CONTROLS = "\x01\x07\x0b\x0c\x1a\x1b\x1c\x1e\x7f"
SEPARATORS = "\x85\u2028\u2029"
ONE_COLUMN = "in a table of one column " + LEGAL_AS_TEXT


def put(draft: Draft, piece: Piece, rng: Random, cell: str, kind: str = "string") -> None:
    """Put a cell in the place of another of its type."""
    made = list(piece.cells)
    made[rng.choice(draft.table.columns(kind))] = cell
    draft.write(piece, made)


def at_boundary(draft: Draft, piece: Piece, rng: Random, what: str) -> None:
    """Put something between two cells."""
    made = list(piece.cells)
    place = rng.randrange(1, len(made)) if len(made) > 1 else 1
    draft.write(piece, [*made[:place], *what, *made[place:]])


@defect("missing delimiter", "quarantined", reason=QUOTES, tables=WIDE, local=True)
def _missing_delimiter(draft: Draft, piece: Piece, rng: Random) -> None:
    place = rng.randrange(1, len(piece.cells))
    made = list(piece.cells)
    draft.write(piece, [*made[: place - 1], made[place - 1] + made[place], *made[place + 1 :]])


@defect("surplus delimiter", "quarantined", reason=COUNT, local=True)
def _surplus_delimiter(draft: Draft, piece: Piece, rng: Random) -> None:
    at_boundary(draft, piece, rng, [""])


@defect("two surplus delimiters", "quarantined", reason=COUNT, local=True)
def _two_surplus_delimiters(draft: Draft, piece: Piece, rng: Random) -> None:
    at_boundary(draft, piece, rng, ["", ""])


@defect("surplus empty last field", "quarantined", reason=COUNT, local=True)
def _empty_last(draft: Draft, piece: Piece, _: Random) -> None:
    draft.write(piece, [*piece.cells, ""])


@defect("surplus empty first field", "quarantined", reason=COUNT, local=True)
def _empty_first(draft: Draft, piece: Piece, _: Random) -> None:
    draft.write(piece, ["", *piece.cells])


@defect("another delimiter in one record", "quarantined", reason=QUOTES, tables=WIDE, local=True)
def _other_delimiter(draft: Draft, piece: Piece, _: Random) -> None:
    other = ";" if draft.table.delimiter != ";" else ","
    draft.write(piece, [other.join(piece.cells)])


@defect("stray quote at the start of a field", "quarantined", reason=QUOTES, tables=STRINGS, local=True, quotes=True)
def _quote_at_start(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, '"broken')


@defect("stray quote inside a field", "quarantined", reason=QUOTES, tables=STRINGS, local=True, quotes=True)
def _quote_inside(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, 'bro"ken')


@defect("stray quote at the end of a field", "quarantined", reason=QUOTES, tables=STRINGS, local=True, quotes=True)
def _quote_at_end(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, 'broken"')


@defect("stray quote inside a quoted field", "quarantined", reason=QUOTES, tables=STRINGS, local=True, quotes=True)
def _quote_inside_quoted(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, '"bro"ken"')


@defect("unclosed quote", "quarantined", reason=QUOTES, tables=STRINGS, local=True, quotes=True)
def _unclosed(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, f'"broken{draft.table.delimiter} and so on')


@defect("missing opening quote", "quarantined", reason=QUOTES, tables=STRINGS, local=True, quotes=True)
def _missing_opening(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, f'broken{draft.table.delimiter} and so on"')


@defect("text after a closing quote", "quarantined", reason=QUOTES, tables=STRINGS, local=True)
def _text_after_quote(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, '"broken"text')


@defect("space before an opening quote", "quarantined", reason=QUOTES, tables=STRINGS, local=True)
def _space_before_quote(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, ' "broken"')


@defect("space after a closing quote", "quarantined", reason=QUOTES, tables=STRINGS, local=True)
def _space_after_quote(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, '"broken" ')


@defect("quotes escaped by a backslash", "quarantined", reason=QUOTES, tables=STRINGS, local=True)
def _broken_escape(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, r'"the \"broken\" one"')


@defect(
    "a record in quotes as a whole",
    "quarantined",
    "legal",
    reason=COUNT,
    why=ONE_COLUMN,
    local=True,
)
def _quoted_record(draft: Draft, piece: Piece, _: Random) -> None:
    draft.write(piece, ['"' + LINE_END.sub(" ", piece.text).replace('"', '""') + '"'])


@defect("typographic quotes", "legal", why=LEGAL_AS_TEXT, tables=STRINGS, encodings=UNICODE, local=True)
def _typographic(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, "“broken”")


@defect("NUL in a field", "quarantined", reason=r"^malformed: .*NUL", tables=STRINGS, local=True)
def _nul(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, rng.choice(["bro\0ken", '"bro\0ken"', "\0"]))


@defect(
    "control characters in a text",
    "legal",
    why="a control character is a character: `pattern` keeps it out where it is not wanted",
    tables=STRINGS,
    local=True,
)
def _control(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, f"bro{rng.choice(CONTROLS)}ken")


@defect("control characters in a number", "quarantined", tables=DECIMALS, local=True)
def _control_in_number(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, f"12{rng.choice(CONTROLS)}.50", "decimal(9,2)")


@defect(
    "line separators of Unicode in a text",
    "loaded",
    why="they end no record",
    tables=STRINGS,
    encodings=UNICODE,
    local=True,
)
def _separators(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, f"bro{rng.choice(SEPARATORS)}ken")


def bad(draft: Draft) -> str:
    """What the declared encoding cannot decode; in Latin-1 every byte is a character."""
    return "\x81" if draft.encoding == "latin-1" else BAD


_BAD_WHY = "in Latin-1 every byte is a character"


@defect("a bad byte in a text", "quarantined", "legal", reason=BYTES, why=_BAD_WHY, tables=STRINGS, local=True)
def _bad_byte(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, rng.choice(["bro{}ken", '"bro{}ken"', "{}"]).format(bad(draft)))


@defect("a bad byte in a number", "quarantined", reason=BYTES, tables=DECIMALS, local=True)
def _bad_byte_in_number(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, f"12{bad(draft)}.50", "decimal(9,2)")


@defect("a bad byte at the start of a record", "quarantined", "legal", reason=BYTES, why=_BAD_WHY, local=True)
def _bad_first_byte(draft: Draft, piece: Piece, _: Random) -> None:
    first = piece.cells[0]
    cell = f'"{bad(draft)}{first[1:]}' if first.startswith('"') else bad(draft) + first
    draft.write(piece, [cell, *piece.cells[1:]])


@defect("a bad byte at the end of a record", "quarantined", "legal", reason=BYTES, why=_BAD_WHY, local=True)
def _bad_last_byte(draft: Draft, piece: Piece, _: Random) -> None:
    last = piece.cells[-1]
    cell = f'{last[:-1]}{bad(draft)}"' if last.endswith('"') else last + bad(draft)
    draft.write(piece, [*piece.cells[:-1], cell])


@defect("a decimal comma that is not declared", "quarantined", tables=DECIMALS, local=True)
def _decimal_comma(draft: Draft, piece: Piece, rng: Random) -> None:
    cell = "1234,50"
    put(draft, piece, rng, f'"{cell}"' if draft.table.delimiter == "," else cell, "decimal(9,2)")


@defect("thousands separators that are not declared", "quarantined", tables=DECIMALS, local=True)
def _thousands(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, rng.choice(['"1,234.50"', "1 234.50", "1'234.50", "1_234.50"]), "decimal(9,2)")


@defect("an ambiguous date", "quarantined", tables=DATES, local=True)
def _ambiguous_date(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, rng.choice(["01/02/2024", "01.02.2024", "2024-2-1", "20240201", "01-02-24"]), "date")


@defect("a date that does not exist", "quarantined", tables=DATES, local=True)
def _no_date(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, rng.choice(["2024-02-30", "2023-02-29", "2024-13-01", "0000-00-00"]), "date")


@defect(
    "two records in one line",
    "quarantined",
    "legal",
    reason=QUOTES,
    why=ONE_COLUMN,
)
def _merged(draft: Draft, piece: Piece, _: Random) -> None:
    records = draft.records()
    place = min(records.index(piece), len(records) - 2)
    one, two = records[place], records[place + 1]
    one.text, one.end, one.cells = one.text + two.text, two.end, []
    draft.pieces.remove(two)


@defect(
    "a line end inside a record",
    "quarantined",
    reason=QUOTES,
    why="in a table of one column it ends the record",
    tables=WIDE,
)
def _cut(draft: Draft, piece: Piece, rng: Random) -> None:
    place = rng.randrange(1, len(piece.cells))
    mark, made = draft.table.delimiter, [*piece.cells[:-1], piece.cells[-1] or "x"]
    draft.insert(piece, mark.join(made[:place]) + mark)
    piece.text = mark.join(made[place:])


@defect(
    "a lone carriage return in a text",
    "quarantined",
    why="in a table of one column it ends the record",
    reason=r"^malformed",
    tables=tuple(name for name in STRINGS if name != "words"),
    line_ends=("LF", "CRLF"),
    local=True,
)
def _stray_return(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, "bro\rken")


@defect("a record twice", "legal", why="without a key " + LEGAL_AS_TEXT)
def _doubled(draft: Draft, piece: Piece, _: Random) -> None:
    draft.insert(piece, piece.text)


@defect("blank lines", "loaded", why="they are counted and hold nothing")
def _blank_lines(draft: Draft, piece: Piece, rng: Random) -> None:
    for _ in range(rng.randrange(1, 4)):
        draft.insert(piece, "", "noise")


@defect("a line of spaces", "quarantined", "legal", reason=COUNT, why=ONE_COLUMN)
def _spaces(draft: Draft, piece: Piece, _: Random) -> None:
    draft.insert(piece, "   ")


@defect("a comment that is not declared", "quarantined", "legal", reason=COUNT, why=ONE_COLUMN)
def _comment(draft: Draft, piece: Piece, _: Random) -> None:
    draft.insert(piece, "# exported at noon")


@defect(
    "a header again",
    "quarantined",
    reason=r"header|\.type",
    why="a record that repeats the header is none, even where all columns are texts",
)
def _header_again(draft: Draft, piece: Piece, _: Random) -> None:
    draft.insert(piece, draft.table.delimiter.join(draft.table.header), reason=r"header|\.type")


@defect(
    "a byte order mark before a record",
    "quarantined",
    "legal",
    reason=r"byte order mark|\.type",
    why=f"in a text column {LEGAL_AS_TEXT}",
    encodings=UNICODE,
)
def _mark_in_the_middle(draft: Draft, piece: Piece, _: Random) -> None:
    first = "plain" if piece.text.startswith('"') else piece.cells[0]
    draft.write(piece, ["\ufeff" + first, *piece.cells[1:]])


@defect("a number with a unit", "quarantined", tables=TYPED, local=True)
def _unit(draft: Draft, piece: Piece, rng: Random) -> None:
    put(draft, piece, rng, rng.choice(["12 kg", "USD 12", "12%", "n/a", "-"]), "integer")
