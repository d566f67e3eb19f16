"""What stands in files: the settings, the original's settings, recordings, load traces, the kept SoC."""

from __future__ import annotations

import atexit
import functools
import gzip
import re
import shutil
import tempfile
from pathlib import Path

import tomli

from opendtu_dcload.app import first_line
from opendtu_dcload.config import exposed_passwords, load_config
from opendtu_dcload.control.from_config import settings_of
from opendtu_dcload.doctor.findings import Findings
from opendtu_dcload.doctor.migration.old_config import import_config
from opendtu_dcload.errors import ConfigError
from opendtu_dcload.recording.replay import replay
from opendtu_dcload.sim.loads.measured_load import MAX_LOAD_W, MAX_SECONDS
from opendtu_dcload.sim.runs.trace import load_trace, read_traces
from opendtu_dcload.tasks.seasonal_store import FILE_NAME, SeasonalStore
from tests.config.correct_config import SECRET
from tests.doctor.original_config import OLD
from tests.fuzz.target import Target, check_number, check_refusal, check_text
from tests.recording import recordings as recorded_plants

ROOT = Path(__file__).parents[2]
_ENVIRON = {"OPENDTU_PASSWORD": SECRET}
_IN_ITS_PLACE = re.compile(rf"^[^\n=]*password[^\n=]*=[^\n]*{re.escape(SECRET)}".encode(), re.IGNORECASE | re.MULTILINE)


@functools.cache
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="fuzz")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _is_misplaced(data: bytes) -> bool:
    """Whether the password also stands where nobody could know that it is one."""
    return len(_IN_ITS_PLACE.findall(data)) != data.count(SECRET.encode())


def _play_config(data: bytes) -> bool:
    path = _folder() / "config.toml"
    path.write_bytes(data)
    return _load(path, is_misplaced=_is_misplaced(data))


def _load(path: Path, *, is_misplaced: bool) -> bool:
    try:
        config = load_config(path, _ENVIRON)
    except ConfigError as err:
        check_refusal(err, may_name_secret=is_misplaced)
        return False
    settings_of(config)
    told = f"{config!r} {first_line(config, None)}"
    assert is_misplaced or SECRET not in told
    check_text(exposed_passwords(config, path))
    return True


def _play_old_config(data: bytes) -> bool:
    old, new = _folder() / "config.ini", _folder() / "new.toml"
    old.write_bytes(data)
    new.unlink(missing_ok=True)
    try:
        check_text(import_config(old, new, Findings(lambda _: None)))
    except ConfigError as err:
        check_refusal(err)
        return False
    tomli.loads(new.read_text(encoding="utf-8"))
    _load(new, is_misplaced=True)
    return True


def _play_recording(data: bytes) -> bool:
    path = _folder() / "recording.jsonl"
    path.write_bytes(data)
    try:
        outcome = replay(path)
    except ConfigError as err:
        check_refusal(err)
        return False
    for difference in outcome.differences:
        check_text(str(difference))
    return True


def _play_trace(data: bytes) -> bool:
    path = _folder() / "trace.csv"
    path.write_bytes(data)
    try:
        load = read_traces([str(path), str(path)])
        for text in (load.told, *load.notes, *map(str, load.days[:9])):
            check_text(text)
        loads_w = load_trace(str(path))
    except ConfigError as err:
        check_refusal(err)
        return False
    assert 0 < len(loads_w) <= MAX_SECONDS + 1
    for load_w in loads_w:
        check_number(load_w, -MAX_LOAD_W, MAX_LOAD_W)
    return True


def _play_kept_soc(data: bytes) -> bool:
    (_folder() / FILE_NAME).write_bytes(data)
    kept_pct = SeasonalStore(_folder()).highest_pct
    check_number(kept_pct, 0, 200)
    return kept_pct is not None


def _shipped() -> list[bytes]:
    return [(ROOT / "config.toml").read_bytes()]


def _beginnings() -> list[bytes]:
    return [b"".join(gzip.open(path).readlines()[:12]) for path in recorded_plants()]


TARGETS = (
    Target("config", _play_config, _shipped, share=10),
    Target("old_config", _play_old_config, lambda: [OLD.replace("50%percent;of#all", SECRET).encode()], share=10),
    Target("recording", _play_recording, _beginnings, share=5),
    Target("trace", _play_trace, list, share=10),
    Target("kept_soc", _play_kept_soc, list, share=5),
)
