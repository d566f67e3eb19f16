"""The task that tells a broker everything and hears its commands, beside the regulation and never in its way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, NoReturn

import aiomqtt

from opendtu_dcload.config import Config, MqttConfig
from opendtu_dcload.lasting import Task, lasting
from opendtu_dcload.live.live_plant import Source
from opendtu_dcload.mqtt.broker import (
    STOP_S,
    Broker,
    BrokerError,
    check_packet,
    is_ending,
    publish,
    sentence,
    subscribe,
)
from opendtu_dcload.mqtt.command_door import CommandDoor
from opendtu_dcload.mqtt.discovery import describe_inverter, describe_plant
from opendtu_dcload.mqtt.published import PublishedInverter, PublishedPlant
from opendtu_dcload.mqtt.topics import OFFLINE, ONLINE, Topics
from opendtu_dcload.state import State
from opendtu_dcload.venus.gx.gx_controls import Controls

PERIOD_S = 1.0
"""Each topic is told a change no more often than this."""
RETRY_DELAYS_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Pauses before the attempts to connect, the last one repeats."""
STEADY_S = 60.0
"""A session that lasted so long was a good one: after it the pauses begin anew."""
MOST_TOLD = 2
"""Connections that do not last are told of so often; then the log tells only that the broker fails."""
MOST_PER_S = 50
"""More messages a second are a flood; a slider that is dragged makes ten."""

log = logging.getLogger(__name__)


class Message(NamedTuple):
    """What stands at a topic."""

    payload: str
    retain: bool = False


class Told:
    """All that the broker is told: availability, how Home Assistant finds us, and the states."""

    def __init__(
        self, config: Config, state: State, controls: Controls | None, sources: Mapping[str, Source], topics: Topics
    ) -> None:
        """Take where it comes from.

        Args:
            config: all settings.
            state: what is known.
            controls: what may be set; None = nothing.
            sources: of the inverters, by serial.
            topics: where it goes to.
        """
        self._config = config
        self._state = state
        self._controls = controls
        self._topics = topics
        self._plant = PublishedPlant(state, sources, {dtu.name: dtu.label for dtu in config.dtus}, controls)
        self._inverters = {
            serial: PublishedInverter(state, serial, source, controls) for serial, source in sources.items()
        }
        self._names: tuple[str, ...] = ()
        self._discovery: dict[str, Message] = {}

    def messages(self, now_s: float) -> dict[str, Message]:
        """Return what is to stand at each topic now.

        States are not retained: what outlives who said it is no longer true, and nobody sees that.
        """
        topics = self._topics
        states = {topics.plant: self._plant.values(now_s)} | {
            topics.inverter(serial): inverter.values(now_s) for serial, inverter in self._inverters.items()
        }
        told = {topic: Message(json.dumps(values, allow_nan=False)) for topic, values in states.items()}
        return {topics.availability: Message(ONLINE, retain=True)} | self._found() | told

    def _found(self) -> dict[str, Message]:
        names = tuple(self._name_of(serial) for serial in self._inverters)
        if names != self._names or not self._discovery:
            self._names = names
            self._discovery = {topic: Message(payload, retain=True) for topic, payload in self._described(names)}
        return self._discovery

    def _described(self, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        topics, controls = self._topics, self._controls
        has_solar, has_battery = self._config.solar is not None, self._config.dbus.enabled
        yield from describe_plant(topics, controls, has_solar=has_solar, has_battery=has_battery).messages(topics)
        for serial, name in zip(self._inverters, names, strict=True):
            yield from describe_inverter(topics, controls, serial, name).messages(topics)

    def _name_of(self, serial: str) -> str:
        named = next((inverter.name for inverter in self._config.inverters if inverter.serial == serial), None)
        status = self._state.inverters.get(serial)
        return named or (status.name if status is not None else "") or f"Inverter {serial}"


class MqttTask:
    """One broker."""

    def __init__(
        self,
        config: MqttConfig,
        told: Told,
        door: CommandDoor,
        clock: Callable[[], float],
        retry_delays_s: tuple[float, ...] = RETRY_DELAYS_S,
    ) -> None:
        """Open nothing yet.

        Args:
            config: which broker.
            told: what it is told.
            door: takes its commands.
            clock: monotonic time in s.
            retry_delays_s: pauses before the attempts to connect, the last one repeats.
        """
        self._topics = Topics.of(config)
        self._broker = Broker(config, self._topics.availability)
        self._address = config.address
        self._told = told
        self._door = door
        self._clock = clock
        self._retry_delays_s = retry_delays_s
        self._shown: dict[str, Message] = {}
        """What the broker was told on this connection."""
        self._said = ""
        """What the log was told last of the broker."""
        self._failures = 0
        """How often a connection failed or did not last, one after the other."""
        self._sessions = 0
        """Of these, how often there was one."""
        self._heard_s: tuple[int, int] = (0, 0)
        """The second of the latest message, and how many came in it."""

    async def run(self) -> NoReturn:
        """Stay connected for ever; a broker that does not want is tried again, and nothing that it does ends this."""
        while True:
            began_s = self._clock()
            try:
                await self._session(began_s)
            except Exception as error:  # neither a broker nor a mistake in talking to it may end the regulation
                if is_ending():  # what went wrong while we were told to end hides that
                    raise asyncio.CancelledError from error
                self._say(f"{self._address} {sentence(error)}; tried again", logging.WARNING)
            if self._is_steady(began_s):
                self._failures = self._sessions = 0
            self._failures += 1
            await asyncio.sleep(self._retry_delays_s[min(self._failures, len(self._retry_delays_s)) - 1])

    async def _session(self, began_s: float) -> None:
        async with self._broker.session() as client:
            self._shown.clear()
            self._sessions += 1
            unread = await subscribe(client, [self._topics.birth, *self._door.topics])
            said = f"{self._address} is told everything under {self._topics.base}"
            said += f", but does not let us read {unread[0]}" if unread else ""
            try:
                async with lasting([Task("MQTT messages", self._hear(client))]):
                    while True:
                        check_packet(client)
                        await self._tell(client)
                        if self._sessions <= MOST_TOLD or self._is_steady(began_s):
                            self._say(said, logging.INFO)
                        await asyncio.sleep(PERIOD_S)
            finally:
                with contextlib.suppress(aiomqtt.MqttError):  # then our last will says it
                    await client.publish(self._topics.availability, OFFLINE, retain=True, timeout=STOP_S)

    def _is_steady(self, began_s: float) -> bool:
        return self._clock() - began_s >= STEADY_S

    async def _tell(self, client: aiomqtt.Client) -> None:
        """Publish what has changed."""
        for topic, message in self._told.messages(self._clock()).items():
            if self._shown.get(topic) != message:
                self._shown[topic] = message
                await publish(client, topic, message.payload, retain=message.retain)

    async def _hear(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            self._count()
            topic = str(message.topic)
            if topic == self._topics.birth:
                if message.payload == ONLINE.encode():
                    self._shown.clear()  # Home Assistant has started: it knows no state, and perhaps not us
            else:
                self._door.take(topic, message.payload, is_retained=message.retain)

    def _count(self) -> None:
        second = int(self._clock())
        self._heard_s = second, self._heard_s[1] + 1 if self._heard_s[0] == second else 1
        if self._heard_s[1] > MOST_PER_S:
            raise BrokerError(f"sends more than {MOST_PER_S} messages a second")

    def _say(self, text: str, level: int) -> None:
        """Log what has become of the broker, once: the same in other words, which stand in brackets, is no news."""
        kind = text.partition(" (")[0]
        if kind != self._said:
            self._said = kind
            log.log(level, "MQTT broker %s", text)


def mqtt_tasks(
    config: Config,
    state: State,
    controls: Controls | None,
    sources: Mapping[str, Source],
    clock: Callable[[], float],
) -> Iterator[Task]:
    """Yield what talks to the broker of a configuration, if it has one.

    Args:
        config: all settings.
        state: what is known.
        controls: what may be set; None = nothing.
        sources: of the inverters, by serial.
        clock: monotonic time in s.
    """
    if config.mqtt is not None:
        topics = Topics.of(config.mqtt)
        told = Told(config, state, controls, sources, topics)
        door = CommandDoor(controls, topics.controls(list(sources)))
        yield Task("MQTT", MqttTask(config.mqtt, told, door, clock).run())
