"""What people and machines read of what happens: the log, and the errors of one's own program."""

from pratique.logging_config.setup import EventLog, LoggerSetup, setup_pipeline_logger
from pratique.logging_config.tracker import ErrorTracker

__all__ = ["ErrorTracker", "EventLog", "LoggerSetup", "setup_pipeline_logger"]
