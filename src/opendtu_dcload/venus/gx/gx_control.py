"""One thing that a user sets on the GX: its value, wherever that stands, and its card in the switch pane.

For the paths of a card see gui-v2's iochannel.cpp and switchableoutput.cpp.
"""

from __future__ import annotations

from collections.abc import Callable

from opendtu_dcload.venus.bus.busitem import WRITTEN_S, BusService
from opendtu_dcload.venus.bus.item import ACCEPTED, Item, Value, finite
from opendtu_dcload.venus.gx.localsettings import LocalSettings, Setting
from opendtu_dcload.venus.gx.write_limiter import WriteLimiter

FOLDER = "/Settings/OpenDtuDcload"
QUIET_S = 600.0
"""A set-point is written to flash after resting for this long: automations may move it all day, and flash wears."""
SWITCH_QUIET_S = 10.0
"""A switch is written sooner: it is thrown on purpose, and must survive a power failure minutes later."""

# /SwitchableOutput/<x>/Settings/Type: Venus OS 3.60 and later show a toggle, 3.70 and later the others
TOGGLE, DROPDOWN, SLIDER, NUMBER = 1, 6, 7, 8
STATUS_OFF, STATUS_ON = 0x00, 0x09
CARD_MEANING = "how the GX draws the card"


class Control:
    """A switch or a number that stands at several places; writing one of them sets all."""

    def __init__(self, settings: LocalSettings, label: str, kind: int, setting: Setting, *, step: int = 1) -> None:
        """Keep the value; `switch` and `number` make the setting.

        Args:
            settings: keeps it.
            label: stands on its card.
            kind: of its card.
            setting: the value.
            step: of a slider or number.
        """
        self.on_change: Callable[[], None] = lambda: None
        """Called when somebody has set another value."""
        self.setting = settings.keep(setting)
        self.setting.on_change = self._changed
        self._settings = settings
        self._label = label
        self._kind = kind
        self._step = step
        self._places: dict[tuple[str, str], BusService] = {}
        """The services that show the value, by their name without the class, which may change, and by path."""

    @classmethod
    def switch(cls, settings: LocalSettings, key: str, label: str, meaning: str = "") -> Control:
        """Return something that is 0 or 1."""
        shape = Item(kind=int, minimum=0, maximum=1, default=1, meaning=meaning)
        return cls(settings, label, TOGGLE, Setting(key, shape, WriteLimiter(SWITCH_QUIET_S)))

    @classmethod
    def choice(cls, settings: LocalSettings, key: str, highest: int, default: int, meaning: str) -> Control:
        """Return one of the GX's own numbered choices, from 0 to `highest`."""
        shape = Item(kind=int, minimum=0, maximum=highest, default=default, meaning=meaning)
        return cls(settings, "", DROPDOWN, Setting(key, shape, WriteLimiter(SWITCH_QUIET_S)))

    @classmethod
    def number(
        cls, settings: LocalSettings, label: str, key: str, shape: Item, *, kind: int = NUMBER, step: int = 1
    ) -> Control:
        """Return a whole number within the limits of `shape`."""
        return cls(settings, label, kind, Setting(key, shape, WriteLimiter(QUIET_S)), step=step)

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
    def _status(self) -> int:
        return STATUS_OFF if self._kind == TOGGLE and not self.value else STATUS_ON

    def add_value(self, service: BusService, path: str) -> None:
        """Add the value at a plain path."""
        service.add(path, self._item())
        self._stands(service, path)

    def write(self, raw: object) -> bool:
        """Take what a user wrote by another way than the bus, checked and kept as if it had come by it."""
        if self._kind == TOGGLE and (not isinstance(raw, int | float | str) or finite(raw) not in {0.0, 1.0}):
            return False  # the bus rounds, as a GX writes whole numbers only
        return self._item().take(raw)[0] == ACCEPTED

    def _item(self) -> Item:
        shape = self.setting.shape
        return Item(
            kind=int,
            value=self.value,
            unit=shape.unit,
            on_write=self.take,
            is_clamped=self._kind in {SLIDER, NUMBER},
            minimum=shape.minimum,
            maximum=shape.maximum,
            default=shape.default,
            meaning=shape.meaning,
        )

    def add_card(self, service: BusService, output: str, key: str, group: str = "") -> None:
        """Add a card.

        Args:
            service: gets it.
            output: its part of the path.
            key: folder in which the name and the group that a user gives it are kept.
            group: cards of the same group stand together; empty = with those of the service.
        """
        base = f"/SwitchableOutput/{output}"
        self.add_value(service, f"{base}/{'State' if self._kind == TOGGLE else 'Dimming'}")
        self._stands(service, f"{base}/Status")
        shape, fixed = self.setting.shape, {}
        if self._kind != TOGGLE:
            fixed = {"DimmingMin": int(shape.minimum or 0), "DimmingMax": int(shape.maximum or 0)}
            fixed |= {"StepSize": self._step, "Decimals": 0}
            service.add(f"{base}/Settings/Unit", Item(kind=str, value=shape.unit, meaning=CARD_MEANING))
        add_frame(service, base, self._label, self._kind, self._status)
        for name, number in fixed.items():
            service.add(f"{base}/Settings/{name}", Item(kind=int, value=number, meaning=CARD_MEANING))
        for name, default in (("CustomName", ""), ("Group", group)):
            self._add_text(service, f"{base}/Settings/{name}", f"{FOLDER}/Cards/{key}/{name}", default)

    def _add_text(self, service: BusService, path: str, key: str, default: str) -> None:
        def show() -> None:
            service.update({path: setting.value}, within_s=WRITTEN_S)

        def take(value: Value) -> Value:
            self._settings.write(setting, value)
            return value

        shape = Item(kind=str, default=default)
        setting = self._settings.keep(Setting(key, shape, WriteLimiter(SWITCH_QUIET_S), show))
        meaning = "what the user calls the card, and the group in which it stands"
        service.add(path, Item(kind=str, value=setting.value, on_write=take, meaning=meaning))

    def _stands(self, service: BusService, path: str) -> None:
        self._places[service.name.rpartition(".")[2], path] = service

    def take(self, value: Value) -> Value:
        """Let a value hold that is of the right kind and in range; return it."""
        self._settings.write(self.setting, value)
        self._changed()
        return value

    def _changed(self) -> None:
        for (_, path), service in self._places.items():
            shown = self._status if path.endswith("/Status") else self.value
            service.update({path: shown}, within_s=WRITTEN_S)
        self.on_change()


def add_frame(service: BusService, base: str, label: str, kind: int, status: int = STATUS_ON) -> None:
    """Add what every card has at `base`: name, status and type."""
    service.add(f"{base}/Name", Item(kind=str, value=label, meaning=CARD_MEANING))
    service.add(f"{base}/Status", Item(kind=int, value=status, meaning=CARD_MEANING))
    for name, number in {"Type": kind, "ValidTypes": 1 << kind}.items():
        service.add(f"{base}/Settings/{name}", Item(kind=int, value=number, meaning=CARD_MEANING))


def add_text_card(service: BusService, output: str, label: str) -> str:
    """Add a card that shows a line of text, as a choice with one entry; return the path of the list of entries."""
    base = f"/SwitchableOutput/{output}"
    add_frame(service, base, label, DROPDOWN)
    chosen = Item(kind=int, value=0, minimum=0, maximum=0, on_write=lambda index: index, meaning="always the only line")
    service.add(f"{base}/Dimming", chosen)
    path = f"{base}/Settings/Labels"
    service.add(path, Item(kind=list, value=["---"], meaning="why the plant gives what it gives, as one line"))
    return path
