"""The pictures show the run that they are made from, in colours that can be read on a bright and on a dark page."""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from opendtu_dcload.cli import main
from opendtu_dcload.model import Reason
from opendtu_dcload.sim.bench import hour
from opendtu_dcload.sim.bench.plots import PICTURES, STYLES, Curves, svg
from opendtu_dcload.sim.pictures import panels
from opendtu_dcload.sim.pictures.moments import Moment, bands

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ("#ffffff", "#0d1117")
"""GitHub's, bright and dark."""
READABLE = 4.0
PIXEL_W = 3.0
"""Half a tenth of the picture's unit, and the slant of an edge that is drawn a tenth of a second wide."""


@pytest.fixture(scope="module")
def drawn() -> dict[str, tuple[Curves, ET.Element]]:
    drawn = {}
    for name, picture in PICTURES.items():
        curves = picture.curves()
        drawn[name] = curves, ET.fromstring(svg(picture.title, curves))
    return drawn


def tagged(root: ET.Element, tag: str) -> list[ET.Element]:
    return list(root.iter(f"{{http://www.w3.org/2000/svg}}{tag}"))


def scale(labels: list[tuple[float, float]]) -> tuple[float, float]:
    """Return offset and slope of an axis from its labels: (place, value)."""
    (place, value), (last_place, last_value) = labels[0], labels[-1]
    slope = (last_value - value) / (last_place - place)
    return value - slope * place, slope


def read(root: ET.Element) -> dict[str, list[tuple[float, float]]]:
    """Read the curves off the picture by its axes' labels, as (time in s, power in W)."""
    texts = [text for text in tagged(root, "text") if re.fullmatch(r"\d+( W)?", text.text or "")]
    numbers = [(text, float((text.text or "").removesuffix(" W"))) for text in texts]
    t0_s, s_per_x = scale([(float(text.attrib["x"]), n) for text, n in numbers if text.get("text-anchor") == "middle"])
    w0, w_per_y = scale([(float(text.attrib["y"]), n) for text, n in numbers if text.get("text-anchor") == "end"])
    return {
        line.attrib["id"]: [
            (t0_s + s_per_x * float(x), w0 + w_per_y * float(y))
            for x, y in (point.split(",") for point in line.attrib["points"].split())
        ]
        for line in tagged(root, "polyline")
    }


def at(curve: list[tuple[float, float]], at_s: float) -> float:
    after = min(max(bisect_right([s for s, _ in curve], at_s), 1), len(curve) - 1)
    (from_s, from_w), (to_s, to_w) = curve[after - 1], curve[after]
    return from_w + (to_w - from_w) * min(max((at_s - from_s) / (to_s - from_s), 0.0), 1.0)


@pytest.mark.parametrize("name", PICTURES)
def test_what_is_read_off_the_picture_is_the_run(drawn, name):
    curves, root = drawn[name]
    picture = read(root)
    assert set(picture) == set(curves) == {"load", "output", "set-point"}
    for curve, points in curves.items():
        assert len(points) == pytest.approx(10 * (PICTURES[name].last_s - PICTURES[name].first_s), abs=2)
        assert len(picture[curve]) > 4, "a flat line is no picture of a step"
        # An edge is as wide as two points are apart, and its time is rounded: there either side of it may be read.
        wrong = [
            (at_s, w)
            for (_, before_w), (at_s, w), (_, after_w) in zip(points, points[1:], points[2:], strict=False)
            if not min(before_w, w, after_w) - PIXEL_W
            <= at(picture[curve], at_s)
            <= max(before_w, w, after_w) + PIXEL_W
        ]
        assert not wrong, curve


def test_the_step_is_followed_down_and_up_again(drawn):
    picture = read(drawn["step"][1])
    for at_s, load_w in ((9.0, 600), (69.0, 100), (99.0, 600)):
        assert at(picture["load"], at_s) == pytest.approx(load_w, abs=PIXEL_W)
        assert at(picture["output"], at_s) == pytest.approx(load_w, abs=35)
        assert at(picture["set-point"], at_s) == pytest.approx(load_w, abs=35)


def test_set_points_jump_and_outputs_glide(drawn):
    curves = drawn["step"][0]
    jump_w = {name: max(abs(b - a) for (_, a), (_, b) in pairwise(curve)) for name, curve in curves.items()}
    assert jump_w["load"] == 500
    assert jump_w["set-point"] > 100
    assert jump_w["output"] < 60, "a tenth of a second is a tenth of the way at most"


@pytest.mark.parametrize("name", PICTURES)
def test_title_axes_and_legend_name_what_is_drawn(drawn, name):
    root = drawn[name][1]
    texts = [text.text or "" for text in tagged(root, "text")]
    assert {PICTURES[name].title, "time in s", *STYLES} <= set(texts)
    assert [text for text in texts if text.endswith(" W")]
    assert [title.text for title in tagged(root, "title")] == [PICTURES[name].title]
    legend = {path.get("stroke") for path in tagged(root, "path") if path.get("opacity") is None}
    assert legend == {line.get("stroke") for line in tagged(root, "polyline")}
    assert len(legend) == len(STYLES)


def luminance(colour: str) -> float:
    """Return the relative luminance as WCAG 2 defines it."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("page", PAGES, ids=["bright", "dark"])
def test_every_colour_stands_out_from_the_page(drawn, page):
    text = ET.tostring(drawn["step"][1], encoding="unicode")
    colours = set(re.findall(r"#[0-9a-f]{6}", text))
    assert len(colours) == len(STYLES)
    for colour in colours | set(re.findall(r"#[0-9a-f]{6}", (DOCS / "hour.svg").read_text(encoding="utf-8"))):
        low, high = sorted((luminance(colour), luminance(page)))
        assert (high + 0.05) / (low + 0.05) > READABLE, colour


# ---- the hour


@pytest.fixture(scope="module")
def moments() -> list[Moment]:
    return hour.play_hour()


@pytest.mark.long
def test_the_hour_shows_each_curve_as_it_was_played(moments):
    root = ET.fromstring(hour.hour_svg(moments))
    points = {
        line.attrib["id"]: [
            (float(x), float(y)) for x, y in (point.split(",") for point in line.attrib["points"].split())
        ]
        for line in tagged(root, "polyline")
    }
    labels = [text for text in tagged(root, "text") if (text.text or "").endswith(" W")]
    watts = [(float(text.attrib["y"]), float((text.text or "").removesuffix(" W"))) for text in labels]
    axes = {"grid": scale(watts[:7]), "plant": scale(watts[7:])}
    assert [w for _, w in watts] == [*range(-500, 2501, 500), *range(0, 801, 200)]
    assert list(points) == ["grid", "inverter 1", "inverter 2", "inverter 3", "set-point"]
    t0_s, s_per_x = 0.0, hour.HOUR_S / (panels.WIDTH - panels.LEFT - panels.RIGHT)
    for name, values in hour.hour_curves(moments).items():
        offset_w, w_per_y = axes["grid" if name == "grid" else "plant"]
        read_w = [(t0_s + (x - panels.LEFT) * s_per_x, offset_w + w_per_y * y) for x, y in points[name]]
        assert len(values) == hour.HOUR_S / hour.MEAN_S
        wrong = [(at_s, w) for at_s, w in values if abs(at(read_w, at_s) - w) > 10 * PIXEL_W]
        assert len(wrong) < len(values) / 20, name


@pytest.mark.long
def test_the_hour_tells_the_reason_of_each_moment_and_what_a_silent_meter_leads_to(moments):
    held = bands(moments)
    for moment in moments:
        at_that_time = [reason for reason, spans in held.items() if any(a < moment.at_s <= b for a, b in spans)]
        assert at_that_time == [moment.reason], moment
    assert max(b for _, b in held[Reason.METER_STALE_MINIMUM]) == pytest.approx(hour.SILENT_S[1], abs=2)
    root = ET.fromstring(hour.hour_svg(moments))
    shown = {text.text for text in tagged(root, "text")}
    assert {Reason.REGULATING, Reason.FEED_IN_CAP, Reason.HOLD_METER_LATE, Reason.METER_STALE_RAMP} < set(held) <= shown
    drawn = [path.attrib["d"].count("M") for path in tagged(root, "path") if path.get("class") == "reason"]
    assert drawn == [len(spans) for spans in held.values()]


@pytest.mark.long
def test_the_pictures_in_the_manual_are_what_the_program_draws(tmp_path):
    assert main(["bench", "--plots", str(tmp_path / "new")]) == 0
    names = {f"{name}.svg" for name in (*PICTURES, "hour")}
    assert {path.name for path in (tmp_path / "new").iterdir()} == {path.name for path in DOCS.glob("*.svg")} == names
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    pages = "".join(path.read_text(encoding="utf-8") for path in DOCS.glob("*.md"))
    for name in names:
        text = (tmp_path / "new" / name).read_text(encoding="utf-8")
        assert text == (DOCS / name).read_text(encoding="utf-8"), "run `make plots`"
        assert len(text) < 30_000
        assert f"(docs/{name})" in readme or f"({name})" in pages


def test_a_folder_that_cannot_be_written_is_named(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["bench", "--plots", str(tmp_path / "file")]) == 2
    assert "--plots: " + str(tmp_path / "file") in capsys.readouterr().err
