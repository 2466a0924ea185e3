"""What our triggers, and the daemon beside them, cost the application's writes."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import statistics
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .data import connect, make_items
from .ferry import Ferry
from .figures import Figure, at_least, median_figure
from .scale import Scale
from .server import Server

BENCH = "writes"

#: Transactions of a block where each one waits for the disk.
FEW = 300

#: Rows of the table beforehand.
ROWS = 50_000

INSERT = "INSERT INTO item VALUES (?, ?, ?, ?, ?, ?)"
UPDATE = "UPDATE item SET price = price + 1, note = ? WHERE id = ?"
DELETE = "DELETE FROM item WHERE id = ?"
KINDS = (INSERT, UPDATE, DELETE)


@dataclass(frozen=True)
class Cost:
    """Seconds per transaction: as time passes, and of the processor."""

    wall: float
    processor: float


Block = dict[str, Cost]

#: The least that a trigger can do and still log a key: what no capture by triggers can be faster than.
FLOOR = "CREATE TABLE log(seq INTEGER PRIMARY KEY, key);" + "".join(
    f"CREATE TRIGGER log_{kind} AFTER {kind} ON item BEGIN INSERT INTO log(key) VALUES({row}.id); END;"
    for kind, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD"))
)


class Table:
    """One file that takes blocks of one-row transactions."""

    def __init__(self, path: Path, transactions: int, synchronous: str = "NORMAL") -> None:
        self.path = path
        self._synchronous = synchronous
        self._transactions = transactions
        self._inserted = ROWS

    def block(self) -> Block:
        """Do a block of each kind; return the seconds per transaction.

        `executemany` on a connection in autocommit mode commits after every row, and its loop is in C:
        what is measured is SQLite and next to nothing of Python.
        """
        first = self._inserted + 1
        self._inserted += self._transactions
        keys = range(first, first + self._transactions)
        with closing(connect(self.path)) as connection:
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            return {kind: self._time(connection, kind, _rows(kind, keys)) for kind in KINDS}

    def _time(self, connection: sqlite3.Connection, kind: str, rows: Iterator[tuple[Any, ...]]) -> Cost:
        prepared = list(rows)
        begun, used = time.perf_counter(), time.thread_time()
        connection.executemany(kind, prepared)
        wall, processor = time.perf_counter() - begun, time.thread_time() - used
        return Cost(wall / len(prepared), processor / len(prepared))


def _rows(kind: str, keys: range) -> Iterator[tuple[Any, ...]]:
    for key in keys:
        if kind == INSERT:
            yield key, f"item number {key}", key * 0.37, key % 1000, key % 2, "a note about this item"
        elif kind == UPDATE:
            # rows of the beginning, all over the table
            yield "another note", key * 7919 % ROWS + 1
        else:
            yield (key,)


async def measure(server: Server, folder: Path, scale: Scale) -> list[Figure]:
    """Write to a plain file and to one with our triggers in turn, then with the daemon streaming beside."""
    plain = Table(folder / "plain.db", scale.write_transactions)
    make_items(plain.path, ROWS)
    barest = Table(_copied(plain.path, "barest.db"), scale.write_transactions)
    with closing(connect(barest.path)) as connection:
        connection.executescript(FLOOR)
    captured = Table(_copied(plain.path, "captured.db"), scale.write_transactions)
    async with server.database() as url:
        async with Ferry(captured.path, url) as ferry:
            await ferry.reached("streaming")
        safe = [Table(_copied(t.path, f"safe-{t.path.name}"), FEW, "FULL") for t in (plain, captured)]
        rounds = range(scale.write_rounds)
        synced = [await _pair(safe[0], safe[1], number, None) for number in rounds]
        floor = [await _pair(plain, barest, number, None) for number in rounds]
        triggers = [await _pair(plain, captured, number, None) for number in rounds]
        async with Ferry(captured.path, url) as ferry:
            await ferry.reached("streaming")
            beside = [await _pair(plain, captured, number, ferry) for number in rounds]
    return [*_figures(triggers), _floor(floor), _synced(synced), _beside(beside)]


def _copied(path: Path, name: str) -> Path:
    """Copy a file that nobody has open, its WAL written back."""
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Path(shutil.copy(path, path.with_name(name)))


async def _pair(plain: Table, captured: Table, number: int, ferry: Ferry | None) -> tuple[Block, Block]:
    """Measure both files one after the other, each first in every second round."""
    blocks: dict[Table, Block] = {}
    for table in (plain, captured) if number % 2 else (captured, plain):
        blocks[table] = await asyncio.to_thread(table.block)
        if ferry is not None:
            # so that the plain file's turn is not slowed down by what the other one left behind
            await ferry.drained()
    return blocks[plain], blocks[captured]


def _figures(pairs: list[tuple[Block, Block]]) -> list[Figure]:
    note = (
        f"without: {_median_us(block for block, _ in pairs)}, with: {_median_us(block for _, block in pairs)}"
    )
    name = "with triggers / without, one-row transactions"
    made = [median_figure(BENCH, name, _ratios(pairs, KINDS), "x", at_least(0.65), note)]
    for kind in KINDS:
        word = f"{kind.split()[0].lower()}s only"
        made.append(median_figure(BENCH, f"with triggers / without, {word}", _ratios(pairs, (kind,)), "x"))
    processor = [_processor(plain) / _processor(captured) for plain, captured in pairs]
    name = "processor time without triggers / with"
    return [*made, median_figure(BENCH, name, processor, "x", note="what the disk and others do left out")]


def _floor(pairs: list[tuple[Block, Block]]) -> Figure:
    note = "a trigger that does nothing but log one integer: the floor of every capture by triggers"
    return median_figure(BENCH, "with the barest trigger / without", _ratios(pairs, KINDS), "x", note=note)


def _synced(pairs: list[tuple[Block, Block]]) -> Figure:
    name = "with triggers / without, synchronous = FULL"
    note = "SQLite's default: each commit waits for the disk"
    return median_figure(BENCH, name, _ratios(pairs, KINDS), "x", at_least(0.65), note)


def _beside(pairs: list[tuple[Block, Block]]) -> Figure:
    note = "the daemon and PostgreSQL on the same cores, at full speed"
    return median_figure(
        BENCH, "with triggers and streaming / without", _ratios(pairs, KINDS), "x", note=note
    )


def _ratios(pairs: list[tuple[Block, Block]], kinds: tuple[str, ...]) -> list[float]:
    """Return the throughput with our triggers as a share of the throughput without, per round."""
    return [sum(p[k].wall for k in kinds) / sum(c[k].wall for k in kinds) for p, c in pairs]


def _processor(block: Block) -> float:
    return sum(cost.processor for cost in block.values())


def _median_us(blocks: Iterable[Block]) -> str:
    each = [sum(cost.wall for cost in block.values()) / len(KINDS) for block in blocks]
    return f"{statistics.median(each) * 1e6:.0f} us"
