"""What is read of the answers of each kind of Shelly."""

import math
from typing import Any

import pytest

from opendtu_dcload.errors import (
    DeviceAnswerError,
)
from opendtu_dcload.model import PhaseReading
from tests.devices.shelly.shelly_devices import (
    EM,
    MONOPHASE,
    PLUG_S,
    PLUS_2PM,
    PLUS_PLUG,
    PM_MINI,
    PRO_2PM,
    PRO_2PM_STATUS,
    PRO_3EM,
    PRO_EM_50,
    THREE_EM,
    MeterRig,
    em1_status,
)

# --- each kind of device ---


async def test_3em_gives_the_sum_of_one_answer(rig: MeterRig) -> None:
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
async def test_3em_gives_one_phase_when_told(rig: MeterRig, channel: str) -> None:
    reading = await rig.meter(THREE_EM, channel=channel, phase=2).read()
    assert rig.device.paths == ["/shelly", "/emeter/1"]
    assert reading.phases == (None, PhaseReading(-385.02, 232.4, 1.71, 2000.0, 400.0), None)
    assert reading.power_w == -385.02


async def test_3em_without_total_power_is_added_up(rig: MeterRig) -> None:
    meter = rig.meter(THREE_EM)
    rig.change("/status", total_power=None)
    assert (await meter.read()).power_w == pytest.approx(-107.85)


async def test_em_reads_its_named_channel_and_has_no_current(rig: MeterRig) -> None:
    reading = await rig.meter(EM, channel="1", phase=3).read()
    assert reading.phases == (None, None, PhaseReading(341.2, 230.82, None, 0.0, 1240.5))
    assert reading.power_w == 341.2


async def test_plug_of_generation_1_counts_watt_minutes(rig: MeterRig) -> None:
    reading = await rig.solar(PLUG_S).read()
    assert reading.phases == (PhaseReading(312.66, None, None, 30720.0, None), None, None)
    assert (reading.energy_import_wh, reading.energy_export_wh) == (30720.0, None)


async def test_pro_3em_gives_the_sum_of_one_answer(rig: MeterRig) -> None:
    reading = await rig.meter(PRO_3EM).read()
    assert reading.power_w == -110.3
    assert reading.phases == (
        PhaseReading(226.4, 233.4, 1.213, 100.5, 1.0),
        PhaseReading(-398.7, 232.1, 1.742, 200.0, 2.0),
        PhaseReading(61.9, 234.2, 0.511, 300.0, 3.0),
    )
    assert (reading.energy_import_wh, reading.energy_export_wh, reading.frequency_hz) == (600.5, 6.0, 50.0)


async def test_pro_3em_gives_one_phase_when_told(rig: MeterRig) -> None:
    reading = await rig.meter(PRO_3EM, channel="b", phase=1).read()
    assert reading.power_w == -398.7
    assert reading.phases == (PhaseReading(-398.7, 232.1, 1.742, 200.0, 2.0), None, None)
    assert (reading.energy_import_wh, reading.energy_export_wh, reading.frequency_hz) == (200.0, 2.0, 50.1)


async def test_pro_em_50_reads_its_named_clamp_not_its_switch(rig: MeterRig) -> None:
    reading = await rig.meter(PRO_EM_50, channel="0").read()
    assert reading.phases == (PhaseReading(-478.2, 231.6, 2.113, 100.0, 10.0), None, None)


async def test_monophase_sum_comes_from_one_answer(rig: MeterRig) -> None:
    meter = rig.meter(MONOPHASE, channel="sum")
    await meter.identify()
    rig.device.requests.clear()
    reading = await meter.read()
    assert rig.device.paths == ["/rpc/Shelly.GetStatus"]
    assert reading.power_w == pytest.approx(-120.5)
    assert reading.phases[1] == PhaseReading(-250.5, 231.6, 2.113, 101.0, 11.0)
    assert (reading.energy_import_wh, reading.energy_export_wh) == (303.0, 33.0)


async def test_pm_mini_reads_both_counters_and_current_as_a_magnitude(rig: MeterRig) -> None:
    reading = await rig.meter(PM_MINI).read()
    assert reading.phases == (PhaseReading(-337.2, 232.3, 1.481, 12.5, 88123.5), None, None)
    assert reading.frequency_hz == 50.0


async def test_plug_of_a_later_generation_may_lack_the_export_counter(rig: MeterRig) -> None:
    reading = await rig.solar(PLUS_PLUG).read()
    assert reading.phases == (PhaseReading(312.6, 231.9, 1.377, 30711.25, None), None, None)
    assert reading.frequency_hz is None


async def test_second_switch_can_be_named(rig: MeterRig) -> None:
    assert (await rig.solar(PLUS_2PM, channel="1").read()).power_w == 7.0


async def test_what_was_returned_is_taken_off_what_a_switch_counts(rig: MeterRig) -> None:
    reading = await rig.meter(PRO_2PM, channel="0").read()
    assert reading.phases[0] == PhaseReading(-3.5, 228.6, 0.036, 0.0, 47128.8)


@pytest.mark.parametrize(("generation", "import_wh"), [(2, 330.473), (3, 201.523), (4, 201.523)])
async def test_what_was_returned_is_taken_off_what_a_pm1_of_generation_3_counts(
    rig: MeterRig, generation: int, import_wh: float
) -> None:
    meter = rig.meter(PM_MINI)
    rig.change("/shelly", gen=generation)
    rig.change("/rpc/PM1.GetStatus?id=0", aenergy={"total": 330.473}, ret_aenergy={"total": 128.95})
    assert ((await meter.read()).energy_import_wh, (await meter.read()).energy_export_wh) == (import_wh, 128.95)


async def test_less_counted_than_returned_is_never_below_zero(rig: MeterRig) -> None:
    meter = rig.meter(PRO_2PM, channel="0")
    rig.change("/rpc/Switch.GetStatus?id=0", aenergy={"total": 5.0}, ret_aenergy={"total": 7.0})
    assert (await meter.read()).energy_import_wh == 0.0


async def test_two_cables_of_an_em_can_be_summed(rig: MeterRig) -> None:
    reading = await rig.meter(EM, channel="sum", phase=2).read()
    assert reading.power_w == pytest.approx(221.47)
    assert reading.phases == (None, PhaseReading(reading.power_w, 230.82, None, 702113.6, 96662.6), None)


async def test_two_cables_of_a_pro_em_50_can_be_summed_in_one_answer(rig: MeterRig) -> None:
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
    rig: MeterRig, answers: dict[str, Any], path: str, part: dict[str, Any]
) -> None:
    meter = rig.meter(answers, channel="sum")
    await meter.read()
    rig.device.answers[path] = part
    with pytest.raises(DeviceAnswerError, match=r"usable power|channel"):
        await meter.read()


async def test_both_loads_of_a_switch_can_be_summed(rig: MeterRig) -> None:
    assert (await rig.meter(PRO_2PM, channel="sum").read()).power_w == 16.5


@pytest.mark.parametrize("phase", ["b", "c"])
async def test_frequency_comes_from_whichever_phase_has_it(rig: MeterRig, phase: str) -> None:
    for channel in (None, "a"):
        meter = rig.meter(PRO_3EM, channel=channel)
        rig.change("/rpc/EM.GetStatus?id=0", **{f"{letter}_freq": 49.9 if letter == phase else 0 for letter in "abc"})
        assert (await meter.read()).frequency_hz == 49.9


async def test_frequency_of_a_monophase_sum_comes_from_the_phase_with_voltage(rig: MeterRig) -> None:
    meter = rig.meter(MONOPHASE, channel="sum")
    rig.change("/rpc/Shelly.GetStatus", **{f"em1:{i}": em1_status(i, 0) | {"voltage": 0, "freq": 0} for i in (0, 2)})
    assert (await meter.read()).frequency_hz == 50.0


# --- sign ---


async def test_invert_turns_power_and_swaps_the_counters(rig: MeterRig) -> None:
    reading = await rig.meter(PRO_3EM, invert=True).read()
    assert reading.power_w == 110.3
    assert reading.phases[0] == PhaseReading(-226.4, 233.4, 1.213, 1.0, 100.5)
    assert (reading.energy_import_wh, reading.energy_export_wh) == (6.0, 600.5)


async def test_inverted_zero_has_no_sign(rig: MeterRig) -> None:
    meter = rig.solar(PLUG_S, invert=True)
    rig.change("/meter/0", power=0)
    assert math.copysign(1, (await meter.read()).power_w) == 1
