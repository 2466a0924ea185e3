"""What is to be known of the target before anything is created there; reads in a read-only transaction."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from config.errors import LiteferryError, TargetError
from triggers.identifier import quote
from triggers.statements import load

from . import catalogue
from .checks import Check, Findings, Level, Survey, counted, shown
from .state import State
from .target import CONTROL, Connection, Target, describe
from .uninstall import is_copy

SQL = load("replicator", "checks.sql")

SUBJECT = "target"

#: The newest major version that liteferry is tested with.
NEWEST = 18

OWN_SCHEMA = "liteferry"

#: Sessions that a pooler must have for us: what holds one may wait for another.
LEAST_POOL = 3


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
    server = await connection.fetchrow(SQL["server"])
    assert server is not None, "a session has a database and a role"
    found.add("connection", Level.PASS, f"database {server['database']!r} as role {server['role']!r}")
    direct = connection.get_server_pid() == server["pid"]
    _pooler(found, direct, prepared=not target.pooled, wanted=connections)
    _version(found, server)
    _encoding(found, server)
    _writable(found, server)
    _connections(found, server, connections)
    await _privileges(found, connection, server, surveys)
    for survey in surveys:
        await _contents(found, connection, survey, adopt)


def _pooler(found: Findings, direct: bool, prepared: bool, wanted: int) -> None:
    """A pooler gives its clients process numbers of its own making."""
    if direct:
        found.add("pooler", Level.PASS, "none between us and PostgreSQL")
    elif prepared:
        text = 'a connection pooler answers instead of PostgreSQL, and `pooler = "none"` is set'
        hint = 'leave `pooler` at "auto", unless the pooler lends whole sessions (pool_mode = session)'
        found.add("pooler", Level.WARN, text, hint)
    else:
        text = (
            "a connection pooler answers instead of PostgreSQL: nothing is left in its sessions. Up to "
            f"{wanted} transactions at once; with fewer sessions in its pool they wait, {LEAST_POOL} must be"
        )
        found.add("pooler", Level.PASS, text)


def _version(found: Findings, server: asyncpg.Record) -> None:
    major = server["version"] // 10_000
    if major > NEWEST:
        text = (
            f"PostgreSQL {server['version_text']} is newer than what liteferry is tested with, 14 to {NEWEST}"
        )
        found.add("version", Level.WARN, text, "rehearse the whole migration on a copy first")
    else:
        found.add("version", Level.PASS, f"PostgreSQL {server['version_text']}")


def _encoding(found: Findings, server: asyncpg.Record) -> None:
    if server["encoding"] == "UTF8":
        found.add("encoding", Level.PASS, "UTF8")
        return
    text = f"the database's encoding is {server['encoding']}: it cannot hold every text of SQLite"
    hint = "CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
    found.add("encoding", Level.FAIL, text, hint)


def _writable(found: Findings, server: asyncpg.Record) -> None:
    if server["standby"]:
        hint = "give the primary's address; in a list of hosts add ?target_session_attrs=read-write"
        found.add("writable", Level.FAIL, "this server is a standby: nothing can be written", hint)
    elif server["read_only"]:
        text = "transactions are read-only here: default_transaction_read_only is on"
        hint = "ALTER ROLE, DATABASE or SYSTEM, whichever it is, ... RESET default_transaction_read_only"
        found.add("writable", Level.FAIL, text, hint)
    else:
        found.add("writable", Level.PASS, "it takes writes")


def _connections(found: Findings, server: asyncpg.Record, wanted: int) -> None:
    limits = [server[name] for name in ("role_limit", "database_limit") if server[name] >= 0]
    # one of those in use is this very one
    left = min([server["most"] - server["reserved"] - server["used"] + 1, *limits])
    text = f"{left} left, liteferry takes up to {wanted}"
    if left < wanted:
        hint = "raise max_connections (or the limit of role or database), or run with a smaller --parallel"
        found.add("connections", Level.WARN, text, hint)
    else:
        found.add("connections", Level.PASS, text)


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
