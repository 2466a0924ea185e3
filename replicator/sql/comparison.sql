-- create --
-- how far comparisons of all rows are that have not come to their end: per table the place of the last row
-- compared and what was found; up to `position` all that was touched since is known, behind it the change log
-- of the source tells, which is not pruned beyond
CREATE TABLE IF NOT EXISTS liteferry.comparison (
    source_id uuid NOT NULL REFERENCES liteferry.source ON DELETE CASCADE,
    kind text NOT NULL,
    table_id integer NOT NULL,
    -- the SHA-256 of the table's plan, and which schema of the source it is for
    plan text NOT NULL,
    schema_version bigint,
    position bigint NOT NULL,
    mark double precision,
    -- NULL before the first row, and when all of them have been walked
    cursor text,
    walked boolean NOT NULL,
    done boolean NOT NULL,
    found json NOT NULL,
    saved_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source_id, kind, table_id)
)

-- create_keys --
-- keys that were touched since their table was begun, as the source has them; one may be there twice
CREATE TABLE IF NOT EXISTS liteferry.comparison_key (
    source_id uuid NOT NULL,
    kind text NOT NULL,
    table_id integer NOT NULL,
    key text NOT NULL,
    FOREIGN KEY (source_id, kind, table_id) REFERENCES liteferry.comparison ON DELETE CASCADE
)

-- create_index --
-- they are read, and go, by table
CREATE INDEX IF NOT EXISTS comparison_key_table ON liteferry.comparison_key (source_id, kind, table_id)

-- exists --
-- whether any comparison has ever been noted
SELECT to_regclass('liteferry.comparison') IS NOT NULL

-- begin --
-- a table is begun afresh
DELETE FROM liteferry.comparison WHERE source_id = $1 AND kind = $2 AND table_id = $3

-- save --
-- how far a table is
INSERT INTO liteferry.comparison
    (source_id, kind, table_id, plan, schema_version, position, mark, cursor, walked, done, found)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (source_id, kind, table_id) DO UPDATE SET cursor = EXCLUDED.cursor, walked = EXCLUDED.walked,
    done = EXCLUDED.done, found = EXCLUDED.found, saved_at = now()

-- forget_others --
-- what is not to be gone on with
DELETE FROM liteferry.comparison AS c WHERE source_id = $1 AND NOT EXISTS (
    SELECT FROM unnest($2::text[], $3::int[]) AS k(kind, number) WHERE k.kind = c.kind AND k.number = c.table_id)

-- move --
-- up to where it is known what was touched
UPDATE liteferry.comparison SET position = $2, mark = $3 WHERE source_id = $1

-- add_keys --
-- what was touched since the last time
INSERT INTO liteferry.comparison_key (source_id, kind, table_id, key)
SELECT $1, $2, $3, unnest($4::text[])

-- close --
-- a comparison is at its end, or not to be gone on with
DELETE FROM liteferry.comparison WHERE source_id = $1 AND kind = ANY($2::text[])

-- saved --
-- all that can be gone on with
SELECT kind, table_id, plan, schema_version, position, mark, cursor, walked, done, found
FROM liteferry.comparison WHERE source_id = $1 ORDER BY kind, table_id

-- keys --
-- what was touched of one table
SELECT DISTINCT key FROM liteferry.comparison_key WHERE source_id = $1 AND kind = $2 AND table_id = $3
