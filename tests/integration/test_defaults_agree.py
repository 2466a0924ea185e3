"""A default gives the same value on both sides, or is not carried over."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import asyncpg
import pytest

from replicator.schema.defaults import translate
from tests.compare import from_postgres, from_sqlite, shorten

#: Declared type, default, type on the target.
DEFAULTS = [
    *(("INT", d, "bigint") for d in ("0", "-1", "+7", "007", "9223372036854775807", "-9223372036854775808")),
    *(("INT", d, "bigint") for d in ("TRUE", "false", "9223372036854775808", "-9223372036854775809", "1e3")),
    *(("INT", d, "smallint") for d in ("32767", "32768", "-40000")),
    *(("INT", d, "integer") for d in ("2147483648", "1")),
    *(
        ("REAL", d, "double precision")
        for d in ("1", "-.5", "1.", "1e3", "1e308", "1e999", "-1e999", "1e-400")
    ),
    *(
        ("DECIMAL", d, "numeric")
        for d in ("1", "0.1", "1e5", "-2.50", "1e300", "1e999", "123456789012345678901")
    ),
    *(("BOOLEAN", d, "boolean") for d in ("0", "1", "true", "FALSE")),
    *(
        ("TEXT", d, "text")
        for d in ("''", "'a'", "'it''s'", "'back\\slash\\n'", "'%s $1 :x'", "'ü🚢'", '"word"')
    ),
    *(("TEXT", d, "text") for d in ("word", "1", "x'61'", "NULL", "'a' --x\n", "'--'", "'/*'")),
    *(
        ("INT", d, "bigint")
        for d in ("(1 + 1)", "(-7 / 2)", "(-7 % 3)", "(1 << 62)", "(9223372036854775807 + 1)")
    ),
    *(("TEXT", d, "text") for d in ("('a' || 'b')", "(json_object('a', 1))", "(upper('ß'))", "(char(0))")),
    *(("BLOB", d, "bytea") for d in ("x''", "X'00ff'", "x'5c5c27'", "NULL")),
]


@pytest.fixture
def url(target_url: str) -> str:
    """Name the database; one for all the defaults."""
    return target_url


async def test_a_default_gives_the_same_value_on_both_sides(url: str) -> None:
    """Every default that is carried over is put to use on both, and the row compared."""
    target = await asyncpg.connect(url)
    carried, wrong = 0, []
    with closing(sqlite3.connect(":memory:")) as source:
        for declared, default, pg_type in DEFAULTS:
            source.execute("DROP TABLE IF EXISTS t")
            source.execute(f"CREATE TABLE t(a, v {declared} DEFAULT {default})")
            source.execute("INSERT INTO t(a) VALUES(1)")
            text = source.execute(
                "SELECT dflt_value FROM pragma_table_info('t') WHERE name = 'v'"
            ).fetchone()[0]
            translated = translate(text, pg_type)
            if translated is None:
                continue
            carried += 1
            try:
                await target.execute("DROP TABLE IF EXISTS t")
                await target.execute(f"CREATE TABLE t(a bigint, v {pg_type} DEFAULT {translated})")
                await target.execute("INSERT INTO t(a) VALUES(1)")
                there = shorten([from_postgres(await target.fetchval("SELECT v FROM t"))])
            except asyncpg.PostgresError as error:
                there = type(error).__name__
            here = shorten([from_sqlite(source.execute("SELECT v FROM t").fetchone()[0], pg_type)])
            if here != there:
                wrong.append(f"{declared} DEFAULT {default} as {pg_type}: {here} here, {there} there")
    await target.close()
    assert not wrong, "\n".join(wrong)
    assert carried > 30


async def test_the_clock_s_defaults_look_alike(url: str) -> None:
    """Not the same moment, but the same text of UTC."""
    target = await asyncpg.connect(url)
    with closing(sqlite3.connect(":memory:")) as source:
        for default in (
            "CURRENT_TIMESTAMP",
            "CURRENT_DATE",
            "CURRENT_TIME",
            "datetime('now')",
            "time('now')",
            "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')",
            "strftime('%s', 'now')",
        ):
            for _ in range(3):  # a second may pass between the two
                here = source.execute(f"SELECT {default}").fetchone()[0]
                there = await target.fetchval(f"SELECT {translate(default, 'text')}")
                if here == there:
                    break
            assert here == there
    await target.close()
