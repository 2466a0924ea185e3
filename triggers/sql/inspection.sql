-- own_triggers --
-- the application's triggers: they are not carried to the target
SELECT name, tbl_name FROM main.sqlite_master WHERE type = 'trigger' AND name NOT GLOB '_liteferry_*' ORDER BY name
