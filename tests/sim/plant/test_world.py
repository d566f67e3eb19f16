"""A house with two DTUs: each radio keeps its own time."""

from opendtu_dcload.sim.plant.house import House, InverterModel
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.plant.world import World

LEFT, RIGHT = "112400000001", "112400000002"


def make_world() -> World:
    house = House([500.0] * 600, [InverterModel(LEFT, "left"), InverterModel(RIGHT, "right", rated_w=800)])
    return World(house, [SimDtu(house, serials=[s], loss=0.0, seed=n) for n, s in enumerate((LEFT, RIGHT))])


def test_limits_on_two_dtus_do_not_wait_for_each_other() -> None:
    world = make_world()
    world.advance(60.2)
    for serial in (LEFT, RIGHT):
        world.dtu_of(serial).post_limit(serial, 0, 100.0)
    world.advance(63.5)
    assert [round(i.limit_in_force_pct, 1) for i in world.house.inverters.values()] == [25.0, 12.5]


def test_everybody_arrives_at_the_same_time() -> None:
    world = make_world()
    for _ in range(20):
        assert world.advance_to_sample() == world.house.meter.at_s == world.house.now_s


def test_a_dtu_that_restarts_does_not_stop_the_other() -> None:
    world = make_world()
    world.advance(30)
    world.dtu_of(LEFT).reboot(outage_s=20)
    world.advance(45)
    assert not world.dtu_of(LEFT).is_up
    statistics = world.dtu_of(RIGHT).believed[RIGHT].statistics
    assert statistics is not None
    assert statistics.at_s > 35
    world.advance(90)
    assert world.dtu_of(LEFT).is_up
    assert world.dtu_of(LEFT).believed[LEFT].statistics is not None
