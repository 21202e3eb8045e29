"""Tests that people write beside their pipelines: run for real, and compared with what they expect."""

from pratique.pipeline_tests.differences import Difference
from pratique.pipeline_tests.suite import CaseResult, TestReport, run_pipeline_tests

__all__ = ["CaseResult", "Difference", "TestReport", "run_pipeline_tests"]
