"""What OpenDTU answers, of old firmware and new, and a client before it."""

import copy
import dataclasses
import json
from collections.abc import Collection
from typing import Any

import aiohttp

from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.model import InverterStatus
from tests.doubles.fake_device import FakeDevice, Rig

GARAGE, SHED, BALCONY = "116190001234", "114490ab5678", "112180004321"
LIVE = "/api/livedata/status"
SUCCESS = {"type": "success", "message": "Settings saved!", "code": 1001}
TOKEN = "YWRtaW46b3BlbkRUVTQy"  # admin:openDTU42


def leaf(value: object, unit: str, digits: object) -> dict[str, object]:
    return {"v": value, "u": unit, "d": digits}


def header(serial: str, name: str, **more: object) -> dict[str, Any]:
    return {"serial": serial, "name": name, "order": 0, "data_age": 7, "data_age_ms": 7900, "poll_enabled": True,
            "reachable": True, "producing": True, "limit_relative": 100, "limit_absolute": 800, **more}  # fmt: skip


def dc_input(power_w: float, voltage_v: float, current_a: float) -> dict[str, object]:
    return {"name": {"u": "S"}, "Power": leaf(power_w, "W", 1), "Voltage": leaf(voltage_v, "V", 1),
            "Current": leaf(current_a, "A", 2), "YieldDay": leaf(612, "Wh", 0),
            "YieldTotal": leaf(402.1180115, "kWh", 3)}  # fmt: skip


def values() -> dict[str, Any]:
    return {
        "AC": {"0": {"Power": leaf(257.2000122, "W", 1), "Voltage": leaf(233.6000061, "V", 1),
                     "Current": leaf(1.100000024, "A", 2), "Frequency": leaf(50.00999832, "Hz", 2)}},
        "DC": {"0": dc_input(140.6000061, 33.40000153, 4.210000038), "1": dc_input(128.8000031, 33.90000153, 3.799999)},
        "INV": {"0": {"Power DC": leaf(269.4000244, "W", 1), "YieldDay": leaf(1185, "Wh", 0),
                      "YieldTotal": leaf(797.4210205, "kWh", 3), "Temperature": leaf(31.5, "°C", 1),
                      "Efficiency": leaf(95.47142792, "%", 3)}},
        "events": 4,
    }  # fmt: skip


def live_document(*inverters: dict[str, Any], time_sync: object = False) -> dict[str, Any]:
    return {
        "inverters": list(inverters),
        "total": {"Power": leaf(571.4, "W", 1)},
        "hints": {"time_sync": time_sync, "radio_problem": False, "default_password": False},
    }


NEW = {
    LIVE: live_document(header(GARAGE, "Garage"), header(SHED, "Shed")),
    f"{LIVE}?inv={GARAGE}": live_document(header(GARAGE, "Garage", data_age_ms=3410) | values()),
    f"{LIVE}?inv={SHED}": live_document(header(SHED, "Shed") | values()),
}
OLD = {
    LIVE: live_document(
        {
            "serial": BALCONY, "name": "Balcony", "order": 0, "data_age": 4, "poll_enabled": True, "reachable": True,
            "producing": True, "limit_relative": 50, "limit_absolute": 175,
            "AC": {"0": {"Power": leaf(168.3999939, "W", 1), "Voltage": leaf(231.1999969, "V", 1),
                         "Power DC": leaf(176.8000031, "W", 1), "YieldTotal": leaf(233.0549927, "kWh", 3)}},
            "DC": {"0": dc_input(176.8000031, 35.09999847, 5.039999962)},
            "INV": {"0": {"Temperature": leaf(24.29999924, "°C", 1)}},
            "events": 2,
        },
        header(SHED, "Shed") | values(),
    )
}  # fmt: skip
FLAT = {
    LIVE: {
        "inverters": [
            {
                "serial": SHED, "name": "Shed", "data_age": 3, "reachable": True, "producing": True,
                "0": {"Power": leaf(240.5, "W", 1), "Voltage": leaf(230.1000061, "V", 1),
                      "Power DC": leaf(253.1000061, "W", 2), "YieldTotal": leaf(17.03100014, "kWh", 2),
                      "Temperature": leaf(9.600000381, "°C", 1)},
                "1": dc_input(126.5, 52.5, 2.41), "2": dc_input(126.6, 52.5, 2.41), "events": 1,
            }
        ]
    }
}  # fmt: skip
SHED_STATUS = InverterStatus(
    serial=SHED, name="Shed", answered_at_s=1000.0, at_s=1000.0 - 7.9, reachable=True,
    ac_power_w=257.2, ac_voltage_v=233.6, dc_power_w=269.4, dc_voltage_v=33.64, dc_current_a=8.01,
    temperature_c=31.5, yield_total_wh=797421.0,
)  # fmt: skip
LIMITS = {
    GARAGE: {"limit_relative": 21, "max_power": 1500, "limit_set_status": "Ok"},
    SHED: {"limit_relative": 40.5, "max_power": 800, "limit_set_status": "Pending"},
}


class DtuRig(Rig):
    """The client with the DTU behind it."""

    def __init__(self, device: FakeDevice, session: aiohttp.ClientSession) -> None:
        super().__init__(device, session, "openDTU42")
        self.dtu = self.build()

    def build(self, listed: Collection[str] = (GARAGE, SHED), **more: Any) -> OpenDtu:
        self.settings = dataclasses.replace(self.settings, **more)
        self.dtu = OpenDtu(self.settings, self.session, listed, self.clock)
        return self.dtu

    def answer(self, answers: dict[str, Any]) -> None:
        self.device.answers = copy.deepcopy(answers)

    @property
    def command(self) -> object:
        return json.loads(self.device.requests[-1].form["data"])
