from __future__ import annotations

import pytest

from opendtu_dcload.control.controller import Settings
from opendtu_dcload.model import Reason
from tests.control.plant import make_plant, models_of


def test_where_only_half_of_the_limit_comes_out_the_cap_is_known_to_be_reached():
    # Half of the inputs are connected: the limit is shared evenly over all of them.
    plant = make_plant(
        [2000.0] * 300, models_of(1, rated_w=800.0, gain=0.5), settings=Settings(max_feed_in_w=400), is_warm=True
    )
    plant.until(240.0)
    (inverter,) = plant.house.inverters.values()
    assert inverter.limit_w == pytest.approx(400, abs=1), "the limit counts for the cap, it may all come out"
    assert plant.reason is Reason.FEED_IN_CAP


def test_where_only_half_of_the_limit_comes_out_twice_as_much_is_asked_for():
    plant = make_plant([260.0] * 300, models_of(1, rated_w=800.0, gain=0.5), is_warm=True)
    plant.until(240.0)
    (inverter,) = plant.house.inverters.values()
    assert inverter.limit_w == pytest.approx(500, abs=25)
    assert plant.house.grid_w == pytest.approx(10, abs=12)
