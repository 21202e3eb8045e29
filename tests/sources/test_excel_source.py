"""Excel workbooks: the table of one sheet as exact text; a cell that cannot be told costs its record."""

import csv
import gzip
import io
import zipfile
from pathlib import Path

import pytest
from workbooks import MAIN, one_sheet, rows, sheet, workbook

from pratique.model import Position
from pratique.schema import Dialect, Field, FieldType, Schema
from pratique.sources import ReadLimits, open_source
from pratique.sources.files.excel_cut import SheetRows, _Handlers, _taken
from pratique.sources.files.excel_parts import Xml

ANY = Schema("s", 1, (Field("a"), Field("b")))
SIX = ("yyyy\\-mm\\-dd", "h:mm:ss", 'd"."m"."yyyy\\ hh:mm', "[h]:mm:ss", '0.00" days"', "mm:ss.0")


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


def values(folder: Path, cells: list[object], field: Field | None = None, **words) -> list[str]:
    """The texts of these cells in the column of a field; a reason stands without its place."""
    item = field or Field("a")
    schema = Schema("s", 1, (item, Field("b")))
    content = workbook({"S": sheet(rows([item.name, "b"], *([value, "x"] for value in cells)))}, **words)
    return [
        row.partition(": ")[2] if isinstance(row, str) else row[0] for row in records(landed(folder, content, schema))
    ]


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


# --- values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("7", "7"),
        ("-7", "-7"),
        ("7.0", "7"),
        ("0.10000000000000001", "0.1"),
        ("847.4299999999999", "847.43"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("1.10", "1.1"),
        ("-.5", "-0.5"),
        ("1E+16", "10000000000000000"),
        ("1.5E-7", "0.00000015"),
        ("-1.2345E2", "-123.45"),
        ("1E+300", "1E+300"),
        ("1E+999", "1E+999"),
        ("12345678901234567890", "12345678901234567890"),
        ("9007199254740993", "9007199254740993"),
        ("0.1234567890123456789", "0.1234567890123456789"),
        ("1234567890.12", "1234567890.12"),
        ("0", "0"),
        ("0.0", "0"),
        ("100", "100"),
    ],
)
def test_a_number_has_the_fewest_digits_that_are_it(tmp_path, written, text):
    """The 16 or 17 digits of a double become its shortest text; every other number keeps all of its digits."""
    assert values(tmp_path, [f"<c><v>{written}</v></c>"]) == [text]


@pytest.mark.parametrize(
    "written", ["abc", "1,5", "0x10", "1_000", "nan", "inf", "1e", " ", "\u0661", "--1", "1 2", "#N/A", "1e99999"]
)
def test_what_is_no_number_is_not_taken_for_one(tmp_path, written):
    """A cell of the kind number that holds another text costs its record, whatever Python would read in it."""
    assert values(tmp_path, ["1", f"<c><v>{written}</v></c>", "2"])[1] == f"{written!r} is not a number"


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        ('<c t="b"><v>1</v></c>', "true"),
        ('<c t="b"><v>0</v></c>', "false"),
        ('<c t="str"><f>A1</f><v>007</v></c>', "007"),
        ('<c t="str"><f>""</f><v></v></c>', ""),
        ("<c><f>1+1</f><v>2</v></c>", "2"),
        ('<c t="s"><v>0</v></c>', "00123"),
        ('<c t="s"><v>1</v></c>', "bold and not"),
        ('<c t="s"><v>2</v></c>', "a\rb\n<c>"),
        ('<c t="s"><v>3</v></c>', ""),
        ('<c t="inlineStr"><is><r><t>a</t></r><rPh><t>no</t></rPh><r><t xml:space="preserve"> b</t></r></is></c>', "a b"),
        ('<c t="inlineStr"><is><t>#N/A</t></is></c>', "#N/A"),
        ('<c t="inlineStr"><is><t>_x005F_x000D_ "q", x</t></is></c>', '_x000D_ "q", x'),
        ('<c t="inlineStr"><is><t>_xD83D__xDE00_</t></is></c>', "\U0001f600"),
        ('<c t="d"><v>2024-02-29</v></c>', "2024-02-29"),
        ('<c t="d"><v>2024-02-29T12:30:00</v></c>', "2024-02-29T12:30:00"),
        ('<c t="n" s="0"/>', ""),
    ],
)  # fmt: skip
def test_kinds_of_cells(tmp_path, xml, text):
    """Booleans, texts of every kind and the stored results of formulas come out as they are."""
    shared = ("<t>00123</t>", "<r><rPr><b/></rPr><t>bold</t></r><r><t> and not</t></r><rPh><t>x</t></rPh>",
              "<t>a_x000D_b\n&lt;c&gt;</t>", "<t/>")  # fmt: skip
    assert values(tmp_path, [xml], shared=shared) == [text]


@pytest.mark.parametrize(
    ("xml", "problem"),
    [
        ('<c t="e"><v>#N/A</v></c>', "it holds the error #N/A"),
        ('<c t="e"><f>1/0</f><v>#DIV/0!</v></c>', "it holds the error #DIV/0!"),
        ('<c t="e"/>', "it holds the error"),
        ("<c><f>1+1</f></c>", "its formula was not computed: open the workbook in Excel, and save it"),
        ("<c><f>1+1</f><v></v></c>", "its formula was not computed: open the workbook in Excel, and save it"),
        ('<c t="str"><f>A1</f></c>', "its formula was not computed: open the workbook in Excel, and save it"),
        ('<c t="s"><v>9</v></c>', "there is no shared text '9'"),
        ('<c t="s"><v>-1</v></c>', "there is no shared text '-1'"),
        ('<c s="77"><v>1</v></c>', "there is no style '77'"),
        ('<c t="q"><v>1</v></c>', "'q' is no kind of a value"),
        ('<c t="b"><v>yes</v></c>', "'yes' is neither true nor false"),
        ('<c t="d"><v>yesterday</v></c>', "'yesterday' is no date in ISO 8601"),
    ],
)
def test_a_cell_that_cannot_be_told_costs_its_record(tmp_path, xml, problem):
    """The reason names the cell; the neighbours are read, and what can be told of the record comes back."""
    content = workbook({"My Sheet": sheet(rows(["a", "b"], [1, "x"], ["y", xml], [3, "z"]))})
    result = landed(tmp_path, content)
    first, broken, last = records(result)
    assert (first, last) == (["1", "x"], ["3", "z"])
    assert broken.rstrip() == f"My Sheet!B3: {problem}"
    (raw,) = result.reader.records(result.parts[0], result.files[0], [3])
    assert (raw.number, raw.line, raw.sheet, raw.raw, raw.values["a"]) == (3, 3, "My Sheet", None, "y")


@pytest.mark.parametrize(
    ("text", "problem"),
    [("_x0000_", "a text holds a NUL character"), ("_xD800_", "a text holds half of a surrogate pair")],
)
def test_a_text_that_no_table_can_hold_costs_its_record(tmp_path, text, problem):
    """NUL and half characters can be written by escapes only, and are held."""
    assert records(landed(tmp_path, one_sheet(["a", "b"], [1, text], [2, "x"]))) == [
        f"Sheet1, row 2: {problem}",
        ["2", "x"],
    ]


def test_formulas_that_wait_for_a_computation_are_not_believed(tmp_path):
    """A library that cannot compute writes 0 for every formula, and asks Excel to compute on loading."""
    content = workbook(
        {"S": sheet(rows(["a", "b"], [1, "<c><f>A2</f><v>0</v></c>"], [2, 3]))},
        calculation='<calcPr calcId="124519" fullCalcOnLoad="1"/>',
    )
    assert records(landed(tmp_path, content)) == [
        "S!B2: its formula was not computed: open the workbook in Excel, and save it",
        ["2", "3"],
    ]


# --- dates ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("style", "serial", "text"),
    [
        (1, "45351", "2024-02-29"),
        (1, "45351.5", "2024-02-29T12:00:00"),
        (1, "1", "1900-01-01"),
        (1, "59", "1900-02-28"),
        (1, "61", "1900-03-01"),
        (1, "2958465", "9999-12-31"),
        (2, "0.5", "12:00:00"),
        (2, "0", "00:00:00"),
        (2, "45351.25", "2024-02-29T06:00:00"),
        (2, "0.000011574074074074", "00:00:01"),
        (3, "45351", "2024-02-29T00:00:00"),
        (3, "45351.520833333336", "2024-02-29T12:30:00"),
        (3, "45351.999999999", "2024-03-01T00:00:00"),
        (3, "45351.00000144676", "2024-02-29T00:00:00.125"),
        (4, "1.5", "PT36H"),
        (4, "0.5208333333333334", "PT12H30M"),
        (4, "-0.25", "-PT6H"),
        (4, "0", "PT0S"),
        (5, "1.5", "1.5"),
        (6, "0.00070023148148148147", "00:01:00.500"),
    ],
)
def test_numbers_under_a_format_of_dates(tmp_path, style, serial, text):
    """The number format says whether a number is a date, a time or a duration; what it does not show is not lost."""
    assert values(tmp_path, [f'<c s="{style}"><v>{serial}</v></c>'], formats=SIX) == [text]


@pytest.mark.parametrize(
    ("style", "serial", "problem"),
    [
        (1, "60", "29 February 1900 is no day, though Excel has it"),
        (3, "60.75", "29 February 1900 is no day, though Excel has it"),
        (1, "0", "0 January 1900 is no day, though Excel shows it"),
        (1, "-1", "-1 is no date or time: it is negative"),
        (1, "2958466", "2958466 is no date: the last day is 9999-12-31"),
        (1, "1E+300", "1E+300 is no date: the last day is 9999-12-31"),
        (1, "x", "'x' is not a number"),
    ],
)
def test_dates_that_are_none(tmp_path, style, serial, problem):
    """29 February 1900, the days before the first and behind the last one cost their record."""
    found = values(tmp_path, [f'<c s="{style}"><v>{serial}</v></c>'], formats=SIX)
    assert found == [problem]


def test_the_date_system_of_1904(tmp_path):
    """In a workbook of that system day 0 is the first of January 1904, and 1900 has no part in it."""
    cells = [f'<c s="1"><v>{serial}</v></c>' for serial in ("0", "60", "43889")]
    properties = '<workbookPr date1904="1"/>'
    assert values(tmp_path, cells, formats=SIX, properties=properties) == ["1904-01-01", "1904-03-01", "2024-02-29"]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("General", "45351.5"),
        ("0.00E+00", "45351.5"),
        ('0 "days"', "45351.5"),
        ("[Red]0;[Blue]-0", "45351.5"),
        ("\\d0", "45351.5"),
        ("_d0*y", "45351.5"),
        ("[$-409]mmm\\ yy;@", "2024-02-29T12:00:00"),
        ("[$-F800]dddd", "2024-02-29T12:00:00"),
        ("[$-411]ggge", "2024-02-29T12:00:00"),
        ("[hh]:mm", "PT1088436H"),
        ("[Mm]", "PT1088436H"),
    ],
)
def test_number_formats(tmp_path, code, text):
    """Only letters that mean a date count: none in quotes, behind a backslash, in colours, in General or an exponent."""
    assert values(tmp_path, ['<c s="1"><v>45351.5</v></c>'], formats=(code,)) == [text]


# --- the field decides on the spelling ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "xml", "text"),
    [
        (Field("a", FieldType("number"), decimal_char=",", group_char="."), "<c><v>1.234</v></c>", "1,234"),
        (Field("a", FieldType("decimal", 9, 3), decimal_char=","), "<c><v>-1234.5</v></c>", "-1234,5"),
        (Field("a", FieldType("integer"), group_char="."), "<c><v>1.234</v></c>", "1,234"),
        (Field("a", FieldType("integer"), group_char=","), "<c><v>1.234</v></c>", "1.234"),
        (Field("a", FieldType("string"), decimal_char=","), "<c><v>1.5</v></c>", "1.5"),
        (Field("a", FieldType("date"), format="%d.%m.%Y"), '<c s="1"><v>45351</v></c>', "29.02.2024"),
        (Field("a", FieldType("date"), format="%m/%d"), '<c s="1"><v>45351</v></c>', "2024-02-29"),
        (Field("a", FieldType("date")), '<c s="3"><v>45351</v></c>', "2024-02-29"),
        (Field("a", FieldType("date")), '<c s="3"><v>45351.5</v></c>', "2024-02-29T12:00:00"),
        (Field("a", FieldType("datetime")), '<c s="1"><v>45351</v></c>', "2024-02-29T00:00:00"),
        (Field("a", FieldType("time"), format="%H.%M"), '<c s="2"><v>0.5</v></c>', "12.00"),
        (
            Field("a", FieldType("boolean"), true_values=("ja",), false_values=("nein",)),
            '<c t="b"><v>0</v></c>',
            "nein",
        ),
        (Field("a", FieldType("boolean")), '<c t="b"><v>1</v></c>', "true"),
    ],
)
def test_a_value_is_spelled_as_its_field_reads_it(tmp_path, field, xml, text):
    """1.234 in a cell is one and a quarter, also where a schema of texts says that a point groups thousands."""
    assert values(tmp_path, [xml], field, formats=SIX) == [text]


def test_two_fields_that_want_two_spellings_hold_the_file(tmp_path):
    """No text of a number is read alike with a decimal comma and with a decimal point."""
    fields = (
        Field("x", FieldType("number"), aliases=("a",)),
        Field("y", FieldType("number"), aliases=("a",), decimal_char=","),
    )
    assert "x and y" in reason(tmp_path, one_sheet(["a"], [1.5]), Schema("s", 1, fields))


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
    assert records(landed(tmp_path, book, dialect=Dialect(sheet="2"))) == [["1", "x"]]
    assert reason(tmp_path, both, dialect=Dialect(sheet="Tow")) == "it has no sheet 'Tow'"
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
