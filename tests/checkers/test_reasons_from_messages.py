"""What messages add to a reason: on which way a value was lost, and what a service did."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from handwritten import history, invoke, nemesis, ok

from glomers.history.evidence import Evidence
from glomers.history.operations import History
from glomers.options import Options
from glomers.report.reasons import Reason
from glomers.run.drive import check
from glomers.run.reasons import reasons

NODES = ("n0", "n1", "n2")
Explain = Callable[..., list[Reason]]


@pytest.fixture
def explained(tmp_path: Path) -> Explain:
    """The cases of a history with these messages: (ms, sender, receiver, fate, body)."""

    def explain(workload: str, operations: History, *messages: tuple) -> list[Reason]:
        lines = []
        for id, (at, src, dest, fate, body) in enumerate(messages):
            text = json.dumps({"src": src, "dest": dest, "body": body})
            lines.append(
                f'{{"time": {at * 10**6}, "event": "send", "id": {id}, "message": {text}}}\n'
            )
            if fate:
                lines.append(f'{{"time": {at * 10**6}, "event": "{fate}", "id": {id}}}\n')
        journal = tmp_path / "messages.jsonl"
        journal.write_text("".join(lines))
        results = check(operations, Options(workload=workload, nodes=NODES, concurrency=3))
        evidence = Evidence(operations, NODES, 3, journal)
        return [r for r in reasons(results, workload, evidence) if not r.summary]

    return explain


def broadcast(value: int) -> list:
    """A partition, a broadcast that n0 acknowledges, and reads, of which n0's alone shows it."""
    cut = ["isolated", {"n1": ["n0", "n2"], "n0": ["n1"], "n2": ["n1"]}]
    steps = [nemesis("start-partition", "one", at=0), nemesis("start-partition", cut, at=1)]
    steps += [invoke(0, "broadcast", value, at=4000), ok(0, at=4200)]
    for process, shown in ((0, [value]), (1, []), (2, [])):
        steps += [invoke(process, "read", at=9000 + process), ok(process, shown)]
    return steps


GIVEN = (4000, "c1", "n0", "recv", {"type": "broadcast", "message": 17, "msg_id": 1})


def gossip(at: int, src: str, dest: str, fate: str) -> tuple:
    return at, src, dest, fate, {"type": "gossip", "message": 17}


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        (
            [gossip(4300, "n0", "n1", "cut"), gossip(4300, "n0", "n2", "cut")],
            "its message to n1 was cut by the partition (one) at 4.30 s and never sent again;"
            " its message to n2 was cut by a partition at 4.30 s and never sent again;"
            " n1 and n2 never had it",
        ),
        (
            [gossip(4300, "n0", "n1", "lost"), gossip(4400, "n0", "n1", "lost")],
            "its message to n1 (the last of 2) was lost on the way at 4.40 s and never sent again;"
            " no message to n2 held it; n1 and n2 never had it",
        ),
        (
            [gossip(4300, "n0", "n1", "recv"), gossip(4400, "n1", "n2", "drop")],
            "n1's message to n2 was dropped, as its receiver had crashed, at 4.40 s and never sent"
            " again; n2 never had it",
        ),
        ([], "no message to n1 and n2 held it; n1 and n2 never had it"),
        (
            [gossip(4300, "n0", "n1", "recv"), gossip(4300, "n0", "n2", "recv")],
            "it came to n1 and n2 at 4.30 s, but no read there ever showed it",
        ),
    ],
)
def test_of_a_lost_value_it_is_told_on_which_way(explained, messages, told):
    [reason] = explained("broadcast", history(*broadcast(17)), GIVEN, *messages)
    assert reason.text == f"value 17: n0 acknowledged it at 4.20 s; {told}"
    assert reason.kind == "lost"


def test_a_reason_refers_to_the_messages_that_failed(explained):
    messages = [gossip(4300, "n0", "n1", "recv"), gossip(4400, "n1", "n2", "cut")]
    [reason] = explained("broadcast", history(*broadcast(17)), GIVEN, *messages)
    assert reason.messages == (2,)
    assert reason.nodes == ("n0", "n2")
    assert reason.picture["without"] == ["n2"]
    assert reason.picture["follow"] == 17
    assert reason.picture["acknowledged"] == ["n0", 4_200_000_000]
    assert [sent[1:] for sent in reason.picture["messages"]] == [
        ["c1", "n0", 4_000_000_000, "recv"],
        ["n0", "n1", 4_300_000_000, "recv"],
        ["n1", "n2", 4_400_000_000, "cut"],
    ]


def test_of_nodes_that_had_a_lost_value_it_is_told_when_they_were_killed(explained):
    kills = [
        nemesis("kill", {"n0": "killed"}, at=3000),  # before it had the value
        nemesis("kill", {"n0": "killed", "n1": "not-running", "n2": "killed"}, at=5000),
        nemesis("kill", {"n0": "killed", "n1": "killed"}, at=6000),
    ]
    steps = broadcast(17)
    steps[2:2] = kills[:1]
    steps[5:5] = kills[1:]
    messages = [gossip(4300, "n0", "n1", "recv"), gossip(4300, "n0", "n2", "cut")]
    [reason] = explained("broadcast", history(*steps), GIVEN, *messages)
    told = "; n2 never had it; n0 was killed at 5.00 s; n1 was killed at 6.00 s"
    assert reason.text.endswith(told)


# Counters in a service


def counter(value: int) -> History:
    """n0 adds 5 and n1 adds 7; n2's final read, at 9.0 to 9.1 s, shows `value`."""
    steps = [invoke(0, "add", 5, at=1000), ok(0), invoke(1, "add", 7, at=2000), ok(1)]
    began = invoke(2, "read", final=True, at=9000)

    def ended(before):
        return replace(ok(2, value, at=9100)(before), final=True)

    return history(*steps, began, ended)


def asked(at: int, node: str, service: str, id: int, **body: object) -> tuple:
    return at, node, service, "recv", {**body, "msg_id": id}


def answered(at: int, service: str, node: str, id: int, **body: object) -> tuple:
    return at, service, node, "recv", {**body, "in_reply_to": id}


def test_an_update_that_another_overwrote_is_named(explained):
    *_, reason = explained(
        "g-counter",
        counter(7),
        asked(1000, "n0", "seq-kv", 1, type="read", key="sum"),
        answered(1000, "seq-kv", "n0", 1, type="read_ok", value=0),
        asked(1100, "n1", "seq-kv", 1, type="read", key="sum"),
        answered(1100, "seq-kv", "n1", 1, type="read_ok", value=0),
        asked(1200, "n0", "seq-kv", 2, type="write", key="sum", value=5),
        asked(1300, "n1", "seq-kv", 2, type="write", key="sum", value=7),
    )
    assert reason.kind == "lost-update"
    assert reason.text == (
        "n1 read 0 as key sum of seq-kv at 1.10 s and then wrote 7,"
        " over the 5 that n0 had written at 1.20 s: that update was lost"
    )
    assert (reason.messages, reason.nodes) == ((5, 4, 3), ("n1", "n0", "seq-kv"))


def test_an_old_value_that_a_wrong_read_is_made_of_is_named(explained):
    *_, reason = explained(
        "g-counter",
        counter(7),
        asked(1200, "n0", "seq-kv", 2, type="write", key="n0", value=5),
        asked(2200, "n1", "seq-kv", 2, type="write", key="n1", value=7),
        asked(9050, "n2", "seq-kv", 1, type="read", key="n0"),
        answered(9050, "seq-kv", "n2", 1, type="read_ok", value=0),
    )
    assert reason.kind == "stale-read"
    assert reason.text == (
        "seq-kv answered n2 at 9.05 s with the old value 0 of key n0,"
        " which n0 had overwritten at 1.20 s"
    )
    assert reason.messages == (3, 0)
    assert reason.picture == {
        "form": "exchange",
        "messages": [
            [0, "n0", "seq-kv", 1_200_000_000, "write 5"],
            [3, "seq-kv", "n2", 9_050_000_000, "read_ok 0"],
        ],
    }


def test_a_read_modify_write_that_saw_the_newest_value_is_no_lost_update(explained):
    found = explained(
        "g-counter",
        counter(7),
        asked(1000, "n0", "seq-kv", 1, type="read", key="sum"),
        answered(1000, "seq-kv", "n0", 1, type="read_ok", value=0),
        asked(1200, "n0", "seq-kv", 2, type="write", key="sum", value=5),
        asked(1300, "n1", "seq-kv", 1, type="read", key="sum"),
        answered(1300, "seq-kv", "n1", 1, type="read_ok", value=5),
        asked(1400, "n1", "seq-kv", 2, type="write", key="sum", value=12),
    )
    assert {reason.kind for reason in found} == {"wrong-count"}
