"""TLS to PostgreSQL: verified in full, and refused in clear words where something is wrong."""

from __future__ import annotations

import gc
import warnings
from pathlib import Path

import pytest

from config.errors import TargetAway, TargetError
from replicator.postgres.connections import Target
from tests.fixtures.cli import Answer, Liteferry
from tests.fixtures.sqlite import MakeSource
from tests.fixtures.tls import Secure


async def refused(url: str) -> tuple[str, str]:
    """Return text and hint of the error that a connection ends with; no waiting must mend it."""
    try:
        async with Target(url, size=1):
            pass
    except TargetError as error:
        assert not error.retryable
        told = str(error), error.hint
    else:
        raise AssertionError("it was not refused")
    collect()
    return told


def collect() -> None:
    """Rid of the sockets that the driver leaves to the collector when TLS fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


async def test_a_verified_connection(secure: Secure) -> None:
    """With the authority's certificate, by the name or the address in the server's."""
    secure.show("good")
    for host in ("localhost", "127.0.0.1"):
        url = secure.url(host=host, sslmode="verify-full", sslrootcert=secure.certificate("ca.crt"))
        async with Target(url, size=1) as target, target.connection() as connection:
            assert await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        ("elsewhere", "IP address mismatch, certificate is not valid for '127.0.0.1'"),
        ("foreign", "unable to get local issuer certificate"),
        ("expired", "certificate has expired"),
    ],
)
async def test_a_wrong_certificate_is_refused(secure: Secure, shown: str, reason: str) -> None:
    """Another name, another authority, a time that is over: each is said, with what to look at."""
    secure.show(shown)
    url = secure.url(sslmode="verify-full", sslrootcert=secure.certificate("ca.crt"))
    text, hint = await refused(url)
    assert reason in text
    assert "sslrootcert" in hint


async def test_a_certificate_that_expires_is_waited_for(secure: Secure) -> None:
    """A running daemon says so, and goes on when it is renewed."""
    secure.show("good")
    url = secure.url(sslmode="verify-full", sslrootcert=secure.certificate("ca.crt"))
    async with Target(url, size=2) as target, target.connection():
        secure.show("expired")
        with pytest.raises(TargetAway, match="certificate has expired"):
            async with target.connection():
                pass
        secure.show("good")
        async with target.connection() as connection:
            assert await connection.fetchval("SELECT 1") == 1
    collect()


async def test_a_server_without_tls_is_refused(target_url: str) -> None:
    """Whoever asked for TLS is not to talk in the clear."""
    text, _ = await refused(f"{target_url}?sslmode=require")
    assert "does not speak TLS" in text


async def test_a_client_certificate(secure: Secure) -> None:
    """It takes the password's place; without it the server says what it wants."""
    secure.show("good")
    root = secure.certificate("ca.crt")
    own, key = secure.certificate("certified.crt"), secure.certificate("certified.key")
    url = secure.url("certified", sslmode="verify-full", sslrootcert=root, sslcert=own, sslkey=key)
    async with Target(url, size=1) as target, target.connection() as connection:
        assert await connection.fetchval("SELECT current_user::text") == "certified"

    text, _ = await refused(secure.url("certified", sslmode="verify-full", sslrootcert=root))
    assert "valid client certificate" in text


@pytest.mark.parametrize("name", ["sslrootcert", "sslcert", "sslkey", "sslcrl"])
async def test_a_missing_file_is_named(secure: Secure, name: str) -> None:
    """Of the authority, of one's own certificate or key, of those called back."""
    text, _ = await refused(f"{secure.url(sslmode='verify-full')}&{name}=/nowhere/file")
    assert text == f"{name} '/nowhere/file' is not there"


async def test_an_authority_is_asked_for(
    secure: Secure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without sslrootcert it is looked up at libpq's place, and that is named."""
    monkeypatch.setenv("HOME", str(tmp_path))
    text, _ = await refused(secure.url(sslmode="verify-full"))
    assert f'root certificate file "{tmp_path}/.postgresql/root.crt"' in text


def test_check_tells_how_far_the_line_is_trusted(
    secure: Secure, liteferry: Liteferry, make_source: MakeSource
) -> None:
    """Verified, or encrypted for whoever is there."""
    secure.show("good")
    source = make_source(script="CREATE TABLE t(id INTEGER PRIMARY KEY)")

    def told(url: str) -> str:
        answer: Answer = liteferry("check", source, "--target", url, "--json")
        (text,) = (c["text"] for c in answer.json["checks"] if c["name"] == "encryption")
        return str(text)

    full = secure.url(sslmode="verify-full", sslrootcert=secure.certificate("ca.crt"))
    assert "certificate and name are verified" in told(full)
    ca = secure.url(sslmode="verify-ca", sslrootcert=secure.certificate("ca.crt"))
    assert "but not the name in it" in told(ca)
    assert "anybody could be there" in told(secure.url(sslmode="require"))
    assert "none needed" in told(secure.url(sslmode="disable"))
