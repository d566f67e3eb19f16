"""The live line at a real terminal, of the whole program."""

from __future__ import annotations

import fcntl
import re
import struct
import termios
from dataclasses import replace
from pathlib import Path

import pytest

from tests.doctor.terminal import Terminal, at_terminal
from tests.doubles.devices import SERIALS, Devices
from tests.terminal.drawn import Drawn

pytestmark = pytest.mark.realtime

FLOW = re.compile(r"grid +-?\d+ \+ [^+]+: +\d+ \+ [^+]+: +\d+ = load +\d+ W, set \d+")


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("PYTHONUTF8", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)


def seen(terminal: Terminal, columns: int = 80, lines: int = 24) -> list[str]:
    """Return what stood on a terminal that was of this size all the time, when its last row was heard."""
    drawn = Drawn(columns, lines)
    drawn.feed(terminal.heard)
    return drawn.seen()


def resize(terminal: Terminal, columns: int, lines: int) -> None:
    fcntl.ioctl(terminal._number, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


async def test_a_terminal_shows_what_flows_why_each_inverter_and_a_plot_below_the_log(
    devices: Devices, tmp_path: Path
) -> None:
    inverter = devices.dtu.house.inverters[SERIALS[0]]
    inverter.model = replace(inverter.model, name="\x1b[2J\x1b]0;mine\x07")
    async with at_terminal("--config", devices.config(tmp_path), "--live=inverters") as terminal:
        resize(terminal, 80, 30)
        await terminal.hear("set ")
        await terminal.hear(" now\x1b[K")
        lines = seen(terminal, lines=30)
        terminal.process.terminate()
        assert await terminal.end() == 0
    assert "\x1b[2J" not in terminal.said
    assert "\x1b]" not in terminal.said
    flow, _why, *inverters = lines[-11:-7]
    assert FLOW.match(flow)
    assert all(re.search(r"\d+ W +limit +\d+ W", line) for line in inverters)
    assert [line[:9].strip() for line in lines[-7:]][1::3] == ["grid", "inverters"]
    assert lines[-1].endswith("now")
    assert len([line for line in lines if line.startswith("grid ")]) == 1
    assert any(line.startswith("INFO opendtu-dcload") for line in lines)


async def test_a_terminal_that_is_resized_goes_on_and_one_that_cannot_draw_gets_lines(
    devices: Devices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = devices.config(tmp_path)
    async with at_terminal("--config", config, "--live") as terminal:
        resize(terminal, 80, 24)
        await terminal.hear("= load")
        resize(terminal, 30, 8)
        await terminal.hear("\x1b[H")
        begun = len(terminal.heard)
        for words in ("= load", "= load", "\x1b[J"):
            await terminal.hear(words)
        drawn = Drawn(30, 8)
        drawn.feed(terminal.heard[begun:])
        assert [line.startswith("grid ") for line in drawn.seen()][-2:] == [True, False]
        assert "\n".join(drawn.seen()).count("= load") == 1, "drawn in its place"
        terminal.process.terminate()
        assert await terminal.end() == 0
    monkeypatch.setenv("TERM", "dumb")
    async with at_terminal("--config", config, "--live") as terminal:
        await terminal.hear("= load")
        await terminal.hear("= load")
        terminal.process.terminate()
        assert await terminal.end() == 0
    assert "\x1b" not in terminal.said
