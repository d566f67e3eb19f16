import pytest

from opendtu_dcload.errors import ConfigError
from opendtu_dcload.venus.bus.bus_address import TcpAddress, UnixAddress, resolve

SESSION = {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/tmp/session,guid=0123"}
SYSTEM = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/tmp/system"}


@pytest.mark.parametrize(
    ("setting", "environ", "expected"),
    [
        ("auto", SESSION | SYSTEM, UnixAddress("/tmp/session")),
        ("auto", SYSTEM, UnixAddress("/tmp/system")),
        ("auto", {}, UnixAddress("/var/run/dbus/system_bus_socket")),
        ("auto", {"DBUS_SESSION_BUS_ADDRESS": ""}, UnixAddress("/var/run/dbus/system_bus_socket")),
        ("system", SESSION | SYSTEM, UnixAddress("/tmp/system")),
        ("system", SESSION, UnixAddress("/var/run/dbus/system_bus_socket")),
        ("session", SESSION | SYSTEM, UnixAddress("/tmp/session")),
        ("unix:path=/run/bus", SESSION, UnixAddress("/run/bus")),
        ("unix:path=/run/my%20bus,guid=1", {}, UnixAddress("/run/my bus")),
        ("unix:abstract=/tmp/dbus-x", {}, UnixAddress("\0/tmp/dbus-x")),
        ("tcp:host=192.168.1.4,port=78", {}, TcpAddress("192.168.1.4", 78)),
        ("tcp:host=venus.local,port=78,family=ipv4", {}, TcpAddress("venus.local", 78)),
        ("autolaunch:;unix:path=/run/bus", {}, UnixAddress("/run/bus")),
    ],
)
def test_the_setting_leads_to_the_address(setting, environ, expected):
    assert resolve(setting, environ) == expected


@pytest.mark.parametrize(
    "setting",
    [
        "",
        "Auto",
        "unix:",
        "unix:path=",
        "unix:dir=/tmp",
        "unix:path=/a%00b",
        "unix:path=%00b",
        "unix:path=/" + "x" * 107,
        "tcp:host=gx",
        "tcp:port=78",
        "tcp:host=gx,port=0",
        "tcp:host=gx,port=65536",
        "tcp:host=gx,port=7_8",
        "tcp:host=g%00x,port=78",
        "tcp:host=gx,port=" + "9" * 5000,
        "ssh:host=gx,port=78",
        "/run/bus",
        ";",
    ],
)
def test_an_unusable_setting_is_one_line_with_the_key(setting):
    with pytest.raises(ConfigError) as caught:
        resolve(setting, {})
    [problem] = caught.value.problems
    assert problem.startswith("dbus.bus = ")
    assert "unix:path=" in problem


def test_an_unusable_variable_is_named():
    with pytest.raises(ConfigError, match=r"^dbus\.bus: DBUS_SYSTEM_BUS_ADDRESS = 'nonsense' is not usable"):
        resolve("system", {"DBUS_SYSTEM_BUS_ADDRESS": "nonsense"})


def test_session_without_a_session_says_what_to_do():
    with pytest.raises(ConfigError, match=r'^dbus\.bus = "session": DBUS_SESSION_BUS_ADDRESS is not set, use "system"'):
        resolve("session", SYSTEM)


@pytest.mark.parametrize("text", ["unix:path=/run/bus", "unix:abstract=x", "tcp:host=gx,port=78"])
def test_an_address_prints_as_it_is_written(text):
    assert str(resolve(text, {})) == text
