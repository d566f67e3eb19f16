import re
from typing import Any

import pytest

from tests.devices.recorded.replay import recordings, replay

ALL = list(recordings())


@pytest.mark.parametrize("recording", ALL, ids=[recording["device"] for recording in ALL])
async def test_the_clients_read_what_a_careful_reader_does(recording: dict[str, Any]) -> None:
    rows = [row async for row in replay(recording)]
    assert rows
    for row in rows:
        assert row.is_right, row


def test_there_are_enough_recordings_of_every_kind_and_each_says_where_it_is_from() -> None:
    assert len(ALL) >= 40
    assert len({recording["device"] for recording in ALL}) == len(ALL)
    assert all(re.fullmatch(r"https://github\.com/\S+", recording["source"]) for recording in ALL)
    generations = {recording["/shelly"].get("gen", 1) for recording in ALL if "/shelly" in recording}
    assert generations == {1, 2, 3, 4}


def test_recordings_carry_no_personal_details() -> None:
    for recording in ALL:
        text = str(recording)
        assert not re.search(r"\b\d{1,3}(\.\d{1,3}){3}\b|ssid|sta_ip|\blat\b|\blon\b", text), recording["device"]
        made_up = r"A8032A[0-9A-F]{6}|\d{4}0{7}\d"  # a MAC, and a serial number after its family
        for number in re.findall(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{12}(?![0-9A-Fa-f])", text):
            assert re.fullmatch(made_up, number), number
