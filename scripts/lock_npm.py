"""Write the locks of npm packages: versions and hashes, and no address of anybody."""

import json
import subprocess
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"


def main() -> None:
    """Let npm resolve, and take out the addresses that ask for money."""
    command = ["npm", "install", "--package-lock-only", "--omit-lockfile-registry-resolved", "--ignore-scripts"]
    for manifest in sorted(REQUIREMENTS.glob("*/package.json")):
        subprocess.run([*command, "--silent"], cwd=manifest.parent, check=True)
        path = manifest.parent / "package-lock.json"
        lock = json.loads(path.read_text(encoding="utf-8"))
        for package in lock["packages"].values():
            package.pop("funding", None)
        path.write_text(json.dumps(lock, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
