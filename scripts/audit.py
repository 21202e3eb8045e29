"""Fail unless everything that is locked was looked up among known vulnerabilities, and none of it has one.

pip-audit ends with 0 where it could look nothing up. So what came back is counted, package by package, and a package
with a known vulnerability, asked for in the same way, must be found. Where nothing answers, nothing was audited.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"
LOCKS = ("container.txt", "build.txt", "dev.txt", "site.txt", "bench.txt", "security.txt", "rest_servers.txt")
VULNERABLE = "jinja2==2.4.1"  # a sandbox that can be left, and more: known since 2014


def locked(path: Path) -> set[str]:
    """The packages that a lock asks for on this machine, as `name==version`."""
    lines = (line.removesuffix("\\").strip() for line in path.read_text(encoding="utf-8").splitlines() if "==" in line)
    wanted = map(Requirement, lines)
    return {f"{item.name}{item.specifier}" for item in wanted if item.marker is None or item.marker.evaluate()}


def look_up(packages: set[str], url: str | None) -> dict[str, list[str]]:
    """Known vulnerabilities of each package that the database answered about."""
    with tempfile.TemporaryDirectory() as scratch:
        asked, told = Path(scratch) / "asked.txt", Path(scratch) / "told.json"
        asked.write_text("\n".join(sorted(packages)), encoding="utf-8")
        command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner", "off"]
        command += [
            "--vulnerability-service",
            "osv",
            *(["--osv-url", url] if url else []),
            "--format",
            "json",
            "--output",
            str(told),
        ]
        done = subprocess.run([*command, "--requirement", str(asked)], check=False, capture_output=True, text=True)
        if not told.exists():
            reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            sys.exit(f"nothing was audited: {reason}")
        answers = json.loads(told.read_text(encoding="utf-8"))["dependencies"]
    return {
        f"{answer['name']}=={answer['version']}": [item["id"] for item in answer["vulns"]]
        for answer in answers
        if "vulns" in answer
    }


def main() -> None:
    """Show that the database answers, then ask it about every lock."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--osv-url", help="another database that speaks the API of OSV")
    parser.add_argument("locks", nargs="*", type=Path, default=[REQUIREMENTS / name for name in LOCKS])
    options = parser.parse_args()
    if not look_up({VULNERABLE}, options.osv_url).get(VULNERABLE):
        sys.exit(f"nothing was audited: the database knows nothing against {VULNERABLE}")
    failed = False
    for lock in options.locks:
        wanted = locked(lock)
        answers = look_up(wanted, options.osv_url)
        unknown = sorted(wanted - answers.keys())
        known = {name: found for name, found in answers.items() if found}
        failed |= bool(unknown or known)
        sys.stdout.write(f"{lock.name}: {len(answers)} of {len(wanted)} packages looked up, {len(known)} vulnerable\n")
        sys.stdout.writelines(f"  {name}: {', '.join(found)}\n" for name, found in sorted(known.items()))
        sys.stdout.writelines(f"  {name}: no answer\n" for name in unknown)
    sys.stdout.write(f"the database answers: it knows what is wrong with {VULNERABLE}\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
