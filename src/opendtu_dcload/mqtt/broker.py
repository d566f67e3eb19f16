"""The connection to the broker, aiomqtt's, and all that has to be worked around in aiomqtt and in paho below it.

MQTT 5, because it has two things that protect us: the largest packet that a broker may send, and subscriptions that get
no retained messages. Mosquitto has it since 1.6, FlashMQ, EMQX and HiveMQ have it too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from opendtu_dcload.config import MqttConfig
from opendtu_dcload.config.mqtt_section import trusting
from opendtu_dcload.mqtt.topics import OFFLINE

CONNECT_S = 2.5
"""For the connection, and as long again for TLS. A thread waits, and the program's end waits for the thread."""
ANSWER_S = 5.0
STOP_S = 0.5
"""How long the end of a session may take: at the program's end the inverters wait for it."""
KEEPALIVE_S = 20
"""A broker that says nothing for so long is asked, and lost when it stays silent as long again."""
LARGEST_BYTES = 16_384
"""The longest packet that is of use to us is a hundredth of it."""
MOST_WAITING = 100
_OTHER_VERSION, _REFUSALS = 132, {134, 135}
"""Reason codes of CONNACK, MQTT 5 section 3.2.2.2: unsupported version; bad user name or password, not authorized."""
_MOST_SHOWN = 150

# What paho tells is told here in other words, and once.
_silent = logging.getLogger(f"{__name__}.paho")
_silent.setLevel(logging.CRITICAL + 1)


class BrokerError(Exception):
    """The broker did something for which it is left alone for a while; the text says what."""


class Broker:
    """Connects again and again, each time with a session of its own: nothing of an earlier one is left."""

    def __init__(self, config: MqttConfig, will_topic: str) -> None:
        """Open nothing yet.

        Args:
            config: where it is, and how to log in.
            will_topic: gets our last will.
        """
        self._config = config
        self._will = aiomqtt.Will(will_topic, OFFLINE, qos=1, retain=True)
        self._trust = trusting(Path(config.ca_file) if config.ca_file is not None else None) if config.tls else None

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[aiomqtt.Client]:
        """Connect, and disconnect at the end.

        Raises:
            aiomqtt.MqttError: it cannot be reached, refuses us, or was lost.
        """
        client = self._client()
        async with client:
            try:
                _end_if_told()
                yield client
            finally:
                client.timeout = STOP_S

    def _client(self) -> aiomqtt.Client:
        config = self._config
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has no types for it
        properties.MaximumPacketSize = LARGEST_BYTES
        client = aiomqtt.Client(
            config.host.strip("[]"),
            config.port_used,
            username=config.user,
            password=config.password.get_secret_value() if config.password is not None else None,
            logger=_silent,
            identifier=f"opendtu-dcload-{uuid.uuid4().hex[:8]}",  # one that another copy has would end its connection
            protocol=aiomqtt.ProtocolVersion.V5,
            will=self._will,
            timeout=ANSWER_S,
            keepalive=KEEPALIVE_S,
            max_queued_incoming_messages=MOST_WAITING,
            properties=properties,
            tls_context=self._trust,
        )
        client._client.connect_timeout = CONNECT_S  # noqa: SLF001  aiomqtt has no word for it
        for future in (client._connected, client._disconnected):  # noqa: SLF001  nobody may have waited for it
            future.add_done_callback(_retrieve)
        return client


def _retrieve(future: asyncio.Future[None]) -> None:
    """Look at what a future ended with: asyncio logs a traceback for one that nobody looked at."""
    if not future.cancelled():
        future.exception()


async def subscribe(client: aiomqtt.Client, topics: Sequence[str]) -> list[str]:
    """Listen to topics, but not to what the broker has kept of them; return those that it does not let us read.

    With QoS 1 a command that reaches the broker reaches us while we are connected. Should it come twice, nothing
    happens: each sets a value, none changes one. What comes while we are away is lost, as each session is new.
    """
    options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
    answers = await client.subscribe([(topic, options) for topic in topics])
    _end_if_told()
    return [topic for topic, answer in zip(topics, answers, strict=False) if getattr(answer, "is_failure", False)]


async def publish(client: aiomqtt.Client, topic: str, payload: str, *, retain: bool) -> None:
    """Tell something with QoS 0: what is lost with a connection is told again in the next one."""
    await client.publish(topic, payload, retain=retain)
    _end_if_told()


def is_ending() -> bool:
    """Tell whether the running task is told to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _end_if_told() -> None:
    """End the running task when it was told to.

    aiomqtt waits by `asyncio.wait_for`, which before Python 3.12 goes on as if nothing had happened when it is told to
    end in the moment in which what it waits for comes.
    """
    if is_ending():
        raise asyncio.CancelledError


def check_packet(client: aiomqtt.Client) -> None:
    """Look at the packet that is on its way: a broker need not keep to the size that it was told.

    Raises:
        BrokerError: it is larger than that.
    """
    packet = getattr(client._client, "_in_packet", {})  # noqa: SLF001  paho takes 256 MB into memory
    if packet.get("remaining_length", 0) > LARGEST_BYTES:
        raise BrokerError("sends a message beyond measure")


def sentence(error: BaseException) -> str:
    """Return what is the matter with the broker, to be said behind its address; without any secret."""
    if isinstance(error, BaseExceptionGroup):
        return sentence(next((e for e in error.exceptions if isinstance(e, BrokerError)), error.exceptions[0]))
    if isinstance(error, BrokerError):
        return str(error)
    code = getattr(error.rc, "value", error.rc) if isinstance(error, aiomqtt.MqttCodeError) else None
    if code in _REFUSALS:
        return "refuses user and password; write those it knows as mqtt.user and mqtt.password"
    if code == _OTHER_VERSION:
        return "does not know MQTT 5; name a broker that does as mqtt.host"
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        why = text.partition("certificate verify failed: ")[2].partition(" (_ssl")[0]
        advice = "it has to name mqtt.host, and mqtt.ca_file the one that signed it"
        return f"has a certificate that is not trusted ({_plain(why)}); {advice}"
    if isinstance(error, aiomqtt.MqttError | OSError | ssl.SSLError):
        return f"does not answer ({_short(error)})"
    return f"cannot be talked to ({type(error).__name__}: {_short(error)})"


def _short(error: BaseException) -> str:
    return _plain(str(error.__cause__ or error))


def _plain(text: str) -> str:
    return "".join(filter(str.isprintable, text))[:_MOST_SHOWN]
