"""The metrics are what Prometheus reads, and the same numbers as those of the state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from opendtu_dcload.model import Alarm, Cause, Severity
from opendtu_dcload.web.quantities import BATTERY, INVERTER, MEASURED, METER, PLANT, SOLAR, TODAY, Quantity
from tests.web.served import SERIALS, Served, served

pytestmark = pytest.mark.realtime
TABLES = (PLANT, METER, SOLAR, MEASURED, INVERTER, BATTERY, TODAY)
BASE_UNITS = ("watts", "watt_hours", "volts", "amperes", "celsius", "seconds", "ratio", "hour", "limit", "today")


async def families(site: Served) -> dict[str, Metric]:
    async with site.session.get(site.url("/metrics")) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = await answer.text()
    found = list(text_string_to_metric_families(text))
    assert len({family.name for family in found}) == len(found)
    assert text.endswith("\n")
    return {family.name: family for family in found}


async def test_every_number_of_the_state_is_a_metric(site: Served):
    found, state = await families(site), await site.document()
    sections: dict[str, Mapping[str, Quantity[Any]]] = {
        "plant": PLANT,
        "meter": METER,
        "battery": BATTERY,
        "today": TODAY,
    }
    for section, table in sections.items():
        for name, quantity in table.items():
            (sample,) = found[f"opendtu_dcload_{quantity.metric}".removesuffix("_total")].samples
            assert sample.value == pytest.approx(state[section][name] * quantity.scale), name
    of_inverters: dict[str, Quantity[Any]] = {**MEASURED, **INVERTER}
    for name, quantity in of_inverters.items():
        samples = found[f"opendtu_dcload_{quantity.metric}".removesuffix("_total")].samples
        assert {sample.labels["serial"]: sample.value for sample in samples} == pytest.approx(
            {inverter["serial"]: inverter[name] for inverter in state["inverters"]}
        )


async def test_every_metric_has_a_type_a_text_and_a_unit_in_its_name(site: Served):
    for name, family in (await families(site)).items():
        assert name.startswith("opendtu_dcload_")
        assert family.documentation
        assert family.type in {"gauge", "counter"}
    names = [quantity.metric for table in TABLES for quantity in table.values()]
    assert len(set(names)) == len(names)
    for name in names:
        assert name.endswith((*BASE_UNITS, "_total")), name


async def test_of_what_is_not_known_there_is_no_line(site: Served):
    site.clock.now_s += 1000
    found = await families(site)
    assert "opendtu_dcload_grid_power_watts" not in found
    assert "opendtu_dcload_inverter_output_power_watts" not in found
    assert [sample.value for sample in found["opendtu_dcload_inverter_fresh"].samples] == [0, 0]
    assert [sample.labels["name"] for sample in found["opendtu_dcload_reason"].samples] == ["NO_DECISION"]


async def test_a_name_with_anything_in_it_stays_one_label(tmp_path: Path):
    name = 'a "b" \\ {c="d"} # e\\n'
    async with served(tmp_path) as site:
        site.state.set_inverters("opendtu", {
            serial: type(status)(**{field: getattr(status, field) for field in status.__slots__} | {"name": name})
            for serial, status in site.state.inverters.items()
        })  # fmt: skip
        site.state.set_alarms((Alarm(Cause.INVERTER_LOST, name, Severity.ALARM, "", 0.0),))
        found = await families(site)
        labels = {
            sample.labels["serial"]: sample.labels["name"]
            for sample in found["opendtu_dcload_inverter_limit_watts"].samples
        }
        assert labels == {SERIALS[0]: "Garage", SERIALS[1]: name}
        (alarm,) = found["opendtu_dcload_alarm"].samples
        assert alarm.labels == {"cause": "INVERTER_LOST", "subject": name, "severity": "alarm"}
