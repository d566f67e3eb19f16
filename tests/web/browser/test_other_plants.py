"""What people see of the page in other countries, and of a plant that only shows."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from opendtu_dcload.model import Plan, Reason
from opendtu_dcload.web.history.day_store import FILE_NAME
from tests.web.browser.browser import Browser
from tests.web.served import TOKEN, served

pytestmark = pytest.mark.realtime

SHOWN = (
    "[...document.querySelectorAll('main :is(h2, h3, dt)')].filter((e) => e.checkVisibility()).map((e) => e.innerText)"
)
REGIONS = [
    "de",
    "de-AT",
    "de-BE",
    "de-CH",
    "de-DE",
    "de-IT",
    "de-LI",
    "de-LU",
    "en",
    "en-001",
    "en-150",
    "en-AT",
    "en-AU",
    "en-BE",
    "en-CA",
    "en-CH",
    "en-DE",
    "en-DK",
    "en-FI",
    "en-GB",
    "en-IE",
    "en-IN",
    "en-NL",
    "en-NZ",
    "en-SE",
    "en-SG",
    "en-SI",
    "en-US",
    "en-ZA",
    "fr",
]


@pytest.mark.parametrize("languages", ["de-CH", "de-AT", "en-GB", "en-ZA", "fr-FR,fr"])
async def test_a_set_point_is_taken_as_it_is_shown(browser: Browser, tmp_path: Path, languages: str) -> None:
    async with served(tmp_path, plant={"control": {"max_feed_in_w": 3000.0}}) as site:
        assert site.controls is not None
        await browser.visit(site.url("/"), languages)
        await browser.until_live()
        await browser.run(f"sessionStorage.setItem('opendtu-dcload token', {json.dumps(TOKEN)})")
        await browser.run("document.querySelector('[data-v=change]').click()")
        shown = await browser.run("document.querySelector('[name=max_feed_in_w]').value")
        assert shown.startswith("3")
        await browser.run(f"document.querySelector('[name=max_feed_in_w]').value = {json.dumps(_next(shown))}")
        await browser.run("document.querySelector('[data-v=edit-form] [type=submit]').click()")
        said = await browser.until("document.querySelector('[data-v=said]').textContent")
        assert said in {"Saved.", "Gespeichert."}
        assert site.controls.overrides().max_feed_in_w == 2000


def _next(shown: str) -> str:
    return shown.replace("3", "2")


async def test_every_way_to_write_a_number_is_read(browser: Browser, tmp_path: Path) -> None:
    """With its unit and without, by the rules of every country whose language the page speaks."""
    async with served(tmp_path) as site:
        await browser.visit(site.url("/"))
        await browser.until_live()
        misread = await browser.run(
            f"""import("/set_points.js").then(({{ number }}) => {json.dumps(REGIONS)}.flatMap((tag) =>
                [-500, -0.5, 0, 35, 800, 999, 1000, 3000, 12500].flatMap((value) => {{
                  const shown = new Intl.NumberFormat(tag).format(value);
                  const texts = [shown, shown.replace("-", "\\u2212"), `${{shown}}\\u00a0W`, ` ${{shown}} W `];
                  const read = (text) => {{ try {{ return number(text) }} catch {{ return null }} }};
                  return texts.filter((text) => read(text) !== value).map((text) => [tag, value, text]);
                }})))"""
        )
        assert misread == []


@pytest.mark.parametrize(("language", "there"), [("en", ["Grid", "Battery"]), ("de", ["Netz", "Batterie"])])
async def test_a_plant_without_inverters_shows_none(
    browser: Browser, tmp_path: Path, language: str, there: list[str]
) -> None:
    async with served(tmp_path, plant={"inverter": []}) as site:
        site.state.set_alarms(())
        site.state.set_plan(Plan(site.clock(), 0.0, 0.0, Reason.READ_ONLY))
        await browser.visit(site.url("/"), language)
        await browser.until_live()
        shown = await browser.run(SHOWN)
        assert [title for title in shown if title in there] == [there[0], there[1], there[0]]
        await browser.run("document.querySelector('[data-list=events]').remove()")
        said = await browser.text("body")
        reason = await browser.text("[data-v=reason]")
        for word in ("Token", "token", "nverter", "echselrichter", "House", "Haus", "ommands", "Befehle", "Soll"):
            assert word not in said.replace(reason, "")
        assert browser.complaints == []


async def test_after_the_clock_was_set_back_the_plots_go_on(browser: Browser, tmp_path: Path) -> None:
    async with served(tmp_path) as site:
        await browser.visit(site.url("/"))
        await browser.until("document.querySelectorAll('.plot svg').length === 3")
        browser.requests.clear()
        site.wall[0] = -timedelta(hours=3)
        site.clock.now_s += 60.0
        shown = "document.querySelector('#plots tbody th').textContent.slice(-5)"
        now = "new Date(Date.now() - 3 * 3600e3).toTimeString().slice(0, 5)"
        before = "new Date(Date.now() - 3 * 3600e3 - 60e3).toTimeString().slice(0, 5)"
        await browser.until(f"[{now}, {before}].includes({shown})")
        assert browser.requests.count(site.url("/api/history")) == 1


async def test_a_day_of_which_little_is_known_is_marked(browser: Browser, tmp_path: Path) -> None:
    for date, known_s in (("2026-01-01", 86395), ("2026-01-02", 300)):
        day = {"date": date, "exported_wh": 1, "avoidable_import_wh": 2, "imported_wh": 3, "commands": 4}
        with (tmp_path / FILE_NAME).open("a") as file:
            file.write(json.dumps(day | {"known_s": known_s}) + "\n")
    async with served(tmp_path) as site:
        await browser.visit(site.url("/"))
        await browser.until_live()
        known = "[...document.querySelectorAll('[data-list=days] tr')].map((row) => row.children[1].textContent)"
        assert await browser.run(known) == ["5\N{NO-BREAK SPACE}min", "the whole day"]
        title = "The 2 days before, known for 1\N{NO-BREAK SPACE}d"
        assert await browser.text("[data-v=days-title]") == title
