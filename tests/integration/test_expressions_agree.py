"""Whatever is translated means the same: random expressions over random rows, evaluated by both databases."""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing

import asyncpg
import pytest

from replicator.expressions.operands import Untranslatable
from replicator.expressions.scopes import TableScope
from replicator.expressions.translator import condition
from replicator.planning.plan import TablePlan, plan_table
from replicator.planning.types import Evidence
from replicator.schema import ddl, dml
from tests.expressions import TABLE, Expressions
from triggers.schema import tables

ROWS = 40
#: Conditions of one statement.
TOGETHER = 50
#: Overridden types, for columns that are told to be what they are.
OVERRIDES = {"t.g": "boolean", "t.J k": "integer"}


def planned(database: sqlite3.Connection) -> TablePlan:
    """Plan the table by its declarations; dates and texts are texts."""
    (table,) = tables(database)[0]
    return plan_table(table, "public", [Evidence()] * len(table.columns), {"t.g": "boolean"})


async def stored(
    target: asyncpg.Connection[asyncpg.Record], database: sqlite3.Connection, plan: TablePlan
) -> None:
    """Bring all rows to the target as the daemon would."""
    await target.execute(ddl.create_table(plan))
    rows = database.execute("SELECT * FROM t ORDER BY id").fetchall()
    await target.execute(dml.insert(plan), *plan.converter.columns(rows))


def translated(plan: TablePlan, sql: str) -> str | None:
    """Return the translation, None where there is none."""
    try:
        return condition(sql, TableScope(plan))
    except Untranslatable:
        return None


def truths(database: sqlite3.Connection, sql: str) -> list[bool | None]:
    """Return what SQLite takes a condition for in each row."""
    query = f"SELECT CASE WHEN {sql} THEN 1 WHEN NOT ({sql}) THEN 0 END FROM t ORDER BY id"
    return [None if row[0] is None else bool(row[0]) for row in database.execute(query)]


async def disagreements(url: str, seed: int, count: int) -> tuple[list[str], int]:
    """Return conditions that the databases see differently, and how many were translated."""
    make = Expressions(random.Random(seed))
    wrong: list[str] = []
    target = await asyncpg.connect(url)
    try:
        with closing(sqlite3.connect(":memory:")) as database:
            database.execute(TABLE)
            database.execute(f"INSERT INTO t VALUES {', '.join(make.rows(ROWS))}")
            plan = planned(database)
            await stored(target, database, plan)
            made = [make.condition() for _ in range(count)]
            pairs = [(sql, there) for sql in made if (there := translated(plan, sql)) is not None]
            for start in range(0, len(pairs), TOGETHER):
                block = pairs[start : start + TOGETHER]
                query = f"SELECT {', '.join(f'({there})' for _, there in block)} FROM t ORDER BY id"
                found = list(zip(*await target.fetch(query), strict=True))
                for (sql, there), answers in zip(block, found, strict=True):
                    if list(answers) != truths(database, sql):
                        wrong.append(f"{sql}   =>   {there}")
    finally:
        await target.close()
    return wrong, len(pairs)


@pytest.mark.parametrize("seed", range(int(os.environ.get("LITEFERRY_EXPRESSION_SEEDS", "2"))))
async def test_what_is_translated_is_the_same_on_both_sides(seed: int, target_url: str) -> None:
    """True, false and NULL, row by row."""
    wrong, count = await disagreements(target_url, seed, 1000)

    assert wrong == []
    assert count > 300
