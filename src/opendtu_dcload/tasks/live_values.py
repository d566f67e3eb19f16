"""What one DTU tells of our inverters' output, and when it will have something new to tell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from opendtu_dcload.freshness import content, contents
from opendtu_dcload.model import InverterStatus
from opendtu_dcload.state import State
from opendtu_dcload.tasks.availability import count

ON_AIR_S = 0.5
"""Within this time of its turn an inverter has answered its DTU: as long as the DTU listens for it."""
LATE_S = 2.0
"""A limit keeps the radio for so long, and the inverter whose turn it is waits."""
PUSHED_S = 4.0
"""Where the DTU pushes by itself, an inverter is asked for only when so much later nothing new has come."""
OLDER_S = 1.0
"""What was measured so much before what is known comes late; `data_age` in whole seconds varies by less."""


class LiveValues:
    """The latest values of each inverter.

    A DTU asks its inverters by radio one after the other, each once in a round. In between it tells the same again,
    so an inverter's values are due when it had its turn; where they stay out, after a moment, and then now and then.
    """

    def __init__(self, dtu: str, state: State, serials: Sequence[str], interval_s: float, now_s: float) -> None:
        """Begin with nothing known.

        Args:
            dtu: its name in the state.
            state: is told.
            serials: our inverters.
            interval_s: how often to ask for values that stay out.
            now_s: monotonic time.
        """
        self._dtu = dtu
        self._state = state
        self._interval_s = self.round_s = interval_s
        self._values: dict[str, InverterStatus] = {}
        self._pushed: dict[str, object] = {}
        """What was pushed last of each inverter."""
        self._due_s = dict.fromkeys(serials, now_s)

    round_s: float
    """In this time the DTU asks each of its inverters once."""

    @property
    def next_due_s(self) -> float:
        """When the next values are due."""
        return min(self._due_s.values(), default=math.inf)

    @property
    def is_empty(self) -> bool:
        """True while no inverter has values."""
        return not self._values

    def due(self, now_s: float) -> list[str]:
        """Return the inverters whose values are due."""
        return [serial for serial, due_s in self._due_s.items() if due_s <= now_s]

    def postpone(self, until_s: float) -> None:
        """Let nothing be due before."""
        self._due_s = {serial: max(due_s, until_s) for serial, due_s in self._due_s.items()}

    def add(self, told: Mapping[str, InverterStatus], now_s: float, *, asked: str) -> None:
        """Take the answer to the question for one inverter, which may tell of others too, or not even of that one."""
        self._values.pop(asked, None)
        self._due_s[asked] = now_s + self._interval_s
        self._keep(told)
        for serial, status in told.items():
            self._due_s[serial] = self._next_s(status, now_s)

    def add_pushed(self, told: Mapping[str, InverterStatus]) -> None:
        """Take what the DTU tells without being asked; it may be no news, or have been on its way for long.

        What comes again word for word may be as old as it was the first time: whoever wants to know has to ask.
        """
        news = {serial: status for serial, status in told.items() if self._is_news(serial, status)}
        self._pushed |= contents(told)
        self._keep(news)
        for serial, status in news.items():
            self._due_s[serial] = max(self._due_s[serial], status.at_s + self.round_s + ON_AIR_S + PUSHED_S)

    def _is_news(self, serial: str, status: InverterStatus) -> bool:
        known = self._values.get(serial)
        is_late = known is not None and status.at_s < known.at_s - OLDER_S
        return not is_late and self._pushed.get(serial) != content(status)

    def _keep(self, told: Mapping[str, InverterStatus]) -> None:
        for serial, status in told.items():
            known = self._state.inverters.get(serial)
            if status.reachable and known is not None and not known.reachable:
                count(self._state, serial, reconnects=1)
            self._values[serial] = _with_measurement(status, known)
        self._state.set_inverters(self._dtu, dict(self._values))

    def _next_s(self, status: InverterStatus, now_s: float) -> float:
        """Return when an inverter has something new to tell, later than now."""
        next_s = status.at_s + self.round_s + ON_AIR_S
        if now_s < next_s:
            return next_s
        if not status.reachable:  # it is asked all the same, once in each round
            return next_s + math.floor((now_s - next_s) / self.round_s + 1) * self.round_s
        return next_s + LATE_S if now_s < next_s + LATE_S else now_s + self._interval_s


def _with_measurement(told: InverterStatus, known: InverterStatus | None) -> InverterStatus:
    """Return what is told of an inverter; where it has no output nothing was measured, and what is known grows old."""
    if told.ac_power_w is not None or known is None or known.ac_power_w is None:
        return told
    return replace(
        known,
        name=told.name,
        answered_at_s=told.answered_at_s,
        reachable=told.reachable,
        is_polled=told.is_polled,
    )
