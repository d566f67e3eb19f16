"""What is asked becomes a load and a plant: the user's inverters and settings, and simulated devices around them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from opendtu_dcload.errors import ConfigError
from opendtu_dcload.sim.loads.measured_load import DAY_S
from opendtu_dcload.sim.runs.played import METER
from opendtu_dcload.sim.runs.simulate import simulate
from opendtu_dcload.sim.whatif.question import Asked, question_of, solar
from opendtu_dcload.sim.whatif.variant import OWN, variants_of
from tests.sim.whatif.own_config import TEXT, write_config

LOAD = "t;W\n" + "".join(f"{60 * minute};{200 + minute % 7 * 30}\n" for minute in range(60))


@pytest.fixture
def load(tmp_path: Path) -> Path:
    path = tmp_path / "load.csv"
    path.write_text(LOAD)
    return path


def test_the_plant_is_that_of_config_toml(config: Path, load: Path):
    question = question_of(Asked([str(load)], config=config))
    plant = question.plant
    assert [(m.name, m.rated_w, m.inputs, m.dead_time_s) for m in plant.models] == [
        ("Garage <1>", 1600.0, 4, 6.0),
        ("inverter 2", 400.0, 1, 2.0),
    ]
    assert plant.cap_w == 800
    assert plant.minimum_w == 80 + 20
    assert plant.lag_s == 8.5
    control = plant.config.control
    assert (control.target_w, control.priority) == (30, "no-export")
    assert any("116190001234: 1600 W" in note for note in question.notes), "what is assumed is said"


def test_rated_powers_can_be_told_and_then_nothing_is_assumed(config: Path, load: Path):
    question = question_of(Asked([str(load)], config=config, rated_w=[1500.0, 350.0]))
    assert [m.rated_w for m in question.plant.models] == [1500, 350]
    assert not any("assumed" in note for note in question.notes)
    with pytest.raises(ConfigError, match="--rated: 1 powers for 2 inverters"):
        question_of(Asked([str(load)], config=config, rated_w=[1500.0]))


def test_no_address_and_no_secret_of_the_real_devices_is_left(config: Path, load: Path):
    played = question_of(Asked([str(load)], config=config)).plant.config
    assert played.meter.host == METER
    assert [dtu.host for dtu in played.dtus] == ["garage", "roof"]
    secrets = [login.password.get_secret_value() for login in (played.meter, *played.dtus) if login.password]
    assert not any(secret.startswith("of the") for secret in secrets)
    assert "192.168" not in repr(played)


@pytest.mark.parametrize("name", ["Garage", "Dach Süd", "a/b", "dtu#2"])
def test_a_dtu_answers_whatever_its_name_is(config: Path, load: Path, name: str):
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('"garage"', f'"{name}"'), encoding="utf-8")
    plant = question_of(Asked([str(load)], config=config)).plant
    result = simulate([300.0] * 900, plant=plant, seed=1)
    assert result.exported_wh < 5


def test_a_plant_on_24_v_with_a_minimum_soc_regulates(config: Path):
    """Neither the floor nor a SoC that nobody tells may keep what is played from feeding."""
    plant = question_of(Asked(config=config)).plant
    result = simulate([500.0] * 900, plant=plant)
    assert result.output_wh > 0.8 * (500 - 30) * result.hours
    assert result.counters.persistent == 0


def test_without_a_config_three_hms_are_played_and_it_is_said(
    tmp_path: Path, load: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    question = question_of(Asked([str(load)]))
    assert len(question.plant.models) == 3
    assert any("No config.toml is filled in here" in note for note in question.notes)
    with pytest.raises(ConfigError, match=r"mine\.toml does not exist"):
        question_of(Asked([str(load)], config=Path("mine.toml")))


def test_a_config_that_only_reads_is_refused(config: Path, load: Path):
    without = TEXT.replace("[[inverter]]", "[[inverter]]#").split("[[inverter]]")[0] + "[battery]\nmin_voltage_v = 40\n"
    write_config(config.parent, without)
    with pytest.raises(ConfigError, match="lists no inverter"):
        question_of(Asked([str(load)], config=config))


def test_of_many_days_the_last_whole_one_is_played_and_another_one_can_be_named(tmp_path: Path, config: Path):
    path = tmp_path / "days.csv"
    hours = [(day, hour) for day in (1, 2, 3) for hour in range(24)]
    path.write_text(
        "when;W\n" + "".join(f"2026-03-0{d} {h:02}:00;{100 * d + h}\n" for d, h in [*hours, (4, 0), (4, 1)])
    )
    question = question_of(Asked([str(path)], config=config))
    assert (question.load_w[0], question.load_w[-1], len(question.load_w)) == (300, 323, DAY_S)
    assert any("2026-03-03 was played, --day chooses another one of 2026-03-01 to" in note for note in question.notes)
    assert question_of(Asked([str(path)], config=config, day=date(2026, 3, 2))).load_w[0] == 200
    evening = question_of(Asked([str(path)], config=config, day=date(2026, 3, 1), hours=(17.5, 20.0)))
    assert (evening.load_w[0], evening.load_w[-1], len(evening.load_w)) == (117, 119, 2.5 * 3600)
    assert evening.clock_s == 17.5 * 3600
    with pytest.raises(ConfigError, match="--day, --hours: the load has nothing of this time: it has 2026-03-01 to"):
        question_of(Asked([str(path)], config=config, day=date(2026, 4, 1)))


def minutes(path: Path, *spans: tuple[int, int, int]) -> str:
    """Write a value each minute, from and to an hour of a day of March; return the file's name."""
    lines = [
        f"2026-03-{day:02} {minute // 60:02}:{minute % 60:02};{100 * day + minute % 50}\n"
        for day, first, end in spans
        for minute in range(60 * first, 60 * end)
    ]
    path.write_text("when;W\n" + "".join(lines))
    return str(path)


def told_of_gaps(notes: Sequence[str]) -> list[str]:
    return [note for note in notes if "has no values" in note]


def test_a_day_with_a_long_gap_does_not_count_as_whole(tmp_path: Path, config: Path):
    name = minutes(tmp_path / "days.csv", (1, 0, 24), (2, 0, 24), (3, 0, 3), (3, 8, 24))
    question = question_of(Asked([name], config=config))
    assert question.load_w[0] == 200
    assert any("2026-03-02 was played" in note and "those after it have gaps" in note for note in question.notes)
    assert told_of_gaps(question.notes) == []


def test_a_gap_in_what_is_played_is_told_in_one_sentence(tmp_path: Path, config: Path):
    name = minutes(tmp_path / "days.csv", (1, 0, 24), (2, 0, 24), (3, 0, 3), (3, 8, 24))
    holed = question_of(Asked([name], config=config, day=date(2026, 3, 3)))
    assert told_of_gaps(holed.notes) == [
        "The load has no values for 5 h of what is played (from 03:00 to 08:00): the one before holds."
    ]
    evening = question_of(Asked([name], config=config, day=date(2026, 3, 3), hours=(17, 20)))
    assert told_of_gaps(evening.notes) == []


def test_a_gap_in_one_of_several_phases_is_a_gap_of_the_sum(tmp_path: Path, config: Path):
    whole = minutes(tmp_path / "one.csv", (1, 0, 24), (2, 0, 24))
    holed = minutes(tmp_path / "two.csv", (2, 0, 3), (2, 4, 9), (2, 12, 24))
    question = question_of(Asked([whole, holed], config=config))
    (told,) = told_of_gaps(question.notes)
    assert "no values for 4 h of what is played (in 2 gaps, the longest from 09:00 to 12:00)" in told


def test_where_every_day_has_a_gap_the_last_one_is_played_and_the_gap_told(tmp_path: Path, config: Path):
    name = minutes(tmp_path / "days.csv", (1, 0, 5), (1, 10, 24), (2, 0, 3), (2, 8, 24))
    question = question_of(Asked([name], config=config))
    assert question.load_w[0] == 200
    assert len(told_of_gaps(question.notes)) == 1


def test_what_is_written_only_when_it_changes_has_no_gaps_within_an_hour(tmp_path: Path, config: Path):
    path = tmp_path / "changes.csv"
    times = [(0, 0), (0, 7), (9, 0), (50, 30), (52, 0), (59, 1)]
    path.write_text("when;W\n" + "".join(f"2026-03-01 10:{m:02}:{s:02};{200 + m}\n" for m, s in times))
    assert told_of_gaps(question_of(Asked([str(path)], config=config)).notes) == []


def test_a_load_of_a_few_minutes_is_refused(tmp_path: Path, config: Path):
    path = tmp_path / "short.csv"
    path.write_text("t;W\n0;100\n100;200\n")
    with pytest.raises(ConfigError, match="only 200 s to play"):
        question_of(Asked([str(path)], config=config))


def test_solar_is_taken_off_the_load_by_day_only_and_said_to_be_a_model(load: Path, config: Path):
    day_w = solar(0, 2 * DAY_S, 800.0, 1)
    assert len(day_w) == 2 * DAY_S
    assert max(day_w) > 500
    assert not any(day_w[: 6 * 3600])
    assert day_w[12 * 3600] != day_w[DAY_S + 12 * 3600], "each day has clouds of its own"
    assert solar(12 * 3600, 60, 800.0, 1) == day_w[12 * 3600 : 12 * 3600 + 60]
    question = question_of(Asked([str(load)], config=config, solar_w=800.0))
    assert "model and no measurement" in question.notes[0]


def test_each_variant_changes_one_thing(config: Path, load: Path):
    plant = question_of(Asked([str(load)], config=config)).plant
    variants = {variant.name: variant.plant for variant in variants_of(plant)}
    assert next(iter(variants)) == OWN
    assert variants[OWN] == plant
    assert variants["grid target 0 W"].config.control.target_w == 0
    assert variants["priority no-import"].config.control.priority == "no-import"
    assert "priority no-export" not in variants, "it is the user's own"
    alone = variants["the largest inverter alone"]
    assert [m.serial for m in alone.models] == ["116190001234"]
    assert [dtu.name for dtu in alone.config.dtus] == ["garage"]
    assert {dtu.max_commands_per_hour for dtu in variants["600 commands an hour and DTU"].config.dtus} == {600}
    for other in variants.values():
        assert other.world([300.0], 1).house.cap_w <= 800


def test_one_inverter_is_compared_with_three_of_its_kind(tmp_path: Path, load: Path, config: Path):
    lines = TEXT.replace('[[inverter]]\nserial = "112490001235"\nopendtu = "roof"\n', "")
    plant = question_of(Asked([str(load)], config=write_config(tmp_path, lines))).plant
    three = {variant.name: variant.plant for variant in variants_of(plant)}["3 such inverters"]
    assert len({m.serial for m in three.models}) == 3
    assert len(three.world([300.0], 1).dtus[0].serials) == 3
