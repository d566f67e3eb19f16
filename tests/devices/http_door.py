"""A door with the device behind it."""

from dataclasses import replace

import aiohttp
from pydantic import SecretStr

from opendtu_dcload.devices.http import DeviceHttp
from tests.doubles.fake_device import FakeDevice, Rig

PASSWORD = "S3cret-päss"
TOKEN = "YWRtaW46UzNjcmV0LXDDpHNz"  # admin:S3cret-päss in UTF-8


class DoorRig(Rig):
    """A door with the device behind it."""

    def __init__(self, device: FakeDevice, session: aiohttp.ClientSession) -> None:
        super().__init__(device, session)
        self.door = self.build()

    def build(self, password: str | None = None, timeout_s: float = 2.0) -> DeviceHttp:
        secret = None if password is None else SecretStr(password)
        self.settings = replace(self.settings, password=secret, timeout_s=timeout_s)
        self.door = DeviceHttp("Device", "meter", self.settings, self.session, self.clock)
        return self.door
