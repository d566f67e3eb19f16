from __future__ import annotations

import hashlib
import re

from opendtu_dcload.sim.servers.shelly_digest import FAILURES, FAILURES_WITHIN_S, NONCE_LIFE_S, DigestGuard, Refusal

URI = "/rpc/EM.GetStatus?id=0"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def guard(*, has_slots: bool = True) -> DigestGuard:
    return DigestGuard("shelly-1", "secret", has_slots=has_slots)


def nonce_of(refusal: Refusal | None) -> str:
    assert refusal is not None
    match = re.search(r'nonce="(\d+)"', refusal.challenge)
    assert match
    return match[1]


def answer(nonce: str, count: int = 1, *, password: str = "secret", uri: str = URI) -> str:
    ha1, ha2 = sha256(f"admin:shelly-1:{password}"), sha256(f"GET:{uri}")
    response = sha256(f"{ha1}:{nonce}:{count:08x}:abc:auth:{ha2}")
    return (
        f'Digest username="admin", realm="shelly-1", nonce="{nonce}", uri="{uri}", qop=auth, '
        f'algorithm=SHA-256, nc={count:08x}, cnonce="abc", response="{response}"'
    )


def test_right_answer_opens_and_a_wrong_password_or_another_uri_does_not() -> None:
    door = guard()
    nonce = nonce_of(door.check("GET", URI, "", 0.0))
    assert door.check("GET", URI, answer(nonce), 0.0) is None
    assert nonce_of(door.check("GET", URI, answer(nonce, 2, password="wrong"), 0.0))
    assert nonce_of(door.check("GET", URI, answer(nonce, 2, uri="/rpc/Other"), 0.0))


def test_count_must_rise_on_firmware_2_only() -> None:
    for has_slots in (True, False):
        door = guard(has_slots=has_slots)
        nonce = nonce_of(door.check("GET", URI, "", 0.0))
        assert door.check("GET", URI, answer(nonce, 2), 0.0) is None
        assert (door.check("GET", URI, answer(nonce, 2), 0.0) is None) != has_slots


def test_expired_nonce_is_stale() -> None:
    door = guard()
    nonce = nonce_of(door.check("GET", URI, "", 0.0))
    refusal = door.check("GET", URI, answer(nonce), NONCE_LIFE_S)
    assert refusal is not None
    assert refusal.challenge.endswith("stale=true")


def test_full_slots_throttle_and_then_give_up_the_oldest() -> None:
    door = guard()
    first = nonce_of(door.check("GET", URI, "", 0.0))
    for _ in range(31):
        door.check("GET", URI, "", 0.0)
    refusal = door.check("GET", URI, "", 1.0)
    assert refusal is not None
    assert refusal.status == 429
    assert door.check("GET", URI, answer(first), 1.0) is None
    assert nonce_of(door.check("GET", URI, "", 2.0))
    refusal = door.check("GET", URI, answer(first, 2), 5.0)
    assert refusal is not None
    assert "stale" in refusal.challenge


def test_wrong_passwords_lock_everybody_out_for_ten_minutes() -> None:
    door = guard()
    nonce = nonce_of(door.check("GET", URI, "", 0.0))
    for count in range(1, FAILURES + 1):
        door.check("GET", URI, answer(nonce, count, password="wrong"), 0.0)
    right = answer(nonce, FAILURES + 1)
    refusal = door.check("GET", URI, right, 1.0)
    assert refusal == Refusal(429, message="Too many failed authentication attempts")
    assert door.check("GET", URI, right, FAILURES_WITHIN_S + 1.0) is None
