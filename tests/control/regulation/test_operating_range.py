from __future__ import annotations

import pytest

from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.inverter.tracker import InverterTracker
from opendtu_dcload.control.protection.permit import Permit
from opendtu_dcload.control.regulation.operating_range import operating_range_of
from opendtu_dcload.control.settings import Settings
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
    assert inverter.limit_w == pytest.approx(520, abs=25)
    assert plant.house.grid_w == pytest.approx(0, abs=12)


@pytest.mark.parametrize(("gain", "ceiling_w"), [(1.0, 150 + 100), (0.5, 150 + 50)])
def test_the_room_that_the_cap_leaves_brings_only_as_much_output_as_comes_out_of_a_limit(gain, ceiling_w):
    tracker = InverterTracker(
        InverterParameters("a", 20, 800, 800, dead_time_s=2, credit_s=8, raise_spacing_s=5, refresh_s=210)
    )
    tracker.contact.is_fresh = True
    tracker.output._ratio.value = gain
    tracker.post(0.0, 150 / gain, 0.0)
    operating_range = operating_range_of([tracker], Permit(150 / gain + 100))
    assert (operating_range.committed_w, operating_range.ceiling_w) == pytest.approx((150, ceiling_w))
