"""The transactional workloads: the load beside a recorded one, and what an answer looks like."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from glomers.errors import UsageError
from glomers.history.edn import dumps
from glomers.history.operations import read_history
from glomers.options import Options
from glomers.run.build import simulated_test
from glomers.workloads.base import Invocation
from glomers.workloads.shapes import mismatch
from glomers.workloads.txn_list_append import TxnListAppendWorkload
from glomers.workloads.txn_rw_register import TxnRwRegisterWorkload

HISTORIES = Path(__file__).parent.parent / "histories"


def transactions(count, workload=TxnRwRegisterWorkload, **options):
    load = workload(Options(**options), Random(1)).generator()
    return [load.next(0, 0).value for _ in range(count)]


def writes(transactions):
    """Key -> the values that are written to it, in order."""
    found = {}
    for transaction in transactions:
        for f, key, value in transaction:
            if f != "r":
                found.setdefault(key, []).append(value)
    return found


def test_what_is_written_to_a_key_is_one_two_three():
    for values in writes(transactions(500)).values():
        assert values == list(range(1, len(values) + 1))


def test_a_key_gives_way_to_the_next_when_it_has_been_written_often_enough():
    written = writes(transactions(2_000, max_writes_per_key=5))
    lengths = Counter(map(len, written.values()))
    assert max(lengths) == 5
    assert sum(lengths.values()) - lengths[5] <= 10
    assert lengths[5] <= max(written) <= lengths[5] + 9


def test_as_many_keys_as_asked_for_are_in_use():
    done = transactions(300, key_count=3, max_writes_per_key=1_000_000)
    assert {key for transaction in done for _, key, _ in transaction} == {0, 1, 2}


def test_a_key_is_used_twice_as_often_as_the_one_before():
    done = transactions(8_000, key_count=3, max_writes_per_key=1_000_000)
    used = Counter(key for transaction in done for _, key, _ in transaction)
    assert used[1] / used[0] == pytest.approx(2, rel=0.1)
    assert used[2] / used[1] == pytest.approx(2, rel=0.1)


def test_a_great_many_keys():
    assert len(transactions(10, key_count=5_000)) == 10


def test_transactions_are_as_long_as_allowed():
    lengths = Counter(map(len, transactions(4_000, max_txn_length=3)))
    assert set(lengths) == {1, 2, 3}
    assert min(lengths.values()) > 1_200


def test_the_load_is_like_that_of_a_recorded_run():
    """Counts per transaction, of the first 1,656 transactions."""
    recorded = [
        operation.value
        for operation in read_history(HISTORIES / "txn-good-rc")
        if operation.type == "invoke"
    ]
    ours = transactions(len(recorded))
    assert recorded[0][0][0] == "r"

    def figures(load):
        parts = [part for transaction in load for part in transaction]
        full = sum(len(values) == 16 for values in writes(load).values())
        return {
            "length": len(parts) / len(load),
            "reads": sum(f == "r" for f, _, _ in parts) / len(parts),
            "keys used up": full / len(load),
        }

    assert figures(ours) == pytest.approx(figures(recorded), rel=0.08)


def test_the_history_looks_like_maelstroms():
    (first,) = transactions(1)
    assert {dumps(part[0]) for part in first} <= {":r", ":w"}


def test_list_append_appends_where_the_other_writes():
    plain, lists = transactions(50), transactions(50, TxnListAppendWorkload)
    named = [[["append" if f == "w" else f, k, v] for f, k, v in txn] for txn in plain]
    assert lists == named


# The session and its answers


def test_a_session_sends_strings_and_records_keywords():
    session = TxnRwRegisterWorkload(Options(), Random(1)).session("n0")
    (request,) = transactions(1)
    conversation = session.invoke(Invocation("txn", request))
    assert next(conversation) == {"type": "txn", "txn": request}
    with pytest.raises(StopIteration) as end:
        conversation.send({"type": "txn_ok", "txn": [["r", 9, 3], ["w", 9, 4]]})
    assert dumps(end.value.value) == "[[:r 9 3] [:w 9 4]]"


@pytest.mark.parametrize(
    ("workload", "answer", "right"),
    [
        (TxnRwRegisterWorkload, [], True),
        (TxnRwRegisterWorkload, [["r", 1, None], ["w", 1, 2], ["r", 1, "x"]], True),
        (TxnRwRegisterWorkload, [["r", 1]], False),
        (TxnRwRegisterWorkload, [["r", 1, 2, 3]], False),
        (TxnRwRegisterWorkload, [["append", 1, 2]], False),
        (TxnRwRegisterWorkload, ["r", 1, 2], False),
        (TxnRwRegisterWorkload, None, True),  # an empty list, to Maelstrom
        (TxnListAppendWorkload, [["r", 1, [1, 2]], ["r", 2, None], ["append", 1, 3]], True),
        (TxnListAppendWorkload, [["r", 1, 7]], False),
        (TxnListAppendWorkload, [["w", 1, 7]], False),
    ],
)
def test_what_an_answer_must_look_like(workload, answer, right):
    type, shape = workload.answers["txn"]
    assert type == "txn_ok"
    assert (mismatch({"txn": answer}, shape) == "") is right


def test_a_wrong_answer_is_explained():
    _, shape = TxnRwRegisterWorkload.answers["txn"]
    assert mismatch({"txn": [["r", 1, 2], ["x", 1, 2]]}, shape) == (
        '`txn`[1] should be ["r", anything, anything] or ["w", anything, anything], not ["x", 1, 2]'
    )


@pytest.mark.parametrize("workload", [TxnRwRegisterWorkload, TxnListAppendWorkload])
def test_an_unknown_consistency_model_is_a_mistake_of_the_command(workload):
    with pytest.raises(UsageError, match=r"snapshot-isolation\? known models are .*read-committed"):
        workload(Options(consistency_models=("read-committed", "snapshot")), Random(1))


# A whole test

NODE = """
from maelstrom_node import Node
node = Node()
values = {}

@node.on("txn")
def txn(message):
    answer = []
    for f, key, value in message.body["txn"]:
        if f == "append":
            values[key] = [*values.get(key, []), value]
        elif f == "w":
            values[key] = value
        answer.append([f, key, READ if f == "r" else value])
    return {"type": "txn_ok", "txn": answer}

node.run()
"""


def simulated(workload, bin):
    options = Options(
        workload=workload,
        bin=str(bin),
        nodes=("n0",),
        concurrency=2,
        rate=100,
        time_limit=5,
        seed=1,
    )
    return simulated_test(options).run()["workload"]


@pytest.mark.parametrize("workload", ["txn-rw-register", "txn-list-append"])
def test_a_simulated_node_that_is_right_is_strictly_serializable(workload, script):
    right = script(NODE.replace("READ", "values.get(key)"))
    assert simulated(workload, right)["valid?"] is True


@pytest.mark.parametrize(
    ("workload", "read"),
    [("txn-rw-register", "None"), ("txn-list-append", "(values.get(key) or [])[:-1] or None")],
)
def test_a_simulated_node_that_reads_wrongly_is_not(workload, read, script):
    result = simulated(workload, script(NODE.replace("READ", read)))
    assert result["valid?"] is False
    assert "internal" in result["anomaly-types"]


@pytest.mark.parametrize("workload", [TxnRwRegisterWorkload, TxnListAppendWorkload])
def test_an_answer_of_null_is_a_transaction_without_operations(workload):
    session = workload(Options(consistency_models=("read-committed",)), Random(1)).session("n0")
    conversation = session.invoke(Invocation("txn", [["r", 1, None]]))
    next(conversation)
    with pytest.raises(StopIteration) as end:
        conversation.send({"type": "txn_ok", "txn": None})
    assert end.value.value == []


@pytest.mark.parametrize("workload", ["txn-rw-register", "txn-list-append"])
def test_a_simulated_node_that_answers_null_is_judged(workload, script):
    null = NODE.replace('"txn": answer}', '"txn": None}').replace("READ", "None")
    assert simulated(workload, script(null))["valid?"] is True
