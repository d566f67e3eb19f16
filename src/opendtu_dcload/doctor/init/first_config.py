"""`init`: a first config.toml from what the devices at two addresses answer, and from what only the user knows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from opendtu_dcload.config import Config, parse_config
from opendtu_dcload.devices.http import open_session
from opendtu_dcload.devices.meter import make_meter
from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.doctor.checks.check_bus import check_bus
from opendtu_dcload.doctor.checks.check_gx import check_gx
from opendtu_dcload.doctor.checks.check_inverter import FLOOR_V, suits
from opendtu_dcload.doctor.checks.check_meter import versions
from opendtu_dcload.doctor.findings import Findings
from opendtu_dcload.doctor.init.draft import Block, Draft, can_be_written, exists, shipped_text
from opendtu_dcload.doctor.questions import Ask, is_yes, quoted, voltage_v
from opendtu_dcload.doctor.wrong_device import OPENDTU, recognised
from opendtu_dcload.errors import ConfigError, DeviceAnswerError, DeviceAuthError, DeviceError
from opendtu_dcload.model import InverterStatus, LimitStatus

TRIES = 3
"""How often a password is asked for: a Shelly locks out whoever keeps trying."""
DEFAULT_POLL_S = 5.0
DTU_QUESTION = "OpenDTU's admin password (empty = later): "
SHELLY_QUESTION = "The Shelly's password (empty = later): "
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
    """Asks the devices and the user.

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

    async def write(self) -> str:
        """Ask, then write the file; return in words who may read it, empty when everybody may.

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
        return self._draft.write(self._path, has_secret="password" in self._meter or "password" in self._dtu)

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

    def _parsed(self) -> Config:
        """Return what is known so far as a configuration, checked as any other."""
        return parse_config({"meter": self._meter, "opendtu": self._dtu}, self._path.absolute().parent)

    async def _find_meter(self, session: aiohttp.ClientSession) -> None:
        tries_left = TRIES if self._ask_secret is not None else 0
        while True:
            try:
                meter = make_meter(self._parsed().meter, session, None, time.monotonic)
                info = await meter.identify()
                reading = await meter.read()
            except ConfigError as err:
                # several channels: only the user knows which one is the grid's
                self._findings.note(err.problems[0])
                self._meter.pop("channel", None)
                channel = self._ask("Channel (empty = later): ") if self._ask is not None else ""
                if not channel:
                    self._draft.set("meter", "channel", "")
                    return
                self._meter["channel"] = channel
            except DeviceAnswerError as err:
                raise await recognised(err, "meter", self._parsed().meter, session) from err
            except DeviceAuthError as err:
                refused = "The Shelly refuses it. " if self._meter.pop("password", None) else ""
                password = self._ask_secret(refused + SHELLY_QUESTION) if self._ask_secret and tries_left else ""
                if not password:
                    self._findings.problem(str(err).partition(";")[0])
                    return
                self._meter["password"] = password
                tries_left -= 1
            else:
                self._findings.ok(f"meter {info.model} ({versions(info)})")
                self._findings.ok(
                    f"grid {reading.power_w:.0f} W: must be positive while the house draws, else set meter.invert"
                )
                return

    async def _find_dtu(self, session: aiohttp.ClientSession) -> None:
        await self._ask_password(session)
        dtu = OpenDtu(self._parsed().dtus[0], session, ())
        try:
            status = await dtu.system()
        except DeviceError as err:
            raise await recognised(err, OPENDTU, self._parsed().dtus[0], session) from err
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
        voltages_v = {s: i.dc_voltage_v for s, i in live.inverters.items() if i.reachable and i.dc_voltage_v}
        if self._ask is None:
            self._findings.note(
                "every inverter that OpenDTU knows is listed",
                f"remove those from {self._path} that are not on the battery",
            )
            self._fill_in(blocks, voltages_v, None)
        else:
            self._choose(blocks, voltages_v, self._ask)

    async def _ask_password(self, session: aiohttp.ClientSession) -> None:
        """Ask for OpenDTU's password until it is accepted; one that is refused is not kept."""
        if self._ask_secret is None or self._password_file is not None:
            return
        question = DTU_QUESTION
        for _ in range(TRIES):
            if not (password := self._ask_secret(question)):
                return
            self._dtu["password"] = password
            try:
                await OpenDtu(self._parsed().dtus[0], session, ()).check_password()
            except DeviceAuthError as err:
                if (other := await recognised(err, OPENDTU, self._parsed().dtus[0], session)) is not err:
                    raise other from err
                del self._dtu["password"]
                question = f"OpenDTU refuses it. {DTU_QUESTION}"
            except DeviceError:  # something else is wrong: the next request tells
                return
            else:
                return
        self._findings.problem("OpenDTU refuses the password, so none is written", "fill in opendtu.password")

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

    def _choose(self, blocks: list[Block], voltages_v: Mapping[str, float], ask: Ask) -> None:
        """Ask which inverters are on the battery and how far down it may go, until the user agrees to the whole."""
        while True:
            chosen = [
                replace(block, is_active=is_yes(ask, f"Is {block.serial} {block.note} on the battery?"))
                for block in blocks
            ]
            floor_v = self._ask_floor(ask, _lowest_v(chosen, voltages_v))
            for block in chosen:
                told = "on the battery" if block.is_active else "not on the battery, so neither set nor guarded"
                self._findings.note(f"inverter {block.serial} {block.note}: {told}")
            below = "the voltage that you fill in later" if floor_v is None else f"{floor_v:g} V"
            self._findings.note(f"below {below} nothing is drawn from the battery")
            if is_yes(ask, "Write it so?", otherwise=True):
                self._fill_in(chosen, voltages_v, floor_v)
                return

    def _ask_floor(self, ask: Ask, now_v: float | None) -> float | None:
        """Return the battery's lowest voltage in V; None = the user fills it in later."""
        lowest_v, highest_v = FLOOR_V
        question = f"Battery voltage below which nothing may be drawn ({_now(now_v)}; empty = later): "
        text = question
        while answer := ask(text):
            floor_v = voltage_v(answer)
            if floor_v is None:
                text = f"{quoted(answer)} is no voltage, write it as 48.5. {question}"
            elif now_v is not None and not suits(floor_v, now_v):
                text = f"{floor_v:g} V does not suit a battery that has {now_v:.1f} V. {question}"
            elif not lowest_v <= floor_v <= highest_v:
                text = f"{floor_v:g} V is not from {lowest_v:g} to {highest_v:g} V, what inverters endure. {question}"
            elif now_v is not None and floor_v > now_v:
                text = question
                if is_yes(ask, f"It has {now_v:.1f} V, so nothing is drawn until it is charged. Take {floor_v:g} V?"):
                    return floor_v
            else:
                return floor_v
        return None

    def _fill_in(self, blocks: list[Block], voltages_v: Mapping[str, float], floor_v: float | None) -> None:
        self._draft.set_inverters(sorted(blocks, key=lambda block: not block.is_active))
        now = _now(_lowest_v(blocks, voltages_v)).removeprefix("now ")
        self._draft.remark("battery", "min_voltage_v", f"The battery's voltage when this file was made: {now}.")
        if floor_v is not None:
            self._draft.set("battery", "min_voltage_v", floor_v)

    async def _find_bus(self) -> None:
        if "host" not in self._meter:
            await check_gx(self._parsed(), self._findings)
            return
        seen = Findings(lambda _finding: None)
        await check_bus(self._parsed(), None, seen)
        if seen.has_problems:
            self._findings.note("no D-Bus of a Venus OS that this user may use, so dbus.enabled is set to false")
            self._draft.set("dbus", "enabled", False)


def _lowest_v(blocks: list[Block], voltages_v: Mapping[str, float]) -> float | None:
    """Return the lowest voltage in V of the inverters on the battery; None = not known."""
    return min((voltages_v[b.serial] for b in blocks if b.is_active and b.serial in voltages_v), default=None)


def _now(now_v: float | None) -> str:
    return "now not known" if now_v is None else f"now {now_v:.1f} V"


def _describe(name: str, kind: str | None, limit: LimitStatus | None, status: InverterStatus | None) -> str:
    rated = f"{limit.rated_w:.0f} W" if limit and limit.rated_w else ""
    voltage = f"{status.dc_voltage_v:.1f} V" if status and status.dc_voltage_v else ""
    return ", ".join(part for part in (name, kind, rated, voltage) if part)
