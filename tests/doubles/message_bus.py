"""A real dbus-daemon of a test's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

from opendtu_dcload.venus.bus.bus_address import TcpAddress, UnixAddress

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={path}</listen>
  <listen>tcp:host=127.0.0.1,port=0</listen>
  <auth>EXTERNAL</auth>
  <auth>ANONYMOUS</auth>
  <allow_anonymous/>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
    <deny own="com.victronenergy.forbidden"/>
  </policy>
  <limit name="max_replies_per_connection">50000</limit>
</busconfig>
"""


class Daemon:
    """A dbus-daemon that can be stopped and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        self.address = UnixAddress(str(folder / "bus"))
        self._config = folder / "bus.conf"
        self._config.write_text(CONFIG.format(path=self.address.path))
        self._process: subprocess.Popen[str] | None = None
        self.tcp_address = TcpAddress("127.0.0.1", 1)

    def start(self) -> None:
        Path(self.address.path).unlink(missing_ok=True)
        self._process = subprocess.Popen(
            ["dbus-daemon", f"--config-file={self._config}", "--nofork", "--print-address=1", "--nopidfile"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        printed = self._process.stdout.readline()
        port = next(part.partition("=")[2] for part in printed.replace(";", ",").split(",") if part.startswith("port="))
        self.tcp_address = TcpAddress("127.0.0.1", int(port))

    def stop(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            self._process = None
