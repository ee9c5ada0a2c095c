"""The ladder of logs: each rung does what its docstring and docs/kafka.md say."""

from __future__ import annotations

import pytest
from challenge_runs import ROOT, first_failure, options, run

from glomers.testing import RequestError

LADDER = ROOT / "ladder" / "kafka"
WHOLE_LOGS = LADDER / "1_whole_logs.py"
OWNERS = LADDER / "2_owners.py"
RUNGS = (WHOLE_LOGS, OWNERS)
MINE, THEIRS = "4", "0"  # keys that n0 and n1 own, of two nodes
PARTITIONS = {
    "nemesis": ("partition",), "nemesis_interval": 1, "rate": 200, "time_limit": 3,
    "latency": 10, "latency_dist": "exponential",
}  # fmt: skip
KILLS = {"nemesis": ("kill",), "nemesis_interval": 2, "rate": 100, "time_limit": 15}

every_rung = pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.stem)


@pytest.fixture
def cluster(simulate):
    """Two nodes of a rung, with 10 ms between them, and as much to lin-kv."""
    return lambda rung: simulate(rung, 2, latency=10)


def send(cluster, node, key, msg):
    return cluster.request(node, "send", key=key, msg=msg, timeout=30)["offset"]


def logs(cluster, node, *keys, start=0):
    msgs = cluster.request(node, "poll", offsets=dict.fromkeys(keys, start))["msgs"]
    return {key: [tuple(pair) for pair in pairs] for key, pairs in msgs.items()}


def committed(cluster, node, *keys):
    return cluster.request(node, "list_committed_offsets", keys=keys)["offsets"]


def send_at_once(cluster, number, key):
    """As many clients send to n0 in the same moment."""
    for msg in range(number):
        cluster.deliver("c9", "n0", "send", msg_id=msg, key=key, msg=msg)
    cluster.advance(10)
    answers = [cluster.assert_sent("n0", "c9", "send_ok", in_reply_to=msg) for msg in range(number)]
    assert sorted(answer.body["offset"] for answer in answers) == list(range(number))


def test_all_rungs_are_tested():
    assert sorted(LADDER.glob("[0-9]*.py")) == list(RUNGS)


# What all can do


@every_rung
def test_both_nodes_have_the_same_logs_with_offsets_without_gaps(cluster, rung):
    nodes = cluster(rung)
    for number in range(6):
        assert send(nodes, f"n{number % 2}", THEIRS, 10 + number) == number
    for node in nodes.nodes:
        entries = [(number, 10 + number) for number in range(6)]
        assert logs(nodes, node, MINE, THEIRS) == {MINE: [], THEIRS: entries}
        assert logs(nodes, node, THEIRS, start=4) == {THEIRS: entries[4:]}


@every_rung
def test_committed_offsets_are_known_to_both_nodes_and_never_go_back(cluster, rung):
    nodes = cluster(rung)
    for offset in (5, 3):
        nodes.request("n0", "commit_offsets", offsets={MINE: offset, THEIRS: offset})
        nodes.advance(0.1)
        for node in nodes.nodes:
            assert committed(nodes, node, MINE, THEIRS, "7") == {MINE: 5, THEIRS: 5}


@every_rung
@pytest.mark.parametrize("challenge", ["5a", "5b", "5c"])
def test_a_rung_passes_the_challenge(rung, challenge):
    assert run(challenge, bin=str(rung), time_limit=1)["valid?"] is True


@every_rung
@pytest.mark.parametrize("seed", range(2))
def test_a_rung_is_right_in_spite_of_partitions_and_latencies(rung, seed):
    assert run("5c", bin=str(rung), seed=seed, **PARTITIONS)["valid?"] is True


# What is wrong with whole logs


def test_a_whole_log_travels_three_times_for_each_send(cluster):
    nodes = cluster(WHOLE_LOGS)
    for msg in range(50):
        send(nodes, "n0", THEIRS, msg)
    nodes.forget()
    send(nodes, "n0", THEIRS, 50)
    carried = [
        value
        for message in nodes.messages
        for value in (message.body.get(field) for field in ("value", "from", "to"))
        if value
    ]
    assert [len(log) for log in carried] == [50, 50, 51]


def test_of_those_that_have_read_the_same_log_one_succeeds(cluster):
    nodes = cluster(WHOLE_LOGS)
    nodes.forget()
    send_at_once(nodes, 4, THEIRS)
    assert len(nodes.sent("n0", "lin-kv", "cas")) == 4 + 3 + 2 + 1


def test_a_poll_asks_for_one_key_after_the_other(cluster):
    nodes = cluster(WHOLE_LOGS)
    began = nodes.now
    logs(nodes, "n0", *map(str, range(5)))
    assert nodes.now - began == pytest.approx(5 * 0.02)


def test_a_message_whose_cas_comes_twice_may_be_appended_twice():
    failure = run("5c", bin=str(WHOLE_LOGS), p_duplicate=0.1, **PARTITIONS)
    assert "duplicate" in failure["workload"]["bad-error-types"]


def test_nodes_that_keep_nothing_lose_nothing_when_they_are_killed():
    assert run("5c", bin=str(WHOLE_LOGS), **KILLS)["valid?"] is True


# What is wrong with owners


def test_owners_need_a_fraction_of_the_messages():
    needed = {
        rung: run("5c", bin=str(rung), time_limit=1)["net"]["servers"]["msgs-per-op"]
        for rung in RUNGS
    }
    assert needed[OWNERS] < needed[WHOLE_LOGS] / 3


def test_the_owner_is_asked_for_each_send_and_poll(cluster):
    nodes = cluster(OWNERS)
    for request in (lambda key: send(nodes, "n0", key, 5), lambda key: logs(nodes, "n0", key)):
        nodes.forget()
        request(MINE)
        assert nodes.sent("n0", "n1") == []
        request(THEIRS)
        assert len(nodes.sent("n0", "n1")) == len(nodes.sent("n1", "n0")) == 1


def test_sends_that_come_while_a_batch_is_under_way_share_the_next(cluster):
    nodes = cluster(OWNERS)
    nodes.forget()
    send_at_once(nodes, 10, THEIRS)
    assert [len(batch.body["sends"]) for batch in nodes.sent("n0", "n1", "batch")] == [1, 9]


@pytest.mark.parametrize("seed", range(2))
def test_a_batch_is_done_once_in_spite_of_loss_and_duplicates(seed):
    faults = {"p_loss": 0.05, "p_duplicate": 0.1}
    assert run("5c", bin=str(OWNERS), seed=seed, **PARTITIONS, **faults)["valid?"] is True


@pytest.mark.parametrize("lost", [("n0", "n1"), ("n1", "n0")])
def test_a_batch_is_appended_once_though_a_message_is_lost(cluster, lost):
    nodes = cluster(OWNERS)
    nodes.drop_next(*lost)
    assert send(nodes, "n0", THEIRS, 5) == 0
    late = nodes.sent("n0", "n1", "batch")[0].body
    assert send(nodes, "n0", THEIRS, 6) == 1
    nodes.deliver("n0", "n1", **late)
    nodes.advance(0.1)
    assert logs(nodes, "n1", THEIRS) == {THEIRS: [(0, 5), (1, 6)]}


def test_while_an_owner_is_out_of_reach_its_keys_are_unavailable(cluster):
    nodes = cluster(OWNERS)
    nodes.cut("n0", "n1")
    assert send(nodes, "n0", MINE, 5) == 0
    with pytest.raises(TimeoutError):
        send(nodes, "n0", THEIRS, 5)
    with pytest.raises(RequestError, match="no answer to 'poll' from n1"):
        logs(nodes, "n0", THEIRS)
    nodes.heal()
    nodes.advance(2)
    assert logs(nodes, "n0", THEIRS) == {THEIRS: [(0, 5)]}


def test_an_owner_that_is_killed_begins_again_with_offset_0(cluster):
    nodes = cluster(OWNERS)
    assert send(nodes, "n0", THEIRS, 5) == 0
    nodes.restart("n1")
    assert logs(nodes, "n0", THEIRS) == {THEIRS: []}
    assert send(nodes, "n0", THEIRS, 6) == 0


def test_a_sender_that_is_started_again_is_not_taken_for_its_former_self(cluster):
    nodes = cluster(OWNERS)
    for life in range(3):
        assert send(nodes, "n0", THEIRS, life) == life
        nodes.restart("n0")


def test_when_nodes_are_killed_messages_are_lost_and_offsets_given_twice():
    failure = first_failure(options("5c", bin=str(OWNERS), **KILLS), range(1, 4))
    assert {"lost-write", "inconsistent-offsets"} <= set(failure["workload"]["bad-error-types"])
