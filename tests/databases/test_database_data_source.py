"""`DatabaseDataSource`, and what configurations of databases may say."""

from __future__ import annotations

import subprocess
import sys

import pytest
import servers

from pratique.config_manager import ConfigManager
from pratique.errors import ConfigurationError, SourceError
from pratique.ingestion import DatabaseDataSource, DataIngestionPipeline
from pratique.project import Project

SCHEMA = "primaryKey: id\nfields: {id: integer, note: string}\n"


def test_rows_come_as_dicts_with_their_lineage(postgres) -> None:
    """Values are exact texts, NULL is None; the rows come out of one snapshot, in a pipeline too."""
    postgres.sql("CREATE TABLE orders (id int, note text)")
    postgres.sql("INSERT INTO orders VALUES (1, 'a\tb'), (2, NULL)")
    postgres.write("table: orders", SCHEMA)
    config = ConfigManager("dev", postgres.root)
    source = DatabaseDataSource(config, "shop", table="orders")
    first, second = source.ingest()
    stamp = first.pop("_ingestion_timestamp")
    assert first == {"id": "1", "note": "a\tb", "_source": "orders", "_file": "orders", "_row_number": 1}
    assert (second["note"], second["_row_number"], second["_ingestion_timestamp"]) == (None, 2, stamp)
    pipeline = DataIngestionPipeline(config)
    pipeline.add_source(
        DatabaseDataSource(config, "shop", query="select note, id from orders", columns=["id"], name="q")
    )
    pipeline.add_source(DatabaseDataSource(config, "shop", table="nothing"))
    assert [row["id"] for row in pipeline.run()] == ["1", "2"]
    assert list(pipeline.errors) == ["nothing"]
    with pytest.raises(SourceError, match="bytes are no text"):
        list(DatabaseDataSource(config, "shop", query="select 'a'::bytea as b").ingest())


MISTAKES = [
    ("table: orders", 'url: "postgres://h/d", pasword: x', 'unknown key "pasword"'),
    ("table: orders", 'url: "postgres://me:secret@h/d"', "a password stands in the file itself"),
    ("table: orders", 'url: "postgres://h/d", password: secret', "a password stands in the file itself"),
    ("table: orders", 'url: "postgres://h/d?sslmode=disable"', 'unknown option "sslmode" in the url'),
    ("table: orders", 'url: "postgres://h:port/d"', "the url of this connection is not one"),
    ("table: orders", 'url: "mysql://h/d"', "does not lead to a database of type postgres"),
    ("table: orders", 'url: "postgres://h/d", statement_timeout_seconds: 0', "statement_timeout_seconds"),
    ("table: orders", 'url: "postgres://h/d", tls: maybe', '"maybe" is not one of verify-full'),
    ("table: orders, query: x", 'url: "postgres://h/d"', "names a table and a query"),
    ("write: append", 'url: "postgres://h/d"', "names neither a table nor a query"),
    ("table: orders, path: x", 'url: "postgres://h/d"', "sources.orders.path is not served for type postgres"),
    ("table: orders, schema: ordres", 'url: "postgres://h/d"', 'no schema "ordres"'),
    ("table: orders, cursor: {field: id, lookback: soon}", 'url: "postgres://h/d"', "expected a time such as 10m"),
    ("table: orders, cursor: {feild: id}", 'url: "postgres://h/d"', 'unknown key "feild"'),
    ("table: orders, write: replace, cursor: {field: id}", 'url: "postgres://h/d"', "would keep the new rows only"),
    (
        "table: orders, schema: keyless, cursor: {field: id, lookback: 5}",
        'url: "postgres://h/d"',
        "has no key to tell them",
    ),
    ('table: orders, filter: "nope = 1"', 'url: "postgres://h/d"', "sources.orders.filter: "),
]


@pytest.mark.parametrize(("source", "connection", "message"), MISTAKES)
def test_a_mistake_is_told_before_anything_is_connected(tmp_path, source: str, connection: str, message: str) -> None:
    """What people write about databases is checked at the start, at its place; a secret is never shown."""
    files = {
        "config/default.yaml": f"connections:\n  shop: {{{connection}}}\n  lake: {{url: duckdb://lake.duckdb}}\n",
        "pipelines/p.yaml": f"sources:\n  orders: {{type: postgres, connection: shop, {source}}}\ndestination: {{connection: lake}}\n",
        "schemas/orders.yaml": SCHEMA,
        "schemas/keyless.yaml": "fields: {id: integer, note: string}\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        Project(tmp_path, "dev").pipeline("p")
    told = f"{caught.value.where} {caught.value.message} {caught.value.hint} {caught.value.facts}"
    assert message in told
    assert "yaml:" in caught.value.where
    assert "secret" not in told


def test_the_password_of_a_secret_url_is_hidden_too(tmp_path, monkeypatch) -> None:
    """A whole URL by reference: its password is a secret by itself wherever it turns up."""
    monkeypatch.setenv("SHOP_URL", "postgres://me:canary%2Furl@h:1/d")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "default.yaml").write_text('connections: {shop: {url: "${SHOP_URL}"}}\n')
    source = DatabaseDataSource(ConfigManager("dev", tmp_path), "shop", table="t")
    assert source.input.server.password.reveal() == "canary/url"
    assert "canary" not in repr(source.input)
    from pratique.secrets import hide_secrets  # noqa: PLC0415

    assert hide_secrets("as canary/url said") == "as *** said"
    with pytest.raises(ConfigurationError, match="a table or a query"):
        DatabaseDataSource(ConfigManager("dev", tmp_path), "shop")


def test_a_server_elsewhere_is_spoken_to_with_verified_tls(tmp_path) -> None:
    """verify-full by default, prefer towards this machine itself."""
    (tmp_path / "config").mkdir()
    text = 'connections:\n  far: {url: "mariadb://u@db.example/x"}\n  near: {url: "postgres://u@/x?host=/run/pg"}\n  on: {url: duckdb://x}\n'
    (tmp_path / "config" / "default.yaml").write_text(text)
    config = ConfigManager("dev", tmp_path)
    far = DatabaseDataSource(config, "far", table="t").input.server
    near = DatabaseDataSource(config, "near", table="t").input.server
    assert (far.kind, far.tls, near.tls, near.host) == ("mysql", "verify-full", "prefer", "/run/pg")
    with pytest.raises(ConfigurationError, match="does not lead to a database"):
        DatabaseDataSource(config, "on", table="t")


def test_verified_tls_is_asked_of_the_server(postgres) -> None:
    """A server without TLS is not spoken to where TLS is asked for, and that is no matter of trying again."""
    postgres.sql("CREATE TABLE orders (id int, note text)")
    postgres.options = ", tls: verify-full"
    postgres.write("table: orders", SCHEMA)
    problem = postgres.run(3)["sources"][0]["problem"]
    assert (problem["code"], "tls_ca" in problem["hint"]) == ("source", True)
    assert servers.PASSWORD not in str(problem)


@pytest.mark.parametrize(("kind", "package"), [("postgres", "psycopg"), ("mysql", "pymysql")])
def test_a_missing_driver_is_told_with_the_command_that_installs_it(postgres, kind: str, package: str) -> None:
    """Drivers are extras: without them everything else works, and a source that needs one says which."""
    postgres.url, postgres.type = f"{kind}://h/d", kind
    postgres.write("table: orders", SCHEMA)
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from pratique.cli.main import main\n"
        f"sys.argv = ['pratique', 'run', 'shop', '--project', {str(postgres.root)!r}]\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    printed = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2, printed
    assert f"the package {package} is missing" in printed
    assert f"pratique[{kind}]" in printed
