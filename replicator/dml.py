"""The statements that apply changes, as pure text: one per table and block, whatever its size."""

from __future__ import annotations

from triggers.identifier import quote

from .conversions import base, is_list
from .plan import ColumnPlan, TablePlan


def _arrays(plan: TablePlan, places: range | tuple[int, ...]) -> str:
    return ", ".join(f"${n}::{_array(plan.record[i])}" for n, i in enumerate(places, 1))


def _array(column: ColumnPlan) -> str:
    type_ = base(column.pg_type)
    array = type_ if is_list(type_) else f"{type_}[]"
    return f"{array}::{column.enum}[]" if column.enum else array


def _selected(column: ColumnPlan, prefix: str = "") -> str:
    # an enum is compared, and told from others, as the text that the source has
    return f"{prefix}{quote(column.target)}" + ("::text" if column.enum else "")


def _key_columns(plan: TablePlan) -> list[str]:
    return [quote(plan.record[i].target) for i in plan.key_places]


def delete(plan: TablePlan) -> str:
    """Return the statement that deletes rows by key, one array parameter per key column."""
    names = [f"k{i}" for i in range(len(plan.key_places))]
    joined = " AND ".join(f"t.{c} = k.{n}" for c, n in zip(_key_columns(plan), names, strict=True))
    arrays = _arrays(plan, plan.key_places)
    return f"DELETE FROM {plan.qualified} AS t USING unnest({arrays}) AS k({', '.join(names)}) WHERE {joined}"


def insert(plan: TablePlan) -> str:
    """Return the statement that inserts rows, one array parameter per column."""
    columns = ", ".join(quote(c.target) for c in plan.record)
    arrays = _arrays(plan, range(len(plan.record)))
    head = f"INSERT INTO {plan.qualified} ({columns}) SELECT"
    if not any(is_list(c.pg_type) for c in plan.record):
        return f"{head} * FROM unnest({arrays})"
    # arrays of arrays come apart to the last element: each of these is sent as its text
    names = [f"v{i}" for i in range(len(plan.record))]
    read = [f"{n}::{c.pg_type}" if is_list(c.pg_type) else n for n, c in zip(names, plan.record, strict=True)]
    return f"{head} {', '.join(read)} FROM unnest({arrays}) AS u({', '.join(names)})"


def violating(plan: TablePlan, expression: str) -> str:
    """Return the query for how many of some rows, one array parameter per column, a CHECK says no to.

    And for the place of the first, from 1.
    """
    names = [f"v{i}" for i in range(len(plan.record))]
    read = [f"{n}::{c.pg_type}" if is_list(c.pg_type) else n for n, c in zip(names, plan.record, strict=True)]
    columns = ", ".join(f"{value} AS {quote(c.target)}" for value, c in zip(read, plan.record, strict=True))
    arrays = _arrays(plan, range(len(plan.record)))
    rows = f"unnest({arrays}) WITH ORDINALITY AS u({', '.join(names)}, place)"
    return (
        f"SELECT count(*) AS count, min(_liteferry_place) AS first FROM (SELECT {columns}, "
        f"place AS _liteferry_place FROM {rows}) AS t WHERE ({expression}) IS FALSE"
    )


def upsert(plan: TablePlan) -> str:
    """Return the statement that inserts rows or makes existing ones equal to them."""
    rest = [quote(c.target) for i, c in enumerate(plan.record) if i not in plan.key_places]
    does = f"UPDATE SET {', '.join(f'{c} = EXCLUDED.{c}' for c in rest)}" if rest else "NOTHING"
    return f"{insert(plan)} ON CONFLICT ({', '.join(_key_columns(plan))}) DO {does}"


def select_by_key(plan: TablePlan) -> str:
    """Return the query for the rows of given keys, one array parameter per key column."""
    names = [f"k{i}" for i in range(len(plan.key_places))]
    joined = " AND ".join(f"t.{c} = k.{n}" for c, n in zip(_key_columns(plan), names, strict=True))
    columns = ", ".join(_selected(c, "t.") for c in plan.record)
    arrays = _arrays(plan, plan.key_places)
    keys = f"unnest({arrays}) AS k({', '.join(names)})"
    return f"SELECT {columns} FROM {plan.qualified} AS t JOIN {keys} ON {joined}"


def select_keys(plan: TablePlan, *, first: bool) -> str:
    """Return the query for the keys of the table in their order: the `first` of them, or those behind one.

    Parameters: how many, and the key.
    """
    names = ", ".join(_key_columns(plan))
    key = [plan.record[i] for i in plan.key_places]
    places = ", ".join(f"${n}::text::{c.enum}" if c.enum else f"${n}" for n, c in enumerate(key, 2))
    behind = "" if first else f" WHERE ({names}) > ({places})"
    return f"SELECT {', '.join(map(_selected, key))} FROM {plan.qualified}{behind} ORDER BY {names} LIMIT $1"


def count(plan: TablePlan) -> str:
    """Return the query for the number of rows."""
    return f"SELECT count(*) FROM {plan.qualified}"


def delete_duplicates(plan: TablePlan) -> str:
    """Return the statement that leaves one row per key.

    Only a row whose rowid changed while the table was copied can have come twice; its key is in the change
    log, so whichever copy stays is made current right after.
    """
    keys = ", ".join(_key_columns(plan))
    return (
        f"DELETE FROM {plan.qualified} WHERE ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER "
        f"(PARTITION BY {keys} ORDER BY ctid) AS copy FROM {plan.qualified}) AS copies WHERE copy > 1)"
    )
