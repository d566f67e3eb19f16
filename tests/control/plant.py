"""The real controller against the real simulator, with every command looked at as it goes out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from opendtu_dcload.control.controller import Controller, Decision, Seen, Settings
from opendtu_dcload.control.output import Unit
from opendtu_dcload.control.policy import Command, SetLimit, SetPower
from opendtu_dcload.devices.hoymiles import family_of
from opendtu_dcload.model import Reason
from opendtu_dcload.sim.dtu import SimDtu
from opendtu_dcload.sim.house import House, InverterModel
from opendtu_dcload.sim.simulate import Run, unit_of
from opendtu_dcload.sim.world import World

SAME_VALUE_S = 60.0
HOLD_S = 5.0
SLACK_W = 0.11
"""A limit's resolution on the way to the inverter is 0.1 W."""


@dataclass(frozen=True)
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


@dataclass
class Watch:
    """What was found wrong, by kind."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def note(self, kind: str, text: str) -> None:
        self.found.setdefault(kind, []).append(text)


class WatchedController(Controller):
    """The controller, and an eye on each command that it reports as sent."""

    def __init__(self, settings: Settings, units: list[Unit], now_s: float) -> None:
        super().__init__(settings, units, now_s)
        self.sent: list[Sent] = []
        self.watch = Watch()
        self.decision: Decision | None = None
        self._age_s = math.inf
        self._value_at: dict[str, tuple[float, float]] = {}

    def step(self, seen: Seen) -> Decision:
        self._age_s = self._meter_age_s(seen)
        decision = super().step(seen)
        self.decision = decision
        plan = decision.plan
        numbers = [plan.at_s, plan.setpoint_w, plan.cap_w, *(i.limit_w for i in plan.inverters)]
        if not all(math.isfinite(n) for n in numbers) or not isinstance(plan.reason, Reason):
            self.watch.note("plan", f"{plan}")
        return decision

    def posted(self, command: Command, now_s: float) -> None:
        assert self.decision is not None
        track = self.tracks[command.serial]
        wanted_w = track.wanted_w
        before_w = self.possible_w()
        super().posted(command, now_s)
        sent = Sent(now_s, command, self._age_s, before_w, self.possible_w(), wanted_w, self.decision.plan.reason)
        self.sent.append(sent)
        self._look(sent, track.unit)

    def possible_w(self) -> float:
        return sum(t.highest_w for t in self.tracks.values())

    def _look(self, sent: Sent, unit: Unit) -> None:
        where = f"t={sent.at_s:.1f} {sent.command} ({sent.reason})"
        cap_w = self.settings.max_feed_in_w
        if sent.after_w > max(cap_w, sent.before_w) + SLACK_W:
            self.watch.note("cap", f"{where}: possible {sent.before_w:.0f} -> {sent.after_w:.0f} W, cap {cap_w:.0f} W")
        if not isinstance(sent.command, SetLimit):
            if sent.command.on and sent.meter_age_s > HOLD_S:
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


@dataclass
class Plant:
    """A run on virtual time with short hands for what happens to it."""

    house: House
    dtus: list[SimDtu]
    controller: WatchedController
    run: Run
    grid_w: list[tuple[float, float]] = field(default_factory=list)
    """(s, W) as the true meter showed it."""

    @property
    def dtu(self) -> SimDtu:
        (dtu,) = self.dtus
        return dtu

    @property
    def now_s(self) -> float:
        return self.house.now_s

    @property
    def reason(self) -> Reason:
        assert self.controller.decision is not None
        return self.controller.decision.plan.reason

    @property
    def in_force_w(self) -> float:
        """The true sum of the limits that rule now."""
        return sum(min(i.limit_w, i.model.rated_w) for i in self.house.inverters.values() if i.has_dc and i.is_on)

    def until(self, until_s: float, each: Callable[[], None] | None = None) -> None:
        while self.house.now_s < until_s:
            self.run.step()
            self.grid_w.append((self.house.now_s, self.house.meter.power_w))
            if each is not None:
                each()

    def set_limits(self, limits_w: list[float]) -> None:
        """Let limits rule that the DTU knows as acknowledged."""
        for (serial, inverter), limit_w in zip(self.house.inverters.items(), limits_w, strict=True):
            rated_w = inverter.model.rated_w
            inverter.limit_w = limit_w
            inverter.output_w = limit_w * inverter.model.gain
            believed = self.run.world.dtu_of(serial).believed[serial]
            believed.limit_pct = round(1000 * limit_w / rated_w) / 10
            believed.rated_w = rated_w

    def limits(self, since_s: float = 0.0) -> list[Sent]:
        return [s for s in self.controller.sent if isinstance(s.command, SetLimit) and s.at_s >= since_s]

    def powers(self, since_s: float = 0.0) -> list[Sent]:
        return [s for s in self.controller.sent if isinstance(s.command, SetPower) and s.at_s >= since_s]


def serials(count: int, prefix: str = "1124") -> list[str]:
    return [f"{prefix}a000000{n}" for n in range(1, count + 1)]


def models_of(count: int = 3, prefix: str = "1124", **options: float) -> list[InverterModel]:
    return [
        replace(InverterModel(serial, serial, power_on_wait_s=20.0), **options)  # type: ignore[arg-type] # mixed fields
        for serial in serials(count, prefix)
    ]


def make_plant(
    load_w: list[float],
    models: list[InverterModel] | None = None,
    *,
    settings: Settings | None = None,
    units: list[Unit] | None = None,
    seed: int = 1,
    loss: float = 0.0,
    poll_interval_s: float = 5.0,
    is_warm: bool = False,
    dtu_names: Sequence[str] = ("opendtu",),
) -> Plant:
    """A plant at time 0; `is_warm`: the DTUs know their inverters, and all limits are at their minimum.

    The inverters belong to the DTUs in turn.
    """
    models = models_of() if models is None else models
    settings = settings or Settings(max_feed_in_w=sum(m.rated_w for m in models))
    units = units or [unit_of(m) for m in models]
    for number, unit in enumerate(units):
        name = dtu_names[number % len(dtu_names)]
        units[number] = replace(unit, dtu=name, radio=f"{name}/{family_of(unit.serial).chip}")
    house = House(load_w, models, seed=seed, cap_w=settings.max_feed_in_w)
    dtus = [
        SimDtu(
            house,
            name=name,
            serials=[unit.serial for unit in units if unit.dtu == name],
            loss=loss,
            poll_interval_s=poll_interval_s,
            seed=seed + number,
        )
        for number, name in enumerate(dtu_names)
    ]
    controller = WatchedController(settings, units, 0.0)
    plant = Plant(house, dtus, controller, Run(World(house, dtus), controller))
    if is_warm:
        plant.set_limits([unit.minimum_w for unit in units])
    return plant
