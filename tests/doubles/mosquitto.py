"""A real broker, and somebody who reads and writes there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from tests.doubles.ports import free_port

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
USER, PASSWORD = "plant", "s3cret-of-the-broker"


def need_mosquitto() -> str:
    """Return where it is; without it the test is left out, but not where all tests have to run."""
    if MOSQUITTO is None:
        if os.environ.get("CI"):
            pytest.fail("mosquitto is missing (Debian: mosquitto)")
        pytest.skip("mosquitto is missing (Debian: mosquitto)")
    return MOSQUITTO


class Mosquitto:
    """One broker, which can be stopped in every way."""

    def __init__(self, folder: Path, *, has_password: bool = False, certificates: Path | None = None) -> None:
        self._program = need_mosquitto()
        self.port = free_port()
        self.certificates = certificates
        self.config = folder / "mosquitto.conf"
        self._log = folder / "mosquitto.log"
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous " + ("false" if has_password else "true")]
        if os.geteuid() == 0:  # else it becomes a user who may not look into the folder
            lines.append("user root")
        if has_password:
            passwords = folder / "passwords"
            tool = shutil.which("mosquitto_passwd")
            assert tool is not None
            subprocess.run([tool, "-b", "-c", passwords, USER, PASSWORD], check=True, capture_output=True)
            lines.append(f"password_file {passwords}")
        if certificates is not None:
            lines += [f"certfile {certificates}/broker.pem", f"keyfile {certificates}/broker.key"]
        self.config.write_text("\n".join([*lines, ""]))
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        with self._log.open("ab") as log:
            argv = [self._program, "-c", str(self.config)]
            self.process = await asyncio.to_thread(subprocess.Popen, argv, stdout=log, stderr=log)
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                assert self.process.poll() is None, self._log.read_text()
                await asyncio.sleep(0.02)
                continue
            writer.close()
            await writer.wait_closed()
            return

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@dataclass
class Reader:
    """Somebody at the broker, as Home Assistant is."""

    client: aiomqtt.Client
    latest: dict[str, Any] = field(default_factory=dict)
    """What came last, by topic, out of JSON where it is some."""
    came: list[tuple[str, bytes, bool]] = field(default_factory=list)
    """Topic, payload and whether the broker had kept it, of all that came."""

    async def read(self) -> None:
        async for message in self.client.messages:
            payload = message.payload
            assert isinstance(payload, bytes)
            self.came.append((str(message.topic), payload, message.retain))
            with contextlib.suppress(ValueError):
                self.latest[str(message.topic)] = json.loads(payload) if payload[:1] == b"{" else payload.decode()

    async def write(self, topic: str, payload: str | bytes, *, retain: bool = False, qos: int = 1) -> None:
        await self.client.publish(topic, payload, qos=qos, retain=retain)


@contextlib.asynccontextmanager
async def reader(broker: Mosquitto, **login: Any) -> AsyncIterator[Reader]:
    async with aiomqtt.Client("127.0.0.1", broker.port, **login) as client:
        found = Reader(client)
        await client.subscribe("#", qos=1)
        reading = asyncio.create_task(found.read())
        try:
            yield found
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


def make_certificates(folder: Path, name: str = "ours") -> Path:
    """Make a CA and a certificate for 127.0.0.1 and localhost that it has signed; return their folder."""
    made = folder / name
    made.mkdir()

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=made, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", f"/CN=CA of {name}")
    openssl("req", *key[:-2], "-keyout", "broker.key", "-out", "broker.csr", "-subj", "/CN=broker")
    (made / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-extfile", "names")
    openssl("x509", "-req", "-in", "broker.csr", *signing, "-out", "broker.pem")
    return made
