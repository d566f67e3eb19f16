"""A file that is no recording, or was damaged, costs one sentence."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendtu_dcload.cli import main
from opendtu_dcload.errors import ConfigError
from opendtu_dcload.recording.recorded_fields import MARK
from opendtu_dcload.recording.replay import replay
from tests.recording import FOLDER

WHOLE = gzip.decompress((FOLDER / "hms.jsonl.gz").read_bytes()).decode()
LINES: list[dict[str, Any]] = [json.loads(line) for line in WHOLE.splitlines()[:150]]
ADVICE = "; name a recording, see log.record"
CHANGED = "; this is no recording, or it was changed"


def packed(lines: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def changed(number: int, change: Callable[[Any], object]) -> bytes:
    """The recording with one line changed."""
    lines = copy.deepcopy(LINES)
    change(lines[number])
    return packed(lines)


def first(change: Callable[[Any], object]) -> bytes:
    return changed(0, lambda line: change(line[MARK]))


def seen(change: Callable[[Any], object]) -> bytes:
    return changed(1, lambda line: change(line["seen"]))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(b"", f" has no decision in it{ADVICE}", id="empty"),
        pytest.param(packed(LINES[:1]), f" has no decision in it{ADVICE}", id="the start only"),
        pytest.param(b"\x00\xff\xfe\n", f" cannot be read: it is damaged, or no recording{ADVICE}", id="binary"),
        pytest.param(b"\x1f\x8b\x08 no gzip", f" cannot be read: it is damaged, or no recording{ADVICE}", id="no gzip"),
        pytest.param(
            gzip.compress(WHOLE.encode())[:5000],
            f" cannot be read: it is damaged, or no recording{ADVICE}",
            id="half a gzip",
        ),
        pytest.param(b"[meter]\nhost = 1\n", f", line 1: it is no JSON object{CHANGED}", id="a configuration"),
        pytest.param(b"[1]\n", f", line 1: it is no JSON object{CHANGED}", id="a list"),
        pytest.param(b"[" * 100_000 + b"\n", f", line 1: it is no JSON object{CHANGED}", id="deep"),
        pytest.param(b'{"a":1}\n', f", line 1: the first line of a recording is missing{CHANGED}", id="foreign"),
        pytest.param(packed(LINES[1:]), f", line 1: the first line of a recording is missing{CHANGED}", id="beheaded"),
        pytest.param(
            first(lambda start: start.update(version=2, settings=None)),
            " was written by a newer opendtu_dcload: update this one to replay it",
            id="newer",
        ),
        pytest.param(
            first(lambda start: start.update(version="1")), f", line 1: version is no whole number{CHANGED}", id="text"
        ),
        pytest.param(
            first(lambda start: start["settings"].pop("target_w")),
            f", line 1: settings.target_w is missing{CHANGED}",
            id="a setting is missing",
        ),
        pytest.param(
            first(lambda start: start["settings"].update(priority="mine")),
            f", line 1: settings.priority is none of: no-export, balanced, no-import{CHANGED}",
            id="an unknown word",
        ),
        pytest.param(first(lambda start: start.update(units=7)), f", line 1: units is no list{CHANGED}", id="no list"),
        pytest.param(
            seen(lambda told: told["meter"].update(power_w=float("nan"))),
            f", line 2: it is no JSON object{CHANGED}",
            id="NaN",
        ),
        pytest.param(
            seen(lambda told: told["meter"].update(power_w=10**400)),
            f", line 2: seen.meter.power_w is no number{CHANGED}",
            id="a number without end",
        ),
        pytest.param(
            seen(lambda told: told["meter"].update(power_w=True)),
            f", line 2: seen.meter.power_w is no number{CHANGED}",
            id="a flag for a number",
        ),
        pytest.param(
            seen(lambda told: told["meter"]["phases"].update(l1=[])),
            f", line 2: seen.meter.phases.l1 is no object{CHANGED}",
            id="a list for an object",
        ),
        pytest.param(
            seen(lambda told: told["dtus"].update({"\x1b[2J": {}})),
            f", line 2: seen.dtus has an unprintable character{CHANGED}",
            id="a name that plays with the terminal",
        ),
        pytest.param(
            changed(1, lambda line: line.update(more=1)), f", line 2: it has not one key{CHANGED}", id="two keys"
        ),
        pytest.param(
            packed([*LINES[:3], {"\x1b[2J": {}}]),
            f", line 4: '\\x1b[2J' is nothing that happens{CHANGED}",
            id="unknown",
        ),
        pytest.param(
            packed([*LINES[:3], {"failed": {"limit": {"inverter": "1124", "limit_w": 1.0}}}]),
            f", line 4: 1124 is no inverter of this recording{CHANGED}",
            id="a stranger",
        ),
        pytest.param(
            packed([*LINES[:3], {"posted": {"t_s": 1, "command": {"sing": {}}}}]),
            f", line 4: posted.command is none of: limit, power, restart{CHANGED}",
            id="an unknown command",
        ),
    ],
)
def test_one_sentence_and_exit_code_2(tmp_path, capsys, content, sentence):
    path = tmp_path / "recording.jsonl"
    path.write_bytes(content)
    assert main(["replay", str(path)]) == 2
    assert capsys.readouterr() == ("", f"{path}{sentence}\n")


def test_a_file_that_is_not_there_or_a_folder(tmp_path, capsys):
    assert main(["replay", str(tmp_path / "none")]) == 2
    assert main(["replay", str(tmp_path)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"{tmp_path / 'none'} cannot be read: No such file or directory{ADVICE}",
        f"{tmp_path} cannot be read: Is a directory{ADVICE}",
    ]


def test_a_last_line_that_was_cut_off_is_left_out(tmp_path):
    path = tmp_path / "recording.jsonl"
    path.write_bytes(packed(LINES)[:-20])
    outcome = replay(path)
    assert outcome.decisions > 50
    assert not outcome.differences


def places(document: Any) -> list[tuple[Any, Any]]:
    """Every place in a document: what holds it, and its key there."""
    keys = list(document) if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else []
    return [place for key in keys for place in ((document, key), *places(document[key]))]


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 40),
    st.integers(0, 10_000),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "Ok", "\x1b"])
    | st.just([])
    | st.just({}),
)
def test_whatever_stands_anywhere_costs_one_sentence_at_most(tmp_path_factory, number, place, value):
    lines = copy.deepcopy(LINES[:41])
    found = places(lines[number])
    holder, key = found[place % len(found)]
    holder[key] = value
    path = tmp_path_factory.getbasetemp() / "changed.jsonl"
    path.write_bytes(packed(lines))
    try:
        replay(path)
    except ConfigError as err:
        (problem,) = err.problems
        assert problem.startswith(str(path))
        assert problem.isprintable()
