"""Spoils an input, whatever its format is: JSON, TOML, INI and CSV are made of much the same tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from random import Random

_VALUE = re.compile(rb"(?<= = )[^\n]+")
_TOKEN = re.compile(rb'"(?:[^"\\\n]|\\.)*"|[-+]?[0-9][0-9a-zA-Z.+-]*|[A-Za-z_][A-Za-z0-9_]*|[{}\[\]:,=%#\n]')
_OPENING = {b"{", b"["}
_NUMBERS = b"""0 -0 -0.0 1 -1 2 0.5 100 247 248 65536
1e-400 5e-324 1e-7 1e15 1e308 1e400 -1e400 NaN -Infinity inf nan
2147483647 2147483648 -2147483649 4294967296 9223372036854775807 18446744073709551616
43470 43471 5001 0x10 1_0""".split()
_WORDS = b"null true false [] {} [null] [[]] [0] [[1,2],[3]] None yes = : , # % %% ; [ ] { } [a] [[inverter]]".split()
_TEXTS = [
    b'""', b'" "', b'"0"', b'"1.5"', b'"nan"', b'"inf"', b'"off"', b'"Ok"', b'"sum"', b'"c"', b'"116190001234"',
    b'"A8032A00000E"', b'"\\u0000"', b'"\\ud800"', b'"\\udc00x"', b'"\\u202e"', b'"\\u001b[2J"', b'"a\\nb"',
    '"ä€𝄞"'.encode(), '"٣"'.encode(), b'"' + b"x" * 300 + b'"', b'"' + b"\xc3\xa4" * 200 + b'"', b'"%(a)s"', b"%(a)s",
]  # fmt: skip
_MORE = [
    b"9" * 400, b"9" * 5000, b"1e" + b"9" * 400, b"[" * 200 + b"]" * 200, b"[" * 3000,
    b'{"a":' * 300 + b"1" + b"}" * 300,
    b'{"":null}', b'{"v":1,"d":-1}', b'{"v":5e-324,"d":6}', b'{"signature":"t","value":18446744073709551615}',
    b'{"signature":"d","value":NaN}', b'{"signature":"v","value":{"signature":"v","value":1}}',
    b'{"signature":"ai","body":[[]]}', b'{"signature":"","body":[]}', b'{"signature":"is","body":[1,"x"]}',
    b'{"error":"org.freedesktop.DBus.Error.UnknownObject"}', b'{"error":"com.example.Error","text":"a\\nb"}',
    b"1979-05-27", b"1979-05-27T07:32:00Z", b"07:32:00", b"''", b'"""', b"'''", b"\xef\xbb\xbf", b"\xff", b"\x00",
    b"\r", b"\xed\xa0\x80", b"\\", b"\t", b"\n\t", b"\n ", b"\n\n", b"\x1f\x8b\x08",
]  # fmt: skip
TOKENS = [*_NUMBERS, *_WORDS, *_TEXTS, *_MORE]
_LONGEST = 100_000


def mutate(seed: bytes, others: Sequence[bytes], rng: Random) -> bytes:
    """Return `seed` spoilt in one place or a few, or something quite different.

    Args:
        seed: an input that is right, or was interesting once.
        others: inputs that parts may be taken from.
        rng: decides.
    """
    kind = rng.randrange(20)
    if kind == 0:
        return rng.randbytes(rng.randrange(60))
    if kind == 1:
        return b" ".join(rng.choice(TOKENS) for _ in range(rng.randrange(1, 8)))[:_LONGEST]
    if kind <= 3:
        return _cross(seed, rng.choice(others), rng)
    change = _change_bytes if kind <= 5 else _change_values if kind <= 10 else _change_tokens
    return change(seed, rng)[:_LONGEST]


@lru_cache(maxsize=2000)
def _spans(text: bytes, kind: re.Pattern[bytes] = _TOKEN) -> list[tuple[int, int]]:
    return [match.span() for match in kind.finditer(text)]


def _change_values(text: bytes, rng: Random) -> bytes:
    """Return `text` with something strange behind the = of some lines."""
    spans = _spans(text, _VALUE)
    if not spans:
        return _change_tokens(text, rng)
    chosen = sorted((rng.choice(spans) for _ in range(rng.randrange(1, 4))), reverse=True)
    for start, end in chosen:
        text = text[:start] + rng.choice(TOKENS) + text[end:]
    return text


def _change_tokens(text: bytes, rng: Random) -> bytes:
    spans = _spans(text)
    if not spans:
        return _change_bytes(text, rng)
    count = 1 + (rng.randrange(3) == 0) * rng.randrange(4)
    chosen = sorted((rng.choice(spans) for _ in range(count)), reverse=True)  # from behind: places before stay right
    for start, end in chosen:
        is_whole = text[start : start + 1] in _OPENING and rng.randrange(2) == 0
        stop = _end_of(text, start) if is_whole else end
        text = text[:start] + _instead(text[start:stop], text, spans, rng) + text[stop:]
    return text


def _instead(part: bytes, text: bytes, spans: Sequence[tuple[int, int]], rng: Random) -> bytes:
    """Return what stands in the place of `part`: something strange, another part, nothing, or more of it."""
    match rng.randrange(10):
        case 0:
            return b""
        case 1:
            return part + b"," + part
        case 2:
            return b"[" + part + b"]"
        case 3 | 4:
            start, end = rng.choice(spans)  # of the text as it was: mostly a token still
            return text[start:end]
        case 5 if part[:1] == b'"':  # a key, or a text, that is nearly the same
            return part[:-1] + rng.choice([b" ", b"0", b"\\u0000", b"\\ud83d"]) + b'"'
    return rng.choice(TOKENS)


def _end_of(text: bytes, start: int) -> int:
    """Return where what opens at `start` is closed again."""
    depth = 0
    for match in _TOKEN.finditer(text, start):
        if match[0] in _OPENING:
            depth += 1
        elif match[0] in {b"}", b"]"}:
            depth -= 1
            if depth == 0:
                return match.end()
    return len(text)


def _change_bytes(text: bytes, rng: Random) -> bytes:
    for _ in range(1 + rng.randrange(3)):
        place = rng.randrange(len(text) + 1)
        change: Callable[[bytes, int, Random], bytes] = rng.choice([_flip, _cut, _repeat, _insert, _end, _drop_line])
        text = change(text, place, rng)
    return text


def _flip(text: bytes, place: int, rng: Random) -> bytes:
    return text[:place] + bytes([rng.randrange(256)]) + text[place + 1 :]


def _cut(text: bytes, place: int, rng: Random) -> bytes:
    return text[:place] + text[place + rng.randrange(1, 20) :]


def _repeat(text: bytes, place: int, rng: Random) -> bytes:
    return text[:place] + text[place : place + rng.randrange(1, 40)] * rng.randrange(2, 4) + text[place:]


def _insert(text: bytes, place: int, rng: Random) -> bytes:
    return text[:place] + rng.choice(TOKENS) + text[place:]


def _end(text: bytes, place: int, rng: Random) -> bytes:
    return text[:place] if rng.randrange(3) == 0 else text


def _drop_line(text: bytes, place: int, rng: Random) -> bytes:
    start = text.rfind(b"\n", 0, place) + 1
    end = text.find(b"\n", place) + 1 or len(text)
    return text[:start] + (text[start:end] * 2 if rng.randrange(2) else b"") + text[end:]


def _cross(text: bytes, other: bytes, rng: Random) -> bytes:
    """Return lines of both."""
    lines, foreign = text.splitlines(keepends=True), other.splitlines(keepends=True)
    if foreign:
        place = rng.randrange(len(lines) + 1)
        lines[place : place + rng.randrange(2)] = [rng.choice(foreign) for _ in range(rng.randrange(1, 3))]
    return b"".join(lines)[:_LONGEST]
