"""Parquet files through DuckDB's reader, and which of them it could not decode."""

from __future__ import annotations

import re
from dataclasses import replace

import duckdb

from pratique.engines.duckdb_session import first_line
from pratique.errors import SourceError
from pratique.model import ParquetForm, Part
from pratique.schema.sql import literal


def read_parquet(part: Part, form: ParquetForm) -> str:
    """The files as a FROM item. DuckDB would let `id=7` in a path take the place of the column `id`: that is off."""
    paths = ", ".join(literal(str(file.path)) for file in part.files)
    options = "hive_partitioning = false" + (", int96_as = 'timestamp_ns'" if form.nanoseconds else "")
    return f"read_parquet([{paths}], {options})"


def undecodable(error: duckdb.Error, part: Part, form: ParquetForm) -> SourceError:
    """The error for the file that does not decode. Of several files each is read again, alone, to find it."""
    guilty, reason = part.files[0], _reason(error)
    for file in part.files if len(part.files) > 1 else ():
        try:
            with duckdb.connect() as connection:  # the session may have been invalidated by the error
                alone = read_parquet(replace(part, files=(file,)), form)
                connection.execute(f"SELECT bit_xor(hash(t)) FROM {alone} t").fetchall()
        except duckdb.Error as alone_error:
            guilty, reason = file, _reason(alone_error)
            break
    return SourceError(
        f"it is damaged: its values do not decode: {reason}",
        where=guilty.version.name,
        hint="have it sent again",
        facts={"file": guilty.version.name},
    )


def _reason(error: duckdb.Error) -> str:
    """What DuckDB says, without the path and without the value that it may quote."""
    return re.sub(r'( in Parquet file)? "/.*', "", first_line(error))
