import asyncio
import contextlib
import copy
import dataclasses
import math
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from opendtu_dcload.config import MeterConfig
from opendtu_dcload.devices.shelly.shelly_answers import LARGEST_POWER_W
from opendtu_dcload.devices.shelly.shelly_meter import MeterSettings, ShellyMeter
from opendtu_dcload.errors import (
    ConfigError,
    DeviceAnswerError,
    DeviceAuthError,
    DeviceError,
    DeviceTimeoutError,
)
from opendtu_dcload.model import MeterInfo, PhaseReading
from tests.devices.json_values import damaged, json_values
from tests.doubles.fake_device import (
    BasicLogin,
    DigestLogin,
    FakeClock,
    FakeDevice,
    Settings,
    document,
    running_device,
    text,
)

MAC = "A0DD6C112233"

# --- what the devices answer, in the shapes of the vendor's documentation ---

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


class Rig:
    """A meter with the device behind it."""

    def __init__(self, device: FakeDevice, session: aiohttp.ClientSession) -> None:
        self.device = device
        self.session = session
        self.clock = FakeClock()
        self.settings = Settings(device.host)

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


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running_device() as (device, session):
        yield Rig(device, session)


def test_the_configuration_fits() -> None:
    config: MeterSettings = MeterConfig(host="192.0.2.1")
    assert (config.channel, config.phase, config.invert) == (None, 1, False)


# --- who it is ---


@pytest.mark.parametrize(
    ("answers", "info"),
    [
        (THREE_EM, MeterInfo("c45bbe5f0a11", "SHEM-3", 1, "20230913-114244/v1.14.0-gcb84623", "")),
        (PLUG_S, MeterInfo("a0dd6c112233", "SHPLG-S", 1, "v1.11.0", "")),
        (PRO_3EM, MeterInfo("a0dd6c112233", "SPEM-003CEBEU", 2, "1.7.1", "House")),
        (PM_MINI, MeterInfo("a0dd6c112233", "SNPM-001PCEU16", 2, "1.7.1", "")),
    ],
    ids=["3EM", "Plug S", "Pro 3EM", "PM Mini"],
)
async def test_identifies_itself(rig: Rig, answers: dict[str, Any], info: MeterInfo) -> None:
    assert await rig.solar(answers).identify() == info


@pytest.mark.parametrize(
    "about",
    [{}, [], "x", {"type": "SHEM"}, {"mac": MAC}, {"type": "SHEM", "mac": "xyz"}, {"gen": 2, "mac": MAC, "model": 5}],
)
async def test_something_else_than_a_shelly_is_not_taken_for_one(rig: Rig, about: object) -> None:
    with pytest.raises(DeviceAnswerError, match=r"as a Shelly does: correct meter\.host"):
        await rig.meter({"/shelly": about}).identify()


async def test_name_is_freed_of_what_d_bus_cannot_carry(rig: Rig) -> None:
    meter = rig.meter(PRO_3EM)
    rig.change("/shelly", name="Ha\x00us\n\ud800 " + "x" * 100)
    name = (await meter.identify()).name
    assert name.startswith("Haus x")
    assert len(name) <= 64


@pytest.mark.parametrize(
    "answers",
    [
        gen2("SNSW-001X16EU", "Plus1", {"switch:0": {"id": 0, "output": True}}),
        {"/shelly": {"type": "SHSW-1", "mac": MAC, "auth": False}, "/status": {"relays": []}},
    ],
    ids=["Plus 1", "1"],
)
async def test_a_shelly_that_measures_nothing_is_no_meter(rig: Rig, answers: dict[str, Any]) -> None:
    with pytest.raises(DeviceAnswerError, match="is no power meter: correct meter"):
        await rig.meter(answers).read()


async def test_generation_1_without_counts_is_probed(rig: Rig) -> None:
    answers = copy.deepcopy(THREE_EM)
    del answers["/shelly"]["num_emeters"]
    assert (await rig.meter(answers).read()).power_w == pytest.approx(-107.86)


# --- each kind of device ---


async def test_3em_gives_the_sum_of_one_answer(rig: Rig) -> None:
    reading = await rig.meter(THREE_EM).read()
    assert rig.device.paths == ["/shelly", "/status"]
    assert reading.power_w == -107.86
    assert reading.at_s == rig.clock.now_s
    assert reading.phases == (
        PhaseReading(212.37, 233.1, 1.12, 1000.5, 10.0),
        PhaseReading(-385.02, 232.4, 1.71, 2000.0, 400.0),
        PhaseReading(64.8, 234.0, 0.5, 3000.0, 0.0),
    )
    assert (reading.energy_import_wh, reading.energy_export_wh) == (6000.5, 410.0)


@pytest.mark.parametrize("channel", ["b", "1"])
async def test_3em_gives_one_phase_when_told(rig: Rig, channel: str) -> None:
    reading = await rig.meter(THREE_EM, channel=channel, phase=2).read()
    assert rig.device.paths == ["/shelly", "/emeter/1"]
    assert reading.phases == (None, PhaseReading(-385.02, 232.4, 1.71, 2000.0, 400.0), None)
    assert reading.power_w == -385.02


async def test_3em_without_total_power_is_added_up(rig: Rig) -> None:
    meter = rig.meter(THREE_EM)
    rig.change("/status", total_power=None)
    assert (await meter.read()).power_w == pytest.approx(-107.85)


async def test_em_reads_its_named_channel_and_has_no_current(rig: Rig) -> None:
    reading = await rig.meter(EM, channel="1", phase=3).read()
    assert reading.phases == (None, None, PhaseReading(341.2, 230.82, None, 0.0, 1240.5))
    assert reading.power_w == 341.2


async def test_plug_of_generation_1_counts_watt_minutes(rig: Rig) -> None:
    reading = await rig.solar(PLUG_S).read()
    assert reading.phases == (PhaseReading(312.66, None, None, 30720.0, None), None, None)
    assert (reading.energy_import_wh, reading.energy_export_wh) == (30720.0, None)


async def test_pro_3em_gives_the_sum_of_one_answer(rig: Rig) -> None:
    reading = await rig.meter(PRO_3EM).read()
    assert reading.power_w == -110.3
    assert reading.phases == (
        PhaseReading(226.4, 233.4, 1.213, 100.5, 1.0),
        PhaseReading(-398.7, 232.1, 1.742, 200.0, 2.0),
        PhaseReading(61.9, 234.2, 0.511, 300.0, 3.0),
    )
    assert (reading.energy_import_wh, reading.energy_export_wh, reading.frequency_hz) == (600.5, 6.0, 50.0)


async def test_pro_3em_gives_one_phase_when_told(rig: Rig) -> None:
    reading = await rig.meter(PRO_3EM, channel="b", phase=1).read()
    assert reading.power_w == -398.7
    assert reading.phases == (PhaseReading(-398.7, 232.1, 1.742, 200.0, 2.0), None, None)
    assert (reading.energy_import_wh, reading.energy_export_wh, reading.frequency_hz) == (200.0, 2.0, 50.1)


async def test_pro_em_50_reads_its_named_clamp_not_its_switch(rig: Rig) -> None:
    reading = await rig.meter(PRO_EM_50, channel="0").read()
    assert reading.phases == (PhaseReading(-478.2, 231.6, 2.113, 100.0, 10.0), None, None)


async def test_monophase_sum_comes_from_one_answer(rig: Rig) -> None:
    meter = rig.meter(MONOPHASE, channel="sum")
    await meter.identify()
    rig.device.requests.clear()
    reading = await meter.read()
    assert rig.device.paths == ["/rpc/Shelly.GetStatus"]
    assert reading.power_w == pytest.approx(-120.5)
    assert reading.phases[1] == PhaseReading(-250.5, 231.6, 2.113, 101.0, 11.0)
    assert (reading.energy_import_wh, reading.energy_export_wh) == (303.0, 33.0)


async def test_pm_mini_reads_both_counters_and_current_as_a_magnitude(rig: Rig) -> None:
    reading = await rig.meter(PM_MINI).read()
    assert reading.phases == (PhaseReading(-337.2, 232.3, 1.481, 12.5, 88123.5), None, None)
    assert reading.frequency_hz == 50.0


async def test_plug_of_a_later_generation_may_lack_the_export_counter(rig: Rig) -> None:
    reading = await rig.solar(PLUS_PLUG).read()
    assert reading.phases == (PhaseReading(312.6, 231.9, 1.377, 30711.25, None), None, None)
    assert reading.frequency_hz is None


async def test_second_switch_can_be_named(rig: Rig) -> None:
    assert (await rig.solar(PLUS_2PM, channel="1").read()).power_w == 7.0


async def test_what_was_returned_is_taken_off_what_a_switch_counts(rig: Rig) -> None:
    reading = await rig.meter(PRO_2PM, channel="0").read()
    assert reading.phases[0] == PhaseReading(-3.5, 228.6, 0.036, 0.0, 47128.8)


@pytest.mark.parametrize(("generation", "import_wh"), [(2, 330.473), (3, 201.523), (4, 201.523)])
async def test_what_was_returned_is_taken_off_what_a_pm1_of_generation_3_counts(
    rig: Rig, generation: int, import_wh: float
) -> None:
    meter = rig.meter(PM_MINI)
    rig.change("/shelly", gen=generation)
    rig.change("/rpc/PM1.GetStatus?id=0", aenergy={"total": 330.473}, ret_aenergy={"total": 128.95})
    assert ((await meter.read()).energy_import_wh, (await meter.read()).energy_export_wh) == (import_wh, 128.95)


async def test_less_counted_than_returned_is_never_below_zero(rig: Rig) -> None:
    meter = rig.meter(PRO_2PM, channel="0")
    rig.change("/rpc/Switch.GetStatus?id=0", aenergy={"total": 5.0}, ret_aenergy={"total": 7.0})
    assert (await meter.read()).energy_import_wh == 0.0


async def test_two_cables_of_an_em_can_be_summed(rig: Rig) -> None:
    reading = await rig.meter(EM, channel="sum", phase=2).read()
    assert reading.power_w == pytest.approx(221.47)
    assert reading.phases == (None, PhaseReading(reading.power_w, 230.82, None, 702113.6, 96662.6), None)


async def test_two_cables_of_a_pro_em_50_can_be_summed_in_one_answer(rig: Rig) -> None:
    meter = rig.meter(PRO_EM_50, channel="sum")
    await meter.identify()
    rig.device.requests.clear()
    reading = await meter.read()
    assert rig.device.paths == ["/rpc/Shelly.GetStatus"]
    assert reading.power_w == pytest.approx(-358.2)
    assert reading.phases == (PhaseReading(reading.power_w, 231.6, None, 201.0, 21.0), None, None)
    assert reading.frequency_hz == 50.0


@pytest.mark.parametrize(
    ("answers", "path", "part"),
    [
        (EM, "/status", {"emeters": EM["/status"]["emeters"][:1]}),
        (PRO_EM_50, "/rpc/Shelly.GetStatus", {"em1:0": em1_status(0, 1)}),
        (PRO_2PM, "/rpc/Shelly.GetStatus", {"switch:0": PRO_2PM_STATUS}),
    ],
    ids=["EM", "Pro EM-50", "Pro 2PM"],
)
async def test_sum_of_two_channels_is_never_a_part_of_it(
    rig: Rig, answers: dict[str, Any], path: str, part: dict[str, Any]
) -> None:
    meter = rig.meter(answers, channel="sum")
    await meter.read()
    rig.device.answers[path] = part
    with pytest.raises(DeviceAnswerError, match=r"usable power|channel"):
        await meter.read()


async def test_both_loads_of_a_switch_can_be_summed(rig: Rig) -> None:
    assert (await rig.meter(PRO_2PM, channel="sum").read()).power_w == 16.5


@pytest.mark.parametrize("phase", ["b", "c"])
async def test_frequency_comes_from_whichever_phase_has_it(rig: Rig, phase: str) -> None:
    for channel in (None, "a"):
        meter = rig.meter(PRO_3EM, channel=channel)
        rig.change("/rpc/EM.GetStatus?id=0", **{f"{letter}_freq": 49.9 if letter == phase else 0 for letter in "abc"})
        assert (await meter.read()).frequency_hz == 49.9


async def test_frequency_of_a_monophase_sum_comes_from_the_phase_with_voltage(rig: Rig) -> None:
    meter = rig.meter(MONOPHASE, channel="sum")
    rig.change("/rpc/Shelly.GetStatus", **{f"em1:{i}": em1_status(i, 0) | {"voltage": 0, "freq": 0} for i in (0, 2)})
    assert (await meter.read()).frequency_hz == 50.0


# --- what cannot measure the grid ---


@pytest.mark.parametrize(
    ("answers", "channel"), [(PLUG_S, None), (PLUS_PLUG, None), (PLUS_2PM, "1"), (PLUS_2PM, "sum")]
)
async def test_load_meter_without_a_counter_of_returned_energy_is_no_grid_meter(
    rig: Rig, answers: dict[str, Any], channel: str | None
) -> None:
    with pytest.raises(DeviceAnswerError, match=r"shows export as import, .* set meter\.host to an energy meter"):
        await rig.meter(answers, channel=channel).read()
    assert (await rig.solar(answers, channel=channel).read()).power_w > 0


@pytest.mark.parametrize(
    "status",
    [
        {"relays": [{"ison": True}], "meters": [{"power": 150.0, "is_valid": True}]},
        {"lights": [{"ison": True}], "meters": [{"power": 8.5, "is_valid": True, "total": 24}]},
        {"lights": [{}] * 4, "meters": [{"power": 8.5, "is_valid": "true", "total": 0}] * 4},
    ],
    ids=["typed-in power", "lamp or dimmer", "RGBW"],
)
async def test_what_is_no_meter_is_refused_everywhere(rig: Rig, status: dict[str, Any]) -> None:
    about = {"type": "SHSW-1", "mac": MAC, "auth": False, "num_meters": 1}
    for section in ("meter", "solar"):
        meter = rig.meter({"/shelly": about, "/status": status, "/meter/0": status["meters"][0]}, section=section)
        with pytest.raises(DeviceAnswerError, match=rf"is no power meter: correct {section}\.host"):
            await meter.read()


async def test_later_readings_cost_one_request(rig: Rig) -> None:
    meter = rig.meter(PRO_3EM)
    await meter.read()
    rig.device.requests.clear()
    await meter.read()
    assert rig.device.paths == ["/rpc/EM.GetStatus?id=0"]


# --- channels ---


@pytest.mark.parametrize(
    ("answers", "channel", "offer"),
    [
        (EM, None, '"0" or "1" or "sum"'),
        (EM, "2", '"0" or "1" or "sum"'),
        (EM, "a", '"0" or "1" or "sum"'),
        (PRO_EM_50, None, '"0" or "1"'),
        (PRO_EM_50, "3", '"0" or "1" or "sum"'),
        (MONOPHASE, None, '"0" or "1" or "2" or "sum"'),
        (MONOPHASE, "b", '"0" or "1" or "2" or "sum"'),
        (PLUS_2PM, None, '"0" or "1"'),
        (PLUG_S, "1", '"0"'),
        (PM_MINI, "sum", '"0"'),
        (PRO_3EM, "n", '"sum" or "a" or "b" or "c"'),
        (THREE_EM, "3", '"sum" or "a" or "b" or "c"'),
    ],
)
async def test_channel_is_never_guessed(rig: Rig, answers: dict[str, Any], channel: str | None, offer: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await rig.solar(answers, channel=channel).read()
    (problem,) = caught.value.problems
    assert problem.startswith("solar.channel: ")
    assert offer in problem
    assert str(answers["/shelly"].get("model") or answers["/shelly"]["type"]) in problem


@pytest.mark.parametrize(
    "answers",
    [
        gen2("SPSW-104PE16EU", "Pro4PM", {f"switch:{index}": SWITCH_STATUS for index in range(4)}),
        gen2("S4PL-00416EU", "PStripG4", {f"switch:{index}": PRO_2PM_STATUS for index in range(4)}),
        MONOPHASE,
        PRO_3EM,
        EM,
    ],
    ids=["Pro 4PM", "power strip", "monophase", "triphase", "EM"],
)
async def test_every_channel_that_a_device_offers_may_stand_in_the_configuration(
    rig: Rig, answers: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError) as caught:
        await rig.meter(answers, channel="none").read()
    (problem,) = caught.value.problems
    offered = re.findall(r'"(\w+)"', problem.split("write channel = ")[1])
    assert len(offered) >= 3
    for channel in offered:
        assert MeterConfig.model_validate({"host": "192.0.2.1", "channel": channel}).channel == channel
        assert await rig.solar(answers, channel=channel).identify()


@pytest.mark.parametrize("answers", [THREE_EM, PRO_3EM], ids=["3EM", "Pro 3EM"])
async def test_sum_may_be_said_where_it_is_the_default(rig: Rig, answers: dict[str, Any]) -> None:
    said = await rig.meter(answers, channel="sum").read()
    assert said == await rig.meter(answers, channel=None).read()


# --- sign ---


async def test_invert_turns_power_and_swaps_the_counters(rig: Rig) -> None:
    reading = await rig.meter(PRO_3EM, invert=True).read()
    assert reading.power_w == 110.3
    assert reading.phases[0] == PhaseReading(-226.4, 233.4, 1.213, 1.0, 100.5)
    assert (reading.energy_import_wh, reading.energy_export_wh) == (6.0, 600.5)


async def test_inverted_zero_has_no_sign(rig: Rig) -> None:
    meter = rig.solar(PLUG_S, invert=True)
    rig.change("/meter/0", power=0)
    assert math.copysign(1, (await meter.read()).power_w) == 1


# --- answers that are no measurement ---


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize(
    "entry",
    [
        {"is_valid": False},
        {"is_valid": 0},
        {"is_valid": []},
        {"power": None},
        {"power": "5"},
        {"power": True},
        {"power": []},
        {"power": 43470.1},
        {"power": -43470.1},
    ],
    ids=str,
)
async def test_one_bad_phase_spoils_the_sum_of_a_3em(rig: Rig, index: int, entry: dict[str, object]) -> None:
    meter = rig.meter(THREE_EM)
    status = rig.device.answers["/status"]
    assert isinstance(status, dict)
    status["emeters"][index] |= entry
    with pytest.raises(DeviceAnswerError, match="/status"):
        await meter.read()


@pytest.mark.parametrize(
    "fields",
    [
        {"b_act_power": None, "total_act_power": None},
        {"b_act_power": None},
        {"c_act_power": "1"},
        {"errors": ["power_meter_failure"]},
        {"errors": [{}, None, "no_load", "power_meter_failure"]},
        {"a_errors": ["power_meter_failure"]},
        {"a_errors": ["out_of_range:act_power"]},
        {"total_act_power": 43471.0},
    ],
    ids=str,
)
async def test_bad_phase_spoils_the_sum_of_a_pro_3em(rig: Rig, fields: dict[str, object]) -> None:
    meter = rig.meter(PRO_3EM)
    rig.change("/rpc/EM.GetStatus?id=0", **fields)
    with pytest.raises(DeviceAnswerError):
        await meter.read()


@pytest.mark.parametrize("fields", [{"errors": ["phase_sequence"]}, {"a_errors": ["out_of_range:voltage"]}], ids=str)
async def test_faults_that_leave_the_power_alone_do_not_matter(rig: Rig, fields: dict[str, object]) -> None:
    meter = rig.meter(PRO_3EM)
    rig.change("/rpc/EM.GetStatus?id=0", **fields)
    assert (await meter.read()).power_w == -110.3


async def test_other_phases_faults_do_not_matter_to_the_chosen_one(rig: Rig) -> None:
    meter = rig.meter(PRO_3EM, channel="a")
    rig.change("/rpc/EM.GetStatus?id=0", b_act_power=None, total_act_power=None, c_errors=["power_meter_failure"])
    assert (await meter.read()).power_w == 226.4


async def test_missing_total_of_a_pro_3em_is_added_up(rig: Rig) -> None:
    meter = rig.meter(PRO_3EM)
    rig.change("/rpc/EM.GetStatus?id=0", total_act_power=None)
    assert (await meter.read()).power_w == pytest.approx(-110.4)


async def test_phases_that_add_up_to_more_than_a_house_are_refused(rig: Rig) -> None:
    meter = rig.meter(PRO_3EM)
    rig.change("/rpc/EM.GetStatus?id=0", a_act_power=40000, b_act_power=40000, total_act_power=None)
    with pytest.raises(DeviceAnswerError, match="43470"):
        await meter.read()


@pytest.mark.parametrize("path", ["/rpc/PM1.GetStatus?id=0", "/rpc/Switch.GetStatus?id=0"])
@pytest.mark.parametrize(
    "fields", [{"apower": None}, {"apower": 1e9}, {"errors": ["power_meter_failure"]}], ids=["null", "huge", "failure"]
)
async def test_single_channel_without_power_is_refused(rig: Rig, path: str, fields: dict[str, object]) -> None:
    meter = rig.solar(PM_MINI if "PM1" in path else PLUS_PLUG)
    rig.change(path, **fields)
    with pytest.raises(DeviceAnswerError):
        await meter.read()


async def test_infinity_in_disguise_is_refused(rig: Rig) -> None:
    meter = rig.solar(PLUG_S)
    rig.device.answers["/meter/0"] = text('{"power":1e999,"is_valid":true}')
    with pytest.raises(DeviceAnswerError):
        await meter.read()


async def test_what_is_beside_the_power_may_be_nonsense(rig: Rig) -> None:
    meter = rig.meter(PM_MINI)
    rig.change("/rpc/PM1.GetStatus?id=0", voltage="x", current=1e9, freq=0, aenergy=[], ret_aenergy={"total": -1})
    reading = await meter.read()
    assert reading.phases[0] == PhaseReading(-337.2)
    assert reading.frequency_hz is None


async def test_monophase_sum_is_never_a_part_of_it(rig: Rig) -> None:
    meter = rig.meter(MONOPHASE, channel="sum")
    await meter.read()
    status = rig.device.answers["/rpc/Shelly.GetStatus"]
    assert isinstance(status, dict)
    del status["em1:2"]
    with pytest.raises(DeviceAnswerError):
        await meter.read()


async def test_stalled_answer_is_a_timeout(rig: Rig) -> None:
    meter = rig.solar(PLUG_S, timeout_s=0.05)
    rig.device.answers["/meter/0"] = rig.device.stall
    with pytest.raises(DeviceTimeoutError):
        await meter.read()


# --- the device changes while we run ---


@pytest.mark.parametrize(
    "refusal",
    [
        document({"code": 404, "message": "No handler for EM.GetStatus"}, 404),
        document({"code": -105, "message": "Argument 'id', value 0 not found!"}, 500),
    ],
    ids=["404", "-105"],
)
async def test_changed_profile_is_found_at_the_next_reading(rig: Rig, refusal: object) -> None:
    meter = rig.meter(MONOPHASE, channel="0")
    assert (await meter.read()).power_w == 100.0
    rig.device.answers = copy.deepcopy(PRO_3EM) | {"/rpc/EM1.GetStatus?id=0": refusal}
    with pytest.raises(DeviceAnswerError):
        await meter.read()
    reading = await meter.read()
    assert reading.power_w == 226.4
    assert reading.energy_import_wh == 100.5


async def test_another_shelly_at_the_same_address_is_not_the_grid_meter(rig: Rig) -> None:
    meter = rig.meter(MONOPHASE, channel="0")
    await meter.read()
    other = PRO_3EM["/shelly"] | {"mac": "A0DD6C445566"}
    rig.device.answers = copy.deepcopy(PRO_3EM) | {"/shelly": other}
    for _ in range(3):
        with pytest.raises(DeviceAnswerError):
            await meter.read()


async def test_changed_profile_is_found_from_the_sum_too(rig: Rig) -> None:
    meter = rig.meter(MONOPHASE, channel="sum")
    await meter.read()
    rig.device.answers = copy.deepcopy(PRO_3EM)
    with pytest.raises(DeviceAnswerError):
        await meter.read()
    assert (await meter.read()).power_w == -110.3


async def test_counters_of_the_old_profile_are_forgotten(rig: Rig) -> None:
    meter = rig.meter(MONOPHASE, channel="0")
    assert (await meter.read()).energy_import_wh == 100.0
    rig.device.answers = {path: answer for path, answer in PRO_3EM.items() if "EMData" not in path}
    with pytest.raises(DeviceAnswerError):
        await meter.read()
    assert (await meter.read()).energy_import_wh is None


async def test_other_failures_do_not_identify_it_again(rig: Rig) -> None:
    meter = rig.solar(PLUG_S)
    await meter.read()
    rig.device.requests.clear()
    for answer in (text("no", 500), document({"power": None})):
        rig.device.answers["/meter/0"] = answer
        with pytest.raises(DeviceAnswerError):
            await meter.read()
    assert rig.device.paths == ["/meter/0", "/meter/0"]


# --- energy ---


async def test_energies_are_asked_for_once_a_minute_and_kept_between(rig: Rig) -> None:
    meter = rig.meter(PRO_3EM)
    for _ in range(120):
        assert (await meter.read()).energy_import_wh == 600.5
        rig.clock.now_s += 1
    assert rig.device.paths.count("/rpc/EMData.GetStatus?id=0") == 2
    assert rig.device.paths.count("/rpc/EM.GetStatus?id=0") == 120


@pytest.mark.parametrize("answer", [text("no", 500), text("null"), document([]), document({"a_total_act_energy": "x"})])
async def test_failing_energies_cost_neither_the_power_nor_the_last_counters(rig: Rig, answer: object) -> None:
    meter = rig.meter(PRO_3EM)
    await meter.read()
    rig.clock.now_s += 60
    rig.device.answers["/rpc/EMData.GetStatus?id=0"] = answer
    reading = await meter.read()
    assert (reading.power_w, reading.energy_import_wh, reading.energy_export_wh) == (-110.3, 600.5, 6.0)


async def test_missing_energies_are_none(rig: Rig) -> None:
    answers = {path: answer for path, answer in PRO_3EM.items() if "EMData" not in path}
    reading = await rig.meter(answers).read()
    assert (reading.power_w, reading.energy_import_wh) == (-110.3, None)


async def test_counter_that_dips_is_not_believed(rig: Rig) -> None:
    meter = rig.solar(PLUG_S)
    seen = []
    for total in (60_000, 0, 30_000, 60_060, 0, 60_120):
        rig.change("/meter/0", total=total)
        seen.append((await meter.read()).energy_import_wh)
        rig.clock.now_s += 150
    assert seen == [1000, 1000, 1000, 1001, 1001, 1002]


async def test_counter_that_stays_low_was_reset(rig: Rig) -> None:
    meter = rig.solar(PLUG_S)
    await meter.read()
    rig.change("/meter/0", total=60)
    for age_s, expected_wh in ((0, 30720.0), (299, 30720.0), (300, 1.0)):
        start_s = rig.clock.now_s
        rig.clock.now_s += age_s
        assert (await meter.read()).energy_import_wh == expected_wh
        rig.clock.now_s = start_s


async def test_counters_survive_a_restart_with_missing_components(rig: Rig) -> None:
    meter = rig.solar(PLUS_PLUG)
    await meter.read()
    working = rig.device.answers.pop("/rpc/Switch.GetStatus?id=0")
    with pytest.raises(DeviceAnswerError):
        await meter.read()
    rig.device.answers["/rpc/Switch.GetStatus?id=0"] = working
    rig.change("/rpc/Switch.GetStatus?id=0", aenergy={"total": 0.0})
    assert (await meter.read()).energy_import_wh == 30711.25


# --- passwords ---


async def test_basic_login_of_generation_1(rig: Rig) -> None:
    rig.device.login = BasicLogin("bWU6c2VjcmV0")  # me:secret
    meter = rig.solar(PLUG_S, user="me", password=SecretStr("secret"))
    rig.change("/shelly", auth=True)
    assert (await meter.read()).power_w == 312.66
    assert [bool(request.authorization) for request in rig.device.requests] == [False, True, True]


async def test_digest_login_is_always_admins_and_ten_readings_cost_one_challenge(rig: Rig) -> None:
    rig.device.login = login = DigestLogin("secret")
    meter = rig.meter(PM_MINI, user="me", password=SecretStr("secret"))
    rig.change("/shelly", auth_en=True)
    for _ in range(10):
        await meter.read()
    assert login.challenges == 1
    assert rig.device.paths.count("/rpc/PM1.GetStatus?id=0") == 10


async def test_wrong_digest_password_is_tried_once_a_pause(rig: Rig) -> None:
    rig.device.login = login = DigestLogin("another")
    meter = rig.meter(PM_MINI, password=SecretStr("secret"))
    for attempt, pause_s in enumerate((60, 120, 240), start=1):
        for _ in range(3):
            with pytest.raises(DeviceAuthError, match=r"meter\.password") as caught:
                await meter.read()
            assert caught.value.retry_after_s == pause_s
        assert login.attempts == attempt
        rig.clock.now_s += pause_s


@pytest.mark.parametrize(
    ("answers", "key"), [(PLUG_S, "auth"), (PM_MINI, "auth_en")], ids=["generation 1", "generation 2"]
)
async def test_locked_device_without_a_password_names_what_to_set(rig: Rig, answers: dict[str, Any], key: str) -> None:
    meter = rig.solar(answers)
    rig.change("/shelly", **{key: True})
    for _ in range(2):
        with pytest.raises(DeviceAuthError, match=r"set solar\.password"):
            await meter.read()
    assert rig.device.paths == ["/shelly"]


# --- anything at all ---

KINDS: dict[str, tuple[dict[str, Any], str | None]] = {
    "3EM": (THREE_EM, None),
    "3EM phase": (THREE_EM, "b"),
    "EM": (EM, "0"),
    "Plug S": (PLUG_S, None),
    "Pro 3EM": (PRO_3EM, None),
    "Pro EM-50": (PRO_EM_50, "1"),
    "monophase": (MONOPHASE, "sum"),
    "PM Mini": (PM_MINI, None),
    "Plus Plug": (PLUS_PLUG, None),
    "Plus 2PM": (PLUS_2PM, "sum"),
    "Pro 2PM": (PRO_2PM, "sum"),
    "EM sum": (EM, "sum"),
}


@settings(max_examples=400, deadline=None)
@given(data=st.data(), kind=st.sampled_from(sorted(KINDS)), section=st.sampled_from(["meter", "solar"]))
def test_damaged_answers_give_a_sound_reading_or_a_device_error(data: st.DataObject, kind: str, section: str) -> None:
    answers, channel = KINDS[kind]
    answers = dict(answers)
    path = data.draw(st.sampled_from(sorted(answers)))
    answers[path] = data.draw(damaged(answers[path]))

    async def get(path: str, *, is_open: bool = False) -> object:
        assert isinstance(is_open, bool)
        if answers.get(path) is None:
            raise DeviceAnswerError("404")
        return answers[path]

    async def read() -> None:
        async with aiohttp.ClientSession() as session:
            meter = ShellyMeter(Settings("127.0.0.1:9", channel=channel), session, FakeClock(), section=section)
            meter._http.get = get  # type: ignore[method-assign] # the transport has its own test
            with contextlib.suppress(DeviceError, ConfigError):
                reading = await meter.read()
                assert isinstance(reading.power_w, float)
                assert abs(reading.power_w) <= LARGEST_POWER_W
                for phase in filter(None, reading.phases):
                    assert abs(phase.power_w) <= LARGEST_POWER_W
                    assert phase.voltage_v is None or 0 <= phase.voltage_v <= 500
                    assert phase.energy_import_wh is None or math.isfinite(phase.energy_import_wh)

    asyncio.run(read())


@settings(max_examples=40, deadline=None)
@given(answer=json_values)
def test_any_json_over_http_raises_nothing_but_a_device_error(answer: object) -> None:
    async def read() -> None:
        async with running_device() as (device, session):
            device.answers = copy.deepcopy(PRO_3EM)
            device.answers["/rpc/EM.GetStatus?id=0"] = document(answer)
            meter = ShellyMeter(Settings(device.host), session, FakeClock())
            with pytest.raises(DeviceError):
                await meter.read()

    asyncio.run(read())
