"""Who may ask, and who may write: nothing that another web page makes a browser send gets through.

A page from elsewhere could reach this server by a name of its own that leads to this address (DNS rebinding), so only
names that nobody else can have are answered to. What writes needs the token, which no browser sends by itself, and
must not come from another page.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
from collections.abc import Collection
from http import HTTPStatus

from aiohttp.web_request import BaseRequest
from pydantic import SecretStr

HEADERS = {
    "Server": "opendtu_dcload",
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer."""
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_.-]{1,253})(?::[0-9]{1,5})?")
_OWN_SITE = {"same-origin", "none"}
"""What Sec-Fetch-Site says of a request that no other page has made."""


class RefusedError(Exception):
    """A request that is not answered as wished; the text is a sentence for whoever sent it."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        """Keep the status of the answer."""
        super().__init__(text)
        self.status = status


class Gate:
    """Looks at the head of each request."""

    def __init__(self, token: SecretStr | None, names: Collection[str]) -> None:
        """Let in who asks for this machine.

        Args:
            token: opens the way for writing; None or empty = nothing does.
            names: by which this machine is reached too, beside those that nobody else can have.
        """
        self._token = token.get_secret_value().encode() if token is not None else b""
        self._names = {_plain(name) for name in (socket.gethostname(), *names)}

    @property
    def may_write(self) -> bool:
        """Whether anybody may write who has the token."""
        return bool(self._token)

    def check(self, request: BaseRequest) -> None:
        """Pass a request to read.

        Raises:
            RefusedError: it was meant for somebody else.
        """
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            raise RefusedError(
                HTTPStatus.FORBIDDEN, "this name is not answered to: use the address, or list the name at web.names"
            )

    def check_writing(self, request: BaseRequest) -> None:
        """Pass a request to write, after `check`.

        Raises:
            RefusedError: it does not have the token, or comes from another page.
        """
        headers = request.headers
        if not self._token:
            raise RefusedError(HTTPStatus.FORBIDDEN, "nobody may write: no web.token is set")
        own = {f"{scheme}://{headers['Host'].lower()}" for scheme in ("http", "https")}  # https: behind a reverse proxy
        is_own = all(origin.lower() in own for origin in headers.getall("Origin", []))
        if not is_own or headers.get("Sec-Fetch-Site", "none") not in _OWN_SITE:
            raise RefusedError(HTTPStatus.FORBIDDEN, "another page may not write here")
        kind, _, token = headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not hmac.compare_digest(token.strip().encode("utf-8", "replace"), self._token):
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "the token is missing or wrong: it is web.token in config.toml")
        if headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "what is written must be application/json")

    def _is_ours(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = _plain(match[1])
        is_alone = "." not in name and not name.startswith("[")
        return is_alone or name.endswith(".local") or name in self._names or _is_address(name)


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        return bool(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        return False
