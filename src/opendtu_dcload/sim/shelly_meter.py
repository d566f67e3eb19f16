"""What a meter at the simulated house shows, with the mistakes of its installer; and the relay of a plug."""

from __future__ import annotations

from dataclasses import dataclass

from opendtu_dcload.sim.house import WH_PER_WS, House, MeterSample

LOAD_SHARES = (0.5, 0.3, 0.2)
"""How the house load is spread over L1, L2 and L3; the inverters feed L1."""
VOLTAGES_V = (233.4, 232.1, 234.2)
FREQUENCY_HZ = 50.0
IDLE_VA = 40.0
"""Reactive power of each phase, so that current does not vanish with power."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One measured conductor."""

    power_w: float
    """Import positive."""
    voltage_v: float
    imported_wh: float
    exported_wh: float

    @property
    def apparent_va(self) -> float:
        """Apparent power, never negative."""
        return round(float((self.power_w**2 + IDLE_VA**2) ** 0.5), 1)

    @property
    def current_a(self) -> float:
        """Current, never negative."""
        return round(self.apparent_va / self.voltage_v, 3)

    @property
    def power_factor(self) -> float:
        """Power factor with the sign of the power."""
        return round(self.power_w / self.apparent_va, 2)


class MeterView:
    """Sample and hold: new values with each sample of the house's meter, rounded to 0.1 W."""

    def __init__(self, house: House) -> None:
        self.sign = 1
        """-1: the clamps sit the wrong way round."""
        self.sees_inverters = True
        """False: the inverters feed in front of the meter, it shows the load only."""
        self.is_frozen = False
        """True: the power stays as it is for ever."""
        self.is_valid = True
        """False: the meter chip does not answer."""
        self.phases_w = (0.0, 0.0, 0.0)
        self.output_w = 0.0
        """What a clamp around the inverters' cable shows."""
        self._imported_wh = [0.0, 0.0, 0.0]
        self._exported_wh = [0.0, 0.0, 0.0]
        self.serial = 0
        """Counts the samples."""
        house.watchers.append(self._watch)
        self._watch(house.meter, 0.0)

    @property
    def total_w(self) -> float:
        """Sum of the phases as they are shown."""
        return round(sum(self.phases_w), 1)

    @property
    def phases(self) -> list[Channel]:
        """L1, L2, L3."""
        rows = zip(self.phases_w, VOLTAGES_V, self._imported_wh, self._exported_wh, strict=True)
        return [Channel(*row) for row in rows]

    @property
    def total(self) -> Channel:
        """All phases as one conductor."""
        return Channel(self.total_w, VOLTAGES_V[0], sum(self._imported_wh), sum(self._exported_wh))

    def _watch(self, sample: MeterSample, elapsed_s: float) -> None:
        load_w = sample.power_w + sample.output_w
        powers_w = [share * load_w for share in LOAD_SHARES]
        if self.sees_inverters:
            powers_w[0] -= sample.output_w
        for index, power_w in enumerate(powers_w):
            counter_wh = self._imported_wh if power_w * self.sign > 0 else self._exported_wh
            counter_wh[index] += abs(power_w) * elapsed_s * WH_PER_WS
        if not self.is_frozen:
            first_w, second_w, third_w = (round(self.sign * power_w, 1) for power_w in powers_w)
            self.phases_w = (first_w, second_w, third_w)
            self.output_w = round(sample.output_w, 1)
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
