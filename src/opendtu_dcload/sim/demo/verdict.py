"""Whether a run of the demo was good, as a line for scripts and in words for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MIN_STEPS = 4
MIN_QUIET_SAMPLES = 60
"""Of the meter outside the 10 s after a step of the load: fewer say nothing of how close it stays."""
MAX_WASTE_OVER_J0 = 1.6
MIN_WITHIN_PCT = 95.0
MAX_COMMANDS = 30
COMMANDS_WITHIN_S = 300.0
ENOUGH_S = 300
"""A run of this length can be judged."""
J0 = "J0: it gives what the house drew 3.7 s ago"


def verdict(score: Mapping[str, Any], duration_s: float, warnings: int) -> dict[str, Any]:
    """Return the final line: the score of the plant, and whether it is good enough; None = too short to judge."""
    is_judged = score["steps_over_300_w"] >= MIN_STEPS and score["quiet_samples"] >= MIN_QUIET_SAMPLES
    is_good = not list(_faults(score, duration_s, warnings))
    return {"duration_s": duration_s, **score, "warnings": warnings, "ok": is_good if is_judged else None}


def in_words(final: Mapping[str, Any]) -> str:
    """Return a `verdict` in words."""
    duration_s, warnings, ratio = final["duration_s"], final["warnings"], final["waste_over_j0"]
    told = [
        "no waste to compare" if ratio is None else f"{ratio:.2f} x the waste of an ideal plant ({J0})",
        f"{final['within_60_w_pct']:.0f} % of the time within 60 W, load steps left out",
        f"{final['commands']} commands",
        "nothing went wrong" if not warnings else f"{warnings} warnings, see above",
    ]
    if final["ok"] is None:
        seen = f"{final['quiet_samples']} s of steady load and {final['steps_over_300_w']} steps of it above 300 W"
        wanted = f"{MIN_QUIET_SAMPLES} s and {MIN_STEPS} steps are needed, so let it run for {ENOUGH_S} s"
        return f"Too short to judge: it has seen {seen}; {wanted}."
    bad = "" if final["ok"] else f" Wanted: {', '.join(_faults(final, duration_s, warnings))}."
    return f"{'Good' if final['ok'] else 'Not good'}: {'; '.join(told)}.{bad}"


def _faults(score: Mapping[str, Any], duration_s: float, warnings: int) -> Iterator[str]:
    """Yield what should have been and was not."""
    allowed = max(MAX_COMMANDS, MAX_COMMANDS * duration_s / COMMANDS_WITHIN_S)
    if score["waste_over_j0"] is None or score["waste_over_j0"] > MAX_WASTE_OVER_J0:
        yield f"at most {MAX_WASTE_OVER_J0} x the ideal waste"
    if score["within_60_w_pct"] < MIN_WITHIN_PCT:
        yield f"{MIN_WITHIN_PCT:.0f} % within 60 W"
    if score["commands"] > allowed:
        yield f"at most {allowed:.0f} commands"
    if warnings:
        yield "no warnings"
