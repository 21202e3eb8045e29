"""Broken projects: each mistake is told at its line and column, in plain words, with what to do."""

from __future__ import annotations

import re

import pytest

from pratique.errors import ConfigurationError
from pratique.project import Project

S = "schemas/users.yaml"
P = "pipelines/daily.yaml"
C = "config/default.yaml"
TO = "destination: {connection: warehouse}\n"


def _fields(text: str) -> str:
    return f"fields:\n  a: {text}\n"


def _users(extra: str) -> str:
    return f"sources:\n  users: {{path: users.csv, schema: users{extra}}}\n{TO}"


def _stands_at(error: ConfigurationError, name: str, text: str, place: str) -> None:
    """The error names this file, and a line and column at which `place` is written."""
    found = re.fullmatch(r"(.*?)(?::([0-9]+):([0-9]+))?", error.where)
    assert found
    assert found[1].endswith(name)
    line, column = int(found[2] or 1), int(found[3] or 1)
    rest = [*text.splitlines(), ""][line - 1][column - 1 :]
    assert rest.startswith(place), f"{error} points at {rest!r}"
    assert place or not text


@pytest.mark.parametrize("name", ["config", "pipelines", "schemas"])
def test_a_folder_that_cannot_be_read_is_told(tmp_path, name: str) -> None:
    """A file, or a folder without rights, in place of one of the three folders is named, with what to check."""
    for folder in {"config", "pipelines", "schemas"} - {name}:
        (tmp_path / folder).mkdir()
    if name != "pipelines":
        (tmp_path / "pipelines" / "daily.yaml").write_text(_users(""))
    if name != "config":
        (tmp_path / "config" / "default.yaml").write_text('connections: {warehouse: {url: "duckdb://w.duckdb"}}\n')
    (tmp_path / name).write_text("no folder")
    with pytest.raises(ConfigurationError, match="cannot be read: Not a directory") as caught:
        Project(tmp_path, "dev").pipeline("daily")
    assert caught.value.where == str(tmp_path / name)


SCHEMAS = [
    ("", "", "the schema file is empty", "fields:"),
    ("fields: {}\n", "{", "fields", ""),
    ("version: 1\n", "version", '"fields" is missing', "add fields"),
    ("feilds: {a: }\n", "feilds", 'unknown key "feilds"', '"fields"'),
    ("primarykey: a\nfields: {a: }\n", "primarykey", 'unknown key "primarykey"', 'did you mean "primaryKey"?'),
    ("schema: persons\nfields: {a: }\n", "persons", 'the file is called "users"', "schema: users"),
    ("version: 0\nfields: {a: }\n", "0", "version", ""),
    ("version: two\nfields: {a: }\n", "two", 'expected a whole number, found "two"', ""),
    ("version: 1\nfields: {a: }\n---\nfields: {b: }\n", "fields", "version 1 of users stands twice", "version"),
    ("fields: [a, b]\n", "[a", "expected a mapping", ""),
    ("fields: {'': }\n", "''", "cannot be the name", ""),
    ("fields: {_load_id: }\n", "_load_id", "a name of Pratique itself", "from"),
    ("fields: {a: , A: }\n", "A", 'the fields "a" and "A" are one column', "rename"),
    (_fields("intger"), "intger", 'there is no type "intger"', ""),
    (_fields("text"), "text", 'there is no type "text"', 'did you mean "string"?'),
    (_fields("timestamp"), "timestamp", 'there is no type "timestamp"', 'did you mean "datetime"?'),
    ("fields:\n\ta: integer\n", "\ta", "not valid YAML", "indent with blanks, not with tabs"),
    (_fields("{type: decimal(12,2)}"), "decimal(12", "is no type", "inside { } in quotes"),
    (_fields("{type: 'decimal(40,2)'}"), "'decimal(40,2)'", "1 to 38 digits", ""),
    (_fields("{typ: integer}"), "typ", 'unknown key "typ" in fields.a', '"type"'),
    (_fields("{required: yes}"), "yes", 'expected true or false, found "yes"', ""),
    (_fields("{description: 7}"), "7", "expected text, found 7", "quotes"),
    (_fields("{type: boolean, minimum: 1}"), "minimum", "minimum makes no sense for type boolean", "integer"),
    (_fields("{type: integer, maxLength: 3}"), "maxLength", "maxLength makes no sense for type integer", "string"),
    (_fields("{type: date, pattern: x}"), "pattern", "pattern makes no sense for type date", ""),
    (_fields("{type: json, unique: true}"), "unique", "unique makes no sense", ""),
    (_fields("{minLength: 3, maxLength: 2}"), "3", "minLength is greater than maxLength", ""),
    (_fields("{minLength: -1}"), "-1", "minLength", ""),
    (_fields("{format: emial}"), "emial", 'there is no format "emial"', ""),
    (_fields("{type: date, format: DD.MM.YYYY}"), "DD.MM", "a pattern such as", ""),
    (_fields("{enum: []}"), "[", "fields.a.enum is empty", ""),
    (_fields("{enum: [a, null]}"), "null", "fields.a.enum[1]: expected text, found nothing", ""),
    (_fields("{severity: error}"), "error", '"error" is not one of warn, quarantine, fail', ""),
    (_fields("{store: hsh}"), "hsh", "is not one of keep, hash, mask, drop", 'did you mean "hash"?'),
    (_fields("{type: number, decimalChar: ',', groupChar: ','}"), "','}", "must be different characters", ""),
    (_fields("{type: number, decimalChar: ';;'}"), "';;'", "exactly one character", ""),
    (_fields("{type: boolean, trueValues: [j], falseValues: [j]}"), "[j]}", '"j" stands in trueValues and', ""),
    (_fields("{from: ['= b', c]}"), "'= b', c", "cannot be one of several names", ""),
    (_fields("{from: '= '}"), "'= '", "names nothing", ""),
    (_fields("{from: '= 1', trim: true}"), "trim", "trim is for text that is read", "remove trim"),
    (_fields("{type: 'decimal(9,2)', round: half_even}"), "round", "round is for expressions", "remove round"),
    ("defaults: {decimalchar: x}\nfields: {a: }\n", "decimalchar", 'unknown key "decimalchar"', '"decimalChar"'),
    ("primaryKey: [b]\nfields: {a: }\n", "b", 'primaryKey names "b"', "fields: a"),
    ("uniqueKeys: [[a, a]]\nfields: {a: }\n", "a", 'names "a" twice', ""),
    ("primaryKey: a\nfields: {a: json}\n", "a", "cannot be a key", ""),
    ("dialect: {delimeter: ;}\nfields: {a: }\n", "delimeter", 'unknown key "delimeter" in dialect', '"delimiter"'),
    ("dialect: {encoding: utf-9}\nfields: {a: }\n", "utf-9", 'no encoding "utf-9"', ""),
    ('dialect: {delimiter: "\'", quoteChar: "\'"}\nfields: {a: }\n', '"\'"}', "must be different characters", ""),
    ("dialect: {header: false, headerRows: 2}\nfields: {a: }\n", "2", "headerRows needs a header", ""),
    ("dialect: {range: B3}\nfields: {a: }\n", "B3", '"B3" is no range of cells', ""),
    ("dialect: {range: 'C3:B4'}\nfields: {a: }\n", "'C3:B4'", "holds no cell", ""),
    ("dialect: {footer: '('}\nfields: {a: }\n", "'('", "not a regular expression", ""),
    (
        "timezone: Europe/Berln\nfields: {a: }\n",
        "Europe/Berln",
        "there is no time zone",
        'did you mean "Europe/Berlin"?',
    ),
    ("extraFields: evolve\nfields: {a: }\n", "evolve", "extraFields: evolve is not served yet", "reject or drop"),
    ("fields: {a: }\nchecks: {x: {rul: a}}\n", "rul", 'unknown key "rul" in checks.x', '"rule"'),
    ("fields: {a: }\nchecks: {x: {rule: a, at_most: 10}}\n", "10", "expected a share", ""),
    (
        "fields: {a: }\nchecks: {x: {rule: a, scope: set, severity: quarantine}}\n",
        "quarantine",
        "has no row",
        "warn or fail",
    ),
    ("fields: {a: }\nchecks: {x: {rule: a, scope: set, at_most: 1 %}}\n", "1 %", "at_most is a share of rows", ""),
    ("fields: {a: }\nchecks: {malformed: a}\n", "malformed", "a name of Pratique itself", "rename"),
    ("fields: {a: }\nreferences: {a: parents}\n", "parents", '"parents" is no reference', ""),
    ("fields: {a: }\nreferences: {b: parents.id}\n", "b", 'references names "b"', "fields: a"),
    ("fields: {a: }\nreferences: {a: 'parents(x, y)'}\n", "'parents(x, y)'", "1 field(s) here, but 2", ""),
]


@pytest.mark.parametrize(("text", "place", "message", "hint"), SCHEMAS)
def test_a_mistake_in_a_schema_is_told_at_its_place(plain, text: str, place: str, message: str, hint: str) -> None:
    """A broken schema file stops everything that needs it: where, what, and what was probably meant."""
    plain.write({S: text})
    with pytest.raises(ConfigurationError) as caught:
        plain.project().schema("users")
    _stands_at(caught.value, S, text, place)
    assert message in caught.value.message
    assert hint in caught.value.hint


PIPELINES = [
    ("", "", "the pipeline file is empty", "sources"),
    (TO, "destination", '"sources" is missing', "add sources"),
    ("sources: {u: {path: u.csv, schema: users}}\n", "sources", '"destination" is missing', ""),
    (f"source: {{}}\n{TO}", "source", 'unknown key "source"', 'did you mean "sources"?'),
    (f"sources: {{Users: {{path: u.csv, schema: users}}}}\n{TO}", "Users", '"Users" is not a name', "small letters"),
    (_users(", shcema: x"), "shcema", 'unknown key "shcema" in sources.users', 'did you mean "schema"?'),
    (f"defaults: {{shcema: x}}\n{_users('')}", "shcema", 'unknown key "shcema"', '"schema"'),
    (f"sources:\n  users: {{schema: users}}\n{TO}", "{schema", "path is missing", "add path"),
    (f"sources:\n  users: {{path: users.csv}}\n{TO}", "{path", "schema is missing", "add schema"),
    (f"sources:\n  users: {{path: users.csv, schema: usrs}}\n{TO}", "usrs", 'no schema "usrs"', 'did you mean "users"?'),
    (f"sources:\n  users: {{path: users.csv, schema: users@7}}\n{TO}", "users@7", 'no version "7"', "known versions: 1"),
    (_users(", connection: inbx"), "inbx", 'no connection "inbx" in environment dev', 'did you mean "inbox"?'),
    (_users("").replace("warehouse", "warhouse"), "warhouse", 'no connection "warhouse"', 'did you mean "warehouse"?'),
    (_users(", type: kafka"), "kafka", '"kafka" is not one of files', ""),
    (_users(", type: api"), "path", "sources.users.path is not served for type api", "leave it out"),
    (_users(", type: python"), "path", "path is not served for type python", "change the type"),
    ("sources:\n  users: {type: python, schema: users}\n" + TO, "{type", "use is missing", "add use"),
    (_users(", get: /x"), "get", "sources.users.get is not served for type files", "change the type"),
    (_users(", type: postgres"), "path", "sources.users.path is not served for type postgres", "leave it out"),
    (_users(", cursor: {field: id}"), "cursor", "sources.users.cursor is not served for type files", ""),
    (_users(", filter: a > 1"), "filter", "filter is not served for type files", "schema"),
    (_users(", write: upsert"), "upsert", '"upsert" is not one of append, replace, merge', ""),
    (_users(", on_new_version: replace, write: merge"), "replace", "replace is for write: append", ""),
    (_users(", on_new_version: refuse, write: replace"), "refuse", "means nothing for write: replace", ""),
    (_users(", on_new_version: replace") + "lineage: [_file]\n", "replace", "by _load_id", "lineage"),
    (_users(", keep: latest(id)"), "keep", "keep is for write: merge", "remove"),
    (_users(", write: merge, keep: newest"), "newest", '"newest" is not understood', "latest(field)"),
    (_users(", write: merge, keep: latest(nam)"), "nam)", 'keep names "nam"', '"name"'),
    (_users(", quarantine: {max_share: 20}"), "20", "expected a share", ""),
    (_users(", overrides: [{when: {}, dialect: {}}]"), "{", "overrides[0].when is empty", ""),
    (_users(", overrides: [{when: {x: a}, dialect: {}}]"), "a", "no part {x}", ""),
    (_users(", table: a.b.c"), "a.b.c", '"a.b.c" cannot be the name of a table', ""),
    (_users(", table: _pratique_loads"), "_pratique_loads", "cannot be the name of a table", ""),
    (_users("") + "lineage: [_load]\n", "_load", '"_load" is not one of', "_load_id"),
    (_users("").replace("users.csv", "users.csv.xz"), "users.csv.xz", ".xz files are not served yet", "served: .csv"),
    (_users("").replace("users.csv", "users.xls"), "users.xls", ".xls files are not served yet", "served: .csv"),
    (_users("").replace("users.csv", "users.dat"), "users.dat", "does not say which format", "format: csv"),
    (_users("").replace("users.csv", "ftp://b/users.csv"), "ftp", "no such place is served", "s3://"),
    (_users("").replace("users.csv", "s3://b/users.csv"), "s3", "the url names no bucket", "s3://bucket"),
    (_users("") + "together: {commit: one}\n", "commit", "together.commit is not served yet", ""),
    (f"{_users('')[:-len(TO)]}destination: {{connection: warehouse, delete: x}}\n", "delete", "destination.delete is not served yet", ""),
    (f"{_users('')[:-len(TO)]}destination: {{connection: warehouse, dataset: 'a_{{x}}'}}\n", "'a_{x}'", "only {env}", ""),
    (
        f"sources:\n  a: {{path: a.csv, schema: users}}\n  b: {{path: b.csv, schema: users}}\n{TO}write: replace\n",
        "{path", "both write the table users", "table",
    ),
    (
        "sources:\n  a: {path: a.csv, schema: users}\n  b: {path: b.csv, schema: users}\ndestination: {connection: warehouse, table: t}\n",
        "t", "one table for 2 sources", "table",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "message", "hint"), PIPELINES)
def test_a_mistake_in_a_pipeline_is_told_at_its_place(plain, text: str, place: str, message: str, hint: str) -> None:
    """A broken pipeline file stops the start: where, what, and what was probably meant."""
    plain.write({P: text})
    with pytest.raises(ConfigurationError) as caught:
        plain.project().pipeline("daily")
    _stands_at(caught.value, P, text, place)
    assert message in caught.value.message
    assert hint in caught.value.hint


CONNECTIONS = [
    ("{url: s3://b/x}", "s3", "kind s3 is not served yet", "duckdb"),
    ("{url: postgres://h/d}", "postgres", "kind postgres is not served yet", "parquet"),
    ("{url: data/lake}", "data/lake", "does not say what it leads to", "duckdb://"),
    ("{url: duckdb://}", "duckdb", "names no path", "duckdb://"),
    ("{}", "{", "needs a url", "url"),
    ("{url: duckdb://x, pasword: y}", "pasword", 'unknown key "pasword"', "url"),
    ("{type: mysql, path: x}", "mysql", "kind mysql is not served yet", "duckdb"),
]


@pytest.mark.parametrize(("connection", "place", "message", "hint"), CONNECTIONS)
def test_a_mistake_in_a_connection_is_told_in_the_settings(
    plain, connection, place: str, message: str, hint: str
) -> None:
    """A destination's connection that leads nowhere is told where it is written."""
    text = f"connections:\n  inbox: {{url: data/in}}\n  lake: {connection}\n"
    plain.write({C: text, P: _users("").replace("warehouse", "lake")})
    with pytest.raises(ConfigurationError) as caught:
        plain.project().pipeline("daily")
    _stands_at(caught.value, C, text, place)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_merge_without_a_key_is_told_where_the_merge_is_written(plain) -> None:
    """write: merge of the destination needs a primaryKey in every schema."""
    plain.write({S: "fields: {id: }\n", P: _users("").replace("warehouse", "warehouse, write: merge")})
    with pytest.raises(ConfigurationError, match="merge needs a primaryKey") as caught:
        plain.project().pipeline("daily")
    assert caught.value.where == f"{P}:3:45"
    assert "schemas/users.yaml" in caught.value.hint


@pytest.mark.parametrize(
    ("words", "fields", "refused"),
    [
        ("write: merge", "primaryKey: id\nfields: {id: {store: mask}}", "primaryKey"),
        ("write: merge", "primaryKey: id\nfields: {id: {store: drop}}", "primaryKey"),
        ("write: append", "primaryKey: id\nfields: {id: {store: mask}}", "primaryKey"),
        ("write: append", "fields: {id: {store: drop, unique: true}, a: }", "id.unique"),
        ("write: append", "primaryKey: id\nfields: {id: {store: hash}}", None),
        ("write: merge", "primaryKey: id\nfields: {id: , a: {store: drop, unique: true}}", None),
        ("write: replace", "primaryKey: id\nfields: {id: {store: mask}}", None),
    ],
)
def test_a_key_that_the_table_does_not_hold_is_told_before_a_run(plain, words, fields, refused) -> None:
    """Rows are known again by values that stand in the table: masked keys would merge all rows into one."""
    plain.write({S: fields + "\n", P: _users("").replace("warehouse", f"warehouse, {words}")})
    if refused is None:
        plain.project().pipeline("daily")
        return
    with pytest.raises(ConfigurationError, match=f"{refused} cannot be judged against the rows") as caught:
        plain.project().pipeline("daily")
    assert caught.value.where.startswith(S)


def test_a_capture_that_the_path_does_not_name_is_told_at_the_path(plain) -> None:
    """`from: path.x` needs {x} in the path of every source with this schema."""
    plain.write({S: "fields: {id: {from: path.partner}}\n"})
    with pytest.raises(ConfigurationError, match=r"path\.partner, which the path does not name") as caught:
        plain.project().pipeline("daily")
    assert caught.value.where == f"{P}:2:49"


@pytest.mark.parametrize(
    ("parents", "message"),
    [
        (None, 'there is no schema "parents"'),
        ("fields: {no: }\n", 'schema parents has no field "nr"'),
        ("fields: {nr: date}\n", "they can never be equal"),
        ("fields: {nr: {type: integer, store: hash}}\n", "they are stored as keep and hash"),
        ("fields: {nr: {type: integer, store: mask}}\n", "they are stored as keep and mask"),
    ],
)
def test_a_reference_that_cannot_hold_is_told_in_the_child_schema(plain, parents: str | None, message: str) -> None:
    """The parent's schema and field exist and have a type that can be equal."""
    plain.write({S: "fields: {id: integer}\nreferences: {id: parents.nr}\n"})
    if parents:
        plain.write({"schemas/parents.yaml": parents})
    with pytest.raises(ConfigurationError) as caught:
        plain.project().pipeline("daily")
    assert message in caught.value.message
    assert caught.value.where == f"{S}:2:{26 if 'no field' in message else 18}"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"schemas/users.json": '{"fields": {"a": "string"}}'}, "users.json and users.yaml have the same name"),
        ({"schemas/users@1.yaml": "fields: {a: }\n"}, "version 1 of users stands in two files"),
        ({"schemas/users@x.yaml": "fields: {a: }\n"}, '"x" is no version'),
        ({"schemas/users@2.yaml": "version: 3\nfields: {a: }\n"}, "says version: 3"),
    ],
)
def test_two_files_cannot_mean_the_same_version(plain, files, message: str) -> None:
    """One version of a schema stands in one place, and the name of its file agrees with it."""
    plain.write(files)
    with pytest.raises(ConfigurationError) as caught:
        plain.project().schema("users")
    assert message in caught.value.message
