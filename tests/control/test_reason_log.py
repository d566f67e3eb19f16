"""The log tells a reason that lasts, what it did to the set-point, and when it is over."""

from __future__ import annotations

import pytest

from opendtu_dcload.control.reason_log import ReasonLog
from opendtu_dcload.model import Plan, Reason


def told(caplog: pytest.LogCaptureFixture, *plans: tuple[float, Reason, float]) -> list[str]:
    log = ReasonLog(0.0)
    with caplog.at_level("INFO"):
        for at_s, reason, setpoint_w in plans:
            log.add(Plan(at_s, setpoint_w, 800.0, reason))
    return caplog.messages


def test_a_meter_that_is_lost_and_back(caplog: pytest.LogCaptureFixture):
    assert told(
        caplog,
        (1.0, Reason.REGULATING, 640.0),
        (16.0, Reason.METER_STALE_RAMP, 620.0),
        (30.0, Reason.METER_STALE_RAMP, 300.0),
        (60.0, Reason.METER_LOST_OFF, 0.0),
        (90.0, Reason.METER_LOST_OFF, 0.0),
        (135.0, Reason.REGULATING, 50.0),
        (136.0, Reason.REGULATING, 60.0),
    ) == [
        "meter stale: ramp to base load; set-point 620 W, before 640 W",
        "meter lost: off; set-point 0 W, before 300 W",
        "over after 75 s: meter lost: off",
    ]


def test_what_passes_is_no_news(caplog: pytest.LogCaptureFixture):
    assert not told(
        caplog,
        (1.0, Reason.REGULATING, 640.0),
        (2.0, Reason.HELD, 640.0),
        (12.0, Reason.REGULATING, 640.0),
        (13.0, Reason.ALL_AT_RATED, 800.0),
        (500.0, Reason.ALL_AT_MINIMUM, 0.0),
    )


def test_a_hold_that_lasted_is_over_when_it_is(caplog: pytest.LogCaptureFixture):
    assert told(
        caplog,
        (1.0, Reason.REGULATING, 640.0),
        (2.0, Reason.HELD, 650.0),
        (40.0, Reason.HELD, 700.0),
        (50.0, Reason.FEED_IN_CAP, 800.0),
        (51.0, Reason.REGULATING, 640.0),
    ) == [
        "output held by something else; set-point 700 W, before 640 W",
        "over after 48 s: output held by something else",
    ]
