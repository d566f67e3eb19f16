"""Values that localsettings keeps, with a localsettings that comes, goes and is written to by others."""

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
from dbus_next.constants import MessageType
from dbus_next.message import Message
from dbus_next.signature import Variant

from opendtu_dcload.venus.bus.bus_address import BusAddress, UnixAddress
from opendtu_dcload.venus.bus.connection import connected
from opendtu_dcload.venus.bus.item import Item
from opendtu_dcload.venus.gx.localsettings import LocalSettings, Setting
from opendtu_dcload.venus.gx.write_limiter import WriteLimiter
from tests.doubles.until import until

pytestmark = pytest.mark.realtime

NAME = "com.victronenergy.settings"
PATH = "/Settings/OpenDtuDcload/MaxFeedIn"


class KeptSettings:
    """The settings of one start of the program, and a clock to turn by hand."""

    def __init__(self, bus: BusAddress, default: int = 800) -> None:
        self.now_s = 0.0
        self.settings = LocalSettings(bus, lambda: self.now_s, retry_delays_s=(0.01,))
        self.heard: list[object] = []
        self.feed_in = self.add(PATH, Item(kind=int, default=default, minimum=0, maximum=default))

    def add(self, path: str, shape: Item) -> Setting:
        write_limiter = WriteLimiter(600.0)
        return self.settings.keep(Setting(path, shape, write_limiter, lambda: self.heard.append(self.feed_in.value)))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.settings.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def later(self, seconds: float) -> None:
        self.now_s += seconds
        self.settings._wake.set()


async def test_a_value_is_kept_after_ten_quiet_minutes_and_restored_at_the_next_start(daemon, localsettings):
    localsettings.start()
    first = KeptSettings(daemon.address)
    async with first.running():
        await first.settings.asked([first.feed_in])
        assert (first.feed_in.value, first.feed_in.kept) == (800, 800)
        for watts in (500, 450, 400):
            first.settings.write(first.feed_in, watts)
            first.later(599)
        await asyncio.sleep(0.02)
        assert localsettings.written == []
        first.later(1)
        await until(lambda: first.feed_in.kept == 400)
        assert localsettings.written == [(PATH, 400)]
    second = KeptSettings(daemon.address)
    async with second.running():
        await second.settings.asked([second.feed_in])
        assert second.feed_in.value == 400
        assert second.heard == [400]
    assert localsettings.written == [(PATH, 400)]


async def test_what_was_changed_back_is_not_written(daemon, localsettings):
    localsettings.start()
    program = KeptSettings(daemon.address)
    async with program.running():
        await program.settings.asked([program.feed_in])
        program.settings.write(program.feed_in, 500)
        program.settings.write(program.feed_in, 800)
        program.later(10_000)
        await asyncio.sleep(0.02)
    assert localsettings.written == []


async def test_a_file_that_was_edited_moves_a_value_that_nobody_chose_and_bounds_one_that_somebody_did(
    daemon, localsettings
):
    localsettings.start()
    before = KeptSettings(daemon.address, default=800)
    async with before.running():
        await before.settings.asked([before.feed_in])
    raised = KeptSettings(daemon.address, default=1200)
    async with raised.running():
        await raised.settings.asked([raised.feed_in])
        assert raised.feed_in.value == 1200
        raised.settings.write(raised.feed_in, 1000)
        raised.later(600)
        await until(lambda: raised.feed_in.kept == 1000)
    lowered = KeptSettings(daemon.address, default=600)
    async with lowered.running():
        await lowered.settings.asked([lowered.feed_in])
        assert lowered.feed_in.value == 600
        lowered.later(600)
        await until(lambda: localsettings.values[PATH] == 600)


async def test_a_late_localsettings_gets_what_the_user_set_meanwhile_and_gives_the_rest(daemon, localsettings):
    localsettings.start()
    early = KeptSettings(daemon.address)
    other = early.add("/Settings/OpenDtuDcload/GridTarget", Item(kind=int, default=10, minimum=-500, maximum=500))
    async with early.running():
        await early.settings.asked([early.feed_in, other])
        early.settings.write(other, 77)
        early.later(600)
        await until(lambda: other.kept == 77)
    localsettings.stop()
    program = KeptSettings(daemon.address)
    other = program.add("/Settings/OpenDtuDcload/GridTarget", Item(kind=int, default=10, minimum=-500, maximum=500))
    async with program.running():
        await program.settings.asked([program.feed_in, other])
        assert (program.feed_in.value, other.value) == (800, 10)
        program.settings.write(program.feed_in, 300)
        program.later(5000)
        localsettings.start()
        await until(lambda: other.value == 77)
        assert program.feed_in.value == 300
        program.later(600)
        await until(lambda: localsettings.values[PATH] == 300)


async def test_a_localsettings_that_restarts_before_the_write_gets_it_afterwards(daemon, localsettings):
    localsettings.start()
    program = KeptSettings(daemon.address)
    async with program.running():
        await program.settings.asked([program.feed_in])
        program.settings.write(program.feed_in, 300)
        localsettings.stop()
        program.later(700)
        await until(lambda: not program.settings._owner)
        localsettings.start()
        await until(lambda: PATH in program.settings._agreed)
        assert program.feed_in.value == 300
        program.later(600)
        await until(lambda: localsettings.values[PATH] == 300)


async def test_a_bus_that_restarts_is_asked_again(daemon, localsettings):
    localsettings.start()
    program = KeptSettings(daemon.address)
    async with program.running():
        await program.settings.asked([program.feed_in])
        before = program.settings._connection
        localsettings.stop()
        daemon.stop()
        daemon.start()
        localsettings.start()
        program.settings.write(program.feed_in, 300)
        await until(lambda: program.settings._connection is not before and PATH in program.settings._agreed)
        program.later(600)
        await until(lambda: localsettings.values[PATH] == 300)


async def test_without_localsettings_the_defaults_hold_and_the_log_says_so_once(daemon, caplog):
    caplog.set_level(logging.INFO)
    program = KeptSettings(daemon.address)
    async with program.running():
        await program.settings.asked([program.feed_in])
        assert program.feed_in.was_asked.is_set()
        program.settings.write(program.feed_in, 300)
        for _ in range(3):
            program.later(1000)
            await asyncio.sleep(0.01)
        assert program.feed_in.value == 300
    assert caplog.text.count("com.victronenergy.settings does not answer") == 1
    assert "WARNING" not in caplog.text


async def test_without_a_bus_nobody_waits_long(monkeypatch):
    monkeypatch.setattr("opendtu_dcload.venus.gx.localsettings.WAIT_S", 0.01)
    program = KeptSettings(UnixAddress("/nowhere"))
    async with program.running():
        await program.settings.asked([program.feed_in])
        assert program.feed_in.value == 800


async def test_a_localsettings_that_hangs_holds_nobody_up(daemon, localsettings, monkeypatch):
    monkeypatch.setattr("opendtu_dcload.venus.gx.localsettings.WAIT_S", 0.05)
    localsettings.start()
    localsettings.pause()
    program = KeptSettings(daemon.address)
    async with program.running():
        await program.settings.asked([program.feed_in])
        assert not program.feed_in.was_asked.is_set()
        program.settings.write(program.feed_in, 300)
        assert program.feed_in.value == 300
        localsettings.go_on()
        await program.settings.asked([program.feed_in])
        await until(lambda: program.feed_in.kept == 800)
        assert program.feed_in.value == 300


async def test_what_others_write_into_localsettings_holds_here_too(daemon, client, localsettings):
    localsettings.start()
    program = KeptSettings(daemon.address)
    async with program.running():
        await program.settings.asked([program.feed_in])
        program.settings.write(program.feed_in, 700)
        assert (await client.call(NAME, PATH, "SetValue", "v", ["i", 250]))["ok"] == ["i", 0]
        await until(lambda: program.feed_in.value == 250)
        assert program.heard == [250]
        program.later(1000)
        await asyncio.sleep(0.02)
        assert localsettings.values[PATH] == 250


async def test_a_value_set_while_the_one_before_is_being_written_is_not_undone_by_the_echo(daemon, localsettings):
    localsettings.start()
    program = KeptSettings(daemon.address)
    async with program.running():
        await program.settings.asked([program.feed_in])
        program.settings.write(program.feed_in, 500)
        localsettings.pause()
        program.later(600)
        await until(lambda: program.feed_in.written == 500)
        program.settings.write(program.feed_in, 333)
        localsettings.go_on()
        await until(lambda: program.feed_in.kept == 500 and program.feed_in.written is None)
        assert program.feed_in.value == 333
        program.later(600)
        await until(lambda: program.feed_in.kept == 333)
    assert program.heard == []


async def test_a_setting_of_another_type_there_is_left_alone(daemon, client, localsettings, caplog):
    localsettings.start()
    stranger = KeptSettings(daemon.address)
    stranger.settings._settings.clear()
    stranger.add(PATH, Item(kind=str, default="a text"))
    async with stranger.running():
        await until(lambda: PATH in localsettings.values)
    program = KeptSettings(daemon.address)
    async with program.running():
        await program.settings.asked([program.feed_in])
        program.settings.write(program.feed_in, 300)
        program.later(1000)
        await asyncio.sleep(0.02)
        assert program.feed_in.value == 300
    assert localsettings.values[PATH] == "a text"
    assert caplog.text.count("refused, error -5") == 1


async def test_signals_of_strangers_change_nothing(daemon, client, localsettings):
    localsettings.start()
    program = KeptSettings(daemon.address)
    async with program.running():
        await program.settings.asked([program.feed_in])
        assert program.settings._connection is not None
        to = program.settings._connection.unique_name
        await client.do("emit", name=to, path=PATH, member="PropertiesChanged", value=["i", 1])
        await client.do("emit", name=to, path="/", member="NameOwnerChanged", value=["i", 1])
        await client.call(NAME, PATH, "SetValue", "v", ["i", 200])
        await until(lambda: program.feed_in.value == 200)
    assert program.heard == [200]


async def test_malformed_signals_under_the_name_of_localsettings_are_one_line_and_change_nothing(
    daemon, client, caplog
):
    caplog.set_level(logging.WARNING)
    program = KeptSettings(daemon.address)
    async with program.running(), connected(daemon.address) as stranger:
        await stranger.request_name(NAME)
        await until(lambda: program.settings._owner == stranger.unique_name)
        value = {"Value": Variant("ai", [])}
        odd: list[tuple[str, str, list[Any]]] = [
            ("PropertiesChanged", "", []),
            ("PropertiesChanged", "i", [7]),
            ("PropertiesChanged", "v", [Variant("i", 7)]),
            ("PropertiesChanged", "a{sv}", [value]),
            ("PropertiesChanged", "a{sv}", [{"Value": Variant("a{sv}", {"Value": Variant("d", math.nan)})}]),
            ("ItemsChanged", "", []),
            ("ItemsChanged", "as", [[PATH]]),
            ("ItemsChanged", "a{sv}", [{PATH: Variant("i", 7)}]),
            ("ItemsChanged", "a{si}", [{PATH: 7}]),
            ("ItemsChanged", "a{sa{sv}}", [{PATH: value, "/": {}}]),
        ]
        for member, signature, body in odd * 20:
            stranger.send(
                Message(
                    message_type=MessageType.SIGNAL,
                    path=PATH if member == "PropertiesChanged" else "/",
                    interface="com.victronenergy.BusItem",
                    member=member,
                    signature=signature,
                    body=body,
                )
            )
        await stranger.release_name(NAME)
        await until(lambda: not program.settings._owner)
    assert program.heard == []
    [told] = caplog.records
    assert "cannot be read" in told.getMessage()
    assert told.exc_info is None


async def test_a_localsettings_that_was_away_for_seconds_is_told_to_be_away_and_to_be_back(
    daemon, localsettings, caplog
):
    caplog.set_level(logging.INFO, "opendtu_dcload.venus.gx.localsettings")
    localsettings.start()
    program = KeptSettings(daemon.address)
    async with program.running():
        await program.settings.asked([program.feed_in])
        localsettings.stop()
        await until(lambda: not program.settings._owner)
        program.settings.write(program.feed_in, 300)
        program.later(1)
        localsettings.start()
        await until(lambda: PATH in program.settings._agreed)
        program.later(600)
        await until(lambda: localsettings.values[PATH] == 300)
    assert [record.getMessage() for record in caplog.records] == [
        f"{NAME} is away: what is set on the GX holds, and is kept when it is back",
        f"{NAME} is there: what was set meanwhile is kept",
    ]


# ---- the end


@pytest.mark.parametrize("quietly", [0.0, 20.0])
async def test_what_was_set_shortly_before_an_orderly_stop_is_kept(daemon, localsettings, quietly):
    localsettings.start()
    program = KeptSettings(daemon.address)
    async with program.running():
        await program.settings.asked([program.feed_in])
        program.settings.write(program.feed_in, 430)
        program.later(600)
        await until(lambda: program.feed_in.kept == 430)
        program.settings.write(program.feed_in, 700)
        program.later(quietly)
    assert localsettings.values[PATH] == 700


async def test_what_was_set_before_localsettings_was_asked_is_kept_by_an_orderly_stop(daemon, localsettings):
    program = KeptSettings(daemon.address)
    async with program.running():
        await until(lambda: program.settings._connection is not None)
        program.settings.write(program.feed_in, 700)
        localsettings.start()
    assert localsettings.values[PATH] == 700


async def test_a_write_that_the_stop_interrupts_is_done_again(daemon, localsettings):
    localsettings.start()
    program = KeptSettings(daemon.address)
    async with program.running():
        await program.settings.asked([program.feed_in])
        program.settings.write(program.feed_in, 500)
        localsettings.pause()
        program.later(600)
        await until(lambda: program.feed_in.written == 500)
        program.settings.write(program.feed_in, 333)
        asyncio.get_running_loop().call_later(0.05, localsettings.go_on)
    assert localsettings.values[PATH] == 333


async def test_a_localsettings_that_hangs_does_not_hold_up_the_end(daemon, localsettings, monkeypatch):
    monkeypatch.setattr("opendtu_dcload.venus.gx.localsettings.STOP_WAIT_S", 0.05)
    localsettings.start()
    program = KeptSettings(daemon.address)
    async with program.running():
        await program.settings.asked([program.feed_in])
        program.settings.write(program.feed_in, 500)
        localsettings.pause()
    localsettings.go_on()
