"""What `make release` makes, and that the workflow does nothing else."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.deploy.conftest import tool

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
BUNDLES = {f"opendtu-dcload-{VERSION}-gx-{arch}.tar.gz" for arch in ("armv7l", "aarch64")}


def sums(text: str) -> dict[str, str]:
    return {line[66:]: line[:64] for line in text.splitlines()}


def test_the_workflow_publishes_what_make_release_makes() -> None:
    text = (ROOT / ".github/workflows/release.yml").read_text()
    assert re.search(r'^    tags: \["v\*"\]$', text, flags=re.MULTILINE)
    runs = re.findall(r"^ +-? ?run: (.*)$", text, flags=re.MULTILINE)
    assert runs == ["make release", 'gh release create "$TAG" --verify-tag --generate-notes dist/*']
    assert re.findall(r"uses: (\S+)", text) == ["actions/checkout@v4"]
    rule = (ROOT / "Makefile").read_text().partition("\nrelease: ")[2].partition("\n\n")[0]
    given = set(re.findall(r"^      (\w+): ", text, flags=re.MULTILINE)) - {"GH_TOKEN"}
    assert given == set(re.findall(r"\$\(if \$\((\w+)\)", rule))


def test_the_manual_names_the_place_that_the_script_fetches_from() -> None:
    base = tool("release").BASE_URL
    assert re.fullmatch(r"https://[\w.-]+\.invalid/opendtu-dcload", base)
    for page in ("README.md", "docs/install-gx.md", "docs/install-debian.md", "docs/de.md"):
        named = re.findall(r"https://[^\s|`)]+get\.sh", (ROOT / page).read_text(encoding="utf-8"))
        assert named, page
        assert set(named) == {f"{base}/get.sh"}, page


@pytest.mark.realtime
@pytest.mark.long
@pytest.mark.timeout(1200)
def test_make_release(tmp_path: Path, wheel: Path) -> None:
    out = tmp_path / "dist"
    make = ["make", "--no-print-directory", "-C", str(ROOT), "release", f"DIST={out}", "TAG=v" + VERSION]
    done = subprocess.run(make, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2  # twine
    packages = {f"opendtu_dcload-{VERSION}-py3-none-any.whl", f"opendtu_dcload-{VERSION}.tar.gz"}
    helper = f"OpenDtuDcLoad-v{VERSION}"
    others = {"get.sh", "venus-data.tar.gz", f"{helper}.tar.gz"}
    assert {file.name for file in out.iterdir()} == {*packages, *BUNDLES, *others, "SHA256SUMS"}
    listed = sums((out / "SHA256SUMS").read_text())
    assert listed == {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in listed}
    assert listed.keys() == {*packages, *BUNDLES, *others}

    # made from the sources that are published, the wheel is that of the checkout
    with zipfile.ZipFile(out / wheel.name) as ours, zipfile.ZipFile(wheel) as theirs:
        assert set(ours.namelist()) == set(theirs.namelist())
    for archive, folder in (("venus-data", "opendtu-dcload-stick"), (helper, helper)):
        with tarfile.open(out / f"{archive}.tar.gz") as tar:
            names = set(tar.getnames())
            assert {f"{folder}/{name}" for name in (*BUNDLES, "get.sh", "SHA256SUMS")} < names
            content = tar.extractfile(f"{folder}/SHA256SUMS")
            assert content is not None
            assert {name: listed[name] for name in (*BUNDLES, "get.sh")} == sums(content.read().decode())
        # nothing that would lie among a user's files, or change /data itself
        top = {"opendtu-dcload-stick", "rc"} if archive == "venus-data" else {helper}
        assert {name.partition("/")[0] for name in names} == top


def test_a_tag_of_another_version_and_a_folder_with_something_in_it_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = tool("release")
    (tmp_path / "older").touch()
    monkeypatch.setattr("sys.argv", ["release.py", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="is not empty: delete it"):
        release.main()
    monkeypatch.setattr("sys.argv", ["release.py", "--out", str(tmp_path / "new"), "--tag", "v9.9"])
    monkeypatch.setattr(release, "build_packages", lambda _: Path(f"opendtu_dcload-{VERSION}-py3-none-any.whl"))
    with pytest.raises(SystemExit, match=f"the tag is v9.9, but the version v{VERSION}: correct pyproject.toml"):
        release.main()
