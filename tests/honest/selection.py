"""Which files are made: every defect with every line end, encoding, position and packing that it can have."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import file_damage
import record_damage
from base_tables import TABLES
from defects import DEFECTS, Defect, Kind
from drafts import ENCODINGS, Draft, Item, packed

MODULES = (file_damage, record_damage)  # whose import fills the list of defects
SEED = 20_241
POSITIONS = ("first", "second", "middle", "last but one", "last")
SIZES = (5, 12, 40, 5, 12, 40, 5, 200)
BULKY_SIZES = (5, 12, 5, 12, 560)  # the last is above a MiB: large files are scanned in another way
SOUND = "no damage at all"
SEVERAL = "two or three of these, far apart"


@dataclass(frozen=True)
class Case:
    """One file: what it is made of, its bytes, and its truth."""

    name: str
    group: str  # table and encoding as declared: one source of the pipeline
    defects: tuple[str, ...]
    axes: tuple[str, str, str, str]  # line end, encoding, position, packing
    data: bytes
    unpacked: bytes
    kind: Kind
    held: str
    delimiter: str
    items: tuple[Item, ...]

    @property
    def called(self) -> str:
        """The defect, or what several of them are called together."""
        return self.defects[0] if len(self.defects) == 1 else SEVERAL


def group_of(table: str, encoding: str) -> str:
    """The name of the source that reads such files."""
    return f"{table}_{ENCODINGS[encoding][0].replace('-', '_')}"


def covering(defect: Defect, count: int, rng: Random) -> Iterator[tuple[str, str, str, str, str]]:
    """(table, line end, encoding, position, packing): every value of every axis, as often as the others of its axis."""
    axes = (defect.tables, defect.line_ends, defect.encodings, POSITIONS, defect.packings)
    columns = []
    for axis in axes:
        column = [value for _ in range(count // len(axis) + 1) for value in rng.sample(axis, len(axis))]
        columns.append(column[:count])
    yield from zip(*columns, strict=True)


def cases(per_defect: int, several: int, seed: int = SEED) -> list[Case]:
    """`per_defect` files of every defect, and `several` with more than one; the same seed gives the same files."""
    made: list[Case] = []
    seen: set[tuple[str, bytes]] = set()
    for defect in DEFECTS.values():
        rng = Random(f"{seed} {defect.name}")  # noqa: S311 - reproducible, not secret
        for place, (table, *axes) in enumerate(covering(defect, per_defect, rng)):
            _add(made, seen, ((defect,), table, tuple(axes)), Random(f"{seed} {defect.name} {place}"))  # noqa: S311
    local = [defect for defect in DEFECTS.values() if defect.local]
    for place in range(several):
        rng = Random(f"{seed} several {place}")  # noqa: S311
        table = rng.choice([name for name in TABLES if name != "words"])
        encoding = rng.choice(list(ENCODINGS))
        fitting = [item for item in local if table in item.tables and encoding in item.encodings]
        chosen = _apart(rng, fitting, rng.choice([2, 2, 3]))
        line_ends = [end for end in ("LF", "CRLF", "CR") if all(end in item.line_ends for item in chosen)]
        axes = (rng.choice(line_ends), encoding, "first", rng.choice(["none", "none", "none", "gz"]))
        _add(made, seen, (chosen, table, axes), rng)
    groups = {case.group: case for case in made}
    return made + [sound_case(case, len(made) + 1 + place) for place, case in enumerate(groups.values())]


def sound_case(like: Case, number: int) -> Case:
    """A sound file for the same source as another."""
    line_end, encoding, _, _ = like.axes
    table = TABLES[like.group.partition("_")[0]]
    draft = Draft.sound(table, 9, number, Random(f"sound {number}"), encoding, line_end)  # noqa: S311
    data = draft.to_bytes()
    return _case(draft, (SOUND,), (line_end, encoding, "", "none"), f"f{number:05}", data, data)


def _apart(rng: Random, fitting: list[Defect], count: int) -> tuple[Defect, ...]:
    """Defects of which at most one leaves a quote open: two of them could close one another."""
    chosen: list[Defect] = []
    while len(chosen) < count:
        item = rng.choice(fitting)
        if item not in chosen and not (item.quotes and any(other.quotes for other in chosen)):
            chosen.append(item)
    return tuple(chosen)


def _add(
    made: list[Case],
    seen: set[tuple[str, bytes]],
    recipe: tuple[tuple[Defect, ...], str, tuple[str, ...]],
    rng: Random,
) -> None:
    defects, table, axes = recipe
    line_end, encoding, position, packing = axes
    number = len(made) + 1
    sizes = BULKY_SIZES if table == "bulky" else SIZES
    size = rng.choice(sizes) if len(defects) == 1 else 60 if table != "bulky" else 12
    for _ in range(50):
        draft = Draft.sound(TABLES[table], size, number, rng, encoding, line_end)
        records = draft.records()
        places = [_place(position, size)] if len(defects) == 1 else [0, size // 2, size - 1]
        chosen = [records[place] for place in places]
        for defect, piece in zip(defects, chosen, strict=False):
            defect.make(draft, piece, rng)
            piece.expected = defect.reason
        if not draft.held and draft.unknowable():
            continue
        unpacked = draft.to_bytes()
        data = packed(unpacked, packing, draft.pack_damage)
        if (table + encoding, data) in seen and data:
            return
        seen.add((table + encoding, data))
        names = tuple(defect.name for defect in defects)
        made.append(_case(draft, names, (line_end, encoding, position, packing), f"f{number:05}", unpacked, data))
        return
    raise AssertionError(f"{defects[0].name} cannot be made in {table}, {axes}")


def _place(position: str, size: int) -> int:
    return {"first": 0, "second": 1, "middle": size // 2, "last but one": size - 2, "last": size - 1}[position]


def _case(
    draft: Draft, defects: tuple[str, ...], axes: tuple[str, str, str, str], name: str, unpacked: bytes, data: bytes
) -> Case:
    defect = DEFECTS.get(defects[0])
    items = () if draft.held else draft.items(defect.reason if defect else "")
    kind: Kind = "legal" if defect and "legal" in defect.outcomes else "loaded"
    if draft.held:
        kind = "held"
    elif any(item.reasons for item in items):
        kind = "quarantined"
    suffix = ".csv" if axes[3] == "none" else f".csv.{axes[3]}"
    return Case(
        name + suffix,
        group_of(draft.table.name, draft.encoding),
        defects,
        axes,
        data,
        unpacked,
        kind,
        draft.held,
        TABLES[draft.table.name].delimiter,
        items,
    )
