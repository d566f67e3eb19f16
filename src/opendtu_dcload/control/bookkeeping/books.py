"""What is wrong and what was counted, kept and shown after each decision."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime

from opendtu_dcload.control.bookkeeping.alarms import Alarms
from opendtu_dcload.control.bookkeeping.statistics import CommandLog, Ledger
from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.model import Alarm, Cause
from opendtu_dcload.state import State
from opendtu_dcload.tallies import Today, sent_in

log = logging.getLogger(__name__)


def local_date() -> date:
    """Return today, by this machine's clock and time zone."""
    return datetime.now(UTC).astimezone().date()


class Books:
    """Alarms, commands and today's energies of the real plant; a dry run has no commands."""

    def __init__(
        self,
        state: State,
        alarms: Alarms,
        commands: CommandLog,
        trackers: Mapping[str, InverterTracker],
        today: Callable[[], date] = local_date,
        *,
        is_dry: bool = False,
    ) -> None:
        """Show nothing yet; `today` tells the local date, by which energies are counted."""
        self._state = state
        self._alarms = alarms
        self._commands = commands
        self._trackers = trackers
        self._today = today
        self._is_dry = is_dry
        self._ledger = Ledger()
        self._sent_before: int | None = None
        """Commands before the day began; None = it began before the program."""

    def update(self, now_s: float) -> None:
        """Take what the state and the trackers tell now, and show in the state what follows."""
        state = self._state
        alarms = self._alarms.update(state, now_s)
        if self._is_dry:
            alarms = tuple(alarm for alarm in alarms if alarm.cause is not Cause.COMMAND_WITHOUT_EFFECT)
        if alarms != state.alarms:
            _log_alarms(state.alarms, alarms)
            state.set_alarms(alarms)
        for serial, tracker in self._trackers.items():
            self._commands.add_limit_state(serial, tracker.limits)
        if not self._is_dry and self._commands.records != state.commands:
            state.set_commands(self._commands.records)
        if state.meter is not None:
            room_w = self._room_w()
            self._ledger.add_reading(self._today(), state.meter, room_w)
            if self._ledger.today != state.today:
                self._log_day(state.today)
                state.set_today(self._ledger.today, room_w)

    def _log_day(self, day: Today) -> None:
        """Sum up a day that is over."""
        if self._ledger.today.day == day.day:
            return
        sent = sent_in(self._state.commands)
        if day.day is not None:
            log.info(
                "%s in sum: %.0f Wh exported, %.0f Wh imported, %.0f Wh of these although the inverters had room; "
                "%d commands%s",
                day.day,
                day.exported_wh,
                day.imported_wh,
                day.avoidable_wh,
                sent - (self._sent_before or 0),
                ", since the start" if self._sent_before is None else "",
            )
            self._sent_before = sent

    def _room_w(self) -> float:
        """Return what the inverters could give beyond what they do, W: 0 for those that cannot be set."""
        if self._state.plan is None:
            return 0.0
        fresh = {serial for serial, tracker in self._trackers.items() if tracker.is_fresh}
        outputs_w = {s: i.ac_power_w or 0.0 for s, i in self._state.inverters.items() if s in fresh}
        usable = [t for t in self._trackers.values() if t.is_usable]
        room_w = sum(max(t.ceiling_w - outputs_w.get(t.unit.serial, 0.0), 0.0) for t in usable)
        return min(room_w, max(self._state.plan.cap_w - sum(outputs_w.values()), 0.0))


def _log_alarms(before: Sequence[Alarm], now: Sequence[Alarm]) -> None:
    for alarm in now:
        if alarm not in before:
            log.warning("%s: %s", alarm.severity.name.lower(), alarm.text)
    for alarm in before:
        if alarm not in now:
            log.info("%s over: %s", alarm.severity.name.lower(), alarm.text)
