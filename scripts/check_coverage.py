"""Fail unless the code that a promise hangs on was covered whole by the tests: every line and every branch.

That is what commits, marks, quarantines and reconciles. Reads what `pytest --cov` measured just before.
"""

import argparse
import sys
from pathlib import Path

from coverage import Coverage
from coverage.exceptions import NoDataError

WHOLE = (
    "src/pratique/accounting.py",
    "src/pratique/destinations/*.py",
    "src/pratique/ingestion/*.py",
    "src/pratique/ledger/*.py",
    "src/pratique/quarantine/*.py",
)


def main() -> None:
    """Name each file that is not covered whole, or was not measured; end with 1 if there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patterns", nargs="*", default=WHOLE, help="files, relative to the working folder")
    patterns = parser.parse_args().patterns
    files = {pattern: [path.resolve() for path in Path().glob(pattern)] for pattern in patterns}
    wanted = {str(path) for found in files.values() for path in found}
    coverage = Coverage()
    coverage.load()
    told = [
        f"{pattern}: no such file; was it renamed? see {Path(__file__).name}" for pattern in files if not files[pattern]
    ]
    told += [f"{path}: not measured" for path in sorted(wanted - coverage.get_data().measured_files())]
    try:
        share = coverage.report(include=sorted(wanted), show_missing=True, skip_covered=True)
    except NoDataError:
        share = 0.0
    if share < 100:  # noqa: PLR2004 - per cent
        told.append(
            f"{share:.2f} % of the lines and branches were covered: write a test, or delete what nothing reaches"
        )
    sys.exit("\n".join(told) or 0)


if __name__ == "__main__":
    main()
