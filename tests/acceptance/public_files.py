"""Real public files for tests: fetched out of one pinned package, never kept in the repository."""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "data" / "vega_datasets"
PACKAGE = "vega_datasets==0.9.0"
SHA256 = "3d7c63917be6ca9b154b565f4779a31fedce57b01b5b9d99d8a34a7608062a1d"
FILES = {
    "airports.csv": 3376,
    "cars.json": 406,
    "iowa-electricity.csv": 51,
    "la-riots.csv": 63,
    "ohlc.json": 44,
    "seattle-temps.csv": 8759,
    "seattle-weather.csv": 1461,
    "stocks.csv": 560,
    "us-employment.csv": 120,
    "wheat.json": 52,
}


def fetch() -> Path:
    """The folder with the files; AssertionError says plainly if they could not be fetched."""
    wheel = FOLDER / "package.whl"
    if not wheel.is_file() or hashlib.sha256(wheel.read_bytes()).hexdigest() != SHA256:
        with tempfile.TemporaryDirectory() as scratch:
            requirement = Path(scratch, "requirement.txt")
            requirement.write_text(f"{PACKAGE} --hash=sha256:{SHA256}\n", encoding="utf-8")
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            command += ["--require-hashes", "--dest", scratch, "-r", str(requirement)]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            assert done.returncode == 0, f"could not run: {PACKAGE} could not be fetched: {done.stderr}"
            FOLDER.mkdir(parents=True, exist_ok=True)
            (fetched,) = Path(scratch).glob("*.whl")
            wheel.write_bytes(fetched.read_bytes())
    with zipfile.ZipFile(wheel) as archive:
        for name in FILES:
            (FOLDER / name).write_bytes(archive.read(f"vega_datasets/_data/{name}"))
    return FOLDER
