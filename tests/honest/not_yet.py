"""What the product does not reach yet: damage -> deviations from what must come of it.

The tests compare exactly: a deviation without an entry is an error, and so is an entry that is no longer true.
"""

from codecs import BOM_UTF16_LE

from judging import CRASHES, HELD, REASON, SILENT, STOPPED, STOPS_NEIGHBOURS
from project_run import RECORD_BYTES_MAX
from selection import SEVERAL, Case

LARGE_CR = "a file with CR line ends, longer than a record may be"
OFFSET = "any quarantined record"
NO_OFFSET = "its byte offset is not told"
NO_MARK = "no UTF-16 under the encoding `utf-16`"

NOT_YET: dict[str, set[str]] = {
    NO_MARK: {CRASHES},
    LARGE_CR: {HELD},
    OFFSET: {NO_OFFSET},
    "a cut in the last record": {HELD},
    "a cut in the middle of the file": {HELD},
    "a cut in a character": {HELD},
    "a preamble": {HELD},
    "another delimiter in the whole file": {HELD},
    "another delimiter than the declared one": {REASON},
    "Windows-1252 that is declared as UTF-8": {HELD},
    "missing delimiter": {HELD, REASON, SILENT},
    "two surplus delimiters": {STOPPED, STOPS_NEIGHBOURS},
    "another delimiter in one record": {HELD},
    "stray quote at the start of a field": {HELD},
    "stray quote inside a field": {HELD, SILENT},
    "stray quote at the end of a field": {HELD, SILENT},
    "stray quote inside a quoted field": {HELD},
    "unclosed quote": {HELD},
    "missing opening quote": {HELD},
    "text after a closing quote": {HELD},
    "space before an opening quote": {HELD, SILENT},
    "space after a closing quote": {HELD},
    "quotes escaped by a backslash": {HELD},
    "a bad byte in a text": {HELD},
    "a bad byte in a number": {HELD},
    "a bad byte at the start of a record": {HELD},
    "a bad byte at the end of a record": {HELD},
    "a second table below": {STOPPED, STOPS_NEIGHBOURS},
    "two records in one line": {HELD, SILENT, STOPPED, STOPS_NEIGHBOURS},
    "a header again": {SILENT},
    SEVERAL: {HELD, SILENT},
}
# Entries of which the few files of the normal suite need not show anything.
ONLY_NIGHTLY = frozenset(
    {
        LARGE_CR,
        "a cut in the middle of the file",
        "another delimiter in one record",
        "another delimiter than the declared one",
    }
)


def entry(case: Case) -> str:
    """Under which name a file's deviations are listed: that of its damage, unless something else comes before it."""
    large = case.axes[0] == "CR" and len(case.unpacked) > RECORD_BYTES_MAX
    if ends_the_run(case):
        return NO_MARK
    return LARGE_CR if large and LARGE_CR in NOT_YET else case.called


def ends_the_run(case: Case) -> bool:
    """Whether a file that may be no text is read as UTF-16 with a mark, and has none."""
    read = case.axes[1] == "utf-16"
    return NO_MARK in NOT_YET and read and bool(case.unpacked) and not case.unpacked.startswith(BOM_UTF16_LE)
