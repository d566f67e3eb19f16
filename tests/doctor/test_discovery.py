"""`init` that finds the devices: by their announcements, by asking the network, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from opendtu_dcload.config import load_config
from opendtu_dcload.devices.http import open_session
from opendtu_dcload.doctor.search import network
from opendtu_dcload.doctor.search.network import Kind, Network, is_local, own_network, sweep
from opendtu_dcload.sim.servers.http_server import Faults
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from opendtu_dcload.sim.servers.shelly_gen2 import Gen2Server
from opendtu_dcload.sim.servers.shelly_server import Gen1Server
from tests.doctor.plant import plant
from tests.doctor.terminal import Terminal, at_terminal
from tests.doubles import avahi
from tests.doubles.devices import PASSWORD, SERIALS
from tests.doubles.message_bus import Daemon

pytestmark = pytest.mark.realtime

NOBODY = "127.0.0.9:1"
NO_BUS = "unix:path=/no/bus"
IN_A_NETWORK = """
import sys
from ipaddress import IPv4Address
from opendtu_dcload import cli
from opendtu_dcload.doctor.search import device_search, network
places = tuple((IPv4Address(host.split(":")[0]), int(host.split(":")[1])) for host in sys.argv[1].split(",") if host)
device_search.own_network = lambda: network.Network("127.0.0.0/24", places) if places else None
sys.exit(cli.main(sys.argv[2:]))
"""


@contextlib.asynccontextmanager
async def init_in(hosts: Sequence[str], path: Path, bus: str = NO_BUS) -> AsyncIterator[Terminal]:
    arguments = (",".join(hosts), "init", "--config", path)
    async with at_terminal(*arguments, program=IN_A_NETWORK, DBUS_SYSTEM_BUS_ADDRESS=bus) as terminal:
        yield terminal


async def answer_the_rest(terminal: Terminal) -> None:
    await terminal.answer("Admin password of the OpenDTU", PASSWORD)
    await terminal.answer("Which of them are on the battery?", "")
    await terminal.answer("Battery voltage", "")
    await terminal.answer("Write it so?", "")
    assert await terminal.end() == 0
    assert "Traceback" not in terminal.said


@pytest.mark.skipif(avahi.DAEMON is None, reason="avahi-daemon is missing (Debian: avahi-daemon)")
async def test_devices_that_announce_themselves_are_offered_and_five_answers_do(tmp_path: Path, daemon: Daemon):
    path = tmp_path / "config.toml"
    async with contextlib.AsyncExitStack() as stack:
        devices = await stack.enter_async_context(plant())
        bus = await stack.enter_async_context(avahi.avahi(daemon, tmp_path))
        em = await stack.enter_async_context(Gen1Server(devices.dtu, devices.clock, device="em"))
        plug = await stack.enter_async_context(Gen1Server(devices.dtu, devices.clock, device="1pm"))
        for name, kind, host in (
            ("shellypro3em-a0dd6c112233", "_shelly._tcp", devices.meter.host),
            ("shellypro3em-a0dd6c112233", "_http._tcp", devices.meter.host),
            ("shellyem-c45bbe", "_http._tcp", em.host),
            ("SHELLY1PM-\x1b[2J", "_http._tcp", plug.host),
            ("a printer", "_http._tcp", NOBODY),
            ("shelly-that-has-gone", "_shelly._tcp", NOBODY),
            ("shelly-of-the-internet", "_shelly._tcp", "192.0.2.7:80"),
            ("OpenDTU-123456", "_opendtu._tcp", devices.opendtu.host),
        ):
            await avahi.announce(bus, name, kind, host)
        async with init_in([], path, str(daemon.address)) as terminal:
            await terminal.hear("devices that announce themselves: 4 Shelly, 1 OpenDTU")
            await terminal.hear("(SHSW-PM) counts no returned energy")
            await terminal.hear("channel 0: grid 50")
            await terminal.answer("Which one measures the grid?", "99")
            await terminal.hear('"99" is none of them')
            (line,) = [line for line in terminal.said.splitlines() if "SPEM-003CEBEU" in line]
            await terminal.answer("Which one measures the grid?", line.split()[0])
            await answer_the_rest(terminal)
            assert "\x1b[2J" not in terminal.said
            assert "192.0.2.7" not in terminal.said
            assert terminal.answers == 5 + 1, "one of them was wrong"
    config = load_config(path)
    assert (config.meter.host, config.dtus[0].host) == (devices.meter.host, devices.opendtu.host)
    assert [inverter.serial for inverter in config.inverters] == list(SERIALS)
    assert config.battery.min_voltage_v == 48


async def test_without_announcements_each_address_is_asked_once_the_user_agrees(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant() as devices:
        hosts = [NOBODY, devices.opendtu.host, devices.meter.host]
        async with init_in(hosts, path) as terminal:
            await terminal.hear("no avahi-daemon runs")
            question = "Enter = ask each of the 3 addresses of 127.0.0.0/24, without a password): "
            await terminal.hear(question)
            assert devices.meter.requests == devices.opendtu.requests == 0
            terminal.type(b"\n")
            await terminal.hear(f"Shelly in 127.0.0.0/24: {devices.meter.host}")
            await terminal.hear(f"OpenDTU in 127.0.0.0/24: {devices.opendtu.host}")
            await terminal.hear("that is the only one, so it is taken")
            await answer_the_rest(terminal)
            assert terminal.answers == 4, "and Enter at first: five in all"
    config = load_config(path)
    assert (config.meter.host, config.dtus[0].host) == (devices.meter.host, devices.opendtu.host)


async def test_where_nobody_is_found_the_addresses_are_typed(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant() as devices, init_in([NOBODY], path) as terminal:
        await terminal.answer("Enter = ask each of the 1 addresses", "")
        await terminal.hear("Shelly in 127.0.0.0/24: none")
        await terminal.answer("Address of the Shelly (gx = the GX's own grid meter): ", "", devices.meter.host)
        await terminal.answer("Address of OpenDTU: ", "", "127.0.0.9:1")
        await terminal.hear("OpenDTU at 127.0.0.9:1 cannot be reached")
        await terminal.answer("Address of OpenDTU: ", devices.opendtu.host)
        await answer_the_rest(terminal)
    assert load_config(path).meter.host == devices.meter.host


async def test_of_several_opendtus_one_is_chosen(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with (
        plant() as devices,
        OpenDtuServer(devices.dtu, devices.clock) as other,
        init_in([devices.opendtu.host, other.host, devices.meter.host], path) as terminal,
    ):
        await terminal.answer("Enter = ask each of the 3 addresses", "")
        await terminal.hear("several OpenDTUs answer; one is set up here, the others are added by hand")
        place = 1 + sorted([devices.opendtu.host, other.host], key=lambda h: int(h.split(":")[1])).index(
            devices.opendtu.host
        )
        await terminal.answer("Which OpenDTU?", str(place))
        await answer_the_rest(terminal)
    assert load_config(path).dtus[0].host == devices.opendtu.host


async def test_a_locked_shelly_is_shown_no_password_before_it_is_chosen(tmp_path: Path):
    path = tmp_path / "config.toml"
    async with (
        plant() as devices,
        Gen2Server(devices.dtu, devices.clock, password="of-the-shelly") as shelly,
        init_in([devices.opendtu.host, shelly.host], path) as terminal,
    ):
        await terminal.answer("Enter = ask each", "")
        await terminal.hear(f"a Shelly at {shelly.host} that wants its password")
        await terminal.answer(f"Password of the Shelly at {shelly.host}", "of-the-shelly")
        await answer_the_rest(terminal)
    password = load_config(path).meter.password
    assert password is not None
    assert password.get_secret_value() == "of-the-shelly"


# ---- whoever answers ------------------------------------------------------------------------------------------------


def network_of(*hosts: str) -> Network:
    pairs = [host.split(":") for host in hosts]
    return Network("127.0.0.0/24", tuple((IPv4Address(address), int(port)) for address, port in pairs))


@contextlib.asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """Somebody who says the same to everybody, and goes on listening."""

    end = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            await end.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        end.set()
        server.close()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/shelly\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n<html><body>Hi</body></ht>",
        HEAD + b"Content-Length: 4\r\n\r\nnull",
        HEAD + b"Content-Length: 2\r\n\r\n[]",
        HEAD + b'Content-Length: 30\r\n\r\n{"mac":"\xff\xfe","model":"\xff","x":1}',
        HEAD + b"Content-Length: 100000000\r\n\r\n" + b"[" * 20_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b"[" * 0x1000 + b"\r\n" * 1,
        HEAD + b"Content-Length: 40\r\n\r\n" + b"[" * 39,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
    ],
)
async def test_a_hostile_answer_costs_nothing_and_hides_nobody(answer: bytes):
    async with plant() as devices, answering(answer) as host, open_session() as session:
        hosts = network_of(*[host] * 5, devices.meter.host, devices.opendtu.host)
        found = await sweep(hosts, list(Kind), session)
    assert {device.host for device in found} == {devices.meter.host, devices.opendtu.host}


async def test_the_whole_takes_no_longer_than_it_may_and_what_was_found_is_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(network, "ONE_S", 3600.0)
    monkeypatch.setattr(network, "WHOLE_S", 1.0)
    async with plant() as devices, answering(b"") as host, open_session() as session:
        found = await sweep(network_of(devices.meter.host, *[host] * 300), list(Kind), session)
    assert [device.host for device in found] == [devices.meter.host]


async def test_no_more_than_so_many_are_asked_at_once_and_none_is_shown_a_password():
    async with plant() as devices, open_session() as session:
        devices.opendtu.faults = Faults(delay_s=0.2)
        await sweep(network_of(*[devices.opendtu.host] * 200), [Kind.OPENDTU], session)
        assert devices.opendtu.max_in_flight <= network.IN_FLIGHT
        assert set(devices.opendtu.asked) == {"GET /api/system/status"}


def test_only_a_private_network_is_asked(monkeypatch: pytest.MonkeyPatch):
    class Sock:
        def __init__(self, *_: object) -> None:
            pass

        def connect(self, _: object) -> None:
            if own is None:
                raise OSError("no route")

        def getsockname(self) -> tuple[str | None, int]:
            return own, 1

        def close(self) -> None:
            pass

    monkeypatch.setattr("socket.socket", Sock)
    own: str | None
    for own, name in (("192.168.1.7", "192.168.1.0/24"), ("10.1.2.3", "10.1.2.0/24"), ("172.31.0.9", "172.31.0.0/24")):
        found = own_network()
        assert found is not None
        assert found.name == name
        assert len(found.places) == 253
        assert (IPv4Address(own), 80) not in found.places
    for other in ("8.8.8.8", "192.0.2.1", "100.64.0.1", "172.32.0.1", "127.0.0.1", None):
        own = other
        assert own_network() is None


def test_only_addresses_at_home_are_believed():
    assert [is_local(IPv4Address(a)) for a in ("192.168.1.2", "127.0.0.5", "169.254.3.4", "192.0.2.9", "8.8.8.8")] == [
        True,
        True,
        True,
        False,
        False,
    ]


async def test_a_bus_without_avahi_is_said_to_be_one(daemon: Daemon, tmp_path: Path):
    path = tmp_path / "config.toml"
    async with plant() as devices, init_in([devices.meter.host], path, str(daemon.address)) as terminal:
        await terminal.hear("announcements of devices cannot be heard here")
