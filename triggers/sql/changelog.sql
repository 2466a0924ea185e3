-- head --
-- the newest position; the newest row is never pruned, so this never goes back
SELECT coalesce(max(seq), 0) FROM main._liteferry_log

-- span --
-- the oldest and the newest position in the log
SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) FROM main._liteferry_log

-- mark --
-- when one entry was written
SELECT at FROM main._liteferry_log WHERE seq = :position

-- pending --
-- how many entries the target has not got yet
SELECT count(*) FROM main._liteferry_log WHERE seq > :position

-- entries --
-- how many entries the log holds, told from its ends
SELECT coalesce(max(seq) - min(seq) + 1, 0) FROM main._liteferry_log

-- oldest_age --
-- seconds since the oldest entry that the target has not got was written
SELECT (julianday('now') - at) * 86400.0 FROM main._liteferry_log WHERE seq > :position ORDER BY seq LIMIT 1

-- touched --
-- the tables with entries in a range of positions, and how many
SELECT t, count(*) FROM main._liteferry_log WHERE seq > :low AND seq <= :high GROUP BY t

-- heartbeat --
-- a beat travels through the log like a change, as table 0 with its own time as key
INSERT INTO main._liteferry_log(at, t, k1) VALUES(julianday('now'), 0, julianday('now'))

-- last_beat --
-- Unix time of the newest beat in a range of positions
SELECT (max(k1) - 2440587.5) * 86400.0 FROM main._liteferry_log WHERE t = 0 AND seq > :low AND seq <= :high

-- prune --
-- delete what the target has, some entries at a time; without AUTOINCREMENT the newest must stay,
-- or its position would be given out again; the entry at the position stays too, as the mark by which
-- another log is told from this one
DELETE FROM main._liteferry_log WHERE seq IN (
    SELECT seq FROM main._liteferry_log
    WHERE seq < :position AND seq < (SELECT max(seq) FROM main._liteferry_log)
    ORDER BY seq LIMIT :entries)

-- log_width --
-- how many key columns the log has
SELECT count(*) FROM pragma_table_info('_liteferry_log') WHERE name GLOB 'k[0-9]*'

-- create_tables --
-- which number in the log is which table; `fingerprint` tells which trigger set was installed
CREATE TABLE IF NOT EXISTS main._liteferry_tables(
    id INTEGER PRIMARY KEY, name TEXT, key_kind TEXT, key_columns TEXT, fingerprint TEXT)

-- create_meta --
-- facts about the installation: its id, the format's version, the fence
CREATE TABLE IF NOT EXISTS main._liteferry_meta(name TEXT PRIMARY KEY, value TEXT)

-- read_meta --
-- one fact
SELECT value FROM main._liteferry_meta WHERE name = :name

-- write_meta --
-- set one fact
INSERT OR REPLACE INTO main._liteferry_meta(name, value) VALUES(:name, :value)

-- delete_meta --
-- forget one fact
DELETE FROM main._liteferry_meta WHERE name = :name

-- read_tables --
-- the tables under capture
SELECT id, name, key_kind, key_columns, fingerprint FROM main._liteferry_tables ORDER BY id

-- write_table --
-- note a table as captured
INSERT OR REPLACE INTO main._liteferry_tables(id, name, key_kind, key_columns, fingerprint)
VALUES(:id, :name, :key_kind, :key_columns, :fingerprint)

-- our_triggers --
-- every trigger of ours with its text
SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger' AND name GLOB '_liteferry_*' ORDER BY name

-- trigger_owners --
-- which table each trigger of ours is on; SQLite keeps it current when a table is renamed
SELECT name, tbl_name FROM main.sqlite_master WHERE type = 'trigger' AND name GLOB '_liteferry_[0-9]*_*'

-- table_names --
-- what tables there are
SELECT name FROM main.sqlite_master WHERE type = 'table'

-- forget_table --
-- a table that is gone
DELETE FROM main._liteferry_tables WHERE id = :id

-- schema_text --
-- every object's text, to see that it has changed
SELECT type, name, tbl_name, sql FROM main.sqlite_master ORDER BY type, name

-- has_object --
-- whether a table or trigger is there
SELECT count(*) FROM main.sqlite_master WHERE name = :name
