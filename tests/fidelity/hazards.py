"""What SQLite holds and PostgreSQL does not, or holds otherwise, and what must become of it.

Each has a SQLite table with a column `v`, and the values stored in it, written in SQL as the values of a
whole row, each with what arrives of `v` on the target as the driver reads it, or what is kept in quarantine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from .roundtrip import BAD_TEXT, Token
from .schemas import quote

INF = float("inf")

#: Text too long for an index, hardly to be compressed, as SQL.
LONG_TEXT = "".join(str(n * 7919 % 1000003) for n in range(1, 2001))
LONG = f"'{LONG_TEXT}'"


@dataclass(frozen=True)
class Kept:
    """A value that is not on the target but in quarantine, with its storage class."""

    token: Token


@dataclass(frozen=True)
class Hazard:
    """A table, what is in it before the copy, and what comes only when it streams."""

    id: str
    #: What stands in the parentheses of CREATE TABLE, and behind them.
    columns: str
    rows: Mapping[str, Any]
    late: Mapping[str, Any] = field(default_factory=dict)
    #: The type on the target; empty where it does not matter.
    type: str = ""
    #: The type that the configuration asks for.
    asked: str = ""
    #: Further statements when it streams; `{t}` is the table.
    then: tuple[str, ...] = ()
    #: What is there in the end, where these change it.
    end: tuple[Any, ...] = ()

    @property
    def ddl(self) -> str:
        """Return the CREATE TABLE."""
        head, _, ending = self.columns.partition("; ")
        return f"CREATE TABLE {quote(self.id)}({head}) {ending}"

    def inserts(self, rows: Mapping[str, Any]) -> list[str]:
        """Return the statements that store rows."""
        return [f"INSERT INTO {quote(self.id)} VALUES ({row})" for row in rows]


def text(raw: str) -> str:
    """Return a text of these bytes, valid or not, in SQL."""
    return f"CAST(x'{raw}' AS TEXT)"


def kept(value: object) -> Kept:
    """Return a value to be found in quarantine."""
    if isinstance(value, bytes):
        return Kept(("blob", value.hex()))
    if isinstance(value, float):
        return Kept(("real", repr(value)))
    return Kept(("text" if isinstance(value, str) else "integer", value))


def bad(raw: str) -> Kept:
    """Return a text of these bytes to be found in quarantine."""
    return Kept((BAD_TEXT, raw))


AFFINITY = (
    Hazard(
        "digits in an integer column are integers",
        "v INTEGER",
        {"'12'": 12, "'-0'": 0, "'1e3'": 1000},
        {"'abc'": kept("abc"), "' 7 '": 7, "'0x10'": kept("0x10"), "''": kept("")},
        "bigint",
    ),
    Hazard(
        "what exceeds 64 bits is a real",
        "v INTEGER",
        {"9223372036854775807": 2**63 - 1},
        {"9223372036854775808": kept(2.0**63), "-9223372036854775809": kept(-(2.0**63))},
        "bigint",
    ),
    Hazard(
        "beyond 64 bits from the start",
        "v INTEGER",
        {"9223372036854775808": Decimal("9223372036854776000"), "1": Decimal(1)},
        type="numeric",
    ),
    Hazard(
        "a decimal of thirty digits is a real already",
        "v DECIMAL",
        {
            "'123456789012345678901234567890.12'": Decimal("1.2345678901234568e29"),
            "'10'": Decimal(10),
            "9.99": Decimal("9.99"),
            "0.1": Decimal("0.1"),
        },
        type="numeric",
    ),
    Hazard(
        "in a text column it is whole",
        "v TEXT",
        {"'123456789012345678901234567890.12'": "123456789012345678901234567890.12"},
        type="text",
    ),
    Hazard(
        "and goes whole into numeric",
        "v TEXT",
        {"'123456789012345678901234567890.12'": Decimal("123456789012345678901234567890.12")},
        {"'1,5'": kept("1,5"), "'NaN'": kept("NaN")},
        "numeric",
        "numeric",
    ),
    Hazard(
        "a decimal that would be rounded",
        "v DECIMAL(10,2)",
        {"9.99": Decimal("9.99"), "9.999": kept(9.999), "'99999999.99'": Decimal("99999999.99")},
        type="numeric",
        asked="numeric(10,2)",
    ),
    Hazard(
        "TRUE is 1 and 'true' is text",
        "v BOOLEAN",
        {"TRUE": True, "FALSE": False, "'1'": True},
        {"'true'": kept("true"), "2": kept(2), "0.5": kept(0.5)},
        "boolean",
    ),
    Hazard(
        "words are booleans where they are asked for",
        "v BOOLEAN",
        {"TRUE": True, "'true'": True, "'NO'": False},
        {"2": kept(2)},
        "boolean",
        "boolean",
    ),
    Hazard(
        "a 2 makes no boolean",
        "v BOOLEAN",
        {"0": Decimal(0), "1": Decimal(1), "2": Decimal(2)},
        type="numeric",
    ),
    Hazard("negative zero in an integer column is 0", "v INTEGER", {"-0.0": 0, "5": 5}, type="bigint"),
    Hazard(
        "negative zero in a real column is 0.0", "v REAL", {"-0.0": 0.0, "0.5": 0.5}, type="double precision"
    ),
    Hazard(
        "negative zero in a column without type stays",
        "v",
        {"-0.0": -0.0, "0.5": 0.5},
        type="double precision",
    ),
    Hazard(
        "numeric has no negative zero",
        "v",
        {"1.5": Decimal("1.5"), "2": Decimal(2)},
        {"-0.0": kept(-0.0)},
        "numeric",
    ),
    Hazard("0.0 / 0 is NULL", "v REAL", {"0.0 / 0": None, "1.5": 1.5}, type="double precision"),
    Hazard("1e999 is infinite", "v REAL", {"1e999": INF, "-1e999": -INF}, type="double precision"),
    Hazard(
        "infinity among decimals",
        "v DECIMAL",
        {"1e999": Decimal("Infinity"), "-1e999": Decimal("-Infinity"), "1": Decimal(1)},
        type="numeric",
    ),
    Hazard("infinity in a text column is Inf", "v TEXT", {"1e999": "Inf", "-1e999": "-Inf"}, type="text"),
    Hazard("infinity is no integer", "v INTEGER", {"1": 1}, {"1e999": kept(INF)}, "bigint"),
    Hazard(
        "a JSON column makes reals of numbers",
        "v JSON",
        {"'1.5'": Decimal("1.5"), "'1e2'": Decimal(100)},
        type="numeric",
    ),
    Hazard(
        "which jsonb takes",
        "v JSON",
        {"'1.5'": "1.5", "'{\"a\":1}'": '{"a": 1}', "'12'": "12"},
        type="jsonb",
        asked="jsonb",
    ),
    Hazard(
        "a DATETIME column makes an integer of a year",
        "v DATETIME",
        {"'2024-02-29 12:00'": "2024-02-29 12:00"},
        {"'2024'": kept(2024)},
        "text",
    ),
    Hazard(
        "a real in an integer column stays one", "v INTEGER", {"1": 1}, {"1.5": kept(1.5), "2.0": 2}, "bigint"
    ),
    Hazard(
        "integers in a real column are reals",
        "v REAL",
        {"9007199254740993": 9007199254740992.0, "1": 1.0},
        type="double precision",
    ),
    Hazard(
        "2^53 + 1 among reals",
        "v",
        {"0.5": 0.5},
        {"9007199254740993": kept(2**53 + 1), "9007199254740992": 2.0**53},
        "double precision",
    ),
    Hazard(
        "the last bit of a double",
        "v REAL",
        {
            "0.30000000000000004": 0.30000000000000004,
            "5e-324": 5e-324,
            "1.7976931348623157e308": 1.7976931348623157e308,
        },
        type="double precision",
    ),
    Hazard(
        "the last bit among decimals",
        "v DECIMAL",
        {
            "0.30000000000000004": Decimal("0.30000000000000004"),
            "5e-324": Decimal("5e-324"),
            "1e308": Decimal("1e308"),
        },
        type="numeric",
    ),
    Hazard(
        "32 bits are asked for",
        "v REAL",
        {"0.5": 0.5, "0.1": kept(0.1), "1e39": kept(1e39)},
        type="real",
        asked="real",
    ),
    Hazard(
        "ANY in a STRICT table keeps the class",
        "v ANY; STRICT",
        {"'12'": "12", "'1.0'": "1.0"},
        {"12": kept(12)},
        "text",
    ),
    Hazard(
        "1 and '1' in a column without type",
        "v",
        {"1": 1, "2": 2},
        {"'1'": kept("1"), "1.0": kept(1.0)},
        "bigint",
    ),
    Hazard(
        "UNSIGNED BIG INT has no bit more",
        "v UNSIGNED BIG INT",
        {"9223372036854775807": 2**63 - 1, "-1": -1},
        type="bigint",
    ),
    Hazard(
        "FLOATING POINT is an integer column",
        "v FLOATING POINT",
        {"'12'": Decimal(12), "1.5": Decimal("1.5")},
        type="numeric",
    ),
    Hazard("VARCHAR(3) limits nothing", "v VARCHAR(3)", {"'abcdef'": "abcdef", "12": "12"}, type="text"),
    Hazard(
        "a default instead of NULL",
        "v INT NOT NULL ON CONFLICT REPLACE DEFAULT 4",
        {"NULL": 4, "1": 1},
        type="bigint",
    ),
)

TEXTS = (
    Hazard("Latin-1 bytes", "v TEXT", {"'café'": "café", text("636166e9"): bad("636166e9")}, type="text"),
    Hazard(
        "lone surrogates",
        "v TEXT",
        {"''": "", text("eda080"): bad("eda080"), text("61edb080"): bad("61edb080")},
    ),
    Hazard(
        "overlong forms", "v TEXT", {"'/'": "/", text("c0af"): bad("c0af"), text("e080af"): bad("e080af")}
    ),
    Hazard(
        "above 10FFFF",
        "v TEXT",
        {text("f48fbfbf"): "\U0010ffff", text("f4908080"): bad("f4908080"), text("ff"): bad("ff")},
    ),
    Hazard("cut inside of a character", "v TEXT", {"'x'": "x", text("61e282"): bad("61e282")}),
    Hazard(
        "NUL in a text",
        "v TEXT",
        {
            "'x'": "x",
            text("610062"): kept("a\0b"),
            text("0061"): kept("\0a"),
            text("6100"): kept("a\0"),
            text("00"): kept("\0"),
        },
    ),
    Hazard(
        "NUL in a key",
        "v TEXT PRIMARY KEY; WITHOUT ROWID",
        {"'a'": "a", text("6100"): kept("a\0"), text("e9"): bad("e9")},
    ),
    Hazard("an escaped NUL in a text is a text", "v TEXT", {"'\"\\u0000\"'": '"\\u0000"'}, type="text"),
    Hazard(
        "an escaped NUL is nothing for jsonb",
        "v TEXT",
        {
            "'[\"b\"]'": '["b"]',
            "'\"\\u0000\"'": kept('"\\u0000"'),
            "'\"\\ud800\"'": kept('"\\ud800"'),
            "'{'": kept("{"),
            '\'{"a":1,"a":2}\'': kept('{"a":1,"a":2}'),
            "''": kept(""),
        },
        type="jsonb",
        asked="jsonb",
    ),
    Hazard(
        "what COPY takes for something else",
        "v TEXT",
        {
            "'\\N'": "\\N",
            "'\\.'": "\\.",
            "'a\tb\r\nc'": "a\tb\r\nc",
            "'\\\\x41'": "\\\\x41",
            "''": "",
            "NULL": None,
        },
    ),
    Hazard(
        "composed and decomposed",
        "v TEXT PRIMARY KEY",
        {
            "'é'": "é",
            "'e\u0301'": "e\u0301",
            "'\ufeff'": "\ufeff",
            "'\uffff'": "\uffff",
            "'\U0001f6a2'": "\U0001f6a2",
        },
    ),
    Hazard(
        "blobs are bytes",
        "v BLOB",
        {"x''": b"", "x'00'": b"\0", "x'5c783631'": b"\\x61", "NULL": None, "zeroblob(3)": b"\0\0\0"},
        type="bytea",
    ),
    Hazard("a text among blobs", "v BLOB", {"x'61'": b"a"}, {"'a'": kept("a"), "5": kept(5)}, "bytea"),
    Hazard("a blob among texts", "v TEXT", {"'a'": "a"}, {"x'61'": kept(b"a"), "x''": kept(b"")}, "text"),
    Hazard("two million bytes", "v", {"zeroblob(2000000)": bytes(2_000_000)}, type="bytea"),
    Hazard(
        "two million characters", "v TEXT", {"printf('%.*c', 2000000, 'é')": "é" * 2_000_000}, type="text"
    ),
    Hazard(
        "a row wider than a page",
        ", ".join([f"c{n} INT" for n in range(1_100)] + ["v INT"]),
        {", ".join(["1"] * 1_100 + ["NULL"]): Kept(("null", None))},
    ),
)

MOMENTS = (
    Hazard(
        "times that PostgreSQL has not",
        "v TEXT",
        {
            "'2024-02-29 12:00:00Z'": datetime(2024, 2, 29, 12, tzinfo=UTC),
            "'2024-02-30T00:00Z'": kept("2024-02-30T00:00Z"),
            "'0000-01-01T00:00Z'": kept("0000-01-01T00:00Z"),
            "'294277-01-01T00:00Z'": kept("294277-01-01T00:00Z"),
            "'-4800-01-01T00:00Z'": kept("-4800-01-01T00:00Z"),
            "'2024-02-29'": kept("2024-02-29"),
            "'N/A'": kept("N/A"),
            "''": kept(""),
        },
        {"1709208000": kept("1709208000")},
        "timestamp with time zone",
        "timestamptz",
    ),
    Hazard(
        "an infinite time",
        "v REAL",
        {
            "0.5": datetime(1970, 1, 1, microsecond=500_000, tzinfo=UTC),
            "1e999": kept(INF),
            "1e18": kept(1e18),
        },
        type="timestamp with time zone",
        asked="timestamptz from epoch_s",
    ),
    Hazard(
        "dates that PostgreSQL has not",
        "v TEXT",
        {
            "'2024-02-29'": date(2024, 2, 29),
            "'2023-02-29'": kept("2023-02-29"),
            "'0000-00-00'": kept("0000-00-00"),
            "'10000-01-01'": kept("10000-01-01"),
        },
        type="date",
        asked="date",
    ),
    Hazard(
        "dates that nobody asked to convert",
        "v DATE",
        {"'2024-02-29'": "2024-02-29", "'0000-00-00'": "0000-00-00", "''": ""},
        type="text",
    ),
)

KEYS = (
    Hazard("NULLs in a primary key", "v TEXT PRIMARY KEY", {"NULL": None, " NULL": None, "'a'": "a"}),
    Hazard(
        "NULLs in a composite key",
        "k INT, v TEXT, PRIMARY KEY(k, v)",
        {"1, NULL": None, "1,  NULL": None, "NULL, 'a'": "a"},
    ),
    Hazard(
        "a real key loses what SQLite has lost",
        "v REAL PRIMARY KEY",
        {"9007199254740993": 9007199254740992.0, "0.0": 0.0},
        type="double precision",
    ),
    Hazard("infinities are keys", "v REAL PRIMARY KEY NOT NULL", {"1e999": INF, "-1e999": -INF, "1": 1.0}),
    Hazard(
        "a key changes its case",
        "v TEXT PRIMARY KEY NOT NULL COLLATE NOCASE",
        {"'a'": "a", "'b'": "b"},
        then=("UPDATE {t} SET v = 'A' WHERE v = 'a'",),
        end=("A", "b"),
    ),
    Hazard(
        "a key loses its blank",
        "v TEXT PRIMARY KEY NOT NULL COLLATE RTRIM",
        {"'a '": "a ", "'b'": "b"},
        then=("UPDATE {t} SET v = 'a' WHERE v = 'a'",),
        end=("a", "b"),
    ),
    Hazard(
        "a value changes its class only",
        "k TEXT PRIMARY KEY NOT NULL, v",
        {"'x', 1": 1, "'y', 2": 2},
        then=("UPDATE {t} SET v = '1' WHERE k = 'x'", "UPDATE {t} SET v = 3 WHERE k = 'y'"),
        end=(kept("1"), 3),
    ),
    Hazard(
        "'01' and 1 in a key", "v PRIMARY KEY NOT NULL", {"'01'": "01", "'1'": "1"}, {"1": kept(1)}, "text"
    ),
    Hazard(
        "1 and 1.0 are one key",
        "v NUMERIC PRIMARY KEY NOT NULL",
        {"1": Decimal(1), "2.5": Decimal("2.5")},
        then=("REPLACE INTO {t} VALUES (1.0)", "REPLACE INTO {t} VALUES ('1')"),
        end=(Decimal(1), Decimal("2.5")),
    ),
    Hazard(
        "blobs and texts of the same bytes",
        "v BLOB PRIMARY KEY NOT NULL",
        {"x'61'": b"a", "x''": b""},
        {"'a'": kept("a")},
        "bytea",
    ),
    Hazard(
        "rows that are alike",
        "v INT",
        {"1": 1, " 1": 1, "  1": 1},
        then=("DELETE FROM {t} WHERE rowid = (SELECT min(rowid) FROM {t})",),
        end=(1, 1),
    ),
    Hazard(
        "rowids at both ends",
        "v INTEGER PRIMARY KEY",
        {"9223372036854775807": 2**63 - 1, "-9223372036854775808": -(2**63), "0": 0},
        type="bigint",
    ),
    Hazard("no alias of the rowid", "v INT PRIMARY KEY NOT NULL", {"1": 1}, {"'x'": kept("x")}, "bigint"),
    Hazard(
        "columns that hide the rowid",
        "rowid TEXT, oid INT NOT NULL UNIQUE, _rowid_ BLOB, v INT",
        {"'a', 1, x'', 7": 7, "NULL, 2, NULL, 8": 8},
    ),
    Hazard(
        "a key too long for an index", "v TEXT PRIMARY KEY NOT NULL", {"'a'": "a"}, {LONG: kept(LONG_TEXT)}
    ),
    Hazard(
        "values exchanged",
        "k INTEGER PRIMARY KEY, v INT UNIQUE",
        {"1, 10": 10, "2, 20": 20},
        then=(
            "UPDATE {t} SET v = NULL WHERE k = 1",
            "UPDATE {t} SET v = 10 WHERE k = 2",
            "UPDATE {t} SET v = 20 WHERE k = 1",
        ),
        end=(20, 10),
    ),
    Hazard(
        "unique but for the blank",
        "v TEXT UNIQUE",
        {"'a'": "a", "'a '": "a ", "'A'": "A", "NULL": None, " NULL": None},
    ),
    Hazard("a foreign key to nothing", "v INT REFERENCES nowhere(id)", {"1": 1, "NULL": None}),
    Hazard(
        "a foreign key that is broken", 'v INT REFERENCES "rowids at both ends"(v)', {"0": 0, "12345": 12345}
    ),
)

NAMES = (
    Hazard('Order Details/"it\'s" 100%', '"V V" INT, v INT', {"1, 2": 2}),
    Hazard("line\nbreak", "v TEXT", {"'a'": "a"}),
    Hazard("ŒUVRE", "v TEXT", {"'upper'": "upper"}),
    Hazard("œuvre", "v TEXT", {"'lower'": "lower"}),
    Hazard("select", '"É" INT, "é" INT, "group" INT, v INT', {"1, 2, 3, 4": 4}),
    Hazard("MixedCase", '"Id" INTEGER PRIMARY KEY, v TEXT UNIQUE', {"1, 'x'": "x"}),
    Hazard("n" * 63, '"%s" TEXT, "$1" TEXT, "{x}" TEXT, v TEXT', {"'a', 'b', 'c', 'd'": "d"}),
)

HAZARDS = (*AFFINITY, *TEXTS, *MOMENTS, *KEYS, *NAMES)

#: What may arrive, under another name or in part in quarantine, or be refused: a schema, and statements that
#: run before the copy and again when it streams.
EITHER: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "names of more than 63 bytes": (
        (
            f"CREATE TABLE {'t' * 64}({'c' * 63}1 INT, {'c' * 63}2 INT)",
            f"CREATE TABLE {'t' * 64}2({'é' * 40} INT)",
        ),
        (f"INSERT INTO {'t' * 64} VALUES (1, 2)", f"INSERT INTO {'t' * 64}2 VALUES (3)"),
    ),
    "names of system columns": (
        ('CREATE TABLE t(xmin INT, "CTID" TEXT, tableoid INT, _liteferry_rowid INT)',),
        ("INSERT INTO t VALUES (1, 'a', 2, 3)",),
    ),
    "a table without a name": (('CREATE TABLE ""(v INT)',), ('INSERT INTO "" VALUES (1)',)),
    "a column without a name": (('CREATE TABLE t("" INT, v INT)',), ("INSERT INTO t VALUES (1, 2)",)),
    "1,601 columns": (
        (f"CREATE TABLE t({', '.join(f'c{n} INT' for n in range(1_601))})",),
        ("INSERT INTO t(c0, c1600) VALUES (1, 2)",),
    ),
    "any class in one column": (
        ("CREATE TABLE t(v)",),
        ("INSERT INTO t VALUES (1), (2), ('1'), (x'31'), (1.5), (NULL), ('N/A')",),
    ),
    "any class in one key": (
        ("CREATE TABLE t(v PRIMARY KEY NOT NULL)",),
        ("REPLACE INTO t VALUES (1), ('1'), (x'31'), (1.5), ('x')",),
    ),
    "NULL in a key behind a hidden rowid": (
        ("CREATE TABLE t(rowid INT, oid INT, _rowid_ TEXT PRIMARY KEY)",),
        ("INSERT INTO t VALUES (1, 2, NULL)",),
    ),
    "a database in UTF-16": (
        ("PRAGMA encoding = 'UTF-16le'", "CREATE TABLE t(v TEXT PRIMARY KEY, n TEXT)"),
        (
            "REPLACE INTO t VALUES ('é', '\U0001f6a2')",
            f"REPLACE INTO t VALUES ({text('6100')}, {text('00d8')})",
        ),
    ),
}
