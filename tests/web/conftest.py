"""A browser for the session, and pages served from canned statuses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from daemon.http import build_app, serve
from tests import statuses
from tests.statuses import CannedView
from tests.web.chromium import Chromium, Tab, find_binary, running

OpenPage = Callable[..., AbstractAsyncContextManager[Tab]]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """Start the browser once, or skip when there is none."""
    binary = find_binary()
    if binary is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on PATH")
    with running(binary, tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def open_page(chromium: Chromium) -> OpenPage:
    """Return a function that serves a view and opens its dashboard, filled with the first status."""

    @asynccontextmanager
    async def opened(view: CannedView, *, width: int = 1280, **media: Any) -> AsyncIterator[Tab]:
        async with serve(build_app(view), "127.0.0.1", 0) as (host, port), chromium.tab() as tab:
            await tab.look(width=width, **media)
            await tab.go(f"http://{host}:{port}/")
            await tab.wait_for("!document.body.hasAttribute('data-waiting')")
            yield tab

    return opened


@pytest.fixture(autouse=True)
def fresh_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have canned statuses tell of the moment in which the test began, however long others have taken."""
    monkeypatch.setattr(statuses, "NOW", datetime.now(UTC))
