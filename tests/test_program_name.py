"""Commands in messages can be typed as they stand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from opendtu_dcload.program_name import VARIABLE, program

ROOT = Path(__file__).parents[1]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "opendtu-dcload"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_script_that_the_shell_finds_is_called_by_its_name(script: Path):
    assert program({"PATH": str(script.parent)}, ["python3", str(script), "check"]) == "opendtu-dcload"


def test_another_script_of_that_name_is_called_by_its_path(script: Path, tmp_path: Path):
    other = tmp_path / "my folder" / "opendtu-dcload"
    assert program({"PATH": str(script.parent)}, ["python3", str(other), "check"]) == f"'{other}'"
    assert program({"PATH": "/nowhere"}, ["python3", "./opendtu-dcload"]) == "./opendtu-dcload"


def test_the_module_is_called_by_the_interpreter_that_was_typed():
    typed = [".venv/bin/python", "-B", "-m", "opendtu_dcload", "check"]
    assert program({"PATH": "/nowhere"}, typed) == ".venv/bin/python -m opendtu_dcload"


def test_a_wrapper_tells_how_it_was_called(script: Path):
    typed = ["python3", "-B", "-m", "opendtu_dcload"]
    assert program({"PATH": "", VARIABLE: "/data/opendtu-dcload/opendtu-dcload"}, typed).startswith("/data/")
    assert program({"PATH": str(script.parent), VARIABLE: str(script)}, typed) == "opendtu-dcload"


@pytest.mark.parametrize("how", ["module", "script", "wrapper of a GX"])
def test_a_missing_configuration_names_the_command_that_writes_it(tmp_path: Path, how: str):
    console = Path(sys.executable).with_name("opendtu-dcload")
    wrapper = tmp_path / "opendtu-dcload"
    wrapper.write_text((ROOT / "deploy" / "gx" / "opendtu-dcload").read_text().replace("python3", sys.executable))
    wrapper.chmod(0o755)
    (tmp_path / "paths.sh").write_text(f"base={tmp_path}\n")
    typed, named = {
        "module": ([sys.executable, "-m", "opendtu_dcload"], f"{sys.executable} -m opendtu_dcload"),
        "script": ([str(console)], str(console)),
        "wrapper of a GX": (["./opendtu-dcload"], "./opendtu-dcload"),
    }[how]
    done = subprocess.run([*typed, "check"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"config.toml does not exist; {named} init --config {tmp_path}/config.toml writes it" in done.stderr
