"""The plausible lies of DTU and inverters: answers in time, in range, in form, and not true."""

from __future__ import annotations

import asyncio
from itertools import groupby

import aiohttp
import pytest

from opendtu_dcload.model import CommandState
from opendtu_dcload.sim.plant.house import House, InverterModel, SimInverter
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.servers.opendtu_json import device_info, limit_status, livedata
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from tests.doubles.clock import Clock
from tests.sim.conftest import OTHER, SERIAL, basic, make_dtu


def states(dtu: SimDtu, seconds: float, serial: str = SERIAL) -> list[tuple[CommandState, float]]:
    """What `limit_set_status` says one after the other, and for how many s."""
    seen = []
    for _ in range(int(seconds * 10)):
        dtu.advance(dtu.house.now_s + 0.1)
        seen.append(dtu.believed[serial].limit_state)
    return [(state, len(list(group)) / 10) for state, group in groupby(seen)]


def settled(limit_w: float = 200.0, count: int = 1) -> tuple[SimDtu, SimInverter]:
    """A plant whose first inverter rests at an acknowledged limit."""
    dtu = make_dtu(count=count)
    dtu.advance(12.0)
    dtu.post_limit(SERIAL, 0, limit_w)
    dtu.advance(42.0)
    assert dtu.believed[SERIAL].limit_state is CommandState.OK
    return dtu, dtu.house.inverters[SERIAL]


# ---- lost by radio


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("prefix", ["1121", "1124"], ids=["HM", "HMS"])
def test_a_lost_inverter_feeds_on_while_its_data_stop_and_its_limit_is_still_shown(prefix: str, count: int) -> None:
    # OpenDTU: reachable turns false with the third failed poll, limit_relative is an echo (v26.3.30, lib/Hoymiles).
    models = [InverterModel(f"{prefix}a000000{number}", f"{number}") for number in range(1, count + 1)]
    dtu = SimDtu(House([500.0], models), loss=0.0)
    serial = models[0].serial
    dtu.advance(20.0)
    dtu.post_limit(serial, 0, 200.0)
    dtu.advance(60.0)
    dtu.house.inverters[serial].is_in_reach = False
    for _ in range(3 * count):
        assert dtu.is_reachable(serial)
        dtu.advance(dtu.house.now_s + dtu.poll_interval_s)
    dtu.advance(dtu.house.now_s + 10.0)
    assert not dtu.is_reachable(serial)
    dtu.advance(360.0)
    assert dtu.data_age_s(serial) > 290
    assert dtu.believed[serial].limit_pct == 50
    assert dtu.house.inverters[serial].output_w == pytest.approx(197)
    assert all(dtu.is_reachable(model.serial) for model in models[1:])


@pytest.mark.parametrize("count", [1, 2])
def test_a_limit_for_a_lost_inverter_alternates_pending_and_failure_and_acts_when_it_is_found(count: int) -> None:
    # Five transmissions of 2 s, then again in each poll slot of that inverter: OpenDTU v26.3.30, lib/Hoymiles.
    dtu, inverter = settled(count=count)
    inverter.is_in_reach = False
    dtu.post_limit(SERIAL, 0, 100.0)
    seen = states(dtu, 120.0)
    assert {state for state, _ in seen} == {CommandState.PENDING, CommandState.FAILURE}
    pending_s = [length_s for state, length_s in seen[1:-1] if state is CommandState.PENDING]
    failure_s = [length_s for state, length_s in seen[1:-1] if state is CommandState.FAILURE]
    assert len(pending_s) >= 3
    assert all(9.8 <= length_s <= 24 for length_s in pending_s)  # two in a row where a slot comes with the failure
    assert all(length_s <= 5 * count + 0.2 for length_s in failure_s)
    assert inverter.limit_w == 200
    inverter.is_in_reach = True
    dtu.advance(dtu.house.now_s + 30.0)
    assert (inverter.limit_w, dtu.believed[SERIAL].limit_state) == (100, CommandState.OK)
    assert dtu.is_reachable(SERIAL)


# ---- limits that are not taken, not heard, not answered, not obeyed


def test_withheld_limits_are_pending_for_ever_while_polls_are_answered() -> None:
    dtu, inverter = settled()
    dtu.withholds_limits = True
    dtu.post_limit(SERIAL, 0, 100.0)
    assert states(dtu, 600.0) == [(CommandState.PENDING, 600.0)]
    assert dtu.data_age_s(SERIAL) < 6
    dtu.post_limit(SERIAL, 0, 80.0)
    dtu.withholds_limits = False
    dtu.advance(dtu.house.now_s + 10.0)
    assert (inverter.limit_w, dtu.believed[SERIAL].limit_state) == (80, CommandState.OK)


@pytest.mark.parametrize(
    ("lie", "rules_w"),
    [
        pytest.param("is_deaf", 200, id="limit packets never arrive"),
        pytest.param("answers_limits", 100, id="limits act, their acknowledgements never arrive"),
    ],
)
def test_limits_that_are_never_acknowledged_alternate_while_the_data_stay_fresh(lie: str, rules_w: float) -> None:
    # github.com/hoylabs/OpenDTU-OnBattery/pull/901: commands time out again and again, the inverter is reachable.
    dtu, inverter = settled()
    setattr(inverter, lie, lie == "is_deaf")
    dtu.post_limit(SERIAL, 0, 100.0)
    seen = states(dtu, 120.0)
    assert [state for state, _ in seen[:4]] == [CommandState.PENDING, CommandState.FAILURE] * 2
    assert dtu.is_reachable(SERIAL)
    assert dtu.data_age_s(SERIAL) < 16
    assert (dtu.believed[SERIAL].limit_pct, inverter.limit_w) == (50, rules_w)


def test_an_inverter_that_does_not_obey_acknowledges_and_shows_limits_until_it_is_restarted() -> None:
    # github.com/hoylabs/OpenDTU-OnBattery/issues/2325: it keeps an older limit; a restart cures it.
    dtu, inverter = settled()
    inverter.obeys = False
    dtu.post_limit(SERIAL, 0, 100.0)
    dtu.advance(dtu.house.now_s + 60.0)
    assert (dtu.believed[SERIAL].limit_state, dtu.believed[SERIAL].limit_pct) == (CommandState.OK, 25)
    assert inverter.output_w == pytest.approx(197)
    dtu.post_restart(SERIAL)
    dtu.post_limit(SERIAL, 0, 80.0)
    dtu.advance(dtu.house.now_s + 90.0)
    assert inverter.output_w < 80


@pytest.mark.parametrize("limit_w", [60.0, 300.0])
def test_a_held_output_follows_no_higher_limit_until_its_source_lets_go(limit_w: float) -> None:
    dtu, inverter = settled()
    inverter.held_w = 90.0
    dtu.post_limit(SERIAL, 0, limit_w)
    dtu.advance(dtu.house.now_s + 60.0)
    assert inverter.output_w == pytest.approx(min(90.0, inverter.model.steady_w(limit_w)))
    inverter.held_w = float("inf")
    dtu.advance(dtu.house.now_s + 10.0)
    assert inverter.output_w == pytest.approx(inverter.model.steady_w(limit_w), abs=1)


# ---- shown and not true


@pytest.mark.parametrize("shown_pct", [100.0, 0.1], ids=["the persistent limit", "in the evening"])
def test_a_read_back_shows_what_does_not_rule(shown_pct: float) -> None:
    # HMS firmware 2.0.4 does not tell temporary limits: github.com/tbnobody/OpenDTU/issues/2785.
    dtu, inverter = settled()
    inverter.reads_back_pct = shown_pct
    dtu.advance(200.0)
    assert dtu.believed[SERIAL].limit_pct == 50
    dtu.advance(420.0)
    assert (dtu.believed[SERIAL].limit_pct, dtu.believed[SERIAL].limit_state) == (shown_pct, CommandState.OK)
    assert inverter.output_w == pytest.approx(197)


def test_an_older_limit_rules_while_the_dtu_shows_all_of_it() -> None:
    # github.com/hoylabs/OpenDTU-OnBattery/issues/1901: after the night 100 % are shown and the old limit is delivered.
    dtu = make_dtu(count=1)
    inverter = dtu.house.inverters[SERIAL]
    dtu.advance(300.0)
    inverter.impose(60.0)
    inverter.reads_back_pct = 100.0
    dtu.advance(700.0)
    assert dtu.believed[SERIAL].limit_pct == 100
    assert inverter.output_w == pytest.approx(inverter.model.steady_w(60.0))


def test_a_model_that_the_dtu_does_not_know_takes_absolute_limits_and_has_no_echo() -> None:
    # github.com/tbnobody/OpenDTU/issues/905: limit_absolute -1, an absolute limit is taken and never shown.
    dtu = make_dtu(count=1)
    dtu.unknown_models.add(SERIAL)
    dtu.advance(12.0)
    dtu.post_limit(SERIAL, 0, 200.0)
    assert [state for state, _ in states(dtu, 20.0)] == [CommandState.PENDING, CommandState.OK]
    status = limit_status(dtu)[SERIAL]
    assert (status["limit_relative"], status["max_power"]) == (0, 0)
    assert livedata(dtu, SERIAL)["inverters"][0]["limit_absolute"] == -1
    about = device_info(dtu, SERIAL)
    assert (about["valid_data"], about["max_power"], about["hw_model_name"]) == (True, 0, "")
    assert dtu.house.inverters[SERIAL].limit_w == 200
    dtu.unknown_models.clear()
    dtu.advance(dtu.house.now_s + 6.0)
    dtu.post_limit(SERIAL, 0, 100.0)
    dtu.advance(dtu.house.now_s + 20.0)
    assert (dtu.believed[SERIAL].rated_w, dtu.believed[SERIAL].limit_pct) == (400, 25)


def test_polling_that_was_switched_off_shows_in_the_live_document_and_comes_back() -> None:
    # OpenDTU: poll_enabled is the setting and the time of day; reachable is false without it.
    dtu, _ = settled()
    dtu.is_polling = False
    dtu.advance(300.0)
    shown = livedata(dtu, SERIAL)["inverters"][0]
    assert (shown["poll_enabled"], shown["reachable"], shown["producing"]) == (False, False, False)
    dtu.is_polling = True
    dtu.advance(310.0)
    shown = livedata(dtu, SERIAL)["inverters"][0]
    assert (shown["poll_enabled"], shown["reachable"]) == (True, True)


# ---- restarts, and a DTU that hangs


def test_a_restart_that_is_not_acknowledged_is_sent_again_until_it_is_and_loses_the_limit_then() -> None:
    # OpenDTU: power commands are repeated in each poll slot as limits are (v26.3.30, lib/Hoymiles).
    dtu, inverter = settled()
    inverter.is_in_reach = False
    dtu.post_restart(SERIAL)
    dtu.advance(dtu.house.now_s + 200.0)
    assert (inverter.limit_w, round(inverter.output_w)) == (200, 197)
    inverter.is_in_reach = True
    dtu.advance(dtu.house.now_s + 30.0)
    assert (inverter.limit_w, inverter.output_w) == (400, 0)
    assert dtu.believed[SERIAL].power_state is CommandState.OK
    dtu.advance(dtu.house.now_s + 90.0)
    assert inverter.output_w == pytest.approx(394)


def test_a_radio_that_hangs_loses_all_inverters_until_the_dtu_is_rebooted() -> None:
    dtu, inverter = settled(count=2)
    dtu.radio_hangs = True
    dtu.advance(dtu.house.now_s + 120.0)
    assert not dtu.is_reachable(SERIAL)
    assert not dtu.is_reachable(OTHER)
    assert inverter.output_w == pytest.approx(197)
    dtu.reboot(outage_s=8.0)
    dtu.advance(dtu.house.now_s + 60.0)
    assert dtu.is_reachable(SERIAL)
    assert dtu.data_age_s(SERIAL) < 11
    assert inverter.limit_w == 200


# ---- late POSTs


def test_a_late_post_acts_behind_one_that_came_after_it() -> None:
    dtu, inverter = settled()
    dtu.late_posts, dtu.acts_after_s = 1, 3.0
    dtu.post_limit(SERIAL, 0, 400.0)
    dtu.post_limit(SERIAL, 0, 20.0)
    dtu.advance(dtu.house.now_s + 2.9)
    assert dtu.believed[SERIAL].limit_pct == 5
    dtu.advance(dtu.house.now_s + 10.0)
    assert inverter.limit_w == 400


@pytest.mark.parametrize("late_s", [0.5, 3.0])
async def test_a_post_whose_connection_was_given_up_is_executed_all_the_same(
    dtu: SimDtu, clock: Clock, session: aiohttp.ClientSession, late_s: float
) -> None:
    async with OpenDtuServer(dtu, clock) as server:
        clock.now_s = 20.0
        dtu.late_posts, dtu.acts_after_s = 1, late_s
        post = asyncio.create_task(
            session.post(
                f"http://{server.host}/api/limit/config",
                data={"data": f'{{"serial":"{SERIAL}","limit_type":0,"limit_value":200}}'},
                headers=basic(server.password),
            )
        )
        while dtu.late_posts:  # noqa: ASYNC110  the server takes it, and tells nobody
            await asyncio.sleep(0.01)
        post.cancel()
        await asyncio.wait([post])
        assert post.cancelled(), "it waits for an answer"
        dtu.advance(20.0 + late_s - 0.1)
        assert dtu.believed[SERIAL].limit_state is CommandState.OK
        dtu.advance(20.0 + late_s + 0.1)
        assert dtu.believed[SERIAL].limit_state is CommandState.PENDING
        dtu.advance(40.0)
        assert dtu.house.inverters[SERIAL].limit_w == 200


def test_deafness_and_disobedience_end_when_it_loses_its_battery_for_a_moment() -> None:
    _, inverter = settled()
    inverter.is_deaf, inverter.obeys = True, False
    inverter.set_dc(42.0, on=False)
    inverter.set_dc(42.0, on=True)
    assert (inverter.is_deaf, inverter.obeys) == (False, True)
