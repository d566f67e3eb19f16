from __future__ import annotations

from opendtu_dcload.sim.demo import demo_plant


def test_plant_begins_with_a_dtu_that_knows_its_inverters() -> None:
    dtu = demo_plant.build([300.0, 400.0])
    assert dtu.house.now_s == 0.0
    assert dtu.house.load_at(0.0) == 300
    assert dtu.house.load_at(1.0) == 400
    assert set(dtu.believed) == set(demo_plant.SERIALS)
    for believed in dtu.believed.values():
        assert (believed.rated_w, believed.limit_pct) == (400, 100)
    assert dtu.house.output_w == 3 * 400 * 0.985
    assert dtu.counters.limits == 0
