"""What a user finds on the GX to set, written by dbus-python as the screen, MQTT and the command line do."""

import asyncio
import logging

import pytest

from opendtu_dcload.model import Plan, Reason, UserOverrides
from opendtu_dcload.venus.gx.gx_control import FOLDER
from tests.doubles.until import until
from tests.venus.gx.one_start import (
    CARDS,
    FEED_IN,
    FIRST,
    KEPT,
    KEYS,
    METER,
    NUMBERS,
    PLAIN,
    SECOND,
    SERIALS,
    SWITCH,
    TEXTS,
    OneStart,
    gx,
    write,
)

__all__ = ["gx"]  # fixtures


async def test_every_card_has_what_the_screen_needs_to_show_it(gx, client):
    async with gx.running(client):
        for name, base, leaf in CARDS:
            items = (await client.call(name, "/", "GetItems"))["ok"]
            card = {path.removeprefix(base + "/"): e["Value"][1] for path, e in items.items() if path.startswith(base)}
            assert card["Name"]
            assert isinstance(card[leaf], int)
            assert card["Settings/ValidTypes"] == 1 << card["Settings/Type"]
            assert card["Status"] == 9
            if leaf == "Dimming":
                assert card["Settings/DimmingMin"] <= card[leaf] <= card["Settings/DimmingMax"]
                assert card["Settings/Unit"] == "W"
        assert await client.get(SWITCH, "/SwitchableOutput/max_feed_in/Settings/DimmingMax") == ["i", 800]
        assert await client.get(SWITCH, "/SwitchableOutput/target/Settings/DimmingMin") == ["i", -500]
        assert await client.get(SWITCH, "/State") == ["i", 0x100]


@pytest.mark.parametrize(
    ("kind", "value", "answer", "holds"),
    [
        pytest.param("i", 400, 0, 400, id="MQTT integer"),
        pytest.param("x", 400, 0, 400, id="long integer"),
        pytest.param("d", 399.6, 0, 400, id="decimal: rounded"),
        pytest.param("s", "400", 0, 400, id="command line text"),
        pytest.param("b", True, 0, 1, id="boolean"),
        pytest.param("i", 801, 0, 800, id="above the file's cap: clamped"),
        pytest.param("d", 1e12, 0, 800, id="far above"),
        pytest.param("i", -1, 0, 0, id="below zero: clamped"),
        pytest.param("d", float("nan"), 1, 800, id="no number"),
        pytest.param("s", "much", 1, 800, id="words"),
        pytest.param("ai", [], 1, 800, id="veutil's bare invalid"),
        pytest.param("as", ["400"], 1, 800, id="a list"),
    ],
)
async def test_what_is_written_to_the_feed_in(gx, client, kind, value, answer, holds):
    async with gx.running(client):
        assert await write(client, METER, "/MaxFeedIn", kind, value) == answer
        assert await client.get(METER, "/MaxFeedIn") == ["i", holds]
        assert await client.get(SWITCH, FEED_IN) == ["i", holds], "the card shows the same"
        await until(lambda: gx.state.overrides.max_feed_in_w == (None if holds == 800 else holds))


@pytest.mark.parametrize(
    ("kind", "value", "answer", "holds"),
    [
        ("i", 0, 0, 0),
        ("b", False, 0, 0),
        ("s", "0", 0, 0),
        ("d", 1.0, 0, 1),
        ("i", 2, 2, 1),
        ("x", -1, 2, 1),
        ("ai", [], 1, 1),
        ("s", "off", 1, 1),
    ],
)
async def test_what_is_written_to_a_switch(gx, client, kind, value, answer, holds):
    async with gx.running(client):
        assert await write(client, SWITCH, f"/SwitchableOutput/opendtu_{SERIALS[0]}/State", kind, value) == answer
        assert await client.get(FIRST, "/Enabled") == ["i", holds]
        assert await client.get(SWITCH, f"/SwitchableOutput/opendtu_{SERIALS[0]}/Status") == ["i", 9 if holds else 0]
        assert await client.get(SECOND, "/Enabled") == ["i", 1]
        await until(lambda: gx.state.overrides.switched_off == (set() if holds else {SERIALS[0]}))


async def test_every_control_becomes_a_wish_and_all_are_restored_at_the_next_start(gx, client, daemon, localsettings):
    localsettings.start()
    wanted = UserOverrides(
        is_regulating=False,
        max_feed_in_w=300.0,
        target_w=-20.0,
        switched_off=frozenset({SERIALS[1]}),
        highest_soc_pct=80.0,
        surplus_soc_pct=95.0,
    )
    values = [0, 300, -20, 1, 0, 80, 95]
    async with gx.running(client):
        assert gx.state.overrides == UserOverrides()
        assert {path: localsettings.values[f"/Settings/OpenDtuDcload/{path}"] for path in KEPT} == KEPT
        for place, value in zip(PLAIN, values, strict=True):
            assert await write(client, *place, "i", value) == 0
        await until(lambda: gx.state.overrides == wanted)
        gx.later(599.0)
        await until(lambda: len(localsettings.written) == 2)  # the switches
        assert {value for _, value in localsettings.written} == {0}
        gx.later(1.0)
        await until(lambda: len(localsettings.written) == 6)
    again = OneStart(daemon.address)
    async with again.running(client):
        assert again.state.overrides == wanted
        for place, value in zip(PLAIN, values, strict=True):
            assert await client.get(*place) == ["i", value]
    lower = OneStart(daemon.address, max_feed_in_w=200.0)
    async with lower.running(client):
        assert lower.state.overrides.max_feed_in_w is None, "the file's lower cap rules"
        assert await client.get(METER, "/MaxFeedIn") == ["i", 200]


async def test_all_outputs_stand_in_one_service_those_of_the_inverters_in_one_group_after_the_plants(gx, client):
    async with gx.running(client):
        outputs: dict[tuple[str, str], str] = {}
        for name in (SWITCH, METER, FIRST, SECOND):
            items = (await client.call(name, "/", "GetItems"))["ok"]
            outputs |= {
                (name, path.split("/")[2]): items[f"{path.rpartition('/')[0]}/Settings/Group"]["Value"][1]
                if f"{path.rpartition('/')[0]}/Settings/Group" in items
                else ""
                for path in items
                if path.startswith("/SwitchableOutput/") and path.endswith("/Name")
            }
        assert outputs == {
            **{(SWITCH, output): "" for output in ("reason", "regulation", "max_feed_in", "target", "alarms")},
            **{(SWITCH, f"opendtu_{serial}"): "Inverters" for serial in SERIALS},
        }
        assert await client.get(SWITCH, "/CustomName") == ["s", "Feed-in control"], "before those of the inverters"
        for number, serial in enumerate(SERIALS):
            assert await client.get(SWITCH, f"/SwitchableOutput/opendtu_{serial}/Name") == ["s", f"Inverter {number}"]


async def test_the_reason_is_a_line_on_the_screen(gx, client):
    base = "/SwitchableOutput/reason"
    async with gx.running(client):
        assert await client.get(SWITCH, f"{base}/Settings/Labels") == ["as", ["---"]]
        gx.state.set_plan(Plan(gx.now_s, 208.0, 800.0, Reason.FEED_IN_CAP))
        await until(lambda: gx.switch.service.value(f"{base}/Settings/Labels") == [Reason.FEED_IN_CAP])
        assert await client.get(SWITCH, f"{base}/Settings/Labels") == ["as", ["feed-in cap reached"]]
        assert await client.get(SWITCH, f"{base}/Settings/Type") == ["i", 6]
        assert await client.get(SWITCH, f"{base}/Settings/ValidTypes") == ["i", 64]
        assert await write(client, SWITCH, f"{base}/Dimming", "i", 0) == 0
        assert await write(client, SWITCH, f"{base}/Dimming", "i", 1) == 2


async def test_position_of_the_meter_can_be_set_and_is_kept(gx, client, daemon, localsettings):
    localsettings.start()
    async with gx.running(client):
        assert await client.get(METER, "/Position") == ["i", 1]
        assert await write(client, METER, "/Position", "i", 2) == 2
        assert await write(client, METER, "/Position", "i", 0) == 0
    again = OneStart(daemon.address)
    async with again.running(client):
        assert await client.get(METER, "/Position") == ["i", 0]


async def test_a_written_value_is_told_at_once_and_not_at_the_next_round(gx, client):
    async with gx.running(client):
        gx.switch.service._min_interval_s = 3600.0
        await write(client, SWITCH, FEED_IN, "i", 500)
        while True:
            told = (await client.signal())["body"][0]
            if FEED_IN in told:
                break
    assert told[FEED_IN]["Value"] == ["i", 500]


async def test_a_slider_that_is_dragged_makes_few_signals_and_few_decisions(gx, client):
    async with gx.running(client):
        loop = asyncio.get_running_loop()
        decided = 0
        set_overrides = gx.state.set_overrides

        def count(overrides):
            nonlocal decided
            decided += 1
            set_overrides(overrides)

        gx.state.set_overrides = count
        began_s = loop.time()
        for watts in range(200, 400):
            await client.do("notify", name=SWITCH, path=FEED_IN, member="SetValue", signature="v", args=[["i", watts]])
        await until(lambda: gx.state.overrides.max_feed_in_w == 399)
        dragged_s = loop.time() - began_s
        assert await client.get(SWITCH, FEED_IN) == ["i", 399]
        assert decided <= dragged_s / 0.25 + 2
        told: list[int] = []
        while not told or told[-1] != 399:
            body = (await client.signal())["body"][0]
            told += [body[FEED_IN]["Value"][1]] if FEED_IN in body else []
        assert len(told) <= dragged_s / 0.2 + 2


# ---- whatever anybody writes


@pytest.mark.parametrize("storms", [1, pytest.param(10, marks=pytest.mark.long)])
async def test_after_thousands_of_odd_writes_everything_is_in_order(gx, client, localsettings, caplog, storms):
    caplog.set_level(logging.WARNING)
    localsettings.start()
    async with gx.running(client):
        items = {name: (await client.call(name, "/", "GetItems"))["ok"] for name in (SWITCH, METER, FIRST, SECOND)}
        writable = [*NUMBERS, *TEXTS]
        places = [[*place, key] for place, key in zip(NUMBERS, KEYS, strict=True)]
        places += [[name, path, name + path] for name, path in TEXTS]
        outcome = {"0": 0}
        for seed in range(storms):
            gx.later(450.0)
            told = (await client.do("storm", places=places, count=1000, seed=seed))["ok"]
            assert told["wrong"] == []
            for answer, count in told["answers"].items():
                outcome[answer] = outcome.get(answer, 0) + count
        assert sum(outcome.values()) == 1000 * storms
        assert set(outcome) == {"0", "1", "2"}
        now = {name: (await client.call(name, "/", "GetItems"))["ok"] for name in items}
        for name, path in writable:
            entry = now[name][path]
            assert entry["Value"][0] == items[name][path]["Value"][0]
            if "Min" in entry:
                assert entry["Min"][1] <= entry["Value"][1] <= entry["Max"][1]
        await until(lambda: gx.state.overrides == gx.controls.overrides())
        assert (gx.state.overrides.max_feed_in_w or 0) <= 800
        for path, setting in gx.settings._settings.items():
            is_pending = setting.write_limiter.next_s is not None
            assert is_pending or setting.value == localsettings.values[path], path
        controls = [path for path, _ in localsettings.written if path.removeprefix(FOLDER + "/") in KEPT]
        assert len(controls) <= 2 * (4 * 6 + 4 * 30), "6 of each number, 30 of each switch in each of the two hours"
        gx.later(100_000.0)
        for _ in range(20):
            gx.later(3600.0)
            await asyncio.sleep(0.01)
        await until(lambda: all(s.value == localsettings.values[p] for p, s in gx.settings._settings.items()))
    assert caplog.text == ""


async def test_every_path_answers_get_items_get_value_and_the_tree(gx, client):
    async with gx.running(client):
        for name in (SWITCH, METER, FIRST, SECOND):
            items = (await client.call(name, "/", "GetItems"))["ok"]
            tree = (await client.call(name, "/", "GetValue"))["ok"]
            assert {f"/{path}": value for path, value in tree.items()} == {p: e["Value"] for p, e in items.items()}
            for path, entry in items.items():
                assert await client.get(name, path) == entry["Value"], path


@pytest.mark.parametrize("kind", ["i", "d", "s", "b", "x", "ai"])
async def test_every_writable_path_answers_every_type_and_every_other_refuses_it(gx, client, kind):
    value = {"i": 1, "d": 1.0, "s": "1", "b": True, "x": 1, "ai": []}[kind]
    answer = 1 if kind == "ai" else 0
    async with gx.running(client):
        for name, path in [*NUMBERS, *TEXTS]:
            assert await write(client, name, path, kind, value) == answer, (name, path)
        for name in (SWITCH, METER, FIRST, SECOND):
            paths = set((await client.call(name, "/", "GetItems"))["ok"])
            for path in paths - {path for other, path in [*NUMBERS, *TEXTS] if other == name}:
                # writeable, but this is none of the roles, or there is but one choice
                is_odd = path in {"/Role", "/SwitchableOutput/reason/Dimming"} and kind != "ai"
                refused = 2 if is_odd else 1
                assert await write(client, name, path, kind, value) == refused, (name, path)
