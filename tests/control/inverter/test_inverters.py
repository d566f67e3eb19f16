"""What holds for all listed inverters together."""

from __future__ import annotations

import pytest

from opendtu_dcload.control.decision import Seen
from opendtu_dcload.control.inverter.inverters import FOREIGN_WITHIN_S, Inverters
from opendtu_dcload.control.protection.plant_guard import ExternalInputs
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import DtuStatus
from tests.control.inverter.tracked import SERIAL, UNIT, shown, status


@pytest.mark.parametrize(
    ("foreign_at_s", "is_shared"),
    [
        pytest.param([100], False, id="once is a trial"),
        pytest.param([100, 600], True, id="twice in ten minutes is another controller"),
        pytest.param([100, 701], False, id="twice, but not in ten minutes"),
    ],
)
def test_how_often_a_foreign_limit_means_another_controller(foreign_at_s: list[int], is_shared: bool):
    inverters = Inverters(Settings(), [UNIT])
    limit_w = 100.0
    for now_s in range(foreign_at_s[-1] + 1):
        limit_w += 50.0 * (now_s in foreign_at_s)
        told, measured = {SERIAL: shown(now_s, limit_w)}, {SERIAL: status(now_s, limit_w)}
        dtus = {UNIT.dtu: DtuStatus(now_s, serials=frozenset({SERIAL}))}
        seen = Seen(now_s, None, measured, told, dtus, frozenset(), ExternalInputs())
        inverters.observe(seen, (), {})
    assert inverters.is_shared is is_shared
    assert FOREIGN_WITHIN_S == 600
