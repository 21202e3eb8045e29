"""The tests of the house ask git for the files of the tree; where it is missing and can be installed, it is."""

import shutil

import pytest
from servers import install


@pytest.fixture(scope="session", autouse=True)
def git() -> None:
    """Git, as the servers of other tests: a fresh machine has Python and make."""
    if shutil.which("git") is None:
        install("git")
