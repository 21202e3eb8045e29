"""The schema that was found, as a file that people read: every line says what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from pratique.errors import ConfigurationError
from pratique.inference.columns import Column
from pratique.inference.keys import Key, Link, named_like_a_key
from pratique.inference.layout import Line, flow, laid_out, listed, quoted, scalar
from pratique.inference.names import file_name
from pratique.inference.profile import KINDS, Table
from pratique.schema import Dialect
from pratique.schema import Field as SchemaField
from pratique.schema.expression import parse
from pratique.schema.sql import identifier, literal

_MANY: Final = 5  # records for each value of a text, on average, before the values are taken for all that there are
_ZEROS_MAX: Final = 2
_RANGED: Final = frozenset({"integer", "number", "decimal"})
_DAYS: Final = frozenset({"date", "datetime"})
_PLAIN_FIELD: Final = SchemaField("plain")
_ANSWERS: Final = {
    "dates": "--dates day-first or --dates month-first",
    "decimals": "--decimals point or --decimals comma",
}


def schema_text(table: Table, keys: Sequence[Key], links: Sequence[Link]) -> str:
    """The text of schemas/NAME.yaml."""
    primary = next((key.fields for key in keys if key.good), ())
    own = [link for link in links if link.child == table.name]
    lines = [
        Line("", f"What a record of {table.path} is, as all {table.rows:,} records say. Change what you know better.")
    ]
    lines += _reading(table)
    lines += _key_lines(keys)
    lines.append(Line("fields:", "the order of the table; types and required are rules: what breaks them is held"))
    lines += [
        Line(f"  {scalar(column.field.name)}: {_field(column.field)}", evidence(table, column))
        for column in table.columns
    ]
    checks = list(_checks(table, {*primary, *(link.field for link in own if link.rule)}))
    if checks:
        lines.append(Line("checks:", "what was seen so far: a record beyond it is loaded, and counted as a warning"))
        lines += checks
    lines += _references(own)
    return laid_out(lines)


def _reading(table: Table) -> Iterator[Line]:
    """Lines about how the text is read."""
    plain, seen = Dialect(), table.dialect
    known = (
        ("delimiter", seen.delimiter, plain.delimiter, "the mark between fields"),
        ("encoding", seen.encoding, plain.encoding, "of the bytes"),
        ("sheet", seen.sheet, plain.sheet, "the sheet of the workbook"),
        ("range", seen.cell_range, plain.cell_range, "the cells of the table"),
        ("header", seen.header, plain.header, f"the first {'row' if table.format == 'excel' else 'line'} holds values"),
    )
    words = {word: value for word, value, usual, _ in known if value != usual}
    told = [what for word, _, _, what in known if word in words]
    if words:
        yield Line(f"dialect: {flow(words)}", "as the file is written: " + ", ".join(told))
    for notice in table.notices:
        yield Line("", notice)
    if table.timezone:
        yield Line(f"timezone: {table.timezone}", "datetimes have an offset; one without is taken for this zone")
    if table.left_out:
        why = "whose values no text gives back" if table.format in KINDS else "which hold bytes"
        yield Line("extraFields: drop", f"left out: {listed(table.left_out)}, {why}")
    if table.torn:
        yield Line(
            "", f"{table.torn:,} of {table.records:,} records cannot be read, and will be held: {table.torn_reason}"
        )


def _key_lines(keys: Sequence[Key]) -> Iterator[Line]:
    if not keys:
        yield Line("", "primaryKey: no field, and no two fields together, are different in all records")
    for at, key in enumerate(keys):
        value = flow(key.fields if len(key.fields) > 1 else key.fields[0])
        if at == 0 and key.good:
            yield Line(f"primaryKey: {value}", key.why)
        elif not keys[0].good:
            yield Line("", f"primaryKey: {value}  ({key.why}: take the # away if it names a record)")


def _field(item: SchemaField) -> str:
    words: dict[str, Any] = {}
    if item.aliases:
        words["from"] = item.aliases[0] if not item.aliases[0].startswith(("=", "path.")) else list(item.aliases)
    if item.type.name != "string":
        words["type"] = str(item.type)
    for word, name in (("format", "format"), ("required", "required"), ("decimal_char", "decimalChar")):
        if getattr(item, word) != getattr(_PLAIN_FIELD, word):
            words[name] = getattr(item, word)
    if item.group_char:
        words["groupChar"] = item.group_char
    for word, name in (
        ("true_values", "trueValues"),
        ("false_values", "falseValues"),
        ("missing_values", "missingValues"),
    ):
        if getattr(item, word) != getattr(_PLAIN_FIELD, word):
            words[name] = list(getattr(item, word))
    if item.trim:
        words["trim"] = True
    if not words:
        return "string"
    return scalar(words["type"]) if list(words) == ["type"] else flow(words)


def evidence(table: Table, column: Column) -> str:
    """What a column's line rests on, in plain words."""
    return "; ".join([seen(table, column), *doubts(table, column)])


def seen(table: Table, column: Column) -> str:
    """What the values of a column are."""
    if not column.present:
        return "no record has a value" if table.rows else "there is no record yet"
    parts = [_presence(column)]
    named = column.field.type.name
    if column.answered:
        parts[0] += ", read as you said"
    if column.distinct == 1 and column.values:
        parts.append(f"always {quoted(column.values[0][0])}")
    elif column.least is not None and named in {*_RANGED, *_DAYS, "time"}:
        parts.append(f"{_bound(column, column.least)} to {_bound(column, column.greatest or '')}")
    elif named == "string":
        parts.append(_texts(column))
    if column.padded:
        parts.append(f"{column.padded:,} with blanks around them")
    return "; ".join(parts)


def _presence(column: Column) -> str:
    if not column.missing:
        return "the only value" if column.present == 1 else f"all {column.present:,} values"
    words = column.missing_words
    counted = f"{column.present:,} value{'' if column.present == 1 else 's'}"
    if len(words) == 1 and sum(words.values()) == column.missing:
        return f"{counted}, {column.missing:,} missing, written {quoted(next(iter(words)))}"
    told = ", ".join(f"{count:,} times {quoted(word)}" for word, count in words.items())
    return f"{counted}, {column.missing:,} missing" + (f" ({told})" if told else "")


def _texts(column: Column) -> str:
    if column.values and _is_enum(column):
        return listed((quoted(value) for value, _ in column.values), 4)
    if column.distinct == column.present:
        return f"all different, up to {column.longest:,} characters"
    return f"{column.distinct:,} different, up to {column.longest:,} characters"


def doubts(table: Table, column: Column) -> Iterator[str]:
    """What a person should decide about a column."""
    if column.question is not None:
        shown = listed(map(quoted, column.question.examples))
        yield f"{shown} can be read in two ways, so it stays text: say {_ANSWERS[column.question.kind]}"
    if column.near is not None:
        near = column.near
        meant = flow({"type": str(near.type), **({"format": near.format} if near.format else {})})
        place = f" in record {near.ordinal + table.first_number:,}" if table.files == 1 else ""
        first, them = ("", "it") if near.wrong == 1 else ("the first is ", "them")
        yield (
            f"{near.wrong:,} of them {'is' if near.wrong == 1 else 'are'} no {near.type}: {first}{quoted(near.example)}"
            f"{place}; write {meant} to hold {them}"
        )
    for word, count in column.odd_words.items():
        yield f"{count:,} times {quoted(word)}: if that means nothing, add missingValues"


def _bound(column: Column, text: str) -> str:
    kind = column.field.type
    if kind.name == "decimal":
        least = min(kind.scale, _ZEROS_MAX)  # further zeros say nothing
        whole, _, places = text.partition(".")
        return f"{whole}.{places.rstrip('0').ljust(least, '0')}" if kind.scale else whole
    return text.removesuffix("+00").removesuffix(" 00:00:00")


def _is_enum(column: Column) -> bool:
    return 1 < column.distinct == len(column.values) and column.present >= _MANY * column.distinct


def _checks(table: Table, known: set[str]) -> Iterator[Line]:
    """What was seen of values, as warnings; keys and references change from file to file."""
    taken: set[str] = set()
    for column in table.columns:
        item = column.field
        if item.name in known or not column.present:
            continue
        found = _check(column)
        if found is None:
            continue
        word, rule, why = found
        name = base = f"{file_name(item.name)}_{word}"
        number = 2
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        yield Line(f"  {name}: {{rule: {scalar(rule)}, severity: warn}}", why)


def _check(column: Column) -> tuple[str, str, str] | None:
    """Word, rule and reason of what a column's values have in common, if it is worth a warning."""
    item, kind = column.field, column.field.type.name
    name = _in_rule(item.name)
    if kind == "string" and _is_enum(column):
        values = ", ".join(literal(value) for value, _ in column.values)
        return "values", f"{name} IN ({values})", f"all {column.distinct} values"
    if kind == "string" and item.format is None and column.longest and not (column.question or column.near):
        return "length", f"length({name}) <= {column.longest}", "the longest text"
    if column.least is None or column.greatest is None or column.distinct < 2 or named_like_a_key(item.name):  # noqa: PLR2004
        return None
    if kind in _RANGED:
        least, greatest = _bound(column, column.least), _bound(column, column.greatest)
        return "range", f"{name} BETWEEN {least} AND {greatest}", "least and greatest value"
    if kind in _DAYS:
        return "since", f"{name} >= DATE '{column.least[:10]}'", "the first day"
    return None


def _in_rule(name: str) -> str:
    """A field's name as a rule names it: in quotes where it would be something else."""
    try:
        if parse(f"{name} IS NULL", (name,), {}, scope="row").inputs == (name,):
            return name
    except ConfigurationError:
        pass
    return identifier(name)


def _references(links: Sequence[Link]) -> Iterator[Line]:
    if any(link.rule for link in links):
        yield Line("references:", "values that must occur in another table, or the record is held")
    for link in links:
        target = f"{link.parent}.{link.parent_field}"
        share = f"{link.found:,} of {link.values:,} values occur there"
        if link.rule:
            why = f"all {link.values:,} values occur there" if link.values else "so it is declared there"
            yield Line(f"  {scalar(link.field)}: {scalar(target)}", why)
        else:
            indent = "  " if any(other.rule for other in links) else ""
            yield Line(indent, f"{link.field} may refer to {target}: {share} ({100 * link.found / link.values:.1f} %)")
