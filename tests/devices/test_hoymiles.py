import math

import pytest

from opendtu_dcload.devices.hoymiles import UNKNOWN, default_minimum_w, family_of, measurable_w


@pytest.mark.parametrize(
    ("prefixes", "name", "inputs"),
    [
        ("1121 1022 1120 1123 112f", "HM", 1),
        ("1141 1042 1140 1142 1145 114f", "HM", 2),
        ("1161 1062 1160 1162 1165 116f", "HM", 4),
        ("1124 1125 1400", "HMS", 1),
        ("1143 1144 1410 114a", "HMS", 2),
        ("1164 1166 1420", "HMS", 4),
        ("1361", "HMT", 4),
        ("1382", "HMT", 6),
        ("2841", "HERF", 1),
        ("2821", "HERF", 2),
        ("2801", "HERF", 4),
        ("9999 abcd 1023 1131 1181 2851", "unknown", 1),
    ],
)
def test_serial_tells_family_and_inputs(prefixes: str, name: str, inputs: int) -> None:
    for prefix in prefixes.split():
        family = family_of(f"{prefix}90ab5678")
        assert (family.name, family.inputs) == (name, inputs)


def test_letters_in_a_serial_may_be_upper_case() -> None:
    assert family_of("114A90AB5678") is family_of("114a90ab5678")
    assert family_of("114A90AB5678").name == "HMS"


@pytest.mark.parametrize("serial", ["114490ab5678", "138290ab5678"], ids=["HMS", "HMT"])
def test_sub_ghz_inverters_are_quick_and_need_their_limit_again_before_they_fall_back(serial: str) -> None:
    family = family_of(serial)
    assert (family.credit_s, family.dead_time_s, family.raise_spacing_s) == (8, 2, 5)
    assert family.refresh_s == 210


@pytest.mark.parametrize("serial", ["116190001234", "284190001234"], ids=["HM", "HERF"])
def test_2_4_ghz_inverters_are_slow(serial: str) -> None:
    family = family_of(serial)
    assert (family.credit_s, family.dead_time_s, family.raise_spacing_s) == (25, 6, 10)
    assert family.refresh_s == 900


def test_unknown_serial_gets_the_most_patient_times() -> None:
    assert family_of("") is UNKNOWN
    for serial in ("116190001234", "114490ab5678", "138290ab5678", "284190001234"):
        family = family_of(serial)
        assert UNKNOWN.credit_s >= family.credit_s
        assert UNKNOWN.raise_spacing_s >= family.raise_spacing_s


@pytest.mark.parametrize(
    ("serial", "rated_w", "minimum_w"),
    [
        ("112190001234", 350.0, 20.0),
        ("116190001234", 1500.0, 80.0),
        ("116490001234", 5000.0, 100.0),  # only a made-up size makes 2 % the larger one
        ("114190001234", None, 40.0),
        ("114190001234", 0.0, 40.0),
    ],
    ids=["per input", "four inputs", "2 %", "rated unknown", "rated 0 is unknown"],
)
def test_default_minimum_is_the_larger_of_2_pct_and_20_w_per_input(
    serial: str, rated_w: float | None, minimum_w: float
) -> None:
    assert default_minimum_w(serial, rated_w) == pytest.approx(minimum_w)


@pytest.mark.parametrize(
    ("serial", "voltage_v", "good_w"),
    [("112100000001", 26.5, 200.0), ("114100000001", 29.2, 400.0), ("112100000001", 48.0, math.inf)],
)
def test_on_24_v_an_inverter_measures_only_so_much(serial, voltage_v, good_w):
    assert measurable_w(serial, voltage_v) == good_w
