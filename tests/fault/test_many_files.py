"""Several files of one application, with different tables under one name, go to one database in one run."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event

from tests.compare import differences
from tests.databases import from_source, on_target
from tests.fault.scene import HASTY
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource

#: The same names for other things, a cycle of references, rows that break them, and a partial index.
FILES = {
    "debates": """
        CREATE TABLE debates(id TEXT PRIMARY KEY, topic TEXT NOT NULL, agreed INTEGER DEFAULT 0, made REAL);
        CREATE TABLE _schema_versions(module TEXT PRIMARY KEY, version INTEGER NOT NULL);
        INSERT INTO debates VALUES ('d1', 'first', 1, 1709208000.5), ('d2', 'second', 0, NULL);
        INSERT INTO _schema_versions VALUES ('debates', 3);""",
    "memory": """
        CREATE TABLE debates(id INTEGER PRIMARY KEY AUTOINCREMENT, task TEXT, at TEXT, UNIQUE(task, at));
        CREATE TABLE critiques(id INTEGER PRIMARY KEY, debate INTEGER REFERENCES debates ON DELETE CASCADE);
        CREATE TABLE _schema_versions(module TEXT PRIMARY KEY, version INTEGER NOT NULL, at TEXT);
        INSERT INTO debates(task, at) VALUES ('one', '2026-01-01'), ('two', '2026-01-02'), ('two', '2026');
        DELETE FROM debates WHERE id = 3;
        INSERT INTO critiques VALUES (1, 1), (2, 77);""",
    "users": """
        CREATE TABLE users(id TEXT PRIMARY KEY, org TEXT REFERENCES organizations(id), active INTEGER, n INT);
        CREATE TABLE organizations(id TEXT PRIMARY KEY, owner TEXT REFERENCES users(id));
        CREATE UNIQUE INDEX one_active ON users(org) WHERE active = 1;
        INSERT INTO users VALUES ('u1', 'o1', 1, 0), ('u2', 'o1', 0, 0);
        INSERT INTO organizations VALUES ('o1', 'u1');""",
}
#: What the application does all the time: {n} counts.
WRITES = {
    "debates": (
        "REPLACE INTO debates VALUES ('d{n}', 'topic {n}', {n} % 2, {n} / 7.0)",
        "UPDATE debates SET id = 'moved {n}' WHERE id = 'd{n}' AND {n} % 3 = 0",
    ),
    "memory": (
        "INSERT INTO debates(task, at) VALUES ('task {n}', '2026')",
        "INSERT INTO critiques(debate) SELECT max(id) - {n} % 5 FROM debates",
        "DELETE FROM debates WHERE id % 4 = 0",
    ),
    "users": (
        "INSERT INTO users VALUES ('new {n}', 'o{n}', 1, {n})",
        "UPDATE users SET active = 1 - active WHERE id = 'u1'",
        "REPLACE INTO organizations VALUES ('o{n}', 'new {n}')",
    ),
}


def write(path: Path, over: Event) -> int:
    """Write as the application until the cutover refuses it; return how many transactions were done."""
    with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as application:
        for n in itertools.count(10):
            try:
                application.executescript(
                    ";".join(["BEGIN IMMEDIATE", *(s.format(n=n) for s in WRITES[path.stem]), "COMMIT"])
                )
            except sqlite3.IntegrityError as error:
                assert "moved to PostgreSQL" in str(error)
                return n - 10
            if over.wait(0.002):
                break
    return 0


def foreign_keys(url: str) -> dict[str, bool]:
    """Return the foreign keys that there are by table, and whether all rows are known to keep them."""
    rows = on_target(
        url, "SELECT conrelid::regclass::text, convalidated FROM pg_constraint WHERE contype = 'f'"
    )
    return {str(table): bool(valid) for table, valid in rows if not str(table).startswith("liteferry.")}


def test_files_with_the_same_tables_move_in_one_run(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Each to a schema of its own, written to all the time until the one cutover of all."""
    paths = [make_source(f"{name}.db", script) for name, script in FILES.items()]
    over = Event()
    with ThreadPoolExecutor(len(paths)) as threads:
        writing = [threads.submit(write, path, over) for path in paths]
        try:
            running = daemon(paths, target_url, env=HASTY)
            running.wait_ready(60)
            assert running.cutover()["outcome"] == "cut_over"
            assert min(one.result(30) for one in writing) > 10
            running.wait_log("foreign keys and statistics are done")
        finally:
            over.set()
    for path in paths:
        assert asyncio.run(differences(path, target_url, path.stem)) == []
    assert foreign_keys(target_url) == {
        "memory.critiques": False,
        "users.users": True,
        "users.organizations": True,
    }
    [(index,)] = on_target(target_url, "SELECT indexdef FROM pg_indexes WHERE indexname = 'one_active'")
    assert str(index).endswith("WHERE (active = 1)")
    [(highest,)] = from_source(paths[1], "SELECT seq FROM sqlite_sequence WHERE name = 'debates'")
    on_target(target_url, "INSERT INTO memory.debates(task) VALUES ('next'); SELECT 1")
    assert on_target(target_url, "SELECT max(id) FROM memory.debates") == [(int(str(highest)) + 1,)]
