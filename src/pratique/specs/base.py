"""What all specs share: strict pydantic models, and mistakes told in plain words at their place in the file."""

from __future__ import annotations

import copy
import difflib
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any, Final, Generic, NoReturn, Protocol, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError

from pratique.documents import KeyPath
from pratique.mistakes import Code, Mistake, refuse
from pratique.secrets import Secret

NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9_-]{0,63}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Free = dict[str, Any]
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Spec(BaseModel):
    """Unknown keys are refused, nothing is converted in silence, and a spec never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


AnySpec = TypeVar("AnySpec", bound=Spec)


def nearest(name: str, known: Iterable[str], what: str = "known") -> str:
    """The hint for a name that does not exist: the nearest one that does, or all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(name.lower(), [item.lower() for item in names], n=1, cutoff=0.6)
    meant = next((item for item in names if near and item.lower() == near[0]), None)
    listed = f"{what}: {', '.join(names)}" if names else f"{what}: none"
    return f'did you mean "{meant}"?' if meant else listed


def share(value: Any) -> Any:
    """A share of rows: `0.001` or `"0.1 %"`, between 0 and 1."""
    number = value
    if isinstance(value, str) and (match := re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*", value)):
        number = float(Decimal(match[1]) / 100)  # rounded once: 0.29 % is the same number as 29 of 10,000
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= 1:
        raise ValueError("expected a share", 'a number from 0 to 1, or a percentage such as "0.1 %"')
    return float(number)


def one_or_more(value: Any) -> Any:
    """One text may stand for a list of one."""
    return [value] if isinstance(value, str) else value


_TIMES: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds_of(text: str) -> int:
    """The seconds of a time such as `30s`, `10m`, `2h` or `1d`; ValueError for any other text."""
    match = re.fullmatch("([0-9]+) ?([smhd])", text)
    if match is None:
        raise ValueError("expected a time such as 10m, 1h or 2d", "a whole number, and s, m, h or d behind it")
    return int(match[1]) * _TIMES[match[2]]


def _duration(text: str) -> str:
    seconds_of(text)
    return text


Duration = Annotated[str, AfterValidator(_duration)]
Share = Annotated[float, BeforeValidator(share, json_schema_input_type=float | str)]
Texts = Annotated[list[str], BeforeValidator(one_or_more, json_schema_input_type=str | list[str])]


class Where(Protocol):
    """Places a value in its file, or its key."""

    def __call__(self, path: KeyPath, key: bool = False) -> str:  # noqa: FBT001, FBT002 - one word says it
        """`file:line:column`."""
        ...


@dataclass(frozen=True, slots=True)
class Parsed(Generic[AnySpec]):
    """What could be read of a value: `spec` without the wrong parts, which stood at `wrong`, or None."""

    spec: AnySpec | None
    mistakes: tuple[Mistake, ...] = ()
    wrong: frozenset[KeyPath] = frozenset()


def parse(
    model: type[AnySpec],
    value: Any,
    where: Where,
    shown: Any = None,
    stand_ins: Mapping[str, Any] = NOTHING,
    entries: str = "",
) -> Parsed[AnySpec]:
    """`value` as a spec, and every mistake in it: the wrong parts are left out, and the rest is read.

    `where(path, key)` places a value, or its key if `key`. Messages show values as they stand in `shown` (default
    `value`), where secrets may still be hidden. `stand_ins` stand for keys of the root that are missing or wrong.
    Entries under the key `entries` keep their names, even if nothing of them can be read.
    """
    root = value if shown is None else shown
    mistakes: dict[tuple[str, str, Any], Mistake] = {}  # a wrong word of `defaults` is told once, not for every heir
    wrong: set[KeyPath] = set()
    while True:
        try:
            read = model.model_validate(value, by_alias=True, by_name=False)  # `primary_key` is our name, not a word
            return Parsed(read, tuple(mistakes.values()), frozenset(wrong))
        except ValidationError as error:
            errors = error.errors(include_url=False)
        found = {_place_of(value, item): item for item in errors}
        for item in errors:
            if not (_misspelt(item, errors) or _follows(_place_of(value, item), wrong)):
                mistake = _explain(model, root, item, where)
                mistakes.setdefault((mistake.where, mistake.code, (item["loc"] or ("",))[-1]), mistake)
        missing = {str(item["loc"][0]) for item in errors if len(item["loc"]) == 1 and item["type"] == "missing"}
        if (() in found and not (missing and missing <= stand_ins.keys())) or not isinstance(value, dict):
            return Parsed(None, tuple(mistakes.values()), frozenset(wrong))
        value = copy.deepcopy(value)
        for path in found:
            _leave_out(value, path, entries)
        value.update({key: stand_ins[key] for key in missing})
        wrong |= (found.keys() - {()}) | {(key,) for key in missing}


def _place_of(value: Any, item: Any) -> KeyPath:
    """The part of `value` that has to be left out so that this error is gone: in a list, the list."""
    path = _written(value, tuple(item["loc"]))
    return next((path[:at] for at, part in enumerate(path) if isinstance(part, int)), path)


def _leave_out(value: Any, path: KeyPath, entries: str) -> None:
    for part in path[:-1]:
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, dict) and path and path[-1] in value:
        if path[:-1] == (entries,) and value[path[-1]] != {}:
            value[path[-1]] = {}
        else:
            del value[path[-1]]


def _follows(path: KeyPath, wrong: set[KeyPath]) -> bool:
    """True if something at `path` is wrong only because a part of it was left out."""
    return any(path == part[: len(path)] for part in wrong)


def _misspelt(item: Any, errors: list[Any]) -> bool:
    """True if a key is missing only because it is written wrongly beside it, which is told already."""
    *parent, key = item["loc"] or ("",)
    return item["type"] == "missing" and any(
        other["type"] == "extra_forbidden"
        and list(other["loc"][:-1]) == parent
        and difflib.get_close_matches(str(other["loc"][-1]).lower(), [str(key).lower()])
        for other in errors
    )


def _explain(model: type[Spec], root: Any, item: Any, where: Where) -> Mistake:
    path = _written(root, tuple(item["loc"]))
    shown = _dotted(path)
    kind, context, value = item["type"], item.get("ctx", {}), _at(root, path)
    if kind == "extra_forbidden":
        outer = f" in {_dotted(path[:-1])}" if path[:-1] else ""
        hint = nearest(str(path[-1]), _known(model, path[:-1]))
        return Mistake(where(path, True), f'unknown key "{path[-1]}"{outer}', hint, "unknown-key")
    if kind == "missing":
        missing = item["loc"][-1]
        outer = f" in {_dotted(path)}" if path else ""
        return Mistake(where(path, False), f'"{missing}" is missing{outer}', f"add {missing}: …", "missing-key")
    if kind == "string_pattern_mismatch" and context["pattern"] == NAME_PATTERN:
        is_key = item["loc"][-1] == "[key]"
        message = f"{shown}: {_show(path[-1] if is_key else value)} is not a name"
        hint = "names: small letters, digits, _ and -, at most 64, first a letter or digit"
        return Mistake(where(path, is_key), message, hint)
    if kind == "value_error":
        message, hint, word = (*context["error"].args, "", "")[:3]
        place = where((*path, word), False) if word else where(path, False)
        return Mistake(place, f"{shown}: {message}", hint, "conflict" if word else "value")
    return Mistake(where(path, False), *_explain_value(kind, context, str(item["msg"]), shown, value))


def _explain_value(kind: str, context: Any, told: str, shown: str, value: Any) -> tuple[str, str, Code]:
    """What is wrong with a value at the key path `shown`, what to do, and its code."""
    if kind in {"too_short", "string_too_short"}:
        return f"{shown} is empty", "write at least one entry, or leave it out", "value"
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        hint = nearest(value, choices, "expected") if isinstance(value, str) else f"expected: {', '.join(choices)}"
        return f"{shown}: {_show(value)} is not one of {', '.join(choices)}", hint, "value"
    expected = _EXPECTED.get(kind) or told.removeprefix("Input should be ")
    expected = expected.replace("greater than or equal to", "at least").replace("less than or equal to", "at most")
    hint = "put it in quotes" if kind == "string_type" and isinstance(value, int | float | bool) else ""
    code: Code = "type" if kind.endswith("_type") else "value"
    return f"{shown}: expected {expected}, found {_show(value)}", hint or _HINTS.get(kind, f"write {expected}"), code


_HINTS: Final = {
    "bool_type": "write true or false",
    "int_type": "write digits without quotes",
    "dict_type": "such as {name: value}, or indented lines `name: value`",
    "model_type": "such as {key: value}, or indented lines `key: value`",
    "list_type": "such as [a, b]",
}
_EXPECTED: Final = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "string_pattern_mismatch": 'a size such as "700MB"',
    "float_type": "a number",
    "list_type": "a list",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of keys to values",
}


def _show(value: Any) -> str:
    """A value as people know it from their file; secrets stay hidden, long ones are cut."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 60 else f'"{value[:60]}…"'  # noqa: PLR2004 - a line of a terminal
    return str(value) if isinstance(value, int | float | Secret) else type(value).__name__


def _written(root: Any, path: Sequence[str | int]) -> KeyPath:
    """The longest part of pydantic's location that exists in the value (it adds names of types and missing keys)."""
    found: list[str | int] = []
    for part in path:
        in_list = isinstance(root, list) and isinstance(part, int) and part < len(root)
        if not in_list and not (isinstance(root, dict) and part in root):
            break
        root = root[part]
        found.append(part)
    return tuple(found)


def _at(value: Any, path: KeyPath) -> Any:
    for part in path:
        value = value[part]
    return value


def _dotted(path: KeyPath) -> str:
    return (
        "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".") or "the file"
    )


def _known(model: Any, path: KeyPath) -> list[str]:
    """The keys that the spec at `path` knows."""
    for part in path:
        model = _step(model, part)
    return [info.alias or name for name, info in model.model_fields.items()] if _is_spec(model) else []


def _step(model: Any, part: str | int) -> Any:
    if _is_spec(model):
        inner = next(
            (info.annotation for name, info in model.model_fields.items() if part == (info.alias or name)), None
        )
    else:
        inner = (typing.get_args(model) or (None,))[-1]
    while typing.get_origin(inner) not in (None, list, dict):  # Annotated, Optional
        inner = typing.get_args(inner)[0]
    return inner


def _is_spec(model: Any) -> bool:
    return isinstance(model, type) and issubclass(model, Spec)


def not_served(what: str, where: str, hint: str = "") -> NoReturn:
    """Refuse a word of the language whose feature does not exist yet, instead of running without it."""
    refuse([Mistake(where, f"{what} is not served yet", hint or "leave it out", "not-served")])
    raise AssertionError(what)
