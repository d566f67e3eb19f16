"""A step made on simulated devices."""

from __future__ import annotations

from typing import Any

from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.doctor.findings import Findings
from opendtu_dcload.doctor.step.step_test import step_test
from tests.doctor.told import silent
from tests.doubles.devices import SERIALS, Devices

UNIT = InverterParameters(SERIALS[0], 20.0, 400.0, 400.0, dead_time_s=2, credit_s=8, raise_spacing_s=5, refresh_s=210)


async def stepped(plant: Devices, **changes: Any) -> Findings:
    findings = silent()
    await step_test(plant.parsed(**changes), findings, plant.clock, plant.clock.sleep)
    return findings


def limits_posted_w(plant: Devices) -> list[tuple[str, float]]:
    return [(fields["serial"], fields["limit_value"]) for path, fields in plant.opendtu.posted]
