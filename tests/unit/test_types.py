"""The type of a column on the target, from its declaration and from what it holds."""

from __future__ import annotations

import pytest

from config.errors import Unsupported
from replicator.planning.types import HOLDS, Affinity, Evidence, affinity, choose
from triggers.schema import Column


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("INTEGER", Affinity.INTEGER),
        ("TINYINT", Affinity.INTEGER),
        ("UNSIGNED BIG INT", Affinity.INTEGER),
        ("int8", Affinity.INTEGER),
        ("CHARINT", Affinity.INTEGER),
        ("FLOATING POINT", Affinity.INTEGER),
        ("CHARACTER(20)", Affinity.TEXT),
        ("NATIVE CHARACTER(70)", Affinity.TEXT),
        ("nvarchar(100)", Affinity.TEXT),
        ("CLOB", Affinity.TEXT),
        ("TEXTBLOB", Affinity.TEXT),
        ("BLOB", Affinity.BLOB),
        ("", Affinity.BLOB),
        ("REALBLOB", Affinity.BLOB),
        ("REAL", Affinity.REAL),
        ("DOUBLE PRECISION", Affinity.REAL),
        ("FLOAT", Affinity.REAL),
        ("NUMERIC", Affinity.NUMERIC),
        ("DECIMAL(10,5)", Affinity.NUMERIC),
        ("BOOLEAN", Affinity.NUMERIC),
        ("DATETIME", Affinity.NUMERIC),
        ("JSON", Affinity.NUMERIC),
        ("STRING", Affinity.NUMERIC),
    ],
)
def test_affinity_follows_the_rules_of_sqlite_in_their_order(declared: str, expected: Affinity) -> None:
    """The examples of SQLite's own documentation, and the traps beside them."""
    assert affinity(declared) is expected


def seen(beyond_bool: int = 0, rows: int | None = None, **classes: int) -> Evidence:
    """Return evidence of values per storage class."""
    return Evidence(rows if rows is not None else sum(classes.values()), classes, beyond_bool)


@pytest.mark.parametrize(
    ("declared", "evidence", "expected"),
    [
        # by what is in it, which SQLite does not promise to be what is declared
        ("INTEGER", seen(integer=5), "bigint"),
        ("INTEGER", seen(text=5), "text"),
        ("INTEGER", seen(integer=5, real=1), "numeric"),
        ("INTEGER", seen(blob=1), "bytea"),
        ("TEXT", seen(text=5), "text"),
        ("TEXT", seen(blob=5), "bytea"),
        ("BLOB", seen(text=5), "text"),
        ("BLOB", seen(integer=5), "bigint"),
        ("", seen(real=2), "double precision"),
        ("", seen(integer=2, real=2), "numeric"),
        ("REAL", seen(real=5), "double precision"),
        # NUMERIC affinity: reals with nothing behind the point come back as integers
        ("DECIMAL(10,2)", seen(integer=1, real=9), "numeric"),
        ("DECIMAL(10,2)", seen(integer=9), "numeric"),
        ("DECIMAL(10,2)", seen(text=1), "text"),
        ("NUMERIC", seen(real=3), "numeric"),
        # BOOLEAN, DATETIME and JSON have NUMERIC affinity, too
        ("BOOLEAN", seen(integer=5), "boolean"),
        ("BOOLEAN", seen(integer=5, beyond_bool=1), "numeric"),
        ("BOOLEAN", seen(text=5), "text"),
        ("BOOLEAN", seen(integer=5, real=1), "numeric"),
        ("DATETIME", seen(text=5), "text"),
        ("DATETIME", seen(integer=5), "bigint"),
        ("TIMESTAMP", seen(real=5), "double precision"),
        ("JSON", seen(text=5), "text"),
        # nothing in it, or nothing but NULL
        ("INTEGER", seen(), "bigint"),
        ("VARCHAR(10)", seen(), "text"),
        ("BLOB", seen(), "bytea"),
        ("", seen(), "text"),
        ("REAL", seen(), "double precision"),
        ("DECIMAL(10,2)", seen(), "numeric"),
        ("bool", seen(), "boolean"),
        ("DATE", seen(), "text"),
        ("JSON", seen(), "text"),
        ("UUID", seen(), "text"),
        ("INTEGER", seen(rows=7), "bigint"),
        ("TEXT", seen(rows=9, text=2), "text"),
    ],
)
def test_a_type_holds_what_was_seen(declared: str, evidence: Evidence, expected: str) -> None:
    """What a column holds decides; what it is declared as decides between types that hold it as well."""
    assert choose("t", Column("c", declared, False, None, 0), evidence) == expected


@pytest.mark.parametrize(
    "classes", [{"text": 1, "integer": 9}, {"blob": 1, "text": 1}, {"real": 1, "blob": 3}]
)
def test_a_column_of_unlike_values_halts_with_its_evidence(classes: dict[str, int]) -> None:
    """For those who want to look first: the counts and the way out are told."""
    with pytest.raises(Unsupported) as refused:
        choose("t", Column("c", "INTEGER", False, None, 0), seen(**classes), halt=True)
    assert all(f"{count} {kind}" in str(refused.value) for kind, count in classes.items())
    # only numbers can travel as text; a blob has no way out but to be left out
    way_out = "exclude" if "blob" in classes else '"t.c" = "text"'
    assert way_out in refused.value.hint


@pytest.mark.parametrize(
    ("declared", "evidence", "expected"),
    [
        ("INTEGER", seen(integer=1_000_000, text=3), "bigint"),
        ("INTEGER", seen(integer=3, text=1_000_000), "text"),
        # what is declared wins with half of the values, not with less
        ("INTEGER", seen(integer=5, text=5), "bigint"),
        ("TEXT", seen(blob=5, text=5), "text"),
        ("TEXT", seen(blob=6, text=5), "bytea"),
        ("BLOB", seen(blob=5, text=5), "bytea"),
        ("REAL", seen(real=4, text=5, blob=3), "text"),
        ("REAL", seen(real=5, text=3, blob=2), "double precision"),
        # integers and reals are of one kind
        ("INTEGER", seen(integer=9, real=1, text=1), "numeric"),
        ("DECIMAL(10,2)", seen(integer=3, real=3, text=6), "numeric"),
        ("BOOLEAN", seen(integer=9, text=1), "boolean"),
        ("BOOLEAN", seen(integer=9, beyond_bool=1, text=1), "numeric"),
        # no declaration: of most; text where nothing decides
        ("", seen(integer=5, text=5), "text"),
        ("", seen(integer=6, text=5), "bigint"),
        ("", seen(integer=2, blob=3, text=1), "bytea"),
        # dates are texts, though their affinity is NUMERIC
        ("DATETIME", seen(integer=5, text=5), "text"),
        ("DATETIME", seen(integer=6, text=5), "bigint"),
    ],
)
def test_a_column_of_unlike_values_gets_the_type_of_most(
    declared: str, evidence: Evidence, expected: str
) -> None:
    """The rows that do not fit go into quarantine, so that three texts decide not over a million."""
    assert choose("t", Column("c", declared, False, None, 0), evidence) == expected


def test_evidence_tells_what_a_type_does_not_hold() -> None:
    """Not what is rare: a numeric column holds integers and reals."""
    evidence = seen(integer=9, real=2, text=1)
    assert evidence.dissenters(HOLDS["numeric"]) == [("text", 1)]
    assert evidence.dissenters() == [("real", 2), ("text", 1)]


def test_evidence_reads_like_a_sentence() -> None:
    """Counts with separators, the most frequent first, NULLs last."""
    evidence = Evidence(1_002_345, {"integer": 2, "text": 1_000_000, "real": 0})
    assert evidence.text().startswith("1,002,345 rows: 1,000,000 text, 2 integer")
    assert evidence.text().endswith("2,343 null")
    assert Evidence().text() == "no rows"


def test_how_far_values_reach_is_said_apart() -> None:
    """Numbers from the least to the greatest, texts and blobs by their longest; what is kept says nothing."""
    both = Evidence(3, {"integer": 2, "text": 1}, longest=1_200, least=-5, greatest=12_345)
    assert both.extent() == "-5 to 12,345, longest 1,200 bytes"
    assert "12,345" not in both.text()
    assert Evidence(1, {"real": 1}, longest=3, least=0.1, greatest=float("inf")).extent() == "0.1 to inf"
    assert Evidence(2, {}).extent() == ""
