"""The page in a real browser: it opens without an error, and what is pressed does what it says.

Without Chromium and its driver (Debian: chromium and chromium-driver) these tests are skipped.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from small_runs import IDS, SAME_IDS, keep

from glomers.history import edn
from glomers.history.lost_turns import LostTurn
from glomers.history.operations import read_history
from glomers.run.kept import write_page
from glomers.run.story import tell
from tests.report.conftest import PATIENCE
from tests.report.pages import kept, lose_turns, sent
from tests.report.test_page import HOSTILE, hostile_folder

selenium = pytest.importorskip("selenium", reason="selenium is not installed")

from selenium.webdriver import ActionChains, Keys  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402


class Page:
    """A page in a browser, and verbs for it."""

    def __init__(self, browser, folder, width=1400, height=1000):
        self.browser = browser
        browser.set_window_size(width, height)
        browser.get((folder / "report.html").as_uri())
        self.wait("document.documentElement.dataset.opened !== undefined")
        self.settle()

    def js(self, expression, *arguments):
        return self.browser.execute_script(f"return {expression}", *arguments)

    def wait(self, condition):
        WebDriverWait(self.browser, PATIENCE).until(lambda _: self.js(condition))

    def settle(self):
        """Wait until what was asked for has been drawn."""
        self.browser.execute_async_script(
            "requestAnimationFrame(() => requestAnimationFrame(arguments[0]))"
        )

    def element(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        return [found.text for found in self.browser.find_elements(By.CSS_SELECTOR, selector)]

    def press(self, *keys):
        ActionChains(self.browser).send_keys(*keys).perform()
        self.settle()

    def type(self, selector, text):
        self.element(selector).send_keys(text, Keys.ENTER)

    def shown(self):
        """How many messages the diagram shows."""
        self.settle()
        return self.js("report.messages.count")

    def click_on_message(self, row):
        """Click on the middle of a message's arrow."""
        [x0, y0], [x1, y1] = self.js(
            "((track, row) => [[track.x(report.run.messages.at[row]), track.yFrom(row)],"
            " track.tip(row)])(report.messages, arguments[0])",
            row,
        )
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        canvas = self.browser.execute_script("return report.messages.canvas")
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
        width, height = canvas.size["width"], canvas.size["height"]
        ActionChains(self.browser).move_to_element_with_offset(
            canvas, round(x - width / 2), round(y - height / 2)
        ).click().perform()
        self.settle()

    def row(self, type, nth=0):
        """The row of a message of this type."""
        rows = f"[...report.run.messages.at.keys()].filter(r => report.run.type(r) === '{type}')"
        return self.js(f"{rows}[{nth}]")

    def complaints(self):
        return [entry["message"] for entry in self.browser.get_log("browser")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Kept tests, each run when it is first asked for."""
    made = {}

    def folder(challenge, **changes):
        key = challenge, tuple(changes.items())
        if key not in made:
            made[key] = kept(tmp_path_factory.mktemp("kept"), challenge, **changes)
        return made[key]

    return folder


@pytest.fixture
def partitioned(chromium, folders):
    """The page of a broadcast through a partition."""
    return Page(chromium, folders("3c", seed=1, time_limit=5))


@pytest.fixture
def crowded(chromium, folders):
    """The page of a broadcast on 25 nodes, some of them cut off."""
    pushed = {"time_limit": 4, "args": ("--max-latency", "0"), "nemesis": ("partition",)}
    return Page(chromium, folders("3d", seed=1, **pushed))


# Opening


@pytest.mark.parametrize("challenge", ["1", "2", "3c", "4", "5b", "6c"])
def test_the_page_of_each_challenge_opens_without_a_complaint(challenge, chromium, folders):
    page = Page(chromium, folders(challenge, seed=1, time_limit=5 if challenge == "3c" else 2))
    assert page.complaints() == []
    assert page.element("#verdict strong").text == "valid"
    assert page.shown() > 0
    assert page.js("report.tracks.every(track => track.canvas.height > 0)")


@pytest.mark.parametrize("workload", ["g-set", "pn-counter", "lin-kv", "txn-list-append"])
def test_the_page_of_other_workloads_opens_without_a_complaint(workload, chromium, tmp_path):
    from tests.report.pages import written
    from tests.report.test_page import operation

    history = operation(0, 0, "invoke", 0, "read") + operation(1, 5, "info", 0, "read")
    folder = written(tmp_path / workload / "1", [sent(0, 0, "c0", "n0", type="read")], history)
    write_page(folder)
    page = Page(chromium, folder)
    assert page.complaints() == []
    assert page.shown() == 1


def test_it_fetches_nothing(partitioned):
    assert partitioned.js("performance.getEntriesByType('resource').map(e => e.name)") == []


def test_on_a_phone_nothing_is_wider_than_the_screen(chromium, folders):
    folder = folders("3c", seed=1, time_limit=5)
    Page(chromium, folder)
    size = {"width": 380, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page = Page(chromium, folder)
        assert page.js("document.documentElement.scrollWidth") <= 380
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


# Zooming and panning


def test_keys_zoom_pan_and_bring_back_the_whole(partitioned):
    whole = partitioned.js("report.view.span")
    partitioned.press("+")
    assert partitioned.js("report.view.span") == pytest.approx(whole / 2)
    before = partitioned.js("report.view.from")
    partitioned.press(Keys.ARROW_RIGHT)
    assert partitioned.js("report.view.from") == pytest.approx(before + whole / 8)
    partitioned.press(Keys.HOME)
    assert partitioned.js("report.view.span") == pytest.approx(whole)


def test_the_wheel_zooms_where_the_pointer_is(partitioned):
    canvas = partitioned.browser.execute_script("return report.messages.canvas")
    ActionChains(partitioned.browser).move_to_element(canvas).perform()
    partitioned.settle()
    pointed, whole = partitioned.js("report.view.cursor"), partitioned.js("report.view.span")
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    origin = ScrollOrigin.from_element(canvas)
    ActionChains(partitioned.browser).scroll_from_origin(origin, 0, -240).perform()
    partitioned.settle()
    assert partitioned.js("report.view.span") < whole
    where = partitioned.js("report.messages.time(report.messages.x(report.view.cursor))")
    assert where == pytest.approx(pointed, abs=whole / 100)


def test_a_key_that_moves_the_time_hides_what_was_told_of_a_place(partitioned):
    partitioned.js("report.pointAt(report.messages, 300, 60)")
    partitioned.js("document.getElementById('tip').hidden = false")
    partitioned.press("+")
    assert not partitioned.element("#tip").is_displayed()


def test_dragging_moves_the_time(partitioned):
    partitioned.press("+")
    before = partitioned.js("report.view.from")
    canvas = partitioned.browser.execute_script("return report.messages.canvas")
    ActionChains(partitioned.browser).drag_and_drop_by_offset(canvas, -120, 0).perform()
    partitioned.settle()
    assert partitioned.js("report.view.from") > before


def test_keys_alone_lead_from_the_whole_run_to_a_single_message(crowded):
    assert crowded.js("report.messages.canvas.dataset.mode") == "bins"
    crowded.press(".")
    row = crowded.js("report.view.message")
    assert row >= 0
    crowded.press(*"+++++++++++")
    assert crowded.js("report.messages.canvas.dataset.mode") == "arrows"
    assert crowded.js("report.messages.rows.includes(arguments[0])", row)


def test_faults_at_the_same_time_have_names_that_can_be_read(chromium, folders):
    faults = ("partition", "kill", "pause", "one-way", "flaky", "slow")
    several = {"time_limit": 20, "nemesis": faults, "nemesis_interval": 2}
    page = Page(chromium, folders("3c", seed=858310, **several))
    overlaps = (
        "report.messages.tags.filter((a, i) => report.messages.tags.slice(i + 1).some(b =>"
        " Math.abs(a.y - b.y) < 11 && a.x < b.x + b.wide && b.x < a.x + a.wide)).length"
    )
    assert page.js("report.messages.tags.length") > 4
    assert page.js(overlaps) == 0
    [first, *_] = [f for f in page.js("report.run.about.faults") if not f["nodes"]]
    place = "report.messages.faultText(report.messages.x(arguments[0]), 20)"
    assert f"{first['name']}: {first['kind']}" in page.js(place, first["start"] + 1)


def test_many_messages_are_counted_and_none_is_left_out(crowded):
    assert crowded.js("report.messages.canvas.dataset.mode") == "bins"
    arrived = crowded.js("report.messages.bins.counts.reduce((a, b) => a + b, 0)")
    failed = crowded.js("report.messages.bins.failed.reduce((a, b) => a + b, 0)")
    assert failed > 0
    assert arrived + failed == crowded.js("report.run.messages.count")


def test_few_messages_are_drawn_each(crowded):
    crowded.js("report.view.show(1e6, 1.2e6)")
    crowded.settle()
    assert crowded.js("report.messages.canvas.dataset.mode") == "arrows"
    inside = (
        "[...report.run.messages.at.keys()].filter(row => report.run.messages.at[row] <= 1.2e6"
        " && report.run.messages.end[row] >= 1e6).length"
    )
    assert crowded.js("report.messages.rows.length") == crowded.js(inside) > 0


# Filters


def test_a_type_is_hidden_with_its_answers_and_comes_back(partitioned):
    everything = partitioned.shown()
    button = next(
        found
        for found in partitioned.browser.find_elements(By.CSS_SELECTOR, "#legend button")
        if found.text.startswith("read")
    )
    reads = partitioned.js("report.run.familyCounts[report.run.families.indexOf('read')]")
    button.click()
    assert partitioned.shown() == everything - reads
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    assert partitioned.shown() == everything


def test_messages_of_one_node_of_one_fate_and_with_a_text(partitioned, folders):
    journal = folders("3c", seed=1, time_limit=5) / "messages.jsonl"
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    messages = [event["message"] for event in events if event["event"] == "send"]
    cut = sum(event["event"] == "cut" for event in events)
    assert cut > 0
    partitioned.js("report.filter.setFate('cut')")
    assert partitioned.shown() == cut
    partitioned.js("report.filter.setFate('')")
    partitioned.js("report.filter.setNode('n2')")
    assert partitioned.shown() == sum("n2" in (m["src"], m["dest"]) for m in messages)
    partitioned.press(Keys.ESCAPE)
    assert partitioned.shown() == len(messages)
    partitioned.press("/")
    partitioned.press("read_ok")
    expected = sum(m["body"]["type"] == "read_ok" for m in messages)
    partitioned.wait(f"report.messages.count === {expected}")


# Messages and operations


def test_a_click_shows_the_message_what_answered_it_and_its_operation(partitioned):
    row = partitioned.row("broadcast", 3)
    time = partitioned.js("report.run.messages.at[arguments[0]]", row)
    partitioned.js("report.view.show(arguments[0] - 500, arguments[0] + 500)", time)
    partitioned.settle()
    partitioned.click_on_message(row)
    partitioned.wait("document.querySelector('#details h2')?.textContent === 'broadcast'")
    shown = partitioned.element("#details pre").text
    assert json.loads(shown)["body"]["type"] == "broadcast"
    answer, operation = partitioned.texts("#details .link")
    assert answer.startswith("broadcast_ok: ")
    assert operation.startswith("broadcast of process ")
    partitioned.element("#details .link").click()
    partitioned.wait("document.querySelector('#details h2').textContent === 'broadcast_ok'")
    partitioned.press("r")
    partitioned.wait("document.querySelector('#details h2').textContent === 'broadcast'")
    partitioned.press("o")
    partitioned.wait("document.querySelector('#details .way').textContent.startsWith('process')")


def test_a_message_is_shown_as_it_was_sent(chromium, tmp_path):
    from tests.report.pages import written

    folder = written(tmp_path / "echo" / "1", [])
    body = '{"type":"echo","echo":12345678901234567890,"a":[1,[]],"b":{}}'
    text = f'{{"src":"c0","dest":"n0","body":{body}}}'
    (folder / "messages.jsonl").write_text(
        f'{{"time": 0, "event": "send", "id": 0, "message": {text}}}\n'
    )
    write_page(folder)
    page = Page(chromium, folder)
    page.press(".")
    page.wait("document.querySelector('#details pre')")
    assert json.loads(page.element("#details pre").text) == json.loads(text)


def test_pointing_at_an_operation_shows_its_message(partitioned):
    operation = partitioned.js("[...report.run.operations.message.keys()].at(-1)")
    partitioned.js("report.view.hovered = {message: -1, operation: arguments[0]}", operation)
    partitioned.js("report.pair()")
    message = partitioned.js(f"report.run.operations.message[{operation}]")
    assert partitioned.js("report.view.hovered.message") == message


# Following


def first_had(folder, value):
    """When each node first had a value (ns), by the messages of broadcast.py in the journal."""
    had, messages = {}, {}
    for line in (folder / "messages.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "send":
            messages[event["id"]] = event["message"]
        elif event["event"] == "recv":
            message = messages[event["id"]]
            body = message["body"]
            logs = [body.get("log", [])[1:], *body.get("others", {}).values()]
            entries = [entry for log in logs for entry in log[1:]]
            if message["dest"][0] == "n" and (body.get("message") == value or value in entries):
                had.setdefault(message["dest"], event["time"])
    return had


@pytest.mark.parametrize("value", [2, 4, 5, 9])
def test_following_a_value_tells_when_each_node_first_had_it(value, partitioned, folders):
    expected = first_had(folders("3c", seed=1, time_limit=5), value)
    partitioned.press("f")
    partitioned.press(str(value), Keys.ENTER)
    partitioned.wait("report.follow.active")
    found = partitioned.js(
        "Object.fromEntries(report.follow.firsts.map("
        "([lane, row]) => [report.run.lanes[lane], report.run.messages.end[row]]))"
    )
    assert found == {node: time // 1000 for node, time in expected.items()}
    assert len(expected) == 5
    partitioned.press(Keys.ESCAPE)
    partitioned.press(Keys.ESCAPE)
    assert not partitioned.js("report.follow.active")


def test_a_pair_of_key_and_value_can_be_followed(chromium, folders):
    page = Page(chromium, folders("6c", seed=1, time_limit=2))
    history = (folders("6c", seed=1, time_limit=2) / "history.jsonl").read_text().splitlines()
    transactions = (json.loads(line)["value"] for line in history if '"txn"' in line)
    written = next(step for steps in transactions for step in steps if step[0] == "w")
    page.type("#follow", json.dumps(written[1:]))
    page.wait("report.follow.active")
    carried = page.js("report.follow.carries.reduce((a, b) => a + b, 0)")
    assert 1 < carried < page.js("report.run.messages.count") / 10


def test_what_is_no_longer_followed_when_it_is_found_stays_away(partitioned):
    partitioned.js("void (window.found = report.followValue(5), report.letGo())")
    partitioned.browser.execute_async_script("window.found.then(arguments[0])")
    assert not partitioned.js("report.follow.active")
    assert not partitioned.element("#following").is_displayed()


def test_a_kafka_message_is_followed_by_its_key_and_offset(chromium, folders):
    folder = folders("5b", seed=1, time_limit=3)
    journal = (folder / "messages.jsonl").read_text().splitlines()
    sends = [event for event in map(json.loads, journal) if event["event"] == "send"]
    bodies = [event["message"]["body"] for event in sends]
    asked = {(e["message"]["src"], b.get("msg_id")): b for e, b in zip(sends, bodies, strict=True)}
    answered = next(
        e["message"] for e in sends if e["message"]["body"].get("offset", 0) > 1
        and e["message"]["body"]["type"] == "send_ok" and e["message"]["dest"][0] == "c"
    )  # fmt: skip
    send = asked[answered["dest"], answered["body"]["in_reply_to"]]
    page = Page(chromium, folder)
    page.type("#follow", f"{send['key']}@{answered['body']['offset']}")
    page.wait("report.follow.active")
    assert page.js("report.follow.value") == [send["key"], send["msg"]]
    # Neither polls at that offset, nor commits of that number, nor other keys' records carry it.
    first = next(e for e in sends if e["message"]["body"] == send)
    assert page.js("report.follow.start") == first["time"] // 1000
    requests = (
        "[...report.run.messages.at.keys()].filter(row => report.follow.carries[row]"
        " && report.run.isClient[report.run.messages.src[row]]).map(row => report.run.type(row))"
    )
    assert page.js(requests) == ["send"]


# What went wrong


@pytest.fixture(scope="module")
def lost(tmp_path_factory):
    """A test whose values were lost: a flood without a retry, in a partition."""
    from tests.challenge_runs import ROOT

    script = str(ROOT / "ladder" / "broadcast" / "1_flood.py")
    root = tmp_path_factory.mktemp("lost")
    return kept(root, "3c", seed=1, time_limit=4, bin=script, nemesis_interval=2)


def test_a_key_jumps_to_the_first_problem_and_follows_its_value(lost, chromium):
    page = Page(chromium, lost)
    assert page.element("#verdict strong").text == "invalid"
    page.wait("report.problems.length")
    first = page.js("report.problems.find(problem => problem.values.length).values[0]")
    # Problems before it have a time, but no value.
    place = "report.problems.findIndex(problem => problem.values.length)"
    for _ in page.js(f"report.problems.slice(0, {place}).filter(one => report.canJump(one))"):
        page.press("j")
    page.press("j")
    page.wait("report.follow.active")
    assert page.js("report.follow.value") == first
    assert "Never: " in page.element("#following").text
    assert page.js(
        "report.view.from <= report.follow.start && report.follow.start <= report.view.to"
    )


def test_a_link_jumps_to_the_time_of_a_problem(chromium, tmp_path):
    from tests.report.pages import written
    from tests.report.test_page import operation

    history = "".join(
        operation(2 * k, k * 10**9, "invoke", 0, "echo", k)
        + operation(2 * k + 1, k * 10**9 + 5, "ok", 0, "echo", k)
        for k in range(30)
    )
    first = {"time": 17 * 10**9, "line": ""}
    item = {
        "kind": "exception", "text": "raised it", "count": 1, "nodes": {"n0": 1}, "first": first
    }  # fmt: skip
    folder = written(tmp_path / "echo" / "1", [], history, incidents=[item])
    write_page(folder)
    page = Page(chromium, folder)
    page.element("#problems li .link").click()
    page.settle()
    assert page.js("report.view.from < 17e6 && 17e6 < report.view.to && report.view.span <= 1.1e6")


# Logs


def test_a_click_on_a_mark_of_a_log_shows_its_line(chromium, tmp_path):
    from tests.report.pages import written

    messages = [sent(0, 0, "c0", "n0", type="echo"), sent(9 * 10**9, 1, "n0", "c0", type="x")]
    folder = written(tmp_path / "echo" / "1", messages)
    (folder / "node-logs").mkdir()
    (folder / "node-logs" / "n0.log").write_text("first\nsecond\n")
    times = [{"time": 10**9, "node": "n0", "byte": 0}, {"time": 5 * 10**9, "node": "n0", "byte": 6}]
    (folder / "log-times.jsonl").write_text("\n".join(map(json.dumps, times)))
    write_page(folder)
    page = Page(chromium, folder)
    page.js("report.tracks.at(-1).click(report.tracks.at(-1).x(5e6), 8)")
    page.wait("document.querySelector('#details mark')?.textContent === 'second'")
    assert page.element("#details .way").text == "at 5.000 s"
    page.js("document.querySelector('#logs details').open = true")
    page.wait("document.querySelector('#logs pre').textContent")
    assert page.element("#logs pre").text.split() == ["1.000", "s", "first", "5.000", "s", "second"]


# Small runs: lost turns and the story


def test_a_small_run_shows_its_story_and_where_a_thread_lost_its_turn(chromium, script, tmp_path):
    results, folder = keep(SAME_IDS, script(IDS), tmp_path)
    _, _, *story = tell(folder, read_history(folder), edn.to_json(results))
    write_page(folder)
    page = Page(chromium, folder)
    assert page.complaints() == []
    assert page.element("#story pre").text.splitlines() == story
    assert page.texts("#legend .turns") == ["├─┤ lost turns 1"]
    # The mark is on the line of n0, from 0 to 2 ms.
    middle = "report.messages.x(1000), report.messages.y(0)"
    title = "n0 lost its turn for 2 ms in generate before node.py:11: last = value + 1"
    assert page.js(f"report.messages.hover({middle})") == title
    assert page.js("report.messages.turnAt(report.messages.x(-1000), report.messages.y(0))") == -1
    colour = (
        "[...report.messages.context.getImageData(report.messages.x(1000) * devicePixelRatio,"
        " report.messages.y(0) * devicePixelRatio, 1, 1).data]"
    )
    assert page.js(colour) == [0xC8, 0x42, 0x0A, 0xFF]
    page.js(f"report.messages.click({middle})")
    names, facts = page.texts("#details dt"), page.texts("#details dd")
    assert page.texts("#details h2, #details pre") == ["lost turn", "last = value + 1"]
    request = f"generate: {page.js('report.run.src(report.view.message)')} → n0, arrived after 0 ms"
    assert dict(zip(names, facts)) == {
        "lost": "at 0.000 s",
        "came back": "at 0.002 s, after 2 ms",
        "for": request,
        "in": "generate",
        "before": "node.py:11",
    }


def test_many_lost_turns_are_a_fine_line_until_somebody_zooms_in(chromium, tmp_path):
    from tests.report.pages import written

    folder = written(tmp_path / "echo" / "1", [sent(0, 0, "c0", "n0", type="echo")])
    turn = LostTurn("n0", "node.py:3", "wait()", "echo", 0, 0, 0, 1, 1)
    lose_turns(
        folder, *(replace(turn, began=k * 10**5, ended=k * 10**5 + 2000) for k in range(9000))
    )
    write_page(folder)
    page = Page(chromium, folder)
    drawn = (
        "(track => { const heights = []; const fillRect = (x, y, wide, tall) => heights.push(tall);"
        " track.drawTurns({ fillRect }); return heights; })(report.messages)"
    )
    place = "report.messages.x(500), report.messages.y(0)"
    heights = page.js(drawn)
    assert set(heights) == {2}
    assert len(heights) <= page.js("report.messages.width")
    assert page.js(f"report.messages.turnAt({place})") == -1
    page.js("report.view.show(0, 1000)")
    page.settle()
    assert page.js(drawn) == [3, 9, 9] * 11
    assert page.js(f"report.messages.turnAt({place})") == 5


# Content is data


def test_hostile_content_stays_text(chromium, tmp_path):
    folder = hostile_folder(tmp_path)
    write_page(folder)
    page = Page(chromium, folder)
    page.press(".")
    page.wait("document.querySelector('#details h2')")
    page.press("o")
    page.wait("document.querySelector('#details .way').textContent.startsWith('process')")
    page.js("report.followValue(arguments[0])", HOSTILE)
    page.wait("report.follow.active")
    page.js("report.pickTurn(0)")
    assert HOSTILE in page.js("document.querySelector('#details pre').textContent")
    assert HOSTILE in page.js("document.querySelector('#story').textContent")
    page.js("document.querySelector('#logs details').open = true")
    page.wait("document.querySelector('#logs pre').textContent")
    assert page.js("window.hacked ?? null") is None
    assert page.js("document.images.length") == 0
    assert page.complaints() == []
    assert HOSTILE in page.js("document.querySelector('#problems').textContent")
    assert HOSTILE in page.js("document.querySelector('#logs').textContent")
    assert HOSTILE in page.js("document.querySelector('#again code').textContent")


def test_an_outcome_is_told_by_a_mark_and_not_by_its_colour_alone(chromium, tmp_path):
    from tests.report.pages import written
    from tests.report.test_page import operation

    ends = ("ok", "fail", "info")
    history = "".join(
        operation(2 * k, k * 10**9, "invoke", 0, "echo")
        + operation(2 * k + 1, (k + 1) * 10**9 - 1, end, 0, "echo")
        for k, end in enumerate(ends)
    )
    folder = written(tmp_path / "echo" / "1", [], history)
    write_page(folder)
    page = Page(chromium, folder)
    assert page.element("#legend .outcomes").text.split() == [
        "operations:", "ok", "fail", "×", "info", "△"
    ]  # fmt: skip
    colours = (
        "(track => [0, 1, 2].map(k => new Set(new Uint32Array(track.context.getImageData("
        "(track.x(k * 1e6 + 3e5)) * devicePixelRatio, (track.y(0) + 1) * devicePixelRatio,"
        " (track.x(4e5) - track.x(0)) * devicePixelRatio, (track.laneHeight - 4) *"
        " devicePixelRatio).data.buffer)).size))(report.tracks.find(t => t.title === 'processes'))"
    )
    ok, fail, info = page.js(colours)
    assert ok == 1
    assert fail > 1
    assert info > 1


def test_a_type_that_would_turn_the_text_around_is_shown_by_its_codes(chromium, tmp_path):
    from tests.report.pages import written

    folder = written(tmp_path / "echo" / "1", [sent(0, 0, "c0", "n0", type="a\u202e\x1b\u2028b")])
    write_page(folder)
    page = Page(chromium, folder)
    assert page.js("report.run.titleOf(0)").startswith(r"a\u{202e}\u{1b}\u{2028}b: c0 → n0, ")


def test_a_script_that_is_put_into_the_page_is_refused(partitioned):
    partitioned.browser.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.hacked = 1';"
        "document.body.append(s);"
    )
    assert partitioned.js("window.hacked ?? null") is None
    assert any("Content Security Policy" in text for text in partitioned.complaints())
