"""The connection that sees rules can read its own files and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from pratique.engines.duckdb_session import Session
from pratique.engines.settings import EngineSettings
from pratique.errors import InternalError

secret_table = [("secret",)]  # a Python variable that DuckDB could read by name


@pytest.fixture
def session(tmp_path):
    """A session that may read one file and reach one destination."""
    (tmp_path / "mine.csv").write_text("1\n")
    (tmp_path / "secret.csv").write_text("1\n")
    (tmp_path / "link.csv").symlink_to(tmp_path / "secret.csv")
    settings = EngineSettings(tmp_path / "tmp", paths=(tmp_path / "there.duckdb", tmp_path / "there.duckdb.wal"))
    opened = Session(settings, (tmp_path / "mine.csv",))
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('{folder}/secret.csv')",
        "SELECT * FROM read_text('{folder}/secret.csv')",
        "SELECT * FROM '{folder}/link.csv'",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM read_csv('{folder}/mine.csv/../secret.csv')",
        "SELECT * FROM secret_table",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "ATTACH '{folder}/other.duckdb'",
        "EXPORT DATABASE '{folder}/dump'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM 'https://127.0.0.1:1/x.csv'",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
        "SET temp_directory = '{folder}'",
        "RESET python_enable_replacements",
        "SELECT getenv('HOME')",
        "CREATE PERSISTENT SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')",
    ],
)
def test_escape_is_refused(session, tmp_path, statement):
    """Files, network, extensions, settings, Python variables: all out of reach."""
    with pytest.raises(InternalError):
        session.run(statement.format(folder=tmp_path))
    assert not (tmp_path / "out.csv").exists()


def test_what_is_allowed(session, tmp_path):
    """The landed file can be read and the destination written, which proves that the refusals are not just failures."""
    assert session.one(f"SELECT count(*) FROM read_csv('{tmp_path}/mine.csv', header = false)") == (1,)
    session.run(f"ATTACH '{tmp_path}/there.duckdb' AS there")
    session.run("CREATE TABLE there.t AS SELECT 1 AS x")
    assert session.count("SELECT x FROM there.t") == 1


def test_temporary_folder_is_private(session, tmp_path):
    """The session's folder is its owner's alone, and gone after close."""
    [folder] = Path(tmp_path / "tmp").iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    session.close()
    session.close()
    assert not folder.exists()
