"""What a bug report needs to know of both sides; what cannot be learnt is told as an error in its place."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg

from config.errors import LiteferryError
from config.sources import SIDE_FILES
from replicator.postgres.connections import Connection, Target, describe
from triggers.connection import connect
from triggers.diagnosis import diagnose
from triggers.statements import load
from triggers.wal import used_bytes

from .filesystem import missing_permissions, mount_type

SQL = load("replicator", "diagnosis.sql")

#: How long the target may take to answer all.
SECONDS = 30.0

#: Parts of the bookkeeping that may be missing, each under the table that it is about.
PARTS = {
    "sources": "source",
    "tables": "progress",
    "cutovers": "cutover",
    "verifications": "verification",
    "ordered": "orders",
}


def source_facts(path: Path) -> dict[str, Any]:
    """Return what can be told of one source. Opens the file: not for a process that has it open already."""
    facts: dict[str, Any] = {"path": str(path), "files": list(_files(path))}
    try:
        usage = shutil.disk_usage(path.parent)
        facts |= {"disk_free_bytes": usage.free, "disk_bytes": usage.total}
        facts["filesystem"] = mount_type(path)
        facts["missing_permissions"] = missing_permissions(path)
        facts["wal_used_bytes"] = used_bytes(Path(f"{path}-wal"))
        facts["open_in"] = list(_holders(path))
        connection = connect(path)
    except (OSError, LiteferryError) as error:
        return {**facts, "error": _why(error)}
    try:
        return {**facts, "database": diagnose(connection)}
    except sqlite3.Error as error:
        # its text can quote what is stored
        return {**facts, "error": f"{type(error).__name__} ({getattr(error, 'sqlite_errorname', '')})"}
    finally:
        connection.close()


def _why(error: Exception) -> str:
    if isinstance(error, LiteferryError):
        return str(error)
    return f"{type(error).__name__}: {getattr(error, 'strerror', '') or 'unknown'}"


def _files(path: Path) -> Iterator[dict[str, Any]]:
    for end in ("", *SIDE_FILES):
        one = Path(f"{path}{end}")
        try:
            found = os.lstat(one)
        except OSError:
            continue
        yield {
            "name": one.name,
            "bytes": found.st_size,
            "mode": stat.filemode(found.st_mode),
            "owner": found.st_uid,
            "group": found.st_gid,
            "inode": found.st_ino,
            "changed": round(found.st_mtime, 3),
        }


def _holders(path: Path) -> Iterator[dict[str, Any]]:
    """Tell which processes have the file open, as far as this user may see that."""
    wanted = os.stat(path)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            held = any(os.path.samestat(os.stat(one), wanted) for one in _descriptors(process))
            if held and process.name != str(os.getpid()):
                name = (process / "comm").read_text(errors="replace").strip()
                yield {"pid": int(process.name), "program": name, "user": process.stat().st_uid}
        except OSError:
            continue


def _descriptors(process: Path) -> Iterator[Path]:
    for one in (process / "fd").iterdir():
        if os.path.exists(one):
            yield one


async def target_facts(url: str) -> dict[str, Any]:
    """Return what can be told of the target."""
    target = Target(url, size=1)
    try:
        async with asyncio.timeout(SECONDS):
            async with target, target.connection() as connection:
                return await _inside(connection)
    except LiteferryError as error:
        return {"error": str(error)}
    except asyncpg.PostgresError as error:
        return {"error": describe(error)}
    except TimeoutError:
        return {"error": f"no answer within {SECONDS:g} s"}


async def _inside(connection: Connection) -> dict[str, Any]:
    async with connection.transaction(readonly=True):
        server = dict(await connection.fetchrow(SQL["server"]) or {})
        server["through_a_pooler"] = connection.get_server_pid() != server.pop("pid", None)
        there = {row["name"]: row["bytes"] for row in await connection.fetch(SQL["own_tables"])}
        facts: dict[str, Any] = {
            "server": server,
            "extensions": {r["name"]: r["version"] for r in await connection.fetch(SQL["extensions"])},
            "bookkeeping_bytes": there,
        }
    for part, table in PARTS.items():
        if table in there:
            facts[part] = await _part(connection, part)
    return facts


async def _part(connection: Connection, part: str) -> Any:
    """Return rows of our bookkeeping; one that an older version has made otherwise is told as an error."""
    try:
        async with connection.transaction(readonly=True):
            rows = [dict(row) for row in await connection.fetch(SQL[part])]
    except asyncpg.PostgresError as error:
        return {"error": describe(error)}
    for row in rows:
        if isinstance(row.get("notes"), str):
            row["notes"] = json.loads(row["notes"])
    return rows
