"""What changes between two versions of a schema, and what each change means for records that passed before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from pratique.schema.fields import Check, Field, Reference, Schema
from pratique.schema.types import literal_value, valid_literal

Effect = Literal["tighter", "looser", "both", "none"]

EFFECTS: Final[dict[Effect, str]] = {
    "tighter": "may hold records that passed before",
    "looser": "may let records pass that were held before",
    "both": "may hold records that passed, and let others pass",
    "none": "changes no verdict",
}
_SEVERITIES: Final = ("warn", "quarantine", "fail")
_QUIET: Final = frozenset({"description", "where", "sensitive", "store"})
_LOWER: Final = frozenset({"minimum", "exclusive_minimum", "min_length"})
_UPPER: Final = frozenset({"maximum", "exclusive_maximum", "max_length"})
_WORDS: Final = {
    "aliases": "from",
    "capture": "from",
    "expression": "from",
    "condition": "where",
    "exclusive_minimum": "exclusiveMinimum",
    "exclusive_maximum": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "min_length": "minLength",
    "max_length": "maxLength",
    "missing_values": "missingValues",
    "decimal_char": "decimalChar",
    "group_char": "groupChar",
    "true_values": "trueValues",
    "false_values": "falseValues",
    "primary_key": "primaryKey",
    "extra_fields": "extraFields",
    "quote_char": "quoteChar",
    "escape_char": "escapeChar",
    "comment_char": "commentChar",
    "header_rows": "headerRows",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One change: what of the schema (`amount.minimum`), how it was and is (None: not there), and its effect."""

    what: str
    before: str | None
    after: str | None
    effect: Effect


def difference(old: Schema, new: Schema) -> list[Change]:
    """Every change from `old` to `new`: of the whole schema, then of fields, checks and references in their order.

    `tighter` and `looser` are said only where that is sure for every record; else a change has `both` effects.
    """
    return [
        *_whole(old, new),
        *_fields(old, new),
        *_entries("check", old.checks, new.checks),
        *_entries("reference", old.references, new.references),
    ]


def _shown(value: Any) -> str | None:
    if value is None or value == ():
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _change(what: str, before: Any, after: Any, effect: Effect) -> Change:
    return Change(what, _shown(before), _shown(after), effect)


def _whole(old: Schema, new: Schema) -> Iterator[Change]:
    if old.primary_key != new.primary_key:
        effect: Effect = "both" if old.primary_key and new.primary_key else "tighter" if new.primary_key else "looser"
        yield _change("primaryKey", old.primary_key, new.primary_key, effect)
    lost, won = (
        [key for key in one.unique_keys if key not in other.unique_keys] for one, other in ((old, new), (new, old))
    )
    yield from (_change(f"uniqueKeys {'+'.join(key)}", key, None, "looser") for key in lost)
    yield from (_change(f"uniqueKeys {'+'.join(key)}", None, key, "tighter") for key in won)
    if old.extra_fields != new.extra_fields:
        effect = "tighter" if new.extra_fields == "reject" else "looser"
        yield _change("extraFields", old.extra_fields, new.extra_fields, effect)
    for word in ("filter", "timezone"):
        if getattr(old, word) != getattr(new, word):
            yield _change(word, getattr(old, word), getattr(new, word), "both")
    for item in fields(old.dialect):
        before, after = getattr(old.dialect, item.name), getattr(new.dialect, item.name)
        if before != after:
            yield _change(f"dialect {_WORDS.get(item.name, item.name)}", before, after, "both")
    both = [[item.name for item in one.fields if _has(other, item.name)] for one, other in ((old, new), (new, old))]
    if both[0] != both[1]:
        yield _change("order of fields", tuple(both[0]), tuple(both[1]), "none")


def _has(schema: Schema, name: str) -> bool:
    return any(item.name == name for item in schema.fields)


def _fields(old: Schema, new: Schema) -> Iterator[Change]:
    before, after = ({item.name: item for item in schema.fields} for schema in (old, new))
    for name, item in before.items():
        if name not in after:  # a file that still has the column: held, unless it may have more
            effect: Effect = "looser" if not _in_header(item) or new.extra_fields != "reject" else "both"
            yield _change(f"field {name}", item.type, None, effect)
    for name, item in after.items():
        if name not in before:  # a file without the column is held; one that had it too many no longer is
            effect = "tighter" if not _in_header(item) or old.extra_fields != "reject" else "both"
            yield _change(f"field {name}", None, item.type, effect)
        else:
            yield from _words(f"field {name}", before[name], item, _field_effect)


def _in_header(item: Field) -> bool:
    return item.capture is None and item.expression is None


def _entries(kind: str, old: tuple[Any, ...], new: tuple[Any, ...]) -> Iterator[Change]:
    before, after = ({item.name: item for item in items} for items in (old, new))
    for name, item in before.items():
        if name not in after:
            yield _change(_title(kind, item), _told(item), None, "looser" if item.severity != "warn" else "none")
    for name, item in after.items():
        if name not in before:
            yield _change(_title(kind, item), None, _told(item), "tighter" if item.severity != "warn" else "none")
        else:
            yield from _words(_title(kind, item), before[name], item, _entry_effect)


def _title(kind: str, item: Check | Reference) -> str:
    return f"reference {'+'.join(item.fields)}" if isinstance(item, Reference) else f"{kind} {item.name}"


def _told(item: Check | Reference) -> str:
    return item.rule if isinstance(item, Check) else f"{item.parent}.{'+'.join(item.parent_fields)}"


def _words(what: str, old: Any, new: Any, effect: Callable[[str, Any, Any], Effect]) -> Iterator[Change]:
    for item in fields(old):
        before, after = getattr(old, item.name), getattr(new, item.name)
        if before != after and item.name != "where":
            word = _WORDS.get(item.name, item.name)
            told: Effect = "none" if item.name in _QUIET else effect(item.name, old, new)
            yield _change(f"{what}: {word}", before, after, told)


def _field_effect(word: str, old: Field, new: Field) -> Effect:
    if word in _RULES and new.severity == "warn":
        return "none"
    effect = _EFFECTS.get(word)
    return effect(word, old, new) if effect else "both"


def _more(word: str, old: Any, new: Any) -> Effect:
    """A promise that is made or taken back."""
    return (
        "tighter" if getattr(new, word) and not getattr(old, word) else "looser" if not getattr(new, word) else "both"
    )


def _form(word: str, old: Field, new: Field) -> Effect:
    """The format of a text is a promise; that of a date says how it is read."""
    return _more(word, old, new) if old.type.name == new.type.name == "string" else "both"


def _bound(word: str, old: Field, new: Field) -> Effect:
    before, after = getattr(old, word), getattr(new, word)
    if before is None or after is None:
        return "tighter" if before is None else "looser"
    values = [before, after]
    if isinstance(before, str):
        if not all(valid_literal(text, new.type) for text in values):
            return "both"
        values = [literal_value(text, new.type) for text in values]
    if values[0] == values[1]:
        return "none"
    return "tighter" if (values[1] > values[0]) == (word in _LOWER) else "looser"


def _enum(_: str, old: Field, new: Field) -> Effect:
    if old.enum is None or new.enum is None:
        return "tighter" if old.enum is None else "looser"
    before, after = set(old.enum), set(new.enum)
    return "none" if before == after else "looser" if after > before else "tighter" if after < before else "both"


def _headers(_: str, old: Field, new: Field) -> Effect:
    """The first name that a header has is taken: only names behind the others change nothing for them."""
    before, after = old.headers, new.headers
    if not (_in_header(old) and _in_header(new)):
        return "both"
    if after[: len(before)] == before:
        return "looser" if len(after) > len(before) else "none"
    return "tighter" if before[: len(after)] == after else "both"


def _severity(_: str, old: Any, new: Any) -> Effect:
    return "tighter" if _SEVERITIES.index(new.severity) > _SEVERITIES.index(old.severity) else "looser"


def _type(_: str, old: Field, new: Field) -> Effect:
    if old.type.name == new.type.name == "decimal":
        return _decimal_effect(old, new)
    return "looser" if new.type.name == "string" else "tighter" if old.type.name == "string" else "both"


def _decimal_effect(old: Field, new: Field) -> Effect:
    whole = [item.type.precision - item.type.scale for item in (old, new)]
    if whole[1] >= whole[0] and new.type.scale >= old.type.scale:
        return "looser"
    return "tighter" if whole[1] <= whole[0] and new.type.scale <= old.type.scale else "both"


def _entry_effect(word: str, old: Any, new: Any) -> Effect:
    effects = {"severity": _severity, "at_most": _share}
    return effects[word](word, old, new) if word in effects else "both"


def _share(_: str, old: Check | Reference, new: Check | Reference) -> Effect:
    """A share stops the load above it; without one a `fail` stops at the first record, the others never."""
    if new.severity != old.severity:
        return "both"
    if new.severity == "warn":
        return "none"
    without = 0.0 if new.severity == "fail" else 1.0
    before, after = (without if item.at_most is None else item.at_most for item in (old, new))
    return "none" if before == after else "tighter" if after < before else "looser"


_RULES: Final = frozenset({"required", "unique", "pattern", "multiple_of", "enum", "format", *_LOWER, *_UPPER})
_EFFECTS: Final[dict[str, Callable[[str, Any, Any], Effect]]] = {
    **dict.fromkeys(("required", "unique", "pattern", "multiple_of"), _more),
    **dict.fromkeys(_LOWER | _UPPER, _bound),
    "format": _form,
    "enum": _enum,
    "aliases": _headers,
    "severity": _severity,
    "type": _type,
}
