"""A recording has an end, whatever the disk does, and nobody waits for it."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from pathlib import Path

import pytest

from opendtu_dcload.recording import bounded_file
from opendtu_dcload.recording.bounded_file import BoundedFile, open_recording
from opendtu_dcload.sim.runs.simulate import simulate


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.INFO)
    return lambda: [(record.levelname, record.getMessage()) for record in caplog.records]


def test_what_is_written_is_in_the_file_at_the_end(tmp_path, told):
    file = open_recording(tmp_path)
    assert file is not None
    file.write("one\n")
    file.write("two\n")
    file.close()
    path = tmp_path / "recording.jsonl"
    assert path.read_text() == "one\ntwo\n"
    assert told() == [("INFO", f"{path} records what is seen and decided, for a day or 20 MB")]


def test_a_file_that_is_there_is_kept(tmp_path, told):
    path = tmp_path / "recording.jsonl"
    path.write_text("the problem")
    assert open_recording(tmp_path) is None
    assert path.read_text() == "the problem"
    assert told() == [
        ("WARNING", f"nothing is recorded: {path} is there already; send it, or delete it and restart")
    ]  # fmt: skip


def test_a_folder_that_cannot_be_written_costs_the_recording_only(tmp_path, told):
    assert open_recording(tmp_path / "none") is None
    path = tmp_path / "none" / "recording.jsonl"
    assert told() == [("WARNING", f"nothing is recorded: {path} cannot be written (No such file or directory)")]


def limited(path: Path, **limits: float) -> BoundedFile:
    return BoundedFile(path.open("x", buffering=1), "it", **limits)  # type: ignore[arg-type] # mixed limits


def test_it_ends_with_the_last_whole_line_below_its_size(tmp_path, told):
    path = tmp_path / "it"
    file = limited(path, most_bytes=25)
    for number in range(10):
        assert file.closed is (number > 3)
        file.write(f"lineä{number}\n")
    file.close()
    assert path.read_text() == "lineä0\nlineä1\nlineä2\n"
    assert told() == [("WARNING", "it ends, regulation goes on: it is as large, or as long, as it may be")]


def test_it_ends_after_its_time(tmp_path, told):
    file = limited(tmp_path / "it", longest_s=-1.0)
    file.write("late\n")
    assert file.closed
    file.close()
    assert (tmp_path / "it").read_text() == ""
    assert len(told()) == 1


def test_a_full_disk_ends_it_and_nothing_else(told):
    load_w = [200.0 + 500 * (second // 40 % 2) for second in range(310)]
    with Path("/dev/full").open("w", buffering=1) as full, contextlib.closing(BoundedFile(full, "it")) as file:
        with_full_disk = simulate(load_w, record=file)
    assert with_full_disk == simulate(load_w)
    assert told() == [("WARNING", "it ends, regulation goes on: No space left on device")]


def test_a_disk_that_is_stuck_makes_nobody_wait(told, monkeypatch):
    monkeypatch.setattr(bounded_file, "PATIENCE_S", 0.01)
    reader, writer = os.pipe()  # a pipe that nobody reads
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    file = BoundedFile(os.fdopen(writer, "w", buffering=1), "it")
    while not file.closed:
        file.write("." * 1000 + "\n")
    file.close()
    os.close(reader)  # lets the writer go, with an error
    file._writer.join()
    assert told() == [("WARNING", "it ends, regulation goes on: the disk does not keep up")]


class Broken:
    closed = False

    def write(self, text: str, /) -> int:
        raise RuntimeError(f"no place for {text[:1]}")

    def close(self) -> None:
        self.closed = True


def test_a_mistake_of_the_recording_ends_it_and_nothing_else(told):
    load_w = [300.0] * 310
    broken = Broken()
    assert simulate(load_w, record=broken) == simulate(load_w)
    assert broken.closed
    assert told() == [("WARNING", "the recording ends, regulation goes on: RuntimeError('no place for {')")]
