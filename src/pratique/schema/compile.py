"""A schema becomes one SELECT that reads each record once and says everything about it: values, verdicts, evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from pratique.errors import ConfigurationError
from pratique.schema.binding import Binding, bind
from pratique.schema.checking import check, ordered
from pratique.schema.fields import Field, Schema
from pratique.schema.rules import Rule, computed, read, rules
from pratique.schema.sql import identifier, literal
from pratique.schema.types import BLANKS, NESTED, NUMERIC, TEMPORAL, exact, parsed, plain, storage, within

__all__ = ["Binding", "InputColumn", "Judge", "Rule", "bind", "check", "compile_schema"]

_FLOATS = frozenset({"DOUBLE", "FLOAT"})
_SYNONYMS = {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE", "TEXT": "VARCHAR", "STRING": "VARCHAR"}


@dataclass(frozen=True, slots=True)
class InputColumn:
    """A column of the input as the engine sees it: header name, and DuckDB type (text forms are VARCHAR)."""

    name: str
    type: str = "VARCHAR"

    @property
    def kind(self) -> str:
        """The type in DuckDB's own words."""
        kind = self.type.upper().replace(", ", ",")
        return _SYNONYMS.get(kind, kind)

    @property
    def nested(self) -> bool:
        """A type that has no text of its own."""
        return self.kind.startswith(("STRUCT", "MAP", "UNION")) or self.kind.endswith("]")


@dataclass(frozen=True, slots=True)
class Judge:
    """A schema compiled for one set of input columns. `rules` does not depend on the inputs."""

    schema: Schema
    inputs: tuple[InputColumn, ...]
    rules: tuple[Rule, ...]
    bindings: Mapping[str, str]

    def select(
        self,
        relation: str,
        carry: Sequence[str] = (),
        captures: Mapping[str, str] = MappingProxyType({}),
        malformed: str | None = None,
    ) -> str:
        """One SELECT over `relation` (a FROM item with the inputs by header name); the session's TimeZone is UTC.

        Columns in order: every field, typed; the `carry` columns; `_failed` SMALLINT[] (numbers of failed row rules,
        negative where undecided; NULL if none); `_held` BOOLEAN; `_out` BOOLEAN (left out by the filter, not judged);
        `_changed` SMALLINT[] (positions from 1 in `schema.fields` of values that trim or declared parsing rewrote; NULL
        if none); `_raw` STRUCT(header := raw value) where a rule failed or the record is malformed; `_malformed`.
        `captures` gives SQL over `relation`; `malformed` names its column that is not NULL for unreadable records.
        """
        return _Query(self, tuple(carry), captures, malformed).write(relation)


def compile_schema(schema: Schema, inputs: Sequence[InputColumn]) -> Judge:
    """The judge of `schema` for records with these columns; a field that no column feeds is NULL in every record.

    Raises ConfigurationError for all that `check` finds, and where a column's type cannot be read as its field's.
    """
    check(schema)
    binding = bind(schema, [column.name for column in inputs])
    kinds = {column.name: column for column in inputs}
    for name, header in binding.columns.items():
        column, kind = kinds[header], schema.field(name).type.name
        if column.kind in {"BLOB", "BIT"} or (column.nested and kind not in NESTED):
            raise ConfigurationError(
                f"the column `{header}` is {column.type}, which cannot be read as {schema.field(name).type}",
                hint=f"declare `{name}: json` for nested values, or leave the column out",
                where=schema.field(name).where,
            )
    return Judge(schema, tuple(inputs), rules(schema), MappingProxyType(dict(binding.columns)))


@dataclass(slots=True)
class _Query:
    """Writes the levels of the SELECT: raw columns, texts, declared parsing, values, expressions, verdicts."""

    judge: Judge
    carry: tuple[str, ...]
    captures: Mapping[str, str]
    malformed: str | None
    sql: str = ""
    prefix: str = ":"
    passed: dict[str, str] = field(default_factory=dict)  # special rule name -> three-valued SQL
    changed: list[tuple[int, str]] = field(default_factory=list)

    def name(self, kind: str, position: int) -> str:
        return identifier(f"{self.prefix}{kind}{position}")

    def level(self, columns: Mapping[str, str]) -> None:
        """Put a SELECT around what there is, with these columns beside it."""
        if columns:
            added = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
            self.sql = f"(SELECT *, {added} FROM {self.sql})"

    def write(self, relation: str) -> str:
        taken = [item.name for item in self.judge.schema.fields] + list(self.carry)
        while any(name.startswith(self.prefix) for name in taken):
            self.prefix += ":"
        self._raw(relation)
        self._values()
        for item in ordered(self.judge.schema):
            self._expression(item)
        return self._verdicts()

    def _raw(self, relation: str) -> None:
        malformed = identifier(self.malformed) if self.malformed else "CAST(NULL AS VARCHAR)"
        columns = [identifier(name) for name in self.carry]
        columns += [
            f"{identifier(column.name)} AS {self.name('raw', at)}" for at, column in enumerate(self.judge.inputs)
        ]
        for at, item in enumerate(self.judge.schema.fields):
            if item.capture is not None:
                sql = self.captures.get(item.capture, "NULL")
                columns.append(f"CAST({sql} AS VARCHAR) AS {self.name('capture', at)}")
        columns.append(f"{malformed} AS {self.name('malformed', 0)}")
        self.sql = f"(SELECT {', '.join(columns)} FROM {relation})"

    def _values(self) -> None:
        """Texts, then declared parsing, then values of the fields that come from a column or the path."""
        texts, steps, values = {}, {}, {}
        positions = {column.name: at for at, column in enumerate(self.judge.inputs)}
        for at, item in enumerate(self.judge.schema.fields):
            header = self.judge.bindings.get(item.name)
            if item.expression is not None:
                continue
            if header is None and item.capture is None:
                kind = storage(item.type, self.judge.schema.timezone)
                values[identifier(item.name)] = f"CAST(NULL AS {kind})"
                self.passed |= {f"{item.name}.type": "TRUE", f"{item.name}.required": "FALSE"}
                continue
            if header is not None:
                column, source = self.judge.inputs[positions[header]], self.name("raw", positions[header])
            else:
                column, source = InputColumn(item.capture or ""), self.name("capture", at)
            text, step, value = self._column(at, item, column, source)
            texts[self.name("text", at)] = text
            if step is not None:
                steps[self.name("step", at)] = step
            values[identifier(item.name)] = value
        self.level(texts)
        self.level(steps)
        self.level(values)

    def _column(self, at: int, item: Field, column: InputColumn, source: str) -> tuple[str, str | None, str]:
        """SQL of text, declared parsing and value of a field, each over the level before."""
        timezone, text = self.judge.schema.timezone, self.name("text", at)
        own = identifier(item.name)
        self.passed[f"{item.name}.type"] = f"({own} IS NOT NULL OR {text} IS NULL)"
        self.passed[f"{item.name}.required"] = f"({text} IS NOT NULL)"
        kept = column.kind == storage(item.type, timezone) and column.kind not in {"VARCHAR", "JSON"}
        if kept or (column.kind == "FLOAT" and item.type.name == "number"):
            wide = source if kept else f"CAST({source} AS DOUBLE)"
            words = [word for word in item.missing_values if word]
            return (
                (_missing(wide, words, f"CAST({source} AS VARCHAR)") if words else wide),
                None,
                _bounded(text, item, timezone),
            )
        typed = column.kind != "VARCHAR"
        if typed and item.type.name in NUMERIC | TEMPORAL:  # declared parsing is for texts
            item = replace(item, format=None, decimal_char=".", group_char=None)
        shown = source
        if column.nested:
            shown = f"CAST(to_json({source}) AS VARCHAR)"
        elif typed:
            shown = _text(f"CAST({source} AS VARCHAR)", item, floating=column.kind in _FLOATS)
        elif item.trim:
            shown = f"trim({source}, {literal(BLANKS)})"
        step = parsed(text, item, timezone)
        value = exact(text, self.name("step", at) if step else text, item, timezone, numeric=typed)
        if not typed:
            self._watch(at, item, source)
        return _missing(shown, item.missing_values), step, value

    def _watch(self, at: int, item: Field, source: str) -> None:
        """Note when a value counts as changed by trim or declared parsing."""
        text, own = self.name("text", at), identifier(item.name)
        ways = [f"{source} <> {text}"] if item.trim else []
        if item.type.name in NUMERIC and (item.decimal_char != "." or item.group_char):
            ways.append(f"{text} <> {self.name('step', at)}")
        if item.type.name in TEMPORAL and item.format:
            ways.append(f"CAST({own} AS VARCHAR) <> {text}")
        if ways:
            self.changed.append((at + 1, f"({own} IS NOT NULL AND ({' OR '.join(ways)}))"))

    def _expression(self, item: Field) -> None:
        """Levels for a field that is computed: result, text, declared form, value."""
        schema = self.judge.schema
        at = schema.fields.index(item)
        expression = computed(schema, item)
        result, text, own = self.name("result", at), self.name("text", at), identifier(item.name)
        step = parsed(text, plainly := replace(item, format=None, decimal_char=".", group_char=None), schema.timezone)
        value = exact(text, self.name("step", at) if step else text, plainly, schema.timezone, numeric=True)
        self.level({result: f"TRY({expression.sql})"})
        self.level(
            {text: _rounded(result, item) if item.round else _text(f"CAST({result} AS VARCHAR)", item, floating=True)}
        )
        self.level({self.name("step", at): step} if step else {})
        self.level({own: value})
        # TRY(… IS NULL) is NULL only where the expression raised: that is undecided. A NULL that was meant is a value.
        judged = f"CASE WHEN {own} IS NOT NULL THEN TRUE WHEN {result} IS NOT NULL THEN FALSE"
        judged += "".join(f" WHEN {identifier(name)} IS NULL THEN TRUE" for name in expression.inputs)
        self.passed[f"{item.name}.type"] = f"{judged} ELSE TRY(({expression.sql}) IS NULL) END"
        self.passed[f"{item.name}.required"] = f"({own} IS NOT NULL OR {self.passed[f'{item.name}.type']} IS NOT TRUE)"

    def _passed(self, rule: Rule) -> str:
        """Three-valued SQL: NULL only where the rule could not be decided."""
        if rule.name in self.passed and rule.field is not None:
            return self.passed[rule.name]
        missing = " OR ".join(f"{identifier(name)} IS NULL" for name in rule.inputs)
        return f"coalesce({rule.sql}, CASE WHEN {missing} THEN TRUE END)" if missing else f"({rule.sql})"

    def _verdicts(self) -> str:
        judge, bad, held = self.judge, self.name("bad", 0), self.name("held", 0)
        verdicts = [(rule, self._passed(rule)) for rule in judge.rules if rule.scope == "row"]
        malformed = self.name("malformed", 0)
        sound = f"{malformed} IS NULL AND " if self.malformed else ""
        out = "FALSE"
        if judge.schema.filter:  # a row that nobody asked for is not judged
            out = self.name("out", 0)
            self.level(
                {out: f"({sound}TRY({read(judge.schema, judge.schema.filter, ('filter',), 'row').sql}) IS FALSE)"}
            )
            sound += f"NOT {out} AND "
        self.level({bad: sound + (_any(verdicts) if verdicts else "FALSE")})
        holding = [pair for pair in verdicts if pair[0].holds]
        holds = bad if len(holding) == len(verdicts) else f"({bad} AND {_any(holding) if holding else 'FALSE'})"
        self.level({held: f"({malformed} IS NOT NULL OR {holds})" if self.malformed else holds})
        numbers = [
            f"CASE WHEN {passed} THEN NULL WHEN NOT {passed} THEN {rule.number} ELSE {-rule.number} END"
            for rule, passed in verdicts
        ]
        raw = ", ".join(f"{literal(column.name)}: {self.name('raw', at)}" for at, column in enumerate(judge.inputs))
        changes = [f"CASE WHEN {sql} THEN {at} END" for at, sql in self.changed]
        evidence = f"{bad} OR {held}"
        columns = [identifier(item.name) for item in judge.schema.fields] + [identifier(name) for name in self.carry]
        columns += [
            f"{_listed(bad, numbers)} AS _failed",
            f"{held} AS _held",
            f"{out} AS _out",
            f"{_listed(' OR '.join(sql for _, sql in self.changed), changes)} AS _changed",
            f"{f'CASE WHEN {evidence} THEN {{{raw}}} END' if raw else 'NULL'} AS _raw",
            f"{malformed} AS _malformed",
        ]
        return f"SELECT {', '.join(columns)} FROM {self.sql}"


def _any(verdicts: Sequence[tuple[Rule, str]]) -> str:
    """SQL: some of these rules failed or could not be decided."""
    return f"NOT coalesce({' AND '.join(passed for _, passed in verdicts)}, FALSE)"


def _listed(condition: str, items: Sequence[str]) -> str:
    """SQL: the items that are not NULL where `condition` holds; the list is built for those rows only."""
    if not items:
        return "CAST(NULL AS SMALLINT[])"
    return (
        f"CASE WHEN {condition} THEN list_filter(CAST([{', '.join(items)}] AS SMALLINT[]), lambda x: x IS NOT NULL) END"
    )


def _missing(value: str, words: Sequence[str], text: str | None = None) -> str:
    if not words:
        return value
    if text is None and len(words) == 1:
        return f"nullif({value}, {literal(words[0])})"
    return f"CASE WHEN {text or value} IN ({', '.join(map(literal, words))}) THEN NULL ELSE {value} END"


def _bounded(column: str, item: Field, timezone: str | None) -> str:
    """A value that has its storage type already: still finite, still a year that has a name."""
    if item.type.name == "number":
        return f"CASE WHEN isfinite({column}) THEN {column} END"
    return within(column, storage(item.type, timezone)) if item.type.name in {"date", "datetime"} else column


def _text(text: str, item: Field, *, floating: bool) -> str:
    """The text of a value that was typed, in the form that its field's type reads."""
    if floating and item.type.name in {"integer", "decimal"}:
        return plain(text)
    return f"regexp_replace({text}, ' 00:00:00$', '')" if item.type.name == "date" else text


def _rounded(result: str, item: Field) -> str:
    """Rounded on decimal digits: as a double, 2.675 lies below its half."""
    whole = 19 if item.type.name == "integer" else item.type.precision - item.type.scale
    value = f"TRY_CAST(CAST({result} AS VARCHAR) AS DECIMAL(38,{38 - whole}))"
    function = "round_even" if item.round == "half_even" else "round"
    return f"CAST({function}({value}, {item.type.scale}) AS VARCHAR)"
