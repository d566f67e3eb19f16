"""The programs that users run today keep their named habits, and land near the figures of their own code."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import pytest

from opendtu_dcload.sim.peers.on_battery import OnBattery
from opendtu_dcload.sim.peers.original import CYCLE_S, Original
from opendtu_dcload.sim.peers.peer import BAND_W, TARGET_W, Peer
from opendtu_dcload.sim.peers.played_peer import PEERS, PlayedPeer
from opendtu_dcload.sim.peers.zero_export import ROUND_S, ZeroExport
from opendtu_dcload.sim.plant.house import Energy, House, InverterModel
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.score import ideal_waste_wh
from opendtu_dcload.sim.runs.simulate import SKIPPED_S
from opendtu_dcload.sim.runs.simulated_plant import default_models
from opendtu_dcload.sim.runs.trace import load_trace
from opendtu_dcload.sim.servers.http_server import Faults
from opendtu_dcload.sim.servers.latency import Latency

MINIMUM_W = 8.0
CAP_W = 1200.0
KNOWN_S = 300
"""The original has moved all three inverters: limits are read back 240 s after the DTU's boot, in three poll slots."""
PLANTS = {
    "hms": [default_models()],
    "hm": [[InverterModel(f"1121a000000{n}", f"HM {n}", dead_time_s=6.0) for n in (1, 2, 3)]],
    "mixed": [
        [InverterModel("1164a0000001", "big", rated_w=1500), InverterModel("1144a0000002", "mid", rated_w=800)],
        [InverterModel("1124a0000003", "small")],
    ],
    "one": [[InverterModel("1144a0000001", "one", rated_w=1200)]],
}

OPEN = ExitStack()
"""The plays of the test that runs."""


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    with OPEN:
        yield


@dataclass(frozen=True)
class Post:
    at_s: float
    serial: str
    limit_type: int
    value: float


class Play:
    """A peer in a world whose limits are written down."""

    def __init__(self, peer: type[Peer], load_w: list[float], plant: str = "hms", seed: int = 1, loss: float = 0.0):
        models = [m for dtu in PLANTS[plant] for m in dtu]
        self.house = House(load_w, models, seed=seed, cap_w=CAP_W)
        serials = [[m.serial for m in dtu] for dtu in PLANTS[plant]]
        dtus = [SimDtu(self.house, name=s[0], serials=s, loss=loss, seed=seed) for s in serials]
        self.world = World(self.house, dtus)
        self.posts: list[Post] = []
        self.on_post: Callable[[], None] = lambda: None
        for dtu in self.world.dtus:
            self._listen(dtu)
        self.played = PlayedPeer(self.world, peer, minimum_w=MINIMUM_W, cap_w=CAP_W, seed=seed)
        OPEN.enter_context(self.played)

    def _listen(self, dtu: SimDtu) -> None:
        post_limit = dtu.post_limit

        def listened(serial: str, limit_type: int, value: float) -> None:
            self.posts.append(Post(self.house.now_s, serial, limit_type, value))
            self.on_post()
            post_limit(serial, limit_type, value)

        dtu.post_limit = listened  # type: ignore[method-assign]  # the radio behind it stays the real one

    def run(self, until_s: float) -> list[Post]:
        """Play on, and return what was posted meanwhile."""
        before = len(self.posts)
        self.played.advance(until_s)
        return self.posts[before:]


def restless(seconds: int, top_w: float = 1300.0) -> list[float]:
    """Return a load that jumps every 7 s."""
    rng = random.Random(5)
    return [w for _ in range(seconds // 7 + 1) for w in [rng.uniform(60, top_w)] * 7]


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
def test_every_limit_lies_within_the_minima_and_the_cap(peer, plant) -> None:
    play = Play(peer, restless(900), plant, loss=0.02)
    play.run(300)
    assert play.run(900)
    rated_w = {m.serial: m.rated_w for m in play.house.models}
    assert {p.limit_type for p in play.posts} == {1}
    assert min(p.value * rated_w[p.serial] / 100 for p in play.posts) >= MINIMUM_W - 1e-9
    last_w = {p.serial: p.value * rated_w[p.serial] / 100 for p in play.posts}
    assert last_w.keys() == rated_w.keys()
    highest_w = {s: max(p.value for p in play.posts if p.serial == s) * rated_w[s] / 100 for s in rated_w}
    assert sum(highest_w.values()) <= CAP_W + 1e-9


@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
def test_a_steady_load_is_met(peer) -> None:
    play = Play(peer, [500.0] * 900)
    play.run(900)
    assert play.house.grid_w == pytest.approx(TARGET_W, abs=BAND_W + 10)


@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
def test_lost_and_broken_answers_do_not_end_it(peer) -> None:
    play = Play(peer, restless(900))
    for server in (play.played.meter, *play.played.dtus.values()):
        server.latency = Latency(0.05, 0.5, 0.1, (0.5, 5.0), 0.05, random.Random(1))
    play.run(400)
    play.played.meter.faults = Faults(status=500, requests=30)
    play.run(500)
    assert play.run(900)


def test_each_asks_the_meter_as_often_as_its_source_does() -> None:
    asked = {}
    for name, peer in PEERS.items():
        play = Play(peer, [500.0] * 900)
        play.run(900)
        asked[name] = play.played.meter.requests
    assert asked["original"] == pytest.approx(900 / CYCLE_S, abs=2)
    assert asked["on battery"] == pytest.approx(900, rel=0.02)
    assert 20 * 900 / 30 < asked["zero export"] < 20 * 900 / 21


def test_the_original_leaves_an_inverter_alone_whose_limit_is_unknown() -> None:
    play = Play(Original, restless(KNOWN_S))
    assert play.run(240) == []
    assert {p.serial for p in play.run(KNOWN_S)} == {m.serial for m in play.house.models}


def test_the_original_moves_one_inverter_per_cycle_in_steps_of_2_pct() -> None:
    posts = Play(Original, restless(900)).run(900)
    assert 100 < len(posts) <= 900 / CYCLE_S
    assert all(p.value % 2 == 0 for p in posts)
    assert max(p.value for p in posts) == 90


def first_change_w(step_w: float) -> float:
    """Return what the original's first limit after a step of the load changes."""
    play = Play(
        Original, [300.0] * 500 + [300.0 + step_w] * 60, seed=6
    )  # its first inverter has room, the meter has seen all
    play.run(500)
    before_w = {s: i.limit_w for s, i in play.house.inverters.items()}
    first = play.run(560)[0]
    return first.value * 4 - before_w[first.serial]


def test_the_original_falls_at_once_and_rises_by_a_quarter() -> None:
    assert first_change_w(-200) == pytest.approx(-200, abs=25)
    assert first_change_w(+200) == pytest.approx(+50, abs=25)


def rounds(posts: list[Post]) -> list[list[Post]]:
    """Return what ZeroExport sent, round by round."""
    found: list[list[Post]] = [posts[:1]]
    for before, after in pairwise(posts):
        if after.at_s - before.at_s > ROUND_S / 2:
            found.append([])
        found[-1].append(after)
    return found


def test_zero_export_does_nothing_between_its_rounds() -> None:
    found = rounds(Play(ZeroExport, restless(900)).run(900))
    assert len(found) > 25
    # Twenty pauses of a second, with the meter's answers between them.
    assert all(after[0].at_s - before[-1].at_s > ROUND_S for before, after in pairwise(found))


def test_zero_export_jumps_to_the_maximum_within_the_round() -> None:
    play = Play(ZeroExport, [300.0] * 405 + [2000.0] * 60)
    play.run(405)
    posts = play.run(416)
    assert [p.value for p in posts] == [100, 100, 100]
    assert posts[0].at_s < 408


def test_zero_export_adds_the_whole_error_and_takes_80_pct_of_it() -> None:
    play = Play(ZeroExport, [300.0] * 410 + [600.0] * 60 + [300.0] * 60)
    play.run(410)
    before_w = sum(inverter.limit_w for inverter in play.house.inverters.values())
    raised_w, lowered_w = (sum(4 * post.value for post in posts) for posts in rounds(play.run(530))[:2])
    assert raised_w - before_w == pytest.approx(300, abs=2 * BAND_W)
    assert lowered_w - raised_w == pytest.approx(-240, abs=BAND_W)


def test_on_battery_makes_an_unknown_limit_known_by_the_lower_one() -> None:
    play = Play(OnBattery, [300.0] * 60)
    first: dict[str, float] = {}
    for post in play.run(30):
        first.setdefault(post.serial, post.value)
    assert first == dict.fromkeys(play.house.inverters, 100 * MINIMUM_W / 400)


def test_on_battery_does_not_act_on_statistics_older_than_its_last_limit() -> None:
    play = Play(OnBattery, restless(1200))
    play.run(60)
    ages_s: list[float] = []
    play.on_post = lambda: ages_s.extend(
        b.statistics.at_s - b.limit_acked_at_s for b in play.world.dtus[0].believed.values() if b.statistics
    )
    assert len(play.run(1200)) > 60
    assert min(ages_s) > 0


def test_on_battery_waits_for_a_meter_value_2_s_newer_than_the_first_statistics() -> None:
    play = Play(OnBattery, restless(1200))
    play.run(60)
    later_s: list[float] = []

    def note() -> None:
        last = max(play.world.dtus[0].believed.values(), key=lambda b: b.limit_acked_at_s)
        assert last.statistics is not None
        if last.statistics.at_s - last.limit_acked_at_s < 14:  # the first: three inverters take turns every 5 s
            later_s.append(play.house.now_s - last.statistics.at_s)

    play.on_post = note
    play.run(1200)
    assert len(later_s) > 50
    assert min(later_s) > 2


def test_on_battery_sends_nothing_while_a_limit_is_pending() -> None:
    play = Play(OnBattery, restless(1200), loss=0.1)
    play.run(1200)
    counters = play.world.dtus[0].counters
    assert counters.limits > 60
    assert counters.raised_or_repeated_while_pending + counters.lowered_while_pending == 0


def test_on_battery_is_still_within_its_hysteresis() -> None:
    play = Play(OnBattery, [300.0] * 300 + [300.0 + BAND_W / 2] * 20 + [300.0 + 4 * BAND_W] * 40)
    play.run(240)
    settled_w = play.house.grid_w
    assert abs(settled_w - TARGET_W) < BAND_W / 2 - 1
    assert play.run(319) == []
    assert play.run(360) != []


# Against their own code -----------------------------------------------------------------------------------------------

TRACE = "cassandra_1hz_3600"
MEASURED = {Original: (2.58, 474), ZeroExport: (2.54, 447), OnBattery: (1.90, 303)}
"""Waste / J0 and limits per hour of the programs' own code, over HTTP, in the same house."""
ROUNDS = (
    "by its source, and by the log in its issue 211, it waits a second after each of 20 questions and 2 to 4 s for "
    "each acknowledgement, so a round with three limits takes 28 s, and 447 limits an hour do not fit in"
)


@cache
def figures(peer: type[Peer]) -> tuple[float, float]:
    """Return waste / J0 and limits per hour, the mean of three seeds."""
    load_w = load_trace(TRACE)
    ideal_wh = ideal_waste_wh(load_w[SKIPPED_S:], minimum_w=3 * MINIMUM_W, maximum_w=CAP_W)
    waste_wh = limits = 0.0
    for seed in (1, 2, 3):
        play = Play(peer, load_w, seed=seed, loss=0.02)
        play.run(SKIPPED_S)
        energy = play.house.energy
        skipped = Energy(energy.imported_wh, energy.exported_wh, energy.avoidable_wh)
        limits += len(play.run(len(load_w))) / 3
        waste_wh += (energy.waste_wh - skipped.waste_wh) / 3
    return waste_wh / ideal_wh, limits / (len(load_w) - SKIPPED_S) * 3600


@pytest.mark.long
@pytest.mark.parametrize(
    "peer",
    [
        pytest.param(
            Original,
            marks=pytest.mark.xfail(reason="1.93: told with its documented rules it wastes less than measured"),
        ),
        pytest.param(ZeroExport, marks=pytest.mark.xfail(reason=f"2.94: {ROUNDS}")),
        OnBattery,
    ],
)
def test_the_waste_is_near_that_of_its_own_code(peer) -> None:
    assert figures(peer)[0] == pytest.approx(MEASURED[peer][0], rel=0.15)


@pytest.mark.long
@pytest.mark.parametrize(
    "peer",
    [Original, pytest.param(ZeroExport, marks=pytest.mark.xfail(reason=f"274: {ROUNDS}")), OnBattery],
)
def test_the_commands_are_near_those_of_its_own_code(peer) -> None:
    assert figures(peer)[1] == pytest.approx(MEASURED[peer][1], rel=0.15)
