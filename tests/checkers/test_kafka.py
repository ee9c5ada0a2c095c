"""Kafka: each anomaly in a history of its own, and real Maelstrom's verdicts."""

from __future__ import annotations

import gzip
import json
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from handwritten import fail, history, info, invoke, ok
from hypothesis import given
from hypothesis import strategies as st
from kafka_play import Logs, play

from glomers.checkers import kafka
from glomers.checkers.kafka.facts import Log, gather
from glomers.checkers.kafka.lag import worst_realtime_lag
from glomers.history import edn
from glomers.history.operations import read_history
from glomers.options import Options

HISTORIES = Path(__file__).parent.parent / "histories"
CASES = sorted(HISTORIES.glob("kafka-*"))


def send(process, key, message, offset):
    return [
        invoke(process, "send", [["send", key, message]]),
        ok(process, [["send", key, [offset, message]]]),
    ]


def unknown_send(process, key, message, error="net-timeout"):
    return [invoke(process, "send", [["send", key, message]]), info(process, error)]


def failed_send(process, key, message):
    return [invoke(process, "send", [["send", key, message]]), fail(process)]


def poll(process, messages):
    """`messages`: by key, [offset, message] pairs."""
    return [invoke(process, "poll", [["poll"]]), ok(process, [["poll", messages]])]


def unknown_poll(process, messages):
    """A poll that shows something, although it did not succeed: no client of ours does that."""
    invoked, ended = poll(process, messages)
    return [invoked, lambda before: replace(ended(before), type="info")]


def assign(process, *keys, from_beginning=False):
    extra = (("seek-to-beginning?", True),) if from_beginning else ()
    steps = [invoke(process, "assign", list(keys)), ok(process)]
    return [lambda before, step=step: replace(step(before), extra=extra) for step in steps]


def good_sends(key, count, first=1):
    """Messages 1, 2, … at offsets 0, 1, …"""
    return [step for m in range(first, first + count) for step in send(9, key, m, m - 1)]


def good_poll(process, key, count):
    return poll(process, {key: [[m - 1, m] for m in range(1, count + 1)]})


def check(*parts):
    return kafka.check(written(*parts), Options())


def written(*parts):
    return history(*(step for part in parts for step in part))


def only(result, kind):
    """The cases of the one anomaly that was found."""
    assert result["error-types"] == [kind]
    assert result["bad-error-types"] == [kind]
    assert result["valid?"] is False
    assert result[kind]["count"] == len(result[kind]["errs"])
    return result[kind]["errs"]


def brief(case):
    """A case with operations as their indices."""
    shown = dict(case)
    for key in ("op", "writer", "reader", "max-read"):
        if key in shown:
            shown[key] = shown[key]["index"]
    if "ops" in shown:
        shown["ops"] = [op["index"] for op in shown["ops"]]
    return shown


# Agreement with Maelstrom


def maelstroms(case):
    plain, zipped = case / "results.edn", case / "results.edn.gz"
    text = gzip.decompress(zipped.read_bytes()).decode() if zipped.exists() else plain.read_text()
    return edn.loads(text)["workload"]


def sorted_cases(value):
    """A result with the cases of each anomaly in one order, Maelstrom's being that of hashes."""
    if isinstance(value, dict) and "errs" in value:
        cases = [json.dumps(edn.to_json(case), sort_keys=True) for case in value["errs"]]
        return {"count": value["count"], "errs": sorted(cases)}
    return edn.to_json(value)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_key_of_the_result_is_maelstroms(case):
    """Verdict, anomalies, counts, cases with their operations, lag, unseen messages, causes.

    Two things may differ. Cases of equal rank are in the order of Clojure's hashes. So, where
    there are more than are shown, others are shown: then each of theirs must be among all of ours.
    """
    recorded = read_history(case)
    theirs, ours = maelstroms(case), kafka.check(recorded, Options())
    assert set(ours) == set(theirs)
    for key in theirs:
        if key == "inconsistent-offsets" and theirs[key]["count"] > 32:
            everything = sorted_cases({"count": 0, "errs": kafka.anomalies(recorded)[key]})["errs"]
            shown = sorted_cases(theirs[key])["errs"]
            assert len(ours[key]["errs"]) == len(shown) == 32
            assert ours[key]["count"] == theirs[key]["count"] == len(everything)
            assert set(shown) <= set(everything)
        else:
            assert sorted_cases(ours[key]) == sorted_cases(theirs[key])


def test_the_recorded_runs_have_what_they_are_recorded_for():
    found = {case.name: maelstroms(case)["error-types"] for case in CASES}
    assert found == {
        "kafka-dup": ["duplicate", "int-nonmonotonic-poll", "int-poll-skip"],
        "kafka-good": [],
        "kafka-good-part": [],
        "kafka-local": ["inconsistent-offsets"],
        "kafka-lose": ["inconsistent-offsets", "lost-write", "unseen"],
        "kafka-reorder": ["int-nonmonotonic-poll", "poll-skip"],
        "kafka-skip": ["poll-skip"],
    }


# What is right


def test_a_message_that_is_sent_and_polled():
    result = check(assign(0, "k"), send(1, "k", 1, 0), poll(0, {"k": [[0, 1]]}))
    assert result == {
        "valid?": True,
        "worst-realtime-lag": {"time": 0.005, "process": 0, "key": "k", "lag": 0.0},
        "bad-error-types": [],
        "error-types": [],
        "info-txn-causes": [],
    }


def test_offsets_may_have_gaps():
    sends = [*send(1, "k", 1, 10), *send(1, "k", 2, 20), *send(1, "k", 3, 1_000_000_000_000)]
    polls = [*poll(0, {"k": [[10, 1], [20, 2]]}), *poll(0, {"k": [[1_000_000_000_000, 3]]})]
    assert check(sends, polls)["valid?"] is True


def test_nothing_at_all():
    assert check()["valid?"] is True
    assert check()["worst-realtime-lag"] == {"time": 0.0, "lag": 0.0}


def test_operations_that_never_ended():
    parts = [
        [invoke(0, "send", [["send", "k", 1]])],
        [invoke(1, "poll", [["poll"]])],
        poll(2, {"k": [[0, 1]]}),
    ]
    assert check(*parts)["valid?"] is True


# The log


def test_two_messages_at_one_offset():
    result = check(send(0, "k", 1, 0), send(1, "k", 2, 0), poll(0, {"k": [[0, 1]]}))
    assert result["inconsistent-offsets"] == {
        "count": 1,
        "errs": [{"key": "k", "offset": 0, "index": 0, "values": {1, 2}}],
    }


def test_an_index_leaves_out_the_gaps_between_offsets():
    sends = [*send(0, "k", 1, 5), *send(0, "k", 2, 9), *send(1, "k", 3, 9)]
    [case] = check(sends, poll(0, {"k": [[5, 1], [9, 2], [9, 3]]}))["inconsistent-offsets"]["errs"]
    assert (case["offset"], case["index"]) == (9, 1)


def test_one_message_at_two_offsets():
    result = check(send(0, "k", 1, 3), poll(1, {"k": [[3, 1]]}), poll(2, {"k": [[7, 1]]}))
    assert only(result, "duplicate") == [{"key": "k", "value": 1, "count": 2, "offsets": [3, 7]}]


def test_a_message_that_polls_leave_out_is_lost():
    result = check(good_sends("k", 3), poll(0, {"k": [[0, 1]]}), poll(1, {"k": [[2, 3]]}))
    assert result["error-types"] == ["lost-write", "unseen"]
    [case] = result["lost-write"]["errs"]
    expected = {"key": "k", "value": 2, "index": 1, "max-read-index": 2, "writer": 3, "max-read": 9}
    assert brief(case) == expected
    assert result["unseen"] == {
        "time": 10_000_000,
        "unseen": {"k": 1},
        "messages": {"k": [2]},
    }


def test_a_key_that_was_polled_in_vain_hides_no_lost_write_of_another():
    lost = [good_sends("b", 2), poll(0, {"b": [[1, 2]]})]
    for empty in ([poll(0, {"a": []})], [good_sends("a", 1), unknown_poll(0, {"a": [[0, 1]]})]):
        assert [case["key"] for case in check(*empty, *lost)["lost-write"]["errs"]] == ["b"]


def test_messages_after_the_last_one_polled_are_unseen_but_not_lost():
    result = check(good_sends("k", 3), good_poll(0, "k", 1))
    assert result["error-types"] == ["unseen"]
    assert result["valid?"] is False
    assert result["unseen"]["messages"] == {"k": [2, 3]}


def test_unseen_counts_all_but_shows_few():
    result = check(good_sends("k", 40), good_sends("l", 1), good_poll(0, "l", 1))
    assert result["unseen"]["unseen"] == {"k": 40}
    assert result["unseen"]["messages"] == {"k": list(range(1, 33))}


def test_a_message_at_two_offsets_is_expected_only_after_the_last_of_them():
    # 2 stands at 1, says its send, and at 3, says somebody's poll that did not succeed.
    echo = unknown_poll(4, {"k": [[3, 2]]})
    sends = [good_sends("k", 3), echo]
    result = check(*sends, poll(1, {"k": [[0, 1]]}), poll(2, {"k": [[2, 3]]}))
    assert "lost-write" not in result
    result = check(*sends, send(0, "k", 4, 4), poll(1, {"k": [[0, 1], [2, 3], [4, 4]]}))
    assert [case["value"] for case in result["lost-write"]["errs"]] == [2]


def test_a_poll_of_a_message_at_two_offsets_proves_little():
    # Who polls 2 may have been at offset 1: then 3 at offset 2 need not have been polled.
    result = check(good_sends("k", 3), good_poll(1, "k", 2), poll(2, {"k": [[3, 2]]}))
    assert "duplicate" in result
    assert "lost-write" not in result


def test_only_acknowledged_messages_can_be_lost():
    echo = unknown_poll(4, {"k": [[0, 1], [1, 2]]})
    parts = [unknown_send(0, "k", 1), failed_send(1, "k", 2), send(2, "k", 3, 2), echo]
    assert check(*parts, poll(1, {"k": [[2, 3]]}))["valid?"] is True


# Sends that failed, and sends of unknown outcome


def test_a_failed_send_that_is_polled():
    result = check(failed_send(0, "k", 1), poll(1, {"k": [[0, 1]]}))
    [case] = only(result, "G1a")
    assert brief(case) == {"key": "k", "value": 1, "writer": 1, "reader": 3}


def test_a_send_of_unknown_outcome_may_have_happened_or_not():
    unpolled = check(unknown_send(0, "k", 1), send(1, "k", 2, 1), poll(1, {"k": [[1, 2]]}))
    polled = check(unknown_send(0, "k", 1), send(1, "k", 2, 1), good_poll(1, "k", 2))
    assert unpolled["valid?"] is True
    assert polled["valid?"] is True


def test_a_send_of_unknown_outcome_that_was_polled_counts_for_the_order():
    result = check(unknown_send(0, "k", 1), send(1, "k", 2, 1), poll(1, {"k": [[1, 2], [0, 1]]}))
    [case] = only(result, "int-nonmonotonic-poll")
    assert brief(case) == {"key": "k", "values": [2, 1], "delta": -1, "op": 5}


def test_the_different_causes_of_unknown_outcomes():
    result = check(
        unknown_send(0, "k", 1, "net-timeout"),
        unknown_send(1, "k", 2, ["crash", "oops"]),
        unknown_send(2, "k", 3, "net-timeout"),
        [invoke(3, "crash"), info(3, "not a send or poll")],
    )
    assert result["info-txn-causes"] == ["net-timeout", ["crash", "oops"]]


def test_a_poll_of_what_is_sent_only_later():
    result = check(poll(0, {"k": [[0, 1]]}), send(1, "k", 1, 0))
    [case] = only(result, "G1c-realtime")
    assert brief(case) == {"key": "k", "value": 1, "writer": 3, "reader": 1}


def test_a_poll_may_see_what_is_being_sent():
    parts = [invoke(1, "send", [["send", "k", 1]])], poll(0, {"k": [[0, 1]]})
    assert check(*parts, [ok(1, [["send", "k", [0, 1]]])])["valid?"] is True


def test_polls_of_the_future_that_overlap_are_one_cycle():
    overlapping = check(
        poll(0, {"k": [[0, 1]]}),
        poll(0, {"k": [[1, 2]]}),
        send(1, "k", 1, 0),
        send(1, "k", 2, 1),
    )
    apart = check(
        poll(0, {"k": [[0, 1]]}),
        send(1, "k", 1, 0),
        poll(0, {"k": [[1, 2]]}),
        send(1, "k", 2, 1),
    )
    assert overlapping["G1c-realtime"]["count"] == 1
    assert apart["G1c-realtime"]["count"] == 2


def test_a_poll_while_what_another_had_shown_is_being_sent_is_a_cycle_of_its_own():
    result = check(
        poll(0, {"k": [[0, 1]]}),
        [invoke(1, "send", [["send", "k", 1]])],
        poll(0, {"k": [[1, 2]]}),
        [ok(1, [["send", "k", [0, 1]]])],
        send(1, "k", 2, 1),
    )
    assert result["G1c-realtime"]["count"] == 2


def test_a_message_that_nobody_sent_leaves_the_verdict_open():
    result = check(send(0, "k", 1, 0), poll(1, {"k": [[0, 1], [1, "?"]]}))
    assert result["valid?"] == "unknown"
    assert "nobody sent" in result["error"]
    assert 'polled message "?" of key "k" (operation 3)' in result["error"]
    worse = check(send(0, "k", 1, 0), send(0, "k", 2, 0), poll(1, {"k": [[0, 1], [1, "?"]]}))
    assert worse["valid?"] is False


@pytest.mark.parametrize("other", [1.0, True, "1", [1], {"1": 1}, None])
def test_messages_are_equal_only_as_json(other):
    result = check(send(0, "k", 1, 0), poll(1, {"k": [[0, other]]}))
    assert result["inconsistent-offsets"]["count"] == 1
    assert check(send(0, "k", other, 0), poll(1, {"k": [[0, other]]}))["valid?"] is True
    assert edn.dumps(edn.keywordized(result))


# Within an operation


def test_a_poll_that_skips():
    result = check(good_sends("k", 4), good_poll(1, "k", 4), poll(0, {"k": [[0, 1], [3, 4]]}))
    [case] = only(result, "int-poll-skip")
    expected = {"key": "k", "values": [1, 4], "delta": 3, "skipped": [2, 3], "op": 11}
    assert brief(case) == expected


def test_a_poll_that_goes_back_or_stays():
    result = check(good_sends("k", 2), poll(0, {"k": [[0, 1], [1, 2], [1, 2], [0, 1]]}))
    cases = only(result, "int-nonmonotonic-poll")
    assert [(case["values"], case["delta"]) for case in cases] == [([2, 1], -1), ([2, 2], 0)]


def test_what_is_next_to_a_message_of_unknown_place_cannot_be_judged():
    result = check(good_sends("k", 3), good_poll(1, "k", 3), poll(0, {"k": [[0, 1], [2, 3]]}))
    assert "int-poll-skip" in result["error-types"]
    sends = [*send(9, "k", 1, 0), *send(8, "k", 2, 0), *send(9, "k", 3, 1)]
    result = check(sends, poll(0, {"k": [[0, 2], [1, 3]]}))
    assert "int-poll-skip" not in result["error-types"]


def transaction(process, *actions, given):
    return [
        invoke(process, "txn", [action[:3] for action in given]),
        ok(process, list(actions)),
    ]


def test_a_transaction_whose_sends_skip_is_normal():
    sends = [["send", "k", [0, 1]], ["send", "k", [2, 3]]]
    parts = [
        transaction(0, *sends, given=[["send", "k", 1], ["send", "k", 3]]),
        send(1, "k", 2, 1),
        good_poll(1, "k", 3),
    ]
    result = check(*parts)
    assert result["error-types"] == ["int-send-skip"]
    assert result["bad-error-types"] == []
    assert result["valid?"] is True


def test_a_transaction_whose_sends_go_back():
    sends = [["send", "k", [1, 2]], ["send", "k", [0, 1]]]
    result = check(
        transaction(0, *sends, given=[["send", "k", 2], ["send", "k", 1]]), good_poll(1, "k", 2)
    )
    [case] = only(result, "int-nonmonotonic-send")
    assert brief(case) == {"key": "k", "values": [2, 1], "delta": -1, "op": 1}


def test_a_transaction_that_polls_what_it_sends():
    both = [["send", "k", [0, 1]], ["poll", {"k": [[0, 1]]}]]
    result = check(transaction(0, *both, given=[["send", "k", 1], ["poll"]]))
    [case] = only(result, "precommitted-read")
    assert brief(case) == {"key": "k", "value": 1, "op": 1}


# From one operation to the next


def test_polls_that_skip():
    result = check(good_sends("k", 4), good_poll(1, "k", 4), good_poll(0, "k", 1))
    assert result["valid?"] is True
    parts = [good_sends("k", 4), good_poll(1, "k", 4), good_poll(0, "k", 1)]
    [case] = only(check(*parts, poll(0, {"k": [[3, 4]]})), "poll-skip")
    assert brief(case) == {"key": "k", "delta": 3, "skipped": [2, 3], "ops": [11, 13]}


def test_polls_that_go_back():
    parts = [good_sends("k", 4), good_poll(0, "k", 4), poll(0, {"k": [[3, 4]]})]
    [case] = only(check(*parts), "nonmonotonic-poll")
    assert brief(case) == {"key": "k", "values": [4, 4], "delta": 0, "ops": [9, 11]}


def test_polls_of_different_processes_are_not_compared():
    parts = [good_sends("k", 4), good_poll(0, "k", 4), good_poll(1, "k", 4)]
    assert check(*parts)["valid?"] is True


def test_an_assign_forgets_the_keys_that_it_leaves_out():
    before = [good_sends("k", 2), good_poll(0, "k", 2)]
    again = good_poll(0, "k", 2)
    assert check(*before, assign(0, "l"), assign(0, "k"), again)["valid?"] is True
    assert check(*before, assign(0, "k", "l"), again)["valid?"] is False
    failed = [invoke(0, "assign", ["l"]), fail(0)]
    assert check(*before, failed, again)["valid?"] is False


def test_a_poll_that_shows_an_empty_list_makes_jepsen_forget():
    before = [good_sends("k", 2), good_poll(0, "k", 2)]
    assert check(*before, poll(0, {"k": []}), good_poll(0, "k", 2))["valid?"] is True
    assert check(*before, poll(0, {}), good_poll(0, "k", 2))["valid?"] is False


def test_sends_that_go_back():
    result = check(send(0, "k", 1, 1), send(0, "k", 2, 0), poll(1, {"k": [[0, 2], [1, 1]]}))
    [case] = only(result, "nonmonotonic-send")
    assert brief(case) == {"key": "k", "values": [1, 2], "delta": -1, "ops": [1, 3]}


def test_a_send_of_unknown_outcome_may_go_back():
    polled = poll(1, {"k": [[0, 2], [1, 1]]})
    result = check(send(0, "k", 1, 1), unknown_send(0, "k", 2), polled)
    assert only(result, "nonmonotonic-send")[0]["values"] == [1, 2]
    assert check(send(0, "k", 1, 1), failed_send(0, "k", 2), polled)["error-types"] == ["G1a"]


def test_sends_of_different_processes_are_not_compared():
    result = check(send(0, "k", 1, 1), send(2, "k", 2, 0), poll(1, {"k": [[0, 2], [1, 1]]}))
    assert result["valid?"] is True


def test_an_assign_forgets_sends_too():
    parts = [send(0, "k", 1, 1), assign(0, "l"), send(0, "k", 2, 0)]
    assert check(*parts, poll(1, {"k": [[0, 2], [1, 1]]}))["valid?"] is True


# What is shown


def test_the_most_telling_cases_are_shown():
    backwards = [[m - 1, m] for m in range(20, 0, -1)]
    parts = [good_sends("k", 20), poll(0, {"k": [*backwards, [19, 20], [9, 10]]})]
    result = check(*parts)
    assert result["int-nonmonotonic-poll"]["count"] == 20
    assert [c["delta"] for c in result["int-nonmonotonic-poll"]["errs"]] == [-10] + [-1] * 7
    assert [c["delta"] for c in result["int-poll-skip"]["errs"]] == [19]


def test_few_of_many_lost_writes_are_shown_but_all_are_counted():
    result = check(good_sends("k", 100), poll(0, {"k": [[99, 100]]}))
    assert result["lost-write"]["count"] == 99
    assert len(result["lost-write"]["errs"]) == 16


# Lag


def test_the_lag_of_a_poll_that_missed_a_send():
    at = history(
        invoke(0, "assign", ["k"], at=0),
        ok(0, at=1),
        invoke(1, "send", [["send", "k", 1]], at=2),
        ok(1, [["send", "k", [0, 1]]], at=3),
        invoke(0, "poll", [["poll"]], at=10),
        ok(0, [["poll", {"k": []}]], at=20),
    )
    lag = worst_realtime_lag(gather(at))
    assert lag == {"time": 0.010, "process": 0, "key": "k", "lag": 0.007}


def test_a_poll_that_did_not_succeed_has_no_lag():
    missed = [assign(0, "k"), send(1, "k", 1, 0), unknown_poll(0, {})]
    assert worst_realtime_lag(gather(written(*missed))) == {"time": 0.0, "lag": 0.0}


def naive_worst_lag(operations):
    """Jepsen's rules, word for word, in a time that grows with the square of the history."""
    shown = gather(operations).completions

    def highest(completion):
        offsets = {key: max(p.offsets, default=-1) for key, p in completion.polls.items()}
        for key, sent in completion.sends.items():
            offsets[key] = max([0, *(o for o in sent.offsets if o is not None)])
        return offsets

    def expired(key, offset):
        """When it was known that something stands beyond `offset`."""
        known = (c.operation.time for c in shown if highest(c).get(key, -1) > offset)
        return next(known, float("inf"))

    positions, lags = {}, []
    for completion in shown:
        operation, process = completion.operation, completion.operation.process
        mine = positions.get(process, {})
        if operation.type == "ok" and operation.f == "assign":
            positions[process] = {key: mine.get(key, -1) for key in operation.value}
        elif operation.type == "ok" and operation.f == "poll":
            for key, offset in highest(completion).items():
                mine[key] = max(offset, mine.get(key, offset))
            positions[process] = mine
            begun = operations.invocation(operation).time
            lags += [max(0, begun - expired(key, offset)) for key, offset in mine.items()]
    return max(lags, default=0) / 1_000_000_000


KEYS = st.sampled_from("kl")
PROCESSES = st.integers(0, 2)
OFFSETS = st.integers(0, 6)
SENDS = st.builds(send, PROCESSES, KEYS, st.integers(1, 9), OFFSETS)
PAIRS = st.lists(st.tuples(OFFSETS, st.integers(1, 9)).map(list), max_size=4)
POLLS = st.builds(poll, PROCESSES, st.dictionaries(KEYS, PAIRS))
ASSIGNS = st.builds(lambda p, keys: assign(p, *keys), PROCESSES, st.sets(KEYS))


@given(st.lists(SENDS | POLLS | ASSIGNS, max_size=12))
def test_the_worst_lag_of_any_history(parts):
    anything = written(*parts)
    assert worst_realtime_lag(gather(anything))["lag"] == naive_worst_lag(anything)


@given(st.lists(SENDS | POLLS | ASSIGNS, max_size=12))
def test_any_history_has_a_verdict_that_can_be_written_down(parts):
    result = kafka.check(written(*parts), Options())
    assert result["valid?"] is (False if result["bad-error-types"] else result["valid?"])
    assert edn.loads(edn.dumps(edn.keywordized(result))) == edn.loads(
        edn.pretty(edn.keywordized(result))
    )


@given(PAIRS, st.lists(st.integers(1, 9), max_size=6))
def test_jumps_are_neighbours_that_are_not_neighbours_in_the_log(pairs, messages):
    log = Log({tuple(pair): None for pair in pairs})
    expected = [
        (before, after, log.delta(before, after))
        for before, after in pairwise(messages)
        if log.delta(before, after) != 1
    ]
    assert list(log.jumps(messages)) == expected


# Beyond Maelstrom


def kinds(*parts):
    return {w["kind"]: w["count"] for w in kafka.warnings(written(*parts), Options())}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_warnings_about_the_recorded_runs(case):
    expected = {
        "kafka-local": {"incomplete": 4},
        "kafka-lose": {"incomplete": 4},
        "kafka-reorder": {"unsorted": 32},
        # Jepsen finds one of them: this node shows empty lists, which make it forget.
        "kafka-skip": {"gap": 9},
    }
    warnings = kafka.warnings(read_history(case), Options())
    assert {w["kind"]: w["count"] for w in warnings} == expected.get(case.name, {})


def test_a_good_history_has_no_warnings():
    parts = [good_sends("k", 3), assign(0, "k"), good_poll(0, "k", 3), poll(0, {})]
    assert kinds(*parts) == {}


def test_a_cluster_that_never_returns_anything():
    parts = [good_sends("k", 3), assign(0, "k"), poll(0, {}), poll(0, {"k": []})]
    [warning] = kafka.warnings(written(*parts), Options())
    assert warning["kind"] == "silent"
    assert warning["first"] == {"polls": 2, "acknowledged": 3}
    assert kinds(assign(0, "k"), poll(0, {})) == {}, "there was nothing to see"


def test_a_process_that_polls_from_the_beginning_but_sees_no_end():
    rewound = [good_sends("k", 3), assign(0, "k", from_beginning=True), good_poll(0, "k", 2)]
    end = good_poll(1, "k", 3)
    assert kinds(*rewound, poll(0, {}), end, assign(1, "k")) == {"unasked-key": 1}
    assert kinds(assign(1, "k"), *rewound, poll(0, {}), end) == {}, "not enough polls yet"
    parts = [assign(1, "k"), *rewound, poll(0, {}), poll(0, {}), end]
    assert kinds(*parts) == {"incomplete": 1}
    first = kafka.warnings(written(*parts), Options())[0]["first"]
    assert first == {"process": 0, "keys": ["k"]}


def test_a_poll_that_begins_too_late_or_too_early():
    parts = [good_sends("k", 3), assign(0, "k")]
    assert kinds(*parts, poll(0, {"k": [[1, 2], [2, 3]]})) == {"gap": 1}
    assert kinds(*parts, good_poll(0, "k", 1), poll(0, {"k": [[2, 3]]})) == {"gap": 1}
    assert kinds(*parts, good_poll(0, "k", 1), good_poll(0, "k", 3)) == {"below-offset": 1}


def test_a_rewound_process_begins_at_0_again():
    rewound = assign(0, "k", from_beginning=True)
    parts = [good_sends("k", 3), assign(0, "k"), good_poll(0, "k", 3), rewound]
    assert kinds(*parts, good_poll(0, "k", 3)) == {}
    assert kinds(*parts, poll(0, {"k": [[2, 3]]})) == {"gap": 1}


def test_after_a_poll_that_failed_the_position_is_only_a_lower_bound():
    failed = [invoke(0, "poll", [["poll"]]), fail(0)]
    parts = [good_sends("k", 3), assign(0, "k"), failed, poll(0, {"k": [[2, 3]]})]
    assert kinds(*parts) == {}


def test_a_key_that_was_not_asked_for():
    assert kinds(good_sends("k", 1), assign(0, "l"), good_poll(0, "k", 1)) == {"unasked-key": 1}


def test_offsets_that_do_not_increase():
    parts = [good_sends("k", 2), assign(0, "k"), poll(0, {"k": [[1, 2], [0, 1]]})]
    assert kinds(*parts) == {"unsorted": 1}


def test_a_message_that_nobody_sent():
    parts = [good_sends("k", 1), assign(0, "k"), good_poll(0, "k", 2)]
    assert kinds(*parts) == {"phantom": 1}


# Speed


def test_the_verdict_takes_time_in_proportion_to_the_length_of_the_history():
    """To how much time, see `python -m benchmarks.kafka_checker`."""

    def cost(history) -> float:
        def once() -> float:
            begun = time.process_time()
            assert kafka.check(history, Options())["valid?"] is True
            return time.process_time() - begun

        return min(once() for _ in range(3))

    short, long = (play(Logs(), seed=1, time_limit=limit, rate=1000) for limit in (5, 20))
    assert len(long) > 35_000
    assert cost(long) / cost(short) < 10  # in proportion is 4, quadratic would be 16
