"""The grid meter: any Shelly that measures power, from generation 1 on, read over its local HTTP interface."""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass, replace
from typing import Protocol

import aiohttp

from opendtu_dcload.devices import json_fields
from opendtu_dcload.devices.http import Clock, DeviceHttp, HttpStatusError, Login
from opendtu_dcload.devices.shelly.shelly_answers import ComponentMissingError, Energies, Sample, total
from opendtu_dcload.devices.shelly.shelly_channels import (
    ChannelChoice,
    MeterChannel,
    count_load_meters,
    gen1_source,
    gen2_source,
)
from opendtu_dcload.devices.shelly.shelly_login import generation_of, log_in
from opendtu_dcload.errors import DeviceAnswerError, DeviceError
from opendtu_dcload.model import MeterInfo, MeterReading, PhaseReading

ENERGY_INTERVAL_S = 60.0
"""The device itself saves these counters once a minute."""
COUNTER_RESET_S = 300.0
"""A counter that stays lower for this long was reset; one that dips (0 after a reboot) was not."""
_BAD_ID = -105
"""Shelly's code for an id that no component has."""


class MeterSettings(Login, Protocol):
    """What the configuration says about the meter."""

    @property
    def channel(self) -> str | None:
        """`sum`, `0` to `3`, `a` to `c`; None = the device has only one way to tell."""

    @property
    def phase(self) -> int:
        """1 to 3: the phase that a single channel is shown as."""

    @property
    def invert(self) -> bool:
        """Whether the clamp sits the wrong way round."""


@dataclass(slots=True)
class _Counter:
    """An energy counter that does not follow short dips."""

    value_wh: float | None = None
    lower_since_s: float | None = None

    def take(self, value_wh: float | None, at_s: float) -> float | None:
        """Return what to believe now; None = never seen."""
        if value_wh is None:
            return self.value_wh
        if self.value_wh is not None and value_wh < self.value_wh:
            if self.lower_since_s is None:
                self.lower_since_s = at_s
            if at_s - self.lower_since_s < COUNTER_RESET_S:
                return self.value_wh
        self.value_wh = value_wh
        self.lower_since_s = None
        return value_wh


class ShellyMeter:
    """The grid meter.

    Args:
        config: address, password, channel, phase, sign, time limit.
        session: opened and closed by the caller.
        clock: monotonic time in s.
        section: section of the configuration that holds its settings, for messages.
    """

    vendor = "Shelly"
    has_refresh = True

    def __init__(
        self,
        config: MeterSettings,
        session: aiohttp.ClientSession,
        clock: Clock = time.monotonic,
        *,
        section: str = "meter",
    ) -> None:
        self._config = config
        self._clock = clock
        self._section = section
        self._http = DeviceHttp(self.vendor, section, config, session, clock)
        self._source: MeterChannel | None = None
        self._is_settled = False
        self._mac: str | None = None
        self._counters: dict[tuple[int, str], _Counter] = {}
        self._energies: Energies | None = None
        self._energies_due_s: float | None = None

    async def identify(self) -> MeterInfo:
        """Ask the device what it is, and settle how to read it.

        Raises:
            ConfigError: `meter.channel` is missing or is none of this device's.
            DeviceAuthError: it wants a password and there is none, or it is wrong.
            DeviceError: it cannot be asked, or it is no meter.
        """
        about = await self._http.get("/shelly", is_open=True)
        info = self._info(about)
        if self._mac not in {None, info.serial}:
            raise DeviceAnswerError(
                f"{self._http.name} is another Shelly than before: correct {self._section}.host, then restart"
            )
        self._mac = info.serial
        log_in(self._http, about)
        source = await self._find_source(about, info.model)
        if source is None:
            raise DeviceAnswerError(f"{self._http.name} ({info.model}) is no power meter: correct {self._section}.host")
        if self._section == "meter" and not source.shows_export:
            raise DeviceAnswerError(
                f"{self._http.name} ({info.model}) counts no returned energy and shows export as import, so it cannot "
                f"measure the grid: set meter.host to an energy meter; below [solar] it may stay"
            )
        self._use(source)
        return info

    async def read(self) -> MeterReading:
        """Return one sample; the first call, and the one after the device has lost its component, identify it first.

        Raises:
            ConfigError: as `identify`.
            DeviceError: there is no sample. The last one is never given again, nor a sum of some phases only.
        """
        if not self._is_settled:
            await self.identify()
        source = self._source
        assert source is not None
        try:
            answer = await self._http.get(source.path)
            at_s = self._clock()
            sample = source.read(answer)
        except HttpStatusError as err:
            if err.status == 404 or err.code == _BAD_ID:
                self._is_settled = False  # another profile has other components
            raise
        except ValueError as err:
            if isinstance(err, ComponentMissingError):
                self._is_settled = False
            raise DeviceAnswerError(f"{self._http.name} answered {source.path} without a usable power: {err}") from err
        await self._refresh_energies(source, at_s)
        return self._reading(sample, at_s)

    def _info(self, about: object) -> MeterInfo:
        generation = generation_of(about)
        model = json_fields.text(about, "type" if generation == 1 else "model")
        mac = json_fields.text(about, "mac").replace(":", "").lower()
        if not model or not re.fullmatch(r"[0-9a-f]{12}", mac):
            raise DeviceAnswerError(
                f"{self._http.name} does not answer /shelly as a Shelly does: correct {self._section}.host"
            )
        firmware = json_fields.text(about, "fw" if generation == 1 else "ver")
        return MeterInfo(
            vendor=self.vendor,
            model=model,
            serial=mac,
            hardware=f"generation {generation}",
            firmware=firmware,
            name=json_fields.text(about, "name"),
        )

    async def _find_source(self, about: object, model: str) -> MeterChannel | None:
        device, generation = f"the {self._http.name} ({model})", generation_of(about)
        wish = ChannelChoice(self._config.channel, self._section)
        if generation > 1:
            return gen2_source(device, generation, await self._http.get("/rpc/Shelly.GetStatus"), wish)
        if emeters := json_fields.whole(about, "num_emeters", 1, 3):
            return gen1_source(device, emeters, 0, wish)
        status = await self._http.get("/status")  # what stands in /shelly depends on model and firmware
        return gen1_source(device, len(json_fields.items(status, "emeters")), count_load_meters(status), wish)

    def _use(self, source: MeterChannel) -> None:
        if self._source is None or source.path != self._source.path:
            self._counters.clear()
            self._energies = None
            self._energies_due_s = None
        self._source = source
        self._is_settled = True

    async def _refresh_energies(self, source: MeterChannel, at_s: float) -> None:
        """Ask for the counters when they are due. What goes wrong here must not cost the power reading."""
        if source.energy_path is None or source.read_energies is None:
            return
        if self._energies_due_s is not None and at_s < self._energies_due_s:
            return
        self._energies_due_s = at_s + ENERGY_INTERVAL_S
        with contextlib.suppress(DeviceError):
            self._energies = source.read_energies(await self._http.get(source.energy_path))

    def _reading(self, sample: Sample, at_s: float) -> MeterReading:
        phases = [self._phase(index, phase, at_s) for index, phase in enumerate(sample.phases)]
        places: list[PhaseReading | None] = [None, None, None]
        if len(phases) == 3:
            places[:] = phases
        else:
            places[self._config.phase - 1] = phases[0]
        first, second, third = places
        return MeterReading(
            at_s=at_s,
            power_w=self._signed(sample.power_w),
            phases=(first, second, third),
            energy_import_wh=total([phase.energy_import_wh for phase in phases]),
            energy_export_wh=total([phase.energy_export_wh for phase in phases]),
            frequency_hz=sample.frequency_hz,
        )

    def _phase(self, index: int, phase: PhaseReading, at_s: float) -> PhaseReading:
        import_wh, export_wh = phase.energy_import_wh, phase.energy_export_wh
        if self._energies is not None:
            import_wh, export_wh = self._energies[index]
        import_wh = self._counters.setdefault((index, "import"), _Counter()).take(import_wh, at_s)
        export_wh = self._counters.setdefault((index, "export"), _Counter()).take(export_wh, at_s)
        if self._config.invert:
            import_wh, export_wh = export_wh, import_wh
        return replace(
            phase, power_w=self._signed(phase.power_w), energy_import_wh=import_wh, energy_export_wh=export_wh
        )

    def _signed(self, power_w: float) -> float:
        return 0.0 - power_w if self._config.invert else power_w  # 0.0 - 0.0 is 0.0, but -(0.0) is -0.0
