"""What may stand in each section of the file, with its range, its default, and what it means.

Powers are in W, import from the grid positive. None means "not given"; what then happens stands at the field.
"""

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from opendtu_dcload.config.fields import (
    WHOLE,
    BareHost,
    Channel,
    Host,
    Label,
    LoginSection,
    NotAbove,
    Section,
    check_text,
)

DEFAULT_DTU = "opendtu"
FIRST_INVERTER_INSTANCE = 134  # as the original's, so that VRM knows the devices again


def _check_serial(serial: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{12}", check_text(serial)):
        raise ValueError("is no serial number")
    if not int(serial, 16):  # OpenDTU refuses it with code 5001
        raise ValueError("is only zeros")
    return serial.lower()


def _check_bus(bus: str) -> str:
    if bus not in {"auto", "system", "session"} and not check_text(bus).startswith(("unix:", "tcp:")):
        raise ValueError("is no D-Bus")
    return bus


def _check_address(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address)) if address else ""
    except ValueError:
        raise ValueError("is no IP address") from None


def _check_token(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    if text and not re.fullmatch(r"[!-~]{16,200}", text):
        raise ValueError("is too short, too long, or has other characters")
    return token


def _as_tuple(names: object) -> object:
    """Return a list as the tuple that it is kept as, all else as it is."""
    return tuple(names) if isinstance(names, list) else names


class MeterConfig(LoginSection):
    """`[meter]`: the Shelly at the grid connection, or the GX's own grid meter."""

    source: Literal["shelly", "gx"] = "shelly"
    """`gx` reads the grid meter that the GX has, see [On the GX](gx.md#the-gxs-own-meter)."""
    host: Host = Field("", description='the Shelly\'s address in quotes, such as "192.168.1.50"')
    """Address of the Shelly, with `:port` if that is not 80. Needed unless `source` is `gx`."""
    channel: Channel = None
    """Where the grid is measured: all channels (`sum`), one by number, or one phase by letter; left out, what the
    device measures as a whole. Meters with two channels need it: one of them, or `sum` for split phase and
    for two cables."""
    phase: Annotated[int, Field(ge=1, le=3)] = 1
    """Phase (1 = L1) that a single channel, or the sum of two, is shown as."""
    invert: bool = False
    """Turns the sign, for a clamp that sits the wrong way round."""
    poll_interval_s: Annotated[float, Field(ge=0.5, le=10)] = 1.0
    """Time between two readings; at least 1 s less than `control.meter_hold_s`. A Shelly is asked just after each
    refresh of its values where the interval permits it, and at most a tenth more often."""
    timeout_s: Annotated[float, Field(ge=0.2, le=10)] = 2.0
    """Time for a complete answer."""

    @property
    def is_on_gx(self) -> bool:
        """Whether it is the GX's own, which has no address and which the GX shows by itself."""
        return self.source == "gx"


class OpenDtuConfig(LoginSection):
    """`[opendtu]`, or one `[[opendtu]]` of several: a DTU, with at most 10 inverters."""

    name: Label = Field(DEFAULT_DTU, description="a name in quotes that no other DTU has")
    """What inverters and the log call it; needed with several DTUs."""
    host: Host = Field(description='OpenDTU\'s address in quotes, such as "192.168.1.51"')
    """Address of OpenDTU, with `:port` if that is not 80."""
    poll_interval_s: Annotated[float, Field(ge=1, le=60)] = 5.0
    """OpenDTU's own poll interval; values are fetched when it has new ones, of an inverter no oftener than this."""
    timeout_s: Annotated[float, Field(ge=1, le=30)] = 8.0
    """Time for a complete answer."""
    max_commands_per_hour: Annotated[int, Field(ge=12, le=1800)] = 300  # 1800: one in each window of 2 s
    """How many commands it is given at most, see [How it regulates](how-it-regulates.md)."""

    @property
    def label(self) -> str:
        """What messages call it: its name is worth saying only when it was given one."""
        return "DTU" if self.name == DEFAULT_DTU else f"DTU {self.name}"


class InverterConfig(Section):
    """`[[inverter]]`: an inverter that may be commanded, one block each; without any, nothing is commanded."""

    serial: Annotated[str, AfterValidator(_check_serial)] = Field(
        description='the 12 digits that OpenDTU shows, in quotes, such as "116190001234"'
    )
    """Serial number as OpenDTU shows it: 12 hex digits."""
    opendtu: Label | None = Field(None, description="the name of its DTU in quotes")
    """Which DTU commands it; needed with several, left out otherwise."""
    name: Label | None = Field(None, description="a name in quotes")
    """Shown instead of the name it has in OpenDTU."""
    min_power_w: Annotated[float | None, Field(ge=5, le=500), WHOLE, NotAbove("max_power_w")] = None
    """Lowest limit, W AC; left out, 2 % of the rated power and at least 20 W for each DC input."""
    max_power_w: Annotated[float | None, Field(ge=10, le=2250), WHOLE] = None  # 2250: OpenDTU's own bound of a limit
    """Highest limit, W AC; left out, the rated power."""
    device_instance: Annotated[int | None, Field(ge=0, le=247)] = None
    """Device instance in VRM; left out, 134 for the first block, 135 for the second ..."""


class ControlConfig(Section):
    """`[control]`: where the plant is steered to, and what happens while the meter is silent."""

    target_w: Annotated[float, Field(ge=-500, le=500), WHOLE] = 0.0
    """Power to draw from the grid; negative feeds in."""
    max_feed_in_w: Annotated[float, Field(ge=0, le=10000), WHOLE] = 800.0
    """Legal cap on the AC output of all listed inverters together."""
    priority: Literal["no-export", "balanced", "no-import"] = "balanced"
    """What is rather avoided when a choice must be made, see [How it regulates](how-it-regulates.md)."""
    base_load_w: Annotated[float | None, Field(ge=0, le=5000), WHOLE, NotAbove("max_feed_in_w")] = None
    """Output while the meter is silent; left out, the sum of the lowest limits."""
    max_temperature_c: Annotated[float, Field(ge=30, le=90)] = 65.0
    """A hotter inverter gets less and less, 10 K above it only its minimum."""
    standby: bool = False
    """Inverters not needed for half an hour are powered off, at most twice a day each, and on again when the others are
    nearly at their limit. Coming back takes some minutes."""
    last_resorts: bool = True
    """An inverter that does not obey is restarted, a DTU that reaches none is rebooted, see
    [Last resorts](safety.md#last-resorts)."""
    on_stop: Literal["minimum", "off"] = "minimum"
    """What the inverters are told when the service ends."""
    meter_hold_s: Annotated[float, Field(ge=2, le=3600)] = 5.0
    """Meter silent for this long: nothing is raised ..."""
    meter_ramp_s: Annotated[float, Field(ge=2, le=3600)] = 15.0
    """... the output goes down to `base_load_w` ..."""
    meter_minimum_s: Annotated[float, Field(ge=2, le=3600)] = 60.0
    """... the inverters go to their lowest limit ..."""
    meter_off_s: Annotated[float, Field(ge=2, le=3600)] = 300.0
    """... the inverters are powered off. Each longer than the one before."""


METER_AGES = tuple(name for name in ControlConfig.model_fields if name.startswith("meter_"))
"""The settings of the silent meter's ladder, from its top down."""


class BatteryConfig(Section):
    """`[battery]`: what must be left in it, whatever else fails."""

    min_voltage_v: Annotated[float | None, Field(ge=8, le=500)] = None
    """Below it for 60 s, measured at the inverters' DC inputs, all are powered off; 1 V above they return. Needed once
    an inverter is listed."""
    resistance_mohm: Annotated[float, Field(ge=0, le=200)] = 0.0
    """Of battery and cables: what the load takes off the voltages (at most 5 %) is added again before they are
    judged."""
    min_cell_voltage_v: Annotated[float | None, Field(ge=1, le=4.5)] = None
    """The same for the lowest cell, as the BMS tells it; 0.1 V above they return. Left out, it is not guarded."""
    min_soc_pct: Annotated[float | None, Field(ge=0, le=95)] = None
    """Below it for 60 s all are powered off. Left out, only the minimum of ESS holds."""
    soc_hysteresis_pct: Annotated[float, Field(ge=1, le=20)] = 3.0
    """So far above the minimum SoC they return; within it the output falls gradually."""
    use_ess_minimum: bool = True
    """The minimum SoC that is set for ESS on the GX holds too."""
    seasonal_min_soc: bool = False
    """The minimum SoC rises while the battery does not get full, see [Battery](safety.md#battery-and-multiplus)."""
    surplus_soc_pct: Annotated[float | None, Field(ge=50, le=98)] = None
    """From this SoC on, surplus is fed in; left out, never."""
    surplus_w: Annotated[float, Field(ge=10, le=5000), WHOLE] = 100.0
    """How much: a third from `surplus_soc_pct` on, all of it 2 % above."""
    multiplus_guard: bool = True
    """Nothing is fed in while a MultiPlus on the same battery charges from AC, or inverts."""


class SolarConfig(LoginSection):
    """`[solar]`: a second Shelly, at plug-in solar that counts into the legal cap."""

    host: Host = Field(description='the address in quotes of the Shelly at the plug-in solar, such as "192.168.1.52"')
    """Address of that Shelly, with `:port` if that is not 80."""
    channel: Channel = None
    """Where the production is measured, as in `[meter]`. The sign plays no role."""
    pessimistic_w: Annotated[float, Field(ge=0, le=10000), WHOLE] = 500.0
    """What is assumed while it has not answered for 15 s, W."""
    poll_interval_s: Annotated[float, Field(ge=0.5, le=10)] = 2.0
    """Time between two readings."""
    timeout_s: Annotated[float, Field(ge=0.2, le=10)] = 2.0
    """Time for a complete answer."""

    @property
    def phase(self) -> int:
        """The phase plays no role: only the sum is used."""
        return 1

    @property
    def invert(self) -> bool:
        """Nor does the sign: plugs show production with either."""
        return False


class RelayConfig(LoginSection):
    """`[relay]`: a Shelly relay through which the inverters reach the grid."""

    host: Host = Field(description='the address in quotes of the relay, such as "192.168.1.53"')
    """Address of the relay, with `:port` if that is not 80."""
    output: Annotated[int, Field(ge=0, le=199)] = 0
    """Which of its relays; the Switch add-on of a Pro 3EM is 100."""
    timeout_s: Annotated[float, Field(ge=0.2, le=10)] = 2.0
    """Time for a complete answer."""


class DbusConfig(Section):
    """`[dbus]`: how the GX is shown all of it."""

    enabled: bool = True
    """Show everything on the GX's D-Bus."""
    bus: Annotated[str, AfterValidator(_check_bus)] = Field(
        "auto", description='"auto", "system", "session" or an address that begins with unix: or tcp:'
    )
    """Which bus; `auto` finds it."""
    meter_role: Literal["acload", "grid"] = "acload"
    """`grid` makes ESS regulate by this meter; needs the next one."""
    allow_grid_role: bool = False
    """Whether the meter may become the GX's grid meter, here or in its menu."""
    dcsystem: Literal["auto", "on", "off"] = "auto"
    """Whether the inverters' DC sum is published; `auto`: while there is no other DC system meter."""
    alarm_input: Literal["auto", "on", "off"] = "auto"
    """Whether alarms are shown as a digital input, which sounds the GX's buzzer; `auto`: while the GX takes no
    notifications with a text, see [Alarms](gx.md#alarms)."""
    aux_voltage: bool = True
    """Show what each inverter is told to give as its auxiliary voltage, see [On the GX](gx.md#what-you-see)."""
    battery_temperature: bool = False
    """Publish the battery's temperature as a sensor, for the temperature rule of the GX's relay."""
    meter_device_instance: Annotated[int, Field(ge=0, le=247)] = 59
    """Device instance of the meter in VRM."""
    meter_name: Label | None = Field(None, description="a name in quotes")
    """Shown instead of the name it has in the Shelly."""


class WebConfig(Section):
    """`[web]`: the status page, its JSON and its metrics, see [HTTP interface](web.md)."""

    enabled: bool = True
    """Serve them."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8099
    """Where: `http://` address of this computer `:8099`."""
    listen: Annotated[str, AfterValidator(_check_address)] = Field(
        "", description='an IP address of this computer in quotes, such as "127.0.0.1"'
    )
    """Serve only at this address; left out, at all of this computer."""
    token: Annotated[SecretStr, AfterValidator(_check_token)] | None = Field(
        None, description="at least 16 letters and digits in quotes"
    )
    """Whoever knows it may switch and set on the page; left out or empty, nobody may."""
    names: Annotated[tuple[BareHost, ...], BeforeValidator(_as_tuple)] | None = Field(
        None, description='a list of host names, such as ["raspberrypi.fritz.box"]'
    )
    """Further names by which browsers may reach it, beside addresses, names without a dot and those that end with
    `.local`."""


class LogConfig(Section):
    """`[log]`: what is written to stderr, and into a recording of a problem."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is written to stderr."""
    record: bool = False
    """All that the control sees and decides is kept in a file, see [How to report a
    problem](troubleshooting.md#how-to-report-a-problem)."""
