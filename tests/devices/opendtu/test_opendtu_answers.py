"""What is read of the answers of OpenDTU."""

import dataclasses
import json
from typing import Any

import aiohttp
import pytest

from opendtu_dcload.devices.opendtu.opendtu_client import InverterSettings, KnownInverter
from opendtu_dcload.errors import (
    DeviceAnswerError,
)
from opendtu_dcload.model import CommandState, DtuStatus, InverterStatus, LimitStatus
from tests.devices.opendtu.opendtu_documents import (
    BALCONY,
    FLAT,
    GARAGE,
    LIMITS,
    LIVE,
    NEW,
    OLD,
    SHED,
    SHED_STATUS,
    DtuRig,
    dc_input,
    header,
    leaf,
    live_document,
    values,
)
from tests.doubles.fake_device import text

# --- live data ---


async def test_new_firmware_is_asked_for_each_inverter_in_turn(rig: DtuRig) -> None:
    rig.answer(NEW)
    live = await rig.dtu.live([SHED, GARAGE])
    assert rig.device.paths == [LIVE, f"{LIVE}?inv={SHED}", f"{LIVE}?inv={GARAGE}"]
    assert live.inverters[SHED] == SHED_STATUS
    assert live.inverters[GARAGE].at_s == pytest.approx(1000 - 3.41)
    assert live.is_clock_set
    assert live.known == (KnownInverter(GARAGE, "Garage"), KnownInverter(SHED, "Shed"))


async def test_without_wishes_only_the_header_is_read(rig: DtuRig) -> None:
    rig.answer(NEW)
    live = await rig.dtu.live([])
    assert rig.device.paths == [LIVE]
    assert live.inverters == {}
    assert [inverter.serial for inverter in live.known] == [GARAGE, SHED]


async def test_old_firmware_has_all_in_one_document(rig: DtuRig) -> None:
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


async def test_values_are_as_old_as_the_dtu_says_not_as_its_answer(rig: DtuRig) -> None:
    rig.answer(NEW)
    entry = header(SHED, "Shed", data_age=90, data_age_ms=90250) | values()
    rig.answer({**NEW, f"{LIVE}?inv={SHED}": live_document(entry)})
    shed = (await rig.dtu.live([SHED])).inverters[SHED]
    assert (shed.answered_at_s, shed.at_s) == (1000.0, 909.75)


async def test_each_inverters_values_are_dated_by_their_own_answer(rig: DtuRig) -> None:
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
async def test_either_age_will_do(rig: DtuRig, fields: dict[str, object], age_s: float) -> None:
    rig.answer({**NEW, f"{LIVE}?inv={SHED}": live_document(header(SHED, "Shed", **fields) | values())})
    assert (await rig.dtu.live([SHED])).inverters[SHED].at_s == pytest.approx(1000 - age_s)


@pytest.mark.parametrize("age", [None, "7", True, -1, []], ids=str)
async def test_values_of_unknown_age_are_refused(rig: DtuRig, age: object) -> None:
    entry = header(SHED, "Shed", data_age=age, data_age_ms=age) | values()
    rig.answer({**NEW, f"{LIVE}?inv={SHED}": live_document(entry)})
    with pytest.raises(DeviceAnswerError, match="data_age"):
        await rig.dtu.live([SHED])


async def test_inverter_that_the_dtu_does_not_know_is_left_out_and_not_asked_for(rig: DtuRig) -> None:
    rig.answer(NEW)
    live = await rig.dtu.live([BALCONY, SHED])
    assert set(live.inverters) == {SHED}
    assert rig.device.paths == [LIVE, f"{LIVE}?inv={SHED}"]


async def test_inverter_deleted_between_two_requests_is_left_out(rig: DtuRig) -> None:
    rig.answer({**NEW, f"{LIVE}?inv={SHED}": live_document()})
    assert (await rig.dtu.live([SHED])).inverters == {}


async def test_serials_are_compared_in_lower_case(rig: DtuRig) -> None:
    rig.answer({LIVE: live_document(header(SHED.upper(), "Shed") | values())})
    live = await rig.dtu.live([SHED.upper(), SHED])
    assert live.inverters == {SHED: SHED_STATUS}


@pytest.mark.parametrize(("time_sync", "is_set"), [(True, False), (False, True), (None, True)])
async def test_the_hint_time_sync_means_the_clock_is_not_set(rig: DtuRig, time_sync: object, is_set: bool) -> None:
    rig.answer({LIVE: live_document(time_sync=time_sync)})
    assert (await rig.dtu.live([])).is_clock_set is is_set


async def test_entries_without_a_serial_are_passed_over(rig: DtuRig) -> None:
    odd: list[Any] = [None, 5, [], {}, {"serial": 5}, {"serial": "11619000123"}, {"serial": "zzz190001234"}]
    rig.answer({LIVE: live_document(*odd, header(SHED, "Shed") | values())})
    live = await rig.dtu.live([SHED])
    assert [inverter.serial for inverter in live.known] == [SHED]


@pytest.mark.parametrize("answer", [{}, [], "x", 5, {"inverters": None}, {"inverters": {}}], ids=str)
async def test_other_documents_are_not_taken_for_live_data(rig: DtuRig, answer: object) -> None:
    rig.answer({LIVE: answer})
    with pytest.raises(DeviceAnswerError, match=LIVE):
        await rig.dtu.live([SHED])


async def _shed(rig: DtuRig, block: str, channel: str, field: str, value: object) -> InverterStatus:
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
    rig: DtuRig, block: str, field: str, attribute: str, beyond: float
) -> None:
    without: dict[str, Any] = {attribute: None}
    expected = dataclasses.replace(SHED_STATUS, **without)
    bad_leaves: list[object] = [leaf(value, "", 1) for value in (beyond, "5", True, None)]
    for bad in (*bad_leaves, {}, 5, None, []):
        assert await _shed(rig, block, "0", field, bad) == expected


async def test_infinity_in_disguise_becomes_none(rig: DtuRig) -> None:
    body = json.dumps(live_document(header(SHED, "Shed") | values())).replace("257.2000122", "1e999")
    rig.answer({LIVE: text(body)})
    assert (await rig.dtu.live([SHED])).inverters[SHED].ac_power_w is None


@pytest.mark.parametrize("digits", [None, "1", -1, 99, True])
async def test_odd_digits_still_round(rig: DtuRig, digits: object) -> None:
    shed = await _shed(rig, "AC", "0", "Power", leaf(257.2000122, "W", digits))
    assert shed.ac_power_w == 257.2


async def test_flags_must_be_booleans(rig: DtuRig) -> None:
    not_true: tuple[object, ...] = (1, "true", None, [], False)
    for reachable in not_true:
        entry = header(SHED, "Shed", reachable=reachable)
        rig.answer({LIVE: live_document(entry | values())})
        assert (await rig.dtu.live([SHED])).inverters[SHED].reachable is False


async def test_dc_power_is_summed_when_nobody_gives_the_total(rig: DtuRig) -> None:
    shed = await _shed(rig, "INV", "0", "Power DC", None)
    assert (shed.dc_power_w, shed.dc_voltage_v) == (269.4, 33.64)
    measured = values()
    measured["INV"]["0"]["Power DC"] = None
    measured["DC"]["1"]["Power"] = None
    rig.answer({LIVE: live_document(header(SHED, "Shed") | measured)})
    shed = (await rig.dtu.live([SHED])).inverters[SHED]
    assert (shed.dc_power_w, shed.dc_current_a) == (None, None)  # never a sum of some inputs


@pytest.mark.parametrize(
    ("ac_w", "dc_w", "is_believed"),
    [(257.2, 269.4, True), (0.0, 12.6, True), (60.0, 160.0, True), (0.0, 315.0, False), (100.0, 269.4, False)],
)
async def test_what_goes_in_without_coming_out_is_not_believed(
    rig: DtuRig, ac_w: float, dc_w: float, is_believed: bool
) -> None:
    """An HMS-1500 that was switched off told 270 W at one input (https://github.com/tbnobody/OpenDTU/issues/1832)."""
    measured = values()
    measured["AC"]["0"]["Power"]["v"] = ac_w
    measured["INV"]["0"]["Power DC"]["v"] = dc_w
    rig.answer({LIVE: live_document(header(SHED, "Shed") | measured)})
    shed = (await rig.dtu.live([SHED])).inverters[SHED]
    assert (shed.ac_power_w, shed.dc_power_w) == (ac_w, dc_w if is_believed else None)
    assert (shed.dc_current_a is not None) is is_believed


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
    rig: DtuRig, inputs: list[tuple[float, float, float]], voltage_v: float
) -> None:
    measured = values()
    measured["DC"] = {str(index): dc_input(*numbers) for index, numbers in enumerate(inputs)}
    rig.answer({LIVE: live_document(header(SHED, "Shed") | measured)})
    shed = (await rig.dtu.live([SHED])).inverters[SHED]
    assert (shed.dc_voltage_v, shed.dc_current_a) == (voltage_v, round(269.4 / voltage_v, 2))


async def test_dc_voltage_is_unknown_without_inputs(rig: DtuRig) -> None:
    measured = values() | {"DC": {}}
    rig.answer({LIVE: live_document(header(SHED, "Shed") | measured)})
    assert (await rig.dtu.live([SHED])).inverters[SHED].dc_voltage_v is None


async def test_flat_values_of_before_february_2023_are_read(rig: DtuRig) -> None:
    rig.answer(FLAT)
    assert (await rig.dtu.live([SHED])).inverters[SHED] == InverterStatus(
        serial=SHED, name="Shed", answered_at_s=1000.0, at_s=997.0, reachable=True,
        ac_power_w=240.5, ac_voltage_v=230.1, dc_power_w=253.1, dc_voltage_v=52.5, dc_current_a=4.82,
        temperature_c=9.6, yield_total_wh=17030.0,
    )  # fmt: skip
    assert rig.device.paths == [LIVE]


async def test_an_inverter_without_values_is_never_taken_for_one_that_has_none_now(rig: DtuRig) -> None:
    rig.answer({**NEW, f"{LIVE}?inv={SHED}": live_document(header(SHED, "Shed"))})
    with pytest.raises(DeviceAnswerError, match="OpenDTU is too old or too new"):
        await rig.dtu.live([SHED])


async def test_live_data_of_before_november_2022_are_called_too_old(rig: DtuRig) -> None:
    rig.answer({LIVE: [header(SHED, "Shed")]})
    with pytest.raises(DeviceAnswerError, match="OpenDTU is too old, update it"):
        await rig.dtu.live([SHED])


async def test_dc_current_is_unknown_without_voltage(rig: DtuRig) -> None:
    measured = values()
    measured["DC"] = {"0": dc_input(0, 0, 0)}
    rig.answer({LIVE: live_document(header(SHED, "Shed") | measured)})
    shed = (await rig.dtu.live([SHED])).inverters[SHED]
    assert (shed.dc_voltage_v, shed.dc_current_a) == (0.0, None)


# --- limits and the DTU itself ---


async def test_limits_say_what_the_dtu_knows(rig: DtuRig) -> None:
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
    rig: DtuRig, fields: dict[str, object], limit_pct: float | None, rated_w: float | None, state: CommandState
) -> None:
    rig.answer({"/api/limit/status": {SHED.upper(): LIMITS[SHED] | fields, "total": {}, GARAGE: 5}})
    assert await rig.dtu.limits() == {SHED: LimitStatus(SHED, 1000.0, limit_pct, rated_w, state)}


async def test_limits_must_be_an_object(rig: DtuRig) -> None:
    rig.answer({"/api/limit/status": [LIMITS]})
    with pytest.raises(DeviceAnswerError, match="/api/limit/status"):
        await rig.dtu.limits()


async def test_system_tells_firmware_and_uptime(rig: DtuRig) -> None:
    rig.answer({"/api/system/status": {"git_hash": "v26.3.30", "uptime": 86511, "heap_total": 1}})
    assert await rig.dtu.system() == DtuStatus(1000.0, "v26.3.30", 86511.0, is_clock_set=True)
    assert not (await rig.dtu.system(is_clock_set=False)).is_clock_set


async def test_system_of_an_odd_firmware_is_just_unknown(rig: DtuRig) -> None:
    rig.answer({"/api/system/status": {"git_hash": 5, "uptime": -1}})
    assert await rig.dtu.system() == DtuStatus(1000.0)


async def test_settings_and_poll_interval(rig: DtuRig) -> None:
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
async def test_missing_poll_interval_is_an_error(rig: DtuRig, answer: object) -> None:
    rig.answer({"/api/dtu/config": answer})
    with pytest.raises(DeviceAnswerError, match="pollinterval"):
        await rig.dtu.poll_interval_s()
