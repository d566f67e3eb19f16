"""What a meter at the simulated house shows, with the mistakes of its installer; and the relay of a plug."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Literal

from opendtu_dcload.sim.plant.house import WH_PER_WS, House, MeterSample

LOAD_SHARES = (0.5, 0.3, 0.2)
"""How the house load is spread over L1, L2 and L3; the inverters feed L1."""
VOLTAGES_V = (233.4, 232.1, 234.2)
FREQUENCY_HZ = 50.0
VOLTAGE_DRIFT_V = 1.0
"""Standard deviation of what the grid's voltage wanders, within a minute or so. Pro 3EM show it in steps of 0.1 V."""
VOLTAGE_NOISE_V = 0.2
"""Standard deviation from one second to the next, each phase for itself."""
FREQUENCY_DRIFT_HZ = 0.02
"""Standard deviation; a Pro 3EM shows 0.1 Hz (github.com/jbasen/Crestron-Shelly/issues/51): nearly always 50.0."""
DRIFT_S = 60.0
SAVED_EVERY_S = 60.0
"""EMData of generation 2 is saved once a minute."""
IDLE_VA = 40.0
"""Reactive power of each phase, so that current does not vanish with power."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One measured conductor; None = this meter tells nothing but powers."""

    power_w: float
    """Import positive."""
    voltage_v: float | None
    imported_wh: float | None
    exported_wh: float | None

    @property
    def turned_over_wh(self) -> float | None:
        """What flowed either way, as the counter of a meter without a sense of direction."""
        if self.imported_wh is None or self.exported_wh is None:
            return None
        return self.imported_wh + self.exported_wh

    @property
    def apparent_va(self) -> float:
        """Apparent power, never negative."""
        return round(float((self.power_w**2 + IDLE_VA**2) ** 0.5), 1)

    @property
    def current_a(self) -> float | None:
        """Current, never negative."""
        return None if self.voltage_v is None else round(self.apparent_va / self.voltage_v, 3)

    @property
    def power_factor(self) -> float:
        """Power factor with the sign of the power."""
        return round(self.power_w / self.apparent_va, 2)


@dataclass(slots=True)
class _Counters:
    """Energy of each phase in Wh."""

    imported_wh: tuple[float, ...] = (0.0, 0.0, 0.0)
    exported_wh: tuple[float, ...] = (0.0, 0.0, 0.0)


class MeterView:
    """Sample and hold: new values with each sample of the house's meter, powers in 0.1 W, voltages in 0.1 V."""

    def __init__(self, house: House) -> None:
        self.sign = 1
        """-1: the clamps sit the wrong way round."""
        self.unsigned: Literal["", "phases", "sum"] = ""
        """Shown as a magnitude, whichever way it flows: each phase, and so their sum, or the sum."""
        self.sees_inverters = True
        """False: the inverters feed in front of the meter, it shows the load only."""
        self.is_frozen = False
        """True: the whole answer stays as it is to the bit: powers, voltages, frequency, counters."""
        self.is_power_frozen = False
        """True: only the powers stay as they are."""
        self.frozen_w: float | None = None
        """Grid power that it shows while frozen; None = the last one."""
        self.tells_only_watts = False
        """True: powers in whole watts and nothing else."""
        self.refresh_s = 1.0
        """Time between two new values; the answers in between are the same to the bit."""
        self.is_valid = True
        """False: the meter chip does not answer."""
        self.phases_w = (0.0, 0.0, 0.0)
        self.power_w = 0.0
        """Grid power as it would be shown with an endless resolution."""
        self.output_w = 0.0
        """What a clamp around the inverters' cable shows."""
        self.serial = 0
        """Counts the samples."""
        self._voltages_v = VOLTAGES_V
        self._frequency_hz = FREQUENCY_HZ
        self._counted = _Counters()
        self._shown = _Counters()
        self._saved = _Counters()
        self._drift_v = self._drift_hz = 0.0
        self._saved_at_s = house.now_s
        self._shown_at_s = -math.inf
        self._rng = random.Random(f"meter {house.seed}")  # its own: the house's streams stay what they are without it
        house.watchers.append(self._watch)
        self._watch(house.meter, 0.0)
        self._shown_at_s = -math.inf  # the next sample is shown, however soon it comes

    @property
    def total_w(self) -> float:
        """Sum of the phases as they are shown."""
        return round(sum(self.phases_w), 1)

    @property
    def phases(self) -> list[Channel]:
        """L1, L2, L3, with counters as they run."""
        return self._channels(self._shown)

    @property
    def saved_phases(self) -> list[Channel]:
        """L1, L2, L3, with counters as they were saved at the last full minute."""
        return self._channels(self._saved)

    @property
    def total(self) -> Channel:
        """All phases as one conductor."""
        if self.tells_only_watts:
            return Channel(self.total_w, None, None, None)
        return Channel(self.total_w, self._voltages_v[0], sum(self._shown.imported_wh), sum(self._shown.exported_wh))

    @property
    def frequency_hz(self) -> float | None:
        """Frequency of the grid; None = this meter tells nothing but powers."""
        return None if self.tells_only_watts else self._frequency_hz

    def _channels(self, counters: _Counters) -> list[Channel]:
        if self.tells_only_watts:
            return [Channel(power_w, None, None, None) for power_w in self.phases_w]
        rows = zip(self.phases_w, self._voltages_v, counters.imported_wh, counters.exported_wh, strict=True)
        return [Channel(*row) for row in rows]

    def _watch(self, sample: MeterSample, elapsed_s: float) -> None:
        load_w = sample.power_w + sample.output_w
        powers_w = [share * load_w for share in LOAD_SHARES]
        if self.sees_inverters:
            powers_w[0] -= sample.output_w
        powers_w = self._directed([self.sign * power_w for power_w in powers_w])
        self._count(powers_w, elapsed_s)
        self._drift()
        if self.is_frozen or self.is_power_frozen:
            self._hold()
        if self.is_frozen or sample.at_s < self._shown_at_s + self.refresh_s - 0.5:
            return
        self._shown_at_s = sample.at_s
        self._show_surroundings(sample.at_s)
        if not self.is_power_frozen:
            self._show_powers(powers_w)
            self.power_w = sum(powers_w)
            self.output_w = round(sample.output_w, 1)
            if self.tells_only_watts:
                self.power_w = self.total_w

    def _directed(self, powers_w: list[float]) -> list[float]:
        """Return the powers of the phases with the sign that this meter gives them."""
        if self.unsigned == "phases":
            return [abs(power_w) for power_w in powers_w]
        is_turned = self.unsigned == "sum" and sum(powers_w) < 0
        return [-power_w for power_w in powers_w] if is_turned else powers_w

    def _count(self, powers_w: list[float], elapsed_s: float) -> None:
        energies_wh = [power_w * elapsed_s * WH_PER_WS for power_w in powers_w]
        counted = self._counted
        self._counted = _Counters(
            tuple(before + max(new, 0.0) for before, new in zip(counted.imported_wh, energies_wh, strict=True)),
            tuple(before + max(-new, 0.0) for before, new in zip(counted.exported_wh, energies_wh, strict=True)),
        )

    def _drift(self) -> None:
        share = (2 / DRIFT_S) ** 0.5
        self._drift_v += -self._drift_v / DRIFT_S + self._rng.gauss(0, VOLTAGE_DRIFT_V * share)
        self._drift_hz += -self._drift_hz / DRIFT_S + self._rng.gauss(0, FREQUENCY_DRIFT_HZ * share)

    def _hold(self) -> None:
        if self.frozen_w is not None:
            _, second_w, third_w = self.phases_w
            self.phases_w = (round(self.frozen_w - second_w - third_w, 1), second_w, third_w)
            self.power_w = self.frozen_w

    def _show_surroundings(self, at_s: float) -> None:
        first_v, second_v, third_v = (
            round(voltage_v + self._drift_v + self._rng.gauss(0, VOLTAGE_NOISE_V), 1) for voltage_v in VOLTAGES_V
        )
        self._voltages_v = (first_v, second_v, third_v)
        self._frequency_hz = round(FREQUENCY_HZ + self._drift_hz, 1)
        self._shown = self._counted
        if at_s // SAVED_EVERY_S > self._saved_at_s // SAVED_EVERY_S:
            self._saved_at_s = at_s
            self._saved = self._counted

    def _show_powers(self, powers_w: list[float]) -> None:
        first_w, second_w, third_w = (round(power_w, 0 if self.tells_only_watts else 1) for power_w in powers_w)
        self.phases_w = (first_w, second_w, third_w)
        self.serial += 1


@dataclass(slots=True)
class Relay:
    """A relay whose timer really expires."""

    is_on: bool = False
    started_at_s: float = 0.0
    duration_s: float = 0.0
    """0: no timer runs."""
    source: str = "init"

    def switch(self, now_s: float, *, on: bool, flip_after_s: float = 0.0) -> None:
        """Switch, and with `flip_after_s` back again after that time; a timer that runs is replaced."""
        self.is_on = on
        self.started_at_s = now_s
        self.duration_s = flip_after_s
        self.source = "http"

    def update(self, now_s: float) -> None:
        """Let the timer expire when its time has come."""
        if self.duration_s and now_s >= self.started_at_s + self.duration_s:
            self.is_on = not self.is_on
            self.duration_s = 0.0
            self.source = "timer"

    def remaining_s(self, now_s: float) -> float:
        """Return what is left of the timer, 0 when none runs."""
        return max(0.0, self.started_at_s + self.duration_s - now_s) if self.duration_s else 0.0
