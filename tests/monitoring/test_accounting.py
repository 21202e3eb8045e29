"""The account is arithmetic: where source, engine, destination and quarantine disagree, the load ends (Invariant 6)."""

from dataclasses import replace
from pathlib import Path

import pytest

from pratique.accounting import balance, settle
from pratique.errors import InternalError, SourceError
from pratique.model import CsvForm, FileVersion, Landed, LandedFile, Part, Segment, Tally, Written

FILE = LandedFile(Path("a.csv"), FileVersion("a.csv", "0", 1), 10, 2, {}, 0)
LANDED = Landed("s", (Part(CsvForm(("a",)), (FILE,)),), reader=None)  # nobody reads records back here
TALLY = Tally(read=10, good=7, quarantined=2, skipped={"filter": 1}, rules=(), sets=(), changed={}, per_file=(10,))
SEGMENT = Segment("p/l/1.jsonl.zst", "0", 2)


def test_an_account_that_balances():
    """Ten read are seven loaded, two held and one skipped."""
    balance(LANDED, TALLY)
    assert settle(TALLY, Written(7), SEGMENT).balances()


def test_a_file_of_which_another_number_was_read_is_the_senders():
    """The source counted ten, the engine read nine: the file is irregular."""
    with pytest.raises(SourceError, match="10 records were counted in the file, but 9 were read"):
        balance(LANDED, replace(TALLY, read=9, per_file=(9,)))


@pytest.mark.parametrize("wrong", [{"good": 8}, {"quarantined": 1}, {"skipped": {}}, {"read": 11}])
def test_a_split_that_does_not_add_up_is_ours(wrong):
    """Every single record too many or too few is noticed."""
    with pytest.raises(InternalError, match="does not balance"):
        balance(LANDED, replace(TALLY, **wrong))


@pytest.mark.parametrize(
    ("written", "segment"),
    [(Written(6), SEGMENT), (Written(8), SEGMENT), (Written(7), None), (Written(7), replace(SEGMENT, records=3))],
)
def test_what_was_written_must_be_what_was_judged(written, segment):
    """A row or a held record that is missing, or one too many, stops the commit."""
    with pytest.raises(InternalError, match="does not balance"):
        settle(TALLY, written, segment)
