"""The ladder of transactions: each rung does what its docstring and docs/transactions.md say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from challenge_runs import ROOT

from glomers.challenges import find
from glomers.options import parse_test
from glomers.run.build import simulated_test
from glomers.testing import RequestError
from glomers.workloads import WORKLOADS

LADDER = ROOT / "ladder" / "txn"
LEADER = LADDER / "1_leader.py"
PUSH = LADDER / "2_push_each.py"
RUNGS = (LEADER, PUSH)

every_rung = pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.stem)


@pytest.fixture
def cluster(simulate):
    """Two nodes of a rung, with 10 ms between them."""
    return lambda rung: simulate(rung, 2, latency=10)


def txn(cluster, node, *operations):
    return cluster.request(node, "txn", txn=list(operations))["txn"]


def values(cluster, node, *keys):
    return [value for _, _, value in txn(cluster, node, *(["r", key, None] for key in keys))]


def test_all_rungs_are_tested():
    assert sorted(LADDER.glob("[0-9]*.py")) == list(RUNGS)


# What all can do


@every_rung
def test_a_transaction_shows_on_both_nodes_and_reads_what_it_wrote_itself(cluster, rung):
    nodes = cluster(rung)
    operations = [["r", 1, None], ["w", 1, 6], ["r", 1, None], ["w", 1, 7], ["w", 2, 8]]
    answer = txn(nodes, "n1", *operations)
    assert answer == [["r", 1, None], ["w", 1, 6], ["r", 1, 6], ["w", 1, 7], ["w", 2, 8]]
    nodes.advance(0.1)
    for node in nodes.nodes:
        assert values(nodes, node, 1, 2, 3) == [7, 8, None]


@every_rung
def test_what_cannot_be_done_leaves_nothing_behind(cluster, rung):
    nodes = cluster(rung)
    with pytest.raises(RequestError, match="no operation 'append'"):
        txn(nodes, "n1", ["w", 1, 6], ["append", 2, 7])
    nodes.advance(0.1)
    assert [values(nodes, node, 1) for node in nodes.nodes] == [[None], [None]]


def official(challenge, rung, number):
    """The results of one of the challenge's commands, simulated, with a shorter load."""
    command = find(challenge).commands[number]
    short = {"bin": str(rung), "seed": 0, "time_limit": 3, "nemesis_interval": 1}
    return simulated_test(replace(parse_test(command, sorted(WORKLOADS)), **short)).run()


@every_rung
@pytest.mark.parametrize(("challenge", "number"), [("6a", 0), ("6b", 0), ("6b", 1), ("6c", 0)])
def test_only_the_leader_fails_and_only_because_it_is_not_available_in_partitions(
    rung, challenge, number
):
    results = official(challenge, rung, number)
    fails = rung == LEADER and "partition" in find(challenge).commands[number]
    assert results["valid?"] is not fails
    assert results["availability"]["valid?"] is not fails
    assert results["workload"]["anomaly-types"] == []


# What is wrong with a leader


def test_without_the_leader_there_is_no_answer(cluster):
    nodes = cluster(LEADER)
    nodes.cut("n0", "n1")
    assert values(nodes, "n0", 1) == [None]
    with pytest.raises(RequestError, match="no answer to 'txn' from n0"):
        txn(nodes, "n1", ["r", 1, None])


def test_even_a_read_costs_a_message_and_an_answer(cluster):
    nodes = cluster(LEADER)
    nodes.forget()
    values(nodes, "n1", 1)
    assert len(nodes.sent("n1", "n0")) == len(nodes.sent("n0", "n1")) == 1


# What is wrong with a push


def test_a_push_takes_no_answer_and_a_read_no_message(cluster):
    nodes = cluster(PUSH)
    nodes.isolate("n1")
    nodes.forget()
    began = nodes.now
    txn(nodes, "n1", ["r", 1, None])
    assert nodes.sent("n1", "n0") == []
    txn(nodes, "n1", ["w", 1, 6], ["w", 2, 7])
    assert nodes.now == began
    assert len(nodes.sent("n1", "n0")) == 1


def test_the_latest_stamp_wins_whatever_comes_last(cluster):
    nodes = cluster(PUSH)
    txn(nodes, "n0", ["w", 1, 6])
    txn(nodes, "n1", ["w", 1, 7])
    nodes.advance(0.1)
    assert [values(nodes, node, 1) for node in nodes.nodes] == [[7], [7]]
    txn(nodes, "n0", ["w", 1, 8])
    nodes.advance(0.1)
    assert [values(nodes, node, 1) for node in nodes.nodes] == [[8], [8]]


def test_what_a_partition_swallows_is_missing_until_it_is_overwritten(cluster):
    nodes = cluster(PUSH)
    nodes.cut("n0", "n1")
    txn(nodes, "n0", ["w", 1, 6])
    nodes.heal()
    nodes.advance(60)
    assert [values(nodes, node, 1) for node in nodes.nodes] == [[6], [None]]
    txn(nodes, "n0", ["w", 1, 7])
    nodes.advance(0.1)
    assert [values(nodes, node, 1) for node in nodes.nodes] == [[7], [7]]
