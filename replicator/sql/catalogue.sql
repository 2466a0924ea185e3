-- tables --
-- what stands under the names of some tables, and what may be done with it
SELECT c.oid, c.relname AS name, c.relkind::text AS kind, c.relpersistence = 'u' AS unlogged,
    EXISTS (SELECT FROM pg_inherits AS i WHERE c.oid IN (i.inhrelid, i.inhparent)) AS inherits,
    pg_has_role(c.relowner, 'USAGE') AS owned, current_user::text AS role,
    EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid = c.oid AND g.tgname = 'liteferry_guard') AS guarded,
    EXISTS (SELECT FROM pg_rewrite AS r WHERE r.ev_class = c.oid AND r.ev_type = '2') AS update_rule
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = ANY($2::text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')

-- columns --
-- the columns of some tables; of a domain the type that is behind it
WITH RECURSIVE typed AS (
    SELECT a.attrelid, a.attnum, a.atttypid AS type, a.atttypmod AS modifier, false AS strict, false AS filled
    FROM pg_attribute AS a WHERE a.attrelid = ANY($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT b.attrelid, b.attnum, t.typbasetype, CASE t.typtypmod WHEN -1 THEN b.modifier ELSE t.typtypmod END,
        b.strict OR t.typnotnull, b.filled OR t.typdefault IS NOT NULL
    FROM typed AS b JOIN pg_type AS t ON t.oid = b.type WHERE t.typtype = 'd'
)
SELECT b.attrelid AS oid, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS declared,
    t.typname AS type, b.modifier,
    CASE t.typtype WHEN 'e' THEN format('%I.%I', n.nspname, t.typname) ELSE '' END AS enum,
    ARRAY(SELECT e.enumlabel::text FROM pg_enum AS e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder)
        AS labels,
    n.nspname = 'pg_catalog' AS built_in, a.attnotnull OR b.strict AS not_null,
    a.atthasdef OR a.attidentity <> '' OR b.filled AS filled, a.attgenerated <> '' AS generated,
    coalesce((SELECT k.collisdeterministic FROM pg_collation AS k WHERE k.oid = a.attcollation), true) AS exact
FROM typed AS b JOIN pg_attribute AS a ON (a.attrelid, a.attnum) = (b.attrelid, b.attnum)
JOIN pg_type AS t ON t.oid = b.type JOIN pg_namespace AS n ON n.oid = t.typnamespace
WHERE t.typtype <> 'd' ORDER BY b.attrelid, b.attnum

-- uniques --
-- the unique indexes of some tables by which rows can be told apart at any moment: whole, valid, immediate
SELECT i.indrelid AS oid, ARRAY(SELECT a.attname::text FROM unnest(i.indkey[0:i.indnkeyatts - 1]) AS k(n)
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.n) AS columns
FROM pg_index AS i WHERE i.indrelid = ANY($1::oid[]) AND i.indisunique AND i.indisvalid AND i.indimmediate
    AND i.indpred IS NULL AND i.indexprs IS NULL ORDER BY i.indrelid, i.indexrelid

-- checks --
-- the CHECK constraints of some tables
SELECT conrelid AS oid, conname AS name, pg_get_expr(conbin, conrelid) AS expression
FROM pg_constraint WHERE conrelid = ANY($1::oid[]) AND contype = 'c' ORDER BY conrelid, conname

-- references --
-- the foreign keys of other tables to these, and what keeps us from putting one aside
SELECT f.conname AS name, format('%I.%I', n.nspname, c.relname) AS relation, f.confrelid AS oid,
    f.confrelid::regclass::text AS refers, c.relkind = 'p' AS partitioned,
    pg_has_role(c.relowner, 'USAGE') AS owned, current_user::text AS role
FROM pg_constraint AS f JOIN pg_class AS c ON c.oid = f.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE f.contype = 'f' AND f.conparentid = 0 AND f.confrelid = ANY($1::oid[]) AND f.conrelid <> ALL ($1::oid[])
ORDER BY relation, name

-- sequences --
-- the sequences that give columns of some tables their numbers: serial, identity, and DEFAULT nextval(...)
SELECT DISTINCT a.attrelid AS oid, a.attname AS column, format('%I.%I', n.nspname, s.relname) AS sequence,
    has_sequence_privilege(s.oid, 'UPDATE') AS allowed, current_user::text AS role
FROM pg_attribute AS a
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
JOIN pg_depend AS p ON (p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid
        AND p.refclassid = 'pg_class'::regclass)
    OR (p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass AND p.refobjid = a.attrelid
        AND p.refobjsubid = a.attnum AND p.deptype = 'i')
JOIN pg_class AS s ON s.relkind = 'S'
    AND s.oid = CASE p.classid WHEN 'pg_attrdef'::regclass THEN p.refobjid ELSE p.objid END
JOIN pg_namespace AS n ON n.oid = s.relnamespace
WHERE a.attrelid = ANY($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2

-- advance_sequence --
-- let a sequence go on behind a value, and never back; nothing of an empty table
SELECT setval($1::text::regclass, least(greatest($2::bigint, coalesce(pg_sequence_last_value(q.seqrelid), 0)),
    q.seqmax)) FROM pg_sequence AS q
WHERE q.seqrelid = $1::text::regclass AND q.seqincrement > 0 AND $2::bigint >= q.seqmin
