"""All services of one start of the program, and what a user can set there."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from opendtu_dcload.control.dtu_settings import DtuSettings
from opendtu_dcload.model import MeterInfo
from opendtu_dcload.state import State
from opendtu_dcload.venus.bus.bus_address import BusAddress
from opendtu_dcload.venus.gx.gx_control import FOLDER, Control
from opendtu_dcload.venus.gx.gx_controls import Controls
from opendtu_dcload.venus.gx.localsettings import LocalSettings
from opendtu_dcload.venus.services.acload import MeterService
from opendtu_dcload.venus.services.context import ServiceContext
from opendtu_dcload.venus.services.dcload import InverterService, ShownInverter
from opendtu_dcload.venus.services.diagnostics import PlantHealth
from opendtu_dcload.venus.services.switch import SwitchService
from tests.doubles.bus_client import Client, owned

SERIALS = ("114181807700", "114181807701")
MAC = "34945470a1b2"
SWITCH = "com.victronenergy.switch.opendtu_dcload"
METER = f"com.victronenergy.acload.shelly_{MAC}"
FIRST, SECOND = (f"com.victronenergy.dcload.opendtu_{serial}" for serial in SERIALS)
FEED_IN = "/SwitchableOutput/max_feed_in/Dimming"
CARDS = [
    (SWITCH, "/SwitchableOutput/regulation", "State"),
    (SWITCH, "/SwitchableOutput/max_feed_in", "Dimming"),
    (SWITCH, "/SwitchableOutput/target", "Dimming"),
    *((SWITCH, f"/SwitchableOutput/opendtu_{serial}", "State") for serial in SERIALS),
    (SWITCH, "/SwitchableOutput/alarms", "State"),
]
PLAIN = [
    (METER, "/Regulation"),
    (METER, "/MaxFeedIn"),
    (METER, "/GridTarget"),
    (FIRST, "/Enabled"),
    (SECOND, "/Enabled"),
    (METER, "/SocFloatingMax"),
    (METER, "/PowerFeedInSoc"),
]
NAMES = ("/Regulation", "/MaxFeedIn", "/GridTarget", "/SocFloatingMax", "/PowerFeedInSoc")
KEYS = [*"012347", *"0123456", *"01256", "8"]
"""Of the places in `NUMBERS`: those with the same key show the same value."""
NUMBERS = [
    *((name, f"{base}/{leaf}") for name, base, leaf in CARDS),
    *PLAIN,
    *((SWITCH, path) for path in NAMES),
    (METER, "/Position"),
]
TEXTS = [
    *((name, f"{base}/Settings/{leaf}") for name, base, _ in CARDS for leaf in ("CustomName", "Group")),
    *((name, "/CustomName") for name in (SWITCH, METER, FIRST, SECOND)),
]
KEPT = {"Regulation": 1, "MaxFeedIn": 800, "GridTarget": 10, "SocFloatingMax": 110, "PowerFeedInSoc": 90} | {
    f"Inverters/opendtu_{serial}": 1 for serial in SERIALS
}
KEPT["Alarms"] = 1


class OneStart:
    """All services of one start of the program, and a clock to turn by hand."""

    def __init__(self, bus: BusAddress, *, max_feed_in_w: float = 800.0) -> None:
        self.now_s = 100.0
        self.state = State()
        self.state.set_meter_info(
            MeterInfo(vendor="Shelly", model="SPEM-003CEBEU", serial=MAC, firmware="1.4.4", name="Grid")
        )
        self.settings = LocalSettings(bus, self.clock, retry_delays_s=(0.01,))
        self.controls = Controls(
            self.settings, self.state, SERIALS, target_w=10.0, max_feed_in_w=max_feed_in_w, surplus_soc_pct=90.0
        )
        self.alarms = Control.switch(self.settings, f"{FOLDER}/Alarms", "Alarms")
        names = {serial: f"Inverter {number}" for number, serial in enumerate(SERIALS)}
        health = PlantHealth({"opendtu": "DTU"})
        context = ServiceContext(state=self.state, bus=bus, clock=self.clock, settings=self.settings)
        self.switch = SwitchService(context, self.controls, self.alarms, names, health)
        self.inverters = [
            InverterService(
                context,
                ShownInverter(
                    serial=serial,
                    instance=134 + number,
                    dtu="opendtu",
                    dtu_host="dtu",
                    freshness_s=DtuSettings(stale_after_s=30.0).freshness_s,
                    name=f"Inverter {number}",
                ),
                controls=self.controls,
                name_wait_s=0.01,
            )
            for number, serial in enumerate(SERIALS)
        ]
        self.meter = MeterService(context, "shelly", controls=self.controls)
        for service in (self.switch.service, *(inverter.service for inverter in self.inverters)):
            service._retry_delays_s = (0.01,)

    def clock(self) -> float:
        return self.now_s

    def later(self, seconds: float) -> None:
        self.now_s += seconds
        self.settings._wake.set()

    @contextlib.asynccontextmanager
    async def running(self, client: Client) -> AsyncIterator[None]:
        runs = [self.settings.run(), self.switch.run(), self.meter.run(), *(i.run() for i in self.inverters)]
        tasks = [asyncio.create_task(run) for run in runs]
        try:
            await self.controls.asked()
            for name in (SWITCH, METER, FIRST, SECOND):
                await owned(client, name)
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def write(client: Client, name: str, path: str, kind: str, value: object) -> int:
    signature = kind if kind == "ai" else "v"
    return int((await client.call(name, path, "SetValue", signature, [kind, value]))["ok"][1])


@pytest.fixture
def gx(daemon):
    return OneStart(daemon.address)
