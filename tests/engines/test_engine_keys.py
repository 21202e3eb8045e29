"""Keys, rows loaded before, references: verdicts that need other rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pratique.errors import ConfigurationError
from pratique.model import Target
from pratique.schema import Field, FieldType, Reference, Schema

INT = FieldType("integer")
KEYED = Schema("sales", 1, (Field("a", INT, required=True), Field("b", INT, required=True), Field("x")), ("a", "b"))
APPEND = Target("sales", "append", ("a", "b"))


def _ids(rows):
    return [row[:3] for row in rows]


def test_identical_and_different(stage, good, held):
    """Of wholly identical rows the first is loaded; rows that share a key and differ are all held, copies too."""
    staged = stage("a,b,x\n1,1,p\n1,2,p\n1,1,p\n2,2,p\n2,2,q\n2,2,p\n1,1,p\n", KEYED)
    assert _ids(good(staged)) == [(1, 1, "p"), (1, 2, "p")]
    assert staged.tally.skipped == {"identical": 2}
    assert held(staged) == [(0, number, ["primaryKey"]) for number in (5, 6, 7)]
    message = next(iter(staged.quarantined())).failures[0].message
    assert message == "a = 2, b = 2 stands in 3 records that differ: also in0.csv record 7 and 1 more"
    key = staged.tally.rules[-1]
    assert (key.name, key.decided, key.failed) == ("primaryKey", 7, 3)


def test_keys_are_judged_among_the_rest(stage, good, held):
    """A row held for another reason holds nobody by its key, nor does a filtered one."""
    schema = replace(KEYED, filter="x <> 'out'", fields=(*KEYED.fields[:2], Field("x", max_length=3)))
    staged = stage("a,b,x\n1,1,p\n1,1,long\n1,1,out\n", schema)
    assert _ids(good(staged)) == [(1, 1, "p")]
    assert held(staged) == [(0, 3, ["x.maxLength"])]
    assert staged.tally.skipped == {"filter": 1}


def test_unique_keys_and_fields(stage, held):
    """NULL in a unique key is not judged; a warning of a unique field holds nobody."""
    fields = (Field("a", INT), Field("b", INT), Field("c", INT, unique=True, severity="warn"))
    staged = stage("a,b,c\n1,1,7\n1,1,8\n,1,9\n,1,9\n,2,9\n", Schema("s", 1, fields, unique_keys=(("a", "b"),)))
    assert held(staged) == [(0, 2, ["uniqueKeys.a+b"]), (0, 3, ["uniqueKeys.a+b"])]
    counts = {rule.name: (rule.decided, rule.failed) for rule in staged.tally.rules if rule.dimension == "uniqueness"}
    assert counts == {"uniqueKeys.a+b": (2, 2), "c.unique": (3, 3)}
    assert (staged.tally.good, staged.tally.skipped) == (3, {})


def test_keep_latest(stage, good, held):
    """Under keep the greatest wins and the others are superseded; ties that differ are held, ties that do not are one."""
    target = Target("sales", "merge", ("a", "b"), keep="x")
    schema = replace(KEYED, fields=(*KEYED.fields[:2], Field("x", INT), Field("y")))
    text = "a,b,x,y\n1,1,1,p\n1,1,3,q\n1,1,2,r\n2,1,5,p\n2,1,5,q\n2,1,4,q\n3,1,6,p\n3,1,6,p\n3,1,,p\n4,1,,p\n4,1,,q\n"
    staged = stage(text, schema, target=target)
    assert [row[:4] for row in good(staged)] == [(1, 1, 3, "q"), (3, 1, 6, "p")]
    assert staged.tally.skipped == {"identical": 1, "superseded": 4}
    assert [number for _, number, _ in held(staged)] == [5, 6, 11, 12]


@pytest.mark.parametrize("as_arrow", [False, True])
def test_loaded_before(stage, there, good, held, as_arrow):
    """Append: an identical row there makes this one `loaded before`, a different one holds it."""
    lookup = there(
        "CREATE TABLE sales (a BIGINT, b BIGINT, x VARCHAR)",
        "INSERT INTO sales VALUES (1, 1, 'p'), (2, 2, 'p'), (3, 3, NULL)",
        as_arrow=as_arrow,
    )
    staged = stage("a,b,x\n1,1,p\n2,2,q\n3,3,\n4,4,p\n", KEYED, target=APPEND, lookup=lookup)
    assert _ids(good(staged)) == [(4, 4, "p")]
    assert staged.tally.skipped == {"loaded before": 2}
    assert held(staged) == [(0, 3, ["primaryKey"])]
    assert next(iter(staged.quarantined())).failures[0].message == "a = 2, b = 2 is already in sales, with other values"


def test_no_table_there(stage, there, good):
    """Without a table there, keys are judged within the load only."""
    staged = stage("a,b,x\n1,1,p\n", KEYED, target=APPEND, lookup=there("CREATE TABLE other (a BIGINT)"))
    assert len(good(staged)) == 1


@pytest.mark.parametrize("disposition", ["merge", "replace"])
def test_rows_there_are_nobodys_under_merge_and_replace(stage, there, disposition):
    """Merge and replace judge keys within the load only."""
    lookup = there("CREATE TABLE sales AS SELECT 1::BIGINT a, 1::BIGINT b, 'other' x")
    staged = stage("a,b,x\n1,1,p\n", KEYED, target=replace(APPEND, disposition=disposition), lookup=lookup)
    assert (staged.tally.good, lookup.asked) == (1, [])


def test_superseded_loads_do_not_count(stage, there):
    """Rows of a load that this one replaces are as good as gone; rows without a load id are not."""
    lookup = there(
        "CREATE TABLE sales AS SELECT * FROM (VALUES (1::BIGINT, 1::BIGINT, 'old', 'L1'), (2, 2, 'old', 'L2'), "
        "(3, 3, 'old', NULL)) v(a, b, x, _load_id)"
    )
    target = replace(APPEND, supersedes=("L1",))
    staged = stage("a,b,x\n1,1,new\n2,2,new\n3,3,new\n", KEYED, target=target, lookup=lookup)
    assert (staged.tally.good, staged.tally.quarantined) == (1, 2)
    assert lookup.asked == [("sales", ("a", "b", "x", "_load_id"))]


def test_hashed_rows_there(stage, there):
    """Rows are compared as they are stored; a key that is not stored is refused with what to do."""
    fields = (Field("a", INT, required=True, store="hash"), Field("x", store="mask"), Field("y", store="drop"))
    schema = Schema("s", 1, fields, ("a",))
    lookup = there("CREATE TABLE s AS SELECT sha256('1') a, '***' x")
    staged = stage("a,x,y\n1,p,q\n2,p,q\n", schema, target=Target("s", "append", ("a",)), lookup=lookup)
    assert staged.tally.skipped == {"loaded before": 1}
    masked = replace(schema, fields=(replace(fields[0], store="mask"), *fields[1:]))
    with pytest.raises(ConfigurationError, match="is not stored"):
        stage("a,x,y\n1,p,q\n", masked, target=Target("s", "append", ("a",)), lookup=lookup)


CHILD = Schema(
    "line",
    1,
    (Field("id", INT, required=True), Field("p", INT), Field("q", INT)),
    references=(Reference("reference.p", ("p",), "parent", ("id",)),),
)


def test_reference(stage, there, held):
    """A value without a parent is held; NULL passes; the parent's table is the one of its source."""
    lookup = there("CREATE TABLE parents AS SELECT unnest([1, 2]) AS id")
    target = Target("line", parents={"parent": "parents"})
    staged = stage("id,p,q\n1,1,\n2,3,\n3,,\n", CHILD, target=target, lookup=lookup)
    assert held(staged) == [(0, 3, ["reference.p"])]
    assert next(iter(staged.quarantined())).failures[0].message == 'p not in parent.id: "3"'
    assert (staged.tally.rules[-1].decided, staged.tally.rules[-1].failed) == (2, 1)


def test_reference_of_two_fields_and_warning(stage, there, held):
    """Fields together must occur together; a warning holds nobody; a missing table has no parents."""
    references = (
        Reference("reference.p+q", ("p", "q"), "pair", ("a", "b")),
        Reference("reference.p", ("p",), "nowhere", ("id",), "warn"),
    )
    lookup = there("CREATE TABLE pair AS SELECT 1 AS a, 2 AS b")
    staged = stage("id,p,q\n1,1,2\n2,1,3\n3,1,\n", replace(CHILD, references=references), lookup=lookup)
    assert held(staged) == [(0, 3, ["reference.p+q", "reference.p"])]
    assert [(rule.name, rule.failed) for rule in staged.tally.rules[-2:]] == [("reference.p+q", 1), ("reference.p", 3)]


def test_reference_to_itself(stage, there, held):
    """A load sees its own rows; what hangs on a held row falls with it, however long the chain."""
    schema = replace(CHILD, references=(Reference("reference.p", ("p",), "line", ("id",)),))
    lookup = there("CREATE TABLE line AS SELECT 100 AS id, NULL::INT AS p, NULL::INT AS q")
    text = "id,p,q\n1,,\n2,1,\n3,99,\n4,3,\n5,4,\n6,100,\n"
    assert [number for _, number, _ in held(stage(text, schema, target=Target("line"), lookup=lookup))] == [4, 5, 6]
    replaced = stage(text, schema, target=Target("line", "replace"), lookup=lookup)
    assert [number for _, number, _ in held(replaced)] == [4, 5, 6, 7]


def test_without_lookup(stage):
    """Without a destination references are not decided, and nobody is held by them."""
    staged = stage("id,p,q\n1,7,\n", CHILD)
    assert (staged.tally.good, staged.tally.rules[-1].decided) == (1, 0)


def test_reference_of_another_type(stage, there):
    """Values that cannot be compared with the parent's are the config author's, by the reference's place."""
    lookup = there("CREATE TABLE parent AS SELECT DATE '2024-01-01' AS id")
    schema = replace(CHILD, references=(replace(CHILD.references[0], where="schemas/line.yaml:7:3"),))
    with pytest.raises(ConfigurationError) as caught:
        stage("id,p,q\n1,7,\n", schema, lookup=lookup)
    assert caught.value.where == "schemas/line.yaml:7:3"


def test_hostile_names(stage):
    """Names and values full of quotes are names and values; our own words for columns are free for fields."""
    evil = 'a"; DROP TABLE staged; --'
    schema = Schema("s", 1, (Field(evil, required=True), Field("rid"), Field("it's"), Field("reason")), (evil,))
    target = Target("s", "replace", (evil,))
    staged = stage(f"{evil},rid,it's,reason\nx';--,1,2,3\nx';--,1,3,3\ny,1,2,3\n", schema, target=target)
    assert (staged.tally.good, staged.tally.quarantined) == (1, 2)
    assert "x';--" in next(iter(staged.quarantined())).failures[0].message


OWN_WORDS = (
    "rid",
    "reason",
    "n",
    "s",
    "e",
    "g",
    "key0",
    "own0",
    "_keep",
    "_copy",
    "_latest",
    "_best",
    "low",
    "versions",
)


@pytest.mark.parametrize("word", OWN_WORDS)
def test_a_field_may_be_named_as_the_engine_names_its_own_columns(stage, there, good, held, word):
    """Keys, rows there and references are judged by the field's values, whatever it is called."""
    fields = (Field(word, INT, required=True), Field("boss", INT))
    schema = Schema("t", 1, fields, (word,), references=(Reference("reference.boss", ("boss",), "t", (word,)),))
    lookup = there(f'CREATE TABLE t AS SELECT 7 AS "{word}", NULL::BIGINT AS boss')
    text = f"{word},boss\n1,\n1,\n2,1\n2,7\n3,1\n4,9\n7,\n"
    staged = stage(text, schema, target=Target("t", "append", (word,)), lookup=lookup)
    assert [row[:2] for row in good(staged)] == [(1, None), (3, 1)]
    assert held(staged) == [
        (0, 4, ["primaryKey"]),
        (0, 5, ["primaryKey"]),
        (0, 7, ["reference.boss"]),
    ]
    assert staged.tally.skipped == {"identical": 1, "loaded before": 1}
