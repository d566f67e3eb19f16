"""What users run today, rebuilt from its published behaviour, to be measured in the same world as our controller.

Each class is one published program with its default settings. Where a default would feed the grid on purpose or makes
the programs incomparable, the line says what stands instead: all three aim at 25 W of import, and none acts within 25 W
but the original, whose own band is 10 W. Told are the regulators only: no outages, night, battery or temperature.
Each inverter's maximum is its share of the cap by rated power, as users of programs without a cap configure it.

Sources: github.com/hkaest/dbus-opendtu-DC-load (README, config.ini); github.com/reserve85/HoymilesZeroExport
(config.ini of 1.89, issues 28, 80 and 248); github.com/hoylabs/OpenDTU-OnBattery (defaults.h, wiki, issues 868, 1427
and 1483, pull request 872).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from opendtu_dcload.model import CommandState
from opendtu_dcload.sim.bench.pilot import Pilot
from opendtu_dcload.sim.plant.sim_dtu import Believed
from opendtu_dcload.sim.plant.world import World

TARGET_W = 25
"""Import to hold: the original's ZeroPoint. The others' defaults are 0 W (OnBattery) and -75 W (ZeroExport)."""
BAND_W = 25
"""ZeroExport's POWERMETER_TOLERANCE, and the hysteresis that OnBattery's wiki shows; its default 0 acts on any watt."""
RELATIVE = 1
"""`limit_type`: all three send percents that are not stored."""


class _Inverter:
    """One inverter as such a program sees it: what its DTU believes, and the bounds that its user configured."""

    def __init__(self, world: World, serial: str, rated_w: float, minimum_w: float, share: float) -> None:
        self.rated_w = rated_w
        self.minimum_w = minimum_w
        self.maximum_w = share * rated_w
        self._dtu = world.dtu_of(serial)
        self._serial = serial

    @property
    def known(self) -> Believed:
        """What the DTU tells."""
        return self._dtu.believed[self._serial]

    @property
    def is_pending(self) -> bool:
        """Whether a limit waits for its acknowledgement."""
        return self.known.limit_state is CommandState.PENDING

    @property
    def output_w(self) -> int:
        """AC power of the last statistics in whole W, as the programs read it; 0 before the first."""
        return int(self.known.statistics.ac_power_w) if self.known.statistics else 0

    @property
    def limit_w(self) -> int:
        """The acknowledged limit in whole W; 0 = unknown."""
        return int(self.known.limit_pct * self.rated_w / 100)

    def minimum_pct(self, grain_pct: float) -> float:
        """Return the lowest limit in % of rated that is a multiple of `grain_pct`."""
        return math.ceil(100 * self.minimum_w / self.rated_w / grain_pct) * grain_pct

    def post_pct(self, limit_pct: float) -> None:
        """Send a limit in % of rated."""
        self._dtu.post_limit(self._serial, RELATIVE, limit_pct)


def _inverters(world: World, minimum_w: float, cap_w: float) -> list[_Inverter]:
    models = world.house.models
    share = min(1.0, cap_w / sum(m.rated_w for m in models))
    return [_Inverter(world, m.serial, m.rated_w, minimum_w, share) for m in models]


class Original(Pilot):
    """dbus-opendtu-DC-load: an asymmetric filter, then one inverter per cycle takes the error, in steps of 2 %.

    It does nothing to an inverter whose limit is unknown, so for 4 minutes after the DTU's boot all run unlimited.
    """

    CYCLE_S = 4.0  # DTU_loopTime
    DEAD_BAND_W = 10  # ACCURACY
    RISING_WEIGHT = 3  # consumeFilterFactor; feedInFilterFactor = 0: export, and a drop by more than DROP_W, unfiltered
    DROP_W = 150  # feedInAtNegativeWattDifference
    STEP_PCT = 2  # stepsPercent
    MINIMUM_PCT = 2  # MinPercent
    MAXIMUM_PCT = 90  # MaxPercent
    ROTATION_S = 300.0  # SignOfLifeLog, 5 minutes: the order rotates if the cycle that follows is calm

    def __init__(self, world: World, minimum_w: float, cap_w: float) -> None:
        super().__init__(world)
        self._order = _inverters(world, minimum_w, cap_w)
        self._felt_w = 0
        self._answer_w = world.house.meter.power_w
        self._due_s = world.house.now_s + self.CYCLE_S
        self._rotation_due_s = world.house.now_s + self.ROTATION_S

    def act(self) -> None:
        """Run a cycle if one is due."""
        # One thread on a clock of its own asks meter, solar meter and DTU, then posts: on a value up to 1 s old.
        answer_w, self._answer_w = self._answer_w, self._world.house.meter.power_w
        now_s = self._world.house.now_s
        if now_s < self._due_s:
            return
        self._due_s += self.CYCLE_S
        self._feel(answer_w)
        error_w = self._felt_w - TARGET_W
        is_calm = abs(error_w) <= self.DEAD_BAND_W
        if not is_calm:
            self._felt_w -= next(filter(None, (self._move_w(inverter, error_w) for inverter in self._order)), 0)
        if now_s >= self._rotation_due_s:
            self._rotation_due_s += self.ROTATION_S
            if is_calm:
                self._order.append(self._order.pop(0))

    def _feel(self, power_w: float) -> None:
        is_falling = power_w < -self.DEAD_BAND_W or self._felt_w - power_w > self.DROP_W
        weight = 0 if is_falling else self.RISING_WEIGHT
        self._felt_w = int((self._felt_w * weight + power_w) / (weight + 1))

    def _move_w(self, inverter: _Inverter, error_w: float) -> int:
        """Let an inverter take as much of the error as it can, and return it in W; 0 without a known limit."""
        before_pct = int(inverter.known.limit_pct)
        if not before_pct:
            return 0
        steps = int((before_pct + 100 * error_w / inverter.rated_w) / self.STEP_PCT)
        maximum_pct = min(self.MAXIMUM_PCT, int(100 * inverter.maximum_w / inverter.rated_w))
        limit_pct = max(min(steps * self.STEP_PCT, maximum_pct), self.MINIMUM_PCT, inverter.minimum_pct(1))
        if limit_pct != before_pct:
            inverter.post_pct(limit_pct)
        return int((limit_pct - before_pct) * inverter.rated_w / 100)


class ZeroExport(Pilot):
    """HoymilesZeroExport: every 20 s the last set-point plus the error, shared out by rated power."""

    ROUND_S = 20.0  # LOOP_INTERVAL_IN_SECONDS
    ACK_TIMEOUT_S = 10  # SET_LIMIT_TIMEOUT_SECONDS
    MAX_POINT_W = 1500
    """POWERMETER_MAX_POINT: above it at once to the maximum (ON_GRID_USAGE_JUMP_TO_LIMIT_PERCENT = 100), and no second
    action in that round (issue 248). The default 0 is for roofs; a battery wants it to be the exception (issue 28), as
    in the configuration of issue 80."""
    SLOW_FALL = 0.8
    """SLOW_APPROX_FACTOR_IN_PERCENT = 20: a fall takes 80 % of the error. Its threshold, 20 % of the plant, is worked
    out before any inverter has answered, so it is 0."""

    def __init__(self, world: World, minimum_w: float, cap_w: float) -> None:
        super().__init__(world)
        self._inverters = _inverters(world, minimum_w, cap_w)
        self._minimum_w = sum(i.minimum_w for i in self._inverters)
        self._maximum_w = sum(i.maximum_w for i in self._inverters)
        self._setpoint_w = self._minimum_w
        self._sent_w: dict[_Inverter, int] = {}
        self._script = self._run()

    def act(self) -> None:
        """Let the script go on to its next pause."""
        next(self._script)

    def _run(self) -> Iterator[None]:
        """Do what the program does, polling the meter once per `yield`."""
        due_s = self._world.house.now_s + self.ROUND_S
        has_jumped = False
        yield from self._send()
        while True:
            yield
            power_w = int(self._world.house.meter.power_w)
            is_due = self._world.house.now_s >= due_s
            is_above = power_w > self.MAX_POINT_W
            if is_due:
                due_s += self.ROUND_S
            if is_above and not has_jumped:
                self._setpoint_w = self._maximum_w
            elif is_due and not is_above:
                self._setpoint_w = max(min(self._next_w(power_w - TARGET_W), self._maximum_w), self._minimum_w)
            has_jumped = not is_due and (has_jumped or is_above)
            yield from self._send()

    def _next_w(self, error_w: int) -> float:
        if abs(error_w) <= BAND_W:
            return self._setpoint_w
        if error_w > 0:
            return self._setpoint_w + error_w
        is_full = self._setpoint_w >= self._maximum_w
        basis_w = sum(i.output_w for i in self._inverters) if is_full else self._setpoint_w
        return basis_w + self.SLOW_FALL * error_w

    def _send(self) -> Iterator[None]:
        """Send the limits that change, one after the other, each after the last one's acknowledgement."""
        for inverter in self._inverters:
            limit_w = max(int(self._setpoint_w * inverter.maximum_w / self._maximum_w), int(inverter.minimum_w))
            if self._sent_w.get(inverter) == limit_w:
                continue
            self._sent_w[inverter] = limit_w
            inverter.post_pct(max(int(100 * limit_w / inverter.rated_w), inverter.minimum_pct(1)))
            for _ in range(self.ACK_TIMEOUT_S):
                yield
                if not inverter.is_pending:
                    break
            else:
                del self._sent_w[inverter]


class OnBattery(Pilot):
    """OpenDTU-OnBattery: the measured output plus the error, once limits, statistics and meter are new enough.

    No inverter is put into standby: the least is its lower limit.
    """

    METER_AFTER_S = 2.0
    """A meter value may be so old when it arrives (pull request 872)."""

    def __init__(self, world: World, minimum_w: float, cap_w: float) -> None:
        super().__init__(world)
        self._cap_w = cap_w
        self._inverters = _inverters(world, minimum_w, cap_w)
        self._heard_at_s: dict[_Inverter, float] = {}

    def act(self) -> None:
        """Calculate anew if everything is new enough."""
        polled = [i for i in self._inverters if i.known.statistics]
        if not polled or any(i.is_pending for i in polled):
            return
        unknown = [i for i in polled if not i.known.limit_pct]
        for inverter in unknown:  # issue 1427: its lower limit makes it known
            self._post(inverter, 0)
        heard_s = [self._heard_s(i) for i in polled]
        meter = self._world.house.meter
        if unknown or None in heard_s or meter.at_s <= max(s for s in heard_s if s is not None) + self.METER_AFTER_S:
            return
        output_w = sum(i.output_w for i in polled)
        wanted_w = max(min(output_w + round(meter.power_w) - TARGET_W, int(self._cap_w)), 0)
        if wanted_w <= output_w - BAND_W:
            self._reduce(polled, output_w - wanted_w)
        elif wanted_w >= output_w + BAND_W:
            self._increase(polled, wanted_w - output_w)

    def _heard_s(self, inverter: _Inverter) -> float | None:
        """Return when the first statistics after the inverter's last limit came, None when they did not yet."""
        known = inverter.known
        heard_s = self._heard_at_s.get(inverter, -math.inf)
        if heard_s <= known.limit_acked_at_s:
            if known.statistics is None or known.statistics.at_s <= known.limit_acked_at_s:
                return None
            heard_s = self._heard_at_s[inverter] = known.statistics.at_s
        return heard_s

    def _reduce(self, inverters: list[_Inverter], left_w: float) -> None:
        """Take power away, first where most can go."""
        for inverter in sorted(inverters, key=lambda i: i.minimum_w - i.output_w):
            room_w = inverter.output_w - inverter.minimum_w
            if left_w < BAND_W or room_w < BAND_W:
                return
            limit_w = inverter.limit_w - left_w
            self._post(inverter, limit_w)
            left_w -= left_w if limit_w >= inverter.minimum_w else room_w

    def _increase(self, inverters: list[_Inverter], left_w: float) -> None:
        """Add power, first where the limit leaves most room."""
        for inverter in sorted(inverters, key=lambda i: i.limit_w - i.maximum_w):
            room_w = inverter.maximum_w - inverter.limit_w
            if left_w < BAND_W or room_w < BAND_W:
                return
            taken_w = min(left_w, room_w)
            self._post(inverter, inverter.limit_w + taken_w)
            left_w -= taken_w

    @staticmethod
    def _post(inverter: _Inverter, limit_w: float) -> None:
        inverter.post_pct(max(100 * limit_w / inverter.rated_w, inverter.minimum_pct(0.1)))
