"""Which transactions come before which in time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from txn_histories import history, together

from glomers.checkers.dependencies import DependencyGraph, process_order, realtime_order
from glomers.history.operations import History, Operation


def names(order, recorded):
    """Pairs of transactions by the key that each of them writes."""
    written = {operation.index: operation.value[0][1] for operation in recorded}
    return [written[a] + written[b] for a, b in order(recorded)]


def test_a_process_does_one_thing_after_the_other():
    recorded = history(together("w a 1", "w b 1"), "w c 1", together("w d 1", "w e 1"))
    assert names(process_order, recorded) == ["ac", "cd", "be"]


def test_what_did_not_succeed_has_no_place_in_a_process():
    assert names(process_order, history("w a 1", "fail: w b 1", "w c 1")) == ["ac"]


def test_what_ended_before_another_began_comes_first():
    recorded = history(together("w a 1", "w b 1"), together("w c 1", "w d 1"))
    assert names(realtime_order, recorded) == ["ac", "bc", "ad", "bd"]


def test_what_follows_by_way_of_another_is_left_out():
    assert names(realtime_order, history("w a 1", "w b 1", "w c 1")) == ["ab", "bc"]


def test_what_failed_is_left_out_and_what_is_unknown_comes_before_nothing():
    assert names(realtime_order, history("w a 1", "fail: w b 1", "w c 1")) == ["ac"]
    recorded = history("w a 1", "info: w b 1", "w c 1", processes=[0, 1, 0])
    assert names(realtime_order, recorded) == ["ab", "ac"]


@given(st.lists(st.sampled_from([0, 1, 2]), max_size=24))
def test_the_pairs_that_are_left_out_follow_from_the_others(steps):
    """Each step begins or ends the operation of that process."""
    running, operations = set(), []
    for process in steps:
        type = "ok" if process in running else "invoke"
        running ^= {process}
        index = len(operations)
        operations.append(Operation(index, index, type, process, "txn", []))
    recorded = History(operations)
    pairs = list(realtime_order(recorded))
    reachable = set(pairs)
    for _ in operations:
        reachable |= {(a, d) for a, b in reachable for c, d in pairs if b == c}
    ended = [(a, recorded.completion(a) or a) for a in recorded if a.type == "invoke"]
    assert reachable == {
        (a.index, b.index)
        for _, a in ended
        for began, b in ended
        if a.type == "ok" and a.index < began.index
    }
    assert len(pairs) <= 3 * len(ended)


def test_nothing_depends_on_itself():
    graph = DependencyGraph()
    graph.link(1, 1, 1)
    graph.link(1, 2, 1)
    graph.link(1, 2, 4)
    assert graph.successors == {1: {2: 5}}
