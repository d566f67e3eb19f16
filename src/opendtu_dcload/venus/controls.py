"""What a user sets on the GX while we run: as controls on the screen and as plain values, kept by localsettings.

One value may stand at several places: on the card of the screen (`/SwitchableOutput/...`, see gui-v2's iochannel.cpp),
and under a plain path, for MQTT and Node-RED. Whoever writes one of them sets all.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from opendtu_dcload.model import Wishes
from opendtu_dcload.state import State
from opendtu_dcload.venus.busitem import WRITTEN_S, BusService
from opendtu_dcload.venus.item import Item, Value
from opendtu_dcload.venus.pacer import Pacer
from opendtu_dcload.venus.settings import LocalSettings, Setting

FOLDER = "/Settings/OpenDtuDcload"
QUIET_S = 600.0
"""A set point is kept when it has rested so long: automations may move it all day, and flash wears."""
SWITCH_QUIET_S = 10.0
"""A switch is thrown on purpose, and must not be forgotten when the power fails in the next minutes."""
WRITES_PER_HOUR = 6
"""Of one number or text: what rests for ten minutes cannot be written more often."""
SWITCH_WRITES_PER_HOUR = 30
"""Of one switch: an automation that throws it every two minutes loses nothing."""
APPLY_S = 0.25
"""While a slider is dragged the control hears of it no more often than this."""
TARGET_RANGE_W = (-500, 500)
"""As `control.target_w`."""
FLOATING_RANGE_PCT = (74, 110)
"""Of the original's `/SocFloatingMax`, see control/seasonal.py."""
HIGHEST_SURPLUS_PCT = 98
"""Of the original's `/PowerFeedInSoc`."""

# /SwitchableOutput/<x>/Settings/Type: Venus OS 3.60 and later show a toggle, 3.70 and later the others
TOGGLE, SLIDER, NUMBER = 1, 7, 8
STATUS_OFF, STATUS_ON = 0x00, 0x09


@dataclass(slots=True)
class Control:
    """One thing that a user sets."""

    label: str
    """Stands on its card."""
    kind: int
    """Of its card."""
    setting: Setting
    step: int = 1
    places: dict[tuple[str, str], BusService] = field(default_factory=dict)
    """Where its value stands: the service by its own name, without the class which may change, and by path."""

    @property
    def value(self) -> int:
        """What the user set: 0 or 1 with a switch, else W or %."""
        assert isinstance(self.setting.value, int)
        return self.setting.value

    @property
    def moved(self) -> float | None:
        """What the user set; None = what the file says, which may have decimals."""
        return None if self.value == self.setting.default else float(self.value)

    @property
    def status(self) -> int:
        """For `/Status` of its card."""
        return STATUS_OFF if self.kind == TOGGLE and not self.value else STATUS_ON

    def stands(self, service: BusService, path: str) -> None:
        """Remember that its value stands at `path` of a service."""
        self.places[service.name.rpartition(".")[2], path] = service

    def show(self) -> None:
        """Show the value wherever it stands."""
        for (_, path), service in self.places.items():
            shown = self.status if path.endswith("/Status") else self.value
            service.update({path: shown}, within_s=WRITTEN_S)


class Controls:
    """Everything that a user may set, turned into the state's wishes."""

    def __init__(
        self,
        settings: LocalSettings,
        state: State,
        serials: Sequence[str],
        *,
        target_w: float,
        max_feed_in_w: float,
        surplus_soc_pct: float | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            settings: keeps what was set.
            state: gets the wishes.
            serials: of the inverters.
            target_w: as in the file, import positive.
            max_feed_in_w: as in the file; nothing above it can be set.
            surplus_soc_pct: as in the file; nothing below it can be set. None = no surplus is fed in.
        """
        self._settings = settings
        self._state = state
        self._timer: asyncio.TimerHandle | None = None
        self._applied_at_s = float("-inf")
        self._regulation = self._switch("Regulation", "Regulation")
        most_w = int(max_feed_in_w)
        self._feed_in = Control("Maximum feed-in", SLIDER, self._number("MaxFeedIn", "W", (0, most_w), most_w), step=10)
        target = self._number("GridTarget", "W", TARGET_RANGE_W, round(target_w))
        self._target = Control("Grid target", NUMBER, target, step=5)
        floating = self._number("SocFloatingMax", "%", FLOATING_RANGE_PCT, FLOATING_RANGE_PCT[1])
        self._floating = Control("How full the battery gets", NUMBER, floating)
        self._surplus: Control | None = None
        if surplus_soc_pct is not None:
            from_pct = math.ceil(surplus_soc_pct)
            surplus = self._number("PowerFeedInSoc", "%", (from_pct, HIGHEST_SURPLUS_PCT), from_pct)
            self._surplus = Control("Surplus from", NUMBER, surplus)
        self._enabled = {serial: self._switch(f"Inverters/opendtu_{serial}", "Enabled") for serial in serials}
        for control in self._all():
            control.setting.on_change = partial(self._changed, control)

    async def asked(self) -> None:
        """Wait until localsettings has told what was set earlier, or is known to be absent; at most 2 s."""
        await self._settings.asked([control.setting for control in self._all()])
        self._apply()

    def wishes(self) -> Wishes:
        """Return what the user wants now."""
        return Wishes(
            is_regulating=bool(self._regulation.value),
            max_feed_in_w=self._feed_in.moved,
            target_w=self._target.moved,
            switched_off=frozenset(serial for serial, control in self._enabled.items() if not control.value),
            highest_soc_pct=self._floating.moved,
            surplus_soc_pct=None if self._surplus is None else self._surplus.moved,
        )

    # Where they stand

    def add_cards(self, service: BusService) -> None:
        """Add the plant's controls for the screen."""
        self._add_card(service, "plant", "regulation", self._regulation)
        self._add_card(service, "plant", "max_feed_in", self._feed_in)
        self._add_card(service, "plant", "target", self._target)

    def add_plain(self, service: BusService) -> None:
        """Add the plant's values under plain paths, with the original's names where it has them."""
        self._add_value(service, "/Regulation", self._regulation)
        self._add_value(service, "/MaxFeedIn", self._feed_in)
        self._add_value(service, "/GridTarget", self._target)
        self._add_value(service, "/SocFloatingMax", self._floating)
        if self._surplus is not None:
            self._add_value(service, "/PowerFeedInSoc", self._surplus)

    def add_inverter(self, service: BusService, serial: str) -> None:
        """Add the switch of one inverter, for the screen and under a plain path."""
        control = self._enabled[serial]
        self._add_value(service, "/Enabled", control)
        self._add_card(service, f"opendtu_{serial}", "enabled", control)

    def _add_value(self, service: BusService, path: str, control: Control) -> None:
        def take(value: Value) -> Value:
            self._settings.write(control.setting, value)
            self._changed(control)
            return value

        shape = control.setting.shape
        item = Item(
            kind=int,
            value=control.value,
            unit=shape.unit,
            on_write=take,
            is_clamped=control.kind != TOGGLE,
            minimum=shape.minimum,
            maximum=shape.maximum,
            default=shape.default,
        )
        service.add(path, item)
        control.stands(service, path)

    def _add_card(self, service: BusService, device: str, output: str, control: Control) -> None:
        base = f"/SwitchableOutput/{output}"
        service.add(f"{base}/Name", Item(kind=str, value=control.label))
        self._add_value(service, f"{base}/{'State' if control.kind == TOGGLE else 'Dimming'}", control)
        service.add(f"{base}/Status", Item(kind=int, value=control.status))
        control.stands(service, f"{base}/Status")
        fixed = {"Type": control.kind, "ValidTypes": 1 << control.kind}
        if control.kind != TOGGLE:
            shape = control.setting.shape
            fixed |= {"DimmingMin": int(shape.minimum or 0), "DimmingMax": int(shape.maximum or 0)}
            fixed |= {"StepSize": control.step, "Decimals": 0}
            service.add(f"{base}/Settings/Unit", Item(kind=str, value=shape.unit))
        for name, number in fixed.items():
            service.add(f"{base}/Settings/{name}", Item(kind=int, value=number))
        for name in ("CustomName", "Group"):
            self._add_text(service, f"{base}/Settings/{name}", f"{FOLDER}/Cards/{device}/{output}/{name}")

    def _add_text(self, service: BusService, path: str, key: str) -> None:
        def show() -> None:
            service.update({path: setting.value}, within_s=WRITTEN_S)

        def take(value: Value) -> Value:
            self._settings.write(setting, value)
            return value

        shape = Item(kind=str, default="")
        setting = self._settings.keep(Setting(key, shape, Pacer(SWITCH_QUIET_S, WRITES_PER_HOUR), show))
        service.add(path, Item(kind=str, value=setting.value, on_write=take))

    # What they do

    def _all(self) -> list[Control]:
        plant = [self._regulation, self._feed_in, self._target, self._floating, *self._enabled.values()]
        return plant if self._surplus is None else [*plant, self._surplus]

    def _switch(self, key: str, label: str) -> Control:
        shape = Item(kind=int, minimum=0, maximum=1, default=1)
        return Control(label, TOGGLE, self._kept(key, shape, Pacer(SWITCH_QUIET_S, SWITCH_WRITES_PER_HOUR)))

    def _number(self, key: str, unit: str, limits: tuple[int, int], default: int) -> Setting:
        low, high = limits
        shape = Item(kind=int, unit=unit, minimum=low, maximum=high, default=default)
        return self._kept(key, shape, Pacer(QUIET_S, WRITES_PER_HOUR))

    def _kept(self, key: str, shape: Item, pacer: Pacer) -> Setting:
        return self._settings.keep(Setting(f"{FOLDER}/{key}", shape, pacer))

    def _changed(self, control: Control) -> None:
        control.show()
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(self._applied_at_s + APPLY_S, loop.time()), self._apply)

    def _apply(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._applied_at_s = asyncio.get_running_loop().time()
        wishes = self.wishes()
        if wishes != self._state.wishes:
            self._state.set_wishes(wishes)
