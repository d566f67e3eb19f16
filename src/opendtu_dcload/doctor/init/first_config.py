"""`init`: a config.toml from what the devices answer, and from what only the user knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from opendtu_dcload.config import parse_config
from opendtu_dcload.devices.http import open_session
from opendtu_dcload.doctor.checks.check_bus import check_bus
from opendtu_dcload.doctor.findings import Findings
from opendtu_dcload.doctor.init.battery_questions import ask_floor, ask_inverters, now
from opendtu_dcload.doctor.init.candidates import Candidate, lowest_v
from opendtu_dcload.doctor.init.device_questions import GX, DtuQuestion, MeterQuestion, settings_for
from opendtu_dcload.doctor.init.tries import PASSWORDS, Settings, Talk, Tries
from opendtu_dcload.doctor.questions import Ask, is_yes
from opendtu_dcload.doctor.search.device_search import Search
from opendtu_dcload.doctor.written.config_file import check_place, exists, replace_config, write_config
from opendtu_dcload.doctor.written.draft import Block, Draft
from opendtu_dcload.doctor.written.old_answers import OldAnswers
from opendtu_dcload.doctor.written.shipped import can_be_written, is_shipped, shipped_text
from opendtu_dcload.errors import ConfigError, ServiceError


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line says; None = ask for it."""

    meter: str | None = None
    """Address of the Shelly, or `gx`."""
    opendtu: str | None = None
    password_file: Path | None = None


@dataclass(slots=True)
class _Answers:
    meter: Settings = field(default_factory=dict)
    """Empty: not known yet."""
    opendtu: Settings = field(default_factory=dict)
    inverters: list[Candidate] = field(default_factory=list)
    """All that OpenDTU knows."""
    serials: Sequence[str] = ()
    """Those on the battery."""
    floor_v: float | None = None

    @property
    def chosen(self) -> list[Candidate]:
        return [inverter for inverter in self.inverters if inverter.serial in self.serials]


class FirstConfig:
    """Asks the network, the devices and the user.

    Args:
        path: the file to write.
        given: from the command line.
        ask: None when there is nobody to ask.
        ask_secret: the same for passwords.
        findings: takes what was found.
    """

    def __init__(self, path: Path, given: Given, ask: Ask | None, ask_secret: Ask | None, findings: Findings) -> None:
        self._path = path
        self._given = given
        self._talk = Talk(ask, ask_secret, findings)
        self._findings = findings
        self._answers = _Answers()
        self._old: OldAnswers | None = None
        self._has_bus = True

    async def write(self) -> str:
        """Ask, then write the file; return in words who may read it, empty when everybody may.

        Raises:
            ConfigError: the file cannot be written, or an answer cannot be used and nobody gives another.
            DeviceError: a device does not answer, and nobody names another; nothing is written.
            ServiceError: the user does not want it.
        """
        check_place(self._path)  # before anything is asked that would be lost
        self._look_at_old()
        if self._given.password_file is not None:
            self._answers.opendtu = {"password_file": self._beside(self._given.password_file)}
        async with open_session() as session:
            tries = Tries(self._folder, session, self._talk)
            if self._talk.ask is None:
                await self._take_given(tries)
            else:
                await self._ask_for_all(self._talk.ask, tries, session)
        if self._old is not None:
            return self._write_anew(self._old)
        await self._find_bus(tries)
        return write_config(self._path, self._first_text(), has_secret=self._has_secret)

    @property
    def _folder(self) -> Path:
        return self._path.absolute().parent

    @property
    def _has_secret(self) -> bool:
        return "password" in self._answers.meter or "password" in self._answers.opendtu

    def _beside(self, file: Path) -> str:
        """Return a file's name as it stands in the configuration."""
        name = file.absolute()
        return name.name if name.parent == self._folder else str(name)

    def _look_at_old(self) -> None:
        if can_be_written(self._path):
            return
        if self._talk.ask is None or is_shipped(self._path):
            raise ConfigError([exists(self._path)])
        self._old = OldAnswers(self._path)
        if not is_yes(
            self._talk.ask,
            f"{self._path} exists: its answers are offered again, its other settings stay, and a copy of it is kept. "
            f"Go on?",
            otherwise=True,
        ):
            raise ServiceError("nothing was changed")
        meter, opendtu = (self._usable(section, self._old.of(section)) for section in ("meter", "opendtu"))
        self._answers = _Answers(meter, opendtu, [], self._old.serials, self._old.floor_v)

    def _usable(self, section: str, settings: Settings) -> Settings:
        """Return old settings of a section; none, with a note, when something is wrong with them."""
        beside = {"meter": {"source": GX}, "opendtu": {"host": "opendtu"}}
        try:
            parse_config(beside | ({section: settings} if settings else {}), self._folder)
        except ConfigError as err:
            for problem in err.problems:
                self._findings.note(f"[{section}] of {self._path} is asked for anew: {problem}")
            return {}
        return settings

    async def _take_given(self, tries: Tries) -> None:
        """Use what the command line says."""
        for host, what, option in (
            (self._given.meter, "the Shelly", "--meter"),
            (self._given.opendtu, "OpenDTU", "--opendtu"),
        ):
            if host is None:
                raise ConfigError([f"the address of {what} is missing; add {option} HOST"])
        answers = self._answers
        answers.meter, answers.opendtu = self._from_command_line()
        tries.parsed(answers.meter, answers.opendtu)
        answers.meter = await tries.meter(answers.meter)
        answers.opendtu, answers.inverters = await tries.opendtu(answers.opendtu)
        for inverter in answers.inverters:
            self._findings.ok(f"inverter {inverter}")
        answers.serials = [inverter.serial for inverter in answers.inverters]
        if not answers.inverters:
            self._findings.problem(
                "OpenDTU knows no inverter, so none is listed",
                f"add it in OpenDTU, Settings, Inverter, then delete {self._path} and run this again",
            )
            return
        self._findings.note(
            "every inverter that OpenDTU knows is listed", f"remove those from {self._path} that are not on the battery"
        )

    def _from_command_line(self) -> tuple[Settings, Settings]:
        """Return the settings of meter and OpenDTU with what was given; what is known of another address is dropped."""
        meter, opendtu = self._answers.meter, self._answers.opendtu
        if self._given.meter is not None:
            meter = settings_for(self._given.meter, meter)
        if self._given.opendtu is not None:
            opendtu = settings_for(self._given.opendtu, opendtu)
        if self._given.password_file is not None:
            opendtu = {key: value for key, value in opendtu.items() if key not in PASSWORDS}
            opendtu["password_file"] = self._beside(self._given.password_file)
        return meter, opendtu

    async def _ask_for_all(self, ask: Ask, tries: Tries, session: aiohttp.ClientSession) -> None:
        """Ask until the user agrees to the whole; what was answered is the default of the next round."""
        answers, search = self._answers, Search(session, self._findings)
        answers.meter, answers.opendtu = self._from_command_line()
        is_first = True
        while True:
            if not (is_first and self._given.meter is not None and await self._try_given_meter(tries)):
                answers.meter = await MeterQuestion(search, session, tries, self._talk, ask).settle(answers.meter)
            answers.opendtu, answers.inverters = await DtuQuestion(search, tries, self._talk, ask).settle(
                answers.opendtu, is_known=is_first
            )
            on_battery = ask_inverters(ask, answers.inverters, answers.serials, self._findings)
            answers.serials = [inverter.serial for inverter in on_battery]
            if on_battery:
                answers.floor_v = ask_floor(ask, lowest_v(on_battery), answers.floor_v, self._findings)
            self._repeat()
            if is_yes(ask, "Write it so?", otherwise=True):
                return
            is_first = False

    async def _try_given_meter(self, tries: Tries) -> bool:
        try:
            self._answers.meter = await tries.meter(self._answers.meter)
        except (ConfigError, ServiceError) as err:
            self._findings.error(err)
            self._answers.meter = {}
            return False
        return True

    def _repeat(self) -> None:
        """Tell what will be written."""
        answers = self._answers
        channel = f", channel {answers.meter['channel']}" if answers.meter.get("channel") else ""
        self._findings.note(f"grid meter: {answers.meter.get('host', 'that of the GX')}{channel}")
        self._findings.note(f"OpenDTU: {answers.opendtu['host']}")
        for inverter in answers.inverters:
            is_on = inverter.serial in answers.serials
            told = "on the battery" if is_on else "not on the battery, so neither set nor guarded"
            self._findings.note(f"inverter {inverter.serial} {inverter.note}: {told}")
        below = "the voltage that you fill in later" if answers.floor_v is None else f"{answers.floor_v:g} V"
        self._findings.note(f"below {below} nothing is drawn from the battery")

    def _write_anew(self, old: OldAnswers) -> str:
        blocks = [Block(inverter.serial, inverter.note) for inverter in self._answers.chosen]
        settings = {"meter": self._answers.meter, "opendtu": self._answers.opendtu}
        text = old.changed(settings, blocks, self._answers.floor_v)
        readers, kept = replace_config(self._path, text, has_secret=self._has_secret)
        self._findings.note(f"the old file is {kept}")
        return readers

    def _first_text(self) -> str:
        """Return the shipped configuration, filled in."""
        answers, draft = self._answers, Draft(shipped_text())
        sections: tuple[tuple[str, Mapping[str, Any]], ...] = (("meter", answers.meter), ("opendtu", answers.opendtu))
        for section, settings in sections:
            for key, value in settings.items():
                draft.set(section, key, value)
        if "host" not in answers.meter:
            draft.drop("meter", "host")
        if "password_file" in answers.opendtu:
            draft.drop("opendtu", "password")
        blocks = [Block(i.serial, i.note, is_active=i.serial in answers.serials) for i in answers.inverters]
        draft.set_inverters(sorted(blocks, key=lambda block: not block.is_active))
        voltage = now(lowest_v(answers.chosen)).removeprefix("now ")
        draft.remark("battery", "min_voltage_v", f"The battery's voltage when this file was made: {voltage}.")
        if answers.floor_v is not None:
            draft.set("battery", "min_voltage_v", answers.floor_v)
        if not self._has_bus:
            draft.set("dbus", "enabled", False)
        return draft.text

    async def _find_bus(self, tries: Tries) -> None:
        if "host" not in self._answers.meter:
            return
        seen = Findings(lambda _finding: None)
        await check_bus(tries.parsed(), None, seen)
        if seen.has_problems:
            self._findings.note("no D-Bus of a Venus OS that this user may use, so dbus.enabled is set to false")
            self._has_bus = False
