"""The tasks that read the grid meter and the plug-in solar, and put what they tell into the state."""

from __future__ import annotations

import asyncio

from opendtu_dcload.devices.http import Clock
from opendtu_dcload.devices.meter import Meter
from opendtu_dcload.errors import ConfigError, DeviceError
from opendtu_dcload.freshness import SOLAR_S
from opendtu_dcload.model import METER, SolarReading
from opendtu_dcload.state import State
from opendtu_dcload.tasks.availability import Availability


async def poll_meter(meter: Meter, state: State, clock: Clock, *, interval_s: float, lost_after_s: float) -> None:
    """Read the meter for ever.

    Raises:
        ConfigError: the first contact shows that the configuration does not fit the device.
    """
    presence = Availability(METER, state, clock(), lost_after_s=lost_after_s)
    due_s = clock()
    while True:
        try:
            if state.meter_info is None:
                state.set_meter_info(await meter.identify())
            state.set_meter(await meter.read())
            presence.answered(clock())
        except ConfigError as err:
            if state.meter is None:
                raise
            presence.failed(clock(), err)
        except DeviceError as err:
            presence.failed(clock(), err)
        due_s = max(due_s + interval_s, clock())
        await asyncio.sleep(due_s - clock())


async def poll_solar(solar: Meter, state: State, clock: Clock, *, interval_s: float) -> None:
    """Read the plug-in solar for ever; which sign its production has plays no role.

    Raises:
        ConfigError: the first contact shows that the configuration does not fit the device.
    """
    presence = Availability("plug-in solar", state, clock(), lost_after_s=SOLAR_S)
    while True:
        try:
            reading = await solar.read()
            state.set_solar(SolarReading(reading.at_s, abs(reading.power_w)))
            presence.answered(clock())
        except ConfigError as err:
            if state.solar is None:
                raise
            presence.failed(clock(), err)
        except DeviceError as err:
            presence.failed(clock(), err)
        await asyncio.sleep(interval_s)
