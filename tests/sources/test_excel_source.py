"""Excel workbooks: where the table stands in a sheet, and what comes of damaged ones."""

import gzip
import io
import zipfile
from pathlib import Path

import pytest
from workbooks import ANY, MAIN, landed, one_sheet, records, rows, sheet, workbook

from pratique.model import Position
from pratique.schema import Dialect, Field, FieldType, Schema
from pratique.sources import ReadLimits, open_source
from pratique.sources.files.excel_cut import SheetRows, _Handlers, _taken
from pratique.sources.files.excel_parts import Xml


def reason(folder: Path, content: bytes, *arguments, **words) -> str:
    """Why a file is held; something is said of what to do, and nothing is left behind."""
    before = set(folder.iterdir()) | {folder / "a.xlsx"}
    result = landed(folder, content, *arguments, **words)
    assert result.parts == ()
    (held,) = result.held
    assert held.hint
    assert held.version.size == len(content)
    assert held.version.sha256
    assert set(folder.iterdir()) == before
    return held.reason


# --- where the table stands ---------------------------------------------------------------------------------------


def test_records_keep_the_numbers_of_their_rows(tmp_path):
    """The first record under the header of row 1 is number 2; a blank row holds none, and the row in the sheet is told."""
    result = landed(tmp_path, one_sheet(["a", "b"], [1, "x"], None, ["", None], ["<c s='0'/>"], [2, "y"]))
    assert records(result) == [["1", "x"], ["2", "y"]]
    (file,) = result.files
    assert (file.first_number, file.blank_lines, file.records) == (2, 3, 2)
    given = list(result.reader.records(result.parts[0], file, [2, 3]))
    assert [(raw.number, raw.line, dict(raw.values)) for raw in given] == [
        (2, 2, {"a": "1", "b": "x"}),
        (3, 6, {"a": "2", "b": "y"}),
    ]


def test_the_header_is_found_below_a_preamble(tmp_path):
    """By the schema's names, wherever the table begins; what stands above is told, records are numbered by their row."""
    table = [["Report"], [None, "of", "2024"], None, [None, "a", "b"], [None, 1, "x"], [None, None, "y"]]
    result = landed(tmp_path, one_sheet(*table))
    assert records(result) == [["1", "x"], ["", "y"]]
    assert result.files[0].first_number == 5
    assert result.notices == ("s: a.xlsx: its header stands in row 4: the rows above it are left out",)


def test_a_value_beside_the_table_costs_its_record(tmp_path):
    """A value under no header is not dropped; `range` says that it does not belong to the table."""
    content = one_sheet([None, "a", "b"], ["note", 1, "x"], [None, 2, "y", "z"], [None, 3, "w", ""])
    assert records(landed(tmp_path, content)) == [
        "Sheet1!A2: it stands beside the table",
        "Sheet1!D3: it stands beside the table",
        ["3", "w"],
    ]
    for area in ("B1:C4", "B:C", "b1:c"):
        assert records(landed(tmp_path, content, dialect=Dialect(cell_range=area))) == [
            ["1", "x"],
            ["2", "y"],
            ["3", "w"],
        ]
    assert records(landed(tmp_path, content, dialect=Dialect(cell_range="B1:C2"))) == [["1", "x"]]


def test_no_header(tmp_path):
    """Without a header the columns are the schema's, from the first of the range on."""
    content = one_sheet([None, 1, "x"], [None, 2, "y"])
    result = landed(tmp_path, content, dialect=Dialect(header=False, cell_range="B:C"))
    assert records(result) == [["1", "x"], ["2", "y"]]
    assert result.files[0].first_number == 1
    assert "the first record has 1 fields" in reason(tmp_path, content, dialect=Dialect(header=False, cell_range="B:B"))


def test_several_header_rows_comments_and_a_footer(tmp_path):
    """The last header row names the columns; comments and the footer are no records."""
    table = [["A", "group"], ["a", "b"], ["# no", None], [1, "x"], [2, "y"], ["Sum", 3], ["", "of all"]]
    dialect = Dialect(header_rows=2, comment_char="#", footer="^Sum,|^,of")
    result = landed(tmp_path, one_sheet(*table), dialect=dialect)
    assert records(result) == [["1", "x"], ["2", "y"]]
    below = one_sheet(["a", "b"], ["Sum", 1], [2, "y"])
    assert reason(tmp_path, below, dialect=Dialect(footer="^Sum")) == "row 3 stands below the footer"


def test_a_header_again_is_no_record(tmp_path):
    """A second table below with the same header costs that header."""
    assert records(landed(tmp_path, one_sheet(["a", "b"], [1, "x"], ["a", "b"])))[1] == "it repeats the header"


def test_the_only_sheet_with_data_is_read(tmp_path):
    """Empty sheets do not count; a hidden sheet with data is told, and never taken unasked."""
    data, other = sheet(rows(["a", "b"], [1, "x"])), sheet(rows(["k", "v"], ["q", 2]))
    book = workbook({"Empty": sheet('<row r="5"/>'), "Data": data, "Lists": other}, states={"Lists": "veryHidden"})
    result = landed(tmp_path, book)
    assert records(result) == [["1", "x"]]
    assert result.notices == ("s: a.xlsx: its hidden sheet 'Lists' holds data, too, and is not read",)
    both = workbook({"One": data, "Two": data})
    assert reason(tmp_path, both) == "2 of its sheets hold data: 'One', 'Two'"
    assert records(landed(tmp_path, both, dialect=Dialect(sheet="Two"))) == [["1", "x"]]
    assert records(landed(tmp_path, book, dialect=Dialect(sheet=2))) == [["1", "x"]]
    assert reason(tmp_path, both, dialect=Dialect(sheet="Tow")) == "it has no sheet 'Tow'"
    assert reason(tmp_path, both, dialect=Dialect(sheet="2")) == "it has no sheet '2'"
    assert reason(tmp_path, both, dialect=Dialect(sheet=3)) == "it has no sheet 3"
    assert "only hidden" in reason(tmp_path, workbook({"A": data}, states={"A": "hidden"}))
    assert reason(tmp_path, workbook({"A": sheet("")})) == "it holds no data"


def test_hidden_rows_hidden_columns_and_merged_cells_are_told(tmp_path):
    """They are read like the others: nothing is left out because it is not seen."""
    data = rows(["a", "b"], [1, "x"]) + rows([2, "y"], [3, None], first=3, attributes=' hidden="1"')
    before = '<cols><col min="2" max="5" hidden="1"/></cols>'
    after = '<mergeCells count="2"><mergeCell ref="B3:B4"/><mergeCell ref="A1:B1"/></mergeCells>'
    result = landed(tmp_path, workbook({"S": sheet(data, before, after)}))
    assert records(result) == [["1", "x"], ["2", "y"], ["3", ""]]
    assert [notice.removeprefix("s: a.xlsx: ") for notice in result.notices] == [
        "2 of its records stand in hidden rows (3, 4), and are read like the others",
        "its columns 'b' are hidden, and are read like the others",
        "cells are merged in its records (B3:B4): only the first cell of each holds the value",
    ]


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (["a", "c"], "its header does not fit: missing 'b', unknown 'c'"),
        (["a"], "its header does not fit: missing 'b'"),
        (["a", None, "b"], "its header has no name for column 2"),
        (["a", "b", "B"], "differs in case only"),
        (["x", "y"], "is no header of the schema s"),
        (["<c t='e'><v>#REF!</v></c>", "b"], "its header in row 1 cannot be read: Sheet1!A1: it holds the error #REF!"),
    ],
)
def test_a_header_that_does_not_fit_holds_the_file(tmp_path, header, part):
    """As in CSV; nothing of the file is loaded."""
    assert part in reason(tmp_path, one_sheet(header, [1, 2]))


def test_two_fields_that_want_two_spellings_hold_the_file(tmp_path):
    """No text of a number is read alike with a decimal comma and with a decimal point."""
    fields = (
        Field("x", FieldType("number"), aliases=("a",)),
        Field("y", FieldType("number"), aliases=("a",), decimal_char=","),
    )
    assert "x and y" in reason(tmp_path, one_sheet(["a"], [1.5]), Schema("s", 1, fields))


# --- damage -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ('<row r="2"><c r="A2"><v>1</v></c><c r="A2"><v>2</v></c></row>', "Sheet1: the cell A2 stands twice"),
        (
            '<row r="2"><c r="B2"><v>1</v></c><c r="A2"><v>2</v></c></row>',
            "Sheet1: the cell A2 stands twice, or behind",
        ),
        ('<row r="2"><c r="A3"><v>1</v></c></row>', "Sheet1: the cell A3 stands in row 2"),
        ('<row r="2"><c r="7"><v>1</v></c></row>', "Sheet1: '7' is no cell"),
    ],
)
def test_a_cell_at_a_wrong_place_costs_its_record(tmp_path, data, problem):
    """Which of two values is meant cannot be known."""
    content = workbook({"Sheet1": sheet(rows(["a", "b"]) + data + rows([8, 9], first=3))})
    broken, sound = records(landed(tmp_path, content))
    assert broken.startswith(problem)
    assert sound == ["8", "9"]


def test_rows_and_cells_without_numbers(tmp_path):
    """Some programs do not number rows and cells: then they follow each other. A prefix of names changes nothing."""
    data = "<row><c t='inlineStr'><is><t>a</t></is></c><c t='inlineStr'><is><t>b</t></is></c></row><row><c/><c><v>2</v></c></row>"
    assert records(landed(tmp_path, workbook({"S": sheet(data)}))) == [["", "2"]]
    prefixed = (
        sheet(data).replace("<", "<x:").replace("<x:/", "</x:").replace("<x:?", "<?").replace("xmlns=", "xmlns:x=")
    )
    assert records(landed(tmp_path, workbook({"S": prefixed}))) == [["", "2"]]
    strict = sheet(data).replace(MAIN, "http://purl.oclc.org/ooxml/spreadsheetml/main")
    assert records(landed(tmp_path, workbook({"S": strict}))) == [["", "2"]]


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (rows([1], first=3) + rows([2], first=2), "row 2 stands behind row 3"),
        (rows([1], first=2) + rows([2], first=2), "row 2 stands behind row 2"),
        ('<row r="1048577"/>', "row 1048577 stands behind"),
        ('<row r="x"/>', "'x' is no number of a row"),
        ('<row r="2"><row r="3"/></row>', "a row stands at a wrong place"),
        ('<row r="2"><c r="XFE2"><v>1</v></c></row>', "more cells than a sheet can hold"),
        ('<row r="2"><c r="A2"><c r="B2"/></c></row>', "a cell stands outside of a row"),
        ('<row r="2"><c r="A2"><v>1<v>2</v></v></c></row>', "a value stands inside of a value"),
        ("<c r='A2'/>", "a cell stands outside of a row"),
        ("<x>" * 200 + "</x>" * 200, "its elements nest too deep"),
        ('<row r="2">', "is no XML"),
        ("<![CDATA[<row >]]>", "has 2 rows by one count, and 1 by another"),
        ('<row r="2"><c r="A2" t="str"><v>&x;</v></c></row>', "is no XML"),
    ],
)
def test_a_broken_sheet_holds_the_file(tmp_path, data, part):
    """Where rows are out of order or the XML is broken nobody could say what the records are."""
    assert part in reason(tmp_path, workbook({"S": sheet(rows(["a", "b"]) + data)}))


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "it is empty"),
        (b"a,b\n1,2\n", "it is no workbook but begins with 'a,b'"),
        (b"\x04Mary" + b" " * 160, "it is the mark that Excel leaves beside a workbook while it is open"),
        (b"<html><table>", "it is no workbook but HTML, XML or JSON"),
        (b"\xff\xfe\x00", "it is no workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "it is an Excel file of the old kind (.xls)"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le"),
            "it is protected by a password",
        ),
        (workbook({}, parts={"xl/workbook.bin": b"", "_rels/.rels": "<Relationships/>"}), "it is a binary workbook (.xlsb)"),
        (workbook({}, parts={"word/document.xml": "", "_rels/.rels": "<Relationships/>"}), "it is a Word document"),
        (workbook({}, parts={"_rels/.rels": "<Relationships/>"}), "it does not say where its sheets are"),
        (one_sheet(["a"])[:-30], "the workbook is damaged"),
        (one_sheet(["a"])[:300], "the workbook is damaged"),
        (workbook({"S": "nonsense"}), "is no XML"),
        (workbook({"S": f'<worksheet xmlns="{MAIN}x"/>'}), "it is no sheet but 'worksheet'"),
        (workbook({"S": sheet(rows(["a"]))}, parts={"xl/styles.xml": "<s><cellXfs><xf numFmtId='q'/></cellXfs></s>"}), "the number of a style"),
    ],
)  # fmt: skip
def test_what_is_no_sound_workbook_is_held_with_what_to_do(tmp_path, content, part):
    """A CSV or HTML under the wrong name, old and encrypted files, other Office files, and files that are cut off."""
    assert part in reason(tmp_path, content)


def _without(content: bytes, name: str) -> bytes:
    """A workbook without one of its parts."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(made, "w") as other:
        for item in archive.infolist():
            if item.filename != name:
                other.writestr(item.filename, archive.read(item))
    return made.getvalue()


@pytest.mark.parametrize(
    "part", ["xl/styles.xml", "xl/sharedStrings.xml", "xl/worksheets/sheet1.xml", "xl/_rels/workbook.xml.rels"]
)
def test_a_part_that_is_missing_holds_the_file(tmp_path, part):
    """Without its styles a date would be a number; a part that is named but missing is never done without."""
    content = one_sheet(["a", "b"], [1, 2], shared=("<t>x</t>",))
    assert reason(tmp_path, _without(content, part)) == f"the workbook is incomplete: {part} is missing"


def test_a_document_type_is_refused(tmp_path):
    """An XML bomb is not unpacked: no document type is read, in whatever part."""
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>'
    text = sheet(rows(["a", "b"])).replace("?>\n", f"?>{bomb}", 1).replace("</sheetData>", "<row>&b;</row></sheetData>")
    assert "declares a document type" in reason(tmp_path, workbook({"S": text}))
    shared = f"<?xml version='1.0'?>{bomb}<sst/>"
    content = workbook({"S": sheet(rows(["a"]))}, shared=("<t/>",), parts={"xl/sharedStrings.xml": shared})
    assert "declares a document type" in reason(tmp_path, content)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    """Expansion is limited as for packed files; so is the text of a cell, and a tag without an end."""
    limits = ReadLimits(unpacked_bytes_max=4 << 20)
    blank = workbook({"S": sheet(rows(["a", "b"]) + " " * (8 << 20))})
    assert "unpacks to more than 4,194,304 bytes" in reason(tmp_path, blank, limits=limits)
    small = ReadLimits(record_bytes_max=1 << 20)
    for text in (f"<row><c t='str'><v>{'x' * (3 << 20)}</v></c></row>", f"<row><c r='{'x' * (3 << 20)}'/></row>"):
        assert "longer than 1,048,576 bytes" in reason(tmp_path, workbook({"S": sheet(text)}), limits=small)
    shared = workbook({"S": sheet(rows(["a"]))}, shared=(f"<t>{'x' * (3 << 20)}</t>",))
    assert "1,048,576 bytes" in reason(tmp_path, shared, limits=small)


def test_a_false_dimension_costs_nothing(tmp_path):
    """What the sheet says of its size is not believed."""
    text = sheet(rows(["a", "b"], [1, 2]), '<dimension ref="A1:XFD1048576"/>')
    assert records(landed(tmp_path, workbook({"S": text}))) == [["1", "2"]]


def test_a_packed_workbook(tmp_path):
    """A workbook in a gzip or in a zip is unpacked; its own zip is not."""
    content = one_sheet(["a", "b"], [1, 2])
    assert records(landed(tmp_path, gzip.compress(content))) == [["1", "2"]]
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("inner.xlsx", content)
    assert records(landed(tmp_path, outer.getvalue())) == [["1", "2"]]


def test_several_workbooks_are_one_part(tmp_path):
    """Files with the same header are read together, each with its own count."""
    for name, value in (("1.xlsx", 1), ("2.xlsx", 2)):
        (tmp_path / name).write_bytes(one_sheet(["a", "b"], [value, "x"]))
    source = open_source("s", path="*.xlsx", base=tmp_path, format="excel", schema=ANY, workspace=tmp_path)
    result = source.land(Position())
    assert [(len(part.files), result.count) for part in result.parts] == [(2, 2)]


def test_the_copy_is_nobody_elses(tmp_path):
    """What is written on the way can be read by its owner only."""
    result = landed(tmp_path, one_sheet(["a", "b"], [1, 2]))
    assert result.files[0].path.stat().st_mode & 0o777 == 0o600


def test_usual_rows_are_taken_without_a_parser():
    """Rows as all programs write them do not go through expat: that is a third of the time."""
    text = sheet(rows(["a", "b"], *([number, "<c><v>1.5</v></c>"] for number in range(1000))))
    out = SheetRows(None, "sheet", 1 << 20)
    reading = Xml("sheet")
    assert _taken(text.encode(), reading, _Handlers(reading, out)) == b""
    assert len(out.made) == 1001
    assert reading._size < 400


def test_rows_in_a_comment_are_none(tmp_path):
    """Wherever a comment begins and ends, and however the file is cut into pieces, what it holds is not read."""
    hidden = rows(["9", "no"], first=3)
    for text in (
        sheet(rows(["a", "b"], [1, "x"]) + f"<!-- {hidden} -->" + rows([2, "y"], first=4)),
        sheet(rows(["a", "b"], [1, "x"]) + rows([2, "y"], first=4), f"<!-- <sheetData>{hidden} -->"),
        sheet(rows(["a", "b"], [1, "x"]) + rows([2, "y"], first=4), f"<!-- {' ' * (2 << 20)} <sheetData>{hidden} -->"),
    ):
        result = landed(tmp_path, workbook({"S": text}))
        assert "by one count" in result.held[0].reason if result.held else records(result) == [["1", "x"], ["2", "y"]]
