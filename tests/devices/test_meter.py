"""Which kinds of grid meter there are, and what is said where one cannot be had."""

import time
from typing import get_args

import pytest

from opendtu_dcload.config import MeterConfig
from opendtu_dcload.devices.http import open_session
from opendtu_dcload.devices.meter import KINDS, make_meter
from opendtu_dcload.devices.shelly.shelly_meter import ShellyMeter
from opendtu_dcload.errors import ConfigError
from opendtu_dcload.model import MeterInfo
from opendtu_dcload.venus.bus.bus_address import UnixAddress
from opendtu_dcload.venus.gx.gx_meter import GxMeter
from opendtu_dcload.venus.gx.service_watch import ServiceWatch


def test_each_word_of_the_settings_has_its_meter() -> None:
    assert set(get_args(MeterConfig.model_fields["source"].annotation)) == set(KINDS)


async def test_the_settings_choose_the_meter() -> None:
    watch = ServiceWatch(UnixAddress("/nowhere"))
    async with open_session() as session:
        assert isinstance(make_meter(MeterConfig(host="192.0.2.1"), session, watch, time.monotonic), ShellyMeter)
        assert isinstance(make_meter(MeterConfig(source="gx"), session, watch, time.monotonic), GxMeter)


async def test_the_meter_of_a_gx_is_not_to_be_had_without_its_bus() -> None:
    async with open_session() as session:
        with pytest.raises(ConfigError, match=r"is read from the D-Bus, and dbus\.enabled is false; change one"):
            make_meter(MeterConfig(source="gx"), session, None, time.monotonic)


def test_a_meter_is_told_apart_in_letters_and_digits() -> None:
    assert MeterInfo(vendor="P 1-Meter", model="x", serial="5C:2F_af").uid == "p1meter_5c2faf"
