"""What the meter's answer to a step says."""

from __future__ import annotations

import pytest

from opendtu_dcload.doctor.findings import Level
from opendtu_dcload.doctor.step.step_answer import StepAnswer, answer_of, verdict
from tests.doctor.stepped import UNIT

pytestmark = pytest.mark.realtime


def test_delay_is_measured_between_readings():
    readings = [(10.0 + second, 500.0 if second < 4 else 300.0) for second in range(1, 9)]
    answer = answer_of(500.0, readings, 10.0, 200.0, UNIT)
    assert answer.share == 1.0
    assert answer.half_s == pytest.approx(3.5)
    assert answer.dead_time_s == pytest.approx(3.5 - 1.0)  # 200 W at 25 % of 400 W per second: half after 1 s


def answer(share: float) -> StepAnswer:
    return StepAnswer(200.0, share, 3.0, 2.0)


@pytest.mark.parametrize(
    ("there", "back", "level", "words"),
    [
        (0.98, 1.0, Level.OK, "gain 0.99"),
        (0.5, 0.5, Level.NOTE, "DC inputs"),
        (1.6, 1.5, Level.NOTE, "repeat"),
        (0.0, 0.1, Level.PROBLEM, "does not see"),
        (-1.0, -0.9, Level.PROBLEM, "reversed"),
        (1.6, 0.4, Level.NOTE, "moved too much"),
        (-1.0, 1.0, Level.NOTE, "moved too much"),
    ],
)
def test_step_and_way_back_are_judged_together(there: float, back: float, level: Level, words: str):
    found = verdict("inverter", answer(there), answer(back))
    assert found.level is level
    assert words in f"{found.text}: {found.advice}"
