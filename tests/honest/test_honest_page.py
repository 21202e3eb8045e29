"""The page on honest files says what the rig demands, in the same words."""

from honest_page import PAGE, written


def test_the_page_tells_what_the_rig_demands():
    """Its tables are those of the rig; `python tests/honest/honest_page.py` writes them anew."""
    text = PAGE.read_text(encoding="utf-8")
    assert written(text) == text
