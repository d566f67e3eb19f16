"""The door behind the stage: what really happens in a simulated plant, its score, and faults on demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from opendtu_dcload.sim.plant.house import MeterSample
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.runs.score import ideal_waste_wh, quiet_samples_w, steps, within_share
from opendtu_dcload.sim.servers.http_server import DeviceServer, Faults, json_response
from opendtu_dcload.sim.servers.opendtu_server import OpenDtuServer
from opendtu_dcload.sim.servers.shelly_server import ShellyServer

BIG_STEP_W = 300.0

# What `POST /_sim/faults` may set beside HTTP faults, by device.
_METER_FLAGS: Mapping[str, type] = {
    "sign": int,
    "sees_inverters": bool,
    "is_frozen": bool,
    "is_power_frozen": bool,
    "frozen_w": float,
    "tells_only_watts": bool,
    "refresh_s": float,
    "is_valid": bool,
}
_DTU_FLAGS: Mapping[str, type] = {
    "loss": float,
    "commands_enabled": bool,
    "is_polling": bool,
    "withholds_limits": bool,
    "radio_hangs": bool,
    "late_posts": int,
    "acts_after_s": float,
    "zero_runtime": bool,
}

# What `POST /_sim/inverter` may set.
_INVERTER_FLAGS: Mapping[str, type] = {
    "is_in_reach": bool,
    "is_deaf": bool,
    "answers_limits": bool,
    "obeys": bool,
    "held_w": float,
    "reads_back_pct": float,
}


@dataclass(frozen=True, slots=True)
class Rules:
    """What the score is measured against."""

    target_w: float
    """Grid power that the controller is to hold."""
    minimum_w: float
    """Sum of the inverters' minima."""
    maximum_w: float
    """The cap, or the sum of rated powers if that is less."""
    from_s: float
    """Seconds after the beginning from which energy is counted: before, the controller starts up."""


class Score:
    """Keeps what the score of a run needs. The run begins where the house is when this is made."""

    def __init__(self, dtu: SimDtu, rules: Rules) -> None:
        self._dtu = dtu
        self._rules = rules
        self.began_s = dtu.house.now_s
        self.began = replace(dtu.house.energy)
        self._samples: list[tuple[float, float]] = []
        self._from_wh: tuple[float, float] | None = None
        dtu.house.watchers.append(self._watch)

    def _watch(self, sample: MeterSample, elapsed_s: float) -> None:
        at_s = sample.at_s - self.began_s
        if at_s - elapsed_s >= self._rules.from_s:
            self._samples.append((at_s, sample.power_w))

    def advance(self, now_s: float) -> None:
        """Move the plant, with a stop where the counting begins."""
        from_s = self.began_s + self._rules.from_s
        if self._from_wh is None and now_s >= from_s:
            self._dtu.advance(from_s)
            self._from_wh = self._energies_wh
        self._dtu.advance(now_s)

    @property
    def _energies_wh(self) -> tuple[float, float]:
        energy = self._dtu.house.energy
        return energy.exported_wh, energy.avoidable_wh

    def report(self) -> dict[str, float | None]:
        """Return the score from `from_s` to now; commands are counted from the beginning."""
        house, rules = self._dtu.house, self._rules
        load_w = [house.load_at(self.began_s + second) for second in range(int(house.now_s - self.began_s))]
        scored_w = load_w[int(rules.from_s) :]
        start_wh = self._from_wh or self._energies_wh
        exported_wh, avoidable_wh = (now - then for now, then in zip(self._energies_wh, start_wh, strict=True))
        waste_wh = 2 * exported_wh + avoidable_wh
        j0_wh = ideal_waste_wh(scored_w, minimum_w=rules.minimum_w, maximum_w=rules.maximum_w) if scored_w else 0.0
        counters = self._dtu.counters
        quiet_w = quiet_samples_w(self._samples, load_w)
        return {
            "steps_over_300_w": len(steps(scored_w, BIG_STEP_W)),
            "waste_wh": round(waste_wh, 3),
            "j0_wh": round(j0_wh, 3),
            "waste_over_j0": round(waste_wh / j0_wh, 3) if j0_wh > 0 else None,
            "exported_wh": round(exported_wh, 3),
            "avoidable_import_wh": round(avoidable_wh, 3),
            "within_60_w_pct": round(100 * within_share(quiet_w, rules.target_w), 2),
            "quiet_samples": len(quiet_w),
            "commands": counters.limits + counters.power,
        }


class Backstage(DeviceServer):
    """HTTP for the demo and for tests: `/_sim/live`, `/_sim/score`, `/_sim/boot`, `/_sim/faults`, `/_sim/inverter`."""

    def __init__(self, opendtu: OpenDtuServer, meter: ShellyServer, rules: Rules) -> None:
        super().__init__(opendtu.dtu, opendtu.clock, latency_s=0.0)
        self._opendtu = opendtu
        self._meter = meter
        self.score = Score(opendtu.dtu, rules)

    @property
    def is_away(self) -> bool:
        """Never."""
        return False

    def error(self, status: int) -> web.Response:
        """Return a plain answer."""
        return web.Response(status=status)

    def add_routes(self, app: web.Application) -> None:
        """Put the paths into `app`."""
        app.router.add_get("/_sim/live", self._live)
        app.router.add_get("/_sim/score", self._report)
        app.router.add_post("/_sim/boot", self._boot)
        app.router.add_post("/_sim/faults", self._faults)
        app.router.add_post("/_sim/inverter", self._inverter)

    async def _live(self, _: web.Request) -> web.Response:
        house = self.dtu.house
        counters = self.dtu.counters
        live = {
            "at_s": round(house.now_s - self.score.began_s, 3),
            "load_w": house.load_at(house.now_s),
            "grid_w": round(house.grid_w, 1),
            "output_w": {serial: round(i.output_w, 1) for serial, i in house.inverters.items()},
            "limit_w": {serial: round(i.limit_w, 1) for serial, i in house.inverters.items()},
            "yield_wh": {serial: round(i.energy_wh, 3) for serial, i in house.inverters.items()},
            "battery_v": round(house.battery.voltage_v(house.dc_power_w), 2),
            "imported_wh": round(house.energy.imported_wh - self.score.began.imported_wh, 3),
            "exported_wh": round(house.energy.exported_wh - self.score.began.exported_wh, 3),
            "limits": counters.limits,
            "power": counters.power,
            "persistent": counters.persistent,
            "raised_or_repeated_while_pending": counters.raised_or_repeated_while_pending,
            "lowered_while_pending": counters.lowered_while_pending,
            "max_in_flight": {"dtu": self._opendtu.max_in_flight, "meter": self._meter.max_in_flight},
        }
        return json_response(live)

    async def _report(self, _: web.Request) -> web.Response:
        return json_response(self.score.report())

    async def _boot(self, _: web.Request) -> web.Response:
        self.dtu.boot()
        return json_response({})

    async def _faults(self, request: web.Request) -> web.Response:
        """Set `{"device": "dtu" | "meter", "refuse": bool, <flags>, <fields of Faults>}`; what is not named is off."""
        devices: dict[object, tuple[DeviceServer, object, Mapping[str, type]]] = {
            "dtu": (self._opendtu, self.dtu, _DTU_FLAGS),
            "meter": (self._meter, self._meter.meter, _METER_FLAGS),
        }
        try:
            wanted = dict(await _read(request))
            server, target, flags = devices[_checked("device", wanted.pop("device", None), str)]
            changes = {name: _checked(name, wanted.pop(name), flags[name]) for name in flags if name in wanted}
            is_refusing = _checked("refuse", wanted.pop("refuse", False), bool)
            server.faults = Faults.from_json(wanted)
        except (KeyError, ValueError) as err:
            return web.Response(status=400, text=f"{err}; device is dtu or meter")
        for name, value in changes.items():
            setattr(target, name, value)
        if is_refusing:
            await server.stop()
        elif not server.is_listening:
            await server.start()
        return json_response({})

    async def _inverter(self, request: web.Request) -> web.Response:
        """Change one inverter: `{"serial": "...", "has_dc": bool, "limit_w": W, "is_known": bool, <flags>}`.

        `limit_w` is a limit that rules from now on though nobody sent it; `is_known` false: the DTU has no rated power.
        """
        try:
            wanted = dict(await _read(request))
            serial = wanted.pop("serial")
            inverter = self.dtu.house.inverters[serial]
            kinds = {"has_dc": bool, "limit_w": float, "is_known": bool, **_INVERTER_FLAGS}
            changes = {name: _checked(name, value, kinds[name]) for name, value in wanted.items()}
        except (KeyError, TypeError, ValueError) as err:
            return web.Response(status=400, text=f"serial and what to change are wanted: {err}")
        for name, value in changes.items():
            if name == "has_dc":
                inverter.set_dc(self.dtu.house.now_s, on=value)
            elif name == "limit_w":
                inverter.impose(value)
            elif name == "is_known":
                (self.dtu.unknown_models.discard if value else self.dtu.unknown_models.add)(serial)
            else:
                setattr(inverter, name, value)
        return json_response({})


async def _read(request: web.Request) -> Mapping[str, Any]:
    wanted = await request.json()
    if not isinstance(wanted, dict):
        raise ValueError("a JSON object is wanted")  # noqa: TRY004  every mistake of the sender is one kind here
    return wanted


def _checked(name: str, value: Any, kind: type) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind:
        raise ValueError(f"{name} cannot be {value!r}")
    return value
