-- The role that liteferry works as, with the rights that it needs and no more. As a superuser, once:
--
--   psql -d app -v role=liteferry -v application=app_user -v schema=public -f role.sql
--   psql -d app -c '\password liteferry'
--
-- role:        what liteferry connects as. It owns the tables that it makes until owner.sql gives them away.
-- application: what the application will connect as after the cutover.
-- schema:      where the tables go, made if it is not there. For several, run it once for each.
-- owner:       with --adopt, whose the tables are that are there already: -v owner=app_owner. Foreign keys,
--              triggers and rules of these are put aside and brought back, which only their owner may do.

\set ON_ERROR_STOP on
BEGIN;

SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') AS missing \gset
\if :missing
    CREATE ROLE :"role" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 20;
    COMMENT ON ROLE :"role" IS 'liteferry: moves SQLite here; see deploy/postgresql/owner.sql for its end';
\endif

-- an index on a large table takes its time, and so does a large batch
ALTER ROLE :"role" SET statement_timeout = 0;
ALTER ROLE :"role" SET idle_in_transaction_session_timeout = 0;

-- its bookkeeping goes into a schema "liteferry" of the same database, and one for each further source
SELECT format('GRANT CONNECT, CREATE ON DATABASE %I TO %I', current_database(), :'role') \gexec

CREATE SCHEMA IF NOT EXISTS :"schema";
GRANT USAGE, CREATE ON SCHEMA :"schema" TO :"role";

-- the application may use what comes from the first moment on; until the cutover the guard refuses its writes
GRANT USAGE ON SCHEMA :"schema" TO :"application";
ALTER DEFAULT PRIVILEGES FOR ROLE :"role" IN SCHEMA :"schema"
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"application";
ALTER DEFAULT PRIVILEGES FOR ROLE :"role" IN SCHEMA :"schema"
    GRANT USAGE, SELECT ON SEQUENCES TO :"application";

\if :{?owner}
    GRANT :"owner" TO :"role";
\endif

COMMIT;
