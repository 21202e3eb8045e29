"""Workbooks that are written by hand, for what no library writes, and how they are read: XML in, records out."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from pratique.model import Position
from pratique.schema import Dialect, Field, Schema
from pratique.sources import open_source

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
TYPES = (
    f'{HEAD}<Types xmlns="{PACKAGE}/content-types"><Default Extension="xml" ContentType="application/xml"/>'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>{overrides}</Types>'
)
SPREADSHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml"
CONTENT = {
    "xl/workbook.xml": "sheet.main",
    "xl/styles.xml": "styles",
    "xl/sharedStrings.xml": "sharedStrings",
    "xl/worksheets/": "worksheet",
}


def column(number: int) -> str:
    """A for 0, AA for 26."""
    return (column(number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)


def cell(place: str, value: object) -> str:
    """A cell as a program writes it: numbers bare, texts inline; a text that begins with < is the cell's own XML."""
    if isinstance(value, str) and value.startswith("<c"):
        return value.replace("<c", f'<c r="{place}"', 1)
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
    return "" if value is None else f'<c r="{place}"><v>{value}</v></c>'


def rows(*table: list[object] | None, first: int = 1, attributes: str = "") -> str:
    """Rows of a sheet one after the other; None is a row that the XML does not have."""
    made = []
    for number, values in enumerate(table, first):
        if values is not None:
            cells = "".join(cell(f"{column(at)}{number}", value) for at, value in enumerate(values))
            made.append(f'<row r="{number}"{attributes}>{cells}</row>')
    return "".join(made)


def sheet(data: str, before: str = "", after: str = "") -> str:
    """A sheet out of the XML of its rows."""
    return f'{HEAD}<worksheet xmlns="{MAIN}">{before}<sheetData>{data}</sheetData>{after}</worksheet>'


def workbook(
    sheets: Mapping[str, str],
    *,
    states: Mapping[str, str] | None = None,
    formats: tuple[str, ...] = (),
    shared: tuple[str, ...] = (),
    properties: str = "",
    calculation: str = "",
    parts: Mapping[str, str | bytes] | None = None,
) -> bytes:
    """A workbook with these sheets (name -> XML). Style 0 is General, styles 1, 2 … have the number formats given.

    `shared` are the shared texts as XML of their `si`. `parts` replaces parts, or adds some.
    """
    listed, relations, made = [], [], {}
    for number, (name, text) in enumerate(sheets.items(), 1):
        state = f' state="{states[name]}"' if states and name in states else ""
        listed.append(f'<sheet name="{escape(name)}" sheetId="{number}"{state} r:id="r{number}"/>')
        relations.append(
            f'<Relationship Id="r{number}" Type="{DOCUMENT}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        )
        made[f"xl/worksheets/sheet{number}.xml"] = text
    relations.append(f'<Relationship Id="styles" Type="{DOCUMENT}/styles" Target="styles.xml"/>')
    codes = "".join(
        f'<numFmt numFmtId="{200 + at}" formatCode="{escape(code, {chr(34): "&quot;"})}"/>'
        for at, code in enumerate(formats)
    )
    uses = "".join(f'<xf numFmtId="{200 + at}"/>' for at in range(len(formats)))
    made["xl/styles.xml"] = (
        f'{HEAD}<styleSheet xmlns="{MAIN}"><numFmts>{codes}</numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
        f'<cellXfs><xf numFmtId="0"/>{uses}</cellXfs></styleSheet>'
    )
    if shared:
        relations.append(f'<Relationship Id="texts" Type="{DOCUMENT}/sharedStrings" Target="/xl/sharedStrings.xml"/>')
        made["xl/sharedStrings.xml"] = (
            f'{HEAD}<sst xmlns="{MAIN}">{"".join(f"<si>{text}</si>" for text in shared)}</sst>'
        )
    made["xl/_rels/workbook.xml.rels"] = (
        f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships">{"".join(relations)}</Relationships>'
    )
    made["xl/workbook.xml"] = (
        f'{HEAD}<workbook xmlns="{MAIN}" xmlns:r="{DOCUMENT}">{properties}<sheets>{"".join(listed)}</sheets>'
        f"{calculation}</workbook>"
    )
    made["_rels/.rels"] = (
        f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="r1" Type="{DOCUMENT}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    )
    overrides = "".join(
        f'<Override PartName="/{name}" ContentType="{SPREADSHEET}.{kind}+xml"/>'
        for name in made
        for part, kind in CONTENT.items()
        if name.startswith(part)
    )
    made["[Content_Types].xml"] = TYPES.format(overrides=overrides)
    made.update(parts or {})
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in made.items():
            archive.writestr(name, text)
    return content.getvalue()


def one_sheet(*table: list[object] | None, name: str = "Sheet1", **words) -> bytes:
    """A workbook of one sheet."""
    return workbook({name: sheet(rows(*table))}, **words)


ANY = Schema("s", 1, (Field("a"), Field("b")))


def landed(folder: Path, content: bytes, schema: Schema = ANY, dialect: Dialect | None = None, **words):
    """Land a.xlsx with this content."""
    (folder / "a.xlsx").write_bytes(content)
    if dialect:
        schema = Schema(schema.name, 1, schema.fields, extra_fields=schema.extra_fields, dialect=dialect)
    words = {"workspace": folder, **words}
    return open_source("s", path="a.xlsx", base=folder, format="excel", schema=schema, **words).land(Position())


def records(result) -> list[list[str] | str]:
    """Every record as the engine gets it: its values, or why it cannot be judged."""
    assert result.held == ()
    (part,) = result.parts
    text = part.files[0].path.read_bytes().decode()
    made = list(csv.reader(io.StringIO(text, newline="")))[part.form.skip :]
    mark = part.form.broken
    found = [bytes.fromhex(row[0].removeprefix(mark)).decode() if row[0].startswith(mark) else row for row in made]
    assert len(found) == result.count
    return found
