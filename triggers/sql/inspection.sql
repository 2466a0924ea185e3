-- own_triggers --
-- the application's triggers: they are not carried to the target
SELECT name, tbl_name FROM main.sqlite_master WHERE type = 'trigger' AND name NOT GLOB '_liteferry_*' ORDER BY name

-- any_aside --
-- whether any are put aside
SELECT count(*) FROM main.sqlite_master WHERE type = 'table' AND name = '_liteferry_aside'

-- aside_triggers --
-- those that the fence has put aside
SELECT name, tbl_name FROM main._liteferry_aside ORDER BY name
