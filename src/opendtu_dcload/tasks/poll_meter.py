"""The tasks that read the grid meter and the plug-in solar, and put what they tell into the state."""

from __future__ import annotations

import asyncio

from opendtu_dcload.devices.http import Clock
from opendtu_dcload.devices.meter import Meter
from opendtu_dcload.errors import ConfigError, DeviceError
from opendtu_dcload.freshness import SOLAR_S, measured
from opendtu_dcload.model import METER, SolarReading
from opendtu_dcload.state import State
from opendtu_dcload.tasks.availability import Availability
from opendtu_dcload.tasks.refresh_lock import RefreshLock
from opendtu_dcload.tasks.timetable import Interval, Timetable


async def poll_meter(meter: Meter, state: State, clock: Clock, *, interval_s: float, lost_after_s: float) -> None:
    """Read the meter for ever: just after each refresh of its values where it has one, else at the interval.

    Raises:
        ConfigError: the first contact shows that the configuration does not fit the device.
    """
    presence = Availability(METER, state, clock(), lost_after_s=lost_after_s)
    timetable: Timetable = RefreshLock(interval_s) if meter.has_refresh else Interval(interval_s)
    while True:
        asked_s = clock()
        try:
            if state.meter_info is None:
                state.set_meter_info(await meter.identify())
                asked_s = clock()
            before, reading = state.meter, await meter.read()
            state.set_meter(reading)
            presence.answered(clock())
            has_changed = before is None or measured(reading) != measured(before)
            due_s = timetable.answered(asked_s, reading.at_s, has_changed=has_changed)
        except ConfigError as err:
            if state.meter is None:
                raise
            presence.failed(clock(), err)
            due_s = timetable.failed(asked_s, clock())
        except DeviceError as err:
            presence.failed(clock(), err)
            due_s = timetable.failed(asked_s, clock())
        await asyncio.sleep(max(0.0, due_s - clock()))


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
