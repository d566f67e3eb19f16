"""Up to which age a value counts, and what is shown of older ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from opendtu_dcload.control.dtu_settings import DtuSettings
from opendtu_dcload.freshness import METER_SHOWN_S, PLAN_S, believed, measured
from opendtu_dcload.live.live_text import live_line
from opendtu_dcload.model import DtuStatus, InverterPlan, InverterStatus, MeterReading, PhaseReading, Plan, Reason
from opendtu_dcload.state import State


@pytest.mark.parametrize(
    ("age_s", "reachable", "output_w", "counts"),
    [(20.0, True, 0.0, True), (20.1, True, 0.0, False), (0.0, False, 0.0, False), (0.0, True, None, False)],
)
def test_an_inverters_values_count_up_to_their_age_while_its_dtu_reaches_it(age_s, reachable, output_w, counts):
    status = InverterStatus("1", "", 100.0, 100.0 - age_s, reachable, ac_power_w=output_w)
    assert (believed(status, 100.0, 20.0) is status) is counts
    assert believed(None, 100.0, 20.0) is None


@pytest.mark.parametrize(
    ("status", "freshness_s"),
    [
        (DtuStatus(0.0), 20.0),
        (DtuStatus(0.0, round_s=50.0), 155.0),
        (DtuStatus(0.0, is_clock_set=False), float("-inf")),
        (None, float("-inf")),
    ],
    ids=["as configured", "three of its rounds", "no clock", "never answered"],
)
def test_a_dtu_that_polls_slowly_gets_its_time(status, freshness_s):
    assert DtuSettings(stale_after_s=20.0).freshness_s(status) == freshness_s


def test_a_meters_counters_are_measured_where_it_tells_nothing_else_of_the_moment():
    bare, full = PhaseReading(300.0, energy_import_wh=1.0), PhaseReading(300.0, 230.0, energy_import_wh=1.0)
    for phase, counts in ((bare, True), (full, False)):
        before = MeterReading(0.0, 300.0, (phase, None, None), 1.0)
        after = MeterReading(1.0, 300.0, (replace(phase, energy_import_wh=2.0), None, None), 2.0)
        assert measured(before) == measured(replace(before, at_s=1.0))
        assert (measured(before) != measured(after)) is counts


def test_the_live_line_shows_the_grid_and_the_reason_as_long_as_the_bus():
    state = State()
    state.set_meter(MeterReading(0.0, 123.0))
    state.set_plan(Plan(0.0, 100.0, 800.0, Reason.REGULATING))
    assert live_line(state, {}, PLAN_S) == "grid   123 W | regulating"
    assert live_line(state, {}, METER_SHOWN_S) == "grid   123 W | no decision for 15 s"
    assert live_line(state, {}, METER_SHOWN_S + 0.1) == "grid     - W | no decision for 15 s; grid: 123 W 15 s ago"


@pytest.mark.parametrize(
    ("age_s", "reachable", "output", "more"),
    [(20.0, True, "  95", ""), (20.1, True, "   -", "; 95 W 20 s ago"), (0.0, False, "   -", "; 95 W 0 s ago")],
)
def test_the_live_line_shows_an_inverters_output_as_long_as_the_bus(age_s, reachable, output, more):
    state = State()
    state.set_inverters("dtu", {"1": InverterStatus("1", "roof", 100.0, 100.0 - age_s, reachable, ac_power_w=95.0)})
    state.set_dtu("dtu", DtuStatus(100.0))
    state.set_plan(Plan(100.0, 100.0, 800.0, Reason.REGULATING, (InverterPlan("1", 100.0, is_on=True),)))
    sources = {"1": ("dtu", DtuSettings(stale_after_s=20.0).freshness_s)}
    line = live_line(state, sources, 100.0)
    assert line == f"grid     - + roof: {output} = load     - W, set 100 | regulating{more}"
