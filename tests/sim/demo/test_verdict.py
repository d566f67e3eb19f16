from __future__ import annotations

from typing import Any

import pytest

from opendtu_dcload.sim.demo.verdict import in_words, verdict

SCORE: dict[str, Any] = {
    "steps_over_300_w": 4,
    "waste_wh": 1.6,
    "j0_wh": 1.0,
    "waste_over_j0": 1.6,
    "exported_wh": 0.4,
    "avoidable_import_wh": 0.8,
    "within_60_w_pct": 95.0,
    "quiet_samples": 60,
    "commands": 30,
}


@pytest.mark.parametrize(
    ("changes", "warnings", "ok"),
    [
        ({}, 0, True),
        ({"steps_over_300_w": 3}, 0, None),
        ({"quiet_samples": 59}, 0, None),
        ({"waste_over_j0": 1.61}, 0, False),
        ({"waste_over_j0": None}, 0, False),
        ({"within_60_w_pct": 94.9}, 0, False),
        ({"commands": 31}, 0, False),
        ({}, 1, False),
    ],
    ids=str,
)
def test_every_part_of_the_verdict_counts(changes: dict[str, Any], warnings: int, ok: bool) -> None:
    final = verdict({**SCORE, **changes}, 300.0, warnings)
    assert final["ok"] is ok
    assert list(final) == ["duration_s", *SCORE, "warnings", "ok"]


@pytest.mark.parametrize(("duration_s", "commands", "ok"), [(60.0, 30, True), (600.0, 60, True), (600.0, 61, False)])
def test_allowed_commands_grow_with_the_duration_from_thirty(duration_s: float, commands: int, ok: bool) -> None:
    assert verdict({**SCORE, "commands": commands}, duration_s, 0)["ok"] is ok


def test_a_good_run_in_words() -> None:
    assert in_words(verdict({**SCORE, "waste_over_j0": 0.74, "within_60_w_pct": 98.2, "commands": 18}, 300.0, 0)) == (
        "Good: 0.74 x the waste of an ideal plant (J0: it gives what the house drew 3.7 s ago); "
        "98 % of the time within 60 W, load steps left out; 18 commands; nothing went wrong."
    )


@pytest.mark.parametrize(
    ("changes", "warnings", "words"),
    [
        ({"waste_over_j0": 1.61}, 0, "Wanted: at most 1.6 x the ideal waste."),
        ({"within_60_w_pct": 94.9}, 0, "Wanted: 95 % within 60 W."),
        ({"commands": 31}, 0, "Wanted: at most 30 commands."),
        ({"commands": 31}, 2, "2 warnings, see above. Wanted: at most 30 commands, no warnings."),
    ],
    ids=str,
)
def test_a_run_that_is_not_good_says_what_was_wanted(changes: dict[str, Any], warnings: int, words: str) -> None:
    told = in_words(verdict({**SCORE, **changes}, 300.0, warnings))
    assert told.startswith("Not good: ")
    assert told.endswith(words)


def test_a_run_that_is_too_short_is_neither_good_nor_bad() -> None:
    final = verdict({**SCORE, "quiet_samples": 14, "within_60_w_pct": 30.8}, 120.0, 0)
    assert in_words(final) == (
        "Too short to judge: it has seen 14 s of steady load and 4 steps of it above 300 W; "
        "60 s and 4 steps are needed, so let it run for 300 s."
    )


def test_the_demos_length_that_is_recommended_is_enough() -> None:
    from opendtu_dcload.sim.demo.demo import TRACE, WINDOW_START_S
    from opendtu_dcload.sim.demo.demo_plant import SCORE_FROM_S
    from opendtu_dcload.sim.demo.verdict import ENOUGH_S, MIN_QUIET_SAMPLES, MIN_STEPS
    from opendtu_dcload.sim.runs.score import quiet_samples_w, steps
    from opendtu_dcload.sim.runs.trace import load_trace

    load_w = load_trace(TRACE)[WINDOW_START_S : WINDOW_START_S + ENOUGH_S]
    samples = [(float(at_s), 0.0) for at_s in range(int(SCORE_FROM_S), ENOUGH_S)]
    assert len(quiet_samples_w(samples, load_w)) >= 2 * MIN_QUIET_SAMPLES
    assert len(steps(load_w[int(SCORE_FROM_S) :], 300.0)) >= MIN_STEPS
