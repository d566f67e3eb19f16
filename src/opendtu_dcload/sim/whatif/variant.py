"""The settings that are compared on one load: the user's own, and each of a few others changed by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from opendtu_dcload.model import Priority
from opendtu_dcload.sim.plant.house import InverterModel
from opendtu_dcload.sim.runs.simulated_plant import SimulatedPlant

OWN = "your settings"
TARGET_W = 30.0
"""A grid target that many set, to be sure that nothing is exported."""
BUDGETS = (60, 600)
"""Commands an hour and DTU."""
TRIED_COUNT = 3


@dataclass(frozen=True, slots=True)
class Variant:
    """A plant, and what is different about it."""

    name: str
    plant: SimulatedPlant


def variants_of(plant: SimulatedPlant) -> Iterator[Variant]:
    """Yield the plant as it is, then with one thing changed each time."""
    control = plant.config.control
    yield Variant(OWN, plant)
    target_w = 0.0 if control.target_w == TARGET_W else TARGET_W
    yield Variant(f"grid target {target_w:.0f} W", _with(plant, target_w=target_w))
    for priority in Priority:
        if priority.value != control.priority:
            yield Variant(f"priority {priority}", _with(plant, priority=priority.value))
    for budget in BUDGETS:
        dtus = plant.config.dtus
        if any(dtu.max_commands_per_hour != budget for dtu in dtus):
            changed = tuple(dtu.model_copy(update={"max_commands_per_hour": budget}) for dtu in dtus)
            name = f"{budget} commands an hour" + (" and DTU" if len(dtus) > 1 else "")
            yield Variant(name, replace(plant, config=plant.config.model_copy(update={"dtus": changed})))
    if len(plant.models) > 1:
        yield Variant("the largest inverter alone", _largest_alone(plant))
    else:
        yield Variant(f"{TRIED_COUNT} such inverters", _several(plant))


def _with(plant: SimulatedPlant, **settings: Any) -> SimulatedPlant:
    control = plant.config.control.model_copy(update=settings)
    return replace(plant, config=plant.config.model_copy(update={"control": control}))


def _largest_alone(plant: SimulatedPlant) -> SimulatedPlant:
    place = max(range(len(plant.models)), key=lambda number: plant.models[number].rated_w)
    inverter = plant.config.inverters[place]
    changed = {"inverters": (inverter,), "dtus": (plant.config.dtu_of(inverter),)}
    return replace(plant, models=(plant.models[place],), config=plant.config.model_copy(update=changed))


def _several(plant: SimulatedPlant) -> SimulatedPlant:
    (model,), (inverter,) = plant.models, plant.config.inverters
    serials = [f"{int(model.serial, 16) ^ number:012x}" for number in range(TRIED_COUNT)]
    models: list[InverterModel] = [replace(model, serial=serial) for serial in serials]
    inverters = tuple(inverter.model_copy(update={"serial": serial, "device_instance": None}) for serial in serials)
    return replace(plant, models=tuple(models), config=plant.config.model_copy(update={"inverters": inverters}))
