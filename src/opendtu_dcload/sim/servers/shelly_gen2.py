"""Simulated Shellies from generation 2 on: components, read with remote procedure calls over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

from aiohttp import web

from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.servers.http_server import json_response
from opendtu_dcload.sim.servers.meter_view import Channel
from opendtu_dcload.sim.servers.shelly_digest import DigestGuard, Refusal
from opendtu_dcload.sim.servers.shelly_server import UNIX_START, Json, ShellyServer, rounded

Device = Literal["pro3em", "pro3em-mono", "pm-mini", "plus1pm"]

_KINDS: Mapping[str, tuple[str, str, str, int]] = {
    "pro3em": ("shellypro3em", "SPEM-003CEBEU", "Pro3EM", 2),
    "pro3em-mono": ("shellypro3em", "SPEM-003CEBEU", "Pro3EM", 2),
    "pm-mini": ("shellypmminig3", "S3PM-001PCEU16", "MiniPMG3", 3),
    "plus1pm": ("shellyplus1pm", "SNSW-001P16EU", "Plus1PM", 2),
}
_OPEN_METHODS = ("Shelly.GetDeviceInfo",)


class _RpcError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.answer = {"code": code, "message": message}
        self.status = code if code > 0 else 500


class Gen2Server(ShellyServer):
    """A Pro 3EM in one of its two profiles, a PM Mini Gen3 or a Plus 1PM.

    The Plus 1PM shows power as a magnitude and has no counter of returned energy; `aenergy` of both counts both ways.
    """

    keeps_connections = True

    def __init__(
        self,
        dtu: SimDtu,
        clock: Callable[[], float],
        *,
        device: Device = "pro3em",
        mac: str = "A0DD6C112233",
        password: str | None = None,
        firmware: str = "1.7.1",
        latency_s: float = 0.01,
    ) -> None:
        super().__init__(dtu, clock, mac=mac, password=password, latency_s=latency_s)
        self.device = device
        """May be changed while it runs, as a user changes the profile."""
        self.firmware = firmware
        prefix, self._model, self._app, self._generation = _KINDS[device]
        self.id = f"{prefix}-{mac.lower()}"
        has_slots = int(firmware.partition(".")[0]) >= 2
        self.guard = DigestGuard(self.id, password or "", has_slots=has_slots)

    def add_routes(self, app: web.Application) -> None:
        """Put the paths of generation 2 into `app`."""
        super().add_routes(app)
        app.router.add_get("/rpc/{method}", self._get)
        app.router.add_post("/rpc", self._post)

    def error(self, status: int) -> web.Response:
        """Return the device's own answer for a status."""
        if status == 401:
            return _refused(self.guard.challenge(self.now_s))
        if status == 404:
            return json_response({"code": 404, "message": "No handler"}, 404)
        return web.Response(status=status, text="Too many requests" if status == 429 else "")

    def refusal(self, request: web.Request) -> web.Response | None:
        """Ask for a digest when there is a password."""
        if self.password is None:
            return None
        header = request.headers.get("Authorization", "")
        refused = self.guard.check(request.method, request.raw_path, header, self.now_s)
        return _refused(refused) if refused else None

    @property
    def has_relay(self) -> bool:
        """Only the Plus 1PM switches."""
        return self.device == "plus1pm"

    # Calls ---------------------------------------------------------------------------------------------------------

    async def _get(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        return self._answered(request, method, dict(request.query), None)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        try:
            frame = json.loads(await request.text())
        except ValueError:
            frame = None
        if not isinstance(frame, dict):
            return json_response({"code": -103, "message": "Invalid argument 'request'!"}, 500)
        envelope = {"id": frame.get("id"), "src": self.id, "dst": frame.get("src")}
        params = frame.get("params")
        return self._answered(request, str(frame.get("method")), params if isinstance(params, dict) else {}, envelope)

    def _answered(
        self, request: web.Request, method: str, params: Mapping[str, Any], envelope: Json | None
    ) -> web.Response:
        if method not in _OPEN_METHODS and (refused := self.refusal(request)):
            return refused
        self.relay.update(self.now_s)
        try:
            result = self._call(method, params)
        except _RpcError as err:
            return json_response(err.answer if envelope is None else {**envelope, "error": err.answer}, err.status)
        return json_response(result if envelope is None else {**envelope, "result": result})

    def _call(self, method: str, params: Mapping[str, Any]) -> Json:
        if method == "Shelly.GetDeviceInfo":
            return self.info()
        if method == "Shelly.GetStatus":
            return {**self.components(), "sys": self._sys(), "cloud": {"connected": False}}
        if method == "Sys.GetStatus":
            return self._sys()
        if method == "Shelly.Reboot":
            self.reboot()
            return {}
        kind, _, verb = method.partition(".")
        components = self.components()
        if verb not in {"GetStatus", "GetConfig", "Set"} or not any(
            name.startswith(f"{kind.lower()}:") for name in components
        ):
            raise _RpcError(404, f"No handler for {method}")
        if "id" not in params:
            raise _RpcError(-103, "Missing required argument 'id'!")
        status: Json | None = components.get(f"{kind.lower()}:{params['id']}")
        if status is None:
            raise _RpcError(-105, f"Argument 'id', value {params['id']} not found!")
        if verb == "GetStatus":
            return status
        if kind != "Switch":
            raise _RpcError(404, f"No handler for {method}")
        return self._switch(params) if verb == "Set" else self._switch_config()

    def _switch(self, params: Mapping[str, Any]) -> Json:
        if "on" not in params:
            raise _RpcError(-103, "Missing required argument 'on'!")
        try:
            flip_after_s = float(params.get("toggle_after", 0))
        except (TypeError, ValueError):
            raise _RpcError(-103, "Invalid argument 'toggle_after'!") from None
        was_on = self.relay.is_on
        self.relay.switch(self.now_s, on=str(params["on"]).lower() == "true", flip_after_s=flip_after_s)
        return {"was_on": was_on}

    def _switch_config(self) -> Json:
        return {
            "id": 0,
            "name": None,
            "in_mode": "detached",
            "initial_state": self.power_on,
            "auto_on": bool(self.auto_on_s),
            "auto_on_delay": self.auto_on_s or 60.0,
            "auto_off": False,
            "auto_off_delay": 60.0,
        }

    # Documents -----------------------------------------------------------------------------------------------------

    def info(self) -> Json:
        """Return what `/shelly` shows to everybody."""
        info = {
            "name": "Grid",
            "id": self.id,
            "mac": self.mac,
            "slot": 0,
            "model": self._model,
            "gen": self._generation,
            "fw_id": f"20250924-062733/{self.firmware}-gd336f31",
            "ver": self.firmware,
            "app": self._app,
            "auth_en": self.password is not None,
            "auth_domain": self.id if self.password is not None else None,
        }
        profiles = {"pro3em": "triphase", "pro3em-mono": "monophase"}
        return info | ({"profile": profiles[self.device]} if self.device in profiles else {})

    def components(self) -> Json:
        """Return the status of each component by its name."""
        if self.device == "pro3em":
            return {"em:0": self._em(), "emdata:0": self._em_data()}
        if self.device == "pro3em-mono":
            return {f"em1:{index}": self._em1(index, phase) for index, phase in enumerate(self.meter.phases)} | {
                f"em1data:{index}": _em1_data(index, phase) for index, phase in enumerate(self.meter.saved_phases)
            }
        if self.device == "pm-mini":
            return {"pm1:0": self._power_meter()}
        return {"switch:0": {**self._relay_fields(), **self._power_meter()}}

    def _sys(self) -> Json:
        return {
            "mac": self.mac,
            "restart_required": False,
            "time": "12:40",
            "unixtime": int(UNIX_START + self.now_s),
            "uptime": self.uptime_s,
            "ram_size": 245000,
            "ram_free": 110000,
        }

    def _shown(self, power_w: float) -> float | None:
        return power_w if self.meter.is_valid else None

    def _errors(self) -> Json:
        return {} if self.meter.is_valid else {"errors": ["power_meter_failure"]}

    def _em(self) -> Json:
        em: Json = {"id": 0}
        for letter, phase in zip("abc", self.meter.phases, strict=True):
            em |= {
                f"{letter}_current": phase.current_a,
                f"{letter}_voltage": phase.voltage_v,
                f"{letter}_act_power": self._shown(phase.power_w),
                f"{letter}_aprt_power": phase.apparent_va,
                f"{letter}_pf": phase.power_factor,
                f"{letter}_freq": self.meter.frequency_hz,
            }
        return em | {
            "n_current": None,
            "total_current": round(sum(phase.current_a or 0.0 for phase in self.meter.phases), 3),
            "total_act_power": self._shown(self.meter.total_w),
            "total_aprt_power": round(sum(phase.apparent_va for phase in self.meter.phases), 1),
            "user_calibrated_phase": [],
            **self._errors(),
        }

    def _em_data(self) -> Json:
        counters: Json = {"id": 0}
        phases = self.meter.saved_phases
        for letter, phase in zip("abc", phases, strict=True):
            counters[f"{letter}_total_act_energy"] = rounded(phase.imported_wh, 2)
            counters[f"{letter}_total_act_ret_energy"] = rounded(phase.exported_wh, 2)
        return counters | {
            "total_act": round(sum(phase.imported_wh or 0.0 for phase in phases), 2),
            "total_act_ret": round(sum(phase.exported_wh or 0.0 for phase in phases), 2),
        }

    def _em1(self, index: int, phase: Channel) -> Json:
        return {
            "id": index,
            "current": phase.current_a,
            "voltage": phase.voltage_v,
            "act_power": self._shown(phase.power_w),
            "aprt_power": phase.apparent_va,
            "pf": phase.power_factor,
            "freq": self.meter.frequency_hz,
            "calibration": "factory",
            **self._errors(),
        }

    def _power_meter(self) -> Json:
        total = self.meter.total
        is_signed = self.device == "pm-mini"
        power_w = self._shown(total.power_w if is_signed else abs(total.power_w))
        status = {
            "id": 0,
            "voltage": total.voltage_v,
            "current": total.current_a,
            "apower": power_w,
            "aenergy": _counter(total.turned_over_wh),
            **self._errors(),
        }
        if is_signed:
            status |= {"freq": self.meter.frequency_hz, "ret_aenergy": _counter(total.exported_wh)}
        return status

    def _relay_fields(self) -> Json:
        relay = self.relay
        timer = {"timer_started_at": UNIX_START + relay.started_at_s, "timer_duration": relay.duration_s}
        return {"source": relay.source, "output": relay.is_on, **(timer if relay.duration_s else {})}


def _em1_data(index: int, phase: Channel) -> Json:
    return {
        "id": index,
        "total_act_energy": rounded(phase.imported_wh, 2),
        "total_act_ret_energy": rounded(phase.exported_wh, 2),
    }


def _counter(total_wh: float | None) -> Json:
    return {"total": rounded(total_wh, 3), "by_minute": [0.0, 0.0, 0.0], "minute_ts": UNIX_START}


def _refused(refusal: Refusal) -> web.Response:
    headers = {"WWW-Authenticate": refusal.challenge} if refusal.challenge else {}
    return web.Response(status=refusal.status, text=refusal.message, headers=headers)
