"""Build the bundle for a Victron GX: the wheels of the program and of all it needs, unpacked, with the installer.

    python deploy/build.py --arch armv7l

makes `dist/opendtu-dcload-<version>-gx-<arch>.tar.gz`. The same folder is a package of kwindrem's SetupHelper
(PackageDevelopmentGuidelines.md there): `version`, `gitHubInfo`, `setup`, `services`, `firstCompatibleVersion`.
Needs pip and a package index; nothing is compiled, and nothing is taken that `requirements.txt` has no hash of.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parent.parent
PINS = ROOT / "deploy/requirements.txt"
"""Versions and hashes of all that a bundle holds beside the program."""
ARCHITECTURES = ("armv7l", "aarch64", "x86_64")
EXTRAS = "mqtt"
"""What a bundle holds for some users only: less than 2 % of it, and on a GX nobody can add it."""
GX_PYTHON = "3.12"
"""Of Venus OS since 3.60."""
OLDEST_GLIBC, NEWEST_GLIBC = 17, 31
"""Wheels for glibc 2.17 (manylinux2014) to 2.31 run on every GX that has Python 3.12, and on Debian 11."""
EXECUTABLE, FILE = 0o755, 0o644
NOT_PUBLISHED = "not_published:latest"
"""In the place of SetupHelper's USER:BRANCH; no account can have an underscore, so nobody else's code is fetched."""


def main() -> int:
    """Build what the command line asks for and print its path."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--arch", choices=ARCHITECTURES, required=True)
    parser.add_argument("--python", default=GX_PYTHON, help=f"minor version, default {GX_PYTHON}")
    parser.add_argument("--wheel", type=Path, help="the program's wheel, default: built from this checkout")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder, default dist/")
    parser.add_argument(
        "--github",
        default=NOT_PUBLISHED,
        metavar="USER:BRANCH",
        help="where SetupHelper looks for updates",
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wheel = arguments.wheel or build_wheel(Path(folder))
        print(bundle(wheel, arguments.arch, arguments.python, arguments.out, arguments.github))
    return 0


def build_wheel(folder: Path) -> Path:
    """Build the program's wheel into a folder."""
    _pip("wheel", "--no-deps", "--wheel-dir", folder, copy_sources(folder))
    return next(folder.glob("*.whl"))


def copy_sources(folder: Path) -> Path:
    """Copy this checkout into a folder without what was built in it, and return where it is."""
    # setuptools leaves its work beside the sources, and files that are no longer there would come along
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__"))
    return source


def platforms(arch: str) -> list[str]:
    """Return the wheel platforms that run there, as options of pip."""
    names = [f"manylinux_2_{minor}_{arch}" for minor in range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1)]
    return [option for name in [*names, f"manylinux2014_{arch}"] for option in ("--platform", name)]


def install_tree(wheel: Path, arch: str, python: str, tree: Path) -> None:
    """Unpack the program and the pinned packages into a folder, as `pip install --target` on the GX itself would."""
    for_gx = ["--only-binary=:all:", "--implementation", "cp", "--python-version", python, *platforms(arch)]
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        program = f"opendtu-dcload[{EXTRAS}] @ {wheel.absolute().as_uri()}"
        wanted.write(f"{PINS.read_text()}{program} --hash=sha256:{digest}\n")
        wanted.flush()
        with_hashes = ["--require-hashes", "--requirement", wanted.name]
        _pip("install", "--no-compile", "--no-warn-conflicts", "--target", tree, *for_gx, *with_hashes)
    shutil.rmtree(tree / "bin")  # starts with the path of the Python that built it
    for traces in (*tree.glob("*.dist-info/direct_url.json"), *tree.glob("*.dist-info/REQUESTED")):
        traces.unlink()


def bundle(wheel: Path, arch: str, python: str, out: Path, github: str) -> Path:
    """Build the bundle and return its path."""
    version = wheel.name.split("-")[1]
    name = f"opendtu-dcload-{version}-gx-{arch}"
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / name
        install_tree(wheel, arch, python, folder / "app")
        shared = folder / "app/share/opendtu-dcload"
        shutil.copytree(shared / "service", folder / "services/opendtu-dcload")
        shutil.copy(ROOT / "deploy/setuphelper/setup", folder / "setup")
        for file in ("README.md", "LICENSE", "CHANGELOG.md"):
            shutil.copy(ROOT / file, folder / file)
        shutil.copytree(ROOT / "docs", folder / "docs")
        describe(folder, version, github)
        (folder / "install.sh").write_text(
            '#!/bin/sh\nexec "$(dirname "$0")/app/share/opendtu-dcload/install.sh" "$@"\n'
        )
        (folder / "install.sh").chmod(EXECUTABLE)
        return pack([folder], out / f"{name}.tar.gz")


def describe(folder: Path, version: str, github: str) -> None:
    """Write into a package of SetupHelper what it asks of each."""
    (folder / "version").write_text(f"v{version}\n")
    (folder / "gitHubInfo").write_text(f"{github}\n")
    (folder / "firstCompatibleVersion").write_text("v3.60\n")


def pack(folders: Iterable[Path], path: Path) -> Path:
    """Make an archive of folders, each under its own name, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # without names and times of the building machine: the same sources make the same file
    with gzip.GzipFile(path, "wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for folder in folders:
            tar.add(folder, folder.name, filter=_anonymous)
    return path


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = "root"
    entry.mode = EXECUTABLE if entry.isdir() or entry.mode & 0o100 else FILE
    return entry


def _pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    try:
        subprocess.run(command, check=True)  # noqa: S603  pip, and what this file puts together
    except subprocess.CalledProcessError as err:
        sys.exit(f"build.py: pip ended with code {err.returncode}: what it says stands above")


if __name__ == "__main__":
    sys.exit(main())
