"""Make all that a release consists of, in one folder, with the checksums of its files.

    make release

    opendtu_dcload-<version>-py3-none-any.whl    for `pip install`
    opendtu_dcload-<version>.tar.gz              the sources, for `pip install`
    opendtu-dcload-<version>-gx-<arch>.tar.gz    bundles for the processors of a GX
    venus-data.tar.gz                            for a USB stick: a GX unpacks it over /data at boot
    OpenDtuDcLoad-v<version>.tar.gz              a package of SetupHelper, for all processors
    get.sh                                       installs from where the release is published
    SHA256SUMS                                   what get.sh compares the files with

Needs `build`, pip and a package index.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from build import EXECUTABLE, GX_PYTHON, NOT_PUBLISHED, ROOT, bundle, copy_sources, describe, pack

BASE_URL = "https://not-published.invalid/opendtu-dcload"
"""Where a release is fetched from, while that is not decided: .invalid is nobody's and never will be (RFC 2606)."""
GX = ("armv7l", "aarch64")
SOME_TIME = "1735689600"
"""The time in s that packages say their files are of: the same sources make the same file."""


def main() -> int:
    """Make what the command line asks for and print where it is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="an empty folder, default dist/")
    parser.add_argument("--base-url", default=BASE_URL, metavar="URL", help="where all of it will be published")
    parser.add_argument("--github", default=NOT_PUBLISHED, metavar="USER:BRANCH", help="as for build.py")
    parser.add_argument("--tag", default="", help="refuse when the version has another name")
    arguments = parser.parse_args()
    if arguments.out.exists() and any(arguments.out.iterdir()):
        sys.exit(f"release.py: {arguments.out} is not empty: delete it, or name another folder with --out")
    wheel = build_packages(arguments.out)
    if arguments.tag not in {"", f"v{version_of(wheel)}"}:
        sys.exit(
            f"release.py: the tag is {arguments.tag}, but the version v{version_of(wheel)}: correct pyproject.toml"
        )
    complete(wheel, GX, GX_PYTHON, arguments.base_url, arguments.github)
    print(arguments.out)
    return 0


def build_packages(out: Path) -> Path:
    """Build sources and wheel into a folder and return the wheel."""
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, "-m", "build", "--outdir", str(out.absolute()), str(copy_sources(Path(work)))]
        environ = dict(os.environ, SOURCE_DATE_EPOCH=SOME_TIME)
        # `build` is also the name of a file beside this one, so not from here
        done = subprocess.run(command, cwd=work, env=environ, stdout=subprocess.DEVNULL, check=False)  # noqa: S603  ourselves
    if done.returncode:
        sys.exit(f"release.py: build ended with code {done.returncode}: what it says stands above")
    return next(out.glob("*.whl"))


def version_of(wheel: Path) -> str:
    """Return the version that a wheel is of."""
    return wheel.name.split("-")[1]


def complete(wheel: Path, architectures: Sequence[str], python: str, base_url: str, github: str) -> None:
    """Add to the folder of a wheel all that a GX needs, and the checksums."""
    out = wheel.parent
    bundles = [bundle(wheel, arch, python, out, github) for arch in architectures]
    get = out / "get.sh"
    get.write_text((ROOT / "deploy/get.sh").read_text().replace("@BASE_URL@", base_url))
    get.chmod(EXECUTABLE)
    with tempfile.TemporaryDirectory() as work:
        pack(_stick(Path(work), [get, *bundles]), out / "venus-data.tar.gz")
        name = f"OpenDtuDcLoad-v{version_of(wheel)}"
        pack([_setup_helper(Path(work) / name, [get, *bundles], version_of(wheel), github)], out / f"{name}.tar.gz")
    _write_sums(out)


def _stick(work: Path, files: Sequence[Path]) -> list[Path]:
    """Return what a stick's archive consists of: the release in a folder of its own, and what Venus OS runs then."""
    release, hooks = work / "opendtu-dcload-stick", work / "rc"
    _copy(files, release)
    hooks.mkdir()
    shutil.copy(ROOT / "deploy/stick/post-hook.sh", hooks)
    return [release, hooks]


def _setup_helper(folder: Path, files: Sequence[Path], version: str, github: str) -> Path:
    """Return a package of SetupHelper that takes the bundle for the processor it finds."""
    _copy(files, folder)
    shutil.copytree(ROOT / "deploy/gx/service", folder / "services/opendtu-dcload")
    shutil.copy(ROOT / "deploy/setuphelper/setup", folder)
    for file in ("README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / file, folder)
    describe(folder, version, github)
    (folder / "install.sh").write_text(
        '#!/bin/sh\nfolder=$(cd "$(dirname "$0")" && pwd -P)\nexec "$folder/get.sh" "$folder"\n'
    )
    (folder / "install.sh").chmod(EXECUTABLE)
    return folder


def _copy(files: Sequence[Path], folder: Path) -> None:
    folder.mkdir()
    for file in files:
        shutil.copy(file, folder)
    _write_sums(folder)


def _write_sums(folder: Path) -> None:
    """Write the checksums of all files of a folder, as sha256sum would."""
    files = sorted(file for file in folder.iterdir() if file.is_file())
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


if __name__ == "__main__":
    sys.exit(main())
