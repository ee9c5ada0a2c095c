"""kafka.py: who owns a key, what shares a message, and what survives."""

from __future__ import annotations

import re

import pytest
from challenge_runs import BROKEN, ROOT, cases, first_failure, options, run

from glomers.testing import RequestError

SCRIPT = ROOT / "kafka.py"
JOURNAL = ["--storage", "lin-kv"]
MINE, THEIRS = "4", "0"  # keys that n0 and n1 own, of two nodes


@pytest.fixture
def cluster(simulate):
    return simulate(SCRIPT, 2, latency=10)


@pytest.fixture
def alone(simulate):
    """One real node, n0; n1 is played by the test."""
    return simulate(SCRIPT, 2, latency=10, played=["n1"])


def send(cluster, node, key, msg, **more):
    return cluster.request(node, "send", key=key, msg=msg, **more)["offset"]


def poll(cluster, node, **offsets):
    return cluster.request(node, "poll", offsets=offsets)["msgs"]


def everything(cluster, node, keys=(MINE, THEIRS)):
    msgs = cluster.request(node, "poll", offsets=dict.fromkeys(keys, 0))["msgs"]
    return {key: [tuple(pair) for pair in pairs] for key, pairs in msgs.items()}


def committed(cluster, node, *keys):
    return cluster.request(node, "list_committed_offsets", keys=keys)["offsets"]


# Owners


def test_keys_have_the_same_owner_on_every_node_and_in_every_process(alone):
    alone.request("n0", "send", key=MINE, msg=5)
    alone.assert_silent(0.1)
    with pytest.raises(TimeoutError):
        alone.request("n0", "send", key=THEIRS, msg=5, timeout=0.5)
    alone.assert_sent("n0", "n1", "batch")


def test_offsets_of_a_key_are_consecutive_whoever_is_asked(cluster):
    offsets = [send(cluster, f"n{number % 2}", THEIRS, number) for number in range(6)]
    assert offsets == list(range(6))
    for node in cluster.nodes:
        assert everything(cluster, node) == {MINE: [], THEIRS: [(n, n) for n in range(6)]}


def test_a_poll_begins_at_the_offset_it_names(cluster):
    for number in range(5):
        send(cluster, "n0", MINE, number)
        send(cluster, "n0", THEIRS, 10 + number)
    msgs = cluster.request("n0", "poll", offsets={MINE: 3, THEIRS: 4})["msgs"]
    assert msgs == {MINE: [[3, 3], [4, 4]], THEIRS: [[4, 14]]}


def test_a_poll_sends_one_request_to_an_owner_however_many_keys_it_has(simulate):
    cluster = simulate(SCRIPT, 3, latency=10)
    cluster.forget()
    keys = [str(key) for key in range(20)]
    began = cluster.now
    assert everything(cluster, "n0", keys) == {key: [] for key in keys}
    assert sorted(m.dest for m in cluster.sent("n0", type="poll")) == ["n1", "n2"]
    assert cluster.now - began == pytest.approx(0.02)  # both at the same time


# Batches


def test_sends_that_come_while_a_batch_is_under_way_share_the_next(cluster):
    cluster.forget()
    for number in range(10):
        cluster.deliver("c9", "n0", "send", msg_id=number, key=THEIRS, msg=number)
    cluster.advance(0.1)
    answers = [cluster.assert_sent("n0", "c9", "send_ok", in_reply_to=n).body for n in range(10)]
    assert sorted(answer["offset"] for answer in answers) == list(range(10))
    batches = [m.body["content"][1] for m in cluster.sent("n0", "n1", "batch")]
    assert [len(sends) for sends in batches] == [1, 9]


@pytest.mark.parametrize("lost", [("n0", "n1"), ("n1", "n0")])
def test_a_batch_is_appended_once_though_a_message_is_lost(cluster, lost):
    cluster.drop_next(*lost)
    assert send(cluster, "n0", THEIRS, 5) == 0
    assert send(cluster, "n0", THEIRS, 6) == 1
    assert everything(cluster, "n1")[THEIRS] == [(0, 5), (1, 6)]


def test_a_batch_that_comes_late_changes_nothing(cluster):
    for msg in (5, 6):
        send(cluster, "n0", THEIRS, msg)
    late = cluster.sent("n0", "n1", "batch")[0].body
    cluster.deliver("n0", "n1", **late)
    cluster.advance(0.1)
    assert everything(cluster, "n1")[THEIRS] == [(0, 5), (1, 6)]


def test_a_send_to_an_owner_out_of_reach_takes_effect_once_after_the_heal(cluster):
    cluster.cut("n0", "n1")
    with pytest.raises(TimeoutError):
        send(cluster, "n0", THEIRS, 5)
    with pytest.raises(RequestError, match="does not answer"):
        send(cluster, "n0", THEIRS, 6)
    assert send(cluster, "n0", MINE, 7) == 0  # keys of its own are no concern of the others
    cluster.heal()
    cluster.advance(2)
    assert send(cluster, "n0", THEIRS, 8) >= 1
    cluster.advance(1)
    assert sorted(msg for _, msg in everything(cluster, "n1")[THEIRS]) == [5, 6, 8]


def test_an_owner_that_refuses_is_asked_again_but_not_in_haste(alone):
    alone.deliver("c9", "n0", "send", msg_id=1, key=THEIRS, msg=5)
    refused = 0
    for _ in range(200):
        alone.advance(0.01)
        for batch in alone.sent("n0", "n1", "batch")[refused:]:
            refused += 1
            id = batch.body["msg_id"]
            alone.deliver("n1", "n0", "error", in_reply_to=id, code=11, text="later")
    assert 20 <= refused <= 34  # in 2 s, with 0.05 s before each and 10 ms on the way
    alone.ignore_the_rest()


# Commits


def test_a_commit_is_acknowledged_at_once_and_told_with_the_next_batch(cluster):
    cluster.forget()
    began = cluster.now
    cluster.request("n0", "commit_offsets", offsets={MINE: 3, THEIRS: 5})
    assert cluster.now == began
    send(cluster, "n0", THEIRS, 1)
    [batch] = cluster.sent("n0", "n1", "batch")
    assert batch.body["content"][2] == {THEIRS: 5}


def test_a_commit_is_told_soon_in_any_case(cluster):
    cluster.request("n0", "commit_offsets", offsets={MINE: 3, THEIRS: 5})
    cluster.advance(0.1)
    for node in cluster.nodes:
        assert committed(cluster, node, MINE, THEIRS, "7") == {MINE: 3, THEIRS: 5}


def test_a_node_lists_what_was_committed_there_a_moment_ago(cluster):
    cluster.request("n0", "commit_offsets", offsets={MINE: 3, THEIRS: 5})
    assert committed(cluster, "n0", MINE, THEIRS) == {MINE: 3, THEIRS: 5}


def test_committed_offsets_never_go_back(cluster):
    for offset in (5, 3):
        cluster.request("n0", "commit_offsets", offsets={THEIRS: offset})
        assert committed(cluster, "n0", THEIRS) == {THEIRS: 5}
        cluster.advance(0.1)
        assert committed(cluster, "n1", THEIRS) == {THEIRS: 5}


def test_commits_for_an_owner_out_of_reach_wait_quietly(cluster):
    cluster.cut("n0", "n1")
    for offset in range(100):
        cluster.request("n0", "commit_offsets", offsets={THEIRS: offset})
        cluster.advance(0.1)
    assert len(cluster.sent("n0", "n1", "batch")) < 12
    cluster.heal()
    cluster.advance(2)
    assert committed(cluster, "n1", THEIRS) == {THEIRS: 99}


# The journal


@pytest.fixture
def journaled(simulate):
    return simulate(SCRIPT, 2, latency=10, args=JOURNAL)


def test_a_node_that_is_started_again_has_its_logs_and_commits(journaled):
    for number in range(40):
        send(journaled, f"n{number % 2}", THEIRS, number)
    journaled.request("n0", "commit_offsets", offsets={THEIRS: 2})
    journaled.advance(0.1)
    journaled.restart("n1")
    assert everything(journaled, "n0")[THEIRS] == [(n, n) for n in range(40)]
    assert committed(journaled, "n1", THEIRS) == {THEIRS: 2}
    assert send(journaled, "n0", THEIRS, 40) == 40


def test_without_the_journal_logs_are_lost(cluster):
    send(cluster, "n1", THEIRS, 5)
    cluster.restart("n1")
    assert everything(cluster, "n1")[THEIRS] == []


def test_a_batch_that_was_journaled_but_not_answered_is_appended_once(journaled):
    journaled.drop_next("n1", "n0", "batch_ok")
    journaled.deliver("c9", "n0", "send", msg_id=1, key=THEIRS, msg=5)
    journaled.advance(0.1)
    journaled.restart("n1")
    journaled.advance(2)
    journaled.assert_sent("n0", "c9", "send_ok", offset=0)
    assert everything(journaled, "n1")[THEIRS] == [(0, 5)]


def test_nothing_shows_before_it_is_journaled(journaled):
    journaled.drop_next("n1", "lin-kv")
    journaled.deliver("c9", "n1", "send", msg_id=1, key=THEIRS, msg=5)
    journaled.advance(0.5)
    assert everything(journaled, "n1")[THEIRS] == []
    journaled.advance(1)
    journaled.assert_sent("n1", "c9", "send_ok", offset=0)


def test_what_a_former_life_wrote_late_comes_first(journaled):
    entry = ["n0", [0, 7], [[THEIRS, 5]], {}]
    key = "n1/0"
    journaled.deliver(
        "n1", "lin-kv", "cas", key=key, to=entry, create_if_not_exists=True, **{"from": None}
    )
    assert send(journaled, "n1", THEIRS, 6) == 1
    assert everything(journaled, "n0")[THEIRS] == [(0, 5), (1, 6)]


# The challenge

FAULTS = {"p_loss": 0.05, "p_duplicate": 0.1, "latency": 20, "latency_dist": "exponential"}
STORAGES = pytest.mark.parametrize("args", [(), tuple(JOURNAL)], ids=["memory", "lin-kv"])


@pytest.mark.parametrize("name", ["5a", "5b", "5c"])
def test_the_challenge_is_passed_with_few_messages(name):
    results = run(name, time_limit=2)
    assert results["valid?"] is True
    assert results["net"]["servers"]["msgs-per-op"] <= 1.3
    crashes = results["stats"]["by-f"]["crash"]["count"]
    assert results["stats"]["count"] - results["stats"]["ok-count"] == crashes


def test_the_journal_costs_less_than_five_messages():
    results = run("5c", time_limit=1, args=tuple(JOURNAL))
    assert results["valid?"] is True
    assert results["net"]["servers"]["msgs-per-op"] < 5


@STORAGES
@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_lost_in_spite_of_partitions_loss_and_duplicates(args, seed):
    changes = {"nemesis": ("partition",), "nemesis_interval": 2, "rate": 300, "time_limit": 4}
    assert run("5c", seed=seed, args=args, **changes, **FAULTS)["valid?"] is True


@pytest.mark.parametrize("seed", range(3))
def test_with_the_journal_nothing_is_lost_when_nodes_are_killed(seed):
    changes = {"nemesis": ("kill",), "nemesis_interval": 2, "rate": 100, "time_limit": 15}
    assert run("5c", seed=seed, args=tuple(JOURNAL), latency=5, **changes)["valid?"] is True


# Simpler designs


@pytest.mark.parametrize(
    ("script", "error", "latency", "says"),
    [
        (
            "kafka_two_owners.py",
            "inconsistent-offsets",
            5,
            r"offset \d+ of key \d+ holds \d+ \(n[01] acknowledged it there at 0.\d\d s\)",
        ),
        (
            "kafka_skipping_poll.py",
            "poll-skip",
            0,
            r"process \d+'s polls of key \d+ left out \d+.*: the poll of n[01] at 0.\d\d s ended",
        ),
    ],
)
def test_a_simpler_design_is_found_wrong(script, error, latency, says):
    changes = {"time_limit": 1, "latency": latency}
    failure = first_failure(options("5c", bin=str(BROKEN / script), **changes), range(10))
    assert error in failure["workload"]["bad-error-types"]
    reason = cases(failure)[error]
    assert re.search(says, reason.text)
    assert reason.nodes
