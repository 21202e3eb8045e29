"""For people who test: their pipelines, and the connectors that they write.

`run_pipeline_tests` runs the tests beside the pipelines; `SourceSuite` holds what every source must pass, and
`destination_suite` what every destination must.
"""

from pratique.pipeline_tests import CaseResult, Difference, TestReport, run_pipeline_tests
from pratique.testing.landing_suite import LandingSuite
from pratique.testing.source_suite import SourcePlace, SourceSuite

__all__ = ["CaseResult", "Difference", "LandingSuite", "SourcePlace", "SourceSuite", "TestReport", "run_pipeline_tests"]
