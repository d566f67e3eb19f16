"""A plant in the state, to be told to a broker, with what a user may set there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from opendtu_dcload.config import Config, parse_config
from opendtu_dcload.control.from_config import freshness_of
from opendtu_dcload.model import (
    Alarm,
    BatteryStatus,
    Cause,
    CommandState,
    DtuStatus,
    InverterPlan,
    InverterStatus,
    LimitStatus,
    MeterReading,
    Plan,
    Reason,
    Severity,
)
from opendtu_dcload.mqtt.mqtt_task import Told
from opendtu_dcload.mqtt.topics import Topics
from opendtu_dcload.state import State
from opendtu_dcload.venus.bus.bus_address import UnixAddress
from opendtu_dcload.venus.gx.gx_controls import Controls, controls_of
from opendtu_dcload.venus.gx.localsettings import LocalSettings
from tests.config.correct_config import SERIAL, table

NOW_S = 1000.0


class ToldPlant:
    """One inverter, a meter and a battery, of which everything is known at `NOW_S`."""

    def __init__(self, **changes: Any) -> None:
        self.config: Config = parse_config(table(**{"mqtt": {"host": "broker"}} | changes))
        self.state = State()
        settings = LocalSettings(UnixAddress("/nowhere"), lambda: NOW_S)
        self.controls: Controls | None = controls_of(self.config, self.state, settings)
        assert self.config.mqtt is not None
        self.topics = Topics.of(self.config.mqtt)
        rules = freshness_of(self.config)
        sources = {inverter.serial: ("opendtu", rules["opendtu"]) for inverter in self.config.inverters}
        self.told = Told(self.config, self.state, self.controls, sources, self.topics)
        self.fill()

    def fill(self) -> None:
        state = self.state
        state.set_meter(MeterReading(NOW_S, 123.4, energy_import_wh=5_000_000.0, energy_export_wh=1234.0))
        state.set_dtu("opendtu", DtuStatus(NOW_S, "v25"))
        state.set_battery(BatteryStatus(NOW_S, soc_pct=63.0, voltage_v=52.1, power_w=-400.0, temperature_c=21.5))
        status = InverterStatus(SERIAL, "Süd", answered_at_s=NOW_S, at_s=NOW_S, reachable=True)
        status = replace(status, ac_power_w=201.26, dc_power_w=212.0, dc_voltage_v=52.0, dc_current_a=4.077)
        state.set_inverters("opendtu", {SERIAL: replace(status, temperature_c=31.0, yield_total_wh=77_000.4)})
        state.set_limits("opendtu", {SERIAL: LimitStatus(SERIAL, NOW_S, 50.0, 400.0, CommandState.OK)})
        state.set_plan(Plan(NOW_S, 200.0, 800.0, Reason.REGULATING, (InverterPlan(SERIAL, 200.0, is_on=True),)))
        state.set_alarms((Alarm(Cause.INVERTER_WARM, SERIAL, Severity.WARNING, "Süd: inverter hot", NOW_S),))


def discovery_of(plant: ToldPlant) -> dict[str, dict[str, Any]]:
    """Return what Home Assistant is told of a plant, by topic."""
    messages = plant.told.messages(NOW_S)
    return {topic: json.loads(message.payload) for topic, message in messages.items() if topic.endswith("/config")}
