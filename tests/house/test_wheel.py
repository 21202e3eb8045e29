"""US-06: what is published can be built again by anybody, byte by byte."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def build(folder: Path, mode: int, moment: int) -> dict[str, bytes]:
    """Wheel and source package, built in a folder of its own from files with these permissions and this age."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
            target.chmod(mode)
            os.utime(target, (moment, moment))
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONHASHSEED": str(moment % 1000),
        "TZ": "UTC" if moment % 2 else "Asia/Tokyo",
    }
    command = [sys.executable, "-m", "hatchling", "build", "--directory", "dist"]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return {path.name: path.read_bytes() for path in (folder / "dist").iterdir()}


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, bytes]]:
    """Two builds by two people: other folders, other permissions, other times, another time zone."""
    return [
        build(tmp_path_factory.mktemp("one"), 0o644, 1_500_000_001),
        build(tmp_path_factory.mktemp("two"), 0o600, 1_700_000_000),
    ]


def test_two_builds_are_equal(builds: list[dict[str, bytes]]) -> None:
    """Wheel and source package have the same bytes, whoever builds them, where and when."""
    first, second = builds
    assert {Path(name).suffix for name in first} == {".whl", ".gz"}
    assert [name for name in first if first[name] != second.get(name)] == []


def test_the_wheel_holds_the_package_alone(builds: list[dict[str, bytes]], tmp_path: Path) -> None:
    """Code, its types and the licence; no tests, no data, no secrets."""
    name = next(name for name in builds[0] if name.endswith(".whl"))
    (tmp_path / name).write_bytes(builds[0][name])
    inside = zipfile.ZipFile(tmp_path / name).namelist()
    assert {file.split("/")[0] for file in inside} == {
        "pratique",
        name.removesuffix("-py3-none-any.whl") + ".dist-info",
    }
    assert any(file.endswith("/LICENSE") for file in inside)
    assert "pratique/py.typed" in inside
