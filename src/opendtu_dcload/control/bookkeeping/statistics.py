"""What is counted while the plant is regulated: commands and what came of them, and today's energies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from types import MappingProxyType

from opendtu_dcload.control.commands.command_policy import Command, Restart, SetLimit
from opendtu_dcload.control.inverter.limit_state import LimitState
from opendtu_dcload.model import MeterReading
from opendtu_dcload.tallies import CommandRecord, Outcome, Today

LONGEST_GAP_S = 10.0
"""What flowed while the meter was silent for longer is not known, so it is not counted: twice the
default of `control.meter_hold_s`."""
WH_PER_WS = 1 / 3600
"""An hour has 3600 s."""


class CommandLog:
    """Counts the commands to each inverter; a command fails once, at the DTU or on the radio."""

    def __init__(self) -> None:
        self.records: Mapping[str, CommandRecord] = MappingProxyType({})
        self._counted: dict[str, tuple[int, int, bool]] = {}
        """Of each inverter: limits acknowledged, limits without effect, whether the last one failed."""

    def posted(self, command: Command, now_s: float) -> None:
        """Note a command that is being sent."""
        if isinstance(command, Restart):
            self.restarted(command.serial, "restart", now_s)
            return
        words = f"limit {command.limit_w:.0f} W" if isinstance(command, SetLimit) else "on" if command.on else "off"
        before = self._of(command.serial)
        record = replace(
            before,
            sent=before.sent + 1,
            last=words,
            is_limit=isinstance(command, SetLimit),
            outcome=Outcome.WAITING,
            at_s=now_s,
        )
        self._keep(command.serial, record)

    def restarted(self, subject: str, words: str, now_s: float) -> None:
        """Note a last resort that is being sent: the restart of an inverter (its serial) or of a DTU (its name)."""
        before = self._of(subject)
        sent = replace(before, sent=before.sent + 1, last=words, outcome=Outcome.WAITING, at_s=now_s)
        self._keep(subject, replace(sent, restarts=before.restarts + 1, restarted_at_s=now_s))

    def ended(self, subject: str, outcome: Outcome) -> None:
        """Note how handing over the last command ended; `subject` is as in `posted` and `restarted`."""
        record = self._of(subject)
        failed = record.failed + (outcome is not Outcome.TAKEN)
        self._keep(subject, replace(record, outcome=outcome, failed=failed))

    def add_limit_state(self, serial: str, limits: LimitState) -> None:
        """Take what became of an inverter's limits: one that was not answered, or had no effect, has failed too."""
        now = limits.acknowledged_total, limits.ignored_total, limits.has_failed
        before = self._counted.get(serial, (0, 0, False))
        self._counted[serial] = now
        if now == before or serial not in self.records:
            return
        record = self.records[serial]
        failed = record.failed + (now[1] - before[1]) + (now[2] > before[2])
        outcome = record.outcome
        if outcome is Outcome.TAKEN and record.is_limit:
            outcome = Outcome.ACKNOWLEDGED if now[0] > before[0] else outcome
            outcome = Outcome.IGNORED if now[1] > before[1] else outcome
        self._keep(serial, replace(record, failed=failed, outcome=outcome))

    def _of(self, serial: str) -> CommandRecord:
        return self.records.get(serial, CommandRecord())

    def _keep(self, serial: str, record: CommandRecord) -> None:
        self.records = MappingProxyType({**self.records, serial: record})


class Ledger:
    """Adds up what flowed to and from the grid since midnight."""

    def __init__(self) -> None:
        self.today = Today()
        self._day: date | None = None
        self._at_s: float | None = None

    def add_reading(self, day: date, meter: MeterReading, room_w: float) -> None:
        """Take a meter reading; one that was seen already changes nothing.

        Args:
            day: today, local time.
            meter: the reading, import positive; it holds for the time since the one before.
            room_w: what the inverters could give beyond what they do, W.
        """
        if day != self._day:
            self._day, self.today = day, Today(day=day)
        since_s, self._at_s = self._at_s, meter.at_s
        if since_s is None or not 0 < meter.at_s - since_s <= LONGEST_GAP_S:
            return
        wh_per_w = (meter.at_s - since_s) * WH_PER_WS
        self.today = replace(
            self.today,
            exported_wh=self.today.exported_wh + max(-meter.power_w, 0.0) * wh_per_w,
            avoidable_wh=self.today.avoidable_wh + max(min(meter.power_w, room_w), 0.0) * wh_per_w,
            imported_wh=self.today.imported_wh + max(meter.power_w, 0.0) * wh_per_w,
        )
