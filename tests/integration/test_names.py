"""One space of names for tables, indexes and sequences in PostgreSQL, several in SQLite: nothing collides."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import asyncpg
import pytest

from config.errors import TargetContents
from config.settings import load
from replicator.pipeline import Pipeline
from replicator.postgres.connections import Target
from replicator.schema import ddl
from tests.compare import differences
from tests.fidelity.engine import streaming
from tests.fixtures.sqlite import MakeSource

NAMESAKES = """
CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b INT, a_b INT UNIQUE, name TEXT, UNIQUE(a, b));
CREATE UNIQUE INDEX by_name ON t(lower(name));
CREATE INDEX plain ON t(name);
CREATE TABLE t_pkey(id INTEGER PRIMARY KEY, v INT UNIQUE);
CREATE TABLE t_id_seq(id INTEGER PRIMARY KEY);
CREATE TABLE t_a_b_key(k TEXT NOT NULL UNIQUE);
CREATE INDEX child_fkey ON t(b);
CREATE TABLE by_name_2(v INT);
CREATE TABLE child(x INT REFERENCES t(id), FOREIGN KEY(x) REFERENCES t_pkey(id));
INSERT INTO t VALUES(1, 2, 3, 4, 'n'), (2, 3, 4, 5, 'm');
INSERT INTO t_pkey VALUES(1, 1);
INSERT INTO t_a_b_key VALUES('x');
INSERT INTO child VALUES(1);
"""

INDEXES = "SELECT count(*) FROM pg_index WHERE indrelid = $1::text::regclass AND indisvalid"


async def test_tables_named_like_generated_objects_stream(make_source: MakeSource, target_url: str) -> None:
    """All rows and all indexes arrive, and a restart finds every index again under whatever name it has."""
    path = make_source(script=NAMESAKES)
    for number in (10, 11):
        async with streaming(path, target_url) as running:
            with closing(sqlite3.connect(path, timeout=10)) as application:
                application.execute(f"INSERT INTO t VALUES({number}, {number}, 1, {number}, 'n{number}')")
                application.commit()
            await running.settled(path)
            assert await differences(path, target_url) == []
            assert [n for n in running.pipeline.facts.notes if "refused" in n["reason"]] == []
            async with running.pipeline.target.connection() as target:
                # the key, two constraints and two indexes; the one over an expression waits for the cutover
                assert await target.fetchval(INDEXES, "t") == 5
                assert await target.fetchval(INDEXES, "t_pkey") == 2


async def test_the_plan_s_script_runs_with_such_names(make_source: MakeSource, target_url: str) -> None:
    """Every statement of it, down to two foreign keys over one column."""
    path = make_source(script=NAMESAKES)
    settings = load(sources=[path], target=target_url)
    async with Target(target_url, size=2) as target, Pipeline(path, "public", settings, target) as pipeline:
        script = ddl.script(await pipeline.plan())
        async with target.connection() as connection:
            await connection.execute(script)
            assert await connection.fetchval(INDEXES, "t") == 6
            assert await connection.fetchval("SELECT count(*) FROM pg_constraint WHERE contype = 'f'") == 2


async def test_a_stranger_s_index_of_a_table_s_name_is_told_of(
    make_source: MakeSource, target_url: str
) -> None:
    """Both are named, and nothing is changed on either side."""
    path = make_source(script="CREATE TABLE t(id INTEGER PRIMARY KEY)")
    connection = await asyncpg.connect(target_url)
    await connection.execute("CREATE TABLE other(v int); CREATE INDEX t ON other(v)")
    await connection.close()
    with pytest.raises(TargetContents, match=r"'t' \(an index of other\)"):
        async with streaming(path, target_url):
            pass
    with closing(sqlite3.connect(path)) as source:
        assert source.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)


async def test_a_stranger_s_table_of_a_key_s_name_is_left_alone(
    make_source: MakeSource, target_url: str
) -> None:
    """The key takes another name."""
    path = make_source(script="CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES(1)")
    connection = await asyncpg.connect(target_url)
    await connection.execute("CREATE TABLE t_pkey(v int); CREATE TABLE t_id_seq(v int)")
    await connection.close()
    async with streaming(path, target_url) as running:
        await running.settled(path)
        assert await differences(path, target_url) == []
