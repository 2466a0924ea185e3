"""All that PostgreSQL's catalogue says of some schemas, as text; equal where nothing has changed.

It shares no code with the product. Numbers of objects (oids) are left out, and what a sequence has given out.
"""

from __future__ import annotations

import asyncpg

QUERIES = {
    "relation": """
        SELECT c.oid::regclass, c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
        c.relreplident, c.reloptions, c.relacl, c.relowner::regrole, c.relhasrules,
        obj_description(c.oid, 'pg_class') FROM pg_class AS c
        WHERE c.relnamespace = ANY($1) AND c.relkind <> 't'
    """,
    "column": """
        SELECT a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
        a.attidentity, a.attgenerated, a.attcollation, a.attstorage, a.attacl, a.attoptions,
        pg_get_expr(d.adbin, d.adrelid), col_description(a.attrelid, a.attnum) FROM pg_attribute AS a JOIN
        pg_class AS c ON c.oid = a.attrelid LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND
        d.adnum = a.attnum WHERE c.relnamespace = ANY($1) AND a.attnum > 0 AND NOT a.attisdropped AND
        c.relkind <> 't'
    """,
    "constraint": """
        SELECT conrelid::regclass, conname, contype, condeferrable, condeferred, convalidated,
        conindid::regclass, confrelid::regclass, pg_get_constraintdef(oid), conislocal, connoinherit,
        obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE connamespace = ANY($1)
    """,
    "trigger": """
        SELECT t.tgrelid::regclass, t.tgname, t.tgenabled, pg_get_triggerdef(t.oid),
        obj_description(t.oid, 'pg_trigger') FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
        WHERE c.relnamespace = ANY($1) AND NOT t.tgisinternal
    """,
    "internal trigger": """
        SELECT t.tgrelid::regclass, t.tgenabled, t.tgtype, t.tgfoid::regproc, k.conname FROM pg_trigger AS
        t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_constraint AS k ON k.oid = t.tgconstraint WHERE
        c.relnamespace = ANY($1) AND t.tgisinternal
    """,
    "rule": """
        SELECT r.ev_class::regclass, r.rulename, r.ev_enabled, pg_get_ruledef(r.oid),
        obj_description(r.oid, 'pg_rewrite') FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class
        WHERE c.relnamespace = ANY($1)
    """,
    "index": """
        SELECT i.indexrelid::regclass, i.indisunique, i.indisprimary, i.indisvalid, i.indimmediate,
        i.indisreplident, pg_get_indexdef(i.indexrelid), obj_description(i.indexrelid, 'pg_class') FROM
        pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE c.relnamespace = ANY($1)
    """,
    "policy": """
        SELECT p.polrelid::regclass, p.polname, p.polcmd, pg_get_expr(p.polqual, p.polrelid) FROM
        pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid WHERE c.relnamespace = ANY($1)
    """,
    "sequence": """
        SELECT s.seqrelid::regclass, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqmin,
        s.seqcache, s.seqcycle, (SELECT array_agg(d.refobjid::regclass::text || d.refobjsubid::text ||
        d.deptype::text) FROM pg_depend AS d WHERE d.objid = s.seqrelid AND d.classid =
        'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass) FROM pg_sequence AS s JOIN pg_class
        AS c ON c.oid = s.seqrelid WHERE c.relnamespace = ANY($1)
    """,
    "type": """
        SELECT t.oid::regtype, t.typtype, t.typnotnull, t.typdefault, (SELECT array_agg(e.enumlabel ORDER
        BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid) FROM pg_type AS t WHERE
        t.typnamespace = ANY($1)
    """,
    "function": """
        SELECT p.oid::regprocedure, pg_get_functiondef(p.oid) FROM pg_proc AS p WHERE p.pronamespace =
        ANY($1) AND p.prokind = 'f'
    """,
    "event trigger": """
        SELECT evtname, evtenabled FROM pg_event_trigger WHERE $1::oid[] IS NOT NULL
    """,
}


async def dump(url: str, *schemas: str) -> set[str]:
    """Return a line for each object of some schemas (public where none is named)."""
    connection = await asyncpg.connect(url)
    try:
        names = list(schemas or ("public",))
        spaces = await connection.fetch("SELECT oid FROM pg_namespace WHERE nspname = ANY($1)", names)
        oids = [row["oid"] for row in spaces]
        return {
            f"{kind}: {tuple(map(str, row))}"
            for kind, query in QUERIES.items()
            for row in await connection.fetch(query, oids)
        }
    finally:
        await connection.close()
