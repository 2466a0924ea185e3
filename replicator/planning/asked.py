"""What the settings ask for a column, and what they asked for when it was planned. Pure.

A migration that goes on with other settings must do as they say, or say that it does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from config.errors import ConfigError

if TYPE_CHECKING:
    from .plan import ColumnPlan, TablePlan
    from .policy import Policy

#: How a column is converted that had no rule, by what the rule has made of it.
_WITHOUT_RULE = {
    "text escaped": "",
    "text replaced": "",
    "text from any escaped": "",
    "text from any replaced": "",
    "jsonb replaced": "jsonb",
}


@dataclass(frozen=True)
class Asked:
    """What the settings say of one column: a type, and the rule for what does not fit; empty for nothing."""

    type: str = ""
    rule: str = ""

    def behind(self, before: Asked) -> Asked:
        """Return what holds when this is said after something else: what is not said any more stays."""
        return Asked(self.type or before.type, self.rule or before.rule or "quarantine")


@dataclass(frozen=True)
class Settled:
    """What other settings mean for a table that was planned under the ones before."""

    #: The plan to go on with, where the columns keep their types; None where nothing has changed.
    plan: TablePlan | None = None
    #: Whether it must be planned and filled afresh.
    afresh: bool = False
    #: In words, for each column.
    told: list[str] = field(default_factory=list)


def asked(overrides: Mapping[str, str], policy: Policy, table: str, column: str) -> Asked:
    """Return what the settings say of a column."""
    return Asked(overrides.get(f"{table}.{column}", ""), policy.said(table, column))


def settle(plan: TablePlan, overrides: Mapping[str, str], policy: Policy) -> Settled:
    """Return what the settings mean for a table that was planned under others, maybe.

    What is no longer said changes nothing: a name in the settings may have been overtaken by a rename. Raises
    ConfigError for what cannot be done to a table that is not ours to make anew.
    """
    columns, told, afresh = [], [], False
    for column in plan.columns:
        where, before = f"{plan.name}.{column.source}", column.asked
        if before is None:
            columns.append(column)
            continue
        now = asked(overrides, policy, plan.name, column.source).behind(before)
        if now == before.behind(Asked()):
            columns.append(column)
            continue
        made = _settled(plan, column, before, now, policy)
        columns.append(replace(made or column, asked=now))
        told.append(f"{where}: {_words(before)} before, {_words(now)} now")
        afresh |= made is None
    if not told:
        return Settled()
    if afresh and plan.adopted:
        raise ConfigError(
            f"columns of table {plan.name!r}, which was on the target before, cannot change their types: "
            + "; ".join(told),
            hint="set them back; or run `liteferry uninstall`, empty the target's table, and start afresh",
        )
    return Settled(replace(plan, columns=tuple(columns)), afresh, told)


def _settled(
    plan: TablePlan, column: ColumnPlan, before: Asked, now: Asked, policy: Policy
) -> ColumnPlan | None:
    """Return the column as it is to be, None where it must have another type."""
    if now.type != before.type:
        return None
    bare = replace(column, conversion=_WITHOUT_RULE.get(column.conversion, column.conversion))
    if before.rule == "bytea" and bare.conversion == "bytea from any" and before.type != bare.conversion:
        # a blob stays one without the rule, a text does not
        if not plan.adopted:
            return None
        bare = replace(bare, conversion="")
    if before.rule == "text" and bare.overridden and not before.type:
        return None
    made = policy.applied(plan.name, bare, key=column.source in plan.key.columns)
    if made.pg_type != column.pg_type:
        # types stay there: such a rule passes over it, as it did when the table was planned
        return bare if plan.adopted else None
    return made


def _words(one: Asked) -> str:
    return f"{one.type or 'the type of its values'}, {one.rule or 'quarantine'}"
