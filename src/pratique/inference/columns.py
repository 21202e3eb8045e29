"""What is known of a column after all records were looked at, and which type follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as made
from typing import Final, Literal

from pratique.inference.candidates import Candidate, Dates, Decimals
from pratique.schema import Field, FieldType
from pratique.schema.types import NUMERIC

_SCALE_MAX: Final = 4  # with more places it is a measurement: a number; with fewer, an exact decimal
_WIDTHS: Final = (9, 18, 38)  # digits that DuckDB holds in 4, 8 and 16 bytes
_NEAR_SHARE: Final = 0.3  # of the values at most are wrong where the others are told to be of a type
_KINDS: Final[tuple[Literal["dates", "decimals"], ...]] = ("dates", "decimals")
_NEAR_MIN: Final = 3  # values that must be right for that


@dataclass(frozen=True, slots=True)
class Question:
    """A column that can be read in two ways, and no record decides which is meant."""

    kind: Literal["dates", "decimals"]
    table: str
    column: str
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """What somebody said about texts that can be read in two ways; else `ask` is asked, and may give None."""

    dates: Dates | None = None
    decimals: Decimals | None = None
    ask: Callable[[Question], str | None] = lambda _: None

    def to(self, question: Question) -> str | None:
        """The way that is meant, None if nobody says so."""
        return (self.dates if question.kind == "dates" else self.decimals) or self.ask(question)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge says of a candidate over all records."""

    candidate: Candidate
    wrong: int
    least: str | None
    greatest: str | None
    places: int  # most digits after the mark
    example: str | None  # the first value that is wrong
    ordinal: int | None  # of its record, from 0


@dataclass(frozen=True, slots=True)
class Near:
    """A type that nearly all values have."""

    type: FieldType
    format: str | None
    wrong: int
    example: str
    ordinal: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Counts over all records of a column."""

    present: int  # records with a value
    words: Mapping[str, int]  # words that mean that nothing is there
    padded: int  # values with blanks around them
    codes: int  # that begin with a zero or a plus sign, which a number would lose
    fractions: int  # that begin with a zero and a mark, so that the mark stands before decimals
    sample: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column with the field that it becomes, and the evidence."""

    header: str
    raw: str  # its name in the table of texts
    field: Field
    present: int
    missing: int
    missing_words: Mapping[str, int] = made(default_factory=dict)  # as declared
    odd_words: Mapping[str, int] = made(default_factory=dict)  # in a text, where they may mean something
    padded: int = 0
    least: str | None = None
    greatest: str | None = None
    near: Near | None = None
    question: Question | None = None
    answered: bool = False
    distinct: int = 0
    longest: int = 0
    values: tuple[tuple[str, int], ...] = ()  # with their counts, if they are few

    @property
    def complete(self) -> bool:
        """Every record has a value."""
        return not self.missing and self.present > 0


def decided(table: str, column: Column, facts: Facts, verdicts: Sequence[Verdict], answers: Answers) -> Column:
    """The column with the type that all of its values have, by elimination; a string if there is none, or two."""
    told = [verdict for verdict in verdicts if not _excluded(verdict.candidate, facts)]
    fitting = [verdict for verdict in told if not verdict.wrong and facts.present]
    for kind in _KINDS:
        ways = {getattr(verdict.candidate, kind) for verdict in fitting} - {None}
        if len(ways) > 1:
            question = Question(kind, table, column.header, _examples(kind, facts.sample))
            answer = answers.to(question)
            if answer is None:
                return replace(column, question=question)
            fitting = [item for item in fitting if getattr(item.candidate, kind) in {None, answer}]
            column = replace(column, answered=True)
    if not fitting:
        return replace(column, near=_near(told, facts))
    chosen = _narrowest(fitting)
    own = replace(chosen.candidate.field, name=column.field.name, type=_sized(chosen))
    if own.type.name not in NUMERIC:  # words that only numbers have
        own = replace(own, decimal_char=".", group_char=None)
    return replace(column, field=own, least=chosen.least, greatest=chosen.greatest)


def _excluded(candidate: Candidate, facts: Facts) -> bool:
    numeric = candidate.field.type.name in NUMERIC
    if numeric and facts.codes:
        return True
    if numeric and facts.fractions and candidate.field.group_char in {".", ","}:
        return True
    return bool(candidate.words - set(facts.sample))


def _narrowest(fitting: Sequence[Verdict]) -> Verdict:
    """The first, but of numbers with decimals the one that holds what was seen without room for much else."""
    first = fitting[0]
    if first.candidate.field.type.name in {"decimal", "number"}:
        numbers = [item for item in fitting if item.candidate.field.type.name == "number"]
        exact = [item for item in fitting if item.candidate.field.type.name == "decimal"]
        if not first.places and first.candidate.field.type.scale == 0:
            return first
        return exact[-1] if exact and (exact[-1].places <= _SCALE_MAX or not numbers) else numbers[0]
    return first


def _sized(verdict: Verdict) -> FieldType:
    """The type; of a decimal as many places as were seen, and digits of the next size in which it is stored."""
    kind = verdict.candidate.field.type
    if kind.name != "decimal" or not verdict.candidate.fraction:
        return kind
    bounds = (verdict.least or "0", verdict.greatest or "0")
    whole = max(len(bound.lstrip("-").partition(".")[0]) for bound in bounds)
    digits = whole + verdict.places
    return FieldType("decimal", next((width for width in _WIDTHS if digits <= width), _WIDTHS[-1]), verdict.places)


def _near(verdicts: Sequence[Verdict], facts: Facts) -> Near | None:
    """The type that most values have, if only few are wrong."""
    best = min((item for item in verdicts if not item.candidate.words), key=lambda item: item.wrong, default=None)
    right = facts.present - best.wrong if best else 0
    if best is None or right < _NEAR_MIN or best.wrong > _NEAR_SHARE * facts.present or best.example is None:
        return None
    return Near(_sized(best), best.candidate.field.format, best.wrong, best.example, best.ordinal or 0)


def _examples(kind: str, sample: Sequence[str]) -> tuple[str, ...]:
    """Values that show the question best."""
    marked = [value for value in sample if kind == "dates" or "." in value or "," in value]
    return tuple(sorted(marked)[:3])
