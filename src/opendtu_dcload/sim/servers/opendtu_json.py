"""What OpenDTU says of its inverters and of itself, as JSON in the shapes of both generations of its firmware."""

from __future__ import annotations

from typing import Any

from opendtu_dcload.sim.plant.dtu_memory import Statistics
from opendtu_dcload.sim.plant.house import InverterModel
from opendtu_dcload.sim.plant.radio import as_float32
from opendtu_dcload.sim.plant.sim_dtu import SimDtu

Json = dict[str, Any]

NEW_FIRMWARE = "v26.3.30"
OLD_FIRMWARE = "v23.12.16"
OPEN_INPUT_V, OPEN_INPUT_A = 0.5, 0.01
"""What an input that is not connected shows, as recorded of an HM-600."""


def number(value: float) -> float:
    """Return a value as the DTU prints it: a 32-bit float in up to ten digits, whole numbers without a point."""
    value = as_float32(value)
    if value == int(value):
        return int(value)
    return round(value, 10 - len(str(abs(int(value)))))


def _leaf(value: float, unit: str, digits: int) -> Json:
    return {"v": number(round(value, digits)), "u": unit, "d": digits}


def livedata(dtu: SimDtu, serial: str | None) -> Json:
    """Return `livedata/status`; `serial` is what `?inv=` asks for, None without it. The old firmware ignores it."""
    is_old = dtu.generation == "old"
    serials = dtu.serials if is_old or serial is None else [s for s in dtu.serials if s == serial]
    hints = {
        "time_sync": not dtu.is_clock_set,
        "radio_problem": False,
        "default_password": False,
    }
    return {
        "inverters": [_inverter(dtu, s, is_whole=is_old or serial is not None) for s in serials],
        "total": _total(dtu),
        "hints": hints if is_old else {**hints, "pin_mapping_issue": False},
    }


def _statistics(dtu: SimDtu, serial: str) -> Statistics:
    return dtu.believed[serial].statistics or Statistics(at_s=dtu.booted_at_s)


def _total(dtu: SimDtu) -> Json:
    statistics = [_statistics(dtu, s) for s in dtu.serials]
    yield_wh = sum(s.yield_wh for s in statistics)
    return {
        "Power": _leaf(sum(s.ac_power_w for s in statistics), "W", 1),
        "YieldDay": _leaf(yield_wh, "Wh", 0),
        "YieldTotal": _leaf(yield_wh / 1000, "kWh", 3),
    }


def _inverter(dtu: SimDtu, serial: str, *, is_whole: bool) -> Json:
    header = _header(dtu, serial)
    if not is_whole:
        return header
    model = dtu.house.inverters[serial].model
    values = _statistics(dtu, serial)
    whole = {
        "Power DC": _leaf(values.dc_power_w, "W", 1),
        "YieldDay": _leaf(values.yield_wh, "Wh", 0),
        "YieldTotal": _leaf(values.yield_wh / 1000, "kWh", 3),
        "Efficiency": _leaf(100 * values.ac_power_w / values.dc_power_w if values.dc_power_w else 0, "%", 3),
    }
    temperature = {"Temperature": _leaf(values.temperature_c, "°C", 1)}
    is_old = dtu.generation == "old"
    return {
        **header,
        "AC": {"0": {**_ac(values), **whole} if is_old else _ac(values)},
        "DC": {str(channel): _dc(values, model, channel) for channel in range(model.inputs)},
        "INV": {"0": temperature if is_old else {**whole, **temperature}},
        "events": 0,
    }


def _header(dtu: SimDtu, serial: str) -> Json:
    believed = dtu.believed[serial]
    age_s = dtu.data_age_s(serial)
    header: Json = {
        "serial": serial,
        "name": dtu.house.inverters[serial].model.name,
        "order": dtu.serials.index(serial),
        "data_age": int(age_s),
        "poll_enabled": dtu.is_polling,
        "reachable": dtu.is_reachable(serial),
        "producing": dtu.is_polling and _statistics(dtu, serial).ac_power_w > 0,  # the last known power, however old
        "limit_relative": number(believed.limit_pct),
        "limit_absolute": number(believed.limit_pct * believed.rated_w / 100) if believed.rated_w else -1,
    }
    if dtu.generation == "old":
        return header
    header["data_age_ms"] = int(age_s * 1000)
    header["radio_stats"] = {
        "tx_request": believed.transmissions,
        "tx_re_request": 0,
        "rx_success": believed.answers,
        "rx_fail_nothing": max(believed.transmissions - believed.answers - 1, 0),
        "rx_fail_partial": 0,
        "rx_fail_corrupt": 0,
        "rssi": -61 if believed.answers else -127,
    }
    return header


def _ac(values: Statistics) -> Json:
    is_alive = values.ac_voltage_v > 0
    return {
        "Power": _leaf(values.ac_power_w, "W", 1),
        "Voltage": _leaf(values.ac_voltage_v, "V", 1),
        "Current": _leaf(values.ac_power_w / values.ac_voltage_v if is_alive else 0, "A", 2),
        "Frequency": _leaf(50.01 if is_alive else 0, "Hz", 2),
        "PowerFactor": _leaf(1 if values.ac_power_w else 0, "", 3),
        "ReactivePower": _leaf(0.3 if values.ac_power_w else 0, "var", 1),
    }


def _dc(values: Statistics, model: InverterModel, channel: int) -> Json:
    used = model.inputs if model.connected_inputs is None else model.connected_inputs
    share = 1 / used if channel < used else 0.0
    power_w, voltage_v = values.dc_power_w * share, values.dc_voltage_v
    current_a = power_w / voltage_v if voltage_v else 0.0
    if channel >= used and voltage_v:
        voltage_v, current_a = OPEN_INPUT_V, OPEN_INPUT_A
    return {
        "name": {"u": f"Battery {channel + 1}"},
        "Power": _leaf(power_w, "W", 1),
        "Voltage": _leaf(voltage_v, "V", 1),
        "Current": _leaf(current_a, "A", 2),
        "YieldDay": _leaf(values.yield_wh * share, "Wh", 0),
        "YieldTotal": _leaf(values.yield_wh * share / 1000, "kWh", 3),
    }


def limit_status(dtu: SimDtu) -> Json:
    """Return `limit/status`."""
    return {
        serial: {
            "limit_relative": number(believed.limit_pct),
            "max_power": number(believed.rated_w),
            "limit_set_status": believed.limit_state.value,
        }
        for serial, believed in dtu.believed.items()
    }


def power_status(dtu: SimDtu) -> Json:
    """Return `power/status`."""
    return {serial: {"power_set_status": believed.power_state.value} for serial, believed in dtu.believed.items()}


def device_info(dtu: SimDtu, serial: str) -> Json:
    """Return `devinfo/status`; empty for a serial that the DTU does not have."""
    if serial not in dtu.believed:
        return {}
    model = dtu.house.inverters[serial].model
    rated_w = dtu.believed[serial].rated_w
    is_unknown = serial in dtu.unknown_models
    info: Json = {
        "valid_data": dtu.believed[serial].statistics is not None if is_unknown else rated_w > 0,
        "fw_bootloader_version": 104,
        "fw_build_version": 10016,
        "hw_part_number": 270602497,
        "hw_version": "01.00",
        "hw_model_name": "" if is_unknown else _model_name(model),
        "max_power": number(rated_w),
        "fw_build_datetime": "2023-11-01 12:24:00",
    }
    return info if dtu.generation == "old" else {**info, "pdl_supported": False}


def inverter_list(dtu: SimDtu) -> Json:
    """Return `inverter/list`."""
    return {"inverter": [_listed(dtu, index, serial) for index, serial in enumerate(dtu.serials)]}


def _listed(dtu: SimDtu, index: int, serial: str) -> Json:
    model = dtu.house.inverters[serial].model
    channels = [
        {"name": f"Battery {channel + 1}", "max_power": 0, "yield_total_offset": 0} for channel in range(model.inputs)
    ]
    return {
        "id": index,
        "name": model.name,
        "order": index,
        "serial": serial,
        "poll_enable": True,
        "poll_enable_night": True,
        "command_enable": dtu.commands_enabled,
        "command_enable_night": dtu.commands_enabled,
        "reachable_threshold": dtu.reachable_threshold,
        "zero_runtime": dtu.zero_runtime,
        "zero_day": False,
        "clear_eventlog": False,
        "yieldday_correction": False,
        "type": _model_name(model),
        "channel": channels,
    }


def _model_name(model: InverterModel) -> str:
    return f"HMS-{model.rated_w:.0f}-{model.inputs}T"


def dtu_config(dtu: SimDtu) -> Json:
    """Return `dtu/config`."""
    return {
        "serial": "99978563412",
        "pollinterval": number(dtu.poll_interval_s),
        "nrf_enabled": False,
        "nrf_palevel": 0,
        "cmt_enabled": True,
        "cmt_palevel": 0,
        "cmt_frequency": 865000000,
        "cmt_country": 0,
        "cmt_chan_width": 250000,
    }


def system_status(dtu: SimDtu) -> Json:
    """Return `system/status`, without the keys that only describe the chip's memory."""
    return {
        "hostname": "OpenDTU-5A10C4",
        "sdkversion": "v5.3.2",
        "cpufreq": 240,
        "cputemp": 48.3,
        "heap_total": 281344,
        "heap_used": 148220,
        "heap_max_block": 94196,
        "heap_min_free": 90112,
        "chipmodel": "ESP32-D0WD-V3",
        "chipcores": 2,
        "resetreason_0": "Vbat power on reset",
        "cfgsavecount": 41,
        "config_version": "0.1.30",
        "git_hash": OLD_FIRMWARE if dtu.generation == "old" else NEW_FIRMWARE,
        "git_branch": "master",
        "pioenv": "generic_esp32",
        "uptime": int(dtu.house.now_s - dtu.booted_at_s),
        "nrf_configured": False,
        "nrf_connected": False,
        "cmt_configured": True,
        "cmt_connected": True,
    }
