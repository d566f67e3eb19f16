"""What is told after a configuration was written."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from opendtu_dcload.doctor.findings import Level
from opendtu_dcload.doctor.init import what_next
from opendtu_dcload.doctor.init.what_next import tell_what_is_next
from opendtu_dcload.program_name import VARIABLE
from tests.doctor.plant import plant
from tests.doctor.told import notes, of, problems, silent


async def test_the_quick_checks_are_counted_and_their_problems_told(tmp_path: Path):
    findings = silent()
    async with plant() as devices:
        path = devices.config(tmp_path)
        devices.dtu.commands_enabled = False
        await asyncio.to_thread(tell_what_is_next, path, "", findings)
        assert devices.opendtu.posted == []
    assert any("OpenDTU sends it no commands" in problem for problem in problems(findings))
    (checked,) = [found.text for found in of(findings, Level.OK) if found.text.startswith("checked: ")]
    assert checked.endswith(f"{len(problems(findings))} problems")
    assert any(f"check --config {path}" in note for note in notes(findings))


@pytest.mark.parametrize("where", ["on a GX", "on a Debian", "elsewhere"])
def test_a_service_that_is_installed_is_named_with_what_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
):
    unit = tmp_path / "opendtu-dcload.service"
    monkeypatch.setattr(what_next, "UNIT", unit)
    if where == "on a GX":
        monkeypatch.setenv(VARIABLE, str(tmp_path / "opendtu-dcload"))
        (tmp_path / "status").touch()
    elif where == "on a Debian":
        unit.touch()
    findings = silent()
    tell_what_is_next(tmp_path / "missing.toml", "", findings)
    expected = {
        "on a GX": [f"{tmp_path}/restart.sh: {tmp_path}/status shows how it gets on"],
        "on a Debian": ["systemctl restart opendtu-dcload: systemctl status opendtu-dcload shows how it gets on"],
        "elsewhere": [],
    }[where]
    assert [note.partition("at once with ")[2] for note in notes(findings) if "within a minute" in note] == expected
