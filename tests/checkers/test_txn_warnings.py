"""What the verdict on transactions lets pass, and is a warning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from txn_histories import history, together

from glomers.checkers.txn_rw_register import check, warnings
from glomers.checkers.txn_warnings import OCCASIONS
from glomers.history.operations import NEMESIS, History, Operation, read_history
from glomers.options import Options
from glomers.run.drive import check as judge

HISTORIES = Path(__file__).parent.parent / "histories"
# Process 0 talks to n0, process 1 to n1.
TWO_NODES = Options(nodes=("n0", "n1"), concurrency=2, consistency_models=("read-committed",))


def kinds(history, options=TWO_NODES):
    return [str(warning["kind"]) for warning in warnings(history, options)]


def first(history, kind):
    (found,) = [w for w in warnings(history, TWO_NODES) if w["kind"] == kind]
    return found["first"]


RIGHT = ("w x 1", "r x 1, w y 2", "r y 2")


def test_nothing_to_say_about_what_is_right():
    assert kinds(history(*RIGHT)) == []


@pytest.mark.parametrize(
    "answer",
    ["r x 1", "r x 1, r y 2", "r x 1, w z 2", "r x 1, w y 3", "w y 2, r x 1"],
    ids=["too short", "another function", "another key", "another value", "another order"],
)
def test_an_answer_that_is_not_the_request_with_its_reads_filled_in(answer):
    assert "mismatch" in kinds(history("w x 1", f"r x -, w y 2 -> {answer}", "w z 2", "w y 3"))


def test_a_read_of_a_value_that_nobody_wrote():
    assert kinds(history(*RIGHT, "r y 3")) == ["unwritten"]
    assert kinds(history(*RIGHT, together("r y 3", "w y 3"))) == []
    assert kinds(history(*RIGHT, together("r y 3", "info: w y 3"))) == []


def test_a_read_of_what_the_transaction_itself_writes_only_later():
    assert kinds(history(*RIGHT, "r x 2, w x 2")) == ["future-read"]
    assert kinds(history(*RIGHT, "w x 2, r x 2")) == []


def test_a_node_that_answers_null_to_every_read_passes_but_proves_nothing():
    silent = history("w x 1", "r x -", "w y 1, r y 1", "r y -")
    assert check(silent, TWO_NODES)["valid?"] is True
    assert kinds(silent) == ["silent"]
    assert first(silent, "silent") == {"node": "n0", "reads": 2, "echoes-requests": False}


def test_a_node_that_echoes_the_request():
    echo = history("w x 1, r x -", "r x -, w x 2", "r x -")
    assert kinds(echo) == ["silent"]
    assert first(echo, "silent")["echoes-requests"] is True


def test_a_node_is_not_silent_if_there_was_nothing_to_show():
    assert kinds(history("r x -", "w x 1", "r y -")) == []


def test_a_write_that_failed_was_not_acknowledged():
    assert kinds(history("fail: w x 1", "r x -")) == []
    assert kinds(history("info: w x 1", "r x -")) == []
    assert kinds(history("w x 1", "r x -")) == ["silent"]


def test_a_write_that_is_under_way_was_not_acknowledged():
    one_node = Options(nodes=("n0",), concurrency=2)
    assert kinds(history(together("w x 1", "r x -")), one_node) == []
    assert kinds(history("w x 1", together("w y 1", "r x -")), one_node) == ["silent"]


def test_a_transaction_that_is_open_at_the_end_shows_nothing():
    operations = list(history(*RIGHT, "r y 2"))
    for end in range(1, len(operations)):
        assert kinds(History(operations[:end])) == []


def test_one_silent_node_of_two():
    half = history(together("w x 1", "w y 1"), together("r x 1", "r y -"))
    assert first(half, "silent")["node"] == "n1"
    (told,) = [w["text"] for w in warnings(half, TWO_NODES) if w["kind"] == "silent"]
    assert "(n1; n1 was read " in told


def test_a_node_that_never_shows_what_another_wrote():
    occasion = [together("w x 1", "w y 1"), together("r x 1", "r y 1")]
    alone = [*occasion, *[together("r y -", "r x 1")] * OCCASIONS]
    assert kinds(history(*alone)) == ["isolated"]
    assert kinds(history(*alone[:-1])) == []
    assert kinds(history(*alone, together("r y 1", "r x 1"))) == []


@pytest.mark.parametrize("partition", ["partition", "one-way"])
def test_a_partition_is_an_excuse_for_that(partition):
    occasion = [together("w x 1", "w y 1"), together("r x 1", "r y 1")]
    alone = [*occasion, *[together("r y -", "r x 1")] * OCCASIONS]
    start, stop = f"start-{partition}", f"stop-{partition}"
    assert kinds(with_nemesis(history(*alone), {0: start})) == []
    assert kinds(with_nemesis(history(*alone), {8: start})) == []
    assert kinds(with_nemesis(history(*alone), {0: start, 1: stop})) == ["isolated"]


def test_a_loss_of_state_is_an_excuse_for_that():
    occasion = [together("w x 1", "w y 1"), together("r x 1", "r y 1")]
    alone = [*occasion, *[together("r y -", "r x 1")] * OCCASIONS]
    assert kinds(with_nemesis(history(*alone), {8: "kill", 9: "start"})) == []
    assert kinds(with_nemesis(history(*alone), {0: "kill", 1: "start"})) == ["isolated"]


def with_nemesis(recorded, names):
    """The history with the nemesis's operations of those names before those operations."""
    operations = []
    for number, operation in enumerate(recorded):
        if number in names:
            nemesis = Operation(len(operations), 0, "info", NEMESIS, names[number])
            operations.append(nemesis)
        operations.append(replace(operation, index=len(operations)))
    return History(operations)


def test_two_nodes_that_disagree_about_which_of_two_writes_came_last():
    apart = history(together("w x 1", "w x 2"), together("r x 2", "r x 1"))
    assert check(apart, TWO_NODES)["valid?"] is True
    assert kinds(apart) == ["suspicious-G0"]
    assert [step["reason"] for step in first(apart, "suspicious-G0")["steps"]] == [
        "n0 had 1 of key 'x', and later 2",
        "n1 had 2 of key 'x', and later 1",
    ]


def test_the_disagreement_may_be_about_two_keys():
    writes = together("w x 1, w y 1", "w x 2, w y 2")
    apart = history(writes, together("r x 2, r y 1", "r x 2, r y 1"))
    assert kinds(apart) == ["suspicious-G0"]


def test_nodes_that_agree_in_the_end_are_not_suspected():
    assert kinds(history(together("w x 1", "w x 2"), together("r x 2", "r x 2"))) == []
    assert kinds(history(together("w x 1", "w x 2"), together("r x 1", "r x 2"))) == []


def test_transactions_of_a_node_that_overlap_are_not_compared():
    options = Options(nodes=("n0",), concurrency=4)
    assert kinds(history(together("w x 1", "w x 2", "r x 1", "r x 2")), options) == []


def test_a_node_that_goes_back_to_an_older_version_is_suspected_too():
    options = Options(nodes=("n0",), concurrency=1)
    assert kinds(history("w x 1", "w x 2", "r x 2"), options) == []
    assert kinds(history("w x 1", "w x 2", "r x 1"), options) == ["suspicious-G0"]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("txn-g0-rc", {"suspicious-G0": 2}),
        ("txn-g0-ru", {"suspicious-G0": 8}),
        ("txn-good-rc", {}),
        ("txn-good-ser", {}),
        ("txn-one-ser", {}),
    ],
)
def test_recorded_runs_that_maelstrom_finds_valid(case, expected):
    """The g0 node applies writes as they arrive; the good one is last-write-wins."""
    nodes = ("n0",) if case == "txn-one-ser" else ("n0", "n1")
    found = warnings(read_history(HISTORIES / case), Options(nodes=nodes, concurrency=4))
    assert {str(warning["kind"]): warning["count"] for warning in found} == expected


# Histories that make no sense


@pytest.mark.parametrize("strict", [False, True])
def test_a_request_that_is_none_is_no_reason_to_lose_the_verdict(strict):
    operations = list(history("w x 1", "r x 1"))
    operations[2] = replace(operations[2], value=[["r", "x"]])  # without its third part
    options = replace(TWO_NODES, workload="txn-rw-register", strict=strict)
    results = judge(History(operations), options)
    assert results["workload"]["valid?"] is True
    assert results["valid?"] is not strict
    (warning,) = results["warnings"]
    assert str(warning["kind"]) == "unsearched"
    assert "not enough values to unpack" in warning["text"]
