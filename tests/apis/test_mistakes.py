"""Mistakes in what people write of an API: each at its place, with what to do; `pratique lint` knows them all."""

from __future__ import annotations

import pytest
from api_project import Crm

from pratique.apis import JsonPath, filled
from pratique.config_manager import ConfigManager
from pratique.errors import ConfigurationError
from pratique.ingestion import APIDataSource
from pratique.linting import lint
from pratique.project import Project

URL = "https://api.crm.example/v2"
GOOD = 'get: /contacts, records: "data[*]"'
REFERENCE = '"${CRM_SECRET}"'

CONNECTIONS = [
    ("timeout: 3", "timeout", 'unknown key "timeout"', "timeout_seconds"),
    ("auth: {type: bearr}", "bearr", '"bearr" is not one of', "bearer"),
    ("auth: {type: bearer}", "{type: bearer}", "auth of type bearer needs token", "add token"),
    ("auth: {type: bearer, token: abcdef}", "abcdef", "the token stands in the file itself", "${NAME}"),
    (f"auth: {{type: basic, user: u, key: {REFERENCE}}}", "{type", "auth of type basic needs password", "add password"),
    (f"auth: {{type: basic, user: u, password: {REFERENCE}, scope: x}}", "scope", "scope means nothing", "remove it"),
    (f"auth: {{type: api_key, name: k, key: {REFERENCE}, in: body}}", "body", "cannot stand in the body", "header or query"),
    (f"auth: {{type: oauth2, client_id: i, client_secret: {REFERENCE}, token_url: 'ftp://x'}}", "'ftp://x'", "is no URL", "https://"),
    ("headers: {Authorization: x}", "Authorization", "cannot be a header here", "auth"),
    ("allowed_origins: [crm.example]", "crm.example", "is no origin", "https://"),
    ("allowed_networks: [10.1.0.0/33]", "10.1.0.0/33", "is no network", "10.1.0.0/16"),
    ("rate: fast", "fast", 'rate: "fast" is not understood', "10/s"),
    ("rate: 0/s", "0/s", 'rate: "0/s" is not understood', "10/s"),
    ("concurrency: 65", "65", "at most 64", ""),
    ("timeout_seconds: 0", "0", "greater than 0", ""),
]  # fmt: skip


@pytest.mark.parametrize(("words", "place", "message", "hint"), CONNECTIONS)
def test_a_mistake_in_a_connection(crm: Crm, words: str, place: str, message: str, hint: str) -> None:
    """It is told in the settings, at the word."""
    crm.write(URL, GOOD, connection=words)
    told(crm, "config/default.yaml", place, message, hint)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://x", "does not lead to an API"),
        ("https://", "does not lead to an API"),
        ("postgres://h/d", "does not lead to an API"),
        ("https://u:p@h", "credentials stand in the url"),
        ("https://h/?key=1", "the url of a connection has parameters"),
    ],
)
def test_a_mistake_in_a_url(crm: Crm, url: str, message: str) -> None:
    """It is told where the url stands."""
    crm.write(url, GOOD)
    told(crm, "config/default.yaml", f'"{url}"', message, "")


def test_credentials_do_not_travel_unencrypted(crm: Crm) -> None:
    """Http with credentials is refused, unless it is a network that is listed."""
    auth = f"auth: {{type: bearer, token: {REFERENCE}}}"
    crm.write("http://crm.example", GOOD, connection=auth)
    told(crm, "config/default.yaml", '"http://crm.example"', "unencrypted", "https")
    crm.write("http://crm.example", GOOD, connection=f"{auth}, allowed_networks: [10.0.0.0/8]")
    assert Project(crm.root, "dev").pipeline("crm").sources


SOURCES = [
    ("records: 'data[*]'", "{type", "names neither get nor post", "get: /path"),
    ("get: /x, post: /x", "/x", "names get and post", "one of"),
    ("get: contacts", "contacts", "is no path", "/v2/contacts"),
    ("get: '/x?page=1'", "'/x?page=1'", "is no path", "`params`"),
    ("get: /a/../b", "/a/../b", "is no path", ""),
    ("get: '/x/{id}'", "'/x/{id}'", "nothing says what stands for {id}", "parent"),
    ("get: '/x/{id'", "'/x/{id'", "a brace is not closed", ""),
    ("get: /x, parent: orders", "orders", "no field of orders stands in the path", "{id}"),
    ("get: '/x/{id}', parent: nobody", "nobody", "there is no other source nobody", "same pipeline"),
    ("get: '/x/{id}', parent: contacts", "contacts", "there is no other source contacts", "same pipeline"),
    ("get: /x, body: {a: 1}", "{a", "a get has no body", "post"),
    ("get: /x, records: 'data[1]'", "'data[1]'", "is no path into JSON: it is not understood from character 5", "data[*]"),
    ("get: /x, paginate: {}", "{}", "says not how one page leads to the next", "link_header"),
    ("get: /x, paginate: pages", "pages", "expected a mapping", ""),
    ("get: /x, paginate: {page: p, next: n}", "{page", "has next and page", "one of"),
    ("get: /x, paginate: {next: 'a[*]'}", "'a[*]'", "one value is meant", "paging.next"),
    ("get: /x, paginate: {next: a, size: 3}", "3", "size means nothing for paginate: next", "remove"),
    ("get: /x, paginate: {page: p, size_param: s}", "s", "size_param has no size", "add size"),
    ("get: /x, paginate: {page: p, in: body}", "body", "a get has no body", "query"),
    ("get: /x, paginate: {pag: p}", "pag", 'unknown key "pag"', '"page"'),
    ("get: /x, cursor: {field: at}", "{field", "the cursor is sent nowhere", "{cursor}"),
    ("get: /x, params: {since: '{cursor}'}", "{since", "{cursor} stands for nothing", "cursor"),
    ("get: /x, params: {k: {a: 1}}", "{a", "expected a text, a number, true or false", "[a, b]"),
    ("get: /x, params: {k: '${NOWHERE}'}", "'${NOWHERE}'", "the environment variable NOWHERE is not set", "export"),
    ("get: /x, params: {c: '{cursor}'}, cursor: {field: note}", "note", "the cursor note is string", "integer"),
    ("get: /x, params: {c: '{cursor}'}, cursor: {field: other}", "other", "is read by no field", ""),
    ("get: /x, params: {c: '{cursor}'}, cursor: {field: id, lookback: 5m}", "5m", "the look-back does not fit", "whole number"),
    ("get: /x, path: a.csv", "path", "path is not served for type api", "change the type"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "place", "message", "hint"), SOURCES)
def test_a_mistake_in_a_source(crm: Crm, source: str, place: str, message: str, hint: str) -> None:
    """It is told in the pipeline, at the word."""
    crm.write(URL, source, connection="concurrency: 1", write="merge")
    told(crm, "pipelines/crm.yaml", place, message, hint)


CURSOR = "get: /x, params: {c: '{cursor}'}, cursor: {field: id}"


def test_a_cursor_with_which_rows_would_be_lost_or_doubled(crm: Crm) -> None:
    """Replace would keep the new rows only; without a key rows at the position come twice; parents have none."""
    crm.write(URL, CURSOR, write="replace", connection="concurrency: 1")
    told(crm, "pipelines/crm.yaml", "{field", "would keep the new rows only", "write: merge")
    crm.write(URL, CURSOR, schema="fields: {id: integer}\n", connection="concurrency: 1")
    told(crm, "pipelines/crm.yaml", "{field", "sends rows at the last position again", "primaryKey")
    child = "get: '/x/{id}', parent: p, params: {c: '{cursor}'}, cursor: {field: id}"
    crm.write(URL, child, connection="concurrency: 1")
    told(crm, "pipelines/crm.yaml", "{field", "would miss the rows of parents", "leave it out")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("{number: integer}", "has no field id"),
        ("{id: 'decimal(9,2)'}", "cannot stand in a path: it is decimal"),
        ("{id: {store: hash}}", "cannot stand in a path: it is stored as hash"),
    ],
)
def test_a_parent_whose_rows_cannot_be_asked_for(crm: Crm, fields: str, message: str) -> None:
    """Its field must be in the table as it is."""
    more = "  orders: {type: files, path: o.csv, schema: orders}\n"
    crm.write(URL, "get: '/orders/{id}/x', parent: orders", connection="concurrency: 1", more=more)
    crm.file("schemas/orders.yaml", f"fields: {fields}\n")
    told(crm, "pipelines/crm.yaml", "'/orders/{id}/x'", message, "")


def told(crm: Crm, file: str, place: str, message: str, hint: str) -> None:
    """The mistake is found by a run and by lint, at its place."""
    with pytest.raises(ConfigurationError) as caught:
        Project(crm.root, "dev").pipeline("crm")
    error = caught.value
    assert message in error.message
    assert hint in error.hint
    name, line, column = error.where.rsplit(":", 2)
    assert name.endswith(file)
    text = (crm.root / file).read_text().splitlines()[int(line) - 1][int(column) - 1 :]
    assert text.startswith(place), text
    found = [mistake for mistake in lint(crm.root, "dev").mistakes if message in mistake.message]
    assert found, "lint does not know it"


def test_lint_takes_what_is_right_and_needs_no_secret(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project is linted where its secrets are not known."""
    monkeypatch.delenv("CRM_SECRET")
    crm.write(URL, f"{GOOD}, params: {{k: {REFERENCE}}}", connection=f"auth: {{type: bearer, token: {REFERENCE}}}")
    assert lint(crm.root, "dev").errors == 0


def test_python_users_are_told_the_same(crm: Crm) -> None:
    """A word of APIDataSource that is wrong is named."""
    crm.write(URL, GOOD, connection="concurrency: 1")
    config = ConfigManager("dev", crm.root)
    with pytest.raises(ConfigurationError, match="has next and page") as caught:
        APIDataSource(config, "crm", get="/x", paginate={"page": "p", "next": "n"})
    assert caught.value.where == "APIDataSource.paginate"
    with pytest.raises(ConfigurationError, match='no connection "cmr"'):
        APIDataSource(config, "cmr", get="/x")


def test_a_value_cannot_change_the_shape_of_a_path() -> None:
    """What stands in a path is encoded; what means another folder is refused."""
    assert filled("/a/{id}/b", {"id": "x/../y?z#&%"}) == "/a/x%2F..%2Fy%3Fz%23%26%25/b"
    for value in ("", ".", ".."):
        with pytest.raises(ValueError, match="cannot stand in a path"):
            filled("/a/{id}/b", {"id": value})


@pytest.mark.parametrize("text", ["", "$", "$.a", "a.b", "a['x.y'][*]", '["*"]', "[*][*]"])
def test_paths_that_are_understood(text: str) -> None:
    """Keys, quoted keys, and every element."""
    assert JsonPath.parse(text).text == text


@pytest.mark.parametrize("text", ["a[", "a..b", "a[0]", "a b", "$$", "a[*]b", ".a."])
def test_paths_that_are_not_understood(text: str) -> None:
    """Anything else is told, not guessed."""
    with pytest.raises(ValueError, match="not understood from character"):
        JsonPath.parse(text)
