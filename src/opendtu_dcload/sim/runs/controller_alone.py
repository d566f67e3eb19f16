"""The controller alone against a simulated plant: it is shown each meter sample at once, and what the DTUs believe.

For tests of the controller that want to set every condition by hand; what the service makes of a plant shows `program`.
"""

from __future__ import annotations

from collections.abc import Callable

from opendtu_dcload.control.commands.command_policy import Command, SetLimit, SetPower
from opendtu_dcload.control.commands.deliveries import Deliveries
from opendtu_dcload.control.controller import Controller
from opendtu_dcload.control.decision import Seen
from opendtu_dcload.control.inverter.parameters import InverterParameters
from opendtu_dcload.control.protection.plant_guard import ExternalInputs
from opendtu_dcload.devices.hoymiles import family_of
from opendtu_dcload.model import DtuStatus, InverterStatus, LimitStatus, MeterReading, PhaseReading
from opendtu_dcload.sim.plant.house import InverterModel
from opendtu_dcload.sim.plant.sim_dtu import SimDtu
from opendtu_dcload.sim.plant.world import World
from opendtu_dcload.sim.runs.simulated_plant import SIM_MINIMUM_W
from opendtu_dcload.sim.servers.meter_view import Channel, MeterView
from opendtu_dcload.tallies import Outcome

REBOOT_S = 10.0
"""How long a DTU is away when it is rebooted."""


def unit_of(model: InverterModel, minimum_w: float = SIM_MINIMUM_W, dtu: str = "opendtu") -> InverterParameters:
    """Return what the controller is told of a simulated inverter: family values, not the model's true ones."""
    family = family_of(model.serial)
    return InverterParameters(
        serial=model.serial,
        minimum_w=minimum_w,
        maximum_w=model.rated_w,
        rated_w=model.rated_w,
        dead_time_s=family.dead_time_s,
        credit_s=family.credit_s,
        raise_spacing_s=family.raise_spacing_s,
        refresh_s=family.refresh_s,
        dtu=dtu,
        radio=f"{dtu}/{family.chip}",
    )


def reading_of(meter: MeterView, now_s: float) -> MeterReading:
    """Return what the client of a Pro 3EM makes of an answer, with the power not rounded: counters once a minute."""
    first, second, third = (_phase(channel) for channel in meter.saved_phases)
    return MeterReading(now_s, meter.power_w, (first, second, third), frequency_hz=meter.frequency_hz)


def _phase(channel: Channel) -> PhaseReading:
    return PhaseReading(channel.power_w, channel.voltage_v, channel.current_a, channel.imported_wh, channel.exported_wh)


class Run:
    """House, DTUs and controller on virtual time, one meter sample per step."""

    def __init__(self, world: World, controller: Controller) -> None:
        self.world = world
        self.house = world.house
        self.controller = controller
        self.meter = MeterView(self.house)
        """What the meter shows, and what is wrong with that."""
        self.answers_after_s = 0.0
        """How long a DTU takes to answer a POST."""
        self._deliveries = Deliveries(controller)
        self.has_meter = True
        self.silent: set[str] = set()
        """Names of DTUs that do not answer; what they are told does not arrive."""
        self.external: Callable[[float], ExternalInputs] = lambda _: ExternalInputs()
        """Tells what stands beside the plant at a time."""
        self._meter: MeterReading | None = None
        self._dtus: dict[str, DtuStatus] = {}
        self._limits: dict[str, LimitStatus] = {}
        self._inverters: dict[str, InverterStatus] = {}

    def advance_second(self) -> Seen:
        """Move to the next meter sample and `decide`."""
        self.world.advance_to_sample()
        return self.decide()

    def decide(self) -> Seen:
        """Let the controller decide now, and send what it decided; returns what it saw."""
        now_s = self.house.now_s
        if self.has_meter:
            self._meter = reading_of(self.meter, now_s)
        for dtu in self.world.dtus:
            if self._answers(dtu):
                self._poll(dtu, now_s)
        seen = Seen(now_s, self._meter, self._inverters, self._limits, self._dtus, external=self.external(now_s))
        decision = self.controller.decide(seen)
        for command in decision.commands:
            self._deliveries.posted(command, now_s)
            self._deliveries.ended(command, self._send(command), now_s + self.answers_after_s)
        for reboot in decision.reboots:
            self._deliveries.reboot_posted(reboot, now_s)
            next(dtu for dtu in self.world.dtus if dtu.name == reboot.dtu).reboot(REBOOT_S)
            self._deliveries.reboot_ended(reboot, Outcome.TAKEN)
        return seen

    def _answers(self, dtu: SimDtu) -> bool:
        return dtu.is_up and dtu.name not in self.silent

    def _poll(self, dtu: SimDtu, now_s: float) -> None:
        self._dtus[dtu.name] = DtuStatus(now_s, is_clock_set=dtu.is_clock_set, serials=frozenset(dtu.serials))
        for serial, known in dtu.believed.items():
            pct, rated_w = known.limit_pct or None, known.rated_w or None
            self._limits[serial] = LimitStatus(serial, now_s, pct, rated_w, known.limit_state)
            if (statistics := known.statistics) is None:
                continue
            before = self._inverters.get(serial)
            reachable = dtu.is_reachable(serial)
            if (
                before is None
                or before.at_s != statistics.at_s
                or (before.reachable, before.is_polled) != (reachable, dtu.is_polling)
            ):
                self._inverters[serial] = InverterStatus(
                    serial=serial,
                    name=serial,
                    answered_at_s=now_s,
                    at_s=statistics.at_s,
                    reachable=reachable,
                    ac_power_w=statistics.ac_power_w,
                    dc_voltage_v=statistics.dc_voltage_v,
                    temperature_c=statistics.temperature_c,
                    is_polled=dtu.is_polling,
                )

    def _send(self, command: Command) -> Outcome:
        """Hand a command to its DTU, which answers at once or not at all."""
        dtu = self.world.dtu_of(command.serial)
        if not self._answers(dtu):
            return Outcome.UNANSWERED
        if isinstance(command, SetLimit):
            dtu.post_limit(command.serial, 0, command.limit_w)
        elif isinstance(command, SetPower):
            dtu.post_power(command.serial, on=command.on)
        else:
            dtu.post_restart(command.serial)
        return Outcome.TAKEN
