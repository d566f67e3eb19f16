"""How findings and what goes on are shown."""

from __future__ import annotations

import io

import pytest

from opendtu_dcload.doctor.screen import Screen


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(out: io.StringIO, **environ: str) -> str:
    screen = Screen(out, environ)
    findings = screen.findings()
    findings.progress("waiting", "1 s")
    findings.progress("waiting", "2 s")
    findings.progress("still waiting")
    findings.ok("here")
    findings.note("there")
    findings.problem("nowhere", "go")
    screen.print(findings.summary())
    return out.getvalue()


def test_at_a_terminal_one_line_changes_and_is_gone_before_the_next_finding():
    assert shown(Tty()) == (
        "\r\x1b[Kwaiting, 1 s\r\x1b[Kwaiting, 2 s\r\x1b[Kstill waiting\r\x1b[K"
        "\x1b[32mok\x1b[0m       here\n"
        "\x1b[33mnote\x1b[0m     there\n"
        "\x1b[1;31mproblem\x1b[0m  nowhere: go\n"
        "1 ok, 1 note, 1 problem\n"
    )


def test_elsewhere_there_is_a_line_for_each_phase_and_no_colour():
    assert shown(io.StringIO()) == (
        "waiting\nstill waiting\nok       here\nnote     there\nproblem  nowhere: go\n1 ok, 1 note, 1 problem\n"
    )


def test_a_terminal_that_can_do_nothing_is_sent_nothing_but_lines():
    assert "\x1b" not in shown(Tty(), TERM="dumb")


@pytest.mark.parametrize(("value", "has_colour"), [("1", False), ("0", False), ("", True)])
def test_no_color_switches_colours_off_unless_it_is_empty(value: str, has_colour: bool):
    assert ("\x1b[32m" in shown(Tty(), NO_COLOR=value)) is has_colour


def test_the_line_that_changes_never_wraps(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "20")
    out = Tty()
    Screen(out, {}).show_progress("a phase that goes on and on", "and on")
    assert out.getvalue() == "\r\x1b[Ka phase that goes o"
