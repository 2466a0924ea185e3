"""Names, types and values that are hard on a move from SQLite to PostgreSQL."""

from __future__ import annotations

TYPES = (
    *("", "INT", "INTEGER", "BIGINT", "TEXT", "VARCHAR(3)", "REAL", "DOUBLE", "NUMERIC", "DECIMAL(10,2)"),
    *("BOOLEAN", "DATE", "DATETIME", "JSON", "BLOB", '"my type"', "UNSIGNED BIG INT", "CHAR(2)", "UUID"),
    *("TIMESTAMP", "FLOATING POINT", "STRING", "ANY"),
)
STRICT_TYPES = ("INT", "INTEGER", "REAL", "TEXT", "BLOB", "ANY")

TABLES = (
    *("t", "T2", "order", "select", "my table", 'q"uote', "it's", "Übung", "a.b", "with/slashes.csv"),
    *("per%cent $1 {x}", "back\\slash", "line\nbreak", "user", "t_pkey", "CamelCase", "_liteferr", "tab\t"),
)
#: Names that PostgreSQL cannot have, or has already.
HARD_TABLES = ("", "x" * 63, "y" * 64, "y" * 64 + "2", "é" * 40, "pg_class", "x" * 62 + "é")
COLUMNS = (
    *("a", "b", "c", "Name", "group", "x y", 'q"q', "it's", "é", "É", "timestamp", "a.b", "OID", "%s", "$1"),
    *("current_user", "NULL", "*", "new\nline", "k1", "seq", "name "),
)
HARD_COLUMNS = ("", "xmin", "CTID", "tableoid", "_liteferry_rowid", "z" * 64, "w" * 63 + "1", "w" * 63 + "2")

DEFAULTS = ("1", "'a'", "''", "NULL", "2.5", "x'61'", "'01'", "-1", "(1 + 1)", "CURRENT_TIMESTAMP", "TRUE")
ACTIONS = ("", " ON DELETE CASCADE", " ON DELETE SET NULL", " ON UPDATE CASCADE", " ON DELETE RESTRICT")
COLLATIONS = ("", "", "", " COLLATE NOCASE", " COLLATE RTRIM")


#: Of each storage class, the hostile ones among them; as SQL.
VALUES = {
    "integer": (
        *("0", "1", "2", "-1", "12", "3", "4", "2147483648", "9007199254740993", "9223372036854775807"),
        *("-9223372036854775808", "1709208000", "1709208000123"),
    ),
    "real": (
        *("1.5", "0.1", "0.5", "1e308", "-1e308", "5e-324", "2.2250738585072014e-308", "9e999", "-9e999"),
        *(
            "0.0",
            "-0.0",
            "-1e-400",
            "1e23",
            "9007199254740992.0",
            "9223372036854775807.0",
            "1.0",
            "2451545.5",
        ),
        *("4611686018427387904.0", "1709208000.1234567", "0.30000000000000004"),
    ),
    "text": (
        *("'a'", "'A'", "'a '", "'b'", "''", "'é'", "'É'", "'e\u0301'", "'\U0001f6a2'", "'N/A'", "'NaN'"),
        *("'true'", "'2024-02-29'", "'2024-02-30'", "'0000-00-00'", "'9999-12-31T23:59:59.999999Z'", "'-'"),
        *(
            "'infinity'",
            "'12:00'",
            """'{"a": 1}'""",
            """'{"a":1,"a":2}'""",
            """'"\\u0000"'""",
            "'\\N'",
            "'\\.'",
        ),
        *(
            "'line\nbreak'",
            "'tab\t'",
            "'it''s'",
            "'\\\\x41'",
            "printf('%.*c', 70000, 'x')",
            "'\ufffd'",
            "'\ufeff'",
        ),
    ),
    "digits": ("'12'", "'1'", "'1.0'", "'01'", "' 1'", "'1e3'", "'9223372036854775808'", "'0x10'", "'1.5'"),
    "poison": (
        *(
            "CAST(x'610062' AS TEXT)",
            "CAST(x'00' AS TEXT)",
            "CAST(x'ff' AS TEXT)",
            "CAST(x'636166e9' AS TEXT)",
        ),
        *("CAST(x'eda080' AS TEXT)", "CAST(x'c0af' AS TEXT)", "CAST(x'f4908080' AS TEXT)"),
    ),
    "blob": (
        "x''",
        "x'00'",
        "x'ff'",
        "x'61'",
        "x'5c783631'",
        "zeroblob(5000)",
        "x'0123456789abcdef01234567'",
    ),
}
EVERYTHING = (*(value for values in VALUES.values() for value in values), "NULL")
#: Too long for an index, and hardly to be compressed.
_DIGITS = (
    "(WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 2000) "
    "SELECT group_concat(n * 7919 % 1000003, '') FROM i)"
)
LONG = (_DIGITS, f"CAST({_DIGITS} AS BLOB)", "printf('%.*c', 1100000, 'y')")
