"""Bundles, built once, and what is made of them."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.deploy.gx import GxMachine, build_root, needs_gx

BUILD = Path(__file__).parents[2] / "deploy/build.py"
HERE = platform.machine()
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


def build(out: Path, arch: str, python: str, *arguments: str | Path) -> Path:
    """Build a bundle and return its path."""
    command = [sys.executable, BUILD, "--arch", arch, "--python", python, "--out", out, *arguments]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.strip())


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    sys.path.insert(0, str(BUILD.parent))
    try:
        import build as builder
    finally:
        sys.path.pop(0)
    return builder.build_wheel(folder)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """The unpacked bundle for this machine."""
    folder = tmp_path_factory.mktemp("bundle")
    path = build(folder, HERE, PYTHON, "--wheel", wheel)
    with tarfile.open(path) as tar:
        tar.extractall(folder, filter="tar")
    return folder / path.name.removesuffix(".tar.gz")


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """A folder with `app`, made by pip alone."""
    folder = tmp_path_factory.mktemp("plain")
    pip = [sys.executable, "-m", "pip", "--quiet", "install", "--only-binary=:all:", "--target", folder / "app", wheel]
    subprocess.run([str(part) for part in pip], check=True)
    return folder


@pytest.fixture(scope="session")
def gx_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    needs_gx()
    root = tmp_path_factory.mktemp("gx") / "root"
    build_root(root)
    yield root
    shutil.rmtree(root)


@pytest.fixture
async def gx(gx_root: Path, tmp_path: Path) -> AsyncIterator[GxMachine]:
    machine = GxMachine(gx_root, tmp_path / "data")
    machine.data.mkdir()
    yield machine
    await machine.power_off()


def another(package: Path, folder: Path, version: str, **files: str) -> Path:
    """Return a copy of a package as another version, with files of the program replaced."""
    shutil.copytree(package, folder)
    old = next(folder.glob("app/opendtu_dcload-*.dist-info"))
    metadata = old / "METADATA"
    was = old.name.removeprefix("opendtu_dcload-").removesuffix(".dist-info")
    metadata.write_text(metadata.read_text().replace(f"\nVersion: {was}\n", f"\nVersion: {version}\n"))
    old.rename(old.with_name(f"opendtu_dcload-{version}.dist-info"))
    for name, text in files.items():
        (folder / f"app/opendtu_dcload/{name}.py").write_text(text)
    return folder
