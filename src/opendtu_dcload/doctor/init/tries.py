"""Each answer is tried at once on the device that it is about."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from opendtu_dcload.config import Config, parse_config
from opendtu_dcload.devices.meter import make_meter
from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.doctor.checks.check_gx import check_gx
from opendtu_dcload.doctor.checks.check_meter import grid, versions
from opendtu_dcload.doctor.findings import Findings
from opendtu_dcload.doctor.init.candidates import Candidate, candidates
from opendtu_dcload.doctor.questions import Ask
from opendtu_dcload.doctor.wrong_device import OPENDTU, recognised
from opendtu_dcload.errors import ConfigError, DeviceAnswerError, DeviceAuthError, DeviceError

TRIES = 3
"""How often a password is asked for: a Shelly locks out whoever keeps trying."""
DEFAULT_POLL_S = 5.0
PASSWORDS = ("password", "password_file", "password_env")
Settings = dict[str, Any]
"""Those of one section."""


@dataclass(frozen=True, slots=True)
class Talk:
    """Who is asked, and who is told."""

    ask: Ask | None
    """None: there is nobody to ask."""
    ask_secret: Ask | None
    findings: Findings


class Tries:
    """Tries settings, and asks for what the device wants beside them.

    Args:
        folder: where the configuration is, for the files that it names.
        session: opened and closed by the caller.
        talk: asks and tells.
    """

    def __init__(self, folder: Path, session: aiohttp.ClientSession, talk: Talk) -> None:
        self._folder = folder
        self._session = session
        self._talk = talk

    def parsed(self, meter: Mapping[str, Any] | None = None, opendtu: Mapping[str, Any] | None = None) -> Config:
        """Return settings checked as any other; a section that is None is right.

        Raises:
            ConfigError: they are not.
        """
        sections = {"meter": meter or {"source": "gx"}, "opendtu": opendtu or {"host": "opendtu"}}
        return parse_config(sections, self._folder)

    async def meter(self, settings: Mapping[str, Any]) -> Settings:
        """Read the meter, and return its settings with channel and password.

        Raises:
            ConfigError: an answer cannot be used.
            DeviceError: the device does not answer, or is no meter.
        """
        settings = dict(settings)
        if "host" not in settings:
            await check_gx(self.parsed(settings), self._talk.findings)
            return settings
        self.parsed({"host": settings["host"]})
        tries_left = TRIES if self._talk.ask_secret is not None else 0
        while True:
            try:
                meter = make_meter(self.parsed(settings).meter, self._session, None, time.monotonic)
                info, reading = await meter.identify(), await meter.read()
            except ConfigError as err:
                # several channels: only the user knows which one is the grid's
                self._talk.findings.note(err.problems[0])
                settings.pop("channel", None)
                channel = self._talk.ask("Channel (empty = later): ") if self._talk.ask is not None else ""
                if not channel:
                    return settings | {"channel": ""}
                settings["channel"] = channel
            except DeviceAnswerError as err:
                raise await recognised(err, "meter", self.parsed(settings).meter, self._session) from err
            except DeviceAuthError as err:
                if not (password := self._shelly_password(settings, tries_left)):
                    self._talk.findings.problem(err.problem)
                    return settings
                settings["password"] = password
                tries_left -= 1
            else:
                self._talk.findings.ok(f"meter {info.model} ({versions(info)})")
                self._talk.findings.ok(f"{grid(reading)}: must be import while the house draws, else set meter.invert")
                return settings

    def _shelly_password(self, settings: Settings, tries_left: int) -> str:
        was_refused = any(key in settings for key in PASSWORDS)
        for key in PASSWORDS:
            settings.pop(key, None)
        if self._talk.ask_secret is None or not tries_left:
            return ""
        refused = "The Shelly refuses it. " if was_refused else ""
        return self._talk.ask_secret(f"{refused}Password of the Shelly at {settings['host']} (empty = later): ")

    async def opendtu(self, settings: Mapping[str, Any]) -> tuple[Settings, list[Candidate]]:
        """Ask OpenDTU; return its settings with password and poll interval, and the inverters that it knows.

        Raises:
            ConfigError: an answer cannot be used.
            DeviceError: it does not answer, or is no OpenDTU.
        """
        settings = dict(settings)
        self.parsed(None, settings)
        try:  # before anybody types a password for it
            await self._dtu({"host": settings["host"]}).system()
        except DeviceAuthError as err:  # an OpenDTU may ask everybody for a password; a locked Shelly tells its model
            if (other := await self._recognised(err, settings)) is not err:
                raise other from err
        except DeviceError as err:
            raise await self._recognised(err, settings) from err
        await self._settle_password(settings)
        dtu = self._dtu(settings)
        try:
            status = await dtu.system()
            known = (await dtu.live(())).known
            live = await dtu.live([inverter.serial for inverter in known])
            limits = await dtu.limits()
        except DeviceError as err:
            raise await self._recognised(err, settings) from err
        self._talk.findings.ok(
            f"OpenDTU at {settings['host']}, firmware {status.firmware or 'unknown'}, with {len(known)} inverters"
        )
        return settings, candidates(known, await self._types(dtu, settings), limits, live.inverters)

    def _dtu(self, settings: Mapping[str, Any]) -> OpenDtu:
        return OpenDtu(self.parsed(None, settings).dtus[0], self._session, ())

    async def _recognised(self, err: DeviceError, settings: Settings) -> DeviceError:
        return await recognised(err, OPENDTU, self.parsed(None, settings).dtus[0], self._session)

    async def _settle_password(self, settings: Settings) -> None:
        """Ask for the password until one is accepted; a known one is tried first, a refused one not kept."""
        question = f"Admin password of the OpenDTU at {settings['host']} (empty = later): "
        text = question
        for _ in range(TRIES + any(key in settings for key in PASSWORDS)):
            if not any(key in settings for key in PASSWORDS):
                if self._talk.ask_secret is None or not (password := self._talk.ask_secret(text)):
                    return
                settings["password"] = password
            try:
                await self._dtu(settings).check_password()
            except DeviceAuthError:
                if self._talk.ask_secret is None:
                    return  # what asks for it next tells
                for key in PASSWORDS:
                    settings.pop(key, None)
                text = f"OpenDTU refuses it. {question}"
            except DeviceError:  # something else is wrong: the next request tells
                return
            else:
                return
        self._talk.findings.problem("OpenDTU refuses the password, so none is written", "fill in opendtu.password")

    async def _types(self, dtu: OpenDtu, settings: Settings) -> Mapping[str, str]:
        """Return the inverters' types by serial and settle the poll interval; only the password shows them."""
        if not any(key in settings for key in PASSWORDS):
            return {}
        try:
            await dtu.check_password()
            interval_s = await dtu.poll_interval_s()
            types = {inverter.serial: inverter.type for inverter in await dtu.settings()}
        except DeviceError as err:
            self._talk.findings.error(err)
            return {}
        interval_s = min(max(interval_s, 1), 60)
        if interval_s != settings.get("poll_interval_s", DEFAULT_POLL_S):
            settings["poll_interval_s"] = interval_s
        return types
