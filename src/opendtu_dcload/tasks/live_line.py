"""The plant once a second on stdout: a line, or at a terminal a picture that is drawn in its place."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Mapping

from opendtu_dcload.live.live_picture import LivePicture
from opendtu_dcload.live.live_plant import LivePlant, Source
from opendtu_dcload.live.live_text import inverter_lines, live_line
from opendtu_dcload.state import State
from opendtu_dcload.terminal.screen import screen_of

log = logging.getLogger(__name__)


async def print_live(
    state: State, sources: Mapping[str, Source], clock: Callable[[], float], *, has_inverters: bool = False
) -> None:
    """Show the plant once a second until nobody reads it any more; with `has_inverters` each inverter too."""
    screen, picture = screen_of(sys.stdout, os.environ), LivePicture(has_inverters=has_inverters)
    with screen.log_above() if screen is not None else contextlib.nullcontext():
        while True:
            await asyncio.sleep(1.0)
            now_s = clock()
            try:
                if screen is not None:
                    screen.draw(picture.rows(state, sources, now_s, screen.size()))
                    continue
                print(live_line(state, sources, now_s), flush=True)
                if has_inverters:
                    print(*inverter_lines(state, LivePlant.of(state, sources, now_s), now_s), sep="\n", flush=True)
            except OSError as err:
                log.info("the live line ends, regulation goes on: %s", err.strerror)
                return
