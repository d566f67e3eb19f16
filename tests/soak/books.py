"""The energy books of a simulated plant, of its devices and of the program, and whether they agree."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from opendtu_dcload.sim.plant.house import House, MeterSample
from opendtu_dcload.sim.runs.program import Program

OPEN_SHARE = 0.001
"""What books may differ by, of the energy that they are about."""
SHOWN_WITHIN_S = 90
"""A Shelly saves its counters once a minute, an OpenDTU asks each inverter in its turn."""
COUNTED_SHARE, COUNTED_WH = 0.05, 5.0
"""What the program adds up itself may differ by more: an answer that is lost or late is a second that is not known."""
DIGITS_WH = 3.0
"""Both show whole Wh of each inverter or phase."""
ROLLED_OVER_S = 10.0
ROLLED_OVER_WH = 20.0
"""More cannot flow in that time."""


def apart(a_wh: float, b_wh: float) -> float:
    """Return by which share of the larger one two energies differ."""
    return abs(a_wh - b_wh) / max(abs(a_wh), abs(b_wh), 1.0)


@dataclass(frozen=True, slots=True)
class Counters:
    """Energies since the beginning in Wh."""

    house_net_wh: float = 0.0
    """What came from the grid, less what was given to it."""
    house_turnover_wh: float = 0.0
    """Both added up."""
    house_exported_wh: float = 0.0
    shelly_net_wh: float = 0.0
    counted_exported_wh: float = 0.0
    """As the program counts, all days together."""

    def plus(self, other: Counters, sign: int = 1) -> Counters:
        return Counters(*(getattr(self, name) + sign * getattr(other, name) for name in self.__slots__))


class Books:
    """Looks at all counters with each sample of the house's meter.

    What devices tell is compared for the time in which they tell the truth: `doubt` ends it, `trust` begins it anew.
    """

    def __init__(self, house: House, program: Program) -> None:
        self._house = house
        self._program = program
        self._now = self._since = self._sure = Counters()
        self._is_sure = True
        self._before_today_wh = self._today_wh = 0.0
        self._shelly_lately_wh: deque[float] = deque(maxlen=SHOWN_WITHIN_S)
        self._inverters_lately_wh: deque[float] = deque(maxlen=SHOWN_WITHIN_S)
        house.watchers.append(self._watch)

    def _watch(self, _: MeterSample, __: float) -> None:
        today_wh = self._program.state.today.exported_wh
        if today_wh < self._today_wh:
            self._before_today_wh += self._today_wh
        self._today_wh = today_wh
        energy, shelly = self._house.energy, self._program.meter.meter.total
        self._now = Counters(
            energy.imported_wh - energy.exported_wh,
            energy.imported_wh + energy.exported_wh,
            energy.exported_wh,
            (shelly.imported_wh or 0.0) - (shelly.exported_wh or 0.0),
            self._before_today_wh + today_wh,
        )
        self._shelly_lately_wh.append(self._now.shelly_net_wh)
        self._inverters_lately_wh.append(self.inverters_wh)

    @property
    def inverters_wh(self) -> float:
        return sum(inverter.energy_wh for inverter in self._house.inverters.values())

    @property
    def sure(self) -> Counters:
        """What was counted while nothing lied."""
        return self._sure.plus(self._now.plus(self._since, -1)) if self._is_sure else self._sure

    def doubt(self) -> None:
        self._sure, self._is_sure = self.sure, False

    def trust(self) -> None:
        self._since, self._is_sure = self._now, True

    def open_share(self, load_wh: float) -> float:
        """Return how far load = grid + inverters is from true, as a share of the load."""
        energy = self._house.energy
        return apart(load_wh, energy.imported_wh - energy.exported_wh + self.inverters_wh)

    def shown_wrong(self) -> list[str]:
        """Return what devices or program tell otherwise than it was; asked while all are well."""
        sure, state = self.sure, self._program.state
        wrong = []
        if abs(sure.shelly_net_wh - sure.house_net_wh) > OPEN_SHARE * sure.house_turnover_wh:
            wrong.append(f"the Shelly counted {sure.shelly_net_wh:.1f} Wh, the house {sure.house_net_wh:.1f} Wh")
        if abs(sure.counted_exported_wh - sure.house_exported_wh) > COUNTED_SHARE * sure.house_exported_wh + COUNTED_WH:
            counted_wh, exported_wh = sure.counted_exported_wh, sure.house_exported_wh
            wrong.append(f"the program counted {counted_wh:.1f} Wh of export, the house {exported_wh:.1f} Wh")
        if (reading := state.meter) is None or reading.energy_import_wh is None or reading.energy_export_wh is None:
            wrong.append("the program shows no counters of the meter")
        else:
            net_wh = reading.energy_import_wh - reading.energy_export_wh
            wrong += told_wrong("the program shows of the meter", net_wh, self._shelly_lately_wh)
        yields_wh = sum(status.yield_total_wh or 0.0 for status in state.inverters.values())
        return [*wrong, *told_wrong("the program shows of the inverters", yields_wh, self._inverters_lately_wh)]

    def rolled_over(self) -> list[str]:
        """Return what is wrong with today's energies a few seconds after midnight."""
        today = self._program.state.today
        if today.exported_wh + today.avoidable_wh > ROLLED_OVER_WH:
            return [f"today is {ROLLED_OVER_S:.0f} s old and has {today}"]
        return []


def told_wrong(who: str, told_wh: float, lately_wh: deque[float]) -> list[str]:
    """Return what is wrong with an energy that may be as old as `lately_wh`, at most one sentence."""
    slack_wh = DIGITS_WH + OPEN_SHARE * abs(told_wh)
    if min(lately_wh) - slack_wh <= told_wh <= max(lately_wh) + slack_wh:
        return []
    return [f"{who} {told_wh:.1f} Wh, it was {min(lately_wh):.1f} to {max(lately_wh):.1f} Wh lately"]
