"""The digest login of Shellies from generation 2 on (RFC 7616, SHA-256), with the nonce rules of firmware 2.0.0."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import deque
from dataclasses import dataclass

USER = "admin"
NONCE_LIFE_S = 3600.0
NONCE_REQUESTS = 30000
NONCE_SLOTS = 32
THROTTLED_S = 2.0
"""How long a device without a free slot answers 429 before it gives up its oldest nonce."""
FAILURES = 10
"""Wrong passwords until the lock-out. The vendor names no number; this one is assumed."""
FAILURES_WITHIN_S = 600.0

_PAIR = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')


@dataclass(slots=True)
class _Nonce:
    issued_at_s: float
    last_count: int = 0
    requests: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not let through."""

    status: int
    challenge: str = ""
    """The `WWW-Authenticate` header of a 401."""
    message: str = ""


class DigestGuard:
    """Issues nonces and checks what comes back."""

    def __init__(self, realm: str, password: str, *, has_slots: bool) -> None:
        self._realm = realm
        self._password = password
        self._has_slots = has_slots
        """True: the rules of firmware 2.0.0; False: nonces live for ever and in any number."""
        self._nonces: dict[str, _Nonce] = {}
        self._failures: deque[float] = deque()
        self._issued_at_s = -THROTTLED_S
        self.issued = 0
        """Challenges since the start."""

    def check(self, method: str, uri: str, header: str, now_s: float) -> Refusal | None:
        """Return None when the `Authorization` header opens the door."""
        while self._failures and self._failures[0] < now_s - FAILURES_WITHIN_S:
            self._failures.popleft()
        if self._has_slots and len(self._failures) >= FAILURES:
            return Refusal(429, message="Too many failed authentication attempts")
        if not header.lower().startswith("digest "):
            return self.challenge(now_s)
        given = {name: quoted or plain for name, quoted, plain in _PAIR.findall(header)}
        if not self._is_right(method, uri, given):
            self._failures.append(now_s)
            return self.challenge(now_s)
        return self._check_nonce(given, now_s)

    def challenge(self, now_s: float, *, is_stale: bool = False) -> Refusal:
        """Return a 401 with a new nonce, or a 429 when no slot is free for one."""
        if self._has_slots:
            self._nonces = {n: s for n, s in self._nonces.items() if now_s < s.issued_at_s + NONCE_LIFE_S}
            if len(self._nonces) >= NONCE_SLOTS:
                if now_s < self._issued_at_s + THROTTLED_S:
                    return Refusal(429, message="Too many requests")
                del self._nonces[next(iter(self._nonces))]
        self.issued += 1
        self._issued_at_s = now_s
        nonce = str(1751366432 + self.issued)
        self._nonces[nonce] = _Nonce(now_s)
        stale = ", stale=true" if is_stale else ""
        return Refusal(401, f'Digest qop="auth", realm="{self._realm}", nonce="{nonce}", algorithm=SHA-256{stale}')

    def _check_nonce(self, given: dict[str, str], now_s: float) -> Refusal | None:
        state = self._nonces.get(given["nonce"])
        if not self._has_slots:
            return None if state else self.challenge(now_s)
        if state is None or now_s >= state.issued_at_s + NONCE_LIFE_S or state.requests >= NONCE_REQUESTS:
            self._nonces.pop(given["nonce"], None)
            return self.challenge(now_s, is_stale=True)
        count = int(given["nc"], 16)
        if count <= state.last_count:
            return self.challenge(now_s)
        state.last_count = count
        state.requests += 1
        return None

    def _is_right(self, method: str, uri: str, given: dict[str, str]) -> bool:
        names = ("username", "realm", "nonce", "uri", "nc", "cnonce", "response")
        if any(not given.get(name) for name in names) or given.get("algorithm", "").upper() != "SHA-256":
            return False
        if not re.fullmatch("[0-9a-f]{8}", given["nc"]) or given["username"] != USER or given["uri"] != uri:
            return False
        ha1 = _sha256(f"{USER}:{self._realm}:{self._password}")
        ha2 = _sha256(f"{method}:{uri}")
        wanted = _sha256(f"{ha1}:{given['nonce']}:{given['nc']}:{given['cnonce']}:auth:{ha2}")
        return hmac.compare_digest(wanted, given["response"])


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
