"""The bundles for the processors of a GX, and the wheels that exist for a Raspberry Pi."""

from __future__ import annotations

import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.deploy.conftest import BUILD, HERE, PYTHON, Once, build, tool

pytestmark = [pytest.mark.realtime, pytest.mark.long, pytest.mark.timeout(1200)]

MB = 1_000_000
PINS = BUILD.parent / "requirements.txt"
MACHINES = {"armv7l": (1, 40), "aarch64": (2, 183)}
"""Class (1 = 32 bit, 2 = 64 bit) and machine in the head of an ELF file (elf.h: EM_ARM, EM_AARCH64)."""
HARD_FLOAT = 0x400
"""EF_ARM_ABI_FLOAT_HARD in the flags of a 32-bit ARM file."""


@pytest.fixture
def bundle(once: Once, wheel: Path, arch: str) -> Path:
    return next(once(arch, lambda folder: build(folder, arch, "3.12", "--wheel", wheel)).glob("*.tar.gz"))


@pytest.mark.parametrize("arch", MACHINES)
def test_a_bundle_for_a_gx_holds_what_its_processor_can_load(arch: str, bundle: Path) -> None:
    assert bundle.stat().st_size < 15 * MB
    checked, size = 0, 0
    with tarfile.open(bundle) as tar:
        for entry in tar:
            assert entry.name.startswith(bundle.name.removesuffix(".tar.gz"))
            size += -(-entry.size // 4096) * 4096
            content = tar.extractfile(entry)
            if content is None or ".so" not in Path(entry.name).suffixes:
                continue
            head = content.read(40)
            assert head[:4] == b"\x7fELF"
            assert (head[4], struct.unpack_from("<H", head, 18)[0]) == MACHINES[arch], entry.name
            assert arch != "armv7l" or struct.unpack_from("<I", head, 36)[0] & HARD_FLOAT, entry.name
            assert ".cpython-312-" in entry.name
            checked += 1
    assert checked >= 8
    assert size * 1.5 < 60 * MB  # half as much again for the bytecode, as the installer reckons


@pytest.mark.parametrize("arch", ["armv7l"])
def test_the_same_sources_make_the_same_bundle(tmp_path: Path, wheel: Path, arch: str, bundle: Path) -> None:
    assert build(tmp_path, arch, "3.12", "--wheel", wheel).read_bytes() == bundle.read_bytes()


def test_a_bundle_tells_nothing_of_the_machine_that_built_it(package: Path, wheel: Path) -> None:
    own = str(Path(__file__).parents[2]).encode(), str(wheel.parent).encode(), str(package.parent).encode()
    for file in package.rglob("*"):
        if file.is_file() and file.suffix != ".so":
            assert not any(path in file.read_bytes() for path in own), file


def test_a_package_with_other_bytes_than_the_pinned_ones_is_refused(
    tmp_path: Path, wheel: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken"
    pip = [sys.executable, "-m", "pip", "--quiet", "download", "--only-binary=:all:", "--require-hashes", "-r", PINS]
    subprocess.run([*map(str, pip), "--dest", str(taken)], check=True)
    build(tmp_path / "as it is", HERE, PYTHON, "--wheel", wheel, only_from=taken)
    changed = next(taken.glob("yarl-*.whl"))
    with zipfile.ZipFile(changed, "a") as archive:
        archive.writestr("yarl/added.py", "")
    with pytest.raises(subprocess.CalledProcessError):
        build(tmp_path / "changed", HERE, PYTHON, "--wheel", wheel, only_from=taken)
    assert "DO NOT MATCH THE HASHES" in capfd.readouterr().err
    assert not list(tmp_path.glob("changed/*"))


@pytest.mark.parametrize("arch", MACHINES)
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_every_dependency_has_a_wheel(arch: str, python: str, tmp_path: Path, wheel: Path) -> None:
    pip = [
        sys.executable, "-m", "pip", "--quiet", "download", "--only-binary=:all:", "--implementation", "cp",
        "--python-version", python, *tool("build").platforms(arch), "--dest", str(tmp_path), str(wheel),
    ]  # fmt: skip
    subprocess.run(pip, check=True)
    found = {file.name.split("-")[0] for file in tmp_path.glob("*.whl")}
    assert found > {"aiohttp", "dbus_next", "pydantic", "pydantic_core", "tomli", "opendtu_dcload"}
