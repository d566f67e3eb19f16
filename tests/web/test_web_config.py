"""The section of the status page: what is refused with a sentence, and that the token is never shown."""

from __future__ import annotations

from typing import Any

import pytest

from opendtu_dcload.config import parse_config
from opendtu_dcload.errors import ConfigError
from tests.web.served import TOKEN, table


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"token": "too-short-token"}, "web.token: *** is too short, too long, or has other characters"),
        ({"token": f"{TOKEN} "}, "web.token: *** is too short, too long, or has other characters"),
        ({"token": "ä" * 20}, "web.token: *** is too short, too long, or has other characters"),
        ({"token": 1234567890123456789}, "web.token: *** is a whole number"),
        ({"token": [TOKEN]}, "web.token: *** is a list"),
        ({"port": 0}, "web.port: 0 is too small"),
        ({"port": 65536}, "web.port: 65536 is too large"),
        ({"listen": "venus.local"}, "web.listen: 'venus.local' is no IP address"),
        ({"names": "venus.fritz.box"}, "web.names: 'venus.fritz.box' is text"),
        ({"names": ["http://venus"]}, "web.names: [...] is more than an address"),
        ({"names": ["venus.fritz.box:8099"]}, "web.names: [...] has a port, which is a setting of its own"),
        ({"names": [5]}, "web.names: [...] is a list"),
        ({"tokenn": TOKEN}, "web.tokenn is unknown; did you mean token?"),
    ],
)
def test_a_mistake_is_told_without_the_token(wrong: dict[str, Any], says: str):
    with pytest.raises(ConfigError) as refused:
        parse_config(table(8099) | {"web": wrong})
    (problem,) = refused.value.problems
    assert problem.startswith(says)
    assert str(wrong.get("token", "x" * 99)) not in problem


@pytest.mark.parametrize("written", ["127.0.0.1", "::1", "0.0.0.0", "::", ""])
def test_an_address_of_this_computer_is_taken(written: str):
    assert parse_config(table(8099, listen=written)).web.listen == written


def test_the_token_is_not_shown_with_the_configuration():
    config = parse_config(table(8099))
    assert TOKEN not in f"{config!r} {config} {config.web!r} {config.model_dump()} {config.model_dump_json()}"
