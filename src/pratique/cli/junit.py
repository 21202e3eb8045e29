"""JUnit XML: a form that build servers show (GitLab, Jenkins, Azure)."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from xml.etree import ElementTree as ET

from pratique.cli.text import shown
from pratique.pipeline_tests import CaseResult, TestReport

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: TestReport, described: Callable[[CaseResult], str]) -> str:
    """One suite for each pipeline, one case for each test: classname is the pipeline, name the test's."""
    root = ET.Element("testsuites", _counts(report.results), time=f"{report.seconds:.3f}", name="pratique test")
    for pipeline in dict.fromkeys(result.pipeline for result in report.results):
        mine = tuple(result for result in report.results if result.pipeline == pipeline)
        suite = ET.SubElement(root, "testsuite", {"name": _clean(pipeline), **_counts(mine)})
        suite.set("time", f"{sum(result.seconds for result in mine):.3f}")
        suite.set("timestamp", report.started_at.removesuffix("+00:00"))
        suite.set("hostname", _clean(socket.gethostname()))
        for result in mine:
            _case(suite, result, described(result))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, result: CaseResult, text: str) -> None:
    place = result.where.rsplit(":", 2)
    case = ET.SubElement(suite, "testcase", classname=_clean(result.pipeline), name=_clean(result.name))
    case.set("time", f"{result.seconds:.3f}")
    case.set("file", _clean(place[0]))
    case.set("line", place[1] if len(place) > 1 else "1")
    if result.status == "failed":
        message = "; ".join(dict.fromkeys(difference.what for difference in result.differences))
        ET.SubElement(case, "failure", message=_clean(f"not as expected: {message}"), type="difference").text = _clean(
            text
        )
    elif result.problem:
        message = _clean(shown(result.problem.message))
        ET.SubElement(case, "error", message=message, type=result.problem.code).text = _clean(text)


def _counts(results: tuple[CaseResult, ...]) -> dict[str, str]:
    statuses = [result.status for result in results]
    return {
        "tests": str(len(statuses)),
        "failures": str(statuses.count("failed")),
        "errors": str(statuses.count("error")),
        "skipped": "0",
    }


def _clean(text: str) -> str:
    """Characters that XML cannot hold are told by their number."""
    return _NOT_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
