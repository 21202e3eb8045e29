"""Which files are landed, which are held, skipped or refused, and how they are described."""

import os
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from pratique.engines.duckdb_relations import relation
from pratique.engines.duckdb_session import Session
from pratique.engines.settings import EngineSettings
from pratique.errors import ConfigurationError, SourceError
from pratique.model import CsvForm, Position
from pratique.schema import Dialect, Field, Schema
from pratique.sources import ReadLimits, open_source

PLAIN = Schema("s", 1, (Field("a"), Field("b")))
KEYED = Schema("s", 1, (Field("a"), Field("b")), primary_key=("a",))
OPTIONAL = Schema("s", 1, (Field("a", unique=True), Field("b")))
CERTAIN = Schema("s", 1, (Field("a", required=True), Field("b", required=True)), unique_keys=(("a", "b"),))


def source(folder: Path, path: str = "*.csv", schema: Schema = PLAIN, **words):
    """A source of plain CSV files unless said otherwise."""
    return open_source("s", path=path, base=folder, format=words.pop("format", "csv"), schema=schema, **words)


def write(folder: Path, **files: str) -> None:
    """Write each content into NAME.csv."""
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(content, newline="")


def position(*landed) -> Position:
    """Where the source stands after these loads."""
    versions = tuple(file.version for result in landed for file in result.files)
    return Position(known=versions, latest=tuple(file.version for file in landed[-1].files))


def reasons(result) -> dict[str, str]:
    """Why each held file is held."""
    return {held.version.name: held.reason for held in result.held}


def read_rows(result, folder: Path) -> list[tuple[str | None, ...]]:
    """What the engine reads: the values of each record, and why it is malformed."""
    rows = []
    session = Session(EngineSettings(folder / "temporary"), tuple(file.path for file in result.files))
    try:
        for part in result.parts:
            with relation(session, part, 0) as item:
                rows += session.all(f"SELECT * EXCLUDE (_pratique_file) FROM {item.sql}")
    finally:
        session.close()
    return rows


def test_new_files_are_landed_in_order_of_names(tmp_path):
    """All files of one form are one part, by name; each has its size, hash, count and first number."""
    write(tmp_path, b="a,b\n1,2\n", a="a,b\n3,4\n5,6\n")
    result = source(tmp_path).land(Position())
    assert [file.version.name for file in result.files] == ["a.csv", "b.csv"]
    assert [file.records for file in result.files] == [2, 1]
    assert result.files[0].first_number == 2
    assert result.files[0].version.size == 12
    assert replace(result.parts[0].form, broken=None) == CsvForm(("a", "b"))


def test_landing_is_repeatable(tmp_path):
    """An unchanged folder gives an equal description, from another source object too."""
    write(tmp_path, a="a,b\n1,2\n", b="b,a\n1,2\n")
    first, second = source(tmp_path).land(Position()), source(tmp_path).land(Position())
    assert (first.parts, first.held, first.skipped) == (second.parts, second.held, second.skipped)
    assert [part.form.columns for part in first.parts] == [("a", "b"), ("b", "a")]


def test_known_content_is_skipped(tmp_path):
    """A file known by its hash is skipped under any name; so is a second copy in one folder."""
    write(tmp_path, a="a,b\n1,2\n")
    first = source(tmp_path).land(Position())
    write(tmp_path, copy="a,b\n1,2\n", new="a,b\n9,9\n", new2="a,b\n9,9\n")
    second = source(tmp_path).land(position(first))
    assert [file.version.name for file in second.files] == ["new.csv"]
    assert [version.name for version in second.skipped] == ["a.csv", "copy.csv", "new2.csv"]


def test_known_file_stays_skipped_when_the_schema_moves_on(tmp_path):
    """A loaded file is not held because the schema has another field today."""
    write(tmp_path, a="a,b\n1,2\n")
    first = source(tmp_path).land(Position())
    later = Schema("s", 2, (*PLAIN.fields, Field("c")))
    second = source(tmp_path, schema=later).land(position(first))
    assert (second.held, [version.name for version in second.skipped]) == ((), ["a.csv"])


@pytest.mark.parametrize(
    ("words", "loaded", "held", "supersedes"),
    [
        ({}, 0, 1, ()),
        ({"schema": KEYED}, 1, 0, ()),
        ({"schema": OPTIONAL}, 0, 1, ()),
        ({"schema": CERTAIN}, 1, 0, ()),
        ({"disposition": "merge"}, 1, 0, ("a.csv",)),
        ({"on_new_version": "refuse"}, 0, 1, ()),
        ({"on_new_version": "append"}, 1, 0, ()),
        ({"on_new_version": "merge"}, 1, 0, ("a.csv",)),
        ({"on_new_version": "replace"}, 1, 0, ("a.csv",)),
    ],
)
def test_new_content_under_a_known_name(tmp_path, words, loaded, held, supersedes):
    """Without a key of every row and without a word what it means it is held; otherwise what was declared happens."""
    write(tmp_path, a="a,b\n1,2\n")
    first = source(tmp_path).land(Position())
    write(tmp_path, a="a,b\n1,3\n")
    second = source(tmp_path, **words).land(position(first))
    assert (len(second.files), len(second.held), second.supersedes) == (loaded, held, supersedes)
    if held:
        assert second.held[0].reason == "it has new content under a known name"
        assert "on_new_version" in second.held[0].hint


def test_a_corrected_file_is_a_load_of_its_own(tmp_path):
    """`on_new_version: replace` lands one corrected file per load and says that others wait."""
    write(tmp_path, a="a,b\n1,1\n", b="a,b\n2,2\n")
    first = source(tmp_path).land(Position())
    write(tmp_path, a="a,b\n1,9\n", b="a,b\n2,9\n", c="a,b\n3,3\n")
    files = source(tmp_path, on_new_version="replace")
    seen, known = [], position(first)
    more = True
    while more:
        result = files.land(known)
        seen.append(([file.version.name for file in result.files], result.supersedes))
        more, known = result.more, Position(known.known + tuple(file.version for file in result.files))
    assert seen == [(["a.csv"], ("a.csv",)), (["b.csv"], ("b.csv",)), (["c.csv"], ())]


def test_new_files_and_merged_versions_are_loads_apart(tmp_path):
    """`on_new_version: merge` lands corrected files together, but never with new ones, which are appended."""
    write(tmp_path, a="a,b\n1,1\n", c="a,b\n2,2\n")
    first = source(tmp_path).land(Position())
    write(tmp_path, a="a,b\n1,9\n", b="a,b\n3,3\n", c="a,b\n2,9\n", d="a,b\n4,4\n")
    files = source(tmp_path, on_new_version="merge")
    seen, known, more = [], position(first), True
    while more:
        result = files.land(known)
        seen.append(([file.version.name for file in result.files], result.supersedes))
        more, known = result.more, Position(known.known + tuple(file.version for file in result.files))
    assert seen == [(["a.csv"], ("a.csv",)), (["b.csv"], ()), (["c.csv"], ("c.csv",)), (["d.csv"], ())]


@pytest.mark.parametrize("words", [{"disposition": "merge"}, {"on_new_version": "merge"}])
def test_under_merge_a_file_that_returns_to_an_old_content_is_news(tmp_path, words):
    """A, then B, then A again: the table holds B's values, so A is landed; the same content under a new name is not."""
    write(tmp_path, a="a,b\n1,1\n")
    first = source(tmp_path, **words).land(Position())
    write(tmp_path, a="a,b\n1,2\n")
    second = source(tmp_path, **words).land(position(first))
    write(tmp_path, a="a,b\n1,1\n", copy="a,b\n1,1\n")
    known = Position((*position(first).known, *(file.version for file in second.files)))
    third = source(tmp_path, **words).land(known)
    assert ([file.version.name for file in third.files], third.supersedes) == (["a.csv"], ("a.csv",))
    assert [version.name for version in third.skipped] == ["copy.csv"]


def test_a_corrected_file_with_the_content_of_another_is_held(tmp_path):
    """Under replace its earlier rows would stay if it were skipped as a copy; two that became empty are two loads."""
    write(tmp_path, a="a,b\n1,1\n", b="a,b\n2,2\n", c="a,b\n", d="a,b\n3,3\n")
    words = {"on_new_version": "replace"}
    first = source(tmp_path).land(Position())
    write(tmp_path, b="a,b\n1,1\n", d="a,b\n")
    second = source(tmp_path, **words).land(position(first))
    assert [file.version.name for file in second.files] == ["d.csv"]
    assert [(held.version.name, held.reason) for held in second.held] == [
        ("b.csv", "its content is now that of another file, which is loaded")
    ]


def test_replace_lands_all_files_or_none(tmp_path):
    """A replace source is unchanged while its set of files is; any change lands all of them; a held file stops it."""
    write(tmp_path, a="a,b\n1,2\n", b="a,b\n3,4\n")
    files = source(tmp_path, disposition="replace")
    first = files.land(Position())
    assert files.land(position(first)).files == ()
    assert [version.name for version in files.land(position(first)).skipped] == ["a.csv", "b.csv"]
    (tmp_path / "b.csv").unlink()
    assert [file.version.name for file in files.land(position(first)).files] == ["a.csv"]
    write(tmp_path, c="other,names\n1,2\n", d="a,b\n7,7\n", copy_of_d="a,b\n7,7\n")
    stopped = files.land(position(first))
    assert (stopped.files, list(reasons(stopped)), stopped.skipped) == ((), ["c.csv"], ())


def test_a_load_is_a_bounded_list_of_files(tmp_path):
    """A thousand files are landed in loads of at most `files_per_load_max`, each file once."""
    for number in range(1000):
        (tmp_path / f"f{number:04}.csv").write_text(f"a,b\n{number},x\n")
    files = source(tmp_path, limits=ReadLimits(files_per_load_max=400))
    known, sizes, more = Position(), [], True
    while more:
        result = files.land(known)
        sizes.append(len(result.files))
        more, known = result.more, Position(known.known + tuple(file.version for file in result.files))
    assert sizes == [400, 400, 200]
    assert len({version.name for version in known.known}) == 1000


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "it is empty"),
        ("\n\n", "it holds no record"),
        ("a\n1\n", "its header does not fit: missing 'b'"),
        ("a,B\n1,2\n", "its header does not fit: missing 'b', unknown 'B'"),
        ("a,b,c\n1,2,3\n", "its header does not fit: unknown 'c'"),
        ("a,b,b\n1,2,3\n", "its header has 'b' twice"),
        ("a,b,A\n1,2,3\n", "its header has 'A' beside 'a', which differs in case only"),
        ("a,b,\n1,2,3\n", "its header has no name for column 3"),
        ("7,8\n9,10\n", "its first line is no header of the schema s: '7', '8'"),
        ("a:b\n1:2\n", "its first line is no header of the schema s: 'a:b'"),
        ('a,"b\n1,2\n', "its header in line 1 cannot be read: the quote opened in line 1 is never closed"),
        ('a,b"\n1,2\n', "its header in line 1 cannot be read: its quotes are broken: one stands inside an unquoted field, or text stands after a closing one"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_blocks_itself_only(tmp_path, content, reason):
    """It is held with the difference; the other file is landed."""
    write(tmp_path, bad=content, good="a,b\n1,2\n")
    result = source(tmp_path).land(Position())
    assert reasons(result) == {"bad.csv": reason}
    assert result.held[0].hint
    assert [file.version.name for file in result.files] == ["good.csv"]


def test_near_names_and_delimiters_are_hinted(tmp_path):
    """The hint names the likely cause: a renamed column, another delimiter."""
    write(tmp_path, semicolon="a;b\n1;2\n")
    schema = Schema("s", 1, (Field("a"), Field("b")), dialect=Dialect(delimiter=","))
    hints = {held.version.name: held.hint for held in source(tmp_path, schema=schema).land(Position()).held}
    assert "dialect.delimiter" in hints["semicolon.csv"]
    write(tmp_path, semicolon="a;amounts\n1;2\n", renamed="a,amounts\n1,2\n")
    schema = Schema("s", 1, (Field("a"), Field("amount")))
    hints = {held.version.name: held.hint for held in source(tmp_path, schema=schema).land(Position()).held}
    assert "is 'amounts' the field 'amount'?" in hints["renamed.csv"]


def test_header_forms(tmp_path):
    """Aliases, dropped extra columns, a header of two rows, none at all, header only, and a byte order mark."""
    alias = Schema("s", 1, (Field("a", aliases=("Nr", "No")), Field("b")), extra_fields="drop")
    write(tmp_path, alias="\ufeffb,No,zzz\n1,2,3\n")
    result = source(tmp_path, schema=alias).land(Position())
    assert (result.parts[0].form.columns, result.count) == (("b", "No", "zzz"), 1)
    two = Schema("s", 1, PLAIN.fields, dialect=Dialect(header_rows=2))
    write(tmp_path, alias="Letters,of\na,b\n1,2\n")
    result = source(tmp_path, schema=two).land(Position())
    assert (result.parts[0].form.skip, result.files[0].first_number, result.count) == (2, 3, 1)
    none = Schema("s", 1, PLAIN.fields, dialect=Dialect(header=False))
    write(tmp_path, alias="1,2\n3,4")
    result = source(tmp_path, schema=none).land(Position())
    assert (result.parts[0].form.columns, result.parts[0].form.skip, result.files[0].first_number) == (("a", "b"), 0, 1)
    assert (result.count, next(result.reader.records(result.parts[0], result.files[0], [2])).line) == (2, 2)
    write(tmp_path, alias="a,b")
    assert source(tmp_path).land(Position()).count == 0
    write(tmp_path, alias="1,2,3\n")
    assert "the first record has 3 fields" in reasons(source(tmp_path, schema=none).land(Position()))["alias.csv"]


def test_too_many_columns(tmp_path):
    """More columns than allowed are refused before the file is read on."""
    write(tmp_path, wide=",".join(f"c{number}" for number in range(2001)) + "\n")
    assert reasons(source(tmp_path).land(Position())) == {"wide.csv": "it has 2,001 columns, more than 2,000"}


@pytest.mark.parametrize(
    ("content", "dialect"),
    [
        ("a;b\n1;é €\n".encode("cp1252"), Dialect(delimiter=";", encoding="windows-1252")),
        ("a,b\n1,é €\n".encode("utf-16"), Dialect(encoding="utf-16")),
        ("# made today\na,b\n# more\n1,é €\n".encode(), Dialect(comment_char="#")),
        ("a,b\n1,é €\nSumme,1\n\n".encode(), Dialect(footer="^Summe,")),
        ("a,b\r\n1,é €\n".encode(), Dialect()),
        ("a,b\r1,é €\r".encode(), Dialect()),
        ("a,b\n1,\\é \\€\n".encode(), Dialect(escape_char="\\")),
        ("a|b\n#\n1|é €\n".encode(), Dialect(delimiter="|", quote_char=None, comment_char="#")),
    ],
)
def test_what_duckdb_would_misread_is_copied(tmp_path, content, dialect):
    """Other encodings, comments, footers, escapes and mixed line ends give the true text and count."""
    (tmp_path / "a.csv").write_bytes(content)
    result = source(tmp_path, schema=Schema("s", 1, PLAIN.fields, dialect=dialect)).land(Position())
    assert result.held == ()
    assert result.files[0].path != tmp_path / "a.csv"
    assert (result.count, read_rows(result, tmp_path)) == (1, [("1", "é €", None)])
    record = next(result.reader.records(result.parts[0], result.files[0], [2]))
    assert record.values == {"a": "1", "b": "é €"}


def test_broken_records_of_a_copy(tmp_path):
    """A record of the wrong width or with a NUL is one malformed record; the count holds it."""
    (tmp_path / "a.csv").write_bytes(b"a,b\r\n1,2\n3\n4,5,6\n7,\0\n")
    result = source(tmp_path).land(Position())
    assert [row[2] for row in read_rows(result, tmp_path)] == [
        None, "expected 2 fields, found 1", "expected 2 fields, found 3", "a NUL character",
    ]  # fmt: skip
    assert result.count == 4


@pytest.mark.parametrize(("name", "decoy"), [("a[1].csv", "a1.csv"), ("a*.csv", "ab.csv"), ("a?.csv", "ax.csv")])
def test_a_name_that_duckdb_takes_for_a_pattern(tmp_path, name, decoy):
    """The file itself is read, never another one that its name matches as a pattern."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / name).write_text("a,b\nright,1\n")
    (tmp_path / "sub" / decoy).write_text("a,b\nwrong,1\n")
    result = source(tmp_path / "sub").land(Position())
    found = {file.version.name: place for place, file in enumerate(result.files)}
    assert [row[0] for row in read_rows(result, tmp_path)] == [
        "right" if name == file.version.name else "wrong" for file in result.files
    ]
    assert found.keys() == {name, decoy}


def test_odd_names_are_kept_without_loss(tmp_path):
    """Names with a line end, a backslash or bytes that are not UTF-8 are distinct, printable and read."""
    for number, name in enumerate([b"n\nl.csv", b"h\xff.csv", b"h\\xff.csv"]):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:  # noqa: PTH123, PTH118
            file.write(b"a,b\n%d,2\n" % number)
    result = source(tmp_path).land(Position())
    names = sorted(file.version.name for file in result.files)
    assert names == ["h\\\\xff.csv", "h\\xff.csv", "n\nl.csv"]
    assert all(name.encode() for name in names)
    result.verify()


def test_nothing_outside_of_the_base(tmp_path):
    """Links out are held, `..` and foreign absolute paths are refused; a link within is read."""
    base = tmp_path / "base"
    base.mkdir()
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    (base / "out.csv").symlink_to(tmp_path / "secret.csv")
    (base / "real.txt").write_text("a,b\n1,2\n")
    (base / "within.csv").symlink_to(base / "real.txt")
    (base / "gone.csv").symlink_to(base / "nothing")
    (base / "round.csv").symlink_to(base / "round.csv")
    result = source(base).land(Position())
    assert [file.version.name for file in result.files] == ["within.csv"]
    assert sorted(reasons(result)) == ["gone.csv", "out.csv", "round.csv"]
    assert reasons(result)["out.csv"].startswith("it is a link out of")
    for path in ("../secret.csv", "x/../../secret.csv", str(tmp_path / "secret.csv"), "..", ""):
        with pytest.raises(ConfigurationError, match="inside"):
            source(base, path)


def test_only_regular_files_of_records(tmp_path):
    """A FIFO never blocks; folders are no files; databases and broken packings are held for what they are."""
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    with duckdb.connect(str(tmp_path / "db.csv")) as connection:
        connection.execute("CREATE TABLE t (a INTEGER)")
    (tmp_path / "packed.csv").write_bytes(b"\x1f\x8b\x08\x00abc")
    assert reasons(source(tmp_path).land(Position())) == {
        "pipe.csv": "it is not a regular file",
        "db.csv": "it is a DuckDB database",
        "packed.csv": "the gzip file is cut off after 7 bytes",
    }
    (held,) = source(tmp_path, "folder.csv").land(Position()).held
    assert (held.reason, "/*.csv" in held.hint) == ("it is a folder", True)


def test_no_file(tmp_path):
    """A missing file is an error with near names; an empty folder too, unless its files were loaded before."""
    write(tmp_path, sales_2026="a,b\n1,2\n")
    with pytest.raises(SourceError) as missing:
        source(tmp_path, "sale_2026.csv").land(Position())
    assert "did you mean sales_2026.csv?" in missing.value.hint
    with pytest.raises(SourceError, match="no file matches"):
        source(tmp_path, "nothing*.csv").land(Position())
    known = position(source(tmp_path).land(Position()))
    assert source(tmp_path, "nothing*.csv").land(known).files == ()
    with pytest.raises(SourceError, match="no file matches"):
        source(tmp_path, "nothing*.csv", disposition="replace").land(known)


def test_a_change_is_noticed_before_the_commit(tmp_path):
    """`verify` is silent while nothing changed, and names the file that grew, was replaced, rewritten or went away."""
    for change in ("grow", "replace", "rewrite", "remove"):
        path = tmp_path / "a.csv"
        path.write_text("a,b\n1,2\n")
        result = source(tmp_path).land(Position())
        result.verify()
        if change == "grow":
            with path.open("a") as file:
                file.write("3,4\n")
        elif change == "replace":
            (tmp_path / "other").write_text("a,b\n1,3\n")
            (tmp_path / "other").replace(path)
        elif change == "rewrite":  # as large, and with its old time, as `rsync --inplace --times` leaves it
            before = path.stat()
            path.write_text("a,b\n1,3\n")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        else:
            path.unlink()
        with pytest.raises(SourceError, match=r"a\.csv changed while it was read"):
            result.verify()


def test_overrides_choose_the_dialect_by_captures(tmp_path):
    """The first override whose captures agree gives the file's dialect; files of other forms are other parts."""
    for partner in ("acme", "globex"):
        (tmp_path / partner).mkdir()
    (tmp_path / "acme" / "sales_2026-10.csv").write_text("a;b\n1;2\n")
    (tmp_path / "globex" / "sales_2026-10x.csv").write_text("a,b\n1,2\n")
    result = source(
        tmp_path, "{partner}/sales_{period:%Y-%m}*.csv", overrides=(({"partner": "acme"}, Dialect(delimiter=";")),)
    ).land(Position())
    assert [part.form.delimiter for part in result.parts] == [";", ","]
    assert [dict(file.captures) for file in result.files] == [
        {"partner": "acme", "period": "2026-10-01"},
        {"partner": "globex", "period": "2026-10-01"},
    ]


def test_a_date_in_a_name_that_is_none(tmp_path):
    """A file whose captured date does not exist is held, not passed over."""
    write(tmp_path, **{"sales_2026-13": "a,b\n1,2\n"})
    result = source(tmp_path, "sales_{period:%Y-%m}.csv").land(Position())
    assert reasons(result) == {"sales_2026-13.csv": "'2026-13' in its name is not a date like %Y-%m"}


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("*.csv", ["a.csv"]),
        ("**/*.csv", ["a.csv", "x/b.csv", "x/y/c.csv"]),
        ("x/**", ["x/b.csv", "x/y/c.csv"]),
        ("x/*/?.csv", ["x/loop/b.csv", "x/y/c.csv"]),
        ("{top}/{sub}/*.csv", ["x/loop/b.csv", "x/y/c.csv"]),
        ("./x/b.csv", ["x/b.csv"]),
        (".hidden/*.csv", [".hidden/h.csv"]),
    ],
)
def test_patterns(tmp_path, path, names):
    """`*` and `?` stay within a name, `**` spans folders, hidden ones need their dot, a link to a folder is no circle."""
    for name in ("a.csv", ".h.csv", "x/b.csv", "x/y/c.csv", ".hidden/h.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"a,b\n{name},2\n")
    (tmp_path / "x" / "loop").symlink_to(tmp_path / "x", target_is_directory=True)
    result = source(tmp_path, path).land(Position())
    assert [file.version.name for file in result.files] == names


@pytest.mark.parametrize("path", ["{open.csv", "{Upper}.csv", "{d:%Q}.csv", "a}.csv"])
def test_wrong_patterns_are_refused(tmp_path, path):
    """A pattern that cannot be understood is an error of the configuration."""
    with pytest.raises(ConfigurationError):
        source(tmp_path, path)


def test_unknown_format(tmp_path):
    """A format that is not served is refused with the nearest one."""
    with pytest.raises(ConfigurationError) as refused:
        source(tmp_path, format="parket")
    assert refused.value.hint == "did you mean parquet?"


def test_a_probe_tells_what_is_there(tmp_path):
    """The smallest file is read; where none is, or it does not fit, the step at which it ends is told."""
    (tmp_path / "large.csv").write_text("a,b\n" + "1,2\n" * 50)
    (tmp_path / "small.csv").write_text("a,b\n" + "".join(f"{number},x\n" for number in range(7)))
    found = source(tmp_path).probe()
    assert found.reachable
    assert found.detail.endswith("these are of small.csv")
    assert found.records == tuple({"a": str(number), "b": "x"} for number in range(5))
    (tmp_path / "small.csv").write_text("not a header\n")
    found = source(tmp_path).probe()
    assert (found.reachable, found.failed) == (False, "records")
    assert "is no header of the schema" in found.detail
    found = source(tmp_path, "b.csv").probe()
    assert (found.reachable, found.failed, found.records) == (False, "address", ())
    assert found.hint
