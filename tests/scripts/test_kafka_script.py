"""kafka.py: every node answers from what it has, and all nodes show the same logs."""

from __future__ import annotations

import re

import pytest
from challenge_runs import BROKEN, ROOT, cases, first_failure, options, run
from hypothesis import given, settings
from hypothesis import strategies as st

from glomers.testing import RequestError, simulated

SCRIPT = ROOT / "kafka.py"
MEETING = 0.1  # seconds after which nodes have heard each other at their start
DIAL = ("--max-latency", "100ms")
LIFE_1 = {"log": ["000001", 0]}  # what a played peer says of its log
N2S = {"n2.000001": 1}  # the first entry of that log


@pytest.fixture
def cluster(simulate):
    return met(simulate(SCRIPT, 3, latency=10))


@pytest.fixture
def batching(simulate):
    return met(simulate(SCRIPT, 3, latency=10, args=DIAL))


@pytest.fixture
def alone(simulate):
    """One real node, n0; the test plays n1 and n2, which have nothing when they are asked."""
    cluster = simulate(SCRIPT, 3, latency=10, played=["n1", "n2"])
    for peer in ("n1", "n2"):
        answers(cluster, peer, **LIFE_1)
        cluster.play(peer, "news", lambda message: None)
    return met(cluster)


def answers(alone, peer, **body):
    """Let a played peer answer that it has this, and nothing else, when it is asked."""
    answer = {"type": "compare_ok", **body, "everything": True}
    alone.play(peer, "compare", lambda message: answer)


def met(cluster):
    cluster.advance(MEETING)
    cluster.forget()
    return cluster


def send(cluster, node, msg, key="k"):
    return cluster.request(node, "send", key=key, msg=msg)["offset"]


def poll(cluster, node, offset=0, key="k"):
    """[offset, message] for all that a node shows of a key."""
    return cluster.request(node, "poll", offsets={key: offset})["msgs"][key]


def polls(cluster, key="k"):
    """What each node shows of a key."""
    return [poll(cluster, node, key=key) for node in cluster.nodes]


def commit(cluster, node, **offsets):
    cluster.request(node, "commit_offsets", offsets=offsets)


def committed(cluster, node, *keys):
    return cluster.request(node, "list_committed_offsets", keys=keys)["offsets"]


def log_of_n0(alone):
    """The name of the log of the real node."""
    return "n0." + alone.sent("n0", "n1")[-1].body["log"][0]


def news(alone, peer, first, *entries, has):
    """Let a played peer send entries of its log from the number `first` on, and acknowledge."""
    log = ["000001", first, *entries]
    alone.deliver(peer, "n0", "news", log=log, has={log_of_n0(alone): has} if has else {})
    alone.advance(0.01)


# Offsets


def test_a_send_is_answered_at_once_whoever_can_be_reached(cluster):
    cluster.isolate("n0")
    began = cluster.now
    assert send(cluster, "n0", 5) == 0
    assert cluster.now == began


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_node_i_of_n_assigns_the_offsets_that_are_i_modulo_n(simulate, count):
    cluster = met(simulate(SCRIPT, count))
    cluster.partition(*([node] for node in cluster.nodes))
    for i, node in enumerate(cluster.nodes):
        assert [send(cluster, node, 0) for _ in range(4)] == [i + n * count for n in range(4)]


def test_each_key_begins_with_the_least_offsets(cluster):
    assert [send(cluster, "n1", 5, key=f"k{number}") for number in range(5)] == [1] * 5


def test_an_offset_is_the_least_above_all_that_the_node_has_seen_for_the_key(cluster):
    for node, offset in [("n2", 2), ("n0", 3), ("n0", 6), ("n1", 7), ("n0", 9), ("n2", 11)]:
        assert send(cluster, node, 5) == offset
        cluster.advance(0.01)  # until all have it


def test_an_offset_is_above_those_that_cannot_be_read_yet(alone):
    news(alone, "n1", 0, ["k", 100, 5], has=0)
    assert poll(alone, "n0") == []
    assert send(alone, "n0", 6) == 102


# Polls


def test_a_message_is_read_everywhere_two_hops_after_it_was_sent(cluster):
    send(cluster, "n0", 5)
    assert poll(cluster, "n0") == []
    cluster.advance(0.02)
    assert polls(cluster) == [[[0, 5]]] * 3


def test_a_message_that_one_node_lacks_is_shown_by_none(cluster):
    cluster.cut("n0", "n2")
    cluster.drop_next("n1", "n2")  # the only way round
    send(cluster, "n0", 5)
    cluster.advance(0.5)
    assert polls(cluster) == [[], [], []]


def test_the_acknowledgement_of_one_peer_is_not_enough(alone):
    send(alone, "n0", 5)
    alone.advance(0.05)
    news(alone, "n1", 0, has=1)
    assert poll(alone, "n0") == []
    news(alone, "n2", 0, has=1)
    assert poll(alone, "n0") == [[0, 5]]


def test_what_a_peer_appended_before_it_had_a_message_comes_before_it(alone):
    """n1 acknowledges 6 while a message of its own, with a lower offset, is still to come."""
    assert [send(alone, "n0", msg) for msg in (5, 6)] == [0, 3]
    news(alone, "n2", 0, has=2)
    news(alone, "n1", 1, has=2)
    assert poll(alone, "n0") == []
    news(alone, "n1", 0, ["k", 1, 7], has=0)
    assert poll(alone, "n0") == [[0, 5], [1, 7], [3, 6]]


def test_an_acknowledgement_that_comes_before_its_senders_entries_waits_for_them_all(alone):
    send(alone, "n0", 5)
    news(alone, "n2", 0, has=1)
    news(alone, "n1", 1, ["k", 4, 7], has=1)  # the second entry of n1
    assert poll(alone, "n0") == []
    news(alone, "n1", 0, ["other", 1, 8], has=0)
    assert poll(alone, "n0") == [[0, 5]]  # n2 hasn't acknowledged the rest


def test_a_message_of_a_peer_is_read_when_the_others_have_it(alone):
    news(alone, "n1", 0, ["k", 1, 7], has=0)
    assert poll(alone, "n0") == []
    alone.deliver("n2", "n0", "news", log=["000001", 0], has={"n1.000001": 1})
    alone.advance(0.01)
    assert poll(alone, "n0") == [[1, 7]]


def test_a_poll_begins_at_the_offset_it_names_also_between_offsets(cluster):
    for msg in (5, 6, 7):
        send(cluster, "n1", msg)
        send(cluster, "n1", 10 + msg, key="j")
    cluster.advance(0.1)
    shown = [[1, 5], [4, 6], [7, 7]]
    for offset, left in [(0, 3), (1, 3), (2, 2), (4, 2), (5, 1), (7, 1), (8, 0)]:
        assert poll(cluster, "n0", offset) == shown[3 - left :]
    msgs = cluster.request("n2", "poll", offsets={"k": 5, "j": 2, "none": 0})["msgs"]
    assert msgs == {"k": [[7, 7]], "j": [[4, 16], [7, 17]], "none": []}


def test_messages_sent_at_the_same_time_have_the_same_order_on_all_nodes(cluster):
    for number in range(4):
        for i, node in enumerate(cluster.nodes):
            send(cluster, node, 3 * number + i)
    cluster.advance(0.1)
    assert polls(cluster) == [[[n, n] for n in range(12)]] * 3


def test_a_send_costs_a_message_to_each_peer_and_one_from_each_to_each(cluster):
    send(cluster, "n0", 5)
    cluster.advance(0.4)
    pairs = [(m.src, m.dest) for node in cluster.nodes for m in cluster.sent(node, type="news")]
    assert len(pairs) <= 6


# Partitions


def test_during_a_partition_sends_go_on_and_polls_show_nothing_new(cluster):
    send(cluster, "n0", 5)
    cluster.advance(0.1)
    cluster.isolate("n2")
    for number in range(20):
        send(cluster, f"n{number % 3}", number)
        cluster.advance(0.5)
        assert polls(cluster) == [[[0, 5]]] * 3


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("args", [(), DIAL], ids=["at once", "100ms"])
def test_a_second_after_a_heal_everything_is_read_everywhere(simulate, count, args):
    cluster = met(simulate(SCRIPT, count, latency=10, args=args))
    cluster.partition(*([node] for node in cluster.nodes))
    sent = []
    for number in range(20):
        sent.append([send(cluster, f"n{number % count}", number), number])
        commit(cluster, f"n{number % count}", k=number)
        cluster.advance(0.5)
    cluster.heal()
    cluster.advance(1)
    assert polls(cluster) == [sorted(sent)] * count
    assert [committed(cluster, node, "k") for node in cluster.nodes] == [{"k": 19}] * count


@pytest.mark.parametrize("seconds", [0.5, 1, 2, 3])
def test_what_a_short_partition_cost_is_mended_soon_although_there_is_little_to_send(
    cluster, seconds
):
    for number in range(5):
        send(cluster, "n0", number)
        cluster.advance(5)
    cluster.isolate("n0")
    offset = send(cluster, "n0", 5)
    cluster.advance(seconds)
    cluster.heal()
    cluster.advance(1.2)
    assert [shown[-1] for shown in polls(cluster)] == [[offset, 5]] * 3


def test_a_peer_out_of_reach_is_sent_no_entries(cluster):
    cluster.isolate("n2")
    cluster.advance(3)
    send(cluster, "n0", 5)
    cluster.advance(3)
    cluster.forget()
    for number in range(20):
        send(cluster, "n0", number)
        cluster.advance(0.5)
    assert {m.body["type"] for m in cluster.sent("n0", "n2")} == {"compare"}
    assert len(cluster.sent("n0", "n2")) <= 20


# Loss


def test_a_lost_message_is_sent_again(cluster):
    cluster.drop_next("n0", "n1", "news")
    send(cluster, "n0", 5)
    cluster.advance(0.1)
    assert polls(cluster) == [[], [], []]
    cluster.advance(2.5)
    assert polls(cluster) == [[[0, 5]]] * 3


@pytest.mark.parametrize("lost", [("n1", "n0"), ("n1", "n2")])
@pytest.mark.parametrize("args", [(), DIAL], ids=["at once", "100ms"])
def test_a_lost_acknowledgement_is_repaired_although_nothing_else_is_sent(simulate, lost, args):
    cluster = met(simulate(SCRIPT, 3, latency=10, args=args))
    send(cluster, "n0", 5)
    cluster.drop_next(*lost, "news")
    cluster.advance(0.2)
    assert poll(cluster, lost[1]) == []
    cluster.advance(2.5)
    assert polls(cluster) == [[[0, 5]]] * 3


def test_a_message_that_comes_twice_or_late_changes_nothing(cluster):
    for msg in (5, 6):
        send(cluster, "n0", msg)
    [first, _] = cluster.sent("n0", "n1", "news")
    cluster.advance(0.1)
    before = polls(cluster)
    cluster.deliver("n0", "n1", **first.body)
    cluster.advance(0.1)
    assert polls(cluster) == before == [[[0, 5], [3, 6]]] * 3
    assert send(cluster, "n1", 7) == 4


def test_entries_that_came_by_a_detour_are_read_although_nothing_else_is_sent(alone):
    """n2 has told n0 nothing of its message, and has no reason to, since n0 has acknowledged it."""
    alone.deliver("n1", "n0", "news", **LIFE_1, others={"n2.000001": [0, ["k", 2, 5]]}, has=N2S)
    alone.advance(0.01)
    assert poll(alone, "n0") == []
    answers(alone, "n2", log=["000001", 1])
    alone.advance(10)
    assert poll(alone, "n0") == [[2, 5]]


# Commits


def test_a_commit_is_listed_at_once_on_its_node_and_soon_on_all(cluster):
    cluster.isolate("n0")
    began = cluster.now
    commit(cluster, "n0", k=3, j=5)
    assert committed(cluster, "n0", "k", "j", "none") == {"k": 3, "j": 5}
    assert cluster.now == began
    cluster.heal()
    cluster.advance(2)
    for node in cluster.nodes:
        assert committed(cluster, node, "k", "j", "none") == {"k": 3, "j": 5}


def test_the_greatest_commit_counts_wherever_it_was_made(cluster):
    commit(cluster, "n0", k=5)
    commit(cluster, "n1", k=4, j=1)
    commit(cluster, "n0", k=3)
    assert committed(cluster, "n0", "k") == {"k": 5}
    cluster.advance(0.1)
    for node in cluster.nodes:
        assert committed(cluster, node, "k", "j") == {"k": 5, "j": 1}


# Batches


def test_with_the_dial_many_sends_share_a_message(batching):
    for number in range(10):
        send(batching, "n0", number)
    batching.advance(0.1)
    for peer in ("n1", "n2"):
        [batch] = batching.sent("n0", peer, "news")
        assert batch.body["log"][1:] == [0, *(["k", 3 * n, n] for n in range(10))]


def test_a_batch_leaves_before_it_is_due_however_long_sends_go_on(batching):
    for number in range(100):
        send(batching, "n0", number)
        batching.advance(0.01)
    window = 0.1 / 2 - 0.01 - 0.01  # seconds: half of the dial, less the way and a margin
    assert 10 <= len(batching.sent("n0", "n1", "news")) <= 1 / window + 1


def test_only_the_first_acknowledgements_say_that_they_are_all_there_are(batching):
    for number in range(20):
        send(batching, "n0", number)
        batching.advance(0.05)
    for node, peer, times in [("n0", "n1", 0), ("n1", "n0", 1), ("n1", "n2", 1)]:
        told = [m for m in batching.sent(node, peer, "news") if "everything" in m.body]
        assert len(told) == times


def test_nobody_is_asked_for_an_acknowledgement_that_the_dial_lets_wait(simulate):
    cluster = met(simulate(SCRIPT, 3, latency=10, args=("--max-latency", "10s")))
    send(cluster, "n0", 5)
    cluster.advance(15)
    assert polls(cluster) == [[[0, 5]]] * 3
    assert {m.body["type"] for node in cluster.nodes for m in cluster.sent(node, "n0")} == {"news"}


@pytest.mark.parametrize("latency", [0, 10, 30])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_message_can_be_read_everywhere_within_the_dial(simulate, latency, count):
    cluster = met(simulate(SCRIPT, count, latency=latency, args=DIAL))
    for number in range(7):
        offset = send(cluster, f"n{number % count}", number)
        cluster.advance(0.1)
        assert all([offset, number] in shown for shown in polls(cluster))
        cluster.advance(0.013)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_without_the_dial_a_message_waits_for_the_network_only(simulate, count):
    cluster = met(simulate(SCRIPT, count, latency=0))
    send(cluster, "n0", 5)
    cluster.advance(0)
    assert polls(cluster) == [[[0, 5]]] * count


# Restarts


def test_a_node_that_is_started_again_learns_everything_back(cluster):
    for number in range(12):
        send(cluster, f"n{number % 3}", number)
    commit(cluster, "n1", k=7)
    cluster.advance(0.1)
    before = polls(cluster)
    assert len(before[1]) == 12
    cluster.restart("n1")
    cluster.advance(MEETING)
    assert polls(cluster) == before
    assert committed(cluster, "n1", "k") == {"k": 7}


def test_it_assigns_no_offset_before_it_has_heard_from_all_others(cluster):
    cluster.cut("n1", "n2")
    cluster.cut("n0", "n2")
    offsets = [send(cluster, "n2", number) for number in range(5)]  # n0 doesn't know of them
    cluster.restart("n1")
    request = cluster.start_request("n1", "send", key="k", msg=9)
    cluster.advance(3)
    assert not request.done
    cluster.heal()
    assert request.result()["offset"] > max(offsets)
    cluster.advance(1)
    assert [msg for _, msg in poll(cluster, "n1")] == [0, 1, 2, 3, 4, 9]


def test_a_node_that_nobody_knows_from_before_need_not_hear_all_others(simulate):
    cluster = simulate(SCRIPT, 3, latency=10)
    cluster.isolate("n1")
    began = cluster.now
    assert send(cluster, "n1", 5) == 1
    assert send(cluster, "n0", 6) == 0
    assert cluster.now - began < 1
    cluster.advance(5)
    assert polls(cluster) == [[]] * 3
    cluster.heal()
    cluster.advance(1.7)
    assert polls(cluster) == [[[0, 6], [1, 5]]] * 3


def test_a_send_to_it_fails_for_now_if_it_cannot_hear_from_all_others(cluster):
    cluster.cut("n1", "n2")
    cluster.restart("n1")
    with pytest.raises(RequestError, match="n1 has been started, but hasn't heard n2") as error:
        send(cluster, "n1", 5)
    assert error.value.code == 11
    cluster.heal()
    cluster.advance(1)
    assert send(cluster, "n1", 5) == 1


def test_before_that_nothing_counts_that_it_acknowledges(cluster):
    cluster.isolate("n1")
    send(cluster, "n2", 5)
    cluster.restart("n1")
    cluster.heal()
    cluster.cut("n1", "n2")
    send(cluster, "n0", 6)
    cluster.advance(3)
    assert polls(cluster) == [[], [], []]
    cluster.heal()
    cluster.advance(1)
    assert polls(cluster) == [[[2, 5], [3, 6]]] * 3


def test_a_new_life_of_a_peer_is_believed_only_when_it_has_told_what_it_has(alone):
    """n1 knows [2, 8] of n2's first life, and the second life learned of it from n1."""
    news(alone, "n2", 0, has=0)
    second, its = ["000002", 0, ["k", 5, 9]], {"n2.000002": 1}
    alone.deliver("n2", "n0", "news", log=second)  # what it sent before was lost
    alone.deliver("n1", "n0", "news", **LIFE_1, has=its)
    alone.advance(0.01)
    assert poll(alone, "n0") == []
    alone.deliver("n2", "n0", "news", log=["000002", 1], has=N2S, everything=True)
    alone.advance(0.01)
    assert poll(alone, "n0") == []
    others = {"n2.000001": [0, ["k", 2, 8]]}
    alone.deliver("n1", "n0", "news", **LIFE_1, has=N2S)
    alone.deliver("n2", "n0", "news", log=["000002", 1], others=others)
    alone.advance(0.01)
    assert poll(alone, "n0") == [[2, 8], [5, 9]]


def test_a_node_that_is_started_again_shows_nothing_before_it_has_heard_from_all_others(alone):
    """It may have forgotten [2, 8] of n2's first life, which n1 has."""
    alone.play("n1", "compare", lambda message: None)
    alone.restart("n0")
    its = {"n2.000002": 1}
    answers(alone, "n2", log=["000002", 0, ["k", 5, 9]])
    alone.deliver("n1", "n0", "news", **LIFE_1, has=its)
    alone.advance(3)
    assert poll(alone, "n0") == []
    others = {"n2.000001": [0, ["k", 2, 8]]}
    answers(alone, "n2", log=["000002", 1], has=N2S)
    answers(alone, "n1", **LIFE_1, others=others, has={**N2S, **its})
    alone.advance(3)
    assert poll(alone, "n0") == [[2, 8], [5, 9]]


# Whatever happens

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["send", "send", "poll", "cut", "heal", "advance", "advance"]),
        st.integers(0, 2),
        st.integers(0, 2),
    ),
    max_size=30,
)
FAULTS = {
    "latency": st.sampled_from([0, 5, 50]),
    "latency_dist": st.sampled_from(["constant", "exponential"]),
    "p_loss": st.sampled_from([0, 0.3]),
    "p_duplicate": st.sampled_from([0, 0.3]),
    "seed": st.integers(0, 1000),
    "args": st.sampled_from([(), DIAL]),
}


class Schedule:
    """What clients see of a cluster while it is made to take steps."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.acknowledged = {}  # message -> [key, offset]
        self.shown = []  # key, and what a node showed of it

    def take(self, step, a, b):
        cluster, node = self.cluster, f"n{a}"
        if step == "send":
            msg = len(self.acknowledged)
            key = f"k{b % 2}"
            self.acknowledged[msg] = [key, send(cluster, node, msg, key=key)]
        elif step == "poll":
            self.shown.append((f"k{b % 2}", poll(cluster, node, key=f"k{b % 2}")))
        elif step == "cut" and a != b:
            cluster.cut(node, f"n{b}")
        elif step == "heal":
            cluster.heal()
        elif step == "advance":
            cluster.advance([0.003, 0.05, 0.7][a] * (1 + b))
        elif step == "restart":
            cluster.restart(node)

    def logs(self):
        """What is shown of each key when all is quiet again, by all nodes alike."""
        self.cluster.heal()
        self.cluster.lose(0)
        self.cluster.advance(10)
        logs = {}
        for key in ("k0", "k1"):
            logs[key], *others = polls(self.cluster, key)
            assert others == [logs[key]] * 2
        return logs

    def check(self, logs):
        """Offsets grow, and whatever was shown, at any time, was the beginning of the log."""
        for log in logs.values():
            offsets = [offset for offset, _ in log]
            assert offsets == sorted(set(offsets))
        for key, shown in self.shown:
            assert shown == logs[key][: len(shown)]


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, **FAULTS)
def test_all_nodes_show_prefixes_of_the_same_log_and_at_last_all_of_it(steps, **faults):
    with simulated(SCRIPT, 3, **{"latency": 5, **faults}) as cluster:
        cluster.advance(5)  # until all have met, in spite of losses
        schedule = Schedule(cluster)
        for step in steps:
            schedule.take(*step)
        logs = schedule.logs()
    schedule.check(logs)
    for msg, (key, offset) in schedule.acknowledged.items():
        assert [offset, msg] in logs[key]
    assert sum(map(len, logs.values())) == len(schedule.acknowledged)


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(
                st.sampled_from(["send", "poll", "cut", "heal", "advance", "advance"]),
                st.integers(0, 2),
                st.integers(0, 2),
            ),
            st.just(("restart", 2, 0)),
        ),
        max_size=30,
    ),
    **FAULTS,
)
def test_a_node_that_is_started_again_takes_nothing_back_that_was_shown(steps, **faults):
    """Only n2 is, so that what all nodes had is always known to somebody."""
    with simulated(SCRIPT, 3, **faults) as cluster:
        cluster.advance(5)
        schedule = Schedule(cluster)
        by_others = []
        for step, a, b in steps:
            if step == "send" and a == 2:
                continue  # n2 may lose what it was sent, or be unable to answer
            schedule.take(step, a, b)
            by_others = list(schedule.acknowledged.items())
        logs = schedule.logs()
    schedule.check(logs)
    for msg, (key, offset) in by_others:
        assert [offset, msg] in logs[key]


# The challenge


@pytest.mark.parametrize("name", ["5a", "5b", "5c"])
@pytest.mark.parametrize(("args", "most"), [((), 3), (DIAL, 0.08)], ids=["at once", "100ms"])
def test_the_challenge_is_passed_with_few_messages(name, args, most):
    results = run(name, time_limit=3, args=args)
    assert results["valid?"] is True
    assert results["net"]["servers"]["msgs-per-op"] <= most
    crashes = results["stats"]["by-f"]["crash"]["count"]
    assert results["stats"]["count"] - results["stats"]["ok-count"] == crashes


@pytest.mark.parametrize("nodes", [2, 3, 5])
@pytest.mark.parametrize("args", [(), DIAL], ids=["at once", "100ms"])
def test_nothing_is_lost_in_spite_of_partitions_loss_and_duplicates(nodes, args):
    faults = {"p_loss": 0.05, "p_duplicate": 0.1, "latency": 20, "latency_dist": "exponential"}
    changes = {"nemesis": ("partition",), "nemesis_interval": 2, "rate": 300, "time_limit": 4}
    names = tuple(f"n{number}" for number in range(nodes))
    results = run("5c", nodes=names, concurrency=2 * nodes, args=args, **changes, **faults)
    assert results["valid?"] is True


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
