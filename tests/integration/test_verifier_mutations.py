"""The verifier is verified: each of these corruptions it must catch, and name the right place.

What it cannot catch, and why, is said in docs/howto/verification.md; `KEPT` are the cases of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass

import asyncpg
import pytest

from replicator.verification import counting
from replicator.verification.findings import TableReport
from replicator.verification.verifier import Verifier, Wish
from tests.fidelity.engine import Running, streaming
from tests.fixtures.sqlite import MakeSource
from triggers import changelog

SCRIPT = """
CREATE TABLE thing(
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, body BLOB, score REAL, amount NUMERIC, flag BOOLEAN, at TEXT,
    doc TEXT, big INTEGER, empty TEXT, price TEXT, day TEXT, mark TEXT
);
CREATE UNIQUE INDEX thing_name ON thing(name);
CREATE INDEX thing_big ON thing(big DESC, at);
CREATE INDEX thing_mark ON thing(mark COLLATE NOCASE);
INSERT INTO thing VALUES
    (1, 'one', x'00ff10', 0.3, 1.5, 1, '2024-02-29T12:00:00.123456Z', '{"a": 1, "b": [1, 2]}', 1 << 60,
     NULL, '12.50', '2024-02-29', 'caf' || char(233)),
    (2, 'two', x'', 0.0, 2, 0, '2024-02-29T12:00:00Z', '{"b": {"y": 1, "x": true}, "a": null}', -1, '',
     '0.10', '1999-12-31', 'Case'),
    (3, 'three', NULL, -1e-300, 0.1, NULL, NULL, '[]', NULL, 'x', NULL, NULL, NULL);
ALTER TABLE thing ADD COLUMN raw TEXT;
CREATE INDEX thing_raw ON thing(raw);
CREATE TABLE pair(a TEXT, b INTEGER, c TEXT, PRIMARY KEY(a, b)) WITHOUT ROWID;
INSERT INTO pair VALUES ('x', 1, 'p'), ('x', 2, 'q'), ('y', 1, 'r');
CREATE TABLE loose(x TEXT, y INT);
INSERT INTO loose VALUES ('twin', 1), ('twin', 1), ('other', 2);
CREATE TABLE child(
    id INTEGER PRIMARY KEY AUTOINCREMENT, thing INTEGER REFERENCES thing(id), n INT NOT NULL, UNIQUE(thing, n)
);
INSERT INTO child(thing, n) VALUES (1, 1), (1, 2), (2, 1);
"""

COLUMNS = {
    "thing.at": "timestamptz from iso in UTC",
    "thing.doc": "jsonb",
    "thing.price": "numeric(10,2)",
    "thing.day": "date",
    "thing.raw": "json",
}


@dataclass(frozen=True)
class Mutation:
    """What is done to the target, what the report must say, and how it is undone unless by a repair."""

    sql: str
    table: str
    told: str
    undo: str = ""


def value(assignment: str, row: int = 1) -> Mutation:
    """Return a mutation of one value, which must be named."""
    column = assignment.partition(" =")[0]
    sql = f"UPDATE thing SET {assignment} WHERE id = {row}"
    return Mutation(sql, "thing", f"different: key {row}, columns {column}")


ROWS = {
    "one bit in a blob": value("body = '\\x00ff11'"),
    "a byte more in a blob": value("body = '\\x00ff1000'"),
    "a blob that is NULL instead of empty": value("body = NULL", 2),
    "a trailing space": value("name = 'one '"),
    "another case": value("mark = 'case'", 2),
    "a letter composed in another way": value("mark = 'cafe' || chr(769)"),
    "NULL instead of an empty text": value("empty = NULL", 2),
    "an empty text instead of NULL": value("empty = ''"),
    "0.1 + 0.2 instead of 0.3": value("score = 0.1::float8 + 0.2::float8"),
    "negative zero": value("score = '-0'::float8", 2),
    "another last bit of a tiny number": value("score = '-1.0000000000000002e-300'::float8", 3),
    "a digit far behind the point": value("amount = 1.50000000000000000001"),
    "an integer off by one beyond 2^53": value("big = big + 1"),
    "a boolean flipped": value("flag = NOT flag"),
    "a boolean that is NULL": value("flag = NULL"),
    "a time off by one microsecond": value("at = at + interval '1 microsecond'"),
    "a time that is infinite": value("at = 'infinity'"),
    "a day off by one": value("day = day - 1"),
    "a cent": value("price = price + 0.01"),
    "JSON with another value": value("""doc = '{"a": 1, "b": [2, 1]}'"""),
    "JSON with 1 instead of true": value("""doc = jsonb_set(doc, '{b,x}', '1')""", 2),
    "JSON without a key that is null": value("doc = doc - 'a'", 2),
    "two rows whose values are swapped": Mutation(
        "UPDATE loose SET y = 3 - y", "loose", "different: key 3, columns y"
    ),
    "two keys swapped": Mutation(
        "UPDATE pair SET c = CASE b WHEN 1 THEN 'q' ELSE 'p' END WHERE a = 'x'", "pair", "columns c"
    ),
    "the columns of a key swapped": Mutation(
        "UPDATE pair SET b = 7 WHERE a = 'y'", "pair", "missing on the target: key <text of 1>, 1"
    ),
    "a row missing": Mutation("DELETE FROM child WHERE id = 2", "child", "missing on the target: key 2"),
    "all rows missing": Mutation("DELETE FROM pair", "pair", "missing on the target: key <text of 1>, 1"),
    "one of two twins missing": Mutation(
        "DELETE FROM loose WHERE _liteferry_rowid = 2", "loose", "missing on the target: key 2"
    ),
    "a row more": Mutation("INSERT INTO child VALUES (9, 3, 3)", "child", "extra on the target: key 9"),
    "a twin more": Mutation("INSERT INTO loose VALUES (9, 'twin', 1)", "loose", "extra on the target: key 9"),
    "a row under another key": Mutation(
        "UPDATE thing SET id = 17 WHERE id = 3", "thing", "extra on the target: key 17"
    ),
    "one row missing, another more": Mutation(
        "DELETE FROM pair WHERE a = 'y'; INSERT INTO pair VALUES ('z', 1, 'r')",
        "pair",
        "extra on the target: key <",
    ),
}

STRUCTURE = {
    "an index dropped": Mutation(
        "DROP INDEX thing_big", "thing", "index thing_big is not there",
        "CREATE INDEX thing_big ON thing(big DESC NULLS LAST, at NULLS FIRST)",
    ),
    "an index in another order": Mutation(
        "DROP INDEX thing_big; CREATE INDEX thing_big ON thing(at NULLS FIRST, big DESC NULLS LAST)",
        "thing", "index thing_big is defined in another way",
        "DROP INDEX thing_big; CREATE INDEX thing_big ON thing(big DESC NULLS LAST, at NULLS FIRST)",
    ),
    "an index that covers a part": Mutation(
        "DROP INDEX thing_name; CREATE UNIQUE INDEX thing_name ON thing(name NULLS FIRST) WHERE id > 1",
        "thing", "unique index thing_name is defined in another way",
        "DROP INDEX thing_name; CREATE UNIQUE INDEX thing_name ON thing(name NULLS FIRST)",
    ),
    "an index that is not unique": Mutation(
        "DROP INDEX thing_name; CREATE INDEX thing_name ON thing(name NULLS FIRST)",
        "thing", "unique index thing_name is defined in another way",
        "DROP INDEX thing_name; CREATE UNIQUE INDEX thing_name ON thing(name NULLS FIRST)",
    ),
    "a unique constraint dropped": Mutation(
        "ALTER TABLE child DROP CONSTRAINT child_thing_n_key", "child",
        "unique constraint child_thing_n_key is not there",
        "ALTER TABLE child ADD CONSTRAINT child_thing_n_key UNIQUE (thing, n)",
    ),
    "a unique index more": Mutation(
        "CREATE UNIQUE INDEX mine ON pair(c)", "pair",
        "unique index mine is only on the target", "DROP INDEX mine",
    ),
    "a key in another order": Mutation(
        "ALTER TABLE pair DROP CONSTRAINT pair_pkey; ALTER TABLE pair ADD PRIMARY KEY (b, a)",
        "pair", "primary key (a, b) has its columns in another order",
        "ALTER TABLE pair DROP CONSTRAINT pair_pkey; ALTER TABLE pair ADD PRIMARY KEY (a, b)",
    ),
    "another type": Mutation(
        "ALTER TABLE loose ALTER COLUMN y TYPE numeric", "loose", "column y is numeric, planned is bigint",
        "ALTER TABLE loose ALTER COLUMN y TYPE bigint",
    ),
    "another scale of a numeric": Mutation(
        "ALTER TABLE thing ALTER COLUMN price TYPE numeric(12,3)", "thing",
        "column price is numeric(12,3), planned is numeric(10,2)",
        "ALTER TABLE thing ALTER COLUMN price TYPE numeric(10,2)",
    ),
    "a column that refuses NULL": Mutation(
        "ALTER TABLE loose ALTER COLUMN x SET NOT NULL", "loose", "column x refuses NULL",
        "ALTER TABLE loose ALTER COLUMN x DROP NOT NULL",
    ),
    "a column that allows NULL": Mutation(
        "ALTER TABLE child ALTER COLUMN n DROP NOT NULL", "child", "column n allows NULL",
        "ALTER TABLE child ALTER COLUMN n SET NOT NULL",
    ),
    "a sequence dropped": Mutation(
        "ALTER TABLE child ALTER COLUMN id DROP IDENTITY", "child", "sequence of id is not there",
        "ALTER TABLE child ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY",
    ),
    "the guard switched off": Mutation(
        "ALTER TABLE pair DISABLE TRIGGER liteferry_guard", "pair", "trigger liteferry_guard is missing",
        "ALTER TABLE pair ENABLE TRIGGER liteferry_guard",
    ),
}  # fmt: skip

#: What is no difference to the verifier: PostgreSQL itself calls both equal, or does not keep the other.
KEPT = {
    "the order of keys in jsonb": 'UPDATE thing SET doc = \'{"b": [1, 2], "a": 1}\' WHERE id = 1',
    "the scale of a numeric without one": "UPDATE thing SET amount = 1.500 WHERE id = 1",
    "a time in another zone": "UPDATE thing SET at = '2024-02-29T13:00:00.123456+01:00' WHERE id = 1",
    "an index of the operator's own": "CREATE INDEX mine ON pair(c)",
}


class Scene:
    """A source and its target, held equal, and the verifier of the two."""

    def __init__(self, running: Running, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._pipeline = running.pipeline
        self._connection = connection

    async def on_target(self, sql: str) -> None:
        """Do something to the target as somebody who has put the guard aside."""
        await self._connection.execute(f"BEGIN; SET LOCAL liteferry.writer = 'on'; {sql}; COMMIT")

    async def verify(self, **wish: object) -> dict[str, TableReport]:
        """Compare both sides."""
        reports = await Verifier(self._pipeline).run(Wish(**wish))  # type: ignore[arg-type]  # by keyword
        return {report.name: report for report in reports}


@pytest.fixture
async def scene(make_source: MakeSource, target_url: str) -> AsyncIterator[Scene]:
    """Stream a source whose rows every mutation knows."""
    path = make_source(script=SCRIPT)
    connection = await asyncpg.connect(target_url)
    try:
        async with streaming(path, target_url, columns=COLUMNS) as running:
            with closing(sqlite3.connect(path)) as source:
                await running.caught_up(changelog.head(source))
            yield Scene(running, connection)
    finally:
        await connection.close()


def wrong(reports: dict[str, TableReport]) -> list[str]:
    """Return all that the reports tell."""
    told = [(r.name, *r.details) for r in reports.values() if r.details or not r.rows_equal]
    found = [f for r in reports.values() for f in r.structure if not f.harmless]
    structure = [(f.table, f"{f.what} {f.problem}") for f in found]
    return [": ".join(one) for one in [*told, *structure]]


async def test_every_corruption_of_rows_is_caught_and_repaired(scene: Scene) -> None:
    """Each in its table alone; a repair of exactly these rows leaves both sides equal again."""
    assert wrong(await scene.verify()) == []
    for name, mutation in ROWS.items():
        await scene.on_target(mutation.sql)
        report = (await scene.verify(table=mutation.table, repair=True))[mutation.table]
        assert any(mutation.told in told for told in report.details), (name, report.as_dict())
        assert (report.found > 0, report.repaired) == (True, report.found), name
        assert report.equal, name
        assert wrong(await scene.verify(table=mutation.table)) == [], name


async def test_a_table_too_large_to_be_counted_is_walked_on_both_sides(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its counts are those of the rows that were met; what only a count would tell is found all the same."""
    monkeypatch.setattr(counting, "COUNTED_BYTES", 0)
    await scene.on_target("INSERT INTO child VALUES (9, 3, 3); DELETE FROM loose")
    found = await scene.verify()
    counts = {name: (r.source_rows, r.target_rows, r.equal) for name, r in found.items()}
    assert counts["child"] == (3, 4, False)
    assert counts["loose"] == (3, 0, False)
    assert counts["thing"] == (3, 3, True)
    mended = (await scene.verify(repair=True)).values()
    assert [(r.source_rows, r.target_rows, r.equal) for r in mended] == [(3, 3, True)] * 4


async def test_every_corruption_of_the_structure_is_caught(scene: Scene) -> None:
    """With the table and what is wrong with it; counts alone look at it as well."""
    sound = await scene.verify(counts_only=True)
    assert wrong(sound) == []
    told = [(f.what, f.problem, f.harmless) for r in sound.values() for f in r.structure]
    assert told == [("index thing_raw", "was not built: PostgreSQL refused it", True)]
    for name, mutation in STRUCTURE.items():
        await scene.on_target(mutation.sql)
        report = (await scene.verify(counts_only=True))[mutation.table]
        assert any(mutation.told in f"{f.what} {f.problem}" for f in report.structure), (
            name,
            report.structure,
        )
        assert not report.equal, name
        await scene.on_target(mutation.undo)
        assert wrong(await scene.verify(counts_only=True)) == [], name


async def test_what_is_no_difference_is_not_called_one(scene: Scene) -> None:
    """These are listed in the documentation, with the reason."""
    for name, sql in KEPT.items():
        await scene.on_target(sql)
        assert wrong(await scene.verify()) == [], name
