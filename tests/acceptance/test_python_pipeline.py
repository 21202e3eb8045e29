"""`DataIngestionPipeline` by hand: what it refuses, and that nothing is cut off."""

import pytest

from pratique.config_manager import ConfigManager
from pratique.errors import ConfigurationError, SourceError, StateError
from pratique.events import IngestionRecorded
from pratique.ingestion import CSVDataSource, DataIngestionPipeline


def pipeline_of(root, limit, *names):
    """A pipeline that reads these files; at most `limit` records are held in memory."""
    (root / "config").mkdir(parents=True)
    (root / "config" / "default.yaml").write_text(f"limits: {{records_in_memory_max: {limit}}}\n")
    (root / "two.csv").write_text("id\n1\n2\n")
    config = ConfigManager(root=root)
    made = DataIngestionPipeline(config)
    for name in names:
        made.add_source(CSVDataSource(config, f"{name}.csv"))
    return made


def test_more_records_than_memory_may_hold_are_refused(tmp_path):
    """Above the limit nothing is cut off in silence: the error names the limit and the ways on."""
    with pytest.raises(StateError, match="more than 1 records") as caught:
        pipeline_of(tmp_path, 1, "two").run()
    assert "limits.records_in_memory_max" in caught.value.hint


def test_every_source_failed(tmp_path):
    """If no source can be read the first one's error is raised, not an empty list given."""
    with pytest.raises(SourceError):
        pipeline_of(tmp_path, 10, "gone").run()


def test_sources_of_one_name_are_told_apart(tmp_path):
    """Files of one name in several folders: their records are counted together, and only those that failed failed."""
    heard = []
    pipeline_of(tmp_path, 10)
    config = ConfigManager(root=tmp_path)
    made = DataIngestionPipeline(config, emit=heard.append)
    for path in ("gone/two.csv", "two.csv", "two.csv"):
        made.add_source(CSVDataSource(config, path))
    assert len(made.run()) == 4
    assert made.counts == {"two": 4}
    assert list(made.errors) == ["two"]
    ended = [event for event in heard if isinstance(event, IngestionRecorded)]
    assert [(event.success, event.records) for event in ended] == [(False, 0), (True, 2), (True, 2)]
    with pytest.raises(SourceError, match="cannot be read"):
        pipeline_of(tmp_path / "all", 10, "a/gone", "b/gone").run()


def test_what_is_no_source_is_refused_at_once(tmp_path):
    """A wrong object is named where it is added, not where the pipeline runs."""
    with pytest.raises(TypeError, match="str has not"):
        pipeline_of(tmp_path, 10).add_source("two.csv")


def test_a_named_pipeline_takes_no_further_source(tmp_path):
    """The sources of a named pipeline stand in its file; without that file it does not run."""
    pipeline_of(tmp_path, 10)
    named = DataIngestionPipeline(ConfigManager(root=tmp_path), "daily")
    with pytest.raises(ConfigurationError, match="stand in its pipeline file"):
        named.add_source(CSVDataSource(ConfigManager(root=tmp_path), "two.csv"))
    with pytest.raises(ConfigurationError):
        named.run()
