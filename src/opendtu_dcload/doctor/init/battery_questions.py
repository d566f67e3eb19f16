"""Which inverters are on the battery, and how far down it may go."""

from __future__ import annotations

import re
from collections.abc import Sequence

from opendtu_dcload.doctor.checks.check_inverter import FLOOR_V, suits
from opendtu_dcload.doctor.findings import Findings
from opendtu_dcload.doctor.init.candidates import Candidate, chosen, likely
from opendtu_dcload.doctor.init.floors import suggestions
from opendtu_dcload.doctor.questions import Ask, is_yes, quoted, voltage_v


def ask_inverters(ask: Ask, found: Sequence[Candidate], old: Sequence[str], findings: Findings) -> list[Candidate]:
    """Ask which inverters are on the battery; return those.

    Args:
        ask: puts the question.
        found: all that OpenDTU knows.
        old: the serials that are the default, empty = what is likely.
        findings: takes what was found.
    """
    if not found:
        findings.note("OpenDTU knows no inverter, so none is listed", "add them in OpenDTU, then run this again")
        return []
    for number, candidate in enumerate(found, start=1):
        findings.choice(number, f"inverter {candidate}")
    default = [place for place, candidate in enumerate(found) if candidate.serial in old] or likely(found)
    told = "all" if len(default) == len(found) > 1 else " ".join(str(place + 1) for place in default)
    shown = f" [{told}]" if told else ""
    question = f"Which of them are on the battery? Numbers such as 1 3, all, or none{shown}: "
    text = question
    while True:
        answer = ask(text)
        places = chosen(answer, found) if answer else default or None
        if places is not None:
            return [found[place] for place in places]
        text = f"{quoted(answer)} names none of them. {question}" if answer else question


def now(now_v: float | None) -> str:
    """Return the battery's voltage in words."""
    return "now not known" if now_v is None else f"now {now_v:.1f} V"


def ask_floor(ask: Ask, now_v: float | None, old_v: float | None, findings: Findings) -> float | None:
    """Ask for the battery's lowest voltage in V; return None when the user fills it in later.

    Args:
        ask: puts the question.
        now_v: the voltage that it has, None = not known.
        old_v: the default; None = what suits the voltage.
        findings: takes which batteries have such a voltage.
    """
    offered = suggestions(now_v) if now_v is not None else []
    for number, suggestion in enumerate(offered, start=1):
        findings.choice(number, f"{suggestion.floor_v:g} V if the battery has {suggestion.battery}")
    default_v = old_v if old_v is not None and (now_v is None or suits(old_v, now_v)) else None
    if default_v is None and offered:
        default_v = offered[0].floor_v
    numbers = "; one of these numbers, or V" if offered else ""
    empty = "; empty = later" if default_v is None else ""
    shown = "" if default_v is None else f" [{default_v:g}]"
    question = f"Battery voltage below which nothing may be drawn ({now(now_v)}{numbers}{empty}){shown}: "
    text = question
    while answer := ask(text):
        if re.fullmatch("[0-9]", answer) and 1 <= int(answer) <= len(offered):
            return offered[int(answer) - 1].floor_v
        floor_v = voltage_v(answer)
        problem = _problem(answer, floor_v, now_v)
        if floor_v is not None and not problem:
            if now_v is None or floor_v <= now_v or _is_meant(ask, floor_v, now_v):
                return floor_v
            problem = ""
        text = f"{problem}{question}"
    return default_v


def _problem(answer: str, floor_v: float | None, now_v: float | None) -> str:
    """Return what is wrong with an answer, empty when nothing is."""
    lowest_v, highest_v = FLOOR_V
    if floor_v is None:
        return f"{quoted(answer)} is no voltage, write it as 48.5. "
    if now_v is not None and not suits(floor_v, now_v):
        return f"{floor_v:g} V does not suit a battery that has {now_v:.1f} V. "
    if not lowest_v <= floor_v <= highest_v:
        return f"{floor_v:g} V is not from {lowest_v:g} to {highest_v:g} V, what inverters endure. "
    return ""


def _is_meant(ask: Ask, floor_v: float, now_v: float) -> bool:
    return is_yes(ask, f"It has {now_v:.1f} V, so nothing is drawn until it is charged. Take {floor_v:g} V?")
