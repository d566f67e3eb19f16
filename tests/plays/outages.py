"""Takes the meter, OpenDTU and the bus away from a running demo and brings them back; about half an hour of real time.

`make outages` runs it; `python -m tests.plays.outages meter` or `OpenDTU` only a part. It is no part of `make test`:
there the same ladder is shown on virtual time. Prints what the controller logged and what the plant did, and exits 1
if one of the documented lines or powers is missing.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter

MINIMA_W = 60.0
SETTLE_S = 60.0
OUTAGES = (("meter", 120.0, 60.0), ("meter", 420.0, 180.0), ("OpenDTU", 120.0, 60.0), ("OpenDTU", 420.0, 60.0))
"""Who goes, for how long, and how long the plant then has to come back (powered-off inverters wait for the grid)."""
RUNGS = ("meter stale: ramp to base load", "meter stale: minimum", "meter lost: off")


class Demo:
    """The running demo, and what it said."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "opendtu_dcload", "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.log: list[str] = []
        self.intro: dict[str, str] = {}
        self.restarted: list[subprocess.Popen[bytes]] = []
        threading.Thread(target=self._read_log, daemon=True).start()
        assert self.process.stdout
        back_of = ""
        for line in self.process.stdout:
            if match := re.match(r"Take (?:the )?(\S+) away:\s+kill (\d+)", line):
                back_of = match[1]
                self.intro[f"kill {back_of}"] = match[2]
            elif match := re.match(r"Bring it back:\s+(.*) &", line):
                self.intro[f"start {back_of}"] = match[1]
            elif match := re.match(r"What really happens:\s+curl (\S+)", line):
                self.intro["live"] = match[1]
            elif line.startswith("load "):
                break
        threading.Thread(target=self._drain, daemon=True).start()

    def _read_log(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            if line.startswith("[controller]"):
                self.log.append(line.strip())
                print(f"{time.strftime('%H:%M:%S')} {line.strip()}", flush=True)

    def _drain(self) -> None:
        assert self.process.stdout
        for _ in self.process.stdout:
            pass

    def live(self) -> dict[str, object]:
        with urllib.request.urlopen(self.intro["live"], timeout=5) as answer:
            return dict(json.load(answer))

    def output_w(self) -> float:
        outputs = self.live()["output_w"]
        assert isinstance(outputs, dict)
        return float(sum(outputs.values()))

    def kill(self, name: str) -> None:
        for started in self.restarted:
            if started.poll() is None and name in str(started.args):
                started.terminate()
                started.wait()
        subprocess.run(["kill", self.intro[f"kill {name}"]], check=False)

    def start(self, name: str) -> None:
        process = subprocess.Popen(shlex.split(self.intro[f"start {name}"]), stdout=subprocess.PIPE)
        self.intro[f"kill {name}"] = str(process.pid)
        self.restarted.append(process)


def bus_value(demo: Demo, name: str, path: str) -> str:
    address = next(a.split("=", 1)[1] for a in shlex.split(demo.intro["start D-Bus"]) if a.startswith("--address="))
    return subprocess.run(
        ["dbus-send", f"--bus={address}", "--print-reply=literal", f"--dest=com.victronenergy.{name}", path,
         "com.victronenergy.BusItem.GetValue"],
        capture_output=True, text=True, check=False,
    ).stdout.strip()  # fmt: skip


def take_away(demo: Demo, name: str, outage_s: float, settle_s: float) -> list[str]:
    """Let a device be gone for a while; return what was not as documented."""
    wrong: list[str] = []
    first = len(demo.log)
    print(f"--- {name} gone for {outage_s:.0f} s", flush=True)
    demo.kill(name)
    began_s = time.monotonic()
    while (gone_s := time.monotonic() - began_s) < outage_s:
        time.sleep(1)
        output_w = demo.output_w()
        if name == "meter" and 80 < gone_s < 300 and output_w > MINIMA_W + 1:
            wrong.append(f"{output_w:.0f} W after {gone_s:.0f} s without a meter")
        if name == "meter" and gone_s > 330 and output_w > 0:
            wrong.append(f"not off after {gone_s:.0f} s without a meter")
    print(f"--- {name} back, output {demo.output_w():.0f} W", flush=True)
    demo.start(name)
    exported_wh = float(str(demo.live()["exported_wh"]))
    time.sleep(settle_s)
    live = demo.live()
    exported_wh = float(str(live["exported_wh"])) - exported_wh
    print(f"--- exported {exported_wh:.2f} Wh in {settle_s:.0f} s, output {demo.output_w():.0f} W", flush=True)
    said = Counter(re.sub(r"\[controller\] \w+ ", "", line) for line in demo.log[first:])
    called = "meter" if name == "meter" else "DTU"
    wrong += [
        f"{sum(line.startswith(what) for line in said)} lines {what!r}"
        for what in (f"{called} lost: {'Shelly' if name == 'meter' else 'OpenDTU'}", f"{called} back after ")
        if sum(said[line] for line in said if line.startswith(what)) != 1
    ]
    rungs = RUNGS[: 2 + (outage_s > 300)] if name == "meter" else ()
    heard = [next((r for r in RUNGS if r in line), "") for line in demo.log[first:]]
    if [h for h in heard if h] != list(rungs):
        wrong.append(f"rungs {[h for h in heard if h]} instead of {list(rungs)}")
    if demo.output_w() < MINIMA_W / 2:
        wrong.append("the inverters did not come back")
    return wrong


def main() -> int:
    demo = Demo()
    time.sleep(SETTLE_S)
    chosen = [outage for outage in OUTAGES if outage[0] in sys.argv[1:] or not sys.argv[1:]]
    wrong = [problem for name, gone_s, settle_s in chosen for problem in take_away(demo, name, gone_s, settle_s)]
    print("--- D-Bus gone for 20 s", flush=True)
    limits = demo.live()["limits"]
    demo.kill("D-Bus")
    time.sleep(20)
    demo.start("D-Bus")
    time.sleep(SETTLE_S)
    power = bus_value(demo, "acload.shelly_a0dd6c112233", "/Ac/Power")
    print(f"--- limits {limits} -> {demo.live()['limits']}, /Ac/Power: {power}", flush=True)
    if "double" not in power:
        wrong.append("the services did not come back to the bus")
    live = demo.live()
    print(json.dumps(live))
    if live["persistent"] or live["raised_or_repeated_while_pending"]:
        wrong.append("commands that must not be")
    demo.process.terminate()
    demo.process.wait()
    for process in demo.restarted:
        process.terminate()
    print("\n".join(wrong) or "everything as documented")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
