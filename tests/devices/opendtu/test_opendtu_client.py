import asyncio
import contextlib
import copy
import dataclasses
import json
import math
from collections.abc import AsyncIterator, Collection
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from opendtu_dcload.config import OpenDtuConfig
from opendtu_dcload.devices.http import Login
from opendtu_dcload.devices.opendtu.opendtu_client import InverterSettings, KnownInverter, OpenDtu
from opendtu_dcload.errors import (
    DeviceAnswerError,
    DeviceAuthError,
    DeviceBusyError,
    DeviceError,
    DeviceRefusedError,
    DeviceTimeoutError,
)
from opendtu_dcload.model import CommandState, DtuStatus, InverterStatus, LimitStatus
from tests.devices.json_values import damaged, json_values
from tests.doubles.fake_device import BasicLogin, FakeClock, FakeDevice, Settings, document, running_device, text

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


class Rig:
    """The client with the DTU behind it."""

    def __init__(self, device: FakeDevice, session: aiohttp.ClientSession) -> None:
        self.device = device
        self.session = session
        self.clock = FakeClock()
        self.settings = Settings(device.host, password=SecretStr("openDTU42"))
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


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running_device() as (device, session):
        yield Rig(device, session)


def test_the_configuration_fits() -> None:
    config: Login = OpenDtuConfig(host="192.0.2.1")
    assert (config.user, config.password) == ("admin", None)


# --- live data ---


async def test_new_firmware_is_asked_for_each_inverter_in_turn(rig: Rig) -> None:
    rig.answer(NEW)
    live = await rig.dtu.live([SHED, GARAGE])
    assert rig.device.paths == [LIVE, f"{LIVE}?inv={SHED}", f"{LIVE}?inv={GARAGE}"]
    assert live.inverters[SHED] == SHED_STATUS
    assert live.inverters[GARAGE].at_s == pytest.approx(1000 - 3.41)
    assert live.is_clock_set
    assert live.known == (KnownInverter(GARAGE, "Garage"), KnownInverter(SHED, "Shed"))


async def test_without_wishes_only_the_header_is_read(rig: Rig) -> None:
    rig.answer(NEW)
    live = await rig.dtu.live([])
    assert rig.device.paths == [LIVE]
    assert live.inverters == {}
    assert [inverter.serial for inverter in live.known] == [GARAGE, SHED]


async def test_old_firmware_has_all_in_one_document(rig: Rig) -> None:
    rig.answer(OLD)
    live = await rig.dtu.live([BALCONY])
    assert rig.device.paths == [LIVE]
    assert live.inverters == {
        BALCONY: InverterStatus(
            serial=BALCONY, name="Balcony", answered_at_s=1000.0, at_s=996.0, reachable=True,
            ac_power_w=168.4, ac_voltage_v=231.2, dc_power_w=176.8, dc_voltage_v=35.1, dc_current_a=5.04,
            temperature_c=24.3, yield_total_wh=233055.0,
        )
    }  # fmt: skip
    assert [inverter.serial for inverter in live.known] == [BALCONY, SHED]


async def test_values_are_as_old_as_the_dtu_says_not_as_its_answer(rig: Rig) -> None:
    rig.answer(NEW)
    entry = header(SHED, "Shed", data_age=90, data_age_ms=90250) | values()
    rig.answer({**NEW, f"{LIVE}?inv={SHED}": live_document(entry)})
    shed = (await rig.dtu.live([SHED])).inverters[SHED]
    assert (shed.answered_at_s, shed.at_s) == (1000.0, 909.75)


async def test_each_inverters_values_are_dated_by_their_own_answer(rig: Rig) -> None:
    async def late(_request: object) -> aiohttp.web.Response:
        rig.clock.now_s += 3
        return aiohttp.web.json_response(live_document(header(SHED, "Shed") | values()))

    rig.answer(NEW)
    rig.device.answers[f"{LIVE}?inv={SHED}"] = late
    inverters = (await rig.dtu.live([GARAGE, SHED])).inverters
    assert (inverters[GARAGE].answered_at_s, inverters[SHED].answered_at_s) == (1000.0, 1003.0)


@pytest.mark.parametrize(
    ("fields", "age_s"),
    [({"data_age_ms": None}, 7), ({"data_age_ms": True}, 7), ({"data_age_ms": -1}, 7), ({"data_age": None}, 7.9)],
    ids=str,
)
async def test_either_age_will_do(rig: Rig, fields: dict[str, object], age_s: float) -> None:
    rig.answer({**NEW, f"{LIVE}?inv={SHED}": live_document(header(SHED, "Shed", **fields) | values())})
    assert (await rig.dtu.live([SHED])).inverters[SHED].at_s == pytest.approx(1000 - age_s)


@pytest.mark.parametrize("age", [None, "7", True, -1, []], ids=str)
async def test_values_of_unknown_age_are_refused(rig: Rig, age: object) -> None:
    entry = header(SHED, "Shed", data_age=age, data_age_ms=age) | values()
    rig.answer({**NEW, f"{LIVE}?inv={SHED}": live_document(entry)})
    with pytest.raises(DeviceAnswerError, match="data_age"):
        await rig.dtu.live([SHED])


async def test_inverter_that_the_dtu_does_not_know_is_left_out_and_not_asked_for(rig: Rig) -> None:
    rig.answer(NEW)
    live = await rig.dtu.live([BALCONY, SHED])
    assert set(live.inverters) == {SHED}
    assert rig.device.paths == [LIVE, f"{LIVE}?inv={SHED}"]


async def test_inverter_deleted_between_two_requests_is_left_out(rig: Rig) -> None:
    rig.answer({**NEW, f"{LIVE}?inv={SHED}": live_document()})
    assert (await rig.dtu.live([SHED])).inverters == {}


async def test_serials_are_compared_in_lower_case(rig: Rig) -> None:
    rig.answer({LIVE: live_document(header(SHED.upper(), "Shed") | values())})
    live = await rig.dtu.live([SHED.upper(), SHED])
    assert live.inverters == {SHED: SHED_STATUS}


@pytest.mark.parametrize(("time_sync", "is_set"), [(True, False), (False, True), (None, True)])
async def test_the_hint_time_sync_means_the_clock_is_not_set(rig: Rig, time_sync: object, is_set: bool) -> None:
    rig.answer({LIVE: live_document(time_sync=time_sync)})
    assert (await rig.dtu.live([])).is_clock_set is is_set


async def test_entries_without_a_serial_are_passed_over(rig: Rig) -> None:
    odd: list[Any] = [None, 5, [], {}, {"serial": 5}, {"serial": "11619000123"}, {"serial": "zzz190001234"}]
    rig.answer({LIVE: live_document(*odd, header(SHED, "Shed") | values())})
    live = await rig.dtu.live([SHED])
    assert [inverter.serial for inverter in live.known] == [SHED]


@pytest.mark.parametrize("answer", [{}, [], "x", 5, {"inverters": None}, {"inverters": {}}], ids=str)
async def test_other_documents_are_not_taken_for_live_data(rig: Rig, answer: object) -> None:
    rig.answer({LIVE: answer})
    with pytest.raises(DeviceAnswerError, match=LIVE):
        await rig.dtu.live([SHED])


async def _shed(rig: Rig, block: str, channel: str, field: str, value: object) -> InverterStatus:
    measured = values()
    measured[block][channel][field] = value
    rig.answer({LIVE: live_document(header(SHED, "Shed") | measured)})
    return (await rig.dtu.live([SHED])).inverters[SHED]


@pytest.mark.parametrize(
    ("block", "field", "attribute", "beyond"),
    [
        ("AC", "Power", "ac_power_w", 5000.1),
        ("AC", "Power", "ac_power_w", -5000.1),
        ("AC", "Voltage", "ac_voltage_v", 1000.1),
        ("AC", "Voltage", "ac_voltage_v", -0.1),
        ("INV", "Temperature", "temperature_c", 200.1),
        ("INV", "Temperature", "temperature_c", -60.1),
        ("INV", "YieldTotal", "yield_total_wh", -1),
    ],
)
async def test_leaf_out_of_range_becomes_none_and_spoils_nothing_else(
    rig: Rig, block: str, field: str, attribute: str, beyond: float
) -> None:
    without: dict[str, Any] = {attribute: None}
    expected = dataclasses.replace(SHED_STATUS, **without)
    bad_leaves: list[object] = [leaf(value, "", 1) for value in (beyond, "5", True, None)]
    for bad in (*bad_leaves, {}, 5, None, []):
        assert await _shed(rig, block, "0", field, bad) == expected


async def test_infinity_in_disguise_becomes_none(rig: Rig) -> None:
    body = json.dumps(live_document(header(SHED, "Shed") | values())).replace("257.2000122", "1e999")
    rig.answer({LIVE: text(body)})
    assert (await rig.dtu.live([SHED])).inverters[SHED].ac_power_w is None


@pytest.mark.parametrize("digits", [None, "1", -1, 99, True])
async def test_odd_digits_still_round(rig: Rig, digits: object) -> None:
    shed = await _shed(rig, "AC", "0", "Power", leaf(257.2000122, "W", digits))
    assert shed.ac_power_w == 257.2


async def test_flags_must_be_booleans(rig: Rig) -> None:
    not_true: tuple[object, ...] = (1, "true", None, [], False)
    for reachable in not_true:
        entry = header(SHED, "Shed", reachable=reachable)
        rig.answer({LIVE: live_document(entry | values())})
        assert (await rig.dtu.live([SHED])).inverters[SHED].reachable is False


async def test_dc_power_is_summed_when_nobody_gives_the_total(rig: Rig) -> None:
    shed = await _shed(rig, "INV", "0", "Power DC", None)
    assert (shed.dc_power_w, shed.dc_voltage_v) == (269.4, 33.64)
    measured = values()
    measured["INV"]["0"]["Power DC"] = None
    measured["DC"]["1"]["Power"] = None
    rig.answer({LIVE: live_document(header(SHED, "Shed") | measured)})
    shed = (await rig.dtu.live([SHED])).inverters[SHED]
    assert (shed.dc_power_w, shed.dc_current_a) == (None, None)  # never a sum of some inputs


@pytest.mark.parametrize(
    ("inputs", "voltage_v"),
    [
        ([(12.6, 31.3, 0.4), (0, 0.5, 0.01)], 31.3),
        ([(0, 1.1, 0.01), (0, 1.1, 0.02), (1.5, 32.4, 0.04), (0.9, 32.4, 0.03)], 32.4),
        ([(100, 51.2, 1.95), (0.5, 18.1, 0.03)], 51.2),
        ([(100, 51.0, 1.96), (9.9, 20, 0.5)], 51.0),
        ([(100, 51.0, 1.96), (10, 40, 0.25)], 50.0),
        ([(3, 51.0, 0.06), (0.3, 40, 0.01)], 50.0),
        ([(140, 33.4, 4.2), (130, 33.9, 3.8)], 33.64),
        ([(0, 52.0, 0), (0, 0.3, 0)], 52.0),
        ([(0, 0.5, 0.01), (0, 51.9, 0)], 51.9),
        ([(-1, 30, 0.03), (0, 20, 0)], 30.0),
    ],
    ids=str,
)
async def test_dc_voltage_is_that_of_the_inputs_in_use(
    rig: Rig, inputs: list[tuple[float, float, float]], voltage_v: float
) -> None:
    measured = values()
    measured["DC"] = {str(index): dc_input(*numbers) for index, numbers in enumerate(inputs)}
    rig.answer({LIVE: live_document(header(SHED, "Shed") | measured)})
    shed = (await rig.dtu.live([SHED])).inverters[SHED]
    assert (shed.dc_voltage_v, shed.dc_current_a) == (voltage_v, round(269.4 / voltage_v, 2))


async def test_dc_voltage_is_unknown_without_inputs(rig: Rig) -> None:
    measured = values() | {"DC": {}}
    rig.answer({LIVE: live_document(header(SHED, "Shed") | measured)})
    assert (await rig.dtu.live([SHED])).inverters[SHED].dc_voltage_v is None


async def test_flat_values_of_before_february_2023_are_read(rig: Rig) -> None:
    rig.answer(FLAT)
    assert (await rig.dtu.live([SHED])).inverters[SHED] == InverterStatus(
        serial=SHED, name="Shed", answered_at_s=1000.0, at_s=997.0, reachable=True,
        ac_power_w=240.5, ac_voltage_v=230.1, dc_power_w=253.1, dc_voltage_v=52.5, dc_current_a=4.82,
        temperature_c=9.6, yield_total_wh=17030.0,
    )  # fmt: skip
    assert rig.device.paths == [LIVE]


async def test_an_inverter_without_values_is_never_taken_for_one_that_has_none_now(rig: Rig) -> None:
    rig.answer({**NEW, f"{LIVE}?inv={SHED}": live_document(header(SHED, "Shed"))})
    with pytest.raises(DeviceAnswerError, match="OpenDTU is too old or too new"):
        await rig.dtu.live([SHED])


async def test_live_data_of_before_november_2022_are_called_too_old(rig: Rig) -> None:
    rig.answer({LIVE: [header(SHED, "Shed")]})
    with pytest.raises(DeviceAnswerError, match="OpenDTU is too old, update it"):
        await rig.dtu.live([SHED])


async def test_dc_current_is_unknown_without_voltage(rig: Rig) -> None:
    measured = values()
    measured["DC"] = {"0": dc_input(0, 0, 0)}
    rig.answer({LIVE: live_document(header(SHED, "Shed") | measured)})
    shed = (await rig.dtu.live([SHED])).inverters[SHED]
    assert (shed.dc_voltage_v, shed.dc_current_a) == (0.0, None)


# --- limits and the DTU itself ---


async def test_limits_say_what_the_dtu_knows(rig: Rig) -> None:
    rig.answer({"/api/limit/status": LIMITS})
    assert await rig.dtu.limits() == {
        GARAGE: LimitStatus(GARAGE, 1000.0, 21.0, 1500.0, CommandState.OK),
        SHED: LimitStatus(SHED, 1000.0, 40.5, 800.0, CommandState.PENDING),
    }


@pytest.mark.parametrize(
    ("fields", "limit_pct", "rated_w", "state"),
    [
        ({"limit_relative": 0}, None, 800.0, CommandState.PENDING),
        ({"max_power": 0}, 40.5, None, CommandState.PENDING),
        ({"limit_relative": 130.5}, 100.0, 800.0, CommandState.PENDING),
        ({"limit_relative": 20.999999}, 21.0, 800.0, CommandState.PENDING),
        ({"limit_relative": -1, "max_power": -1}, None, None, CommandState.PENDING),
        ({"limit_relative": "5", "max_power": True}, None, None, CommandState.PENDING),
        ({"limit_set_status": "Failure"}, 40.5, 800.0, CommandState.FAILURE),
        ({"limit_set_status": "Perhaps"}, 40.5, 800.0, CommandState.UNKNOWN),
        ({"limit_set_status": []}, 40.5, 800.0, CommandState.UNKNOWN),
    ],
    ids=str,
)
async def test_limit_that_the_dtu_does_not_know_is_none(
    rig: Rig, fields: dict[str, object], limit_pct: float | None, rated_w: float | None, state: CommandState
) -> None:
    rig.answer({"/api/limit/status": {SHED.upper(): LIMITS[SHED] | fields, "total": {}, GARAGE: 5}})
    assert await rig.dtu.limits() == {SHED: LimitStatus(SHED, 1000.0, limit_pct, rated_w, state)}


async def test_limits_must_be_an_object(rig: Rig) -> None:
    rig.answer({"/api/limit/status": [LIMITS]})
    with pytest.raises(DeviceAnswerError, match="/api/limit/status"):
        await rig.dtu.limits()


async def test_system_tells_firmware_and_uptime(rig: Rig) -> None:
    rig.answer({"/api/system/status": {"git_hash": "v26.3.30", "uptime": 86511, "heap_total": 1}})
    assert await rig.dtu.system() == DtuStatus(1000.0, "v26.3.30", 86511.0, is_clock_set=True)
    assert not (await rig.dtu.system(is_clock_set=False)).is_clock_set


async def test_system_of_an_odd_firmware_is_just_unknown(rig: Rig) -> None:
    rig.answer({"/api/system/status": {"git_hash": 5, "uptime": -1}})
    assert await rig.dtu.system() == DtuStatus(1000.0)


async def test_settings_and_poll_interval(rig: Rig) -> None:
    entry = {"id": 0, "name": "Garage", "serial": GARAGE, "poll_enable": True, "poll_enable_night": False,
             "command_enable": True, "command_enable_night": False, "reachable_threshold": 2, "zero_runtime": False,
             "type": "HM-1000/1200/1500-4T", "channel": []}  # fmt: skip
    rig.answer({"/api/inverter/list": {"inverter": [entry, {"serial": SHED}]}, "/api/dtu/config": {"pollinterval": 5}})
    assert await rig.dtu.settings() == [
        InverterSettings(GARAGE, "Garage", "HM-1000/1200/1500-4T", True, False, True, False, 2),
        InverterSettings(SHED, "", "", None, None, None, None, None),
    ]
    assert await rig.dtu.poll_interval_s() == 5


@pytest.mark.parametrize("answer", [{}, {"pollinterval": 0}, {"pollinterval": "5"}, []], ids=str)
async def test_missing_poll_interval_is_an_error(rig: Rig, answer: object) -> None:
    rig.answer({"/api/dtu/config": answer})
    with pytest.raises(DeviceAnswerError, match="pollinterval"):
        await rig.dtu.poll_interval_s()


# --- commands ---


async def test_limit_goes_out_as_a_form_with_exact_types(rig: Rig) -> None:
    rig.answer({"/api/limit/config": SUCCESS})
    await rig.dtu.set_limit(SHED.upper(), 312.57, minimum_w=40, rated_w=800)
    (request,) = rig.device.requests
    assert (request.method, request.content_type) == ("POST", "application/x-www-form-urlencoded")
    assert list(request.form) == ["data"]
    assert request.form["data"] == f'{{"serial":"{SHED}","limit_type":0,"limit_value":312.5}}'
    assert request.authorization == f"Basic {TOKEN}"


@pytest.mark.parametrize(
    ("limit_w", "minimum_w", "rated_w", "sent_w"),
    [
        (312.5, 40, 800, 312.5),
        (312.59, 40, 800, 312.5),
        (16.1, 10, 800, 16.1),
        (10, 40, 800, 40),
        (-5, 0, 800, 0),
        (900, 40, 800, 800),
        (9000, 40, None, 2250),
        (9000, 40, 0, 2250),
        (9000, 40, 5000, 2250),
        (10, 40.04, 800, 40.1),
        (0, 0.1 + 0.2, 800, 0.3),  # a hair above 0.3 in binary
        (900, 40, 350.07, 350),
        (100, 900, 800, 800),
        (100, -50, 800, 100),
        (100, 9000, None, 2250),
    ],
)
async def test_limit_is_brought_between_minimum_and_rated_and_rounded_down(
    rig: Rig, limit_w: float, minimum_w: float, rated_w: float | None, sent_w: float
) -> None:
    rig.answer({"/api/limit/config": SUCCESS})
    await rig.dtu.set_limit(SHED, limit_w, minimum_w=minimum_w, rated_w=rated_w)
    assert rig.command == {"serial": SHED, "limit_type": 0, "limit_value": sent_w}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
async def test_value_that_is_not_finite_is_never_sent(rig: Rig, bad: float) -> None:
    rig.answer({"/api/limit/config": SUCCESS})
    for limit_w, minimum_w, rated_w in ((bad, 40, 800), (100, bad, 800), (100, 40, bad)):
        with pytest.raises(ValueError, match="finite"):
            await rig.dtu.set_limit(SHED, limit_w, minimum_w=minimum_w, rated_w=rated_w)
    assert rig.device.requests == []


async def test_unlisted_inverter_is_never_commanded(rig: Rig) -> None:
    rig.answer({"/api/limit/config": SUCCESS, "/api/power/config": SUCCESS})
    for command in (
        rig.dtu.set_limit(BALCONY, 100, minimum_w=20, rated_w=350),
        rig.dtu.set_power(BALCONY, on=False),
        rig.dtu.restart(BALCONY),
    ):
        with pytest.raises(ValueError, match="not listed"):
            await command
    assert rig.device.requests == []


@pytest.mark.parametrize("limit_type", [2, 3, 256, 257, -1])
async def test_persistent_limit_cannot_be_sent(rig: Rig, limit_type: int) -> None:
    with pytest.raises(ValueError, match="EEPROM"):
        await rig.dtu._post_limit(SHED, limit_type, 100)
    assert rig.device.requests == []


@pytest.mark.parametrize("value", [-0.1, 2250.1, math.nan])
async def test_value_beyond_the_dtus_bounds_cannot_be_sent(rig: Rig, value: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        await rig.dtu._post_limit(SHED, 0, value)
    assert rig.device.requests == []


@settings(max_examples=300, deadline=None)
@given(
    limit_w=st.floats(-5000, 5000) | st.integers(0, 22500).map(lambda tenths: tenths / 10),
    minimum_w=st.floats(-100, 3000) | st.integers(0, 5000).map(lambda tenths: tenths / 10),
    rated_w=st.none() | st.floats(1, 6000),
)
def test_every_limit_sent_is_a_tenth_within_the_bounds(limit_w: float, minimum_w: float, rated_w: float | None) -> None:
    sent: list[float] = []

    async def post(_path: str, form: dict[str, str]) -> object:
        sent.append(json.loads(form["data"])["limit_value"])
        return SUCCESS

    async def command() -> None:
        async with aiohttp.ClientSession() as session:
            dtu = OpenDtu(Settings("127.0.0.1:9"), session, [SHED])
            dtu._admin.post = post  # type: ignore[method-assign, assignment] # the transport has its own test
            await dtu.set_limit(SHED, limit_w, minimum_w=minimum_w, rated_w=rated_w)

    asyncio.run(command())
    (value_w,) = sent
    highest_w = min(rated_w or 2250, 2250)
    assert 0 <= value_w <= highest_w + 1e-9
    assert value_w >= min(minimum_w, highest_w - 0.1) - 1e-6
    assert value_w == round(value_w, 1)
    if max(minimum_w + 0.1, 0) <= limit_w <= highest_w:
        assert limit_w - 0.1 - 1e-9 <= value_w <= limit_w + 1e-9


async def test_power_and_restart_are_booleans(rig: Rig) -> None:
    rig.answer({"/api/power/config": SUCCESS})
    await rig.dtu.set_power(SHED, on=True)
    assert rig.device.requests[-1].form["data"] == f'{{"serial":"{SHED}","power":true}}'
    await rig.dtu.set_power(SHED, on=False)
    assert rig.device.requests[-1].form["data"] == f'{{"serial":"{SHED}","power":false}}'
    await rig.dtu.restart(SHED)
    assert rig.device.requests[-1].form["data"] == f'{{"serial":"{SHED}","restart":true}}'


async def test_reboot(rig: Rig) -> None:
    rig.answer({"/api/maintenance/reboot": {"type": "success", "message": "Reboot triggered!", "code": 6001}})
    await rig.dtu.reboot()
    assert rig.device.requests[-1].form["data"] == '{"reboot":true}'


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"type": "warning", "message": "Values are missing!", "code": 1005}, 1005),
        ({"type": "danger", "message": "x"}, None),
        ({"type": "Success", "code": "1001"}, None),
    ],
    ids=str,
)
async def test_status_200_without_success_is_a_refusal(rig: Rig, answer: dict[str, object], code: int | None) -> None:
    rig.answer({"/api/limit/config": answer})
    with pytest.raises(DeviceRefusedError) as caught:
        await rig.dtu.set_limit(SHED, 100, minimum_w=40, rated_w=800)
    assert caught.value.code == code


@pytest.mark.parametrize("answer", [{}, [], "success", {"type": True}, {"type": None}], ids=str)
async def test_answer_without_a_verdict_is_no_success(rig: Rig, answer: object) -> None:
    rig.answer({"/api/limit/config": answer})
    with pytest.raises(DeviceAnswerError):
        await rig.dtu.set_limit(SHED, 100, minimum_w=40, rated_w=800)


# --- passwords, pauses, silence ---


async def test_password_check(rig: Rig) -> None:
    rig.device.login = BasicLogin(TOKEN)
    rig.answer({"/api/security/authenticate": {"type": "success", "message": "", "code": 10002}})
    await rig.dtu.check_password()
    with pytest.raises(DeviceAuthError, match=r"refuses the password: correct opendtu\.password") as caught:
        await rig.build(password=SecretStr("wrong")).check_password()
    assert "wrong" not in str(caught.value)
    with pytest.raises(DeviceAuthError, match=r"set opendtu\.password"):
        await rig.build(password=None).check_password()


async def test_wrong_password_stops_commands_but_not_the_reading_that_needs_none(rig: Rig) -> None:
    rig.device.login = BasicLogin("other")
    rig.device.open_paths = {LIVE, "/api/limit/status"}
    rig.answer({**NEW, "/api/limit/status": LIMITS})
    for pause_s in (60, 120):
        for _ in range(3):
            with pytest.raises(DeviceAuthError):
                await rig.dtu.set_limit(SHED, 100, minimum_w=40, rated_w=800)
            assert SHED in (await rig.dtu.live([SHED])).inverters
            await rig.dtu.limits()
        rig.clock.now_s += pause_s
    assert rig.device.paths.count("/api/limit/config") == 2


async def test_reading_that_needs_the_password_pauses_when_it_is_wrong(rig: Rig) -> None:
    rig.device.login = BasicLogin("other")
    for _ in range(3):
        with pytest.raises(DeviceAuthError):
            await rig.dtu.live([])
    assert rig.device.paths == [LIVE]


async def test_dtu_short_of_memory_is_left_alone_but_for_commands(rig: Rig) -> None:
    rig.answer({LIVE: text("Too Many Requests", 429, {"Retry-After": "60"}), "/api/limit/config": SUCCESS})
    for _ in range(3):
        with pytest.raises(DeviceBusyError) as caught:
            await rig.dtu.live([])
        assert caught.value.retry_after_s == 5
    assert rig.device.paths == [LIVE]
    await rig.dtu.set_limit(SHED, 100, minimum_w=40, rated_w=800)
    assert rig.device.paths == [LIVE, "/api/limit/config"]


async def test_reads_and_commands_never_overlap(rig: Rig) -> None:
    async def unhurried(_request: object) -> aiohttp.web.Response:
        await asyncio.sleep(0.01)
        return aiohttp.web.json_response(SUCCESS | {"inverters": []})

    rig.answer({})
    rig.device.answers = {LIVE: unhurried, "/api/limit/config": unhurried}
    await asyncio.gather(
        *(rig.dtu.live([]) for _ in range(3)),
        *(rig.dtu.set_limit(SHED, 100, minimum_w=40, rated_w=800) for _ in range(3)),
    )
    assert len(rig.device.requests) == 6
    assert rig.device.most_in_flight == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (text("null"), DeviceAnswerError),
        (text("<html>"), DeviceAnswerError),
        (text("Not found", 404), DeviceAnswerError),
        (document({"message": "500 Internal Server Error", "code": 1007, "type": "danger"}, 500), DeviceAnswerError),
        (document(SUCCESS, 500), DeviceAnswerError),
    ],
    ids=["null", "HTML", "404", "500", "success with 500"],
)
async def test_every_method_gives_a_device_error(rig: Rig, answer: object, error: type[DeviceError]) -> None:
    rig.device.answers = dict.fromkeys(
        [
            LIVE,
            "/api/limit/status",
            "/api/limit/config",
            "/api/power/config",
            "/api/maintenance/reboot",
            "/api/system/status",
            "/api/inverter/list",
            "/api/dtu/config",
            "/api/security/authenticate",
        ],
        answer,
    )
    dtu = rig.dtu
    for call in (
        dtu.live([SHED]),
        dtu.limits(),
        dtu.set_limit(SHED, 100, minimum_w=40, rated_w=800),
        dtu.set_power(SHED, on=True),
        dtu.restart(SHED),
        dtu.reboot(),
        dtu.system(),
        dtu.settings(),
        dtu.poll_interval_s(),
        dtu.check_password(),
    ):
        with pytest.raises(error):
            await call


async def test_stalled_answer_is_a_timeout(rig: Rig) -> None:
    rig.device.answers = {LIVE: rig.device.stall}
    with pytest.raises(DeviceTimeoutError):
        await rig.build(timeout_s=0.05).live([])


# --- anything at all ---


@settings(max_examples=400, deadline=None)
@given(data=st.data(), generation=st.sampled_from(["flat", "old", "new"]))
def test_damaged_answers_give_sound_values_or_a_device_error(data: st.DataObject, generation: str) -> None:
    answers: dict[str, Any] = {**{"old": OLD, "new": NEW, "flat": FLAT}[generation], "/api/limit/status": LIMITS}
    path = data.draw(st.sampled_from(sorted(answers)))
    answers[path] = data.draw(damaged(answers[path]))

    async def get(path: str) -> object:
        if answers.get(path) is None:
            raise DeviceAnswerError("404")
        return answers[path]

    async def read() -> None:
        async with aiohttp.ClientSession() as session:
            dtu = OpenDtu(Settings("127.0.0.1:9"), session, [SHED], FakeClock())
            for door in (dtu._live, dtu._reads):
                door.get = get  # type: ignore[method-assign, assignment] # the transport has its own test
            with contextlib.suppress(DeviceError):
                live = await dtu.live([GARAGE, SHED, BALCONY])
                for status in live.inverters.values():
                    assert status.at_s <= status.answered_at_s
                    for value in (status.ac_power_w, status.dc_power_w, status.dc_current_a, status.yield_total_wh):
                        assert value is None or math.isfinite(value)
            with contextlib.suppress(DeviceError):
                for limit in (await dtu.limits()).values():
                    assert limit.limit_pct is None or 0 < limit.limit_pct <= 100
                    assert limit.rated_w is None or limit.rated_w > 0

    asyncio.run(read())


@settings(max_examples=40, deadline=None)
@given(answer=json_values)
def test_any_json_over_http_raises_nothing_but_a_device_error(answer: object) -> None:
    async def ask() -> None:
        async with running_device() as (device, session):
            paths = (LIVE, "/api/limit/status", "/api/inverter/list", "/api/dtu/config", "/api/system/status")
            device.answers = dict.fromkeys((*paths, "/api/limit/config"), document(answer))
            dtu = OpenDtu(Settings(device.host), session, [SHED], FakeClock())
            for call in (dtu.live([SHED]), dtu.limits(), dtu.settings(), dtu.poll_interval_s(), dtu.system()):
                with contextlib.suppress(DeviceError):
                    await call
            with pytest.raises(DeviceError):
                await dtu.set_limit(SHED, 100, minimum_w=40, rated_w=800)

    asyncio.run(ask())
