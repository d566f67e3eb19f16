"""A Shelly that is identified, changes, counts and wants a password."""

import copy
from typing import Any

import pytest
from pydantic import SecretStr

from opendtu_dcload.config import MeterConfig
from opendtu_dcload.devices.shelly.shelly_meter import MeterSettings
from opendtu_dcload.errors import (
    DeviceAnswerError,
    DeviceAuthError,
)
from opendtu_dcload.model import MeterInfo
from tests.devices.shelly.shelly_devices import (
    MAC,
    MONOPHASE,
    PLUG_S,
    PLUS_PLUG,
    PM_MINI,
    PRO_3EM,
    THREE_EM,
    MeterRig,
    gen2,
)
from tests.doubles.fake_device import (
    BasicLogin,
    DigestLogin,
    document,
    text,
)


def test_the_configuration_fits() -> None:
    config: MeterSettings = MeterConfig(host="192.0.2.1")
    assert (config.channel, config.phase, config.invert) == (None, 1, False)


# --- who it is ---


def _info(serial: str, model: str, generation: int, firmware: str, name: str) -> MeterInfo:
    hardware = f"generation {generation}"
    return MeterInfo(vendor="Shelly", model=model, serial=serial, hardware=hardware, firmware=firmware, name=name)


@pytest.mark.parametrize(
    ("answers", "info"),
    [
        (THREE_EM, _info("c45bbe5f0a11", "SHEM-3", 1, "20230913-114244/v1.14.0-gcb84623", "")),
        (PLUG_S, _info("a0dd6c112233", "SHPLG-S", 1, "v1.11.0", "")),
        (PRO_3EM, _info("a0dd6c112233", "SPEM-003CEBEU", 2, "1.7.1", "House")),
        (PM_MINI, _info("a0dd6c112233", "SNPM-001PCEU16", 2, "1.7.1", "")),
    ],
    ids=["3EM", "Plug S", "Pro 3EM", "PM Mini"],
)
async def test_identifies_itself(rig: MeterRig, answers: dict[str, Any], info: MeterInfo) -> None:
    assert await rig.solar(answers).identify() == info


@pytest.mark.parametrize(
    "about",
    [{}, [], "x", {"type": "SHEM"}, {"mac": MAC}, {"type": "SHEM", "mac": "xyz"}, {"gen": 2, "mac": MAC, "model": 5}],
)
async def test_something_else_than_a_shelly_is_not_taken_for_one(rig: MeterRig, about: object) -> None:
    with pytest.raises(DeviceAnswerError, match=r"as a Shelly does: correct meter\.host"):
        await rig.meter({"/shelly": about}).identify()


async def test_name_is_freed_of_what_d_bus_cannot_carry(rig: MeterRig) -> None:
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
async def test_a_shelly_that_measures_nothing_is_no_meter(rig: MeterRig, answers: dict[str, Any]) -> None:
    with pytest.raises(DeviceAnswerError, match="is no power meter: correct meter"):
        await rig.meter(answers).read()


async def test_generation_1_without_counts_is_probed(rig: MeterRig) -> None:
    answers = copy.deepcopy(THREE_EM)
    del answers["/shelly"]["num_emeters"]
    assert (await rig.meter(answers).read()).power_w == pytest.approx(-107.86)


async def test_later_readings_cost_one_request(rig: MeterRig) -> None:
    meter = rig.meter(PRO_3EM)
    await meter.read()
    rig.device.requests.clear()
    await meter.read()
    assert rig.device.paths == ["/rpc/EM.GetStatus?id=0"]


# --- the device changes while we run ---


@pytest.mark.parametrize(
    "refusal",
    [
        document({"code": 404, "message": "No handler for EM.GetStatus"}, 404),
        document({"code": -105, "message": "Argument 'id', value 0 not found!"}, 500),
    ],
    ids=["404", "-105"],
)
async def test_changed_profile_is_found_at_the_next_reading(rig: MeterRig, refusal: object) -> None:
    meter = rig.meter(MONOPHASE, channel="0")
    assert (await meter.read()).power_w == 100.0
    rig.device.answers = copy.deepcopy(PRO_3EM) | {"/rpc/EM1.GetStatus?id=0": refusal}
    with pytest.raises(DeviceAnswerError):
        await meter.read()
    reading = await meter.read()
    assert reading.power_w == 226.4
    assert reading.energy_import_wh == 100.5


async def test_another_shelly_at_the_same_address_is_not_the_grid_meter(rig: MeterRig) -> None:
    meter = rig.meter(MONOPHASE, channel="0")
    await meter.read()
    other = PRO_3EM["/shelly"] | {"mac": "A0DD6C445566"}
    rig.device.answers = copy.deepcopy(PRO_3EM) | {"/shelly": other}
    for _ in range(3):
        with pytest.raises(DeviceAnswerError):
            await meter.read()


async def test_changed_profile_is_found_from_the_sum_too(rig: MeterRig) -> None:
    meter = rig.meter(MONOPHASE, channel="sum")
    await meter.read()
    rig.device.answers = copy.deepcopy(PRO_3EM)
    with pytest.raises(DeviceAnswerError):
        await meter.read()
    assert (await meter.read()).power_w == -110.3


async def test_counters_of_the_old_profile_are_forgotten(rig: MeterRig) -> None:
    meter = rig.meter(MONOPHASE, channel="0")
    assert (await meter.read()).energy_import_wh == 100.0
    rig.device.answers = {path: answer for path, answer in PRO_3EM.items() if "EMData" not in path}
    with pytest.raises(DeviceAnswerError):
        await meter.read()
    assert (await meter.read()).energy_import_wh is None


async def test_other_failures_do_not_identify_it_again(rig: MeterRig) -> None:
    meter = rig.solar(PLUG_S)
    await meter.read()
    rig.device.requests.clear()
    for answer in (text("no", 500), document({"power": None})):
        rig.device.answers["/meter/0"] = answer
        with pytest.raises(DeviceAnswerError):
            await meter.read()
    assert rig.device.paths == ["/meter/0", "/meter/0"]


# --- energy ---


async def test_energies_are_asked_for_once_a_minute_and_kept_between(rig: MeterRig) -> None:
    meter = rig.meter(PRO_3EM)
    for _ in range(120):
        assert (await meter.read()).energy_import_wh == 600.5
        rig.clock.now_s += 1
    assert rig.device.paths.count("/rpc/EMData.GetStatus?id=0") == 2
    assert rig.device.paths.count("/rpc/EM.GetStatus?id=0") == 120


@pytest.mark.parametrize("answer", [text("no", 500), text("null"), document([]), document({"a_total_act_energy": "x"})])
async def test_failing_energies_cost_neither_the_power_nor_the_last_counters(rig: MeterRig, answer: object) -> None:
    meter = rig.meter(PRO_3EM)
    await meter.read()
    rig.clock.now_s += 60
    rig.device.answers["/rpc/EMData.GetStatus?id=0"] = answer
    reading = await meter.read()
    assert (reading.power_w, reading.energy_import_wh, reading.energy_export_wh) == (-110.3, 600.5, 6.0)


async def test_missing_energies_are_none(rig: MeterRig) -> None:
    answers = {path: answer for path, answer in PRO_3EM.items() if "EMData" not in path}
    reading = await rig.meter(answers).read()
    assert (reading.power_w, reading.energy_import_wh) == (-110.3, None)


async def test_counter_that_dips_is_not_believed(rig: MeterRig) -> None:
    meter = rig.solar(PLUG_S)
    seen = []
    for total in (60_000, 0, 30_000, 60_060, 0, 60_120):
        rig.change("/meter/0", total=total)
        seen.append((await meter.read()).energy_import_wh)
        rig.clock.now_s += 150
    assert seen == [1000, 1000, 1000, 1001, 1001, 1002]


async def test_counter_that_stays_low_was_reset(rig: MeterRig) -> None:
    meter = rig.solar(PLUG_S)
    await meter.read()
    rig.change("/meter/0", total=60)
    for age_s, expected_wh in ((0, 30720.0), (299, 30720.0), (300, 1.0)):
        start_s = rig.clock.now_s
        rig.clock.now_s += age_s
        assert (await meter.read()).energy_import_wh == expected_wh
        rig.clock.now_s = start_s


async def test_counters_survive_a_restart_with_missing_components(rig: MeterRig) -> None:
    meter = rig.solar(PLUS_PLUG)
    await meter.read()
    working = rig.device.answers.pop("/rpc/Switch.GetStatus?id=0")
    with pytest.raises(DeviceAnswerError):
        await meter.read()
    rig.device.answers["/rpc/Switch.GetStatus?id=0"] = working
    rig.change("/rpc/Switch.GetStatus?id=0", aenergy={"total": 0.0})
    assert (await meter.read()).energy_import_wh == 30711.25


# --- passwords ---


async def test_basic_login_of_generation_1(rig: MeterRig) -> None:
    rig.device.login = BasicLogin("bWU6c2VjcmV0")  # me:secret
    meter = rig.solar(PLUG_S, user="me", password=SecretStr("secret"))
    rig.change("/shelly", auth=True)
    assert (await meter.read()).power_w == 312.66
    assert [bool(request.authorization) for request in rig.device.requests] == [False, True, True]


async def test_digest_login_is_always_admins_and_ten_readings_cost_one_challenge(rig: MeterRig) -> None:
    rig.device.login = login = DigestLogin("secret")
    meter = rig.meter(PM_MINI, user="me", password=SecretStr("secret"))
    rig.change("/shelly", auth_en=True)
    for _ in range(10):
        await meter.read()
    assert login.challenges == 1
    assert rig.device.paths.count("/rpc/PM1.GetStatus?id=0") == 10


async def test_wrong_digest_password_is_tried_once_a_pause(rig: MeterRig) -> None:
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
async def test_locked_device_without_a_password_names_what_to_set(
    rig: MeterRig, answers: dict[str, Any], key: str
) -> None:
    meter = rig.solar(answers)
    rig.change("/shelly", **{key: True})
    for _ in range(2):
        with pytest.raises(DeviceAuthError, match=r"set solar\.password"):
            await meter.read()
    assert rig.device.paths == ["/shelly"]
