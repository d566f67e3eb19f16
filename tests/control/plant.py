"""The real controller against the real simulator, with every command looked at as it goes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from opendtu_dcload.control.commands.command_policy import SetLimit, SetPower
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.devices.hoymiles import family_of
from opendtu_dcload.model import Reason
from opendtu_dcload.sim.plant.house import House, InverterModel
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.controller_alone import Run, unit_of
from opendtu_dcload.sim.runs.invariants import InvariantChecker, Sent


@dataclass
class Plant:
    """A run on virtual time with short hands for what happens to it."""

    house: House
    dtus: list[SimDtu]
    controller: InvariantChecker
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
            self.run.advance_second()
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
    units: list[InverterParameters] | None = None,
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
    controller = InvariantChecker(settings, units, 0.0)
    plant = Plant(house, dtus, controller, Run(World(house, dtus), controller))
    if is_warm:
        plant.set_limits([unit.minimum_w for unit in units])
    return plant
