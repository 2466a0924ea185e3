-- server --
-- what a bug report needs to know of a server and our place on it
SELECT current_setting('server_version') AS version,
    version() AS build,
    pg_encoding_to_char(d.encoding) AS encoding,
    d.datcollate AS collation,
    d.datctype AS character_type,
    current_user::text AS role,
    r.rolsuper AS superuser,
    current_database()::text AS database,
    pg_database_size(d.oid) AS database_bytes,
    pg_is_in_recovery() AS standby,
    pg_backend_pid() AS pid,
    has_database_privilege(current_database(), 'CREATE') AS may_create_schemas,
    current_setting('max_connections')::int AS max_connections,
    (SELECT count(*)::int FROM pg_stat_activity) AS sessions_seen,
    current_setting('default_transaction_read_only') AS default_transaction_read_only,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('statement_timeout') AS statement_timeout,
    current_setting('TimeZone') AS time_zone
FROM pg_database AS d, pg_roles AS r
WHERE d.datname = current_database() AND r.rolname = current_user

-- extensions --
-- what is installed beside
SELECT extname::text AS name, extversion AS version FROM pg_extension ORDER BY extname

-- own_tables --
-- the tables of our bookkeeping, with their sizes
SELECT c.relname::text AS name, pg_total_relation_size(c.oid) AS bytes
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'liteferry' AND c.relkind = 'r' ORDER BY c.relname

-- sources --
-- what is remembered of each source
SELECT source_id::text, path, schema_name, state, position, schema_version, consistent, changes, batches,
    extract(epoch FROM clock_timestamp() - compared_at)::float8 AS compared_seconds_ago,
    extract(epoch FROM clock_timestamp() - updated_at)::float8 AS updated_seconds_ago,
    extract(epoch FROM clock_timestamp())::float8 - beat AS beat_seconds_ago
FROM liteferry.source ORDER BY path

-- tables --
-- what is remembered of each table, and how it stands; no key, no row
SELECT p.source_id::text, p.table_id, p.name, s.schema_name AS schema, p.plan ->> 'target' AS target, p.indexed,
    p.stale, p.changes, p.notes, c.oid IS NOT NULL AS exists, c.reltuples::bigint AS rows_estimated,
    pg_total_relation_size(c.oid) AS bytes,
    EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid = c.oid AND g.tgname = 'liteferry_guard') AS guarded,
    (SELECT count(*)::int FROM liteferry.lane AS l
        WHERE (l.source_id, l.table_id) = (p.source_id, p.table_id)) AS lanes,
    (SELECT count(*)::int FROM liteferry.lane AS l
        WHERE (l.source_id, l.table_id) = (p.source_id, p.table_id) AND l.copied) AS lanes_copied,
    (SELECT coalesce(sum(l.rows_copied), 0)::bigint FROM liteferry.lane AS l
        WHERE (l.source_id, l.table_id) = (p.source_id, p.table_id)) AS rows_copied,
    (SELECT count(*)::int FROM liteferry.quarantine AS q
        WHERE (q.source_id, q.table_id) = (p.source_id, p.table_id)) AS quarantined
FROM liteferry.progress AS p JOIN liteferry.source AS s USING (source_id)
LEFT JOIN pg_namespace AS n ON n.nspname = s.schema_name
LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = coalesce(p.plan ->> 'target', p.name)
ORDER BY p.source_id, p.table_id

-- cutovers --
-- the journal of cutovers
SELECT cutover_id::text, state, started_at::text, ended_at::text, told FROM liteferry.cutover
ORDER BY started_at DESC LIMIT 20

-- verifications --
-- the last verifications
SELECT kind, equal, finished_at::text FROM liteferry.verification ORDER BY finished_at DESC LIMIT 20

-- ordered --
-- what the operator has ordered
SELECT source_id::text, paused_at::text, paused_before, rows_per_second, limited_at::text FROM liteferry.orders
