"""What is played: inverters, their DTUs and a configuration, the default one or a user's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import SecretStr

from opendtu_dcload.config import Config, InverterConfig
from opendtu_dcload.config.schema import BatteryConfig
from opendtu_dcload.control.from_config import parameters_of
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.devices.hoymiles import UNKNOWN, family_of
from opendtu_dcload.errors import ConfigError
from opendtu_dcload.sim.plant.house import Battery, House, InverterModel
from opendtu_dcload.sim.plant.meter_clock import uneven_clock
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.played import METER, PASSWORD, host_of
from opendtu_dcload.sim.runs.program import plant_config
from opendtu_dcload.sim.runs.score import IDEAL_LAG_S

SIM_MINIMUM_W = 20.0
ASSUMED_INPUT_W = 400.0
"""Rated power per DC input where nobody tells it: neither a serial number nor config.toml does."""
SLOW_DEAD_TIME_S, SLOW_TIME_CONSTANT_S = 6.0, 2.5
"""How an inverter behaves that hears the 2.4 GHz radio: as those of the bench."""
SLOW_LAG_S = 8.5
"""J0 of a plant with such inverters, see `score.IDEAL_LAG_S`."""
ABOVE_FLOOR = 1.15
"""The battery's voltage, as a multiple of the configured floor: what is played never comes near it."""
ENDLESS_WH = 1e9


@dataclass(frozen=True, slots=True)
class SimulatedPlant:
    """Inverters, and a configuration whose addresses are those of simulated devices."""

    models: tuple[InverterModel, ...]
    config: Config
    battery: Battery | None = None
    """None = the house's own."""

    @property
    def cap_w(self) -> float:
        """What the inverters may give together."""
        return min(self.config.control.max_feed_in_w, sum(unit.maximum_w for unit in self._units))

    @property
    def minimum_w(self) -> float:
        """What the inverters give together at their lowest limits."""
        return sum(unit.minimum_w for unit in self._units)

    @property
    def lag_s(self) -> float:
        """The lag of the ideal plant J0."""
        return max(SLOW_LAG_S if _is_slow(model.serial) else IDEAL_LAG_S for model in self.models)

    @property
    def _units(self) -> list[InverterParameters]:
        inverters = zip(self.config.inverters, self.models, strict=True)
        return [parameters_of(i, self.config.dtu_of(i).name, m.rated_w) for i, m in inverters]

    def world(self, load_w: Sequence[float], seed: int) -> World:
        """Return house and DTUs at time 0; the seed sets the meter's clock, lost packets and dead times."""
        house = House(load_w, self.models, seed=seed, cap_w=self.cap_w, meter_clock=uneven_clock(seed))
        if self.battery is not None:
            house.battery = replace(self.battery)
        config = self.config
        return World(
            house,
            [
                SimDtu(
                    house,
                    name=dtu.name,
                    serials=config.serials_of(dtu),
                    poll_interval_s=dtu.poll_interval_s,
                    seed=seed + number,
                )
                for number, dtu in enumerate(config.dtus)
            ],
        )


def default_models(count: int = 3) -> list[InverterModel]:
    """Return the plant of demo and simulation: HMS-400 inverters."""
    return [InverterModel(f"1124a000000{n}", f"HMS {n}") for n in range(1, count + 1)]


def default_plant() -> SimulatedPlant:
    """Return three HMS-400 that may give all they can."""
    models = default_models()
    house = House([0.0], models)
    cap_w = sum(model.rated_w for model in models)
    config = plant_config(World(house, [SimDtu(house)]), minimum_w=SIM_MINIMUM_W, cap_w=cap_w)
    return SimulatedPlant(tuple(models), config)


def own_plant(config: Config, rated_w: Sequence[float] = ()) -> SimulatedPlant:
    """Return the plant of a configuration, with a battery that never gets empty.

    Args:
        config: as the service reads it; what it says of addresses, plug-in solar, SoC and relay plays no part.
        rated_w: of each inverter in the order of the file; none = they are assumed.

    Raises:
        ConfigError: it lists no inverter, or another number of rated powers.
    """
    if config.is_read_only:
        raise ConfigError(["config.toml lists no inverter, so there is nothing to play; add one as [[inverter]]"])
    if rated_w and len(rated_w) != len(config.inverters):
        listed = len(config.inverters)
        raise ConfigError(
            [f"--rated: {len(rated_w)} powers for {listed} inverters; write one for each, in their order"]
        )
    powers_w = rated_w or [assumed_w(inverter) for inverter in config.inverters]
    models = [
        _model(number, *pair) for number, pair in enumerate(zip(config.inverters, powers_w, strict=True), start=1)
    ]
    floor_v = config.battery.min_voltage_v or 40.0
    volts = ABOVE_FLOOR * floor_v
    return SimulatedPlant(
        tuple(models), simulated(config), Battery(ENDLESS_WH, empty_v=volts, full_v=volts, resistance_ohm=0.0)
    )


def assumed_w(inverter: InverterConfig) -> float:
    """Return the rated power in W that an inverter is taken to have when nobody tells it."""
    return max(ASSUMED_INPUT_W * family_of(inverter.serial).inputs, inverter.max_power_w or 0.0)


def simulated(config: Config) -> Config:
    """Return a configuration with the simulated devices in the place of the real ones."""
    here = {"user": "admin", "password_file": None, "password_env": None}
    meter = {"source": "shelly", "host": METER, "channel": None, "invert": False, "password": None, **here}
    password = SecretStr(PASSWORD)
    dtus = [dtu.model_copy(update={"host": host_of(dtu.name), "password": password, **here}) for dtu in config.dtus]
    return config.model_copy(
        update={
            "meter": config.meter.model_copy(update=meter),
            "dtus": tuple(dtus),
            "battery": BatteryConfig(min_voltage_v=config.battery.min_voltage_v),
            "solar": None,
            "relay": None,
            "dbus": config.dbus.model_copy(update={"enabled": False}),
        }
    )


def _model(number: int, inverter: InverterConfig, rated_w: float) -> InverterModel:
    name = inverter.name or f"inverter {number}"
    model = InverterModel(inverter.serial, name, rated_w, family_of(inverter.serial).inputs)
    if not _is_slow(inverter.serial):
        return model
    return replace(model, dead_time_s=SLOW_DEAD_TIME_S, time_constant_s=SLOW_TIME_CONSTANT_S)


def _is_slow(serial: str) -> bool:
    family = family_of(serial)
    return family is UNKNOWN or family.chip == "NRF"
