"""What random applications write that the engine can carry: typed values, and schemas for them."""

from __future__ import annotations

#: Values of a column by its declared type, as SQL; each type holds all of its own.
VALUES = {
    "INTEGER": ("NULL", "0", "1", "2", "-1", "9223372036854775807", "-9223372036854775808"),
    "INT": ("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"),
    "BOOLEAN": ("NULL", "0", "1", "1"),
    "REAL": ("NULL", "0.5", "1", "-1e300", "9e999", "0.1", "5e-324"),
    "DECIMAL(10,2)": ("NULL", "0", "1", "9.99", "-0.1", "1e23", "123456789012"),
    "TEXT": (
        "NULL",
        "''",
        "'a'",
        "'A'",
        "'a '",
        "'b'",
        "'é'",
        "'\U0001f6a2'",
        "'it''s'",
        "'\\N'",
        "'1'",
        "'c'",
        "'d'",
    ),
    "DATETIME": ("NULL", "'2026-01-01 00:00:00'", "'2026-01-01T00:00:00Z'", "datetime(0, 'unixepoch')"),
    "BLOB": ("x''", "x'00'", "x'ff'", "x'616263'", "zeroblob(100)"),
}

SCHEMAS = {
    "shop": """
        CREATE TABLE customers(id INTEGER PRIMARY KEY, mail TEXT UNIQUE, name TEXT COLLATE NOCASE,
            active BOOLEAN NOT NULL DEFAULT 1, score REAL);
        CREATE TABLE orders(id INTEGER PRIMARY KEY AUTOINCREMENT, customer INTEGER REFERENCES customers(id)
            ON DELETE CASCADE ON UPDATE CASCADE, total DECIMAL(10,2), placed DATETIME, "group" INT);
        CREATE UNIQUE INDEX one_each ON orders(customer, "group") WHERE "group" > 3;
        CREATE TABLE audit(what TEXT, at DATETIME);
        CREATE TRIGGER app_insert AFTER INSERT ON orders BEGIN
            INSERT INTO audit VALUES('new', NEW.placed); END;
        CREATE TRIGGER app_update AFTER UPDATE OF total ON orders WHEN NEW.total > 5 BEGIN
            UPDATE customers SET score = NEW.total WHERE id = NEW.customer; END;""",
    "documents": '''
        CREATE TABLE tags(doc TEXT COLLATE NOCASE NOT NULL, tag TEXT NOT NULL, place INT UNIQUE, body BLOB,
            PRIMARY KEY(doc, tag DESC)) WITHOUT ROWID;
        CREATE TABLE "it's a ""table"""("select" TEXT NOT NULL PRIMARY KEY ON CONFLICT REPLACE, "É" INT,
            "é" INT, UNIQUE("É", "é") ON CONFLICT REPLACE);
        CREATE TABLE words(lang TEXT NOT NULL, word TEXT NOT NULL, PRIMARY KEY(lang, word COLLATE RTRIM));''',
    "keyless": """
        CREATE TABLE log(at DATETIME, level INT, line TEXT);
        CREATE TABLE settings(name TEXT UNIQUE ON CONFLICT REPLACE, value TEXT, n INT DEFAULT 1);
        CREATE TABLE shadowed(rowid TEXT, oid INT NOT NULL, _rowid_ BLOB);
        CREATE UNIQUE INDEX by_oid ON shadowed(oid);
        CREATE TABLE codes(code INT NOT NULL ON CONFLICT REPLACE DEFAULT 4 UNIQUE,
            region BLOB NOT NULL UNIQUE, made TEXT GENERATED ALWAYS AS (hex(region)) STORED);""",
    "odd keys": """
        CREATE TABLE reals(k REAL NOT NULL PRIMARY KEY, v REAL);
        CREATE TABLE blobs(k BLOB NOT NULL PRIMARY KEY, v BLOB) WITHOUT ROWID;
        CREATE TABLE decimals(k DECIMAL(10,2) NOT NULL PRIMARY KEY, v DECIMAL(10,2) UNIQUE);
        CREATE TABLE many(a TEXT NOT NULL, b REAL NOT NULL, c INT NOT NULL, d BLOB NOT NULL,
            e BOOLEAN NOT NULL, f TEXT, PRIMARY KEY(e, d DESC, c, b DESC, a COLLATE NOCASE))
            WITHOUT ROWID;""",
    "swaps": """
        CREATE TABLE places(id INTEGER PRIMARY KEY, place INT UNIQUE, name TEXT, left INT, right INT,
            UNIQUE(left, right));
        CREATE UNIQUE INDEX by_length ON places(length(name), place);
        CREATE TABLE tree(id TEXT NOT NULL PRIMARY KEY, parent TEXT REFERENCES tree(id) ON DELETE CASCADE
            ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED, place INT);
        CREATE UNIQUE INDEX by_parent ON tree(parent, place);""",
}

#: Columns that an application adds, and tables that it makes, of types that have values above.
NEW_COLUMNS = (
    *("INT", "INTEGER", "TEXT", "REAL", "TEXT COLLATE NOCASE", "DECIMAL(10,2)", "DATETIME", "BLOB"),
    *("BOOLEAN NOT NULL DEFAULT 1", "TEXT NOT NULL DEFAULT 'a'", "INT DEFAULT 7", "REAL DEFAULT 0.5"),
)
NEW_TABLES = (
    "(id INTEGER PRIMARY KEY, name TEXT UNIQUE, n INT)",
    "(k TEXT NOT NULL PRIMARY KEY, v REAL, at DATETIME) WITHOUT ROWID",
    "(a INT NOT NULL, b TEXT COLLATE NOCASE NOT NULL, v BLOB, PRIMARY KEY(b, a))",
    "(line TEXT, level INT)",
    "(code TEXT NOT NULL UNIQUE, done BOOLEAN, price DECIMAL(10,2))",
)
