"""What is to be known of the target's server, its database and our way there."""

from __future__ import annotations

import shutil
import ssl

import asyncpg

from replicator.postgres.connections import Connection, Target
from triggers.identifier import quote
from triggers.statements import load

from .checks import Findings, Level

SQL = load("replicator", "checks.sql")

MIB = 1 << 20

#: The newest major version that liteferry is tested with.
NEWEST = 18

#: Sessions that a pooler must have for us: what holds one may wait for another.
LEAST_POOL = 3

#: How many times the sources' size the target needs: tables, indexes, and its own WAL meanwhile.
ROOM = 3

#: Orders of text that are SQLite's own, byte by byte.
BY_BYTES = ("C", "POSIX", "C.UTF-8", "C.UTF8", "C.utf8", "PG_UNICODE_FAST")


async def check_server(
    found: Findings, target: Target, connection: Connection, wanted: int, to_come: int
) -> asyncpg.Record:
    """Look at the server that a connection leads to, and return what it told of itself.

    `wanted` is how many connections a daemon would hold, `to_come` how many bytes of sources it would copy.
    """
    server = await connection.fetchrow(SQL["server"])
    assert server is not None, "a session has a database and a role"
    found.add("connection", Level.PASS, f"database {server['database']!r} as role {server['role']!r}")
    direct = connection.get_server_pid() == server["pid"]
    _pooler(found, direct, prepared=not target.pooled, wanted=wanted)
    _encryption(found, connection, server["local"] if direct else None)
    _version(found, server)
    _encoding(found, server)
    await _collation(found, connection, server)
    _writable(found, server)
    _connections(found, server, wanted)
    await _time_limits(found, connection, server)
    await _statistics(found, connection)
    await _room(found, connection, server["local"] and direct, to_come)
    return server


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


def _encryption(found: Findings, connection: Connection, local: bool | None) -> None:
    """Look at the line itself; behind a pooler the server knows only of the pooler's."""
    transport = getattr(connection, "_transport", None)
    line = transport.get_extra_info("ssl_object") if transport is not None else None
    hint = "add ?sslmode=verify-full&sslrootcert=FILE to the URL: docs/howto/tls.md"
    if line is None:
        if local:
            found.add("encryption", Level.PASS, "none, and none needed: the server is on this machine")
        else:
            text = "rows and password go through the network in the clear"
            found.add("encryption", Level.WARN, text, hint)
    elif line.context.verify_mode is not ssl.CERT_REQUIRED:
        text = f"{line.version()}, but the server's certificate is not looked at: anybody could be there"
        found.add("encryption", Level.PASS if local else Level.WARN, text, hint)
    elif not line.context.check_hostname:
        text = f"{line.version()}, the certificate is verified but not the name in it"
        found.add("encryption", Level.PASS if local else Level.WARN, text, hint)
    else:
        found.add("encryption", Level.PASS, f"{line.version()}, certificate and name are verified")


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


async def _collation(found: Findings, connection: Connection, server: asyncpg.Record) -> None:
    name = server["locale"] or server["collation"]
    if server["version"] >= 150_000:
        made, now = await connection.fetchrow(SQL["collation_versions"]) or (None, None)
        if made is not None and made != now:
            text = f"the database was made with version {made} of {name}, the system has {now}"
            hint = (
                "its indexes over text may be out of order: REINDEX DATABASE, then "
                f"ALTER DATABASE {quote(server['database'])} REFRESH COLLATION VERSION"
            )
            found.add("collation", Level.WARN, text, hint)
            return
    if name in BY_BYTES:
        found.add("collation", Level.PASS, f"{name}: texts are in SQLite's order, by bytes")
        return
    text = f"{name}: ORDER BY and comparisons of text follow a language; SQLite's go by bytes"
    hint = (
        "where the application relies on the order: COLLATE \"C\" there, or a database with LOCALE 'C.UTF-8'"
    )
    found.add("collation", Level.WARN, text, hint)


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
    # one of those in use is this very one
    left = [server["most"] - server["reserved"] - server["used"] + 1]
    for limit, used in (("role_limit", "role_used"), ("database_limit", "database_used")):
        if server[limit] >= 0:
            left.append(server[limit] - server[used] + 1)
    text = f"{min(left)} left, liteferry takes up to {wanted}"
    text += f" ({server['used']} of {server['most']} in use, {server['reserved']} reserved)"
    if min(left) < wanted:
        hint = "raise max_connections (or the limit of role or database), or run with a smaller --parallel"
        found.add("connections", Level.WARN, text, hint)
    else:
        found.add("connections", Level.PASS, text)


async def _time_limits(found: Findings, connection: Connection, server: asyncpg.Record) -> None:
    """An index on a large table takes its time, and so does a transaction with a large batch."""
    limits = [f"{row['name']} = {row['value']}" for row in await connection.fetch(SQL["time_limits"])]
    if limits:
        names = [limit.split(" ")[0] for limit in limits]
        hint = "; ".join(f"ALTER ROLE {quote(server['role'])} SET {name} = 0" for name in names)
        text = f"statements of liteferry are ended before they are done: {', '.join(limits)}"
        found.add("time limits", Level.WARN, text, hint)
    else:
        found.add("time limits", Level.PASS, "none")


async def _statistics(found: Findings, connection: Connection) -> None:
    if await connection.fetchval(SQL["has_statements"]):
        found.add("extensions", Level.PASS, "pg_stat_statements is there")
        return
    text = (
        "pg_stat_statements is not there: with it `liteferry status --after-cutover` tells the slowest "
        "statements (shared_preload_libraries, then CREATE EXTENSION pg_stat_statements)"
    )
    found.add("extensions", Level.PASS, text)


async def _room(found: Findings, connection: Connection, local: bool, to_come: int) -> None:
    wanted = ROOM * to_come // MIB
    folder = await connection.fetchval(SQL["data_directory"]) if local else None
    try:
        free = shutil.disk_usage(folder).free // MIB if folder else None
    except OSError:
        free = None
    needed = f"some {max(wanted, 1):,} MiB will be needed"
    if free is None:
        found.add("target disk", Level.PASS, f"{needed}; the server does not tell what is free")
    elif free < wanted:
        hint = "make room for tables, indexes and WAL, or use another tablespace"
        found.add("target disk", Level.WARN, f"{needed}, {free:,} are free", hint)
    else:
        found.add("target disk", Level.PASS, f"{needed}, {free:,} are free")
