-- head --
-- the newest position; the newest row is never pruned, so this never goes back
SELECT coalesce(max(seq), 0) FROM main._liteferry_log

-- span --
-- the oldest and the newest position in the log
SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) FROM main._liteferry_log

-- mark --
-- when one entry was written
SELECT at FROM main._liteferry_log WHERE seq = :position

-- entries --
-- how many positions the log spans, told from its ends
SELECT coalesce(max(seq) - min(seq) + 1, 0) FROM main._liteferry_log

-- oldest --
-- the oldest entry that the target has not got, when it was written, and what time it is
SELECT seq, at, julianday('now') FROM main._liteferry_log WHERE seq > :position ORDER BY seq LIMIT 1

-- reach --
-- the last of some entries behind a position
SELECT max(seq) FROM (
    SELECT seq FROM main._liteferry_log WHERE seq > :position ORDER BY seq LIMIT :entries)

-- create_gaps --
-- what compaction has deleted: how many entries right before the one at `seq`, and when the oldest of them was
-- written; under 0 the sum of all
CREATE TABLE IF NOT EXISTS main._liteferry_gaps(seq INTEGER PRIMARY KEY, entries, at)

-- create_gap_sum --
-- nothing yet
INSERT OR IGNORE INTO main._liteferry_gaps(seq, entries) VALUES(0, 0)

-- gap_sum --
-- how many entries compaction has deleted and pruning has not passed yet
SELECT coalesce((SELECT entries FROM main._liteferry_gaps WHERE seq = 0), 0)

-- gap --
-- when the oldest entry was written that compaction deleted right before this one
SELECT at FROM main._liteferry_gaps WHERE seq = :seq

-- gone --
-- how many entries compaction has deleted in a range of positions that both have entries
SELECT coalesce(sum(entries), 0) FROM main._liteferry_gaps WHERE seq > :low AND seq <= :high

-- passed_gaps --
-- how many entries compaction has deleted before what is now the oldest
SELECT coalesce(sum(entries), 0) FROM main._liteferry_gaps
WHERE seq > 0 AND seq <= (SELECT min(seq) FROM main._liteferry_log)

-- forget_gaps --
-- forget what compaction deleted before what is now the oldest
DELETE FROM main._liteferry_gaps WHERE seq > 0 AND seq <= (SELECT min(seq) FROM main._liteferry_log)

-- add_to_gap_sum --
-- count what compaction has deleted, or pruning has passed
UPDATE main._liteferry_gaps SET entries = entries + :entries WHERE seq = 0

-- greatest_number --
-- the greatest number of a table with entries
SELECT coalesce(max(t), 0) FROM main._liteferry_log

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
-- which number in the log is which table; `fingerprint` tells version and texts of the triggers that were put in
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

-- drop_gaps --
-- gaps of a log that is followed no longer
DELETE FROM main._liteferry_gaps

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
