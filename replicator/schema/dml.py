"""The statements that apply changes, as pure text: one per table and block, whatever its size."""

from __future__ import annotations

import hashlib

from replicator.planning.plan import ColumnPlan, TablePlan
from replicator.values.conversions import base, is_list
from triggers.identifier import literal, quote


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


#: Types whose values have no fixed length, and so may be too long for an index.
_LONG = ("text", "varchar", "bpchar", "bytea", "numeric")


def _probe_name(plan: TablePlan) -> str:
    mark = hashlib.sha256(plan.qualified.encode()).hexdigest()[:16]
    return f"liteferry.probe_{mark}"


def probe(plan: TablePlan) -> list[str]:
    """Return the statements that try every long key of a table in an index of the same columns.

    They leave a table with the places of the rows that no index holds; for one transaction.
    """
    columns, name = _key_columns(plan), _probe_name(plan)
    own = [f"k{n}" for n in range(len(columns))]
    chosen = ", ".join(f"{c} AS {k}" for c, k in zip(columns, own, strict=True))
    types = [base(plan.record[i].pg_type) for i in plan.key_places]
    sizes = [
        f"octet_length({c}{'::text' if t == 'numeric' else ''})"
        for c, t in zip(columns, types, strict=True)
        if t in _LONG
    ]
    # a key takes at most a third of a page: what is well below that need not be tried
    long = f"{' + '.join(sizes) or '0'} > current_setting('block_size')::int / 4"
    body = f"""DECLARE one record;
BEGIN
    FOR one IN SELECT ctid AS place, {chosen} FROM {plan.qualified} WHERE {long} LOOP
        BEGIN
            INSERT INTO {name} ({", ".join(own)}) VALUES ({", ".join(f"one.{k}" for k in own)});
        EXCEPTION WHEN program_limit_exceeded THEN
            INSERT INTO {name} (place) VALUES (one.place);
        END;
    END LOOP;
END"""
    return [
        f"CREATE UNLOGGED TABLE {name} AS SELECT ctid AS place, {chosen} FROM {plan.qualified} WITH NO DATA",
        f"CREATE INDEX ON {name} ({', '.join(own)})",
        f"DO {literal(body)}",
    ]


def delete_refused(plan: TablePlan) -> str:
    """Return the statement that deletes the rows that `probe` has found, and returns their keys."""
    keys = ", ".join(f"t.{c}" for c in _key_columns(plan))
    places = f"USING {_probe_name(plan)} AS p WHERE t.ctid = p.place"
    return f"DELETE FROM {plan.qualified} AS t {places} RETURNING {keys}"


def drop_probe(plan: TablePlan) -> str:
    """Return the statement that takes the table of `probe` away."""
    return f"DROP TABLE {_probe_name(plan)}"


def rewrite(plan: TablePlan) -> str:
    """Return the statement that writes a table anew without its deleted rows."""
    column = _key_columns(plan)[0]
    # any expression but the column alone has PostgreSQL write every row; the type stays
    kind = plan.record[plan.key_places[0]].pg_type
    return (
        f"ALTER TABLE {plan.qualified} ALTER COLUMN {column} TYPE {kind} USING coalesce({column}, {column})"
    )


def negative_zero(plan: TablePlan, column: ColumnPlan) -> str:
    """Return the query whether a column of floating point numbers holds -0.0."""
    name = quote(column.target)
    return f"SELECT EXISTS (SELECT FROM {plan.qualified} WHERE {name} = 0 AND {name}::text = '-0')"
