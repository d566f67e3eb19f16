"""What is in the network: who announces itself, and, if the user agrees, who tells what it is when it is asked."""

from __future__ import annotations

from collections.abc import Sequence

import aiohttp

from opendtu_dcload.doctor.findings import Findings
from opendtu_dcload.doctor.search.avahi import announced
from opendtu_dcload.doctor.search.network import Found, Kind, own_network, sweep
from opendtu_dcload.errors import BusError, ConfigError
from opendtu_dcload.venus.bus.bus_address import resolve


class Search:
    """Remembers what was found.

    Args:
        session: opened and closed by the caller.
        findings: takes what is worth telling.
    """

    def __init__(self, session: aiohttp.ClientSession, findings: Findings) -> None:
        self._session = session
        self._findings = findings
        self._found: set[Found] = set()
        self._network = own_network()
        self._has_listened = False

    def of(self, kind: Kind) -> list[Found]:
        """Return what was found of a kind."""
        return sorted(found for found in self._found if found.kind is kind)

    async def listen(self) -> None:
        """Hear who announces itself, once."""
        if self._has_listened:
            return
        self._has_listened = True
        self._findings.progress("listening for devices that announce themselves (mDNS)")
        try:
            self._found |= set(await announced(resolve("system")))
        except (BusError, ConfigError):
            self._findings.note("announcements of devices cannot be heard here, no avahi-daemon runs")
        else:
            counts = ", ".join(f"{len(self.of(kind))} {kind}" for kind in Kind)
            self._findings.ok(f"devices that announce themselves: {counts}")

    @property
    def offer(self) -> str:
        """What else can be done in the words of a question; empty when nothing can."""
        if self._network is None:
            return ""
        return f"ask each of the {len(self._network.places)} addresses of {self._network.name}, without a password"

    async def ask_everybody(self, kinds: Sequence[Kind]) -> None:
        """Do what `offer` says, once."""
        network, self._network = self._network, None
        if network is None:
            return
        phase, count = f"asking the addresses of {network.name}", len(network.places)
        self._found |= set(
            await sweep(
                network,
                kinds,
                self._session,
                lambda asked: self._findings.progress(phase, f"{asked} of {count}"),
            )
        )
        for kind in kinds:
            hosts = ", ".join(found.host for found in self.of(kind)) or "none"
            self._findings.ok(f"{kind} in {network.name}: {hosts}")
