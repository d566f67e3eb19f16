from __future__ import annotations

import pytest

from opendtu_dcload.time_words import ago, lasted


@pytest.mark.parametrize(
    ("passed_s", "text"),
    [(0.9, "0 s"), (119.9, "119 s"), (120, "2 min"), (7200, "2 h"), (129600, "36 h"), (200000, "2 days")],
)
def test_a_time_is_told_in_its_largest_whole_unit(passed_s, text):
    assert lasted(passed_s) == text
    assert ago(passed_s) == f"{text} ago"
