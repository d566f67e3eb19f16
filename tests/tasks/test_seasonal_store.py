from __future__ import annotations

from pathlib import Path

import pytest

from opendtu_dcload.tasks.seasonal_store import FILE_NAME, SeasonalStore


def test_what_was_kept_is_there_after_a_restart(tmp_path: Path):
    store = SeasonalStore(tmp_path)
    assert store.highest_pct is None
    store.keep(87.5)
    assert SeasonalStore(tmp_path).highest_pct == 87.5
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_the_same_number_is_not_written_again(tmp_path: Path):
    store = SeasonalStore(tmp_path)
    store.keep(87.5)
    (tmp_path / FILE_NAME).unlink()
    store.keep(87.5)
    assert not (tmp_path / FILE_NAME).exists()


@pytest.mark.parametrize(
    "content", [b"", b"87", b"{", b'{"highest_pct": "90"}', b'{"highest_pct": NaN}', b"\xff" * 2000]
)
def test_a_broken_file_is_none(tmp_path: Path, content: bytes):
    (tmp_path / FILE_NAME).write_bytes(content)
    assert SeasonalStore(tmp_path).highest_pct is None


def test_a_folder_that_cannot_be_written_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    store = SeasonalStore(tmp_path / "missing")
    store.keep(80.0)
    store.keep(81.0)
    assert len(caplog.records) == 1
    assert "cannot be written" in caplog.text


def test_on_a_full_disk_what_was_kept_before_stays_and_it_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    SeasonalStore(tmp_path).keep(79.0)
    (tmp_path / FILE_NAME).with_suffix(".new").symlink_to("/dev/full")
    store = SeasonalStore(tmp_path)
    store.keep(80.0)
    store.keep(81.0)
    assert [record.getMessage().count("No space left on device") for record in caplog.records] == [1]
    assert SeasonalStore(tmp_path).highest_pct == 79.0
