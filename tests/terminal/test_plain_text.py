from __future__ import annotations

import pytest

from opendtu_dcload.terminal.plain_text import beginning, columns, cut, printable


@pytest.mark.parametrize(
    "letter",
    ["\x1b", "\n", "\r", "\t", "\b", "\x07", "\x7f", "\x9b", "\u202e", "\u2028", "\u200b", "\ud800", "\ue000"],
    ids=ascii,
)
def test_nothing_that_steers_a_terminal_is_printable(letter):
    assert printable(f"a{letter}b") == "a?b"


def test_letters_of_all_languages_are_printable():
    text = "Süd 東 \N{SNOWMAN} e\N{COMBINING ACUTE ACCENT}"
    assert printable(text) == text


@pytest.mark.parametrize(("text", "width"), [("", 0), ("Süd", 3), ("東京", 4), ("e\N{COMBINING ACUTE ACCENT}", 1)])
def test_a_text_takes_the_columns_that_a_terminal_gives_it(text, width):
    assert columns(text) == width


def test_a_text_that_is_cut_shows_it_and_fits():
    assert cut("1234567", 7) == "1234567"
    assert cut("12345678", 7) == "1234..."
    assert cut("12345", 2) == "12"
    assert cut("東京東京", 7) == "東京..."
    assert cut("東京東京東", 8) == "東京..."
    assert beginning("a東京", 2) == "a"
