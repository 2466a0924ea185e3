"""The forms of values: durations, addresses, types, and masking."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.secret import MASK, is_secret_name, mask_text
from config.values import check_index, check_type, format_duration, index_parts, parse_address, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5.0),
        ("500ms", 0.5),
        ("1m", 60.0),
        ("1m30s", 90.0),
        ("1m 30s", 90.0),
        (" 2H ", 7200.0),
        ("1d", 86400.0),
        ("0.5s", 0.5),
        ("7", 7.0),
        ("0.25", 0.25),
        (3, 3.0),
        (0.05, 0.05),
    ],
)
def test_durations_are_read_in_every_form(text: object, seconds: float) -> None:
    """Units, sums of units, and bare numbers of seconds."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["", "s", "5 years", "-1s", "-1", float("nan"), float("inf"), True, None, [5], "5s5"],
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    """The rule is told, with examples."""
    with pytest.raises(ValueError, match="must be a duration such as 500ms"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10_000_000).map(lambda ms: ms / 1000))
def test_a_duration_survives_being_written(seconds: float) -> None:
    """What format_duration writes, parse_duration reads, to the digits it shows."""
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=1e-5)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8321", ("127.0.0.1", 8321)),
        ("[::1]:8321", ("::1", 8321)),
        ("[fe80::1%eth0]:1", ("fe80::1%eth0", 1)),
        ("example.org:0", ("example.org", 0)),
    ],
)
def test_addresses_are_split(text: str, address: tuple[str, int]) -> None:
    """Names, IPv4 and bracketed IPv6 are understood."""
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", ":80", "::1:80", "host", "host:", "host:x", "host:65536", "a b:1", "h:1/x"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """Half an address would listen somewhere else than meant."""
    with pytest.raises(ValueError, match="must be HOST:PORT"):
        parse_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "bigint",
        "numeric(12,2)",
        "numeric(12, -2)",
        "character varying(10)",
        "timestamp(3) with time zone",
        "text[]",
        'public."My Type"',
        "double precision",
    ],
)
def test_types_of_postgresql_pass(text: str) -> None:
    """What PostgreSQL calls a type is let through as it is."""
    assert check_type(text) == text


@pytest.mark.parametrize(
    "text", ["", "int;", "int -- x", "int) x (", 'a"b', "int default 'x'", "f(select 1)", "int\n;"]
)
def test_what_is_more_than_a_type_is_refused(text: str) -> None:
    """The text goes into DDL, so nothing else may hide in it."""
    with pytest.raises(ValueError, match="must be a PostgreSQL type"):
        check_type(text)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:s3cret@h/db",
        "postgresql+asyncpg://u:s3cret@h/db",
        "cannot reach postgresql://u:s3cret@h:5432/db?x=1 now",
        "postgresql://u:with/s3cret@h/db",
        "postgresql://u:a@s3cret@h/db",
        "postgresql://h/db?user=u&password=s3cret",
        "host=h password=s3cret dbname=x",
        "host=h password='two s3cret words'",
        '{"password": "s3cret"}',
        "PGPASSWORD=s3cret psql",
        "Authorization: Bearer s3cret",
        "api_key: s3cret",
        "http://:s3cret@h/",
    ],
)
def test_passwords_in_text_are_masked(text: str) -> None:
    """Whatever form it takes, it is gone, and something shows that it was there."""
    masked = mask_text(text)

    assert "s3cret" not in masked
    assert MASK in masked


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u@h:5432/db",
        "http://127.0.0.1:8321/metrics",
        "target_password_file '/run/pw' cannot be read",
        "password authentication failed for user",
        "mail from a:b@c",
    ],
)
def test_harmless_text_is_left_alone(text: str) -> None:
    """Masking hides passwords, not the rest of the message."""
    assert mask_text(text) == text


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("password", True),
        ("target_password", True),
        ("PGPASSWORD", True),
        ("api-key", True),
        ("auth.token", True),
        ("Authorization", True),
        ("target_password_file", False),
        ("tokens_seen", False),
        ("key", False),
        ("compass", False),
    ],
)
def test_secret_names_are_known(name: str, secret: bool) -> None:
    """A name that announces a secret is enough to hide its value."""
    assert is_secret_name(name) is secret


@pytest.mark.parametrize(
    ("statement", "name", "table"),
    [
        ("CREATE INDEX a ON t (x)", "a", "t"),
        ("create unique index concurrently if not exists a on s.t using gin (x);", "a", "s.t"),
        ('CREATE INDEX "a b" ON "S"."T t" (lower(x)) WHERE y > 1', '"a b"', '"S"."T t"'),
    ],
)
def test_an_index_statement_is_taken_apart(statement: str, name: str, table: str) -> None:
    """Its name and table say whether it is there already."""
    parts = index_parts(check_index(statement))
    assert parts is not None
    assert (parts["name"], parts["table"]) == (name, table)


@pytest.mark.parametrize(
    "statement",
    [
        "",
        "CREATE INDEX ON t (x)",
        "DROP INDEX a",
        "CREATE INDEX a ON t (x); DROP TABLE t",
        "CREATE TABLE t(x)",
    ],
)
def test_what_is_not_one_named_index_is_refused(statement: str) -> None:
    """It is carried out on the target as it stands."""
    with pytest.raises(ValueError, match="must be one statement"):
        check_index(statement)
