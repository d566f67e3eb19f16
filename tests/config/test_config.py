"""The settings: what is taken, what is refused, and in which words."""

import datetime as dt
import math
from typing import Any

import pytest
from pydantic import ValidationError
from yarl import URL

from opendtu_dcload.config import Config, parse_config
from tests.config.correct_config import SECRET, SERIAL, problem, problems, table

# ---- what is taken ----------------------------------------------------------------------------------------------


def test_the_least_that_commands_has_all_defaults():
    config = parse_config(table())
    assert not config.is_read_only
    assert config.meter.channel is None
    assert config.meter.poll_interval_s == 1.0
    assert config.control.target_w == 0
    assert config.control.base_load_w is None
    assert config.dbus.meter_device_instance == 59
    assert config.inverters[0].min_power_w is None
    assert config.dtus[0].password is not None
    assert config.dtus[0].password.get_secret_value() == SECRET


def test_reading_alone_needs_two_addresses_and_nothing_else():
    config = parse_config({"meter": {"host": "shelly"}, "opendtu": {"host": "opendtu"}})
    assert config.is_read_only
    assert config.dtus[0].password is None
    assert config.battery.min_voltage_v is None


def test_a_whole_number_does_for_a_decimal_and_becomes_one():
    target_w = parse_config(table(control={"target_w": 25})).control.target_w
    assert target_w == 25
    assert type(target_w) is float


@pytest.mark.parametrize(("written", "read"), [(0, "0"), (2, "2"), ("1", "1"), ("sum", "sum"), ("c", "c")])
def test_a_channel_number_needs_no_quotes(written: object, read: str):
    assert parse_config(table(meter={"channel": written})).meter.channel == read


def test_a_serial_is_kept_in_lower_case():
    assert parse_config(table(inverter=[{"serial": "1410A0B1C2D3"}])).inverters[0].serial == "1410a0b1c2d3"


def test_device_instances_are_as_given_or_by_position():
    inverters: list[dict[str, Any]] = [{"serial": f"11619000000{n}"} for n in range(1, 4)]
    inverters[1]["device_instance"] = 40
    assert parse_config(table(inverter=inverters)).device_instances == (134, 40, 136)


@pytest.mark.parametrize("bus", ["auto", "system", "session", "unix:path=/tmp/bus", "tcp:host=gx,port=78"])
def test_a_bus_is_a_word_or_an_address(bus: str):
    assert parse_config(table(dbus={"bus": bus})).dbus.bus == bus


def test_settings_cannot_be_changed_afterwards():
    config = parse_config(table())
    with pytest.raises(ValidationError, match="frozen"):
        config.control.target_w = 0  # type: ignore[misc]  # mypy knows it too


def test_sections_can_be_put_together_without_a_file():
    parsed = parse_config(table())
    built = Config(meter=parsed.meter, dtus=parsed.dtus, inverters=parsed.inverters, battery=parsed.battery)
    assert built == parsed


def test_the_table_is_left_as_it_was():
    source = table(meter={"password_env": "SHELLY"})
    parse_config(source, environ={"SHELLY": SECRET})
    assert source == table(meter={"password_env": "SHELLY"})


@pytest.mark.parametrize(
    ("host", "name", "port"),
    [
        ("192.168.1.50", "192.168.1.50", 80),
        ("10.0.0.1:8080", "10.0.0.1", 8080),
        ("opendtu", "opendtu", 80),
        ("open-dtu.fritz.box:65535", "open-dtu.fritz.box", 65535),
        ("shelly_em.local", "shelly_em.local", 80),
        ("[fe80::1]", "fe80::1", 80),
        ("[::1]:81", "::1", 81),
    ],
)
def test_a_host_that_is_taken_makes_the_url_it_says(host: str, name: str, port: int):
    url = URL(f"http://{parse_config(table(meter={'host': host})).meter.host}/status")
    assert (url.host, url.port, url.path) == (name, port, "/status")


# ---- what is refused, one mistake at a time ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("", "'' is empty"),
        ("  ", "is empty"),
        ("http://10.0.0.1", "is more than an address"),
        ("10.0.0.1/status", "is more than an address"),
        ("10.0.0.1 ", "is more than an address"),
        ("10.0.0.1?x", "is more than an address"),
        ("10.0.0.300", "is neither"),
        ("10.0.1", "is neither"),
        ("-a", "is neither"),
        ("a..b", "is neither"),
        ("caf\u00e9", "is neither"),
        ("a" * 64, "is neither"),
        (".".join(["a" * 60] * 5), "is neither"),
        ("[fe80]", "is neither"),
        ("fe80::1", "IPv6"),
        ("[fe80::1", "IPv6"),
        (":80", "is no address"),
        ("a:", "a port that is not"),
        ("a:0", "a port that is not"),
        ("a:65536", "a port that is not"),
        ("a:080", "a port that is not"),
        ("a:\u0663", "a port that is not"),
        ("a\x00b", "control character"),
    ],
)
def test_a_host_that_is_no_address_is_refused_with_the_reason(host: str, why: str):
    found = problem(table(meter={"host": host}))
    assert found.startswith("meter.host: ")
    assert why in found
    assert found.endswith('write the Shelly\'s address in quotes, such as "192.168.1.50"')


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("control", "target_w", "abc", "control.target_w: 'abc' is text; write a whole number from -500 to 500"),
        (
            "control",
            "target_w",
            True,
            "control.target_w: true is a yes-or-no value; write a whole number from -500 to 500",
        ),
        ("control", "target_w", 500.5, "control.target_w: 500.5 is too large; write a whole number from -500 to 500"),
        (
            "control",
            "target_w",
            math.nan,
            "control.target_w: nan is no usable number; write a whole number from -500 to 500",
        ),
        (
            "control",
            "target_w",
            -math.inf,
            "control.target_w: -inf is no usable number; write a whole number from -500 to 500",
        ),
        (
            "control",
            "max_feed_in_w",
            1.2,  # 1.200
            "control.max_feed_in_w: 1.2 is no whole number of W; write a whole number from 0 to 10000",
        ),
        (
            "battery",
            "surplus_w",
            100.5,
            "battery.surplus_w: 100.5 is no whole number of W; write a whole number from 10 to 5000",
        ),
        (
            "control",
            "max_feed_in_w",
            -1,
            "control.max_feed_in_w: -1 is too small; write a whole number from 0 to 10000",
        ),
        ("control", "on_stop", "Off", 'control.on_stop: \'Off\' is none of the choices; write one of "minimum", "off"'),
        ("control", "meter_off_s", 3601, "control.meter_off_s: 3601 is too large; write a number from 2 to 3600"),
        ("meter", "poll_interval_s", 0.4, "meter.poll_interval_s: 0.4 is too small; write a number from 0.5 to 10"),
        ("meter", "phase", 1.0, "meter.phase: 1.0 is a number with a decimal point; write a whole number from 1 to 3"),
        ("meter", "phase", True, "meter.phase: true is a yes-or-no value; write a whole number from 1 to 3"),
        ("meter", "invert", "yes", "meter.invert: 'yes' is text; write true or false, without quotes"),
        ("meter", "invert", 1, "meter.invert: 1 is a whole number; write true or false, without quotes"),
        (
            "meter",
            "channel",
            4,
            'meter.channel: 4 is none of the choices; write one of "sum", "0", "1", "2", "3", "a", "b", "c"',
        ),
        ("meter", "user", "a:b", "meter.user: 'a:***' contains a colon; write a user name in quotes, without a colon"),
        ("meter", "user", 5, "meter.user: 5 is a whole number; write a user name in quotes, without a colon"),
        ("opendtu", "password", "", "opendtu.password: '' is empty; write the password in quotes"),
        ("opendtu", "password", 12345678, "opendtu.password: *** is a whole number; write the password in quotes"),
        ("opendtu", "timeout_s", [8], "opendtu.timeout_s: [...] is a list; write a number from 1 to 30"),
        ("battery", "min_voltage_v", 0, "battery.min_voltage_v: 0 is too small; write a number from 8 to 500"),
        (
            "dbus",
            "meter_name",
            "a\x00b",
            "dbus.meter_name: 'a\\x00b' contains a control character; write a name in quotes",
        ),
        (
            "dbus",
            "meter_device_instance",
            248,
            "dbus.meter_device_instance: 248 is too large; write a whole number from 0 to 247",
        ),
        (
            "dbus",
            "bus",
            "ssh:x",
            (
                "dbus.bus: 'ssh:x' is no D-Bus; "
                'write "auto", "system", "session" or an address that begins with unix: or tcp:'
            ),
        ),
        (
            "log",
            "level",
            dt.date(2026, 1, 2),
            'log.level: 2026-01-02 is a date or time; write one of "debug", "info", "warning", "error"',
        ),
    ],
)
def test_a_message_has_key_value_reason_and_what_to_write(section: str, key: str, value: object, message: str):
    assert problem(table(**{section: {key: value}})) == message


@pytest.mark.parametrize("key", ["target_w", "max_feed_in_w", "max_temperature_c"])
@pytest.mark.parametrize(
    ("digits", "why"), [(400, "is too large"), (5000, "a number of thousands of digits is too large")]
)
def test_a_number_beyond_measure_is_refused_not_crashed_on(key: str, digits: int, why: str):
    assert why in problem(table(control={key: 10**digits}))


@pytest.mark.parametrize(
    ("serial", "why"),
    [
        ("", "'' is empty"),
        ("11619000123", "is no serial number"),
        ("11619000123g", "is no serial number"),
        ("1161\u0669000123", "is no serial number"),
        ("000000000000", "is only zeros"),
        (116190001234, "is a whole number"),
    ],
)
def test_a_serial_is_twelve_hex_digits_in_quotes(serial: object, why: str):
    found = problem(table(inverter=[{"serial": SERIAL}, {"serial": serial}]))
    assert found.startswith("inverter[#2].serial: ")
    assert why in found
    assert found.endswith('write the 12 digits that OpenDTU shows, in quotes, such as "116190001234"')


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (table(control={"targt_w": 1}), "control.targt_w is unknown; did you mean target_w?"),
        (table(control={"Target_W": 1}), "control.Target_W is unknown; did you mean target_w?"),
        (table(meter={"target_w": 1}), "meter.target_w is unknown; it belongs below [control]"),
        (
            table(meter={"port": 80}),
            'meter.port is unknown; write it behind the address, such as host = "192.168.1.50:80"',
        ),
        (table(log={"port": 80}), "log.port is unknown; it belongs below [web] or [mqtt]"),
        (
            table(dbus={"control": {"target_w": 5}}),  # control.target_w = 5, as messages call it
            "dbus.control is unknown; write [control] on a line of its own and its settings below",
        ),
        (table(log={"x y": {}}), "log.'x y' is unknown; remove it, the settings here are level, record"),
        (table(inverter=[{"serial": SERIAL, "seriall": 1}]), "inverter[#1].seriall is unknown; did you mean serial?"),
        (table(controll={"target_w": 1}), "controll is no section; did you mean [control]?"),
        (table(inverters=[{}]), "inverters is no section; did you mean [[inverter]]?"),
        (table(target_w=5), "target_w stands above all sections; move it below [control]"),
        (
            table(password=SECRET),
            "password stands above all sections; move it below [meter] or [opendtu] or [solar] or [relay] or [mqtt]",
        ),
        (
            table(colour={"host": "x"}),
            (
                "colour is no section; remove it, "
                "the sections are [meter], [opendtu], [control], [battery], [solar], [relay], [dbus], [web], [mqtt], "
                "[log], [[inverter]]"
            ),
        ),
    ],
)
def test_an_unknown_name_is_refused_with_a_hint(source: dict[str, Any], message: str):
    assert problem(source) == message


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("meter", 5, "meter is a whole number; write [meter] on a line of its own and its settings below"),
        ("control", [{}], "control is a list; write [control] on a line of its own and its settings below"),
        ("inverter", [5], "inverter is a list; write [[inverter]] on a line of its own and its settings below"),
        ("inverter", "x", "inverter is text; write [[inverter]] on a line of its own and its settings below"),
    ],
)
def test_a_section_that_is_none_gives_one_line(name: str, value: object, message: str):
    assert problem({**table(), name: value}) == message


def test_single_brackets_around_inverter_are_named_and_its_settings_checked_all_the_same():
    first, second = problems({**table(), "inverter": {"serial": "x"}})
    assert first == "[inverter] has single brackets; write [[inverter]], once for each inverter"
    assert second.startswith("inverter[#1].serial: 'x' is no serial number")


# ---- mistakes that only two settings show -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            table(control={"meter_hold_s": 20}),
            "control.meter_hold_s (20) must be shorter than control.meter_ramp_s (15, the default); change one of them",
        ),
        (
            table(control={"meter_minimum_s": 90, "meter_off_s": 90}),
            "control.meter_minimum_s (90) must be shorter than control.meter_off_s (90); change one of them",
        ),
        (
            table(control={"base_load_w": 801}),
            "control.base_load_w (801) must not be above control.max_feed_in_w (800, the default); change one of them",
        ),
        (
            table(meter={"poll_interval_s": 5}),
            "meter.poll_interval_s (5) must stay 1 s below control.meter_hold_s (5, the default); change one of them",
        ),
        (
            table(inverter=[{"serial": SERIAL, "min_power_w": 51, "max_power_w": 50}]),
            "inverter[#1].min_power_w (51) must not be above inverter[#1].max_power_w (50); change one of them",
        ),
        (
            table(inverter=[{"serial": "1410a0b1c2d3"}, {"serial": "1410A0B1C2D3"}]),
            "inverter[#2].serial: '1410a0b1c2d3' is that of inverter[#1] too; each inverter is listed once",
        ),
        (
            table(inverter=[{"serial": SERIAL}, {"serial": "1410a0b1c2d3", "device_instance": 134}]),
            (
                "inverter[#2].device_instance: 134 is that of inverter[#1] too; "
                "give each inverter its own: a whole number from 0 to 247"
            ),
        ),
        (
            table(inverter=[{"serial": SERIAL, "device_instance": 135}, {"serial": "1410a0b1c2d3"}]),
            (
                "inverter[#2].device_instance: 135, the default by position, is that of inverter[#1] too; "
                "give each inverter its own: a whole number from 0 to 247"
            ),
        ),
        (
            table(inverter=[{"serial": f"1161900000{n}"} for n in range(10, 21)]),
            "inverter: 11 are listed; OpenDTU holds 10, so remove some",
        ),
        (
            {**table(), "opendtu": {"host": "dtu"}},
            (
                "opendtu.password is missing, and OpenDTU takes no limit without it; "
                "write its admin password below [opendtu], or its place as password_file or password_env"
            ),
        ),
        *(
            (
                source,
                (
                    "battery.min_voltage_v is missing, and without it a battery could be drained; "
                    "write below [battery] the voltage to power off at: a number from 8 to 500"
                ),
            )
            for source in (
                {name: section for name, section in table().items() if name != "battery"},
                {**table(), "battery": {"min_soc_pct": 20}},
            )
        ),
    ],
)
def test_a_contradiction_names_both_settings(source: dict[str, Any], message: str):
    assert problem(source) == message


def test_a_meter_of_the_gx_needs_a_bus_and_no_address():
    source = {**table(), "meter": {"source": "gx"}}
    assert parse_config(source).meter.source == "gx"
    assert "is read from the D-Bus, and dbus.enabled is false" in problem({**source, "dbus": {"enabled": False}})


def test_a_shelly_without_an_address_is_named():
    assert "meter.host is missing; write it below [meter]: the Shelly" in problem({**table(), "meter": {}})


def test_the_role_of_the_grid_meter_needs_leave():
    assert problem(table(dbus={"meter_role": "grid"})).startswith('dbus.meter_role: "grid" makes ESS regulate by')
    assert parse_config(table(dbus={"meter_role": "grid", "allow_grid_role": True})).dbus.meter_role == "grid"


@pytest.mark.parametrize("limits", [{"min_power_w": 50, "max_power_w": 50}, {"min_power_w": 500}, {"max_power_w": 10}])
def test_equal_or_single_power_limits_are_no_contradiction(limits: dict[str, float]):
    assert parse_config(table(inverter=[{"serial": SERIAL, **limits}])).inverters


def test_a_wrong_value_is_not_replaced_by_its_default_in_the_search_for_contradictions():
    assert problem(table(control={"meter_hold_s": "x", "meter_ramp_s": 4})).startswith("control.meter_hold_s: 'x'")


def test_a_serial_listed_twice_is_found_beside_another_mistake_and_in_any_case():
    twice = [{"serial": "1410A0B1C2D3", "min_power_w": 0}, {"serial": "1410a0b1c2d3"}]
    first, second = problems(table(inverter=twice))
    assert first.startswith("inverter[#1].min_power_w: 0 is too small")
    assert second.startswith("inverter[#2].serial: '1410a0b1c2d3' is that of inverter[#1] too")


def test_a_password_in_an_address_is_not_shown():
    found = problem(table(meter={"host": f"http://admin:{SECRET}@10.0.0.1/"}))
    assert found.startswith("meter.host: '***@10.0.0.1/' is more than an address")


def test_all_mistakes_come_in_one_run():
    source = table(
        meter={"poll_interval_s": math.nan},
        control={"targt_w": 5, "target_w": "25", "meter_hold_s": 30, "meter_ramp_s": 20},
    )
    del source["meter"]["host"]
    found = problems(source)
    assert [line.split()[0] for line in found] == [
        "meter.poll_interval_s:",
        "control.target_w:",
        "control.targt_w",
        "meter.host",
        "control.meter_hold_s",
    ]
