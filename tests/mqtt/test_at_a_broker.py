"""The whole program at a real Mosquitto: what Home Assistant finds, sees and sets there."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
from itertools import pairwise
from pathlib import Path

import pytest

from opendtu_dcload.app import run
from opendtu_dcload.config import parse_config
from tests.doubles.devices import SERIALS, Devices
from tests.doubles.mosquitto import Mosquitto, reader
from tests.doubles.until import until
from tests.mqtt.conftest import in_process
from tests.program.in_process import InProcess
from tests.program.process import running

pytestmark = pytest.mark.realtime

AVAILABILITY = "opendtu-dcload/availability"
PLANT = "opendtu-dcload/plant"
FIRST = f"opendtu-dcload/inverter/{SERIALS[0]}"
TARGET = "opendtu-dcload/plant/set/grid_target_w"
REGULATION = "opendtu-dcload/plant/set/regulation"
BIRTH = "homeassistant/status"


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "MQTT" in record.getMessage()]


async def test_entities_appear_and_their_state_is_that_of_the_plant(plant: InProcess, broker: Mosquitto):
    async with reader(broker) as home, plant.program():
        await until(lambda: plant.holds(0) and abs(home.latest.get(PLANT, {}).get("grid_power_w") or 999) < 40)
        assert home.latest[AVAILABILITY] == "online"
        await until(lambda: home.latest[PLANT]["output_w"] == pytest.approx(300, abs=60))
        state = home.latest[PLANT]
        assert state["reason"] == "regulating"
        await until(lambda: home.latest[FIRST]["ac_power_w"] is not None and home.latest[FIRST]["commands"] > 0)
        configs = {topic: config for topic, config in home.latest.items() if topic.endswith("/config")}
        assert {config["state_topic"] for config in configs.values()} <= home.latest.keys()
        assert {config["device"]["name"] for config in configs.values()} == {"Feed-in control", "HMS 1", "HMS 2"}
    async with reader(broker) as late:
        await until(lambda: len(late.latest) > len(configs))
        kept = {topic for topic, _, is_kept in late.came if is_kept}
        assert kept == configs.keys() | {AVAILABILITY}, "no state is kept"
        assert late.latest[AVAILABILITY] == "offline"


async def test_commands_act_and_what_is_wrong_is_refused_with_one_line(
    plant: InProcess, broker: Mosquitto, caplog: pytest.LogCaptureFixture
):
    async with reader(broker) as home, plant.program():
        await until(lambda: plant.holds(0))
        await home.write(TARGET, "150")
        await until(lambda: plant.holds(150) and home.latest[PLANT]["grid_target_w"] == 150)
        for payload in ("much", "", b"\xff", b"1" * 10_000, "NaN"):
            await home.write(TARGET, payload)
        await home.write("opendtu-dcload/plant/set/max_feed_in_w", "60")
        await until(lambda: home.latest[PLANT]["max_feed_in_w"] == 60 and sum(plant.limits_w) <= 60)
        await home.write("opendtu-dcload/plant/set/max_feed_in_w", "99999")
        await home.write(f"{FIRST}/set/enabled", "0")
        await until(lambda: plant.limits_w[0] == 0 and plant.holds(150))
        await home.write(REGULATION, "0")
        await until(lambda: plant.limits_w == [0, 20] and home.latest[PLANT]["reason"] == "switched off by the user")
        assert home.latest[PLANT]["grid_target_w"] == 150
    (refused,) = [line for line in lines(caplog) if "refused" in line]
    assert "grid_target_w" in refused


async def test_a_command_that_was_kept_or_sent_before_does_not_act_at_a_start(plant: InProcess, broker: Mosquitto):
    async with reader(broker) as home:
        await home.write(REGULATION, "0", retain=True)
        await home.write(TARGET, "400", retain=True)
        await home.write(TARGET, "300")
        async with plant.program():
            await until(lambda: PLANT in home.latest and plant.holds(0))
            assert (home.latest[PLANT]["regulation"], home.latest[PLANT]["grid_target_w"]) == (1, 0)
            await home.write(TARGET, "100")
            await until(lambda: home.latest[PLANT]["grid_target_w"] == 100)
        home.latest.clear()
        async with plant.program():  # nobody keeps it without a GX
            await until(lambda: PLANT in home.latest and plant.holds(0))
            assert home.latest[PLANT]["grid_target_w"] == 0


async def test_home_assistant_is_told_everything_again_when_it_has_started(plant: InProcess, broker: Mosquitto):
    async with reader(broker) as home, plant.program():
        await until(lambda: PLANT in home.latest and FIRST in home.latest)
        told = home.latest.keys() - {BIRTH}
        home.latest.clear()
        await home.write(BIRTH, "online")
        await until(lambda: home.latest.keys() >= told)


async def test_nothing_is_told_that_has_not_changed(plant: InProcess, broker: Mosquitto):
    async with reader(broker) as home, plant.program():
        await until(lambda: plant.holds(0) and len(home.came) > 60)
    for topic in {topic for topic, _, _ in home.came}:
        payloads = [payload for other, payload, _ in home.came if other == topic]
        assert all(one != other for one, other in pairwise(payloads)), topic


async def test_who_only_reads_is_told_and_cannot_be_set(devices: Devices, broker: Mosquitto, tmp_path: Path, impatient):
    plant = in_process(devices, tmp_path, broker)
    del plant.table["inverter"]
    async with reader(broker) as home, plant.program():
        await until(lambda: home.latest.get(PLANT, {}).get("grid_power_w") is not None)
        await home.write(REGULATION, "0")
        assert "regulation" not in home.latest[PLANT]


async def test_after_a_kill_the_last_will_says_it(devices: Devices, broker: Mosquitto, tmp_path: Path):
    more = f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
    async with reader(broker) as home:
        async with running("--config", devices.config(tmp_path, more=more)) as program:
            await until(lambda: home.latest.get(AVAILABILITY) == "online" and PLANT in home.latest)
            program.send_signal(signal.SIGKILL)
            await until(lambda: home.latest[AVAILABILITY] == "offline")
        async with running("--config", devices.config(tmp_path, more=more)) as program:
            await until(lambda: home.latest[AVAILABILITY] == "online")
            home.latest.pop(PLANT, None)
            await until(lambda: PLANT in home.latest)
            program.send_signal(signal.SIGTERM)
            _, log = await program.communicate()
            assert program.returncode == 0, log
            await until(lambda: home.latest[AVAILABILITY] == "offline")
    assert log.count(b"MQTT broker") == 1
    assert b"WARNING" not in log


async def test_it_ends_at_once_whatever_it_is_doing(plant: InProcess, broker: Mosquitto):
    async with reader(broker) as home:
        for _ in range(20):
            home.latest.clear()
            task = asyncio.create_task(run(parse_config(plant.table), plant.folder))
            await until(lambda: home.latest.get(AVAILABILITY) == "online")
            await asyncio.sleep(random.uniform(0.0, 0.05))
            os.kill(os.getpid(), signal.SIGTERM)
            async with asyncio.timeout(10):
                await task
            await until(lambda: home.latest[AVAILABILITY] == "offline")


async def test_set_points_of_a_second_sender_the_newest_wins(plant: InProcess, broker: Mosquitto):
    async with reader(broker) as home, reader(broker) as other, plant.program():
        await until(lambda: PLANT in home.latest)
        for value in range(0, 100, 10):
            await home.write(TARGET, str(value), qos=0)
            await other.write(TARGET, str(-value), qos=0)
        await other.write(TARGET, "77")
        await until(lambda: home.latest[PLANT]["grid_target_w"] == 77)
        await asyncio.sleep(0.5)
        assert json.loads([payload for topic, payload, _ in home.came if topic == PLANT][-1])["grid_target_w"] == 77


async def test_it_is_told_once_where_it_is_connected(
    plant: InProcess, broker: Mosquitto, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    async with reader(broker) as home, plant.program():
        await until(lambda: PLANT in home.latest and plant.holds(0))
    assert lines(caplog) == [f"MQTT broker 127.0.0.1:{broker.port} is told everything under opendtu-dcload"]
