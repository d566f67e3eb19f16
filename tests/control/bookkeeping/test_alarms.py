"""Each cause becomes an alarm once, after a while, and goes by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from opendtu_dcload.control.bookkeeping.alarms import (
    CLEAR_S,
    LAST_RESORT_S,
    LONGEST_CLEAR_S,
    RULES,
    TRIAL_S,
    Alarms,
    Watched,
)
from opendtu_dcload.control.dtu_settings import DtuSettings
from opendtu_dcload.control.protection.meter_response import RETRY_FIRST_S
from opendtu_dcload.control.reason_delays import DELAYS, NEVER
from opendtu_dcload.control.settings import Settings
from opendtu_dcload.model import (
    METER,
    Alarm,
    Cause,
    DtuStatus,
    InverterPlan,
    InverterStatus,
    MeterReading,
    Plan,
    Reason,
    Severity,
)
from opendtu_dcload.state import State
from opendtu_dcload.tallies import CommandRecord

LEFT, RIGHT = "1124a0000001", "1161a0000002"
DTU_OF = {LEFT: "roof", RIGHT: "cellar"}
SETTINGS = Settings(
    max_temperature_c=65.0,
    min_voltage_v=48.0,
    dtus={name: DtuSettings(stale_after_s=20.0, silent_s=15.0) for name in ("roof", "cellar")},
)


@dataclass
class Scene:
    """Two inverters at two DTUs; what happens each second is what the fields say, unless `without` is told."""

    state: State = field(default_factory=State)
    now_s: float = 1000.0
    reason: Reason = Reason.REGULATING
    status: dict[str, InverterStatus] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    limits_w: dict[str, float] = field(default_factory=lambda: {LEFT: 200.0, RIGHT: 200.0})
    accepts_password: bool = True
    log: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.alarms = Alarms(SETTINGS, (Watched(LEFT, "roof", "Left"), Watched(RIGHT, "cellar")), self.now_s)
        self.up: tuple[Alarm, ...] = ()
        for serial in DTU_OF:
            self.status[serial] = InverterStatus(
                serial, f"HM {serial[-1]}", 0.0, 0.0, reachable=True,
                ac_power_w=200.0, dc_voltage_v=52.0, temperature_c=40.0,
            )  # fmt: skip

    def change(self, serial: str, **values: float | bool | None) -> None:
        self.status[serial] = replace(self.status[serial], **values)  # type: ignore[arg-type]  # mixed fields

    def second(self) -> None:
        self.now_s += 1
        if METER not in self.silent:
            self.state.set_meter(MeterReading(self.now_s, 10.0))
        for serial, dtu in DTU_OF.items():
            if dtu not in self.silent:
                serials = frozenset({serial})
                told = DtuStatus(self.now_s, accepts_password=self.accepts_password, serials=serials)
                self.state.set_dtu(dtu, told)
            if dtu not in self.silent and serial not in self.silent:
                self.status[serial] = replace(self.status[serial], answered_at_s=self.now_s, at_s=self.now_s)
                self.state.set_inverters(dtu, {serial: self.status[serial]})
        plans = tuple(InverterPlan(s, w, is_on=w > 0) for s, w in self.limits_w.items())
        self.state.set_plan(Plan(self.now_s, 400.0, 800.0, self.reason, plans))
        before, self.up = self.up, self.alarms.update(self.state, self.now_s)
        self.log += [("up", a.text) for a in self.up if a not in before]
        self.log += [("over", a.text) for a in before if a not in self.up]

    def run(self, seconds: float) -> list[str]:
        for _ in range(int(seconds)):
            self.second()
        return [alarm.text for alarm in self.up]


def heat(scene: Scene) -> None:
    scene.change(LEFT, temperature_c=76.0)


def cool(scene: Scene) -> None:
    scene.change(LEFT, temperature_c=40.0)


def blame(reason: Reason) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        scene.reason = reason

    return act


def silence(*names: str) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        scene.silent = set(names)

    return act


def keep_giving(scene: Scene) -> None:
    scene.limits_w[LEFT] = 0.0


def obey(scene: Scene) -> None:
    scene.limits_w[LEFT] = 200.0


def lock_out(scene: Scene) -> None:
    scene.accepts_password = False


def let_in(scene: Scene) -> None:
    scene.accepts_password = True


def cut(scene: Scene) -> None:
    scene.change(LEFT, reachable=False)


def join(scene: Scene) -> None:
    scene.change(LEFT, reachable=True)


def dc(voltage_v: float) -> Callable[[Scene], None]:
    return lambda scene: scene.change(LEFT, dc_voltage_v=voltage_v)


FINE = blame(Reason.REGULATING)
CASES = [
    pytest.param(heat, cool, ["Inverter too hot: Left", "Inverter hot: Left"], id="over-temperature"),
    pytest.param(cut, join, ["Inverter lost: Left"], id="inverter unreachable"),
    pytest.param(silence(LEFT), silence(), ["Inverter lost: Left"], id="inverter's data old"),
    pytest.param(silence("roof"), silence(), ["DTU lost: roof"], id="DTU lost"),
    pytest.param(silence(METER), silence(), ["Meter lost"], id="meter lost"),
    pytest.param(blame(Reason.METER_BLIND), FINE, ["Meter does not see the inverters"], id="meter blind"),
    pytest.param(blame(Reason.METER_REVERSED), FINE, ["Meter sign reversed"], id="meter reversed"),
    pytest.param(blame(Reason.FOREIGN_LIMITS), FINE, ["Another controller sets limits"], id="two masters"),
    pytest.param(
        blame(Reason.BATTERY_LOW), FINE, ["Battery voltage below the minimum: inverters off"], id="battery guard"
    ),
    pytest.param(keep_giving, obey, ["Inverter gives more than it is told: Left"], id="command without effect"),
    pytest.param(
        lock_out, let_in, ["DTU refuses the password: roof", "DTU refuses the password: cellar"], id="password"
    ),
    pytest.param(dc(47.0), dc(52.0), ["Low DC voltage: Left"], id="low voltage"),
    pytest.param(dc(66.0), dc(52.0), ["High DC voltage: Left"], id="high voltage"),
]


@pytest.mark.parametrize(("break_it", "mend_it", "texts"), CASES)
def test_each_alarm_appears_once_lasts_and_clears(
    break_it: Callable[[Scene], None], mend_it: Callable[[Scene], None], texts: list[str]
) -> None:
    scene = Scene()
    assert scene.run(300) == []
    break_it(scene)
    assert sorted(scene.run(300)) == sorted(texts)
    mend_it(scene)
    assert scene.run(TRIAL_S + 5) == []
    assert sorted(scene.log) == sorted([("up", text) for text in texts] + [("over", text) for text in texts])


@pytest.mark.parametrize(("break_it", "mend_it", "texts"), CASES)
def test_a_moment_makes_no_alarm_unless_it_was_judged_before(
    break_it: Callable[[Scene], None], mend_it: Callable[[Scene], None], texts: list[str]
) -> None:
    scene = Scene()
    scene.run(30)
    break_it(scene)
    scene.run(5)
    mend_it(scene)
    scene.run(300)
    at_once = {"Another controller sets limits", "Battery voltage below the minimum: inverters off"}
    assert {text for _, text in scene.log} == at_once & set(texts)


def test_an_alarm_that_comes_back_before_it_is_over_is_the_same_one() -> None:
    scene = Scene()
    cut(scene)
    scene.run(200)
    for _ in range(5):
        join(scene)
        scene.run(CLEAR_S - 5)
        cut(scene)
        scene.run(200)
    assert scene.log == [("up", "Inverter lost: Left")]


@pytest.mark.long
def test_a_device_that_comes_and_goes_for_hours_becomes_one_long_alarm() -> None:
    scene = Scene()
    scene.run(10)
    for _ in range(60):
        cut(scene)
        scene.run(200)
        join(scene)
        scene.run(400)
    assert 1 <= scene.log.count(("up", "Inverter lost: Left")) <= 5
    scene.run(LONGEST_CLEAR_S + 5)
    assert scene.up == ()


def test_a_suspicion_against_the_meter_that_ends_with_its_first_retry_is_none() -> None:
    scene = Scene(reason=Reason.METER_REVERSED)
    assert scene.run(RETRY_FIRST_S + 5) == []
    scene.reason = Reason.REGULATING
    assert scene.run(300) == []


def test_the_worst_comes_first_and_of_equal_ones_the_oldest() -> None:
    scene = Scene()
    scene.change(RIGHT, reachable=False)
    scene.run(200)
    cut(scene)
    scene.run(200)
    scene.reason = Reason.METER_BLIND
    silence(METER)(scene)
    texts = scene.run(100)
    assert texts == ["Meter does not see the inverters", "Meter lost", "Inverter lost: HM 2", "Inverter lost: Left"]


def test_a_silent_dtu_says_nothing_of_its_inverters_so_their_alarms_neither_come_nor_go() -> None:
    scene = Scene()
    heat(scene)
    scene.run(60)
    silence("roof")(scene)
    assert scene.run(1000) == ["DTU lost: roof", "Inverter too hot: Left", "Inverter hot: Left"]
    cool(scene)
    silence()(scene)
    assert scene.run(100) == []


def test_what_the_plants_reason_hides_stays() -> None:
    scene = Scene()
    scene.reason = Reason.METER_BLIND
    scene.run(100)
    scene.reason = Reason.DTU_SILENT
    assert scene.run(1000) == ["Meter does not see the inverters"]
    scene.reason = Reason.REGULATING
    assert scene.run(TRIAL_S + 5) == []


def test_a_dtu_and_a_meter_that_never_answered_are_lost_too() -> None:
    scene = Scene(silent={METER, "roof", "cellar"}, reason=Reason.STARTING)
    assert scene.run(30) == []
    assert scene.run(60) == ["Meter lost", "DTU lost: roof", "DTU lost: cellar"]


def test_the_text_stays_although_the_name_is_learned_meanwhile() -> None:
    scene = Scene(silent={RIGHT})
    assert scene.run(200) == [f"Inverter lost: {RIGHT}"]
    scene.silent.clear()
    scene.change(RIGHT, reachable=False)
    assert scene.run(100) == [f"Inverter lost: {RIGHT}"]


def test_the_only_dtu_needs_no_name() -> None:
    scene = Scene(silent={"roof"})
    settings = replace(SETTINGS, dtus={"roof": SETTINGS.dtus["roof"]})
    scene.alarms = Alarms(settings, (Watched(LEFT, "roof"),), scene.now_s)
    assert scene.run(100) == ["DTU lost"]


def test_normal_operation_is_no_alarm() -> None:
    normal = {
        Reason.STARTING, Reason.REGULATING, Reason.FEED_IN_CAP, Reason.ALL_AT_RATED, Reason.ALL_AT_MINIMUM,
        Reason.HOLD_METER_LATE, Reason.METER_STALE_RAMP, Reason.READ_ONLY,
    }  # fmt: skip
    scene = Scene()
    for reason in normal:
        scene.reason = reason
        assert scene.run(300) == [], reason


def test_what_has_a_delay_to_its_alarm_is_ranked_and_nothing_else() -> None:
    assert {cause for cause, delays in DELAYS.items() if delays.alarm_s < NEVER} == set(RULES)


def test_only_warnings_are_shown_at_the_inverter_itself() -> None:
    warnings = {cause for cause, rule in RULES.items() if rule.severity is Severity.WARNING}
    assert warnings == {Cause.INVERTER_WARM, Cause.VOLTAGE_LOW, Cause.VOLTAGE_HIGH, Cause.MODEL_UNKNOWN}


def test_last_resorts_are_alarms_for_an_hour():
    scene = Scene()
    scene.second()
    restarted = CommandRecord(sent=1, restarts=1, restarted_at_s=scene.now_s)
    scene.state.set_commands({LEFT: restarted, "cellar": restarted})
    scene.second()
    assert [(alarm.cause, alarm.subject, alarm.severity, alarm.text) for alarm in scene.up] == [
        (Cause.DTU_REBOOTED, "cellar", Severity.ALARM, "DTU rebooted because it reached no inverter: cellar"),
        (Cause.INVERTER_RESTARTED, LEFT, Severity.ALARM, "Inverter restarted because it did not obey: Left"),
    ]
    scene.now_s += LAST_RESORT_S
    for _ in range(int(CLEAR_S) + 5):
        scene.second()
    assert scene.up == ()
