"""The command from end to end: a table, a page that stands alone, and an orderly end whenever the user wants one."""

from __future__ import annotations

import re
import signal
from html.parser import HTMLParser
from pathlib import Path

import pytest

from opendtu_dcload.cli import main
from opendtu_dcload.recording.replay import seen_in
from opendtu_dcload.sim.runs.simulated_plant import default_plant
from opendtu_dcload.sim.whatif import dead_hour
from opendtu_dcload.sim.whatif.dead_hour import play_death, worst_death_s
from opendtu_dcload.sim.whatif.side_by_side import Job, play_all
from opendtu_dcload.sim.whatif.variant import OWN, Variant

LOAD = "zeit;<b>Leistung</b> [kW]\n" + "".join(
    f"03.03.2026 17:{second // 60:02}:{second % 60:02};{0.3 + 0.5 * (second // 90 % 2):.2f}".replace(".", ",", 0) + "\n"
    for second in range(0, 720, 10)
)
VOID = {"meta", "br"}
FETCHING = {"src", "href", "srcset", "data", "action", "poster", "background"}


class Page(HTMLParser):
    """Looks whether every element ends, every name is there once, and nothing is fetched."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.labels: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert not FETCHING & set(given), given
        assert tag not in {"script", "link", "img", "iframe", "object"}
        assert not any(name.startswith("on") for name in given)
        self.ids += [str(given["id"])] if "id" in given else []
        self.labels += [str(given["aria-labelledby"])] if "aria-labelledby" in given else []
        if given.get("role") == "region":
            assert given.get("tabindex") == "0", "what scrolls can be reached with the keyboard"
            assert given.get("aria-label") or given.get("aria-labelledby")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def run(tmp_path: Path, *arguments: str) -> int:
    path = tmp_path / "mine & yours.csv"
    path.write_text(LOAD)
    return main(["simulate", "--trace", str(path), "--report", str(tmp_path / "page.html"), *arguments])


def test_the_users_load_on_the_users_plant_becomes_a_table_and_a_page(tmp_path: Path, config: Path, capsys):
    assert run(tmp_path, "--alone", "--price", "0,32", "--record", str(tmp_path / "record.jsonl")) == 0
    out, err = capsys.readouterr()
    assert err == "", "no progress bar where nobody looks, and nothing of what the played program logs"
    heads, own = (re.split(r"  +", line) for line in out.splitlines() if line.startswith(("settings", f"{OWN} ")))
    assert heads == ["settings", "exported kWh", "imported with room kWh", "waste / J0", "commands / h", "cost"]
    assert len(own) == len(heads)
    assert "2026-03-03 17:00 to 17:11" in out
    assert list(seen_in(tmp_path / "record.jsonl"))

    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = Page(text)
    assert len(set(page.ids)) == len(page.ids)
    assert set(page.labels) <= set(page.ids)
    assert "mine & yours.csv" in page.text
    assert "<b>Leistung</b> [kW]" in page.text, "shown as it is written, not as HTML"
    assert all(cell in page.text for cell in own)
    assert {"whole-grid", "whole-load", "whole-inverters", "whole-set-point"} <= set(page.ids)
    assert "17:05" in page.text, "the time axis is the clock"
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    for needed in ('lang="en"', 'name="viewport"', "prefers-color-scheme: dark", "default-src 'none'"):
        assert needed in text


def test_a_page_that_cannot_be_written_is_told_before_anything_is_played(tmp_path: Path, config: Path, capsys):
    assert run(tmp_path, "--report", str(tmp_path / "nowhere" / "page.html")) == 2
    assert "--report: " in capsys.readouterr().err


def test_what_plays_nothing_leaves_no_empty_page(tmp_path: Path, config: Path):
    assert run(tmp_path, "--record", str(tmp_path / "nowhere" / "recording")) == 2
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("hours", ["17", "18-17", "1-25", "a-b"])
def test_hours_that_are_none_are_refused(tmp_path: Path, config: Path, hours: str, capsys):
    with pytest.raises(SystemExit):
        run(tmp_path, "--hours", hours)
    assert "write hours of a day" in capsys.readouterr().err


def jobs(count: int) -> list[Job]:
    return [Job(Variant(OWN if not n else f"other {n}", default_plant()), [300.0] * 600, seed=1) for n in range(count)]


@pytest.mark.parametrize("processes", [1, 2])
def test_ctrl_c_leaves_what_has_ended_until_then(processes: int):
    def progress(share: float) -> None:
        if share > 0.4:
            raise KeyboardInterrupt

    played = play_all(jobs(3), progress, processes)
    assert not played.is_complete
    assert len(played.outcomes) < 3


def test_ctrl_c_ends_what_is_played_in_this_process_between_two_minutes_of_it():
    """Amid one it would end a task of the played program, whose traceback nobody wants to see."""
    shares: list[float] = []

    def progress(share: float) -> None:
        shares.append(share)
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    played = play_all(jobs(1), progress, 1)
    assert (played.outcomes, played.is_complete, len(shares)) == ([], False, 1)
    assert signal.getsignal(signal.SIGINT) is before


def test_side_by_side_is_as_one_after_the_other():
    shares: list[float] = []
    side_by_side = play_all(jobs(2), shares.append, 2)
    assert side_by_side == play_all(jobs(2), lambda _: None, 1)
    assert side_by_side.is_complete
    assert shares[-1] == 1.0
    assert shares == sorted(shares)


def test_a_relay_ends_the_export_of_a_dead_program(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dead_hour, "DEAD_S", 900)
    load_w = [200.0] * 1000 + [900.0] * 200 + [100.0] * 1200
    plant = default_plant()
    dies_at_s = worst_death_s(load_w, plant)
    assert dies_at_s is not None
    assert 1000 < dies_at_s < 1200, "when the load is high and falls soon"
    dead = play_death(load_w, plant, 1, lambda _: None)
    assert dead is not None
    lowest_s, highest_s = 1200 - dies_at_s, 900
    assert dead.without_relay_wh == pytest.approx(800 * (highest_s - lowest_s) / 3600, rel=0.2)
    assert dead.with_relay_wh < 0.5 * dead.without_relay_wh


def test_a_short_load_has_no_hour_to_be_dead_in():
    assert play_death([300.0] * 900, default_plant(), 1, lambda _: None) is None


@pytest.mark.parametrize("option", ["--report", "--record"])
@pytest.mark.parametrize("kept", ["house.csv", "config.toml"])
def test_what_is_read_is_never_written_over(config, capsys, option, kept):
    (config.parent / "house.csv").write_text("t_s,power_w\n0,300\n400,700\n")
    path = config.parent / kept
    before = path.read_bytes()
    assert main(["simulate", "--trace", "house.csv", option, str(path)]) == 2
    assert "is read or written already; name another file" in capsys.readouterr().err
    assert path.read_bytes() == before
