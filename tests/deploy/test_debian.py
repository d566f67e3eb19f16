"""What the wheel brings for a Debian: the systemd unit, the policy for the bus, the runit service."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dbus_next.aio.message_bus import MessageBus
from dbus_next.constants import MessageType, RequestNameReply
from dbus_next.errors import DBusError
from dbus_next.message import Message

pytestmark = pytest.mark.realtime

FILES = Path(__file__).parents[2] / "deploy/debian"
SYSTEM_CONF = Path("/usr/share/dbus-1/system.conf")
NAME = "com.victronenergy.dcload.opendtu_116190001234"


def needs(program: str) -> None:
    if shutil.which(program) is None and os.environ.get("CI") != "true":
        pytest.skip(f"needs {program}")


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    needs("systemd-analyze")
    shutil.copy(FILES / "opendtu-dcload.timer", tmp_path)
    unit = tmp_path / "opendtu-dcload.service"
    text = (FILES / unit.name).read_text()
    assert "/opt/opendtu-dcload/bin/python" in text
    unit.write_text(text.replace("/opt/opendtu-dcload/bin/python", sys.executable))
    verify = ["systemd-analyze", "verify", "--man=no", str(unit), str(unit.with_suffix(".timer"))]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if unit.stem in line]) == (0, []), done.stderr


def test_the_unit_has_no_right_that_the_program_does_not_use() -> None:
    needs("systemd-analyze")
    analyze = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(FILES / "opendtu-dcload.service")]
    said = subprocess.run(analyze, capture_output=True, text=True, check=True).stdout
    weak = {line.split()[1] for line in said.splitlines() if line.startswith("✗")}
    # it needs the network and its user's addresses, and lives in the machine's own root
    assert weak <= {
        "RootDirectory=/RootImage=", "PrivateMounts=", "PrivateNetwork=", "DeviceAllow=", "IPAddressDeny=",
        "RestrictAddressFamilies=~AF_NETLINK", "RestrictAddressFamilies=~AF_UNIX",
        "RestrictAddressFamilies=~AF_(INET|INET6)",
    }  # fmt: skip


@contextlib.contextmanager
def system_bus(folder: Path, user: str | None) -> Iterator[str]:
    """A dbus-daemon with Debian's configuration of the system bus, and our policy for a user; yield its address."""
    conf = SYSTEM_CONF.read_text()
    conf = re.sub(r"<(listen|user|pidfile|servicehelper)>.*?</\1>", "", conf)
    conf = re.sub(r"<(includedir|include|standard_system_servicedirs)\b.*?(/>|>.*?</\1>)", "", conf)
    policies = folder / "system.d"
    policies.mkdir()
    if user is not None:
        policy = (FILES / "com.victronenergy.opendtu-dcload.conf").read_text()
        assert policy.count('user="opendtu-dcload"') == 1
        (policies / "ours.conf").write_text(policy.replace('user="opendtu-dcload"', f'user="{user}"'))
    more = f"<listen>unix:path={folder}/bus</listen><includedir>{policies}</includedir></busconfig>"
    (folder / "bus.conf").write_text(conf.replace("<fork/>", "").replace("</busconfig>", more))
    daemon = subprocess.Popen(
        ["dbus-daemon", f"--config-file={folder}/bus.conf", "--nofork", "--print-address"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert daemon.stdout is not None
    try:
        yield daemon.stdout.readline().strip()
    finally:
        daemon.kill()
        daemon.wait()
        daemon.stdout.close()


@contextlib.asynccontextmanager
async def connected(address: str):
    bus = await MessageBus(bus_address=address).connect()
    try:
        yield bus
    finally:
        bus.disconnect()  # type: ignore[no-untyped-call]  # dbus-next has no types here
        bus._stream.close()
        bus._sock.close()


async def test_the_policy_lets_the_user_take_our_names_and_everybody_ask(tmp_path: Path) -> None:
    with system_bus(tmp_path, getpass.getuser()) as address:
        async with connected(address) as service, connected(address) as client:
            assert await service.request_name(NAME) == RequestNameReply.PRIMARY_OWNER
            service.add_message_handler(
                lambda said: (
                    Message.new_method_return(said, "s", ["answered"])
                    if said.message_type is MessageType.METHOD_CALL
                    else None
                )
            )
            call = Message(destination=NAME, path="/", interface="com.victronenergy.BusItem", member="GetValue")
            answer = await client.call(call)
            assert answer is not None
            assert answer.body == ["answered"]
            with pytest.raises(DBusError, match="not allowed to own"):
                await service.request_name("com.example.other")


@pytest.mark.parametrize("user", [None, "nobody"], ids=["without the policy", "for another user"])
async def test_without_the_policy_the_name_is_refused(tmp_path: Path, user: str | None) -> None:
    with system_bus(tmp_path, user) as address:
        async with connected(address) as service:
            with pytest.raises(DBusError, match="not allowed to own"):
                await service.request_name(NAME)


def test_runit_starts_it_and_ends_it_with_term(tmp_path: Path) -> None:
    needs("runsvdir")
    service = tmp_path / "sv/opendtu-dcload"
    shutil.copytree(FILES / "runit", service)
    run = (service / "run").read_text()
    command = "chpst -u opendtu-dcload /opt/opendtu-dcload/bin/python -m opendtu_dcload"
    assert command in run
    stand_in = (
        f'{sys.executable} -u -c \'import signal, sys; signal.signal(15, lambda *_: sys.exit(print("told to end")));'
        ' print("here"); signal.pause()\' --'
    )
    (service / "run").write_text(run.replace(command, stand_in))
    logs = tmp_path / "log"
    log_run = service / "log/run"
    log_run.write_text(log_run.read_text().replace("/var/log/opendtu-dcload", str(logs)))
    supervisor = subprocess.Popen(["runsvdir", str(tmp_path / "sv")], stdout=subprocess.DEVNULL)
    try:
        wait = (
            f"until grep -qs here {logs}/current; do sleep 0.1; done; sv -w 20 stop {service}; "
            f"grep 'told to end' {logs}/current"
        )
        done = subprocess.run(["sh", "-c", wait], capture_output=True, text=True, check=True)
        assert done.stdout.startswith(f"ok: down: {service}: ")
    finally:
        supervisor.send_signal(1)  # HUP: runsvdir ends its services too
        supervisor.wait()
