"""Every value under every type that may be asked for: it arrives equal by COPY and stream, or is refused.

Real SQLite file with the real capture, real PostgreSQL; equal is what the independent comparison calls so.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from config.errors import ValueRefused
from replicator.loading import loader
from replicator.loading.keying import Keying
from replicator.loading.lanes import Bounds
from replicator.planning.plan import TablePlan, plan_table
from replicator.planning.types import Evidence
from replicator.postgres.connections import Target
from replicator.postgres.quarantine import Quarantine
from replicator.status import Facts
from replicator.streaming.applier import Applier
from replicator.streaming.reader import read_batch, read_page
from replicator.values.converter import Converter, storage_class
from replicator.verification.matching import absent, differences, target_keys
from tests import compare
from tests.conversion_cases import BECOMES, KEYS, REFUSED, TEXTS
from triggers import capture, changelog
from triggers.key import choose
from triggers.schema import tables
from triggers.session import Session

ASKED = sorted(
    {wanted for wanted, *_ in [*BECOMES, *REFUSED] if wanted != "json"}
    | {"json", "integer", "smallint", "double precision", "text"}
)
ASKED_OF_KEYS = sorted({wanted for wanted, _ in KEYS} | {"boolean", "numeric", "bigint"})

OVERRIDES = {f"c{n}.v": wanted for n, wanted in enumerate(ASKED)}
OVERRIDES |= {f"k{n}.v": wanted for n, wanted in enumerate(ASKED_OF_KEYS)}

SCRIPT = "\n".join(
    [f"CREATE TABLE c{n}(id INTEGER PRIMARY KEY, v);" for n in range(len(ASKED))]
    + [f"CREATE TABLE k{n}(v NOT NULL, id INTEGER, PRIMARY KEY (v));" for n in range(len(ASKED_OF_KEYS))]
)

#: Without shrinking: each try is a trip of a hundred tables.
PHASES = (Phase.explicit, Phase.generate)

NASTY = [
    None,
    *(0, 1, -1, 2, 2**15, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 1_709_208_000, 1_709_208_000_123),
    *(0.0, -0.0, 1.0, 1.5, 0.1, 1e16, 1e300, 5e-324, math.inf, -math.inf, 1 / 3, 1709208000.1234567),
    *TEXTS,
    *("[]", "null", "{a}"),
    *(b"", b"a", b"1", b"\x00\xff", b"{}", b"0123456789abcdef"),
    *(value for _, value, _ in [*BECOMES, *REFUSED]),
    *(value for _, value in KEYS),
]


class Trip:
    """One source under capture and its target."""

    def __init__(self, path: Path, url: str, target: Target) -> None:
        self.path, self.url, self.target = path, url, target
        self.database = sqlite3.connect(path, isolation_level=None)
        self.plans: dict[int, TablePlan] = {}

    async def begin(self) -> None:
        """Install the capture and create the tables with their keys."""
        found, _ = tables(self.database)
        captured = capture.install(self.database, [(table, choose(table)) for table in found], 5.0)
        empty = [Evidence(), Evidence()]
        self.plans = {c.id: plan_table(c.table, "public", empty, OVERRIDES) for c in captured}
        self.source_id = capture.source_id(self.database) or UUID(int=0)
        self.place = changelog.place(self.database, changelog.head(self.database))
        lanes = {number: [Bounds()] for number in self.plans}
        facts = self.source_id, str(self.path), "public", self.plans, lanes, self.place, 1, 1
        await loader.create(self.target, *facts)
        quarantine = Quarantine(self.source_id, Facts(str(self.path), "public"))
        await Keying(self.target, Session(self.path), quarantine, halt=True).add(self.plans)

    def taken(self, values: Iterable[Any]) -> int:
        """Fill the tables with the values that each takes; the others must be refused by name."""
        stored = 0
        for plan in self.plans.values():
            of_key = plan.name.startswith("k")
            rows = [(v, 7) if of_key else (7, v) for v in values]
            rows = [row for row in rows if takes(plan, row)]
            numbered = [(r[0], n) if of_key else (n, r[1]) for n, r in enumerate(rows)]
            before = self.database.total_changes
            self.database.executemany(f"INSERT OR IGNORE INTO {plan.name} VALUES (?, ?)", numbered)
            stored += self.database.total_changes - before
        return stored

    async def copy(self) -> None:
        """Bring the rows over as the snapshot does."""
        for plan in self.plans.values():
            page = read_page(self.database, plan, None, 10_000)
            async with self.target.transaction() as connection:
                columns = [c.target for c in plan.record]
                records = plan.converter.rows(page.rows)
                await connection.copy_records_to_table(plan.name, columns=columns, records=records)

    async def stream(self) -> None:
        """Bring over what is in the change log."""
        batch = read_batch(self.database, self.plans, self.place, 1 << 20)
        if batch is not None:
            with closing(batch.spool):
                quarantine = Quarantine(self.source_id, Facts(str(self.path), "public"))
                await Applier(self.target, quarantine, self.plans, halt=True).apply(batch)
            self.place = batch.place

    async def clear(self) -> None:
        """Empty both sides, whatever an example that failed has left there."""
        for plan in self.plans.values():
            self.database.execute(f"DELETE FROM {plan.name}")
        await self.stream()
        for plan in self.plans.values():
            async with self.target.transaction() as connection:
                await connection.execute(f"TRUNCATE {plan.qualified}")

    async def check(self) -> None:
        """Assert that both sides are equal, for the independent comparison and for our own."""
        assert await compare.differences(self.path, self.url, columns=OVERRIDES) == []
        for plan in self.plans.values():
            rows = plan.converter.rows(read_page(self.database, plan, None, 10_000).rows)
            async with self.target.connection() as connection:
                found = await differences(connection, plan, rows)
            assert (found.missing, found.different) == ([], []), plan.name
            async for keys in target_keys(self.target, plan):
                assert absent(self.database, plan, keys) == [], plan.name


def takes(plan: TablePlan, row: tuple[Any, Any]) -> bool:
    """Tell whether a table takes a row; one that it does not must be refused with all that names it."""
    converter: Converter = plan.converter
    place = 0 if plan.name.startswith("k") else 1
    try:
        converter.rows([row])
        converter.refuse([row])
    except ValueRefused as refused:
        assert (refused.table, refused.column) == (plan.name, "v")
        assert refused.storage_class == storage_class(row[place])
        assert refused.reason
        assert place == 0 or refused.key == "7"
        return False
    return True


@pytest_asyncio.fixture
async def trip(tmp_path: Path, target_url: str) -> AsyncIterator[Trip]:
    """Prepare both sides."""
    with closing(sqlite3.connect(tmp_path / "app.db")) as database:
        database.executescript(SCRIPT)
    async with Target(target_url, size=2) as target:
        made = Trip(tmp_path / "app.db", target_url, target)
        # tens of thousands of commits, none of which has to outlive the machine
        made.database.execute("PRAGMA synchronous = OFF")
        with closing(made.database):
            await made.begin()
            yield made


async def everywhere(trip: Trip, values: list[Any]) -> int:
    """Send the values by COPY, then by the stream, then delete them by the stream; check each time."""
    await trip.clear()
    taken = trip.taken(values)
    await trip.copy()
    await trip.check()
    await trip.clear()
    trip.taken(values)
    await trip.stream()
    await trip.check()
    for plan in trip.plans.values():
        trip.database.execute(f"UPDATE {plan.name} SET id = id + 100000")
    await trip.stream()
    await trip.check()
    for plan in trip.plans.values():
        trip.database.execute(f"DELETE FROM {plan.name}")
    await trip.stream()
    await trip.check()
    return taken


async def test_a_nasty_value_arrives_equal_or_is_refused(trip: Trip) -> None:
    """All that the tables of conversions name, and look-alikes, under every type."""
    assert await everywhere(trip, NASTY) > len(BECOMES)


@settings(
    max_examples=2, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    values=st.lists(
        st.one_of(
            st.integers(-(2**63), 2**63 - 1),
            st.floats(allow_nan=False),
            st.floats(1e9, 3e9),
            st.text(st.characters(codec="utf-8"), max_size=20),
            st.binary(max_size=20),
            st.datetimes().map(str),
            st.datetimes(timezones=st.timezones()).map(lambda t: t.isoformat()),
            st.dates().map(str),
            st.times().map(str),
            st.uuids().map(str),
            st.decimals(allow_nan=False, allow_infinity=False).map(str),
            st.ip_addresses().map(str),
            st.recursive(
                st.none() | st.booleans() | st.integers().map(str) | st.text(st.characters(codec="utf-8")),
                lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
                max_leaves=5,
            ).map(json.dumps),
        ),
        min_size=10,
        max_size=60,
    )
)
async def test_any_value_arrives_equal_or_is_refused(trip: Trip, values: list[Any]) -> None:
    """The same for values that nobody thought of."""
    await everywhere(trip, values)


def test_every_type_is_among_those_that_are_tried() -> None:
    """None may be asked for that no value was sent through."""
    from replicator.values.conversions import KNOWN, parse

    assert {parse(wanted, "").name for wanted in ASKED} >= set(KNOWN) - {"bigint", "bytea"}
