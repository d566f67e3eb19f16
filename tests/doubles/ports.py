"""Ports of this machine."""

from __future__ import annotations

import contextlib
import secrets
import socket

FIRST, COUNT = 20_000, 12_000
"""Below those that the system gives away by itself (ip(7), ip_local_port_range): no connection takes one meanwhile."""


def free_port() -> int:
    """Return a port that nobody listens at now."""
    while True:
        port = FIRST + secrets.randbelow(COUNT)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
