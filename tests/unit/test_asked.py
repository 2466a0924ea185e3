"""Other settings are carried out on a planned table as they would have been at first."""

from __future__ import annotations

import sqlite3

import pytest

from replicator.planning.asked import Asked, settle
from replicator.planning.plan import ColumnPlan, TablePlan
from replicator.planning.policy import Policy
from triggers.key import choose
from triggers.schema import tables


@pytest.mark.parametrize("rule", ["quarantine", "replace", "text"])
def test_another_rule_ends_that_texts_become_blobs_of_an_adopted_table(rule: str) -> None:
    """The column keeps its type; its texts are what they were without the rule: nothing that it can hold."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, b BLOB)")
    (table,) = tables(connection)[0]
    connection.close()
    column = ColumnPlan("b", "b", "bytea", conversion="bytea from any", asked=Asked(rule="bytea"))
    plan = TablePlan(table, choose(table), "public", (column,), adopted=True)
    settled = settle(plan, {}, Policy(bad_values={"t.*": rule}))
    assert settled.plan is not None and not settled.afresh
    (made,) = settled.plan.columns
    assert (made.pg_type, made.conversion) == ("bytea", "")
    assert made.asked == Asked(rule=rule)
