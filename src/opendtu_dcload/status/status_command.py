"""Runs the command: once, as JSON, or once a second for as long as somebody looks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import NoReturn

import aiohttp

from opendtu_dcload.config import load_config
from opendtu_dcload.devices.http import open_session
from opendtu_dcload.lasting import Task, lasting
from opendtu_dcload.status.remote_plant import RemotePlant
from opendtu_dcload.status.service_client import NoServiceError, address, state_at
from opendtu_dcload.status.status_text import summary
from opendtu_dcload.tasks.live_line import print_live

EVERY_S = 1.0
PATIENCE_S = 10.0
"""A service that was there may be away for so long, as for a restart."""


def run_status(config: Path, *, is_watching: bool, is_json: bool) -> int:
    """Print what the service of this configuration says of itself; return the exit code.

    Raises:
        ConfigError: the configuration cannot be read.
        NoServiceError: no service answers.
    """
    base = address(load_config(config).web)
    with contextlib.suppress(KeyboardInterrupt) if is_watching else contextlib.nullcontext():  # seen enough
        asyncio.run(_watch(base) if is_watching else _print(base, is_json=is_json))
    return 0


async def _print(base: str, *, is_json: bool) -> None:
    async with open_session() as session:
        document = await state_at(session, base)
    print(json.dumps(document, indent=2) if is_json else "\n".join(summary(document, base, time.monotonic())))


async def _watch(base: str) -> None:
    plant = RemotePlant()
    async with open_session() as session:
        plant.take(await state_at(session, base), time.monotonic())
        try:
            async with lasting([Task("asks the service", _follow(plant, session, base))]):
                await print_live(plant.state, plant.sources, time.monotonic, has_inverters=True)
        except* NoServiceError as group:
            raise NoServiceError(str(group.exceptions[0])) from None


async def _follow(plant: RemotePlant, session: aiohttp.ClientSession, base: str) -> NoReturn:
    heard_at_s = time.monotonic()
    while True:
        await asyncio.sleep(EVERY_S)
        try:
            plant.take(await state_at(session, base), time.monotonic())
            heard_at_s = time.monotonic()
        except NoServiceError:
            if time.monotonic() - heard_at_s > PATIENCE_S:
                raise
