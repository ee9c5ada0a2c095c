"""Where threads lost their turn is kept, and a line is found again when the script has changed."""

from __future__ import annotations

import json

import pytest
from small_runs import IDS, SAME_IDS, keep

from glomers.history import lost_turns
from glomers.history.lost_turns import LostTurn
from glomers.scenario import read

MILLI = 1_000_000
UPDATE = "    last = value + 1\n"


def switches(folder):
    return [(s.line, s.nth, s.text) for s in read(folder / "scenario.json").switches]


def journal(folder):
    return [json.loads(line) for line in (folder / "messages.jsonl").read_text().splitlines()]


def test_a_run_keeps_where_and_when_a_thread_lost_its_turn_and_which_message_it_handled(
    script, tmp_path
):
    _, folder = keep(SAME_IDS, script(IDS), tmp_path)
    (lost,) = lost_turns.read(folder)
    events = journal(folder)
    sent = {each["id"]: each["message"]["body"] for each in events if "message" in each}
    first = next(id for id, body in sent.items() if body["type"] == "generate")
    text = "last = value + 1"
    assert lost == LostTurn(
        "n0", "node.py:11", text, "generate", 0, 2 * MILLI, first, lost.place, lost.end_place
    )
    assert switches(folder) == [("node.py:11", 1, text)]


def test_a_lost_turn_has_a_place_among_the_events_of_the_same_nanosecond(script, tmp_path):
    told = SAME_IDS.replace('"time": 0.001', '"time": 0')
    _, folder = keep(told, script(IDS), tmp_path)
    (lost,) = lost_turns.read(folder)
    events = journal(folder)
    before, between, after = (
        [(each["event"], each["id"] - lost.message) for each in part if each["time"] >= 0]
        for part in (
            events[: lost.place],
            events[lost.place : lost.end_place],
            events[lost.end_place :],
        )
    )
    assert before[-3:] == [("send", 0), ("send", 1), ("recv", 0)]
    assert between == [("recv", 1), ("send", 2), ("recv", 2)]
    assert after == [("send", 3), ("recv", 3)]


def test_a_run_without_switches_keeps_no_file_of_them(script, tmp_path):
    told = {**json.loads(SAME_IDS), "switches": []}
    _, folder = keep(json.dumps(told), script(IDS), tmp_path)
    assert not (folder / lost_turns.FILE).exists()
    assert lost_turns.read(folder) == []


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ("\n\n# Comments\n\n" + IDS, 15),
        (IDS.replace("\n\n@node", "\n@node"), 10),
        (IDS.replace(UPDATE, f"    if True:\n    {UPDATE}"), 12),
        (f"{IDS}{UPDATE.strip()}\n", 11),
    ],
    ids=["lines before it", "a line less", "indented", "the same text elsewhere"],
)
def test_a_switch_finds_its_line_by_the_text_when_the_script_has_changed(
    script, tmp_path, changed, line
):
    results, folder = keep(SAME_IDS, script(changed), tmp_path)
    assert results["valid?"] is False
    assert switches(folder) == [(f"node.py:{line}", 1, "last = value + 1")]


@pytest.mark.parametrize("text", ["", "something else"])
def test_a_switch_stays_where_it_is_if_no_line_has_its_text(script, tmp_path, text):
    told = SAME_IDS.replace("last = value + 1", text)
    results, folder = keep(told, script(IDS), tmp_path)
    assert results["valid?"] is False
    assert switches(folder) == [("node.py:11", 1, "last = value + 1")]


def test_a_script_that_changes_between_two_runs_is_read_again(script, tmp_path):
    keep(SAME_IDS, script(IDS), tmp_path)
    results, folder = keep(SAME_IDS, script(f"# A comment\n{IDS}"), tmp_path)
    assert results["valid?"] is False
    assert switches(folder) == [("node.py:12", 1, "last = value + 1")]
