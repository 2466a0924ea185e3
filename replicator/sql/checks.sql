-- server --
-- what must be known of a server, its database and our role before anything is created
SELECT current_setting('server_version_num')::int AS version,
    current_setting('server_version') AS version_text,
    pg_encoding_to_char(d.encoding) AS encoding,
    current_user::text AS role,
    current_database()::text AS database,
    d.datcollate::text AS collation,
    coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') AS locale,
    pg_backend_pid() AS pid,
    -- whether the server is where its client is
    coalesce(inet_client_addr() = inet_server_addr() OR inet_client_addr() <<= '127.0.0.0/8', true) AS local,
    pg_is_in_recovery() AS standby,
    current_setting('default_transaction_read_only') = 'on' AS read_only,
    has_database_privilege(current_database(), 'CREATE') AS may_create,
    current_setting('max_connections')::int AS most,
    CASE WHEN r.rolsuper THEN 0 ELSE current_setting('superuser_reserved_connections')::int
        + coalesce(current_setting('reserved_connections', true)::int, 0) END AS reserved,
    (SELECT sum(numbackends)::int FROM pg_stat_database) AS used,
    r.rolconnlimit AS role_limit,
    (SELECT count(*)::int FROM pg_stat_activity AS a WHERE a.usesysid = r.oid) AS role_used,
    d.datconnlimit AS database_limit,
    (SELECT numbackends FROM pg_stat_database AS s WHERE s.datid = d.oid) AS database_used
FROM pg_database AS d, pg_roles AS r
WHERE d.datname = current_database() AND r.rolname = current_user

-- schemas --
-- those of some schemas that exist and that our role may not create tables in
SELECT nspname::text FROM pg_namespace
WHERE nspname = ANY($1::text[])
    AND NOT (has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE'))
ORDER BY nspname

-- has_bookkeeping --
-- whether liteferry has been here
SELECT to_regclass('liteferry.source') IS NOT NULL

-- known --
-- what is known of a source; takes no lock, unlike the daemon's own question, for this is a read-only look
SELECT path, state FROM liteferry.source WHERE source_id = $1

-- collation_versions --
-- the version of the collation that the database was made with, and the system's now; from 15 on
SELECT datcollversion, pg_database_collation_actual_version(oid) FROM pg_database
WHERE datname = current_database()

-- time_limits --
-- what would end a statement or a transaction of ours that takes long
SELECT name::text, setting || coalesce(unit, '') AS value FROM pg_settings
WHERE name IN ('statement_timeout', 'transaction_timeout') AND setting <> '0' ORDER BY name

-- has_statements --
-- whether statistics of statements are gathered
SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements')

-- data_directory --
-- where the data lies; none for a role that may not know
SELECT setting FROM pg_settings WHERE name = 'data_directory'
