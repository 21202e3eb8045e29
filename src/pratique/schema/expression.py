"""The rule language: one expression over a row's fields, refused with its place unless every word of it is known.

Two locks: every token must be a word of the language (a field, a listed function, an operator), and every node of
the parsed tree must be of an allowed kind. What comes out is SQL with quoted names that can read nothing but the row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Literal, NoReturn

from pratique.errors import ConfigurationError
from pratique.schema.functions import FUNCTIONS, UNITS
from pratique.schema.sql import identifier, literal

# Limit: longer rules than these are programs; the parser is recursive, and the depth bounds it.
LENGTH_MAX = 4000
TOKENS_MAX = 800
DEPTH_MAX = 30
NODE_DEPTH_MAX = 100
PREFIXES_MAX = 4  # `not not not not x`

# Word of the language in a cast -> type of the engine.
CASTS: dict[str, str] = {
    "string": "VARCHAR",
    "varchar": "VARCHAR",
    "text": "VARCHAR",
    "integer": "BIGINT",
    "bigint": "BIGINT",
    "number": "DOUBLE",
    "double": "DOUBLE",
    "decimal": "DECIMAL",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "time": "TIME",
    "datetime": "TIMESTAMP",
    "timestamp": "TIMESTAMP",
    "uuid": "UUID",
}
_OPERATORS = frozenset(
    {
        "AND",
        "OR",
        "NOT",
        "IS",
        "NULL",
        "IN",
        "BETWEEN",
        "LIKE",
        "ILIKE",
        "ESCAPE",
        "CASE",
        "WHEN",
        "THEN",
        "ELSE",
        "END",
    }
    | {"TRUE", "FALSE"}
)
_SYMBOLS = frozenset({",", "+", "-", "/", "%", "=", "==", "<>", "!=", "<", "<=", ">", ">=", "||"})
_PREFIXES = frozenset({"NOT", "DASH", "PLUS"})
_AFTER_IS = frozenset({"NULL", "NOT", "TRUE", "FALSE", "DISTINCT"})
_WORD = re.compile(r"[^\W\d]\w*")
_NUMBER = re.compile(r"([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?")
# Kinds of nodes that a tree may hold, beside functions, whose names were all read before.
_NODES = (
    *("Identifier", "Column", "Literal", "Boolean", "Null", "Paren", "Tuple", "Star", "Var", "Interval", "Distinct"),
    *(
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Mod",
        "Neg",
        "DPipe",
        "And",
        "Or",
        "Not",
        "Is",
        "In",
        "Between",
        "Like",
        "ILike",
        "Escape",
    ),
    *("EQ", "NEQ", "LT", "LTE", "GT", "GTE", "NullSafeEQ", "NullSafeNEQ", "DataType", "DataTypeParam"),
)
_VALUES = ("Literal", "Add", "Sub", "Mul", "Div", "Mod", "Neg", "DPipe", "Interval", "Null", "Tuple", "AggFunc")
_TRUTHS = ("LogicalAnd", "LogicalOr")

_HINT = "a rule is one condition over fields, such as `amount >= 0`"

Scope = Literal["row", "set", "value"]


@dataclass(frozen=True, slots=True)
class Expression:
    """SQL over quoted fields, and the fields that it names in order of appearance."""

    sql: str
    inputs: tuple[str, ...]


def place(where: str, offset: int) -> str:
    """`file:line:column` moved right by `offset` characters; unchanged where it names no column."""
    head, separator, column = where.rpartition(":")
    return f"{head}:{int(column) + offset}" if separator and column.isdigit() and head.rpartition(":")[1] else where


def near(word: str, words: Mapping[str, Any] | list[str] | tuple[str, ...]) -> str:
    """A hint that names the nearest known word, or all of them where none is near."""
    close = get_close_matches(word.lower(), list(words), n=1) or get_close_matches(word, list(words), n=1)
    return f"did you mean `{close[0]}`?" if close else "known: " + ", ".join(sorted(words)[:60])


def parse(
    text: str, fields: tuple[str, ...], captures: Mapping[str, str], *, where: str = "", scope: Scope = "row"
) -> Expression:
    """The SQL of one expression over `fields`; `captures` gives the field that holds `path.x`.

    In the scope `set` every field stands inside an aggregate function; elsewhere none may be called. Division by zero
    gives NULL, so that a rule is undecided, but infinity in the scope `value`, where NULL would pass for a value.
    Raises ConfigurationError with `where` moved to the word that is refused.
    """
    return _parse(text, fields, tuple(sorted(captures.items())), where, scope)


# Limit: several times the checks of a large schema; each entry is a few hundred bytes.
@lru_cache(maxsize=2000)
def _parse(
    text: str, fields: tuple[str, ...], captures: tuple[tuple[str, str], ...], where: str, scope: Scope
) -> Expression:
    body = text.strip().removeprefix("=")
    start = text.index(body) if body else 0
    return _Reader(body, fields, dict(captures), where, start, scope).read()


@dataclass(slots=True)
class _Call:
    """An open parenthesis: the function it belongs to, if any, and the commas seen in it."""

    function: str | None
    offset: int
    commas: int = 0
    empty: bool = True


@dataclass(slots=True)
class _Reader:
    """Reads the tokens of one expression, resolves every word, and writes the text again with quoted names."""

    text: str
    fields: tuple[str, ...]
    captures: dict[str, str]
    where: str
    start: int
    scope: Scope
    tokens: list[Any] = field(default_factory=list)
    calls: list[_Call] = field(default_factory=list)
    cases: int = 0
    written: list[str] = field(default_factory=list)
    marks: list[tuple[int, int]] = field(default_factory=list)  # how much was written before a token
    inputs: dict[str, None] = field(default_factory=dict)

    def refuse(self, message: str, offset: int = 0, hint: str = "") -> NoReturn:
        token = next((token for token in self.tokens if token.start == offset), None)
        length = token.end + 1 - offset if token else len(self.text)
        raise self.error(f"{message} in the rule `{_clip(self.text.strip())}`", offset, hint, length)

    def error(self, message: str, offset: int, hint: str, length: int) -> ConfigurationError:
        """The error about so many characters of the text, which is the whole of it if `offset` is 0."""
        begin = self.start + offset
        facts = {"code": "rule", "offset": begin, "length": length}
        return ConfigurationError(message, hint=hint or _HINT, where=place(self.where, begin), facts=facts)

    def read(self) -> Expression:
        if len(self.text) > LENGTH_MAX or "\0" in self.text:
            self.refuse(f"more than {LENGTH_MAX} characters, or a NUL character,", hint="split it into several checks")
        self.tokens = self._tokenize()
        if not self.tokens:
            self.refuse("no expression", hint="write a condition over fields, such as `amount >= 0`")
        if len(self.tokens) > TOKENS_MAX:
            self.refuse(f"more than {TOKENS_MAX} words", hint="split it into several checks")
        index = 0
        while index < len(self.tokens):
            self.marks.append((len(self.written), index))
            index += self._token(index)
        if self.calls:
            self.refuse("a parenthesis that is never closed", self.calls[-1].offset)
        return Expression(self._render(" ".join(self.written)), tuple(self.inputs))

    def _tokenize(self) -> list[Any]:
        from sqlglot import Dialect  # noqa: PLC0415 - 0.16 s, paid by those who have expressions
        from sqlglot.errors import SqlglotError  # noqa: PLC0415

        try:
            return list(Dialect.get_or_raise("duckdb").tokenize(self.text))
        except SqlglotError:
            self.refuse("a quote that is never closed", hint="texts stand in '…', names in \"…\"")

    def _kind(self, index: int) -> str:
        return self.tokens[index].token_type.name if 0 <= index < len(self.tokens) else ""

    def _token(self, index: int) -> int:
        """Judge the token at `index`; the number of tokens that were used up."""
        token, kind, following = self.tokens[index], self._kind(index), self._kind(index + 1)
        if token.comments:
            self.refuse("a comment", token.start, "say it in `description`")
        if kind not in {"L_PAREN", "R_PAREN"} and self.calls:
            self.calls[-1].empty = False
        if kind == "INTERVAL" and following in {"NUMBER", "STRING"}:
            return self._interval(index)
        if kind in {"DATE", "TIMESTAMP"} and following == "STRING":
            return self._moment(index)
        if kind == "ALIAS":
            return self._cast(index)
        if kind == "DISTINCT" or (kind == "FROM" and self._kind(index - 1) == "DISTINCT"):
            self._distinct(index)
        elif kind in {"L_PAREN", "R_PAREN", "STAR", "IDENTIFIER", "NUMBER", "STRING"}:
            self._mark(index)
        else:
            return self._operator(index) or self._word(index)
        return 1

    def _mark(self, index: int) -> None:
        token, kind = self.tokens[index], self._kind(index)
        if kind == "L_PAREN":
            self._open(None, token.start)
        elif kind == "R_PAREN":
            self._close(token.start)
        elif kind == "STAR":
            self._star(index)
        elif kind == "IDENTIFIER":
            self._field(token.text, token.start)
        elif kind == "STRING":
            self.written.append(literal(token.text))
        elif _NUMBER.fullmatch(self._source(index)):
            self.written.append(token.text)
        else:
            self.refuse(f"`{_clip(self._source(index))}` is not a number", token.start)

    def _source(self, index: int) -> str:
        """The token as it was written: `~~` is LIKE for the parser, and `$$x$$` is x."""
        token = self.tokens[index]
        return self.text[token.start : token.end + 1]

    def _operator(self, index: int) -> int:
        """Write the operator at `index`; 0 if there is none."""
        token, kind, written = self.tokens[index], self._kind(index), self._source(index)
        if written not in _SYMBOLS and (kind not in _OPERATORS or written.upper() != kind):
            return 0
        if kind == "COMMA" and self.calls:
            self.calls[-1].commas += 1
        if kind == "IS" and self._kind(index + 1) not in _AFTER_IS:
            self.refuse("`is` before a value", token.start, "`is null`, `is not null`, `=`")
        self.cases += (kind == "CASE") - (kind == "END")
        if self.cases > DEPTH_MAX:
            self.refuse(f"CASE nested more than {DEPTH_MAX} deep", token.start)
        if all(self._kind(index - back) in _PREFIXES for back in range(PREFIXES_MAX + 1)):
            self.refuse(f"`{token.text}` repeated", token.start)
        self.written.append(written)
        return 1

    def _distinct(self, index: int) -> None:
        inside = self.calls[-1].function if self.calls else None
        negated = self._kind(index - 1) == "NOT" and self._kind(index - 2) == "IS"
        comparison = self._kind(index) == "FROM" or self._kind(index - 1) == "IS" or negated
        if not comparison and not (inside == "count" and self._kind(index - 1) == "L_PAREN"):
            self.refuse("`distinct` outside of `count(distinct …)`", self.tokens[index].start)
        self.written.append(self.tokens[index].text)

    def _word(self, index: int) -> int:
        token, following = self.tokens[index], self._kind(index + 1)
        if not _WORD.fullmatch(self._source(index)):
            self.refuse(f"`{_clip(self._source(index))}` is not part of the rule language", token.start)
        if following == "L_PAREN":
            return self._function(index)
        if token.text == "path" and following == "DOT" and "path" not in self.fields:
            return self._capture(index)
        self._field(token.text, token.start)
        return 1

    def _function(self, index: int) -> int:
        token = self.tokens[index]
        name = token.text.lower()
        known = {key: item for key, item in FUNCTIONS.items() if self.scope == "set" or not item.aggregate}
        if name in FUNCTIONS and name not in known:
            self.refuse(f"`{name}` looks at many rows", token.start, "give the check `scope: set`")
        if name not in known:
            self.refuse(f"the function `{_clip(token.text)}` is not known", token.start, near(name, known))
        if known[name].aggregate and any(_aggregates(call) for call in self.calls):
            self.refuse(f"`{name}` inside another aggregate", token.start)
        self.written.append(name)
        self._open(name, token.start)
        if name == "extract":
            return 2 + self._extract(index + 2)
        return 2

    def _extract(self, index: int) -> int:
        if self._kind(index + 1) != "FROM":
            self.refuse("`extract` needs a unit and a field", self.calls[-1].offset, "extract(year from sold_on)")
        self.written += [self._unit(index), "FROM"]
        self.calls[-1].empty = False
        return 2

    def _unit(self, index: int) -> str:
        token = self.tokens[index] if index < len(self.tokens) else self.tokens[-1]
        unit = str(token.text).lower().removesuffix("s")
        if unit not in UNITS:
            self.refuse(f"`{_clip(token.text)}` is not a unit of time", token.start, near(unit, UNITS))
        return unit

    def _interval(self, index: int) -> int:
        amount = self.tokens[index + 1]
        if not re.fullmatch("[0-9]{1,9}", amount.text):
            self.refuse("an interval needs a whole number", amount.start, "INTERVAL 3 months")
        self.written.append(f"INTERVAL '{amount.text}' {self._unit(index + 2)}")
        return 3

    def _moment(self, index: int) -> int:
        token, value = self.tokens[index], self.tokens[index + 1]
        kind = self._kind(index)
        try:
            (date if kind == "DATE" else datetime).fromisoformat(value.text)
        except ValueError:
            self.refuse(f"`{_clip(value.text)}` is not a {kind.lower()}", token.start, "DATE '2020-12-31'")
        self.written.append(f"CAST('{value.text}' AS {kind})")
        return 2

    def _cast(self, index: int) -> int:
        token = self.tokens[index]
        if not self.calls or self.calls[-1].function not in {"cast", "try_cast"}:
            self.refuse("`as` outside of a cast", token.start, "cast(code as integer)")
        name = self.tokens[index + 1].text.lower() if index + 1 < len(self.tokens) else ""
        if name not in CASTS:
            self.refuse(f"`{_clip(name)}` is not a type", token.start, near(name, CASTS))
        if name != "decimal":
            self.written.append(f"AS {CASTS[name]}")
            return 2
        kinds = [self._kind(index + 2 + step) for step in range(5)]
        digits = [self.tokens[index + step].text for step in (3, 5)] if len(self.tokens) > index + 6 else ["", ""]
        if kinds != ["L_PAREN", "NUMBER", "COMMA", "NUMBER", "R_PAREN"] or not all(item.isdecimal() for item in digits):
            self.refuse("a decimal needs its digits", token.start, "cast(code as decimal(12,2))")
        self.written.append(f"AS DECIMAL({digits[0]}, {digits[1]})")
        return 7

    def _capture(self, index: int) -> int:
        token, name = self.tokens[index], self.tokens[index + 2].text if index + 2 < len(self.tokens) else ""
        if name not in self.captures:
            self.refuse(
                f"no field holds `path.{_clip(name)}`", token.start, f"declare one: {name}: {{from: path.{name}}}"
            )
        self._field(self.captures[name], token.start)
        return 3

    def _field(self, name: str, offset: int) -> None:
        if name not in self.fields:
            self.refuse(f"there is no field `{_clip(name)}`", offset, near(name, self.fields))
        if self.scope == "set" and not any(_aggregates(call) for call in self.calls):
            self.refuse(f"`{name}` outside of an aggregate", offset, f"over many rows: max({name})")
        self.inputs[name] = None
        self.written.append(identifier(name))

    def _star(self, index: int) -> None:
        token = self.tokens[index]
        counted = bool(self.calls) and self.calls[-1].function == "count" and self._kind(index - 1) == "L_PAREN"
        alone = index == 0 or self._kind(index - 1) in {"L_PAREN", "COMMA"}
        if alone and not (counted and self._kind(index + 1) == "R_PAREN"):
            self.refuse("`*`", token.start, "`*` alone stands in count(*) only")
        self.written.append("*")

    def _open(self, function: str | None, offset: int) -> None:
        if self.calls:
            self.calls[-1].empty = False
        self.calls.append(_Call(function, offset))
        self.written.append("(")
        if len(self.calls) > DEPTH_MAX:
            self.refuse(f"parentheses nested more than {DEPTH_MAX} deep", offset)

    def _close(self, offset: int) -> None:
        if not self.calls:
            self.refuse("a closing parenthesis without an opening one", offset)
        call = self.calls.pop()
        self.written.append(")")
        if call.function is None:
            if call.empty:
                self.refuse("empty parentheses", call.offset)
            return
        function, given = FUNCTIONS[call.function], 0 if call.empty else call.commas + 1
        if given < function.least or (function.most is not None and given > function.most):
            self.refuse(f"`{function.name}` with {given} arguments", call.offset, f"such as: {function.example}")

    def _render(self, written: str) -> str:
        from sqlglot import exp, parse  # noqa: PLC0415
        from sqlglot.errors import SqlglotError  # noqa: PLC0415

        allowed, values, truths = (
            tuple(getattr(exp, name) for name in names) for names in ((*_NODES, "Func"), _VALUES, _TRUTHS)
        )
        try:
            trees = parse(written, dialect="duckdb")
            if len(trees) != 1 or trees[0] is None:
                self.refuse("not one expression")
            tree, root = trees[0], trees[0].unnest()
            for node in tree.walk():
                if not isinstance(node, allowed) or node.depth > NODE_DEPTH_MAX:
                    self.refuse(
                        f"a construct that the rule language does not have ({node.key}), or one nested too deep,"
                    )
            if self.scope != "value" and isinstance(root, values) and not isinstance(root, truths):
                self.refuse(
                    "a value where a condition is needed", hint="compare it with something, such as `amount >= 0`"
                )
            for node in list(tree.find_all(exp.Div)) if self.scope != "value" else ():
                node.set("expression", exp.Nullif(this=node.expression, expression=exp.Literal.number(0)))
            return str(tree.sql(dialect="duckdb", identify=True))
        except (SqlglotError, RecursionError, AttributeError, ValueError, IndexError) as error:
            token = self._stuck(error)
            offset, length = (token.start, token.end + 1 - token.start) if token else (0, len(self.text.rstrip()))
            raise self.error(f"cannot be read: `{_clip(self.text.strip())}`", offset, "", length) from error

    def _stuck(self, error: Exception) -> Any:
        """The token at which the parser gave up, as far as it says that."""
        found: dict[str, Any] = next(iter(getattr(error, "errors", ())), {})
        at = (found.get("col") or 0) - len(found.get("highlight") or "")
        if at < 0 or not found:
            return None
        piece, end = 0, len(self.written[0])
        while end <= at and piece + 1 < len(self.written):
            piece += 1
            end += 1 + len(self.written[piece])
        return next((self.tokens[index] for first, index in reversed(self.marks) if first <= piece), None)


def _aggregates(call: _Call) -> bool:
    return call.function is not None and FUNCTIONS[call.function].aggregate


def _clip(text: str) -> str:
    # Limit: enough to recognise the rule in a message of one line.
    return text if len(text) <= 80 else text[:79] + "…"  # noqa: PLR2004
