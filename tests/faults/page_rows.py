"""The rows of the manual's table "What fails, what happens, after how long", each with what proves it."""

from __future__ import annotations

from collections.abc import Callable

from opendtu_dcload.control.protection.relay_guard import TIMER_S
from opendtu_dcload.freshness import BATTERY_S
from opendtu_dcload.model import Cause, Reason
from opendtu_dcload.sim.runs.played import METER
from opendtu_dcload.tasks.watchdog import HANGS_AFTER_S
from tests.faults.fault import FaultStage
from tests.faults.page import Happens, PageRow, Seen, TimedFault

RADIO_S = 15.0
"""Until the last inverter has heard it, some packets lost."""
POLL_S = 6.0
"""A DTU's last answer may be so old when it falls silent."""
STALE_S = 30.0
"""Until values that came before have grown too old."""


def _reason(reason: Reason) -> Seen:
    return lambda stage: stage.program.state.plan is not None and stage.program.state.plan.reason is reason


def _alarm(cause: Cause | Reason) -> Seen:
    return lambda stage: any(alarm.cause is cause for alarm in stage.program.state.alarms)


def _is_off(stage: FaultStage) -> bool:
    """Tell whether the house's inverters are off, whatever the program believes."""
    return not any(inverter.is_on for inverter in stage.house.inverters.values())


def _is_unreachable(stage: FaultStage) -> bool:
    """Tell whether OpenDTU says that it does not reach the inverter."""
    return not stage.program.state.inverters[stage.liar].reachable


def _cut(name: str) -> Callable[[FaultStage], None]:
    return lambda stage: stage.program.wire.cut.add(name)


def _freeze(stage: FaultStage) -> None:
    stage.meter.frozen_w, stage.meter.is_frozen = 150.0, True


def _lose(stage: FaultStage) -> None:
    stage.set_inverter("is_in_reach", False)


def _stick(stage: FaultStage) -> None:
    inverter = stage.house.inverters[stage.liar]
    inverter.impose(inverter.model.rated_w)
    inverter.obeys = False


def _fall_silent(stage: FaultStage) -> None:
    """The inverter obeys and tells nothing, and the DTU calls it reachable."""
    stage.dtu.reachable_threshold = 10_000
    stage.set_inverter("is_mute", True)


def _empty(stage: FaultStage) -> None:
    stage.house.battery.empty_v = stage.house.battery.full_v = 39.0


def _lowest(stage: FaultStage) -> bool:
    return _reason(Reason.METER_STALE_MINIMUM)(stage) and _alarm(Cause.METER_LOST)(stage)


def _off(after: str, after_s: float, late_s: float = RADIO_S) -> Happens:
    return Happens("the inverters are powered off", after, after_s, _is_off, late_s=late_s)


PAGE = (
    PageRow(
        "The meter does not answer",
        TimedFault("page: meter", "HMS", _cut(METER), lasts_s=320.0),
        Happens("nothing is raised any more", "{s} s", 5.0, _reason(Reason.HOLD_METER_LATE)),
        Happens("the output goes down to `base_load_w`, in steps", "{s} s", 15.0, _reason(Reason.METER_STALE_RAMP)),
        Happens(
            "the inverters go to their lowest limit, alarm; the relay is not re-armed any more", "{s} s", 60.0, _lowest
        ),
        _off("{s} s", 300.0),
    ),
    PageRow(
        "The meter answers, but its values stand still",
        TimedFault("page: meter stands still", "HMS", _freeze, lasts_s=320.0),
        Happens(
            "asked by a step, then minimum, alarm",
            "within {min} minutes, usually 40 to 90 s",
            120.0,
            _alarm(Reason.METER_FROZEN),
            early_s=100.0,
            late_s=0.0,
        ),
        _off("{s} s after the last change", 300.0),
    ),
    PageRow(
        "The meter shows the wrong thing (wrong phase, clamp turned round)",
        None,
        Happens(
            "minimum, tried again after a minute, later less often",
            "three steps of 150 W without an answer",
            proved_by=(
                "clamp turned round, HMS-800",
                "clamp turned round, HM-800",
                "clamp does not see the inverters, HMS-800",
                "clamp does not see the inverters, HM-800",
            ),
        ),
    ),
    PageRow(
        "OpenDTU does not answer",
        TimedFault("page: DTU", "HMS", _cut("opendtu"), lasts_s=80.0),
        Happens(
            "the inverters keep what they have, nothing can be commanded",
            "{s} s, or two poll intervals and 5 s if that is longer",
            15.0,
            _reason(Reason.DTU_SILENT),
            early_s=POLL_S,
        ),
        Happens(
            'alarm "DTU lost"; the relay, if there is one, opens within 5 minutes of its last order',
            "{min} minute",
            60.0,
            _alarm(Reason.DTU_SILENT),
            early_s=POLL_S,
            proved_by=("OpenDTU silent, behind a relay",),
        ),
    ),
    PageRow(
        "One of several DTUs does not answer",
        None,
        Happens(
            "its inverters count with the most that they may give, the others regulate on",
            "15 s",
            proved_by=("one of two DTUs silent",),
        ),
    ),
    PageRow(
        "An inverter is not reached by radio",
        TimedFault("page: inverter lost", "HMS", _lose, count=2, lasts_s=200.0, counts_from=_is_unreachable),
        Happens(
            "the others regulate around it; it counts with the most that it may give",
            "{s} s after OpenDTU says so",
            20.0,
            _reason(Reason.LOST_FEEDS),
        ),
        Happens('alarm "inverter lost"', "{min} minutes", 120.0, _alarm(Cause.INVERTER_LOST)),
    ),
    PageRow(
        "An inverter does not follow its limit",
        TimedFault("page: inverter stuck", "HMS", _stick, count=2, lasts_s=700.0),
        Happens(
            "its minimum, once a minute",
            "two measurements above its limit",
            proved_by=("stuck at full power, 2 x HMS-800", "stuck at full power, 2 x HM-800"),
        ),
        Happens(
            'alarm "inverter gives more than it is told"',
            "{s} s",
            90.0,
            _alarm(Cause.COMMAND_WITHOUT_EFFECT),
            late_s=RADIO_S,
        ),
        Happens(
            "it is restarted, see [Last resorts](#last-resorts)",
            "{min} minutes",
            600.0,
            _alarm(Cause.INVERTER_RESTARTED),
            late_s=60.0,  # the others make room first
        ),
    ),
    PageRow(
        "The battery's voltage is below `min_voltage_v`",
        TimedFault("page: battery", "HMS", _empty, lasts_s=90.0),
        _off("{s} s", 60.0),
    ),
    PageRow(
        "No inverter tells a voltage, though OpenDTU answers",
        TimedFault("page: voltage unknown", "HMS", _fall_silent, lasts_s=650.0),
        _off("{min} minutes", 600.0, STALE_S),
    ),
    PageRow(
        "The BMS forbids discharge",
        None,
        Happens("the inverters are powered off", "at once", proved_by=("BMS forbids discharge",)),
    ),
    PageRow(
        "The inverters do not obey the battery guard",
        None,
        Happens(
            "power off, then the relay opens",
            "40 s or more, see [below](#battery-and-multiplus)",
            proved_by=("inverters do not obey the battery guard",),
        ),
    ),
    PageRow(
        "The program hangs",
        None,
        Happens(
            "it tells the inverters if it still can, ends, and is started anew",
            "{s} s",
            HANGS_AFTER_S,
            proved_by=("hang in a loop, in a wait, or of the control task",),
        ),
    ),
    PageRow(
        "The program or its computer dies",
        None,
        Happens(
            "**the inverters keep their last limit**; with a relay they are off the grid",
            "{min} minutes",
            TIMER_S,
            proved_by=("SIGKILL, behind a relay",),
        ),
    ),
    PageRow(
        "The program is stopped",
        None,
        Happens(
            "the inverters are told their minimum (`on_stop`)",
            "within 5 s",
            proved_by=("SIGTERM, SIGINT or SIGHUP", "told to end while the DTU is slow"),
        ),
    ),
    PageRow(
        "The D-Bus goes away",
        None,
        Happens("regulation goes on; the services come back with the bus", "-", proved_by=("bus killed",)),
        Happens(
            "what the GX told of battery and MultiPlus no longer counts, the voltage floor guards alone",
            "{s} s",
            BATTERY_S,
            proved_by=("battery's values are older than a minute",),
        ),
    ),
)
DETECTED = {
    "An inverter is no longer reached by radio and feeds on": "page: inverter lost",
    'OpenDTU answers "success" and does nothing ("Send commands" is off)': "commands disabled, HMS-800",
    "A limit is pending for ever, or never acknowledged though the inverter answers": "never acknowledged, 2 x HMS-800",
    "A limit is acknowledged and shown, and the output stays higher": "acknowledged and not obeyed, 2 x HMS-800",
    "Something else holds the output: a hub, a charge controller, another battery, heat": "output held, HMS-800",
    "A limit that was set before our start, or by somebody else": "older limit rules, HMS-800",
    "A limit is on its way that is not ours": "SIGKILL at 100 random moments, started anew at once",
    "OpenDTU knows no rated power (its model list is older than the inverter)": "max_power 0, HMS-800",
    "An inverter that is off reads back 100 %, or 0.1 %": "read-back of 100 %, 2 x HMS-800",
    "The meter's answers stand still, or its powers through a step of ours": "power alone frozen at +150 W, HMS-800",
}
"""What the page's table "What is detected" calls it, and the fault that proves it."""
TIMED = tuple(row.timed for row in PAGE if row.timed is not None)
