"""Parquet files with flipped bits, other bytes, missing ends: refused, or read as they were; never a process that ends."""

from collections import Counter

import pytest
from parquet_fuzz import OTHER, QUARANTINED, REFUSED, SAME, WRONG, fuzz


def came_of(folder, seed: int, count: int) -> tuple[Counter[str], Counter[str]]:
    """The outcomes of files with and without checksums. No crash, no hang, no error but of the file."""
    found = fuzz(folder, seed, count)
    broken = [line for line in found if line["outcome"] in {"crash", OTHER}]
    assert not broken, broken[:5]
    assert len(found) == count
    with_checksums = [line for line in found if line["checksums"]]
    wrong = [line for line in with_checksums if line["outcome"] == WRONG]
    assert not wrong, wrong[:5]
    return Counter(line["outcome"] for line in with_checksums), Counter(
        line["outcome"] for line in found if not line["checksums"]
    )


def test_damaged_files(tmp_path):
    """With checksums no damage is read as good data; without them most is noticed, and the test can tell."""
    verified, others = came_of(tmp_path, 11, 100)
    assert set(verified) == {REFUSED, SAME}
    assert verified[REFUSED] > others[REFUSED] > 0
    assert set(others) <= {REFUSED, SAME, QUARANTINED, WRONG}
    assert others[WRONG]  # the negative control: damage that decodes is there, and this test sees it


@pytest.mark.nightly
def test_many_damaged_files(tmp_path):
    """The same for thousands; honest-files.md tells the shares."""
    verified, _ = came_of(tmp_path, 2, 3000)
    assert set(verified) <= {REFUSED, SAME, QUARANTINED}
