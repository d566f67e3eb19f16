"""Class and VRM instance of a device, as localsettings keeps them: "dcload:134"."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from opendtu_dcload.venus.bus.item import Item, Value
from opendtu_dcload.venus.gx.localsettings import Setting
from opendtu_dcload.venus.gx.write_limiter import WriteLimiter

_PLACE = re.compile(r"([a-z]+):([0-9]{1,10})")
_MAX_INSTANCE = 2**31 - 1
"""/DeviceInstance is an `i`; the GX's menu lets a user type any of them."""


class Place(Setting):
    """A place on the GX. An unusable one is refused, and the place of another device is never taken."""

    def __init__(
        self,
        path: str,
        default: str,
        write_limiter: WriteLimiter,
        on_change: Callable[[], None],
        taken: Callable[[], Collection[Value]],
    ) -> None:
        """Hold `default`; `taken` gives the places of our other devices."""
        super().__init__(path, Item(kind=str, default=default), write_limiter, on_change)
        self._taken = taken

    @property
    def kind(self) -> str:
        """Class of the service."""
        return str(self.value).partition(":")[0]

    @property
    def instance(self) -> int:
        """VRM instance, unique within the class."""
        return int(str(self.value).partition(":")[2])

    def is_usable(self, value: Value) -> bool:
        """Say whether `value` is a class and an instance."""
        match = _PLACE.fullmatch(str(value))
        return match is not None and int(match[2]) <= _MAX_INSTANCE

    def adopted(self, kept: Value, earlier_default: Value | None) -> Value:
        """Return `kept`; its class follows the default until somebody chooses another one."""
        if not self.is_usable(kept):
            return self._free()
        kind, _, instance = str(kept).partition(":")
        if earlier_default is not None and kind == str(earlier_default).partition(":")[0]:
            kind = str(self.default).partition(":")[0]
        return f"{kind}:{instance}"

    def _free(self) -> Value:
        """Return the present place, or the next one that nobody has."""
        taken, instance = self._taken(), self.instance
        while f"{self.kind}:{instance}" in taken:
            instance += 1
        return f"{self.kind}:{instance}"
