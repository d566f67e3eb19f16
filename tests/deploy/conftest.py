"""Bundles and the GX' own files, built once for all processes of tests, and what is made of them."""

from __future__ import annotations

import fcntl
import importlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.gx import GxMachine, build_root, needs_gx

BUILD = Path(__file__).parents[2] / "deploy/build.py"
Once = Callable[[str, Callable[[Path], object]], Path]
HERE = platform.machine()
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


def build(out: Path, arch: str, python: str, *arguments: str | Path, only_from: Path | None = None) -> Path:
    """Build a bundle and return its path; with `only_from` from the wheels of this folder, without an index."""
    command = [sys.executable, BUILD, "--arch", arch, "--python", python, "--out", out, *arguments]
    environ = dict(os.environ)
    if only_from is not None:
        environ |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(only_from)}
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=True, env=environ)
    return Path(done.stdout.strip())


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Fills a folder of a name in the first process of tests that asks for it; the others take what is there."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def filled(name: str, fill: Callable[[Path], object]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                done.touch()
        return folder

    return filled


def tool(name: str) -> Any:
    """Return a script of `deploy/` as a module."""
    sys.path.insert(0, str(BUILD.parent))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="session")
def wheel(once: Once) -> Path:
    def fill(folder: Path) -> None:
        tool("build").build_wheel(folder)

    return next(once("wheel", fill).glob("*.whl"))


@pytest.fixture(scope="session")
def package(once: Once, wheel: Path) -> Path:
    """The unpacked bundle for this machine."""

    def fill(folder: Path) -> None:
        with tarfile.open(build(folder, HERE, PYTHON, "--wheel", wheel)) as tar:
            tar.extractall(folder, filter="tar")

    path = next(once("bundle", fill).glob("*.tar.gz"))
    return path.with_name(path.name.removesuffix(".tar.gz"))


@pytest.fixture(scope="session")
def release(once: Once, wheel: Path) -> Path:
    """A release for this machine, published nowhere."""

    def fill(folder: Path) -> None:
        shutil.copy(wheel, folder)
        maker = tool("release")
        maker.complete(folder / wheel.name, [HERE], PYTHON, maker.BASE_URL, "not_published:latest")

    return once("release", fill)


@pytest.fixture(scope="session")
def plain(once: Once, wheel: Path) -> Path:
    """A folder with `app`, made by pip alone."""

    def fill(folder: Path) -> None:
        pip = [sys.executable, "-m", "pip", "--quiet", "install", "--only-binary=:all:", "--target"]
        subprocess.run([*pip, folder / "app", wheel], check=True)

    return once("plain", fill)


@pytest.fixture(scope="session")
def gx_root(once: Once) -> Path:
    needs_gx()
    return once("gx", lambda folder: build_root(folder / "root")) / "root"


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
