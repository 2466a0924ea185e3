"""A random application that changes its schema, against the whole engine: the same rows, and no harm.

A failure prints its seed and the smallest script that shows it. More seeds: LITEFERRY_FUZZ_SEEDS=1000-1099
with -m soak, or without it for ever.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from config.errors import Unsupported, ValueRefused
from replicator.faults import ours
from replicator.status import Facts
from tests.compare import differences

from .alterations import Alterations, Style
from .applications import NEW_COLUMNS, NEW_TABLES, SCHEMAS, VALUES
from .engine import emptied, streaming
from .sequence import Life, shrink
from .statements import Shape, Statements, shapes
from .twin import KNOWN, Twin

#: Lives in an ordinary run, in blocks that fail one by one.
BLOCKS, BLOCK_SEEDS = 4, 4

IMMEDIATE = {"BEGIN": "BEGIN IMMEDIATE"}

#: How a life may end: equal to its last burst, at a limit that any trigger has, or refused and said why.
EQUAL, LOUD = "equal", "loud"
RIGHT = (EQUAL, KNOWN, LOUD)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a comparison follow the last one at once, and not after a rest that grows."""
    suspicion = type(Facts("", "").suspicion)
    monkeypatch.setattr(suspicion, "due_in", lambda self, now: 0.0 if self.open else None)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_schema_changes_are_followed_and_go_as_without_us(
    block: int, tmp_path: Path, target_url: str
) -> None:
    """Statements have the outcome that they have without capture, and PostgreSQL gets the same rows."""
    endings = live_through(range(block * BLOCK_SEEDS, (block + 1) * BLOCK_SEEDS), tmp_path, target_url)
    assert endings[EQUAL] > 0


NAMESAKE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b INT, UNIQUE(a, b))"

#: What the fuzzer, or a look at the code, has found: what there was, and what the application did.
FOUND = {
    "a repair that meets two rows with exchanged values, and then nobody writes": (
        "CREATE TABLE t(id INTEGER PRIMARY KEY, n INT UNIQUE); INSERT INTO t VALUES(1, 1), (2, 2)",
        """CREATE TABLE s(id INTEGER PRIMARY KEY, n INT UNIQUE); INSERT INTO s VALUES(1, 2), (2, 1);
        DROP TABLE t; ALTER TABLE s RENAME TO t""",
    ),
    "a table takes the name that another gives up": (
        """CREATE TABLE a(id INTEGER PRIMARY KEY, n INT); CREATE TABLE b(k TEXT NOT NULL PRIMARY KEY);
        INSERT INTO a VALUES(1, 2); INSERT INTO b VALUES('x')""",
        "ALTER TABLE b RENAME TO c; ALTER TABLE a RENAME TO b",
    ),
    "tables come that are named like what others have on the target": (
        f"{NAMESAKE}; CREATE INDEX n_key ON t(b); INSERT INTO t VALUES(1, 2, 3)",
        """CREATE TABLE t_pkey(id INTEGER PRIMARY KEY); CREATE TABLE t_id_seq(v INT);
        CREATE TABLE t_a_b_key(v INT); INSERT INTO t_pkey VALUES(1); INSERT INTO t_a_b_key VALUES(5);
        INSERT INTO t VALUES(2, 3, 4); INSERT INTO t_id_seq VALUES(3)""",
    ),
    "tables are renamed to what others have on the target": (
        f"{NAMESAKE}; CREATE TABLE x(v INT); CREATE TABLE y(id INTEGER PRIMARY KEY); INSERT INTO y VALUES(3)",
        "ALTER TABLE x RENAME TO t_pkey; ALTER TABLE y RENAME TO t_a_b_key; ALTER TABLE t RENAME TO y",
    ),
    "a table with such names changes": (
        f"{NAMESAKE}; CREATE TABLE t_pkey(v INT); CREATE TABLE t_a_b_key(v INT); CREATE INDEX t_i ON t(b)",
        """ALTER TABLE t RENAME COLUMN a TO c; DROP TABLE t_pkey; DROP INDEX t_i; CREATE TABLE t_i(v INT);
        INSERT INTO t_i VALUES(1); CREATE INDEX u_i ON t(b); INSERT INTO t VALUES(7, 8, 9)""",
    ),
}


@pytest.mark.parametrize("what", FOUND)
def test_what_was_found_is_followed(what: str, tmp_path: Path, target_url: str) -> None:
    """Each was a row that differed, a statement that failed, or a wait without end."""
    schema, burst = FOUND[what]
    # the first burst is none: it streams by then
    bursts = ((), tuple(statements(f"BEGIN; {burst}; COMMIT")))
    life = Life((), tuple(statements(schema)), (), (), bursts)
    assert run(life, tmp_path, target_url) == EQUAL


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_they_are_followed_for_ever(tmp_path: Path, target_url: str) -> None:
    """The same until it fails or is stopped, or for the seeds in LITEFERRY_FUZZ_SEEDS."""
    first, _, last = os.environ.get("LITEFERRY_FUZZ_SEEDS", "1000-").partition("-")
    seeds = range(int(first), int(last) + 1) if last else itertools.count(int(first))
    endings = live_through(seeds, tmp_path, target_url)
    assert endings[EQUAL] > endings.total() / 2, endings


def live_through(seeds: Iterable[int], folder: Path, url: str) -> Counter[str]:
    """Live the lives of some seeds; count how they end. The first that goes wrong is cut down and told."""
    endings = Counter[str]()
    for seed in seeds:
        life = draw(seed)
        ending = run(life, folder, url)
        if ending not in RIGHT:
            less = shrink(life, lambda less: run(less, folder, url) not in RIGHT)
            pytest.fail(f"seed {seed}: {ending}\n\nsmallest:\n{less}")
        endings[ending] += 1
    return endings


def draw(seed: int) -> Life:
    """Return the life of that seed: bursts of schema changes and writes, drawn on a scratch database."""
    chance = random.Random(seed)
    settings = (f"PRAGMA journal_mode = {chance.choice(('wal', 'delete'))}", "PRAGMA foreign_keys = on")
    schema = tuple(statements(chance.choice(list(SCHEMAS.values()))))
    with closing(Twin()) as scratch:
        scratch.prepare((*settings[1:], *schema))
        scratch.settle(())
        style = Style(lambda c, there: typed(c, there, scratch.plain), new_table, NEW_COLUMNS)
        alterations = Alterations(chance, scratch.plain, scratch.attempt, style)
        before = written(chance, scratch, style) * 2
        bursts = tuple(
            (*alterations.burst(), *written(chance, scratch, style)) for _ in range(chance.randint(2, 4))
        )
        # one that reads first, as the comparison does, may find that another process has written meanwhile
        bursts = tuple(tuple(IMMEDIATE.get(s, s) for s in burst) for burst in bursts)
        return Life(settings, schema, before, (), bursts)


def written(chance: random.Random, scratch: Twin, style: Style) -> tuple[str, ...]:
    """Return some writes after they were tried."""
    there = shapes(scratch.plain)
    made = style.statements(chance, there).burst(8) if there else []
    for statement in made:
        scratch.attempt(statement)
    return tuple(made)


def typed(chance: random.Random, there: Sequence[Shape], scratch: sqlite3.Connection) -> Statements:
    """Return statements that give each column values of its type."""

    def value(chance: random.Random, table: str, column: str) -> str:
        query = "SELECT type FROM pragma_table_xinfo(?) WHERE name = ?"
        return chance.choice(VALUES[scratch.execute(query, (table, column)).fetchone()[0]])

    return Statements(chance, there, value, mixed=False)


def new_table(chance: random.Random, name: str) -> str:
    """Return a table whose columns have types."""
    return f'CREATE TABLE "{name}"{chance.choice(NEW_TABLES)}'


def statements(script: str) -> Iterator[str]:
    """Cut a script into its statements."""
    text = ""
    for part in script.split(";"):
        text += part
        if sqlite3.complete_statement(text + ";"):
            yield text.strip()
            text = ""
        else:
            text += ";"


def run(life: Life, folder: Path, url: str) -> str:
    """Live it beside the engine, and its twin without; return one of RIGHT, or what went wrong."""
    for left in folder.glob("*.db*"):
        left.unlink()
    with closing(Twin(str(folder / "app.db"), str(folder / "plain.db"))) as twin:
        twin.prepare((*life.settings, *life.schema, *life.before))
        try:
            return asyncio.run(live(life, twin, folder / "app.db", url))
        except Exception as error:
            told = ours(error)
            return LOUD if isinstance(told, ValueRefused | Unsupported) else f"{told or error!r}"


async def live(life: Life, twin: Twin, path: Path, url: str) -> str:
    """Live it; compare after each burst, once the engine says that it has followed."""
    async with streaming(path, await emptied(url)) as running:
        twin.settle(())
        for number, burst in enumerate(life.bursts):
            told = await asyncio.to_thread(twin.live, burst)
            if twin.over or told == KNOWN:
                return KNOWN
            if told:
                return f"burst {number}: {told}"
            await running.settled(path)
            if found := await differences(path, url):
                return f"burst {number}: " + "\n".join(found)
    return EQUAL
