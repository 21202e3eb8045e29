"""Patterns over distant folders: only what can lead to a file is looked into, and nothing that does is left out."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pratique.sources.files.pattern import PathPattern

PARTS = st.sampled_from(["a", "b", "ab", ".a", "2026-10"])
PATTERNS = st.lists(st.sampled_from(["a", "*", "**", "?b", "{x}", "{day:%Y-%m}", ".*"]), min_size=1, max_size=4)


@given(PATTERNS, st.lists(PARTS, min_size=1, max_size=5))
def test_every_folder_above_a_file_that_is_named_leads_to_it(pattern: list[str], parts: list[str]) -> None:
    """Whatever pattern names a file, no folder on the way is passed over."""
    captured = [part.replace("{x}", f"{{x{at}}}").replace("{day", f"{{d{at}") for at, part in enumerate(pattern)]
    path = PathPattern("/".join(captured), Path())
    if path.matched("/".join(parts)) is not None:
        for depth in range(1, len(parts)):
            assert path.leads("/".join(parts[:depth]), False)


@pytest.mark.parametrize(
    ("pattern", "folder", "leads"),
    [
        ("*.csv", "a", False),
        ("in/*.csv", "in", True),
        ("in/*.csv", "out", False),
        ("in/*.csv", "in/a", False),
        ("{partner}/x.csv", "acme", True),
        ("{period:%Y-%m}/x.csv", "acme", False),
        ("**/x.csv", "a/b/c", True),
        ("**/x.csv", "a/.git", False),
        ("in/**", "in/a/b", True),
        ("**", "a", True),
    ],
)
def test_a_folder_that_leads_to_nothing_is_passed_over(pattern: str, folder: str, leads: bool) -> None:  # noqa: FBT001
    """A wide server is not walked from end to end for a pattern that names one folder."""
    assert PathPattern(pattern, Path()).leads(folder, False) is leads


def test_no_link_is_followed_for_two_stars() -> None:
    """A link may lead round in a circle: it is followed where a part of the pattern stands for it."""
    assert not PathPattern("**/x.csv", Path()).leads("a/link", True)
    assert PathPattern("a/*/x.csv", Path()).leads("a/link", True)
    assert PathPattern("link/**/x.csv", Path()).leads("link/a", False)
