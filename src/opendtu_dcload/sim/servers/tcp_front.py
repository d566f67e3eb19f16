"""A dumb TCP forwarder that stands for a device: kill it and the device is gone, start it again and it is back.

`python -m opendtu_dcload.sim.servers.tcp_front --listen 127.0.0.1:PORT --to 127.0.0.1:PORT [--on-start URL]`
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys

import aiohttp

CHUNK_BYTES = 65536
ON_START_TIMEOUT_S = 5.0


async def serve(listen: str, to: str, on_start: str | None = None) -> asyncio.Server:
    """Return a server on `listen` that hands every connection on to `to`; port 0 takes any free one.

    `on_start` is posted to first: a device that lost its power has forgotten everything.

    Raises:
        OSError: `listen` cannot be had.
        aiohttp.ClientError, TimeoutError: `on_start` did not answer.
    """
    if on_start is not None:
        timeout = aiohttp.ClientTimeout(total=ON_START_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session, session.post(on_start):
            pass
    target_host, target_port = _address(to)

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            there_reader, there_writer = await asyncio.open_connection(target_host, target_port)
            with contextlib.closing(there_writer):
                await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))

    host, port = _address(listen)
    return await asyncio.start_server(forward, host, port)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError), contextlib.closing(writer):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def _checked_address(text: str) -> str:
    host, port = _address(text)
    if not host or not 0 <= port <= 65535:
        raise ValueError(text)
    return text


async def _run(arguments: argparse.Namespace) -> None:
    async with await serve(arguments.listen, arguments.to, arguments.on_start) as server:
        host, port = server.sockets[0].getsockname()[:2]
        print(f"forwarding {host}:{port} to {arguments.to}", flush=True)
        await server.serve_forever()


def main() -> int:
    """Forward until killed; return 1 with one sentence when that cannot begin."""
    parser = argparse.ArgumentParser(
        prog="python -m opendtu_dcload.sim.servers.tcp_front", description="Forward TCP connections."
    )
    parser.add_argument("--listen", required=True, type=_checked_address, metavar="HOST:PORT")
    parser.add_argument("--to", required=True, type=_checked_address, metavar="HOST:PORT")
    parser.add_argument("--on-start", metavar="URL", help="post there before listening")
    try:
        asyncio.run(_run(parser.parse_args()))
    except KeyboardInterrupt:
        return 0
    except (OSError, aiohttp.ClientError, ValueError) as err:  # TimeoutError is an OSError
        print(f"the front cannot start: {err}; is the demo still running, and no other front?", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
