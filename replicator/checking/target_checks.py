"""What is to be known of the target before anything is created there; reads in a read-only transaction."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

import asyncpg

from config.errors import LiteferryError, TargetError
from replicator.postgres import catalogue
from replicator.postgres.connections import CONTROL, Connection, Target, describe
from replicator.state import State
from replicator.uninstall import is_copy
from triggers.identifier import quote
from triggers.statements import load

from .checks import Check, Findings, Level, Survey, counted, shown
from .server_checks import check_server

SQL = load("replicator", "checks.sql")

SUBJECT = "target"

OWN_SCHEMA = "liteferry"


async def check_target(
    target: Target, surveys: Sequence[Survey], connections: int, *, adopt: bool = False
) -> list[Check]:
    """Look at everything about a target that is not open yet; raises nothing for what is wrong with it.

    `connections` is how many a daemon for these sources would hold at once; with `adopt` tables that are
    there already are to be filled.
    """
    found = Findings(SUBJECT)
    try:
        await target.connect()
        try:
            async with target.connection() as connection, connection.transaction(readonly=True):
                await _inside(found, target, connection, surveys, connections, adopt)
        finally:
            await target.close()
    except LiteferryError as error:
        hint = "check that PostgreSQL runs there, and that host and port are right"
        found.add("connection", Level.FAIL, str(error), hint if error.retryable else error.hint)
    except asyncpg.PostgresError as error:
        found.refused("connection", TargetError(f"the target refused to be looked at: {describe(error)}"))
    return found.checks


async def _inside(
    found: Findings,
    target: Target,
    connection: Connection,
    surveys: Sequence[Survey],
    connections: int,
    adopt: bool,
) -> None:
    server = await check_server(found, target, connection, connections, bytes_to_come(surveys))
    await _privileges(found, connection, server, surveys)
    for survey in surveys:
        await _contents(found, connection, survey, adopt)


def bytes_to_come(surveys: Sequence[Survey]) -> int:
    """Return the size of all sources together; one that cannot be looked at is told elsewhere."""
    sizes = 0
    for survey in surveys:
        with suppress(OSError):
            sizes += os.stat(survey.spec.path).st_size
    return sizes


async def _privileges(
    found: Findings, connection: Connection, server: asyncpg.Record, surveys: Sequence[Survey]
) -> None:
    grants = []
    role = quote(server["role"])
    if not server["may_create"]:
        grants.append(f"GRANT CREATE ON DATABASE {quote(server['database'])} TO {role}")
    wanted = sorted({OWN_SCHEMA, *(survey.spec.schema for survey in surveys)})
    closed = await connection.fetch(SQL["schemas"], wanted)
    grants += [f"GRANT USAGE, CREATE ON SCHEMA {quote(row['nspname'])} TO {role}" for row in closed]
    if grants:
        text = f"role {server['role']!r} may not create what is needed: schemas, and tables in them"
        found.add("privileges", Level.FAIL, text, "; ".join(grants))
    else:
        found.add("privileges", Level.PASS, "schemas and tables can be created")


async def _contents(found: Findings, connection: Connection, survey: Survey, adopt: bool) -> None:
    """See whether the target has the tables, and if so, whether it has them from us."""
    path = str(survey.spec.path)
    record = await _known(connection, survey)
    if record is not None:
        if is_copy(record["path"], survey.spec.path):
            text = f"{path} is a copy of {record['path']}, which this target follows"
            hint = "give the original, or `liteferry uninstall` the copy without a target"
            found.add("tables", Level.FAIL, text, hint)
            return
        text = f"{path} is known here, state {record['state']}: `liteferry run` goes on"
        moved = record["state"] == State.CUT_OVER.value
        found.add("tables", Level.WARN if moved else Level.PASS, text)
        return
    there = await _adoptable(found, connection, survey) if adopt else set()
    tables = [t.target for t in survey.tables if t.target not in there]
    rows = await connection.fetch(CONTROL["existing"], survey.spec.schema, tables)
    names = sorted(f"{row['relname']!r}{row['what']}" for row in rows)
    if names:
        told = shown(names, as_they_are=True)
        text = f"schema {survey.spec.schema!r} holds {len(names)} of the tables' names already: {told}"
        hint = "drop or rename them, choose another schema with --schema, or fill empty ones with --adopt"
        found.add("tables", Level.FAIL, text, hint)
    elif not there:
        found.add("tables", Level.PASS, f"none of {path} is there yet in schema {survey.spec.schema!r}")


async def _adoptable(found: Findings, connection: Connection, survey: Survey) -> set[str]:
    """Say what keeps tables that are there from being filled; return all that are there."""
    present = await catalogue.read(connection, survey.spec.schema, [t.target for t in survey.tables])
    obstacles = [text for table in present.values() for text in table.obstacles]
    for text in obstacles:
        found.add("tables", Level.FAIL, text, "see docs/howto/existing-schema.md")
    if present and not obstacles:
        text = f"{counted(len(present), 'table')} of {survey.spec.path} there, empty: filled as they are"
        found.add("tables", Level.PASS, f"{text}; `liteferry plan --adopt` tells how")
    return set(present)


async def _known(connection: Connection, survey: Survey) -> asyncpg.Record | None:
    if survey.source_id is None or not await connection.fetchval(SQL["has_bookkeeping"]):
        return None
    return await connection.fetchrow(SQL["known"], survey.source_id)
