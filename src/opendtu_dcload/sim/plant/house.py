"""A house on virtual time: a load that was measured, inverters fed by a battery, and the meter at the grid connection.

Nothing here knows HTTP or the clock: `advance(now_s)` moves everything to a time given by the caller, which may be the
wall clock or a loop that plays a day in seconds. The figures of the inverters are those that users and developers
report for Hoymiles devices: see docs/simulator.md.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from opendtu_dcload.sim.plant.meter_clock import IDEAL, MeterClock, Samples

STEP_S = 0.1
"""Integration step while an output moves; otherwise one step lasts until the next event."""

SETTLED_W = 0.05
MISJUDGED = 2.7
"""Change of output per change of limit where an inverter measures too little: 80 W for 30 W (OpenDTU#1169)."""
WH_PER_WS = 1 / 3600


@dataclass(frozen=True, slots=True)
class InverterModel:
    """How one inverter behaves. The defaults describe an HMS-400."""

    serial: str
    name: str
    rated_w: float = 400.0
    inputs: int = 1
    dead_time_s: float = 2.0
    dead_time_spread: float = 0.3
    """Each command's dead time is drawn evenly from `dead_time_s * (1 +- spread)`."""
    time_constant_s: float = 1.0
    rise_per_s: float = 0.25
    """Fastest rise as a share of rated power; falling is limited by the time constant only."""
    gain: float = 0.985
    """Output / limit above the inaccurate low range."""
    low_range: float = 0.16
    """Limits below this share of rated power come out too low."""
    low_error: float = 0.12
    """How much too low a limit near zero comes out, as a share of it; above, less and less."""
    efficiency: float = 0.95
    power_on_wait_s: float = 60.0
    """Grid-connection wait after power on or restart."""
    persistent_pct: float = 100.0
    """Limit that rules after a restart."""
    connected_inputs: int | None = None
    """Inputs that are connected, None = all; the limit is shared evenly over all, so the others' share is missing."""
    stops_below_w: float = 0.0
    """A lower limit makes it stop altogether."""
    falls_back_after_s: float = math.inf
    """How long after the last temporary limit the persistent one rules again (HMS firmware 2.0.4: 4 to 5 min)."""
    swing_w: float = 0.0
    """How far the output goes up and down around its mean (HMS-1600, four inputs on one source: 100 W,
    github.com/hoylabs/OpenDTU-OnBattery/issues/537)."""
    swing_period_s: float = 20.0
    misjudged_above_w: float = math.inf
    """Above this output it measures less than it gives, and so gives more than its limit: fed with 24 V an HM-300 kept
    to its limit up to 220 W; at one of 249 W it gave 300 W and told 240 W (github.com/tbnobody/OpenDTU/issues/1169)."""
    endured_per_min: float = math.inf
    """After more limits in a minute than this the inverter gives no statistics."""
    sulks_s: float = 120.0
    """How long it then gives none."""

    def steady_w(self, limit_w: float) -> float:
        """Return the output in W that a limit leads to."""
        limit_w = min(limit_w, self.rated_w)
        if limit_w < self.stops_below_w:
            return 0.0
        depth = max(0.0, 1 - limit_w / (self.low_range * self.rated_w))
        share = (self.inputs if self.connected_inputs is None else self.connected_inputs) / self.inputs
        steady_w = share * limit_w * self.gain * (1 - self.low_error * depth)
        if steady_w <= self.misjudged_above_w:
            return steady_w
        return min(steady_w + (MISJUDGED - 1) * (steady_w - self.misjudged_above_w), self.rated_w)

    def measured_w(self, output_w: float) -> float:
        """Return what the inverter itself measures of its output, in W."""
        return output_w - (1 - 1 / MISJUDGED) * max(output_w - self.misjudged_above_w, 0.0)


@dataclass(slots=True)
class Battery:
    """A battery whose voltage sags under load and falls with its charge."""

    capacity_wh: float = 15000.0
    soc: float = 0.9
    empty_v: float = 48.0
    full_v: float = 54.0
    resistance_ohm: float = 0.02

    def voltage_v(self, dc_power_w: float) -> float:
        """Return the terminal voltage under a load in W."""
        open_v = self.empty_v + (self.full_v - self.empty_v) * max(self.soc, 0.0)
        return open_v - self.resistance_ohm * dc_power_w / open_v


class SimInverter:
    """One inverter: takes limits after a dead time, then ramps."""

    def __init__(self, model: InverterModel, rng: random.Random) -> None:
        self.model = model
        self.limit_w = model.rated_w * model.persistent_pct / 100
        self.output_w = 0.0
        self.is_on = True
        self.has_dc = True
        """False: no DC power, so no radio either."""
        self.has_grid = True
        """False: the relay in its cable is open."""
        self.is_in_reach = True
        """False: the radio does not reach it; it goes on feeding at its last limit."""
        self.is_deaf = False
        """True: polls are answered, limits and power commands are not heard, until it restarts."""
        self.is_mute = False
        """True: limits and power commands are heard and acknowledged, polls are not answered
        (github.com/tbnobody/OpenDTU/issues/1771)."""
        self.answers_limits = True
        """False: limits act, but no acknowledgement of one arrives."""
        self.obeys = True
        """False: limits are acknowledged and shown, but the one before goes on ruling, until it restarts."""
        self.held_w = math.inf
        """What its source lets through at most: a hub, an MPPT, another battery; infinity = all."""
        self.reads_back_pct: float | None = None
        """What SystemConfigPara reads back of its limit, in % of rated; None = the limit in force."""
        self.energy_wh = 0.0
        self.temperature_c = 30.0
        self._rng = rng
        self._effects: list[tuple[float, float]] = []
        self._connected_at_s = -math.inf
        self._received_at_s: deque[float] = deque()
        self._silent_until_s = -math.inf

    def receive_limit(self, now_s: float, limit_w: float) -> None:
        """Take a non-persistent limit in W that arrived by radio; it acts after the dead time."""
        if not self.obeys:
            return
        spread = self.model.dead_time_spread
        dead_s = self.model.dead_time_s * (1 + self._rng.uniform(-spread, spread))
        self._effects = [(at_s, w) for at_s, w in self._effects if at_s < now_s + dead_s]
        self._effects.append((now_s + dead_s, limit_w))
        if math.isfinite(self.model.falls_back_after_s):
            persistent_w = self.model.rated_w * self.model.persistent_pct / 100
            self._effects.append((now_s + self.model.falls_back_after_s, persistent_w))
        self._received_at_s.append(now_s)
        while self._received_at_s[0] <= now_s - 60:
            self._received_at_s.popleft()
        if len(self._received_at_s) > self.model.endured_per_min:
            self._silent_until_s = now_s + self.model.sulks_s

    def receive_persistent(self, now_s: float, limit_w: float) -> None:
        """Take a limit that also outlives restarts (and wears the EEPROM)."""
        self.model = replace(self.model, persistent_pct=100 * limit_w / self.model.rated_w)
        self.receive_limit(now_s, limit_w)

    def receive_power(self, now_s: float, *, on: bool) -> None:
        """Switch the output; it stays off for the grid-connection wait after it was off."""
        if on and not self.is_on:
            self._connected_at_s = now_s + self.model.power_on_wait_s
        self.is_on = on

    def impose(self, limit_w: float) -> None:
        """Let a limit rule from now on that nobody knows of, such as an older one or another controller's."""
        self._effects.clear()
        self.limit_w = limit_w

    def restart(self, now_s: float) -> None:
        """Restart: the temporary limit is lost, no output until the grid wait is over; it hears and obeys again."""
        self.impose(self.model.rated_w * self.model.persistent_pct / 100)
        self.is_deaf = False
        self.obeys = True
        self.output_w = 0.0
        self._connected_at_s = now_s + self.model.power_on_wait_s

    def set_dc(self, now_s: float, *, on: bool) -> None:
        """Take the battery away or give it back; back, the inverter restarts, switched on."""
        if on and not self.has_dc:
            self.restart(now_s)
            self.is_on = True
        self.has_dc = on

    def set_grid(self, now_s: float, *, on: bool) -> None:
        """Open or close the cable to the grid; it waits for the grid each time."""
        if on and not self.has_grid:
            self._connected_at_s = now_s + self.model.power_on_wait_s
        self.has_grid = on

    def answers_statistics(self, now_s: float) -> bool:
        """Tell whether it answers a poll: not after too many limits."""
        return not self.is_mute and now_s >= self._silent_until_s

    @property
    def limit_in_force_pct(self) -> float:
        """The limit that rules now, in % of rated."""
        return 100 * self.limit_w / self.model.rated_w

    @property
    def final_limit_w(self) -> float:
        """The limit that rules when every one that has arrived took effect."""
        return self._effects[-1][1] if self._effects else self.limit_w

    def is_settled(self, now_s: float) -> bool:
        """Tell whether the output stays as it is until the next event."""
        return not self.model.swing_w and abs(self._aim_w(now_s) - self.output_w) < SETTLED_W

    def next_event_s(self, now_s: float) -> float:
        """Return when a limit takes effect or the grid wait ends; infinity for never."""
        effect_s = self._effects[0][0] if self._effects else math.inf
        return min(effect_s, self._connected_at_s) if self._connected_at_s > now_s else effect_s

    def advance(self, now_s: float, dt_s: float) -> None:
        """Move the output from `now_s` by `dt_s`."""
        while self._effects and self._effects[0][0] <= now_s + 1e-9:
            self.limit_w = self._effects.pop(0)[1]
        aim_w = self._aim_w(now_s)
        change_w = aim_w - self.output_w
        if abs(change_w) < SETTLED_W:
            self.output_w = aim_w
        elif not (self.is_on and self.has_dc and self.has_grid):
            self.output_w = 0.0
        else:
            change_w *= 1 - math.exp(-dt_s / self.model.time_constant_s)
            self.output_w += min(change_w, self.model.rise_per_s * self.model.rated_w * dt_s)
        self.energy_wh += self.output_w * dt_s * WH_PER_WS

    def _aim_w(self, now_s: float) -> float:
        if not (self.is_on and self.has_dc and self.has_grid) or now_s < self._connected_at_s - 1e-9:
            return 0.0
        aim_w = min(self.model.steady_w(self.limit_w), self.held_w)
        if self.model.swing_w and aim_w > 0:
            phase = 2 * math.pi * now_s / self.model.swing_period_s
            aim_w = min(max(0.0, aim_w + self.model.swing_w * math.sin(phase)), self.model.rated_w)
        return aim_w


@dataclass(slots=True)
class Energy:
    """What crossed the grid connection, in Wh."""

    imported_wh: float = 0.0
    exported_wh: float = 0.0
    given_away_wh: float = 0.0
    """What of the export came from the inverters: solar surplus of the house's own would be exported without them."""
    avoidable_wh: float = 0.0
    """Imported although the inverters had room below the cap."""

    @property
    def waste_wh(self) -> float:
        """Energy given away is lost for good, avoidable import only postponed: so it counts twice."""
        return 2 * self.given_away_wh + self.avoidable_wh


@dataclass(slots=True)
class MeterSample:
    """What the meter at the grid connection shows: the mean since the sample before, a second."""

    at_s: float = 0.0
    power_w: float = 0.0
    output_w: float = 0.0
    """What the inverters gave in that second: a meter that does not see them shows `power_w + output_w`."""


@dataclass
class House:
    """Load, inverters, battery and meter, moved by `advance`."""

    load_w: Sequence[float]
    """House load in W, one value per second; the last one holds on. Negative: panels of the house's own give more."""
    models: Sequence[InverterModel]
    seed: int = 1
    cap_w: float = math.inf
    """Legal cap on the sum of the outputs; what lies above it is not avoidable import."""
    start_s: float = 0.0
    meter_clock: MeterClock = IDEAL
    battery: Battery = field(default_factory=Battery)
    energy: Energy = field(default_factory=Energy)
    watchers: list[Callable[[MeterSample, float], None]] = field(default_factory=list)
    """Called with each sample of the meter and the seconds it covers."""

    def __post_init__(self) -> None:
        rng = random.Random(self.seed)
        self.inverters = {m.serial: SimInverter(m, random.Random(rng.random())) for m in self.models}
        self.now_s = self.start_s
        self.meter = MeterSample(self.start_s, self.load_at(self.start_s))
        self._next_sample_s = self.start_s + rng.random()
        self._samples = Samples(self.meter_clock, self._next_sample_s, random.Random(f"samples {self.seed}"))
        self._grid_ws = 0.0
        self._sampled_ws = 0.0
        self._sampled_wh = 0.0
        self._room_w = min(self.cap_w, sum(m.rated_w * m.gain for m in self.models))

    @property
    def output_w(self) -> float:
        """Sum of the inverters' AC output now, in W."""
        return sum(i.output_w for i in self.inverters.values())

    @property
    def dc_power_w(self) -> float:
        """What the inverters draw from the battery now, in W."""
        return sum(i.output_w / i.model.efficiency for i in self.inverters.values())

    @property
    def grid_w(self) -> float:
        """Grid power now, in W, import positive."""
        return self.load_at(self.now_s) - self.output_w

    @property
    def next_sample_s(self) -> float:
        """Return when the meter refreshes next."""
        return self._next_sample_s

    def load_at(self, now_s: float) -> float:
        """Return the house load at a time, in W."""
        index = int(now_s - self.start_s + 1e-9)
        return self.load_w[min(max(index, 0), len(self.load_w) - 1)]

    def advance(self, now_s: float) -> None:
        """Move everything to `now_s`; a time in the past is left alone."""
        while self.now_s < now_s - 1e-9:
            self._segment(min(now_s, self._next_sample_s))
            if self.now_s >= self._next_sample_s - 1e-9:
                self._sample()
                self._next_sample_s = self._samples.after(self.now_s)

    def _sample(self) -> None:
        elapsed_s = max(self.now_s - self.meter.at_s, 1e-6)
        energy_wh = sum(i.energy_wh for i in self.inverters.values())
        self.meter = MeterSample(
            at_s=self.now_s,
            power_w=(self._grid_ws - self._sampled_ws) / elapsed_s,
            output_w=(energy_wh - self._sampled_wh) / WH_PER_WS / elapsed_s,
        )
        self._sampled_ws = self._grid_ws
        self._sampled_wh = energy_wh
        for watch in self.watchers:
            watch(self.meter, elapsed_s)

    def _segment(self, until_s: float) -> None:
        inverters = list(self.inverters.values())
        second_s = self.start_s + math.floor(self.now_s - self.start_s + 1e-6) + 1
        until_s = min(until_s, second_s)
        for inverter in inverters:
            event_s = inverter.next_event_s(self.now_s)
            if event_s > self.now_s + 1e-9:
                until_s = min(until_s, event_s)
            if event_s <= self.now_s + 1e-9 or not inverter.is_settled(self.now_s):
                until_s = min(until_s, self.now_s + STEP_S)
        dt_s = until_s - self.now_s
        for inverter in inverters:
            inverter.advance(self.now_s, dt_s)
        output_w = sum(i.output_w for i in inverters)
        grid_w = self.load_at(self.now_s) - output_w
        self._account(grid_w, output_w, dt_s)
        self.battery.soc -= output_w / 0.95 * dt_s * WH_PER_WS / self.battery.capacity_wh
        self.now_s = until_s

    def _account(self, grid_w: float, output_w: float, dt_s: float) -> None:
        self._grid_ws += grid_w * dt_s
        wh = grid_w * dt_s * WH_PER_WS
        if grid_w < 0:
            self.energy.exported_wh -= wh
            self.energy.given_away_wh += min(-grid_w, output_w) * dt_s * WH_PER_WS
            return
        self.energy.imported_wh += wh
        self.energy.avoidable_wh += min(grid_w, max(0.0, self._room_w - output_w)) * dt_s * WH_PER_WS
