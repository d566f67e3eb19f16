"""A wrong argument gets one sentence: what, where, and what to do."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from opendtu_dcload import cli

MISTAKES = {
    "chek": ("COMMAND: 'chek' is none of: check, status, init, ",),
    "--live=foo": ("--live: 'foo' is none of: plant, inverters",),
    "--config": ("--config: CONFIG is missing",),
    "--dry-run check": ("--dry-run and --live", "leave them out"),
    "check --foo": ("'--foo' means nothing to check: leave it out",),
    "check extra": ("'extra' means nothing to check",),
    "--foo": ("'--foo' means nothing here",),
    "check --config": ("--config: CONFIG is missing", "check --help"),
    "check --yes=1": ("--yes: it takes no value, leave out '1'",),
    "status --watch --json": ("--json: not allowed with argument --watch",),
    "init --password-file": ("--password-file: FILE is missing",),
    "import-config": ("required: config.ini", "import-config --help"),
    "replay": ("required: FILE",),
    "install-service now": ("'now' means nothing to install-service",),
    "demo --duration abc": ("--duration: 'abc' does not fit: write a number of seconds above 0",),
    "demo --duration -1": ("--duration: '-1' does not fit",),
    "demo --duration 0": ("--duration: '0' does not fit",),
    "demo --duration inf": ("--duration: 'inf' does not fit",),
    "demo --duration nan": ("--duration: 'nan' does not fit",),
    "simulate --rated viel": ("--rated: 'viel' does not fit: write a number from 1 to 20000 W",),
    "simulate --rated 400 nan": ("--rated: 'nan' does not fit",),
    "simulate --rated": ("--rated: W is missing",),
    "simulate --solar 1e9": ("--solar: '1e9' does not fit: write a number from 1 to 20000 W",),
    "simulate --price teuer": ("--price: 'teuer' does not fit: write a number from 0 to 1000 for a kWh",),
    "simulate --seed x": ("--seed: 'x' does not fit: write a whole number",),
    "simulate --day heute": ("--day: 'heute' does not fit: write a day such as",),
    "simulate --hours 18-17": ("--hours: '18-17' does not fit: write hours of a day",),
    "simulate --s 5": ("ambiguous option", "--solar"),
    "bench --seeds 0": ("--seeds: '0' does not fit: write at least 1",),
    "bench --phases viele": ("--phases: 'viele' does not fit: write a whole number",),
}


@pytest.mark.parametrize("typed", MISTAKES)
def test_a_wrong_argument_is_one_plain_sentence(typed: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        cli.main(typed.split())
    out, err = capsys.readouterr()
    assert (caught.value.code, out) == (2, "")
    (sentence,) = err.splitlines()
    assert "--help tells more" in sentence
    for words in MISTAKES[typed]:
        assert words in sentence
    for word in ("invalid", "usage:", " _", "argument :"):
        assert word not in sentence


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [("--bogus >/dev/full", 2, "'--bogus' means nothing here"), ("check --config none.toml >&-", 2, "does not exist")],
)
def test_a_mistake_is_told_whatever_becomes_of_the_output(typed: str, code: int, said: str):
    shell = ["/bin/sh", "-c", f"{sys.executable} -m opendtu_dcload {typed}"]
    ended = subprocess.run(shell, stderr=subprocess.PIPE, text=True, check=False)
    (sentence,) = ended.stderr.splitlines()
    assert (ended.returncode, said in sentence) == (code, True)


def test_an_error_of_another_origin_is_not_taken_for_a_full_disk(monkeypatch: pytest.MonkeyPatch):
    def fails(_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(cli, "_exit_code", fails)
    with Path("/dev/full").open("w", encoding="utf-8") as full, monkeypatch.context() as output:
        output.setattr("sys.stdout", full)
        with pytest.raises(OSError, match="Input/output error"):
            cli.main(["check"])
