-- create --
-- the application's triggers while the fence stands, in the order in which they were made
CREATE TABLE IF NOT EXISTS main._liteferry_aside(place INTEGER PRIMARY KEY, name TEXT, tbl_name TEXT, sql TEXT)

-- exists --
-- whether any were put aside
SELECT count(*) FROM main.sqlite_master WHERE type = 'table' AND name = '_liteferry_aside'

-- application --
-- the application's triggers in the order in which they were made
SELECT rowid, name, tbl_name, sql FROM main.sqlite_master
WHERE type = 'trigger' AND name NOT GLOB '_liteferry_*' ORDER BY rowid

-- keep --
-- one of them
INSERT INTO main._liteferry_aside(place, name, tbl_name, sql) VALUES(?, ?, ?, ?)

-- kept --
-- those that are aside, but for what was made anew or has lost its table meanwhile
SELECT name, sql FROM main._liteferry_aside AS a WHERE NOT EXISTS (
    SELECT 1 FROM main.sqlite_master AS m WHERE m.type = 'trigger' AND m.name = a.name COLLATE NOCASE)
AND EXISTS (SELECT 1 FROM main.sqlite_master AS m WHERE m.type = 'table' AND m.name = a.tbl_name COLLATE NOCASE)
ORDER BY place

-- drop --
-- none is aside any more
DROP TABLE IF EXISTS main._liteferry_aside
