"""An application's table with every conversion goes the whole way: copy, stream, restart, verify, cutover."""

from __future__ import annotations

import json
from pathlib import Path

from tests.compare import differences
from tests.databases import on_source, on_target
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource

from .scene import settle

COLUMNS = {
    "account.id": "uuid from hex",
    "account.active": "boolean",
    "account.verified": "boolean",
    "account.born": "date",
    "account.wakes": "time",
    "account.seen_at": "timestamptz in UTC",
    "account.created": "timestamptz from epoch_s rounded",
    "account.updated": "timestamptz from epoch_ms",
    "account.traced": "timestamptz from epoch_ns",
    "account.observed": "timestamptz from julian",
    "account.local_time": "timestamp",
    "account.settings": "jsonb",
    "account.raw": "json",
    "account.tags": "text[]",
    "account.ip": "inet",
    "account.net": "cidr",
    "account.mac": "macaddr",
    "account.balance": "numeric(12,2)",
    "account.rate": "numeric",
    "account.ratio": "real lossy",
    "account.level": "smallint",
    "account.name": "varchar(20)",
    "account.code": "char(2)",
    "account.note": "text",
    "visit.account": "uuid from hex",
    "visit.at": "timestamptz from epoch_us",
}

SCRIPT = """
CREATE TABLE account(
    id TEXT PRIMARY KEY NOT NULL, active INTEGER DEFAULT 1, verified TEXT, born TEXT, wakes TEXT,
    seen_at TEXT, created REAL, updated INTEGER, traced INTEGER, observed REAL, local_time TEXT,
    settings TEXT DEFAULT '{}',
    raw JSON, tags TEXT DEFAULT '[]', ip TEXT, net TEXT, mac TEXT, balance TEXT, rate DECIMAL, ratio REAL,
    level INTEGER, name TEXT, code TEXT, note);
CREATE TABLE visit(account TEXT REFERENCES account(id), at INTEGER, PRIMARY KEY (account, at)) WITHOUT ROWID;
"""

#: A row of the application, by its number.
ROW = """
SELECT lower(printf('%032x', {n})), {n} % 2, CASE {n} % 3 WHEN 0 THEN 'true' WHEN 1 THEN 'No' ELSE 'off' END,
    date('2000-01-01', '{n} days'), time({n}, 'unixepoch'),
    strftime('%Y-%m-%d %H:%M:%f', 1700000000 + {n}, 'unixepoch') ||
    CASE {n} % 2 WHEN 0 THEN '' ELSE '+02:00' END,
    1700000000.1234567 + {n}, 1700000000000 + {n}, 1700000000000000000 + {n} * 1000,
    julianday('2024-01-01') + {n} / 7.0,
    '0001-01-01 00:00:00', '{{"b": {n}.50, "a": [1e2, null, "\\u00e9"]}}',
    '{{"z":1, "z":{n}}}', '["{n}", null, "a,b\\\\ \\"q\\" {{}}"]',
    '10.0.0.' || ({n} % 256) || '/24', '10.{n}.0.0/16',
    '08-00-2B-01-02-' || printf('%02X', {n} % 256), printf('%.2f', {n} * 1.1), {n} / 3.0, {n} / 3.0,
    {n} % 100, 'ü {n}', printf('%02d', {n} % 100), CASE {n} % 2 WHEN 0 THEN {n} ELSE 'text' END
"""


def insert(*numbers: int) -> str:
    """Return the statements that insert accounts with a visit each."""
    return "".join(
        f"INSERT INTO account {ROW.format(n=n)}; INSERT INTO visit VALUES (lower(printf('%032x', {n})), {n});"
        for n in numbers
    )


def configuration(folder: Path) -> Path:
    """Write the types that the application wants."""
    path = folder / "liteferry.toml"
    path.write_text("[columns]\n" + "".join(f'"{n}" = "{w}"\n' for n, w in COLUMNS.items()))
    return path


async def test_every_conversion_goes_the_whole_way(
    daemon: StartDaemon, make_source: MakeSource, target_url: str, tmp_path: Path
) -> None:
    """What was copied, inserted, updated and deleted is equal, also for a daemon that was started again."""
    source = make_source(script=SCRIPT + insert(*range(1, 60)))
    arguments = ("--config", configuration(tmp_path))
    running = daemon(source, target_url, args=arguments)
    settle(running, source)
    assert await differences(source, target_url, columns=COLUMNS) == []

    on_source(source, insert(*range(60, 90)))
    on_source(
        source, "UPDATE account SET settings = '[true]', tags = NULL, seen_at = 'infinity' WHERE level < 9"
    )
    on_source(source, "DELETE FROM visit WHERE at % 2; DELETE FROM account WHERE level BETWEEN 20 AND 30")
    settle(running, source)
    assert await differences(source, target_url, columns=COLUMNS) == []
    running.stop()

    # the plan is remembered with its conversions
    on_source(source, insert(*range(90, 99)) + "UPDATE account SET id = upper(id) WHERE 0;")
    running = daemon(source, target_url, args=arguments)
    settle(running, source)
    assert running.verify()["equal"], json.dumps(running.verify(), indent=1)
    assert await differences(source, target_url, columns=COLUMNS) == []
    assert running.cutover()["outcome"] == "cut_over"
    defaults = "INSERT INTO account(id) VALUES (gen_random_uuid()); SELECT 1"
    on_target(target_url, defaults)
    found = on_target(target_url, "SELECT settings, tags, active FROM account WHERE born IS NULL")
    assert found == [("{}", [], True)]


def test_a_value_that_the_type_refuses_stops_the_daemon_by_name(
    daemon: StartDaemon, make_source: MakeSource, target_url: str, tmp_path: Path
) -> None:
    """In the stream: table, key and column are told, the value is not."""
    source = make_source(script=SCRIPT + insert(1))
    halting = {"LITEFERRY_ON_BAD_VALUE": "halt"}
    running = daemon(source, target_url, env=halting, args=("--config", configuration(tmp_path)))
    settle(running, source)
    on_source(source, "UPDATE account SET seen_at = 'yesterday evening'")

    assert running.wait_end() == 5
    assert "column 'seen_at': a value of type text cannot be stored" in running.log
    assert "yesterday" not in running.log
