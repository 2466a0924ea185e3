"""Names that differ on both sides: SQLite is asked by its own, PostgreSQL by its own."""

from __future__ import annotations

import json
import pickle
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

import pytest

from replicator.drift.evolution import Evolution, alter
from replicator.planning.naming import Names
from replicator.planning.plan import SourcePlan, TablePlan, plan_table, remembered
from replicator.planning.types import Evidence
from replicator.schema import ddl, dml
from replicator.streaming.reader import changes_sql
from triggers.key import choose
from triggers.schema import Table, tables

SCRIPT = """
CREATE TABLE Ware(Kind TEXT, Nr INT, Title TEXT UNIQUE, Up INT REFERENCES Ware(Nr), PRIMARY KEY(Kind, Nr));
CREATE INDEX by_title ON Ware(lower(Title), Nr) WHERE Title IS NOT NULL;
"""


def read(script: str) -> list[Table]:
    """Return the tables that a script makes."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(script)
        return tables(connection)[0]


def planned(table: Table, suffix: str = "_there") -> TablePlan:
    """Plan a table whose every name has a suffix on the target."""
    names = Names(table.name + suffix, {c.name: c.name + suffix for c in table.columns})
    return plan_table(table, "public", [Evidence()] * len(table.columns), {}, names=names)


@pytest.fixture
def ware() -> TablePlan:
    """Return the plan of a table with all that has a name of its columns in it."""
    return planned(read(SCRIPT)[0])


def words(statements: Sequence[str]) -> set[str]:
    """Return all words of some statements."""
    return set(re.findall(r"\w+", " ".join(statements)))


def test_the_target_is_asked_by_its_own_names_alone(ware: TablePlan) -> None:
    """In no statement for PostgreSQL a name of the source is left, but for those of indexes and comments."""
    lines = ddl.script(SourcePlan("public", (ware,))).splitlines()
    script = [line for line in lines if not line.startswith(("--", "COMMENT ON"))]
    made = [
        make(ware) for make in (dml.delete, dml.insert, dml.upsert, dml.select_by_key, dml.count, ddl.guard)
    ]
    made += [dml.select_keys(ware, first=False), dml.delete_duplicates(ware)]
    assert words([*script, *made]) & {"Ware", "Kind", "Nr", "Title", "Up"} == set()
    assert 'lower("Title_there" COLLATE "C")' in " ".join(script)
    assert 'FOREIGN KEY ("Up_there") REFERENCES "public"."Ware_there" ("Nr_there")' in " ".join(script)


def test_the_source_is_asked_by_its_own_names_alone(ware: TablePlan) -> None:
    """The other way round."""
    asked = [changes_sql(ware), ware.paging.page('t."Title"', (1,), 10)[0]]
    assert not any("_there" in text for text in asked)


def test_a_column_is_found_as_sqlite_finds_it(ware: TablePlan) -> None:
    """ASCII case is no difference to it."""
    assert ware.on_target("title") == "Title_there"
    assert ware.has("KIND", "nr")
    assert not ware.has("kind", "other")


def test_a_stored_plan_keeps_both_names(ware: TablePlan) -> None:
    """A restart goes on with them, and so does another process."""
    stored = json.loads(json.dumps(ware.as_json()))
    again = remembered(ware.table, "public", stored)
    assert again is not None
    assert (again.target, [c.target for c in again.columns]) == (
        "Ware_there",
        ["Kind_there", "Nr_there", "Title_there", "Up_there"],
    )
    assert pickle.loads(pickle.dumps(ware)).qualified == ware.qualified


def test_a_plan_of_before_there_were_two_names_is_read(ware: TablePlan) -> None:
    """It says nothing of the target's: they are the source's."""
    stored = ware.as_json()
    del stored["target"]
    stored["columns"] = [{k: v for k, v in c.items() if k != "target"} for c in stored["columns"]]
    again = remembered(ware.table, "public", stored)
    assert again is not None
    assert again.qualified == '"public"."Ware"'
    assert again.on_target("Kind") == "Kind"


def altered(before: str, after: str, names: dict[str, str], was: dict[str, str]) -> list[str]:
    """Return the statements that follow a change of table `t`, given the target's names of its columns."""
    (one,), (two,) = read(before), read(after)
    old = planned(one, "")
    old = replace(old, columns=tuple(replace(c, target=was.get(c.source, c.source)) for c in old.columns))
    step = Evolution(old, two, choose(two))
    new = step.plan({c.source: c for c in planned(two, "").columns}, Names("t", names))
    return [sql for sql in alter(step, new, (), ()) if not sql.startswith("COMMENT")]


def test_a_rename_to_what_is_the_same_name_there_does_nothing() -> None:
    """userId and user_id may both be user_id on the target."""
    done = altered(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, userId)",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, user_id)",
        {"id": "id", "user_id": "user_id"},
        {"userId": "user_id"},
    )
    assert done == []


def test_renamed_columns_may_take_each_other_s_names() -> None:
    """By way of a third one."""
    done = altered(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, A, B)",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, c, d)",
        {"id": "id", "c": "y", "d": "x"},
        {"A": "x", "B": "y"},
    )
    names = [re.findall(r'"([^"]*)"', text)[2:] for text in done]
    assert [pair[0] for pair in names] == ["x", "y", names[0][1], names[1][1]]
    assert [pair[1] for pair in names[2:]] == ["y", "x"]


def test_a_new_column_may_have_the_name_of_one_that_went() -> None:
    """What goes, goes first."""
    done = altered(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, 'a b', v INT)",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v INT, w, 'a-b')",
        {"id": "id", "v": "v", "w": "w", "a-b": "a_b"},
        {"a b": "a_b"},
    )
    assert [text.split('"t" ')[1] for text in done] == [
        'DROP COLUMN "a_b"',
        'ADD COLUMN "w" text',
        'ADD COLUMN "a_b" text',
    ]
