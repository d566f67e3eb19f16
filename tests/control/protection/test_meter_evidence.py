"""What of our steps the meter is judged by."""

from __future__ import annotations

import pytest

from tests.control.plant import make_plant, models_of

LASTS_S = 1800
HOB_W = [float(880 if t % 16 >= 8 else -20) for t in range(LASTS_S)]
"""A hob beside solar, on and off every 8 s, so that the plant rises before it comes on."""
STAIRS_W = [200.0 * (1 + t // 300) for t in range(LASTS_S)]


@pytest.mark.parametrize(
    ("load_w", "trusted"),
    [
        pytest.param(HOB_W, {False}, id="a load that is foretold moves the meter as well"),
        pytest.param(STAIRS_W, {True}, id="one that has come stays"),
    ],
)
def test_a_step_for_a_load_foretold_proves_nothing_against_the_meter(monkeypatch, load_w, trusted):
    plant = make_plant(load_w, models_of(), is_warm=True)
    response, steps = plant.controller.meter.response, []
    stepped = response.stepped

    def stepped_and_noted(*, is_trusted: bool) -> None:
        steps.append((plant.now_s, is_trusted))
        stepped(is_trusted=is_trusted)

    monkeypatch.setattr(response, "stepped", stepped_and_noted)
    plant.until(LASTS_S)
    assert {is_trusted for at_s, is_trusted in steps if at_s > LASTS_S / 2} == trusted
