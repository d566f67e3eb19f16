"""The whole program behind a relay: what happens when it is killed, and in which order it comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from opendtu_dcload.model import CommandState
from opendtu_dcload.sim.servers.meter_view import Relay
from opendtu_dcload.sim.servers.shelly_gen2 import Gen2Server
from opendtu_dcload.sim.servers.shelly_server import Gen1Server
from tests.doubles.devices import SERIALS, Devices
from tests.doubles.until import until
from tests.program.process import run, running

pytestmark = pytest.mark.realtime


class NotedRelay(Relay):
    """Looks at the plant at each moment at which it closes."""

    plant: BehindRelay

    def switch(self, now_s: float, *, on: bool, flip_after_s: float = 0.0) -> None:
        if on and not self.is_on:
            self.plant.closed_with.append(
                {s: (known.limit_state, known.limit_pct) for s, known in self.plant.dtu.believed.items()}
            )
        super().switch(now_s, on=on, flip_after_s=flip_after_s)


class BehindRelay:
    """Devices, and the relay that all inverters are behind."""

    def __init__(self, devices: Devices) -> None:
        self.devices = devices
        self.dtu = devices.dtu
        self.relay = Gen1Server(devices.dtu, devices.clock, device="1pm")
        self.relay.relay = noted = NotedRelay()
        noted.plant = self
        self.relay.feed_inverters()
        self.closed_with: list[dict[str, tuple[CommandState, float]]] = []

    def skip(self, seconds: float) -> None:
        """Let time pass in the plant."""
        self.devices.clock.now_s += seconds

    def config(self, folder: Path) -> Path:
        return self.devices.config(folder, more=f'[relay]\nhost = "{self.relay.host}"\n')

    @property
    def is_regulated(self) -> bool:
        return abs(self.devices.house.grid_w - 10) < 30


@pytest.fixture
async def plant(devices: Devices) -> AsyncIterator[BehindRelay]:
    plant = BehindRelay(devices)
    async with plant.relay:
        yield plant


async def test_killed_it_drops_the_inverters_within_300_s_and_limits_come_before_the_relay_when_it_is_back(
    plant: BehindRelay, tmp_path: Path
) -> None:
    house, relay = plant.dtu.house, plant.relay
    path = plant.config(tmp_path)
    async with running("--config", path) as program:
        await until(lambda: plant.is_regulated)
        assert relay.relay.is_on
        program.kill()
        await program.wait()
    killed_s = house.now_s
    posted = plant.dtu.counters.limits

    plant.skip(relay.relay.remaining_s(house.now_s) - 5.0)
    await until(lambda: house.now_s > killed_s + 200)
    assert house.output_w > 200, "the relay holds on for a restart"
    plant.skip(6.0)
    await until(lambda: house.output_w == 0)
    assert not relay.relay.is_on
    assert house.now_s - killed_s < 300

    async with running("--config", path) as program:
        await until(lambda: relay.relay.is_on)
        assert plant.dtu.counters.limits >= posted + len(SERIALS), "each was told its limit anew"
        await until(lambda: plant.is_regulated)
        program.terminate()
        assert await program.wait() == 0
    first, again = plant.closed_with
    at_minimum = dict.fromkeys(SERIALS, (CommandState.OK, pytest.approx(5.0)))
    assert first == again == at_minimum, "set and acknowledged before the relay closed"


async def test_a_relay_that_is_on_after_a_power_cut_is_refused_with_one_sentence(
    plant: BehindRelay, tmp_path: Path
) -> None:
    plant.relay.power_on = "last"
    code, _, err = await run("--config", plant.config(tmp_path))
    assert code == 2
    assert "set its power-on state to off" in err
    assert "Traceback" not in err
    assert not plant.relay.relay.is_on


async def test_check_looks_at_the_relay_and_changes_nothing(plant: BehindRelay, tmp_path: Path) -> None:
    path = plant.config(tmp_path)
    code, out, err = await run("check", "--config", path)
    assert (code, err) == (0, "")
    assert "relay SHSW-PM stays off after a power cut; it is off now" in out
    assert "a low persistent limit" not in out
    plant.relay.power_on = "on"
    code, out, _ = await run("check", "--config", path)
    assert code == 1
    assert [line for line in out.splitlines() if line.startswith("problem")] == [
        f"problem  relay at {plant.relay.host}: after a power cut it is 'on'; set its power-on state to off"
    ]


async def test_plug_in_solar_is_taken_off_the_cap(plant: BehindRelay, tmp_path: Path) -> None:
    plant.dtu.house.load_w = [2000.0]
    plant.relay.relay.is_on = True  # for good: the program knows none here
    path = plant.config(tmp_path)
    text = path.read_text().split("[relay]", maxsplit=1)[0]
    solar = Gen2Server(plant.dtu, lambda: plant.dtu.house.now_s, device="pm-mini", mac="A0DD6C445566")
    solar.meter.is_frozen = True
    solar.meter.phases_w = (-350.0, 0.0, 0.0)
    async with solar:
        path.write_text(f'{text}[solar]\nhost = "{solar.host}"\n[web]\nenabled = false\n[dbus]\nenabled = false\n')
        code, out, _ = await run("check", "--config", path)
        assert code == 0
        assert "plug-in solar S3PM-001PCEU16 gives 350 W now" in out
        async with running("--config", path, "--live") as program:
            assert program.stdout
            line, limits_w = "", 0.0
            while "feed-in cap reached" not in line or not 440 < limits_w <= 450.1:
                line = (await program.stdout.readline()).decode()
                assert line
                limits_w = sum(plant.devices.limits_w)
