"""A DTU: firmware, password, settings, radio, and how often it polls."""

from __future__ import annotations

import time
from collections.abc import Sequence

import aiohttp

from opendtu_dcload.config import Config, OpenDtuConfig
from opendtu_dcload.control.from_config import stale_after_s
from opendtu_dcload.devices.opendtu.opendtu_client import InverterSettings, LiveData, OpenDtu
from opendtu_dcload.doctor.checks.check_inverter import check_inverter, counts_s, unknown
from opendtu_dcload.doctor.checks.check_meter import tell_round_trip
from opendtu_dcload.doctor.findings import Findings
from opendtu_dcload.doctor.wrong_device import OPENDTU, recognised
from opendtu_dcload.errors import DeviceError
from opendtu_dcload.model import LimitStatus
from opendtu_dcload.tasks.suggest_inverters import inverter_blocks

SLOW_MS = 2000.0
"""An OpenDTU answers in 20 to 200 ms, in some seconds while it is busy."""
LONGEST_ROUND_S = 30.0
"""A round polls each inverter once: the battery's voltage must be seen more than once in the 60 s of its guard."""
SHORTEST_INTERVAL_S = 2.0
"""A poll takes the radio 0.5 s and a command 2 s, so polling each second leaves no room for commands."""
QUICK_INVERTERS = 2
"""With up to so many inverters users get along with faster polling all the same."""
LATEST_LOSS_S = 120.0
"""An inverter that is gone should be called unreachable within this time: an estimate."""
IN_OPENDTU = "in OpenDTU, Settings, Inverter"


async def check_dtu(
    config: Config, asked: OpenDtuConfig, dtu: OpenDtu, session: aiohttp.ClientSession, findings: Findings
) -> dict[str, LimitStatus] | None:
    """Look at a DTU and its inverters; return the limits that it knows, None when it did not answer."""
    name = f"Open{asked.label}"
    try:
        took_ms = []
        started_s = time.monotonic()
        status = await dtu.system()
        took_ms.append((time.monotonic() - started_s) * 1000)
        findings.ok(f"{name} firmware {status.firmware or 'unknown'}, up {(status.uptime_s or 0) / 3600:.1f} h")
        live = await dtu.live(config.serials_of(asked))
        started_s = time.monotonic()
        limits = await dtu.limits()
        took_ms.append((time.monotonic() - started_s) * 1000)
    except DeviceError as err:
        findings.error(await recognised(err, OPENDTU, asked, session))
        return None
    tell_round_trip(name, took_ms, SLOW_MS, findings)
    _check_hints(name, live, findings)
    interval_s = await _check_admin(config, asked, dtu, live, findings)
    _check_inverters(config, asked, live, limits, counts_s(config, asked, live, interval_s), findings)
    return limits


def _check_hints(name: str, live: LiveData, findings: Findings) -> None:
    if not live.is_clock_set:
        findings.problem(
            f"the clock of {name} is not set, so it polls no inverter",
            "check its NTP settings and its way to the internet",
        )
    if live.has_radio_problem:
        findings.problem(f"a radio chip of {name} does not answer", "check its wiring and the pin mapping in OpenDTU")
    if live.has_factory_password:
        findings.problem(
            f"{name} still has its factory password, so everybody in the network can command the inverters",
            "change it in OpenDTU, Settings, Security, and in the configuration",
        )


async def _check_admin(config: Config, asked: OpenDtuConfig, dtu: OpenDtu, live: LiveData, findings: Findings) -> float:
    """Look at what the DTU shows only to those who have its password; return its polling interval in s, 0 = unknown."""
    name = f"Open{asked.label}"
    if asked.password is None:
        findings.note(f"without a password the settings of {name} cannot be looked at", "set opendtu.password")
        return 0.0
    try:
        await dtu.check_password()
        findings.ok(f"{name} accepts the password")
        interval_s = await dtu.poll_interval_s()
        settings = await dtu.settings()
    except DeviceError as err:
        findings.error(err)
        return 0.0
    polled = [i for i in settings if i.poll_enable is not False]
    _check_polling(config, asked, interval_s, len(polled) or len(live.known), findings)
    _check_settings(config.serials_of(asked), settings, interval_s * len(polled), findings)
    return interval_s


def _check_polling(config: Config, asked: OpenDtuConfig, interval_s: float, count: int, findings: Findings) -> None:
    name = f"Open{asked.label}"
    round_s = interval_s * count
    told = f"{name} polls one inverter each {interval_s:g} s, so each of its {count} once in {round_s:g} s"
    where = "in OpenDTU, Settings, DTU"
    if round_s > LONGEST_ROUND_S:
        best_s = max(SHORTEST_INTERVAL_S, LONGEST_ROUND_S // max(count, 1))
        findings.problem(f"{told}: too slow", f"set the poll interval to {best_s:g} s {where}, or stop polling some")
    elif interval_s < SHORTEST_INTERVAL_S and count > QUICK_INVERTERS:
        findings.problem(
            f"{told}: too fast, little radio time is left for commands", f"set {SHORTEST_INTERVAL_S:g} s {where}"
        )
    else:
        findings.ok(told)
    if config.serials_of(asked) and round_s > stale_after_s(config, asked):
        findings.note(
            f"{name} is slower than opendtu.poll_interval_s = {asked.poll_interval_s:g} assumes",
            f"set opendtu.poll_interval_s = {min(interval_s, 60):g}",
        )


def _check_settings(
    listed: Sequence[str], settings: list[InverterSettings], round_s: float, findings: Findings
) -> None:
    for inverter in settings:
        if inverter.serial not in listed:
            continue
        before = len(findings.found)
        for what, is_allowed in (
            ("sends it no commands", inverter.command_enable),
            ("sends it no commands at night", inverter.command_enable_night),
            ("does not poll it", inverter.poll_enable),
            ("does not poll it at night", inverter.poll_enable_night),
        ):
            if is_allowed is False:
                findings.problem(f"inverter {inverter.serial}: OpenDTU {what}", f"allow it {IN_OPENDTU}")
        threshold = inverter.reachable_threshold
        if threshold == 0:
            findings.note(
                f"inverter {inverter.serial}: one lost packet makes it unreachable (reachable threshold 0)",
                f"set 2 {IN_OPENDTU}",
            )
        elif threshold is not None and (threshold + 1) * round_s > LATEST_LOSS_S:
            findings.note(
                f"inverter {inverter.serial}: OpenDTU notices its loss only after {(threshold + 1) * round_s:.0f} s "
                f"(reachable threshold {threshold})",
                f"set 2 {IN_OPENDTU}",
            )
        if len(findings.found) == before:
            findings.ok(f"inverter {inverter.serial}: OpenDTU polls and commands it, at night too")


def _check_inverters(
    config: Config,
    asked: OpenDtuConfig,
    live: LiveData,
    limits: dict[str, LimitStatus],
    max_age_s: float,
    findings: Findings,
) -> None:
    listed = [inverter for inverter in config.inverters if config.dtu_of(inverter) == asked]
    if not listed:
        blocks = inverter_blocks(live.known, asked) or "(none: add them in OpenDTU first)"
        findings.note(f"no inverter is listed, so nothing will be set. The {asked.label} knows these", block=blocks)
    for inverter in listed:
        status, limit = live.inverters.get(inverter.serial), limits.get(inverter.serial)
        if status is None or limit is None:
            findings.problem(*unknown(config, inverter, live))
        else:
            check_inverter(config, inverter, status, limit, findings, max_age_s=max_age_s)
