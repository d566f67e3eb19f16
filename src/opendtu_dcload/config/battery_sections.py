"""`[battery]`, `[solar]` and `[relay]`: what the guards need to know."""

from typing import Annotated

from pydantic import Field

from opendtu_dcload.config.fields import Channel, Host, LoginSection, Section


class BatteryConfig(Section):
    """`[battery]`: what must be left in it, whatever else fails."""

    min_voltage_v: Annotated[float | None, Field(ge=8, le=500)] = None
    """Below it for 60 s, measured at the inverters' DC inputs, all are powered off; 1 V above they return. Needed once
    an inverter is listed."""
    resistance_mohm: Annotated[float, Field(ge=0, le=200)] = 0.0
    """Of battery and cables: what the load takes off the voltages (at most 5 %) is added again before they are
    judged."""
    min_cell_voltage_v: Annotated[float | None, Field(ge=1, le=4.5)] = None
    """The same for the lowest cell, as the BMS tells it; 0.1 V above they return. Left out, it is not guarded."""
    min_soc_pct: Annotated[float | None, Field(ge=0, le=95)] = None
    """Below it for 60 s all are powered off. Left out, only the minimum of ESS holds."""
    soc_hysteresis_pct: Annotated[float, Field(ge=1, le=20)] = 3.0
    """So far above the minimum SoC they return; within it the output falls gradually."""
    use_ess_minimum: bool = True
    """The minimum SoC that is set for ESS on the GX holds too."""
    seasonal_min_soc: bool = False
    """The minimum SoC rises while the battery does not get full, see [Battery](safety.md#battery-and-multiplus)."""
    surplus_soc_pct: Annotated[float | None, Field(ge=50, le=98)] = None
    """From this SoC on, surplus is fed in; left out, never."""
    surplus_w: Annotated[float, Field(ge=10, le=5000)] = 100.0
    """How much: a third from `surplus_soc_pct` on, all of it 2 % above."""
    multiplus_guard: bool = True
    """Nothing is fed in while a MultiPlus on the same battery charges from AC, or inverts."""


class SolarConfig(LoginSection):
    """`[solar]`: a second Shelly, at plug-in solar that counts into the legal cap."""

    host: Host = Field(description='the address in quotes of the Shelly at the plug-in solar, such as "192.168.1.52"')
    """Address of that Shelly, with `:port` if that is not 80."""
    channel: Channel = None
    """Where the production is measured, as in `[meter]`. The sign plays no role."""
    pessimistic_w: Annotated[float, Field(ge=0, le=10000)] = 500.0
    """What is assumed while it has not answered for 15 s, W."""
    poll_interval_s: Annotated[float, Field(ge=0.5, le=10)] = 2.0
    """Time between two readings."""
    timeout_s: Annotated[float, Field(ge=0.2, le=10)] = 2.0
    """Time for a complete answer."""

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
    """Address of the relay, with `:port` if that is not 80."""
    output: Annotated[int, Field(ge=0, le=3)] = 0
    """Which of its relays."""
    timeout_s: Annotated[float, Field(ge=0.2, le=10)] = 2.0
    """Time for a complete answer."""
