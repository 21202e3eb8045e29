"""The JSON Schemas of the files: they take what a run takes, and refuse what editors can see to be wrong."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest

from pratique.documents import load_documents
from pratique.specs.base import Spec
from pratique.specs.descriptions import WORDS
from pratique.specs.json_schemas import KINDS, Kind, json_schema

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = [path for folder in KINDS.values() for path in sorted((ROOT / folder).glob("*.yaml"))]
BLOCK = re.compile(r"^```yaml file=((?:config|pipelines|schemas)/\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CASE = re.compile(r"^=== (\S+): ([^,\n]+)[^\n]*\n(.*?)(?=^=== |\Z)", re.MULTILINE | re.DOTALL)
MARK = re.compile("«(.*?)⇒(.*?)»", re.DOTALL)
KIND = {folder: kind for kind, folder in KINDS.items()}
BROKEN = CASE.findall((ROOT / "tests/linting/broken.txt").read_text(encoding="utf-8"))
SEEN = {"unknown-key", "type"}  # what a schema sees in any case


def wrong(folder: str, text: str, tmp_path: Path) -> list[str]:
    """What the JSON Schema of a folder says of a YAML text."""
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    checker = jsonschema.Draft202012Validator(json_schema(KIND[folder]))
    return [error.message for document in load_documents(path) for error in checker.iter_errors(document.value)]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_a_json_schema(kind: Kind) -> None:
    """Each is valid itself, by the official schema of schemas."""
    jsonschema.Draft202012Validator.check_schema(json_schema(kind))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_it_takes_our_examples(path: Path, tmp_path: Path) -> None:
    """Every example file of this repository is right."""
    assert wrong(path.parent.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"), tmp_path) == []


def test_it_takes_what_the_documents_show(tmp_path: Path) -> None:
    """Every file that a page writes is right, but those of the page on mistakes."""
    pages = [page for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")) if page.stem != "check-a-project"]
    found = [block for page in pages for block in BLOCK.findall(page.read_text(encoding="utf-8"))]
    assert len(found) >= 10
    for name, text in found:
        assert wrong(name.rpartition("/")[0], text, tmp_path) == [], name


@pytest.mark.parametrize(("file", "code", "text"), BROKEN, ids=[f"{i}-{case[1]}" for i, case in enumerate(BROKEN, 1)])
def test_it_never_refuses_what_a_run_takes(file: str, code: str, text: str, tmp_path: Path) -> None:
    """Each broken file, mended, is right; wrong keys and types are refused by the schema as by lint."""
    folder = file.split("/", maxsplit=1)[0]
    assert wrong(folder, MARK.sub(r"\2", text), tmp_path) == []
    if code in SEEN and "{warehouse: {«" not in text:  # a connection may be of a kind that is not served yet
        assert wrong(folder, MARK.sub(r"\1", text), tmp_path)


def test_it_refuses_many_broken_files(tmp_path: Path) -> None:
    """At least 20 of the broken files are refused by the schema alone."""
    refused = 0
    for file, code, text in BROKEN:
        if code not in {"syntax", "duplicate"}:
            refused += bool(wrong(file.split("/")[0], MARK.sub(r"\1", text), tmp_path))
    assert refused >= 20


def _specs(spec: type[Spec] = Spec) -> list[type[Spec]]:
    return [one for child in spec.__subclasses__() for one in (child, *_specs(child))]


def test_every_word_is_described() -> None:
    """Editors show a line for every word that they may complete, and no line describes a word that there is not."""
    known = {spec.__name__: {item.alias or name for name, item in spec.model_fields.items()} for spec in _specs()}
    assert {name: words.keys() - known[name] for name, words in WORDS.items() if words.keys() - known[name]} == {}
    for kind in KINDS:
        made = json_schema(kind)
        for part in (made, *made["$defs"].values()):
            assert all(declared.get("description") for declared in part.get("properties", {}).values())
