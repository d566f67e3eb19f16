"""The shipped config.toml, filled in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tomli

from opendtu_dcload.doctor.written import shipped as shipped_module
from opendtu_dcload.doctor.written.draft import Draft
from opendtu_dcload.doctor.written.shipped import shipped_text
from opendtu_dcload.errors import ConfigError
from tests.doctor.test_first_config import SHIPPED


def test_every_option_of_the_shipped_file_can_be_set_in_its_place():
    section = ""
    places = []
    for line in SHIPPED.splitlines():
        if match := re.match(r"#?\[\[?(\w+)\]", line):
            section = match[1]
        elif " = " in line.partition("# ")[0]:
            places.append((section, line.lstrip("#").partition(" = ")[0]))
    assert len(places) > 35
    for section, key in places:
        draft = Draft(SHIPPED)
        draft.set(section, key, "here")
        parsed = tomli.loads(draft.text)[section]
        assert (parsed[0] if section == "inverter" else parsed)[key] == "here"


def test_options_of_a_section_that_is_a_comment_make_it_one():
    draft = Draft('[control]\n#host = 1\n\n#[solar]\n#host = "a"            # address\n#user = "admin"\n')
    draft.set("solar", "host", "192.168.1.61")
    assert tomli.loads(draft.text) == {"control": {}, "solar": {"host": "192.168.1.61"}}


@pytest.mark.parametrize("place", ["beside the packages", "in the environment"])
def test_an_installed_program_finds_the_shipped_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str):
    site = tmp_path / "lib" / "site-packages"
    prefix = site if place == "beside the packages" else tmp_path
    (prefix / "share" / "opendtu-dcload").mkdir(parents=True)
    (prefix / "share" / "opendtu-dcload" / "config.toml").write_text("mine")
    monkeypatch.setattr(shipped_module, "__file__", str(site / "opendtu_dcload" / "doctor" / "written" / "shipped.py"))
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    assert shipped_text() == "mine"


def test_a_program_without_it_says_so_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        shipped_module, "__file__", str(tmp_path / "a" / "b" / "opendtu_dcload" / "doctor" / "written" / "shipped.py")
    )
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    with pytest.raises(ConfigError, match="install the program anew"):
        shipped_text()
