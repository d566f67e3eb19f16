"""The load in a recording of the service: what the meter showed and what the inverters gave, added."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path

from opendtu_dcload.control.decision import Seen
from opendtu_dcload.errors import ConfigError
from opendtu_dcload.recording.replay import seen_in
from opendtu_dcload.sim.loads.clock_times import Times
from opendtu_dcload.sim.loads.measured_load import MeasuredLoad
from opendtu_dcload.sim.loads.power_table import load_of

Curve = dict[float, float]
"""Power in W by the time in s at which it was measured."""
NOTE = (
    "A recording shows the inverters' output every few seconds only, joined by straight lines in between: so each "
    "of their steps leaves a short trace in the load."
)


def recorded_load(path: Path) -> MeasuredLoad:
    """Return the load in a recording.

    Raises:
        ConfigError: it is none, or the meter was never heard in it.
    """
    meter_w, outputs_w = _heard(seen_in(path))
    if not meter_w:
        raise ConfigError([f"{path}: the meter was never heard in this recording; make another one"])
    curves = [(sorted(curve), curve) for curve in outputs_w.values()]
    first_s = min(meter_w)
    loads_w = [grid_w + sum(_at(at_s, times, curve) for times, curve in curves) for at_s, grid_w in meter_w.items()]
    try:
        times = Times([at_s - first_s for at_s in meter_w], None)
        return load_of(times, loads_w, "a recording: the meter and the inverters' outputs, added", (NOTE,))
    except ValueError as err:
        raise ConfigError([f"{path}: {err}"]) from err


def _heard(all_seen: Iterable[Seen]) -> tuple[Curve, dict[str, Curve]]:
    meter_w: Curve = {}
    outputs_w: dict[str, Curve] = {}
    for seen in all_seen:
        if seen.meter is not None and (not meter_w or seen.meter.at_s > next(reversed(meter_w))):
            meter_w[seen.meter.at_s] = seen.meter.power_w
        for serial, status in seen.inverters.items():
            if status.ac_power_w is not None:
                outputs_w.setdefault(serial, {})[status.at_s] = status.ac_power_w
    return meter_w, outputs_w


def _at(at_s: float, times: list[float], curve: Curve) -> float:
    """Return what an inverter gave, between the two times at which it told."""
    after = bisect_right(times, at_s)
    if after in {0, len(times)}:
        return curve[times[max(after - 1, 0)]]
    before_s, after_s = times[after - 1], times[after]
    share = (at_s - before_s) / (after_s - before_s)
    return curve[before_s] + share * (curve[after_s] - curve[before_s])
