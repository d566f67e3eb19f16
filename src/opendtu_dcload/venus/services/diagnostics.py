"""How well the program does, on the bus: commands and their results, ages, failures, today's waste."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from opendtu_dcload.limit_reading import speaks_of
from opendtu_dcload.model import METER, CommandState, LimitStatus
from opendtu_dcload.state import State
from opendtu_dcload.tallies import CommandRecord, Link, Outcome
from opendtu_dcload.venus.bus.busitem import BusService
from opendtu_dcload.venus.bus.item import Item, Value
from opendtu_dcload.venus.services.device import integer, text
from opendtu_dcload.venus.services.plan_display import PlanDisplay

AGE_STEP_S = 10
"""Ages are shown in steps of this: one that counted seconds would cost a signal each second."""

_RESULT_MEANING = "what came of it, see [Reasons and alarms](reasons-and-alarms.md#what-came-of-a-command)"
_INVERTER_COUNTS = {
    "/Health/Commands": "sent since the start",
    "/Health/CommandsFailed": "of these: not taken by OpenDTU, or not answered by the inverter",
    "/Health/Reconnects": "how often it was lost and came back since the start",
    "/Health/Restarts": "[last resorts](safety.md#last-resorts) since the start",
}
_PLANT_COUNTS = {
    "/Health/Commands": "all commands since the start",
    "/Health/CommandsFailed": "of these: not taken by OpenDTU, or not answered by the inverter",
    "/Health/MeterFailures": "requests without a usable answer since the start",
    "/Health/MeterReconnects": "how often it was lost and came back since the start",
    "/Health/DtuFailures": "requests without a usable answer since the start",
    "/Health/DtuReconnects": "how often one was lost and came back since the start",
    "/Health/InverterRestarts": "[last resorts](safety.md#last-resorts) since the start",
    "/Health/DtuReboots": "[last resorts](safety.md#last-resorts) since the start",
}
_TODAY = {
    "/Health/ExportedToday": "given away since midnight by the machine's own clock, or since the start",
    "/Health/AvoidableImportToday": "bought although the inverters had room for it, counted likewise",
}

_ON_ITS_WAY = {
    CommandState.PENDING: "waits for the inverter",
    CommandState.FAILURE: "not answered by the inverter",
}


class InverterHealth:
    """The items in the service of one inverter."""

    def __init__(self, serial: str) -> None:
        self._serial = serial

    def add_to(self, service: BusService) -> None:
        """Add the items."""
        service.add("/Health/LastCommand", text(meaning='such as "limit 210 W"'))
        service.add("/Health/LastResult", text(meaning=_RESULT_MEANING))
        for path, meaning in _INVERTER_COUNTS.items():
            service.add(path, integer(0, meaning=meaning))
        service.add("/Health/Age", _age_item("of its data"))

    def values(self, state: State, now_s: float) -> Mapping[str, Value | None]:
        """Return what is shown now."""
        record = state.commands.get(self._serial, CommandRecord())
        status = state.inverters.get(self._serial)
        return {
            "/Health/LastCommand": record.last or None,
            "/Health/LastResult": _result(record, state.limits.get(self._serial)),
            "/Health/Commands": record.sent,
            "/Health/CommandsFailed": record.failed,
            "/Health/Reconnects": state.links.get(self._serial, Link()).reconnects,
            "/Health/Restarts": record.restarts,
            "/Health/Age": _age_s(now_s, status.at_s if status is not None else None),
        }


class PlantHealth:
    """The items of the whole plant."""

    def __init__(self, dtus: Mapping[str, str]) -> None:
        """Take the DTUs' labels by their names in the state."""
        self._dtus = dtus
        self._plan = PlanDisplay()

    def add_to(self, service: BusService) -> None:
        """Add the items."""
        self._plan.add_to(service)
        service.add("/Health/LastCommand", text(meaning="the last command to any inverter"))
        service.add("/Health/LastResult", text(meaning=_RESULT_MEANING))
        for path, meaning in _PLANT_COUNTS.items():
            service.add(path, integer(0, meaning=meaning))
        service.add("/Health/MeterAge", _age_item("since the meter's last good answer"))
        service.add("/Health/DtuAge", _age_item("since OpenDTU's last good answer, of several the oldest"))
        for path, meaning in _TODAY.items():
            service.add(path, Item(kind=float, unit="kWh", digits=3, meaning=meaning))

    def values(self, state: State, now_s: float) -> Mapping[str, Value | None]:
        """Return what is shown now."""
        serial, record = max(state.commands.items(), key=lambda entry: entry[1].at_s, default=("", CommandRecord()))
        status = state.inverters.get(serial)
        name = status.name if status is not None and status.name else serial
        meter, dtu = (
            state.links.get(METER, Link()),
            _sum(state.links.get(label, Link()) for label in self._dtus.values()),
        )
        known = [state.dtus.get(name) for name in self._dtus]
        heard_at_s = [status.at_s for status in known if status is not None]
        return {
            **self._plan.values(state.plan_at(now_s)),
            "/Health/LastCommand": f"{name}: {record.last}" if serial else None,
            "/Health/LastResult": _result(record, state.limits.get(serial)),
            "/Health/Commands": sum(record.sent for record in state.commands.values()),
            "/Health/CommandsFailed": sum(record.failed for record in state.commands.values()),
            "/Health/InverterRestarts": sum(r.restarts for s, r in state.commands.items() if s not in self._dtus),
            "/Health/DtuReboots": sum(r.restarts for s, r in state.commands.items() if s in self._dtus),
            "/Health/MeterFailures": meter.failures,
            "/Health/MeterReconnects": meter.reconnects,
            "/Health/DtuFailures": dtu.failures,
            "/Health/DtuReconnects": dtu.reconnects,
            "/Health/MeterAge": _age_s(now_s, state.meter.at_s if state.meter is not None else None),
            "/Health/DtuAge": _age_s(now_s, min(heard_at_s) if len(heard_at_s) == len(known) else None),
            "/Health/ExportedToday": state.today.exported_wh / 1000,
            "/Health/AvoidableImportToday": state.today.avoidable_wh / 1000,
        }


def _result(record: CommandRecord, limit: LimitStatus | None) -> str | None:
    """Return the result of the last command: what the inverter did, or else what the DTU did."""
    if record.outcome is None:
        return None
    is_told = limit is not None and speaks_of(limit.at_s, record.at_s)
    if record.outcome is Outcome.TAKEN and record.is_limit and limit is not None and is_told:
        return _ON_ITS_WAY.get(limit.state, str(record.outcome))
    return str(record.outcome)


def _sum(links: Iterable[Link]) -> Link:
    total = Link()
    for link in links:
        total = Link(total.failures + link.failures, total.reconnects + link.reconnects)
    return total


def _age_item(meaning: str) -> Item:
    return Item(kind=int, unit="s", meaning=f"{meaning}, in steps of {AGE_STEP_S} s")


def _age_s(now_s: float, at_s: float | None) -> int | None:
    """Return an age, rounded down to whole steps; None for a value that never came."""
    return None if at_s is None else max(int((now_s - at_s) // AGE_STEP_S), 0) * AGE_STEP_S
