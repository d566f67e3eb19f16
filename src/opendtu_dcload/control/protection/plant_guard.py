"""All guards of the plant except the meter's: what they leave of the cap, and what follows when it is not kept."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.control.protection.battery_guard import (
    BatteryGuard,
    BatteryLimits,
    BatteryLoad,
    MultiplusGuard,
    PowerCap,
    believed,
    strictest,
)
from opendtu_dcload.control.protection.escalation import Escalation, Escalator
from opendtu_dcload.control.protection.hysteresis import SlidingMax
from opendtu_dcload.control.protection.relay_guard import RelayGuard
from opendtu_dcload.control.protection.seasonal_soc import FIRST_HIGHEST_PCT, SeasonalMinimum, minimum_pct, surplus_w
from opendtu_dcload.freshness import SOLAR_S, fresh
from opendtu_dcload.model import (
    BatteryStatus,
    MultiplusStatus,
    Reason,
    RelayOrder,
    RelayStatus,
    SolarReading,
)

SOLAR_WINDOW_S, SOLAR_STEP_W = 60.0, 10.0
"""Plug-in solar counts with the most of this time, rounded up to this step, so that clouds cost no commands."""
DC_SHARE = 0.95
"""AC output / DC power of a usual Hoymiles inverter: an estimate for what is not measured."""
MEASURED_AFTER_S = 10.0
"""From a limit that rules to a measurement of what it brings: two polls of a DTU every 5 s."""


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """What the user wants guarded; see docs/configuration.md."""

    battery: BatteryLimits = field(default_factory=BatteryLimits)
    is_seasonal: bool = False
    seasonal_highest_pct: float | None = None
    """As the last run left it; only the start reads it."""
    highest_soc_pct: float | None = None
    """How full the battery gets, as the user set it on the GX; None = the user has not."""
    surplus_soc_pct: float | None = None
    surplus_w: float = 100.0
    solar_pessimistic_w: float | None = None
    """What plug-in solar gives while it cannot be asked; None = there is none."""


@dataclass(frozen=True, slots=True)
class ExternalInputs:
    """What else is connected beside the plant, as last told."""

    battery: BatteryStatus | None = None
    multiplus: MultiplusStatus | None = None
    solar: SolarReading | None = None
    relay: RelayStatus | None = None


@dataclass(frozen=True, slots=True)
class GuardResult:
    """What the guards say together."""

    cap_w: float
    """The lowest of all caps."""
    reason: Reason = Reason.FEED_IN_CAP
    """Why the cap is what it is."""
    surplus_w: float = 0.0
    """What is fed in on purpose."""
    relay: RelayOrder = RelayOrder.HOLD


class PlantGuard:
    """Asks every guard, at each decision."""

    def __init__(self, settings: GuardSettings, min_voltage_v: float, settle_s: float) -> None:
        """Take what does not change while it runs, and the longest time in s that an inverter needs to obey."""
        self._battery = BatteryGuard(min_voltage_v, settings.battery)
        self._multiplus = MultiplusGuard()
        highest_pct = settings.seasonal_highest_pct
        self.seasonal = SeasonalMinimum(FIRST_HIGHEST_PCT if highest_pct is None else highest_pct)
        self._solar = SlidingMax(SOLAR_WINDOW_S)
        self._escalator = Escalator(settle_s + MEASURED_AFTER_S)
        self._relay = RelayGuard()

    def has_relay_opened(self, relay: RelayStatus | None) -> bool:
        """Take the relay's state before all else; return whether it has just opened, so that no limit is known."""
        return self._relay.has_opened(relay)

    def evaluate(
        self,
        now_s: float,
        settings: GuardSettings,
        max_feed_in_w: float,
        trackers: Collection[InverterTracker],
        external: ExternalInputs,
    ) -> GuardResult:
        """Return what is allowed now, with the settings that hold now."""
        legal_w = max(max_feed_in_w - self._solar_w(now_s, settings.solar_pessimistic_w, external.solar), 0.0)
        battery = believed(now_s, external.battery)
        soc_pct = battery.soc_pct if battery is not None else None
        lowest_pct = self._minimum_pct(soc_pct, settings)
        is_answered = any(not t.is_lost for t in trackers)
        battery_load = _battery_load_of(trackers, legal_w)
        power_cap = strictest(
            (
                self._battery.cap(now_s, external.battery, battery_load, lowest_pct, should_be_seen=is_answered),
                self._multiplus.cap(now_s, external.multiplus) if settings.battery.has_multiplus_guard else None,
            )
        )
        power_cap, step = self._escalated(now_s, power_cap, _output_w(trackers, external.relay))
        cap = strictest((power_cap, PowerCap(legal_w, Reason.FEED_IN_CAP)))
        assert cap is not None
        order = RelayOrder.OPEN if step >= Escalation.RELAY else self._relay.order(now_s, trackers, cap.cap_w)
        return GuardResult(cap.cap_w, cap.reason, _surplus_w(soc_pct, settings), order)

    def _escalated(
        self, now_s: float, power_cap: PowerCap | None, output_w: float | None
    ) -> tuple[PowerCap | None, Escalation]:
        """Return the cap that replaces one which the measured output does not keep, and the means that are used."""
        step = self._escalator.update(now_s, None if power_cap is None else power_cap.cap_w, output_w)
        if power_cap is None or step < Escalation.POWER_OFF:
            return power_cap, step
        is_disobeyed = step is Escalation.RELAY and output_w is not None
        return PowerCap(0.0, Reason.GUARD_ESCALATED if is_disobeyed else power_cap.reason), step

    def _solar_w(self, now_s: float, pessimistic_w: float | None, solar: SolarReading | None) -> float:
        if pessimistic_w is None:
            return 0.0
        known = fresh(solar, now_s, SOLAR_S)
        if known is None:
            return pessimistic_w
        return self._solar.add(now_s, -(-known.power_w // SOLAR_STEP_W) * SOLAR_STEP_W)

    def _minimum_pct(self, soc_pct: float | None, settings: GuardSettings) -> float:
        wished_pct = 0.0 if settings.highest_soc_pct is None else minimum_pct(settings.highest_soc_pct)
        if not settings.is_seasonal:
            return wished_pct
        self.seasonal.add_soc(soc_pct)
        return max(self.seasonal.minimum_pct, wished_pct)


def _surplus_w(soc_pct: float | None, settings: GuardSettings) -> float:
    from_pct = settings.surplus_soc_pct
    return 0.0 if from_pct is None else surplus_w(soc_pct, from_pct, settings.surplus_w)


def _battery_load_of(trackers: Collection[InverterTracker], legal_w: float) -> BatteryLoad:
    voltages_v, dc_power_w = [], 0.0
    for tracker in trackers:
        measured_w = 0.0
        if tracker.is_fresh and tracker.status is not None:
            if (voltage_v := tracker.status.battery_voltage_v) is not None:
                voltages_v.append(voltage_v)
            measured_w = tracker.status.dc_power_w or (tracker.status.ac_power_w or 0.0) / DC_SHARE
        dc_power_w += max(measured_w, tracker.final_w / DC_SHARE)
    units = [t.unit for t in trackers if not t.is_switched_off]
    attainable_w = min(legal_w, sum(unit.maximum_w for unit in units))
    return BatteryLoad(voltages_v, dc_power_w, sum(unit.minimum_w for unit in units), attainable_w)


def _output_w(trackers: Collection[InverterTracker], relay: RelayStatus | None) -> float | None:
    """Return the measured AC output; None when an inverter may give something that nobody sees."""
    if relay is not None and not relay.is_on:
        return 0.0
    output_w = 0.0
    for tracker in trackers:
        if tracker.is_fresh and tracker.status is not None and tracker.status.ac_power_w is not None:
            output_w += tracker.status.ac_power_w
        elif tracker.highest_w > 0:
            return None
    return output_w
