"""A real headless Chromium, driven by its DevTools protocol: no other package is needed for that than aiohttp."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
import time
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
PATIENCE_S = 60.0
"""How long something may take on a slow machine."""
PHONE, DESKTOP = (390, 844), (1280, 900)
LANGUAGES = {"en": "en-GB,en", "de": "de-DE,de"}


PAGE_HAS_LEFT = "Inspected target navigated or closed"
"""What Chromium answers to a script whose page gives way to another before it has an answer."""


class ScriptError(Exception):
    """What a script in the page has thrown, or that the page has left under it."""


class Browser:
    """One tab, which can be another device and another reader at each visit."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.complaints: list[str] = []
        """What the console got as a warning or an error, and what nobody caught."""
        self.requests: list[str] = []
        """The addresses that were asked for."""

    async def read(self) -> None:
        """Take what the browser says, until it ends."""
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
                continue
            told = said["params"]
            match said["method"]:
                case "Network.requestWillBeSent":
                    self.requests.append(told["request"]["url"])
                case "Runtime.exceptionThrown":
                    self.complaints.append(json.dumps(told["exceptionDetails"]))
                case "Runtime.consoleAPICalled" if told["type"] in {"error", "warning", "assert"}:
                    self.complaints.append(json.dumps(told["args"]))
                case "Log.entryAdded" if told["entry"]["level"] in {"error", "warning"}:
                    self.complaints.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")

    async def command(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call something of the DevTools protocol."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": arguments})
        async with asyncio.timeout(PATIENCE_S):
            said = await answer
        if said.get("error", {}).get("message") == PAGE_HAS_LEFT:
            raise ScriptError(PAGE_HAS_LEFT)
        assert "error" not in said, (method, said)
        return dict(said["result"])

    async def visit(
        self, url: str, language: str = "en", theme: str = "light", size: tuple[int, int] = DESKTOP
    ) -> None:
        """Open a page anew, in a window of that size in CSS pixels."""
        await self.command("Page.navigate", url="about:blank")
        agent = await self.run("navigator.userAgent")
        await self.command(
            "Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=LANGUAGES.get(language, language)
        )
        features = {"prefers-color-scheme": theme, "prefers-reduced-motion": "reduce"}
        await self.command(
            "Emulation.setEmulatedMedia", features=[{"name": n, "value": value} for n, value in features.items()]
        )
        await self.resize(size)
        self.complaints.clear()
        self.requests.clear()
        await self.command("Page.navigate", url=url)

    async def resize(self, size: tuple[int, int]) -> None:
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self.command("Emulation.setDeviceMetricsOverride", **metrics)

    async def run(self, expression: str) -> Any:
        """Return what an expression is in the page, or what the promise brings that it is."""
        answer = await self.command(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise ScriptError(json.dumps(answer["exceptionDetails"]))
        return answer["result"].get("value")

    async def text(self, selector: str) -> str:
        """Return what a person sees of an element; empty when there is none or it is hidden."""
        return str(await self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")).strip()

    async def type(self, text: str) -> None:
        """Type into what has the focus."""
        await self.command("Input.insertText", text=text)

    async def press(self, key: str) -> None:
        """Press a key, such as Tab, Enter or Space."""
        code = {"Tab": 9, "Enter": 13, "Space": 32}[key]
        text = {"Enter": "\r", "Space": " "}.get(key)
        told = {"key": " " if key == "Space" else key, "code": key, "windowsVirtualKeyCode": code}
        await self.command("Input.dispatchKeyEvent", type="keyDown", **told, **({"text": text} if text else {}))
        await self.command("Input.dispatchKeyEvent", type="keyUp", **told)

    async def until(self, expression: str) -> Any:
        """Return the first value of an expression that is true to JavaScript."""
        return await self.until_so(lambda: self.run(f"(() => {{ const so = {expression}; return so || null }})()"))

    async def until_so(self, asked: Callable[[], Awaitable[Any]]) -> Any:
        """Return the first answer that is not empty."""
        end_s = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(ScriptError):
                if answer := await asked():
                    return answer
            if time.monotonic() > end_s:
                shown = await self.run("document.body?.innerText")
                raise AssertionError(f"does not come about; console: {self.complaints}; the page says:\n{shown}")
            await asyncio.sleep(0.05)

    async def until_live(self) -> None:
        await self.until("document.documentElement.dataset.values === 'live'")

    async def picture(self, path: Path) -> None:
        """Take a picture of the whole page at its present width."""
        height = await self.run("Math.ceil(document.documentElement.getBoundingClientRect().height)")
        width = await self.run("innerWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        taken = await self.command("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        await asyncio.to_thread(_write, path, base64.b64decode(taken["data"]))


@contextlib.asynccontextmanager
async def browsing(folder: Path) -> AsyncIterator[Browser]:
    """Start a browser with nothing in its profile."""
    argv = (str(CHROMIUM), *FLAGS, f"--user-data-dir={folder}", "about:blank")
    process = await asyncio.create_subprocess_exec(*argv, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    try:
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(await _address(session, folder), max_msg_size=0) as socket:
                tab = Browser(socket)
                reader = asyncio.create_task(tab.read())
                for domain in ("Page", "Runtime", "Log", "Network"):
                    await tab.command(f"{domain}.enable")
                yield tab
            await reader
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _address(session: aiohttp.ClientSession, folder: Path) -> str:
    """Wait until the browser has written its port, and return where its first tab is driven."""
    async with asyncio.timeout(PATIENCE_S):
        while (port := await asyncio.to_thread(_port, folder / "DevToolsActivePort")) is None:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.05)
        while True:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [tab for tab in await answer.json(content_type=None) if tab["type"] == "page"]
            if pages:
                return str(pages[0]["webSocketDebuggerUrl"])
            await asyncio.sleep(0.05)


def _port(told: Path) -> str | None:
    """Return the port that the browser has written; None while it has not."""
    lines = told.read_text().splitlines() if told.exists() else []
    return lines[0] if len(lines) > 1 else None


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
