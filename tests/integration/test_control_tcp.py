"""Orders over TCP with the token, from the command line too; and nothing that can be read shows a row."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import aiohttp
import pytest

from config.errors import ConfigError, ControlError, TargetError
from daemon.control import Address, ask
from tests.fault.scene import HASTY
from tests.fixtures.cli import Liteferry
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

TOKEN = "0123456789abcdef-0123456789abcdef"
ROW, PASSWORD = "hostile-row-4711", "s3cr3t-p@ss"
READ_ONLY = (
    "/",
    "/metrics",
    "/healthz",
    "/readyz",
    "/api/status",
    "/api/history",
    "/api/journal",
    "/nowhere",
)

#: Rows that are kept aside with a reason, in tables whose keys are as secret as the rest.
SCRIPT = f"""
CREATE TABLE patients(name TEXT PRIMARY KEY, body TEXT DEFAULT 'none');
INSERT INTO patients VALUES ('{ROW} key', '{ROW}'), ('{ROW} bad', '{ROW}' || char(0) || 'x');
CREATE TABLE numbers(id INTEGER PRIMARY KEY, n INTEGER);
INSERT INTO numbers VALUES (1, 1), (2, '{ROW}');
"""


@dataclass(frozen=True)
class Reached:
    """A daemon and its address on TCP."""

    daemon: RunningDaemon
    url: str
    token_file: Path


@pytest.fixture
def reached(
    daemon: StartDaemon, make_source: MakeSource, target_url: str, tmp_path: Path
) -> Iterator[Reached]:
    """Run a daemon that takes orders over TCP and has rows in quarantine."""
    parts = urlsplit(target_url)
    host = parts.netloc.rpartition("@")[2]
    url = parts._replace(netloc=f"postgres:{quote(PASSWORD)}@{host}").geturl()
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN + "\n")
    token_file.chmod(0o600)
    env = {**HASTY, "LITEFERRY_HTTP": "127.0.0.1:0", "LITEFERRY_HTTP_TOKEN_FILE": str(token_file)}
    running = daemon(make_source(script=SCRIPT), url, env=env)
    running.wait_until(lambda s: s["state"] == "streaming" and s["sources"][0]["quarantined"] == 2)
    found = re.search(r'"dashboard": "(http://127\.0\.0\.1:\d+)/"', running.log)
    assert found is not None
    yield Reached(running, found[1], token_file)


async def texts(url: str) -> dict[str, str]:
    """Return what every route answers to whoever asks, headers and all."""
    found = {}
    async with aiohttp.ClientSession() as session:
        for path in READ_ONLY:
            async with session.get(url + path) as answer:
                found[path] = f"{dict(answer.headers)} {await answer.text()}"
        async with session.get(f"{url}/api/events") as answer:
            found["/api/events"] = (await answer.content.readuntil(b"\n\n")).decode()
        for body in ("{", '{"table": 1}', '{"nothing": "of the kind"}', "[]"):
            async with session.post(f"{url}/control/verify", data=body) as answer:
                found[f"refused {body}"] = await answer.text()
            headers = {"Authorization": f"Bearer {TOKEN}"}
            async with session.post(f"{url}/control/verify", data=body, headers=headers) as answer:
                found[f"wrong {body}"] = await answer.text()
    return found


def test_nothing_that_can_be_read_shows_a_row_or_a_secret(reached: Reached) -> None:
    """Every route, the errors of orders, the stream of events, and the log."""
    reached.daemon.ask("/control/verify", {"table": "numbers"})
    answers = asyncio.run(texts(reached.url))
    assert "streaming" in answers["/api/events"] and "numbers" in answers["/api/status"]
    assert "not JSON" in answers["wrong {"] and "token is missing" in answers["refused {"]
    for path, text in {**answers, "the log": reached.daemon.log}.items():
        for hidden in (ROW, PASSWORD, quote(PASSWORD), "s3cr3t", TOKEN):
            assert hidden not in text, path


def test_orders_are_given_over_tcp_with_the_token(reached: Reached, liteferry: Liteferry) -> None:
    """By the command line as on the socket; without the token, or with another, they are refused."""
    for token in (None, "another-token-of-some-length"):
        with pytest.raises(ControlError, match="token is missing or wrong"):
            asyncio.run(ask(Address(reached.url, token), "/control/pause", {}))
    where = ("--url", reached.url, "--token-file", reached.token_file)
    paused = liteferry("pause", *where)
    assert paused.status == 0 and "paused since" in paused.output, paused.errors
    assert "paused" in liteferry("status", "--url", reached.url).output
    assert liteferry("resume", *where, "--json").status == 0
    limited = liteferry("throttle", "5000/s", *where)
    assert limited.status == 0 and "limit: 5,000 rows/s" in limited.output, limited.errors
    assert "liteferry throttle 5000" in limited.output
    assert "full speed" in liteferry("throttle", "--off", *where).output
    assert json.loads(liteferry("throttle", *where, "--json").output)["throttle"]["active"] is False
    for pause in (float("nan"), float("inf"), 0, -1, 1e9):
        for move in ("cutover", "rollback"):
            with pytest.raises(ConfigError, match="s is no limit"):
                reached.daemon.ask(f"/control/{move}", {"max_pause": pause, "dry_run": True})
    with pytest.raises(TargetError, match="InvalidRowCountInLimitClauseError"):
        reached.daemon.ask("/control/quarantine/list", {"limit": -1})
    dry = liteferry("cutover", "--dry-run", *where)
    assert dry.status == 1 and "not ready for cutover" in dry.output
    # the token of the settings does too
    env = {"LITEFERRY_HTTP_TOKEN": TOKEN}
    assert liteferry("resume", "--url", reached.url, env=env).status == 0
    unreached = liteferry("pause", "--url", "http://127.0.0.1:1", "--token-file", reached.token_file)
    assert unreached.status == 6 and "no liteferry answers at" in unreached.errors


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pause", "--url", "ftp://x"), "must be http://HOST:PORT"),
        (("pause", "--url", "http://x:1", "--control", "/tmp/s"), "cannot be combined"),
        (("pause", "--token-file", "/tmp/t"), "--token-file needs --url"),
        (("throttle", "fast"), "must be rows per second"),
        (("throttle", "0"), "must be rows per second"),
        (("throttle", "5", "--off"), "cannot be combined"),
    ],
)
def test_a_wrong_call_is_told(liteferry: Liteferry, arguments: tuple[str, ...], said: str) -> None:
    """Nothing is asked of anybody then."""
    answer = liteferry(*arguments)
    assert answer.status == 2 and said in answer.errors


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (TOKEN, 0o644, "is open to every user"),
        ("short", 0o600, "must be 16 to 512 characters"),
        ("", 0o600, "must have the token in its first line"),
        ("with spaces in its middle", 0o600, "must be 16 to 512 characters"),
    ],
)
def test_a_token_that_is_none_is_refused(
    liteferry: Liteferry, tmp_path: Path, content: str, mode: int, said: str
) -> None:
    """And never shown."""
    file = tmp_path / "token"
    file.write_text(content)
    file.chmod(mode)
    answer = liteferry("pause", "--url", "http://127.0.0.1:1", "--token-file", file)
    assert answer.status == 2 and said in answer.errors
    assert not content or content not in answer.errors


def test_a_token_in_the_settings_is_never_shown(liteferry: Liteferry) -> None:
    """Not even one that is wrong."""
    answer = liteferry("pause", env={"LITEFERRY_HTTP_TOKEN": "too-short-4711"})
    assert answer.status == 2 and "http_token must be 16" in answer.errors
    assert "4711" not in answer.errors
