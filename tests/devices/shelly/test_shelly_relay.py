"""The relay's client against simulated Shellies and against devices that behave as none should."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from pydantic import SecretStr

from opendtu_dcload.config import parse_config
from opendtu_dcload.devices.shelly.shelly_relay import ShellyRelay
from opendtu_dcload.errors import (
    ConfigError,
    DeviceAnswerError,
    DeviceAuthError,
    DeviceConnectionError,
    DeviceError,
    DeviceRefusedError,
)
from opendtu_dcload.sim.plant.house import House, InverterModel
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.servers.shelly_gen2 import Gen2Server
from opendtu_dcload.sim.servers.shelly_server import Gen1Server, ShellyServer
from tests.doubles.fake_device import FakeDevice, Settings, running_device

GEN1 = {"type": "SHSW-PM", "mac": "C45BBE5F0A11", "auth": False}
GEN2 = {"id": "shellyplus1pm-a0dd6c112233", "mac": "A0DD6C112233", "gen": 2, "model": "SNSW-001P16EU", "auth_en": False}
CONFIG = {
    "meter": {"host": "meter"},
    "opendtu": {"host": "dtu", "password": "secret"},
    "inverter": [{"serial": "1124a0000001"}],
    "battery": {"min_voltage_v": 48.0},
}
SAFE1 = {"default_state": "off", "auto_on": 0.0, "ison": False}
SAFE2 = {"id": 0, "initial_state": "off", "auto_on": False}


@pytest.fixture(params=["gen1", "gen2", "gen1 with password", "gen2 with password"])
async def simulated(request: pytest.FixtureRequest) -> AsyncIterator[tuple[ShellyServer, ShellyRelay]]:
    dtu = SimDtu(House([300.0], [InverterModel("1124a0000001", "HMS")]))
    password = "s3cret" if "password" in request.param else None
    server: ShellyServer
    if "gen1" in request.param:
        server = Gen1Server(dtu, lambda: dtu.house.now_s, device="1pm", password=password, latency_s=0)
    else:
        server = Gen2Server(dtu, lambda: dtu.house.now_s, device="plus1pm", password=password, latency_s=0)
    async with server, aiohttp.ClientSession() as session:
        login = Settings(server.host, password=SecretStr(password) if password else None)
        yield server, ShellyRelay(login, 0, session)


@pytest.fixture
async def fake() -> AsyncIterator[tuple[FakeDevice, ShellyRelay]]:
    async with running_device() as (device, session):
        yield device, ShellyRelay(Settings(device.host), 0, session)


async def test_armed_it_is_on_and_opens_when_nobody_arms_it_again(simulated):
    server, relay = simulated
    assert not (await relay.read()).is_on
    status = await relay.arm(300)
    assert (status.is_on, status.has_timer) == (True, True)
    server.dtu.advance(299.0)
    assert (await relay.read()).is_on
    server.dtu.advance(301.0)
    assert not (await relay.read()).is_on


async def test_arming_it_again_begins_the_time_anew(simulated):
    server, relay = simulated
    await relay.arm(300)
    server.dtu.advance(200.0)
    await relay.arm(300)
    server.dtu.advance(499.0)
    assert (await relay.read()).is_on


async def test_it_opens_when_told(simulated):
    server, relay = simulated
    await relay.arm(300)
    assert not (await relay.open()).is_on
    server.dtu.advance(400.0)
    assert not (await relay.read()).is_on, "for good"


async def test_a_relay_that_stays_off_after_a_power_cut_is_taken(simulated):
    _, relay = simulated
    assert await relay.verify() in {"SHSW-PM", "SNSW-001P16EU"}


@pytest.mark.parametrize("power_on", ["on", "last", "restore_last", "switch", "match_input", ""])
async def test_a_relay_that_may_be_on_after_a_power_cut_is_refused(simulated, power_on):
    server, relay = simulated
    server.power_on = power_on
    with pytest.raises(ConfigError, match="set its power-on state to off"):
        await relay.arm(300)
    assert not server.relay.is_on


async def test_a_relay_that_switches_itself_on_is_refused(simulated):
    server, relay = simulated
    server.power_on = "on"
    server.auto_on_s = 60.0
    with pytest.raises(ConfigError) as caught:
        await relay.verify()
    assert len(caught.value.problems) == 2
    assert "auto on" in caught.value.problems[1]


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        pytest.param("/settings/relay/0", {"ison": False}, id="no settings"),
        pytest.param("/settings/relay/0", {**SAFE1, "auto_on": "0"}, id="auto on is no number"),
        pytest.param("/settings/relay/0", {**SAFE1, "auto_on": None}, id="auto on is null"),
        pytest.param("/settings/relay/0", {**SAFE1, "default_state": 0}, id="the state is no word"),
        pytest.param("/settings/relay/0", [], id="a list"),
    ],
)
async def test_what_is_not_known_to_be_safe_is_not(fake, path, answer):
    device, relay = fake
    device.answers |= {"/shelly": GEN1, path: answer}
    with pytest.raises(ConfigError):
        await relay.verify()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"ison": False, "has_timer": False}, id="still off"),
        pytest.param({"ison": True, "has_timer": False}, id="on without its timer"),
    ],
)
async def test_a_first_generation_that_does_not_obey_is_told_of(fake, answer):
    device, relay = fake
    device.answers |= {"/shelly": GEN1, "/settings/relay/0": SAFE1, "/relay/0?turn=on&timer=300": answer}
    with pytest.raises(DeviceRefusedError, match="was told to be on for 300 s and is"):
        await relay.arm(300)


@pytest.mark.parametrize(
    "answer", [{"output": False}, {"output": True}, {"output": True, "timer_duration": 0}], ids=str
)
async def test_a_later_generation_that_does_not_obey_is_told_of(fake, answer):
    device, relay = fake
    device.answers |= {
        "/shelly": GEN2,
        "/rpc/Switch.GetConfig?id=0": SAFE2,
        "/rpc/Switch.Set?id=0&on=true&toggle_after=300": {"was_on": False},
        "/rpc/Switch.GetStatus?id=0": answer,
    }
    with pytest.raises(DeviceRefusedError):
        await relay.arm(300)


async def test_a_relay_that_does_not_open_is_told_of(fake):
    device, relay = fake
    still_on = {"ison": True, "has_timer": True}
    device.answers |= {"/shelly": GEN1, "/settings/relay/0": SAFE1, "/relay/0?turn=off": still_on}
    with pytest.raises(DeviceRefusedError, match="was told to be off and is on"):
        await relay.open()


@pytest.mark.parametrize("answer", [{}, {"ison": 1}, {"ison": "true"}, {"output": True}, []], ids=str)
async def test_an_answer_without_a_relay_is_no_state(fake, answer):
    device, relay = fake
    device.answers |= {"/shelly": GEN1, "/settings/relay/0": SAFE1, "/relay/0": answer}
    with pytest.raises(DeviceAnswerError, match=r"correct relay\.output"):
        await relay.read()


async def test_a_device_without_that_output_is_told_of(fake):
    device, relay = fake
    device.answers |= {"/shelly": GEN2}
    with pytest.raises(DeviceError):
        await relay.verify()


async def test_a_missing_password_is_told_of_before_anything_is_asked(fake):
    device, relay = fake
    device.answers |= {"/shelly": {**GEN1, "auth": True}}
    with pytest.raises(DeviceAuthError, match=r"set relay\.password"):
        await relay.verify()
    assert device.paths == ["/shelly"]


async def test_a_relay_that_is_not_there_is_one_error():
    async with aiohttp.ClientSession() as session:
        with pytest.raises(DeviceConnectionError, match=r"check relay\.host"):
            await ShellyRelay(Settings("127.0.0.1:1"), 0, session).read()


async def test_the_relay_of_an_add_on_has_its_own_number():
    """Vendor: https://shelly-api-docs.shelly.cloud/gen2/Addons/ShellyProOutputAddon, for a Pro 3EM."""
    config = parse_config({**CONFIG, "relay": {"host": "meter", "output": 100}})
    assert config.relay is not None
    async with running_device() as (device, session):
        device.answers = {
            "/shelly": {**GEN2, "model": "SPEM-003CEBEU"},
            "/rpc/Switch.GetConfig?id=100": {**SAFE2, "id": 100},
            "/rpc/Switch.Set?id=100&on=true&toggle_after=300": {"was_on": False},
            "/rpc/Switch.GetStatus?id=100": {"id": 100, "output": True, "timer_duration": 300.0},
        }
        status = await ShellyRelay(Settings(device.host), config.relay.output, session).arm(300)
    assert (status.is_on, status.has_timer) == (True, True)
