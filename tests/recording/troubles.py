"""What goes wrong in a recorded plant, second by second."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TextIO

from opendtu_dcload.control.commands.command_policy import Command
from opendtu_dcload.control.dtu_settings import DtuSettings
from opendtu_dcload.control.overrides import with_overrides
from opendtu_dcload.control.protection.battery_guard import BatteryLimits
from opendtu_dcload.control.protection.plant_guard import ExternalInputs, GuardSettings
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import BatteryStatus, MultiplusStatus, Priority, RelayStatus, SolarReading, UserOverrides
from opendtu_dcload.recording.recorder import RecordedController
from opendtu_dcload.sim.bench.bench_plants import PLANTS
from opendtu_dcload.sim.bench.cases import CASES
from opendtu_dcload.sim.runs.controller_alone import Run, unit_of
from opendtu_dcload.sim.runs.trace import load_trace
from opendtu_dcload.tallies import Outcome


@dataclass(frozen=True)
class Trouble:
    """One plant, its load and settings, and what happens when."""

    name: str
    plant: str
    load_w: Sequence[float]
    settings: Settings
    script: Mapping[float, Callable[[TroubledPlant], object]]
    lasts_s: float
    leaves_off: bool = False


class TroubledPlant:
    """A plant with short hands for what happens to it."""

    def __init__(self, trouble: Trouble, sink: TextIO) -> None:
        plant = PLANTS[trouble.plant]
        self.world = plant.world(list(trouble.load_w), seed=7)
        self.settings = trouble.settings
        self.wishes = UserOverrides()
        self.beside = ExternalInputs()
        models = self.world.house.models
        units = [unit_of(model, plant.minimum_w, self.world.dtu_of(model.serial).name) for model in models]
        self.controller = RecordedController(sink, self.settings, units, 0.0)
        self.run = Troubled(self.world, self.controller)
        self.run.answers_after_s = 0.125
        self.run.external = self._told
        self.serials = [model.serial for model in models]

    @property
    def now_s(self) -> float:
        return self.world.house.now_s

    def _told(self, now_s: float) -> ExternalInputs:
        """Return what stands beside the plant, told now."""
        told = {
            name: replace(value, at_s=now_s)
            for name in ("battery", "multiplus", "solar", "relay")
            if (value := getattr(self.beside, name)) is not None
        }
        return ExternalInputs(**told)

    def wish(self, **changes: object) -> None:
        self.wishes = replace(self.wishes, **changes)  # type: ignore[arg-type] # mixed fields
        self.controller.settings = with_overrides(self.settings, self.wishes)

    def tell(self, **changes: object) -> None:
        self.beside = replace(self.beside, **changes)  # type: ignore[arg-type] # mixed fields

    def set_inverter(self, number: int, **changes: object) -> None:
        for name, value in changes.items():
            setattr(self.world.house.inverters[self.serials[number]], name, value)

    def set_dtu(self, number: int = 0, **changes: object) -> None:
        for name, value in changes.items():
            setattr(self.world.dtus[number], name, value)

    def silence(self, *numbers: int) -> None:
        self.run.silent = {self.world.dtus[number].name for number in numbers}

    def set_meter(self, **changes: object) -> None:
        for name, value in changes.items():
            setattr(self.run.meter, name, value)


class Troubled(Run):
    """A run whose DTUs also answer POSTs late or decline them, and refuse the password."""

    refuses = False
    is_locked = False

    def _poll(self, dtu, now_s):
        super()._poll(dtu, now_s)
        told = self._dtus[dtu.name]
        self._dtus[dtu.name] = replace(told, uptime_s=now_s, round_s=15.0, accepts_password=not self.is_locked)

    def _send(self, command: Command) -> Outcome:
        return Outcome.DECLINED if self.refuses else super()._send(command)


def play(trouble: Trouble, sink: TextIO) -> None:
    """Let everything happen; `sink` gets the recording."""
    plant = TroubledPlant(trouble, sink)
    script = sorted(trouble.script.items())
    while plant.now_s < trouble.lasts_s:
        while script and script[0][0] <= plant.now_s:
            script.pop(0)[1](plant)
        plant.run.advance_second()
    plant.controller.leave(off=trouble.leaves_off, asked=True)


def _hms() -> Trouble:
    """Three HMS; a voltage floor, and a user who changes everything on the GX."""
    settings = Settings(
        max_feed_in_w=800.0, min_voltage_v=49.0, guards=GuardSettings(BatteryLimits(resistance_ohm=0.01))
    )
    script = {
        100.0: lambda p: p.set_dtu(loss=0.4),
        160.0: lambda p: p.set_dtu(loss=0.02),
        200.0: lambda p: setattr(p.run, "has_meter", False),
        245.0: lambda p: setattr(p.run, "has_meter", True),
        330.0: lambda p: p.set_inverter(1, is_in_reach=False),
        420.0: lambda p: p.set_inverter(1, is_in_reach=True),
        480.0: lambda p: p.silence(0),
        520.0: lambda p: p.silence(),
        560.0: lambda p: setattr(p.run, "refuses", True),
        575.0: lambda p: setattr(p.run, "refuses", False),
        600.0: lambda p: p.wish(target_w=-60.0, max_feed_in_w=500.0),
        660.0: lambda p: p.wish(switched_off=frozenset({p.serials[2]})),
        720.0: lambda p: p.wish(is_regulating=False),
        750.0: lambda p: p.wish(is_regulating=True, switched_off=frozenset(), target_w=None, max_feed_in_w=None),
        840.0: lambda p: p.set_meter(is_frozen=True),
        930.0: lambda p: p.set_meter(is_frozen=False),
        960.0: lambda p: p.set_inverter(0, temperature_c=72.0),
        1040.0: lambda p: p.set_inverter(0, temperature_c=40.0),
        1070.0: lambda p: p.world.dtus[0].post_limit(p.serials[1], 0, 350.0),
        1100.0: lambda p: p.world.dtus[0].post_limit(p.serials[1], 0, 330.0),
        1125.0: lambda p: p.world.house.inverters[p.serials[1]].impose(390.0),
        1150.0: lambda p: setattr(p.run, "is_locked", True),
        1170.0: lambda p: setattr(p.run, "is_locked", False),
        1200.0: lambda p: setattr(p.world.house.battery, "soc", 0.1),
        1300.0: lambda p: setattr(p.world.house.battery, "soc", 0.9),
    }
    return Trouble("hms", "hms", load_trace("cassandra_1hz_3600")[600:], settings, script, 1500.0)


def _hm() -> Trouble:
    """Three slow HM; a SoC, a BMS that refuses, an inverter that must be restarted, standby, a long outage."""
    settings = Settings(
        target_w=20.0,
        max_feed_in_w=1100.0,
        base_load_w=150.0,
        priority=Priority.NO_EXPORT,
        may_rest=True,
        guards=GuardSettings(
            BatteryLimits(min_soc_pct=20.0, min_cell_voltage_v=3.0), is_seasonal=True, seasonal_highest_pct=95.0
        ),
        dtus={"dtu0": DtuSettings(stale_after_s=35.0, max_commands_per_hour=120)},
    )
    full = BatteryStatus(0.0, "battery", 60.0, 52.0, -5.0, -260.0, 21.0, 3.3, 80.0, may_discharge=True)
    script = {
        0.0: lambda p: p.tell(battery=full),
        60.0: lambda p: p.set_inverter(2, obeys=False),
        120.0: lambda p: p.set_dtu(loss=0.3),
        200.0: lambda p: p.set_dtu(loss=0.02),
        240.0: lambda p: setattr(p.run, "has_meter", False),
        320.0: lambda p: setattr(p.run, "has_meter", True),
        420.0: lambda p: p.world.dtus[0].boot(),
        500.0: lambda p: p.tell(battery=replace(full, max_discharge_current_a=6.0)),
        560.0: lambda p: p.tell(battery=replace(full, soc_pct=21.0)),
        620.0: lambda p: p.tell(battery=replace(full, soc_pct=18.0)),
        720.0: lambda p: p.tell(battery=full),
        1000.0: lambda p: p.tell(battery=replace(full, alarms=("/Alarms/LowVoltage",))),
        1020.0: lambda p: p.tell(battery=full),
        1140.0: lambda p: p.set_dtu(commands_enabled=False),
        1290.0: lambda p: p.set_dtu(commands_enabled=True),
        1300.0: lambda p: p.silence(0),
        1340.0: lambda p: p.silence(),
        1380.0: lambda p: p.set_inverter(0, is_in_reach=False),
        1470.0: lambda p: p.set_inverter(0, is_in_reach=True),
        1500.0: lambda p: p.wish(highest_soc_pct=70.0, target_w=0.0),
        1560.0: lambda p: p.set_meter(sign=-1),
        1700.0: lambda p: p.set_meter(sign=1),
    }
    return Trouble("hm", "hm", load_trace("ukdale_h3_2013-03-28_66000")[900:], settings, script, 1900.0)


def _mixed() -> Trouble:
    """HMS of three sizes on two DTUs; a MultiPlus, solar, a relay, surplus, and a DTU that must be rebooted."""
    settings = Settings(
        max_feed_in_w=2700.0,
        priority=Priority.NO_IMPORT,
        guards=GuardSettings(surplus_soc_pct=90.0, surplus_w=120.0, solar_pessimistic_w=500.0),
        dtus={"dtu0": DtuSettings(), "dtu1": DtuSettings(stale_after_s=20.0, silent_s=25.0)},
    )
    full = BatteryStatus(0.0, "battery", 80.0, 53.0, 2.0, 106.0)
    script = {
        0.0: lambda p: p.tell(battery=full, solar=SolarReading(0.0, 320.0), relay=RelayStatus(0.0, is_on=True)),
        40.0: lambda p: p.tell(multiplus=MultiplusStatus(0.0, "vebus", 0.0)),
        120.0: lambda p: p.tell(multiplus=MultiplusStatus(0.0, "vebus", 400.0, 30.0)),
        160.0: lambda p: p.tell(multiplus=MultiplusStatus(0.0, "vebus", 0.0, 30.0)),
        280.0: lambda p: p.set_dtu(1, radio_hangs=True),
        400.0: lambda p: setattr(p.run, "has_meter", False),
        470.0: lambda p: setattr(p.run, "has_meter", True),
        560.0: lambda p: p.tell(battery=replace(full, soc_pct=93.0)),
        640.0: lambda p: p.tell(battery=full, solar=SolarReading(0.0, 700.0)),
        700.0: lambda p: p.tell(relay=RelayStatus(0.0, is_on=False)),
        740.0: lambda p: p.tell(relay=RelayStatus(0.0, is_on=True, has_timer=True)),
        820.0: lambda p: p.set_inverter(0, held_w=300.0),
        960.0: lambda p: p.set_inverter(0, held_w=math.inf),
        1000.0: lambda p: p.silence(0),
        1030.0: lambda p: p.silence(),
        1100.0: lambda p: p.set_dtu(0, loss=0.4),
        1180.0: lambda p: p.set_dtu(0, loss=0.02),
        1240.0: lambda p: p.tell(battery=replace(full, is_frozen=True)),
        1300.0: lambda p: p.tell(battery=None, multiplus=None, solar=None),
        1400.0: lambda p: p.wish(max_feed_in_w=2000.0, surplus_soc_pct=85.0),
        1500.0: lambda p: p.set_meter(sees_inverters=False),
        1600.0: lambda p: p.set_meter(sees_inverters=True),
        1640.0: lambda p: setattr(p.run, "has_meter", False),
        1960.0: lambda p: setattr(p.run, "has_meter", True),
        2180.0: lambda p: p.set_dtu(0, is_polling=False),
        2230.0: lambda p: p.set_dtu(0, is_polling=True),
    }
    return Trouble(
        "mixed", "mixed", load_trace("ukdale_h1_2013-04-15_64200")[300:], settings, script, 2300.0, leaves_off=True
    )


def _restless() -> Trouble:
    """Nothing goes wrong, but the load changes all the time."""
    return Trouble("restless", "hms", CASES["levels"].load_w(3), Settings(max_feed_in_w=1200.0), {}, 1000.0)


TROUBLES = (_hms(), _hm(), _mixed(), _restless())
