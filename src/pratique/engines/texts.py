"""Texts at hand, as an input that an engine reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pratique.model import ArrowForm

if TYPE_CHECKING:
    import pyarrow as pa


def text_form(columns: Mapping[str, Sequence[str | None]], malformed: Sequence[str | None]) -> ArrowForm:
    """The form of records whose values are texts; `malformed` says of each why it cannot be judged, or None."""

    def batches() -> Iterator[pa.RecordBatch]:
        import pyarrow as pa  # noqa: PLC0415 - costs 0.3 s

        arrays = {name: pa.array(texts, pa.string()) for name, texts in columns.items()}
        yield pa.RecordBatch.from_pydict({**arrays, "_malformed": pa.array(malformed, pa.string())})

    return ArrowForm(dict.fromkeys(columns, "VARCHAR"), batches, malformed=True)
