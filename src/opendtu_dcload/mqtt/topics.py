"""The topic tree, see docs/mqtt.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opendtu_dcload.config import MqttConfig
from opendtu_dcload.mqtt.published import PLANT_CONTROLS
from opendtu_dcload.venus.gx.gx_controls import enabled_name

ONLINE, OFFLINE = "online", "offline"


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of one program."""

    base: str
    """All of ours begin with it."""
    discovery_prefix: str
    """Those that Home Assistant looks at begin with it."""

    @classmethod
    def of(cls, config: MqttConfig) -> Topics:
        """Return those of a configuration."""
        return cls(config.base_topic, config.discovery_prefix)

    @property
    def availability(self) -> str:
        """`online` while we tell; retained, and our last will."""
        return f"{self.base}/availability"

    @property
    def plant(self) -> str:
        """The state of the plant."""
        return f"{self.base}/plant"

    @property
    def birth(self) -> str:
        """Where Home Assistant says that it has started."""
        return f"{self.discovery_prefix}/status"

    def plant_set(self, name: str) -> str:
        """Return where a control of the plant is set."""
        return f"{self.plant}/set/{name}"

    def inverter(self, serial: str) -> str:
        """Return where the state of an inverter stands."""
        return f"{self.base}/inverter/{serial}"

    def inverter_set(self, serial: str, name: str) -> str:
        """Return where a control of an inverter is set."""
        return f"{self.inverter(serial)}/set/{name}"

    def discovery(self, component: str, ident: str, key: str) -> str:
        """Return where Home Assistant looks for an entity."""
        return f"{self.discovery_prefix}/{component}/{ident}/{key}/config"

    def controls(self, serials: Sequence[str]) -> dict[str, str]:
        """Return the names of the controls, by the topics at which they are set."""
        plant = {self.plant_set(name): name for name in PLANT_CONTROLS}
        return plant | {self.inverter_set(serial, "enabled"): enabled_name(serial) for serial in serials}
