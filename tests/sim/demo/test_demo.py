from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from opendtu_dcload.config import load_config
from opendtu_dcload.sim.demo import demo, demo_plant, demo_view
from tests.doctor.terminal import at_terminal
from tests.terminal.drawn import Drawn

pytestmark = pytest.mark.realtime


def test_generated_configuration_is_valid_and_fits_the_plant(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(demo.config_text("127.0.0.1:4711", "127.0.0.1:4712", has_bus=True, page_port=4713))
    config = load_config(path)
    assert config.meter.host == "127.0.0.1:4711"
    assert [inverter.serial for inverter in config.inverters] == list(demo_plant.SERIALS)
    assert config.control.max_feed_in_w == 1200
    assert config.battery.min_voltage_v == 46
    assert config.dbus.bus == "session"
    path.write_text(demo.config_text("127.0.0.1:4711", "127.0.0.1:4712", has_bus=False, page_port=4713))
    assert not load_config(path).dbus.enabled


def start(controller: str, duration_s: float | None, bus: str, folder: Path) -> subprocess.Popen[str]:
    program = (
        "import sys; from opendtu_dcload.sim.demo.demo import run_demo;"
        f"sys.exit(run_demo({duration_s}, {bus!r}, (sys.executable, '-c', {controller!r})))"
    )
    environ = {**os.environ, "TMPDIR": str(folder)}
    argv = [sys.executable, "-c", program]
    return subprocess.Popen(argv, text=True, env=environ, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def descendants(lines: str) -> list[int]:
    (line,) = [line for line in lines.splitlines() if line.startswith("Processes: ")]
    return [int(part.split()[-1]) for part in line.removeprefix("Processes: ").split(", ")]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_controller_that_dies_ends_the_demo_with_1_and_leaves_nothing_behind(tmp_path: Path) -> None:
    process = start("import sys; print('WARNING bad', file=sys.stderr); sys.exit(3)", None, "off", tmp_path)
    stdout, stderr = process.communicate()
    assert process.returncode == 1
    assert "[controller] WARNING bad" in stderr
    assert "the controller has ended by itself (exit status 3)" in stderr
    assert not any(is_running(pid) for pid in descendants(stdout))
    assert list(tmp_path.iterdir()) == []


LIVELY = (
    "import os, signal, sys, time\n"
    "def leave(*_):\n"
    "    print('WARNING leaving', file=sys.stderr)\n"
    "    sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, leave)\n"
    "print(os.environ.get('DBUS_SESSION_BUS_ADDRESS'), sys.argv[1::2], flush=True)\n"
    "time.sleep(600)\n"
)


def test_demo_with_a_duration_ends_with_one_line_of_json(tmp_path: Path) -> None:
    process = start(LIVELY, 4.0, "off", tmp_path)
    stdout, stderr = process.communicate()
    final = json.loads(stdout.splitlines()[-1])
    assert (final["duration_s"], final["warnings"], final["ok"]) == (4.0, 1, None)
    assert process.returncode == 1
    assert stderr == "[controller] WARNING leaving\n"
    assert not any(is_running(pid) for pid in descendants(stdout))
    assert list(tmp_path.iterdir()) == []


def test_terminated_demo_stops_everything_in_order(tmp_path: Path) -> None:
    process = start(LIVELY, None, "unix:path=/nowhere", tmp_path)
    assert process.stdout
    lines: list[str] = []
    while not (lines and lines[-1].startswith("load ")):
        lines.append(process.stdout.readline())
    assert lines[-1].endswith(" W | unix:path=/nowhere ['--config', '--live']\n"), lines[-1]
    process.send_signal(signal.SIGTERM)
    rest, stderr = process.communicate()
    assert process.returncode == 0
    assert rest == ""
    assert stderr == "[controller] WARNING leaving\n"
    assert not any(is_running(pid) for pid in descendants("".join(lines)))
    assert list(tmp_path.iterdir()) == []


LIVE_LINE = "grid    12 + 1:  430 + 2:   20 + 3:   20 = load   482 W, set 480 | regulating"
TALKING = LIVELY.replace(
    "time.sleep(600)\n", f"while True:\n    print({LIVE_LINE!r}, flush=True)\n    time.sleep(0.05)\n"
)


def test_what_happened_is_told_in_words_and_drawn_when_the_demo_is_ended(tmp_path: Path) -> None:
    process = start(TALKING, None, "off", tmp_path)
    assert process.stdout
    shown = 0
    while shown < demo_view.ENOUGH:
        shown += process.stdout.readline().startswith("load ")
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate()
    assert process.returncode == 0
    *words, where = [line for line in rest.splitlines() if not line.startswith("load ")]
    assert words[0].startswith("Too short to judge: ")
    assert all(len(line) <= 80 for line in words)
    assert where == f"A picture of it, for a browser: {tmp_path / demo_view.PICTURE}"
    root = ET.parse(tmp_path / demo_view.PICTURE).getroot()
    curves = {line.attrib["id"] for line in root.iter("{http://www.w3.org/2000/svg}polyline")}
    assert curves == {"grid", "load", "inverters", "limits"}


async def test_at_a_terminal_the_demo_is_drawn_in_place_and_ends_with_a_plot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("PYTHONUTF8", "1")
    monkeypatch.chdir(tmp_path)
    program = (
        "import sys; from opendtu_dcload.sim.demo.demo import run_demo;"
        f"sys.exit(run_demo(None, 'off', (sys.executable, '-c', {TALKING!r})))"
    )
    async with at_terminal(program=program) as terminal:
        for _ in range(demo_view.ENOUGH):
            await terminal.hear("= load   482 W")
        terminal.process.send_signal(signal.SIGINT)
        assert await terminal.end() == 0
    drawn = Drawn()
    drawn.feed(terminal.said)
    lines = drawn.seen()
    told = next(place for place, line in enumerate(lines) if line.startswith("Too short to judge"))
    assert lines[told - 1].endswith("now")
    assert [line[:9].strip() for line in lines[told - 7 : told]][1::3] == ["grid", "inverters"]
    assert demo_view.PICTURE.name in "".join(lines[told:])
    assert not any("= load   482 W" in line for line in lines)


def test_demo_that_is_ended_while_it_starts_is_no_failure(tmp_path: Path) -> None:
    process = start("import time; time.sleep(600)", None, "off", tmp_path)
    assert process.stdout
    lines = ""
    while "What really happens" not in lines:
        lines += process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert (process.returncode, stderr) == (0, "")
    assert not any(is_running(pid) for pid in descendants(lines))
