"""The values of cells as text: exact, and spelled as the field of their column reads them."""

from pathlib import Path

import pytest
from workbooks import landed, one_sheet, records, rows, sheet, workbook

from pratique.schema import Field, FieldType, Schema

SIX = ("yyyy\\-mm\\-dd", "h:mm:ss", 'd"."m"."yyyy\\ hh:mm', "[h]:mm:ss", '0.00" days"', "mm:ss.0")


def values(folder: Path, cells: list[object], field: Field | None = None, **words) -> list[str]:
    """The texts of these cells in the column of a field; a reason stands without its place."""
    item = field or Field("a")
    schema = Schema("s", 1, (item, Field("b")))
    content = workbook({"S": sheet(rows([item.name, "b"], *([value, "x"] for value in cells)))}, **words)
    return [
        row.partition(": ")[2] if isinstance(row, str) else row[0] for row in records(landed(folder, content, schema))
    ]


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
