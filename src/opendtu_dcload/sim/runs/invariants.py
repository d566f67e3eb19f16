"""The real controller with an eye on every command that goes out: what must never happen is noted, whatever it decides.

Used by the bench and by the tests: the rules are the invariants that the design promises.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from opendtu_dcload.control.commands.command_policy import Command, SetLimit, SetPower
from opendtu_dcload.control.controller import Controller
from opendtu_dcload.control.decision import Decision, Seen
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import Reason

SAME_VALUE_S = 60.0
HOLD_S = 5.0
SLACK_W = 0.11
"""A limit's resolution on the way to the inverter is 0.1 W."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One command with what it did to the highest output still possible."""

    at_s: float
    command: Command
    meter_age_s: float
    before_w: float
    after_w: float
    wanted_w: float | None
    """What the controller believed to rule before."""
    reason: Reason

    @property
    def limit_w(self) -> float:
        """The limit that was sent; 0 with a power command."""
        return self.command.limit_w if isinstance(self.command, SetLimit) else 0.0


@dataclass(slots=True)
class Watch:
    """What was found wrong, by kind."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def note(self, kind: str, text: str) -> None:
        """Add one case of a kind."""
        self.found.setdefault(kind, []).append(text)


class InvariantChecker(Controller):
    """The controller, and a note of each command that breaks a rule."""

    def __init__(self, settings: Settings, units: Sequence[InverterParameters], now_s: float) -> None:
        super().__init__(settings, units, now_s)
        self.sent: list[Sent] = []
        self.watch = Watch()
        self.decision: Decision | None = None
        self._age_s = math.inf
        self._value_at: dict[str, tuple[float, float]] = {}

    def decide(self, seen: Seen) -> Decision:
        """Decide once; a plan must be finite and have a reason."""
        decision = super().decide(seen)
        self._age_s = self.meter.state(seen.now_s, seen.meter).age_s
        self.decision = decision
        plan = decision.plan
        numbers = [plan.at_s, plan.setpoint_w, plan.cap_w, *(i.limit_w for i in plan.inverters)]
        if not all(math.isfinite(n) for n in numbers) or not isinstance(plan.reason, Reason):
            self.watch.note("plan", f"{plan}")
        return decision

    def posted(self, command: Command, now_s: float) -> None:
        """Note a command and look at it."""
        assert self.decision is not None
        tracker = self.trackers[command.serial]
        wanted_w = tracker.wanted_w
        before_w = self.possible_w()
        super().posted(command, now_s)
        sent = Sent(now_s, command, self._age_s, before_w, self.possible_w(), wanted_w, self.decision.plan.reason)
        self.sent.append(sent)
        self._look(sent, tracker.unit)

    def possible_w(self) -> float:
        """Return the sum of the highest outputs still possible, in W."""
        return sum(t.highest_w for t in self.trackers.values())

    def _look(self, sent: Sent, unit: InverterParameters) -> None:
        where = f"t={sent.at_s:.1f} {sent.command} ({sent.reason})"
        cap_w = self.settings.max_feed_in_w
        if sent.after_w > max(cap_w, sent.before_w) + SLACK_W:
            self.watch.note("cap", f"{where}: possible {sent.before_w:.0f} -> {sent.after_w:.0f} W, cap {cap_w:.0f} W")
        if not isinstance(sent.command, SetLimit):
            if isinstance(sent.command, SetPower) and sent.command.on and sent.meter_age_s > HOLD_S:
                self.watch.note("on without meter", f"{where}: meter {sent.meter_age_s:.0f} s old")
            return
        limit_w = sent.command.limit_w
        if not unit.minimum_w - 0.1 <= limit_w <= unit.maximum_w + 1e-6:
            self.watch.note("range", f"{where}: not in {unit.minimum_w:.1f} to {unit.maximum_w:.1f} W")
        if sent.meter_age_s > HOLD_S and sent.wanted_w is not None and limit_w > sent.wanted_w + SLACK_W:
            self.watch.note("raise", f"{where}: from {sent.wanted_w:.1f} W, meter {sent.meter_age_s:.0f} s old")
        before_s, before_w = self._value_at.get(unit.serial, (-math.inf, math.nan))
        rules = sent.wanted_w is not None and abs(sent.wanted_w - limit_w) <= 0.1 / 100 * unit.rated_w + 0.1
        if limit_w == before_w and rules and sent.at_s - before_s < SAME_VALUE_S:
            self.watch.note("repeat", f"{where}: the same was sent {sent.at_s - before_s:.1f} s before")
        self._value_at[unit.serial] = (sent.at_s, limit_w)
