"""What a user sets on the page: the same values, in the same ranges, by the same road as on the GX."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus

from opendtu_dcload.devices import json_fields
from opendtu_dcload.venus.gx.gx_control import Control
from opendtu_dcload.venus.gx.gx_controls import Controls
from opendtu_dcload.web.gate import RefusedError
from opendtu_dcload.web.quantities import Json

LARGEST_BYTES = 4096


class SetPoints:
    """Reads and writes them."""

    def __init__(self, controls: Controls | None, target_w: float, max_feed_in_w: float) -> None:
        """Take the controls, None = nothing may be commanded, and what the file says for as long as nobody sets it."""
        self._controls = controls
        self._target_w = target_w
        self._max_feed_in_w = max_feed_in_w

    def document(self, *, may_write: bool) -> dict[str, Json]:
        """Return what is set now."""
        controls = self._controls
        if controls is None:
            return {
                "may_write": False,
                "is_regulating": False,
                "grid_target_w": self._target_w,
                "max_feed_in_w": self._max_feed_in_w,
                "inverters": {},
            }
        set_now = controls.overrides()
        return {
            "may_write": may_write,
            "is_regulating": set_now.is_regulating,
            "grid_target_w": self._target_w if set_now.target_w is None else set_now.target_w,
            "max_feed_in_w": self._max_feed_in_w if set_now.max_feed_in_w is None else set_now.max_feed_in_w,
            "inverters": {s: {"is_enabled": s not in set_now.switched_off} for s in controls.enabled},
        }

    def write(self, body: bytes) -> None:
        """Set what a JSON document says: all of it, or nothing.

        Raises:
            RefusedError: something in it cannot be set.
        """
        if self._controls is None:
            raise RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, "nothing can be set: no inverter is configured")
        try:
            document = json_fields.document(body)
        except ValueError:
            raise _wrong("what is written must be a JSON object") from None
        if not isinstance(document, dict) or not document:
            raise _wrong("what is written must be a JSON object with one of " + ", ".join(_NAMES))
        changes = [change for name, value in document.items() for change in self._changes(name, value, self._controls)]
        for control, number in changes:
            control.take(number)

    def _changes(self, name: str, value: object, controls: Controls) -> Iterator[tuple[Control, int]]:
        match name:
            case "is_regulating":
                yield controls.regulation, _flag(name, value)
            case "grid_target_w":
                yield controls.target, _watts(name, value, controls.target)
            case "max_feed_in_w":
                yield controls.feed_in, _watts(name, value, controls.feed_in)
            case "inverters":
                yield from self._switches(value, controls.enabled)
            case _:
                raise _wrong("there is only " + ", ".join(_NAMES))

    @staticmethod
    def _switches(value: object, enabled: Mapping[str, Control]) -> Iterator[tuple[Control, int]]:
        if not isinstance(value, dict):
            raise _wrong('inverters must be an object such as {"114181807700": {"is_enabled": true}}')
        for serial, wanted in value.items():
            if serial not in enabled:
                raise _wrong("inverters has a serial number that is not in config.toml")
            if not isinstance(wanted, dict) or set(wanted) != {"is_enabled"}:
                raise _wrong("of an inverter only is_enabled can be set")
            yield enabled[serial], _flag("is_enabled", wanted["is_enabled"])


_NAMES = ("is_regulating", "grid_target_w", "max_feed_in_w", "inverters")


def _flag(name: str, value: object) -> int:
    if not isinstance(value, bool):
        raise _wrong(f"{name} must be true or false")
    return int(value)


def _watts(name: str, value: object, control: Control) -> int:
    shape = control.setting.shape
    low, high = shape.minimum or 0.0, shape.maximum or 0.0
    number = json_fields.bounded(value, low, high)
    if number is None:
        raise _wrong(f"{name} must be a number from {low:g} to {high:g}")
    return round(number)


def _wrong(text: str) -> RefusedError:
    return RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, text)
