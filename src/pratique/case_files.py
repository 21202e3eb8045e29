"""Files of tests beside the pipelines, read: every name in them is looked up in its pipeline."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pratique.cases import (
    RECORD_WORDS,
    Case,
    Cell,
    Expectation,
    ExpectedRecord,
    GivenFile,
    Records,
    TableRows,
)
from pratique.documents import Document, KeyPath, load_document
from pratique.mistakes import Code, Mistake, Mistakes
from pratique.model import SKIP_REASONS
from pratique.planning import Pipeline, SourcePlan
from pratique.project import Project
from pratique.references import CAPTURE
from pratique.schema import Schema
from pratique.schema.written import stored_value

if TYPE_CHECKING:
    from pratique.specs.cases import CaseSpec, ExpectSpec, FileSpec, InputSpec

_INPUTS: Final = ("before", "given")


def read_cases(project: Project, path: Path, found: Mistakes) -> tuple[Case, ...]:
    """The tests of a file that are right; every mistake in it, and in the pipeline that it names, goes into `found`."""
    from pratique.specs.base import nearest, parse  # noqa: PLC0415 - pydantic: 0.1 s that `--help` does without
    from pratique.specs.cases import CaseFileSpec  # noqa: PLC0415 - the same

    document = load_document(path, found)
    if document.value is None:
        found.add([Mistake(document.where(), "the file of tests is empty", "begin with `tests:`", "missing-key")])
        return ()
    parsed = parse(CaseFileSpec, document.value, document.place)
    found.add(parsed.mistakes)
    raw = document.value.get("tests") if isinstance(document.value, dict) else None
    if not isinstance(raw, list):
        return ()
    name = parsed.spec.pipeline if parsed.spec and parsed.spec.pipeline else path.stem
    pipeline = None
    if name in project.pipeline_names():
        own = Mistakes()
        pipeline = project.read_pipeline(name, own)
        found.add(own)
        if own.errors:  # what a test says of it may be right once it is mended
            pipeline = None
    elif ("pipeline",) not in parsed.wrong:
        hint = nearest(name, project.pipeline_names(), "known pipelines")
        place = ("pipeline",) if document.has(("pipeline",)) else ()
        found.add([Mistake(document.where(place), f'there is no pipeline "{name}"', hint, "unknown-name")])
    cases = [_Reader(project, document, pipeline, number, found).case(raw[number]) for number in range(len(raw))]
    _check_names(document, raw, found)
    return tuple(case for case in cases if case is not None)


def _check_names(document: Document, raw: Sequence[Any], found: Mistakes) -> None:
    """Two tests of one name cannot be told apart in a report."""
    first: dict[str, int] = {}
    for number, test in enumerate(raw):
        name = test.get("name") if isinstance(test, dict) else None
        if isinstance(name, str) and first.setdefault(name, number) != number:
            message = f'two tests of this file are called "{name}"'
            found.add([Mistake(document.where(("tests", number, "name")), message, "rename one", "duplicate")])


class _Reader:
    """Reads one test."""

    def __init__(
        self, project: Project, document: Document, pipeline: Pipeline | None, number: int, found: Mistakes
    ) -> None:
        self._project = project
        self._document = document
        self._pipeline = pipeline
        self._at: KeyPath = ("tests", number)
        self._found = found
        self._short: set[KeyPath] = set()  # sources whose records are written without `records:`
        self._broken = False

    def case(self, raw: Any) -> Case | None:
        from pratique.specs.base import parse  # noqa: PLC0415 - pydantic
        from pratique.specs.cases import CaseSpec  # noqa: PLC0415 - the same

        for word in _INPUTS:
            if isinstance(raw, dict) and isinstance(raw.get(word), dict):
                short = {name for name, value in raw[word].items() if isinstance(value, list)}
                self._short |= {(word, name) for name in short}
                given = {name: {"records": value} if name in short else value for name, value in raw[word].items()}
                raw = {**raw, word: given}
        parsed = parse(CaseSpec, raw, self._place)
        self._found.add(parsed.mistakes)
        if parsed.mistakes or parsed.spec is None or self._pipeline is None:
            return None
        spec = parsed.spec
        if not spec.expect and not spec.tables:
            self._tell("this test expects nothing", ("name",), "add expect: or tables:", "missing-key")
        pipeline = self._pipeline
        case = Case(
            name=spec.name,
            where=self._place(()),
            pipeline=pipeline,
            before=self._inputs("before", spec.before),
            given=self._inputs("given", spec.given),
            there={name: rows for name in spec.there if (rows := self._table(name, "there", spec.there[name]))},
            expect={name: expected for name in spec.expect if (expected := self._expectation(name, spec))},
            tables={name: rows for name in spec.tables if (rows := self._table(name, "tables", spec.tables[name]))},
        )
        return None if self._broken else case

    def _place(self, path: KeyPath, key: bool = False) -> str:  # noqa: FBT001, FBT002 - see specs.base.Where
        return self._document.place(self._path(path), key)

    def _path(self, path: KeyPath) -> KeyPath:
        """Where it is written what stands at `path` of the test."""
        if path[:2] in self._short:  # without `records`, which is the third
            path = (*path[:2], *path[3:])
        return (*self._at, *path)

    def _tell(self, message: str, path: KeyPath, hint: str, code: Code, *, key: bool = False) -> None:
        self._broken = True
        self._found.add([Mistake(self._place(path, key), message, hint, code)])

    def _unknown(self, name: str, known: Iterable[str], message: str, path: KeyPath, what: str) -> None:
        from pratique.specs.base import nearest  # noqa: PLC0415 - pydantic

        self._tell(message.format(name=name), path, nearest(name, known, what), "unknown-name", key=True)

    # --- what is given

    def _inputs(self, word: str, given: Mapping[str, InputSpec]) -> dict[str, tuple[GivenFile, ...]]:
        sources = {plan.name: plan for plan in self._plans() if plan.nest is None}
        for name in given.keys() - sources.keys():
            self._unknown(name, sources, 'the pipeline has no source "{name}"', (word, name), "its sources")
        return {name: self._given(sources[name], given[name], (word, name)) for name in given if name in sources}

    def _given(self, plan: SourcePlan, given: InputSpec, at: KeyPath) -> tuple[GivenFile, ...]:
        if given.files is None:
            return (self._file(plan, given, at),)
        if any(value is not None for key, value in given if key != "files"):
            self._tell(
                "`files` stands beside other words",
                (*at, "files"),
                "put them into an entry of it",
                "conflict",
                key=True,
            )
        return tuple(self._file(plan, file, (*at, "files", number)) for number, file in enumerate(given.files))

    def _file(self, plan: SourcePlan, spec: FileSpec, at: KeyPath) -> GivenFile:
        texts = {"csv": spec.csv, "jsonl": spec.jsonl, "json": spec.json_}
        said = [
            word for word, value in {"records": spec.records, "file": spec.file, **texts}.items() if value is not None
        ]
        if len(said) != 1:
            told = f"{' and '.join(said)} stand side by side" if said else "nothing is given"
            known = [word for word in ("records", plan.format, "file") if word in {"records", "file", *texts}]
            self._tell(told, at, f"write one of {', '.join(known)}", "conflict" if said else "missing-key")
        for word in said:
            if word in texts and word != plan.format:
                served = f"write `{plan.format}:`" if plan.format in texts else "give `records:` or `file:`"
                self._tell(f"{plan.name} reads {plan.format}, not {word}", (*at, word), served, "conflict", key=True)
        file = None
        if spec.file is not None:
            file = self._project.root / spec.file
            if not file.is_file():
                self._tell(
                    f"there is no file {spec.file}", (*at, "file"), "the path counts from the project's folder", "file"
                )
        if (
            plan.format == "csv"
            and plan.schema.dialect.header
            and plan.schema.dialect.header_rows != 1
            and spec.records
        ):
            self._tell("records cannot be given under a header of several lines", at, "write csv:", "conflict")
        records = None if spec.records is None else tuple(self._records(plan, spec.records, (*at, "records")))
        text = next((text for text in texts.values() if text is not None), None)
        return GivenFile(self._place(at), records, text, file, self._captures(plan, spec.path, (*at, "path")))

    def _captures(self, plan: SourcePlan, path: Any, at: KeyPath) -> str | Mapping[str, str] | None:
        known = dict.fromkeys(CAPTURE.findall(plan.path))
        if isinstance(path, str):
            return path
        given = path or {}
        for name in given:
            if name not in known:
                self._unknown(name, known, 'the path of the source has no part "{name}"', (*at, name), "its parts")
        missing = [name for name in known if name not in given]
        if missing:
            hint = f"write {plan.name}: {{records: […], path: {{{missing[0]}: …}}}}"
            self._tell(
                f"the path of {plan.name} has the part {missing[0]}, which is not given", at, hint, "missing-key"
            )
        return {name: self._cell((*at, name), value).text or "" for name, value in given.items()}

    def _records(self, plan: SourcePlan, records: list[dict[str, Any]], at: KeyPath) -> Iterator[Mapping[str, Cell]]:
        schema = plan.schema
        read = [item for item in schema.fields if item.capture is None and item.expression is None]
        known = [*(header for item in read for header in item.headers), *(keys[0] for keys in schema.nested)]
        fields = {item.name: item.headers[0] for item in read}
        for number, record in enumerate(records):
            for name in record if schema.extra_fields == "reject" else ():
                if name in known:
                    continue
                message, path = f'{plan.name} reads no column "{{name}}"', (*at, number, name)
                if name in fields:
                    hint = f'did you mean "{fields[name]}"? that is the header of the field {name}'
                    self._tell(message.format(name=name), path, hint, "unknown-name", key=True)
                else:
                    self._unknown(name, known, message, path, "its columns")
            yield {name: self._cell((*at, number, name), value) for name, value in record.items()}

    def _cell(self, path: KeyPath, value: Any) -> Cell:
        written = self._json(path, value)
        if value is None:
            return Cell(None, written)
        return Cell(value if isinstance(value, str) else written, written)

    def _json(self, path: KeyPath, value: Any) -> str:
        """The value as JSON, numbers with every digit that is written."""
        if isinstance(value, dict):
            inner = (
                f"{json.dumps(key, ensure_ascii=False)}: {self._json((*path, key), item)}"
                for key, item in value.items()
            )
            return "{" + ", ".join(inner) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(self._json((*path, number), item) for number, item in enumerate(value)) + "]"
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._document.text(self._path(path)) or json.dumps(value)
        return json.dumps(value, ensure_ascii=False)

    # --- what is expected

    def _plans(self) -> tuple[SourcePlan, ...]:
        return self._pipeline.sources if self._pipeline else ()

    def _expectation(self, name: str, spec: CaseSpec) -> Expectation | None:
        at: KeyPath = ("expect", name)
        plans = {plan.name: plan for plan in self._plans()}
        if name not in plans:
            self._unknown(name, plans, 'the pipeline has no source "{name}"', at, "its sources")
            return None
        if plans[name].given not in spec.given:
            missing = plans[name].given
            self._tell(f"nothing is given to {missing}", at, f"add given.{missing}", "conflict", key=True)
            return None
        plan, expected = plans[name], spec.expect[name]
        self._check_words(plan.schema, expected, at)
        quarantined: Records = expected.quarantined
        if isinstance(expected.quarantined, list):
            path = (*at, "quarantined")
            quarantined = tuple(
                self._held(plan.schema, item, (*path, n)) for n, item in enumerate(expected.quarantined)
            )
        return Expectation(
            spec=expected,
            where=lambda word: self._place(
                (*at, word) if self._document.has(self._path((*at, word))) else at, key=True
            ),
            loaded=self._typed(plan.schema, expected.loaded, (*at, "loaded")),
            quarantined=quarantined,
        )

    def _check_words(self, schema: Schema, spec: ExpectSpec, at: KeyPath) -> None:
        from pratique.schema.rules import rules  # noqa: PLC0415 - the SQL parser

        if spec.reasons is not None and spec.gate != "failed":
            self._tell(
                "reasons are those of a gate that failed", (*at, "reasons"), "add gate: failed", "conflict", key=True
            )
        if spec.exact and not isinstance(spec.loaded, list):
            self._tell("exact compares records", (*at, "exact"), "list the records under loaded:", "conflict", key=True)
        for reason in spec.skipped if isinstance(spec.skipped, dict) else ():
            if reason not in SKIP_REASONS:
                self._unknown(
                    reason, SKIP_REASONS, 'no record is skipped as "{name}"', (*at, "skipped", reason), "reasons"
                )
        known = [rule.name for rule in rules(schema) if not rule.holds]
        for number, name in enumerate(spec.warnings or ()):
            if name not in known:
                path = (*at, "warnings", name if isinstance(spec.warnings, dict) else number)
                self._unknown(
                    name, known, f'schema {schema.name} has no rule "{{name}}" that warns', path, "rules that warn"
                )
        for number, item in enumerate(spec.held if isinstance(spec.held, list) else ()):
            for word in item:
                if word not in {"file", "reason"}:
                    path = (*at, "held", number, word)
                    self._unknown(word, ("file", "reason"), 'unknown key "{name}"', path, "known")

    def _held(self, schema: Schema, item: Mapping[str, Any], at: KeyPath) -> ExpectedRecord:
        """An expected quarantined record: original values by header, as text, and the rules that hold it."""
        nested = isinstance(item.get("record"), dict)
        inner = (*at, "record") if nested else at
        values = item["record"] if nested else {name: value for name, value in item.items() if name not in RECORD_WORDS}
        headers = {field.name: field.headers[0] for field in schema.fields}
        headers |= {header: header for field in schema.fields for header in field.headers}
        message = f'schema {schema.name} has no field "{{name}}"'
        for name in values if schema.extra_fields == "reject" else ():
            if name not in headers:
                self._unknown(name, [*headers, *RECORD_WORDS], message, (*inner, name), "fields")
        for name in item if nested else ():
            if name not in RECORD_WORDS:
                self._unknown(name, RECORD_WORDS, 'unknown key "{name}" beside record', (*at, name), "known")
        for word, kind, shown in (("message", str, "a text"), ("raw", str, "a text"), ("line", int, "a number")):
            if item.get(word) is not None and not isinstance(item[word], kind):
                self._tell(f"{word}: expected {shown}", (*at, word), f"write {shown}", "type")
        return ExpectedRecord(
            where=self._place(at),
            values={headers.get(name, name): self._cell((*inner, name), value).text for name, value in values.items()},
            rules=self._rules(schema, item.get("rules"), (*at, "rules")),
            message=item.get("message"),
            line=item.get("line"),
            raw=item.get("raw"),
        )

    def _rules(self, schema: Schema, named: Any, at: KeyPath) -> tuple[str, ...] | None:
        """Names of rules that can hold a record."""
        from pratique.schema.rules import rules  # noqa: PLC0415 - the SQL parser

        known = ["malformed", *(rule.name for rule in rules(schema) if rule.holds and rule.scope != "set")]
        if named is None:
            return None
        if not isinstance(named, list) or not all(isinstance(rule, str) for rule in named):
            self._tell("rules: expected a list of names", at, f"such as [{known[-1]}]", "type")
            return None
        for number, rule in enumerate(named):
            if rule not in known:
                message = f'no rule "{{name}}" of schema {schema.name} holds records'
                self._unknown(rule, known, message, (*at, number), "rules")
        return tuple(named)

    def _typed(self, schema: Schema, written: Any, at: KeyPath) -> Records:
        """Records of a table, each value in the type of its column."""
        if not isinstance(written, list):
            count: int | None = written
            return count
        return tuple(self._row(schema, row, (*at, number)) for number, row in enumerate(written))

    def _row(self, schema: Schema, row: Mapping[str, Any], at: KeyPath) -> ExpectedRecord:
        fields = {item.name: item for item in schema.fields if item.store != "drop"}
        values: dict[str, Any] = {}
        for name, value in row.items():
            if name not in fields:
                self._unknown(
                    name, fields, f'the table of {schema.name} has no column "{{name}}"', (*at, name), "its columns"
                )
                continue
            try:
                text = self._document.text(self._path((*at, name)))
                values[name] = stored_value(fields[name], schema.timezone, value, text)
            except ValueError as error:
                message, hint = error.args
                self._tell(message, (*at, name), hint, "value")
        return ExpectedRecord(self._place(at), values)

    def _table(self, name: str, word: str, written: Any) -> TableRows | None:
        tables = self._tables()
        if name not in tables:
            self._unknown(name, tables, 'this pipeline knows no table "{name}"', (word, name), "its tables")
            return None
        rows = written if isinstance(written, list) else ()
        cells = tuple(
            {column: self._cell((word, name, number, column), value) for column, value in row.items()}
            for number, row in enumerate(rows)
        )
        records = self._typed(tables[name], written, (word, name))
        return TableRows(tables[name], self._place((word, name), key=True), records, cells)

    def _tables(self) -> dict[str, Schema]:
        """The tables that the pipeline writes or refers to, with the schema of each."""
        found: dict[str, Schema] = {}
        for plan in self._plans():
            for parent, table in plan.reference_tables.items():
                if table not in found and (schema := self._project.read_schema(parent, "", Mistakes())):
                    found[table] = schema
        return found | {plan.table: plan.schema for plan in self._plans()}
