"""Why the plant gives what it gives, in the live line's words: the plan's reason first, then what is special.

The control tells a reason, why it lets a difference be while it regulates, a note at an inverter, and what became of
each command.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from opendtu_dcload.live.live_plant import Inverter, LivePlant
from opendtu_dcload.model import Reason
from opendtu_dcload.state import State
from opendtu_dcload.tallies import CommandRecord, Outcome
from opendtu_dcload.terminal.plain_text import columns, cut
from opendtu_dcload.time_words import lasted

COMMAND_SHOWN_S = 90.0
"""What became of a command is news for so long: the longest dead time that users report (OpenDTU#571)."""
BECAME = {
    Outcome.WAITING: "on its way",
    Outcome.TAKEN: "on its way",
    Outcome.IGNORED: "without effect",
    Outcome.DECLINED: "declined by the DTU",
    Outcome.UNANSWERED: "not answered by the DTU",
}
"""What is said of the last command. That one was taken is the last that is heard of one that is no limit."""
BETWEEN = "; "


def all_words(state: State, plant: LivePlant, now_s: float) -> list[str]:
    """Return the reason, then everything else, the most important first."""
    said = [_reason(state, now_s)]
    if (plan := state.plan_at(now_s)) is not None and plan.wait:
        said.append(plan.wait)
    if plant.grid.before:
        said.append(f"grid: {plant.grid.before}")
    if plant.solar is not None and plant.solar.before:
        said.append(f"solar: {plant.solar.before}")
    names: dict[str, list[str]] = {}
    for inverter in plant.inverters:
        for text in _specials(state, inverter, now_s):
            names.setdefault(text, []).append(inverter.name)
    return said + [f"{_who(concerned, plant)}{text}" for text, concerned in names.items()]


def special(state: State, inverter: Inverter, now_s: float) -> str:
    """Return what is special about one inverter; empty when nothing is."""
    return BETWEEN.join(_specials(state, inverter, now_s))


def fitting(said: Sequence[str], most: int) -> str:
    """Return of `all_words` what fits into so many columns; the reason is there in any case, if need be shortened."""
    reason, *more = said
    head, colon, _ = reason.rpartition(": ")
    shown = head if colon and columns(reason) > most and head != "dry run" else reason
    for further in more:
        if columns(longer := f"{shown}{BETWEEN}{further}") <= most:
            shown = longer
    return cut(shown, most)


def _reason(state: State, now_s: float) -> str:
    if (plan := state.plan_at(now_s)) is not None:
        return plan.words
    return str(Reason.STARTING) if state.plan is None else f"no decision for {lasted(now_s - state.plan.at_s)}"


def _who(concerned: Sequence[str], plant: LivePlant) -> str:
    if len(plant.inverters) == 1:
        return ""
    return "all: " if len(concerned) == len(plant.inverters) else f"{', '.join(concerned)}: "


def _specials(state: State, inverter: Inverter, now_s: float) -> Iterator[str]:
    """Yield what is old, what the control notes, and what became of the last command."""
    note, before = inverter.plan.note if inverter.plan is not None else "", inverter.output.before
    if note or before:
        yield f"{note} ({before})" if note and before else note or before
    record = state.commands.get(inverter.serial, CommandRecord())
    is_over = record.outcome is Outcome.TAKEN and not record.is_limit
    if record.outcome in BECAME and not is_over and now_s - record.at_s <= COMMAND_SHOWN_S:
        yield f"{record.last} {BECAME[record.outcome]}"
