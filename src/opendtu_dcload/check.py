"""`check`: is the configuration right, and do the devices answer? Reads only, changes nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from opendtu_dcload.app import inverter_blocks
from opendtu_dcload.check_gx import look_at_gx
from opendtu_dcload.config import Config, OpenDtuConfig
from opendtu_dcload.control.loop import unit_of
from opendtu_dcload.devices.opendtu import InverterSettings, LiveData, OpenDtu
from opendtu_dcload.devices.relay import ShellyRelay
from opendtu_dcload.devices.shelly import ShellyMeter
from opendtu_dcload.errors import ConfigError, DeviceError
from opendtu_dcload.model import LimitStatus

NO_RELAY = (
    "if this program or its computer dies, the inverters keep their last limit: "
    "a relay ([relay]) would drop them; without it a low persistent limit, set once by hand in OpenDTU, is the only "
    "protection (this program never sends one)"
)


@dataclass(slots=True)
class Findings:
    """What was found, printed as it comes."""

    problems: int = 0

    def good(self, text: str) -> None:
        """Print something that is as it should be."""
        print(f"ok       {text}", flush=True)

    def bad(self, text: str) -> None:
        """Print something that the user must change."""
        self.problems += 1
        print(f"problem  {text}", flush=True)

    def note(self, text: str) -> None:
        """Print something worth knowing."""
        print(f"note     {text}", flush=True)


async def check(config: Config) -> int:
    """Probe meter and DTUs and print what was found; return the number of problems."""
    findings = Findings()
    async with aiohttp.ClientSession() as session:
        if config.meter.source == "shelly":
            await _check_meter(ShellyMeter(config.meter, session), findings)
        for level, text in await look_at_gx(config):
            {"ok": findings.good, "note": findings.note, "problem": findings.bad}[level](text)
        if config.solar is not None:
            await _check_solar(ShellyMeter(config.solar, session, section="solar"), findings)
        for dtu in config.dtus:
            await _check_dtu(config, dtu, OpenDtu(dtu, session, config.serials_of(dtu)), findings)
        if config.relay is not None:
            await _check_relay(ShellyRelay(config.relay, config.relay.output, session), findings)
    if config.relay is None:
        findings.note(NO_RELAY)
    return findings.problems


async def _check_meter(meter: ShellyMeter, findings: Findings) -> None:
    try:
        info = await meter.identify()
        started_s = time.monotonic()
        reading = await meter.read()
    except ConfigError as err:
        for problem in err.problems:
            findings.bad(problem)
    except DeviceError as err:
        findings.bad(str(err))
    else:
        took_ms = (time.monotonic() - started_s) * 1000
        findings.good(f"meter {info.model} (generation {info.generation}, firmware {info.firmware}, MAC {info.mac})")
        direction = "import" if reading.power_w >= 0 else "export"
        findings.good(f"grid {abs(reading.power_w):.0f} W {direction}, answered in {took_ms:.0f} ms")


async def _check_solar(solar: ShellyMeter, findings: Findings) -> None:
    try:
        info, reading = await solar.identify(), await solar.read()
    except ConfigError as err:
        for problem in err.problems:
            findings.bad(problem)
    except DeviceError as err:
        findings.bad(str(err))
    else:
        findings.good(f"plug-in solar {info.model} gives {abs(reading.power_w):.0f} W now")


async def _check_relay(relay: ShellyRelay, findings: Findings) -> None:
    try:
        model, status = await relay.verify(), await relay.read()
    except ConfigError as err:
        for problem in err.problems:
            findings.bad(problem)
    except DeviceError as err:
        findings.bad(str(err))
    else:
        findings.good(f"relay {model} stays off after a power cut; it is {'on' if status.is_on else 'off'} now")


async def _check_dtu(config: Config, asked: OpenDtuConfig, dtu: OpenDtu, findings: Findings) -> None:
    name = f"Open{asked.label}"
    try:
        status = await dtu.system()
        findings.good(f"{name} firmware {status.firmware or 'unknown'}, up {(status.uptime_s or 0) / 3600:.1f} h")
        live = await dtu.live(config.serials_of(asked))
        limits = await dtu.limits()
    except DeviceError as err:
        findings.bad(str(err))
        return
    if not live.is_clock_set:
        findings.bad(f"the clock of {name} is not set, so it polls no inverter: check its NTP settings")
    if asked.password is not None:
        try:
            await dtu.check_password()
            findings.good(f"{name} accepts the password")
            _check_settings(config.serials_of(asked), await dtu.settings(), findings)
        except DeviceError as err:
            findings.bad(str(err))
    _check_inverters(config, asked, live, limits, findings)


def _check_settings(listed: Sequence[str], settings: list[InverterSettings], findings: Findings) -> None:
    for inverter in settings:
        if inverter.serial not in listed:
            continue
        for what, is_allowed in (
            ("sends it no commands", inverter.command_enable),
            ("sends it no commands at night", inverter.command_enable_night),
            ("does not poll it", inverter.poll_enable),
            ("does not poll it at night", inverter.poll_enable_night),
        ):
            if is_allowed is False:
                findings.bad(f"inverter {inverter.serial}: OpenDTU {what}; allow it in its settings")


def _check_inverters(
    config: Config, dtu: OpenDtuConfig, live: LiveData, limits: dict[str, LimitStatus], findings: Findings
) -> None:
    listed = [inverter for inverter in config.inverters if config.dtu_of(inverter) == dtu]
    if not listed:
        findings.note(f"no inverter is listed, so nothing will be set. The {dtu.label} knows these:")
        print(inverter_blocks(live.known, dtu) or "(none: add them in OpenDTU first)")
    for inverter in listed:
        status, limit = live.inverters.get(inverter.serial), limits.get(inverter.serial)
        if status is None or limit is None:
            findings.bad(
                f"inverter {inverter.serial} is not known to the {dtu.label}: add it there or correct the serial"
            )
            continue
        unit = unit_of(inverter, dtu.name, limit.rated_w)
        rated = f"{limit.rated_w:.0f} W rated" if limit.rated_w else "rated power not known yet"
        now = "unknown" if limit.limit_pct is None else f"{limit.limit_pct:.1f} %"
        findings.good(
            f"inverter {inverter.serial} {status.name!r}: {rated}, limit now {now}, "
            f"will be set from {unit.minimum_w:.0f} to {unit.maximum_w:.0f} W"
        )
        if not status.reachable:
            findings.bad(f"inverter {inverter.serial}: OpenDTU does not reach it by radio")
        if inverter.min_power_w and unit.minimum_w < inverter.min_power_w:
            findings.bad(f"inverter {inverter.serial}: min_power_w is above its rated power")
        if status.dc_voltage_v is not None and config.battery.min_voltage_v is not None and status.dc_voltage_v > 1:
            text = f"battery {status.dc_voltage_v:.1f} V at inverter {inverter.serial}"
            if status.dc_voltage_v < config.battery.min_voltage_v:
                findings.bad(f"{text} is below battery.min_voltage_v = {config.battery.min_voltage_v:g}")
            else:
                findings.good(f"{text}, floor {config.battery.min_voltage_v:g} V")
