"""Write what an image is made of, as CycloneDX, and fail unless it names every package that was locked for it."""

import json
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
SYFT = Path(sys.executable).parent / "syft"
OF_THE_SYSTEM = {"libc6", "ca-certificates"}  # of Debian: the base of the image was looked at too


def locked() -> set[str]:
    """Names and versions that the lock asks for inside the image: Linux, CPython 3.12."""
    inside = {"sys_platform": "linux", "python_version": "3.12", "python_full_version": "3.12.0"}
    inside |= {"implementation_name": "cpython", "platform_python_implementation": "CPython"}
    lines = (ROOT / "requirements" / "container.txt").read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line.removesuffix("\\").strip()) for line in lines if "==" in line]
    chosen = (item for item in wanted if item.marker is None or item.marker.evaluate(inside))
    return {f"{item.name}{item.specifier}".lower() for item in chosen}


def main() -> None:
    """Take the image's name and the file to write."""
    image, target = sys.argv[1], Path(sys.argv[2])
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [str(SYFT), "scan", f"docker:{image}", "--quiet", "--output", f"cyclonedx-json={target}"]
    subprocess.run(command, check=True)
    parts = json.loads(target.read_text(encoding="utf-8"))["components"]
    libraries = [part for part in parts if part["type"] == "library"]
    named = {f"{part['name'].replace('_', '-').replace('.', '-')}=={part['version']}".lower() for part in libraries}
    missing = sorted(locked() - named) + sorted(OF_THE_SYSTEM - {part["name"] for part in libraries})
    if missing:
        sys.exit(f"{target} does not name {', '.join(missing)}")
    sys.stdout.write(f"{target}: {len(libraries)} packages, with all {len(locked())} that are locked\n")


if __name__ == "__main__":
    main()
