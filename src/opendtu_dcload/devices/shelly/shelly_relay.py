"""A Shelly's relay as a dead-man's switch: on with a timer, after which the device itself switches it off.

Generation 1: `/relay/N?turn=on&timer=S`; generation 2 and later: `Switch.Set` with `toggle_after`
(https://shelly-api-docs.shelly.cloud).
"""

from __future__ import annotations

import time

import aiohttp

from opendtu_dcload.devices import json_fields
from opendtu_dcload.devices.http import Clock, DeviceHttp, Login
from opendtu_dcload.devices.shelly.shelly_login import generation_of, log_in
from opendtu_dcload.errors import ConfigError, DeviceAnswerError, DeviceRefusedError
from opendtu_dcload.model import RelayStatus


class ShellyRelay:
    """One relay of a Shelly.

    Args:
        config: address, password, time limit.
        output: which relay of the device.
        session: opened and closed by the caller.
        clock: monotonic time in s.
    """

    def __init__(
        self, config: Login, output: int, session: aiohttp.ClientSession, clock: Clock = time.monotonic
    ) -> None:
        self._output = output
        self._clock = clock
        self._http = DeviceHttp("relay", "relay", config, session, clock)
        self._is_gen1: bool | None = None

    @property
    def name(self) -> str:
        """How messages call it."""
        return self._http.name

    async def verify(self) -> str:
        """Return the device's model when the relay stays off by itself after a power cut.

        Raises:
            ConfigError: it may come on by itself: its settings must be changed first.
            DeviceError: it cannot be asked, or has no such relay.
        """
        about = await self._http.get("/shelly", is_open=True)
        self._is_gen1 = generation_of(about) == 1
        model = json_fields.text(about, "type" if self._is_gen1 else "model")
        if not model:
            raise DeviceAnswerError(f"{self.name} does not answer /shelly as a Shelly does: correct relay.host")
        log_in(self._http, about)
        if self._is_gen1:
            settings = await self._http.get(f"/settings/relay/{self._output}")
            power_on, auto_on = (
                json_fields.text(settings, "default_state"),
                json_fields.number(settings, "auto_on", 0, 1e9),
            )
            is_safe, comes_on = power_on == "off", auto_on != 0
        else:
            settings = await self._http.get(f"/rpc/Switch.GetConfig?id={self._output}")
            power_on = json_fields.text(settings, "initial_state")
            is_safe, comes_on = power_on == "off", json_fields.flag(settings, "auto_on") is not False
        problems = (
            [] if is_safe else [f"{self.name}: after a power cut it is '{power_on}'; set its power-on state to off"]
        )
        if comes_on:
            problems.append(f"{self.name}: it may switch itself on; remove the timer 'auto on' in its settings")
        if problems:
            raise ConfigError(problems)
        return model

    async def read(self) -> RelayStatus:
        """Return its state; raises DeviceError."""
        if self._is_gen1 is None:
            await self.verify()
        path = f"/relay/{self._output}" if self._is_gen1 else f"/rpc/Switch.GetStatus?id={self._output}"
        return self._status(path, await self._http.get(path))

    async def arm(self, timer_s: int) -> RelayStatus:
        """Switch it on for `timer_s`, or for that long again, and return its state then.

        Raises:
            ConfigError: as `verify`.
            DeviceRefusedError: it is not on, or has no timer.
            DeviceError: nobody knows what it did.
        """
        return await self._switch(timer_s)

    async def open(self) -> RelayStatus:
        """Switch it off and return its state then; raises as `arm`."""
        return await self._switch(None)

    async def _switch(self, timer_s: int | None) -> RelayStatus:
        if self._is_gen1 is None:
            await self.verify()
        is_on = timer_s is not None
        if self._is_gen1:
            path = f"/relay/{self._output}?turn=" + (f"on&timer={timer_s}" if is_on else "off")
            status = self._status(path, await self._http.get(path))
        else:
            order = f"on=true&toggle_after={timer_s}" if is_on else "on=false"
            await self._http.get(f"/rpc/Switch.Set?id={self._output}&{order}")
            status = await self.read()
        if status.is_on != is_on or (is_on and not status.has_timer):
            wanted = f"on for {timer_s} s" if is_on else "off"
            shown = ("on" if status.has_timer else "on without a timer") if status.is_on else "off"
            raise DeviceRefusedError(f"{self.name} was told to be {wanted} and is {shown}: look at its settings", None)
        return status

    def _status(self, path: str, answer: object) -> RelayStatus:
        is_on = json_fields.flag(answer, "ison" if self._is_gen1 else "output")
        if is_on is None:
            raise DeviceAnswerError(f"{self.name} answered {path} without the state of a relay: correct relay.output")
        if self._is_gen1:
            has_timer = json_fields.flag(answer, "has_timer") is True
        else:
            has_timer = (json_fields.number(answer, "timer_duration", 0, 1e9) or 0.0) > 0
        return RelayStatus(self._clock(), is_on, has_timer)
