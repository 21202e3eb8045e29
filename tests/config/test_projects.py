"""Projects: names, versions, tables, order by references, destinations."""

from __future__ import annotations

import pytest

from pratique.errors import ConfigurationError
from pratique.specs.json_schemas import json_schema


def _pipeline(folder, sources: str, destination: str = "{connection: warehouse}", more: str = ""):
    folder.write({"pipelines/p.yaml": f"sources:\n{sources}destination: {destination}\n{more}"})
    return folder.project().pipeline("p")


def _source(name: str, extra: str = "") -> str:
    return f"  {name}: {{path: {name}.csv, schema: {name}{extra}}}\n"


def test_pipelines_are_named_by_their_files(plain) -> None:
    """`pipeline_names` lists files without reading them; an unknown one is told with the nearest."""
    plain.write({"pipelines/broken.yml": "a: [", "pipelines/notes.txt": ""})
    project = plain.project()
    assert project.pipeline_names() == ["broken", "daily"]
    with pytest.raises(ConfigurationError, match='no pipeline "dayly"') as caught:
        project.pipeline("dayly")
    assert 'did you mean "daily"?' in caught.value.hint


def test_the_latest_version_of_a_schema_is_taken_unless_one_is_pinned(folder) -> None:
    """Versions stand as documents of one file or in files of their own, and live side by side."""
    folder.write({
        "schemas/users.yaml": "version: 1\nfields: {a: }\n---\nversion: 2\nfields: {b: }\n",
        "schemas/users@10.json": '{"fields": {"c": "integer"}}',
    })  # fmt: skip
    project = folder.project()
    assert [project.schema(ref).fields[0].name for ref in ("users", "users@1", "users@2", "users@10")] == [
        "c",
        "a",
        "b",
        "c",
    ]
    assert project.schema("users").version == 10
    with pytest.raises(ConfigurationError, match='no version "3"') as caught:
        project.schema("users@3")
    assert "1, 2, 10" in caught.value.hint


def test_bounds_and_values_are_kept_as_they_are_written(folder) -> None:
    """Numbers under minimum, enum, missingValues … are text as written, never through a float."""
    folder.write({
        "schemas/s.yaml": (
            "fields:\n  a: {type: 'decimal(30,10)', minimum: 0.10, maximum: 12345678901234567890.0123456789, enum: [1.50, 2]}\n"
            "  b: {missingValues: [-99, 0, n/a]}\n  c: {type: boolean, trueValues: [1, true], falseValues: [0, no]}\n"
            "  d: {type: number, exclusiveMinimum: 1e2, multipleOf: 0.1}\n"
        )
    })  # fmt: skip
    a, b, c, d = folder.project().schema("s").fields
    assert (a.minimum, a.maximum, a.enum) == ("0.10", "12345678901234567890.0123456789", ("1.50", "2"))
    assert b.missing_values == ("-99", "0", "n/a")
    assert (c.true_values, c.false_values) == (("1", "true"), ("0", "no"))
    assert (d.exclusive_minimum, d.multiple_of) == ("1e2", "0.1")


def test_defaults_of_a_schema_reach_fields_and_null_takes_them_away(folder) -> None:
    """A field's own word goes over the default, null removes it, the short form has it too."""
    folder.write({
        "schemas/s.yaml": (
            "defaults: {type: number, required: true, decimalChar: ',', minimum: 0, maxLength: 5}\n"
            "fields:\n  a:\n  b: {minimum: null, required: false}\n  c: string\n  d: {type: integer, minimum: 7}\n"
        )
    })  # fmt: skip
    a, b, c, d = folder.project().schema("s").fields
    assert (str(a.type), a.required, a.decimal_char, a.minimum, a.max_length) == ("number", True, ",", "0", None)
    assert (b.minimum, b.required) == (None, False)
    assert (str(c.type), c.minimum, c.max_length, c.required) == ("string", None, 5, True)
    assert (d.minimum, d.decimal_char) == ("7", ".")


def test_every_word_of_dialect_and_references_arrives(folder) -> None:
    """QuoteChar null means none; references are single, composite, long and short; keys are one or many."""
    folder.write({
        "schemas/line.yaml": (
            "primaryKey: a\nuniqueKeys: [[b, c], d]\n"
            "dialect: {delimiter: \"\\t\", quoteChar: null, escapeChar: '\\', header: false, commentChar: '#', encoding: latin-1, sheet: 2, range: 'B:F'}\n"
            "fields: {a: integer, b: , c: , d: }\n"
            "references:\n  a: head.id\n  'b, c': {to: 'head(x, y)', severity: warn, at_most: 15 %}\n"
            "checks: {any: {rule: count(*) > 0, scope: set}}\n"
        ),
        "schemas/head.yaml": "fields: {id: integer, x: , y: }\n",
    })  # fmt: skip
    schema = folder.project().schema("line")
    assert schema.primary_key == ("a",)
    assert schema.unique_keys == (("b", "c"), ("d",))
    assert (schema.dialect.delimiter, schema.dialect.quote_char, schema.dialect.escape_char) == ("\t", None, "\\")
    assert (schema.dialect.header, schema.dialect.comment_char, schema.dialect.encoding) == (False, "#", "latin-1")
    assert (schema.dialect.sheet, schema.dialect.cell_range) == (2, "B:F")
    single, composite = schema.references
    assert (single.name, single.parent, single.parent_fields, single.severity) == (
        "reference.a",
        "head",
        ("id",),
        "quarantine",
    )
    assert (composite.name, composite.parent_fields) == ("reference.b+c", ("x", "y"))
    assert (composite.severity, composite.at_most) == ("warn", 0.15)
    assert schema.checks[0].severity == "fail", "a set has no rows to quarantine"


@pytest.fixture
def family(plain):
    """Schemas of a parent, its child, and the child's child, which refers to itself too."""
    plain.write({
        "schemas/a.yaml": "primaryKey: id\nfields: {id: integer}\nreferences: {id: b.id}\n",
        "schemas/b.yaml": "primaryKey: id\nfields: {id: integer, up: integer}\nreferences: {id: c.id, up: b.id}\n",
        "schemas/c.yaml": "primaryKey: id\nfields: {id: integer}\n",
        "schemas/d.yaml": "fields: {id: integer}\n",
    })  # fmt: skip
    return plain


def test_parents_stand_before_their_children(family) -> None:
    """Sources follow references, otherwise the order in which they are written; a reference to oneself is fine."""
    pipeline = _pipeline(family, _source("a") + _source("d") + _source("b") + _source("c", ", table: main.cs"))
    assert [plan.name for plan in pipeline.sources] == ["d", "c", "b", "a"]
    plans = {plan.name: plan for plan in pipeline.sources}
    assert [plans[name].parents for name in "abcd"] == [("b",), ("c",), (), ()]
    assert plans["b"].reference_tables == {"c": "main.cs", "b": "b"}


def test_a_parent_that_is_no_source_keeps_its_own_table(family) -> None:
    """A reference to a schema that another pipeline loads points to the table named like it, in the same dataset."""
    (plan,) = _pipeline(family, _source("a"), '{connection: warehouse, dataset: "x_{env}"}').sources
    assert (plan.table, plan.parents, plan.reference_tables) == ("x_dev.a", (), {"b": "x_dev.b"})


def test_a_circle_of_references_is_refused(family) -> None:
    """No order can load a circle; the error names its sources."""
    family.write({"schemas/c.yaml": "fields: {id: integer}\nreferences: {id: a.id}\n"})
    with pytest.raises(ConfigurationError, match="a and b and c refer to each other in a circle"):
        _pipeline(family, _source("a") + _source("b") + _source("c"))


def test_words_of_writing_come_from_source_pipeline_or_destination(family) -> None:
    """A source's own write goes over the pipeline's, which goes over the destination's; defaults are merged, null removes."""
    pipeline = _pipeline(
        family,
        _source("a", ", write: merge, keep: latest(id), on_new_version: null")
        + _source("c", ", quarantine: {max_share: 5 %}"),
        "{connection: warehouse, write: append}",
        "write: replace\ndefaults: {quarantine: {max_share: 0.2}}\nlineage: [_row_number, _file, _load_id]\n",
    )
    plans = {plan.name: plan for plan in pipeline.sources}
    assert (plans["a"].write, plans["a"].keep, plans["a"].max_share) == ("merge", "id", 0.2)
    assert (plans["c"].write, plans["c"].keep, plans["c"].max_share) == ("replace", None, 0.05)
    assert pipeline.lineage == ("_file", "_row_number", "_load_id")


def test_defaults_of_a_pipeline_are_merged_and_null_takes_them_away(family) -> None:
    """Mappings are merged key by key, other values replaced, null removes."""
    (c, d) = _pipeline(
        family,
        "  c: {schema: c, path: x.dat, on_new_version: null}\n  d: {schema: d, path: y.jsonl, format: jsonl}\n",
        more="defaults: {format: parquet, on_new_version: refuse}\n",
    ).sources
    assert (c.format, c.on_new_version) == ("parquet", None)
    assert (d.format, d.on_new_version) == ("jsonl", "refuse")


@pytest.mark.parametrize(
    ("connection", "kind", "path"),
    [
        ("{url: duckdb://data/w.duckdb}", "duckdb", "data/w.duckdb"),
        ("{url: data/w.duckdb}", "duckdb", "data/w.duckdb"),
        ("{type: duckdb, path: data/w}", "duckdb", "data/w"),
        ("{url: parquet://data/lake}", "parquet", "data/lake"),
        ("{type: parquet, path: data/lake}", "parquet", "data/lake"),
        ("{url: 'duckdb://${WHERE}'}", "duckdb", "secret/w.duckdb"),
    ],
)
def test_a_destination_is_a_duckdb_file_or_a_parquet_folder(plain, connection, kind: str, path: str) -> None:
    """Every way to write a local destination gives its kind and its path under the root."""
    plain.write({"config/dev.yaml": f"connections:\n  lake: {connection}\n", ".env": "WHERE=secret/w.duckdb\n"})
    destination = _pipeline(plain, _source("users"), "{connection: lake}").destination
    assert (destination.type, destination.path, destination.name) == (kind, plain.root / path, "lake")


@pytest.mark.parametrize(
    ("path", "form"), [("a.csv", "csv"), ("a.tsv", "csv"), ("a.TXT", "csv"), ("*.ndjson", "jsonl"), ("a.json", "json"), ("a.json.gz", "json"), ("a.xlsx", "excel"), ("a.XLSM", "excel"), ("x/**/*.parquet", "parquet")]
)  # fmt: skip
def test_the_suffix_of_the_path_says_the_format(plain, path: str, form: str) -> None:
    """csv, tsv and txt are CSV, jsonl and ndjson JSON Lines, xlsx and xlsm Excel, parquet Parquet."""
    assert _pipeline(plain, f"  u: {{path: '{path}', schema: users}}\n").sources[0].format == form


@pytest.mark.parametrize("kind", ["pipeline", "schema", "config"])
def test_editors_get_a_json_schema_of_every_file(kind) -> None:
    """The JSON Schema refuses unknown keys and knows the words of the language by their written names."""
    found = json_schema(kind)
    assert found["additionalProperties"] is False
    words = {
        "pipeline": {"sources", "destination", "lineage"},
        "schema": {"primaryKey", "extraFields"},
        "config": {"limits"},
    }
    assert words[kind] <= set(found["properties"])


def test_the_short_forms_are_in_the_json_schema() -> None:
    """A field may be text, a check may be text, a share may be a percentage, a bound may be a number."""
    found = json_schema("schema")
    field = found["properties"]["fields"]["additionalProperties"]
    assert {"$ref": "#/$defs/FieldSpec"} in field["anyOf"]
    assert "string" in {form.get("type") for form in field["anyOf"]}
    assert "string" in {form.get("type") for form in found["properties"]["checks"]["additionalProperties"]["anyOf"]}
    bound = found["$defs"]["FieldSpec"]["properties"]["minimum"]["anyOf"][0]
    assert bound["type"] == ["string", "number", "boolean"]


def test_a_source_written_as_nothing_has_all_from_the_defaults(family) -> None:
    """`name:` alone takes every word of `defaults`; a word of a mapping can be overridden alone."""
    family.write({
        "pipelines/p.yaml": (
            "defaults: {path: c.csv, schema: c, quarantine: {max_share: 0.5}}\n"
            "sources:\n  c:\n  d: {schema: d, path: d.csv, quarantine: {max_share: 1 %}}\n"
            "destination: {connection: warehouse}\nschedule: {cron: 0 7 * * *}\n"
        )
    })  # fmt: skip
    pipeline = family.project().pipeline("p")
    assert [(plan.schema.name, plan.path, plan.max_share) for plan in pipeline.sources] == [
        ("c", "c.csv", 0.5),
        ("d", "d.csv", 0.01),
    ]
    assert pipeline.notices == ("schedule is not served yet",)


def test_keep_of_the_destination_is_for_the_sources_that_merge(family) -> None:
    """A destination's keep does not disturb a source that replaces, as long as another one merges."""
    sources = _source("b") + _source("d", ", write: replace")
    plans = {plan.name: plan for plan in _pipeline(
        family, sources, "{connection: warehouse, write: merge, keep: latest(up)}"
    ).sources}  # fmt: skip
    assert (plans["b"].keep, plans["d"].keep) == ("up", None)


def test_a_corrected_file_can_be_merged_only_by_a_key(family) -> None:
    """on_new_version: merge in append mode needs a primaryKey."""
    (plan,) = _pipeline(family, _source("c", ", on_new_version: merge")).sources
    assert plan.on_new_version == "merge"
    with pytest.raises(ConfigurationError, match="on_new_version: merge needs a primaryKey"):
        _pipeline(family, _source("d", ", on_new_version: merge"))


def test_a_parent_in_two_tables_is_refused(family) -> None:
    """A reference must know the one table in which its values occur."""
    two = "  c1: {path: c.csv, schema: c, table: c1}\n  c2: {path: c.csv, schema: c, table: c2}\n"
    with pytest.raises(ConfigurationError, match="which has several tables: c1, c2"):
        _pipeline(family, _source("b") + two)
