"""What of all that a DTU tells reaches the state, how soon, and for how many requests."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from opendtu_dcload.config import OpenDtuConfig
from opendtu_dcload.devices.http import open_session
from opendtu_dcload.devices.opendtu.opendtu_client import OpenDtu
from opendtu_dcload.freshness import dtu_summed_s
from opendtu_dcload.model import CommandState
from opendtu_dcload.state import State
from opendtu_dcload.tasks.poll_dtu import DtuPoller
from tests.doubles.devices import PASSWORD, SERIALS, Devices
from tests.doubles.until import until
from tests.tasks.polled_dtu import PolledDtu

ROUND_S = 15.0
"""Three inverters, one of which is asked by radio each 5 s."""
PENDING = CommandState.PENDING


@pytest.mark.realtime
async def test_of_what_the_dtu_knows_only_listed_inverters_reach_the_state(devices: Devices):
    state, ours = State(), SERIALS[:1]
    config = OpenDtuConfig.model_validate({"host": devices.opendtu.host, "password": PASSWORD, "poll_interval_s": 1})
    async with open_session() as session:
        dtu = OpenDtu(config, session, ours, devices.clock)
        poller = DtuPoller(config, dtu, state, ours, 15.0, devices.clock)
        polling = asyncio.create_task(poller.run())
        await until(lambda: bool(state.limits and state.inverters))
        polling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await polling
    assert poller.known is not None
    assert {known.serial for known in poller.known} == set(SERIALS), "or it proves nothing"
    assert list(state.limits) == list(state.inverters) == list(ours)


@pytest.mark.parametrize("generation", ["new", "old"])
def test_each_inverter_is_asked_once_in_a_round_of_the_dtu_and_soon_after_its_turn(generation: str):
    with PolledDtu() as polled:
        polled.plant.generation = generation
        polled.play(60)
        all_before, live_before, longest_s = polled.count(), polled.count("livedata"), 0.0
        for _ in range(600):
            polled.play(0.5)
            longest_s = max(longest_s, *(polled.lag_s(serial) for serial in polled.serials))
        assert longest_s <= 2.0
        assert polled.count("livedata") - live_before <= 3 * 300 / ROUND_S + 300 / 60 + 3
        assert polled.count() - all_before <= 110


def test_an_inverter_that_does_not_answer_is_asked_once_in_a_round_and_back_at_once():
    with PolledDtu(ours=[0]) as polled:
        (serial,) = polled.serials
        inverter = polled.plant.house.inverters[serial]
        inverter.is_in_reach = False
        polled.play(120)
        assert not polled.state.inverters[serial].reachable
        assert polled.asked("inv=", 20 * ROUND_S) <= 21
        inverter.is_in_reach = True
        polled.play(ROUND_S + 5)
        assert polled.state.inverters[serial].reachable


def test_a_limit_of_somebody_else_is_seen_within_6_s_though_only_the_limits_tell_of_it():
    with PolledDtu() as polled:
        polled.play(60)
        polled.plant.withholds_limits = True
        polled.plant.post_limit(polled.serials[0], 0, 111.0)
        polled.play(6.5)
        assert polled.state.limits[polled.serials[0]].state is PENDING


def test_an_acknowledgement_is_seen_as_soon_as_there_is_one_and_asked_for_twice_at_most():
    with PolledDtu() as polled:
        polled.play(60)
        serial, before = polled.serials[0], polled.count("limit/status")
        while polled.count("limit/status") == before:  # those that are asked for in any case do not count here
            polled.play(0.1)
        before += 1
        polled.post(serial, 200.0)
        while polled.plant.believed[serial].limit_state is PENDING:
            polled.play(0.1)
        polled.play(0.4)
        assert polled.state.limits[serial].limit_pct == 50.0
        polled.play(5)
        assert polled.count("limit/status") - before <= 2


def test_a_limit_that_is_not_shown_is_looked_for_until_it_must_have_been_dropped():
    with PolledDtu() as polled:
        polled.play(60)
        polled.plant.commands_enabled = False
        polled.post(polled.serials[0], 200.0)
        posted_at_s = polled.now_s
        polled.play(4.5)
        assert polled.state.limits[polled.serials[0]].at_s > posted_at_s + 3.0


def test_where_no_percent_is_shown_a_limit_is_seen_while_it_is_pending():
    with PolledDtu(ours=[0]) as polled:
        (serial,) = polled.serials
        polled.plant.unknown_models = {serial}
        polled.plant.boot()
        polled.play(60)
        assert polled.state.limits[serial].rated_w is None, "or it proves nothing"
        polled.post(serial, 200.0)
        polled.play(1.5)
        assert polled.state.limits[serial].state is PENDING


@pytest.mark.parametrize("interval_s", [1.0, 5.0, 30.0])
def test_a_dtu_with_few_inverters_of_ours_is_heard_often_enough_to_be_there(interval_s: float):
    with PolledDtu(ours=[1], poll_interval_s=interval_s) as polled:
        polled.play(60)
        for _ in range(300):
            polled.play(1)
            assert polled.now_s - polled.state.dtus["opendtu"].at_s < dtu_summed_s(interval_s) - 2


def test_after_its_start_a_dtu_is_asked_until_it_has_heard_the_inverters():
    with PolledDtu() as polled:
        polled.play(60)
        polled.plant.reboot(8.0)
        polled.play(9)
        polled.plant.clock_set_after_s = 40.0
        polled.play(40)
        assert not polled.state.dtus["opendtu"].is_clock_set
        polled.play(30)
        assert polled.state.dtus["opendtu"].is_clock_set
        assert all(polled.now_s - polled.state.inverters[s].at_s < ROUND_S + 6 for s in polled.serials)


@pytest.mark.parametrize("generation", ["new", "old"])
def test_what_a_dtu_has_not_heard_since_its_start_is_no_measurement(generation: str):
    """Its zeros, young as they seem, made energy counters jump (https://github.com/henne49/dbus-opendtu/issues/7)."""
    with PolledDtu() as polled:
        polled.plant.generation = generation
        polled.play(60)
        before = dict(polled.state.inverters)
        assert all(status.ac_power_w and status.yield_total_wh for status in before.values()), "or it proves nothing"
        polled.plant.reboot(8.0)
        for _ in range(60):
            polled.play(0.5)
            for serial, status in polled.state.inverters.items():
                assert status.ac_power_w == before[serial].ac_power_w
                assert (status.yield_total_wh or 0.0) >= (before[serial].yield_total_wh or 0.0)
                assert status.at_s == before[serial].at_s or polled.plant.believed[serial].statistics
        assert all(polled.now_s - status.at_s < ROUND_S + 6 for status in polled.state.inverters.values())
