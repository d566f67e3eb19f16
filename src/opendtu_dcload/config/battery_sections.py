"""`[battery]`, `[solar]` and `[relay]`: what the guards need to know."""

from typing import Annotated

from pydantic import Field

from opendtu_dcload.config.fields import Channel, Host, LoginSection, Section


class BatteryConfig(Section):
    """`[battery]`: what must be left in it, whatever else fails."""

    min_voltage_v: Annotated[float | None, Field(ge=8, le=500)] = None
    """At the inverters' DC inputs. Never None when an inverter is listed."""
    resistance_mohm: Annotated[float, Field(ge=0, le=200)] = 0.0
    """Of battery and cables: what the load takes off the voltages is added again before they are judged."""
    min_cell_voltage_v: Annotated[float | None, Field(ge=1, le=4.5)] = None
    """Of the lowest cell, as the BMS tells it; None = not guarded."""
    min_soc_pct: Annotated[float | None, Field(ge=0, le=95)] = None
    """None = only that of ESS."""
    soc_hysteresis_pct: Annotated[float, Field(ge=1, le=20)] = 3.0
    """Above the minimum SoC; within it the output falls gradually."""
    use_ess_minimum: bool = True
    """Whether the minimum SoC that is set for ESS on the GX holds too."""
    seasonal_min_soc: bool = False
    """Whether the minimum SoC rises while the battery does not get full."""
    surplus_soc_pct: Annotated[float | None, Field(ge=50, le=98)] = None
    """SoC from which surplus is fed in; None = never."""
    surplus_w: Annotated[float, Field(ge=10, le=5000)] = 100.0
    """How much is fed in then."""
    multiplus_guard: bool = True
    """Whether nothing is fed in while an inverter/charger on the same battery charges from AC, or inverts."""


class SolarConfig(LoginSection):
    """`[solar]`: a second Shelly, at plug-in solar that counts into the legal cap."""

    host: Host = Field(description='the address in quotes of the Shelly at the plug-in solar, such as "192.168.1.52"')
    """Host name or IP address, with `:port` when it is not 80."""
    channel: Channel = None
    """Where the production is measured; None = what the device measures as a whole."""
    pessimistic_w: Annotated[float, Field(ge=0, le=10000)] = 500.0
    """What it is assumed to give while it cannot be asked."""
    poll_interval_s: Annotated[float, Field(ge=0.5, le=10)] = 2.0
    timeout_s: Annotated[float, Field(ge=0.2, le=10)] = 2.0

    @property
    def phase(self) -> int:
        """The phase plays no role: only the sum is used."""
        return 1

    @property
    def invert(self) -> bool:
        """Nor does the sign: plugs show production with either."""
        return False


class RelayConfig(LoginSection):
    """`[relay]`: a Shelly relay through which the inverters reach the grid."""

    host: Host = Field(description='the address in quotes of the relay, such as "192.168.1.53"')
    """Host name or IP address, with `:port` when it is not 80."""
    output: Annotated[int, Field(ge=0, le=3)] = 0
    """Which of its relays."""
    timeout_s: Annotated[float, Field(ge=0.2, le=10)] = 2.0
