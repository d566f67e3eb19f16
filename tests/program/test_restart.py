"""What was last shown comes back: after an orderly end always, after a power cut within the manual's times."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from opendtu_dcload.state import State
from opendtu_dcload.venus.bus.bus_address import BusAddress
from opendtu_dcload.venus.gx.gx_control import FOLDER, QUIET_S, SWITCH_QUIET_S, Control
from opendtu_dcload.venus.gx.gx_controls import Controls
from opendtu_dcload.venus.gx.localsettings import LocalSettings
from opendtu_dcload.venus.services.device import NAME_QUIET_S, Device
from tests.doubles.bus_client import Client
from tests.doubles.clock import Clock
from tests.doubles.devices import SERIALS as TWO_SERIALS
from tests.doubles.devices import Devices
from tests.doubles.localsettings_process import SettingsProcess
from tests.doubles.until import until
from tests.program.in_process import METER, SWITCH, shown, write
from tests.program.process import running as running_program

pytestmark = pytest.mark.realtime

SERIALS = ("114181807700", "114181807701")


class RestoredSettings:
    """The settings of one start of the program."""

    def __init__(self, bus: BusAddress, clock: Callable[[], float]) -> None:
        self.settings = LocalSettings(bus, clock, retry_delays_s=(0.01,))
        self.controls = Controls(
            self.settings, State(), SERIALS, target_w=10.0, max_feed_in_w=800.0, surplus_soc_pct=90.0
        )
        self.meter = Device(self.settings, "shelly_34945470a1b2", "acload", 59)
        self._task = asyncio.create_task(self.settings.run())

    async def ready(self) -> None:
        await self.controls.asked()
        await self.meter.asked()

    def value(self, key: str) -> object:
        if key == "role":
            return self.meter.kind
        return self.meter.name if key == "name" else self._named[key].value

    @property
    def _named(self) -> dict[str, Control]:
        return {control.setting.path.rpartition("/")[2]: control for control in self.controls._all()}

    def keys(self) -> list[str]:
        return ["role", "name", *self._named]

    def paths(self) -> dict[str, str]:
        """Where localsettings keeps them."""
        controls = {key: control.setting.path for key, control in self._named.items()}
        return {"role": self.meter._place.path, "name": self.meter._name.path, **controls}

    def set(self, key: str, rng: random.Random) -> None:
        if key == "role":
            self.meter.become(rng.choice(["acload", "grid"]))
        elif key == "name":
            self.meter.rename(rng.choice(["", "Barn", "Cellar"]))
        else:
            control = self._named[key]
            low, high = int(control.setting.shape.minimum or 0), int(control.setting.shape.maximum or 0)
            control.take(rng.randint(low, high))

    async def write_due(self, now_s: float) -> None:
        """Wait until localsettings has what is due."""
        self.settings._wake.set()
        all_settings = self.settings._settings.values()
        await until(
            lambda: all(
                setting.kept is not None
                and setting.written is None
                and (setting.write_limiter.next_s is None or setting.write_limiter.next_s > now_s)
                for setting in all_settings
            )
        )

    async def lose(self, localsettings: SettingsProcess) -> None:
        """Let localsettings start anew."""
        localsettings.stop()
        await until(lambda: not self.settings._owner)
        localsettings.start()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def be_killed(self) -> None:
        connection, self.settings._connection = self.settings._connection, None
        assert connection is not None
        connection.end("the power is cut")
        await self.stop()


def quiet_s(key: str) -> float:
    if key in {"role", "name"}:
        return NAME_QUIET_S
    return SWITCH_QUIET_S if key == "Regulation" or key.startswith("opendtu_") else QUIET_S


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_is_set_and_whenever_it_ends_the_last_shown_comes_back(
    daemon, localsettings: SettingsProcess, seed: int
) -> None:
    rng, time = random.Random(seed), Clock()
    localsettings.start()
    program = RestoredSettings(daemon.address, time)
    await program.ready()
    keys = program.keys()
    set_at_s = dict.fromkeys(keys, float("-inf"))
    restarts = 0
    for _ in range(120):
        what = rng.choices(["set", "wait", "stop", "kill", "settings restart"], [60, 25, 6, 5, 4])[0]
        if what == "set":
            key = rng.choice(keys)
            program.set(key, rng)
            set_at_s[key] = time.now_s
        elif what == "wait":
            time.now_s += rng.choice([0.5, 4.0, 6.0, 11.0, 61.0, 601.0])
            await program.write_due(time.now_s)
        elif what == "settings restart":
            await program.lose(localsettings)
            await program.write_due(time.now_s)
            set_at_s = {key: max(at_s, time.now_s) for key, at_s in set_at_s.items()}  # what waits, waits anew
        else:
            last = {key: program.value(key) for key in keys}
            await (program.stop() if what == "stop" else program.be_killed())
            kept = {key: localsettings.values[path] for key, path in program.paths().items()}
            program = RestoredSettings(daemon.address, time)
            await program.ready()
            restarts += 1
            for key in keys:
                is_due = what == "stop" or time.now_s >= set_at_s[key] + quiet_s(key)
                assert not is_due or program.value(key) == last[key], (what, key)
                assert program.value(key) == (kept[key].partition(":")[0] if key == "role" else kept[key]), (what, key)
            set_at_s = dict.fromkeys(keys, float("-inf"))
    await program.stop()
    assert restarts >= 4


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP])
async def test_the_program_brings_back_what_was_set_seconds_before_it_was_told_to_end(
    devices: Devices, client: Client, daemon, localsettings: SettingsProcess, tmp_path: Path, end: signal.Signals
) -> None:
    localsettings.start()
    config = devices.config(tmp_path, bus=str(daemon.address))

    async def there() -> None:
        for name in (METER, SWITCH):
            while await shown(client, name, "/DeviceInstance") is None:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.02)

    async with running_program("--config", config) as process:
        await there()
        await until(lambda: sum(devices.limits_w) > 200)
        for path, value in (("/MaxFeedIn", 430), ("/GridTarget", -25), ("/MaxFeedIn", 700), ("/GridTarget", 15)):
            await write(client, METER, path, value)
        for value in (0, 1, 0, 1, 0, 1):
            await write(client, SWITCH, "/Regulation", value)
        await write(client, SWITCH, f"/SwitchableOutput/opendtu_{TWO_SERIALS[0]}/State", 0)
        process.send_signal(end)
        assert await process.wait() == 0
    first = f"Inverters/opendtu_{TWO_SERIALS[0]}"
    kept = {path.removeprefix(f"{FOLDER}/"): value for path, value in localsettings.values.items()}
    assert {"MaxFeedIn": 700, "GridTarget": 15, "Regulation": 1, first: 0}.items() <= kept.items()
    async with running_program("--config", config):
        await there()
        assert [await shown(client, METER, path) for path in ("/MaxFeedIn", "/GridTarget", "/Regulation")] == [
            700,
            15,
            1,
        ]
        assert await shown(client, SWITCH, f"/SwitchableOutput/opendtu_{TWO_SERIALS[0]}/State") == 0
