-- activity --
-- how the database is used; the counters are since it was last reset, or since the server's crash
SELECT pg_database_size(current_database()) AS bytes, d.xact_commit AS commits, d.xact_rollback AS rollbacks,
    d.deadlocks, d.temp_bytes, to_char(d.stats_reset AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS since,
    (SELECT sum(numbackends)::int FROM pg_stat_database) AS connections,
    current_setting('max_connections')::int AS most_connections,
    (SELECT count(*)::int FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock') AS waiting,
    (SELECT coalesce(max(extract(epoch FROM now() - xact_start)), 0)::float8 FROM pg_stat_activity
        WHERE datname = current_database() AND state LIKE 'idle in transaction%') AS idle_in_transaction
FROM pg_stat_database AS d WHERE d.datname = current_database()

-- table_facts --
-- one table: its size, how it is read, and whether the planner knows it
SELECT pg_total_relation_size(c.oid) AS bytes, pg_indexes_size(c.oid) AS index_bytes,
    greatest(c.reltuples, 0)::bigint AS rows, s.n_dead_tup AS dead_rows, s.seq_scan AS scans,
    s.idx_scan AS index_scans, s.last_analyze IS NOT NULL OR s.last_autoanalyze IS NOT NULL AS analyzed
FROM pg_class AS c JOIN pg_stat_all_tables AS s ON s.relid = c.oid
WHERE c.oid = to_regclass($1)

-- broken --
-- constraints that were not validated, indexes that are not valid, and guards that were left, of some tables
SELECT t.relname AS table_name, 'constraint ' || k.conname || ' is not validated' AS what
FROM pg_constraint AS k JOIN pg_class AS t ON t.oid = k.conrelid
WHERE NOT k.convalidated AND k.conrelid = ANY(SELECT to_regclass(n) FROM unnest($1::text[]) AS n)
UNION ALL
SELECT t.relname, 'index ' || c.relname || ' is not valid' FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_class AS t ON t.oid = i.indrelid
WHERE NOT i.indisvalid AND i.indrelid = ANY(SELECT to_regclass(n) FROM unnest($1::text[]) AS n)
UNION ALL
SELECT t.relname, 'our guard refuses writes still' FROM pg_trigger AS g JOIN pg_class AS t ON t.oid = g.tgrelid
WHERE g.tgname = 'liteferry_guard' AND g.tgrelid = ANY(SELECT to_regclass(n) FROM unnest($1::text[]) AS n)
ORDER BY 1, 2

-- sequence_of --
-- the sequence behind a column
SELECT pg_get_serial_sequence($1, $2)

-- slow_statements --
-- those that take longest, where the extension is there; their texts hold no values but $1, $2
SELECT left(regexp_replace(query, '\s+', ' ', 'g'), 200) AS query, calls,
    round(mean_exec_time::numeric, 2)::float8 AS mean_ms, round(total_exec_time::numeric, 0)::float8 AS total_ms
FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND calls > 0
    AND userid <> (SELECT oid FROM pg_roles WHERE rolname = current_user)
ORDER BY total_exec_time DESC LIMIT 10

-- has_statements --
-- whether the extension counts statements in this database
SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements')

-- left_behind --
-- rows in quarantine that stayed behind at the cutover
SELECT p.name AS table_name, count(*) AS rows FROM liteferry.quarantine AS q
JOIN liteferry.progress AS p USING (source_id, table_id) WHERE q.source_id = ANY($1::uuid[])
GROUP BY p.name ORDER BY p.name
