"""Print what CHANGELOG.md says of a version, for the notes of its release; fail unless tag and package agree."""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Take the tag, such as v1.2.0, and print that version's part of the changelog."""
    tag = sys.argv[1]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    if tag != f"v{version}":
        sys.exit(
            f"the tag {tag} is not the version of the package, {version}; change pyproject.toml, or tag v{version}"
        )
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    parts = dict(re.findall(r"^## (\S+)[^\n]*\n+(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    if not parts.get(version, "").strip():
        sys.exit(f"CHANGELOG.md has no part for {version}")
    sys.stdout.write(parts[version].strip() + "\n")


if __name__ == "__main__":
    main()
