"""How often a DTU with three inverters is asked while they get a command every 15 s."""

from __future__ import annotations

import pytest

from tests.plays.dtu_requests import MOST, play


@pytest.mark.parametrize("name", MOST)
def test_a_dtu_is_asked_no_oftener_than_promised(name: str):
    asked = play(pushes=name != "REST alone")
    assert asked.commands > 200, "or it proves nothing"
    assert asked.total <= MOST[name] * max(1.0, asked.commands / 300)
