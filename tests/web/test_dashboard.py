"""The dashboard, as a real browser shows it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from daemon.event_stream import MAX_CLIENTS
from daemon.http import build_app, serve
from tests import statuses
from tests.statuses import CannedView
from tests.web.chromium import Chromium, Tab
from tests.web.conftest import OpenPage

Make = Callable[[], dict[str, Any]]

SHOWN: dict[Make, tuple[str, list[str]]] = {
    statuses.snapshot: (
        "busy",
        [
            "Snapshot 1 of 4 tables copied, about 13 min left.",
            "Not ready for cutover The copy of 3 tables is not complete. No heartbeat has arrived yet.",
            "Copying the tables 23 % 405,057 of about 1,737,387 rows",
            "1 of 4 tables done 1,825 rows/s",
            "Pending changes 5,120 applied after the copy",
            "Heartbeat age – none has arrived yet",
            "23 % of the rows copied",
            "order_items copying 160,539 of 1,284,310, 13 min left",
            "orders copying 206,404 of 412,808, 4 min left",
            "Order Details pending 0 of 2,155",
            "customers copied 38,114",
            "Rows copied, changes captured",
        ],
    ),
    statuses.catch_up: (
        "busy",
        ["Catching up The copy is complete.", "8,412 to go", "4 tables, all copied"],
    ),
    statuses.streaming: (
        "ok",
        [
            "Streaming Changes reach PostgreSQL as they are made.",
            "Not ready for cutover The last verification is older than one hour.",
            "Oldest unapplied 50 ms",
            "/data/app.db → goes to schema public Streaming",
            "Change log 37 entries SQLite file 700 MiB Journal WAL, 4.0 MiB Disk free 50 GiB",
        ],
    ),
    statuses.ready: (
        "ok",
        [
            "Streaming PostgreSQL has every change.",
            "Ready for cutover Writers would wait for about 40 ms. Run liteferry cutover to switch.",
            "Predicted pause 40 ms",
        ],
    ),
    statuses.lagging: (
        "warn",
        [
            "Streaming, behind PostgreSQL is 42 s behind; about 3 min to catch up.",
            "/data/app.db: 18344 changes are pending, 1000 are allowed.",
            "Pending changes 18,344",
            "Oldest unapplied 42 s behind",
            "Heartbeat age 45 s overdue",
            "42 s behind Preflight",
            "Catch-up 3 min until nothing is pending",
            "Captured 910/s changes in SQLite Applied 790/s changes to PostgreSQL",
            "order_items streaming 1,284,310 15,201 12,843 0 1 h ago",
        ],
    ),
    statuses.target_away: (
        "bad",
        [
            "Streaming, target away Changes are kept in the source's change log",
            "Error PostgreSQL cannot be reached. Connection to 10.0.0.5:5432 was refused.",
            "Oldest unapplied 1 min 15 s behind",
            "PostgreSQL not reachable",
            "Predicted pause – not known yet",
        ],
    ),
    statuses.cut_over: (
        "ok",
        [
            "Cut over PostgreSQL takes the writes; SQLite is closed for them.",
            "Cutover done 22 Nov,",
            "Writers waited for 31 ms.",
            "lock 4 ms drain 11 ms verify 9 ms sequences 3 ms fence 4 ms",
            "Cutover pause 31 ms as measured",
            "2 changes to bring back",
            "The way back To bring back 2 changes of PostgreSQL Oldest of them 100 ms waits for SQLite",
            "Rollback Ready for rollback",
            "Brought back per second",
            "4 tables, all on PostgreSQL",
        ],
    ),
    statuses.rolled_back: (
        "idle",
        [
            "Rolled back SQLite takes the writes again.",
            "Rollback , done",
            "SQLite again , now",
            "Rollback done 22 Nov,",
            "Writers waited for 62 ms. guard 6 ms drain 21 ms verify 14 ms decision 19 ms",
            "Cutover done 22 Nov,",
        ],
    ),
    statuses.throttled: (
        "busy",
        [
            "Snapshot, throttled",
            "Throttled Copying and comparing are held back to 500 rows/s and 25 % of full speed:",
            "the WAL of the source has 288 MiB.",
        ],
    ),
    statuses.paused: (
        "warn",
        [
            "Paused Paused. Changes are kept in the source and follow when resumed.",
            "Streaming , stopped here",
        ],
    ),
    statuses.verifying: (
        "warn",
        [
            "Warning 1 row in quarantine: values that PostgreSQL cannot hold.",
            "Warning The last verification found differences.",
            "Notice /data/old.db is not replicated: it is no SQLite file.",
            "Under way (full): 20 % of 453,077 rows, now orders, about 20 s left.",
            "customers streaming 38,114 0 381 0 1 h ago, different",
            "Order Details streaming 2,155 0 21 0 not yet",
        ],
    ),
    statuses.failed: (
        "bad",
        [
            "Failed The migration stopped and needs you.",
            "Error Table 'orders', key 17, column 'total': a value of type text cannot be stored.",
            "Streaming , stopped here",
        ],
    ),
    statuses.minimal: (
        "idle",
        ["New Nothing has been started yet.", "Pending changes – not known yet", "PostgreSQL –"],
    ),
    statuses.many_sources: (
        "warn",
        [
            "Pending changes 902",
            "/data/.nomic/knowledge.db → goes to schema knowledge Streaming",
            "/data/.nomic/users.db → goes to schema users Catching up",
            "34 tables, all streaming",
        ],
    ),
}


@pytest.mark.parametrize("make", SHOWN, ids=lambda make: make.__name__)
async def test_every_situation_is_shown_in_words_and_colour(open_page: OpenPage, make: Make) -> None:
    """The page says what the status means; colour only repeats it."""
    tone, expected = SHOWN[make]
    async with open_page(CannedView(make(), statuses.history())) as tab:
        seen = await tab.text()

        assert [line for line in expected if line not in seen] == [], seen
        assert await tab.evaluate("document.getElementById('state').dataset.tone") == tone
        assert tab.errors == []


async def test_page_asks_nobody_but_its_daemon(open_page: OpenPage) -> None:
    """Everything comes from the one address, so the page works offline."""
    async with open_page(CannedView(statuses.ready())) as tab:
        origin = await tab.evaluate("location.origin")

        assert len(tab.requests) > 5
        assert [url for url in tab.requests if not url.startswith(f"{origin}/")] == []


async def test_changes_appear_without_reloading_and_are_announced(open_page: OpenPage) -> None:
    """A new state reaches the page, its list of events and the screen reader."""
    view = CannedView(statuses.snapshot())
    async with open_page(view) as tab:
        view.current = statuses.ready()
        await tab.wait_for("document.getElementById('state-word').innerText === 'Streaming'")

        assert await tab.evaluate("document.getElementById('announce').ariaLive") == "polite"
        announced = await tab.evaluate("document.getElementById('announce').textContent")
        assert announced == "State: Streaming. Ready for cutover."
        assert await tab.evaluate("document.getElementById('copy').hidden")
        assert "Rows copied" not in await tab.text("#chart-rates")


async def test_events_of_the_daemon_are_listed_the_newest_first(open_page: OpenPage) -> None:
    """Each is fetched once, a daemon that was restarted counts anew, and nothing of it is lost."""
    told = statuses.events()
    view = CannedView({**statuses.ready(), "last_event": 3}, told=told[:3])
    async with open_page(view) as tab:
        await tab.wait_for("document.getElementById('events').children.length === 3")
        view.told, view.current = told, {**view.current, "last_event": len(told)}
        await tab.wait_for(f"document.getElementById('events').children.length === {len(told)}")
        assert "Ready for cutover, predicted pause 40 ms. " in await tab.text("#events")
        assert "Warning Waiting: connection to 10.0.0.5:5432 was refused." in await tab.text("#events")

        view.told = [statuses.event(1, -5, "streaming, before preflight")]
        view.current = {**view.current, "last_event": 1, "started_at": statuses.ago(0)}
        await tab.wait_for(f"document.getElementById('events').children.length === {len(told) + 1}")
        assert "Streaming, before preflight." in await tab.text("#events li")


async def test_states_are_listed_with_their_times(open_page: OpenPage) -> None:
    """When the migration entered each state, and for how long it was there."""
    async with open_page(CannedView(statuses.cut_over())) as tab:
        seen = await tab.text("#timeline")
        words = [word for word in ("Cut over", "Cutting over", "Streaming") if word in seen]
        assert words == ["Cut over", "Cutting over", "Streaming"]
        assert "for 40 ms" in seen and "for 2 h 23 min" in seen
        assert "for 7 min now" in seen or "for 8 min now" in seen


async def test_lost_connection_is_said_and_found_again(chromium: Chromium) -> None:
    """Old figures are marked as old while the daemon is away, and the mark goes when it is back."""
    view = CannedView(statuses.ready())
    async with chromium.tab() as tab:
        async with serve(build_app(view), "127.0.0.1", 0) as (host, port):
            await tab.go(f"http://{host}:{port}/")
            await tab.wait_for("!document.body.hasAttribute('data-waiting')")
        await tab.wait_for("!document.getElementById('lost').hidden")

        assert "The daemon does not answer. The figures below are from" in await tab.text("#lost")
        assert await tab.evaluate("document.getElementById('lost-text').role") == "alert"
        age = "document.getElementById('lost-age').innerText"
        await tab.wait_for(f"/They are [2-9] s old/.test({age}.replace('.0', ''))")
        assert "Lost, figures" in await tab.text("#freshness")
        async with serve(build_app(view), host, port):
            await tab.wait_for("document.getElementById('lost').hidden")

            assert "Live" in await tab.text("#freshness")
            assert "This page reaches the daemon again." in await tab.text("#events")


async def test_page_polls_when_it_gets_no_event_stream(chromium: Chromium) -> None:
    """More pages than streams are allowed still show the present status."""
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(
            serve(build_app(CannedView(statuses.ready())), "127.0.0.1", 0)
        )
        origin = "http://{}:{}".format(*address)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        for _ in range(MAX_CLIENTS):
            await stack.enter_async_context(session.get(f"{origin}/api/events"))
        tab = await stack.enter_async_context(chromium.tab())
        await tab.go(f"{origin}/")
        await tab.wait_for("document.getElementById('freshness').dataset.link === 'polling'")

        assert await tab.text("#freshness") == "Live, by polling"
        assert await tab.text("#state-word") == "Streaming"


@pytest.mark.parametrize(
    "make",
    [statuses.snapshot, statuses.cut_over, statuses.many_sources, statuses.target_away],
    ids=lambda make: make.__name__,
)
async def test_nothing_is_wider_than_the_window(open_page: OpenPage, make: Make) -> None:
    """The page never scrolls sideways, from a small phone to a screen on the wall."""
    view = CannedView({**make(), "last_event": 10}, statuses.history(), statuses.events())
    async with open_page(view) as tab:
        for width in (320, 360, 640, 820, 1280, 1920):
            await tab.look(width=width)
            over = await tab.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert over <= 0, width


CONTRASTS = """
(() => {
  const paint = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const style = getComputedStyle(document.documentElement);
  const light = (name) => {
    paint.fillStyle = style.getPropertyValue(name);
    paint.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...paint.getImageData(0, 0, 1, 1).data].map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const tones = ["ok", "busy", "warn", "bad", "idle"];
  const pairs = ["text", "muted", "accent", ...tones].flatMap((name) => [[name, "panel"], [name, "page"]]);
  pairs.push(...tones.map((name) => [name, `${name}-soft`]), ["text", "bad-soft"], ["text", "warn-soft"]);
  return pairs.map(([ink, ground]) => [ink, ground, ratio(`--${ink}`, `--${ground}`)]);
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_colours_have_enough_contrast(open_page: OpenPage, scheme: str) -> None:
    """Every colour of text has a ratio of 4.5 to its ground, in both schemes (WCAG 2.2 AA)."""
    async with open_page(CannedView(statuses.ready()), prefers_color_scheme=scheme) as tab:
        assert [pair for pair in await tab.evaluate(CONTRASTS) if pair[2] < 4.5] == []
        ground = await tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == {"light": "rgb(245, 246, 248)", "dark": "rgb(14, 18, 23)"}[scheme]


async def test_nothing_moves_for_those_who_prefer_so(open_page: OpenPage) -> None:
    """Animations and transitions are off when the system asks for reduced motion."""
    view = CannedView(statuses.snapshot())
    async with open_page(view, prefers_reduced_motion="reduce") as tab:
        everything = "[...document.querySelectorAll('*')].map((e) => getComputedStyle(e).animationName)"

        assert set(await tab.evaluate(everything)) == {"none"}


async def roles(tab: Tab) -> set[tuple[str, str]]:
    """Return role and name of everything a screen reader meets."""
    nodes = (await tab.command("Accessibility.getFullAXTree"))["nodes"]
    return {
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    }


async def test_screen_reader_finds_its_way(open_page: OpenPage) -> None:
    """Landmarks, headings, tables and progress bars have their roles and names."""
    async with open_page(CannedView(statuses.snapshot(), statuses.history())) as tab:
        found = await roles(tab)

        assert {role for role, _ in found} >= {"banner", "main", "contentinfo", "status"}
        assert found >= {
            ("heading", "Migration from SQLite to PostgreSQL"),
            ("region", "State"),
            ("region", "Source app.db"),
            ("table", "Tables of app.db"),
            ("rowheader", "orders"),
            ("columnheader", "Rows"),
            ("columnheader", "Verified"),
            ("progressbar", "orders copied"),
            ("progressbar", "Copying the tables"),
            ("slider", "Seconds behind, time to read"),
        }


BARRIERS = (Path(__file__).parent / "barriers.js").read_text()


@pytest.mark.parametrize(
    "make",
    [statuses.snapshot, statuses.verifying, statuses.cut_over, statuses.many_sources],
    ids=lambda make: make.__name__,
)
async def test_nothing_bars_the_way(open_page: OpenPage, make: Make) -> None:
    """Names, captions, scopes, heading levels, unique ids, and keyboard for whatever scrolls."""
    status = {**make(), "last_event": 10}
    async with open_page(CannedView(status, statuses.history(), statuses.events())) as tab:
        await tab.evaluate("document.querySelectorAll('details').forEach((node) => (node.open = true))")
        await tab.wait_for("document.getElementById('events').children.length === 10")
        assert await tab.evaluate(BARRIERS) == []


async def test_focus_can_be_seen(open_page: OpenPage) -> None:
    """Whatever is reached with the keyboard has an outline."""
    async with open_page(CannedView(statuses.ready())) as tab:
        for _ in range(8):
            await tab.press("Tab")
            style = await tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert style == "solid"


async def test_keyboard_reaches_and_works_everything(open_page: OpenPage) -> None:
    """The skip link comes first, arrows read a chart, Enter sorts a table."""
    async with open_page(CannedView(statuses.ready(), statuses.history())) as tab:
        await tab.press("Tab")
        assert await tab.evaluate("document.activeElement.innerText") == "Skip to the status"

        await tab.evaluate("document.querySelector('#chart-seconds .plot').focus()")
        for _ in range(4):
            await tab.press("ArrowLeft")
        read = await tab.evaluate("document.activeElement.ariaValueText")
        assert "Oldest change" in read and "Heartbeat" in read and not read.startswith("now")
        assert await tab.evaluate("document.activeElement.ariaValueNow") == "-60"

        await tab.evaluate("document.querySelector('[data-sort=rows]').focus()")
        await tab.press("Enter")
        assert await tab.evaluate("document.activeElement.parentElement.ariaSort") == "descending"
        assert (await tab.text("#sources tbody")).startswith("order_items")


async def test_chart_shows_the_history_and_breaks_where_there_is_none(open_page: OpenPage) -> None:
    """The line begins fifteen minutes back, and a time without data is a gap, not a straight line."""
    points = statuses.history(pending=500, oldest=9.0)
    holed = [point for i, point in enumerate(points) if not 200 < i < 300]
    async with open_page(CannedView(statuses.streaming(), holed)) as tab:
        await tab.wait_for("document.querySelectorAll('#chart-pending .line').length === 2")
        first, last = "#chart-pending .line", "#chart-pending .line:last-of-type"
        box = "const box = (s) => document.querySelector(s).getBBox();"
        span = await tab.evaluate(f"(() => {{ {box} return [box('{first}').x, box('{last}').width] }})()")

        assert span[0] == pytest.approx(50, abs=3)  # at the left edge
        assert span[1] == pytest.approx(100, abs=8)  # the last five minutes, a third of the width


async def test_chart_answers_the_pointer_in_all_three(open_page: OpenPage) -> None:
    """Pointing into one chart reads the same moment in each."""
    async with open_page(CannedView(statuses.ready(), statuses.history())) as tab:
        x, y = await tab.evaluate(
            "(({x, y, width, height}) => [x + width / 2, y + height / 2])"
            "(document.querySelector('#chart-rates .plot').getBoundingClientRect())"
        )
        await tab.command("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        await tab.wait_for("document.querySelectorAll('.plot .cursor').length === 3")
        times = await tab.evaluate("[...document.querySelectorAll('.chart .time')].map((e) => e.innerText)")

        assert len(set(times)) == 1 and times[0].count(":") == 2


async def test_tables_can_be_searched(open_page: OpenPage) -> None:
    """With many tables there is a field that leaves only those whose name has the text."""
    async with open_page(CannedView(statuses.many_sources())) as tab:
        await tab.evaluate("document.querySelector('.source details').open = true")
        await tab.evaluate("document.querySelector('input[type=search]').focus()")
        await tab.command("Input.insertText", text="_07")
        await tab.wait_for("document.querySelector('#sources tbody').rows.length === 1")

        assert (await tab.text("#sources tbody")).startswith("table_07")
        assert await tab.text(".found") == "1 of 34"


CHOOSE = """
(() => {
  const select = document.querySelector(".filter select");
  select.value = %r;
  select.dispatchEvent(new Event("change"));
  return [...document.querySelectorAll("#sources tbody .name")].map((name) => name.textContent);
})()
"""

FIRST = "[...document.querySelectorAll('#sources tbody .name')].slice(0, 2).map((name) => name.textContent)"

# how many changes two updates with the same figures make to the list of tables
TOUCHED = """
new Promise((resolve) => {
  let touched = 0;
  const all = {subtree: true, childList: true, characterData: true, attributes: true};
  new MutationObserver((records) => (touched += records.length)).observe(
    document.querySelector("#sources tbody"), all);
  let updates = 0;
  new MutationObserver(() => (updates += 1) === 2 && resolve(touched)).observe(
    document.querySelector("#tiles"), all);
})
"""


async def test_many_tables_stay_fluid(open_page: OpenPage) -> None:
    """Of five hundred rows none is touched while its figures stay, and each question is answered at once."""
    view = CannedView(statuses.many_tables(), statuses.history())
    async with open_page(view) as tab:
        assert await tab.evaluate("document.querySelector('#sources tbody').rows.length") == 500
        assert await tab.evaluate(CHOOSE % "quarantined") == ["table_040", "table_450"]
        assert len(await tab.evaluate(CHOOSE % "pending")) == 8
        assert await tab.evaluate(CHOOSE % "unverified") == []
        assert await tab.text(".none") == "No table is like that."
        assert len(await tab.evaluate(CHOOSE % "all")) == 500

        await tab.evaluate("document.querySelector('[data-sort=pending]').click()")
        assert await tab.evaluate(FIRST) == ["table_300", "table_250"]
        await tab.evaluate("document.querySelector('[data-sort=name]').click()")
        assert await tab.evaluate(FIRST) == ["table_000", "table_001"]
        watching = asyncio.create_task(tab.evaluate(TOUCHED))
        beat = 1.2
        while not watching.done():
            beat += 1
            source = {**view.current["sources"][0], "heartbeat_age_seconds": beat}
            view.current = {**view.current, "sources": [source]}
            await asyncio.wait([watching], timeout=0.5)
        assert await watching == 0


async def test_charts_can_be_read_as_a_table(open_page: OpenPage) -> None:
    """Whoever cannot see the lines has the same figures, minute by minute."""
    async with open_page(CannedView(statuses.ready(), statuses.history())) as tab:
        await tab.evaluate("document.querySelector('#charts-table summary').click()")
        await tab.wait_for("document.querySelector('#charts-table tbody').rows.length >= 15")
        heads = await tab.text("#charts-table thead")
        assert heads == "Time Oldest change Heartbeat Pending Applied Captured"
        # the peak of the minute, not what it ended with
        assert re.search(r" 90\d ", await tab.text("#charts-table tbody"))


async def test_tables_that_live_elsewhere_say_so(open_page: OpenPage) -> None:
    """A target whose name is not the source's is named in the row."""
    moved = {**statuses.table("Order Details", 5), "target": "public.order_details"}
    view = CannedView(statuses.status(statuses.source(tables=[moved])))
    async with open_page(view) as tab:
        assert "as public.order_details" in await tab.text("#sources tbody")


async def test_names_are_text_and_never_markup(open_page: OpenPage) -> None:
    """A table whose name is markup is shown as it is, and runs nothing."""
    name = "<img src=x onerror=alert(1)>"
    view = CannedView(statuses.status(statuses.source(tables=[statuses.table(name, 5)])))
    async with open_page(view) as tab:
        assert name in await tab.text("#sources tbody")
        assert tab.errors == []


async def test_new_version_reloads_the_page(open_page: OpenPage) -> None:
    """After an upgrade of the daemon an open page fetches the new scripts by itself."""
    view = CannedView(statuses.ready())
    async with open_page(view) as tab:
        await tab.evaluate("window.stale = true")
        view.current = {**statuses.ready(), "version": "0.2.0"}
        async with asyncio.timeout(15):
            await tab.loaded()
        await tab.wait_for("document.getElementById('version').innerText === '0.2.0'")
        assert await tab.evaluate("window.stale") is None
