"""What lint finds as SARIF 2.1.0, the form that code scanning reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pratique.cli.problems import extent
from pratique.cli.version import own_version
from pratique.linting import LintReport
from pratique.mistakes import CODES, Mistake
from pratique.secrets import hide_secrets

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(report: LintReport) -> dict[str, Any]:
    """One run with one result for each mistake; the rules are the codes of mistakes, all of them, in a fixed order."""
    driver: dict[str, Any] = {
        "name": "pratique",
        "version": own_version(),
        "rules": [{"id": code, "shortDescription": {"text": text}} for code, text in CODES.items()],
    }
    results = [_result(mistake) for mistake in report.mistakes]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(mistake: Mistake) -> dict[str, Any]:
    told = f"{mistake.message}: {mistake.hint}" if mistake.hint else mistake.message
    result: dict[str, Any] = {
        "ruleId": mistake.code,
        "ruleIndex": list(CODES).index(mistake.code),
        "level": mistake.level,
        "message": {"text": hide_secrets(told)},
    }
    path = Path(mistake.file)
    if not path.exists():  # a variable of the environment has no place
        return result
    artifact = {"uri": path.as_uri() if path.is_absolute() else quote(path.as_posix())}
    place: dict[str, Any] = {"artifactLocation": artifact}
    if mistake.line:
        region = {"startLine": mistake.line}
        if mistake.column:
            region |= {"startColumn": mistake.column, "endColumn": mistake.column + extent(mistake)}
        place["region"] = region
    return {**result, "locations": [{"physicalLocation": place}]}
