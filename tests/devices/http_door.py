"""A door with the device behind it."""

from dataclasses import replace

import aiohttp
from pydantic import SecretStr

from opendtu_dcload.devices.http import DeviceHttp
from tests.doubles.clock import Clock
from tests.doubles.fake_device import FakeDevice, Settings

PASSWORD = "S3cret-päss"
TOKEN = "YWRtaW46UzNjcmV0LXDDpHNz"  # admin:S3cret-päss in UTF-8


class Rig:
    """A door with the device behind it."""

    def __init__(self, device: FakeDevice, session: aiohttp.ClientSession) -> None:
        self.device = device
        self.session = session
        self.clock = Clock(1000.0)
        self.settings = Settings(device.host)
        self.door = self.build()

    def build(self, password: str | None = None, timeout_s: float = 2.0) -> DeviceHttp:
        secret = None if password is None else SecretStr(password)
        self.settings = replace(self.settings, password=secret, timeout_s=timeout_s)
        self.door = DeviceHttp("Device", "meter", self.settings, self.session, self.clock)
        return self.door
