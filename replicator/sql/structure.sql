-- tables --
-- which of some tables there are: the place in the question, and PostgreSQL's number for it
SELECT n.place::int - 1 AS place, c.oid::bigint AS oid, c.relkind::text AS kind,
    EXISTS (SELECT FROM pg_trigger AS g
        WHERE g.tgrelid = c.oid AND g.tgname = 'liteferry_guard' AND g.tgenabled <> 'D') AS guarded
FROM unnest($1::text[]) WITH ORDINALITY AS n(name, place)
JOIN pg_class AS c ON c.oid = to_regclass(n.name)

-- columns --
-- the columns of some tables
SELECT a.attrelid::bigint AS oid, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
    a.attnotnull AS not_null, pg_get_serial_sequence(a.attrelid::regclass::text, a.attname) AS sequence
FROM pg_attribute AS a
WHERE a.attrelid = ANY($1::bigint[]::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum

-- constraints --
-- the keys, unique constraints, foreign keys and CHECKs of some tables
SELECT c.conrelid::bigint AS oid, c.conname AS name, c.contype::text AS kind, c.convalidated AS valid,
    ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k(number, place)
        JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.number ORDER BY k.place) AS columns
FROM pg_constraint AS c
WHERE c.conrelid = ANY($1::bigint[]::oid[]) AND c.contype IN ('p', 'u', 'f', 'c')

-- indexes --
-- the indexes of some tables: of each term the column, NULL for an expression, and its order
SELECT i.indrelid::bigint AS oid, c.relname AS name, i.indisunique AS is_unique, i.indisvalid AS valid,
    i.indpred IS NOT NULL AS partial,
    ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
        LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0
        WHERE k.place <= i.indnkeyatts ORDER BY k.place) AS columns,
    ARRAY(SELECT o.bits::int FROM unnest(i.indoption::int2[]) WITH ORDINALITY AS o(bits, place)
        WHERE o.place <= i.indnkeyatts ORDER BY o.place) AS orders
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid = ANY($1::bigint[]::oid[])
