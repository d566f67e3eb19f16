"""How long a reason of the plant, or a cause at one device, must last before the log has it and before it is an alarm.

Both columns side by side: whoever changes one sees the other. What is not here is normal operation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from opendtu_dcload.control.protection.meter_response import RETRY_FIRST_S
from opendtu_dcload.model import Cause, Reason

LOGGED_SUSPICION_S = 20.0
"""By then the fall to the minimum has lifted a suspicion that some loads brought by coincidence."""
ALARMED_SUSPICION_S = RETRY_FIRST_S + 15
"""By then the first retry has lifted such a suspicion, if the fall to the minimum did not."""
CLOUD_S = 30.0
"""A hold that ends sooner was a cloud, a low limit, or heat."""
LONGEST_GRID_WAIT_S = 330.0
"""An inverter that was switched on gives nothing for 1 to 5 min while it waits for the grid."""
PASSING_S = 60.0
"""Lost packets and the like mend themselves within a minute: an estimate."""
PASSWORD_S = 10.0
"""A password that is being changed in OpenDTU and in the file is wrong for a moment: an estimate."""
DTU_RESTART_S = 45.0
"""An OpenDTU that restarts, as after an update, is to be back by then: an estimate."""
INVERTER_AWAY_S = 120.0
"""An inverter that a DTU misses for some rounds of its polling comes back by itself: an estimate."""
DTU_LEARNS_S = 120.0
"""A DTU that has just started shows no rated power before it has asked the inverter: an estimate."""
STEADY_S = 30.0
"""A measured value that is out of its range for so long is no outlier: an estimate."""
DISOBEDIENCE_S = 90.0
"""The longest dead time that users report (OpenDTU#571)."""
NEVER = math.inf


class Delays(NamedTuple):
    """How long something must last, in s; infinite = it never counts."""

    log_s: float
    alarm_s: float


DELAYS: Mapping[Reason | Cause, Delays] = {
    Reason.METER_STALE_RAMP: Delays(0, NEVER),
    Reason.METER_STALE_MINIMUM: Delays(0, NEVER),
    Reason.METER_LOST_OFF: Delays(0, NEVER),
    Cause.METER_LOST: Delays(NEVER, 0),
    Reason.METER_FROZEN: Delays(0, 0),
    Reason.METER_BLIND: Delays(LOGGED_SUSPICION_S, ALARMED_SUSPICION_S),
    Reason.METER_REVERSED: Delays(LOGGED_SUSPICION_S, ALARMED_SUSPICION_S),
    Reason.DTU_SILENT: Delays(NEVER, DTU_RESTART_S),
    Reason.DTU_PASSWORD: Delays(NEVER, PASSWORD_S),
    Cause.DTU_REBOOTED: Delays(NEVER, 0),
    Reason.BATTERY_LOW: Delays(0, 0),
    Reason.BATTERY_UNSEEN: Delays(0, 0),
    Reason.BATTERY_REFUSES: Delays(0, NEVER),
    Reason.CELL_LOW: Delays(0, NEVER),
    Reason.MIN_SOC: Delays(0, NEVER),
    Cause.BATTERY_FROZEN: Delays(NEVER, 0),
    Cause.VOLTAGE_LOW: Delays(NEVER, STEADY_S),
    Cause.VOLTAGE_HIGH: Delays(NEVER, STEADY_S),
    Reason.MULTIPLUS_CHARGING: Delays(0, NEVER),
    Reason.MULTIPLUS_INVERTING: Delays(0, NEVER),
    Reason.GUARD_ESCALATED: Delays(0, 0),
    Reason.RELAY_OPEN: Delays(0, PASSING_S),
    Reason.CAP_UNREACHABLE: Delays(LOGGED_SUSPICION_S, PASSING_S),
    Reason.NO_INVERTER: Delays(LONGEST_GRID_WAIT_S, NEVER),
    Reason.FOREIGN_LIMITS: Delays(0, 0),
    Reason.LOST_FEEDS: Delays(0, NEVER),
    Reason.COMMANDS_IGNORED: Delays(0, 0),
    Reason.UNCONFIRMED: Delays(0, PASSING_S),
    Cause.COMMAND_WITHOUT_EFFECT: Delays(NEVER, DISOBEDIENCE_S),
    Cause.INVERTER_LOST: Delays(NEVER, INVERTER_AWAY_S),
    Cause.MODEL_UNKNOWN: Delays(NEVER, DTU_LEARNS_S),
    Cause.INVERTER_RESTARTED: Delays(NEVER, 0),
    Cause.INVERTER_HOT: Delays(NEVER, STEADY_S),
    Cause.INVERTER_WARM: Delays(NEVER, STEADY_S),
    Reason.HELD: Delays(CLOUD_S, NEVER),
    Reason.SWITCHED_OFF: Delays(0, NEVER),
}
"""A device that is lost has a line in the log already, from whoever asks it."""
_NORMAL = Delays(NEVER, NEVER)


def log_after_s(reason: Reason) -> float:
    """Return how long in s a reason must last to be worth a line in the log; infinite = it never is."""
    return DELAYS.get(reason, _NORMAL).log_s


def alarm_after_s(cause: Reason | Cause) -> float:
    """Return how long in s a reason or cause must last to be an alarm or a warning; infinite = it never is one."""
    return DELAYS.get(cause, _NORMAL).alarm_s
