"""A client on dbus-python, the library of Victron's own velib: reads commands, one JSON object a line, and answers so.

Run by the system's python3, not in our environment. Values come back as [signature, value].
"""
# mypy: ignore-errors
# Its libraries belong to the system and are not installed where mypy looks.

import json
import random
import sys

import dbus
import dbus.bus
import dbus.lowlevel
import dbus.mainloop.glib
import dbus.types
from gi.repository import GLib

TYPES = {
    "i": dbus.Int32,
    "x": dbus.Int64,
    "u": dbus.UInt32,
    "d": dbus.Double,
    "b": dbus.Boolean,
    "s": dbus.String,
    "ai": lambda value: dbus.Array(value, signature="i"),
    "as": lambda value: dbus.Array(value, signature="s"),
    "a{sv}": lambda value: dbus.Dictionary(value, signature="sv"),
}
NAMES = {
    dbus.Int32: "i",
    dbus.Int64: "x",
    dbus.UInt32: "u",
    dbus.Double: "d",
    dbus.Boolean: "b",
    dbus.String: "s",
    dbus.Byte: "y",
}


def show(value):
    if isinstance(value, dbus.Dictionary):
        return {str(key): show(entry) for key, entry in value.items()}
    if isinstance(value, dbus.Array):
        return [f"a{value.signature}", [show(entry)[1] for entry in value]]
    return [NAMES.get(type(value), type(value).__name__), value]


def tell(answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def on_signal(*arguments, member=None, path=None, interface=None, sender=None, message=None):
    tell(
        {
            "signal": member,
            "path": path,
            "interface": interface,
            "sender": sender,
            "no_reply": message.get_no_reply(),
            "body": [show(argument) for argument in arguments],
        },
    )


def call(bus, *, name, path, interface, member, signature="", args=()):
    values = [TYPES[kind](value) for kind, value in args]
    reply = bus.call_blocking(name, path, interface, member, signature, values, timeout=10.0)
    return {"ok": show(reply) if reply is not None else None}


def notify(bus, *, name, path, member, signature, args):
    """Call without asking for a reply."""
    message = dbus.lowlevel.MethodCallMessage(name, path, None, member)
    message.append(*[TYPES[kind](value) for kind, value in args], signature=signature)
    message.set_no_reply(True)
    bus.send_message(message)
    bus.flush()
    return {"ok": None}


def emit(bus, *, name, path, member, value):
    """Send a signal to one connection, as if it were a service's own."""
    kind, plain = value
    message = dbus.lowlevel.SignalMessage(path, "com.victronenergy.BusItem", member)
    message.append({"Value": TYPES[kind](plain)}, signature="a{sv}")
    message.set_destination(name)
    bus.send_message(message)
    bus.flush()
    return {"ok": None}


def add_settings(bus, *, settings):
    requests = [{"path": path, "default": dbus.String(default)} for path, default in settings]
    name, interface = "com.victronenergy.settings", "com.victronenergy.Settings"
    bus.call_blocking(name, "/", interface, "AddSettings", "aa{sv}", [requests])
    return {"ok": None}


def odd_value(chance):
    """Return a kind and a value that somebody might write, sensible or not."""
    near, far = chance.randint(-20, 1200), chance.choice([2**31 - 1, -(2**31), 0, 1])
    return chance.choice(
        [
            ("i", near),
            ("i", far),
            ("x", chance.choice([near, 2**62, -(2**62)])),
            ("u", chance.choice([near % 1200, 2**32 - 1])),
            ("d", chance.choice([near + 0.4, float("nan"), float("inf"), -1e300])),
            ("s", chance.choice([str(near), "off", "", "1e999", "\u00e4" * 300, " 7 "])),
            ("b", chance.choice([True, False])),
            ("ai", chance.choice([[], [1, 2]])),
            ("as", ["a"]),
        ]
    )


def storm(bus, *, places, count, seed):
    """Write `count` odd values to random places, bare and as variant; return what was answered and what is wrong.

    A place is a service, a path, and a key which it has in common with all places that show the same value.
    """
    chance = random.Random(seed)
    known = {key: show(bus.call_blocking(name, path, None, "GetValue", "", [])) for name, path, key in places}
    wrong, answers = [], {}
    for _ in range(count):
        *place, key = chance.choice(places)
        before = known[key]
        kind, plain = odd_value(chance)
        signature = chance.choice([kind, "v"])
        answer = int(bus.call_blocking(*place, None, "SetValue", signature, [TYPES[kind](plain)], timeout=10.0))
        value = show(bus.call_blocking(*place, None, "GetValue", "", []))
        answers[str(answer)] = answers.get(str(answer), 0) + 1
        if value[0] != before[0] or (answer and value != before):
            wrong.append([*place, kind, str(plain), answer, value])
        known[key] = value
    return {"ok": {"answers": answers, "wrong": wrong[:20]}}


def proxy(bus, *, name, path, member, args):
    """Call through a proxy object, which introspects first."""
    target = dbus.Interface(bus.get_object(name, path), "com.victronenergy.BusItem")
    return {"ok": show(getattr(target, member)(*args))}


def flood(bus, *, name, path, member, count):
    """Send `count` calls in one go and only then look for their answers."""
    for _ in range(count):
        message = dbus.lowlevel.MethodCallMessage(name, path, None, member)
        bus.send_message_with_reply(message, lambda reply: tell({"flooded": type(reply).__name__}), 10.0)
    bus.flush()
    return {"ok": None}


COMMANDS = {
    "call": call,
    "notify": notify,
    "proxy": proxy,
    "flood": flood,
    "emit": emit,
    "storm": storm,
    "add_settings": add_settings,
}


def on_command(stream, _condition, bus):
    line = stream.readline()
    if not line:
        sys.exit(0)
    command = json.loads(line)
    try:
        tell(COMMANDS[command.pop("do")](bus, **command))
    except dbus.DBusException as err:
        tell({"error": err.get_dbus_name(), "text": err.get_dbus_message()})
    return True


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus = dbus.bus.BusConnection(sys.argv[1])
    bus.add_signal_receiver(
        on_signal,
        dbus_interface="com.victronenergy.BusItem",
        member_keyword="member",
        path_keyword="path",
        interface_keyword="interface",
        sender_keyword="sender",
        message_keyword="message",
    )
    GLib.io_add_watch(sys.stdin, GLib.IO_IN | GLib.IO_HUP, on_command, bus)
    tell({"ok": "ready"})
    GLib.MainLoop().run()


main()
