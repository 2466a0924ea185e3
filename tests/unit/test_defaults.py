"""Column defaults in PostgreSQL's words."""

from __future__ import annotations

import pytest

from replicator.schema.defaults import translate

EPOCH = "floor(extract(epoch FROM now()))::bigint"
NOW = "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"


@pytest.mark.parametrize(
    ("default", "pg_type", "expected"),
    [
        ("NULL", "bigint", "NULL"),
        ("(null)", "text", "NULL"),
        ("0", "bigint", "0"),
        ("-1", "bigint", "-1"),
        ("+7", "integer", "+7"),
        ("((42))", "bigint", "42"),
        ("1.5", "numeric", "1.5"),
        (".5", "double precision", ".5"),
        ("1e3", "double precision", "1e3"),
        ("TRUE", "bigint", "1"),
        ("false", "numeric", "0"),
        ("0", "boolean", "false"),
        ("1", "boolean", "true"),
        ("TRUE", "boolean", "true"),
        ("''", "text", "''"),
        ("'it''s'", "text", "'it''s'"),
        ("'back\\slash'", "text", "'back\\slash'"),
        ("('a(b')", "text", "'a(b'"),
        ('"word"', "text", "'word'"),
        ('"it\'s ""x"""', "text", "'it''s \"x\"'"),
        ("x'00FF'", "bytea", "'\\x00FF'::bytea"),
        ("X''", "bytea", "'\\x'::bytea"),
        ("CURRENT_TIMESTAMP", "text", NOW),
        ("(datetime('now'))", "text", NOW),
        ("( DateTime( 'now' ) )", "text", None),
        ("current_date", "text", "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD')"),
        ("(time('now'))", "text", "to_char(now() AT TIME ZONE 'UTC', 'HH24:MI:SS')"),
        ("CURRENT_TIMESTAMP", "timestamptz", "date_trunc('second', now())"),
        ("CURRENT_TIMESTAMP", "timestamp", "date_trunc('second', now() AT TIME ZONE 'UTC')"),
        ("(date('now'))", "date", "(now() AT TIME ZONE 'UTC')::date"),
        ("'{}'", "jsonb", "'{}'::jsonb"),
        ("(1 + 1)", "bigint", "2"),
        ("((1) + (1))", "bigint", "2"),
        ("(60 * 60.5)", "double precision", "3630.0"),
        ("('a' || 'b')", "text", "'ab'"),
        ("(lower('X') || char(39))", "text", "'x'''"),
        ("(json_object())", "jsonb", "'{}'::jsonb"),
        ("(json_array('a'))", "text", "'[\"a\"]'"),
        ("(1 > 0)", "boolean", "true"),
        ("(NULLIF(1, 1))", "bigint", "NULL"),
        ("(unixepoch())", "bigint", EPOCH),
        ("(strftime('%s', 'now'))", "bigint", EPOCH),
        ("(CAST(strftime('%s', 'now') AS INTEGER))", "bigint", EPOCH),
        (
            "(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))",
            "text",
            'to_char(now() AT TIME ZONE \'UTC\', \'YYYY"-"MM"-"DD"T"HH24":"MI":"SS.MS"Z"\')',
        ),
        ("'it''s'", "varchar(9)", "'it''s'::varchar(9)"),
        ("'[\"a b\"]'", "text[]", "'{\"a b\"}'::text[]"),
        ("'[]'", "text[]", "'{}'::text[]"),
        ("'127.0.0.1'", "inet", "'127.0.0.1'::inet"),
        ("'2024-02-29'", "date", "'2024-02-29'::date"),
        ("9.99", "numeric(6,2)", "9.99"),
        ("0.5", "real", "0.5"),
    ],
)
def test_a_default_is_said_in_postgresqls_words(default: str, pg_type: str, expected: str | None) -> None:
    """The text of PRAGMA table_xinfo, for the type that the column got."""
    assert translate(default, pg_type) == expected


@pytest.mark.parametrize(
    ("default", "pg_type"),
    [
        ("1.5", "bigint"),
        ("'5'", "bigint"),
        ("5", "text"),
        ("0x1F", "bigint"),
        ("2", "boolean"),
        ("'t'", "boolean"),
        ("true", "text"),
        ("CURRENT_TIMESTAMP", "bigint"),
        ("CURRENT_TIMESTAMP", "date"),
        ("CURRENT_TIMESTAMP", "jsonb"),
        ("0", "timestamptz"),
        ("'2024-02-29 12:00:00'", "timestamptz"),
        ("'{'", "jsonb"),
        ("9.999", "numeric(6,2)"),
        ("0.1", "real"),
        ("'too long'", "varchar(3)"),
        ("datetime('now', 'localtime')", "text"),
        ("(random())", "bigint"),
        ("(1 + 1)", "text"),
        ("('a' || random())", "text"),
        ("(printf('%99999d', 1))", "text"),
        ("(replace(hex(hex(hex('aaaaaaaaaaaa'))), '1', '111111') || 'a' || b)", "text"),
        ("(strftime('%j', 'now'))", "text"),
        ("(strftime('%Y', 'now', 'localtime'))", "text"),
        ("(strftime('%Y-%m-%d', 'now'))", "date"),
        ("(unixepoch('now', 'subsec'))", "bigint"),
        ("x'00'", "text"),
        ("'a'", "bytea"),
        ("x'0g'", "bytea"),
        ("(')')", "bigint"),
        ("", "text"),
    ],
)
def test_a_default_without_an_equal_is_left_to_be_reported(default: str, pg_type: str) -> None:
    """None makes a note; a default that is nearly right would change values after the cutover."""
    assert translate(default, pg_type) is None
