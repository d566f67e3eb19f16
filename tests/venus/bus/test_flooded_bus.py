"""Bursts, floods and a bus that takes nothing: the service answers, or lets go of it."""

import asyncio
import collections
import errno
import tempfile

from dbus_next.message import Message
from dbus_next.signature import SignatureTree

from opendtu_dcload.venus.bus.connection import connected
from tests.doubles.until import until
from tests.venus.bus.bad_bus import (
    MAX_GAP_S,
    NAME,
    nothing_is_left_to_the_garbage,
    open_descriptors,
    service,
    ticking,
    warnings_of,
)
from tests.venus.running import running

__all__ = ["nothing_is_left_to_the_garbage", "service"]  # fixtures


async def test_a_client_that_pipelines_calls_without_reading_gets_every_answer(service, client):
    """More than the send buffer holds, which ends a bare dbus-next connection."""
    async with running(service), ticking() as longest:
        connection = service._connection
        await client.do("flood", name=NAME, path="/", member="GetItems", count=500)
        await until(lambda: len(client.flooded) == 500)
        assert set(client.flooded) == {"MethodReturnMessage"}
        assert service._connection is connection
        assert connection.is_open
    assert longest[0] < MAX_GAP_S


async def test_a_burst_of_signals_survives_a_full_send_buffer(service, daemon, client):
    async with running(service):
        connection = service._connection
        for number in range(1500):
            service.update({"/Ac/Power": float(number)})
        assert await client.get(NAME, "/Ac/Power") == ["d", 1499.0]
        last = ["d", 1499.0]
        while (await client.signal())["body"][0]["/Ac/Power"]["Value"] != last:
            pass
        assert connection.is_open


async def test_a_bus_that_takes_nothing_any_more_is_left_and_found_again(service, caplog):
    async with running(service):
        connection = service._connection
        connection._bus._writer.sock = Deaf()
        for number in range(2100):
            service.update({"/Ac/Power": float(number)})
        await until(lambda: service._connection is not connection and service.is_online)
        [message] = warnings_of(caplog)
        assert "the bus leaves 2001 messages waiting" in message


async def test_a_write_that_fails_is_a_lost_connection_and_nothing_else(service, caplog):
    async with running(service):
        connection = service._connection
        connection._bus._writer.sock = Broken()
        service.update({"/Ac/Power": 1.0})
        await until(lambda: service._connection is not connection and service.is_online)
        [message] = warnings_of(caplog)
        assert "lost: broken pipe" in message


class Broken:
    """A socket whose peer has gone."""

    def send(self, _chunk):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


class Deaf:
    """A socket whose peer reads nothing."""

    def send(self, _chunk):
        return 0


async def test_a_burst_of_calls_leaves_the_event_loop_its_turns(daemon, client):
    turn = 0
    answered_in = []

    async def count_turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    def answer(call):
        answered_in.append(turn)
        return Message.new_method_return(call)

    async with connected(daemon.address) as connection:
        connection.answer_calls(answer)
        await connection.request_name(NAME)
        counter = asyncio.create_task(count_turns())
        await client.do("flood", name=NAME, path="/", member="GetItems", count=500)
        await until(lambda: len(client.flooded) == 500)
        counter.cancel()
    assert len(answered_in) == 500
    assert max(collections.Counter(answered_in).values()) <= 20


async def test_what_clients_send_does_not_fill_a_cache_without_end(service, client):
    async with running(service):
        for length in range(1, 520):
            SignatureTree._get("i" * (length % 255) + "s" * (length // 255))
        assert len(SignatureTree._cache) > 500
        await client.get(NAME, "/Ac/Power")
        assert len(SignatureTree._cache) < 100


async def test_nothing_is_done_to_a_descriptor_that_was_closed(daemon):
    async with connected(daemon.address) as connection:
        descriptor = connection._bus._fd
    with tempfile.TemporaryFile() as other:
        connection.send(Message.new_signal("/", "com.example.Bed", "Creaks"))
        assert not asyncio.get_running_loop().remove_writer(descriptor), other


async def test_a_huge_message_is_not_taken_apart(service, daemon, client, caplog):
    async with running(service), ticking() as longest:
        await client.do("notify", name=NAME, path="/", member="SetValue", signature="s", args=[["s", "x" * 1_000_000]])
        await until(lambda: bool(warnings_of(caplog)))
        await until(lambda: service.is_online)
        assert "somebody sent a message of 1000" in warnings_of(caplog)[0]
    assert longest[0] < MAX_GAP_S


async def test_ending_a_service_closes_its_socket_and_frees_the_name(service, daemon):
    before = open_descriptors()
    async with running(service):
        pass
    assert open_descriptors() == before
    async with connected(daemon.address) as other:
        await other.request_name(NAME)
