"""Each anomaly of transactions over registers, and what only looks like it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from txn_histories import history, together, types

from glomers.checkers.txn_rw_register import check
from glomers.history.operations import History, Operation
from glomers.options import Options
from glomers.workloads.transactions import TransactionGenerator

RU, RC, SI = "read-uncommitted", "read-committed", "snapshot-isolation"
RR, SER, STRICT = "repeatable-read", "serializable", "strict-serializable"


def judge(history, *models):
    return check(history, Options(consistency_models=models))


def anomalies(history, *models):
    return types(judge(history, *models))


# Without cycles


def test_internal_a_transaction_does_not_see_its_own_write():
    assert anomalies(history("w x 1, r x -", "r x 1"), SER) == ["internal"]
    assert anomalies(history("w x 1, r x 1", "r x 1"), SER) == []


def test_internal_a_transaction_reads_a_key_twice_and_differently():
    others = together("w x 1", "w x 2")
    assert "internal" in anomalies(history(others, "r x 1, r x 2"), SER)
    assert anomalies(history(others, "r x 1, r x 1"), SER) == []


def test_internal_counts_once_for_a_transaction():
    twice = history("w x 1, r x -, w y 1, r y -", "r x 1, r y 1")
    assert len(judge(twice, SER)["anomalies"]["internal"]) == 1


def test_internal_is_no_matter_for_read_committed():
    assert anomalies(history("w x 1, r x -", "r x 1"), RC) == []


def test_g1a_a_read_of_what_a_failed_transaction_wrote():
    assert anomalies(history("fail: w x 1", "r x 1, w y 1", "r y 1"), RC) == ["G1a"]
    assert anomalies(history("info: w x 1", "r x 1, w y 1", "r y 1"), RC) == []
    assert anomalies(history("fail: w x 1", "r x -, w y 1", "r y 1"), RC) == []


def test_g1a_is_no_matter_for_read_uncommitted():
    assert anomalies(history("fail: w x 1", "r x 1, w y 1", "r y 1"), RU) == []


def test_g1b_a_read_of_what_the_writer_itself_overwrote():
    assert anomalies(history(together("w x 1, w x 2, w y 1", "r x 1, r y 1")), RC) == ["G1b"]
    assert anomalies(history(together("w x 1, w x 2, w y 1", "r x 2, r y 1")), RC) == []
    assert anomalies(history("w x 1, r x 1, w x 2", "r x 2"), RC) == []


def test_lost_update_two_transactions_replace_the_same_version():
    both = history("w x 0", together("r x 0, w x 1", "r x 0, w x 2"))
    assert anomalies(both, RR) == ["G2-item", "lost-update"]
    assert judge(both, RR)["anomalies"]["lost-update"][0]["value"] == 0
    assert anomalies(history("w x 0", "r x 0, w x 1", "r x 1, w x 2"), RR) == []
    assert anomalies(history("w x 0", together("r x 0, w x 1", "r x 0, w y 2")), RR) == []


def test_lost_update_of_the_initial_version():
    assert "lost-update" in anomalies(history(together("r x -, w x 1", "r x -, w x 2")), SI)


def test_cyclic_versions_each_transaction_read_what_the_other_wrote_to_the_key():
    both = history(together("r x 2, w x 1", "r x 1, w x 2"))
    assert anomalies(both, RU) == ["cyclic-versions"]
    assert judge(both, RU)["anomalies"]["cyclic-versions"][0]["key"] == "x"
    assert anomalies(history(together("r x -, w x 1", "r x 1, w x 2")), RU) == []


def test_cyclic_versions_of_one_key_discredit_the_orders_of_all():
    update = ("w z 0", together("r z 0, w z 1", "r z 0, w z 2"))
    assert "G2-item" in anomalies(history(*update), SER)
    cyclic = together("r x 2, w x 1", "r x 1, w x 2")
    assert "G2-item" not in anomalies(history(*update, cyclic), SER)


# Cycles


def test_g0_two_transactions_overwrite_each_other():
    """Seen only where each read what it overwrote; Elle then names it G1c, as every ww is a wr."""
    both = history(together("w x 1, r y 1, w y 2", "w y 1, r x 1, w x 2"))
    assert anomalies(both, RU) == ["PL-1-cycle-exists"]
    assert anomalies(both, RC) == ["G1c", "PL-1-cycle-exists"]
    assert anomalies(history("w x 1, w y 1", "r x 1, w x 2, r y 1, w y 2"), RU) == []


def test_g0_that_nobody_read_is_not_seen():
    assert anomalies(history(together("w x 1, w y 1", "w x 2, w y 2"), "r x 1, r y 2"), RC) == []


def test_g1c_two_transactions_read_from_each_other():
    both = history(together("w x 1, r y 1", "w y 1, r x 1"))
    assert anomalies(both, RC) == ["G1c"]
    assert anomalies(both, RU) == []
    assert anomalies(history(together("w x 1, r y -", "w y 1, r x 1")), RC) == []


def test_g_single_a_transaction_sees_half_of_another():
    torn = history(together("w x 1, w y 1", "r x -, r y 1"))
    assert anomalies(torn, SI) == ["G-single-item"]
    assert anomalies(torn, RC) == []
    assert judge(torn, SER)["not"] == {"consistent-view", "repeatable-read"}
    assert anomalies(history(together("w x 1, w y 1", "r x 1, r y 1")), SI) == []
    assert anomalies(history(together("w x 1, w y 1", "r x -, r y -")), SI) == []


def test_g_nonadjacent_two_readers_see_two_writes_in_opposite_orders():
    fork = history(together("w x 1", "w y 1", "r x 1, r y -", "r y 1, r x -"))
    assert anomalies(fork, SI) == ["G-nonadjacent-item"]
    assert anomalies(fork, RC) == []
    agreed = history(together("w x 1", "w y 1", "r x 1, r y -", "r y 1, r x 1"))
    assert anomalies(agreed, SI) == []


def test_g2_write_skew():
    skew = history(together("r x -, w y 1", "r y -, w x 1"))
    assert anomalies(skew, SER) == ["G2-item"]
    assert anomalies(skew, SI) == []
    assert judge(skew, SER)["not"] == {"repeatable-read"}
    assert anomalies(history(together("r x -, w y 1", "r y 1, w x 1")), SER) == []


def test_process_a_client_does_not_see_its_own_write():
    stale = ("w x 1", "r x -")
    model = "strong-session-serializable"
    assert anomalies(history(*stale), model) == ["G-single-item-process"]
    assert anomalies(history(*stale, processes=[0, 1]), model) == []
    assert anomalies(history(*stale), SER) == []


def test_realtime_a_client_does_not_see_what_had_been_acknowledged():
    stale = history("w x 1", "r x -", processes=[0, 1])
    assert anomalies(stale, STRICT) == ["G-single-item-realtime"]
    assert anomalies(stale, SER) == []
    assert anomalies(history(together("w x 1", "r x -")), STRICT) == []


def test_realtime_a_client_sees_what_was_written_only_later():
    early = history("r x 1, w y 1", "w x 1", processes=[0, 1])
    assert anomalies(early, "strong-read-committed") == ["G1c-realtime"]
    assert anomalies(early, RC) == []
    assert anomalies(history(together("r x 1, w y 1", "w x 1")), "strong-read-committed") == []


def test_realtime_holds_across_transactions_between():
    """Not every pair is an edge; what is in between must carry it."""
    stale = history("w x 1", *(f"w y {n}" for n in range(20)), together("r y 3", "r x -"))
    assert anomalies(stale, STRICT) == ["G-single-item-realtime"]


def test_a_transaction_of_unknown_outcome_may_have_happened_or_not():
    assert anomalies(history("info: w x 1", "r x -", "r x 1", processes=[0, 1, 2]), STRICT) == []


# What is reported


def test_a_cycle_is_explained_by_its_transactions_and_the_reason_of_each_edge():
    torn = history(together("w x 1, w y 1", "r x -, r y 1"))
    (cycle,) = judge(torn, SI)["anomalies"]["G-single-item"]
    assert [operation["index"] for operation in cycle["cycle"]] == [2, 3, 2]
    assert [(step["type"], step["key"]) for step in cycle["steps"]] == [("wr", "y"), ("rw", "x")]
    assert [step["reason"] for step in cycle["steps"]] == [
        "T1 wrote 1 to key 'y', which T2 read",
        "T2 read key 'x' as it was before any write, and T1 wrote 1",
    ]
    assert [(step["a-mop-index"], step["b-mop-index"]) for step in cycle["steps"]] == [
        (1, 1),
        (0, 0),
    ]


def test_a_version_order_is_explained_by_who_read_and_overwrote():
    both = history("w x 0", together("r x 0, w x 1", "r x 0, w x 2"))
    (cycle,) = judge(both, SER)["anomalies"]["G2-item"]
    assert cycle["steps"][0]["reason"] == "T1 read 0 of key 'x', which T2 read and overwrote with 2"


def test_time_is_explained_by_when_transactions_ended_and_began():
    (cycle,) = judge(history("w x 1", "r x -"), STRICT)["anomalies"]["G-single-item-realtime"]
    assert [step["reason"] for step in cycle["steps"]] == [
        "T1 ended (at index 1) 0.001 s before T2 began (at index 2)",
        "T2 read key 'x' as it was before any write, and T1 wrote 1",
    ]


def test_each_group_of_transactions_has_its_own_examples():
    two = history(
        together("r x -, w y 1", "r y -, w x 1"),
        together("r p -, w q 1", "r q -, w p 1"),
    )
    assert len(judge(two, SER)["anomalies"]["G2-item"]) == 2


def test_the_weakest_models_that_do_not_hold_and_the_stronger_ones():
    result = judge(history("fail: w x 1", "r x 1, w y 1", "r y 1"), RC)
    assert result["not"] == {"read-committed"}
    assert "serializable" in result["also-not"]
    assert "read-committed" not in result["also-not"]
    assert "read-uncommitted" not in result["also-not"]


def test_models_are_checked_together():
    skew = history(together("r x -, w y 1", "r y -, w x 1"))
    assert anomalies(skew, RC, SER) == ["G2-item"]


def test_an_unknown_model_is_an_error_that_names_the_known_ones():
    with pytest.raises(ValueError, match=r"'snapshot'.*snapshot-isolation, strict-serializable"):
        judge(history("w x 1", "r x 1"), "snapshot")


def test_without_any_dependency_nothing_is_known():
    result = judge(history("w x 1", "w y 1"), RC)
    assert (result["valid?"], result["anomaly-types"]) == ("unknown", ["empty-transaction-graph"])


def test_a_value_written_twice_makes_the_analysis_impossible():
    result = judge(history("w x 1 -> w x 7", "w x 2 -> w x 7", "r x 7"), RC)
    assert result["valid?"] == "unknown"
    assert "'x' had value 7 written by more than one" in result["error"]
    unread = history("w x 1 -> w x 7", "w x 2 -> w x 7", "w y 1", "r y 1")
    assert judge(unread, RC)["valid?"] is True


def test_true_and_one_are_different_values():
    strange = list(history("w x 1", "fail: w y 1", "r y 1, r x 1"))
    answer = strange[-1]
    strange[-1] = replace(answer, value=[["r", "y", True], ["r", "x", 1]])
    assert anomalies(History(strange), RC) == []


# A node that is right


def atomic(seed, length, workers=4, keys=3):
    """Transactions of several clients, each of which takes effect at once, between its ends."""
    random = Random(seed)
    load = TransactionGenerator(Options(key_count=keys, max_writes_per_key=3), random, "w")
    registers, operations, running = {}, [], {}

    def record(type, worker, value):
        index = len(operations)
        operations.append(Operation(index, index, type, worker, "txn", value))

    def take_effect(transaction):
        for f, key, value in transaction:
            if f == "w":
                registers[key] = value
            yield [f, key, registers.get(key)]

    while len(operations) < 2 * length:
        worker = random.randrange(workers)
        phase, value = running.pop(worker, ("free", None))
        if phase == "asked":
            running[worker] = "answered", list(take_effect(value))
        elif phase == "answered":
            record("ok", worker, value)
        elif len(operations) + len(running) < 2 * length:
            running[worker] = "asked", load.next(worker, worker).value
            record("invoke", worker, running[worker][1])
    return History(operations)


@given(st.integers(0, 2**32), st.integers(3, 40))
def test_what_was_executed_atomically_has_no_anomaly(seed, length):
    executed = atomic(seed, length)
    assert len(executed) == 2 * length
    result = judge(executed, STRICT)
    assert set(result["anomaly-types"]) <= {"empty-transaction-graph"}


def test_such_histories_are_no_serial_ones_and_a_stale_read_in_them_is_found():
    executed = list(atomic(1, 40))
    assert any(a.type == b.type == "invoke" for a, b in pairwise(executed))
    late = len(executed)
    executed += [
        Operation(late, late, "invoke", 9, "txn", [["r", 0, None]]),
        Operation(late + 1, late + 1, "ok", 9, "txn", [["r", 0, None]]),
    ]
    assert any(
        f == "w" and key == 0 for op in executed if op.type == "ok" for f, key, _ in op.value
    )
    assert anomalies(History(executed), STRICT) == ["G-single-item-realtime"]
