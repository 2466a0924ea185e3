"""The key log on the target: the functions and triggers that note what the application changes there. Pure.

As in the source they log keys, not rows, and rather once too often. They run for whoever writes, whatever
rights and settings that session has, and must not make a statement of the application fail: where a column
of the key has been renamed or dropped, they note that any row of the table may have changed.
"""

from __future__ import annotations

from uuid import UUID

from replicator.planning.plan import TablePlan
from replicator.values.conversions import base
from triggers.identifier import literal, quote

#: One trigger per event: PostgreSQL hands over changed rows to no trigger with several.
INSERTED, UPDATED, DELETED, TRUNCATED = NAMES = (
    "liteferry_back_i",
    "liteferry_back_u",
    "liteferry_back_d",
    "liteferry_back_t",
)

#: What makes a value's text the same in every session, and exact.
PINNED = (
    "search_path = pg_catalog, pg_temp",
    "\"DateStyle\" = 'ISO'",
    "extra_float_digits = 3",
    "bytea_output = 'hex'",
    "\"TimeZone\" = 'UTC'",
)


def function_name(source_id: UUID, number: int) -> str:
    """Return the quoted name of the function that logs one table's keys."""
    return f"liteferry.{quote(f'back_{source_id.hex[:12]}_{number}')}"


def key_columns(plan: TablePlan) -> list[str]:
    """Return the names that the key's columns have on the target."""
    return [plan.record[i].target for i in plan.key_places]


def key_text(plan: TablePlan, row: str) -> str:
    """Return the expression for the key of a row as the log has it."""
    return "ARRAY[" + ", ".join(f"{row}.{quote(c)}::text" for c in key_columns(plan)) + "]"


def function(plan: TablePlan, source_id: UUID, number: int) -> str:
    """Return the statement that makes the function which logs one table's keys."""
    columns = key_columns(plan)
    names = "ARRAY[" + ", ".join(map(literal, columns)) + "]::name[]"
    mark = f"{literal(str(source_id))}::uuid, {number}"
    insert = "INSERT INTO liteferry.back_log (source_id, table_id, key)"
    pinned = "\n".join(f"    SET {setting}" for setting in PINNED)
    old = f"SELECT {mark}, {key_text(plan, 'o')} FROM liteferry_old AS o"
    new = f"SELECT {mark}, {key_text(plan, 'n')} FROM liteferry_new AS n"
    return (
        f"CREATE OR REPLACE FUNCTION {function_name(source_id, number)}() RETURNS trigger LANGUAGE plpgsql "
        f"SECURITY DEFINER\n{pinned}\nAS $liteferry$\nBEGIN\n"
        f"    IF TG_OP = 'TRUNCATE' OR (SELECT count(*) FROM pg_attribute WHERE attrelid = TG_RELID "
        f"AND NOT attisdropped AND attname = ANY({names})) <> {len(columns)} THEN\n"
        f"        INSERT INTO liteferry.back_log (source_id, table_id) VALUES ({mark});\n"
        f"    ELSIF TG_OP = 'INSERT' THEN\n        {insert} {new};\n"
        f"    ELSIF TG_OP = 'DELETE' THEN\n        {insert} {old};\n"
        f"    ELSE\n        {insert} {old} UNION {new};\n"
        "    END IF;\n    RETURN NULL;\nEND $liteferry$"
    )


def triggers(plan: TablePlan, source_id: UUID, number: int) -> list[str]:
    """Return the statements that put the triggers on one table, to fire whatever a session has set."""
    runs = f"FOR EACH STATEMENT EXECUTE FUNCTION {function_name(source_id, number)}()"
    on = f"ON {plan.qualified}"
    old, new = "OLD TABLE AS liteferry_old", "NEW TABLE AS liteferry_new"
    always = ", ".join(f"ENABLE ALWAYS TRIGGER {name}" for name in NAMES)
    return [
        f"CREATE TRIGGER {INSERTED} AFTER INSERT {on} REFERENCING {new} {runs}",
        f"CREATE TRIGGER {UPDATED} AFTER UPDATE {on} REFERENCING {old} {new} {runs}",
        f"CREATE TRIGGER {DELETED} AFTER DELETE {on} REFERENCING {old} {runs}",
        f"CREATE TRIGGER {TRUNCATED} BEFORE TRUNCATE {on} {runs}",
        f"ALTER TABLE {plan.qualified} {always}",
    ]


def drop(qualified: str) -> list[str]:
    """Return the statements that take the triggers off a table, if it is there."""
    return [f"DROP TRIGGER IF EXISTS {name} ON {qualified}" for name in NAMES]


def drop_function(source_id: UUID, number: int) -> str:
    """Return the statement that takes the function away."""
    return f"DROP FUNCTION IF EXISTS {function_name(source_id, number)}()"


def changed_sql(plan: TablePlan) -> str:
    """Return the query for a table's logged keys with the rows as they are now.

    Parameters: source and table. First the key, then whether there is a row, then the row.
    """
    names = [f"k{i}" for i in range(len(plan.key_places))]
    types = [plan.record[i].pg_type for i in plan.key_places]
    read = ", ".join(f"(key[{i}])::{t} AS {n}" for i, (n, t) in enumerate(zip(names, types, strict=True), 1))
    joined = " AND ".join(f"t.{quote(c)} = l.{n}" for c, n in zip(key_columns(plan), names, strict=True))
    record = ", ".join(f"t.{quote(c.target)}" for c in plan.record)
    return (
        f"SELECT {', '.join(f'l.{n}' for n in names)}, t.ctid IS NOT NULL, {record} FROM "
        f"(SELECT DISTINCT {read} FROM liteferry.back_log "
        f"WHERE source_id = $1 AND table_id = $2 AND key IS NOT NULL) AS l "
        f"LEFT JOIN {plan.qualified} AS t ON {joined}"
    )


def whole_sql(plan: TablePlan) -> str:
    """Return the query for all rows of a table."""
    return "SELECT " + ", ".join(f"t.{quote(c.target)}" for c in plan.record) + f" FROM {plan.qualified} AS t"


def _given(plan: TablePlan, first: int) -> tuple[str, str]:
    """Return rows of keys given as one array per column, parameters from `first` on, and a key's text."""
    names = [f"k{i}" for i in range(len(plan.key_places))]
    arrays = ", ".join(
        f"${i}::{base(plan.record[place].pg_type)}[]" for i, place in enumerate(plan.key_places, first)
    )
    key = "ARRAY[" + ", ".join(f"k.{name}::text" for name in names) + "]"
    return f"unnest({arrays}) WITH ORDINALITY AS k({', '.join(names)}, place)", key


def requeue_sql(plan: TablePlan) -> str:
    """Return the statement that logs keys once more. Parameters: source, table, one array per key column."""
    rows, key = _given(plan, 3)
    return f"INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT $1, $2, {key} FROM {rows}"


def kept_sql(plan: TablePlan) -> str:
    """Return the query for the places, from 1, of those keys that are kept aside.

    Parameters as those of `requeue_sql`.
    """
    rows, key = _given(plan, 3)
    hashed = f"encode(sha256(convert_to({key}::text, 'UTF8')), 'hex')"
    return (
        f"SELECT k.place FROM {rows} WHERE EXISTS (SELECT FROM liteferry.back_quarantine AS q "
        f"WHERE q.source_id = $1 AND q.table_id = $2 AND q.key_hash = {hashed})"
    )


def keep_sql(plan: TablePlan) -> str:
    """Return the statement that keeps rows that the source refuses.

    Parameters: source, table, columns, reasons, and one array per column of the key.
    """
    names = [f"k{i}" for i in range(len(plan.key_places))]
    arrays = ", ".join(
        f"${i}::{base(plan.record[place].pg_type)}[]" for i, place in enumerate(plan.key_places, 5)
    )
    joined = " AND ".join(f"t.{quote(c)} = r.{n}" for c, n in zip(key_columns(plan), names, strict=True))
    key = key_text(plan, "t")
    return (
        "INSERT INTO liteferry.back_quarantine "
        "(source_id, table_id, key, key_hash, row, column_name, reason) "
        f"SELECT $1, $2, {key}, encode(sha256(convert_to({key}::text, 'UTF8')), 'hex'), to_jsonb(t), "
        f"r.c, r.w FROM unnest($3::text[], $4::text[], {arrays}) AS r(c, w, {', '.join(names)}) "
        f"JOIN {plan.qualified} AS t ON {joined} "
        "ON CONFLICT (source_id, table_id, key_hash) DO UPDATE SET "
        "accepted = back_quarantine.accepted AND back_quarantine.row = EXCLUDED.row, row = EXCLUDED.row, "
        "column_name = EXCLUDED.column_name, reason = EXCLUDED.reason, seen_at = now()"
    )
