-- The end of liteferry's role, after `liteferry finish`: what it owns goes to the application's owner, and it
-- is dropped. The application's rights on the tables stay. Before `finish` the way back needs them to be its.
--
--   psql -d app -v role=liteferry -v owner=app_owner -f owner.sql

\set ON_ERROR_STOP on
BEGIN;

SELECT to_regnamespace('liteferry') IS NOT NULL AS unfinished \gset
\if :unfinished
    \warn 'the schema liteferry is still there: run `liteferry finish` first'
    SELECT 1 / 0 AS "run liteferry finish first";
\endif

-- foreign keys are checked as the owner of their table, who has to reach the one that they refer to
SELECT format('GRANT USAGE, CREATE ON SCHEMA %I TO %I', n.nspname, :'owner') FROM pg_namespace AS n
WHERE EXISTS (SELECT FROM pg_class AS c WHERE c.relnamespace = n.oid AND c.relowner = :'role'::regrole) \gexec

REASSIGN OWNED BY :"role" TO :"owner";
-- what is left are its own rights, and those that it would have given to coming tables
DROP OWNED BY :"role";
DROP ROLE :"role";

COMMIT;
