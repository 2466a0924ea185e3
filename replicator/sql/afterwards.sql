-- index_on --
-- an index of a table by its name, and whether it is valid; none when the table has none of that name
SELECT i.indisvalid AS valid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS qualified
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE i.indrelid = to_regclass($1) AND c.relname = $2

-- untold --
-- cutovers of some sources that were decided and whose hook has not been run to its end
SELECT cutover_id, report FROM liteferry.cutover
WHERE state = 'decided' AND NOT told AND sources && $1::uuid[] ORDER BY started_at

-- last_cutover --
-- the report of the last cutover of some sources, or rehearsal of one, that was carried out
SELECT report FROM liteferry.cutover WHERE sources && $1::uuid[] AND report IS NOT NULL
ORDER BY started_at DESC LIMIT 1

-- last_rollback --
-- the same of a rollback
SELECT report FROM liteferry.rollback WHERE sources && $1::uuid[] AND report IS NOT NULL
ORDER BY started_at DESC LIMIT 1

-- knows_rollbacks --
-- whether there is a table for them: a target that an older version has set up has none before the first
SELECT to_regclass('liteferry.rollback') IS NOT NULL

-- told --
-- the hook behind a cutover has been run
UPDATE liteferry.cutover SET told = true WHERE cutover_id = $1
