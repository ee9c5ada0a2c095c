"""counter.py: what it stores before it acknowledges, how fresh reads are, and what that costs."""

from __future__ import annotations

import re

import pytest
from challenge_runs import BROKEN, ROOT, cases, kept_failure, options, run
from hypothesis import given, settings
from hypothesis import strategies as st

from glomers.testing import simulated

SCRIPT = ROOT / "counter.py"
ALWAYS_FRESH = ["--max-staleness", "0"]


def values(cluster):
    return [cluster.request(node, "read")["value"] for node in cluster.nodes]


def to_seq_kv(cluster, type=None):
    return [m for m in cluster.sent(dest="seq-kv") if type in (None, m.body["type"])]


@pytest.fixture
def cluster(simulate):
    cluster = simulate(SCRIPT, 3, latency=10)
    cluster.forget()
    return cluster


# Adds


def test_an_add_is_acknowledged_when_it_is_stored(cluster):
    cluster.request("n0", "add", delta=3)
    assert [m.body["type"] for m in cluster.sent("seq-kv", "n0")] == ["cas_ok"]
    assert cluster.now == pytest.approx(0.02)


def test_a_node_writes_its_own_key_only(cluster):
    for node in cluster.nodes:
        cluster.request(node, "add", delta=1)
    assert [(m.src, m.body["key"]) for m in to_seq_kv(cluster)] == [(n, n) for n in cluster.nodes]


def test_adds_that_come_during_a_save_share_the_next(cluster):
    for number in range(10):
        cluster.deliver("c9", "n0", "add", msg_id=number, delta=1)
    cluster.advance(0.1)
    for number in range(10):
        cluster.assert_sent("n0", "c9", "add_ok", in_reply_to=number)
    assert [m.body["to"][0] for m in to_seq_kv(cluster)] == [1, 10]


def test_to_add_nothing_needs_no_message(cluster):
    cluster.request("n0", "add", delta=0)
    assert to_seq_kv(cluster) == []


@pytest.mark.parametrize("lost", [("n0", "seq-kv"), ("seq-kv", "n0")])
def test_an_add_counts_once_though_a_message_is_lost(cluster, lost):
    cluster.drop_next(*lost)
    cluster.request("n0", "add", delta=3)
    cluster.request("n0", "add", delta=4)
    assert values(cluster) == [7, 7, 7]


def test_a_cas_that_comes_late_changes_nothing(cluster):
    cluster.request("n0", "add", delta=3)
    late = to_seq_kv(cluster)[0].body
    cluster.request("n0", "add", delta=4)
    cluster.deliver("n0", "seq-kv", **late)
    assert values(cluster) == [7, 7, 7]


def test_a_node_that_is_started_again_goes_on_from_what_is_stored(cluster):
    cluster.request("n0", "add", delta=3)
    cluster.restart("n0")
    cluster.request("n0", "add", delta=4)
    assert values(cluster) == [7, 7, 7]


# Reads


def test_a_read_shows_what_was_acknowledged_before_if_it_must_be_fresh(simulate):
    cluster = simulate(SCRIPT, 3, args=ALWAYS_FRESH, latency=10)
    for count in range(1, 40):
        cluster.request(f"n{count % 3}", "add", delta=1)
        assert cluster.request(f"n{(count + 1) % 3}", "read")["value"] == count


def test_a_read_is_answered_from_memory_until_it_would_be_too_old(cluster):
    assert values(cluster) == [0, 0, 0]
    cluster.forget()
    assert values(cluster) == [0, 0, 0]
    assert to_seq_kv(cluster) == []
    cluster.request("n0", "add", delta=3)
    cluster.advance(1.5)
    assert values(cluster) == [3, 3, 3]


def test_a_node_saves_something_new_before_it_reads_what_others_have_stored(cluster):
    cluster.request("n0", "read")
    cluster.advance(2)
    cluster.forget()
    cluster.request("n0", "read")
    kinds = [(m.body["type"], m.body["key"]) for m in to_seq_kv(cluster)]
    assert kinds == [("cas", "n0"), ("read", "n1"), ("read", "n2")]
    save = to_seq_kv(cluster)[0].body
    assert save["from"] != save["to"]


def test_an_add_just_before_spares_a_read_the_save(cluster):
    cluster.request("n0", "add", delta=3)
    cluster.forget()
    cluster.request("n0", "read")
    assert {m.body["type"] for m in to_seq_kv(cluster)} == {"read"}


def test_a_partition_means_nothing(cluster):
    cluster.partition(["n0"], ["n1"], ["n2"])
    for node in cluster.nodes:
        cluster.request(node, "add", delta=2)
    cluster.advance(1)
    assert values(cluster) == [6, 6, 6]


# The challenge

STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "read", "wait", "restart"]), st.integers(0, 2)), max_size=20
)


@settings(max_examples=40, deadline=None)
@given(
    steps=STEPS,
    dist=st.sampled_from(["constant", "exponential"]),
    loss=st.sampled_from([0, 0.2]),
    duplicates=st.sampled_from([0, 0.3]),
    seed=st.integers(0, 1000),
)
def test_whatever_happens_a_fresh_read_is_exact(steps, dist, loss, duplicates, seed):
    total = 0
    faults = {"latency_dist": dist, "p_loss": loss, "p_duplicate": duplicates}
    with simulated(SCRIPT, 3, seed=seed, args=ALWAYS_FRESH, latency=20, **faults) as cluster:
        for number, (step, index) in enumerate(steps, 1):
            node = f"n{index}"
            if step == "add":
                cluster.request(node, "add", delta=number, timeout=30)
                total += number
            elif step == "read":
                assert cluster.request(node, "read", timeout=60)["value"] == total
            elif step == "wait":
                cluster.advance(0.3)
            else:
                cluster.restart(node)
        cluster.lose(0)
        assert values(cluster) == [total] * 3


@pytest.mark.parametrize("seed", range(3))
def test_the_challenge_is_passed_with_few_messages(seed):
    results = run("4", seed=seed)
    assert results["valid?"] is True
    assert results["availability"]["ok-fraction"] == 1
    assert results["net"]["servers"]["msgs-per-op"] <= 0.7


@pytest.mark.parametrize("workload", ["g-counter", "pn-counter"])
@pytest.mark.parametrize("seed", range(3))
def test_final_reads_are_exact_in_spite_of_loss_duplicates_and_latency(workload, seed):
    faults = {"p_loss": 0.05, "p_duplicate": 0.1, "latency": 20, "latency_dist": "exponential"}
    results = run("4", workload=workload, seed=seed, time_limit=5, **faults)
    assert results["valid?"] is True


# Simpler designs


@pytest.mark.parametrize(
    ("script", "kind", "says"),
    [
        ("counter_lost_update.py", "lost-update", r"n\d had written at .* that update was lost"),
        (
            "counter_stale_sum.py",
            "stale-read",
            r"seq-kv answered n\d at 12.00 s with the old value \d+ of key n\d, which n\d had",
        ),
    ],
)
def test_a_simpler_design_is_found_wrong(script, kind, says, tmp_path):
    changes = {"bin": str(BROKEN / script), "time_limit": 2}
    failure = kept_failure(options("4", **changes), range(10), tmp_path)
    assert failure["workload"]["errors"]
    assert re.search(says, cases(failure)[kind].text)
