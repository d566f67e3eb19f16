from __future__ import annotations

import pytest

from opendtu_dcload.model import CommandState
from opendtu_dcload.sim.plant.house import House, InverterModel
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from tests.sim.conftest import OTHER, SERIAL, make_dtu


def state(dtu: SimDtu, serial: str = SERIAL) -> CommandState:
    return dtu.believed[serial].limit_state


def learn_rated(dtu: SimDtu) -> None:
    """Let every inverter be polled once; the next poll is 5 s away."""
    dtu.advance(dtu.house.now_s + dtu.poll_interval_s * (len(dtu.serials) - 1) + 1.0)


def test_pending_lasts_the_whole_receive_window_however_long_the_radio_was_idle(dtu: SimDtu) -> None:
    learn_rated(dtu)
    posted_s = dtu.house.now_s
    dtu.post_limit(SERIAL, 0, 200.0)
    dtu.advance(posted_s + 1.99)
    assert state(dtu) is CommandState.PENDING
    assert dtu.believed[SERIAL].limit_pct == 0
    dtu.advance(posted_s + 2.01)
    assert state(dtu) is CommandState.OK
    assert dtu.believed[SERIAL].limit_pct == 50


def test_limit_acts_after_radio_and_dead_time_not_at_the_acknowledgement(dtu: SimDtu) -> None:
    learn_rated(dtu)
    posted_s = dtu.house.now_s
    dtu.post_limit(SERIAL, 0, 200.0)
    inverter = dtu.house.inverters[SERIAL]
    dtu.advance(posted_s + 0.15 + 2.0 - 0.01)
    assert inverter.limit_w == 400
    dtu.advance(posted_s + 0.15 + 2.0 + 0.2)
    assert inverter.limit_w == 200


def test_second_inverter_waits_for_the_radio(dtu: SimDtu) -> None:
    learn_rated(dtu)
    posted_s = dtu.house.now_s
    dtu.post_limit(SERIAL, 0, 200.0)
    dtu.post_limit(OTHER, 0, 100.0)
    dtu.advance(posted_s + 2.5)
    assert (state(dtu, SERIAL), state(dtu, OTHER)) == (CommandState.OK, CommandState.PENDING)
    dtu.advance(posted_s + 4.01)
    assert state(dtu, OTHER) is CommandState.OK


def test_newer_limit_replaces_a_waiting_one_but_not_the_one_on_air(dtu: SimDtu) -> None:
    learn_rated(dtu)
    posted_s = dtu.house.now_s
    dtu.post_limit(SERIAL, 0, 100.0)
    dtu.advance(posted_s + 0.1)
    for limit_w in (200.0, 300.0):
        dtu.post_limit(SERIAL, 0, limit_w)
    dtu.advance(posted_s + 2.05)
    assert (state(dtu), dtu.believed[SERIAL].limit_pct) == (CommandState.PENDING, 25)
    dtu.advance(posted_s + 4.05)
    assert (state(dtu), dtu.believed[SERIAL].limit_pct) == (CommandState.OK, 75)


def test_lost_packets_cost_a_window_each() -> None:
    dtu = make_dtu()
    learn_rated(dtu)
    posted_s = dtu.house.now_s
    dtu.loss = 1.0
    dtu.post_limit(SERIAL, 0, 200.0)
    dtu.advance(posted_s + 3.0)
    dtu.loss = 0.0
    dtu.advance(posted_s + 5.9)
    assert state(dtu) is CommandState.PENDING
    dtu.advance(posted_s + 6.1)
    assert state(dtu) is CommandState.OK


def test_limit_to_a_dead_inverter_fails_and_is_sent_again_when_it_lives() -> None:
    dtu = make_dtu(count=1)
    learn_rated(dtu)
    inverter = dtu.house.inverters[SERIAL]
    inverter.set_dc(dtu.house.now_s, on=False)
    dtu.post_limit(SERIAL, 0, 200.0)
    seen = set()
    for _ in range(60):
        dtu.advance(dtu.house.now_s + 1)
        seen.add(state(dtu))
    assert seen == {CommandState.PENDING, CommandState.FAILURE}
    assert not dtu.is_reachable(SERIAL)
    inverter.set_dc(dtu.house.now_s, on=True)
    assert inverter.limit_w == 400
    dtu.advance(dtu.house.now_s + 30)
    assert state(dtu) is CommandState.OK
    assert inverter.limit_w == 200
    assert dtu.is_reachable(SERIAL)


def test_new_limit_takes_the_place_of_a_failed_one() -> None:
    dtu = make_dtu(count=1)
    learn_rated(dtu)
    inverter = dtu.house.inverters[SERIAL]
    inverter.set_dc(dtu.house.now_s, on=False)
    dtu.post_limit(SERIAL, 0, 300.0)
    while state(dtu) is not CommandState.FAILURE:
        dtu.advance(dtu.house.now_s + 0.5)
    inverter.set_dc(dtu.house.now_s, on=True)
    dtu.post_limit(SERIAL, 0, 40.0)
    dtu.advance(dtu.house.now_s + 60)
    assert inverter.limit_w == 40


def test_after_a_boot_nothing_is_known_and_the_output_goes_on(dtu: SimDtu) -> None:
    learn_rated(dtu)
    dtu.post_limit(SERIAL, 0, 200.0)
    dtu.advance(dtu.house.now_s + 10)
    output_w = dtu.house.output_w
    dtu.boot()
    believed = dtu.believed[SERIAL]
    assert (believed.limit_pct, believed.rated_w, believed.statistics) == (0, 0, None)
    assert state(dtu) is CommandState.OK
    assert dtu.is_reachable(SERIAL)
    assert dtu.data_age_s(SERIAL) == 0
    assert dtu.house.output_w == output_w > 0


def test_reboot_takes_it_down_a_second_later_for_the_outage(dtu: SimDtu) -> None:
    dtu.advance(20.0)
    dtu.reboot(outage_s=8.0)
    for now_s, is_up in ((20.5, True), (21.5, False), (28.5, False), (29.5, True)):
        dtu.advance(now_s)
        assert dtu.is_up == is_up, now_s
    assert dtu.booted_at_s == 29.0


def test_acknowledged_absolute_limit_stays_unknown_while_rated_power_is(dtu: SimDtu) -> None:
    dtu.clock_set_after_s = 1000.0
    dtu.boot()
    dtu.post_limit(SERIAL, 0, 200.0)
    dtu.advance(10.0)
    assert (state(dtu), dtu.believed[SERIAL].limit_pct) == (CommandState.OK, 0)
    dtu.post_limit(SERIAL, 1, 30.0)
    dtu.advance(20.0)
    assert dtu.believed[SERIAL].limit_pct == 30


def test_limit_is_read_back_from_the_inverter_only_after_four_quiet_minutes() -> None:
    dtu = make_dtu(count=1)
    dtu.advance(235.0)
    assert dtu.believed[SERIAL].limit_pct == 0
    dtu.advance(260.0)
    assert dtu.believed[SERIAL].limit_pct == 100


def test_disabled_commands_count_as_success_and_do_nothing(dtu: SimDtu) -> None:
    dtu.commands_enabled = False
    learn_rated(dtu)
    dtu.post_limit(SERIAL, 0, 100.0)
    dtu.post_power(SERIAL, on=False)
    assert state(dtu) is CommandState.OK
    dtu.advance(dtu.house.now_s + 10)
    assert dtu.house.inverters[SERIAL].limit_w == 400
    assert dtu.house.inverters[SERIAL].is_on


@pytest.mark.parametrize(
    ("generation", "value", "arrives"),
    [("new", 156.78, 156.7), ("old", 156.78, 156.0), ("new", 64.1, 64.1), ("new", -1.0, 6552.6)],
    ids=["tenths", "whole watts", "exact tenth", "negative becomes huge"],
)
def test_resolution_of_a_limit(generation: str, value: float, arrives: float) -> None:
    dtu = make_dtu(generation=generation)
    dtu.post_limit(SERIAL, 0, value)
    dtu.advance(10.0)
    assert dtu.house.inverters[SERIAL].limit_w == pytest.approx(arrives)


def test_echo_of_an_absolute_limit_has_tenths_of_a_percent(dtu: SimDtu) -> None:
    learn_rated(dtu)
    dtu.post_limit(SERIAL, 0, 133.3)
    dtu.advance(dtu.house.now_s + 5)
    assert dtu.believed[SERIAL].limit_pct == 33.3


@pytest.mark.parametrize(
    ("generation", "persistent", "unknown"), [("new", (2, 3), (256, 257)), ("old", (256, 257), (2, 3))]
)
def test_limit_types_of_both_generations(
    generation: str, persistent: tuple[int, int], unknown: tuple[int, int]
) -> None:
    dtu = make_dtu(generation=generation)
    assert all(dtu.accepts_type(limit_type) for limit_type in (0, 1, *persistent))
    assert not any(dtu.accepts_type(limit_type) for limit_type in unknown)


def test_persistent_limits_are_counted_and_outlive_a_restart(dtu: SimDtu) -> None:
    dtu.post_limit(SERIAL, 2, 100.0)
    dtu.advance(5.0)
    dtu.post_limit(SERIAL, 0, 300.0)
    dtu.advance(10.0)
    dtu.post_restart(SERIAL)
    dtu.advance(15.0)
    assert dtu.counters.persistent == 1
    assert dtu.house.inverters[SERIAL].limit_w == 100


def test_non_persistent_limit_is_lost_at_a_restart_but_not_its_echo(dtu: SimDtu) -> None:
    learn_rated(dtu)
    dtu.post_limit(SERIAL, 0, 100.0)
    dtu.advance(20.0)
    dtu.post_restart(SERIAL)
    dtu.advance(25.0)
    assert dtu.house.inverters[SERIAL].limit_w == 400
    assert dtu.believed[SERIAL].limit_pct == 25


def test_commands_while_pending_are_counted_by_direction(dtu: SimDtu) -> None:
    dtu.post_limit(SERIAL, 0, 200.0)
    dtu.advance(1.0)
    assert (dtu.counters.raised_or_repeated_while_pending, dtu.counters.lowered_while_pending) == (0, 0)
    for limit_w in (300.0, 300.0, 100.0):
        dtu.post_limit(SERIAL, 0, limit_w)
    assert dtu.counters.raised_or_repeated_while_pending == 2
    assert dtu.counters.lowered_while_pending == 1
    assert dtu.counters.limits == 4
    dtu.advance(10.0)
    dtu.post_limit(SERIAL, 0, 400.0)
    assert dtu.counters.raised_or_repeated_while_pending == 2


def test_relative_and_absolute_limits_are_compared_in_watts(dtu: SimDtu) -> None:
    dtu.post_limit(SERIAL, 0, 90.0)
    dtu.post_limit(SERIAL, 1, 100.0)
    assert dtu.counters.raised_or_repeated_while_pending == 1


def test_statistics_come_round_robin_and_age_in_between(dtu: SimDtu) -> None:
    dtu.advance(11.0)
    assert dtu.data_age_s(SERIAL) == pytest.approx(1.0 - 0.15)
    assert dtu.data_age_s(OTHER) == pytest.approx(6.0 - 0.15)


@pytest.mark.parametrize("zero_runtime", [True, False])
def test_lost_inverter_keeps_or_zeroes_its_values_and_grows_old(zero_runtime: bool) -> None:
    dtu = make_dtu(count=1)
    dtu.zero_runtime = zero_runtime
    dtu.advance(11.0)
    dtu.house.inverters[SERIAL].set_dc(11.0, on=False)
    dtu.advance(60.0)
    statistics = dtu.believed[SERIAL].statistics
    assert statistics is not None
    assert (statistics.ac_power_w == 0) == zero_runtime
    assert dtu.data_age_s(SERIAL) == pytest.approx(60.0 - 10.15)


def test_before_the_clock_is_set_nothing_is_polled_but_limits_are_sent() -> None:
    dtu = make_dtu(clock_set_after_s=30.0)
    dtu.post_limit(SERIAL, 0, 100.0)
    dtu.advance(20.0)
    assert not dtu.is_clock_set
    assert dtu.believed[SERIAL].statistics is None
    assert dtu.house.inverters[SERIAL].limit_w == 100
    dtu.advance(31.0)
    assert dtu.is_clock_set
    assert dtu.believed[SERIAL].statistics is not None


def test_the_two_radios_work_in_parallel() -> None:
    hm, hms = "112100000001", SERIAL
    house = House([500.0], [InverterModel(hm, "HM"), InverterModel(hms, "HMS")])
    dtu = SimDtu(house, loss=0.0)
    learn_rated(dtu)
    posted_s = house.now_s
    for serial in (hm, hms):
        dtu.post_limit(serial, 0, 100.0)
    dtu.advance(posted_s + 2.05)
    assert (state(dtu, hm), state(dtu, hms)) == (CommandState.OK, CommandState.OK)


def test_a_dead_inverter_keeps_its_own_radio_busy_only() -> None:
    dead, alive = "112100000001", SERIAL
    house = House([500.0], [InverterModel(dead, "HM"), InverterModel(alive, "HMS")])
    dtu = SimDtu(house, loss=0.0)
    learn_rated(dtu)
    house.inverters[dead].set_dc(house.now_s, on=False)
    posted_s = house.now_s
    for serial in (dead, alive):
        dtu.post_limit(serial, 0, 100.0)
    dtu.advance(posted_s + 2.05)
    assert (state(dtu, dead), state(dtu, alive)) == (CommandState.PENDING, CommandState.OK)
