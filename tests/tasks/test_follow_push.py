"""A DTU that pushes its live data is asked for little, and one that does not, or ceases to, is asked as ever."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from opendtu_dcload.devices.opendtu.opendtu_client import LivePart
from opendtu_dcload.sim.servers.http_server import Faults
from opendtu_dcload.sim.servers.opendtu_push import PushFaults
from opendtu_dcload.tasks.live_values import LiveValues
from tests.tasks.polled_dtu import PolledDtu

ROUND_S = 15.0
ASKED = "inv="

NO_PUSH = {
    "there is none": PushFaults(is_missing=True),
    "it hangs open": PushFaults(is_silent=True),
    "it closes at once": PushFaults(closes=True),
    "its frames have no inverters": PushFaults(has_no_inverters=True),
}


def longest_lag_s(polled: PolledDtu, seconds: int) -> float:
    longest_s = 0.0
    for _ in range(2 * seconds):
        polled.play(0.5)
        longest_s = max(longest_s, *(polled.lag_s(serial) for serial in polled.serials))
    return longest_s


@pytest.mark.parametrize("generation", ["new", "old"])
def test_what_is_pushed_is_not_asked_for(generation: str):
    with PolledDtu() as polled:
        polled.plant.generation = generation
        polled.play(60)
        before = polled.count(ASKED)
        assert longest_lag_s(polled, 300) <= 2.0
        assert polled.count(ASKED) - before <= 4
        assert polled.server.push.opened == 1
        assert polled.now_s - polled.state.dtus["opendtu"].at_s < 10


@pytest.mark.parametrize("faults", NO_PUSH.values(), ids=NO_PUSH)
def test_a_dtu_that_does_not_push_is_asked_and_rarely_tried_again(faults: PushFaults, caplog: pytest.LogCaptureFixture):
    with PolledDtu() as polled, caplog.at_level(logging.INFO):
        polled.server.push.faults = faults
        polled.play(60)
        assert longest_lag_s(polled, 120) <= 2.5
        polled.play(2000)
        before = polled.count("GET /livedata")
        assert before <= 11
        polled.play(2000)
        assert 1 <= polled.count("GET /livedata") - before <= 2
        assert polled.server.push.most_clients <= 1
    told = [record.getMessage() for record in caplog.records if "live data" in record.getMessage()]
    assert len(told) == 1
    assert told[0].startswith("DTU is asked for its live data: OpenDTU at opendtu ")


def _cut(polled: PolledDtu) -> None:
    polled.wire.cut.add("opendtu")
    polled.play(30)
    polled.wire.cut.discard("opendtu")


def _reboot(polled: PolledDtu) -> None:
    polled.plant.reboot(8.0)
    polled.play(9)


def _hang(polled: PolledDtu) -> None:
    polled.server.push.faults.is_silent = True
    polled.play(30)
    polled.server.push.faults.is_silent = False


@pytest.mark.parametrize("happens", [_cut, _reboot, _hang])
def test_a_push_that_ceases_is_noticed_and_soon_taken_up_again(happens: Callable[[PolledDtu], None]):
    with PolledDtu() as polled:
        polled.play(120)
        happens(polled)
        assert longest_lag_s(polled, 30) <= 15.0
        polled.play(60)
        assert longest_lag_s(polled, 60) <= 2.0
        assert polled.asked(ASKED, 120) <= 2
        assert 2 <= polled.server.push.opened <= 3
        assert polled.server.push.most_clients == 1


def test_while_a_push_hangs_an_inverter_is_asked_for_soon_after_it_has_something_new():
    with PolledDtu() as polled:
        polled.play(120)
        polled.server.push.faults.is_silent = True
        assert longest_lag_s(polled, 60) <= 6.0


def test_what_is_pushed_is_no_sign_of_life_while_nothing_else_is_answered():
    with PolledDtu() as polled:
        polled.play(120)
        polled.server.faults = Faults(status=500)
        polled.play(40)
        assert polled.server.push.opened == 1
        assert polled.now_s - polled.state.dtus["opendtu"].at_s > 20
        assert all(polled.now_s - polled.state.inverters[s].at_s < ROUND_S + 3 for s in polled.serials)


def test_a_frame_that_was_long_on_its_way_replaces_nothing_newer():
    with PolledDtu(ours=[0]) as polled:
        polled.play(60)
        (serial,) = polled.serials
        known = polled.state.inverters[serial]
        values = LiveValues("opendtu", polled.state, polled.serials, 5.0, 0.0)
        values.add({serial: known}, polled.now_s, asked=serial)
        late = replace(known, at_s=known.at_s - 15, ac_power_w=1.0)
        values.add_pushed(LivePart({serial: late}, is_clock_set=True, spoilt="").inverters)
        assert polled.state.inverters[serial] == known
        values.add_pushed({serial: replace(known, at_s=known.at_s + 15, ac_power_w=2.0)})
        assert polled.state.inverters[serial].ac_power_w == 2.0


def test_frames_that_repeat_the_same_values_are_no_news():
    with PolledDtu() as polled:
        polled.play(120)
        polled.server.push.faults.is_stuck = True
        polled.play(30)
        assert longest_lag_s(polled, 60) <= 6.0


def test_without_inverters_of_ours_nothing_is_followed():
    with PolledDtu(ours=[]) as polled:
        polled.play(60)
        assert polled.count("GET /livedata") == 0
