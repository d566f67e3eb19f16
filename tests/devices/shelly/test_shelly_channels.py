"""Which channel of a Shelly measures, and which cannot."""

import re
from typing import Any

import pytest

from opendtu_dcload.config import MeterConfig
from opendtu_dcload.errors import (
    ConfigError,
    DeviceAnswerError,
)
from tests.devices.shelly.shelly_devices import (
    EM,
    MAC,
    MONOPHASE,
    PLUG_S,
    PLUS_2PM,
    PLUS_PLUG,
    PM_MINI,
    PRO_2PM_STATUS,
    PRO_3EM,
    PRO_EM_50,
    SWITCH_STATUS,
    THREE_EM,
    MeterRig,
    gen2,
)

# --- what cannot measure the grid ---


@pytest.mark.parametrize(
    ("answers", "channel"), [(PLUG_S, None), (PLUS_PLUG, None), (PLUS_2PM, "1"), (PLUS_2PM, "sum")]
)
async def test_load_meter_without_a_counter_of_returned_energy_is_no_grid_meter(
    rig: MeterRig, answers: dict[str, Any], channel: str | None
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
async def test_what_is_no_meter_is_refused_everywhere(rig: MeterRig, status: dict[str, Any]) -> None:
    about = {"type": "SHSW-1", "mac": MAC, "auth": False, "num_meters": 1}
    for section in ("meter", "solar"):
        meter = rig.meter({"/shelly": about, "/status": status, "/meter/0": status["meters"][0]}, section=section)
        with pytest.raises(DeviceAnswerError, match=rf"is no power meter: correct {section}\.host"):
            await meter.read()


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
async def test_channel_is_never_guessed(
    rig: MeterRig, answers: dict[str, Any], channel: str | None, offer: str
) -> None:
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
    rig: MeterRig, answers: dict[str, Any]
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
async def test_sum_may_be_said_where_it_is_the_default(rig: MeterRig, answers: dict[str, Any]) -> None:
    said = await rig.meter(answers, channel="sum").read()
    assert said == await rig.meter(answers, channel=None).read()
