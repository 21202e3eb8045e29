"""Take out of an environment what no run needs: tests and headers of libraries, parts that nothing loads, symbols.

A pattern that finds nothing is an error where its package is installed: the library has changed: look at it again.
"""

import subprocess
import sys
from pathlib import Path
from shutil import rmtree

DROPPED = (
    "apprise/assets/themes/",  # pictures
    "apprise/i18n/*/",  # translations
    "azure/**/aio/",  # the same clients once more, for asyncio: 3 MB
    "botocore/data/*/",  # descriptions of every service of AWS: 20 MB
    "duckdb/experimental/",  # what looks like Spark: 1.5 MB
    "google/cloud/_storage_v2/",  # RPC of Google, which would need a package that is not there: 1.5 MB
    "numpy/**/include/",
    "numpy/**/tests/",
    "numpy/**/*.a",
    "numpy/f2py/",
    "numpy/**/*.pyi",
    "pyarrow/tests/",
    "pyarrow/include/",
    "pyarrow/src/",
    "pyarrow/**/*.px[di]",
    "pyarrow/**/*.pyx",
    "pyarrow/*flight*",  # RPC of Arrow: 35 MB
    "pyarrow/*arrow_s3*",  # files in S3, as Arrow reads them: 17 MB
    "pyarrow/_s3fs*.so",
    "pygments/lexers/[!_]*.py",  # colours for the code of 500 languages: 10 MB
)
KEPT = ("botocore/data/s3", "botocore/data/sso", "botocore/data/sso-oidc", "botocore/data/sts", "botocore/data/signin")
KEPT += ("pygments/lexers/python.py", "pygments/lexers/special.py")
LINKED = ("pyarrow/libarrow_python*.so*",)  # a wheel cannot hold links, so it holds the same library three times


def main() -> None:
    """Slim the environment that is named on the command line."""
    (packages,) = Path(sys.argv[1]).glob("lib/python3.*/site-packages")
    kept = {packages / name for name in KEPT}
    for pattern in DROPPED:
        for path in found(packages, pattern):
            if path in kept or not path.exists():
                continue
            if path.is_dir():
                rmtree(path)
            else:
                path.unlink()
    for pattern in LINKED:
        link_copies(sorted(found(packages, pattern), key=lambda path: (-len(path.name), path.name)))
    # What lies in NAME.libs was moved there by the makers of the wheel, and does not survive it.
    libraries = [path for path in packages.rglob("*.so*") if not path.is_symlink() and ".libs" not in str(path.parent)]
    subprocess.run(["strip", "--strip-unneeded", *sorted(libraries)], check=True)


def found(packages: Path, pattern: str) -> list[Path]:
    """What a pattern names, if its package is there; then it must name something."""
    if not (packages / pattern.partition("/")[0]).is_dir():
        return []
    paths = sorted(packages.glob(pattern))
    if not paths:
        sys.exit(f"slim: {pattern} finds nothing in {packages}")
    return paths


def link_copies(paths: list[Path]) -> None:
    """Make files of equal content links to the first of them."""
    seen: dict[bytes, Path] = {}
    for path in paths:
        first = seen.setdefault(path.read_bytes(), path)
        if first is not path:
            path.unlink()
            path.symlink_to(first.name)


if __name__ == "__main__":
    main()
