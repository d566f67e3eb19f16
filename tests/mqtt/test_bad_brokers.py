"""Brokers that die, hang, refuse, lie and flood: the regulation goes on, and the log has one line for each change."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from opendtu_dcload.mqtt import broker as connection
from opendtu_dcload.mqtt import mqtt_task
from tests.doubles.devices import Devices
from tests.doubles.mosquitto import PASSWORD, USER, Mosquitto, make_certificates, reader
from tests.doubles.until import until
from tests.mqtt.conftest import in_process
from tests.program.in_process import InProcess

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning"),  # paho leaves closing to Python
]

AVAILABILITY = "opendtu-dcload/availability"
PLANT = "opendtu-dcload/plant"
TARGET = "opendtu-dcload/plant/set/grid_target_w"

Told = Callable[[], Sequence[str]]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    """What the log was told of the broker, without its address."""
    caplog.set_level("INFO", "opendtu_dcload")

    def lines() -> list[str]:
        found = [record.getMessage() for record in caplog.records if "MQTT" in record.getMessage()]
        assert not [record for record in caplog.records if record.exc_info]
        assert not [line for line in found if PASSWORD in line or "wr0ng" in line]
        return [line.partition("127.0.0.1:")[2].partition(" ")[2] for line in found]

    return lines


async def regulates(plant: InProcess, load_w: float) -> None:
    """Let the house draw something else, and wait until the inverters give it."""
    plant.house.load_w = [load_w]
    await until(lambda: plant.holds(0) and abs(sum(plant.limits_w) - load_w) < 60)


async def test_a_broker_that_dies_and_comes_back_is_found_again(plant: InProcess, broker: Mosquitto, told: Told):
    async with plant.program():
        await until(lambda: len(told()) == 1)
        broker.kill()
        await regulates(plant, 200.0)
        await until(lambda: len(told()) == 2)
        await regulates(plant, 300.0)
        await broker.start()
        async with reader(broker) as home:
            await until(lambda: PLANT in home.latest and home.latest.get(AVAILABILITY) == "online")
            await home.write(TARGET, "100")
            await until(lambda: home.latest[PLANT]["grid_target_w"] == 100)
        connected, lost, again = told()
        assert connected == again == "is told everything under opendtu-dcload"
        assert lost.startswith("does not answer (")


async def test_a_broker_that_was_never_there_is_one_line(
    devices: Devices, broker: Mosquitto, tmp_path: Path, impatient: None, told: Told
):
    broker.kill()
    plant = in_process(devices, tmp_path, broker)
    async with plant.program():
        await regulates(plant, 200.0)
        await asyncio.sleep(1)
        (line,) = told()
        assert line.startswith("does not answer (")


async def test_a_broker_that_hangs_holds_nothing_up(
    plant: InProcess, broker: Mosquitto, told: Told, monkeypatch: pytest.MonkeyPatch
):
    async with reader(broker) as home, plant.program():
        await until(lambda: PLANT in home.latest and plant.holds(0))
        broker.send(signal.SIGSTOP)
        monkeypatch.setattr(connection, "ANSWER_S", 1.0)
        requests = plant.dtu.counters.limits
        await regulates(plant, 200.0)
        await until(lambda: len(told()) == 2)
        before = open_files()
        await regulates(plant, 350.0)
        await asyncio.sleep(4)
        assert plant.dtu.counters.limits > requests
        assert open_files() <= before + 5
        broker.send(signal.SIGCONT)
        await until(lambda: len(told()) == 3)
    assert told()[1].startswith("does not answer (")


async def test_a_program_that_ends_does_not_wait_for_a_broker_that_hangs(
    plant: InProcess, broker: Mosquitto, told: Told
):
    async with plant.program():
        await until(lambda: len(told()) == 1 and plant.holds(0))
        broker.send(signal.SIGSTOP)
        ended_s = asyncio.get_running_loop().time()
    took_s = asyncio.get_running_loop().time() - ended_s
    assert took_s < 10
    await until(lambda: plant.limits_w == [20, 20])
    broker.send(signal.SIGCONT)


@pytest.mark.parametrize("login", [{"user": USER, "password": "wr0ng"}, {"user": "nobody", "password": PASSWORD}, {}])
async def test_a_broker_that_refuses_the_password_is_one_line(
    devices: Devices, tmp_path: Path, impatient: None, told: Told, login: dict[str, Any]
):
    broker = Mosquitto(tmp_path, has_password=True)
    await broker.start()
    plant = in_process(devices, tmp_path, broker, **login)
    async with plant.program():
        await regulates(plant, 200.0)
        await until(lambda: len(told()) == 1)
        await asyncio.sleep(1)
        assert told() == ["refuses user and password; write those it knows as mqtt.user and mqtt.password; tried again"]
    broker.kill()


async def test_the_right_password_is_taken(devices: Devices, tmp_path: Path, impatient: None, told: Told):
    broker = Mosquitto(tmp_path, has_password=True)
    await broker.start()
    plant = in_process(devices, tmp_path, broker, user=USER, password=PASSWORD)
    async with reader(broker, username=USER, password=PASSWORD) as home, plant.program():
        await until(lambda: PLANT in home.latest)
    broker.kill()


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"tls": True, "ca_file": "ours/ca.pem"}, "is told everything under opendtu-dcload"),
        ({"tls": True, "ca_file": "theirs/ca.pem"}, "has a certificate that is not trusted ("),
        ({"tls": True}, "has a certificate that is not trusted ("),
        ({}, "does not answer ("),
    ],
    ids=["our CA", "another CA", "the computer's CAs", "without TLS"],
)
async def test_a_certificate_is_looked_at(
    devices: Devices, tmp_path: Path, impatient: None, told: Told, settings: dict[str, Any], line: str
):
    ours, _ = make_certificates(tmp_path, "ours"), make_certificates(tmp_path, "theirs")
    broker = Mosquitto(tmp_path, certificates=ours)
    await broker.start()
    if "ca_file" in settings:
        settings = settings | {"ca_file": str(tmp_path / settings["ca_file"])}
    plant = in_process(devices, tmp_path, broker, **settings)
    async with plant.program():
        await regulates(plant, 200.0)
        await until(lambda: len(told()) == 1)
        await asyncio.sleep(0.5)
        assert [said.startswith(line) for said in told()] == [True]
    broker.kill()


async def test_a_certificate_for_another_name_is_refused(
    devices: Devices, tmp_path: Path, impatient: None, caplog: pytest.LogCaptureFixture
):
    ours = make_certificates(tmp_path, "ours")
    broker = Mosquitto(tmp_path, certificates=ours)
    await broker.start()
    plant = in_process(devices, tmp_path, broker, host="127.0.0.2", tls=True, ca_file=str(ours / "ca.pem"))
    broker.kill()
    broker.config.write_text(broker.config.read_text().replace("127.0.0.1", "127.0.0.2"))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(2):
            await broker.start()
    async with plant.program():
        await until(lambda: "not trusted (" in caplog.text)
    broker.kill()


async def test_a_flood_ends_the_session_and_is_told_once(plant: InProcess, broker: Mosquitto, told: Told, monkeypatch):
    monkeypatch.setattr(mqtt_task, "MOST_PER_S", 20)
    async with reader(broker) as home, plant.program():
        await until(lambda: len(told()) == 1)
        flooding = asyncio.create_task(_flood(home.client, TARGET))
        await until(lambda: len(told()) == 2)
        await regulates(plant, 200.0)
        flooding.cancel()
        floods = [line for line in told() if "messages a second" in line]
        assert set(floods) == {"sends more than 20 messages a second; tried again"}
        assert len(floods) <= mqtt_task.MOST_TOLD
        assert len(told()) <= 4


async def _flood(client: Any, topic: str) -> None:
    for number in itertools.count():
        await client.publish(topic, f"x{number}", qos=0)


async def test_a_message_beyond_measure_never_arrives(plant: InProcess, broker: Mosquitto, told: Told):
    async with reader(broker) as home, plant.program():
        await until(lambda: PLANT in home.latest)
        await home.write(TARGET, b"7" * 20_000_000)
        await home.write(TARGET, "90")
        await until(lambda: home.latest[PLANT]["grid_target_w"] == 90)
        assert len(told()) == 1


# ---- what is no broker


CONNACK = bytes([0x20, 3, 0, 0, 0])
SUBACK_TYPE = 0x90


@contextlib.asynccontextmanager
async def saying(port: int, *parts: bytes, has_to_hear: bool = True) -> AsyncIterator[list[int]]:
    """Listen in the place of a broker, and say something to everybody who connects."""
    connections: list[int] = []
    talks: set[asyncio.StreamWriter] = set()

    async def talk(stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        talks.add(writer)
        with contextlib.suppress(OSError):
            if has_to_hear:
                await stream.read(1000)
            for part in parts:
                writer.write(part)
                await writer.drain()
            await stream.read()

    server = await asyncio.start_server(talk, "127.0.0.1", port)
    try:
        yield connections
    finally:
        server.close()
        for writer in talks:
            writer.close()


GARBAGE = {
    "nothing": (),
    "HTTP": (b"HTTP/1.1 400 Bad Request\r\n\r\n",),
    "zeros": (bytes(1000),),
    "ones": (b"\xff" * 1000,),
    "an old CONNACK": (bytes([0x20, 2, 0, 1]),),
    "a cut CONNACK": (bytes([0x20, 1, 0]),),
    "a message too early": (bytes([0x30, 5, 0, 1, 0x61, 0, 0x62]),),
    "a message without a topic": (CONNACK, bytes([0x30, 0])),
    "a topic that is no text": (CONNACK, bytes([0x30, 5, 0, 2, 0xFF, 0xFE, 0])),
    "an answer nobody asked for": (CONNACK, bytes([SUBACK_TYPE, 4, 0, 99, 0, 0])),
    "a second CONNACK": (CONNACK, CONNACK, CONNACK),
    "random": (CONNACK, bytes((7 * number * number) % 256 for number in range(5000))),
    "a length of 256 MB": (CONNACK, b"\x30\xff\xff\xff\x7f" + bytes(100_000)),
}


@pytest.mark.parametrize("name", GARBAGE)
async def test_what_is_no_broker_is_one_line_and_tried_again(
    devices: Devices, broker: Mosquitto, tmp_path: Path, short_of_time: None, told: Told, name: str
):
    broker.kill()
    plant = in_process(devices, tmp_path, broker)
    async with saying(broker.port, *GARBAGE[name]) as connections, plant.program():
        await until(lambda: len(connections) >= 3 and len(told()) >= 1)
        await regulates(plant, 200.0)
        assert len(set(told())) == len(told()) <= 2
        assert all(line.isprintable() and line.endswith("; tried again") for line in told())


async def test_a_packet_beyond_measure_is_left_before_it_is_there(impatient: None):
    class Paho:
        _in_packet = {"remaining_length": connection.LARGEST_BYTES + 1}  # noqa: RUF012  a stand-in that nobody changes

    class Client:
        _client = Paho()

    with pytest.raises(connection.BrokerError, match="beyond measure"):
        connection.check_packet(Client())  # type: ignore[arg-type]  # a stand-in
