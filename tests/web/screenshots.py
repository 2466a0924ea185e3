"""The pictures of the documentation: `make screenshots` writes them to docs/images.

Canned statuses in the same browser that the tests use, so that a picture differs only when the page does.
"""

from __future__ import annotations

import asyncio
import base64
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from daemon.http import build_app, serve
from tests import statuses
from tests.statuses import CannedView
from tests.web.chromium import Chromium, find_binary, running

IMAGES = Path(__file__).parents[2] / "docs" / "images"


@dataclass(frozen=True)
class Picture:
    """What is shown, how wide the window is, and down to where."""

    name: str
    make: Callable[[], dict[str, Any]]
    width: int = 1280
    height: int = 900
    scheme: str = "light"


PICTURES = (
    Picture("dashboard", statuses.ready),
    Picture("dashboard-snapshot", statuses.snapshot),
    Picture("dashboard-lagging", statuses.lagging),
    Picture("dashboard-target-away", statuses.target_away, scheme="dark"),
    Picture("dashboard-cut-over", statuses.cut_over),
    Picture("dashboard-rolled-back", statuses.rolled_back),
    Picture("dashboard-phone", statuses.ready, width=390, height=1200, scheme="dark"),
)


class Moving(CannedView):
    """A status whose counters go on at the rates that it tells, with the minutes before it."""

    def __init__(self, status: dict[str, Any], told: list[dict[str, Any]]) -> None:
        super().__init__({**status, "started_at": statuses.ago(1_502), "last_event": len(told)}, [], told)
        (self._source,) = status["sources"]
        begun = datetime.fromisoformat(status["timeline"][0]["entered_at"]).timestamp()
        self._now = time.time()
        shape = statuses.history(self._source["pending_changes"], self._source["oldest_unapplied_seconds"])
        self.points = [{**p, **self._counters(p["at"])} for p in shape if p["at"] > begun]

    def _counters(self, at: float) -> dict[str, float]:
        names = {"captured": "capture", "applied": "apply"}
        moved = {
            n: self._source[f"changes_{n}"] + self._source[f"{r}_rate"] * (at - self._now)
            for n, r in names.items()
        }
        return {**moved, "copied": self._source["rows_copied"] + self._source["copy_rate"] * (at - self._now)}

    def status(self) -> dict[str, Any]:
        """Return the status as of now."""
        now = self._counters(time.time())
        counted = {"changes_captured": now["captured"], "changes_applied": now["applied"]}
        return {**self.current, "sources": [{**self._source, **counted, "rows_copied": now["copied"]}]}


async def take(browser: Chromium, picture: Picture) -> bytes:
    """Return the page as PNG."""
    status = picture.make()
    told = statuses.events() if status["state"] != "snapshot" else statuses.events()[:2]
    view = Moving(status, told)
    async with serve(build_app(view), "127.0.0.1", 0) as (host, port), browser.tab() as tab:
        await tab.look(
            width=picture.width,
            height=picture.height,
            prefers_color_scheme=picture.scheme,
            prefers_reduced_motion="reduce",
        )
        await tab.command("Emulation.setScrollbarsHidden", hidden=True)
        await tab.go(f"http://{host}:{port}/")
        await tab.wait_for(f"document.getElementById('events').children.length === {len(told)}")
        # the minutes before, not only what came since the page was opened
        await tab.wait_for("document.querySelector('.chart .line')?.getBBox().width > 60")
        shot = await tab.command("Page.captureScreenshot", format="png")
        return base64.b64decode(shot["data"])


async def _take_all(binary: str, folder: Path, wanted: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="lf-") as profile, running(binary, Path(profile)) as browser:
        for picture in PICTURES:
            if not wanted or picture.name in wanted:
                (folder / f"{picture.name}.png").write_bytes(await take(browser, picture))


def main() -> int:
    """Write all pictures, or those named on the command line; `--to FOLDER` puts them elsewhere."""
    binary = find_binary()
    if binary is None:
        sys.stderr.write("no chromium, chromium-browser or google-chrome on PATH\n")
        return 1
    arguments, folder = sys.argv[1:], IMAGES
    if "--to" in arguments:
        at = arguments.index("--to")
        folder = Path(arguments[at + 1])
        del arguments[at : at + 2]
    asyncio.run(_take_all(binary, folder, arguments))
    return 0


if __name__ == "__main__":
    sys.exit(main())
