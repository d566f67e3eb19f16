"""The last resorts: an inverter that answers and does not obey is restarted, a DTU that reaches none is rebooted.

Both are rare, and rarer each time they did not help. A restart costs an inverter its limit, so the others first make
room for its rated power. OpenDTU repeats a restart until it is acknowledged: the inverter counts with its rated power
until it was gone, is back, and has acknowledged a limit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from opendtu_dcload.control.commands.command_policy import CAP_SLACK_W, Reboot, Restart
from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.model import DtuStatus

RESTART_AFTER_S = 600.0
"""By then ten repeated limits, a minute apart, have not helped."""
REBOOT_AFTER_S = 1800.0
"""An HMS that has left the channel is back within 15 min; people report days without contact that only a reboot of the
DTU ended (OpenDTU-OnBattery#1930, OpenDTU#1468). Inverters that the battery's BMS has cut off look the same."""
DAY_S = 86400.0
"""The longest pause between two attempts."""
ROOM_WITHIN_S = 180.0
"""If the others have not made room by then, the restart is put off as if it had not helped: an estimate, longer than
their commands need."""
GONE_WITHIN_S = 900.0
"""A restart that has not shown by then did not happen, or was too quick to be seen: the time in which an HMS that left
its channel comes back."""


@dataclass(frozen=True, slots=True)
class Inverter:
    """What a restart is decided from."""

    serial: str
    answers: bool
    """Its data are fresh and the DTU reaches it."""
    disobeys_since_s: float | None
    """Since when it has not confirmed or not followed what it was told; None = it does."""
    is_producing: bool
    has_limit: bool
    """It has acknowledged a limit since it was last started, and none is on its way."""


@dataclass(frozen=True, slots=True)
class Dtu:
    """What a reboot is decided from."""

    name: str
    answers: bool
    """It answers by HTTP, takes our password, and knows the time, without which it polls no inverter."""
    is_lost: bool
    """It polls each of its listed inverters and has fresh data of none."""


class _Attempts:
    """When the next attempt of one kind at one device is due."""

    def __init__(self, first_s: float) -> None:
        self.count = 0
        self._first_s = self._wait_s = first_s
        self._bad_since_s: float | None = None
        self._good_since_s: float | None = None
        self._last_s = -DAY_S

    def update(self, now_s: float, *, bad_since_s: float | None, is_good: bool) -> None:
        """Note the present state: bad since a time, good, or neither, when nothing is known."""
        self._bad_since_s = bad_since_s
        self._good_since_s = (now_s if self._good_since_s is None else self._good_since_s) if is_good else None
        if self._good_since_s is not None and now_s - self._good_since_s >= self._first_s:
            self._wait_s = self._first_s

    def is_due(self, now_s: float) -> bool:
        """Tell whether the state has been bad, and the last attempt past, for long enough."""
        return self._bad_since_s is not None and now_s - max(self._bad_since_s, self._last_s) >= self._wait_s

    def made(self, now_s: float) -> None:
        """Note an attempt."""
        self.count += 1
        self.put_off(now_s)

    def put_off(self, now_s: float) -> None:
        """Wait twice as long as the last time."""
        self._last_s, self._wait_s = now_s, min(2 * self._wait_s, DAY_S)


class LastResort:
    """Decides which inverter to restart and which DTU to reboot."""

    def __init__(self) -> None:
        self._restarts = defaultdict[str, _Attempts](partial(_Attempts, RESTART_AFTER_S))
        self._reboots = defaultdict[str, _Attempts](partial(_Attempts, REBOOT_AFTER_S))
        self._lost_since_s: dict[str, float] = {}
        self._preparing: tuple[str, float] | None = None
        """The inverter for which room is being made, and since when."""
        self._restarted_at_s: dict[str, float] = {}
        self._gone: set[str] = set()
        """Restarted and not back yet."""

    def due(
        self, now_s: float, trackers: Mapping[str, InverterTracker], told: Mapping[str, DtuStatus], cap_w: float
    ) -> tuple[list[Restart], list[Reboot]]:
        """Return what is due, from what is believed of the inverters, what their DTUs tell, and the cap in W."""
        inverters, dtus = [], defaultdict[str, list[InverterTracker]](list)
        for serial, tracker in trackers.items():
            has_limit = tracker.limit_w is not None and not tracker.is_pending
            since_s = None if tracker.is_switched_off else tracker.disobeys_since_s
            inverters.append(Inverter(serial, tracker.is_fresh, since_s, tracker.power.is_producing, has_limit))
            if tracker.status is not None:
                dtus[tracker.unit.dtu].append(tracker)
        highest_w = sum(tracker.highest_w for tracker in trackers.values())
        has_room = [
            serial
            for serial, tracker in trackers.items()
            if highest_w - tracker.highest_w <= max(cap_w - tracker.unit.rated_w, 0.0) + CAP_SLACK_W
            and cap_w >= tracker.unit.minimum_w
        ]
        states = [
            Dtu(
                name,
                answers=name in told
                and told[name].is_clock_set
                and not any(tracker.contact.trouble for tracker in listed),
                is_lost=all(t.status is not None and t.status.is_polled and not t.is_fresh for t in listed),
            )
            for name, listed in dtus.items()
        ]
        return self.restarts(now_s, inverters, has_room), self.reboots(now_s, states)

    @property
    def rated(self) -> frozenset[str]:
        """Those that count with their rated power: to be restarted next, or not back with an acknowledged limit yet."""
        return frozenset(self._restarted_at_s) | ({self._preparing[0]} if self._preparing else frozenset())

    def restarts(self, now_s: float, inverters: Iterable[Inverter], has_room: Collection[str]) -> list[Restart]:
        """Return the restart that may go out now, if any; `has_room` are those for whose rated power there is room."""
        for inverter in inverters:
            attempts = self._restarts[inverter.serial]
            is_good = inverter.answers and inverter.disobeys_since_s is None and inverter.serial not in self.rated
            bad_since_s = inverter.disobeys_since_s if inverter.answers else None
            attempts.update(now_s, bad_since_s=bad_since_s, is_good=is_good)
            if inverter.serial in self._restarted_at_s:
                self._see_restarted(now_s, inverter)
            elif self._preparing is None and not self._restarted_at_s and attempts.is_due(now_s):
                self._preparing = (inverter.serial, now_s)
        return self._prepared(now_s, has_room)

    def _prepared(self, now_s: float, has_room: Collection[str]) -> list[Restart]:
        if self._preparing is None:
            return []
        serial, since_s = self._preparing
        attempts = self._restarts[serial]
        if attempts.is_due(now_s) and serial in has_room:
            return [Restart(serial, attempts.count + 1)]
        if now_s - since_s >= ROOM_WITHIN_S:
            attempts.put_off(now_s)
        if not attempts.is_due(now_s):
            self._preparing = None
        return []

    def _see_restarted(self, now_s: float, inverter: Inverter) -> None:
        if not (inverter.answers and inverter.is_producing):
            self._gone.add(inverter.serial)
        was_gone = inverter.serial in self._gone or now_s - self._restarted_at_s[inverter.serial] >= GONE_WITHIN_S
        if was_gone and inverter.answers and inverter.has_limit:
            del self._restarted_at_s[inverter.serial]
            self._gone.discard(inverter.serial)

    def reboots(self, now_s: float, dtus: Iterable[Dtu]) -> list[Reboot]:
        """Return the reboots that are due."""
        due: list[Reboot] = []
        for dtu in dtus:
            is_bad = dtu.answers and dtu.is_lost
            if is_bad:
                self._lost_since_s.setdefault(dtu.name, now_s)
            else:
                self._lost_since_s.pop(dtu.name, None)
            attempts = self._reboots[dtu.name]
            is_good = dtu.answers and not dtu.is_lost
            attempts.update(now_s, bad_since_s=self._lost_since_s.get(dtu.name), is_good=is_good)
            if attempts.is_due(now_s):
                due.append(Reboot(dtu.name, attempts.count + 1))
        return due

    def restarted(self, now_s: float, serial: str) -> None:
        """Note that a restart is being sent."""
        self._restarts[serial].made(now_s)
        self._restarted_at_s[serial] = now_s
        self._preparing = None

    def declined(self, serial: str) -> None:
        """Note that the DTU declined a restart: it will not happen."""
        self._restarted_at_s.pop(serial, None)

    def rebooted(self, now_s: float, name: str) -> None:
        """Note that a reboot is being sent."""
        self._reboots[name].made(now_s)
