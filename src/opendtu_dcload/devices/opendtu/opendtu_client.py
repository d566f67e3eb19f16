"""OpenDTU: what the inverters do, and the last door in front of what they are told.

Source of the protocol: OpenDTU's WebApi_*.cpp, v23.4 to v26.3, and recorded answers back to November 2022.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import aiohttp

from opendtu_dcload.devices import json_fields
from opendtu_dcload.devices.frames import Frames
from opendtu_dcload.devices.http import Clock, DeviceHttp, Login
from opendtu_dcload.devices.opendtu import opendtu_answers as answers
from opendtu_dcload.devices.opendtu.opendtu_answers import InverterSettings, KnownInverter, LivePart
from opendtu_dcload.errors import DeviceAnswerError, DeviceAuthError, DeviceRefusedError, DeviceTimeoutError
from opendtu_dcload.model import DtuStatus, InverterStatus, LimitStatus

__all__ = [
    "LIMIT_ABSOLUTE_W",
    "LIMIT_RELATIVE_PCT",
    "InverterSettings",
    "KnownInverter",
    "LiveData",
    "LivePart",
    "OpenDtu",
]

# The only two types that mean the same in all versions and do not write to the inverter's EEPROM. The persistent ones
# are 256 and 257 up to v25.8 and 2 and 3 from v25.9.11 on.
LIMIT_ABSOLUTE_W = 0
LIMIT_RELATIVE_PCT = 1

LARGEST_LIMIT = 2250.0
"""OpenDTU refuses more, in W and in %."""

_LIVE = "/api/livedata/status"
_PUSH = "/livedata"
PUSH_SILENT_S = 12.0
"""OpenDTU pushes each inverter every 10 s at least."""
_LIMITS = "/api/limit/status"
_INVERTERS = "/api/inverter/list"
_DTU = "/api/dtu/config"
_LOGIN = "/api/security/authenticate"

_TENTH_ERROR = 1e-6  # so that a minimum a hair above a tenth in binary is not the next one


@dataclass(frozen=True, slots=True)
class LiveData:
    """One round of readings."""

    inverters: dict[str, InverterStatus]
    """Those asked for and known to the DTU, by serial."""
    is_clock_set: bool
    """False: the DTU polls no inverter, the values mean nothing."""
    known: tuple[KnownInverter, ...]
    """All inverters that the DTU lists."""
    has_factory_password: bool
    """True: everybody in the network can command the inverters."""
    has_radio_problem: bool
    """True: a radio chip does not answer."""


class OpenDtu:
    """The DTU.

    Every method raises a `DeviceError` when the DTU does not do as asked; which one says why.

    Args:
        config: address, password, time limit.
        session: opened and closed by the caller.
        listed: serials that may be commanded, whatever else the DTU knows.
        clock: monotonic time in s.
    """

    def __init__(
        self,
        config: Login,
        session: aiohttp.ClientSession,
        listed: Collection[str],
        clock: Clock = time.monotonic,
    ) -> None:
        self._listed = frozenset(serial.lower() for serial in listed)
        self._clock = clock
        # Four back-offs for one device: a wrong password must not stop the reading, which needs none by default, and
        # the lack of memory that the large live document meets (429) must not hold back a command and its status;
        # and the websocket may want a login of its own.
        lock = asyncio.Lock()
        self._live = DeviceHttp("OpenDTU", "opendtu", config, session, clock, lock)
        self._reads = DeviceHttp("OpenDTU", "opendtu", config, session, clock, lock)
        self._admin = DeviceHttp("OpenDTU", "opendtu", config, session, clock, lock)
        self._push = DeviceHttp("OpenDTU", "opendtu", config, session, clock, lock)
        for door in (self._live, self._reads, self._admin, self._push):
            door.authenticate_with("basic")
        self.posted = asyncio.Event()
        """Set when a command to an inverter was sent, well or not, for whoever looks for its acknowledgement."""
        self.posted_at_s = -math.inf
        """When that was last, monotonic; -inf = never."""
        self.admitted_at_s = -math.inf
        """When the DTU last accepted the password, monotonic; -inf = never."""

    @property
    def is_posting(self) -> bool:
        """Whether a command is on its way: one that waits for its turn is not yet."""
        return self._admin.is_posting

    def insist(self) -> None:
        """Forget the pause that the DTU asked for: the last commands cannot wait."""
        self._admin.insist()

    async def check_password(self) -> None:
        """Show the password without effect; reading alone would not tell that it is wrong."""
        self._check_success(await self._admin.get(_LOGIN), _LOGIN)
        self.admitted_at_s = self._clock()

    async def system(self, *, is_clock_set: bool = True) -> DtuStatus:
        """Return firmware and uptime; whether the clock is set stands in the live data and is passed through."""
        document = await self._reads.get("/api/system/status")
        return DtuStatus(
            at_s=self._clock(),
            firmware=json_fields.text(document, "git_hash"),
            uptime_s=json_fields.number(document, "uptime", 0, 2**32),
            is_clock_set=is_clock_set,
        )

    async def live(self, serials: Sequence[str]) -> LiveData:
        """Return the values of the inverters in `serials` that the DTU knows and describes in a usable way.

        From v24.2.12 on each takes a request of its own, one after the other; before, one document has all.
        """
        document = await self._live.get(_LIVE)
        answered_at_s = self._clock()
        with self._understanding(_LIVE):
            entries = answers.inverters(document)
        inverters = {}
        spoilt: ValueError | None = None
        for serial in dict.fromkeys(serial.lower() for serial in serials):
            entry, entry_at_s = entries.get(serial), answered_at_s
            if entry is not None and not answers.is_complete(entry):
                entry, entry_at_s = await self._single(serial)
            if entry is not None:
                try:
                    inverters[serial] = answers.inverter(entry, serial, entry_at_s)
                except ValueError as err:
                    spoilt = err
        if spoilt is not None and not inverters:
            raise DeviceAnswerError(f"{self._live.name} answered {_LIVE} with something else: {spoilt}") from spoilt
        return LiveData(
            inverters,
            answers.is_clock_set(document),
            answers.known(entries),
            has_factory_password=answers.hint(document, "default_password"),
            has_radio_problem=answers.hint(document, "radio_problem"),
        )

    async def live_of(self, serial: str) -> LivePart:
        """Return the values of one inverter that may be commanded, up to v24.1.26 of all of them."""
        path = f"{_LIVE}?inv={serial}"
        document = await self._live.get(path)
        with self._understanding(path):
            return answers.part(document, self._listed, self._clock())

    async def pushed(self) -> AsyncGenerator[LivePart]:
        """Yield what the DTU tells of its inverters without being asked; to be closed by the caller.

        Only what may be commanded is told of. Frames without inverters, as OnBattery sends them too, count for nothing.

        Raises:
            DeviceError: it does not push, or no longer.
        """
        async with self._push.listen(_PUSH) as frames:
            while True:
                try:
                    async with asyncio.timeout(PUSH_SILENT_S):
                        part = await self._next_part(frames)
                except TimeoutError as err:
                    raise DeviceTimeoutError(f"{self._push.name} has pushed nothing for {PUSH_SILENT_S:g} s") from err
                yield part

    async def limits(self) -> dict[str, LimitStatus]:
        """Return what the DTU knows of the limits of all its inverters, by serial."""
        document = await self._reads.get(_LIMITS)
        with self._understanding(_LIMITS):
            return answers.limits(document, self._clock())

    async def settings(self) -> list[InverterSettings]:
        """Return how the DTU treats its inverters; it wants the password for that."""
        document = await self._admin.get(_INVERTERS)
        with self._understanding(_INVERTERS):
            return answers.settings(document)

    async def poll_interval_s(self) -> float:
        """Return the time between two readings by radio, of one inverter each; the DTU wants the password for that."""
        interval_s = json_fields.number(await self._admin.get(_DTU), "pollinterval", 1, 86400)
        if interval_s is None:
            raise DeviceAnswerError(f"{self._admin.name} answered {_DTU} without a usable pollinterval")
        return interval_s

    async def set_limit(self, serial: str, limit_w: float, *, minimum_w: float, rated_w: float | None) -> None:
        """Send a limit in W AC that ends with the inverter's next restart.

        It is brought between `minimum_w` and `rated_w` (None or 0 = not known: OpenDTU's own bound); when these
        contradict each other, the rated power wins. It is rounded down to 0.1 W, the radio's resolution; firmware
        before v24.8.1 cuts off to whole watts by itself. Success means queued, not applied: see `limits`.

        Raises:
            ValueError: the caller is wrong: a value that is not finite, or an inverter that is not listed.
            DeviceError: the DTU did not take it.
        """
        if not all(math.isfinite(value) for value in (limit_w, minimum_w, rated_w or 0.0)):
            raise ValueError(f"{serial}: limit {limit_w}, minimum {minimum_w} or rated {rated_w} W is not finite")
        highest_w = min(max(rated_w or LARGEST_LIMIT, 0.0), LARGEST_LIMIT)
        lowest_w = min(math.ceil(max(minimum_w, 0.0) * 10 - _TENTH_ERROR) / 10, highest_w)
        clamped_w = min(max(limit_w, lowest_w), highest_w)
        await self._post_limit(serial, LIMIT_ABSOLUTE_W, math.floor(clamped_w * 10) / 10)

    async def set_power(self, serial: str, on: bool) -> None:
        """Switch an inverter's output on or off; raises as `set_limit`."""
        await self._command("/api/power/config", {"serial": self._commandable(serial), "power": bool(on)})

    async def restart(self, serial: str) -> None:
        """Restart an inverter, which loses its limit by that; raises as `set_limit`."""
        await self._command("/api/power/config", {"serial": self._commandable(serial), "restart": True})

    async def reboot(self) -> None:
        """Restart the DTU about 1 s from now; the inverters go on as they are."""
        await self._post("/api/maintenance/reboot", {"reboot": True})

    def look_for_acknowledgement(self) -> None:
        """Do as if a command had just been sent: a dry run waits for what the DTU says of the limits then."""
        self.posted_at_s = self._clock()
        self.posted.set()

    async def _single(self, serial: str) -> tuple[object | None, float]:
        """Return one inverter's complete entry, None when the DTU no longer has it, and when it came."""
        path = f"{_LIVE}?inv={serial}"
        document = await self._live.get(path)
        answered_at_s = self._clock()
        with self._understanding(path):
            return answers.inverters(document).get(serial), answered_at_s

    async def _next_part(self, frames: Frames) -> LivePart:
        while True:
            document = await frames.document()
            with contextlib.suppress(ValueError):
                if answers.inverters(document):
                    return answers.part(document, self._listed, self._clock())

    async def _post_limit(self, serial: str, limit_type: int, value: float) -> None:
        if limit_type not in {LIMIT_ABSOLUTE_W, LIMIT_RELATIVE_PCT}:
            raise ValueError(f"limit type {limit_type} would write to the inverter's EEPROM")
        # A negative value is not refused: the firmware turns it into a huge unsigned one.
        if not 0 <= value <= LARGEST_LIMIT:
            raise ValueError(f"limit {value} is not from 0 to {LARGEST_LIMIT}")
        command = {"serial": self._commandable(serial), "limit_type": limit_type, "limit_value": value}
        await self._command("/api/limit/config", command)

    def _commandable(self, serial: str) -> str:
        serial = serial.lower()
        if serial not in self._listed:
            raise ValueError(f"inverter {serial} is not listed and must not be commanded")
        return serial

    async def _command(self, path: str, command: Mapping[str, object]) -> None:
        try:
            await self._post(path, command)
        finally:
            self.look_for_acknowledgement()

    async def _post(self, path: str, command: Mapping[str, object]) -> None:
        # All commands travel as a form with one field; a JSON body is not understood (code 1002).
        form = {"data": json.dumps(command, allow_nan=False, separators=(",", ":"))}
        try:
            answer = await self._admin.post(path, form)
        except DeviceAuthError:
            self.admitted_at_s = -math.inf
            raise
        self._check_success(answer, path)
        self.admitted_at_s = self._clock()

    def _check_success(self, answer: object, path: str) -> None:
        """Raise unless the DTU says success; HTTP status 200 alone does not mean that."""
        verdict = json_fields.child(answer, "type")
        if not isinstance(verdict, str):
            raise DeviceAnswerError(f"{self._admin.name} answered {path} without saying whether it succeeded")
        if verdict != "success":
            code = json_fields.whole(answer, "code", 0, 99999)
            words = json_fields.text(answer, "message") or "no reason given"
            raise DeviceRefusedError(f"{self._admin.name} refuses {path}: {words} (code {code})", code)

    @contextlib.contextmanager
    def _understanding(self, path: str) -> Iterator[None]:
        try:
            yield
        except ValueError as err:
            raise DeviceAnswerError(f"{self._reads.name} answered {path} with something else: {err}") from err
