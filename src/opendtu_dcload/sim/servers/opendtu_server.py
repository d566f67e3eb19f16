"""OpenDTU's HTTP around the simulated DTU: logins, form posts, codes and their order as in the firmware."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import math
from collections.abc import Callable
from typing import Any, cast

from aiohttp import web

from opendtu_dcload.sim.plant.sim_dtu import MAX_LIMIT, SimDtu
from opendtu_dcload.sim.servers import opendtu_json as answers
from opendtu_dcload.sim.servers.http_server import DeviceServer, Handler, json_response
from opendtu_dcload.sim.servers.opendtu_push import CHALLENGE, LivePush, has_digest

FACTORY_PASSWORD = "openDTU42"  # noqa: S105  what every OpenDTU comes with, documented by the project
RETRY_AFTER_S = 60
"""OpenDTU: the Retry-After of a 429 is a constant in the firmware."""
OLD_MAX_BYTES = 1024
"""Old firmware: longer `data` is refused with code 1003."""

PUSH = "/livedata"

Fields = dict[str, Any]


class _RefusedError(Exception):
    """The firmware says no: HTTP 200 with a warning."""

    def __init__(self, code: int, message: str, **param: int) -> None:
        super().__init__(message)
        self.answer = {"type": "warning", "message": message, "code": code} | ({"param": param} if param else {})


class OpenDtuServer(DeviceServer):
    """A simulated OpenDTU on loopback."""

    def __init__(
        self,
        dtu: SimDtu,
        clock: Callable[[], float],
        *,
        password: str = FACTORY_PASSWORD,
        allow_readonly: bool = True,
        outage_s: float = 8.0,
        latency_s: float = 0.01,
    ) -> None:
        super().__init__(dtu, clock, latency_s=latency_s)
        self.password = password
        self.allow_readonly = allow_readonly
        self.outage_s = outage_s
        """How long `maintenance/reboot` takes it away."""
        self.posted: list[tuple[str, Fields]] = []
        """Path and content of each post that could be read, refused or not."""
        self.push = LivePush(dtu, clock, self._live_document, self._push_late_s)
        self.push_login = "digest"
        """What the websocket asks for when reading is not open to all: `digest`, `basic`, or nothing (`none`)."""

    @property
    def is_away(self) -> bool:
        """True while a reboot lasts."""
        return not self.dtu.is_up

    def error(self, status: int) -> web.Response:
        """Return the firmware's own answer for a status."""
        if status == 401:
            challenge = {"WWW-Authenticate": 'Basic realm="Login Required"'}
            return web.Response(status=401, headers=challenge)
        if status == 429:
            return web.Response(status=429, text="Too Many Requests", headers={"Retry-After": str(RETRY_AFTER_S)})
        if status == 500:
            message = "500 Internal Server Error: onLivedataStatus, 281"
            return json_response({"message": message, "code": 1007, "type": "danger"}, 500)
        return web.Response(status=status, text="Not found" if status == 404 else "")

    def add_routes(self, app: web.Application) -> None:
        """Put all paths into `app`."""
        app.router.add_get(PUSH, self._open_push)
        for path, answer in {
            "livedata/status": self._livedata,
            "limit/status": lambda _: answers.limit_status(self.dtu),
            "power/status": lambda _: answers.power_status(self.dtu),
            "system/status": lambda _: answers.system_status(self.dtu),
            "devinfo/status": lambda request: answers.device_info(self.dtu, _asked_serial(request) or ""),
            "eventlog/status": lambda _: {"count": 0, "events": []},
        }.items():
            app.router.add_get(f"/api/{path}", self._reader(answer, is_open=True))
        authenticated = {"type": "success", "message": "Authentication successful!", "code": 10002}
        for path, answer in {
            "dtu/config": lambda _: answers.dtu_config(self.dtu),
            "inverter/list": lambda _: answers.inverter_list(self.dtu),
            "security/authenticate": lambda _: authenticated,
        }.items():
            app.router.add_get(f"/api/{path}", self._reader(answer, is_open=False))
        for path, act in {
            "limit/config": self._limit,
            "power/config": self._power,
            "maintenance/reboot": self._reboot,
        }.items():
            app.router.add_post(f"/api/{path}", self._writer(path, act))

    async def respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Return the answer to a request; that of a websocket has ended then."""
        response = await super().respond(request, handler)
        if request.path == PUSH and not isinstance(response, web.Response):
            await response.prepare(request)
            await self.push.serve(cast("web.WebSocketResponse", response))
        return response

    async def stop(self) -> None:
        """Close all connections and refuse new ones until `start`."""
        await self.push.stop()
        await super().stop()

    def _push_late_s(self) -> float:
        return self.latency.next_s()

    async def _open_push(self, request: web.Request) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        if self.push.faults.is_missing:
            raise web.HTTPNotFound
        if self.allow_readonly or self.push_login == "none":
            return self.make_socket()
        if self.push_login == "basic":
            return self.make_socket() if self._is_admin(request) else self.error(401)
        if has_digest(given, self.password, request.path):
            return self.make_socket()
        return web.Response(status=401, headers={"WWW-Authenticate": CHALLENGE})

    def _reader(self, answer: Callable[[web.Request], Fields], *, is_open: bool) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            if not (is_open and self.allow_readonly) and not self._is_admin(request):
                return self._login_wanted(request)
            return json_response(answer(request))

        return handle

    def _writer(self, path: str, act: Callable[[Fields], Fields]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            if not self._is_admin(request):
                return self._login_wanted(request)
            try:
                values = await self._read_form(request)
                self.posted.append((path, values))
                late_s = self.dtu.acts_after_s if self.dtu.late_posts > 0 else 0.0
                answer = act(values)
                await asyncio.sleep(late_s)  # who hangs up meanwhile changes nothing
                return json_response(answer)
            except _RefusedError as refused:
                return json_response(refused.answer)

        return handle

    def _is_admin(self, request: web.Request) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        try:
            return scheme.lower() == "basic" and base64.b64decode(given).decode() == f"admin:{self.password}"
        except (binascii.Error, ValueError):
            return False

    def _login_wanted(self, request: web.Request) -> web.Response:
        response = self.error(401)
        if "X-Requested-With" in request.headers:  # the firmware spares its own web pages the browser's dialogue
            del response.headers["WWW-Authenticate"]
        return response

    async def _read_form(self, request: web.Request) -> Fields:
        form = await request.post()
        text = form.get("data")
        if not isinstance(text, str):
            raise _RefusedError(1002, "No values found!")
        if self._is_lenient and len(text) > OLD_MAX_BYTES:
            raise _RefusedError(1003, "Data too large!")
        try:
            values = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise _RefusedError(1004, "Failed to parse data!") from None
        return values if isinstance(values, dict) else {}

    @property
    def _is_lenient(self) -> bool:
        """Before v24.9.21 any JSON type was converted."""
        return self.dtu.generation == "old"

    # Read ----------------------------------------------------------------------------------------------------------

    def _livedata(self, request: web.Request) -> Fields:
        return self._live_document(_asked_serial(request))

    def _live_document(self, serial: str | None) -> Fields:
        livedata = answers.livedata(self.dtu, serial)
        livedata["hints"]["default_password"] = self.password == FACTORY_PASSWORD
        return livedata

    # Write ---------------------------------------------------------------------------------------------------------

    def _limit(self, values: Fields) -> Fields:
        is_typed = isinstance(values.get("serial"), str) and _is_number(values.get("limit_value"))
        is_typed = is_typed and _is_unsigned(values.get("limit_type"))
        if not is_typed and not (self._is_lenient and {"serial", "limit_value", "limit_type"} <= values.keys()):
            raise _RefusedError(1005, "Values are missing!")
        serial = _serial(values["serial"])
        if not int(serial, 16):
            raise _RefusedError(5001, "Serial must be a number > 0!")
        value = _converted(values["limit_value"])
        if value > MAX_LIMIT:
            raise _RefusedError(5002, f"Limit must between 0 and {MAX_LIMIT}!", max=MAX_LIMIT)
        limit_type = int(_converted(values["limit_type"]))
        if not self.dtu.accepts_type(limit_type):
            raise _RefusedError(5003, "Invalid type specified!")
        if serial not in self.dtu.believed:
            raise _RefusedError(5004, "Invalid inverter specified!")
        self.dtu.post_limit(serial, limit_type, value)
        return _saved()

    def _power(self, values: Fields) -> Fields:
        switches = [key for key in ("power", "restart") if isinstance(values.get(key), bool)]
        if self._is_lenient:
            switches = [key for key in ("power", "restart") if key in values]
        if not switches or not ("serial" in values if self._is_lenient else isinstance(values.get("serial"), str)):
            raise _RefusedError(1005, "Values are missing!")
        serial = _serial(values["serial"])
        if not int(serial, 16):
            raise _RefusedError(11001, "Serial must be a number > 0!")
        if serial not in self.dtu.believed:
            raise _RefusedError(11002, "Invalid inverter specified!")
        if switches[0] == "power":
            self.dtu.post_power(serial, on=bool(_converted(values["power"])))
        elif _converted(values["restart"]):
            self.dtu.post_restart(serial)
        return _saved()

    def _reboot(self, values: Fields) -> Fields:
        if not (isinstance(values.get("reboot"), bool) or (self._is_lenient and "reboot" in values)):
            raise _RefusedError(1005, "Values are missing!")
        if not _converted(values["reboot"]):
            raise _RefusedError(6002, "Reboot cancled!")
        self.dtu.reboot(self.outage_s)
        return {"type": "success", "message": "Reboot triggered!", "code": 6001}


def _saved() -> Fields:
    return {"type": "success", "message": "Settings saved!", "code": 1001}


def _no_constant(name: str) -> float:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's


def _asked_serial(request: web.Request) -> str | None:
    asked = request.query.get("inv")
    return None if asked is None else _serial(asked)


def _serial(given: object) -> str:
    """Return 12 lower-case hex digits; zeros for what is no hexadecimal number."""
    try:
        return f"{int(str(given), 16):012x}"
    except ValueError:
        return "0" * 12


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_unsigned(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _converted(value: object) -> float:
    """Return what the firmware's JSON library makes of any type when a number is asked for."""
    try:
        converted = float(value) if isinstance(value, int | float | str) else 0.0
    except (ValueError, OverflowError):
        return 0.0
    return 0.0 if math.isnan(converted) else min(max(converted, -1e9), 1e9)
