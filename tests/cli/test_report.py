"""What a run says at its end, drawn for 80 and 120 columns and kept as text to look at.

`PRATIQUE_SNAPSHOTS=write pytest tests/cli/test_report.py` writes the texts anew: read the difference before committing it.
"""

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pratique.cli.account import moment
from pratique.cli.report import duration, numbered, places, render
from pratique.cli.text import columns
from pratique.measures import score
from pratique.model import Account, Cause, FileVersion, HeldFile, RuleTally, SetVerdict, Written
from pratique.reports import Problem, RunReport, SourceReport

SNAPSHOTS = Path(__file__).parent / "snapshots"
NOW = datetime(2026, 10, 31, 7, 5, tzinfo=UTC)

SALES = SourceReport(
    source="sales",
    table="partner.sales",
    outcome="loaded",
    account=Account(48_330, 47_902, 308, {"loaded before": 120}),
    written=Written(47_902),
    quality=98.74,
    dimensions={"completeness": 100.0, "consistency": 99.97, "uniqueness": 100.0, "validity": 95.0},
    warnings=(RuleTally("big_order", None, "warn", "consistency", 48_330, 3),),
    causes=(
        Cause(
            "amount.type",
            "amount",
            'not decimal(12,2): "1.234,50 €"',
            296,
            tuple(("globex/sales_2026-10.csv", number) for number in range(2, 12)),
        ),
        Cause(
            "in_period",
            None,
            "sold_on 2026-11-01 in a 2026-10 file",
            12,
            (("acme/sales_2026-10.csv", 88), ("acme/sales_2026-10.csv", 412)),
        ),
    ),
    changed={"amount": 47_902, "sold_on": 0},
    files_loaded=2,
    files_known=("acme/sales_2026-09.csv",),
    newest="2026-10-31",
    seconds=41.2,
)
CUSTOMERS = SourceReport(
    source="customers",
    table="customers",
    outcome="loaded",
    account=Account(12_480, 12_480, 0),
    written=Written(212, 1_068, 11_200),
    disposition="merge",
    quality=100.0,
    dimensions={"validity": 100.0},
    files_loaded=1,
    newest="2026-10-31 06:58",
    seconds=3.0,
)
INVOICES = SourceReport(
    source="invoices",
    table="invoices",
    outcome="failed",
    problem=Problem(
        "source",
        "in/invoices_2026-10.csv is not UTF-8: byte 0xFC in line 37",
        "say `encoding: windows-1252` in the dialect of schemas/invoice.yaml",
        exit_code=3,
    ),
)
LINES = SourceReport(
    source="lines",
    table="lines",
    outcome="not run",
    problem=Problem("source", "its parent invoices failed", "", exit_code=3),
)


def report(*sources: SourceReport, **changes: object) -> RunReport:
    """Give a report of these sources, done in 72 seconds unless said otherwise."""
    values = {
        "run_id": "7f3a91c04d5e4f6a8b9c0d1e2f3a4b5c",
        "pipeline": "shop_daily",
        "environment": "prod",
        "outcome": "done",
        "exit_code": 0,
        "started_at": "2026-10-31T07:00:04+00:00",
        "ended_at": "2026-10-31T07:01:16+00:00",
        "sources": sources,
        "destination": "warehouse (duckdb, data/warehouse.duckdb)",
    }
    return RunReport(**{**values, **changes})


def source(name: str = "sales", outcome: str = "loaded", **changes: object) -> SourceReport:
    """Give a report of one source."""
    return SourceReport(**{"source": name, "table": name, "outcome": outcome, **changes})


GATED = source(
    "flights",
    "gated",
    judged=Account(1_000, 600, 400),
    causes=(
        Cause("tailnum.pattern", "tailnum", 'does not match N[0-9A-Z]{1,5}: "D942DN"', 390, (("flights.csv", 7),)),
        Cause("planes.tailnum", "tailnum", "no such plane", 10, ()),
    ),
    sets=(SetVerdict("no_gaps", "fail", passed=False, message="count(*) > 0 is false"),),
    problem=Problem(
        "gate",
        "400 of 1,000 rows would be quarantined (40.00 %), allowed are 10.00 %",
        "mend the source, or raise quarantine.max_share of the source in pipelines/nyc.yaml:7",
        exit_code=1,
    ),
)
HUGE = source(
    "lineitem",
    account=Account(999_999_999, 999_999_990, 1, {"identical": 8}),
    causes=(Cause("primaryKey", None, "2 different rows of key (1, 2)", 1, (("lineitem.tbl", 1_000_000),)),),
    newest="1998-12-01",
)

REPORTS = {
    "done": report(CUSTOMERS, source("unchanged_one", "unchanged", files_known=("a.csv",), account=Account(0, 0, 0))),
    "partial": report(SALES, CUSTOMERS, INVOICES, LINES, outcome="partial", exit_code=8),
    "failed": report(
        outcome="failed",
        exit_code=4,
        problem=Problem(
            "destination_locked",
            "data/warehouse.duckdb is held by process 4711 (duckdb), waited 30 s",
            "close that process, then run again",
            exit_code=4,
        ),
    ),
    "gated": report(GATED, outcome="gated", exit_code=1),
    "held": report(
        source(
            account=Account(10, 10, 0),
            held=(
                HeldFile(
                    FileVersion("in/b.csv", "0" * 64, 12),
                    'the header has "Betrg", which the schema sales@2 does not know; it wants "Betrag"',
                    "add the name to `from:` of field amount in schemas/sales.yaml:14",
                ),
            ),
        ),
        outcome="partial",
        exit_code=8,
    ),
    "dry_run": report(SALES, dry_run=True),
    "all_quarantined": report(
        source(account=Account(5, 0, 5), causes=(Cause("id.required", "id", "is missing", 5, (("a.jsonl", 1),)),))
    ),
    "huge": report(HUGE, source("parts", account=Account(999_999_999, 999_999_999, 0))),
    "unicode": report(
        source(
            "売上",
            account=Account(3, 2, 1),
            causes=(
                Cause("金額.type", "金額", 'not decimal(12,2): "１２３円"', 1, (("入力/売上_2026年10月.csv", 3),)),
            ),
        ),
        source("été", account=Account(1, 1, 0)),
        pipeline="日次",
    ),
    "long_names": report(
        source(
            "a_source_with_a_name_as_long_as_names_may_be_0123456789_0123456",
            account=Account(123_456_789, 123_456_789, 0),
            newest="2026-10-31T06:58:00+00:00",
        ),
        source(
            "b" * 64,
            "failed",
            problem=Problem("source", "the file " + "x" * 200 + " is gone", "", "pipelines/a.yaml:3:5", 3),
        ),
        pipeline="p" * 64,
        outcome="partial",
        exit_code=8,
    ),
    "unbalanced": report(source(account=Account(10, 8, 1)), outcome="failed", exit_code=5),
    "running": report(outcome="running", ended_at="", started_at="2026-10-30T23:59:00+00:00"),
    "interrupted": report(
        CUSTOMERS,
        outcome="interrupted",
        exit_code=7,
        problem=Problem("interrupted", "stopped by SIGTERM", "run it again", exit_code=7),
    ),
}


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", REPORTS)
def test_the_report_reads_as_drawn(name: str, width: int) -> None:
    """Each kind of report is drawn as in its snapshot, and no line is wider than the terminal."""
    text = render(REPORTS[name], width=width, now=NOW) + "\n"
    kept = SNAPSHOTS / f"{name}_{width}.txt"
    if os.environ.get("PRATIQUE_SNAPSHOTS") == "write":
        kept.write_text(text, encoding="utf-8")
    assert text == kept.read_text(encoding="utf-8")
    assert max(columns(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize("width", [80, 120])
def test_runs_show_tells_more(width: int) -> None:
    """The detailed report has time, files and rewritten values of each source and every dimension of quality."""
    text = render(REPORTS["partial"], width=width, now=NOW, detail=True) + "\n"
    kept = SNAPSHOTS / f"detail_{width}.txt"
    if os.environ.get("PRATIQUE_SNAPSHOTS") == "write":
        kept.write_text(text, encoding="utf-8")
    assert text == kept.read_text(encoding="utf-8")
    assert max(columns(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize("name", REPORTS)
def test_colour_changes_no_character(name: str) -> None:
    """A coloured report without its colours is the plain report."""
    coloured = render(REPORTS[name], width=100, now=NOW, color=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render(REPORTS[name], width=100, now=NOW)


def test_data_cannot_steer_the_terminal() -> None:
    """Escape sequences, line ends and bidi marks in names, messages and reasons are shown, not obeyed."""
    evil = "a\x1b[2Jb\nc\u202ed\x9b"
    bad = report(
        source(
            evil,
            "failed",
            account=Account(1, 0, 1, {evil: 0}),
            causes=(Cause(evil, evil, evil, 1, ((evil, 1),)),),
            sets=(SetVerdict(evil, "warn", passed=None, message=evil),),
            held=(HeldFile(FileVersion(evil, "", 0), evil, evil),),
            warnings=(RuleTally(evil, None, "warn", "x", 1, 1),),
            files_known=(evil,),
            newest=evil,
            problem=Problem("source", evil, evil, evil),
        ),
        pipeline=evil,
        environment=evil,
        destination=evil,
        notices=(evil,),
    )
    text = render(bad, width=120, now=NOW, detail=True)
    assert not set(text) & {"\x1b", "\u202e", "\x9b"}
    assert r"a\x1b[2Jb\nc\u202ed\x9b" in text


def test_numbers_stand_under_each_other() -> None:
    """The signs of the account stand in the same columns on every line, up to 999,999,999 records."""
    for name in ("huge", "partial"):
        lines = [line for line in render(REPORTS[name], width=120, now=NOW).splitlines()[1:] if " = " in line]
        assert len(lines) >= 3
        assert len({(line.index("="), line.index("+")) for line in lines}) == 1


def test_commands_can_be_typed_as_printed() -> None:
    """Commands end with the options that were typed, so that they mean the same project."""
    text = render(REPORTS["partial"], width=120, now=NOW, options=" --env prod")
    assert "pratique quarantine show Q1 --run 7f3a91 --env prod" in text
    assert "pratique runs show 7f3a91 --env prod" in text


def test_a_dry_run_offers_nothing_that_it_did_not_write() -> None:
    """A dry run is on no ledger and in no quarantine: neither is named as a place to look."""
    text = render(REPORTS["dry_run"], width=120, now=NOW)
    assert "quarantine show" not in text
    assert "runs show" not in text


def test_causes_are_numbered_by_size() -> None:
    """Q1 is the largest cause; equal ones follow source and rule, so that each listing gives the same names."""
    causes = [
        ("b", Cause("r", None, "", 1)),
        ("a", Cause("s", None, "", 1)),
        ("a", Cause("r", None, "", 1)),
        ("z", Cause("r", None, "", 9)),
    ]
    assert [(short, name, cause.rule) for short, name, cause in numbered(causes)] == [
        ("Q1", "z", "r"),
        ("Q2", "a", "r"),
        ("Q3", "a", "s"),
        ("Q4", "b", "r"),
    ]


def test_places_join_neighbours_and_claim_no_more_than_known() -> None:
    """Known numbers are joined to ranges; the others are counted, not guessed."""
    cause = Cause("r", None, "", 300, (("a.csv", 2), ("a.csv", 3), ("a.csv", 4), ("a.csv", 9), ("b.parquet", 1)))
    assert places(cause) == "a.csv lines 2–4, 9 · b.parquet row 1, +295"  # noqa: RUF001
    assert places(Cause("r", None, "", 3)) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (12.4, "12 s"),
        (59.6, "1 min 0 s"),
        (72, "1 min 12 s"),
        (7_500, "2 h 5 min"),
        (97_200, "1 d 3 h"),
    ],
)
def test_durations_have_two_units(seconds: float, text: str) -> None:
    """A time span is told in the two largest units."""
    assert duration(seconds) == text


def test_quality_is_never_rounded_up_to_perfect() -> None:
    """99.99 is 99.9: only what is perfect is 100."""
    assert (score(99.99), score(100.0), score(0.0)) == ("99.9", "100", "0.0")


def test_a_share_that_is_not_nothing_is_not_shown_as_nothing() -> None:
    """One row of a billion has a share that says so."""
    assert "<0.01 %" in render(REPORTS["huge"], width=120, now=NOW)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2013-12-30", "2013-12-30"),
        ("2013-12-30T23:00:00+00", "2013-12-30 23:00"),
        ("2013-12-30T23:00:00-05:30", "2013-12-31 04:30"),
        ("2013-12-30T23:00:00.123456", "2013-12-30 23:00"),
        ("2026-10-31T06:58:00+00", "06:58 today"),
        ("2026-10-31", "2026-10-31"),
        ("no date\x1b", r"no date\x1b"),
    ],
)
def test_newest_data_is_told_as_people_read_it(text: str, said: str) -> None:
    """A time of the data stands without seconds, in the zone of the report; a date stays a date."""
    assert moment(text, NOW) == said


def test_a_cause_stands_on_one_line_where_two_places_fit() -> None:
    """Places give way before a line is broken: two of them stay, the others are counted; `runs show` names all known."""
    cause = Cause("dest.enum", "dest", 'not one of A, B: "C"', 500, tuple(("flights.csv", 2 * n) for n in range(1, 11)))
    text = render(report(source(account=Account(500, 0, 500), causes=(cause,))), width=90, now=NOW)
    assert 'Q1  500  sales.dest.enum   not one of A, B: "C"   flights.csv lines 2, 4, 6, 8, 10, +495' in text
    detailed = render(report(source(account=Account(500, 0, 500), causes=(cause,))), width=90, now=NOW, detail=True)
    assert "flights.csv lines 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, +490" in detailed


def test_a_gated_source_with_an_earlier_load_keeps_its_account() -> None:
    """What earlier loads of the same run brought in is on the account, whatever the gate refused afterwards."""
    partly = source("flights", "gated", account=Account(10, 9, 1), judged=Account(1_000, 600, 400))
    text = render(report(partly, outcome="partial", exit_code=8), width=120, now=NOW)
    assert re.search(r"flights +GATED +10 = +9 \+ +1 \+ +0", text)
