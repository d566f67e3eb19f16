"""The protocol as clients see it that share no code with ours: dbus-python and dbus-send."""

import asyncio
import logging
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from dbus_next.constants import MessageType

from opendtu_dcload.venus.bus.busitem import INTERFACE, BusService
from opendtu_dcload.venus.bus.item import Item
from tests.doubles.until import until
from tests.venus.running import running

pytestmark = pytest.mark.realtime

NAME = "com.victronenergy.dcload.test_1"
UNKNOWN_METHOD = "org.freedesktop.DBus.Error.UnknownMethod"
UNKNOWN_OBJECT = "org.freedesktop.DBus.Error.UnknownObject"


class Written:
    """What a service's writeable items act on."""

    def __init__(self) -> None:
        self.written: list[float] = []

    def take(self, value: float) -> float:
        self.written.append(value)
        return min(value, 800.0)

    def refuse(self, value: float) -> None:
        self.written.append(value)

    def fail(self, value: float) -> None:
        raise RuntimeError(f"a secret about {value}")


@pytest.fixture
def plant():
    return Written()


@pytest.fixture
def service(daemon, plant):
    service = BusService(NAME, daemon.address, retry_delays_s=(0.01,))
    service.add("/DeviceInstance", Item(kind=int, value=134))
    service.add("/ProductName", Item(kind=str, value="Inverter"))
    service.add("/Dc/0/Voltage", Item(kind=float, value=51.234, unit="V"))
    service.add("/Dc/0/Power", Item(kind=float, unit="W", digits=0))
    service.add("/AllowedRoles", Item(kind=list, value=["acload", "grid"]))
    service.add(
        "/Max",
        Item(kind=float, value=600, unit="W", digits=0, on_write=plant.take, minimum=0, maximum=1000, default=500),
    )
    service.add("/Refused", Item(kind=int, value=1, on_write=plant.refuse))
    service.add("/Broken", Item(kind=int, value=1, on_write=plant.fail))
    return service


@pytest.mark.parametrize("interface", [None, INTERFACE], ids=["without interface", "with interface"])
async def test_a_leaf_tells_value_text_and_limits(service, client, interface):
    async with running(service):
        for path, member, expected in [
            ("/DeviceInstance", "GetValue", ["i", 134]),
            ("/DeviceInstance", "GetText", ["s", "134"]),
            ("/Dc/0/Voltage", "GetValue", ["d", 51.23]),
            ("/Dc/0/Voltage", "GetText", ["s", "51.23V"]),
            ("/Dc/0/Power", "GetValue", ["ai", []]),
            ("/Dc/0/Power", "GetText", ["s", "---"]),
            ("/AllowedRoles", "GetValue", ["as", ["acload", "grid"]]),
            ("/Max", "GetMin", ["d", 0.0]),
            ("/Max", "GetMax", ["d", 1000.0]),
            ("/Max", "GetDefault", ["d", 500.0]),
        ]:
            assert await client.call(NAME, path, member, interface=interface) == {"ok": expected}, (path, member)


async def test_the_root_tells_everything_at_once(service, client):
    async with running(service):
        items = (await client.call(NAME, "/", "GetItems"))["ok"]
        assert list(items) == list(service._items)
        assert items["/Dc/0/Power"] == {"Value": ["ai", []], "Text": ["s", "---"]}
        assert items["/Max"] == {
            "Value": ["d", 600.0],
            "Text": ["s", "600W"],
            "Min": ["d", 0.0],
            "Max": ["d", 1000.0],
            "Default": ["d", 500.0],
        }


async def test_inner_nodes_answer_with_the_tree_below(service, client):
    async with running(service):
        assert await client.get(NAME, "/Dc") == {"0/Voltage": ["d", 51.23], "0/Power": ["ai", []]}
        assert (await client.call(NAME, "/Dc/0", "GetText"))["ok"] == {
            "Voltage": ["s", "51.23V"],
            "Power": ["s", "---"],
        }
        assert set(await client.get(NAME, "/")) == {path[1:] for path in service._items}


@pytest.mark.parametrize("path", ["/Nothing", "/Dc/1", "/Dc/0/Voltage/Deeper", "/D"])
@pytest.mark.parametrize("member", ["GetValue", "GetText", "Introspect"])
async def test_a_path_that_does_not_exist_is_an_unknown_object(service, client, path, member):
    async with running(service):
        assert (await client.call(NAME, path, member))["error"] == UNKNOWN_OBJECT


@pytest.mark.parametrize(
    ("path", "member", "interface"),
    [
        ("/Max", "Explode", None),
        ("/Max", "GetItems", INTERFACE),
        ("/Dc", "GetItems", INTERFACE),
        ("/Dc", "SetValue", INTERFACE),
        ("/Dc/0/Voltage", "GetMin", INTERFACE),
        ("/Max", "GetValue", "com.example.Other"),
        ("/Max", "GetAll", "org.freedesktop.DBus.Properties"),
        ("/", "GetManagedObjects", "org.freedesktop.DBus.ObjectManager"),
    ],
)
async def test_what_nobody_offers_is_an_unknown_method(service, client, caplog, path, member, interface):
    async with running(service):
        assert (await client.call(NAME, path, member, interface=interface))["error"] == UNKNOWN_METHOD
        assert caplog.records == []


@pytest.mark.parametrize(
    ("signature", "argument"),
    [
        ("v", ["i", 250]),
        ("v", ["x", 250]),
        ("v", ["d", 250.0]),
        ("v", ["s", "250"]),
        ("i", ["i", 250]),
        ("x", ["x", 250]),
        ("d", ["d", 250.0]),
        ("s", ["s", "250"]),
    ],
)
async def test_set_value_takes_what_clients_send_and_publishes_at_once(service, client, plant, signature, argument):
    async with running(service):
        service._min_interval_s = 1e6
        service.update({"/Dc/0/Power": 1.0})  # the ordinary signal for this long
        await client.signal()
        assert await client.call(NAME, "/Max", "SetValue", signature, argument) == {"ok": ["i", 0]}
        changed = (await client.signal())["body"][0]
        assert {path: entry["Value"] for path, entry in changed.items()} == {"/Max": ["d", 250.0]}
        assert plant.written == [250.0]
        assert await client.get(NAME, "/Max") == ["d", 250.0]


async def test_the_callback_may_clamp_what_was_written(service, client, plant):
    async with running(service):
        assert await client.call(NAME, "/Max", "SetValue", "v", ["i", 1000]) == {"ok": ["i", 0]}
        assert plant.written == [1000.0]
        assert await client.get(NAME, "/Max") == ["d", 800.0]


async def test_writing_what_is_there_already_is_accepted_without_a_call(service, client, plant):
    async with running(service):
        assert await client.call(NAME, "/Max", "SetValue", "v", ["i", 600]) == {"ok": ["i", 0]}
        assert plant.written == []


@pytest.mark.parametrize(
    ("path", "signature", "argument", "code"),
    [
        ("/DeviceInstance", "v", ["i", 5], 1),
        ("/Max", "v", ["s", "much"], 1),
        ("/Max", "v", ["d", float("nan")], 1),
        ("/Max", "v", ["d", float("inf")], 1),
        ("/Max", "v", ["ai", []], 1),
        ("/Max", "ai", ["ai", []], 1),
        ("/Max", "v", ["a{sv}", {}], 1),
        ("/Max", "v", ["d", 1001.0], 2),
        ("/Max", "v", ["i", -1], 2),
        ("/Refused", "v", ["i", 5], 2),
    ],
)
async def test_set_value_refuses_with_the_code_of_the_protocol(service, client, path, signature, argument, code):
    async with running(service):
        before = await client.get(NAME, path)
        assert await client.call(NAME, path, "SetValue", signature, argument) == {"ok": ["i", code]}
        assert await client.get(NAME, path) == before


@pytest.mark.parametrize(("signature", "arguments"), [("", []), ("ii", [["i", 1], ["i", 2]])])
async def test_set_value_without_exactly_one_argument_is_an_error(service, client, signature, arguments):
    async with running(service):
        answer = await client.call(NAME, "/Max", "SetValue", signature, *arguments)
        assert answer["error"] == "org.freedesktop.DBus.Error.InvalidArgs"


async def test_an_exception_of_ours_is_logged_and_the_caller_learns_nothing_of_it(service, client, caplog):
    async with running(service):
        answer = await client.call(NAME, "/Broken", "SetValue", "v", ["i", 5])
        assert answer == {"error": "org.freedesktop.DBus.Error.Failed", "text": "internal error"}
        assert [record.message for record in caplog.records] == ["SetValue /Broken failed, please report this"]
        assert await client.get(NAME, "/Broken") == ["i", 1]


async def test_introspection_leads_to_every_item_and_its_methods(service, client):
    async with running(service):
        found = {}
        todo = ["/"]
        while todo:
            path = todo.pop()
            xml = (await client.call(NAME, path, "Introspect", interface="org.freedesktop.DBus.Introspectable"))["ok"][
                1
            ]
            tree = ET.fromstring(xml)
            [interface] = [entry for entry in tree.iter("interface") if entry.get("name") == INTERFACE]
            found[path] = {method.get("name") for method in interface.iter("method")}
            todo += [f"{path.rstrip('/')}/{node.get('name')}" for node in tree.findall("node")]
        assert set(found) == {*service._items, "/", "/Dc", "/Dc/0"}
        assert found["/"] == {"GetItems", "GetValue", "GetText"}
        assert found["/Dc"] == {"GetValue", "GetText"}
        assert found["/Dc/0/Power"] == {"GetValue", "GetText", "SetValue"}
        assert found["/Max"] == {"GetValue", "GetText", "SetValue", "GetMin", "GetMax", "GetDefault"}


async def test_a_proxy_made_by_introspection_works(service, client):
    """dbus-python wraps the argument in a variant because the introspection says so."""
    async with running(service):
        assert await client.do("proxy", name=NAME, path="/Max", member="SetValue", args=[5]) == {"ok": ["i", 0]}
        assert await client.do("proxy", name=NAME, path="/Max", member="GetValue", args=[]) == {"ok": ["d", 5.0]}


@pytest.mark.parametrize("interface", [None, "org.freedesktop.DBus.Peer"])
async def test_the_peer_calls_are_answered_again_and_again(service, client, interface):
    machine_id = next(
        (file for file in map(Path, ("/etc/machine-id", "/var/lib/dbus/machine-id")) if file.exists()), None
    )
    async with running(service):
        for _ in range(3):
            assert await client.call(NAME, "/", "Ping", interface=interface) == {"ok": None}
            answer = await client.call(NAME, "/", "GetMachineId", interface=interface)
            assert answer.get("ok") == (["s", machine_id.read_text().strip()] if machine_id else None)


async def test_an_update_is_one_signal_with_the_changed_paths_only(service, client):
    async with running(service):
        service.update({"/Dc/0/Voltage": 51.231, "/Dc/0/Power": 210.4, "/DeviceInstance": 134, "/ProductName": "New"})
        signal = await client.signal()
        assert signal.pop("sender").startswith(":")
        assert signal == {
            "signal": "ItemsChanged",
            "path": "/",
            "interface": INTERFACE,
            "no_reply": True,
            "body": [
                {
                    "/Dc/0/Power": {"Value": ["d", 210.0], "Text": ["s", "210W"]},
                    "/ProductName": {"Value": ["s", "New"], "Text": ["s", "New"]},
                },
            ],
        }


async def test_a_burst_of_updates_is_one_signal_now_and_one_later(service, client):
    service._min_interval_s = 0.1
    async with running(service):
        for power_w in range(500):
            service.update({"/Dc/0/Power": float(power_w)})
        first, second = await client.signal(), await client.signal()
        assert first["body"][0]["/Dc/0/Power"]["Value"] == ["d", 0.0]
        assert second["body"][0]["/Dc/0/Power"]["Value"] == ["d", 499.0]
        assert await client.get(NAME, "/Dc/0/Power") == ["d", 499.0]
        assert client.signals.empty()
        service.update({"/Dc/0/Power": 7.0})
        assert (await client.signal())["body"][0]["/Dc/0/Power"]["Value"] == ["d", 7.0]


async def test_an_urgent_update_does_not_wait_and_takes_the_rest_along(service, client):
    service._min_interval_s = 1e6
    async with running(service):
        service.update({"/Dc/0/Power": 1.0})
        service.update({"/Dc/0/Power": 2.0})
        service.update({"/ProductName": "Alarm"}, urgent=True)
        await client.signal()
        assert {path: entry["Value"][1] for path, entry in (await client.signal())["body"][0].items()} == {
            "/Dc/0/Power": 2.0,
            "/ProductName": "Alarm",
        }


async def test_an_unchanged_value_makes_no_signal(service, client):
    service._min_interval_s = 0.0
    async with running(service):
        service.update({"/Dc/0/Voltage": 51.229, "/Dc/0/Power": None})
        service.update({"/Dc/0/Power": float("nan")})
        service.update({"/ProductName": "the first change"})
        assert list((await client.signal())["body"][0]) == ["/ProductName"]


async def test_all_values_are_there_when_the_name_appears(service, client):
    """Clients look once, at that moment."""
    service.update({"/Dc/0/Power": 77.0})
    task = asyncio.create_task(service.run())
    try:
        while "error" in (answer := await client.call(NAME, "/", "GetItems")):
            assert answer["error"] == "org.freedesktop.DBus.Error.ServiceUnknown"
        assert answer["ok"]["/Dc/0/Power"]["Value"] == ["d", 77.0]
    finally:
        task.cancel()


async def test_a_second_owner_is_refused_and_follows_when_the_first_leaves(service, daemon, client, caplog):
    second = BusService(NAME, daemon.address, retry_delays_s=(0.01,))
    second.add("/DeviceInstance", Item(kind=int, value=2))
    waiting = None
    async with running(service):
        waiting = asyncio.create_task(second.run())
        await until(lambda: bool(caplog.records))
        await asyncio.sleep(0.05)  # several attempts more
        assert await client.get(NAME, "/DeviceInstance") == ["i", 134]
        assert not second.is_online
    await until(lambda: second.is_online)
    assert await client.get(NAME, "/DeviceInstance") == ["i", 2]
    waiting.cancel()
    [record] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "belongs to another process" in record.message


@pytest.mark.parametrize(
    ("path", "member", "expected"),
    [
        ("/Max", "com.victronenergy.BusItem.GetValue", "variant       double 600"),
        ("/", "com.victronenergy.BusItem.GetItems", 'string "/Dc/0/Voltage"'),
        ("/Dc", "org.freedesktop.DBus.Introspectable.Introspect", '<node name="0"/>'),
    ],
)
async def test_dbus_send_gets_answers_too(service, daemon, path, member, expected):
    async with running(service):
        process = await asyncio.create_subprocess_exec(
            "dbus-send", f"--bus={daemon.address}", f"--dest={NAME}", "--print-reply", path, member,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        printed, _ = await process.communicate()
        assert process.returncode == 0
        assert expected in printed.decode()


async def test_a_call_that_wants_no_reply_gets_none_and_works(service, client, monkeypatch):
    async with running(service):
        sent = []
        bus = service._connection._bus
        send = bus.send

        def spy(message):
            sent.append(message.message_type)
            return send(message)

        monkeypatch.setattr(bus, "send", spy)
        await client.do("notify", name=NAME, path="/Max", member="SetValue", signature="v", args=[["i", 7]])
        assert list((await client.signal())["body"][0]) == ["/Max"]
        assert sent == [MessageType.SIGNAL]
        assert await client.get(NAME, "/Max") == ["d", 7.0]


@pytest.mark.parametrize("path", ["", "/", "Max", "/Max", "/A//B", "/A/", "/A-B"])
def test_a_path_that_is_none_or_taken_is_a_mistake(service, path):
    with pytest.raises(ValueError, match="cannot be added"):
        service.add(path, Item(kind=int))
