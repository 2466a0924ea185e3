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

REASSIGN OWNED BY :"role" TO :"owner";
-- what is left are its own rights, and those that it would have given to coming tables
DROP OWNED BY :"role";
DROP ROLE :"role";

COMMIT;
