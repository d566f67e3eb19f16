from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import pytest

from opendtu_dcload.control.regulation.regulator import Wait
from opendtu_dcload.live.live_plant import LivePlant, Source
from opendtu_dcload.live.live_text import WIDTH, flow_line, inverter_lines, live_line
from opendtu_dcload.model import InverterPlan, InverterStatus, MeterReading, Plan, Reason, SolarReading
from opendtu_dcload.state import State
from opendtu_dcload.tallies import CommandRecord, Outcome
from opendtu_dcload.terminal.plain_text import columns

NOW_S = 1000.0
NAMES = ("HMS-400 1", "HMS-400 2", "HMS-400 3")


def sources(count: int) -> dict[str, Source]:
    return {str(number): ("dtu", lambda _: 50.0) for number in range(count)}


def plant(
    outputs_w: Sequence[float] = (430.4, 20.4, 19.6),
    *,
    grid_w: float = 12.4,
    grid_age_s: float = 0.0,
    names: Sequence[str] = NAMES,
    ages_s: Mapping[int, float] | None = None,
    notes: Mapping[int, str] | None = None,
    reason: Reason = Reason.REGULATING,
    is_dry: bool = False,
) -> State:
    state, ages_s, notes = State(), ages_s or {}, notes or {}
    state.set_meter(MeterReading(NOW_S - grid_age_s, grid_w))
    inverters = {
        str(number): InverterStatus(
            str(number), names[number], NOW_S, NOW_S - ages_s.get(number, 0.0), reachable=True, ac_power_w=output_w
        )
        for number, output_w in enumerate(outputs_w)
    }
    state.set_inverters("dtu", inverters)
    plans = tuple(InverterPlan(str(number), 160.0, True, notes.get(number, "")) for number in range(len(outputs_w)))
    state.set_plan(Plan(NOW_S, 480.0, 800.0, reason, plans, is_dry=is_dry))
    return state


def line(state: State, count: int = 3) -> str:
    return live_line(state, sources(count), NOW_S)


def commanded(state: State, outcome: Outcome, *, is_limit: bool = True, ago_s: float = 3.0) -> State:
    last = "limit 210 W" if is_limit else "off"
    state.set_commands({"0": CommandRecord(1, 0, last, is_limit, outcome, NOW_S - ago_s)})
    return state


def test_a_plant_in_a_line():
    assert line(plant()) == "grid    12 + 1:  430 + 2:   20 + 3:   20 = load   482 W, set 480 | regulating"


def test_a_plant_without_inverters_shows_its_meter():
    assert line(plant((), reason=Reason.READ_ONLY), 0) == "grid    12 W | read-only: no inverter configured"


@pytest.mark.parametrize(("grid_w", "count"), list(product((-0.4, 0.5, 12.5, -987.6, 2345.5), (1, 2, 3))))
def test_the_numbers_shown_add_up(grid_w, count):
    state = plant([30.5, 0.5, -0.3][:count], grid_w=grid_w)
    told, load = line(state, count).split(" | ")[0].split(", ")[0].split("=")
    parts = [int(part.split()[-1]) for part in told.split(" + ")]
    assert len(parts) == 1 + count
    assert sum(parts) == int(load.split()[1])
    assert not re.search(r"-0\b", told + load)


def test_plug_in_solar_is_a_part_of_the_sum():
    state = plant((430.0,))
    state.set_solar(SolarReading(NOW_S, 200.4))
    assert line(state, 1) == "grid    12 + HMS-400 1:  430 + solar:  200 = load   642 W, set 480 | regulating"
    state.set_solar(SolarReading(NOW_S - 20, 200.4))
    assert line(state, 1) == "grid 12 + 430 + - = load - W | regulating; solar: 200 W 20 s ago"


def test_inverters_that_do_not_fit_are_shown_as_a_sum():
    ten = plant([100.0] * 10, names=[f"Roof {number}" for number in range(10)])
    assert line(ten, 10) == "grid    12 + inverters: 1000 = load  1012 W, set 480 | regulating"


def test_what_counts_no_more_is_a_dash_with_its_age():
    assert line(plant(grid_age_s=20.0)) == (
        "grid     - + inverters:  470 = load     - W | regulating; grid: 12 W 20 s ago"
    )
    old = plant(ages_s={1: 130.0}, notes={1: "no fresh data"})
    assert line(old) == "grid 12 + - = load - W | regulating; 2: no fresh data (20 W 2 min ago)"
    assert flow_line(LivePlant.of(old, sources(3), NOW_S), 79).startswith("grid    12 + 1:  430 + 2:    - + 3:   20 =")


def test_before_the_first_decision_it_starts():
    state = State()
    assert line(state) == "grid     - + 0:    - + 1:    - + 2:    - = load     - W | starting"


def test_a_control_that_hangs_is_named():
    state = plant()
    state.set_plan(Plan(NOW_S - 12, 480.0, 800.0, Reason.REGULATING))
    assert line(state) == "grid    12 + 1:  430 + 2:   20 + 3:   20 = load   482 W | no decision for 12 s"


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome.WAITING, "; 1: limit 210 W on its way"),
        (Outcome.TAKEN, "; 1: limit 210 W on its way"),
        (Outcome.ACKNOWLEDGED, ""),
        (Outcome.IGNORED, "; 1: limit 210 W without effect"),
        (Outcome.DECLINED, "; 1: limit 210 W declined by the DTU"),
        (Outcome.UNANSWERED, "; 1: limit 210 W not answered by the DTU"),
    ],
    ids=str,
)
def test_what_became_of_a_command_is_said_while_it_is_news(outcome, words):
    assert line(commanded(plant(), outcome)).endswith(f" | regulating{words}")
    assert line(commanded(plant(), outcome, ago_s=91.0)).endswith(" | regulating")


def test_of_a_command_that_is_never_acknowledged_nothing_is_said():
    assert line(commanded(plant(), Outcome.TAKEN, is_limit=False)).endswith(" | regulating")


def test_what_all_inverters_have_in_common_is_said_once():
    everyone = plant(notes=dict.fromkeys(range(3), "limit unknown"))
    assert line(everyone).endswith("| regulating; all: limit unknown")
    two = plant(notes=dict.fromkeys(range(2), "limit unknown"))
    assert line(two).endswith("| regulating; 1, 2: limit unknown")
    one = plant((430.0,), notes={0: "limit unknown"})
    assert line(one, 1).endswith("| regulating; limit unknown")


@pytest.mark.parametrize("is_dry", [False, True])
@pytest.mark.parametrize("reason", list(Reason), ids=str)
def test_every_reason_can_be_read_in_80_columns(reason, is_dry):
    notes = dict.fromkeys(range(3), "standby, number 12 since the start")
    for state in (
        plant(reason=reason, is_dry=is_dry),
        plant(reason=reason, is_dry=is_dry, notes=notes, grid_w=-1234.5),
    ):
        shown = line(state)
        assert columns(shown) <= WIDTH
        whole = f"{'dry run: ' if is_dry else ''}{reason}"
        assert whole in shown or whole.rpartition(": ")[0] in shown or shown.endswith("...")
        assert is_dry or not shown.endswith("...")


def test_a_name_from_a_device_steers_no_terminal():
    names = ["\x1b[2Ja\n", "\x1b]0;b\x07", "\u202ec\x9b1m"]
    state = plant(names=names, notes={0: "limit unknown"})
    lines = [line(state), *inverter_lines(state, LivePlant.of(state, sources(3), NOW_S), NOW_S)]
    assert all(shown.isprintable() for shown in lines)


def test_each_inverter_has_a_line_of_its_own():
    state = plant(ages_s={1: 60.0}, notes={1: "no fresh data"})
    assert state.plan is not None
    state.set_plan(
        Plan(NOW_S, 200.0, 800.0, Reason.REGULATING, (*state.plan.inverters[:2], InverterPlan("2", 0, False)))
    )
    commanded(state, Outcome.TAKEN)
    assert inverter_lines(state, LivePlant.of(state, sources(3), NOW_S), NOW_S) == [
        "  1            430 W  limit  160 W  limit 210 W on its way",
        "  2              - W  limit  160 W  no fresh data (20 W 60 s ago)",
        "  3             20 W  off",
    ]


@pytest.mark.parametrize("wait", [wait for wait in Wait if wait])
def test_while_it_regulates_it_says_why_it_lets_a_difference_be(wait):
    state = plant()
    assert state.plan is not None
    state.set_plan(replace(state.plan, wait=str(wait)))
    assert line(state, 1).endswith(f"| regulating; {wait}")
