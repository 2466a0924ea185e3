-- replace_guest --
-- PostgreSQL has no REPLACE
INSERT INTO customers(branch, email, name, newsletter, born) VALUES($1, $2, $3, $4, $5)
ON CONFLICT(email) DO UPDATE SET name = excluded.name, newsletter = excluded.newsletter, born = excluded.born

-- replace_setting --
-- PostgreSQL has no REPLACE
INSERT INTO settings(key, value) VALUES($1, $2) ON CONFLICT(key) DO UPDATE SET value = excluded.value
