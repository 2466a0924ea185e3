"""No value of any class is stored as another one: it arrives equal or is refused, by COPY and by upsert."""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.errors import ValueRefused
from replicator.planning.plan import ColumnPlan, TablePlan
from replicator.postgres.quarantine import VALUE_ERRORS
from replicator.schema import ddl, dml
from replicator.values.conversions import PLAIN
from replicator.values.converter import BadText
from tests.conversion_cases import TEXTS
from triggers.key import Key, KeyKind
from triggers.schema import Column, Table

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection

#: Type on the target, whether the user asked for it, and the declaration in the source.
FORMS = [(pg_type, False, "") for pg_type in PLAIN] + [
    ("text", True, ""),
    # a REAL column turns every integer into a real, so only text and blobs are left for the driver to refuse
    ("double precision", False, "REAL"),
]

NASTY = [
    *(0, 1, -1, 2, 2**15, -(2**15) - 1, 2**31, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)),
    *(0.0, -0.0, 1.0, 1.5, 0.1, 1e16, 1e23, 1e300, 5e-324, 2.0**63, math.inf, -math.inf, 1 / 3),
    *TEXTS,
    *("\ud800", "\\x00"),
    *(b"", b"a", b"1", b"\x00\xff", b"true", b"\\x00"),
    BadText(),
]


def plan_for(schema: str, pg_type: str, overridden: bool, declared: str) -> TablePlan:
    """Return the plan of a table t(id, v) in a schema of its own, whose v gets that type."""
    columns = (Column("id", "INTEGER", True, None, 1), Column("v", declared, False, None, 0))
    planned = (ColumnPlan("id", "id", "bigint"), ColumnPlan("v", "v", pg_type, overridden=overridden))
    return TablePlan(Table("t", columns), Key(KeyKind.ROWID_ALIAS, ("id",)), schema, planned)


PLANS = {form: plan_for(f"s{number}", *form) for number, form in enumerate(FORMS)}


async def copy(connection: Connection, plan: TablePlan, value: Any) -> None:
    """Store as the snapshot does."""
    records = plan.converter.rows([(1, value)])
    await connection.copy_records_to_table(plan.name, schema_name=plan.schema, records=records)


async def upsert(connection: Connection, plan: TablePlan, value: Any) -> None:
    """Store as the tail does."""
    await connection.execute(dml.upsert(plan), *plan.converter.columns([(1, value)]))


async def stored(connection: Connection, plan: TablePlan, value: Any, way: Any) -> list[Any]:
    """Return what the table holds after a value was sent to it, nothing when it was refused."""
    around = connection.transaction()
    await around.start()
    try:
        with contextlib.suppress(ValueRefused, *VALUE_ERRORS):
            async with connection.transaction():
                await way(connection, plan, value)
        return [row["v"] for row in await connection.fetch(f"SELECT v FROM {plan.qualified}")]
    finally:
        await around.rollback()


def equal(plan: TablePlan, value: Any, found: Any) -> bool:
    """Tell whether what was found is the value, and not merely like it."""
    if plan.columns[1].overridden and type(value) in (int, float):
        return isinstance(found, str) and type(value)(found) == value and str(value) == found
    if isinstance(value, float) and isinstance(found, Decimal):
        negative_zero = value == 0 and math.copysign(1, value) < 0
        # a whole number that SQLite takes for equal to an integer has all of its digits
        exact = Decimal(value) if abs(value) < 2**63 and value.is_integer() else Decimal(repr(value))
        return float(found) == value and exact == found and not negative_zero
    if isinstance(value, float):
        return bool(found == value and math.copysign(1, found) == math.copysign(1, value))
    if isinstance(value, int):
        return type(found) in (int, bool, Decimal, float) and int(found) == value == found
    return type(found) is type(value) and bool(found == value)


async def check(connection: Connection, form: tuple[str, bool, str], value: Any) -> None:
    """Assert that both ways store the value itself or nothing, and agree on which."""
    plan = PLANS[form]
    if form[2] == "REAL" and type(value) is int:
        return
    by_copy = await stored(connection, plan, value, copy)
    by_upsert = await stored(connection, plan, value, upsert)
    for found in (by_copy, by_upsert):
        assert len(found) <= 1
        assert not found or equal(plan, value, found[0]), f"{form}: {value!r} became {found[0]!r}"
    assert len(by_copy) == len(by_upsert)


@pytest_asyncio.fixture
async def connection(target_url: str) -> AsyncIterator[Connection]:
    """Connect to a database with a table per type."""
    opened = await asyncpg.connect(target_url)
    for plan in PLANS.values():
        for statement in (f"CREATE SCHEMA {plan.schema}", ddl.create_table(plan), ddl.replica_key(plan)):
            await opened.execute(statement)
    yield opened
    await opened.close()


async def test_a_nasty_value_is_stored_equal_or_not_at_all(connection: Connection) -> None:
    """Limits, look-alikes and what no type holds, against every type."""
    for form in FORMS:
        for value in NASTY:
            await check(connection, form, value)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    form=st.sampled_from(FORMS),
    value=st.one_of(
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        st.text(max_size=20),
        st.binary(max_size=20),
    ),
)
async def test_any_value_is_stored_equal_or_not_at_all(
    form: tuple[str, bool, str], value: Any, connection: Connection
) -> None:
    """The same for values that nobody thought of."""
    await check(connection, form, value)


async def test_the_driver_refuses_what_passes_unchecked(connection: Connection) -> None:
    """Text and blobs are sent as they are; what the strict rules would refuse, the driver must."""
    for pg_type, values in {
        "text": [1, 1.5, True, b"x", "a\x00b", "\udfff", BadText()],
        "bytea": [1, 1.5, "x", BadText()],
    }.items():
        plan = PLANS[(pg_type, False, "")]
        assert not plan.converter._converted and not plan.converter._checked
        for value in values:
            assert await stored(connection, plan, value, copy) == []
            assert await stored(connection, plan, value, upsert) == []


async def test_a_refused_row_takes_its_whole_batch_back(connection: Connection) -> None:
    """The driver finds a wrong value when others are on their way already: none of them stays."""
    plan = PLANS[("text", False, "")]
    rows = [(n, "x" * 1000) for n in range(5000)] + [(5001, 7)]
    with pytest.raises(VALUE_ERRORS):
        await connection.copy_records_to_table(
            "t", schema_name=plan.schema, records=plan.converter.rows(rows)
        )
    assert await connection.fetchval(f"SELECT count(*) FROM {plan.qualified}") == 0


async def test_null_is_null_in_every_type(connection: Connection) -> None:
    """By both ways, whatever the type."""
    for plan in PLANS.values():
        assert await stored(connection, plan, None, copy) == [None]
        assert await stored(connection, plan, None, upsert) == [None]
