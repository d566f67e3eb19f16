"""How much the plant should give, with the real meter's evidence and one inverter, by hand."""

from __future__ import annotations

from opendtu_dcload.control.commands.command_policy import Command, SetLimit
from opendtu_dcload.control.controller import Controller
from opendtu_dcload.control.decision import Decision, Seen
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import DtuStatus, MeterReading
from tests.control.inverter.tracked import SERIAL, UNIT, shown, status

LIMIT_W = 150.0


class OneInverter:
    """A controller that is shown one inverter at 150 W, which it was told while it was believed to be very slow."""

    def __init__(self) -> None:
        self.controller = Controller(Settings(max_feed_in_w=400.0), [UNIT], 0.0)
        self.tracker = self.controller.trackers[SERIAL]
        self._tell(10.0, 300.0)
        self.tracker.output.wait_on(10.0, 32.0)
        self._tell(40.0, LIMIT_W)
        for _ in range(3):  # since then it is known to be quick
            self.tracker.output.learn_dead_time(40.0, 43.0, LIMIT_W - 300.0)

    def _tell(self, now_s: float, limit_w: float) -> None:
        self.tracker.post(now_s, limit_w, now_s)
        self.tracker.apply_limit_status(shown(now_s + 3, limit_w), now_s + 3)

    def second(self, now_s: int, grid_w: float) -> Decision:
        return self.controller.decide(
            Seen(
                now_s,
                MeterReading(now_s, grid_w, frequency_hz=50.0 + now_s / 1000),
                {SERIAL: status(now_s, LIMIT_W)},
                {SERIAL: shown(now_s, LIMIT_W)},
                {UNIT.dtu: DtuStatus(now_s, serials=frozenset({SERIAL}))},
            )
        )


def test_export_that_remains_is_real_whatever_the_model_holds_possible():
    plant = OneInverter()
    exported_w = 60.0
    told: list[Command] = []
    for now_s in range(46, 64):
        told += plant.second(now_s, -exported_w).commands
        low_w, high_w = plant.tracker.output.visible_w(now_s)
        assert low_w < LIMIT_W + 5 < 295 < high_w, "the model still holds possible that nothing has come out"
    assert told[-1] == SetLimit(SERIAL, LIMIT_W - exported_w)
