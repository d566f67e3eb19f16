"""What the user asks: which load, which part of it, how much solar beside it, on which plant."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from opendtu_dcload.config import load_config
from opendtu_dcload.doctor.written.shipped import can_be_written, is_shipped
from opendtu_dcload.errors import ConfigError
from opendtu_dcload.sim.bench.clouds import daylight
from opendtu_dcload.sim.loads.measured_load import DAY_S, MeasuredLoad
from opendtu_dcload.sim.runs.simulate import SKIPPED_S
from opendtu_dcload.sim.runs.simulated_plant import SimulatedPlant, assumed_w, default_plant, own_plant
from opendtu_dcload.sim.runs.trace import DEFAULT_TRACE, read_traces
from opendtu_dcload.terminal.plain_text import printable
from opendtu_dcload.time_words import lasted

CONFIG = Path("config.toml")
"""Where it is looked for without being named; it may be absent, or as it was shipped."""
HOUR_S = 3600
WHOLE_BUT_S = HOUR_S
"""What may be missing of a whole day, as the hour that daylight saving takes."""
GAP_TOLD_S = 60
NEVER_PLAYED = "The battery is never empty or full; plug-in solar of [solar], SoC limits and MultiPlus play no part."


@dataclass(frozen=True, slots=True)
class Asked:
    """What stands on the command line."""

    traces: Sequence[str] = ()
    """None of them: the carried day."""
    column: str | None = None
    day: date | None = None
    hours: tuple[float, float] | None = None
    """From and to, of the day."""
    solar_w: float = 0.0
    rated_w: Sequence[float] = ()
    config: Path = CONFIG
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Question:
    """What is played."""

    load_w: Sequence[float]
    plant: SimulatedPlant
    load_told: str
    plant_told: str
    clock_s: float
    """The time of day at which the load begins; since its own beginning where nobody tells."""
    notes: Sequence[str]


def question_of(asked: Asked) -> Question:
    """Return what is to be played.

    Raises:
        ConfigError: files or arguments do not fit.
    """
    plant, plant_told, plant_notes = _plant(asked)
    names = asked.traces or [DEFAULT_TRACE]
    whole = read_traces(names, asked.column)
    part, part_notes = _part(whole, asked)
    try:
        load_w = part.per_second_w()
    except ValueError as err:
        raise ConfigError([f"--trace: {err}"]) from err
    if len(load_w) <= SKIPPED_S:
        raise ConfigError(
            [f"--trace: there are only {len(load_w)} s to play, and the first {SKIPPED_S} s are not counted; give more"]
        )
    notes = [*part_notes, *part.notes, *plant_notes]
    if asked.solar_w:
        solar_w = solar(part.start_s, len(load_w), asked.solar_w, asked.seed)
        load_w = [load - sun for load, sun in zip(load_w, solar_w, strict=True)]
        notes.insert(0, _solar_note(asked.solar_w, sum(solar_w) / HOUR_S / 1000))
    told = f"{' + '.join(printable(Path(name).name) for name in names)}, {part.told}, {_when(part)}"
    return Question(load_w, plant, told, plant_told, float(part.start_s % DAY_S), notes)


def solar(start_s: int, length_s: int, peak_w: float, seed: int) -> list[float]:
    """Return what panels give, W, one value per second from a time on: each day is one of broken clouds in April."""
    days = range(start_s // DAY_S, (start_s + length_s - 1) // DAY_S + 1)
    light = [share for day in days for share in daylight(random.Random(f"sun {seed} {day - days[0]}"))]
    first = start_s - days[0] * DAY_S
    return [peak_w * share for share in light[first : first + length_s]]


def _solar_note(peak_w: float, energy_kwh: float) -> str:
    panels = f"panels with {peak_w:.0f} W at their best on a day of broken clouds in April"
    return f"Solar is a model and no measurement: {panels}, {energy_kwh:.2f} kWh in this time, behind the same meter."


def _plant(asked: Asked) -> tuple[SimulatedPlant, str, list[str]]:
    if asked.config == CONFIG and (can_be_written(CONFIG) or is_shipped(CONFIG)):
        if asked.rated_w:
            raise ConfigError(
                ["--rated belongs to the inverters of a config.toml, and none is filled in here; --config names one"]
            )
        note = "No config.toml is filled in here: three HMS-400 were played; --config names yours."
        return default_plant(), "three HMS-400, at most 1200 W together", [note]
    config = load_config(asked.config)
    plant = own_plant(config, asked.rated_w)
    powers = " + ".join(f"{model.rated_w:.0f}" for model in plant.models)
    notes = [NEVER_PLAYED]
    if not asked.rated_w:
        assumed = ", ".join(f"{i.serial}: {assumed_w(i):.0f} W" for i in config.inverters)
        notes.append(f"Rated powers are assumed ({assumed}): --rated tells the true ones.")
    control = config.control
    told = (
        f"{printable(str(asked.config))}: {powers} W, at most {plant.cap_w:.0f} W together, grid target "
        f"{control.target_w:.0f} W, priority {control.priority}"
    )
    return plant, told, notes


def _part(whole: MeasuredLoad, asked: Asked) -> tuple[MeasuredLoad, list[str]]:
    """Return the day, or the hours of it, that shall be played."""
    first_s, end_s, notes = whole.start_s, whole.end_s, []
    if asked.day is not None:
        if whole.first_day is None:
            raise ConfigError(["--day: these times have no date; leave it out"])
        first_s = (asked.day - whole.first_day).days * DAY_S
        end_s = first_s + DAY_S
    elif end_s - first_s > DAY_S:
        first_s = _last_whole_day_s(whole)
        end_s = first_s + DAY_S
        later = ", those after it have gaps" if first_s + 2 * DAY_S <= whole.end_s else ""
        length_s = whole.end_s - whole.start_s
        notes.append(f"The load is {length_s / DAY_S:.1f} days long: {_day_told(whole, first_s)}{later}.")
    if asked.hours is not None:
        midnight_s = first_s // DAY_S * DAY_S
        first_s, end_s = (midnight_s + round(hour * HOUR_S) for hour in asked.hours)
    try:
        part = whole.within(first_s, end_s)
    except ValueError as err:
        days = whole.days
        has = (
            f": it has {days[0]} to {days[-1]}"
            if days
            else f": it has {_clock(whole.start_s)} to {_clock(whole.end_s)}"
        )
        raise ConfigError([f"--day, --hours: the load has nothing of this time{has}"]) from err
    return part, [*notes, *_gap_note(part)]


def _gap_note(part: MeasuredLoad) -> list[str]:
    """Say when nothing was measured of what is played."""
    missing_s = part.missing_s(part.start_s, part.end_s)
    if missing_s < GAP_TOLD_S:
        return []
    from_s, until_s = max(part.gaps, key=lambda gap: gap[1] - gap[0])
    longest = f"from {_clock(from_s)} to {_clock(until_s)}"
    when = longest if len(part.gaps) == 1 else f"in {len(part.gaps)} gaps, the longest {longest}"
    return [f"The load has no values for {lasted(missing_s)} of what is played ({when}): the one before holds."]


def _last_whole_day_s(whole: MeasuredLoad) -> int:
    """Return when the last day begins of which all is there; else the last one with gaps, else the last 24 h."""
    last_s = whole.end_s // DAY_S * DAY_S - DAY_S
    days_s = [day_s for day_s in range(last_s, -1, -DAY_S) if day_s >= whole.start_s]
    measured = (day_s for day_s in days_s if whole.missing_s(day_s, day_s + DAY_S) <= WHOLE_BUT_S)
    return next(measured, days_s[0] if days_s else whole.end_s - DAY_S)


def _day_told(whole: MeasuredLoad, first_s: int) -> str:
    if whole.first_day is None:
        return "its last day was played"
    day = whole.first_day + timedelta(seconds=first_s)
    return f"{day} was played, --day chooses another one of {whole.days[0]} to {whole.days[-1]}"


def _when(part: MeasuredLoad) -> str:
    day = f"{part.first_day + timedelta(days=part.start_s // DAY_S)} " if part.first_day else ""
    end = "24:00" if part.end_s % DAY_S == 0 else _clock(part.end_s)
    return f"{day}{_clock(part.start_s)} to {end}"


def _clock(at_s: int) -> str:
    return f"{at_s // HOUR_S % 24:02}:{at_s // 60 % 60:02}"
