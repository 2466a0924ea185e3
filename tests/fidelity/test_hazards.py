"""Each hazard of SQLite's values, keys and names: what can arrive does, the rest is kept, nothing is changed.

All go over at once, in one file: by the copy, then deleted and written again by the stream, which must give
the same, then with what comes only when it streams.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from replicator.planning.plan import TablePlan
from replicator.verification.verifier import Verifier
from tests.fixtures.postgres import database
from triggers import changelog

from .engine import Running, streaming
from .hazards import EITHER, HAZARDS, Hazard, Kept
from .passage import Case, carried
from .roundtrip import kept_rows
from .schemas import quote

TYPE = (
    "SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = $1::text::regclass AND attname = 'v'"
)
BY_ID = {hazard.id: hazard for hazard in HAZARDS}


@dataclass(frozen=True)
class There:
    """What the target has of a table's column `v`: its type, and the values, those in quarantine too."""

    type: str
    values: Counter[tuple[str, str]]


#: By the table's name, after each of the three steps.
Steps = dict[str, list[There]]


@pytest.fixture(scope="module")
def steps(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Steps]:
    """Bring all hazards over, and look at the target after each step."""
    path = tmp_path_factory.mktemp("hazards") / "app.db"
    # in a thread of its own, so that no test's event loop is touched
    with database(postgres_server) as url, ThreadPoolExecutor(1) as thread:
        yield thread.submit(asyncio.run, _brought_over(path, url)).result()


async def _brought_over(path: Path, url: str) -> Steps:
    found: Steps = {one.id: [] for one in HAZARDS}
    with closing(sqlite3.connect(path, isolation_level=None, timeout=20)) as application:
        application.execute("PRAGMA journal_mode = wal")
        for one in HAZARDS:
            _run(application, [one.ddl, *one.inserts(one.rows)])
        columns = {f"{one.id}.v": one.asked for one in HAZARDS if one.asked}
        async with streaming(path, url, columns=columns) as running:
            await _look(application, running, path, url, found)
            for one in HAZARDS:
                _run(application, [f"DELETE FROM {quote(one.id)}", *one.inserts(one.rows)])
            await _look(application, running, path, url, found)
            for one in HAZARDS:
                _run(application, [*one.inserts(one.late), *(s.format(t=quote(one.id)) for s in one.then)])
            await _look(application, running, path, url, found)
            reports = await Verifier(running.pipeline).run()
            assert [r.as_dict() for r in reports if not r.equal] == []
    return found


def _run(application: sqlite3.Connection, statements: Iterable[str]) -> None:
    application.executescript(";\n".join(["BEGIN", *statements, "COMMIT"]))


async def _look(
    application: sqlite3.Connection, running: Running, path: Path, url: str, found: Steps
) -> None:
    await running.caught_up(changelog.head(application))
    await running.settled(path)
    target = await asyncpg.connect(url)
    try:
        for plan in running.pipeline.plans.values():
            found[plan.name].append(await _there(target, plan))
    finally:
        await target.close()


async def _there(target: asyncpg.Connection[asyncpg.Record], plan: TablePlan) -> There:
    kind = await target.fetchval(TYPE, plan.qualified)
    rows = await target.fetch(f"SELECT v FROM {plan.qualified}")
    values = [row["v"] for row in rows] + [Kept(one.row["v"]) for one in await kept_rows(target, plan.name)]
    return There(kind, Counter(map(shown, values)))


def shown(value: Any) -> tuple[str, str]:
    """Return a value in a form that is equal for equal ones of the same class only."""
    if isinstance(value, Decimal):
        return "numeric", "0" if value.is_zero() else str(value.normalize())
    return type(value).__name__, repr(value)


def wanted(values: Iterable[Any]) -> Counter[tuple[str, str]]:
    """Return what must be there."""
    return Counter(map(shown, values))


@pytest.mark.parametrize("name", BY_ID)
def test_what_can_arrive_does_and_the_rest_is_kept(name: str, steps: Steps) -> None:
    """By the copy, by the stream, and with what comes only by the stream."""
    hazard: Hazard = BY_ID[name]
    copied, again, late = steps[name]
    if hazard.type:
        assert copied.type == hazard.type
    assert copied.values == wanted(hazard.rows.values())
    assert again.values == wanted(hazard.rows.values())
    assert late.values == wanted(hazard.end or [*hazard.rows.values(), *hazard.late.values()])


@pytest.mark.parametrize("name", EITHER)
async def test_what_is_for_the_operator_to_choose_is_whole_or_refused(
    name: str, tmp_path: Path, target_url: str
) -> None:
    """Every row is there or in quarantine, or nothing is touched and the error is clear."""
    schema, rows = EITHER[name]
    case = Case("wal", False, schema, rows, (), rows)
    result = await carried(case, tmp_path / "app.db", target_url)
    assert result.faults == []
    assert result.how in ("all rows arrived", "rows in quarantine", "refused before anything was touched")
