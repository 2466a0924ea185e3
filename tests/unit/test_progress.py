"""How far a verification is."""

from __future__ import annotations

from replicator.verification.progress import Progress


def test_an_estimate_gives_way_to_what_was_counted() -> None:
    """A table that had more rows, or fewer, than was thought makes the whole larger, or smaller."""
    progress = Progress(tables=3, rows=300, kind="full")
    progress.next("one")
    progress.advance(150)
    progress.finish(estimated=100, looked=150)
    progress.next("two")
    progress.advance(10)
    progress.finish(estimated=100, looked=10)
    told = progress.as_dict()
    assert (told["rows_done"], told["rows"], told["tables_done"], told["table"]) == (160, 260, 2, "two")
    assert progress.rows >= progress.rows_done


def test_nothing_is_foretold_before_anything_is_done() -> None:
    """No division by nothing."""
    assert Progress(tables=1, rows=0, kind="counts").remaining is None
