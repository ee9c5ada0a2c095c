"""The reasons of a verdict: for each anomaly the sentence that names the culprit, and the place.

Process 0 asks n0, process 1 n1, and so on; the operations follow in steps of one millisecond.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
import txn_histories
from handwritten import fail, history, info, invoke, nemesis, ok
from hypothesis import given
from hypothesis import strategies as st
from txn_histories import together

from glomers.checkers import Checker, echo, linearizability
from glomers.checkers.linearizability import IMPOSSIBLE, call_of
from glomers.checkers.misfits import longest_order
from glomers.history import edn
from glomers.history.evidence import Evidence
from glomers.history.operations import History, read_history
from glomers.options import Options, parse_test
from glomers.report.reasons import Reason
from glomers.run.drive import check
from glomers.run.reasons import evidence_of, reasons
from glomers.workloads import WORKLOADS
from glomers.workloads.echo import EchoWorkload

NODES = ("n0", "n1", "n2")


def explained(workload: str, operations: History, **options) -> list[Reason]:
    """The reasons of a history: what is wrong as a whole, then the cases."""
    asked = Options(workload=workload, nodes=NODES, concurrency=3, **options)
    results = check(operations, asked)
    assert results["valid?"] is False
    return reasons(results, workload, evidence_of(operations, asked))


def cases(workload: str, operations: History, **options) -> dict[str, Reason]:
    """The first case of each kind."""
    found: dict[str, Reason] = {}
    for reason in explained(workload, operations, **options):
        if not reason.summary:
            found.setdefault(reason.kind, reason)
    return found


def written(*parts) -> History:
    return history(*(step for part in parts for step in part))


# Echo and unique ids


def test_a_wrong_echo_says_what_was_sent_and_what_came():
    [reason] = explained("echo", history(invoke(1, "echo", "a"), ok(1, {"echo": "b"})))
    assert reason.text == 'an answer was not what had been sent: sent "a", got "b"'
    assert (reason.time, reason.operations, reason.nodes) == (2_000_000, (0, 1), ("n1",))


def test_an_id_given_twice_names_the_two_requests():
    steps = [invoke(0, "generate"), invoke(2, "generate"), ok(0, 7), ok(2, 7)]
    reason = cases("unique-ids", history(*steps))["duplicate-id"]
    assert reason.text == (
        "id 7 was given by n0 at 0.00 s (process 0) and n2 at 0.00 s (process 2)"
    )
    assert (reason.operations, reason.nodes) == ((2, 3), ("n0", "n2"))


# Sets, by operations alone


def read(process, values, at=None):
    return [invoke(process, "read", at=at), ok(process, values)]


def add(process, value, at=None):
    return [invoke(process, "add", value, at=at), ok(process)]


def test_a_lost_value_says_who_acknowledged_it_and_whose_reads_showed_it():
    parts = [add(1, 5, at=1000), read(0, [], at=2000), read(1, [5]), read(2, [])]
    reason = cases("g-set", written(*parts))["lost"]
    assert reason.text == (
        "value 5: n1 acknowledged it at 1.00 s;"
        " no read of n0 and n2 ever showed it, only those of n1 did"
    )
    assert reason.operations[:2] == (0, 1)


def test_a_value_that_was_shown_and_forgotten_says_until_when():
    parts = [add(1, 5, at=1000), read(1, [5], at=2000), read(1, [], at=3000)]
    reason = cases("g-set", written(*parts))["lost"]
    assert reason.text == (
        "value 5: n1 acknowledged it at 1.00 s;"
        " n1 showed it until 2.00 s, but its read at 3.00 s doesn't"
    )


def test_a_value_that_nobody_acknowledged_can_be_lost_once_it_was_shown():
    steps = [invoke(1, "add", 5, at=1000), info(1), *read(0, [5], at=2000), *read(0, [], at=3000)]
    reason = cases("g-set", history(*steps))["lost"]
    assert reason.text.startswith(
        "value 5: nobody acknowledged it, but a read of n0 showed it at 2.00 s; n0 showed it until"
    )


def test_of_many_lost_values_the_first_are_explained():
    parts = [*(add(0, value) for value in range(50)), read(0, [])]
    whole, *rest = explained("g-set", written(*parts))
    assert whole.text.startswith("50 values were lost: 0 1 2")
    assert [reason.text.split(":")[0] for reason in rest] == ["value 0", "value 1", "value 2"]


# Counters


def final(process, value, at=None):
    return [
        invoke(process, "read", final=True, at=at),
        lambda before: replace(ok(process, value)(before), final=True),
    ]


def test_a_counter_that_lacks_what_other_nodes_acknowledged():
    parts = [add(0, 5), add(1, 7), add(2, 9), final(0, 21), final(1, 7, at=1000)]
    reason = cases("g-counter", written(*parts))["wrong-count"]
    assert reason.text == (
        "n1's final read at 1.00 s is 7, 14 too little, just what n0 and n2 acknowledged"
    )
    assert reason.nodes == ("n1",)


def test_a_counter_that_lacks_one_add():
    parts = [add(0, 5), add(1, 7, at=500), add(1, 3), final(0, 8, at=1000)]
    reason = cases("g-counter", written(*parts))["wrong-count"]
    assert reason.text == (
        "n0's final read at 1.00 s is 8, 7 too little, as if the add of 7 to n1 at 0.50 s were lost"
    )
    assert reason.nodes == ("n0", "n1")


def test_a_counter_whose_reads_stop_following():
    parts = [add(0, 5), read(1, 5, at=100), add(0, 7, at=200), add(0, 7), read(1, 6, at=300)]
    reason = cases("g-counter", written(*parts, final(1, 6, at=1000)))["wrong-count"]
    assert reason.text == (
        "n1's final read at 1.00 s is 6, 13 too little;"
        " its reads are wrong from 0.30 s on, the last right one was at 0.10 s"
    )


def test_a_counter_that_answers_no_integer():
    reason = cases("g-counter", written(add(0, 5), final(1, "5", at=1000)))["wrong-count"]
    assert reason.text == "n1's final read at 1.00 s is no integer: 5"


# Kafka


def send(process, key, message, offset):
    return [
        invoke(process, "send", [["send", key, message]]),
        ok(process, [["send", key, [offset, message]]]),
    ]


def failed_send(process, key, message):
    return [invoke(process, "send", [["send", key, message]]), fail(process)]


def poll(process, *pairs, key="k"):
    return [invoke(process, "poll", [["poll"]]), ok(process, [["poll", {key: list(pairs)}]])]


def sends(count, process=0):
    """Messages 1, 2, … at offsets 0, 1, …"""
    return [step for m in range(1, count + 1) for step in send(process, "k", m, m - 1)]


def transaction(process, *actions, given):
    return [invoke(process, "txn", list(actions)), ok(process, given)]


KAFKA = {
    "inconsistent-offsets": (
        [send(0, "k", 1, 0), send(1, "k", 2, 0)],
        "offset 0 of key k holds 1 (n0 acknowledged it there at 0.00 s)"
        " and 2 (n1 acknowledged it there at 0.00 s)",
    ),
    "duplicate": (
        [send(0, "k", 1, 0), poll(1, [0, 1], [1, 1])],
        "message 1 of key k is at offsets 0 1: n0 acknowledged it at 0 at 0.00 s,"
        " the poll of n1 at 0.00 s showed it at 1",
    ),
    "lost-write": (
        [sends(2), poll(1, [1, 2])],
        "message 1 of key k: n0 acknowledged it at offset 0 at 0.00 s, but no poll ever showed it,"
        " though the poll of n1 at 0.01 s showed what is behind it (2 at offset 1)",
    ),
    "unseen": (
        [sends(2), poll(1, [0, 1])],
        "message 2 of key k: n0 acknowledged it at offset 1 at 0.00 s,"
        " but no poll showed it until the end",
    ),
    "G1a": (
        [failed_send(2, "k", 1), poll(1, [0, 1])],
        "the poll of n1 at 0.00 s showed message 1 of key k, whose send had failed (n2 at 0.00 s)",
    ),
    "G1c-realtime": (
        [poll(1, [0, 1]), send(2, "k", 1, 0)],
        "the poll of n1 at 0.00 s showed message 1 of key k before it was sent"
        " (n2 was asked to at 0.00 s)",
    ),
    "poll-skip": (
        [sends(3), poll(1, [0, 1]), poll(1, [2, 3]), poll(2, [0, 1], [1, 2], [2, 3])],
        "process 1's polls of key k left out 2: the poll of n1 at 0.01 s ended with 1 (offset 0),"
        " and the poll of n1 at 0.01 s began with 3 (offset 2)",
    ),
    "nonmonotonic-poll": (
        [sends(2), poll(1, [0, 1], [1, 2]), poll(1, [0, 1])],
        "process 1's polls of key k went back: the poll of n1 at 0.01 s ended with 2 (offset 1),"
        " and the poll of n1 at 0.01 s began with 1 (offset 0)",
    ),
    "int-poll-skip": (
        [sends(3), poll(1, [0, 1], [2, 3]), poll(2, [0, 1], [1, 2], [2, 3])],
        "the poll of n1 at 0.01 s showed 1 (offset 0) and next 3 (offset 2) of key k,"
        " without 2 between them",
    ),
    "int-nonmonotonic-poll": (
        [sends(2), poll(1, [1, 2], [0, 1])],
        "the poll of n1 at 0.01 s showed 2 (offset 1) and next 1 (offset 0) of key k,"
        " which does not stand behind it in the log",
    ),
    "nonmonotonic-send": (
        [send(1, "k", 1, 1), send(1, "k", 2, 0), poll(2, [0, 2], [1, 1])],
        "process 1 sent 1 to key k (n1 at 0.00 s, offset 1) and then 2 (n1 at 0.00 s, offset 0),"
        " which does not stand behind it in the log",
    ),
    "int-nonmonotonic-send": (
        [
            transaction(
                1,
                ["send", "k", 1],
                ["send", "k", 2],
                given=[["send", "k", [1, 1]], ["send", "k", [0, 2]]],
            ),
            poll(2, [0, 2], [1, 1]),
        ],
        "n1 at 0.00 s was sent 1 (offset 1) and next 2 (offset 0) of key k,"
        " which does not stand behind it in the log",
    ),
    "precommitted-read": (
        [
            transaction(
                1,
                ["send", "k", 1],
                ["poll"],
                given=[["send", "k", [0, 1]], ["poll", {"k": [[0, 1]]}]],
            ),
        ],
        "an operation of n1 at 0.00 s polled message 1 of key k, which it sent itself",
    ),
}


@pytest.mark.parametrize(("kind", "parts", "text"), [(k, *v) for k, v in KAFKA.items()], ids=KAFKA)
def test_an_anomaly_of_a_log_names_messages_offsets_and_nodes(kind, parts, text):
    reason = cases("kafka", written(*parts))[kind]
    assert reason.text == text
    assert reason.operations
    assert set(reason.nodes) == {node for node in NODES if f"{node} at" in text or node in text}


@pytest.mark.parametrize("polled", [[0, 1], [2, 3]])
def test_of_a_lost_message_it_is_told_when_its_node_was_killed(polled):
    kill = [nemesis("kill", {"n0": "killed", "n1": "killed"}, at=7000)]
    kind = "unseen" if polled == [0, 1] else "lost-write"
    text = cases("kafka", written(sends(3), kill, poll(1, polled)))[kind].text
    assert text.endswith("; n0 was killed at 7.00 s")


def test_the_picture_of_a_log_has_what_each_side_saw():
    parts = [sends(3), poll(1, [0, 1]), poll(1, [2, 3]), poll(2, [0, 1], [1, 2], [2, 3])]
    picture = cases("kafka", written(*parts))["poll-skip"].picture
    assert picture["offsets"] == [0, 1, 2]
    assert [side[1:3] for side in picture["sides"]] == [
        *[["n0", "send"]] * 3,
        *[["n1", "poll"]] * 2,
        ["n2", "poll"],
    ]
    assert picture["sides"][4][4] == [[2, 3]]
    assert picture["follow"] == ["k", 2]


def test_a_side_that_a_case_names_is_in_the_picture_though_it_saw_nothing_near():
    parts = [sends(8), poll(1, [7, 8]), poll(2, *([n, n + 1] for n in range(1, 8)))]
    reason = cases("kafka", written(*parts))["lost-write"]
    sides = {side[0]: side[4] for side in reason.picture["sides"]}
    assert set(reason.operations) <= set(sides)
    assert [] in sides.values()


def test_every_kind_of_anomaly_that_is_there_is_explained_once_before_any_twice():
    parts = [sends(3), poll(1, [0, 1]), poll(1, [2, 3]), send(0, "j", 1, 0), send(1, "j", 2, 0)]
    parts += [send(0, "i", 1, 0), send(1, "i", 2, 0)]
    _, *found = explained("kafka", written(*parts))
    kinds = [reason.kind for reason in found]
    assert kinds[:4] == ["inconsistent-offsets", "lost-write", "unseen", "poll-skip"]


# Transactions


REGISTERS = {
    "internal": (
        ["w x 1, r x 1, r x 2"],
        "T1 (n0 at 0.00 s) read 2 of key x, though what it had read and written itself before"
        " makes 1",
    ),
    "G1a": (
        ["fail: w x 1", "r x 1"],
        "T1 (n0 at 0.00 s) read 1 of key x, which T2 (n0 at 0.00 s) had written, but that failed",
    ),
    "G1b": (
        ["w x 1, w x 2", "r x 1"],
        "T1 (n0 at 0.00 s) read 1 of key x, which T2 (n0 at 0.00 s) wrote on the way only:"
        " it went on to write 2",
    ),
    "lost-update": (
        ["w x 1", together("r x 1, w x 2", "r x 1, w x 3")],
        "2 transactions read 1 of key x and overwrote it: T1 (n0 at 0.00 s) then wrote 2"
        " and T2 (n1 at 0.01 s) then wrote 3",
    ),
    "cyclic-versions": (
        [together("r x 1, w x 2", "r x 2, w x 1")],
        "of key x, each of the versions 2 and 1 was made from another",
    ),
    "G1c": (
        [together("w x 1, r y 1", "r x 1, w y 1")],
        "G1c of T1 (n0 at 0.00 s) and T2 (n1 at 0.00 s): T1 wrote 1 to key 'x', which T2 read;"
        " T2 wrote 1 to key 'y', which T1 read",
    ),
    "G-single-item": (
        [together("r x -, r y 1", "w x 1, w y 1")],
        "G-single-item of T1 (n0 at 0.00 s) and T2 (n1 at 0.00 s): T1 read key 'x' as it was"
        " before any write, and T2 wrote 1; T2 wrote 1 to key 'y', which T1 read",
    ),
    "G2-item": (
        [together("r x -, w y 1", "r y -, w x 1")],
        "G2-item of T1 (n0 at 0.00 s) and T2 (n1 at 0.00 s): T1 read key 'x' as it was before any"
        " write, and T2 wrote 1; T2 read key 'y' as it was before any write, and T1 wrote 1",
    ),
    "G-single-item-realtime": (
        ["w x 1", "r x -"],
        "G-single-item-realtime of T1 (n0 at 0.00 s) and T2 (n0 at 0.00 s): T1 ended (at index 1)"
        " 0.001 s before T2 began (at index 2); T2 read key 'x' as it was before any write,"
        " and T1 wrote 1",
    ),
}
LISTS = {
    "internal": (
        ["a x 1, r x [2]"],
        "T1 (n0 at 0.00 s) read [2] of key x, though what it had read and written itself before"
        ' makes ["...", 1]',
    ),
    "future-read": (
        ["r x [1], a x 1"],
        "T1 (n0 at 0.00 s) read [1] of key x, with 1, which it appended only afterwards",
    ),
    "G1a": (
        ["fail: a x 1", "r x [1]"],
        "T1 (n0 at 0.00 s) read 1 of key x, which T2 (n0 at 0.00 s) had written, but that failed",
    ),
    "G1b": (
        ["a x 1, a x 2", "r x [1]"],
        "T1 (n0 at 0.00 s) read 1 of key x, which T2 (n0 at 0.00 s) wrote on the way only:"
        " it went on to write 2",
    ),
    "dirty-update": (
        ["fail: a x 1", "a x 2", "r x [1 2]"],
        "T1 (n0 at 0.00 s) appended 2 to key x behind 1, which T2 (n0 at 0.00 s) had appended,"
        " but that failed",
    ),
    "duplicate-elements": (
        ["a x 1", "r x [1 1]"],
        "T1 (n0 at 0.00 s) read [1, 1] of key x, with 1×2",
    ),
    "incompatible-order": (
        [together("a x 1", "a x 2"), together("r x [1 2]", "r x [2 1]")],
        "key x was read as [1, 2] and as [2, 1]: neither goes on from the other",
    ),
    "lost-update": (
        [together("r x -, a x 1", "r x -, a x 2")],
        "2 transactions read null of key x and overwrote it: T1 (n0 at 0.00 s) then wrote 1"
        " and T2 (n1 at 0.00 s) then wrote 2",
    ),
    "G0": (
        [together("a x 1, a y 1", "a x 2, a y 2"), "r x [1 2], r y [2 1]"],
        "G0 of T1 (n0 at 0.00 s) and T2 (n1 at 0.00 s): T1 appended 1 to key 'x', and T2 appended"
        " 2 after it; T2 appended 2 to key 'y', and T1 appended 1 after it",
    ),
}


def assert_explained(workload, kind, groups, text):
    reason = cases(workload, txn_histories.history(*groups))[kind]
    assert reason.text == text
    json.dumps(edn.to_json(reason.as_result()))


@pytest.mark.parametrize(
    ("kind", "groups", "text"), [(k, *v) for k, v in REGISTERS.items()], ids=REGISTERS
)
def test_an_anomaly_of_registers_names_transactions_and_why(kind, groups, text):
    assert_explained("txn-rw-register", kind, groups, text)


@pytest.mark.parametrize(("kind", "groups", "text"), [(k, *v) for k, v in LISTS.items()], ids=LISTS)
def test_an_anomaly_of_lists_names_transactions_and_why(kind, groups, text):
    assert_explained("txn-list-append", kind, groups, text)


def test_the_picture_of_a_cycle_has_a_reason_on_each_edge():
    groups = [together("w x 1, r y 1", "r x 1, w y 1")]
    reason = cases("txn-rw-register", txn_histories.history(*groups))["G1c"]
    assert reason.operations == (2, 3)
    assert [index for index, *_ in reason.picture["transactions"]] == [2, 3]
    assert reason.picture["edges"] == [
        ["wr", "T1 wrote 1 to key 'x', which T2 read"],
        ["wr", "T2 wrote 1 to key 'y', which T1 read"],
    ]


# Registers


def done(process, f, value, at=None, answer=None):
    return [invoke(process, f, [0, value], at=at), ok(process, [0, answer if answer else value])]


def test_a_stale_read_says_who_had_overwritten_what_it_returned():
    parts = [done(0, "write", 4), done(1, "write", 5, at=2100), done(1, "read", 4, at=2130)]
    reason = cases("lin-kv", written(*parts))["not-linearizable"]
    assert reason.text == (
        "read of key 0 by process 1 on n1 returned 4 at 2.13 s,"
        " though a write on n1 had written 5 at 2.10 s"
    )
    assert reason.operations == (5, 3, 1)
    assert [index for index, *_ in reason.picture["order"]] == [1, 3]
    assert reason.picture["misfit"][0] == 5


def test_a_read_may_be_too_old_because_another_read_was_newer():
    steps = [*done(0, "write", 4), invoke(2, "write", [0, 5])]
    steps += [*done(1, "read", 5, at=100), *done(0, "read", 4, at=200), ok(2)]
    reason = cases("lin-kv", history(*steps))["not-linearizable"]
    assert "on n0 returned 4 at 0.20 s, though a read on n1 had returned 5 at 0.10 s" in reason.text


def test_a_read_of_what_nobody_wrote():
    reason = cases("lin-kv", written(done(0, "write", 4), done(1, "read", 6)))["not-linearizable"]
    assert reason.text.endswith("returned 6 at 0.00 s, though nobody had written that")


def test_a_cas_that_should_have_failed():
    parts = [done(0, "write", 4), done(1, "write", 5, at=100), done(2, "cas", [4, 6], at=200)]
    reason = cases("lin-kv", written(*parts))["not-linearizable"]
    assert reason.text == (
        "cas of key 0 by process 2 on n2 from 4 to 6 succeeded at 0.20 s,"
        " though a write on n1 had written 5 at 0.10 s"
    )


def test_of_concurrent_writes_it_says_what_they_leave():
    steps = [invoke(0, "write", [0, 1]), invoke(1, "write", [0, 2]), ok(0), ok(1)]
    steps += [*done(2, "read", 1), *done(2, "read", 2)]
    reason = cases("lin-kv", history(*steps))["not-linearizable"]
    assert "process 2 on n2 returned 2" in reason.text
    assert reason.text.endswith("though a read on n2 had returned 1 at 0.01 s")


FS = st.sampled_from(("write", "read", "cas"))
CALL = st.tuples(st.integers(0, 2), FS, st.integers(0, 2), st.booleans())


@given(st.lists(CALL, max_size=12))
def test_the_longest_order_is_one_that_a_register_could_have_had(drawn):
    steps, busy = [], set()
    for process, f, value, ends in drawn:
        if process in busy:
            steps.append(ok(process))
            busy.discard(process)
        steps.append(invoke(process, f, [value, (value + 1) % 3] if f == "cas" else value))
        busy.add(process)
        if ends:
            steps.append(ok(process))
            busy.discard(process)
    pairs = list(history(*steps).pairs())
    found = linearizability.check(pairs)
    if found.valid or found.call is None or found.call.completion is None:
        return
    calls = [call for pair in pairs if (call := call_of(*pair))]
    calls = [call for call in calls if call.invocation != found.call.invocation]
    order = longest_order(calls, found.call)
    assert order is not None
    value = None
    for place, call in enumerate(order):
        value = call.apply(value)
        assert value is not IMPOSSIBLE
        for later in order[place + 1 :]:
            assert not later.completion or later.completion.index > call.invocation.index
    limit = found.call.completion.index
    ended = [call for call in calls if call.completion and call.completion.index < limit]
    assert all(call in order for call in ended)


# Failures


def test_what_failed_most_is_told_by_node_and_error():
    steps = [*add(0, 1), *read(0, [1])]
    for _ in range(3):
        steps += [invoke(1, "read"), fail(1, ["net-timeout", "no answer"])]
    steps += [invoke(2, "read"), fail(2)]
    whole, *rest = explained("g-set", history(*steps), availability="total")
    assert whole.text == "only 33.33 % of the operations succeeded"
    assert [reason.text for reason in rest] == [
        "n1: 3 of 3 read operations failed (net-timeout), the first at 0.01 s",
        "n2: 1 of 1 read operations failed, the first at 0.01 s",
    ]
    assert rest[0].operations == (5, 7, 9)


def test_if_no_operation_of_a_kind_succeeded_it_says_how_they_ended():
    steps = [*add(0, 1), invoke(1, "read"), info(1), invoke(2, "read")]
    found = explained("g-set", history(*steps))
    assert found[0].text == "no read succeeded"
    assert [reason.text for reason in found if not reason.summary] == [
        "n1: 1 of 1 read operations ended with an unknown outcome (net-timeout),"
        " the first at 0.00 s",
        "n2: 1 of 1 read operations was still open at the end, the first at 0.01 s",
    ]


# In general


def test_a_valid_test_has_no_reasons():
    operations = written(add(0, 1), read(0, [1]))
    results = check(operations, Options(workload="g-set"))
    assert reasons(results, "g-set", Evidence(operations)) == []


def test_without_the_history_only_what_is_wrong_as_a_whole_is_told():
    results = check(written(add(0, 1), read(0, [])), Options(workload="g-set"))
    assert [reason.text for reason in reasons(results, "g-set")] == ["1 value was lost: 1"]


def test_without_the_nodes_processes_are_named():
    operations = written(add(1, 5), read(1, []))
    results = check(operations, Options(workload="g-set"))
    _, reason = reasons(results, "g-set", Evidence(operations))
    assert reason.text.startswith("value 5: the node of process 1 acknowledged it at 0.00 s;")
    assert reason.nodes == ()


def test_a_mistake_in_the_reasons_costs_no_verdict(monkeypatch):
    def broken(result, evidence):
        raise KeyError("x")
        yield

    monkeypatch.setattr(EchoWorkload, "checker", Checker(echo.check, echo.figures, broken))
    [reason] = explained("echo", history(invoke(1, "echo", "a"), ok(1, {"echo": "b"})))
    assert reason.text == (
        "the search for reasons broke off (KeyError: 'x'), which is a mistake of the workbench"
    )


def test_a_partition_is_named_by_its_kind():
    cut = ["isolated", {"n1": ["n0"], "n0": ["n1"]}]
    steps = [nemesis("start-partition", "majority"), nemesis("start-partition", cut)]
    steps += [nemesis("stop-partition", at=1000), nemesis("stop-partition", "network-healed")]
    evidence = Evidence(history(*steps))
    assert evidence.cut(500_000_000, "n0", "n1") == "the partition (majority)"
    assert evidence.cut(500_000_000, "n0", "n2") == "a partition"
    assert evidence.cut(2_000_000_000, "n0", "n1") == "a partition"


# What real Maelstrom recorded


HISTORIES = Path(__file__).parents[1] / "histories"
RECORDED = {
    "bcast-lossy-part": ("lost", "value 4: n4 acknowledged it at 0.66 s; no read of n0 and n3"),
    "echo-wrong": ("wrong-answer", 'sent "Please echo '),
    "gc-local": (
        "wrong-count",
        "n1's final read at 15.01 s is 21, 64 too little, just what n0 and n2 acknowledged",
    ),
    "gc-race": ("wrong-count", "its reads are wrong from 0.43 s on"),
    "gset-local": ("lost", "value 1: n2 acknowledged it at 0.12 s; no read of n0 and n1"),
    "kafka-dup": ("duplicate", "n0 acknowledged it at 1 at 0.67 s"),
    "kafka-local": ("inconsistent-offsets", "offset 0 of key 9 holds 1 (n0 acknowledged it there"),
    "kafka-lose": ("lost-write", "message 3 of key 11: n1 acknowledged it at offset 2 at 0.81 s"),
    "kafka-reorder": ("int-nonmonotonic-poll", "the poll of n0 at 0.27 s showed 10 (offset 9) and"),
    "kafka-skip": ("poll-skip", "process 1's polls of key 43 left out 4: the poll of n1 at 6.65 s"),
    "lin-lww": ("not-linearizable", "on n0 returned 3 at 2.17 s, though a cas on n1 had made it 1"),
    "pn-local": ("wrong-count", "n1's final read at 15.02 s is -2, 29 too much, just what n0 and"),
    "txn-g1a-rc": ("G1a", "had written, but that failed (txn-conflict)"),
    "txn-g1b-rc": ("G1b", "T1 (n1 at 0.05 s) read 2 of key 9, which T2 (n1 at 0.05 s) wrote on"),
    "uid-dup": ("duplicate-id", "was given by n2 at 0.03 s (process 2) and n2 at 0.49 s"),
}


def options_of(case: Path) -> Options:
    command = (case / "command").read_text().partition("#")[0]
    return parse_test(f"--bin node {command}", sorted(WORKLOADS))


@pytest.mark.parametrize("name", RECORDED)
def test_of_a_recorded_run_the_culprit_is_named(name):
    kind, says = RECORDED[name]
    operations, options = read_history(HISTORIES / name), options_of(HISTORIES / name)
    evidence = evidence_of(operations, options)
    found = reasons(check(operations, options), options.workload, evidence)
    told = next(reason for reason in found if reason.kind == kind and reason.time is not None)
    assert says in told.text
    assert told.operations
    assert told.nodes


@pytest.mark.parametrize("name", RECORDED)
def test_so_it_is_by_the_results_that_maelstrom_wrote(name):
    kind, _ = RECORDED[name]
    operations, options = read_history(HISTORIES / name), options_of(HISTORIES / name)
    file = HISTORIES / name / "results.edn"
    zipped = file.with_suffix(".edn.gz")
    text = file.read_text() if file.exists() else gzip.decompress(zipped.read_bytes()).decode()
    found = reasons(edn.loads(text), options.workload, evidence_of(operations, options))
    told = [reason for reason in found if reason.kind == kind and reason.time is not None]
    assert told
    assert all(reason.operations and reason.nodes for reason in told)


def test_every_recorded_run_that_is_invalid_is_among_them():
    invalid = set()
    for case in HISTORIES.iterdir():
        if check(read_history(case), options_of(case))["valid?"] is not True:
            invalid.add(case.name)
    assert invalid == set(RECORDED)
