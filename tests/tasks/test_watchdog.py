"""A sign of life is given only while the control decides."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from opendtu_dcload.freshness import PLAN_S
from opendtu_dcload.model import Plan, Reason
from opendtu_dcload.state import State
from opendtu_dcload.tasks.watchdog import Supervisor, report_health
from tests.doubles.clock import Clock


@pytest.mark.parametrize(
    ("age_s", "is_well"),
    [
        pytest.param(PLAN_S, True, id="it has just decided"),
        pytest.param(PLAN_S + 1, False, id="it hangs"),
        pytest.param(None, False, id="it has never decided"),
    ],
)
async def test_who_does_not_decide_is_not_kept_alive(tmp_path: Path, age_s: float | None, is_well: bool):
    clock, state, fed = Clock(100.0), State(), asyncio.Event()
    if age_s is not None:
        state.set_plan(Plan(clock.now_s - age_s, 200.0, 800.0, Reason.REGULATING))
    supervisor = Supervisor("", every_s=0.0, file=tmp_path / "health")
    reporting = asyncio.create_task(report_health(supervisor, state, "1.2.3", clock, fed.set))
    for _ in range(5):
        await asyncio.sleep(0)
    reporting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reporting
    assert fed.is_set() is is_well
    assert (tmp_path / "health").exists() is is_well
