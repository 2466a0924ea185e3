"""A headless Chromium, driven over its DevTools protocol: what a page shows, says and asks for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome")
START_SECONDS = 90
WAIT_MILLISECONDS = 15_000
FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)

WAIT = """
new Promise((resolve, reject) => {
  const holds = () => Boolean(%s);
  if (holds()) return resolve(true);
  const watch = new MutationObserver(() => holds() && (watch.disconnect(), resolve(true)));
  watch.observe(document, {subtree: true, childList: true, characterData: true, attributes: true});
  setTimeout(() => reject(new Error("not within the time: " + document.body.innerText)), %d);
})
"""


def find_binary() -> str | None:
    """Return the first browser found on the path."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Tab:
    """One page: evaluates JavaScript, and keeps what went wrong and what was asked of the network."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self.errors: list[str] = []
        self.requests: list[str] = []

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Run one DevTools command and return its result."""
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while (message := await self._receive()).get("id") != self._number:
            pass
        assert "error" not in message, message["error"]
        result: dict[str, Any] = message["result"]
        return result

    async def go(self, url: str) -> None:
        """Open the address, and return when the page and its scripts are loaded."""
        await self.command("Page.navigate", url=url)
        await self.loaded()

    async def loaded(self) -> None:
        """Return when the page that is being opened has loaded."""
        while (await self._receive()).get("method") != "Page.loadEventFired":
            pass

    async def evaluate(self, expression: str) -> Any:
        """Return the value of the expression, or of the promise it is."""
        answer = await self.command(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def wait_for(self, condition: str) -> None:
        """Return as soon as the JavaScript condition holds; fails with the page's text when it never does."""
        await self.evaluate(WAIT % (condition, WAIT_MILLISECONDS))

    async def text(self, selector: str = "body") -> str:
        """Return what can be seen of the element, each run of white space as one blank."""
        seen = await self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")
        return " ".join(str(seen).split())

    async def press(self, key: str) -> None:
        """Press and release one key."""
        special: dict[str, dict[str, Any]] = {
            "Enter": {"windowsVirtualKeyCode": 13, "text": "\r"},
            "Tab": {"windowsVirtualKeyCode": 9},
        }
        await self.command(
            "Input.dispatchKeyEvent", type="keyDown", key=key, code=key, **special.get(key, {})
        )
        await self.command("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)

    async def look(self, *, width: int = 1280, height: int = 900, **media: str) -> None:
        """Set the size of the window and media features, such as prefers_color_scheme='dark'."""
        await self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
        await self.command("Emulation.setEmulatedMedia", features=features)

    async def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = await self._socket.receive_json()
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.errors.append(str(message["params"]["exceptionDetails"]))
            case "Log.entryAdded" if message["params"]["entry"]["level"] == "error":
                self.errors.append(message["params"]["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
        return message


class Chromium:
    """A running browser."""

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}"

    @asynccontextmanager
    async def tab(self) -> AsyncIterator[Tab]:
        """Yield a new empty page, closed at the end."""
        async with aiohttp.ClientSession() as session:
            async with session.put(f"{self._address}/json/new?about:blank") as answer:
                target = await answer.json(content_type=None)
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                tab = Tab(socket)
                for domain in ("Page", "Runtime", "Log", "Network"):
                    await tab.command(f"{domain}.enable")
                yield tab
            async with session.get(f"{self._address}/json/close/{target['id']}"):
                pass


@contextmanager
def running(binary: str, profile: Path) -> Iterator[Chromium]:
    """Yield a browser with an empty profile in that folder, and end it afterwards."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    command = [binary, *FLAGS, *sandbox, f"--user-data-dir={profile}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield Chromium(_port(process, profile / "DevToolsActivePort"))
        finally:
            process.terminate()


def _port(process: subprocess.Popen[bytes], file: Path) -> int:
    # the browser tells its port in this file only, so there is nothing to wait on but the file
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if file.exists() and (words := file.read_text().split()):
            return int(words[0])
        assert process.poll() is None, f"the browser ended at once with status {process.returncode}"
        time.sleep(0.05)
    raise AssertionError(f"the browser did not open its port within {START_SECONDS} s")
