"""What the simulated Shellies of all generations have in common, and those of generation 1."""

from __future__ import annotations

import base64
import binascii
import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Literal

from aiohttp import web

from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.servers.http_server import DeviceServer, Handler, json_response
from opendtu_dcload.sim.servers.meter_view import Channel, MeterView, Relay

UNIX_START = 1751366432
"""The wall clock of the devices at plant time 0, in s."""
WATT_MINUTES_PER_WH = 60

Json = dict[str, Any]


def rounded(value: float | None, digits: int) -> float | None:
    """Return a rounded value; None = the meter does not tell it."""
    return None if value is None else round(value, digits)


class ShellyServer(DeviceServer):
    """A simulated Shelly on loopback. `meter` holds what it measures and what is wrong with that."""

    def __init__(
        self,
        dtu: SimDtu,
        clock: Callable[[], float],
        *,
        mac: str,
        password: str | None,
        outage_s: float = 5.0,
        latency_s: float = 0.01,
    ) -> None:
        super().__init__(dtu, clock, latency_s=latency_s)
        self.mac = mac
        self.password = password
        self.outage_s = outage_s
        """How long a reboot takes the device away."""
        self.meter = MeterView(dtu.house)
        self.relay = Relay()
        self.power_on = "off"
        """What the relay does after a power cut, with the device's own word."""
        self.auto_on_s = 0.0
        """How long after being switched off it switches itself on, as its settings say; 0 = never."""
        self._booted_at_s = dtu.house.now_s

    @property
    def now_s(self) -> float:
        """Plant time in s."""
        return self.dtu.house.now_s

    @property
    def is_away(self) -> bool:
        """True while a reboot lasts."""
        return self.now_s < self._booted_at_s

    @property
    def uptime_s(self) -> int:
        """Whole seconds since the last boot."""
        return int(self.now_s - self._booted_at_s)

    def reboot(self) -> None:
        """Go away for `outage_s`; a timer that runs is lost, the relay opens."""
        self._booted_at_s = self.now_s + self.outage_s
        self.relay = Relay()

    def feed_inverters(self) -> None:
        """Let this relay be the one through which the inverters reach the grid."""
        self.dtu.house.watchers.append(lambda *_: self._follow())
        self._follow()

    def _follow(self) -> None:
        self.relay.update(self.now_s)
        for inverter in self.dtu.house.inverters.values():
            inverter.set_grid(self.now_s, on=self.relay.is_on)

    def add_routes(self, app: web.Application) -> None:
        """Put the paths of all generations into `app`."""
        app.router.add_get("/shelly", self._shelly)
        app.router.add_get("/relay/{index}", self.guarded(self._relay))

    @abstractmethod
    def info(self) -> Json:
        """Return what `/shelly` shows to everybody."""

    @abstractmethod
    def refusal(self, request: web.Request) -> web.Response | None:
        """Return the answer to a request whose credentials do not suffice, None when they do."""

    def guarded(self, answer: Callable[[web.Request], web.Response]) -> Handler:
        """Return a handler that asks for credentials first."""

        async def handle(request: web.Request) -> web.StreamResponse:
            self.relay.update(self.now_s)
            return self.refusal(request) or answer(request)

        return handle

    async def _shelly(self, _: web.Request) -> web.Response:
        return json_response(self.info())

    @property
    def has_relay(self) -> bool:
        """Whether there is a relay to switch."""
        return True

    def _relay(self, request: web.Request) -> web.Response:
        if not self.has_relay or request.match_info["index"] != "0":
            return self.error(404)
        try:
            timer_s = float(request.query.get("timer", 0))
        except ValueError:
            timer_s = math.nan
        if not 0 <= timer_s < math.inf:
            return web.Response(status=400, text="Bad timer!")
        turn = request.query.get("turn")
        if turn in {"on", "off", "toggle"}:
            self.relay.switch(self.now_s, on=not self.relay.is_on if turn == "toggle" else turn == "on")
            self.relay.duration_s = timer_s
        return json_response(self.relay_status())

    def relay_status(self) -> Json:
        """Return the relay as `/relay/0` shows it."""
        relay = self.relay
        return {
            "ison": relay.is_on,
            "has_timer": bool(relay.duration_s),
            "timer_started": int(UNIX_START + relay.started_at_s) if relay.duration_s else 0,
            "timer_duration": int(relay.duration_s),
            "timer_remaining": int(relay.remaining_s(self.now_s)),
            "overpower": False,
            "source": relay.source,
        }


class Gen1Server(ShellyServer):
    """A Shelly 3EM, EM or 1PM.

    The EM measures the grid on channel 0 and the inverters' cable on channel 1. The 1PM shows power as a
    magnitude and counts both ways.
    """

    def __init__(
        self,
        dtu: SimDtu,
        clock: Callable[[], float],
        *,
        device: Literal["3em", "em", "1pm"] = "3em",
        mac: str = "C45BBE5F0A11",
        password: str | None = None,
        latency_s: float = 0.01,
    ) -> None:
        super().__init__(dtu, clock, mac=mac, password=password, latency_s=latency_s)
        self.device = device

    def add_routes(self, app: web.Application) -> None:
        """Put the paths of generation 1 into `app`."""
        super().add_routes(app)
        app.router.add_get("/status", self.guarded(lambda _: json_response(self._status())))
        app.router.add_get("/settings/relay/0", self.guarded(lambda _: json_response(self._relay_settings())))
        app.router.add_get("/settings", self.guarded(lambda _: json_response(self._settings())))
        app.router.add_get("/emeter/{index}", self.guarded(lambda r: self._one(r, self._emeters())))
        app.router.add_get("/meter/{index}", self.guarded(lambda r: self._one(r, self._meters())))
        app.router.add_get("/reboot", self.guarded(self._reboot))

    def error(self, status: int) -> web.Response:
        """Return the device's own answer for a status."""
        if status == 401:
            challenge = {"WWW-Authenticate": 'Basic realm="Restricted"'}
            return web.Response(status=401, text="401 Unauthorized", headers=challenge)
        return web.Response(status=status, text="Not Found" if status == 404 else "")

    def refusal(self, request: web.Request) -> web.Response | None:
        """Ask for Basic when there is a password."""
        if self.password is None:
            return None
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        try:
            is_admin = scheme.lower() == "basic" and base64.b64decode(given).decode() == f"admin:{self.password}"
        except (binascii.Error, ValueError):
            is_admin = False
        return None if is_admin else self.error(401)

    def info(self) -> Json:
        """Return what `/shelly` shows to everybody."""
        counts = {"num_meters": 1} if self.device == "1pm" else {"num_meters": 0, "num_emeters": len(self._emeters())}
        return {
            "type": {"3em": "SHEM-3", "em": "SHEM", "1pm": "SHSW-PM"}[self.device],
            "mac": self.mac,
            "auth": self.password is not None,
            "fw": "20230913-114244/v1.14.0-gcb84623",
            "discoverable": False,
            "longid": 1,
            "num_outputs": 1,
            **counts,
        }

    def _emeters(self) -> list[Json]:
        meter = self.meter
        if self.device == "1pm":
            return []
        if self.device == "3em":
            return [self._emeter(channel, {"current": channel.current_a}) for channel in meter.phases]
        inverters = Channel(-meter.output_w, meter.phases[0].voltage_v, 0.0, 0.0)
        return [self._emeter(channel, {"reactive": 40.0}) for channel in (meter.total, inverters)]

    def _emeter(self, channel: Channel, more: Json) -> Json:
        return {
            "power": channel.power_w if self.meter.is_valid else 0.0,
            "pf": channel.power_factor,
            **more,
            "voltage": channel.voltage_v,
            "is_valid": self.meter.is_valid,
            "total": rounded(channel.imported_wh, 1),
            "total_returned": rounded(channel.exported_wh, 1),
        }

    def _meters(self) -> list[Json]:
        if self.device != "1pm":
            return []
        power_w = abs(self.meter.total_w)
        meter = {
            "power": power_w if self.meter.is_valid else 0.0,
            "overpower": 0.0,
            "is_valid": self.meter.is_valid,
            "timestamp": int(UNIX_START + self.now_s),
            "counters": [power_w, power_w, power_w],
            "total": int((self.meter.total.turned_over_wh or 0.0) * WATT_MINUTES_PER_WH),
        }
        return [meter]

    def _one(self, request: web.Request, entries: list[Json]) -> web.Response:
        index = request.match_info["index"]
        return json_response(entries[int(index)]) if index in map(str, range(len(entries))) else self.error(404)

    def _status(self) -> Json:
        status: Json = {
            "wifi_sta": {"connected": True, "ssid": "home", "ip": "192.0.2.31", "rssi": -61},
            "cloud": {"enabled": False, "connected": False},
            "mqtt": {"connected": False},
            "time": "12:40",
            "unixtime": int(UNIX_START + self.now_s),
            "serial": self.meter.serial,
            "has_update": False,
            "mac": self.mac,
            "relays": [self.relay_status()],
        }
        if self.device == "1pm":
            status["meters"] = self._meters()
            status |= {"temperature": 38.2, "overtemperature": False}
        else:
            status["emeters"] = self._emeters()
        if self.device == "3em":
            status["total_power"] = self.meter.total_w if self.meter.is_valid else 0.0
        return {**status, "ram_total": 49920, "ram_free": 30120, "uptime": self.uptime_s}

    def _relay_settings(self) -> Json:
        return {
            **self.relay_status(),
            "name": None,
            "default_state": self.power_on,
            "btn_type": "toggle",
            "auto_on": self.auto_on_s,
            "auto_off": 0.0,
            "schedule": False,
        }

    def _settings(self) -> Json:
        info = self.info()
        hostname = f"shelly{self.device}-{self.mac}"
        return {
            "device": {"type": info["type"], "mac": self.mac, "hostname": hostname, "num_outputs": 1},
            "login": {"enabled": self.password is not None, "unprotected": False, "username": "admin"},
            "name": "Grid",
            "fw": info["fw"],
            "coiot": {"enabled": True, "update_period": 15, "peer": ""},
        }

    def _reboot(self, _: web.Request) -> web.Response:
        self.reboot()
        return json_response({"ok": True})
