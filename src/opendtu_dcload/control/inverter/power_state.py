"""Whether one inverter gives power, and whether it was us who switched it off."""

from __future__ import annotations

import math

from opendtu_dcload.control.inverter.output_rules import PRODUCING_W
from opendtu_dcload.control.inverter.parameters import InverterParameters

POWER_AGAIN_S = 60.0
"""A switch-off that had no effect is repeated no sooner: as often as a limit may be repeated."""
WAKE_AFTER_S = 180.0
"""An inverter that should be on and gives nothing for so long is switched on (grid-connection wait: 1 to 5 min)."""
WAKE_AGAIN_S = 600.0
"""A switch-on that did not wake it is repeated no sooner: twice the longest grid-connection wait."""
WAKE_SHARE = 0.1
"""To wake it, its limit is raised to this share of rated power, for it may have stopped because of a low one."""


class PowerState:
    """Told off or on, and giving power or not; the two need not agree."""

    def __init__(self, unit: InverterParameters) -> None:
        self.unit = unit
        self.is_producing = True
        """False: it is off, waiting for the grid or without DC power, so its limit means nothing."""
        self.is_commanded_off = False
        self.sent_at_s = -math.inf
        """When it was last switched by us."""
        self._before = (False, -math.inf)
        self._silent_since_s: float | None = None

    @property
    def is_off(self) -> bool:
        """Whether it was switched off by us and has obeyed."""
        return self.is_commanded_off and not self.is_producing

    @property
    def waking_w(self) -> float:
        """The limit that brings back an inverter which stops at its minimum (some do: OpenDTU-OnBattery#755)."""
        return min(max(2 * self.unit.minimum_w, WAKE_SHARE * self.unit.rated_w), self.unit.maximum_w)

    def is_idle(self, now_s: float) -> bool:
        """Tell whether it has long given nothing though nobody switched it off; only fresh data can show that."""
        silent_s = 0.0 if self._silent_since_s is None else now_s - self._silent_since_s
        return not self.is_commanded_off and silent_s >= WAKE_AFTER_S

    def may_repeat_off(self, now_s: float) -> bool:
        """Tell whether it still gives power so long after it was switched off that it may be told again."""
        return self.is_producing and now_s - self.sent_at_s >= POWER_AGAIN_S

    def may_wake(self, now_s: float) -> bool:
        """Tell whether it is asleep, and was not woken lately."""
        return self.is_idle(now_s) and now_s - self.sent_at_s >= WAKE_AGAIN_S

    # ---- what happens

    def switch(self, now_s: float, *, on: bool) -> None:
        """Remember a power command that is given to the DTU now."""
        self._before = (self.is_commanded_off, self.sent_at_s)
        self.is_commanded_off = not on
        self.sent_at_s = now_s

    def failed(self) -> None:
        """The last power command did not reach the DTU, as far as is known."""
        self.is_commanded_off, self.sent_at_s = self._before

    def restart(self) -> None:
        """It is being restarted, which ends a switch-off."""
        self.is_commanded_off = False

    def apply_output(self, output_w: float, at_s: float) -> bool:
        """Take a fresh measurement; return whether it began or ceased to give power."""
        is_producing = output_w >= PRODUCING_W
        has_changed = is_producing != self.is_producing and at_s > self.sent_at_s
        if has_changed:
            self.is_producing = is_producing
        self._silent_since_s = None if is_producing else (self._silent_since_s or at_s)
        return has_changed
