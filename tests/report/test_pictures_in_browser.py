"""What went wrong, in a real browser: each reason has its picture, and leads to its place."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from glomers.report.reasons import Reason
from glomers.run.kept import write_page
from tests.checkers.txn_histories import history as transactions
from tests.checkers.txn_histories import together
from tests.handwritten import fail, history, invoke, ok
from tests.report.pages import became, judged, sent, written
from tests.report.test_page import HOSTILE, operation
from tests.report.test_page_in_browser import Page

PHONE = {"width": 400, "height": 800, "deviceScaleFactor": 2, "mobile": True}


def message(at: int, id: int, src: str, dest: str, fate: str = "recv", **body):
    """A message that is sent at a time (ms) and has its fate a millisecond later."""
    time = at * 1_000_000
    return [sent(time, id, src, dest, **body), became(fate, time + 1_000_000, id)]


# Pictures


def test_a_cycle_is_a_graph_with_a_box_for_each_transaction_and_a_reason_on_each_edge(
    chromium, tmp_path
):
    groups = [together("w x 1, r y 1", "r x 1, w y 1")]
    page = Page(chromium, judged(tmp_path, "txn-rw-register", transactions(*groups)))
    assert page.complaints() == []
    assert page.texts(".picture .transaction .name") == ["T1", "T2"]
    boxes = [text.split("\n") for text in page.texts(".picture .transaction")]
    assert [box[-2:] for box in boxes] == [["write x: 1", "read y: 1"], ["read x: 1", "write y: 1"]]
    edges = [" ".join(text.split()) for text in page.texts(".picture .edge")]
    assert edges == [
        "wr: T1 wrote 1 to key 'x', which T2 read",
        "wr: T2 wrote 1 to key 'y', which T1 read",
    ]
    chromium.execute_script(
        "document.querySelectorAll('.picture .transaction')[1]"
        ".dispatchEvent(new MouseEvent('click'))"
    )
    page.wait("document.querySelector('#details .way')?.textContent === 'process 1'")


@pytest.fixture
def lost(tmp_path):
    """A value that n0 acknowledged; its message to n1 was cut, that to n2 arrived."""
    steps = [invoke(0, "broadcast", 17, at=4000), ok(0, at=4200)]
    for process, shown in ((0, [17]), (2, [17]), (1, [])):
        steps += [invoke(process, "read"), ok(process, shown)]
    messages = [
        *message(4000, 0, "c1", "n0", type="broadcast", message=17, msg_id=1),
        *message(4100, 1, "n0", "n1", "cut", type="gossip", message=17),
        *message(4100, 2, "n0", "n2", type="gossip", message=17),
        *message(9500, 3, "n2", "n1", type="other"),
    ]
    return judged(tmp_path, "broadcast", history(*steps), messages)


def test_of_a_lost_value_the_messages_and_who_had_it_are_drawn(chromium, lost):
    page = Page(chromium, lost)
    assert page.texts(".picture .lane.never .name") == ["n1"]
    assert page.texts(".picture .message.failed .fate") == ["×"]
    assert page.js("document.querySelectorAll('.picture .message:not(.failed)').length") == 2
    assert sorted(page.texts(".picture .dot")) == ["●", "●", "✓"]


def test_a_click_on_a_message_of_a_picture_selects_it(chromium, lost):
    page = Page(chromium, lost)
    chromium.execute_script(
        "document.querySelector('.picture .message.failed').dispatchEvent(new MouseEvent('click'))"
    )
    page.wait("document.querySelector('#details h2')?.textContent === 'gossip'")
    assert page.js("report.view.message") == 1


def test_a_log_is_a_table_of_what_each_side_saw_at_each_offset(chromium, tmp_path):
    steps = []
    for offset, value in enumerate((1, 2, 3)):
        steps += [invoke(0, "send", [["send", "7", value]])]
        steps += [ok(0, [["send", "7", [offset, value]]])]
    for process, seen in ((1, [[0, 1], [1, 2], [2, 3]]), (2, [[0, 1], [2, 3]])):
        steps += [invoke(process, "poll", [["poll"]]), ok(process, [["poll", {"7": seen}]])]
    page = Page(chromium, judged(tmp_path, "kafka", history(*steps)))
    assert page.complaints() == []
    assert page.texts(".picture thead th") == ["key 7, offset", "0", "1", "2"]
    rows = page.js(
        "[...document.querySelector('.picture tbody').rows].map("
        "row => [...row.querySelectorAll('td')].map(cell => cell.textContent.trim()))"
    )
    assert rows[:3] == [["1", "", ""], ["", "2", ""], ["", "", "3"]]
    assert rows[3:] == [["1", "2", "3"], ["1", "∅", "3"]]
    assert page.element(".picture tr.told th").text.startswith("▸n2 poll ")


def test_an_order_ends_with_the_operation_that_fits_nowhere(chromium, tmp_path):
    steps = [
        *(invoke(0, "write", [0, 1]), ok(0, [0, 1])),
        *(invoke(1, "write", [0, 2]), ok(1, [0, 2])),
        *(invoke(2, "cas", [0, [2, 3]]), fail(2)),
        *(invoke(2, "read", [0, None]), ok(2, [0, 1])),
    ]
    page = Page(chromium, judged(tmp_path, "lin-kv", history(*steps)))
    assert page.complaints() == []
    lines = [" ".join(text.split()) for text in page.texts(".picture .fits")]
    assert lines == ["1 write 1 (process 0)", "2 write 2 (process 1)"]
    assert page.element(".picture .misfit text").text == "✗ read 1 (process 2)"


@pytest.fixture
def stale(tmp_path):
    """n0 writes 5 to a service, which answers n2 with what was there before."""
    began = invoke(2, "read", final=True, at=9000)

    def ended(before):
        return replace(ok(2, 0, at=9100)(before), final=True)

    messages = [
        *message(1200, 0, "n0", "seq-kv", type="write", key="n0", value=5, msg_id=1),
        *message(9050, 1, "n2", "seq-kv", type="read", key="n0", msg_id=1),
        *message(9060, 2, "seq-kv", "n2", type="read_ok", value=0, in_reply_to=1),
    ]
    steps = [invoke(0, "add", 5, at=1000), ok(0), began, ended]
    return judged(tmp_path, "g-counter", history(*steps), messages)


def test_a_stale_read_is_the_write_and_the_answer_that_ignores_it(chromium, stale):
    page = Page(chromium, stale)
    assert page.complaints() == []
    assert page.texts(".picture .says li") == [
        "1.200 s n0 → seq-kv: write 5", "9.060 s seq-kv → n2: read_ok 0"
    ]  # fmt: skip
    assert page.texts(".picture .lane .name") == ["n0", "n2", "seq-kv"]


def test_on_a_phone_no_picture_is_wider_than_the_screen(chromium, lost, stale):
    for folder in (lost, stale):
        Page(chromium, folder)
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
        try:
            page = Page(chromium, folder)
            assert page.texts(".picture .lane")
            assert page.js("document.documentElement.scrollWidth") <= PHONE["width"]
        finally:
            chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


# Places


def test_a_key_jumps_to_the_first_reason_and_reads_its_message(chromium, lost):
    page = Page(chromium, lost)
    page.press("j")
    page.wait("document.querySelector('#details h2')?.textContent === 'gossip'")
    page.wait("report.follow.active")
    assert page.js("report.follow.value") == 17
    assert page.element("#problems li.current span").text.startswith("value 17: ")
    assert page.js("report.view.from < 4e6 && 4.1e6 < report.view.to")


def test_a_link_to_a_message_selects_it_and_brings_it_to_the_middle(chromium, lost):
    page = Page(chromium, lost)
    page.js("report.filter.setFate('lost')")  # it is hidden
    page.element("#problems .places.messages .link").click()
    page.wait("document.querySelector('#details h2')?.textContent === 'gossip'")
    assert json.loads(page.element("#details pre").text)["dest"] == "n1"
    assert page.js("report.view.message") == 1
    assert page.js("(report.view.from + report.view.to) / 2") == pytest.approx(4_100_500)
    assert page.js("report.filter.shown[1]") == 1


def test_links_lead_to_the_operations_and_nodes_of_a_reason(chromium, lost):
    page = Page(chromium, lost)
    page.element("#problems .places.operations .link").click()
    page.wait("document.querySelector('#details h2')?.textContent === 'broadcast'")
    assert page.js("report.view.operation") == 0
    assert page.texts("#problems .places.nodes .link") == ["n0", "n1"]
    page.browser.find_elements("css selector", "#problems .places.nodes .link")[1].click()
    assert page.js("report.filter.node") == "n1"


def test_a_kafka_message_can_be_followed_by_its_key_and_offset(chromium, tmp_path):
    messages = [
        *message(1, 0, "c1", "n0", type="send", key="a@b", msg=40, msg_id=1),
        *message(3, 1, "n0", "c1", type="send_ok", offset=4, in_reply_to=1),
        *message(5, 2, "c1", "n0", type="poll", offsets={"a@b": 0}, msg_id=2),
        *message(7, 3, "n0", "c1", type="poll_ok", msgs={"a@b": [[4, 40], [5, 50]]}, in_reply_to=2),
    ]
    folder = written(tmp_path / "kafka" / "1", messages)
    write_page(folder)
    page = Page(chromium, folder)
    page.type("#follow", "a@b@4")
    page.wait("report.follow.active")
    assert page.js("report.follow.value") == ["a@b", 40]
    page.js("report.followText('a@b@5')")
    page.wait("report.follow.value[1] === 50")


# Content is data


def test_hostile_texts_in_pictures_stay_texts(chromium, tmp_path):
    bad = HOSTILE
    pictures = [
        {
            "form": "cycle",
            "transactions": [[0, bad, 5, [[bad, bad, bad], bad]], [9, 1, 5, []]],
            "edges": [[bad, bad], ["ww", bad]],
        },
        {"form": "log", "key": bad, "offsets": [0], "sides": [[0, bad, bad, 5, [[0, bad]]]]},
        {
            "form": "order",
            "key": bad,
            "order": [[0, bad, bad, bad, 0, 5]],
            "misfit": [0, 1, bad, bad, 0, None],
        },
        {
            "form": "spread",
            "had": [[bad, 5]],
            "without": [f"x{bad}"],
            "acknowledged": [bad, 7],
            "messages": [[0, bad, bad, 5, bad], [9, bad, "n1", 5, "recv"]],
        },
        {"form": "exchange", "messages": [[0, bad, bad, 5, bad]]},
        {"form": bad},
        {"form": "constructor"},
    ]
    reasons = [
        Reason(bad, bad, 5, (0, 9), (0, 9), (bad,), {**picture, "follow": bad})
        for picture in pictures
    ]
    folder = written(
        tmp_path / "echo" / "1",
        [sent(0, 0, bad, "n0", type=bad)],
        operation(0, 0, "invoke", 0, bad, bad) + operation(1, 9, "fail", 0, bad, bad, error=bad),
        **{"valid?": False, "reasons": [reason.as_result() for reason in reasons]},
    )
    write_page(folder)
    page = Page(chromium, folder)
    page.js("document.querySelectorAll('details.picture').forEach(box => { box.open = true; })")
    page.wait("document.querySelectorAll('details.picture > :nth-child(2)').length === 5")
    assert page.js("window.hacked ?? null") is None
    assert page.js("document.images.length") == 0
    assert page.js("document.querySelectorAll('#problems script').length") == 0
    assert page.complaints() == []
    texts = page.js("[...document.querySelectorAll('details.picture')].map(box => box.textContent)")
    assert all("window.hacked" in text for text in texts)
