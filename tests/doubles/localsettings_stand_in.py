"""A com.victronenergy.settings for tests, on dbus-python: what localsettings does, kept in a JSON file.

Arguments: bus address, file of the settings, file that gets one line per accepted SetValue.
Run by the system's python3, not in our environment.
"""
# ruff: noqa: N802 - D-Bus names its methods so
# mypy: ignore-errors
# Its libraries belong to the system and are not installed where mypy looks.

import json
import re
import sys
from pathlib import Path

import dbus
import dbus.bus
import dbus.lowlevel
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

NAME = "com.victronenergy.settings"
SETTINGS = "com.victronenergy.Settings"
BUS_ITEM = "com.victronenergy.BusItem"
KINDS = {dbus.Int32: "i", dbus.Int64: "i", dbus.Double: "f", dbus.String: "s"}
CASTS = {"i": int, "f": float, "s": str}
ON_BUS = {"i": dbus.Int32, "f": dbus.Double, "s": dbus.String}
BAD_PATH, BAD_KIND, KIND_CHANGED = -2, -4, -5
INSTANCE = re.compile(r"/Settings/Devices/\w+/ClassAndVrmInstance")


class UnknownObject(dbus.DBusException):
    _dbus_error_name = "org.freedesktop.DBus.Error.UnknownObject"


class Settings(dbus.service.FallbackObject):
    def __init__(self, bus, file, written):
        super().__init__(bus, "/")
        self._bus = bus
        self._file, self._written = Path(file), Path(written)
        self._known = json.loads(self._file.read_text()) if self._file.exists() else {}

    def _save(self):
        half = self._file.with_suffix(".new")
        half.write_text(json.dumps(self._known, indent=1))
        half.replace(self._file)

    def _entry(self, path):
        if path not in self._known:
            raise UnknownObject(f"no setting {path}")
        return self._known[path]

    def _show(self, entry, what):
        return ON_BUS[entry["kind"]](entry[what])

    def _is_in_range(self, entry, value):
        if entry["kind"] == "s" or entry["min"] == entry["max"] == 0:
            return True
        return entry["min"] <= value <= entry["max"]

    def _with_free_number(self, wanted):
        kind, _, number = wanted.partition(":")
        taken = {entry["value"] for path, entry in self._known.items() if INSTANCE.fullmatch(path)}
        number = int(number)
        while f"{kind}:{number}" in taken:
            number += 1
        return f"{kind}:{number}"

    def _properties(self, entry):
        properties = {"Value": self._show(entry, "value"), "Text": dbus.String(str(entry["value"]))}
        for name, what in (("Min", "min"), ("Max", "max"), ("Default", "default")):
            properties[name] = self._show(entry, what)
        return dbus.Dictionary(properties, signature="sv")

    def _add(self, path, request):
        default = request["default"]
        kind = KINDS.get(type(default))
        if "/_" in path or not path.startswith("/Settings/"):
            return {"error": dbus.Int32(BAD_PATH), "path": path}
        if kind is None:
            return {"error": dbus.Int32(BAD_KIND), "path": path}
        cast = CASTS[kind]
        attributes = {"kind": kind, "default": cast(default)}
        attributes |= {what: cast(request.get(what, cast())) for what in ("min", "max")}
        entry = self._known.get(path)
        if entry is None:
            value = cast(default)
            entry = {"value": self._with_free_number(value) if INSTANCE.fullmatch(path) else value}
            self._known[path] = entry
        elif entry["kind"] != kind:
            return {"error": dbus.Int32(KIND_CHANGED), "path": path}
        if any(entry.get(name) != value for name, value in attributes.items()):
            entry |= attributes
            self._save()
            self._tell(path)
        return {"error": dbus.Int32(0), "path": path, "value": self._show(entry, "value")}

    @dbus.service.method(SETTINGS, in_signature="aa{sv}", out_signature="aa{sv}", path_keyword="path")
    def AddSettings(self, requests, path=None):
        base = path.rstrip("/")
        full = [str(r["path"]) if not base else f"{base}/{r['path']}" for r in requests]
        return [dbus.Dictionary(self._add(*pair), signature="sv") for pair in zip(full, requests, strict=True)]

    @dbus.service.method(SETTINGS, in_signature="as", out_signature="ai")
    def RemoveSettings(self, paths):
        answers = [0 if self._known.pop(str(path), None) else -1 for path in paths]
        self._save()
        return answers

    @dbus.service.method(BUS_ITEM, out_signature="a{sa{sv}}")
    def GetItems(self):
        return {path: self._properties(entry) for path, entry in self._known.items()}

    @dbus.service.method(BUS_ITEM, out_signature="v", path_keyword="path")
    def GetValue(self, path=None):
        return self._show(self._entry(path), "value")

    @dbus.service.method(BUS_ITEM, out_signature="s", path_keyword="path")
    def GetText(self, path=None):
        return str(self._entry(path)["value"])

    @dbus.service.method(BUS_ITEM, out_signature="v", path_keyword="path")
    def GetDefault(self, path=None):
        return self._show(self._entry(path), "default")

    @dbus.service.method(BUS_ITEM, out_signature="v", path_keyword="path")
    def GetMin(self, path=None):
        return self._show(self._entry(path), "min")

    @dbus.service.method(BUS_ITEM, out_signature="v", path_keyword="path")
    def GetMax(self, path=None):
        return self._show(self._entry(path), "max")

    @dbus.service.method(BUS_ITEM, in_signature="v", out_signature="i", path_keyword="path")
    def SetValue(self, raw, path=None):
        entry = self._entry(path)
        try:
            value = CASTS[entry["kind"]](raw)
        except (TypeError, ValueError):
            return -1
        if not self._is_in_range(entry, value):
            return -1
        with self._written.open("a") as log:
            log.write(json.dumps([path, value]) + "\n")
        if value != entry["value"]:
            entry["value"] = value
            self._save()
            self._tell(path)
        return 0

    def _tell(self, path):
        message = dbus.lowlevel.SignalMessage(path, BUS_ITEM, "PropertiesChanged")
        message.append(self._properties(self._known[path]), signature="a{sv}")
        self._bus.send_message(message)


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus = dbus.bus.BusConnection(sys.argv[1])
    settings = Settings(bus, *sys.argv[2:4])
    name = dbus.service.BusName(NAME, bus)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    GLib.MainLoop().run()
    del settings, name


main()
