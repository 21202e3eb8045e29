"""For people who write connectors: the suites that every source and destination must pass."""
