"""What people see of the page, in a real browser and of the real program."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.doubles.until import until
from tests.web.browser.browser import DESKTOP, PHONE, Browser
from tests.web.browser.conftest import HOSTILE, ROOT, TOKEN, Program

pytestmark = pytest.mark.realtime

NARROW = (320, 640)
ARTEFACTS = ROOT / "artefacts"
NUMBERS = "[...document.querySelectorAll('.tile:not([hidden]) .big, .card .big')].map((e) => e.textContent)"


@pytest.mark.parametrize("language", ["en", "de"])
async def test_everybody_can_read_it(browser: Browser, program: Program, axe: str, language: str) -> None:
    for theme in ("light", "dark"):
        await browser.visit(program.url, language, theme)
        await browser.until_live()
        await browser.until("document.querySelectorAll('.plot svg').length === 3")
        for size, device in ((DESKTOP, "desktop"), (PHONE, "phone")):
            await browser.resize(size)
            await browser.picture(ARTEFACTS / f"{language}-{theme}-{device}.png")
        assert await browser.run("document.documentElement.lang") == language
        await browser.resize(NARROW)
        await browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true })")
        await browser.run("document.querySelector('[data-v=change]').click()")
        assert await browser.run("document.documentElement.scrollWidth") == NARROW[0]
        assert await _too_wide(browser) == []
        await browser.run(axe)
        assert await _violations(browser) == []
        assert browser.complaints == []
        origins = {urlsplit(url)[:2] for url in browser.requests if not url.startswith("about:")}
        assert origins == {urlsplit(program.url)[:2]}


async def _violations(browser: Browser) -> list[Any]:
    """Return what axe-core finds against WCAG 2.2 AA and its own good practice."""
    found = await browser.run(
        "axe.run().then((said) => said.violations.map((v) => [v.id, v.nodes.map((n) => n.html + n.failureSummary)]))"
    )
    assert isinstance(found, list)
    return found


async def _too_wide(browser: Browser) -> Any:
    """Return what reaches beyond the window, except in a table that may be moved sideways."""
    return await browser.run(
        "[...document.querySelectorAll('main *')].filter((e) => !e.closest('.wide, svg') && "
        "e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 200))"
    )


async def test_it_shows_live_values_at_once_and_goes_on_by_itself(browser: Browser, program: Program) -> None:
    await until(lambda: abs(program.devices.house.grid_w) < 40)
    await browser.visit(program.url)
    await browser.until_live()
    took_ms = await browser.run(
        "performance.getEntriesByName('first-state')[0].startTime - "
        "performance.getEntriesByType('navigation')[0].responseStart"
    )
    print(f"live values {took_ms:.0f} ms after the first byte")  # told, not judged: it tells of the machine
    asked = [url for url in browser.requests if url.endswith(("/api/state", "/api/stream"))]
    assert asked == [f"{program.url}api/stream"], "the first event brings all that is shown"
    shown = await browser.run(NUMBERS)
    assert len(shown) == 6
    assert "\N{EN DASH}" not in shown
    await browser.until("document.querySelector('[data-v=reason]').textContent === 'Regulating'")
    await browser.run("window.isSame = true")

    program.devices.house.load_w = [520.0]
    await browser.until("/^5\\d\\d/.test(document.querySelector('[data-v=load]').textContent)")
    await browser.until("/^(4[5-9]|5)\\d/.test(document.querySelector('[data-v=output]').textContent)")
    assert await browser.run("window.isSame") is True

    async def pointed() -> re.Match[str] | None:
        """Point at the latest moment: the page may have been drawn anew since it was looked for."""
        right, top = await browser.run(
            "(() => { const plot = document.querySelector('#plot-load svg'); plot.scrollIntoView({ block: 'center' });"
            "const { right, top } = plot.getBoundingClientRect(); return [right, top] })()"
        )
        for beside in (12, 11):
            await browser.command("Input.dispatchMouseEvent", type="mouseMoved", x=right - beside, y=top + 60)
        said = await browser.run("document.querySelector('text.pointed')?.textContent ?? ''")
        return re.fullmatch(r"\d\d:\d\d:\d\d +House [45]\d\d\sW", said)

    await browser.until_so(pointed)

    await browser.run("document.querySelector('input[value=day]').click()")
    day = await browser.run("document.querySelector('#plot-load .plot svg').getAttribute('aria-label')")
    assert re.match(r"House: (nothing is known yet|mean \d+)", day)  # whether a minute is over yet
    assert browser.complaints == []


async def test_while_the_service_is_away_nothing_old_passes_for_new(browser: Browser, program: Program) -> None:
    await browser.visit(program.url)
    await browser.until_live()
    await browser.run("window.isSame = true")
    await program.stop()
    await browser.until("document.documentElement.dataset.values === 'old'")
    assert "Old values: all of this is from" in await browser.text("#old")
    assert await browser.text("#link") == "old values"
    struck = "getComputedStyle(document.querySelector('.tile .big')).textDecorationLine"
    assert await browser.run(struck) == "line-through"
    assert await browser.text("#spoken") == "The service does not answer: old values."

    browser.requests.clear()
    await program.start()
    await browser.until_live()
    assert await browser.text("#old") == ""
    assert await browser.run(struck) == "none"
    await browser.until_so(lambda: _is_asked(browser, f"{program.url}api/history"))
    assert await browser.run("window.isSame") is True


async def _is_asked(browser: Browser, url: str) -> bool:
    return url in browser.requests


async def test_what_a_device_says_is_never_markup(browser: Browser, program: Program) -> None:
    await browser.visit(program.url)
    await browser.until_live()
    await browser.until(f"document.body.innerText.includes({json.dumps(HOSTILE)})")
    document = await browser.run("fetch('/api/state').then((answer) => answer.json())")
    hostile = _with_hostile_texts(document)
    hostile["alarms"] = [
        {"cause": HOSTILE, "subject": HOSTILE, "severity": "alarm", "text": HOSTILE, "since_s": 1, "link": HOSTILE},
        {
            "cause": HOSTILE,
            "subject": "",
            "severity": "alarm",
            "text": "x",
            "since_s": 1,
            "link": "javascript:alert(1)",
        },
    ]
    row = {"at": document["at"], "subject": HOSTILE, "name": HOSTILE, "text": HOSTILE, "lasted_s": 1}
    await browser.run(
        f"""Promise.all(["now", "tables", "set_points"].map((name) => import(`/${{name}}.js`)))
            .then(([now, tables, points]) => {{
              const state = {json.dumps(hostile)};
              now.showNow(state, 0);
              tables.showTotals(state);
              tables.showDevices(state);
              new tables.Events().replace([{json.dumps(row)}], state);
              new points.SetPoints().show(state);
            }})"""
    )
    assert await browser.run("document.querySelectorAll('main img, main script, main [onerror]').length") == 0
    assert await browser.run("document.title") == "opendtu-dcload"
    assert await browser.run("[...document.links].filter((a) => !/^https?:/.test(a.href)).map((a) => a.href)") == []
    assert browser.complaints == []


def _with_hostile_texts(value: Any) -> Any:
    """Return the document with each text in it as a device or a bus might say it; times and words of ours stay."""
    if isinstance(value, dict):
        ours = ("at", "date", "health", "severity", "kind")
        return {key: part if key in ours else _with_hostile_texts(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_with_hostile_texts(part) for part in value]
    return HOSTILE if isinstance(value, str) else value


async def test_a_reason_leads_to_its_explanation(browser: Browser, program: Program, axe: str) -> None:
    await browser.visit(program.url, theme="dark", size=NARROW)
    await browser.until_live()
    await browser.until(
        "document.querySelector('[data-v=reason]').textContent === 'Regulating' && "
        "(document.querySelector('[data-v=reason-link]').click(), true)"
    )
    await browser.until("document.querySelector('dt:target') !== null")
    assert await browser.text("dt:target + dd") == "The inverters follow the house."
    assert await browser.run("document.documentElement.scrollWidth") == NARROW[0]
    await browser.run(axe)
    assert await _violations(browser) == []


async def test_waiting_goes_on_while_a_page_gives_way_to_another(browser: Browser, program: Program) -> None:
    await browser.visit(program.url)
    await browser.until_live()
    await browser.until("location.hash === '#left' || (location.replace('/?#left'), new Promise(() => {}))")


async def test_set_points_are_changed_by_keyboard_with_the_token_alone(browser: Browser, program: Program) -> None:
    await browser.visit(program.url, "de")
    await browser.until_live()
    assert "0\N{NO-BREAK SPACE}W" in await browser.text("#set-points")
    await browser.run("document.querySelector('[data-v=change]').focus()")
    await browser.press("Enter")
    await browser.type("not-the-token")
    await browser.press("Enter")
    await browser.until("document.querySelector('[data-v=said]').textContent")
    wrong = await browser.text("[data-v=said]")
    assert wrong == "Das Token ist falsch: Sieh im Abschnitt [web] der config.toml nach."
    assert await browser.run("sessionStorage.length") == 0

    await browser.run("document.getElementById('token').value = ''; document.getElementById('token').focus()")
    await browser.type(TOKEN)
    await browser.press("Enter")
    await browser.until("document.activeElement.name === 'is_regulating'")
    await browser.press("Tab")
    await browser.run("document.activeElement.select()")
    await browser.type("\N{MINUS SIGN}35")
    await browser.press("Tab")
    await browser.press("Tab")
    await browser.press("Space")
    await browser.press("Enter")
    await browser.until("document.querySelector('[data-v=said]').textContent === 'Gespeichert.'")
    await browser.until("document.querySelector('#set-points').innerText.includes('\\u221235\\u00a0W')")
    is_known = "fetch('/api/state').then((it) => it.json()).then((it) => it.set_points.grid_target_w === -35)"
    await browser.until_so(lambda: browser.run(is_known))
    set_now = (await browser.run("fetch('/api/state').then((answer) => answer.json())"))["set_points"]
    assert set_now["is_regulating"] is True
    assert [each["is_enabled"] for each in set_now["inverters"].values()] == [False, True]
    assert await browser.run("[localStorage.length, document.cookie]") == [0, ""]

    await browser.press("Enter")
    await browser.until("document.activeElement.name === 'is_regulating'")
    await browser.press("Tab")
    await browser.run("document.activeElement.select()")
    await browser.type("9.999")
    await browser.press("Enter")
    await browser.until("document.querySelector('[data-v=said]').textContent.includes('zwischen')")
    assert TOKEN not in await browser.run("document.documentElement.outerHTML")


async def test_the_reader_is_told_what_matters_and_not_every_number(browser: Browser, program: Program) -> None:
    await until(lambda: abs(program.devices.house.grid_w) < 40)  # so that no reason of the start is news
    await browser.visit(program.url, "de")
    await browser.until_live()
    await browser.run(
        "window.told = []; new MutationObserver(() => told.push(document.getElementById('spoken').textContent))"
        ".observe(document.getElementById('spoken'), { childList: true, characterData: true, subtree: true })"
    )
    before = await browser.run(NUMBERS)
    await browser.until(f"{NUMBERS}.join() !== {json.dumps(','.join(before))}")
    assert await browser.run("window.told") == []

    await program.devices.meter.stop()
    await browser.until("window.told.length")
    assert await browser.run("window.told") == ["Zählerwert veraltet: Es geht auf die Grundlast zurück"]
    assert await browser.text("[data-v=grid]") == "\N{EN DASH}"
