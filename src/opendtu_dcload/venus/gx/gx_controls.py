"""What a user sets on the GX while we run: controls on the screen and plain values, kept by localsettings.

One value may stand at several places: on a card of the switch pane, and under a plain path, for MQTT and Node-RED.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence

from opendtu_dcload.config import Config
from opendtu_dcload.model import UserOverrides
from opendtu_dcload.state import State
from opendtu_dcload.venus.bus.busitem import BusService
from opendtu_dcload.venus.bus.item import Item
from opendtu_dcload.venus.gx.gx_control import FOLDER, SLIDER, Control
from opendtu_dcload.venus.gx.localsettings import LocalSettings

APPLY_S = 0.25
"""While a slider is dragged, its value reaches the control no more often than this."""
TARGET_RANGE_W = (-500, 500)
"""As `control.target_w`."""
FLOATING_RANGE_PCT = (74, 110)
"""Of the original's `/SocFloatingMax`, see `control.protection.seasonal_soc`."""
HIGHEST_SURPLUS_PCT = 98
"""Of the original's `/PowerFeedInSoc`."""
INVERTERS = "Inverters"
"""The group of their cards."""


class Controls:
    """Everything that a user may set, turned into the overrides in the state."""

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
            state: gets the overrides.
            serials: of the inverters.
            target_w: as in the file, import positive.
            max_feed_in_w: as in the file; nothing above it can be set.
            surplus_soc_pct: as in the file; nothing below it can be set. None = no surplus is fed in.
        """
        self._settings = settings
        self._state = state
        self._timer: asyncio.TimerHandle | None = None
        self._applied_at_s = float("-inf")
        self.regulation = Control.switch(
            settings, f"{FOLDER}/Regulation", "Regulation", "0: the plant goes to its minimum"
        )
        most_w = int(max_feed_in_w)
        feed_in = _shape("W", (0, most_w), most_w, "a cap below `control.max_feed_in_w`, never above it")
        self.feed_in = Control.number(settings, "Maximum feed-in", f"{FOLDER}/MaxFeedIn", feed_in, kind=SLIDER, step=10)
        target = _shape("W", TARGET_RANGE_W, round(target_w), "grid power instead of `control.target_w`")
        self.target = Control.number(settings, "Grid target", f"{FOLDER}/GridTarget", target, step=5)
        meaning = "how full the battery gets: it is not emptied below 108 less this; 110 = no such limit"
        floating = _shape("%", FLOATING_RANGE_PCT, FLOATING_RANGE_PCT[1], meaning)
        self._floating = Control.number(settings, "How full the battery gets", f"{FOLDER}/SocFloatingMax", floating)
        self._surplus: Control | None = None
        if surplus_soc_pct is not None:
            from_pct = math.ceil(surplus_soc_pct)
            meaning = "surplus is fed in from this SoC on; there only with `battery.surplus_soc_pct`"
            surplus = _shape("%", (from_pct, HIGHEST_SURPLUS_PCT), from_pct, meaning)
            self._surplus = Control.number(settings, "Surplus from", f"{FOLDER}/PowerFeedInSoc", surplus)
        self.enabled = {
            serial: Control.switch(
                settings,
                f"{FOLDER}/Inverters/opendtu_{serial}",
                f"Inverter {serial}",
                "0: this inverter is powered off, the others take its part",
            )
            for serial in serials
        }
        for control in self._all():
            control.on_change = self._apply_soon

    async def asked(self) -> None:
        """Wait until localsettings has told what was set earlier, or is known to be absent; at most 2 s."""
        await self._settings.asked([control.setting for control in self._all()])
        self._apply()

    def overrides(self) -> UserOverrides:
        """Return what the user wants now."""
        return UserOverrides(
            is_regulating=bool(self.regulation.value),
            max_feed_in_w=self.feed_in.moved,
            target_w=self.target.moved,
            switched_off=frozenset(serial for serial, control in self.enabled.items() if not control.value),
            highest_soc_pct=self._floating.moved,
            surplus_soc_pct=None if self._surplus is None else self._surplus.moved,
        )

    @property
    def by_name(self) -> Mapping[str, Control]:
        """What may be written by other ways than the bus, by name; an inverter's switch has its serial in the name."""
        plant = {"regulation": self.regulation, "max_feed_in_w": self.feed_in, "grid_target_w": self.target}
        more = {"soc_floating_max_pct": self._floating}
        if self._surplus is not None:
            more["surplus_from_soc_pct"] = self._surplus
        return plant | more | {enabled_name(serial): control for serial, control in self.enabled.items()}

    # Where they stand

    def add_cards(self, service: BusService) -> None:
        """Add the cards of the plant, and those of the inverters in a group of their own."""
        self.regulation.add_card(service, "regulation", "plant/regulation")
        self.feed_in.add_card(service, "max_feed_in", "plant/max_feed_in")
        self.target.add_card(service, "target", "plant/target")
        for serial, control in self.enabled.items():
            control.add_card(service, f"opendtu_{serial}", f"opendtu_{serial}/enabled", INVERTERS)

    def add_plain(self, service: BusService) -> None:
        """Add the plant's values under plain paths, with the original's names where it has them."""
        self.regulation.add_value(service, "/Regulation")
        self.feed_in.add_value(service, "/MaxFeedIn")
        self.target.add_value(service, "/GridTarget")
        self._floating.add_value(service, "/SocFloatingMax")
        if self._surplus is not None:
            self._surplus.add_value(service, "/PowerFeedInSoc")

    def add_inverter(self, service: BusService, serial: str) -> None:
        """Add the switch of one inverter under a plain path."""
        self.enabled[serial].add_value(service, "/Enabled")

    # What they do

    def _all(self) -> list[Control]:
        plant = [self.regulation, self.feed_in, self.target, self._floating, *self.enabled.values()]
        return plant if self._surplus is None else [*plant, self._surplus]

    def _apply_soon(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(self._applied_at_s + APPLY_S, loop.time()), self._apply)

    def _apply(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._applied_at_s = asyncio.get_running_loop().time()
        overrides = self.overrides()
        if overrides != self._state.overrides:
            self._state.set_overrides(overrides)


def enabled_name(serial: str) -> str:
    """Return the name of an inverter's switch among all controls."""
    return f"enabled_{serial}"


def controls_of(config: Config, state: State, settings: LocalSettings) -> Controls | None:
    """Return what may be set with a configuration; None = nothing may be commanded."""
    if config.is_read_only:
        return None
    return Controls(
        settings,
        state,
        [inverter.serial for inverter in config.inverters],
        target_w=config.control.target_w,
        max_feed_in_w=config.control.max_feed_in_w,
        surplus_soc_pct=config.battery.surplus_soc_pct,
    )


def _shape(unit: str, limits: tuple[int, int], default: int, meaning: str) -> Item:
    low, high = limits
    return Item(kind=int, unit=unit, minimum=low, maximum=high, default=default, meaning=meaning)
