"""Files of known types, made at random: what is inferred is what they were made of, and every record is loaded."""

import csv
import json
import string
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pratique.cli.main import program
from pratique.documents import load_document
from pratique.inference.layout import Line, flow, laid_out, scalar
from pratique.inference.names import field_names, file_name

ROWS = 12
DAY = date(2000, 1, 1)


def integers(draw: st.DrawFn) -> list[str]:
    """Whole numbers of 64 bits."""
    return [str(draw(st.integers(-(2**63), 2**63 - 1))) for _ in range(ROWS)]


def decimals(draw: st.DrawFn) -> list[str]:
    """Amounts with two places, one of which is not zero."""
    return ["0.25", *(f"{Decimal(draw(st.integers(-(10**6), 10**6))) / 100:.2f}" for _ in range(ROWS - 1))]


def commas(draw: st.DrawFn) -> list[str]:
    """The same as Germans write it."""
    return [value.replace(".", ",") for value in decimals(draw)]


def floats(draw: st.DrawFn) -> list[str]:
    """Measurements with an exponent."""
    return [repr(draw(st.floats(1e-30, 1e-10))) for _ in range(ROWS)]


def days(draw: st.DrawFn) -> list[date]:
    """Days, among them one that cannot be a month."""
    return [date(2024, 3, 25), *(DAY + timedelta(draw(st.integers(0, 20_000))) for _ in range(ROWS - 1))]


def iso(draw: st.DrawFn) -> list[str]:
    """Days in ISO 8601."""
    return [str(day) for day in days(draw)]


def european(draw: st.DrawFn) -> list[str]:
    """Days with slashes, the day first."""
    return [day.strftime("%d/%m/%Y") for day in days(draw)]


def american(draw: st.DrawFn) -> list[str]:
    """Days with slashes, the month first."""
    return [day.strftime("%m/%d/%Y") for day in days(draw)]


def moments(draw: st.DrawFn) -> list[str]:
    """Points in time."""
    return [
        str(datetime.fromisoformat("2024-01-01") + timedelta(seconds=draw(st.integers(0, 10**8)))) for _ in range(ROWS)
    ]


def codes(draw: st.DrawFn) -> list[str]:
    """Postal codes: one begins with a zero."""
    return ["01067", *(f"{draw(st.integers(0, 99999)):05}" for _ in range(ROWS - 1))]


def truths(draw: st.DrawFn) -> list[str]:
    """Yes and no, both of them."""
    return ["yes", "no", *(draw(st.sampled_from(["yes", "no"])) for _ in range(ROWS - 2))]


def words(draw: st.DrawFn) -> list[str]:
    """Texts that are no number and no word for nothing."""
    alphabet = string.ascii_letters + ' ,;"\näß€'
    return [f"w {draw(st.text(alphabet, max_size=8))} w" for _ in range(ROWS)]


KINDS = {
    integers: "integer", decimals: "decimal(9,2)", commas: "decimal(9,2)", floats: "number", iso: "date",
    european: "date", american: "date", moments: "datetime", codes: "string", truths: "boolean", words: "string",
}  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, list[str], list[list[str]]]:
    """A delimiter, the types of the columns, and the rows; in some columns some values are missing."""
    makers = draw(st.lists(st.sampled_from(list(KINDS)), min_size=2, max_size=6))
    columns = []
    for maker in makers:
        values = maker(draw)
        if maker is not words and draw(st.booleans()):
            values = [*values, draw(st.sampled_from(["", "NA" if KINDS[maker] != "string" else ""]))]
        else:
            values = [*values, values[0]]
        columns.append(values)
    return (
        draw(st.sampled_from(",;\t|")),
        [KINDS[maker] for maker in makers],
        [list(row) for row in zip(*columns, strict=True)],
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables())
def test_what_is_inferred_is_what_the_file_was_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: tuple[str, list[str], list[list[str]]]
) -> None:
    """Types and requiredness are those of the maker, whatever the delimiter; the run holds no record."""
    mark, kinds, rows = made
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    folder.mkdir()
    monkeypatch.chdir(folder)
    with Path("data.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=mark)
        writer.writerow([f"field{number}" for number in range(len(kinds))])
        writer.writerows(rows)
    done = CliRunner().invoke(program, ["init", "data.csv", "--json"])
    assert done.exit_code == 0, done.output
    profile, report = (json.loads(line) for line in done.stdout.splitlines())
    columns = profile["tables"][0]["columns"]
    assert [column["type"] for column in columns] == kinds
    for column, values in zip(columns, zip(*rows, strict=True), strict=True):
        missing = sum(value in {"", "NA"} for value in values)
        assert (column["missing"], column["required"]) == (missing, missing == 0)
    assert report["sources"][0]["account"]["loaded"] == len(rows)
    assert CliRunner().invoke(program, ["lint", "--strict"]).exit_code == 0


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=12),
        st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=30),
        max_size=4,
    )
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read_back(tmp_path: Path, values: dict[str, str]) -> None:
    """Any text as key or value, in a mapping on one line, is the same text for the reader of the language."""
    path = tmp_path / "x.yaml"
    path.write_text(laid_out([Line(f"{scalar('top')}: {flow(values)}", "why")]), encoding="utf-8", newline="")
    assert load_document(path).value == {"top": values}


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs", "Cn"]), min_size=1, max_size=8), min_size=1, max_size=6)
)
def test_names_are_names(headers: list[str]) -> None:
    """Whatever a header says: names that no two fields share, without blanks, and files that systems can hold."""
    names = field_names(headers)
    assert len({name.lower() for name in names}) == len(headers)
    assert all(name == name.strip() and name and not name.lower().startswith("_pratique") for name in names)
    assert all(file_name(header).isascii() and 0 < len(file_name(header)) <= 50 for header in headers)
