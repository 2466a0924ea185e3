-- create_log --
-- the keys of rows that the application has changed on the target since the cutover; no key: any row of the
-- table. The numbers are not the order of commits: entries are read and deleted in one snapshot
CREATE TABLE IF NOT EXISTS liteferry.back_log (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_id uuid NOT NULL,
    table_id integer NOT NULL,
    key text[],
    at timestamptz NOT NULL DEFAULT clock_timestamp()
)

-- create_quarantine --
-- rows of the target that the source cannot hold, by the key they have here
CREATE TABLE IF NOT EXISTS liteferry.back_quarantine (
    source_id uuid NOT NULL,
    table_id integer NOT NULL,
    key text[] NOT NULL,
    -- SHA-256 of the key, which may be too long for an index
    key_hash text NOT NULL,
    row jsonb NOT NULL,
    column_name text NOT NULL,
    reason text NOT NULL,
    -- the operator has said that the rollback may go on without it
    accepted boolean NOT NULL DEFAULT false,
    since timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source_id, table_id, key_hash)
)

-- create_rollback --
-- the journal of rollbacks: `guarding` can be undone, from `returning` on the sources get the writes
CREATE TABLE IF NOT EXISTS liteferry.rollback (
    rollback_id uuid PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('guarding', 'returning', 'done', 'aborted')),
    sources uuid[] NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    report jsonb
)

-- create_beside --
-- what stood in the schemas of a source when its way back was armed: what is made later is told of
CREATE TABLE IF NOT EXISTS liteferry.back_beside (
    source_id uuid NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (source_id, kind, name)
)

-- beside --
-- the tables and types of some schemas, but for those of extensions and the parts of partitioned tables
SELECT 'table' AS kind, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = ANY($2::text[]) AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT EXISTS (
    SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
UNION ALL
SELECT 'type', quote_ident(n.nspname) || '.' || quote_ident(t.typname)
FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
WHERE n.nspname = ANY($2::text[]) AND t.typtype IN ('e', 'd') AND NOT EXISTS (
    SELECT FROM pg_depend AS d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')

-- forget_beside --
-- another cutover begins with what stands there then
DELETE FROM liteferry.back_beside WHERE source_id = $1

-- has_beside --
-- whether it was noted: a target that was cut over by an older version has none
SELECT to_regclass('liteferry.back_beside') IS NOT NULL

-- armed --
-- whether the key log is there
SELECT to_regclass('liteferry.back_log') IS NOT NULL

-- exact --
-- have values printed in the one form that reads back as the same value, and the same for all; and let a
-- source take its time with a large backlog: it is not the network that has gone silent then. Rows that a policy
-- hides from our role would look as if they were gone: without row_security that is an error
SELECT set_config('DateStyle', 'ISO', true), set_config('extra_float_digits', '3', true),
    set_config('bytea_output', 'hex', true), set_config('TimeZone', 'UTC', true),
    set_config('idle_in_transaction_session_timeout', '30min', true),
    set_config('row_security', 'off', true)

-- share --
-- let another transaction see what this one sees
SELECT pg_export_snapshot()

-- kept_in --
-- how many rows of one table are kept
SELECT count(*) FROM liteferry.back_quarantine WHERE source_id = $1 AND table_id = $2

-- pending --
-- how many entries wait, and the age of the oldest in seconds
SELECT count(*) AS entries,
    coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)::float8 AS oldest
FROM liteferry.back_log WHERE source_id = $1

-- waiting --
-- the tables with entries, and whether any row of theirs may have changed
SELECT table_id, count(*) AS entries, bool_or(key IS NULL) AS whole
FROM liteferry.back_log WHERE source_id = $1 GROUP BY table_id ORDER BY table_id

-- mark_whole --
-- any row of some tables may have changed
INSERT INTO liteferry.back_log (source_id, table_id) SELECT $1, unnest($2::int[])

-- forget_entries --
-- the source has them; in the snapshot they were read in, so nothing goes that was not seen
DELETE FROM liteferry.back_log WHERE source_id = $1

-- forget_kept --
-- nothing is kept of a source any more
DELETE FROM liteferry.back_quarantine WHERE source_id = $1

-- release --
-- rows that were looked at again in this transaction and were not refused
DELETE FROM liteferry.back_quarantine AS q USING liteferry.back_log AS l
WHERE q.source_id = $1 AND l.source_id = $1 AND q.table_id = l.table_id AND q.seen_at < now()
    AND (l.key IS NULL OR q.key = l.key)

-- move_home --
-- what the source's log holds is what we brought: the way forward begins behind it
UPDATE liteferry.source SET position = $3, mark = $4, updated_at = now()
WHERE source_id = $1 AND position = $2

-- quarantined --
-- how many rows of each table are kept
SELECT table_id, count(*) AS rows, count(*) FILTER (WHERE NOT accepted) AS unaccepted
FROM liteferry.back_quarantine WHERE source_id = $1 GROUP BY table_id

-- quarantine_rows --
-- the rows themselves, oldest first
SELECT p.name, q.key, q.row, q.column_name, q.reason, q.accepted,
    to_char(q.since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS since
FROM liteferry.back_quarantine AS q JOIN liteferry.progress AS p USING (source_id, table_id)
WHERE q.source_id = $1 AND ($2::text IS NULL OR p.name = $2) ORDER BY q.since, q.table_id, q.key LIMIT $3

-- accept --
-- the rollback may go on without the rows of a table that are kept now
UPDATE liteferry.back_quarantine AS q SET accepted = true FROM liteferry.progress AS p
WHERE p.source_id = q.source_id AND p.table_id = q.table_id AND q.source_id = $1 AND p.name = $2

-- retry --
-- look at the kept rows of some tables again
INSERT INTO liteferry.back_log (source_id, table_id, key)
SELECT source_id, table_id, key FROM liteferry.back_quarantine
WHERE source_id = $1 AND table_id = ANY($2::int[])

-- begin --
-- a rollback has begun, and nothing is closed yet
INSERT INTO liteferry.rollback (rollback_id, state, sources) VALUES ($1, 'guarding', $2)

-- decide --
-- from here on the sources get the writes
UPDATE liteferry.rollback SET state = 'returning' WHERE rollback_id = $1 AND state = 'guarding'

-- abort --
-- from here on nobody can decide it any more
UPDATE liteferry.rollback SET state = 'aborted', ended_at = now() WHERE rollback_id = $1 AND state = 'guarding'

-- abort_stale --
-- whatever was begun for these sources and not decided was not done; waits for one that is just deciding
UPDATE liteferry.rollback SET state = 'aborted', ended_at = now()
WHERE state = 'guarding' AND sources && $1::uuid[]

-- state --
-- what became of a rollback; waits for a transaction that is just deciding
SELECT state FROM liteferry.rollback WHERE rollback_id = $1 FOR UPDATE

-- returning --
-- the rollback that was decided and is not done
SELECT rollback_id, sources FROM liteferry.rollback
WHERE state = 'returning' AND sources && $1::uuid[] ORDER BY started_at DESC LIMIT 1

-- done --
-- everything is as before the cutover
UPDATE liteferry.rollback SET state = 'done', ended_at = now() WHERE rollback_id = $1 AND state = 'returning'

-- report --
-- keep the timeline
UPDATE liteferry.rollback SET report = $2::jsonb WHERE rollback_id = $1

-- stream_again --
-- a source has the writes again; which schema of it the plans are for
UPDATE liteferry.source SET state = 'streaming', schema_version = coalesce($2, schema_version),
    updated_at = now() WHERE source_id = $1

-- columns --
-- the columns that some tables have now
SELECT t.n AS table_id, a.attname::text AS name, format_type(a.atttypid, NULL) AS type,
    a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AS needs_value
FROM unnest($1::int[], $2::text[]) AS t(n, name)
JOIN pg_attribute AS a ON a.attrelid = to_regclass(t.name) AND a.attnum > 0 AND NOT a.attisdropped

-- types --
-- some types as `columns` names them
SELECT t AS given, format_type(to_regtype(t), NULL) AS named FROM unnest($1::text[]) AS t

-- watched --
-- how many of our triggers watch each of some tables
SELECT t.n AS table_id, count(g.oid) AS triggers FROM unnest($1::int[], $2::text[]) AS t(n, name)
LEFT JOIN pg_trigger AS g
    ON g.tgrelid = to_regclass(t.name) AND g.tgname = ANY($3::text[]) AND g.tgenabled = 'A' GROUP BY t.n

-- last_value --
-- the greatest value that an identity has given out, NULL when none
SELECT pg_sequence_last_value(pg_get_serial_sequence($1, $2)::regclass)

-- cutovers --
-- the reports of the cutovers of some sources, oldest first
SELECT report FROM liteferry.cutover WHERE sources && $1::uuid[] AND report IS NOT NULL AND state = 'decided'
ORDER BY started_at

-- finished --
-- the sources of some paths whose way back was given up
SELECT source_id, path FROM liteferry.source WHERE state = 'finished' AND path = ANY($1::text[])

-- kept_behind --
-- rows of the source that the target never got: their keys there
SELECT table_id, key FROM liteferry.quarantine WHERE source_id = $1 AND table_id = ANY($2::int[])

-- comment --
-- the comment on a table
SELECT obj_description(to_regclass($1), 'pg_class')
