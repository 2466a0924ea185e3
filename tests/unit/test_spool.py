"""The spool gives back what it was given, however often and however far it is read."""

from __future__ import annotations

from replicator.streaming.spool import Block, Spool

BLOCKS = [Block(n, [(n,)], [(n, "text", 1.5, b"\x00", None)] * n) for n in range(1, 6)]


def test_reading_again_after_a_broken_off_reading_gives_all_blocks() -> None:
    """An attempt that failed half-way must not shorten the next one: rows would be lost with it."""
    with Spool(memory=1 << 20) as spool:
        for block in BLOCKS:
            spool.append(block)
        next(iter(spool))

        assert list(spool) == BLOCKS


def test_two_readings_at_once_do_not_disturb_each_other() -> None:
    """Deletes and rows are read in two passes over the same blocks."""
    with Spool(memory=1 << 20) as spool:
        for block in BLOCKS:
            spool.append(block)

        assert list(zip(spool, spool, strict=True)) == list(zip(BLOCKS, BLOCKS, strict=True))


def test_blocks_beyond_the_memory_come_back_from_the_file() -> None:
    """More than the memory allowed goes to a temporary file and comes back the same."""
    with Spool(memory=100) as spool:
        for block in BLOCKS:
            spool.append(block)

        assert list(spool) == BLOCKS
        assert spool.rows == sum(len(b.gone) + len(b.rows) for b in BLOCKS)
