"""What passes the gate, and what reaches a DTU in any hour, whatever it, its inverters or another controller do."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable
from itertools import pairwise

import pytest

from opendtu_dcload.control.commands.command_budget import GUARD_PER_H, Budget
from opendtu_dcload.control.commands.command_gate import SAME_VALUE_S, Gate
from opendtu_dcload.control.commands.command_policy import DesiredState, SetLimit
from opendtu_dcload.control.dtu_settings import DtuSettings
from opendtu_dcload.control.protection.plant_guard import ExternalInputs
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import BatteryStatus
from opendtu_dcload.sim.plant.radio import Command
from tests.control.inverter.tracked import SERIAL, UNIT, known
from tests.control.plant import Plant, make_plant, models_of

SECONDS = 4500
REFRESH_S = 210.0
"""What is told an HMS again so long after the last time is the slow refresh."""

# ---- one command after the other, by hand


class AtTheGate:
    """An inverter that does not care what it is told."""

    def __init__(self, per_hour: int) -> None:
        self.gate = Gate({UNIT.dtu: Budget(per_hour, 0.0)})
        self.tracker = known(200)

    def passes(self, now_s: float, limit_w: float) -> bool:
        """Send a limit if it may go out."""
        command = SetLimit(SERIAL, limit_w)
        trackers = {SERIAL: self.tracker}
        admitted = self.gate.admitted(now_s, [command], {SERIAL: DesiredState(limit_w)}, trackers)
        for told in admitted:
            self.gate.posted(now_s, told, self.tracker)
            self.tracker.post(now_s, limit_w, now_s)
        return bool(admitted)


def test_the_same_value_passes_once_a_minute():
    at_the_gate = AtTheGate(per_hour=300)
    assert [now_s for now_s in range(130) if at_the_gate.passes(float(now_s), 100.0)] == [0, 60, 120]


def test_what_has_passed_is_paid_for():
    at_the_gate = AtTheGate(per_hour=20)
    assert [at_the_gate.passes(float(now_s), 300.0 - 20.0 * now_s) for now_s in range(5)] == [True] * 3 + [False] * 2


# ---- a plant

Hostile = Callable[[Plant], None]
"""Is called once a second."""


def restless_w(seed: int) -> list[float]:
    """Loads of 50 to 1300 W that change each 5 to 20 s."""
    rng = random.Random(seed)
    load_w: list[float] = []
    while len(load_w) < SECONDS:
        load_w += [float(rng.randint(50, 1300))] * rng.randint(5, 20)
    return load_w


def commands_disabled(plant: Plant) -> None:
    plant.dtu.commands_enabled = False


def every_other_minute_disabled(plant: Plant) -> None:
    plant.dtu.commands_enabled = int(plant.now_s) // 60 % 2 == 0


def pending_for_ever(plant: Plant) -> None:
    def fail(command: Command) -> None:
        if command.kind == "limit":
            command.sent = 0
            dtu._enqueue(command)
        else:
            usual(command)

    def deliver(radio: object, now_s: float) -> None:
        if radio.on_air is not None and radio.on_air.kind == "limit":  # type: ignore[attr-defined]  # a Radio
            radio.deliver_at_s = float("inf")  # type: ignore[attr-defined]  # a part that lies
        else:
            delivers(radio, now_s)  # type: ignore[arg-type]  # a part that lies

    dtu = plant.dtu
    if plant.now_s > 300 and "_fail" not in vars(dtu):
        usual, delivers = dtu._fail, dtu._deliver
        dtu._fail, dtu._deliver = fail, deliver  # type: ignore[method-assign]  # a part that lies


def foreign_every(seconds: int, limit_w: float) -> Hostile:
    def overwrite(plant: Plant) -> None:
        if int(plant.now_s) % seconds == 0:
            for serial in plant.dtu.serials:
                plant.dtu.post_limit(serial, 0, limit_w)

    return overwrite


def battery_flaps(plant: Plant) -> None:
    plant.run.external = lambda now_s: ExternalInputs(
        BatteryStatus(now_s, "a battery", may_discharge=int(now_s) // 30 % 2 == 0)
    )


def meter_flaps(plant: Plant) -> None:
    plant.run.has_meter = int(plant.now_s) % 400 < 30


def radio_flaps(plant: Plant) -> None:
    plant.dtu.reachable_threshold = -1 if int(plant.now_s) // 10 % 2 else 2


def dtu_reboots(plant: Plant) -> None:
    if int(plant.now_s) % 90 == 0:
        plant.dtu.reboot(outage_s=5.0)


def deaf_inverters(plant: Plant) -> None:
    for inverter in plant.house.inverters.values():
        inverter.receive_limit = lambda *_: None  # type: ignore[method-assign]  # a part that lies


HOSTILE: dict[str, Hostile] = {
    "commands disabled": commands_disabled,
    "commands disabled every other minute": every_other_minute_disabled,
    "pending for ever": pending_for_ever,
    "inverters acknowledge and do not obey": deaf_inverters,
    "another controller sets 400 W every 2 s": foreign_every(2, 400.0),
    "another controller sets 20 W every 20 s": foreign_every(20, 20.0),
    "the battery's permission flaps": battery_flaps,
    "the meter flaps": meter_flaps,
    "the radio flaps": radio_flaps,
    "the DTU reboots again and again": dtu_reboots,
}
QUICK = ("the meter flaps", "the battery's permission flaps")


@pytest.mark.parametrize(
    "hostile", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.long]) for name in HOSTILE]
)
def test_no_hour_exceeds_the_budget_and_no_value_comes_again_so_soon(hostile: str) -> None:
    per_hour = 120
    models = models_of(2)
    settings = Settings(max_feed_in_w=800.0, dtus={"opendtu": DtuSettings(max_commands_per_hour=per_hour)})
    plant = make_plant(restless_w(per_hour), models, settings=settings, is_warm=True, loss=0.02)
    plant.until(float(SECONDS), lambda: HOSTILE[hostile](plant))
    sent = plant.controller.sent
    sent_s = [s.at_s for s in sent]
    most = max((bisect_left(sent_s, at_s + 3600) - n for n, at_s in enumerate(sent_s)), default=0)
    assert most <= per_hour + GUARD_PER_H * len(models)
    if "flap" not in hostile and "reboots" not in hostile:
        assert most <= per_hour, "what guards may take beyond it is for guards, and for limits that nobody knows"
    for serial in plant.dtu.serials:
        limits = [s for s in sent if s.command.serial == serial and isinstance(s.command, SetLimit)]
        again = [
            (before.at_s, now.at_s, now.limit_w)
            for before, now in pairwise(limits)
            if now.limit_w == before.limit_w and now.at_s - before.at_s < SAME_VALUE_S and now.wanted_w is not None
        ]
        assert not again
