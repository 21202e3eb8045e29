"""Lists of records that are expected, compared record by record with those that there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from pratique.cases import ExpectedRecord
from pratique.pipeline_tests.differences import Difference, listed, shortened
from pratique.quarantine.records import MASK, masked
from pratique.schema import Schema
from pratique.schema.rules import sensitive
from pratique.schema.written import held_value, told_value

Record = Mapping[str, Any]
Pair = tuple[ExpectedRecord | None, Record | None]
_ABSENT: Final = "–"  # noqa: RUF001 - the dash that tables use


@dataclass(frozen=True, slots=True)
class _Telling:
    """How values of a source are shown: those of sensitive fields are not."""

    schema: Schema
    hidden: frozenset[str]

    @classmethod
    def of(cls, schema: Schema) -> _Telling:
        fields = [schema.field(name) for name in sensitive(schema)]
        return cls(schema, frozenset(name for item in fields for name in (item.name, *item.headers)))

    def value(self, name: str, value: Any) -> str:
        return MASK if name in self.hidden and value not in (None, "") else told_value(value)

    def record(self, values: Record) -> str:
        """Such as `{id: 1, name: "a"}`."""
        return "{" + ", ".join(f"{name}: {self.value(name, value)}" for name, value in values.items()) + "}"


def paired(
    expected: Sequence[ExpectedRecord], got: Sequence[Record], likeness: Callable[[ExpectedRecord, Record], float]
) -> list[Pair]:
    """Each expected record with the one that is most like it; those that are left over stand alone.

    `likeness` is 1 for a record that is as expected, 0 for one that has nothing in common with it.
    """
    scores = [[likeness(want, have) for have in got] for want in expected]
    partner = _matched([[j for j, score in enumerate(row) if score == 1] for row in scores])
    taken = set(partner.values())
    near = [(score, -i, -j) for i, row in enumerate(scores) for j, score in enumerate(row) if 0 < score < 1]
    for _, i, j in sorted(near, reverse=True):
        if -i not in partner and -j not in taken:
            partner[-i] = -j
            taken.add(-j)
    pairs: list[Pair] = [(want, got[partner[i]] if i in partner else None) for i, want in enumerate(expected)]
    return pairs + [(None, have) for j, have in enumerate(got) if j not in taken]


def _matched(fitting: list[list[int]]) -> dict[int, int]:
    """As many pairs as there can be (Kuhn's algorithm): who says little takes no partner from who says more."""
    owner: dict[int, int] = {}

    def place(i: int, seen: set[int]) -> bool:
        fresh = [j for j in fitting[i] if j not in seen]
        for j in [j for j in fresh if j not in owner] + [j for j in fresh if j in owner]:
            seen.add(j)
            if j not in owner or place(owner[j], seen):
                owner[j] = i
                return True
        return False

    for i in sorted(range(len(fitting)), key=lambda i: len(fitting[i])):
        place(i, set())
    return {i: j for j, i in owner.items()}


# --- rows of a table


def compare_rows(
    schema: Schema,
    expected: Sequence[ExpectedRecord],
    got: Sequence[Record],
    what: str,
    where: str,
    *,
    exact: bool,
    explain: Callable[[ExpectedRecord], tuple[str, ...]] = lambda _: (),
) -> list[Difference]:
    """Rows of a table, in any order; only the named fields count unless `exact`."""
    fields = {item.name: item for item in schema.fields if item.store != "drop"}
    rows = [{name: held_value(item, row.get(name)) for name, item in fields.items()} for row in got]
    telling = _Telling.of(schema)
    keys = set(schema.primary_key)

    def likeness(want: ExpectedRecord, have: Record) -> float:
        names = fields if exact else want.values
        same = [name for name in names if _same(want.values.get(name), have[name])]
        if len(same) == len(names):
            return 1.0
        key = bool(keys) and keys <= set(same)
        return (len(same) + len(fields) * key) / (2 * len(fields) + 1)

    found = []
    for want, have in paired(expected, rows, likeness):
        if want is None:
            told = telling.record(have or {})
            found.append(Difference(where, what, "no such record", told))
        elif have is None:
            found.append(
                Difference(want.where, what, telling.record(want.values), "no such record", notes=explain(want))
            )
        else:
            names = fields if exact else want.values
            wrong = [name for name in names if not _same(want.values.get(name), have[name])]
            shown = [name for name in fields if name in wrong or (wrong and name in keys)]
            values = tuple(
                (
                    name,
                    telling.value(name, want.values.get(name)) if exact or name in want.values else _ABSENT,
                    telling.value(name, have[name]),
                )
                for name in shown
            )
            if wrong:
                found.append(Difference(want.where, what, "", "", values))
    return shortened(found)


def _same(want: Any, have: Any) -> bool:
    if isinstance(want, bool) or isinstance(have, bool):
        return want is have
    if isinstance(want, int | float | Decimal) and isinstance(have, int | float | Decimal):
        return want == have
    return type(want) is type(have) and bool(want == have)


# --- quarantined records


def compare_held(
    schema: Schema,
    expected: Sequence[ExpectedRecord],
    got: Sequence[Record],
    what: str,
    where: str,
    explain: Callable[[ExpectedRecord], tuple[str, ...]],
) -> list[Difference]:
    """Quarantined records, in any order: the fields that identify them, and exactly the rules that hold them."""
    telling = _Telling.of(schema)

    def likeness(want: ExpectedRecord, have: Record) -> float:
        parts = _parts(want, have)
        if all(same for _, same in parts):
            return 1.0
        same = sum(same for name, same in parts if name != "rules")
        total = sum(name != "rules" for name, _ in parts)
        rules = any(same for name, same in parts if name == "rules")
        return (same + 0.1 * rules * bool(same)) / (total + 1) if total else 0.5

    found = []
    for want, have in paired(expected, got, likeness):
        if want is None:
            notes = _rules_told(have or {})
            found.append(Difference(where, what, "no such record", _shown(have or {}), notes=notes))
        elif have is None:
            found.append(Difference(want.where, what, _wanted(want, telling), "no such record", notes=explain(want)))
        elif wrong := [name for name, same in _parts(want, have) if not same]:
            names = dict.fromkeys([*want.values, *wrong])
            values = tuple(_side_by_side(name, want, have, telling) for name in names)
            found.append(Difference(want.where, what, "", "", values, _rules_told(have)))
    return shortened(found)


def _parts(want: ExpectedRecord, have: Record) -> list[tuple[str, bool]]:
    """Everything that an expected record says, and whether it is so."""
    parts = [(name, same_text(text, have["values"].get(name))) for name, text in want.values.items()]
    if want.line is not None:
        parts.append(("line", want.line == have["line"]))
    if want.raw is not None:
        parts.append(("raw", want.raw == have["raw"]))
    if want.rules is not None:
        parts.append(("rules", sorted(set(want.rules)) == holding(have)))
    if want.message is not None:
        parts.append(("message", any(want.message in error["message"] for error in have["errors"])))
    return parts


def same_text(want: str | None, have: Any) -> bool:
    """A written value against an original one: a missing text is an empty one, JSON's numbers are compared as such."""
    if want in (None, "") or have in (None, ""):
        return (want or "") == ("" if have is None else have)
    if isinstance(have, str):
        return want == have
    if isinstance(have, bool):
        return want == str(have).lower()
    try:
        return Decimal(str(want)) == Decimal(str(have))
    except InvalidOperation:
        return want == told_value(have)


def holding(record: Record) -> list[str]:
    """The rules that hold a record, sorted: warnings do not."""
    return sorted({error["rule"] for error in record["errors"] if error["severity"] != "warn"})


def _rules_told(record: Record) -> tuple[str, ...]:
    shown = masked(dict(record))
    return tuple(f"{error['rule']}: {error['message']}" for error in shown["errors"] if error["severity"] != "warn")


def _shown(record: Record) -> str:
    shown = masked(dict(record))
    values = ", ".join(f"{name}: {told_value(value)}" for name, value in shown["values"].items())
    if not values:
        values = f"raw: {told_value(shown['raw'])}"
    return f"{{{values}, rules: [{listed(holding(record))}]}}"


def _wanted(want: ExpectedRecord, telling: _Telling) -> str:
    values = dict(want.values)
    parts = [f"{name}: {telling.value(name, value)}" for name, value in values.items()]
    parts += [f"line: {want.line}"] if want.line is not None else []
    parts += [f"raw: {MASK if telling.hidden else told_value(want.raw)}"] if want.raw is not None else []
    parts += [f"rules: [{', '.join(want.rules)}]"] if want.rules is not None else []
    return f"{{{', '.join(parts)}}}"


def _side_by_side(name: str, want: ExpectedRecord, have: Record, telling: _Telling) -> tuple[str, str, str]:
    shown = masked(dict(have))
    if name == "rules" and want.rules is not None:
        return name, listed(sorted(set(want.rules))), listed(holding(have))
    if name == "line" and name not in want.values:
        return name, str(want.line), str(have["line"])
    if name == "raw" and name not in want.values:
        return name, MASK if telling.hidden else told_value(want.raw), told_value(shown["raw"])
    if name == "message" and name not in want.values:
        told = "; ".join(error["message"] for error in shown["errors"])
        return name, MASK if MASK in told else told_value(want.message), told
    return name, telling.value(name, want.values[name]), told_value(shown["values"].get(name))
