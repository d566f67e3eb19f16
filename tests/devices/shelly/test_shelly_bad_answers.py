"""Answers of a Shelly that are no measurement, and any others."""

import asyncio
import contextlib
import copy
import math
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendtu_dcload.devices.shelly.shelly_answers import LARGEST_POWER_W
from opendtu_dcload.devices.shelly.shelly_meter import ShellyMeter
from opendtu_dcload.errors import (
    ConfigError,
    DeviceAnswerError,
    DeviceError,
    DeviceTimeoutError,
)
from opendtu_dcload.model import PhaseReading
from tests.devices.json_values import damaged, json_values
from tests.devices.shelly.shelly_devices import (
    EM,
    MONOPHASE,
    PLUG_S,
    PLUS_2PM,
    PLUS_PLUG,
    PM_MINI,
    PRO_2PM,
    PRO_3EM,
    PRO_EM_50,
    THREE_EM,
    MeterRig,
)
from tests.doubles.clock import Clock
from tests.doubles.fake_device import Settings, document, running_device, text

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
async def test_one_bad_phase_spoils_the_sum_of_a_3em(rig: MeterRig, index: int, entry: dict[str, object]) -> None:
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
async def test_bad_phase_spoils_the_sum_of_a_pro_3em(rig: MeterRig, fields: dict[str, object]) -> None:
    meter = rig.meter(PRO_3EM)
    rig.change("/rpc/EM.GetStatus?id=0", **fields)
    with pytest.raises(DeviceAnswerError):
        await meter.read()


@pytest.mark.parametrize("fields", [{"errors": ["phase_sequence"]}, {"a_errors": ["out_of_range:voltage"]}], ids=str)
async def test_faults_that_leave_the_power_alone_do_not_matter(rig: MeterRig, fields: dict[str, object]) -> None:
    meter = rig.meter(PRO_3EM)
    rig.change("/rpc/EM.GetStatus?id=0", **fields)
    assert (await meter.read()).power_w == -110.3


async def test_other_phases_faults_do_not_matter_to_the_chosen_one(rig: MeterRig) -> None:
    meter = rig.meter(PRO_3EM, channel="a")
    rig.change("/rpc/EM.GetStatus?id=0", b_act_power=None, total_act_power=None, c_errors=["power_meter_failure"])
    assert (await meter.read()).power_w == 226.4


async def test_missing_total_of_a_pro_3em_is_added_up(rig: MeterRig) -> None:
    meter = rig.meter(PRO_3EM)
    rig.change("/rpc/EM.GetStatus?id=0", total_act_power=None)
    assert (await meter.read()).power_w == pytest.approx(-110.4)


async def test_phases_that_add_up_to_more_than_a_house_are_refused(rig: MeterRig) -> None:
    meter = rig.meter(PRO_3EM)
    rig.change("/rpc/EM.GetStatus?id=0", a_act_power=40000, b_act_power=40000, total_act_power=None)
    with pytest.raises(DeviceAnswerError, match="43470"):
        await meter.read()


@pytest.mark.parametrize("path", ["/rpc/PM1.GetStatus?id=0", "/rpc/Switch.GetStatus?id=0"])
@pytest.mark.parametrize(
    "fields", [{"apower": None}, {"apower": 1e9}, {"errors": ["power_meter_failure"]}], ids=["null", "huge", "failure"]
)
async def test_single_channel_without_power_is_refused(rig: MeterRig, path: str, fields: dict[str, object]) -> None:
    meter = rig.solar(PM_MINI if "PM1" in path else PLUS_PLUG)
    rig.change(path, **fields)
    with pytest.raises(DeviceAnswerError):
        await meter.read()


async def test_infinity_in_disguise_is_refused(rig: MeterRig) -> None:
    meter = rig.solar(PLUG_S)
    rig.device.answers["/meter/0"] = text('{"power":1e999,"is_valid":true}')
    with pytest.raises(DeviceAnswerError):
        await meter.read()


async def test_what_is_beside_the_power_may_be_nonsense(rig: MeterRig) -> None:
    meter = rig.meter(PM_MINI)
    rig.change("/rpc/PM1.GetStatus?id=0", voltage="x", current=1e9, freq=0, aenergy=[], ret_aenergy={"total": -1})
    reading = await meter.read()
    assert reading.phases[0] == PhaseReading(-337.2)
    assert reading.frequency_hz is None


async def test_monophase_sum_is_never_a_part_of_it(rig: MeterRig) -> None:
    meter = rig.meter(MONOPHASE, channel="sum")
    await meter.read()
    status = rig.device.answers["/rpc/Shelly.GetStatus"]
    assert isinstance(status, dict)
    del status["em1:2"]
    with pytest.raises(DeviceAnswerError):
        await meter.read()


async def test_stalled_answer_is_a_timeout(rig: MeterRig) -> None:
    meter = rig.solar(PLUG_S, timeout_s=0.05)
    rig.device.answers["/meter/0"] = rig.device.stall
    with pytest.raises(DeviceTimeoutError):
        await meter.read()


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
            meter = ShellyMeter(Settings("127.0.0.1:9", channel=channel), session, Clock(1000.0), section=section)
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
            meter = ShellyMeter(Settings(device.host), session, Clock(1000.0))
            with pytest.raises(DeviceError):
                await meter.read()

    asyncio.run(read())
