"""Compaction against random histories: whatever is deleted in between, the target ends equal.

A failure prints its seed.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from config.errors import CaptureBroken
from replicator.streaming.reader import Batch, read_batch
from tests.fixtures.sqlite import MakeSource
from triggers import changelog
from triggers.compaction import Compaction, Keep
from triggers.connection import connect

from .follower import MEMORY, Follower

SCHEMA = """
CREATE TABLE free(k NOT NULL PRIMARY KEY, v);
CREATE TABLE words(k TEXT COLLATE NOCASE NOT NULL PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE pairs(x, y NUMERIC, v, PRIMARY KEY(x, y)) WITHOUT ROWID;
CREATE TABLE numbered(id INTEGER PRIMARY KEY, u UNIQUE, v);
CREATE TABLE keyless(v);
"""

#: Keys that are near to each other: SQLite takes 1 for 1.0, and for '1' under an affinity.
KEYS = ("1", "1.0", "'1'", "'1.0'", "x'31'", "2", "9007199254740993", "9007199254740992.0", "'a'", "'A'")

STATEMENTS = (
    "INSERT OR REPLACE INTO free VALUES({a}, {n})",
    "UPDATE OR REPLACE free SET k = {b}, v = {n} WHERE k = {a}",
    "DELETE FROM free WHERE k = {a}",
    "INSERT OR REPLACE INTO words VALUES({a}, {n})",
    "UPDATE OR REPLACE words SET k = {b} WHERE k = {a}",
    "DELETE FROM words WHERE k = {a}",
    "INSERT OR REPLACE INTO pairs VALUES({a}, {b}, {n})",
    "UPDATE pairs SET v = {n} WHERE x = {a}",
    "DELETE FROM pairs WHERE y = {b}",
    "INSERT OR REPLACE INTO numbered(u, v) VALUES({a}, {n})",
    "INSERT OR REPLACE INTO numbered VALUES({n} % 7, NULL, {n})",
    "UPDATE OR IGNORE numbered SET id = {n} % 9 WHERE u = {a}",
    "DELETE FROM numbered WHERE id = {n} % 7",
    "INSERT INTO keyless VALUES({a})",
    "UPDATE keyless SET v = {b} WHERE rowid = {n} % 5",
    "DELETE FROM keyless WHERE rowid = {n} % 5",
)


class History:
    """An application, a daemon that reads and compacts, and a target that is away now and then."""

    def __init__(self, path: Path, seed: int, ours: sqlite3.Connection, app: sqlite3.Connection) -> None:
        self.chance = random.Random(seed)
        self.path, self.ours, self.app = path, ours, app
        self.clock = 2_461_000.0
        for connection in (ours, app):
            connection.create_function("julianday", 1, self._now)
        self.follower = Follower(ours)
        self.compaction = Compaction()
        self.reach = self.follower.place.position
        #: A batch that has been read and may arrive, and when every entry was written.
        self.batch: Batch | None = None
        self.written: dict[int, float] = {}

    def _now(self, _: object) -> float:
        self.clock += 1 / 86400
        return self.clock

    def live(self, steps: int) -> None:
        """Do random things; check after each what is told of the log."""
        ways = [self.write] * 6 + [self.look] * 3 + [self.drop] * 4
        ways += [self.beat, self.read, self.arrive, self.fail, self.prune, self.restart]
        for _ in range(steps):
            self.chance.choice(ways)()
            self.check()
        self.arrive()
        while self.follower.place.position < changelog.head(self.ours):
            self.read()
            self.arrive()

    def write(self) -> None:
        """Commit a transaction of the application, or roll it back."""
        self.app.execute("BEGIN")
        for _ in range(self.chance.randrange(1, 12)):
            statement = self.chance.choice(STATEMENTS)
            a, b = self.chance.choice(KEYS), self.chance.choice(KEYS)
            self.app.execute(statement.format(a=a, b=b, n=self.chance.randrange(100)))
        self.app.execute(self.chance.choice(("COMMIT", "COMMIT", "COMMIT", "ROLLBACK")))

    def beat(self) -> None:
        """Write a heartbeat."""
        changelog.beat(self.ours, 1.0)

    def look(self) -> None:
        """Let the compaction see more."""
        if not self.compaction.active or self.compaction.anchor < self.follower.place.position:
            self.compaction.begin(self.ours, self.follower.place.position)
        self.compaction.look(self.ours, self.chance.randrange(1, 60))

    def drop(self) -> None:
        """Let it delete."""
        if self.compaction.active and self.compaction.anchor >= self.follower.place.position:
            keep = Keep(self.follower.place.position, self.reach)
            self.compaction.drop(self.ours, keep, self.chance.randrange(1, 40), 1.0)

    def read(self) -> None:
        """Read a batch, whole or short of the end, unless one is on its way."""
        if self.batch is None:
            most = self.chance.choice((None, None, 1, 7, 30))
            follower = self.follower
            self.batch = read_batch(self.ours, follower.plans, follower.place, MEMORY, most)
            self.reach = self.batch.place.position if self.batch else self.reach

    def arrive(self) -> None:
        """Let the batch be committed on the target."""
        if self.batch is not None:
            self.follower.apply(self.batch)
            self.batch = None

    def fail(self) -> None:
        """Let the batch be lost."""
        if self.batch is not None:
            self.batch.spool.close()
            self.batch = None

    def prune(self) -> None:
        """Delete what has arrived."""
        changelog.prune(self.ours, self.follower.place.position, self.chance.randrange(1, 60), 1.0)

    def restart(self) -> None:
        """Begin anew, as a daemon does that was killed."""
        self.fail()
        self.reach = self.follower.place.position
        self.compaction = Compaction()

    def check(self) -> None:
        """The figures are those of the log, and the age is that of the oldest change."""
        rows = self.ours.execute("SELECT seq, at FROM _liteferry_log").fetchall()
        self.written.update(dict(rows))
        position = self.follower.place.position
        lag = changelog.lag(self.ours, position)
        assert changelog.entries(self.ours) == len(rows)
        assert lag.entries == sum(seq > position for seq, _ in rows)
        assert lag.positions == changelog.head(self.ours) - position
        if lag.positions:
            age = (self.clock - self.written[position + 1]) * 86400
            assert lag.oldest == pytest.approx(age, abs=0.01)


@contextmanager
def history(path: Path, seed: int) -> Iterator[History]:
    """Begin a history on a new file."""
    with (
        closing(connect(path, writable=True)) as ours,
        closing(sqlite3.connect(path, isolation_level=None)) as app,
    ):
        yield History(path, seed, ours, app)


@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("block", range(2))
def test_a_compacted_log_leads_to_what_the_source_has(
    block: int, journal: str, make_source: MakeSource
) -> None:
    """Batches whole and partial, lost and late, prunes and restarts in between."""
    deleted = 0
    for seed in range(block * 12, block * 12 + 12):
        with history(make_source(f"{seed}.db", SCHEMA, journal), seed) as one:
            one.live(150)
            assert one.follower.differences() == [], f"seed {seed}"
            deleted += len(one.written) - changelog.entries(one.ours)
    assert deleted > 1000


def test_only_the_newest_entry_of_each_key_is_left(make_source: MakeSource) -> None:
    """But for the first, and the one that the target may have got to."""
    with history(make_source(script=SCHEMA), 1) as one:
        for _ in range(100):
            one.write()
            one.beat()
        one.look()
        while one.compaction.look(one.ours, 50):
            pass
        reach = changelog.head(one.ours) // 2
        while one.compaction.drop(one.ours, Keep(0, reach), 50, 1.0).entries:
            pass
        keys = "t, iif(t = 0, 0, k1), k2, iif(t = 0, 0, typeof(k1)), typeof(k2)"
        left = {seq for (seq,) in one.ours.execute("SELECT seq FROM _liteferry_log")}
        newest = {seq for (seq,) in one.ours.execute(f"SELECT max(seq) FROM _liteferry_log GROUP BY {keys}")}
        assert left - newest <= {1, reach}
        assert {1, reach} <= left


@pytest.mark.parametrize("seed", range(10))
def test_what_somebody_else_deletes_is_noticed_in_a_compacted_log(seed: int, make_source: MakeSource) -> None:
    """The gaps that compaction has made are known; one more is one too many."""
    with history(make_source(script=SCHEMA), seed) as one:
        for _ in range(40):
            one.write()
            one.look()
            one.drop()
        changelog.touched(one.ours, 0, changelog.head(one.ours))
        seqs = [seq for (seq,) in one.ours.execute("SELECT seq FROM _liteferry_log")]
        one.app.execute("DELETE FROM _liteferry_log WHERE seq = ?", (one.chance.choice(seqs[1:-1]),))
        for _ in range(10):
            one.write()
            one.look()
            one.drop()
        with pytest.raises(CaptureBroken, match="gone"):
            read_batch(one.ours, one.follower.plans, one.follower.place, MEMORY)


def test_a_file_replaced_by_an_older_copy_makes_it_begin_anew(make_source: MakeSource) -> None:
    """What was worked out for the newer one would delete entries that nothing else stands for."""
    with history(make_source(script=SCHEMA), 3) as one, closing(sqlite3.connect(":memory:")) as old:
        for _ in range(20):
            one.write()
        one.ours.backup(old)
        for _ in range(20):
            one.write()
        for _ in range(50):
            one.look()
        old.backup(one.app)
        one.write()
        head = changelog.head(one.ours)
        assert one.compaction.drop(one.ours, Keep(0, 0), 1000, 1.0).entries == 0
        assert not one.compaction.active
        assert changelog.entries(one.ours) == head
