"""What the battery, and an inverter/charger on the same battery, leave to the plant.

Each rule is small and returns a cap with its reason; the strictest one wins. Power is in W.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from opendtu_dcload.control.protection.hysteresis import DwellLatch, SlidingMax, StepLimiter
from opendtu_dcload.control.protection.meter_age import BatteryFloor
from opendtu_dcload.freshness import BATTERY_S, fresh
from opendtu_dcload.model import BatteryStatus, MultiplusStatus, Reason

SOC_DELAY_S = 60.0
"""Below the minimum SoC for this long the inverters are switched off; by then the taper has brought them down."""
REST_S, LONGEST_REST_S = 60.0, 3600.0
"""How long a guard holds after its cause has gone, at first, and at most after relapses: an estimate."""
CELL_HYSTERESIS_V = 0.1
"""A cell has recovered when it is this far above its minimum: an estimate."""
LARGEST_CORRECTION = 0.05
"""The load explains at most this share of the voltage, whatever resistance was configured: an estimate."""
EFFICIENCY = 0.9
"""AC output / DC power: less than any Hoymiles inverter has, so that the battery's limit is kept."""
OTHERS_WINDOW_S = 60.0
"""Others on the battery count with the most that they drew in this time, so that each of their cycles is no command."""
CAP_STEP_W = 10.0
"""The cap that follows from the battery's limit moves in steps of this, so that a flickering voltage is no command."""
STOPPING_ALARMS = frozenset(
    f"/Alarms/{name}"
    for name in ("LowVoltage", "LowCellVoltage", "HighDischargeCurrent", "HighTemperature", "InternalFailure")
)
"""Alarms during which nothing may be drawn from the battery; the others are left to its owner."""
CHARGING_W, INVERTING_W = 50.0, 100.0
"""DC power from which the inverter/charger charges or inverts: an estimate, above what it draws and shows when idle."""
MULTIPLUS_DELAY_S = 20.0
"""It must charge or invert for this long: an estimate that leaves out what it does for a moment."""
MULTIPLUS_LONGEST_REST_S = 600.0
"""The longest rest after it has stopped, shorter than the battery's: nothing is in danger, energy only runs in a
circle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryLimits:
    """What the user wants of the battery; see docs/configuration.md."""

    min_cell_voltage_v: float | None = None
    resistance_ohm: float = 0.0
    min_soc_pct: float | None = None
    soc_hysteresis_pct: float = 3.0
    uses_ess_minimum: bool = True
    has_multiplus_guard: bool = True


@dataclass(frozen=True, slots=True)
class PowerCap:
    """The highest AC output that a rule allows the plant, and why."""

    cap_w: float
    reason: Reason


@dataclass(frozen=True, slots=True)
class BatteryLoad:
    """The plant as the battery sees it."""

    voltages_v: Sequence[float]
    """Fresh DC voltages of the inverters."""
    dc_power_w: float
    """What the inverters draw, or will draw when everything commanded has arrived."""
    minimum_w: float
    """Sum of their minima, AC."""
    attainable_w: float
    """AC output that they could reach without any of these rules."""


def believed(now_s: float, told: BatteryStatus | None) -> BatteryStatus | None:
    """Return what the bus says of the battery while it is fresh and moves; None = nothing is known."""
    battery = fresh(told, now_s, BATTERY_S)
    return battery if battery is not None and not battery.is_frozen else None


def strictest(bounds: Iterable[PowerCap | None]) -> PowerCap | None:
    """Return the bound with the lowest cap, the first of equals; None when nothing is bounded."""
    return min((b for b in bounds if b is not None), key=lambda b: b.cap_w, default=None)


class BatteryGuard:
    """All rules about the battery itself."""

    def __init__(self, min_voltage_v: float, limits: BatteryLimits) -> None:
        self._limits = limits
        self._floor = BatteryFloor(min_voltage_v)
        self._cell = BatteryFloor(limits.min_cell_voltage_v or 0.0, CELL_HYSTERESIS_V)
        self._soc = DwellLatch(SOC_DELAY_S, REST_S, LONGEST_REST_S)
        self._refused = DwellLatch(0.0, REST_S, LONGEST_REST_S)
        self._taper = StepLimiter()
        self._others = SlidingMax(OTHERS_WINDOW_S)

    def cap(
        self,
        now_s: float,
        told: BatteryStatus | None,
        battery_load: BatteryLoad,
        minimum_soc_pct: float,
        *,
        should_be_seen: bool,
    ) -> PowerCap | None:
        """Return what the battery allows; None = everything.

        Args:
            now_s: monotonic time.
            told: what the bus says of the battery, however old; None = there is none.
            battery_load: what the plant takes.
            minimum_soc_pct: the highest of all minima but that of ESS.
            should_be_seen: the inverters answer, so their voltages should be known.
        """
        battery = believed(now_s, told) or BatteryStatus(now_s)
        raised = 1 + self._sag(battery, battery_load)
        volts_v = [volt_v * raised for volt_v in battery_load.voltages_v]
        cells_v = [battery.min_cell_voltage_v * raised] if battery.min_cell_voltage_v is not None else []
        soc_pct, low_pct = battery.soc_pct, self._minimum_soc(battery, minimum_soc_pct)
        high_pct = min(low_pct + self._limits.soc_hysteresis_pct, 100.0)
        is_soc_bad, is_soc_good = _compared(soc_pct, low_pct, high_pct)
        share = min(self._floor.share(volts_v), self._cell.share(cells_v), _share(soc_pct, low_pct, high_pct))
        is_refused = _refuses(battery)
        hard = (
            (self._refused.update(now_s, is_bad=is_refused, is_good=not is_refused), Reason.BATTERY_REFUSES),
            (self._floor.is_too_low(now_s, volts_v), Reason.BATTERY_LOW),
            (self._cell.is_too_low(now_s, cells_v), Reason.CELL_LOW),
            (self._soc.update(now_s, is_bad=is_soc_bad, is_good=is_soc_good), Reason.MIN_SOC),
            (self._floor.is_unseen(now_s, volts_v, should_be_seen=should_be_seen), Reason.BATTERY_UNSEEN),
        )
        off = [PowerCap(0.0, reason) for is_on, reason in hard if is_on]
        tapered = self._tapered(now_s, 0.0 if off else share, battery_load)
        return strictest([*off, tapered, self._discharge_limit(now_s, battery, battery_load)])

    def _minimum_soc(self, battery: BatteryStatus, minimum_pct: float) -> float:
        ess_pct = battery.ess_minimum_soc_pct if self._limits.uses_ess_minimum else None
        return max(minimum_pct, ess_pct or 0.0, self._limits.min_soc_pct or 0.0)

    def _sag(self, battery: BatteryStatus, battery_load: BatteryLoad) -> float:
        """Return the share of the voltage that the battery's resistance takes under the present load."""
        voltage_v = battery.voltage_v or min(battery_load.voltages_v, default=0.0)
        if voltage_v <= 0:
            return 0.0
        discharge_a = battery_load.dc_power_w / voltage_v if battery.current_a is None else -battery.current_a
        return min(max(discharge_a * self._limits.resistance_ohm / voltage_v, 0.0), LARGEST_CORRECTION)

    def _tapered(self, now_s: float, share: float, battery_load: BatteryLoad) -> PowerCap | None:
        share = self._taper.approach(now_s, share)
        if share >= 1:
            return None
        attainable_w = max(battery_load.attainable_w, battery_load.minimum_w)
        return PowerCap(
            battery_load.minimum_w + share * (attainable_w - battery_load.minimum_w), Reason.BATTERY_NEARLY_LOW
        )

    def _discharge_limit(self, now_s: float, battery: BatteryStatus, battery_load: BatteryLoad) -> PowerCap | None:
        """Return what the BMS's discharge current limit leaves when others on the battery have taken theirs."""
        voltage_v = battery.voltage_v or min(battery_load.voltages_v, default=None)
        if battery.max_discharge_current_a is None or voltage_v is None:
            return None
        others_w = max(-battery.power_w - battery_load.dc_power_w, 0.0) if battery.power_w is not None else 0.0
        left_w = battery.max_discharge_current_a * voltage_v - self._others.add(now_s, others_w)
        cap_w = max(left_w * EFFICIENCY // CAP_STEP_W * CAP_STEP_W, 0.0)
        return PowerCap(cap_w, Reason.DISCHARGE_LIMIT) if cap_w < battery_load.attainable_w else None


class MultiplusGuard:
    """Nothing is fed in while the inverter/charger charges from AC, or inverts: energy would run in a circle."""

    def __init__(self) -> None:
        self._charging = DwellLatch(MULTIPLUS_DELAY_S, REST_S, MULTIPLUS_LONGEST_REST_S)
        self._inverting = DwellLatch(MULTIPLUS_DELAY_S, REST_S, MULTIPLUS_LONGEST_REST_S)

    def cap(self, now_s: float, multiplus: MultiplusStatus | None) -> PowerCap | None:
        """Return a cap of 0 while it charges or inverts; None while it does not, or nobody knows."""
        known = fresh(multiplus, now_s, BATTERY_S)
        dc_power_w = (known.dc_power_w if known is not None else None) or 0.0
        is_charging, is_inverting = dc_power_w > CHARGING_W, dc_power_w < -INVERTING_W
        charging = self._charging.update(now_s, is_bad=is_charging, is_good=not is_charging)
        inverting = self._inverting.update(now_s, is_bad=is_inverting, is_good=not is_inverting)
        if charging:
            return PowerCap(0.0, Reason.MULTIPLUS_CHARGING)
        return PowerCap(0.0, Reason.MULTIPLUS_INVERTING) if inverting else None


def _compared(soc_pct: float | None, low_pct: float, high_pct: float) -> tuple[bool, bool]:
    """Return whether the SoC is too low, and whether it is high enough; neither while it is unknown."""
    if soc_pct is None:
        return False, low_pct <= 0
    return soc_pct < low_pct, soc_pct >= high_pct or low_pct <= 0


def _share(soc_pct: float | None, low_pct: float, high_pct: float) -> float:
    if soc_pct is None or low_pct <= 0 or soc_pct >= high_pct:
        return 1.0
    return max((soc_pct - low_pct) / (high_pct - low_pct), 0.0) if high_pct > low_pct else 0.0


def _refuses(battery: BatteryStatus) -> bool:
    return (
        battery.may_discharge is False
        or (battery.max_discharge_current_a is not None and battery.max_discharge_current_a <= 0)
        or not STOPPING_ALARMS.isdisjoint(battery.alarms)
    )
