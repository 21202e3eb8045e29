"""`pratique lint`: every mistake at its exact place, with a hint that mends it; every form of the output."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pratique.cli.main import program
from pratique.errors import ConfigurationError
from pratique.validation import SchemaValidator

HERE = Path(__file__).parent
PLAIN = {
    "config/default.yaml": "connections: {warehouse: {url: 'duckdb://w.duckdb'}, inbox: {url: in}}\n",
    "schemas/users.yaml": "primaryKey: id\nfields: {id: integer, name: {required: true}}\n",
    "pipelines/daily.yaml": (
        "sources:\n  users: {connection: inbox, path: users.csv, schema: users}\ndestination: {connection: warehouse}\n"
    ),
}
MARK = re.compile("«(.*?)⇒(.*?)»", re.DOTALL)


@dataclass(frozen=True)
class Mark:
    """What is wrong in a case: line, column and the column behind it, and what mends it."""

    line: int
    column: int
    end: int
    wrong: str
    right: str


@dataclass(frozen=True)
class Case:
    """A file with marked mistakes, and the codes of these."""

    name: str
    file: str
    codes: list[str]
    text: str
    repaired: str
    marks: list[Mark] = field(default_factory=list)


def cases() -> list[Case]:
    """The cases of broken.txt."""
    found = []
    for number, part in enumerate((HERE / "broken.txt").read_text(encoding="utf-8").split("=== ")[1:], 1):
        title, _, body = part.partition("\n")
        file, _, codes = title.partition(": ")
        text, marks, at = "", [], 0
        for match in MARK.finditer(body):
            text += body[at : match.start()]
            line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
            marks.append(Mark(line, column, column + len(match[1]), match[1], match[2]))
            text, at = text + match[1], match.end()
        name = f"{number}-{codes.split(', ')[0]}-{marks[0].wrong[:20]}"
        found.append(Case(name, file, codes.split(", "), text + body[at:], MARK.sub(r"\2", body), marks))
    return found


CASES = cases()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project without mistakes, which is the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PRATIQUE_ENV", raising=False)
    write(tmp_path, PLAIN)
    return tmp_path


def write(root: Path, files: dict[str, str]) -> None:
    """Write files by their path."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def lint(*args: str, columns: int = 80) -> Result:
    """Run `pratique lint` in this process; whatever is raised there is raised here."""
    result = CliRunner().invoke(program, ["lint", *args], env={"COLUMNS": str(columns)})
    assert "Traceback" not in result.output
    return result


def found(*args: str) -> list[dict[str, object]]:
    """What lint finds, as JSON."""
    return json.loads(lint("--format", "json", *args).stdout)["mistakes"]  # type: ignore[no-any-return]


def test_there_are_many_cases() -> None:
    """At least 60 broken files, of every code that a single file can have."""
    assert len(CASES) >= 60
    codes = {code for case in CASES for code in case.codes}
    assert codes >= {"unknown-key", "missing-key", "type", "value", "unknown-name", "rule", "pattern", "conflict"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_mistake_is_found_at_its_place_and_mended_by_its_hint(root: Path, case: Case) -> None:
    """Every mistake of a file, and nothing else, at its exact span; what its hint says makes the file clean."""
    write(root, {case.file: case.text})
    told = found()
    places = sorted((item["line"], item["column"], item["end_column"]) for item in told)
    assert [item["file"] for item in told] == [case.file] * len(case.marks)
    starts = [(mark.line, mark.column) for mark in case.marks]
    assert [place[:2] for place in places] == starts, told
    for place, mark in zip(places, case.marks, strict=True):
        first = mark.wrong.splitlines()[0] if mark.wrong.strip() else ""
        assert not first or place[2] == mark.column + len(first) or "rule" in case.codes or ":" in first, told
    assert sorted(str(item["code"]) for item in told) == sorted(case.codes)
    for item, mark in zip(told, case.marks, strict=True):
        assert item["hint"], item
        if item["meant"]:
            assert item["meant"] == mark.right.strip("\"'"), item
    write(root, {case.file: case.repaired})
    assert found() == []


def test_the_messages_read_as_they_should(root: Path) -> None:
    """The text of every case is what stands in expected.txt (PRATIQUE_SNAPSHOTS=write writes it anew)."""
    told = []
    for case in CASES:
        write(root, PLAIN)
        write(root, {case.file: case.text})
        told.append(f"=== {case.name}\n{lint().stdout}")
    text = "\n".join(told)
    path = HERE / "expected.txt"
    if os.environ.get("PRATIQUE_SNAPSHOTS") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


# --- a whole project ----------------------------------------------------------------------------------------------

BROKEN = {
    "config/default.yaml": "connections: {warehouse: {url: 'duckdb://w.duckdb'}, inbox: {url: in}}\nlimits: {memry: 1GB}\n",
    "config/prod.yaml": "connections: {warehouse: {url: 'duckdb://${PROD_FOLDER}/w.duckdb'}}\nlogging: {level: LOUD}\n",
    "config/dev.yaml": "",
    "schemas/users.yaml": "primaryKey: id\nfields: {id: intger, name: {required: true}}\nchecks: {short: lenght(name) < 9}\n",
    "schemas/lonely.yaml": "fields: {id: integer}\n",
    "schemas/broken.json": '{"fields": {"id": "integer",}}',
    "schemas/notes.yaml.bak": "old\n",
    "pipelines/daily.yaml": (
        "schedule: {cron: '0 7 * * *'}\nsources:\n  users: {conection: inbox, path: users.csv, schema: users}\n"
        "  more: {connection: inbox, path: more.csv, schema: usres, table: more}\ndestination: {connection: warehouse}\n"
    ),
    "pipelines/schema.yaml": "fields: {a: integer}\n",
}


def test_every_mistake_of_every_file_is_told_at_once(root: Path) -> None:
    """Settings of all environments, schemas, pipelines, files of the wrong kind: one call tells all, in their order."""
    write(root, BROKEN)
    told = [(item["file"], item["line"], item["column"], item["level"], item["code"]) for item in found()]
    assert told == [
        ("config/default.yaml", 2, 10, "error", "unknown-key"),
        ("config/prod.yaml", 1, 32, "warning", "secret"),
        ("config/prod.yaml", 2, 18, "error", "value"),
        ("pipelines/daily.yaml", 1, 1, "warning", "not-served"),
        ("pipelines/daily.yaml", 3, 11, "error", "unknown-key"),
        ("pipelines/daily.yaml", 4, 53, "error", "unknown-name"),
        ("pipelines/schema.yaml", 1, 1, "error", "file"),
        ("schemas/broken.json", 1, 29, "error", "syntax"),
        ("schemas/notes.yaml.bak", None, None, "warning", "file"),
        ("schemas/users.yaml", 2, 14, "error", "value"),
        ("schemas/users.yaml", 3, 17, "error", "rule"),
    ]
    assert lint().exit_code == 2


def test_an_environment_narrows_what_is_looked_at(root: Path) -> None:
    """With --env only that environment's settings count; one that does not exist is told with the known ones."""
    write(root, BROKEN)
    files = {item["file"] for item in found("--env", "dev")}
    assert "config/default.yaml" in files
    assert "config/prod.yaml" not in files
    assert "config/prod.yaml" in {item["file"] for item in found("--env", "prod")}
    wrong = lint("--env", "prd")
    assert wrong.exit_code == 2
    assert 'there is no environment "prd"' in wrong.stdout
    assert "dev, prod" in wrong.stdout


def test_paths_narrow_what_is_told(root: Path) -> None:
    """Mistakes of the named files and folders alone; a path that is none of the project's files says so."""
    write(root, BROKEN)
    assert {item["file"] for item in found("config/default.yaml")} == {"config/default.yaml"}
    assert {str(item["file"]).split("/")[0] for item in found("schemas", "config/prod.yaml")} == {"schemas", "config"}
    clean = lint("config/dev.yaml")
    assert (clean.exit_code, clean.stdout) == (0, "no mistakes, 1 file checked\n")
    write(root, {"elsewhere.yaml": "a: 1\n"})
    outside = lint("elsewhere.yaml")
    assert outside.exit_code == 2
    assert "holds no file of this project" in outside.stderr


def test_warnings_are_no_mistakes_unless_strict(root: Path) -> None:
    """Schemas that nothing uses, words that do nothing yet, secrets that an environment may have: exit 0, strict 2."""
    write(root, {"schemas/lonely.yaml": "fields: {id: integer}\nreferences: {id: parents.id}\n"})
    write(root, {"schemas/parents.yaml": "fields: {id: integer}\n", "schemas/deep/x.yaml": "a: 1\n"})
    write(root, {"pipelines/daily.yaml": "schedule: {cron: 0 7 * * *}\n" + PLAIN["pipelines/daily.yaml"]})
    result = lint()
    assert result.exit_code == 0
    assert result.stdout.endswith("4 warnings in 4 files, 5 files checked\n")
    assert [item["code"] for item in found()] == ["not-served", "file", "unused", "unused"]
    assert lint("--strict").exit_code == 2


def test_settings_that_do_nothing_yet_are_told(root: Path) -> None:
    """Settings of features that are not built yet are taken, and told as warnings."""
    write(root, {"config/default.yaml": PLAIN["config/default.yaml"] + "retry: {times: 3}\nservice: {}\n"})
    assert [(item["line"], item["code"], item["level"]) for item in found()] == [(2, "not-served", "warning")]


def test_a_field_that_shows_what_another_hides_is_told(root: Path) -> None:
    """What is computed from a field that the table holds as a hash is a warning, also by a detour, until it says `store`."""
    fields = {
        "email": "{store: hash}",
        "domain": "{from: \"= split_part(email, '@', 2)\"}",
        "shown": '{from: "= upper(domain)"}',
        "meant": '{from: "= lower(email)", store: keep}',
        "other": "string",
    }
    lines = "".join(f"  {name}: {words}\n" for name, words in fields.items())
    write(root, {"schemas/users.yaml": f"fields:\n{lines}"})
    told = [(item["line"], item["code"], item["level"]) for item in found()]
    assert told == [(3, "conflict", "warning"), (4, "conflict", "warning")]
    assert "computed from `email`" in found()[0]["message"]
    assert "store: keep" in found()[0]["hint"]


def test_a_folder_without_a_project_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to check is no success: exit 2, and how to name the folder."""
    monkeypatch.chdir(tmp_path)
    result = lint()
    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no project here" in result.stderr
    assert "--project" in result.stderr


def test_a_reference_keeps_a_schema_in_use(root: Path) -> None:
    """A parent that only a reference names is used."""
    write(root, {"schemas/teams.yaml": "fields: {id: integer}\n"})
    write(root, {"schemas/users.yaml": "fields: {id: integer}\nreferences: {id: teams.id}\n"})
    assert found() == []


def test_a_run_says_the_same(root: Path) -> None:
    """`pratique run` with broken files tells all mistakes of what it reads, in the words of lint, and runs nothing."""
    write(root, {name: BROKEN[name] for name in ("pipelines/daily.yaml", "schemas/users.yaml")})
    run = CliRunner().invoke(program, ["run", "daily"], env={"COLUMNS": "80"})
    errors = [
        part for part in re.split(r"\n(?=\S)", lint().stdout.split("\n\n")[0]) if ": error " in part.split("\n")[0]
    ]
    assert run.exit_code == 2
    assert len(errors) == 4
    assert run.stderr.rstrip("\n") == "\n".join(errors)
    asked = json.loads(CliRunner().invoke(program, ["run", "daily", "--json"]).stderr)
    assert len(asked["facts"]["more"]) == 3
    assert not (root / ".pratique").exists()


# --- forms of the output ------------------------------------------------------------------------------------------


def test_github_annotations(root: Path) -> None:
    """One workflow command for each mistake, with file, line and columns; what steers the runner is escaped."""
    write(root, {"schemas/users.yaml": "fields: {id: intger, name: {description: 7}, 'a%b': , ' ': }\n"})
    lines = lint("--format", "github").stdout.splitlines()
    assert lines[0] == (
        "::error file=schemas/users.yaml,title=value,line=1,col=14,endColumn=20::"
        'fields.id: there is no type "intger"%0Ado: did you mean "integer"?'
    )
    assert len(lines) == 3
    assert all(re.fullmatch(r"::(error|warning) file=[^,:]+(,\w+=[^,:]+)*::[^\n]+", line) for line in lines)


def test_sarif(root: Path) -> None:
    """SARIF 2.1.0: every code is a rule, every result names its rule and its region, in code points."""
    write(root, BROKEN)
    told = found()
    log = json.loads(lint("--format", "sarif").stdout)
    assert (log["version"], log["$schema"].rpartition("/")[2]) == ("2.1.0", "sarif-2.1.0.json")
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert run["tool"]["driver"]["name"] == "pratique"
    assert run["columnKind"] == "unicodeCodePoints"
    assert len(set(rules)) == len(rules)
    assert len(run["results"]) == len(told)
    for result, item in zip(run["results"], told, strict=True):
        assert rules[result["ruleIndex"]] == result["ruleId"] == item["code"]
        assert result["level"] == item["level"]
        assert str(item["message"]) in result["message"]["text"]
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert place["artifactLocation"] == {"uri": item["file"]}
        region = place.get("region", {})
        assert (region.get("startLine"), region.get("startColumn"), region.get("endColumn")) == (
            item["line"],
            item["column"],
            item["end_column"],
        )


def test_colour_is_for_terminals(root: Path) -> None:
    """No colour in a file or a pipe; with --color always the code and the underline have one."""
    write(root, BROKEN)
    assert "\x1b[" not in lint().stdout
    coloured = CliRunner().invoke(program, ["lint", "--color", "always"], color=True).stdout
    assert "\x1b[31merror unknown-key:\x1b[0m" in coloured
    assert "\x1b[33m^" in coloured
    assert re.sub(r"\x1b\[[0-9]*m", "", coloured) == lint().stdout


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(root: Path, width: int) -> None:
    """Messages wrap, source lines are cut around what is wrong."""
    write(root, BROKEN)
    assert [line for line in lint(columns=width).stdout.splitlines() if len(line) > width] == []


def test_secrets_are_never_shown(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection whose url is a secret is told without it, in every form."""
    monkeypatch.setenv("LAKE_URL", "canary-7f3a/lake")
    write(root, {"config/default.yaml": "connections: {warehouse: {url: '${LAKE_URL}', pth: x}, inbox: {url: in}}\n"})
    for form in ("text", "json", "github", "sarif"):
        printed = lint("--format", form).output
        assert "warehouse" in printed or "pth" in printed
        assert "canary" not in printed


# --- nothing breaks it --------------------------------------------------------------------------------------------


def test_no_damage_ends_in_a_traceback(root: Path) -> None:
    """Lines of the examples taken away, doubled, cut, opened or shouted, one at a time: lint always ends with 0 or 2."""
    examples = HERE.parents[1]
    names = ["config/default.yaml", "pipelines/nycflights13.yaml", "schemas/flights.yaml", "schemas/weather.yaml"]
    texts = {name: (examples / name).read_text(encoding="utf-8") for name in names}
    write(root, texts)
    for name, text in texts.items():
        lines = text.splitlines(keepends=True)
        for at, line in enumerate(lines):
            damaged = ("", line * 2, line[: len(line) // 2] + "\n", line.replace(":", ": [", 1), line.upper())
            for other in (damaged[at % 5], damaged[(at + 2) % 5]):
                write(root, {name: "".join([*lines[:at], other, *lines[at + 1 :]])})
                result = lint("--format", "json", "--env", "dev")
                assert result.exit_code in {0, 2}, f"{name}:{at + 1}: {other!r}: {result.output}"
                json.loads(result.stdout)
        write(root, {name: text})


def test_files_that_are_none(root: Path) -> None:
    """Links that go round or nowhere, pipes, folders, bytes that are no text: each is told at its name, none is waited for."""
    (root / "pipelines" / "round.yaml").symlink_to("round.yaml")
    (root / "config" / "gone.yaml").symlink_to("nowhere.yaml")
    (root / "schemas" / "folder.yaml").mkdir()
    os.mkfifo(root / "schemas" / "pipe.yaml")
    (root / "schemas" / "bytes.yaml").write_bytes(bytes(range(256)))
    told = found()
    assert {item["code"] for item in told} == {"unreadable"}
    assert sorted(str(item["file"]).rpartition("/")[2] for item in told) == [
        "bytes.yaml",
        "folder.yaml",
        "nowhere.yaml",
        "pipe.yaml",
        "round.yaml",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "fields:\n" + "  a: integer\n" * 20_000,
        "fields:\n" + "".join(f"  f{number}: {{typ: integer}}\n" for number in range(500)),
        "fields: {a: integer}\nchecks:\n" + "".join(f"  c{number}: b{number} > 0\n" for number in range(500)),
    ],
    ids=["one key", "unknown keys", "rules"],
)
def test_very_many_mistakes_are_told_in_time(root: Path, text: str) -> None:
    """Hundreds of mistakes in one file take seconds, not minutes; after 100 repeated keys the file is read no further."""
    write(root, {"schemas/users.yaml": text})
    begun = time.monotonic()
    assert len(found()) in {100, 500}
    assert time.monotonic() - begun < 30


def test_versions_are_checked_each(root: Path) -> None:
    """Every document of a file is read, whatever is wrong with those before it."""
    write(
        root,
        {
            "schemas/users.yaml": "fields: {id: intger}\n---\nversion: 2\nfields: {id: {typ: integer}}\n---\nversion: 2\nfields: {id: }\n"
        },
    )
    assert [(item["line"], item["code"]) for item in found()] == [(1, "value"), (4, "unknown-key"), (6, "duplicate")]


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("substring(id, 1, 2) = '1'", "No function matches"),
        ("regexp_matches(name, '[')", "missing ]"),
        ("last_day(DATE '2024-01-01') AND id > 0", "DATE -> BOOLEAN"),
        ("replace(name, 'a', 'b')", "VARCHAR and BOOLEAN"),
    ],
)
def test_a_rule_that_no_record_could_be_asked_is_refused_by_lint_run_and_python_alike(
    root: Path, rule: str, says: str
) -> None:
    """Types that do not fit and broken patterns are the rule's fault: told at its place, never the file's or ours."""
    schema = f'fields: {{id: integer, name: string}}\nchecks: {{wrong: "{rule}"}}\n'
    write(root, {"schemas/users.yaml": schema, "in/users.csv": "id,name\n1,a\n"})
    told = found()
    assert [(item["code"], item["line"], item["column"]) for item in told] == [("rule", 2, 17)]
    assert says in str(told[0]["message"])
    ran = CliRunner().invoke(program, ["run", "--dry-run"], env={"COLUMNS": "200"})
    assert ran.exit_code == 2
    assert "schemas/users.yaml:2:17: rule wrong cannot be evaluated" in ran.stdout
    with pytest.raises(ConfigurationError, match="rule wrong cannot be evaluated"):
        SchemaValidator.from_file(root / "schemas/users.yaml")
