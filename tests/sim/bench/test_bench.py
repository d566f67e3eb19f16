"""The bench measures what it says, repeats itself, and does not overlook a broken rule."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from opendtu_dcload.cli import main
from opendtu_dcload.control.commands.command_policy import SetLimit
from opendtu_dcload.errors import ConfigError
from opendtu_dcload.sim.bench.bench import DAY_CONTROLLERS, AnyCell, select
from opendtu_dcload.sim.bench.bench_plants import PLANTS
from opendtu_dcload.sim.bench.bench_report import HEAD, LOSSES_HEAD, losses, rows
from opendtu_dcload.sim.bench.cases import CASES, Kind
from opendtu_dcload.sim.bench.cells import STEP_W, BenchError, Cell, StepCell, response
from opendtu_dcload.sim.bench.cost import Cost
from opendtu_dcload.sim.bench.pilot import Pilot
from opendtu_dcload.sim.bench.pilots import (
    CONTROLLERS,
    FORESIGHT,
    NO_EXPORT,
    PILOTS,
    UNLIMITED,
    VARIANTS,
    YARDSTICKS,
    Ours,
)
from opendtu_dcload.sim.bench.scale import COUNTS, Cpu, bare_get_cpu_s, decisions_cpu_s
from opendtu_dcload.sim.plant.world import World

ROOT = Path(__file__).parents[3]
PRINTED = ROOT / "docs" / "benchmark.txt"
PAGES = ("README.md", "docs/benchmark.md")


def run(cells: list[AnyCell]) -> dict[AnyCell, Cost]:
    return {cell: cell.run() for cell in cells}


# ---- a run


@pytest.mark.parametrize("cell", [StepCell("one", "ours", 3), StepCell("one", "omniscient", 3)], ids=str)
def test_the_same_cell_gives_the_same_figures(cell):
    assert cell.run() == cell.run()


def test_another_seed_gives_other_figures():
    assert Cell("hms", "hob 60 s", "omniscient", 1).run() != Cell("hms", "hob 60 s", "omniscient", 2).run()


def test_a_controller_that_does_nothing_is_charged_for_what_flows(monkeypatch):
    monkeypatch.setitem(PILOTS, "idle", lambda world, *_: Pilot(world))
    cost = Cell("hms", "hob 60 s", "idle", 1).run()
    hours = 1.0
    assert cost.hours == hours
    assert cost.commands == 0
    assert cost.exported_wh == pytest.approx(hours * (1200 * 0.985 - (150 + 1050) / 2), rel=0.03)
    assert cost.avoidable_wh == pytest.approx(0, abs=1)
    assert cost.over_50_w_s == pytest.approx(3600, abs=1)


@pytest.mark.parametrize(
    ("controller", "output_w", "over_s"),
    [pytest.param("idle", 1200 * 0.985, 600, id="all it has"), pytest.param("omniscient", 54.2, 0, id="its minima")],
)
def test_what_the_panels_of_the_house_export_is_not_charged_but_what_the_plant_adds(
    monkeypatch, controller, output_w, over_s
):
    monkeypatch.setitem(PILOTS, "idle", lambda world, *_: Pilot(world))
    monkeypatch.setitem(CASES, "noise", replace(CASES["noise"], _make=lambda _: [-400.0] * 900))
    cost = Cell("hms", "noise", controller, 1).run()
    assert cost.exported_wh == pytest.approx(output_w * 600 / 3600, rel=0.01)
    assert cost.avoidable_wh == 0
    assert cost.over_50_w_s == pytest.approx(over_s, abs=1)
    assert cost.ideal_wh == pytest.approx(2 * 60 * 600 / 3600)


# ---- the step test


def test_settling_and_overshoot_of_a_response_drawn_by_hand():
    falling = [(0.1 * n, -STEP_W) for n in range(40)]
    beyond = [(4 + 0.1 * n, 100.0) for n in range(20)]
    rest = [(6 + 0.1 * n, 10.0) for n in range(500)]
    found = response(falling + beyond + rest)
    assert found.settling_s == pytest.approx(5.9)
    assert found.overshoot_pct == pytest.approx(100 * 90 / STEP_W)


def test_a_plant_that_never_follows_settles_never_and_does_not_overshoot():
    found = response([(0.1 * n, -STEP_W) for n in range(600)])
    assert found.settling_s == pytest.approx(59.9)
    assert found.overshoot_pct == 0


def test_what_knows_everything_settles_within_dead_time_and_ramp():
    down, up = (getattr(StepCell("one", "omniscient", 1).run(), name) for name in ("down", "up"))
    assert 1.4 < down.settling_s < 8
    assert 1.4 < up.settling_s < 8
    assert max(down.overshoot_pct, up.overshoot_pct) < 1


# ---- a broken rule

SHORT_S = 400
"""The first 300 s are not counted, the rule is broken after 100 s."""


def nothing(*_: object) -> None:
    pass


def persistent(ours: Ours, world: World) -> None:
    serial = world.dtus[0].serials[0]
    if not world.dtus[0].counters.persistent:
        world.dtus[0].post_limit(serial, 2, 50)


def repeated(ours: Ours, world: World) -> None:
    dtu = world.dtus[0]
    for limit_w in (100, 300):
        dtu.post_limit(dtu.serials[0], 0, limit_w)


def posted(limit_w: float) -> Callable[[Ours, World], None]:
    def post(ours: Ours, world: World) -> None:
        ours.controller.posted(SetLimit(world.dtus[0].serials[0], limit_w), world.house.now_s)

    return post


@pytest.mark.parametrize(
    ("misdeed", "cap_w", "told"),
    [
        pytest.param(persistent, 1200, "persistent", id="a persistent limit"),
        pytest.param(repeated, 1200, "pending", id="a raise while another limit is on its way"),
        pytest.param(posted(5), 1200, "range", id="less than the minimum"),
        pytest.param(posted(450), 1200, "range", id="more than rated"),
        pytest.param(posted(400), 300, "cap", id="more than the cap leaves"),
        pytest.param(posted(100), 1200, "repeat", id="the same value again"),
        pytest.param(nothing, 60, None, id="none, and a cap that the limits at the start exceed"),
    ],
)
def test_a_broken_rule_is_an_error_that_names_rule_and_cell(monkeypatch, misdeed, cap_w, told):
    class Wrong(Ours):
        def __init__(self, world: World, minimum_w: float, _: float) -> None:
            super().__init__(world, minimum_w, cap_w)
            self.world = world

        def act(self) -> None:
            super().act()
            if self.world.house.now_s > 100:
                misdeed(self, self.world)

    monkeypatch.setitem(PILOTS, "wrong", Wrong)
    noise = CASES["noise"]
    monkeypatch.setitem(CASES, "noise", replace(noise, _make=lambda rng: noise._make(rng)[:SHORT_S]))
    cell = Cell("hms", "noise", "wrong", 1)
    if told is None:
        cell.run()
        return
    with pytest.raises(BenchError, match=f"hms, noise, seed 1: .*{told}"):
        cell.run()


# ---- selection and table


def test_by_default_every_controller_meets_every_case_and_the_step_test_on_every_plant():
    chosen = {(cell.plant, cell.case, cell.controller) for cell in select()}
    all_but_day = CASES.keys() - {"day"}
    for controller in (*CONTROLLERS, *YARDSTICKS):
        assert {(plant, case, controller) for plant in ("hms", "hm", "mixed") for case in all_but_day} <= chosen
    assert {(plant, "step 500 W", controller) for plant in PLANTS for controller in CONTROLLERS} <= chosen
    assert {
        (plant, case.name, name)
        for plant, names in VARIANTS.items()
        for name in names
        for case in CASES.values()
        if case.kind is Kind.TUNING
    } <= chosen


def test_the_day_is_played_by_few_on_one_plant_unless_others_are_named():
    assert {(cell.plant, cell.controller) for cell in select("*/day")} == {("hms", name) for name in DAY_CONTROLLERS}
    assert {(cell.plant, cell.controller) for cell in select("*/day", "on battery")} == {("hms", "on battery")}
    assert all(cell.controller in (*CONTROLLERS, *YARDSTICKS) for cell in select("hms/solar"))


def test_cases_are_chosen_by_name_and_by_kind():
    assert {cell.case for cell in select("hm/hob")} == {"hob 8 s", "hob 16 s", "hob 30 s", "hob 60 s"}
    assert {cell.plant for cell in select("hm/")} == {"hm"}
    assert {cell.case for cell in select("*/solar tuning")} == {"solar a", "solar b", "surplus a"}
    chosen = select("*/check", "ours", seeds=2)
    assert {cell.case for cell in chosen} == {case.name for case in CASES.values() if case.kind is Kind.CHECK}
    assert {cell.seed for cell in chosen} == {1, 2}


@pytest.mark.parametrize(
    ("only", "controllers", "told"),
    [
        pytest.param("nothing", "", "--only: no plant/case matches 'nothing'", id="no such case"),
        pytest.param("", "ours,magic", "--controllers: 'magic' is not known; write some of: ours,", id="no such"),
    ],
)
def test_a_choice_that_cannot_be_is_explained(only, controllers, told):
    with pytest.raises(ConfigError) as wrong:
        select(only, controllers)
    assert told in wrong.value.problems[0]


def test_the_columns_stand_below_their_heads_and_seeds_are_averaged():
    cost = Cost(exported_wh=10, avoidable_wh=5, ideal_wh=12.5, commands=100, over_50_w_s=60, hours=2)
    lines = rows({Cell("hms", "noise", "ours", seed): cost for seed in (1, 2)})
    assert lines == [
        "hms    noise          ours             10.00    5.00   25.00   2.00        50    60.0",
        "hms    = synthetic    ours             10.00    5.00   25.00   2.00        50    60.0",
    ]
    first, second = HEAD.splitlines()
    for head, unit, value in (
        ("export", "Wh", "10.00"),
        ("import", "Wh", "5.00"),
        ("commands", "per h", "50"),
        ("> 50 W", "s", "60.0"),
    ):
        end = lines[0].find(f" {value}") + len(value) + 1
        assert first[:end].endswith(head)
        assert second[:end].endswith(unit)


def test_each_kind_of_load_has_its_own_summary_on_each_plant():
    ideal_wh = {kind: 2.0 + number for number, kind in enumerate(Kind)}
    costs = {cell: Cost(1, 0, ideal_wh[CASES[cell.case].kind], 0, 0, 1) for cell in select("h*") if cell.case in CASES}
    summaries = {(line[:7].strip(), line[9:22].strip(), line[22:36].strip()): line[61:67] for line in rows(costs)}
    for plant, kinds in (("hms", set(Kind)), ("hm", set(Kind) - {Kind.DAY})):
        for kind in kinds:
            assert float(summaries[plant, kind, "ours"]) == pytest.approx(2 / ideal_wh[kind], abs=0.01)


def test_the_command_prints_json_with_what_was_asked_for(capsys):
    assert main(["bench", "--only", "one/", "--controllers", "omniscient", "--phases", "2", "--json"]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [(c["plant"], c["case"], c["controller"], c["seed"]) for c in cells] == [
        ("one", "step 500 W", "omniscient", 1),
        ("one", "step 500 W", "omniscient", 2),
    ]
    assert all(c["waste_wh"] == 2 * c["exported_wh"] + c["avoidable_wh"] > 0 for c in cells)


# ---- CPU


def test_cpu_is_measured_and_told_per_inverter_and_against_the_bare_meter():
    assert decisions_cpu_s(2) > 0
    assert bare_get_cpu_s() > 0
    lines = Cpu({3: 0.6, 10: 1.0}, 0.4).lines()
    assert lines[2:4] == ["        3      0.60          0.200", "       10      1.00          0.100"]
    assert lines[-1].endswith(" 2.5 x that.")


# ---- the manual


def printed_table() -> list[str]:
    return PRINTED.read_text(encoding="utf-8").split("\n\n")[0].splitlines()


def test_the_table_in_the_manual_has_all_lines():
    table = [line[:37] for line in printed_table()]
    assert table[:2] == [line[:37] for line in HEAD.splitlines()]
    assert table[2:] == [line[:37] for line in rows(dict.fromkeys(select(), Cost(0, 0, 0, 0, 0, 1)))]


@pytest.mark.long
@pytest.mark.parametrize(
    "only",
    ["hms/noise", "one/", "hm/levels"],
)
def test_the_table_in_the_manual_is_what_the_program_prints(only):
    # A part of it, chosen for being quick: the rest comes from the same command at the same time.
    lines = [line for line in rows(run(select(only))) if " = " not in line]
    missing = [line for line in lines if line not in printed_table()]
    assert not missing, "run `opendtu-dcload bench > docs/benchmark.txt`"


def test_what_follows_the_table_is_printed_so_too():
    shape = re.sub(r"[\d.]+", "1", "\n".join(Cpu(dict.fromkeys(COUNTS, 1.0), 1.0).lines()))
    words = re.sub(r"[\d.]+", "1", PRINTED.read_text(encoding="utf-8").split("\n\n")[-1])
    assert re.sub(" +", " ", words) == re.sub(" +", " ", shape) + "\n"


def test_the_summaries_in_the_manual_are_taken_from_the_long_table():
    ratio: dict[tuple[str, ...], str] = {}
    for line in printed_table():
        if line[7:9] == "= ":
            ratio[line[:6].strip(), line[9:21].strip(), line[22:36].strip()] = line[61:67].strip()
    plants = [plant.name for plant in PLANTS.values() if plant.has_cases]
    for name in CONTROLLERS:
        cells = [f"{ratio[plant, Kind.TUNING, name]} \u00b7 {ratio[plant, Kind.CHECK, name]}" for plant in plants]
        line = " | ".join(["", name, *cells, ""]).strip()
        for page in PAGES:
            assert line in (ROOT / page).read_text(encoding="utf-8").splitlines(), f"put this line into {page}"


def test_what_is_lost_to_what_adds_up_to_our_waste():
    def lost(waste_wh: dict[str, float]) -> list[str]:
        cells = {name: Cell("hms", "noise", name, 1) for name in waste_wh}
        return losses({cells[name]: Cost(0, wh, 100.0, 400.0, 0, 2.0) for name, wh in waste_wh.items()})

    waste_wh = {"ours": 130.0, FORESIGHT: 40.0, "omniscient": 150.0, UNLIMITED: 120.0}
    assert lost(waste_wh)[-2:] == [
        "hms    noise            1.30 =   0.40   +1.10    -0.30  +0.10       200",
        "hms    = synthetic      1.30 =   0.40   +1.10    -0.30  +0.10       200",
    ]
    del waste_wh[FORESIGHT]
    assert lost(waste_wh) == [], "told only where all have played"


def test_the_table_of_losses_in_the_manual_has_all_lines():
    table = PRINTED.read_text(encoding="utf-8").split("\n\n")[1].splitlines()
    assert table[:2] == LOSSES_HEAD.splitlines()
    expected = losses(dict.fromkeys(select(), Cost(0, 1, 1, 1, 0, 1)))[3:]
    assert [line[:21] for line in table[2:]] == [line[:21] for line in expected]


@pytest.mark.parametrize("plant", ["hms", "hm", "mixed"])
def test_at_no_export_less_is_exported_than_with_any_other_controller(plant):
    exported_wh = {
        (line[7:21].strip(), line[22:36].strip()): float(line[37:44])
        for line in printed_table()[2:]
        if line[:6].strip() == plant
    }
    others = {name for name in CONTROLLERS if name not in ("ours", "omniscient")}
    not_least = {
        case.name
        for case in CASES.values()
        if case.kind is not Kind.DAY
        and exported_wh[case.name, NO_EXPORT] >= min(exported_wh[case.name, name] for name in others)
    }
    assert not_least == ({"h3-03-17", "ramps", "heat + solar", "night"} if plant == "hm" else set())
