"""The text of a CREATE INDEX is cut where SQLite would cut it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from triggers.index_sql import IndexText, parse


@pytest.mark.parametrize(
    ("sql", "terms", "where"),
    [
        ("CREATE INDEX i ON t(a)", ("a",), ""),
        ("CREATE UNIQUE INDEX IF NOT EXISTS main.i ON t ( a , b )", ("a", "b"), ""),
        ("create index i on t(a desc, b ASC)", ("a", "b"), ""),
        ("CREATE INDEX i ON t(a COLLATE NOCASE DESC)", ("a",), ""),
        (
            'CREATE INDEX i ON t(a collate "NOCASE", b COLLATE [RTRIM], c COLLATE `x` desc)',
            ("a", "b", "c"),
            "",
        ),
        ("CREATE INDEX i ON t(lower(a), coalesce(b, 'x,y'))", ("lower(a)", "coalesce(b, 'x,y')"), ""),
        ("CREATE INDEX i ON t((a + (b * 2)) DESC)", ("(a + (b * 2))",), ""),
        ("CREATE INDEX i ON t(a) WHERE b > 0", ("a",), "b > 0"),
        ("CREATE INDEX i ON t(a) where (b IN (1, 2)) ;", ("a",), "(b IN (1, 2))"),
        ("CREATE INDEX i ON t(a)WHERE(b)", ("a",), "(b)"),
        ('CREATE INDEX "a (b" ON "t)("("x ("" y")', ('"x ("" y"',), ""),
        ("CREATE INDEX [i (] ON `t (`([a, b] , `c``d`)", ("[a, b]", "`c``d`"), ""),
        (
            "CREATE INDEX i ON t(a || ' desc', b || ' collate nocase')",
            ("a || ' desc'", "b || ' collate nocase'"),
            "",
        ),
        ("CREATE INDEX i ON t(a || ') WHERE (')", ("a || ') WHERE ('",), ""),
        ("CREATE INDEX i ON t(a || 'it''s (', b)", ("a || 'it''s ('", "b"), ""),
        ("CREATE INDEX i ON t(\"desc\", 'collate')", ('"desc"', "'collate'"), ""),
        ("CREATE INDEX i ON t(désc, übung COLLATE RTRIM)", ("désc", "übung"), ""),
        ("CREATE INDEX i /* (x) */ ON t -- (y)\n (a, /* ,b */ c)", ("a", "c"), ""),
        ("CREATE INDEX i ON t(lower(a)/**/COLLATE NOCASE--\nDESC)", ("lower(a)",), ""),
        ("CREATE INDEX i ON t(a) WHERE a=1-- one\nAND b=2", ("a",), "a=1 AND b=2"),
        ("CREATE INDEX i ON t(a) WHERE b = '-- no comment'", ("a",), "b = '-- no comment'"),
        ("CREATE INDEX i ON t(a) WHERE b = '/*' -- end", ("a",), "b = '/*'"),
        ("CREATE INDEX i ON t(a\n\tCOLLATE\n nocase\n DESC\n)", ("a",), ""),
    ],
)
def test_an_index_is_cut_into_terms_and_condition(sql: str, terms: tuple[str, ...], where: str) -> None:
    """Quotes, comments, nested parentheses, COLLATE and the order at the end; SQLite takes all of them."""
    assert parse(sql) == IndexText(terms, where)


@pytest.mark.parametrize(
    "terms",
    [
        "lower(a)/**/COLLATE NOCASE",
        "a || b/**/DESC",
        "(a),coalesce(b,'),(')DESC",
        'a || "b", "b" || \'"\'',
        "a --x\n || --y\n b",
        "[a] || `b` COLLATE rtrim",
        "CASE a WHEN 'x' THEN b ELSE (1) END COLLATE 'nocase' ASC",
    ],
)
def test_the_terms_are_an_index_again(terms: str) -> None:
    """What was cut out can be put in a statement again, and SQLite finds as many terms in it."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t(a, b)")
        connection.execute(f"CREATE INDEX i ON t({terms}) WHERE a--c\nIS/**/NOT NULL")
        (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'i'").fetchone()
        text = parse(sql)
        found = connection.execute("SELECT count(*) FROM pragma_index_xinfo('i') WHERE key").fetchone()[0]
        assert len(text.terms) == found
        connection.execute(f"SELECT {', '.join(text.terms)} FROM t WHERE {text.where}")


def test_a_text_that_ends_too_early_is_no_index() -> None:
    """A damaged schema is told, not guessed at."""
    with pytest.raises(ValueError, match="ends inside its column list"):
        parse("CREATE INDEX i ON t(a, (b)")
