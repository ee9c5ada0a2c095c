"""Each anomaly of transactions over lists, and what only looks like it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from txn_histories import history, together, types

from glomers.checkers.txn_list_append import check, warnings
from glomers.history.operations import History, Operation
from glomers.options import Options

RU, RC, SI = "read-uncommitted", "read-committed", "snapshot-isolation"
RR, SER, STRICT = "repeatable-read", "serializable", "strict-serializable"


def judge(history, *models):
    return check(history, Options(consistency_models=models))


def anomalies(history, *models):
    return types(judge(history, *models))


def test_internal_a_transaction_does_not_see_its_own_append():
    assert anomalies(history("a x 1, r x -", "r x [1]"), SER) == ["internal"]
    assert anomalies(history("a x 1, r x [1]", "r x [1]"), SER) == []


def test_internal_it_sees_it_at_another_place_than_the_end():
    before = "a x 1"
    seen = history(before, "a x 2, r x [2 1]", "r x [2 1]")
    assert "internal" in anomalies(seen, SER)
    assert judge(seen, SER)["anomalies"]["internal"][0]["expected"] == ["...", 2]
    assert anomalies(history(before, "a x 2, r x [1 2]", "r x [1 2]"), SER) == []


def test_internal_it_reads_twice_and_differently():
    assert "internal" in anomalies(history("a x 1", "r x [1], r x -"), SER)
    assert anomalies(history("a x 1", "r x [1], a x 2, r x [1 2]"), SER) == []


def test_future_read_a_transaction_sees_what_it_appends_only_later():
    assert "future-read" in anomalies(history("r x [1], a x 1", "r x [1]"), RC)
    assert anomalies(history("r x -, a x 1", "r x [1]"), RC) == []


def test_g1a_a_read_of_what_a_failed_transaction_appended():
    """Wherever in the list it is."""
    assert anomalies(history("fail: a x 1", "a x 2", "r x [1 2]"), RC) == ["G1a", "dirty-update"]
    assert anomalies(history("info: a x 1", "a x 2", "r x [1 2]"), RC) == []
    assert anomalies(history("fail: a x 1", "a x 2", "r x [2]"), RC) == []


def test_g1b_a_read_that_ends_between_two_appends_of_a_transaction():
    assert anomalies(history(together("a x 1, a x 2", "r x [1]"), "r x [1 2]"), RC) == ["G1b"]
    assert anomalies(history("a x 1, a x 2", "r x [1 2]"), RC) == []


def test_dirty_update_a_successful_append_follows_one_that_failed():
    updated = history("a x 1", "fail: a x 2", "info: a x 3", "a x 4", "r x [1 2 3 4]")
    assert anomalies(updated, RC) == ["G1a", "dirty-update"]
    (case,) = judge(updated, RC)["anomalies"]["dirty-update"]
    assert case["values"] == [2, 3, 4]
    more = history("fail: a x 2", "a x 4", "a x 5", "r x [2 4 5]")
    assert len(judge(more, RC)["anomalies"]["dirty-update"]) == 1
    last = history("a x 1", "a x 4", "fail: a x 2", "r x [1 4 2]")
    assert anomalies(last, RC) == ["G1a"]


def test_duplicate_elements_an_append_that_happened_twice():
    assert anomalies(history("a x 1", "r x [1 1]"), RU) == ["duplicate-elements"]
    twice = history("a x 1, a x 2, a x 3", "r x [1 2 1 3 3 3]")
    [case] = judge(twice, RU)["anomalies"]["duplicate-elements"]
    assert case["duplicates"] == {1: 2, 3: 3}
    assert anomalies(history("a x 1", "a x 2", "r x [1 2]"), RU) == []


def test_incompatible_order_two_reads_of_which_neither_is_the_beginning_of_the_other():
    apart = history(together("a x 1", "a x 2"), together("r x [1]", "r x [2 1]"))
    assert "incompatible-order" in anomalies(apart, RC)
    assert anomalies(history(together("a x 1", "a x 2"), "r x [1 2]", "r x [1]"), RC) == []


def test_lost_update_two_transactions_read_the_same_list_and_append():
    lost = history(together("r x -, a x 1", "r x -, a x 2"), "r x [1 2]")
    assert anomalies(lost, SI) == ["G-single-item", "lost-update"]
    assert anomalies(history("r x -, a x 1", "r x [1], a x 2", "r x [1 2]"), SI) == []


def test_g0_two_transactions_append_after_each_other():
    """Unlike over registers, it is seen although neither read anything."""
    both = history(together("a x 1, a y 2", "a x 2, a y 1"), "r x [1 2], r y [1 2]")
    assert anomalies(both, RU) == ["G0"]
    one = history(together("a x 1, a y 1", "a x 2, a y 2"), "r x [1 2], r y [1 2]")
    assert anomalies(one, RU) == []


def test_g0_is_no_matter_of_a_failed_transaction():
    both = history(together("a x 1, a y 2", "fail: a x 2, a y 1"), "r x [1 2], r y [1 2]")
    assert anomalies(both, RU) == []


def test_g0_of_a_transaction_of_unknown_outcome():
    both = history(together("a x 1, a y 2", "info: a x 2, a y 1"), "r x [1 2], r y [1 2]")
    assert anomalies(both, RU) == ["G0"]


def test_g0_realtime_an_append_that_came_later_is_before():
    late = history("a x 2", "info: a x 1", "r x [1 2]", processes=[0, 1, 2])
    assert anomalies(late, "strong-read-uncommitted") == ["G0-realtime"]
    assert anomalies(late, RU) == []
    overlapping = history(together("a x 2", "info: a x 1"), "r x [1 2]")
    assert anomalies(overlapping, "strong-read-uncommitted") == []


def test_g1c_two_transactions_read_from_each_other():
    both = history(together("a x 1, r y [1]", "a y 1, r x [1]"))
    assert anomalies(both, RC) == ["G1c"]
    assert anomalies(history(together("a x 1, r y -", "a y 1, r x [1]")), RC) == []


def test_g_single_a_transaction_sees_half_of_another():
    torn = history(together("a x 1, a y 1", "r x -, r y [1]"))
    assert anomalies(torn, SI) == ["G-single-item"]
    assert anomalies(history(together("a x 1, a y 1", "r x -, r y -")), SI) == []


def test_g2_write_skew():
    skew = history(together("r x -, a y 1", "r y -, a x 1"))
    assert anomalies(skew, SER) == ["G2-item"]
    assert anomalies(skew, SI) == []
    assert anomalies(history(together("r x -, a y 1", "r y [1], a x 1")), SER) == []


def test_realtime_a_client_does_not_see_what_had_been_acknowledged():
    stale = history("a x 1", "r x -", processes=[0, 1])
    assert anomalies(stale, STRICT) == ["G-single-item-realtime"]
    assert anomalies(stale, SER) == []


def test_an_append_that_was_never_read_comes_after_all_that_were():
    torn = history("a x 1", together("r x [1], r y [1]", "a x 2, a y 1"))
    assert anomalies(torn, SI) == ["G-single-item"]


def test_each_edge_has_its_reason():
    both = history(together("a x 1, a y 2", "a x 2, a y 1"), "r x [1 2], r y [1 2]")
    (cycle,) = judge(both, RU)["anomalies"]["G0"]
    assert [step["reason"] for step in cycle["steps"]] == [
        "T1 appended 1 to key 'x', and T2 appended 2 after it",
        "T2 appended 1 to key 'y', and T1 appended 2 after it",
    ]
    torn = history("a x 1", together("a x 2, a y 1", "r x [1], r y [1]"))
    (cycle,) = judge(torn, SI)["anomalies"]["G-single-item"]
    assert [step["reason"] for step in cycle["steps"]] == [
        "T1 appended 1 to key 'y', which T2 read",
        "T2 read key 'x' up to 1, before T1 appended 2",
    ]


def test_an_element_appended_twice_makes_the_analysis_impossible():
    result = judge(history("a x 1", "a x 1", "r x [1]"), RC)
    assert result["valid?"] == "unknown"
    assert "1 was appended to key 'x' twice" in result["error"]


def test_an_element_that_nobody_appended_is_a_warning():
    strange = history("a x 1", "r x [1]", "r x [1 7]")
    assert anomalies(strange, RC) == []
    assert [w["kind"] for w in warnings(strange, Options(nodes=("n0",)))] == ["unwritten"]


MICRO_OPERATIONS = st.tuples(st.sampled_from(["r", "append"]), st.integers(0, 2))


@given(st.lists(st.lists(MICRO_OPERATIONS, min_size=1, max_size=4), min_size=2, max_size=12))
def test_what_was_executed_one_after_the_other_has_no_anomaly(transactions):
    lists, operations, element = {}, [], 0
    for number, transaction in enumerate(transactions):
        request, answer = [], []
        for f, key in transaction:
            if f == "r":
                request.append([f, key, None])
                answer.append([f, key, list(lists[key]) if key in lists else None])
            else:
                element += 1
                lists.setdefault(key, []).append(element)
                request.append([f, key, element])
                answer.append([f, key, element])
        for type, value in (("invoke", request), ("ok", answer)):
            index = len(operations)
            operations.append(Operation(index, index, type, number % 3, "txn", value))
    assert anomalies(History(operations), STRICT) == []
