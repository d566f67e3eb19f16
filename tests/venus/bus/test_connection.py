"""What a bus can do to a service, and that the service survives it."""

import asyncio
import contextlib
import functools
import logging
import socket
import struct

import pytest
from dbus_next.errors import SignatureBodyMismatchError
from dbus_next.message import Message

from opendtu_dcload.errors import BusError, NameTakenError
from opendtu_dcload.venus.bus.bus_address import TcpAddress, UnixAddress
from opendtu_dcload.venus.bus.busitem import BusService
from opendtu_dcload.venus.bus.connection import connected, stay_connected
from tests.doubles.until import until
from tests.venus.bus.bad_bus import (
    DBUS,
    MAX_GAP_S,
    NAME,
    folder,
    full_backlog,
    nothing_is_left_to_the_garbage,
    open_descriptors,
    peer,
    service,
    ticking,
    warnings_of,
)
from tests.venus.running import running

__all__ = ["folder", "nothing_is_left_to_the_garbage", "service"]  # fixtures


async def test_the_service_comes_back_with_a_restarted_bus(service, daemon, caplog):
    caplog.set_level(logging.INFO)
    async with running(service):
        daemon.stop()
        await until(lambda: not service.is_online)
        service.update({"/Ac/Power": 5.0})  # nobody hears it, nothing breaks
        await asyncio.sleep(0.05)  # some attempts find nobody
        daemon.start()
        await until(lambda: service.is_online)
        async with connected(daemon.address) as other:
            [items] = await other.call(NAME, "/", "com.victronenergy.BusItem", "GetItems")
        assert items["/Ac/Power"]["Value"].value == 5.0
        came, lost, back = caplog.messages
        assert came == f"{NAME}: on the bus {daemon.address}"
        assert lost.startswith(f"D-Bus: connection to {daemon.address} lost: ")
        assert back == f"D-Bus: connection to {daemon.address} is back"


async def test_what_all_connections_see_is_told_once(daemon, caplog):
    caplog.set_level(logging.INFO)
    names = [f"{NAME}{number}" for number in range(9)]
    services = [BusService(name, daemon.address, retry_delays_s=(0.01,)) for name in names]
    async with running(*services):
        daemon.stop()
        await until(lambda: not any(service.is_online for service in services))
        daemon.start()
        await until(lambda: all(service.is_online for service in services))
    *came, lost, back = caplog.messages
    assert sorted(came) == [f"{name}: on the bus {daemon.address}" for name in names]
    assert lost.startswith(f"D-Bus: connection to {daemon.address} lost: ")
    assert back == f"D-Bus: connection to {daemon.address} is back"


async def test_a_hundred_reconnects_leave_no_descriptor_behind(daemon):
    starts = 0

    async def start(connection):
        nonlocal starts
        starts += 1
        await connection.request_name(NAME)
        connection._bus._sock.shutdown(socket.SHUT_RDWR)

    def has_reached(goal: int) -> bool:
        return starts >= goal

    count = []
    task = asyncio.create_task(stay_connected(NAME, daemon.address, start, (0.0,)))
    for goal in (3, 103):
        await until(functools.partial(has_reached, goal))
        count.append(open_descriptors())
    task.cancel()
    assert abs(count[1] - count[0]) <= 1  # one connection is just being made or ended


async def test_a_hundred_failing_attempts_leave_no_descriptor_behind(folder):
    before = open_descriptors()
    with socket.create_server(str(folder / "bus"), family=socket.AF_UNIX) as server:
        for _ in range(50):
            with pytest.raises(BusError, match="no answer"):
                async with connected(UnixAddress(str(folder / "bus")), timeout_s=0.001):
                    pass
            server.accept()[0].close()
    for _ in range(50):
        with pytest.raises(BusError, match="connection refused"):
            async with connected(UnixAddress(str(folder / "bus"))):
                pass
    assert open_descriptors() == before


async def test_a_tcp_address_whose_syn_is_not_answered_does_not_stall_the_loop():
    with contextlib.ExitStack() as stack:
        server = full_backlog(socket.AF_INET, ("127.0.0.1", 0), stack)
        async with ticking() as longest:
            with pytest.raises(BusError, match=r"no answer from tcp:host=127\.0\.0\.1,port=\d+ in 0\.1 s"):
                async with connected(TcpAddress(*server.getsockname()), timeout_s=0.1):
                    pass
        assert longest[0] < MAX_GAP_S


async def test_a_unix_socket_with_a_full_backlog_is_no_connection(folder):
    """asyncio itself takes it for connected, the first byte shows that it is not."""
    path = str(folder / "bus")
    with contextlib.ExitStack() as stack:
        full_backlog(socket.AF_UNIX, path, stack)
        async with ticking() as longest:
            with pytest.raises(BusError, match="not connected"):
                async with connected(UnixAddress(path), timeout_s=0.1):
                    pass
        assert longest[0] < MAX_GAP_S


@pytest.mark.parametrize(
    ("speech", "message"),
    [
        (b"", "no answer"),
        (b"OK", "no answer"),
        (b"OK 0123456789abcdef\r\n", "no answer"),  # and then no answer to Hello
        (b"REJECTED EXTERNAL\r\n", "authentication failed: REJECTED"),
        (b"220 mail.example ESMTP\r\n", "'220' is not a valid"),
        (b"\xff\xfe\r\n", "can't decode"),
        (b"x" * 5000, "not a D-Bus daemon"),
        (b"OK 0123456789abcdef\r\n" + b"\xff" * 64, "Expecting endianness"),
    ],
    ids=["silence", "half a line", "no hello", "refused", "mail server", "no ascii", "endless line", "garbage"],
)
async def test_a_peer_that_is_no_bus_costs_one_timeout_at_most(folder, speech, message):
    async def talk(reader, writer):
        writer.write(speech)
        await reader.read()

    async with peer(folder, talk) as address, ticking() as longest:
        with pytest.raises(BusError, match=message):
            async with connected(address, timeout_s=0.1):
                pass
    assert longest[0] < MAX_GAP_S


@pytest.mark.parametrize("speech", [b"", b"OK 0123456789abcdef\r\n"], ids=["in the login", "after the login"])
async def test_a_peer_that_hangs_up_does_not_spin_the_loop(folder, speech):
    async def hang_up(reader, writer):
        await reader.readexactly(1)
        writer.write(speech)

    async with peer(folder, hang_up) as address, ticking() as longest:
        with pytest.raises(BusError, match="no connection to unix:path="):
            async with connected(address):
                pass
    assert longest[0] < MAX_GAP_S


async def test_a_peer_that_resets_the_connection_is_only_an_error():
    async def reset(reader, writer):
        await reader.readuntil(b"\r\n")
        writer.write(b"OK 0123456789abcdef\r\n")
        await reader.readuntil(b"BEGIN\r\n")
        no_goodbye = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_goodbye)
        writer.close()

    async with await asyncio.start_server(reset, "127.0.0.1") as server:
        address = TcpAddress(*server.sockets[0].getsockname())
        with pytest.raises(BusError, match="connection reset by peer"):
            async with connected(address):
                pass


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (lambda hello: Message.new_error(hello, "org.example.LimitsExceeded", "too many connections"), "too many"),
        (Message.new_method_return, "index out of range"),
        (lambda hello: Message.new_method_return(hello, "i", [5]), ": 5$"),
    ],
    ids=["refused", "empty", "number"],
)
async def test_a_hello_without_a_name_is_no_connection(folder, answer, problem):
    async def greet(reader, writer):
        await reader.readuntil(b"\r\n")
        writer.write(b"OK 0123456789abcdef\r\n")
        await reader.readuntil(b"BEGIN\r\n")
        await reader.read(1)
        reply = answer(Message(path="/", member="Hello", serial=1))
        reply.serial = 1
        writer.write(bytes(reply._marshall()))
        await reader.read()

    async with peer(folder, greet) as address:
        with pytest.raises(BusError, match=f"no connection to unix:path=.*{problem}"):
            async with connected(address):
                pass


async def test_a_missing_bus_is_reported_once_and_tried_for_ever(folder, caplog):
    path = folder / "bus"
    service = BusService(NAME, UnixAddress(str(path)), retry_delays_s=(0.001,))
    task = asyncio.create_task(service.run())
    await asyncio.sleep(0.05)
    assert not task.done()
    task.cancel()
    assert warnings_of(caplog) == [f"D-Bus: no connection to unix:path={path}: no such file or directory; trying again"]


async def test_tcp_logs_in_anonymously(daemon):
    async with connected(daemon.tcp_address) as connection:
        await connection.request_name(NAME)
        [owner] = await connection.call(*DBUS, "GetNameOwner", "s", [NAME])
        assert owner == connection.unique_name


async def test_the_bus_may_forbid_a_name(daemon):
    async with connected(daemon.address) as connection:
        with pytest.raises(BusError, match=r"RequestName refused, org\.freedesktop\.DBus\.Error\.AccessDenied"):
            await connection.request_name("com.victronenergy.forbidden")


async def test_a_name_in_use_is_an_error_of_its_own(daemon):
    async with connected(daemon.address) as first, connected(daemon.address) as second:
        await first.request_name(NAME)
        with pytest.raises(NameTakenError, match=f"{NAME} belongs to another process"):
            await second.request_name(NAME)
        [queued] = await first.call(*DBUS, "ListQueuedOwners", "s", [NAME])
        assert queued == [first.unique_name]


async def test_a_call_that_nobody_answers_ends_and_leaves_nothing_behind(daemon):
    async with connected(daemon.address) as silent, connected(daemon.address) as caller:
        silent._bus._loop.remove_reader(silent._bus._fd)
        with pytest.raises(BusError, match=r"no answer to Sleep in 0\.01 s"):
            await caller.call(silent.unique_name, "/", "com.example.Bed", "Sleep", timeout_s=0.01)
        assert caller._bus._method_return_handlers == {}


async def test_calls_end_with_the_connection(daemon):
    async with connected(daemon.address) as silent, connected(daemon.address) as caller:
        silent._bus._loop.remove_reader(silent._bus._fd)
        call = asyncio.create_task(caller.call(silent.unique_name, "/", "com.example.Bed", "Sleep"))
        await asyncio.sleep(0.01)
        daemon.stop()
        with pytest.raises(BusError, match="no answer to Sleep"):
            await call
        with pytest.raises(BusError, match="has ended"):
            await caller.call(*DBUS, "ListNames")
        caller.send(Message.new_signal("/", "com.example.Bed", "Creaks"))  # silent


async def test_arguments_that_do_not_fit_are_a_mistake_of_ours(daemon):
    async with connected(daemon.address) as connection:
        with pytest.raises(SignatureBodyMismatchError):
            await connection.call(*DBUS, "GetNameOwner", "s", [5])
        assert connection.is_open


@pytest.fixture
def pauses(monkeypatch):
    """Note the pauses between attempts instead of making them; the fifth ends the test."""
    noted = []
    sleep = asyncio.sleep

    async def note(delay_s):
        noted.append(delay_s)
        if len(noted) == 5:
            raise asyncio.CancelledError
        await sleep(0)

    monkeypatch.setattr("opendtu_dcload.venus.bus.connection.asyncio.sleep", note)
    return noted


async def test_the_pauses_grow_and_the_last_one_repeats(folder, pauses):
    with pytest.raises(asyncio.CancelledError):
        await BusService(NAME, UnixAddress(str(folder / "bus")), retry_delays_s=(1, 2, 5)).run()
    assert pauses == [1, 2, 5, 5, 5]


@pytest.mark.parametrize(("stable_after_s", "expected"), [(60.0, [1, 2, 5, 5, 5]), (0.0, [1, 1, 1, 1, 1])])
async def test_the_pauses_begin_again_only_after_a_connection_that_lasted(
    daemon, pauses, monkeypatch, stable_after_s, expected
):
    async def start(connection):
        connection._bus._sock.shutdown(socket.SHUT_RDWR)

    monkeypatch.setattr("opendtu_dcload.venus.bus.connection._STABLE_AFTER_S", stable_after_s)
    with pytest.raises(asyncio.CancelledError):
        await stay_connected(NAME, daemon.address, start, (1, 2, 5))
    assert pauses == expected
