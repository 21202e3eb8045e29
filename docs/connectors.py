"""The page of the connectors: what each source and destination can do, and what it cannot.

What the code declares is read from it: kinds, words, formats, credentials, limits, extras. What a kind is for, and
what it cannot, is said here; a kind of source or destination of which nothing is said stops the generator.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pratique import inputs
from pratique.apis import AuthType, Style
from pratique.databases import Tls
from pratique.destinations import TYPES
from pratique.inputs import CloudKind, FileFormat
from pratique.model import Disposition
from pratique.sources.clouds.base import THREADS
from pratique.specs import clouds
from pratique.specs.apis import ApiConnectionSpec
from pratique.specs.pipeline import (
    DATABASE_TYPES,
    DESTINATION_WORDS,
    NOTICED_WORDS,
    STRANGE_WORDS,
    TOGETHER_WORDS,
    SourceSpec,
    SourceType,
)
from pratique.specs.settings import LimitsSpec

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
HOW_TO = Path(__file__).resolve().parent / "how-to"
EXTRAS = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]


@dataclass(frozen=True)
class Said:
    """What a kind of source or destination is, and what the code does not declare of it."""

    reads: str
    guide: str  # the page that shows it at work
    new: str  # how it is told what is new
    killed: str  # what a run does after one that was killed
    beside: str  # what goes on side by side
    gaps: tuple[str, ...]


_DATABASE_GAPS = (
    "deletes are not seen; no log of changes is read (CDC): a cursor, or the whole table",
    "one connection reads a table; it is not cut into parts that are read side by side",
)
_SNAPSHOT = "asks again, in one new snapshot"
SOURCES: dict[str, Said] = {
    "files": Said(
        "files of this machine, or of what is mounted there",
        "start-from-your-files.md",
        "files whose content is not known",
        "reads the files again that were not committed",
        "the files of a load, on all cores",
        (
            "fixed-width text, XML, Avro, ORC are not read",
            "encrypted archives, workbooks and Parquet files are held",
            "a file that vanishes takes no rows away",
            "nothing watches a folder: a run looks, a scheduler starts it",
        ),
    ),
    "api": Said(
        "pages of JSON over HTTP",
        "read-an-api.md",
        "a `cursor`, with a primary key; else everything",
        "goes on at the next page",
        f"{ApiConnectionSpec.model_fields['concurrency'].default} requests, where pages are numbered (`concurrency`)",
        (
            "JSON only: no XML, no CSV, no streams",
            "no OAuth2 with a person who agrees, no signed requests (AWS, OAuth1), no client certificates",
            "deletes are not seen",
        ),
    ),
    "postgres": Said(
        "a table or a query of PostgreSQL",
        "read-a-database.md",
        "a `cursor`; else everything",
        _SNAPSHOT,
        "nothing; tables of one snapshot one after the other",
        ("`money`, `bytea`, `regclass` and types of extensions are refused by name",),
    ),
    "mysql": Said(
        "a table or a query of MySQL or MariaDB",
        "read-a-database.md",
        "a `cursor`; else everything",
        _SNAPSHOT,
        "nothing; tables of one snapshot one after the other",
        ("bytes and geometries are refused by name; tables without transactions have no snapshot",),
    ),
    "sqlite": Said(
        "a table or a query of a SQLite file",
        "read-a-database.md",
        "a `cursor`; else everything",
        _SNAPSHOT,
        "nothing; tables of one snapshot one after the other",
        ("a BLOB is refused by name",),
    ),
    "python": Said(
        "what a function of yours gives",
        "read-with-a-program.md",
        "a `cursor`, which the function is given; else everything",
        "asks the function again",
        "nothing",
        ("the function is not shut in: it may do what the run may",),
    ),
}
CLOUD = Said(
    "the same files in {name}",
    "read-from-a-cloud.md",
    "files whose version is not known",
    "lands the files again that were not committed",
    f"{THREADS} files are landed at once",
    ("a file that is deleted takes no rows away; no notice of a new file is listened to",),
)
CLOUDS = {
    "s3": "Amazon S3 and servers that speak like it",
    "gs": "Google Cloud Storage",
    "az": "Azure Blob Storage",
    "sftp": "a folder of an SFTP server",
}
DESTINATIONS: dict[str, Said] = {
    "duckdb": Said(
        "a DuckDB file: tables in one database",
        "read-a-report.md",
        "",
        "",
        "",
        ("one process at a time holds the file: other runs and readers wait for it (`limits.lock_timeout_seconds`)",),
    ),
    "parquet": Said(
        "a folder of Parquet files for each table, and a manifest",
        "read-a-report.md",
        "",
        "",
        "",
        (
            "whoever reads it takes the files that the manifest names; all files of the folder are not the table",
            "not partitioned by a column; no Delta, no Iceberg",
        ),
    ),
}


def extra(kind: str) -> str:
    """The extra that a kind needs, or none: one of its own name, else that of its family."""
    family = {**dict.fromkeys(get_args(CloudKind), "cloud"), "api": "api"}.get(kind, "")
    name = kind if kind in EXTRAS else family
    return f"`pratique[{name}]`" if name in EXTRAS else "-"


def words(kind: str) -> str:
    """The words that this type of source has, and not every type."""
    names = {item.alias or name for name, item in SourceSpec.model_fields.items()}
    shared = names - frozenset().union(*STRANGE_WORDS.values())
    return ", ".join(f"`{name}`" for name in sorted(names - shared - STRANGE_WORDS[kind]))


def credentials(kind: str) -> str:
    """Who may ask, as the connection says it."""
    if kind == "api":
        return ", ".join(get_args(AuthType))
    if kind in DATABASE_TYPES - {"sqlite"}:
        return f"`user`, `password`; TLS: {', '.join(get_args(Tls))}"
    if kind in get_args(CloudKind):
        own = ", ".join(f"`{name}`" for name in sorted(clouds._KEYS.get(kind, ())))  # noqa: SLF001 - it declares them
        return own or "see its page"
    return "whatever the function asks for" if kind == "python" else "rights of the run"


def rows() -> Iterator[tuple[str, str, Said]]:
    """Every kind of source with its type: files of this machine, of each cloud, and the rest."""
    for kind in get_args(SourceType):
        yield kind, kind, SOURCES[kind]
        if kind == "files":
            for cloud in get_args(CloudKind):
                yield "files", cloud, CLOUD


def _shown(kind: str, name: str, said: Said) -> str:
    own = [path.name for path in HOW_TO.glob(f"read-*{name}.md")] if said is CLOUD else []
    reads = said.reads.format(name=CLOUDS.get(name, f"`{name}://` folders"))
    return f"[{reads}](../how-to/{[*own, said.guide][0]})" + (f" (`{name}://`)" if name != kind else "")


def ways() -> Iterator[tuple[str, Said]]:
    """What is said of each type, once where several types say the same."""
    said = {name: found for _, name, found in rows()}
    told: dict[tuple[str, ...], list[str]] = {}
    for name, found in said.items():
        told.setdefault((found.new, found.killed, found.beside), []).append(name)
    for names in told.values():
        yield _list(names), said[names[0]]


def connectors_page() -> str:
    """Everything that can be read and written, how, and what is missing."""
    parts = [
        "What can be read and written, and what cannot. The page is made from what the code declares.\n",
        "## Sources\n",
        "| `type` | reads | to install | who asks |\n|---|---|---|---|",
        *(
            f"| `{kind}` | {_shown(kind, name, said)} | {extra(name)} | {credentials(name)} |"
            for kind, name, said in rows()
        ),
        "",
        "| `type` | only what is new | after a kill the next run | side by side |\n|---|---|---|---|",
        *(f"| {name} | {said.new} | {said.killed} | {said.beside} |" for name, said in ways()),
        "",
        "Of all of them: what may pass by itself (no connection, a busy server, an answer that breaks off) is tried",
        "again, three times unless `limits.retries_max` says otherwise, with growing pauses; a wrong password, a missing",
        "table or right fail at once.",
        "Values come as exact text and are judged by the schema; a type that cannot be read exactly is refused.",
        "",
        "| `type` | words of its own |\n|---|---|",
        *(f"| `{kind}` | {words(kind)} |" for kind in get_args(SourceType)),
        f"\nHow pages of an API lead on: {_list(get_args(Style))}.\n",
        *_formats(),
        *_limits(),
        "## Destinations\n",
        "| `url` | what it is | ways of writing |\n|---|---|---|",
        *(f"| `{kind}://` | {DESTINATIONS[kind].reads} | {_list(get_args(Disposition))} |" for kind in TYPES),
        "\nRows, and the proof that they were loaded, become visible in the same instant: see",
        "[delivery](../explanation/delivery.md).\n",
        *_gaps(),
    ]
    return "\n".join(parts)


def _list(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _formats() -> Iterator[str]:
    yield "## Formats of files\n"
    yield "| `format` | suffix | packed |\n|---|---|---|"
    packings = _list(sorted(inputs._PACKINGS))  # noqa: SLF001 - it declares them
    for name in get_args(FileFormat):
        suffixes = [suffix for suffix, found in inputs.FORMATS.items() if found == name]
        yield f"| {name} | {_list(suffixes)} | {'no' if name in {'excel', 'parquet'} else packings} |"
    yield ""


def _limits() -> Iterator[str]:
    yield "## Limits\n"
    yield "What one input may cost at most; each is [a setting](settings.md).\n"
    yield "| `limits.` | default |\n|---|---:|"
    shown = [name for name in LimitsSpec.model_fields if name.endswith("_max")]
    yield from (f"| `{name}` | {_number(LimitsSpec.model_fields[name].default)} |" for name in shown)
    yield ""


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _gaps() -> Iterator[str]:
    yield "## Gaps\n"
    yield "What you may look for, and is not there.\n"
    seen: Mapping[str, Said] = {name: said for _, name, said in rows() if said is not CLOUD}
    for kind, said in seen.items():
        yield f"- **{kind}**: {'; '.join(said.gaps)}."
        if kind == "files":
            later = _list(sorted(inputs._LATER_SUFFIXES))  # noqa: SLF001 - it declares them
            yield f"  Refused by name: {later}."
            yield f"- **{', '.join(get_args(CloudKind))}**: {'; '.join(CLOUD.gaps)}."
            yield f"- **{', '.join(sorted(DATABASE_TYPES))}**: {'; '.join(_DATABASE_GAPS)}."
    for kind in TYPES:
        yield f"- **{kind}** as a destination: {'; '.join(DESTINATIONS[kind].gaps)}."
    yield "- **Other destinations**: none. PostgreSQL, MySQL, Snowflake, BigQuery, a bucket are not written."
    yield "- **Other databases** (Oracle, SQL Server, Snowflake, BigQuery, MongoDB) and services: by"
    yield "  [a program of your own](../how-to/read-with-a-program.md), or by files that another loader writes."
    yield f"- **Words that nothing serves yet**: {_list(sorted(NOTICED_WORDS))} does nothing yet; refused are"
    yield f"  {_list(sorted(DESTINATION_WORDS))} of a destination, {_list(sorted(TOGETHER_WORDS))} of `together`, and"
    yield "  `keep` and `evolve` of `extraFields`."
    yield ""
