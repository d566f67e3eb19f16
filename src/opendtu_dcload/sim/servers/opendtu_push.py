"""OpenDTU's websocket around the simulated DTU: who is sent what, and when, as in the firmware (WebApi_ws_live.cpp)."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web

from opendtu_dcload.sim.plant.sim_dtu import SimDtu

EVERY_S = 1.0
"""How often the firmware looks for something to send."""
AT_LEAST_S = 10.0
"""An inverter of which there is nothing new is sent again after this time."""
MOST_CLIENTS = 8
SEND_S = 1.0
"""A client that takes nothing for so long has a queue that is full, and is closed."""
REALM = "live websocket"
NONCE = "5ccc069c403ebaf9f0171e9517f40e41"
CHALLENGE = f'Digest realm="{REALM}", qop="auth", nonce="{NONCE}", opaque="{NONCE[::-1]}"'
OTHERS = {"battery": {"enabled": False}, "power_meter": {"enabled": True, "Power": {"v": 412.5, "u": "W", "d": 1}}}
"""What OnBattery pushes beside the inverters."""

Frame = Callable[[str | None], dict[str, Any]]


@dataclass(slots=True)
class PushFaults:
    """What goes wrong with what is pushed; everything off by default."""

    is_missing: bool = False
    """This firmware has no websocket."""
    is_silent: bool = False
    """It is opened, and nothing comes."""
    closes: bool = False
    """It is closed, now and after each opening."""
    has_no_inverters: bool = False
    """All frames are of something else."""
    is_stuck: bool = False
    """Each inverter's last frame comes again and again, word for word."""


class LivePush:
    """All clients of one DTU; they share what was sent when, so a new one may wait for its first frame."""

    def __init__(self, dtu: SimDtu, clock: Callable[[], float], frame: Frame, late_s: Callable[[], float]) -> None:
        """Send nothing yet.

        Args:
            dtu: the simulated DTU.
            clock: the plant's time in s.
            frame: returns the live document of one inverter.
            late_s: returns how long the next frames are on their way.
        """
        self._dtu = dtu
        self._clock = clock
        self._frame = frame
        self._late_s = late_s
        self.faults = PushFaults()
        self.is_on_battery = False
        """Frames without inverters are pushed too, as by OpenDTU-OnBattery."""
        self.opened = self.frames = self.most_clients = 0
        self._clients: list[web.WebSocketResponse] = []
        self._pushed_at_s: dict[str, float] = {}
        self._last: dict[str, str] = {}
        self._booted_at_s = dtu.booted_at_s
        self._pushing: asyncio.Task[None] | None = None

    async def serve(self, client: web.WebSocketResponse) -> None:
        """Push to a client whose websocket is open until it has closed it; what it sends means nothing."""
        self.opened += 1
        if self.faults.closes:
            await client.close()
            return
        self._clients.append(client)
        self.most_clients = max(self.most_clients, len(self._clients))
        if self._pushing is None or self._pushing.done():
            self._note_boot()
            self._pushing = asyncio.create_task(self._push(), name=f"push of {self._dtu.name}")
        try:
            while (await client.receive()).type in (WSMsgType.TEXT, WSMsgType.BINARY):
                pass
        finally:
            self._drop(client)

    async def stop(self) -> None:
        """Close all."""
        for client in list(self._clients):
            self._drop(client)
            await client.close()
        if self._pushing is not None:
            self._pushing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pushing

    async def _push(self) -> None:
        while self._clients:
            await asyncio.sleep(EVERY_S)
            self._dtu.advance(self._clock())
            if self._note_boot() or not self._dtu.is_up:  # it says goodbye to nobody, and knows nobody afterwards
                self._clients.clear()
                return
            for surplus in list(self._clients) if self.faults.closes else self._clients[:-MOST_CLIENTS]:
                self._drop(surplus)
                await surplus.close()
            if texts := self._due():
                await asyncio.sleep(self._late_s())
                for client in list(self._clients):
                    await self._send(client, texts)

    def _note_boot(self) -> bool:
        """Forget what was sent before the DTU has started again; return whether it has."""
        if self._booted_at_s == self._dtu.booted_at_s:
            return False
        self._booted_at_s = self._dtu.booted_at_s
        self._pushed_at_s.clear()
        return True

    def _due(self) -> list[str]:
        """Return the frames that are to be sent now."""
        if self.faults.is_silent:
            return []
        now_s = self._clock()
        due = [serial for serial in self._dtu.serials if self._is_due(serial, now_s)]
        self._pushed_at_s |= dict.fromkeys(due, now_s)
        texts = []
        if not self.faults.has_no_inverters:
            for serial in [None] if due and self._dtu.generation == "old" else due:
                text = json.dumps(self._frame(serial))
                texts.append(self._last.setdefault(str(serial), text) if self.faults.is_stuck else text)
                self._last[str(serial)] = texts[-1]
        return [*texts, json.dumps(OTHERS)] if self.is_on_battery or self.faults.has_no_inverters else texts

    def _is_due(self, serial: str, now_s: float) -> bool:
        pushed_at_s = self._pushed_at_s.get(serial, -math.inf)
        statistics = self._dtu.believed[serial].statistics
        is_new = statistics is not None and statistics.at_s > pushed_at_s
        return is_new or now_s - pushed_at_s > AT_LEAST_S

    async def _send(self, client: web.WebSocketResponse, texts: list[str]) -> None:
        try:
            async with asyncio.timeout(SEND_S):
                for text in texts:
                    self.frames += 1
                    await client.send_str(text)
        except (TimeoutError, ConnectionError, RuntimeError):  # the last one: it is closing already
            self._drop(client)
            await client.close()

    def _drop(self, client: web.WebSocketResponse) -> None:
        if client in self._clients:
            self._clients.remove(client)


def has_digest(authorization: str, password: str, path: str) -> bool:
    """Tell whether a client has answered the `CHALLENGE`."""
    given = {key: quoted or bare for key, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', authorization)}
    if not authorization.lower().startswith("digest ") or given.get("nonce") != NONCE or given.get("uri") != path:
        return False

    def md5(words: str) -> str:
        return hashlib.md5(words.encode()).hexdigest()  # noqa: S324  it is OpenDTU that wants it

    secret, target = md5(f"admin:{REALM}:{password}"), md5(f"GET:{path}")
    proof = (secret, NONCE, given.get("nc", ""), given.get("cnonce", ""), "auth", target)
    return given.get("response") == md5(":".join(proof))
