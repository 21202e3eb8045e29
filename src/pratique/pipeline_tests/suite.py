"""All tests of a project, or some of them: read, run one after the other, compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from pratique.case_files import read_cases
from pratique.cases import Case, chosen
from pratique.documents import shown_path
from pratique.errors import ConfigurationError, PratiqueError
from pratique.ingestion.story import problem_of
from pratique.mistakes import Mistake, Mistakes, refuse
from pratique.pipeline_tests.comparing import compare
from pratique.pipeline_tests.differences import Difference
from pratique.pipeline_tests.running import run_case
from pratique.project import Project
from pratique.reports import Problem

# Limit: tests that run at the same time; each may use what `limits` grants a run.
_AT_ONCE_MAX: Final = 4

Status = Literal["passed", "failed", "error"]


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What came of one test: it passed, it failed by these differences, or it could not be run."""

    pipeline: str
    name: str
    where: str
    status: Status
    seconds: float
    differences: tuple[Difference, ...] = ()
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class TestReport:
    """What came of all tests, in the order in which they were run. `started_at` is UTC, ISO 8601."""

    __test__ = False  # pytest would take it for a test

    results: tuple[CaseResult, ...]
    started_at: str
    seconds: float

    def count(self, status: Status) -> int:
        """How many tests ended so."""
        return sum(result.status == status for result in self.results)

    @property
    def exit_code(self) -> int:
        """0 if all tests passed, 2 if one could not be run, else 1."""
        return 2 if self.count("error") else 1 if self.count("failed") else 0


def run_pipeline_tests(
    project: Project | str | Path | None = None,
    *pipelines: str,
    only: str | None = None,
    environment: str | None = None,
    told: Callable[[CaseResult], None] = lambda _: None,
) -> TestReport:
    """Run the tests in `pipelines/tests/`: all, those of these pipelines, or of these files.

    Each runs by the engine and story of `pratique run`, into a DuckDB file of its own in a temporary folder: nothing
    of the project is written, no connection is opened, no secret is needed. `told` hears each result at once. Raises
    ConfigurationError with every mistake in the files, and if there is no test.
    """
    found = Mistakes()
    if not isinstance(project, Project):
        project = Project(project, environment, found)
    cases = _cases(project, pipelines, found)
    found.refuse()
    cases = chosen(cases, only) if only is not None else cases
    started, began = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    results = []
    with ThreadPoolExecutor(_AT_ONCE_MAX, "pratique-test") as pool:  # half of a small run is waiting for the disk
        for result in pool.map(lambda case: _result(project, case), cases):
            results.append(result)
            told(result)
    return TestReport(tuple(results), started, round(time.monotonic() - began, 3))


def _cases(project: Project, wanted: Sequence[str], found: Mistakes) -> tuple[Case, ...]:
    files = project.test_files()
    asked = [name for name in wanted if not _is_path(name)]
    unknown = [name for name in asked if name not in project.pipeline_names()]
    if unknown:
        project.read_pipeline(unknown[0], found)  # tells it, with the nearest name
        found.refuse()
    paths = [Path(name).resolve() for name in wanted if _is_path(name)]
    for path in paths:
        if not any(_lies(file, path) for file in files):
            hint = "tests stand in pipelines/tests/*.yaml; `--project DIR` for another project"
            refuse([Mistake(shown_path(path), "this is no file of tests of this project", hint, "file")])
    cases: list[Case] = []
    for file in files:
        named = any(_lies(file, path) for path in paths)
        if wanted and not named and not asked:
            continue
        own = Mistakes()
        read = read_cases(project, file, own)
        mine = named or not wanted or any(case.pipeline.name in asked for case in read) or _of(file, asked)
        if mine:
            found.add(own)
            cases += [case for case in read if named or not asked or case.pipeline.name in asked]
    if not cases and not found.errors:
        told = f"no tests of {', '.join(asked)}" if asked else "this project has no tests"
        hint = (
            f"write pipelines/tests/{asked[0] if asked else 'NAME'}.yaml: pipeline, and tests with name, given, expect"
        )
        raise ConfigurationError(told, where=shown_path(project.root / "pipelines" / "tests"), hint=hint)
    return tuple(cases)


def _of(file: Path, asked: Iterable[str]) -> bool:
    """A file of which nothing can be read is its pipeline's by its name."""
    return file.stem in asked


def _is_path(name: str) -> bool:
    return "/" in name or name.endswith((".yaml", ".yml", ".json"))


def _lies(file: Path, at: Path) -> bool:
    real = file.resolve()
    return real == at or at in real.parents


def _result(project: Project, case: Case) -> CaseResult:
    began = time.monotonic()
    differences: tuple[Difference, ...] = ()
    problem: Problem | None = None
    try:
        ran = run_case(case, project.config.settings.limits)
        problem = ran.report.problem
        differences = tuple(compare(case, ran)) if problem is None else ()
    except PratiqueError as error:
        problem = problem_of(error)
    status: Status = "error" if problem else "failed" if differences else "passed"
    seconds = round(time.monotonic() - began, 3)
    return CaseResult(case.pipeline.name, case.name, case.where, status, seconds, differences, problem)
