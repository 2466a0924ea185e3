-- create_orders --
-- what the operator has ordered of a source, kept through restarts of the daemon
CREATE TABLE IF NOT EXISTS liteferry.orders (
    source_id uuid PRIMARY KEY REFERENCES liteferry.source ON DELETE CASCADE,
    -- since when nothing is carried over; NULL when it is
    paused_at timestamptz,
    -- the state that it was in then
    paused_before text,
    -- rows per second that may be copied and compared; 0 for no limit, NULL where the setting counts
    rows_per_second integer,
    limited_at timestamptz
)

-- knows_orders --
-- whether there is a table for them: it is made with the first order
SELECT to_regclass('liteferry.orders') IS NOT NULL

-- orders --
-- what has been ordered of one source
SELECT extract(epoch FROM paused_at)::float8 AS paused_at, paused_before, rows_per_second,
    extract(epoch FROM limited_at)::float8 AS limited_at
FROM liteferry.orders WHERE source_id = $1

-- pause --
-- carry nothing over from now on; one that is paused already was paused when it was
INSERT INTO liteferry.orders (source_id, paused_at, paused_before) VALUES ($1, clock_timestamp(), $2)
ON CONFLICT (source_id) DO UPDATE SET paused_at = coalesce(orders.paused_at, EXCLUDED.paused_at),
    paused_before = coalesce(orders.paused_before, EXCLUDED.paused_before)
RETURNING extract(epoch FROM paused_at)::float8 AS paused_at, paused_before

-- resume --
-- carry over again
UPDATE liteferry.orders SET paused_at = NULL, paused_before = NULL WHERE source_id = ANY($1::uuid[])

-- limit --
-- how many rows per second some sources may be copied and compared with from now on
INSERT INTO liteferry.orders (source_id, rows_per_second, limited_at)
SELECT id, $2, clock_timestamp() FROM unnest($1::uuid[]) AS s(id)
ON CONFLICT (source_id) DO UPDATE SET rows_per_second = EXCLUDED.rows_per_second,
    limited_at = EXCLUDED.limited_at
