"""The values that travel through the program: readings on their way in, a plan on its way out.

Power is in W, import from the grid positive. Every reading carries `at_s`, the monotonic time of the measurement in s;
its age decides what may be done with it. None means "this device has no such value", never "zero".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum, StrEnum


@dataclass(frozen=True, slots=True)
class PhaseReading:
    """One phase of the grid meter."""

    power_w: float
    """Active power, import positive."""
    voltage_v: float | None = None
    current_a: float | None = None
    energy_import_wh: float | None = None
    energy_export_wh: float | None = None


@dataclass(frozen=True, slots=True)
class MeterReading:
    """One sample of the grid meter."""

    at_s: float
    """Monotonic time when the answer arrived; what a Shelly shows was measured in the second before its refresh."""
    power_w: float
    """Grid power: the chosen channel or the sum of the phases, import positive."""
    phases: tuple[PhaseReading | None, PhaseReading | None, PhaseReading | None] = (None, None, None)
    """L1, L2, L3; None = not measured."""
    energy_import_wh: float | None = None
    energy_export_wh: float | None = None
    frequency_hz: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterInfo:
    """What the meter says of itself, empty where it says nothing; does not change while it runs."""

    vendor: str
    """Such as "Shelly"."""
    model: str
    """Its vendor's word for the model."""
    serial: str = ""
    """Tells it from all others of its vendor: its MAC address, 12 hex digits, lower case, no separators."""
    hardware: str = ""
    """What is to be said of the hardware beside the model, such as "generation 2"."""
    firmware: str = ""
    name: str = ""
    """The user's name for the device."""

    @property
    def uid(self) -> str:
        """Return what tells it from all other devices in letters and digits, such as "shelly_34945470a1b2"."""
        return "_".join(re.sub(r"[^0-9a-z]", "", part.lower()) for part in (self.vendor, self.serial))


OPEN_INPUT_V = 1.0
"""An input that is not connected shows no more than this: an estimate, far below any battery."""


@dataclass(frozen=True, slots=True)
class InverterStatus:
    """One inverter's measured values, as the DTU last received them."""

    serial: str
    """12 hex digits, lower case."""
    name: str
    answered_at_s: float
    """Monotonic time of the DTU's answer."""
    at_s: float
    """Monotonic time of the measurement: the answer's time less the DTU's `data_age`."""
    reachable: bool
    """As the DTU says; true right after its boot, so never enough alone."""
    ac_power_w: float | None = None
    ac_voltage_v: float | None = None
    dc_power_w: float | None = None
    dc_voltage_v: float | None = None
    """Mean over the inputs with at least 10 % of the strongest one's power, weighted by power; the highest when none
    gives power, since an open input shows anything."""
    dc_current_a: float | None = None
    """`dc_power_w / dc_voltage_v`."""
    temperature_c: float | None = None
    yield_total_wh: float | None = None
    is_polled: bool = True
    """False: the DTU does not ask it at all, such as at night."""

    @property
    def battery_voltage_v(self) -> float | None:
        """The DC voltage where it is the battery's; None when there is none, or only what an open input shows."""
        return self.dc_voltage_v if self.dc_voltage_v is not None and self.dc_voltage_v > OPEN_INPUT_V else None


class CommandState(StrEnum):
    """What the DTU says of the last command, with its own words."""

    OK = "Ok"
    PENDING = "Pending"
    FAILURE = "Failure"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """What the DTU knows of one inverter's limit."""

    serial: str
    at_s: float
    limit_pct: float | None
    """Last acknowledged limit in % of rated; None = the DTU does not know (it reports 0)."""
    rated_w: float | None
    """Rated AC power; None = not known yet (it reports 0)."""
    state: CommandState


@dataclass(frozen=True, slots=True)
class DtuStatus:
    """The DTU itself."""

    at_s: float
    """Monotonic time of its last good answer."""
    firmware: str = ""
    uptime_s: float | None = None
    """Going backwards means it rebooted."""
    is_clock_set: bool = True
    """False: it polls no inverter, its data mean nothing."""
    accepts_password: bool = True
    """False: it takes no commands from us."""
    round_s: float = 0.0
    """In this time it polls each of its inverters once, 0 = not known."""
    serials: frozenset[str] | None = None
    """All inverters that it knows limits of, ours or not; None = it was not asked yet."""


@dataclass(frozen=True, slots=True)
class BatteryStatus:
    """The battery that the GX regards as the active one."""

    at_s: float
    """Monotonic time when these values were last read or confirmed."""
    service: str = ""
    """D-Bus name of the service that they come from."""
    soc_pct: float | None = None
    voltage_v: float | None = None
    current_a: float | None = None
    """Charging positive."""
    power_w: float | None = None
    """Charging positive."""
    temperature_c: float | None = None
    min_cell_voltage_v: float | None = None
    max_discharge_current_a: float | None = None
    """DCL of the BMS."""
    may_discharge: bool | None = None
    """AllowToDischarge of the BMS."""
    alarms: tuple[str, ...] = ()
    """Paths of the battery's own alarms that are up, such as "/Alarms/LowVoltage"."""
    ess_minimum_soc_pct: float | None = None
    """The minimum SoC set for ESS on the GX."""
    is_frozen: bool = False
    """Voltage, current and power stood still while the inverters' own load on the battery changed."""


@dataclass(frozen=True, slots=True)
class MultiplusStatus:
    """The inverter/charger beside us on the same battery."""

    at_s: float
    service: str = ""
    dc_power_w: float | None = None
    """Into the battery positive: above 0 it charges from AC, below 0 it inverts."""
    ess_target_w: float | None = None
    """Grid power that ESS holds, import positive; None = ESS does not regulate."""


@dataclass(frozen=True, slots=True)
class SolarReading:
    """Plug-in solar, which feeds in beside the inverters."""

    at_s: float
    """Monotonic time when the answer arrived."""
    power_w: float
    """Production, never negative."""


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """The relay through which the inverters reach the grid."""

    at_s: float
    """Monotonic time when the answer arrived."""
    is_on: bool
    has_timer: bool = False
    """It switches itself back when a timer ends."""


@dataclass(frozen=True, slots=True)
class UserOverrides:
    """What the user set on the GX while we run; None = as the file says. They narrow the file's limits, never widen."""

    is_regulating: bool = True
    max_feed_in_w: float | None = None
    target_w: float | None = None
    switched_off: frozenset[str] = frozenset()
    """Serials of the inverters that are not to be used."""
    highest_soc_pct: float | None = None
    """How full the battery gets, the original's /SocFloatingMax: it is not emptied below 108 % less this."""
    surplus_soc_pct: float | None = None
    """SoC from which the surplus is fed in, the original's /PowerFeedInSoc."""


class Priority(StrEnum):
    """What the plant rather avoids when it cannot avoid both."""

    NO_EXPORT = "no-export"
    BALANCED = "balanced"
    NO_IMPORT = "no-import"


class RelayOrder(StrEnum):
    """What the relay may do as far as the guards are concerned."""

    OPEN = "open"
    """To be switched off at once."""
    HOLD = "hold"
    """Not to be re-armed."""
    KEEP = "keep"
    """To be re-armed if it is on."""
    CONNECT = "connect"
    """To be re-armed, and switched on if it is off: every limit is known to rule."""


class Reason(StrEnum):
    """Why the plant is told to give what it gives. Shown on the GX, in the log, in the live line."""

    STARTING = "starting"
    REGULATING = "regulating"
    FEED_IN_CAP = "feed-in cap reached"
    ALL_AT_RATED = "all inverters at their maximum"
    ALL_AT_MINIMUM = "all inverters at their minimum"
    HOLD_METER_LATE = "meter late: no increase"
    METER_STALE_RAMP = "meter stale: ramp to base load"
    METER_STALE_MINIMUM = "meter stale: minimum"
    METER_LOST_OFF = "meter lost: off"
    METER_FROZEN = "meter frozen: it answers, but its values stand still"
    METER_BLIND = "meter does not see the inverters"
    METER_REVERSED = "meter sign reversed"
    DTU_SILENT = "DTU silent"
    DTU_PASSWORD = "DTU refuses the password"  # noqa: S105  no password, the word for it
    NO_INVERTER = "no inverter can be commanded"
    CAP_UNREACHABLE = "unreachable inverters may exceed the cap: the others are off"
    BATTERY_LOW = "battery voltage below the minimum"
    BATTERY_UNSEEN = "battery voltage unknown: off"
    BATTERY_REFUSES = "battery refuses discharge"
    CELL_LOW = "battery cell below the minimum voltage"
    MIN_SOC = "minimum SoC"
    BATTERY_NEARLY_LOW = "battery near its lower limit"
    DISCHARGE_LIMIT = "battery's discharge limit reached"
    MULTIPLUS_CHARGING = "multiplus charging"
    MULTIPLUS_INVERTING = "multiplus inverting"
    GUARD_ESCALATED = "inverters do not obey the battery guard"
    RELAY_OPEN = "relay open: the inverters are off the grid"
    FOREIGN_LIMITS = "another controller sets limits"
    LOST_FEEDS = "unreachable inverter feeds in: the others make room"
    COMMANDS_IGNORED = "OpenDTU takes commands without effect"
    UNCONFIRMED = "inverter does not confirm its limit"
    HELD = "output held by something else"
    SWITCHED_OFF = "switched off by the user"
    READ_ONLY = "read-only: no inverter configured"


@dataclass(frozen=True, slots=True)
class InverterPlan:
    """What one inverter is told."""

    serial: str
    limit_w: float
    """The limit wanted, W AC; 0 when it is to be off."""
    is_on: bool
    note: str = ""
    """Why this inverter differs from the plant's plan, such as an unknown limit; empty when it does not."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One decision for the whole plant, with its reason."""

    at_s: float
    setpoint_w: float
    """Sum of the limits wanted, W AC."""
    cap_w: float
    reason: Reason
    inverters: tuple[InverterPlan, ...] = ()
    relay: RelayOrder = RelayOrder.HOLD
    is_dry: bool = False
    """It is only shown, nothing is commanded."""
    wait: str = ""
    """Why a difference at the grid is left alone while it regulates; empty when none is."""

    @property
    def words(self) -> str:
        """Its reason for people, marked when it is only shown."""
        return f"dry run: {self.reason}" if self.is_dry else str(self.reason)


METER = "meter"
"""The grid meter as the subject of an alarm and among the links."""
BATTERY = "battery"
"""The battery as the subject of an alarm."""


class Cause(StrEnum):
    """What is wrong with one device, whatever the plant's reason is."""

    COMMAND_WITHOUT_EFFECT = "inverter gives more than it is told"
    METER_LOST = "meter lost"
    MODEL_UNKNOWN = "OpenDTU does not know this model"
    BATTERY_FROZEN = "battery frozen: its service answers, but its values stand still"
    INVERTER_HOT = "inverter too hot"
    INVERTER_LOST = "inverter lost"
    INVERTER_WARM = "inverter hot"
    INVERTER_RESTARTED = "inverter restarted because it did not obey"
    DTU_REBOOTED = "DTU rebooted because it reached no inverter"
    VOLTAGE_LOW = "low DC voltage"
    VOLTAGE_HIGH = "high DC voltage"


class Severity(IntEnum):
    """How bad it is, in the numbers of Venus OS."""

    WARNING = 1
    ALARM = 2


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that is wrong and has been for long enough to say so."""

    cause: Cause | Reason
    subject: str
    """Serial of the inverter, name of the DTU, `METER`, or empty when it is the whole plant."""
    severity: Severity
    text: str
    """One line for people; it stays the same for as long as the alarm lasts."""
    since_s: float
