"""What a device tells without being asked: the text frames of a websocket."""

from __future__ import annotations

import asyncio

import aiohttp

from opendtu_dcload.devices import json_fields
from opendtu_dcload.errors import DeviceConnectionError

LONGEST_FRAME = 64 * 1024
"""Bytes. The largest honest frame, of OpenDTU's old firmware with ten inverters, has about 30 kB."""
BETWEEN_S = 0.02
"""A device that floods us is read no faster; an honest one has at most some frames a second."""


class Frames:
    """Reads one websocket; what is no JSON text is passed over."""

    def __init__(self, name: str, path: str, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Read `socket`, opened and closed by the caller; `name` and `path` are for messages."""
        self._what = f"{name} has closed {path}"
        self._socket = socket

    async def document(self) -> object:
        """Wait for the next JSON document and return it; never None.

        Raises:
            DeviceConnectionError: there will be none: the device has closed it, or sent what no websocket may.
        """
        while True:
            message = await self._socket.receive()
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED):
                raise DeviceConnectionError(self._what)
            if message.type is aiohttp.WSMsgType.ERROR:
                raise DeviceConnectionError(f"{self._what}, after a frame that is none")
            await asyncio.sleep(BETWEEN_S)
            if message.type is aiohttp.WSMsgType.TEXT:
                try:
                    return json_fields.document(message.data.encode())
                except ValueError:
                    continue
