"""One inverter as far as it can be known: its limits, whether it is on, whether it can be reached, what it gives."""

from __future__ import annotations

import math

from opendtu_dcload.control.inverter.derating import Derating
from opendtu_dcload.control.inverter.limit_state import LimitNews, LimitState
from opendtu_dcload.control.inverter.output_prediction import OutputPrediction
from opendtu_dcload.control.inverter.output_rules import PRODUCING_W
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.inverter.power_state import PowerState
from opendtu_dcload.control.inverter.reachability import Reachability
from opendtu_dcload.model import InverterStatus, LimitStatus

LONGEST_RADIO_S = 10.0
"""Five transmissions of one limit: then the DTU gives up for now, and so does the belief in it."""
HELD_AGAIN_S = 60.0
"""A limit that a held inverter may have missed is not repeated sooner: as often as a limit may be repeated."""


class InverterTracker:
    """Everything that the controller remembers of one inverter; its parts, and what follows from several of them."""

    def __init__(self, unit: InverterParameters, max_temperature_c: float = math.inf) -> None:
        """Begin with nothing known; from `max_temperature_c` on it is given less."""
        self.unit = unit
        self._derating = Derating(max_temperature_c)
        self.limits = LimitState(unit)
        self.power = PowerState(unit)
        self.contact = Reachability(self.limits)
        self.output = OutputPrediction(unit, self.limits, self.power)
        self.ceiling_w = unit.maximum_w
        """Highest limit that it may be given while it is as hot as it is, or held by something else."""
        self.is_switched_off = False
        """It is not to be used: the user does not want it, or it is in standby."""
        self.standby_count = 0
        """How often it was put into standby since the start, while it is; 0 = it is not."""
        self._was_repeated = False
        """The last limit sent was the one that ruled already."""

    # ---- what is known

    @property
    def limit_w(self) -> float | None:
        """Last acknowledged limit; None = unknown."""
        return self.limits.limit_w

    @property
    def wanted_w(self) -> float | None:
        """The limit that rules when everything on its way has arrived; None = unknown."""
        return self.limits.wanted_w

    @property
    def is_pending(self) -> bool:
        """True while a limit is on its way."""
        return self.limits.is_pending

    @property
    def status(self) -> InverterStatus | None:
        """Last measured values, however old."""
        return self.contact.status

    @property
    def is_fresh(self) -> bool:
        """The measured values are young enough to act on, and the inverter answers the DTU."""
        return self.contact.is_fresh

    @property
    def is_lost(self) -> bool:
        """True when commands do not reach it."""
        return self.contact.is_lost

    @property
    def final_w(self) -> float:
        """Output in W when everything on its way has arrived."""
        return self.output.final_w

    @property
    def is_usable(self) -> bool:
        """True when its output can be set: it gives power, its data are fresh and its limit is known."""
        is_wanted = self.contact.trouble is None and not self.is_switched_off and not self.contact.is_restarting
        return is_wanted and self.is_fresh and self.power.is_producing and self.wanted_w is not None

    @property
    def highest_w(self) -> float:
        """The highest output still possible in W: acknowledged, pending or waiting limit; rated when unknown."""
        if self.contact.is_restarting:
            return self.unit.rated_w
        return 0.0 if self.power.is_off else self.limits.highest_w

    @property
    def disobeys_since_s(self) -> float | None:
        """Since when it has answered and not done as it was told; None when it does, or does not answer."""
        is_owed = self.limits.was_commanded and not self.limits.ignored  # a command that is dropped is the DTU's fault
        since_s = min(self.limits.unconfirmed_since_s if is_owed else math.inf, self.output.excess.since_s)
        return max(since_s, self.contact.fresh_since_s) if self.is_fresh and math.isfinite(since_s) else None

    @property
    def attainable_w(self) -> float:
        """Output in W at the highest limit that it may be given, as far as is known."""
        if self.output.held_w is None:
            return self.ceiling_w * self.output.gain
        return self.output.held_w + max(self.ceiling_w - (self.limit_w or 0.0), 0.0)

    @property
    def is_understood(self) -> bool:
        """Whether it is known what came of its last limit: of one that is held only its settled output tells."""
        return self.output.held_w is None or (self.status is not None and self.output.has_come_out(self.status.at_s))

    def is_asleep(self, now_s: float) -> bool:
        """Tell whether it has long given nothing though it is on, answers and has a limit."""
        return self.is_fresh and self.power.is_idle(now_s)

    def needs_refresh(self, now_s: float) -> bool:
        """Tell whether the limit that rules has to be sent again, lest the inverter forgets it."""
        if self.output.held_w is not None and not self._was_repeated and not self.is_pending:  # it may have missed it
            return not self.is_lost and now_s - self.limits.posted_at_s >= HELD_AGAIN_S
        return not self.is_lost and self.limits.needs_refresh(now_s)

    def needs_power(self, now_s: float, *, on: bool) -> bool:
        """Tell whether a power command is due to make the inverter be on or off."""
        if not on:
            return not self.power.is_commanded_off or (self.is_fresh and self.power.may_repeat_off(now_s))
        if self.power.is_commanded_off:
            return self.limit_w is not None and not self.is_pending
        return self.is_fresh and self.power.may_wake(now_s)

    # ---- what it is told

    def post(self, now_s: float, limit_w: float, radio_free_s: float) -> None:
        """Remember a limit that is given to the DTU now, whose radio is busy until `radio_free_s`."""
        is_doubtful = self.is_lost or self.limits.ignored > 0
        self._was_repeated = limit_w == self.limit_w
        self.limits.post(now_s, limit_w)
        received_s = self.output.expect(now_s, limit_w, radio_free_s, is_doubtful=is_doubtful)
        self.contact.await_answer(received_s + self.output.credit_s + LONGEST_RADIO_S)

    def decline(self, now_s: float) -> None:
        """The DTU declined the last limit: it is not on its way."""
        self.limits.decline(now_s)
        self.output.fall_back()

    def post_restart(self) -> None:
        """Remember that a restart is given to the DTU now: it ends every limit, and a switch-off too."""
        self.power.restart()
        self.limits.withdraw()
        self.forget()

    def set_unit(self, unit: InverterParameters) -> None:
        """Replace what is fixed about the inverter, when the DTU has learned its rated power."""
        self.unit = self.limits.unit = self.power.unit = unit
        self.output.set_unit(unit)

    # ---- what it tells

    def apply_answers(
        self, now_s: float, limit: LimitStatus | None, status: InverterStatus | None, fresh_for_s: float
    ) -> bool:
        """Take all that its DTU tells, None = nothing yet; return True when an acknowledged limit is not ours."""
        self.contact.is_known = limit is not None
        is_foreign = limit is not None and self.apply_limit_status(limit, now_s)
        if status is not None:
            self.apply_measurement(status, now_s, fresh_for_s)
        self.update_reachability(now_s)
        if self.is_fresh and self.status is not None:
            self._derating.add_temperature(self.status.temperature_c)
        cool_w = self._derating.ceiling_w(self.unit.minimum_w, self.unit.maximum_w)
        self.ceiling_w = min(cool_w, max(self.output.useful_limit_w, self.unit.minimum_w))
        return is_foreign

    def apply_limit_status(self, status: LimitStatus, now_s: float) -> bool:
        """Take what the DTU says; return True when an acknowledged limit is not ours."""
        before_w = self.limit_w
        news = self.limits.apply(status, now_s)
        self.output.follow_news(news, status.at_s, now_s, before_w)
        # What an inverter that is off reads back is the limit of its next start, which nobody set.
        is_on = self.power.is_producing and not self.power.is_commanded_off and not self.is_switched_off
        return news is LimitNews.FOREIGN and is_on

    def apply_measurement(self, status: InverterStatus, now_s: float, stale_after_s: float) -> None:
        """Take the measured values: freshness, whether it gives power, and output / limit once it has settled."""
        if self.contact.has_come_back(status):
            self.forget()
        if not self.contact.add_status(status, now_s, stale_after_s):
            return
        output_w = status.ac_power_w or 0.0
        self.output.keep(output_w, has_switched=self.power.apply_output(output_w, status.at_s))
        if output_w >= PRODUCING_W and self.output.learn_from(output_w, status.at_s, now_s):
            self.forget()

    def update_reachability(self, now_s: float) -> None:
        """Note since when it is lost, or found, and what has expired; to be called once all else was seen."""
        self.contact.note_lost(now_s)
        if self.contact.is_overdue:
            self.output.withhold()

    def forget(self) -> None:
        """The DTU or the inverter restarted, or the limit does not rule: what rules now is unknown."""
        self.limits.forget()
        self.output.forget_hold()
