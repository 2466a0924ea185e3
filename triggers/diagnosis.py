"""What a bug report needs to know of a source: its format, and how our parts in it stand. No row is read."""

from __future__ import annotations

import json
import re
import sqlite3
from typing import Any

from . import capture, changelog, fence
from .changelog import GAPS
from .connection import reading
from .statements import load
from .trigger_sql import LOG, META, MIN_KEY_COLUMNS, TABLES, VERSION, fingerprint, log_sql

SQL = load("triggers", "changelog.sql")

#: What SQLite tells of the file as a whole.
PRAGMAS = (
    "journal_mode",
    "page_size",
    "page_count",
    "freelist_count",
    "encoding",
    "auto_vacuum",
    "schema_version",
    "user_version",
    "application_id",
)

_KEY_COLUMN = re.compile(r"\bk(\d+)\b")


def diagnose(connection: sqlite3.Connection) -> dict[str, Any]:
    """Return what is to be told of a source; raises sqlite3.Error for a file that cannot be read."""
    with reading(connection):
        present = capture.installed_triggers(connection)
        parts = {name: _has(connection, name) for name in (LOG, TABLES, META, GAPS)}
        return {
            "library": sqlite3.sqlite_version,
            **{name: connection.execute(f"PRAGMA main.{name}").fetchone()[0] for name in PRAGMAS},
            "installation": str(capture.source_id(connection)) if parts[META] else None,
            "fenced_by": str(fence.fenced_by(connection)) if fence.is_fenced(connection) else None,
            "our_tables": parts,
            "our_triggers": len(present),
            "log": _log(connection) if parts[LOG] else None,
            "captured": _captured(connection, present) if parts[TABLES] else [],
            "mending_statement": mending_statement(present, log_exists=parts[LOG]),
        }


def mending_statement(present: dict[str, str], *, log_exists: bool) -> str | None:
    """Return what makes the application's writes work again where the log is gone but triggers are not.

    With a log, however empty, they succeed at once; that it is not the old one is noticed by the daemon,
    which then reads all tables again. Pure.
    """
    ours = [sql for name, sql in present.items() if capture.is_numbered(name)]
    if log_exists or not ours:
        return None
    widths = [int(number) for sql in ours for number in _KEY_COLUMN.findall(sql)]
    return f"{log_sql(max([MIN_KEY_COLUMNS, *widths]))};"


def _log(connection: sqlite3.Connection) -> dict[str, Any]:
    oldest, newest = connection.execute(SQL["span"]).fetchone()
    return {
        "oldest": oldest,
        "newest": newest,
        "positions": int(connection.execute(SQL["entries"]).fetchone()[0]),
        "key_columns": int(connection.execute(SQL["log_width"]).fetchone()[0]),
        "compacted": changelog.compacted(connection),
    }


def _captured(connection: sqlite3.Connection, present: dict[str, str]) -> list[dict[str, Any]]:
    found = []
    owners = dict(connection.execute(SQL["trigger_owners"]).fetchall())
    for number, name, kind, columns, mark in connection.execute(SQL["read_tables"]).fetchall():
        names = capture.named_for(number, present)
        texts = [present[one] for one in names]
        found.append(
            {
                "number": number,
                "name": name,
                "key": kind,
                "key_columns": json.loads(columns or "[]"),
                "triggers": len(names),
                "on": sorted({owners[one] for one in names}),
                # how many there must be is told by the text of all of them alone
                "as_put_in": bool(texts) and mark == f"{VERSION}:{fingerprint(texts)}",
                "version": str(mark or "").partition(":")[0],
            }
        )
    return found


def _has(connection: sqlite3.Connection, name: str) -> bool:
    return bool(connection.execute(SQL["has_object"], {"name": name}).fetchone()[0])
