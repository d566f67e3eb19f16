"""`[mqtt]`: absent is off, and what it needs beside the file is asked for in one sentence each."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from opendtu_dcload.config import parse_config
from tests.config.correct_config import SECRET, problem, problems, table


def test_without_the_section_there_is_no_broker():
    assert parse_config(table()).mqtt is None


@pytest.mark.parametrize(
    ("written", "address"),
    [({}, "broker:1883"), ({"tls": True}, "broker:8883"), ({"tls": True, "port": 1884}, "broker:1884")],
)
def test_the_port_follows_from_tls_unless_it_is_given(written: dict[str, Any], address: str):
    config = parse_config(table(mqtt={"host": "broker"} | written)).mqtt
    assert config is not None
    assert config.address == address
    assert (config.discovery_prefix, config.base_topic) == ("homeassistant", "opendtu-dcload")


@pytest.mark.parametrize(
    ("written", "start"),
    [
        ({"host": "broker:1883"}, "mqtt.host: 'broker:1883' has a port"),
        ({"base_topic": "a/#"}, "mqtt.base_topic: 'a/#' is no beginning of a topic"),
        ({"base_topic": "/a"}, "mqtt.base_topic: '/a' is no beginning"),
        ({"discovery_prefix": "$SYS"}, "mqtt.discovery_prefix: '$SYS' is no beginning"),
        ({"base_topic": "x" * 101}, "mqtt.base_topic: "),
        ({"password": SECRET}, "mqtt.user is missing"),
    ],
)
def test_what_no_broker_could_use_is_refused(written: dict[str, Any], start: str):
    said = problem(table(mqtt={"host": "broker"} | written))
    assert said.startswith(start)
    assert SECRET not in said


def test_an_address_of_version_6_stands_in_brackets_and_is_no_port():
    config = parse_config(table(mqtt={"host": "[fd00::1]"})).mqtt
    assert config is not None
    assert config.address == "[fd00::1]:1883"


def test_certificates_are_looked_for_beside_the_file_and_looked_at(tmp_path: Path):
    mqtt = {"host": "broker", "tls": True, "ca_file": "ca.pem"}
    assert problem(table(mqtt=mqtt), tmp_path).startswith(f"mqtt.ca_file: {tmp_path}/ca.pem cannot be read")
    (tmp_path / "ca.pem").write_text("no certificate")
    assert problem(table(mqtt=mqtt), tmp_path).startswith(f"mqtt.ca_file: {tmp_path}/ca.pem holds no certificate")
    (said,) = [line for line in problems(table(mqtt=mqtt | {"tls": False}), tmp_path) if "tls = true" in line]
    assert said.startswith("mqtt.ca_file: ")


def test_without_the_package_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert parse_config(table()).mqtt is None
    said = problem(table(mqtt={"host": "broker"}))
    assert "pip install 'opendtu-dcload[mqtt]'" in said
