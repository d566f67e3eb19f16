"""`init`: a first config.toml from what the devices at two addresses answer, and from what only the user knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from opendtu_dcload.config import Config, parse_config
from opendtu_dcload.devices.http import open_session
from opendtu_dcload.devices.opendtu import OpenDtu
from opendtu_dcload.devices.shelly import ShellyMeter
from opendtu_dcload.doctor.bus import check_bus
from opendtu_dcload.doctor.draft import Block, Draft, can_be_written, exists, shipped_text
from opendtu_dcload.doctor.findings import Findings
from opendtu_dcload.doctor.gx import check_gx
from opendtu_dcload.errors import ConfigError, DeviceAuthError, DeviceError
from opendtu_dcload.model import InverterStatus, LimitStatus

Ask = Callable[[str], str]
"""Puts a question to the user and returns the answer, stripped; empty when there is none."""

FLOOR_V = (8.0, 500.0)
"""What battery.min_voltage_v may be."""
DEFAULT_POLL_S = 5.0
GX = "gx"
"""Given instead of the Shelly's address."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line says; None = ask for it."""

    meter: str | None = None
    """Address of the Shelly, or `GX`."""
    opendtu: str | None = None
    password_file: Path | None = None


class FirstConfig:
    """Asks devices and user.

    Args:
        path: the file to write.
        given: from the command line.
        ask: None when there is nobody to ask.
        ask_secret: the same for passwords.
        findings: takes what was found.
    """

    def __init__(self, path: Path, given: Given, ask: Ask | None, ask_secret: Ask | None, findings: Findings) -> None:
        self._path = path
        self._ask = ask
        self._ask_secret = ask_secret
        self._findings = findings
        self._draft = Draft(shipped_text())
        self._meter: dict[str, Any] = {"host": given.meter}
        """`{"source": "gx"}` when the GX's own meter is to be read."""
        self._dtu: dict[str, Any] = {"host": given.opendtu}
        self._password_file = given.password_file

    async def write(self) -> None:
        """Ask, then write the file.

        Raises:
            ConfigError: the file exists, or an answer cannot be used.
            DeviceError: a device does not answer; nothing is written.
        """
        if not can_be_written(self._path):
            raise ConfigError([exists(self._path)])
        self._ask_addresses()
        self._parsed()
        async with open_session() as session:
            if "host" in self._meter:
                await self._find_meter(session)
            await self._find_dtu(session)
        await self._find_bus()
        for section, settings in (("meter", self._meter), ("opendtu", self._dtu)):
            for key, value in settings.items():
                self._draft.set(section, key, value)
        if "host" not in self._meter:
            self._draft.drop("meter", "host")
        if "password_file" in self._dtu:
            self._draft.drop("opendtu", "password")
        self._draft.write(self._path, has_secret="password" in self._meter or "password" in self._dtu)

    def _ask_addresses(self) -> None:
        asked = (
            (self._meter, "the Shelly", "--meter", f" ({GX} = the GX's own grid meter)"),
            (self._dtu, "OpenDTU", "--opendtu", ""),
        )
        for settings, what, option, other in asked:
            if settings["host"] is None:
                if self._ask is None:
                    raise ConfigError([f"the address of {what} is missing; add {option} HOST"])
                settings["host"] = self._ask(f"Address of {what}{other}: ")
        if self._meter["host"] == GX:
            self._meter = {"source": "gx"}
        if self._password_file is not None:
            name = self._password_file.absolute()
            folder = self._path.absolute().parent
            self._dtu["password_file"] = name.name if name.parent == folder else str(name)
        elif self._ask_secret is not None and (password := self._ask_secret("OpenDTU's admin password: ")):
            self._dtu["password"] = password

    def _parsed(self) -> Config:
        """Return what is known so far as a configuration, checked as any other."""
        return parse_config({"meter": self._meter, "opendtu": self._dtu}, self._path.absolute().parent)

    async def _find_meter(self, session: aiohttp.ClientSession) -> None:
        while True:
            meter = ShellyMeter(self._parsed().meter, session)
            try:
                info = await meter.identify()
                reading = await meter.read()
            except ConfigError as err:
                # several channels: only the user knows which one is the grid's
                self._findings.note(err.problems[0])
                channel = self._ask("Channel: ") if self._ask is not None else ""
                if not channel:
                    self._draft.set("meter", "channel", "")
                    return
                self._meter["channel"] = channel
            except DeviceAuthError as err:
                password = "" if self._ask_secret is None else self._ask_secret("The Shelly's password: ")
                if not password:
                    self._findings.error(err)
                    return
                self._meter["password"] = password
            else:
                self._findings.ok(f"meter {info.model} (generation {info.generation}, firmware {info.firmware})")
                self._findings.ok(
                    f"grid {reading.power_w:.0f} W: must be positive while the house draws, else set meter.invert"
                )
                return

    async def _find_dtu(self, session: aiohttp.ClientSession) -> None:
        dtu = OpenDtu(self._parsed().dtus[0], session, ())
        status = await dtu.system()
        known = (await dtu.live(())).known
        live = await dtu.live([inverter.serial for inverter in known])
        limits = await dtu.limits()
        self._findings.ok(f"OpenDTU firmware {status.firmware or 'unknown'} with {len(known)} inverters")
        types = await self._ask_admin(dtu)
        blocks = [
            Block(i.serial, _describe(i.name, types.get(i.serial), limits.get(i.serial), live.inverters.get(i.serial)))
            for i in known
        ]
        for block in blocks:
            self._findings.ok(f"inverter {block.serial} {block.note}")
        self._choose(blocks)
        self._set_floor([i.dc_voltage_v for i in live.inverters.values() if i.dc_voltage_v])

    async def _ask_admin(self, dtu: OpenDtu) -> Mapping[str, str]:
        """Set what only the password shows; return the inverters' types by serial."""
        if not {"password", "password_file"} & self._dtu.keys():
            return {}
        try:
            await dtu.check_password()
            interval_s = min(max(await dtu.poll_interval_s(), 1), 60)
            if interval_s != DEFAULT_POLL_S:
                self._dtu["poll_interval_s"] = interval_s
            return {inverter.serial: inverter.type for inverter in await dtu.settings()}
        except DeviceError as err:
            self._findings.error(err)
            return {}

    def _choose(self, blocks: list[Block]) -> None:
        if self._ask is None:
            self._findings.note(
                "every inverter that OpenDTU knows is listed",
                f"remove those from {self._path} that are not on the battery",
            )
            self._draft.set_inverters(blocks)
            return
        on_battery = [
            block
            for block in blocks
            if self._ask(f"Is {block.serial} {block.note} on the battery? [y/N] ") in {"y", "Y"}
        ]
        others = [replace(block, is_active=False) for block in blocks if block not in on_battery]
        self._draft.set_inverters(on_battery + others)

    def _set_floor(self, voltages_v: list[float]) -> None:
        measured = f"{min(voltages_v):.1f} V" if voltages_v else "not known"
        self._draft.remark("battery", "min_voltage_v", f"The battery's voltage when this file was made: {measured}.")
        question = f"Battery voltage below which nothing may be drawn (now {measured}; empty = later): "
        while self._ask is not None and (text := self._ask(question)):
            try:
                floor_v = float(text)
            except ValueError:
                continue
            if FLOOR_V[0] <= floor_v <= FLOOR_V[1]:
                self._draft.set("battery", "min_voltage_v", floor_v)
                return

    async def _find_bus(self) -> None:
        if "host" not in self._meter:
            await check_gx(self._parsed(), self._findings)
            return
        seen = Findings(lambda _finding: None)
        await check_bus(self._parsed(), None, seen)
        if seen.has_problems:
            self._findings.note("no D-Bus of a Venus OS that this user may use, so dbus.enabled is set to false")
            self._draft.set("dbus", "enabled", False)


def _describe(name: str, kind: str | None, limit: LimitStatus | None, status: InverterStatus | None) -> str:
    rated = f"{limit.rated_w:.0f} W" if limit and limit.rated_w else ""
    voltage = f"{status.dc_voltage_v:.1f} V" if status and status.dc_voltage_v else ""
    return ", ".join(part for part in (name, kind, rated, voltage) if part)
