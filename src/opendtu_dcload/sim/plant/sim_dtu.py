"""An OpenDTU on virtual time: its radios, polling and what it believes of its inverters.

The rules are those of the firmware: a command keeps its radio for its whole receive window, an unanswered one is sent
up to five times and then again in each poll slot, limits are an echo of what was acknowledged, and after a boot nothing
is known. Its two radio chips work in parallel. HTTP is put around it by `opendtu_server`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable

from opendtu_dcload.devices.hoymiles import Chip, family_of
from opendtu_dcload.model import CommandState
from opendtu_dcload.sim.plant.dtu_memory import Believed, Counters, Statistics
from opendtu_dcload.sim.plant.house import House, SimInverter
from opendtu_dcload.sim.plant.radio import Command, Radio, tenths

COMMAND_WINDOW_S = 2.0
STATISTICS_WINDOW_S = 0.5
ON_AIR_S = 0.15
"""From going out to being in force or answered."""
TRANSMISSIONS = 5
READ_BACK_QUIET_S = 240.0
"""SystemConfigPara is read only when the last acknowledged limit is older than this."""
READ_BACK_EVERY_S = 120.0
"""SystemConfigPara is read no more often than this."""
MAINS_V, MAINS_SPREAD_V = 230.0, 1.5
"""Of all that an inverter tells, this is never twice the same."""
MAX_LIMIT = 2250
PERSISTENT_TYPES = (2, 3, 256, 257)
RELATIVE_TYPES = (1, 3, 257)
COMMANDS = ("limit", "power", "restart")


class SimDtu:
    """An OpenDTU with the inverters of a house; `advance` moves the house along."""

    def __init__(
        self,
        house: House,
        *,
        name: str = "opendtu",
        serials: Iterable[str] | None = None,
        poll_interval_s: float = 5.0,
        loss: float = 0.02,
        generation: str = "new",
        clock_set_after_s: float = 0.0,
        seed: int = 1,
    ) -> None:
        self.house = house
        self.name = name
        """The name that the controller's parameters give this DTU."""
        self.serials = list(serials if serials is not None else house.inverters)
        self.poll_interval_s = poll_interval_s
        self.loss = loss
        self.generation = generation
        """`new` (v24.2.12 and later) or `old` livedata shape, types and truncation."""
        self.clock_set_after_s = clock_set_after_s
        self.commands_enabled = True
        """False: limits answer success and nothing is sent."""
        self.radio_hangs = False
        """True: no inverter is reached, HTTP is answered, until it boots."""
        self.unknown_models: set[str] = set()
        """Serials whose model it has no rated power for: `max_power` stays 0, absolute limits have no echo."""
        self.late_posts = 0
        """How many of the next POSTs act `acts_after_s` late, whatever is posted after them."""
        self.acts_after_s = 2.0
        self.is_polling = True
        """False: night, with polling at night switched off."""
        self.zero_runtime = False
        self.reachable_threshold = 2
        self.counters = Counters()
        self._rng = random.Random(seed)
        self._mains = random.Random(f"mains {seed}")
        self.boot()

    def boot(self) -> None:
        """Forget everything, as after power up."""
        self.booted_at_s = self.house.now_s
        self.believed = {serial: Believed() for serial in self.serials}
        chips: dict[Chip, Radio] = {}
        self._radio_of = {s: chips.setdefault(family_of(s).chip, Radio(self.house.now_s)) for s in self.serials}
        self._radios = list(chips.values())
        self._slot = 0
        self._next_poll_s = self.house.now_s + self.clock_set_after_s
        self._down_at_s = math.inf
        self._up_at_s = math.inf
        self._late: list[tuple[float, Callable[[], None]]] = []
        self.radio_hangs = False

    def add(self, serial: str) -> None:
        """Take an inverter of the house into the list, as its page does while it runs."""
        self.serials.append(serial)
        self.believed[serial] = Believed()
        chip = family_of(serial).chip
        radio = next((self._radio_of[s] for s in self.serials[:-1] if family_of(s).chip is chip), None)
        if radio is None:
            radio = Radio(self.house.now_s)
            self._radios.append(radio)
        self._radio_of[serial] = radio

    def crowd(self, serial: str, messages: int) -> None:
        """Let messages of others, as another client's or a web page's, wait in front of what is sent next."""
        for _ in range(messages):
            self._enqueue(Command(serial, "statistics"))

    def reboot(self, outage_s: float) -> None:
        """Go down as after `maintenance/reboot`, 1 s from now, for `outage_s`; then everything is forgotten."""
        self._down_at_s = self.house.now_s + 1.0
        self._up_at_s = self._down_at_s + outage_s

    @property
    def withholds_limits(self) -> bool:
        """True: limits wait and stay `Pending`, polls go on; what waits goes out when this ends."""
        return any(radio.holds_limits for radio in self._radios)

    @withholds_limits.setter
    def withholds_limits(self, value: bool) -> None:
        for radio in self._radios:
            radio.holds_limits = value
            radio.free_at_s = max(radio.free_at_s, self.house.now_s)

    # What HTTP asks ------------------------------------------------------------------------------------------------

    @property
    def is_up(self) -> bool:
        """False while a reboot lasts: there is nobody to answer."""
        return self.house.now_s < self._down_at_s - 1e-9  # as close as the house comes to a time

    @property
    def is_clock_set(self) -> bool:
        """False right after a boot, until NTP answered; no inverter is polled before."""
        return self.house.now_s >= self.booted_at_s + self.clock_set_after_s

    def data_age_s(self, serial: str) -> float:
        """Return the age of an inverter's statistics, counted from the boot when there were none."""
        statistics = self.believed[serial].statistics
        return self.house.now_s - (statistics.at_s if statistics else self.booted_at_s)

    def is_reachable(self, serial: str) -> bool:
        """Tell what the DTU says of an inverter: true after a boot, before any contact."""
        return self.is_polling and self.believed[serial].failed_polls <= self.reachable_threshold

    def accepts_type(self, limit_type: int) -> bool:
        """Tell whether this firmware knows a limit type; 2/3 are persistent since v25.9.11, 256/257 before."""
        return limit_type in ((0, 1, 2, 3) if self.generation == "new" else (0, 1, 256, 257))

    def post_limit(self, serial: str, limit_type: int, value: float) -> None:
        """Queue a limit that HTTP has checked; a waiting one of the same type is replaced."""
        if self.generation == "old":
            value = float(int(value))
        self.counters.limits += 1
        self.counters.persistent += limit_type in PERSISTENT_TYPES
        self._count_while_pending(serial, limit_type, value)
        if self.commands_enabled:
            self._act(lambda: self._take_limit(Command(serial, "limit", tenths(value), limit_type)))

    def _take_limit(self, command: Command) -> None:
        serial = command.serial
        self.believed[serial].failed = [c for c in self.believed[serial].failed if c.kind != "limit"]
        self._radio_of[serial].withdraw(serial, command.limit_type)
        self._enqueue(command)
        self.believed[serial].limit_state = CommandState.PENDING

    def _act(self, take: Callable[[], None]) -> None:
        if self.late_posts <= 0:
            take()
            return
        self.late_posts -= 1
        self._late.append((self.house.now_s + self.acts_after_s, take))

    def post_power(self, serial: str, *, on: bool) -> None:
        """Queue a power command."""
        self._post_switch(Command(serial, "power", float(on)))

    def post_restart(self, serial: str) -> None:
        """Queue a restart."""
        self._post_switch(Command(serial, "restart"))

    def _post_switch(self, command: Command) -> None:
        self.counters.power += 1
        if self.commands_enabled:
            self._act(lambda: self._take_switch(command))

    def _take_switch(self, command: Command) -> None:
        believed = self.believed[command.serial]
        believed.failed = [c for c in believed.failed if c.kind == "limit"]
        self._enqueue(command)
        believed.power_state = CommandState.PENDING

    def _enqueue(self, command: Command) -> None:
        self._radio_of[command.serial].enqueue(command, self.house.now_s)

    def in_flight_w(self, serial: str) -> float | None:
        """Return the last limit that was posted and has not arrived, in W; None = there is none."""
        limits = [command for command in self._radio_of[serial].in_flight(serial) if command.sent >= 0]
        return self._limit_w(limits[-1]) if limits else None

    def is_waiting(self, serial: str) -> bool:
        """Tell whether a limit waits for the radio: until it goes out, another one may take its place."""
        return self._radio_of[serial].has_waiting(serial, "limit")

    @property
    def radios(self) -> list[tuple[float, list[str]]]:
        """Return of each radio when it has done with what is on air, and the serials of its inverters."""
        now_s = self.house.now_s
        shared = [(radio, [s for s in self.serials if self._radio_of[s] is radio]) for radio in self._radios]
        return [(radio.free_at_s if radio.on_air else now_s, serials) for radio, serials in shared]

    def _limit_w(self, command: Command) -> float:
        rated_w = self.house.inverters[command.serial].model.rated_w
        return min(command.value, 100.0) * rated_w / 100 if command.limit_type in RELATIVE_TYPES else command.value

    def _count_while_pending(self, serial: str, limit_type: int, value: float) -> None:
        if self.believed[serial].limit_state != CommandState.PENDING:
            return
        in_flight = self._radio_of[serial].in_flight(serial)
        if not in_flight:
            return
        if self._limit_w(Command(serial, "limit", value, limit_type)) < self._limit_w(in_flight[-1]):
            self.counters.lowered_while_pending += 1
        else:
            self.counters.raised_or_repeated_while_pending += 1

    # Radio and polling ---------------------------------------------------------------------------------------------

    @property
    def next_event_s(self) -> float:
        """Return when radio or polling does something next; infinity for never."""
        return self._up_at_s if not self.is_up else min(self._next_s(), self._down_at_s)

    def advance(self, now_s: float) -> None:
        """Move radio, polling and the house to `now_s`."""
        if now_s >= self._down_at_s:
            self._advance(self._down_at_s)
            self.house.advance(min(now_s, self._up_at_s))
            if now_s < self._up_at_s:
                return
            self.boot()
        self._advance(now_s)

    def _advance(self, now_s: float) -> None:
        while (at_s := self._next_s()) <= now_s:
            self.house.advance(at_s)
            late = next((late for late in self._late if late[0] <= at_s), None)
            heard = next((radio for radio in self._radios if radio.deliver_at_s <= at_s), None)
            if late is not None:
                self._late.remove(late)
                late[1]()
            elif heard is not None:
                self._deliver(heard, at_s)
            elif at_s >= self._next_poll_s:
                self._poll(at_s)
            else:
                self._radio_free(next(radio for radio in self._radios if radio.next_s <= at_s), at_s)
        self.house.advance(now_s)

    def _next_s(self) -> float:
        return min([self._next_poll_s, *(at_s for at_s, _ in self._late), *(radio.next_s for radio in self._radios)])

    def _poll(self, now_s: float) -> None:
        self._next_poll_s = now_s + self.poll_interval_s
        if not self.serials or not self.is_polling:
            return
        serial = self.serials[self._slot % len(self.serials)]
        self._slot += 1
        believed = self.believed[serial]
        for command in believed.failed:
            command.sent = 0
            self._enqueue(command)
            self._set_state(command, CommandState.PENDING)
        believed.failed = []
        if not self._radio_of[serial].has_waiting(serial, "statistics"):
            self._enqueue(Command(serial, "statistics"))
        is_quiet = (
            now_s - believed.limit_acked_at_s > READ_BACK_QUIET_S and now_s - self.booted_at_s > READ_BACK_QUIET_S
        )
        if is_quiet and now_s - believed.read_back_at_s > READ_BACK_EVERY_S:
            believed.read_back_at_s = now_s
            self._enqueue(Command(serial, "read_back"))

    def _radio_free(self, radio: Radio, now_s: float) -> None:
        if (done := radio.on_air) is not None:
            radio.on_air = None
            if done.sent < 0:
                self._succeed(done, now_s)
            elif done.sent >= TRANSMISSIONS:
                self._fail(done)
            else:
                radio.queue.appendleft(done)
        if (command := radio.take()) is None:
            return
        command.sent += 1
        self.believed[command.serial].transmissions += 1
        radio.on_air = command
        radio.free_at_s = now_s + (COMMAND_WINDOW_S if command.kind in COMMANDS else STATISTICS_WINDOW_S)
        if self._is_heard(command, now_s) and self._rng.random() >= self.loss:
            radio.deliver_at_s = now_s + ON_AIR_S

    def _is_heard(self, command: Command, now_s: float) -> bool:
        inverter = self.house.inverters[command.serial]
        if self.radio_hangs or not (inverter.has_dc and inverter.is_in_reach):
            return False
        if command.kind in ("limit", "power"):
            return not inverter.is_deaf
        return command.kind != "statistics" or inverter.answers_statistics(now_s)

    def _deliver(self, radio: Radio, now_s: float) -> None:
        radio.deliver_at_s = math.inf
        command = radio.on_air
        if command is None:
            return
        inverter = self.house.inverters[command.serial]
        if command.kind != "limit" or inverter.answers_limits:
            command.sent = -1
            self.believed[command.serial].answers += 1
        if command.kind == "limit":
            take = inverter.receive_persistent if command.limit_type in PERSISTENT_TYPES else inverter.receive_limit
            take(now_s, self._limit_w(command))
        elif command.kind == "power":
            inverter.receive_power(now_s, on=bool(command.value))
        elif command.kind == "restart":
            inverter.restart(now_s)
        elif command.kind == "statistics":
            self._read(inverter, now_s)
        else:
            told_pct = inverter.reads_back_pct
            self.believed[command.serial].limit_pct = inverter.limit_in_force_pct if told_pct is None else told_pct

    def _read(self, inverter: SimInverter, now_s: float) -> None:
        believed = self.believed[inverter.model.serial]
        believed.failed_polls = 0
        believed.rated_w = 0.0 if inverter.model.serial in self.unknown_models else inverter.model.rated_w
        output_w = inverter.model.measured_w(inverter.output_w)
        believed.statistics = Statistics(
            at_s=now_s,
            ac_power_w=output_w,
            ac_voltage_v=MAINS_V + self._mains.uniform(-MAINS_SPREAD_V, MAINS_SPREAD_V),
            dc_power_w=output_w / inverter.model.efficiency,
            dc_voltage_v=self.house.battery.voltage_v(self.house.dc_power_w),
            temperature_c=inverter.temperature_c,
            yield_wh=inverter.energy_wh,
        )

    def _succeed(self, command: Command, now_s: float) -> None:
        believed = self.believed[command.serial]
        if command.kind == "limit":
            believed.limit_acked_at_s = now_s
            if command.limit_type in RELATIVE_TYPES:
                believed.limit_pct = min(command.value, 100.0)
            elif believed.rated_w > 0:
                believed.limit_pct = min(100.0, tenths(100 * command.value / believed.rated_w))
        if not self._is_replaced(command):
            self._set_state(command, CommandState.OK)

    def _fail(self, command: Command) -> None:
        believed = self.believed[command.serial]
        if command.kind == "statistics":
            believed.failed_polls += 1
            if self.zero_runtime and not self.is_reachable(command.serial) and believed.statistics:
                believed.statistics = Statistics(believed.statistics.at_s, yield_wh=believed.statistics.yield_wh)
        elif command.kind != "read_back" and not self._is_replaced(command):
            believed.failed.append(command)
            self._set_state(command, CommandState.FAILURE)

    def _is_replaced(self, command: Command) -> bool:
        return self._radio_of[command.serial].has_waiting(command.serial, command.kind)

    def _set_state(self, command: Command, state: CommandState) -> None:
        believed = self.believed[command.serial]
        if command.kind == "limit":
            believed.limit_state = state
        elif command.kind in ("power", "restart"):
            believed.power_state = state
