"""What was touched since: which records are given up first, and what the target has not got of them."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from replicator.planning.naming import Naming, named
from replicator.planning.plan import TablePlan, plan_table
from replicator.planning.types import Evidence
from replicator.verification.touched import KEY_BYTES, Touched
from triggers.schema import tables


def a_plan() -> TablePlan:
    """Return the plan of a small table."""
    with closing(sqlite3.connect(":memory:")) as source:
        source.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, n INT)")
        [table], _ = tables(source)
    names = named(Naming(), [table])[table.name]
    return plan_table(table, "public", [Evidence()] * len(table.columns), {}, names=names)


def test_a_record_that_is_kept_elsewhere_knows_what_that_has_not_got() -> None:
    """Each key once; others remember keys only."""
    touched, plan = Touched(), a_plan()
    kept, other = touched.begin(1, plan, 0), touched.begin(1, plan, 0)
    kept.unsaved = []
    touched.note(1, [(1,), (2,)])
    touched.note(1, [(2,), (3,)])
    assert sorted(kept.unsaved) == [(1,), (2,), (3,)]
    kept.unsaved = []
    touched.add(kept, [(3,), (4,)])
    assert kept.unsaved == [(4,)]
    assert (other.unsaved, other.keys) == (None, {(1,), (2,), (3,)})


def test_what_only_saves_work_is_given_up_before_what_tells_of_equality() -> None:
    """Though it is smaller; the next comparison then begins afresh."""
    touched, plan = Touched(budget=7 * KEY_BYTES), a_plan()
    clean = touched.begin(1, plan, 0)
    touched.end(clean, equal=True)
    touched.note(1, [(n,) for n in range(4)])
    resumable = touched.begin(1, plan, 0)
    resumable.unsaved = []
    touched.note(1, [(n,) for n in range(10, 12)])
    assert resumable.keys is None
    assert touched.since(1, plan, 0) is not None
