"""Which meter, which OpenDTU: chosen from what was found, or an address; asked until a device answers to it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from opendtu_dcload.doctor.init.candidates import Candidate
from opendtu_dcload.doctor.init.tries import Settings, Talk, Tries
from opendtu_dcload.doctor.questions import Ask, is_yes, quoted
from opendtu_dcload.doctor.search.device_search import Search
from opendtu_dcload.doctor.search.meter_options import MeterOption, gx_option, meter_options
from opendtu_dcload.doctor.search.network import Found, Kind
from opendtu_dcload.errors import ConfigError, DeviceError

GX = "gx"
"""Typed instead of the Shelly's address."""
SEVERAL = "several OpenDTUs answer; one is set up here, the others are added by hand"


def settings_for(answer: str, old: Mapping[str, Any]) -> Settings:
    """Return the settings for an address, bare or as a browser shows it: those that are known of it, or it alone."""
    answer = answer.strip("\"'")
    if answer.lower() == GX:
        return {"source": GX}
    host = re.sub(r"^http://|/$", "", answer, flags=re.IGNORECASE)
    return (dict(old) if old.get("host") in {None, host} else {}) | {"host": host}


class MeterQuestion:
    """Asks for the grid meter.

    Args:
        search: finds Shellies.
        session: opened and closed by the caller.
        tries: tries an answer.
        talk: asks and tells.
        ask: puts the question.
    """

    def __init__(self, search: Search, session: aiohttp.ClientSession, tries: Tries, talk: Talk, ask: Ask) -> None:
        self._search = search
        self._session = session
        self._tries = tries
        self._talk = talk
        self._ask = ask
        self._options: list[MeterOption] = []

    async def settle(self, old: Mapping[str, Any]) -> Settings:
        """Ask until the answer is a meter that can be read; `old` is the default. Return its settings."""
        await self._search.listen()
        await self._look()
        while True:
            answer = self._ask(self._question(old))
            if not answer and (default := self._default(old)) is not None:
                answer = default
            if not answer:
                if not self._search.offer or self._options:
                    continue
                await self._search.ask_everybody((Kind.SHELLY, Kind.OPENDTU))
                await self._look()
                if len(self._options) != 1:
                    continue
                answer = "1"
                self._talk.findings.note("that is the only one, so it is taken; a no at the end asks again")
            settings = self._meant(answer, old)
            if settings is None:
                self._talk.findings.note(f"{quoted(answer)} is none of them")
                continue
            try:
                return await self._tried(settings)
            except (ConfigError, DeviceError) as err:
                self._talk.findings.error(err)

    async def _tried(self, settings: Settings) -> Settings:
        before = len(self._talk.findings.found)
        settings = await self._tries.meter(settings)
        if "host" in settings or not self._talk.findings.has_problems_since(before):
            return settings
        if is_yes(self._ask, "The GX's grid meter cannot be read. Take it all the same?"):
            return settings
        raise DeviceError("the GX's grid meter is not taken: name a Shelly")

    async def _look(self) -> None:
        shellies = self._search.of(Kind.SHELLY)
        if shellies:
            self._talk.findings.progress("reading the Shellies", f"{len(shellies)} found")
        self._options, others = await meter_options(shellies, self._session)
        if (gx := await gx_option()) is not None:
            self._options.append(gx)
        for reason in sorted({other.reason for other in others}):
            names = ", ".join(other.name for other in others if other.reason == reason)
            self._talk.findings.note(f"left out: {names} {reason}")
        for number, option in enumerate(self._options, start=1):
            self._talk.findings.choice(number, option.text)

    def _question(self, old: Mapping[str, Any]) -> str:
        default = self._default(old)
        shown = "" if default is None else f" [{default}]"
        if self._options:
            return f"Which one measures the grid? Its number, or the address of another Shelly{shown}: "
        others = [f"{GX} = the GX's own grid meter"]
        if default is None and self._search.offer:
            others.append(f"Enter = {self._search.offer}")
        return f"Address of the Shelly ({'; '.join(others)}){shown}: "

    def _default(self, old: Mapping[str, Any]) -> str | None:
        """Return the answer that Enter gives: what it was, or the only one that there is."""
        if old:
            place = next((n for n, option in enumerate(self._options, 1) if _is_same(option, old)), None)
            return str(place) if place else str(old.get("host") or GX)
        return "1" if len(self._options) == 1 else None

    def _meant(self, answer: str, old: Mapping[str, Any]) -> Settings | None:
        if not answer.isdecimal():
            return settings_for(answer, old)
        if not 1 <= int(answer[:4]) <= len(self._options):
            return None
        option = self._options[int(answer) - 1]
        return dict(old) if _is_same(option, old) else dict(option.settings)


def _is_same(option: MeterOption, old: Mapping[str, Any]) -> bool:
    """Whether an option is what the old settings say; a Shelly with a password does not tell its channels."""
    keys = [key for key in ("host", "channel") if key in option.settings]
    if not keys:
        return old.get("source") == GX
    return all(str(option.settings[key]) == str(old.get(key)) for key in keys)


class DtuQuestion:
    """Asks for OpenDTU; arguments as for `MeterQuestion`."""

    def __init__(self, search: Search, tries: Tries, talk: Talk, ask: Ask) -> None:
        self._search = search
        self._tries = tries
        self._talk = talk
        self._ask = ask

    async def settle(self, old: Mapping[str, Any], *, is_known: bool) -> tuple[Settings, list[Candidate]]:
        """Ask until the answer is an OpenDTU that answers; return its settings, and its inverters.

        Args:
            old: the default.
            is_known: the default need not be confirmed.
        """
        answer = str(old["host"]) if is_known and "host" in old else None
        if "host" not in old:
            await self._search.listen()
            found = self._search.of(Kind.OPENDTU)
            answer = found[0].host if len(found) == 1 else None
        while True:
            if answer is None:
                answer = await self._asked(old)
            try:
                return await self._tries.opendtu(settings_for(answer, old))
            except (ConfigError, DeviceError) as err:
                self._talk.findings.error(err)
                answer = None

    async def _asked(self, old: Mapping[str, Any]) -> str:
        """Return an address."""
        while True:
            found = self._search.of(Kind.OPENDTU)
            if len(found) > 1:
                self._talk.findings.note(SEVERAL, "[[opendtu]] in docs/configuration.md")
                for number, opendtu in enumerate(found, start=1):
                    self._talk.findings.choice(number, f"OpenDTU at {opendtu.host}")
            default = str(old["host"]) if "host" in old else found[0].host if len(found) == 1 else ""
            answer = self._ask(self._question(found, default)) or default
            if answer.isdecimal() and len(found) > 1 and 1 <= int(answer[:4]) <= len(found):
                return found[int(answer) - 1].host
            if answer:
                return answer
            if self._search.offer:
                await self._search.ask_everybody((Kind.OPENDTU,))
                if len(found := self._search.of(Kind.OPENDTU)) == 1:
                    return found[0].host

    def _question(self, found: Sequence[Found], default: str) -> str:
        shown = f" [{default}]" if default else ""
        if len(found) > 1:
            return f"Which OpenDTU? Its number, or an address{shown}: "
        more = f" (Enter = {self._search.offer})" if self._search.offer and not default else ""
        return f"Address of OpenDTU{more}{shown}: "
