"""The comparison of a real file with a real database finds what was changed."""

from __future__ import annotations

import asyncpg
import pytest

from tests.compare import differences
from tests.fixtures.sqlite import MakeSource

SOURCE = """
CREATE TABLE plain(id INTEGER PRIMARY KEY, t TEXT, b BLOB, r, n NUMERIC, flag BOOLEAN);
INSERT INTO plain VALUES
    (1, 'one', x'0001', 0.1, 10, 1), (2, '', x'', -0.0, 0.5, 0), (3, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE "the ""Details"" of"(doc TEXT, tag TEXT, PRIMARY KEY(doc, tag)) WITHOUT ROWID;
INSERT INTO "the ""Details"" of" VALUES ('a', 'b');
CREATE TABLE counted(x INTEGER PRIMARY KEY AUTOINCREMENT, twice AS (x * 2));
CREATE TABLE _liteferry_log(key);
CREATE VIRTUAL TABLE words USING fts5(word);
CREATE VIEW seen AS SELECT 1;
"""
TARGET = """
CREATE TABLE plain(
    id bigint, t text, b bytea, r double precision, n numeric, flag boolean, _liteferry_rowid bigint);
INSERT INTO plain VALUES
    (1, 'one', '\\x0001', 0.1, 10, true), (2, '', '', '-0', 0.5, false), (3, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE "the ""Details"" of"(doc text, tag text);
INSERT INTO "the ""Details"" of" VALUES ('a', 'b');
CREATE TABLE counted(x bigint, twice bigint);
"""


async def compare_after(make_source: MakeSource, url: str, change: str) -> list[str]:
    """Make equal sides, change the target, and return what the comparison finds."""
    path = make_source(script=SOURCE)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(TARGET + change)
    finally:
        await connection.close()
    return await differences(path, url)


async def test_equal_sides_have_no_differences(make_source: MakeSource, target_url: str) -> None:
    """Only the application's own ordinary tables count, whatever their names."""
    assert await compare_after(make_source, target_url, "") == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE plain SET t = 'One' WHERE id = 1",
        "UPDATE plain SET r = 0.1::float8 + 1.4e-17 WHERE id = 1",
        "UPDATE plain SET r = 0 WHERE id = 2",
        "UPDATE plain SET t = NULL WHERE id = 2",
        "UPDATE plain SET b = NULL WHERE id = 2",
        "UPDATE plain SET n = 0.50000000000000000001 WHERE id = 2",
        "UPDATE plain SET flag = false WHERE id = 3",
        "ALTER TABLE plain ALTER t TYPE bytea USING t::bytea",
    ],
)
async def test_one_changed_value_is_found(make_source: MakeSource, target_url: str, change: str) -> None:
    """A change of one value shows as the row that is missing and the one that is there instead."""
    found = await compare_after(make_source, target_url, change)

    assert any("missing on the target: (" in line for line in found)
    assert any("only on the target: (" in line for line in found)


async def test_a_missing_row_is_found(make_source: MakeSource, target_url: str) -> None:
    """A row that did not arrive is shown."""
    found = await compare_after(make_source, target_url, "DELETE FROM plain WHERE id = 3")

    assert found == ["table 'plain': missing on the target: (3, None, None, None, None, None)"]


async def test_an_extra_row_is_found(make_source: MakeSource, target_url: str) -> None:
    """A row that arrived twice is shown, though the target has no key to forbid it."""
    change = 'INSERT INTO "the ""Details"" of" SELECT * FROM "the ""Details"" of"'
    found = await compare_after(make_source, target_url, change)

    assert found == ["""table 'the "Details" of': only on the target: ('a', 'b')"""]


async def test_many_differences_are_counted(make_source: MakeSource, target_url: str) -> None:
    """Five rows of a table are shown, the others counted."""
    change = "INSERT INTO plain(id) SELECT generate_series(100, 119)"
    found = await compare_after(make_source, target_url, change)

    assert len(found) == 6
    assert found[-1] == "table 'plain': only on the target: 15 more rows"


async def test_missing_tables_and_columns_are_found(make_source: MakeSource, target_url: str) -> None:
    """What has no place on the target is named, and what nobody asked for too."""
    change = "DROP TABLE counted; ALTER TABLE plain DROP COLUMN r; ALTER TABLE plain ADD COLUMN own int"
    found = await compare_after(make_source, target_url, change)

    assert found == [
        "table 'counted': missing on the target",
        "table 'plain': column 'r' missing on the target",
        "table 'plain': column 'own' only on the target",
    ]
