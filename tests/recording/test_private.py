"""What a recording says and what it keeps to itself; and that nothing of what it says is lost on the way."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendtu_dcload.config import parse_config
from opendtu_dcload.control.commands.command_policy import Reboot, Restart, SetLimit, SetPower
from opendtu_dcload.control.decision import Seen
from opendtu_dcload.control.from_config import parameters_of, settings_of
from opendtu_dcload.control.protection.plant_guard import ExternalInputs
from opendtu_dcload.model import (
    BatteryStatus,
    CommandState,
    DtuStatus,
    InverterStatus,
    LimitStatus,
    MeterReading,
    MultiplusStatus,
    PhaseReading,
    RelayStatus,
    SolarReading,
)
from opendtu_dcload.recording import recorded_fields
from opendtu_dcload.recording.disguise import Disguise
from opendtu_dcload.recording.forms import NUMBER, TIME, Form
from opendtu_dcload.recording.patch import changes, patched
from opendtu_dcload.recording.recorder import RecordedController
from opendtu_dcload.recording.replay import replay
from tests.config.correct_config import table

SERIALS = ("116490009911", "112490007722", "112190008833")
STRANGER = "116499887766"
PRIVATE = (
    *(serial[4:] for serial in (*SERIALS, STRANGER)),
    "Kowalski",
    "shed",
    "roof",
    "s3cret",
    "meter-host",
    "dtu-host",
    "solar-host",
    "relay-host",
    "a0dd6c112233",
    "ttyUSB7",
    "v24.6-mine",
)
STARTED_S = 86_400.123456789


def private_config() -> dict[str, Any]:
    login = {"user": "Kowalski", "password": "s3cret"}
    return table(
        meter={"host": "meter-host", **login},
        opendtu=[
            {"name": "shed", "host": "dtu-host", "password": "s3cret"},
            {"name": "roof", "host": "dtu-host-2", "password": "s3cret"},
        ],
        inverter=[
            {"serial": serial, "opendtu": "roof" if number else "shed", "name": f"Kowalski {number}"}
            for number, serial in enumerate(SERIALS)
        ],
        solar={"host": "solar-host", **login},
        relay={"host": "relay-host", **login},
        dbus={"meter_name": "Kowalski"},
    )


def private_seen(now_s: float) -> Seen:
    """Everything that can be seen, with a name wherever one can be."""
    phase = PhaseReading(100.1, 230.1, 0.5, 1000.5, 2000.25)
    return Seen(
        now_s,
        MeterReading(now_s - 0.1, 300.3, (phase, None, phase), 1.5, 2.5, 49.9),
        {s: InverterStatus(s, f"Kowalski {s}", now_s, now_s - 1.25, True, 150.0, 230.0, 155.0, 51.2, 3.03, 40.5)
         for s in SERIALS},
        {s: LimitStatus(s, now_s, 37.5, 400.0, CommandState.PENDING) for s in SERIALS},
        {name: DtuStatus(now_s, "v24.6-mine", 99.0, True, True, 15.0, frozenset((*SERIALS, STRANGER)))
         for name in ("shed", "roof")},
        frozenset({"roof"}),
        ExternalInputs(
            BatteryStatus(now_s, "battery.ttyUSB7", 55.5, 51.9, -3.0, -150.0, 20.0, 3.2, 90.0, True,
                          ("/Alarms/LowSoc",), 10.0),
            MultiplusStatus(now_s, "vebus.ttyUSB7", -20.0, 50.0),
            SolarReading(now_s, 410.0),
            RelayStatus(now_s, is_on=True, has_timer=True),
        ),
    )  # fmt: skip


def recorded() -> str:
    """The recording of a plant with everything in it that has a name."""
    config = parse_config(private_config())
    units = [parameters_of(inverter, config.dtu_of(inverter).name, None) for inverter in config.inverters]
    sink = io.StringIO()
    controller = RecordedController(sink, settings_of(config, 90.0), units, STARTED_S)
    controller.set_unit(parameters_of(config.inverters[0], "shed", 1500.0))
    controller.decide(private_seen(STARTED_S + 1))
    controller.settings = dataclasses.replace(controller.settings, switched_off=frozenset({SERIALS[2], STRANGER}))
    decision = controller.decide(private_seen(STARTED_S + 2))
    limit = SetLimit(SERIALS[0], 123.4)
    for command in (limit, SetPower(SERIALS[1], on=True), Restart(SERIALS[2], 2), *decision.commands):
        controller.posted(command, STARTED_S + 2.5)
        controller.refused(command, STARTED_S + 2.6)
        controller.taken(command, STARTED_S + 2.7)
        controller.failed(command)
    controller.rebooted(Reboot("roof", 2), STARTED_S + 3)
    controller.decide(private_seen(STARTED_S + 4))
    controller.leave(off=False, asked=True)
    return sink.getvalue()


@pytest.mark.parametrize("name", PRIVATE)
def test_no_name_is_in_a_recording(name):
    assert name.lower() not in recorded().lower()


def test_families_and_the_order_of_serials_are_kept():
    first = json.loads(recorded().splitlines()[0])
    (start,) = first.values()
    assert [unit["inverter"] for unit in start["units"]] == ["116400000003", "112400000002", "112100000001"]
    assert [unit["dtu"] for unit in start["units"]] == ["dtu1", "dtu2", "dtu2"]
    assert [unit["radio"] for unit in start["units"]] == ["radio1", "radio2", "radio3"]


def test_what_is_in_disguise_is_decided_the_same(tmp_path):
    path = tmp_path / "recording.jsonl"
    path.write_text(recorded())
    outcome = replay(path)
    assert outcome.decisions == 3
    assert [str(difference) for difference in outcome.differences] == []


def test_everything_seen_comes_back_but_the_names():
    seen = private_seen(STARTED_S)
    disguise = Disguise([unit_of_serial(serial) for serial in SERIALS], float(math.floor(STARTED_S)))
    text = json.dumps(recorded_fields.SEEN.write(seen, disguise))
    again = recorded_fields.SEEN.read(json.loads(text), disguise.origin_s)
    assert again.now_s == seen.now_s
    assert again.meter == seen.meter
    battery, multiplus = seen.external.battery, seen.external.multiplus
    assert battery is not None
    assert multiplus is not None
    assert again.external == dataclasses.replace(
        seen.external,
        battery=dataclasses.replace(battery, service=""),
        multiplus=dataclasses.replace(multiplus, service=""),
    )
    assert (
        json.dumps(
            recorded_fields.SEEN.write(again, Disguise([unit_of_serial(s) for s in again.limits], disguise.origin_s))
        )
        == text
    )


def unit_of_serial(serial: str):
    config = parse_config(table(inverter=[{"serial": serial}]))
    return parameters_of(config.inverters[0], "shed", None)


LEFT_OUT = {
    "InverterStatus": {"name"},
    "DtuStatus": {"firmware"},
    "BatteryStatus": {"service"},
    "MultiplusStatus": {"service"},
}
"""Names; they decide nothing."""
FORMS = {name: form for name, form in vars(recorded_fields).items() if isinstance(form, Form)}


@pytest.mark.parametrize("name", FORMS)
def test_no_field_is_forgotten(name):
    form = FORMS[name]
    made = {"_INVERTER": InverterStatus, "SEEN": Seen}.get(name, form._make)
    if not dataclasses.is_dataclass(made):
        assert made in {dict, recorded_fields.Start, recorded_fields.Sent, recorded_fields.Left}
        return
    written = {field.attribute.partition(".")[0] for field, _ in form._fields}
    assert written | LEFT_OUT.get(getattr(made, "__name__", ""), set()) == {f.name for f in dataclasses.fields(made)}


@settings(deadline=None)
@given(st.floats(0, 1e9), st.floats(0, 1e6))
def test_no_digit_of_a_time_is_lost(started_s, later_s):
    disguise = Disguise([], float(math.floor(started_s)))
    at_s = started_s + later_s
    assert TIME.read(json.loads(json.dumps(TIME.write(at_s, disguise))), disguise.origin_s) == at_s


@settings(deadline=None)
@given(st.floats(-1e15, 1e15))
def test_no_digit_of_a_number_is_lost(number):
    assert NUMBER.read(json.loads(json.dumps(NUMBER.write(number, Disguise([], 0.0)))), 0.0) == number


KEYS = st.sampled_from("abc")
VALUES = st.recursive(
    st.booleans() | st.floats(-10, 10) | KEYS | st.lists(st.integers(2, 3), max_size=2),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=4,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=3)


@settings(deadline=None)
@given(OBJECTS, OBJECTS)
def test_what_changed_makes_the_new_one_of_the_old_one(before, now):
    assert patched(before, changes(before, now)) == now
