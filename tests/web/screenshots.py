"""The pictures of the documentation: `make screenshots` writes them to docs/images.

Canned statuses in the same browser that the tests use, so that a picture differs only when the page does.
"""

from __future__ import annotations

import asyncio
import base64
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
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


async def take(browser: Chromium, picture: Picture) -> bytes:
    """Return the page as PNG."""
    status = {**picture.make(), "started_at": statuses.ago(1_502)}
    told = statuses.events() if status["state"] != "snapshot" else statuses.events()[:2]
    source = status["sources"][0]
    points = statuses.history(source["pending_changes"], source["oldest_unapplied_seconds"])
    view = CannedView({**status, "last_event": len(told)}, points, told)
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
        await tab.wait_for("document.querySelector('#chart-pending .line')")
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
