"""Where PostgreSQL sees less difference between two values than SQLite, no row is lost by it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from config.errors import ConfigError, Unsupported
from config.settings import Settings, load
from replicator.pipeline import Pipeline
from replicator.postgres.connections import Target
from tests.compare import differences
from tests.fixtures.sqlite import MakeSource
from triggers.key import KeyKind


async def poll(seconds: float) -> bool:
    """Report no file event: what comes is found by the poll."""
    await asyncio.sleep(seconds)
    return False


@asynccontextmanager
async def streaming(path: Path, settings: Settings) -> AsyncIterator[Pipeline]:
    """Run a pipeline until it streams, and as long as the caller looks at it."""
    async with (
        Target(settings.target_url(), size=8) as target,
        Pipeline(path, "public", settings, target) as pipeline,
    ):
        await pipeline.prepare()
        running = asyncio.create_task(pipeline.run(poll))
        settled = asyncio.create_task(pipeline.settled.wait())
        await asyncio.wait([running, settled], return_when=asyncio.FIRST_COMPLETED)
        try:
            if running.done():
                await running
            yield pipeline
        finally:
            running.cancel()
            settled.cancel()
            await asyncio.wait([running, settled])


async def caught_up(pipeline: Pipeline) -> None:
    """Return when all that the log holds is on the target."""
    async with asyncio.timeout(60):
        while pipeline.facts.position < await pipeline.watcher.run(
            lambda c: int(c.execute("SELECT max(seq) FROM _liteferry_log").fetchone()[0])
        ):
            await poll(0.05)


@pytest.mark.parametrize("journal", ["wal", "delete"])
async def test_rows_that_only_postgresql_takes_for_equal_all_arrive(
    make_source: MakeSource, target_url: str, journal: str
) -> None:
    """lower('É') is 'é' in PostgreSQL and 'É' in SQLite: such an index waits until nothing streams."""
    script = """
        CREATE TABLE t(id INTEGER PRIMARY KEY, n TEXT);
        CREATE UNIQUE INDEX u ON t(lower(n));
        INSERT INTO t VALUES (1, 'é');
    """
    path = make_source("strict.db", script, journal)
    async with streaming(path, load(None, sources=[path], target=target_url)) as pipeline:
        with sqlite3.connect(path, timeout=10) as writing:
            writing.execute("INSERT INTO t VALUES (2, 'É')")
            writing.executemany("INSERT INTO t VALUES (?, ?)", [(i, f"n{i}") for i in range(3, 5003)])
        writing.close()
        await caught_up(pipeline)

        assert await differences(path, target_url) == []


@pytest.mark.parametrize("journal", ["wal", "delete"])
async def test_values_exchanged_over_a_long_way_arrive(
    make_source: MakeSource, target_url: str, journal: str
) -> None:
    """A unique value that its owner gives up only thousands of entries later blocks nobody."""
    path = make_source("swap.db", "CREATE TABLE t(id INTEGER PRIMARY KEY, n INT UNIQUE)", journal)
    async with streaming(path, load(None, sources=[path], target=target_url)) as pipeline:
        with sqlite3.connect(path, timeout=10) as writing:
            writing.executemany("INSERT INTO t VALUES (?, ?)", [(i, i) for i in range(1, 6001)])
        await caught_up(pipeline)
        with writing:
            writing.execute("UPDATE t SET n = -n")
            writing.execute("UPDATE t SET n = 6001 + n")
        writing.close()
        await caught_up(pipeline)

        assert await differences(path, target_url) == []


async def test_a_key_that_can_hold_numbers_does_not_become_text(
    make_source: MakeSource, target_url: str
) -> None:
    """The keys 1 and '1' are two rows; as text one of them would go."""
    path = make_source("key.db", "CREATE TABLE t(k PRIMARY KEY, v); INSERT INTO t VALUES (1, 1), ('1', 2)")
    settings = load(None, sources=[path], target=target_url, columns={"t.k": "text"})

    with pytest.raises(ConfigError, match="cannot become text"):
        async with streaming(path, settings):
            pass


async def test_a_null_key_that_no_profile_saw_makes_the_rowid_the_key(
    make_source: MakeSource, target_url: str
) -> None:
    """PostgreSQL's primary key holds no NULL; it is looked for before anything is copied."""
    path = make_source(
        "null.db", "CREATE TABLE t(k TEXT PRIMARY KEY, v); INSERT INTO t VALUES (NULL, 'a'), ('b', 'c')"
    )
    settings = load(None, sources=[path], target=target_url, profile=False)

    async with streaming(path, settings) as pipeline:
        assert [plan.key.kind for plan in pipeline.plans.values()] == [KeyKind.ROWID]
        assert await differences(path, target_url) == []


async def test_a_table_of_many_columns_is_counted(make_source: MakeSource, target_url: str) -> None:
    """SQLite has a limit of result columns, which the counting of 400 columns must not meet."""
    columns = ", ".join(f"c{i} INT" for i in range(400))
    values = ", ".join(str(i) for i in range(400))
    path = make_source("wide.db", f"CREATE TABLE t({columns}); INSERT INTO t VALUES ({values})")
    async with streaming(path, load(None, sources=[path], target=target_url)):
        assert await differences(path, target_url) == []


async def test_null_keys_that_no_walk_meets_are_refused(make_source: MakeSource, target_url: str) -> None:
    """Under DESC they come last, where a comparison with the key before never gets."""
    script = """
        CREATE TABLE t(rowid TEXT, oid TEXT, _rowid_ TEXT, k TEXT, PRIMARY KEY(k DESC));
        WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 1000)
            INSERT INTO t(k) SELECT printf('%05d', n) FROM i;
        INSERT INTO t(k) VALUES (NULL), (NULL);
    """
    path = make_source("hidden.db", script)

    with pytest.raises(Unsupported, match="holds NULL"):
        async with streaming(path, load(None, sources=[path], target=target_url)):
            pass


BIG = 2**62

#: Keys that SQLite takes for one number though their classes differ: what there is, what is done, what stays.
TWO_CLASSES = {
    "a whole number is replaced by the real, which goes": (
        "1), (5",
        ["REPLACE INTO t VALUES (1.0, 2)", "DELETE FROM t WHERE k = 1"],
        [5],
    ),
    "a large whole number becomes the real": (
        f"{BIG}), (0.5",
        [f"UPDATE t SET k = {float(BIG)!r} WHERE k > 1"],
        [Decimal("0.5"), Decimal(BIG)],
    ),
    "a large real becomes the whole number": (
        f"{float(BIG)!r}), (0.5",
        [f"UPDATE t SET k = {BIG} WHERE k > 1"],
        [Decimal("0.5"), Decimal(BIG)],
    ),
    "nothing is replaced by its negative, which goes": (
        "0), (0.5",
        ["REPLACE INTO t VALUES (-0.0, 2)", "DELETE FROM t WHERE k = 0"],
        [Decimal("0.5")],
    ),
}


@pytest.mark.parametrize("what", TWO_CLASSES)
async def test_a_key_goes_whose_number_is_logged_in_another_class(
    make_source: MakeSource, target_url: str, what: str
) -> None:
    """1 and 1.0 are one key to SQLite, and on the target as well."""
    rows, statements, left = TWO_CLASSES[what]
    rows = rows.replace(")", ", 1)")
    path = make_source(
        "two.db", f"CREATE TABLE t(k NOT NULL PRIMARY KEY, v INT); INSERT INTO t VALUES ({rows}, 1)"
    )
    async with streaming(path, load(None, sources=[path], target=target_url)) as pipeline:
        with sqlite3.connect(path, timeout=10) as writing:
            for statement in statements:
                writing.execute(statement)
        writing.close()
        await caught_up(pipeline)

        async with pipeline.target.connection() as target:
            assert [row["k"] for row in await target.fetch("SELECT k FROM t ORDER BY k")] == left
