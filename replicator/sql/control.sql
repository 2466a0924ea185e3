-- create_schema --
-- everything that liteferry remembers lives here, in the same database as the rows it is about
CREATE SCHEMA IF NOT EXISTS liteferry

-- create_source --
-- one row per source; the position moves in the transaction that carries the rows; `mark` is the time of the
-- log's entry at the position, by which a restored or emptied log is told from the right one
CREATE TABLE IF NOT EXISTS liteferry.source (
    source_id uuid PRIMARY KEY,
    path text NOT NULL,
    schema_name text NOT NULL,
    state text NOT NULL,
    position bigint NOT NULL,
    mark double precision,
    -- SQLite's own count of the source's schema changes, when they were last followed
    schema_version bigint,
    -- the inode of the file that is followed: another one under its name may hold anything
    inode bigint,
    beat double precision,
    consistent boolean NOT NULL DEFAULT false,
    changes bigint NOT NULL DEFAULT 0,
    batches bigint NOT NULL DEFAULT 0,
    -- when all rows were last copied, or compared and made equal; NULL when they must be compared once more
    compared_at timestamptz DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
)

-- create_progress --
-- one row per table: its plan, and what has been done for it
CREATE TABLE IF NOT EXISTS liteferry.progress (
    source_id uuid NOT NULL REFERENCES liteferry.source ON DELETE CASCADE,
    table_id integer NOT NULL,
    name text NOT NULL,
    plan jsonb NOT NULL,
    indexed boolean NOT NULL DEFAULT false,
    -- why its rows must be compared with the source's and repaired; NULL when they need not
    stale text,
    changes bigint NOT NULL DEFAULT 0,
    notes jsonb NOT NULL DEFAULT '[]',
    PRIMARY KEY (source_id, table_id)
)

-- create_lane --
-- one row per lane of a table's snapshot: a range of its rows, copied by one worker at a time. The cursor
-- stands before the next row, at first before the lane's first; `upto` is its last place, NULL for no bound
CREATE TABLE IF NOT EXISTS liteferry.lane (
    source_id uuid NOT NULL,
    table_id integer NOT NULL,
    lane integer NOT NULL,
    cursor text,
    upto text,
    rows_copied bigint NOT NULL DEFAULT 0,
    copied boolean NOT NULL DEFAULT false,
    PRIMARY KEY (source_id, table_id, lane),
    FOREIGN KEY (source_id, table_id) REFERENCES liteferry.progress ON DELETE CASCADE
)

-- create_quarantine --
-- rows that the target cannot hold, by the key they have in the source: each column with its storage class
CREATE TABLE IF NOT EXISTS liteferry.quarantine (
    source_id uuid NOT NULL,
    table_id integer NOT NULL,
    key text NOT NULL,
    -- SHA-256 of the key, which may be too long for an index
    key_hash text NOT NULL,
    row jsonb NOT NULL,
    -- empty where PostgreSQL does not tell
    column_name text NOT NULL,
    reason text NOT NULL,
    -- the operator has said that the cutover may go on without it
    accepted boolean NOT NULL DEFAULT false,
    since timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source_id, table_id, key_hash),
    FOREIGN KEY (source_id, table_id) REFERENCES liteferry.progress ON DELETE CASCADE
)

-- quarantine --
-- keep a row that was refused; accepted was what it was before
INSERT INTO liteferry.quarantine (source_id, table_id, key, key_hash, row, column_name, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (source_id, table_id, key_hash) DO UPDATE SET
    accepted = quarantine.accepted AND quarantine.row = EXCLUDED.row, row = EXCLUDED.row,
    column_name = EXCLUDED.column_name, reason = EXCLUDED.reason, seen_at = clock_timestamp()

-- release --
-- rows that are stored now, or gone
DELETE FROM liteferry.quarantine WHERE source_id = $1 AND table_id = $2 AND key_hash = ANY($3::text[])

-- release_unseen --
-- rows that were there before a table was read again, and are no more
DELETE FROM liteferry.quarantine WHERE source_id = $1 AND table_id = $2 AND seen_at < $3

-- quarantined --
-- how many rows of each table are kept
SELECT table_id, count(*) AS rows, count(*) FILTER (WHERE NOT accepted) AS unaccepted, max(seen_at) AS newest
FROM liteferry.quarantine WHERE source_id = $1 GROUP BY table_id

-- quarantined_since --
-- rows of one table that were refused behind a moment, oldest first
SELECT row, seen_at FROM liteferry.quarantine
WHERE source_id = $1 AND table_id = $2 AND seen_at > $3 ORDER BY seen_at LIMIT $4

-- quarantined_in --
-- how many rows of one table are kept
SELECT count(*) FROM liteferry.quarantine WHERE source_id = $1 AND table_id = $2

-- quarantined_keys --
-- which of some keys are kept
SELECT key_hash FROM liteferry.quarantine
WHERE source_id = $1 AND table_id = $2 AND key_hash = ANY($3::text[])

-- quarantine_rows --
-- the rows themselves, oldest first
SELECT p.name, q.key, q.row, q.column_name, q.reason, q.accepted,
    to_char(q.since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS since FROM liteferry.quarantine AS q
JOIN liteferry.progress AS p USING (source_id, table_id)
WHERE q.source_id = $1 AND ($2::text IS NULL OR p.name = $2) ORDER BY q.since, q.table_id, q.key LIMIT $3

-- accept --
-- the cutover may go on without the rows of a table that are kept now
UPDATE liteferry.quarantine AS q SET accepted = true FROM liteferry.progress AS p
WHERE p.source_id = q.source_id AND p.table_id = q.table_id AND q.source_id = $1 AND p.name = $2

-- create_cutover --
-- the journal of cutovers: what was decided, and by whom it can still be undone
CREATE TABLE IF NOT EXISTS liteferry.cutover (
    cutover_id uuid PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('fencing', 'decided', 'aborted')),
    sources uuid[] NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    report jsonb,
    -- whether the hook behind the decision has been run to its end
    told boolean NOT NULL DEFAULT false
)

-- create_verification --
-- the reports of the last verifications, each with the digest over its content
CREATE TABLE IF NOT EXISTS liteferry.verification (
    verification_id uuid PRIMARY KEY,
    kind text NOT NULL,
    sources uuid[] NOT NULL,
    equal boolean NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    digest text NOT NULL,
    -- json, not jsonb: as it was written
    report json NOT NULL
)

-- add_verification --
-- keep a report
INSERT INTO liteferry.verification (verification_id, kind, sources, equal, digest, report)
VALUES ($1, $2, $3, $4, $5, $6)

-- forget_verifications --
-- all but the newest of a kind
DELETE FROM liteferry.verification WHERE verification_id IN (
    SELECT verification_id FROM liteferry.verification WHERE kind = $1 ORDER BY finished_at DESC OFFSET $2)

-- knows_verifications --
-- whether there is a table for them: a target that an older version has set up has none before the first
SELECT to_regclass('liteferry.verification') IS NOT NULL

-- last_verification --
-- the newest report about any of some sources, of some kinds or of any
SELECT report FROM liteferry.verification WHERE sources && $1::uuid[]
    AND ($2::text[] IS NULL OR kind = ANY($2::text[])) ORDER BY finished_at DESC LIMIT 1

-- create_guard --
-- refuses writes to a replicated table by anyone but the daemon until the cutover
CREATE OR REPLACE FUNCTION liteferry.guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('liteferry.writer', true) IS DISTINCT FROM 'on' THEN
        RAISE EXCEPTION 'table %.% is being filled by liteferry: writes are refused until the cutover',
            TG_TABLE_SCHEMA, TG_TABLE_NAME
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'run liteferry cutover first';
    END IF;
    RETURN NULL;
END $$

-- identify --
-- mark this transaction as ours for the guard; local, so that a transaction pooler is no harm. Its commit
-- must last even where the server is told not to wait for the disk: the log is pruned behind it. And where the
-- network swallows us without a sound, the server shall end it soon: its locks would keep us out for hours
SELECT set_config('liteferry.writer', 'on', true), CASE current_setting('synchronous_commit')
    WHEN 'off' THEN set_config('synchronous_commit', 'local', true) END,
    set_config('idle_in_transaction_session_timeout', '30s', true)

-- check_at_once --
-- a deferred constraint would refuse rows only at the COMMIT, where nobody can tell which
SET CONSTRAINTS ALL IMMEDIATE

-- version --
-- the server's version as a number
SELECT current_setting('server_version_num')::int

-- lock_setup --
-- two daemons may set up at once
SELECT pg_advisory_xact_lock(7236913012)

-- register --
-- note a new source
INSERT INTO liteferry.source (source_id, path, schema_name, state, position, mark, schema_version, inode)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- source --
-- all that is known of a source; waits for a commit of ours whose answer got lost and that is still on its way
SELECT source_id, path, schema_name, state, position, mark, schema_version, inode, beat, consistent,
    changes, batches, extract(epoch FROM compared_at)::float8 AS compared_at
FROM liteferry.source WHERE source_id = $1 FOR UPDATE

-- followed --
-- where the sources are whose changes are still brought over
SELECT path FROM liteferry.source WHERE state <> 'cut_over' ORDER BY path

-- set_state --
-- note where a source is
UPDATE liteferry.source SET state = $2, updated_at = now() WHERE source_id = $1

-- move --
-- compare and set: somebody else having moved the position means that this batch must not commit
UPDATE liteferry.source
SET position = $3, mark = $4, beat = coalesce($5, beat), consistent = $6, changes = changes + ($3 - $2),
    batches = batches + 1, updated_at = now()
WHERE source_id = $1 AND position = $2

-- count_changes --
-- add to the tables' counts of applied entries
UPDATE liteferry.progress AS p SET changes = p.changes + c.n
FROM unnest($2::int[], $3::bigint[]) AS c(t, n) WHERE p.source_id = $1 AND p.table_id = c.t

-- add_table --
-- note a table's plan
INSERT INTO liteferry.progress (source_id, table_id, name, plan, notes) VALUES ($1, $2, $3, $4, $5)

-- add_lanes --
-- note the lanes of a table
INSERT INTO liteferry.lane (source_id, table_id, lane, cursor, upto)
SELECT $1, $2, l.lane, l.cursor, l.upto FROM unnest($3::int[], $4::text[], $5::text[]) AS l(lane, cursor, upto)

-- tables --
-- the plans of a source's tables
SELECT table_id, name, plan, indexed, stale, changes, notes
FROM liteferry.progress WHERE source_id = $1 ORDER BY table_id

-- lanes --
-- how far the snapshot of a source's tables has got
SELECT table_id, lane, cursor, upto, rows_copied, copied
FROM liteferry.lane WHERE source_id = $1 ORDER BY table_id, lane

-- lane --
-- how far one lane has got; waits as `source` does
SELECT table_id, lane, cursor, upto, rows_copied, copied
FROM liteferry.lane WHERE source_id = $1 AND table_id = $2 AND lane = $3 FOR UPDATE

-- advance --
-- move a lane, unless somebody else did
UPDATE liteferry.lane SET cursor = $5, rows_copied = rows_copied + $6, copied = $7
WHERE source_id = $1 AND table_id = $2 AND lane = $3 AND cursor IS NOT DISTINCT FROM $4 AND NOT copied

-- indexed --
-- note that a table has its indexes, and what could not be built
UPDATE liteferry.progress SET indexed = true, notes = notes || $3::jsonb WHERE source_id = $1 AND table_id = $2

-- add_notes --
-- add to what a table does not get what is not said there already
UPDATE liteferry.progress SET notes = notes || coalesce((SELECT jsonb_agg(n) FROM jsonb_array_elements($3::jsonb)
    AS a(n) WHERE NOT notes @> jsonb_build_array(n)), '[]') WHERE source_id = $1 AND table_id = $2

-- set_stale --
-- note tables as in need of repair; each reason bears its time, and the newest stands
UPDATE liteferry.progress SET stale = $3 WHERE source_id = $1 AND table_id = ANY($2::int[])

-- replace_file --
-- another file is followed from now on: whatever was read before was read from another one
WITH marked AS (UPDATE liteferry.progress SET stale = $3 WHERE source_id = $1)
UPDATE liteferry.source SET inode = $2, updated_at = now() WHERE source_id = $1

-- set_unindexed --
-- a table lacks indexes that it should have
UPDATE liteferry.progress SET indexed = false WHERE source_id = $1 AND table_id = $2

-- set_schema --
-- which schema of the source the plans are for
UPDATE liteferry.source SET schema_version = $2, compared_at = CASE WHEN $3 THEN NULL ELSE compared_at END
WHERE source_id = $1

-- set_compared --
-- all rows have been compared, and what differed was repaired
UPDATE liteferry.source SET compared_at = now() WHERE source_id = $1
RETURNING extract(epoch FROM compared_at)::float8

-- set_mended --
-- a table has been repaired, for the reason that stood when the repair began
UPDATE liteferry.progress SET stale = NULL WHERE source_id = $1 AND table_id = $2 AND stale = $3

-- set_plan --
-- a table's structure has changed in the source
UPDATE liteferry.progress SET name = $3, plan = $4, indexed = false WHERE source_id = $1 AND table_id = $2

-- set_notes --
-- what a table does not get has changed with its plan ($3 before, $4 now); what was found out on the way stays
UPDATE liteferry.progress AS p SET notes = $4::jsonb || coalesce((SELECT jsonb_agg(n)
    FROM jsonb_array_elements(p.notes) AS n WHERE NOT $3::jsonb @> jsonb_build_array(n)), '[]')
WHERE source_id = $1 AND table_id = $2

-- forget_table --
-- a table is gone from the source
DELETE FROM liteferry.progress WHERE source_id = $1 AND table_id = $2

-- set_copied --
-- a table that is filled by repair alone has no lane to copy
UPDATE liteferry.lane SET copied = true WHERE source_id = $1 AND table_id = $2

-- begin_log --
-- another log has taken the place of the one that was followed
UPDATE liteferry.source SET position = $3, mark = $4, consistent = false, updated_at = now()
WHERE source_id = $1 AND position = $2

-- existing --
-- which names of some tables are taken already, and by what if it is no table; the indexes and sequences of a
-- guarded table are ours, and give way
SELECT c.relname, CASE WHEN d.refobjid IS NOT NULL OR i.indrelid IS NOT NULL
    THEN format(' (%s of %s)', CASE c.relkind WHEN 'S' THEN 'a sequence' ELSE 'an index' END,
        coalesce(i.indrelid, d.refobjid)::regclass)
    WHEN c.relkind NOT IN ('r', 'p') THEN ' (not a table)' ELSE '' END AS what
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
LEFT JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND c.relkind = 'S'
    AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
WHERE n.nspname = $1 AND c.relname = ANY($2::text[]) AND NOT EXISTS (SELECT FROM pg_trigger AS g
    WHERE g.tgrelid = coalesce(i.indrelid, d.refobjid) AND g.tgname = 'liteferry_guard')

-- in_the_way --
-- the index or sequence of a guarded table that bears a name, and that table
SELECT c.relkind::text AS kind, o.relname AS owner
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
LEFT JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND c.relkind = 'S'
    AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
JOIN pg_class AS o ON o.oid = coalesce(i.indrelid, d.refobjid)
WHERE n.nspname = $1 AND c.relname = $2
    AND EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid = o.oid AND g.tgname = 'liteferry_guard')

-- indexes_of --
-- the indexes of a table, those of its constraints among them
SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid = $1::text::regclass

-- relations --
-- every name that is taken in a schema
SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = $1

-- views --
-- the views of a schema
SELECT viewname FROM pg_views WHERE schemaname = $1

-- constraint_on --
-- whether a table has a constraint of that name
SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = $1::text::regclass AND conname = $2)

-- has_replica_key --
-- whether a table has got its key: a primary key or a unique constraint
SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype IN ('p', 'u'))

-- valid_index --
-- whether an index is valid; false for what a broken-off CREATE INDEX CONCURRENTLY leaves, none without one
SELECT i.indisvalid FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2

-- set_sequence --
-- let the identity of a column go on behind a value; 1 for an empty table, not yet called
SELECT setval(pg_get_serial_sequence($1, $2), greatest($3::bigint, 1), $3::bigint >= 1)

-- begin_cutover --
-- before any fence goes up
INSERT INTO liteferry.cutover (cutover_id, state, sources) VALUES ($1, 'fencing', $2)

-- decide_cutover --
-- from here on the target has the writes
UPDATE liteferry.cutover SET state = 'decided', ended_at = now() WHERE cutover_id = $1 AND state = 'fencing'

-- abort_cutover --
-- from here on nobody can decide it any more
UPDATE liteferry.cutover SET state = 'aborted', ended_at = now() WHERE cutover_id = $1 AND state = 'fencing'

-- report_cutover --
-- keep the timeline
UPDATE liteferry.cutover SET report = $2::jsonb WHERE cutover_id = $1

-- cutover_state --
-- what became of a cutover; waits for a transaction that is just deciding
SELECT state FROM liteferry.cutover WHERE cutover_id = $1 FOR UPDATE

-- cutover_sources --
-- which sources a cutover is about
SELECT sources FROM liteferry.cutover WHERE cutover_id = $1

-- abort_stale --
-- no fence is up, so whatever was begun for these sources was not done
UPDATE liteferry.cutover SET state = 'aborted', ended_at = now() WHERE state = 'fencing' AND sources && $1::uuid[]

-- forget --
-- forget a source, its tables' progress with it
DELETE FROM liteferry.source WHERE source_id = $1

-- sources --
-- every source that this target knows
SELECT source_id, path, schema_name, state, position FROM liteferry.source ORDER BY path
