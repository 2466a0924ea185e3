"""An application's schema on both sides: SQLite's as it grew, PostgreSQL's as its own migrations made it."""

from __future__ import annotations

from pathlib import Path

SOURCE = """
CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL UNIQUE, active INTEGER DEFAULT 1,
    mood TEXT, created_at INTEGER NOT NULL, seen_at TEXT, settings TEXT, token TEXT, ip TEXT, tags TEXT,
    age INTEGER, Name TEXT, legacy TEXT);
CREATE TABLE orders(id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, parent INTEGER, code TEXT, total REAL,
    paid INTEGER NOT NULL DEFAULT 0, ratio REAL);
CREATE TABLE notes(body TEXT, n INTEGER);
CREATE TABLE tagging(code TEXT PRIMARY KEY NOT NULL, label TEXT);
CREATE TABLE numbered(id INTEGER PRIMARY KEY, v TEXT);
CREATE TABLE fresh(id INTEGER PRIMARY KEY, v TEXT, user INTEGER REFERENCES users(id));
"""

TARGET = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s fine');
CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
CREATE TABLE users(
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email email NOT NULL,
    active boolean NOT NULL DEFAULT true,
    mood mood DEFAULT 'ok',
    created_at timestamptz NOT NULL,
    seen_at timestamptz(3),
    settings jsonb NOT NULL DEFAULT '{}',
    token uuid, ip inet, tags text[],
    age smallint CONSTRAINT grown CHECK (age >= 0),
    name varchar(20),
    lower_name text GENERATED ALWAYS AS (lower(name)) STORED,
    tenant text NOT NULL DEFAULT 'main',
    CONSTRAINT one_email UNIQUE (email) DEFERRABLE INITIALLY DEFERRED
);
CREATE TABLE orders(
    id serial PRIMARY KEY,
    user_id bigint NOT NULL CONSTRAINT buyer REFERENCES users ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    parent integer REFERENCES orders (id) ON DELETE SET NULL ON UPDATE CASCADE,
    code text, total numeric(12,2), paid boolean NOT NULL DEFAULT false, ratio double precision
);
CREATE UNIQUE INDEX once_paid ON orders (code) WHERE paid;
CREATE INDEX by_user ON orders (user_id, lower(code) DESC);
COMMENT ON CONSTRAINT buyer ON orders IS 'who pays, it''s said';
COMMENT ON TABLE users IS 'people';
COMMENT ON COLUMN users.email IS 'where to write';
CREATE TABLE notes(body text, n integer, id serial PRIMARY KEY);
CREATE TABLE tagging(id serial PRIMARY KEY, code varchar(40) NOT NULL, label text);
CREATE SEQUENCE numbers INCREMENT 5;
CREATE TABLE numbered(id integer PRIMARY KEY DEFAULT nextval('numbers'), v text);
CREATE TABLE profiles(user_id bigint UNIQUE REFERENCES users ON DELETE CASCADE, bio text);
ALTER TABLE profiles ADD CONSTRAINT unproven FOREIGN KEY (user_id) REFERENCES users NOT VALID;

CREATE TABLE audit(id serial PRIMARY KEY, said text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit(said) VALUES (TG_ARGV[0] || ' ' || TG_OP);
    RETURN NULL;
END $$;
CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.email := 'spoilt@' || NEW.email;
    RETURN NEW;
END $$;
CREATE TRIGGER audited AFTER INSERT OR UPDATE OR DELETE ON users FOR EACH ROW EXECUTE FUNCTION note('users');
CREATE TRIGGER always AFTER INSERT ON users FOR EACH STATEMENT EXECUTE FUNCTION note('always');
ALTER TABLE users ENABLE ALWAYS TRIGGER always;
CREATE TRIGGER replica BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION spoil();
ALTER TABLE users ENABLE REPLICA TRIGGER replica;
CREATE TRIGGER "switched Off" BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION spoil();
ALTER TABLE users DISABLE TRIGGER "switched Off";
COMMENT ON TRIGGER audited ON users IS 'for the auditors';
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION note('orders');
CREATE RULE copied AS ON INSERT TO notes DO ALSO INSERT INTO audit(said) VALUES ('rule');
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON users USING (tenant = 'main');
"""

#: What only a person can know: the zone of naive times, and that a column may go.
SETTINGS = """
existing_tables = "adopt"
leave_out = ["users.leg*"]

[columns]
"users.seen_at" = "timestamptz in Europe/Berlin"
"""

#: The ways that are chosen, for the independent comparison.
COLUMNS = {
    "users.active": "boolean",
    "users.created_at": "timestamptz from epoch_ms",
    "users.seen_at": "timestamptz in Europe/Berlin",
    "users.settings": "jsonb",
    "users.token": "uuid",
    "users.ip": "inet",
    "users.tags": "text[]",
    "orders.total": "numeric(12,2)",
    "orders.paid": "boolean",
}

#: Columns that only one side has.
ONE_SIDED = frozenset({"_liteferry_rowid", "tenant", "lower_name", "legacy"})

_USER = """
INSERT INTO users(id, email, active, mood, created_at, seen_at, settings, token, ip, tags, age, Name, legacy)
    VALUES ({n}, 'u{n}@example.org', {n} % 2, CASE {n} % 3 WHEN 0 THEN 'ok' WHEN 1 THEN 'it''s fine' END,
    1700000000000 + {n}, '2024-07-01 12:00:00.' || printf('%03d', {n} % 1000), '{{"n": {n}}}',
    lower(printf('%08x-0000-0000-0000-%012x', {n}, {n})), '10.0.0.' || ({n} % 250), '["a", "{n}"]', {n} % 90,
    'Name {n}', 'old');
INSERT INTO orders VALUES ({n}, {n}, CASE {n} WHEN 1 THEN NULL ELSE {n} - 1 END, 'code {n}', {n} * 1.25,
    {n} % 2, {n} / 3.0);
INSERT INTO notes VALUES ('note', {n} % 3);
INSERT INTO tagging VALUES ('tag {n}', 'label {n}');
INSERT INTO numbered VALUES ({n} * 3, 'v {n}');
INSERT INTO fresh VALUES ({n}, 'fresh', {n});
"""


def rows(*numbers: int) -> str:
    """Return the statements that insert a row with each number into every table."""
    return "".join(_USER.format(n=n) for n in numbers)


def configuration(folder: Path, settings: str = SETTINGS) -> Path:
    """Write the settings to a file."""
    path = folder / "liteferry.toml"
    path.write_text(settings)
    return path
