"""txn.py: a transaction takes effect as a whole, everywhere, and everybody comes to agree."""

from __future__ import annotations

import pytest
from challenge_runs import BROKEN, ROOT, cases, first_failure, options, run
from hypothesis import given, settings
from hypothesis import strategies as st

from glomers.testing import RequestError, simulated

SCRIPT = ROOT / "txn.py"


@pytest.fixture
def cluster(simulate):
    return simulate(SCRIPT, 2, latency=10)


@pytest.fixture
def alone(simulate):
    """One real node, n0; n1 is played by the test, and n0 has heard of it."""
    cluster = simulate(SCRIPT, 2, latency=10, played=["n1"])
    say(cluster)
    cluster.advance(0.02)
    return cluster


def say(cluster, *transactions, first=0, **fields):
    """Let n1 send n0 transactions of its log, and something else."""
    cluster.deliver("n1", "n0", "news", log=["00000A", first, *transactions], **fields)


def log(cluster):
    """The log of n0, and its life, as messages have it."""
    own = cluster["n0"].transactions.own
    return own, own.partition(".")[2]


def txn(cluster, node, *operations):
    return cluster.request(node, "txn", txn=list(operations))["txn"]


def values(cluster, node, *keys):
    return [value for _, _, value in txn(cluster, node, *(["r", key, None] for key in keys))]


# One node


def test_a_transaction_reads_what_it_wrote_itself(cluster):
    assert txn(cluster, "n0", ["r", 1, None], ["w", 1, 6], ["r", 1, None], ["w", 1, 7]) == [
        ["r", 1, None],
        ["w", 1, 6],
        ["r", 1, 6],
        ["w", 1, 7],
    ]
    assert values(cluster, "n0", 1) == [7]


def test_it_is_answered_at_once_whoever_can_be_reached(cluster):
    cluster.isolate("n0")
    began = cluster.now
    txn(cluster, "n0", ["w", 1, 6])
    assert cluster.now == began


def test_what_cannot_be_done_leaves_nothing_behind(cluster):
    with pytest.raises(RequestError, match="no operation 'append'"):
        txn(cluster, "n0", ["w", 1, 6], ["append", 2, 7])
    assert values(cluster, "n0", 1) == [None]


# Two nodes


def test_writes_travel_together_without_those_that_were_overwritten(alone):
    txn(alone, "n0", ["w", 1, 6], ["r", 2, None], ["w", 2, 7], ["w", 1, 8])
    alone.advance(0.1)
    alone.assert_sent("n0", "n1", "news", log=[log(alone)[1], 0, [1, [[1, 8], [2, 7]]]])
    alone.assert_silent()


def test_who_only_reads_sends_nothing(alone):
    txn(alone, "n0", ["r", 1, None])
    alone.assert_silent(30)


def test_what_comes_from_a_peer_shows_as_a_whole(alone):
    say(alone, [1, [[1, 6], [2, 7]]])
    alone.advance(0.1)
    assert values(alone, "n0", 1, 2) == [6, 7]


def test_a_transaction_that_comes_before_its_turn_waits_for_it(alone):
    say(alone, [2, [[1, 8]]], first=1)
    alone.advance(0.02)
    assert values(alone, "n0", 1) == [None]
    say(alone, [1, [[1, 6], [2, 7]]])
    alone.advance(0.02)
    assert values(alone, "n0", 1, 2) == [8, 7]
    alone.advance(30)
    alone.assert_sent("n0", "n1", "news", has={"n1.00000A": 2})  # so nothing is missing
    alone.assert_silent()


def test_of_two_writes_the_one_with_the_later_time_wins(alone):
    for number in range(3):
        txn(alone, "n0", ["w", 1, number])
    say(alone, [2, [[1, 60], [2, 70]]])
    alone.advance(0.1)
    assert values(alone, "n0", 1, 2) == [2, 70]
    alone.ignore_the_rest()


def test_at_the_same_time_the_greater_name_wins(alone):
    txn(alone, "n0", ["w", 1, 6])
    say(alone, [1, [[1, 60]]])
    alone.advance(0.1)
    assert values(alone, "n0", 1) == [60]
    alone.ignore_the_rest()


def test_who_overwrites_what_it_has_seen_has_the_later_time(alone):
    say(alone, [41, [[1, 60]]])
    alone.advance(0.02)
    txn(alone, "n0", ["w", 1, 6])
    alone.advance(0.1)
    alone.assert_sent("n0", "n1", "news", log=[log(alone)[1], 0, [42, [[1, 6]]]])
    assert values(alone, "n0", 1) == [6]


# Batches


def test_with_a_budget_transactions_share_a_message_and_are_there_in_time(simulate):
    cluster = simulate(SCRIPT, 2, latency=50, args=["--max-latency", "500ms"])
    cluster.advance(1)
    cluster.forget()
    began = cluster.now
    for number in range(10):
        txn(cluster, "n0", ["w", number, True])
        cluster.advance(0.04)
    assert cluster.sent("n0", "n1", "news") == []
    cluster.advance(began + 0.5 - cluster.now)
    assert len(cluster.sent("n0", "n1", "news")) == 1
    assert values(cluster, "n1", *range(10)) == [True] * 10


# A node that is started again


def test_a_node_that_is_started_again_overwrites_what_it_wrote_before(cluster):
    for number in range(3):
        txn(cluster, "n0", ["w", 1, number])
    cluster.advance(1)
    cluster.restart("n0")
    txn(cluster, "n0", ["w", 2, "new"])  # from that n1 learns that n0 was started again
    cluster.advance(0.1)
    assert values(cluster, "n0", 1) == [2]
    txn(cluster, "n0", ["w", 1, 3])
    cluster.advance(0.1)
    assert values(cluster, "n1", 1, 2) == [3, "new"]


def test_the_values_and_their_stamps_stand_for_transactions_that_were_dropped(cluster):
    for number in range(5):
        txn(cluster, "n0", ["w", number % 2, number])
        txn(cluster, "n1", ["w", "other", number])
    cluster.advance(1)
    script, fresh = cluster["n0"], simulated(SCRIPT, 1)
    with fresh:
        other = fresh["n0"]
        for _ in range(2):
            other.transactions.merge(script.transactions.state())
            assert (other.values, other.stamps) == (script.values, script.stamps)
            assert other.lamport_time == script.lamport_time


# Repair


def test_an_acknowledgement_that_comes_with_news_is_enough(alone):
    txn(alone, "n0", ["w", 1, 6])
    alone.advance(0.1)
    alone.assert_sent("n0", "n1", "news")
    say(alone, has={log(alone)[0]: 1})
    alone.assert_silent(30)


def test_who_does_not_acknowledge_is_asked(alone):
    for _ in range(20):
        say(alone)
        alone.advance(0.1)
    txn(alone, "n0", ["w", 1, 6])
    alone.advance(0.1)
    alone.assert_sent("n0", "n1", "news")
    alone.assert_silent(0.8)
    alone.advance(1)
    alone.assert_sent("n0", "n1", "compare")


def test_a_silent_peer_is_sent_no_news_and_gets_all_when_it_is_back(alone):
    txn(alone, "n0", ["w", 1, 6])
    alone.advance(15)
    alone.forget()
    for number in range(20):
        txn(alone, "n0", ["w", 1, number])
    alone.advance(5)
    assert {m.body["type"] for m in alone.sent("n0", "n1")} == {"compare"}
    alone.ignore_the_rest()
    alone.deliver("n1", "n0", "compare", msg_id=1, log=["00000A", 0])
    alone.advance(0.1)
    answer = alone.assert_sent("n0", "n1", "compare_ok", in_reply_to=1).body
    _, first, *transactions = answer["log"]
    assert (first, len(transactions)) == (0, 21)
    alone.ignore_the_rest()


def test_after_a_heal_both_agree_within_a_second(cluster):
    cluster.cut("n0", "n1")
    for number in range(20):
        txn(cluster, f"n{number % 2}", ["w", number % 3, number], ["w", 10 + number, number])
        cluster.advance(0.5)
    keys = [*range(3), *range(10, 30)]
    assert values(cluster, "n0", *keys) != values(cluster, "n1", *keys)
    cluster.heal()
    cluster.advance(1)
    assert values(cluster, "n0", *keys) == values(cluster, "n1", *keys)
    assert values(cluster, "n0", *keys[3:]) == list(range(20))


def test_after_a_heal_many_agree_within_a_second(simulate):
    cluster = simulate(SCRIPT, 5, latency=10)
    cluster.partition(*([node] for node in cluster.nodes))
    for number, node in enumerate(cluster.nodes):
        txn(cluster, node, ["w", number, number])
    cluster.advance(12)
    cluster.heal()
    cluster.advance(1)
    for node in cluster.nodes:
        assert values(cluster, node, *range(5)) == list(range(5))


# Whatever happens

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["txn", "txn", "cut", "heal", "advance"]),
        st.integers(0, 2),
        st.integers(0, 2),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(
    steps=STEPS,
    latency=st.sampled_from([0, 5, 50]),
    dist=st.sampled_from(["constant", "exponential"]),
    loss=st.sampled_from([0, 0.3]),
    duplicates=st.sampled_from([0, 0.3]),
    seed=st.integers(0, 1000),
)
def test_when_all_is_quiet_again_everybody_has_the_same_and_halves_show_nowhere(
    steps, latency, dist, loss, duplicates, seed
):
    """Each transaction writes its number to a key of its own, and to two keys that all share."""
    faults = {
        "latency": latency, "latency_dist": dist, "p_loss": loss, "p_duplicate": duplicates
    }  # fmt: skip
    done = []
    with simulated(SCRIPT, 3, seed=seed, **faults) as cluster:
        for step, a, b in steps:
            if step == "txn":
                done.append(len(done))
                shared = [["w", key, done[-1]] for key in ("x", "y")]
                txn(cluster, f"n{a}", ["w", done[-1], True], *shared)
            elif step == "cut" and a != b:
                cluster.cut(f"n{a}", f"n{b}")
            elif step == "heal":
                cluster.heal()
            elif step == "advance":
                cluster.advance(0.05 + a * b * 0.3)
            for node in cluster.nodes:
                x, y = values(cluster, node, "x", "y")
                assert x == y
        cluster.heal()
        cluster.lose(0)
        cluster.advance(10)
        seen = [values(cluster, node, "x", *done) for node in cluster.nodes]
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][1:] == [True] * len(done)


# The challenge


@pytest.mark.parametrize("name", ["6a", "6b", "6c"])
def test_the_challenge_is_passed(name):
    results = run(name, time_limit=3, nemesis_interval=1)
    assert results["valid?"] is True
    assert results["availability"]["ok-fraction"] == 1
    assert results["workload"]["anomaly-types"] == []


@pytest.mark.parametrize("nodes", [2, 3])
@pytest.mark.parametrize("seed", range(2))
def test_no_anomaly_in_spite_of_partitions_loss_and_duplicates(nodes, seed):
    faults = {"p_loss": 0.05, "p_duplicate": 0.1, "latency": 20, "latency_dist": "exponential"}
    names = tuple(f"n{number}" for number in range(nodes))
    changes = {"nodes": names, "rate": 200, "time_limit": 4, "nemesis_interval": 1.5}
    results = run("6c", seed=seed, **changes, **faults)
    assert results["valid?"] is True


# Simpler designs


@pytest.mark.parametrize(
    ("script", "anomaly", "says"),
    [
        ("txn_aborted_write.py", "G1a", "had written, but that failed (txn-conflict)"),
        ("txn_half.py", "G1b", "wrote on the way only: it went on to write"),
    ],
)
def test_a_simpler_design_is_found_wrong(script, anomaly, says):
    changes = {"nemesis": (), "availability": None, "latency": 5, "time_limit": 1}
    failure = first_failure(options("6c", bin=str(BROKEN / script), **changes), range(10))
    assert anomaly in failure["workload"]["anomaly-types"]
    reason = cases(failure)[anomaly]
    assert says in reason.text
    assert len(reason.operations) == 2
