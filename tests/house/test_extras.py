"""What a run may need is in one extra, and the image has all of it."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


def test_all_has_every_extra_of_a_run() -> None:
    """`pip install pratique[all]` brings each extra but that of development."""
    (named,) = (re.fullmatch(r"pratique\[(.*)\]", item) for item in EXTRAS["all"])
    assert named is not None
    assert set(named[1].split(",")) == EXTRAS.keys() - {"all", "dev"}


def test_the_lock_of_the_image_has_every_extra() -> None:
    """Each package that an extra names stands in the lock for containers, with a version."""
    lock = (ROOT / "requirements" / "container.txt").read_text(encoding="utf-8")
    locked = {name.lower() for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    wanted = {
        re.match(r"[\w.-]+", item)[0].lower()  # type: ignore[index] - every requirement begins with a name
        for name, items in EXTRAS.items()
        if name not in {"all", "dev"}
        for item in items
    }
    assert wanted - locked == set()
