"""The dashboard over a real daemon, through a whole migration and back."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing

from tests.fixtures.daemon import StartDaemon
from tests.fixtures.proxy import Proxy
from tests.fixtures.sqlite import MakeSource
from tests.web.chromium import Chromium

SCRIPT = """
CREATE TABLE orders(id INTEGER PRIMARY KEY, note TEXT);
INSERT INTO orders(note) VALUES('a'), ('b');
"""


def address(log: str) -> str:
    """Return where the daemon says that its dashboard is."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return next(str(line["dashboard"]) for line in lines if line["event"] == "listening")


async def test_a_migration_is_watched_there_and_back(
    chromium: Chromium,
    daemon: StartDaemon,
    make_source: MakeSource,
    target_url: str,
    proxy: Callable[[str], Proxy],
) -> None:
    """Streaming, the target away and back, cut over, rolled back: all without opening the page anew."""
    source, line = make_source(script=SCRIPT), proxy(target_url)
    running = daemon(source, line.url, env={"LITEFERRY_HTTP": "127.0.0.1:0"})
    await asyncio.to_thread(running.wait_ready)
    async with chromium.tab() as tab:
        await tab.go(address(running.log))
        await tab.wait_for("document.getElementById('readiness-word').innerText === 'Ready for cutover'")
        assert await tab.text("#state-word") == "Streaming"
        assert "orders streaming 2 0 0 0 not yet" in await tab.text("#sources tbody")

        line.refuse()
        with closing(sqlite3.connect(source)) as writer, writer:
            writer.execute("INSERT INTO orders(note) VALUES('c')")
        await tab.wait_for("document.getElementById('state-word').innerText === 'Streaming, target away'")
        line.heal()
        await tab.wait_for("document.getElementById('readiness-word').innerText === 'Ready for cutover'")
        await tab.wait_for("document.getElementById('events').innerText.includes('Goes on again')")

        await asyncio.to_thread(running.cutover)
        await tab.wait_for("document.getElementById('readiness-word').innerText === 'Ready for rollback'")
        assert await tab.text("#state-word") == "Cut over"
        assert (await tab.text("#cutover")).startswith("Cutover done")

        await asyncio.to_thread(running.rollback)
        await tab.wait_for("!document.getElementById('rollback').hidden")
        await tab.wait_for("document.getElementById('readiness-word').innerText === 'Ready for cutover'")
        assert (await tab.text("#rollback")).startswith("Rollback done")
        seen = await tab.text("#timeline")
        for state in ("Rolling back", "Cut over", "Cutting over", "Streaming", "Snapshot"):
            assert state in seen
        await tab.wait_for("document.getElementById('events').innerText.includes('Rollback done')")
        assert tab.errors == []
