"""What Shellies answer, in the shapes of the vendor's documentation, and a meter before them."""

import copy
import dataclasses
from typing import Any

from opendtu_dcload.devices.shelly.shelly_meter import ShellyMeter
from tests.doubles.fake_device import Rig

MAC = "A0DD6C112233"


THREE_EM = {
    "/shelly": {
        "type": "SHEM-3",
        "mac": "C45BBE5F0A11",
        "auth": False,
        "fw": "20230913-114244/v1.14.0-gcb84623",
        "num_outputs": 1,
        "num_meters": 0,
        "num_emeters": 3,
    },
    "/status": {
        "emeters": [
            {"power": 212.37, "pf": 0.81, "current": 1.12, "voltage": 233.1, "is_valid": True,
             "total": 1000.5, "total_returned": 10.0},
            {"power": -385.02, "pf": -0.97, "current": 1.71, "voltage": 232.4, "is_valid": True,
             "total": 2000.0, "total_returned": 400.0},
            {"power": 64.8, "pf": 0.55, "current": 0.50, "voltage": 234.0, "is_valid": True,
             "total": 3000.0, "total_returned": 0.0},
        ],
        "total_power": -107.86,
        "uptime": 523411,
    },
}  # fmt: skip
THREE_EM["/emeter/1"] = THREE_EM["/status"]["emeters"][1]  # type: ignore[index] # a literal's values are not all lists
EM: dict[str, Any] = {
    "/shelly": {"type": "SHEM", "mac": MAC, "auth": False, "fw": "v1.14.0", "num_emeters": 2, "name": "Grid"},
    "/emeter/0": {"power": -119.73, "reactive": 171.9, "pf": -0.57, "voltage": 230.82, "is_valid": True,
                  "total": 702113.6, "total_returned": 95422.1},
    "/emeter/1": {"power": 341.2, "reactive": -20.4, "pf": 1.0, "voltage": 230.82, "is_valid": True,
                  "total": 0.0, "total_returned": 1240.5},
}  # fmt: skip
EM["/status"] = {"emeters": [EM["/emeter/0"], EM["/emeter/1"]]}
PLUG_S = {
    "/shelly": {"type": "SHPLG-S", "mac": MAC, "auth": False, "fw": "v1.11.0", "num_outputs": 1, "num_meters": 1},
    "/meter/0": {"power": 312.66, "overpower": 0.0, "is_valid": True, "timestamp": 1751373632,
                 "counters": [311.9, 313.2, 310.7], "total": 1843200},
}  # fmt: skip
PLUG_S["/status"] = {"relays": [{"ison": True}], "meters": [PLUG_S["/meter/0"]], "temperature": 38.2}


def gen2(model: str, app: str, components: dict[str, object], **more: object) -> dict[str, Any]:
    about = {"name": None, "id": f"shelly-{MAC.lower()}", "mac": MAC, "model": model, "gen": 2, "ver": "1.7.1",
             "app": app, "auth_en": False, "auth_domain": None, **more}  # fmt: skip
    return {"/shelly": about, "/rpc/Shelly.GetStatus": {"sys": {"uptime": 3}, "wifi": {"rssi": -60}, **components}}


EM_STATUS: dict[str, object] = {
    "id": 0,
    "a_current": 1.213, "a_voltage": 233.4, "a_act_power": 226.4, "a_aprt_power": 283.1, "a_pf": 0.8, "a_freq": 50.0,
    "b_current": 1.742, "b_voltage": 232.1, "b_act_power": -398.7, "b_aprt_power": 404.5, "b_pf": -0.99, "b_freq": 50.1,
    "c_current": 0.511, "c_voltage": 234.2, "c_act_power": 61.9, "c_aprt_power": 119.7, "c_pf": 0.52, "c_freq": 50.0,
    "n_current": None,
    "total_current": 3.466, "total_act_power": -110.3, "total_aprt_power": 807.3,
    "user_calibrated_phase": [],
}  # fmt: skip
EM_DATA = {
    "id": 0,
    "a_total_act_energy": 100.5, "a_total_act_ret_energy": 1.0,
    "b_total_act_energy": 200.0, "b_total_act_ret_energy": 2.0,
    "c_total_act_energy": 300.0, "c_total_act_ret_energy": 3.0,
    "total_act": 600.5, "total_act_ret": 6.0,
}  # fmt: skip
PRO_3EM = gen2(
    "SPEM-003CEBEU", "Pro3EM", {"em:0": EM_STATUS, "emdata:0": EM_DATA}, profile="triphase", name="House"
) | {
    "/rpc/EM.GetStatus?id=0": EM_STATUS,
    "/rpc/EMData.GetStatus?id=0": EM_DATA,
}


def em1_status(channel: int, power_w: float) -> dict[str, object]:
    return {"id": channel, "current": 2.113, "voltage": 231.6, "act_power": power_w, "aprt_power": 489.9, "pf": 0.97,
            "freq": 50.0, "calibration": "factory"}  # fmt: skip


def em1_data(channel: int) -> dict[str, object]:
    return {"id": channel, "total_act_energy": 100.0 + channel, "total_act_ret_energy": 10.0 + channel}


def em1_device(model: str, app: str, powers_w: list[float], **more: object) -> dict[str, Any]:
    components: dict[str, object] = {}
    for channel, power_w in enumerate(powers_w):
        components |= {f"em1:{channel}": em1_status(channel, power_w), f"em1data:{channel}": em1_data(channel)}
    components["switch:0"] = {"id": 0, "output": False}
    answers = gen2(model, app, components, **more)
    for channel, power_w in enumerate(powers_w):
        answers[f"/rpc/EM1.GetStatus?id={channel}"] = em1_status(channel, power_w)
        answers[f"/rpc/EM1Data.GetStatus?id={channel}"] = em1_data(channel)
    return answers


PRO_EM_50 = em1_device("SPEM-002CEBEU50", "ProEM50", [-478.2, 120.0])
MONOPHASE = em1_device("SPEM-003CEBEU", "Pro3EM", [100.0, -250.5, 30.0], profile="monophase")
PM1_STATUS = {"id": 0, "voltage": 232.3, "current": -1.481, "apower": -337.2, "freq": 50.0,
              "aenergy": {"total": 12.5, "by_minute": [0.0, 0.0, 0.0], "minute_ts": 1751366400},
              "ret_aenergy": {"total": 88123.5, "by_minute": [5611.4, 5598.0], "minute_ts": 1751366400}}  # fmt: skip
PM_MINI = gen2("SNPM-001PCEU16", "PlusPMMini", {"pm1:0": PM1_STATUS}) | {"/rpc/PM1.GetStatus?id=0": PM1_STATUS}
SWITCH_STATUS = {"id": 0, "source": "HTTP_in", "output": True, "apower": 312.6, "voltage": 231.9, "current": 1.377,
                 "aenergy": {"total": 30711.25, "by_minute": [1.0], "minute_ts": 1751366400},
                 "temperature": {"tC": 41.7, "tF": 107.1}}  # fmt: skip
PLUS_PLUG = gen2("SNPL-00112EU", "PlusPlugS", {"switch:0": SWITCH_STATUS}) | {
    "/rpc/Switch.GetStatus?id=0": SWITCH_STATUS
}
PLUS_2PM = gen2("SNSW-102P16EU", "Plus2PM", {"switch:0": SWITCH_STATUS, "switch:1": SWITCH_STATUS}) | {
    "/rpc/Switch.GetStatus?id=1": SWITCH_STATUS | {"apower": 7.0}
}
PRO_2PM_STATUS = {"id": 0, "output": True, "apower": -3.5, "voltage": 228.6, "freq": 50, "current": 0.036, "pf": 0.43,
                  "aenergy": {"total": 47128.8}, "ret_aenergy": {"total": 47128.8}}  # fmt: skip
PRO_2PM = gen2("SPSW-202PE16EU", "Pro2PM", {"switch:0": PRO_2PM_STATUS, "switch:1": PRO_2PM_STATUS | {"apower": 20.0}})
PRO_2PM["/rpc/Switch.GetStatus?id=0"] = PRO_2PM_STATUS


class MeterRig(Rig):
    """A meter with the device behind it."""

    def meter(self, answers: dict[str, Any], *, section: str = "meter", **more: Any) -> ShellyMeter:
        self.device.answers = copy.deepcopy(answers)
        self.settings = dataclasses.replace(self.settings, **more)
        return ShellyMeter(self.settings, self.session, self.clock, section=section)

    def solar(self, answers: dict[str, Any], **more: Any) -> ShellyMeter:
        return self.meter(answers, section="solar", **more)

    def change(self, path: str, **fields: object) -> None:
        answer = self.device.answers[path]
        assert isinstance(answer, dict)
        self.device.answers[path] = answer | fields
