"""For people who test: their pipelines, and the connectors that they write.

`run_pipeline_tests` runs the tests beside the pipelines; `destination_suite` holds what every destination must pass.
"""

from pratique.pipeline_tests import CaseResult, Difference, TestReport, run_pipeline_tests

__all__ = ["CaseResult", "Difference", "TestReport", "run_pipeline_tests"]
