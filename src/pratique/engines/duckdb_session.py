"""One locked-down DuckDB connection: the fence between rule expressions and everything else."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from pratique.engines.settings import EngineSettings
from pratique.errors import ConfigurationError, InternalError, StateError
from pratique.interruption import interruptible
from pratique.schema.sql import literal


class Session:
    """An in-memory DuckDB that may touch the given files and nothing else; time zone UTC.

    `believing`: statistics that input files carry may stand in for a look at their values.
    Settings cannot be changed afterwards, extensions cannot be loaded, and Python variables cannot be read by name.
    Its temporary folder (0700) is removed by `close`, which is harmless when repeated.
    """

    def __init__(
        self, settings: EngineSettings, files: tuple[Path, ...] = (), *, vacuum: bool = True, believing: bool = True
    ) -> None:
        self.settings = settings
        self._folder = _temporary_folder(settings.temp_directory)
        try:
            self.connection = duckdb.connect(":memory:")
            with self.guarded():
                self._lock_down(files, vacuum=vacuum, believing=believing)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def _lock_down(self, files: tuple[Path, ...], *, vacuum: bool, believing: bool) -> None:
        """Apply reference/security.md §3; the order matters: a locked setting cannot be made any more."""
        settings = self.settings
        folders = [path for path in settings.paths if path.is_dir()]
        plain = [str(path) for path in (*files, *settings.paths) if path not in folders]
        commands = [
            f"SET memory_limit = {literal(settings.memory_limit)}",
            f"SET temp_directory = {literal(str(self._folder))}",
            f"SET max_temp_directory_size = {literal(settings.max_temp_directory_size)}",
            "SET TimeZone = 'UTC'",
            "SET preserve_insertion_order = true",  # record numbers are rowids
            # Upstream: DuckDB turns a long IN list into a join, and behind a join a scan's last rows come too late
            # and where a footer says that all values are in range, it does not look whether they are
            f"SET disabled_optimizers = 'in_clause{'' if believing else ',statistics_propagation'}'",
            # A checkpoint would write the rows again to merge row groups; only a merge leaves groups half deleted
            f"SET max_vacuum_tasks = {100 if vacuum else 0}",
            f"SET allowed_paths = {_list(plain)}",
            f"SET allowed_directories = {_list([str(path) for path in folders])}",
            "SET enable_progress_bar = true",  # Upstream: query_progress reads -1 unless set before the lock
            "SET enable_progress_bar_print = false",
            "SET autoinstall_known_extensions = false",
            "SET autoload_known_extensions = false",
            "SET allow_community_extensions = false",
            "SET python_enable_replacements = false",
            "SET enable_external_access = false",
            "SET allowed_configs = ['preserve_insertion_order']",  # a destination may take rows in any order
            "SET lock_configuration = true",
        ]
        if settings.threads is not None:
            commands.insert(0, f"SET threads = {int(settings.threads)}")
        for command in commands:
            self.connection.execute(command)

    @contextmanager
    def guarded(self, cursor: duckdb.DuckDBPyConnection | None = None) -> Iterator[None]:
        """Turn DuckDB's errors into ours: a full memory or disk is the operator's, a signal is KeyboardInterrupt.

        A statement on a cursor of its own is named, so that a signal ends it.
        """
        try:
            with interruptible((cursor or self.connection).interrupt):
                yield
        except duckdb.OutOfMemoryException as error:
            raise self._exhausted(error) from error
        except duckdb.IOException as error:
            if "space" not in str(error).lower():
                raise InternalError(f"DuckDB: {first_line(error)}") from error
            raise self._exhausted(error) from error
        except duckdb.InterruptException as error:
            raise KeyboardInterrupt from error
        except duckdb.Error as error:
            raise InternalError(f"DuckDB: {first_line(error)}") from error

    def _exhausted(self, error: duckdb.Error) -> StateError:
        settings = self.settings
        return StateError(
            f"the engine ran out of memory ({settings.memory_limit}) or of temporary disk "
            f"({settings.max_temp_directory_size} in {settings.temp_directory}): {first_line(error)}",
            hint="free space there, or raise limits.memory or limits.temporary_disk in config/default.yaml",
            facts={"memory": settings.memory_limit, "temporary_disk": settings.max_temp_directory_size},
        )

    def enter(self, place: str) -> str:
        """Let plain names of tables mean those of this place, made if need be; what stands before a name elsewhere."""
        self.run(f"CREATE SCHEMA IF NOT EXISTS memory.{place}")
        self.run(f"USE memory.{place}")
        return f"memory.{place}."

    def run(self, sql: str) -> None:
        """Execute a statement for its effect."""
        with self.guarded():
            self.connection.execute(sql)

    def all(self, sql: str) -> list[tuple[Any, ...]]:
        """Every row of a small result."""
        with self.guarded():
            return self.connection.execute(sql).fetchall()

    def one(self, sql: str) -> tuple[Any, ...]:
        """The only row of a result."""
        return self.all(sql)[0]

    def count(self, sql: str) -> int:
        """The number that a statement gives: its only value, or how many rows it wrote."""
        return int(self.one(sql)[0])

    def stream(self, sql: str, size: int) -> Iterator[tuple[Any, ...]]:
        """Yield rows with a bounded number in Python at a time, on a cursor of its own."""
        with self.guarded():
            cursor = self.connection.cursor()
        try:
            with self.guarded(cursor):
                cursor.execute(sql)
            while True:
                with self.guarded(cursor):
                    rows = cursor.fetchmany(size)
                if not rows:
                    return
                yield from rows
        finally:
            cursor.close()

    def close(self) -> None:
        """Close the connection and remove its temporary folder."""
        self.connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def first_line(error: BaseException) -> str:
    """The first line of a third-party message: the others repeat our own SQL."""
    return str(error).strip().partition("\n")[0]


def binding_error(error: duckdb.Error) -> bool:
    """Whether DuckDB refused a statement before reading a row."""
    return isinstance(error, (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException))


def refused(what: str, error: duckdb.Error, where: str) -> ConfigurationError:
    """The error for an expression that DuckDB does not accept."""
    pattern = isinstance(error, duckdb.InvalidInputException)
    types = "compare the types of its fields in the schema; cast() turns one type into another"
    return ConfigurationError(
        f"{what} cannot be evaluated: {first_line(error)}",
        where=where,
        hint="correct its pattern; a \\ before a mark means the mark itself" if pattern else types,
        facts={"code": "rule"},
    )


def _temporary_folder(parent: Path) -> Path:
    try:
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Path(tempfile.mkdtemp(prefix="engine-", dir=parent))  # mkdtemp makes it 0700
    except OSError as error:
        raise StateError(
            f"the temporary folder {parent} cannot be used: {error.strerror}",
            hint="make it writable, or name another state folder in state.path",
        ) from error


def _list(texts: list[str]) -> str:
    return "[" + ", ".join(literal(text) for text in texts) + "]"
