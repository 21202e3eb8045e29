"""All records of a table are read as text, and the judge is asked of every type that a column could have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as made
from typing import Final, get_args

from pratique.databases import DatabaseKind
from pratique.engines.duckdb_relations import MALFORMED, relation
from pratique.engines.duckdb_session import Session
from pratique.errors import ConfigurationError
from pratique.inference.candidates import MISSING_WORDS, OFFSET, Candidate, candidates, forms
from pratique.inference.columns import Answers, Column, Facts, Verdict, decided
from pratique.inference.names import field_names
from pratique.model import CsvForm, Landed, ParquetForm
from pratique.schema import Dialect, Field, FieldType, Schema
from pratique.schema.compile import InputColumn, compile_schema
from pratique.schema.rules import FORMATS
from pratique.schema.sql import identifier, literal
from pratique.schema.types import BLANKS, NESTED, matches

_FORM_MAX: Final = 254  # characters of an address
_TOP_VALUES: Final = 5000
_SAMPLE_VALUES: Final = 40
_FEW: Final = 20  # values that a person reads in one line
_NUMBER: Final = "_pratique_number"
_TYPED: Final = {
    "BOOLEAN": "boolean", "DATE": "date", "TIME": "time", "UUID": "uuid", "JSON": "json", "FLOAT": "number",
    "DOUBLE": "number", "TIMESTAMP": "datetime", "TIMESTAMP_S": "datetime", "TIMESTAMP_MS": "datetime",
    "TIMESTAMP_NS": "datetime", "TIMESTAMP WITH TIME ZONE": "datetime",
}  # fmt: skip
_WHOLE: Final = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"})
_WIDE: Final = frozenset({"UBIGINT", "HUGEINT", "UHUGEINT"})

KINDS: Final = frozenset(get_args(DatabaseKind))  # of formats that are databases


@dataclass(frozen=True, slots=True)
class Table:
    """What was found out about the files of one source.

    `records` counts all, `torn` those that cannot be read. Its typed rows stand in the session's table `typed`: the
    columns `c0`, `c1` … in the order of `columns`, and the ordinal of the record. Its texts stand in `raw`, under names
    of our own: a header may be called as anything is, `rowid` too.
    """

    name: str
    path: str
    format: str
    dialect: Dialect
    timezone: str | None
    columns: tuple[Column, ...]
    left_out: tuple[str, ...]
    records: int
    torn: int
    torn_reason: str
    files: int
    first_number: int
    notices: tuple[str, ...]
    typed: str
    raw: str

    @property
    def rows(self) -> int:
        """Records that can be read."""
        return self.records - self.torn

    def column(self, name: str) -> Column:
        """The column of this field."""
        return next(column for column in self.columns if column.field.name == name)

    def place(self, name: str) -> int:
        """The index of this field."""
        return next(index for index, column in enumerate(self.columns) if column.field.name == name)


@dataclass(frozen=True, slots=True)
class Read:
    """What one source gives, landed: `path` as a pipeline names its files, or its table.

    A database says more: the `types` that hold what a column holds (none for a text), columns that were `left_out`, the
    primary `key`, and `references` as column, table and the column there.
    """

    name: str
    path: str
    format: str
    dialect: Dialect
    landed: Landed
    notices: tuple[str, ...]
    types: Mapping[str, tuple[FieldType, ...]] = made(default_factory=dict)
    left_out: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    references: tuple[tuple[str, str, str], ...] = ()
    timezone: str | None = None


def profile(session: Session, read: Read, number: int, answers: Answers) -> Table:
    """Look at every record of `read`. The result's tables stay in the session; `number` keeps their names apart."""
    return _Profiler(session, read, number, answers).table()


class _Profiler:
    def __init__(self, session: Session, read: Read, number: int, answers: Answers) -> None:
        self._session = session
        self._read = read
        self._answers = answers
        self._raw, self._typed = f"raw{number}", f"typed{number}"
        self._inputs: dict[str, InputColumn] = {}  # header -> its column in `raw`
        self._sound = f"FROM {self._raw} WHERE {identifier(MALFORMED)} IS NULL"
        self._timezone = read.timezone
        self._copied = any(isinstance(part.form, CsvForm) and part.form.copied for part in read.landed.parts)

    def table(self) -> Table:
        read = self._read
        self._load()
        count, torn, reason = self._session.one(
            f"SELECT count(*), count({identifier(MALFORMED)}), min({identifier(MALFORMED)}) FROM {self._raw}"
        )
        usable = [name for name, column in self._inputs.items() if column.kind not in {"BLOB", "BIT"}]
        if not usable:
            raise ConfigurationError(f"{read.path} has no column that can be read", hint="blobs are not served")
        if any(column.kind == "TIMESTAMP WITH TIME ZONE" for column in self._inputs.values()):
            self._timezone = "UTC"
        columns = [
            self._column(header, name, count - torn) for header, name in zip(usable, field_names(usable), strict=True)
        ]
        self._type(columns)
        files = read.landed.files
        return Table(
            name=read.name,
            path=read.path,
            format=read.format,
            dialect=read.dialect,
            timezone=self._timezone,
            columns=tuple(columns),
            left_out=(*read.left_out, *(name for name in self._inputs if name not in usable)),
            records=count,
            torn=torn,
            torn_reason=reason or "",
            files=len(files),
            first_number=files[0].first_number if files else 1,
            notices=read.notices,
            typed=self._typed,
            raw=self._raw,
        )

    def _load(self) -> None:
        """All records into one table; columns by name, for files may have them in different orders."""
        first = 0
        for index, part in enumerate(self._read.landed.parts):
            with relation(self._session, part, first) as item:
                if index == 0:
                    self._inputs = {
                        column.name: InputColumn(f"r{at}", column.type) for at, column in enumerate(item.inputs)
                    }
                named = [f"{identifier(column.name)} AS {self._inputs[column.name].name}" for column in item.inputs]
                malformed = identifier(MALFORMED) if item.malformed else "NULL::VARCHAR"
                select = f"SELECT {', '.join(named)}, {malformed} AS {identifier(MALFORMED)} FROM {item.sql}"
                into = f"CREATE TABLE {self._raw} AS" if index == 0 else f"INSERT INTO {self._raw} BY NAME"
                self._session.run(f"{into} {select}")
            first += len(part.files)

    def _column(self, header: str, name: str, rows: int) -> Column:
        """What a column is, out of its different values: few columns have many."""
        facts, longest = self._facts(header)
        if any(OFFSET.fullmatch(value) for value in facts.sample):
            self._timezone = "UTC"
        base = Field(name, aliases=(header,), missing_values=("", *facts.words), trim=facts.padded > 0)
        verdicts = self._verdicts(base, self._offered(base, facts))
        own_name = self._inputs[header].name
        column = Column(
            header, own_name, Field(name), facts.present, rows - facts.present, padded=facts.padded, longest=longest
        )
        column = decided(self._read.name, column, facts, verdicts, self._answers)
        own, words = replace(column.field, aliases=() if header == name else (header,)), facts.words
        empty = rows - facts.present - sum(words.values())
        if not facts.present and self._read.types.get(header):  # nothing tells but the database
            own = replace(own, type=self._read.types[header][0])
        if own.type.name == "string":  # there such a word may mean something
            nulls = self._nulls() if self._copied else None
            empty = empty if nulls is None else nulls
            missing_values = ("",) if nulls is None else ()
            own = replace(own, trim=False, missing_values=missing_values, required=0 < rows == rows - empty)
            present = rows - empty
            return self._counted(replace(column, field=own, present=present, missing=empty, odd_words=words))
        missing = ("", *words) if empty or not words else tuple(words)
        own = replace(own, missing_values=missing, required=0 < rows == facts.present)
        return self._counted(replace(column, field=own, missing_words=words))

    def _nulls(self) -> int | None:
        """Of a column of a database, whose values stand in `v`: how many are NULL, if some are empty texts."""
        nulls, empty = self._session.one(
            "SELECT coalesce(sum(_many) FILTER (_text IS NULL), 0)::BIGINT, count(*) FILTER (_text = '') FROM v"
        )
        return nulls if empty else None

    def _facts(self, header: str) -> tuple[Facts, int]:
        """Counts over all records, and the length of the longest value; the table `v` then holds each value once."""
        column, own = self._inputs[header], self._inputs[header].name
        text = own if column.kind == "VARCHAR" else f"CAST({f'to_json({own})' if column.nested else own} AS VARCHAR)"
        grouped = f"SELECT {own}, count(*) AS _many, min(rowid) AS {_NUMBER} {self._sound} GROUP BY 1"
        words = ", ".join(map(literal, MISSING_WORDS))
        # Upstream: DuckDB's trim of many characters costs ten times what a look at both ends does
        ends = " AND ".join(f"_text[{end}] > ' ' AND _text[{end}] < chr(127)" for end in (1, -1))
        short = f"CASE WHEN {ends} THEN _text ELSE trim(_text, {literal(BLANKS)}) END"
        trimmed = f"SELECT *, {text} AS _text, {short} AS _trimmed FROM ({grouped})"
        self._session.run(
            f"CREATE OR REPLACE TABLE v AS SELECT *, _trimmed <> '' AND _trimmed NOT IN ({words}) AS _there "
            f"FROM ({trimmed})"
        )
        asked = ["_there", "_text <> _trimmed"]
        asked += [f"regexp_matches(_trimmed, {literal(pattern)})" for pattern in ("^([+-]?0[0-9]|[+])", "^[+-]?0[.,]")]
        counts = ", ".join(f"coalesce(sum(_many) FILTER ({condition}), 0)::BIGINT" for condition in asked)
        present, padded, codes, fractions, least, greatest, longest = self._session.one(
            f"SELECT {counts}, min(_trimmed) FILTER (_there), max(_trimmed) FILTER (_there), max(length(_text)) FROM v"
        )
        rows = self._session.all(
            f"SELECT DISTINCT _trimmed FROM (SELECT * FROM v WHERE _there ORDER BY {_NUMBER} LIMIT {_SAMPLE_VALUES})"
        )
        sample = (*(value for value in (least, greatest) if value is not None), *sorted(value for (value,) in rows))
        named = dict(
            self._session.all(
                "SELECT _trimmed, sum(_many)::BIGINT FROM v WHERE NOT _there AND _trimmed <> '' "
                "GROUP BY 1 ORDER BY 2 DESC, 1"
            )
        )
        plain = column.kind == "VARCHAR"
        found = Facts(present, named, padded * plain, codes * plain, fractions, tuple(dict.fromkeys(sample)))
        return found, longest or 0

    def _offered(self, base: Field, facts: Facts) -> list[Candidate]:
        """The candidates of a column: of texts what they look like, else the type that the file says."""
        column = self._inputs[base.headers[0]]
        types = self._read.types.get(base.headers[0])
        if types:
            wide = [FieldType("decimal", 38, 0), FieldType("decimal", 38, 19)]
            return [Candidate(replace(base, type=kind), fraction="." if kind in wide else "") for kind in types]
        if types is not None:
            return [Candidate(replace(base, format=name)) for name in forms(facts.sample)] if facts.present else []
        if column.kind != "VARCHAR":
            return [Candidate(replace(base, type=kind)) for kind in _types(column)]
        if not facts.present or isinstance(self._read.landed.parts[0].form, ParquetForm):
            return []
        made = candidates(base, facts.sample, text_numbers=self._read.format == "csv")
        return made + [Candidate(replace(base, format=name)) for name in forms(facts.sample)]

    def _verdicts(self, base: Field, offered: Sequence[Candidate]) -> list[Verdict]:
        """What the judge says of every candidate; those that some values exclude are not asked of all."""
        top = self._asked(base, offered, f"(SELECT * FROM v LIMIT {_TOP_VALUES})")
        left = [item for item in top if not item.wrong] or top
        if self._session.count("SELECT count(*) FROM v") <= _TOP_VALUES:
            return top
        return self._asked(base, [item.candidate for item in left], "v")

    def _asked(self, base: Field, offered: Sequence[Candidate], relation: str) -> list[Verdict]:
        if not offered:
            return []
        base = replace(base, aliases=(self._inputs[base.headers[0]].name,))
        fields, wanted = [replace(base, name="t")], []
        for index, candidate in enumerate(offered):
            own, form = f"v{index}", candidate.field.format
            text = candidate.field.type.name == "string"
            fields.append(replace(candidate.field, name=own, aliases=base.aliases, format=None if text else form))
            bad = f"t IS NOT NULL AND {own} IS NULL"
            if text:
                bad = f"NOT {matches('t', FORMATS[form or ''].pattern)} OR length(t) > {_FORM_MAX}"
            bounds = (
                "NULL, NULL"
                if candidate.field.type.name in {*NESTED, "string"}
                else (f"min({own})::VARCHAR, max({own})::VARCHAR")
            )
            mark = candidate.fraction
            places = f"max(length(regexp_extract(t, '[{mark}]([0-9]+)$', 1)))" if mark else "0"
            wanted.append(
                f"coalesce(sum(_many) FILTER ({bad}), 0)::BIGINT, {bounds}, coalesce({places}, 0), "
                f"arg_min(t, {_NUMBER}) FILTER ({bad}), min({_NUMBER}) FILTER ({bad})"
            )
        told = self._session.one(f"SELECT {', '.join(wanted)} FROM ({self._judged(fields, relation, '_many')})")
        size = len(told) // len(offered)
        return [Verdict(candidate, *told[at * size : (at + 1) * size]) for at, candidate in enumerate(offered)]

    def _judged(self, fields: Sequence[Field], relation: str, *carry: str) -> str:
        """SQL of the typed values, as a run would type them."""
        used = {item.headers[0] for item in fields}
        inputs = [column for column in self._inputs.values() if column.name in used]
        schema = Schema("profile", 1, tuple(fields), timezone=self._timezone)
        return compile_schema(schema, inputs).select(relation, (_NUMBER, *carry))

    def _type(self, columns: Sequence[Column]) -> None:
        """All typed values into a table of their own: keys and references are judged by value, not by text."""
        fields = [
            replace(column.field, name=f"c{at}", aliases=(column.raw,), required=False, format=_format(column.field))
            for at, column in enumerate(columns)
        ]
        named = ", ".join(f"c{at}" for at in range(len(columns)))
        sound = f"(SELECT *, rowid AS {_NUMBER} {self._sound})"
        self._session.run(
            f"CREATE TABLE {self._typed} AS SELECT {named}, {_NUMBER} FROM ({self._judged(fields, sound)})"
        )

    def _counted(self, column: Column) -> Column:
        """The column with how many different values it has, and which, if they are few."""
        text = column.field.type.name == "string"
        there, shown = ("_text <> ''", "_text") if text else ("_there", "_trimmed")
        distinct = self._session.count(f"SELECT count(*) FILTER ({there}) FROM v")
        values: list[tuple[str, int]] = []
        if distinct <= _FEW:
            values = self._session.all(f"SELECT {shown}, _many FROM v WHERE {there} ORDER BY 1")
        return replace(column, distinct=distinct, values=tuple(values))


def _types(column: InputColumn) -> list[FieldType]:
    """The types in the language's words that hold what a typed column holds, the narrowest first."""
    kind = column.kind
    if column.nested:
        name = "array" if kind.endswith("]") else "object"
        return [FieldType(name), FieldType("json")]  # type: ignore[arg-type]
    if kind in _WHOLE:
        return [FieldType("integer")]
    if kind in _WIDE:
        return [FieldType("integer"), FieldType("decimal", 38, 0)]
    if kind.startswith("DECIMAL("):
        precision, scale = kind.removeprefix("DECIMAL(").rstrip(")").split(",")
        return [FieldType("decimal", int(precision), int(scale))]
    return [FieldType(_TYPED[kind])] if kind in _TYPED else []  # type: ignore[arg-type]


def _format(item: Field) -> str | None:
    return None if item.type.name == "string" else item.format
