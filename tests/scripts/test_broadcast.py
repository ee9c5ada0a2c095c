"""broadcast.py: what it sends, what it repairs, and that nothing is ever lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glomers.testing import Simulation, simulated

SCRIPT = Path(__file__).parents[2] / "broadcast.py"
DIALS = ["0", "600ms", "2s"]


def values(cluster: Simulation, node: str) -> list:
    return sorted(cluster.request(node, "read")["messages"])


@pytest.fixture
def push(simulate):
    """n0 pushes, and has heard of n1 and n2, which are played by the test."""
    cluster = simulate(SCRIPT, 3, played=["n1", "n2"], latency=10)
    for peer in ("n1", "n2"):
        say(cluster, peer)
    cluster.advance(0.02)
    return cluster


def say(cluster, peer, *values, first=0, **fields):
    """Let a played node send n0 values of its log, and something else."""
    cluster.deliver(peer, "n0", "news", log=["00000A", first, *values], **fields)


def log(cluster):
    """The log of n0, and its life, as messages have it."""
    own = cluster["n0"].values.own
    return own, own.partition(".")[2]


# Push


def test_a_value_goes_straight_to_everybody(push):
    push.request("n0", "broadcast", message=7)
    push.advance(0.1)
    for peer in ("n1", "n2"):
        push.assert_sent("n0", peer, "news", log=[log(push)[1], 0, 7])
    push.assert_silent()


def test_what_comes_as_news_is_read_and_not_passed_on(push):
    say(push, "n1", 5, 6)
    push.advance(0.1)
    assert values(push, "n0") == [5, 6]
    push.advance(30)
    push.assert_sent("n0", "n1", "news", has={"n1.00000A": 2})
    push.assert_silent()


def test_a_value_is_read_even_if_one_before_it_is_missing_and_that_one_is_asked_for(push):
    say(push, "n1", 7, first=2)
    push.advance(0.05)
    assert values(push, "n0") == [7]
    push.assert_silent()
    push.advance(0.1)
    push.assert_sent("n0", "n1", "compare")


def test_news_that_come_twice_or_out_of_turn_change_nothing(push):
    say(push, "n1", 7, first=2)
    say(push, "n1", 5, 6)
    say(push, "n1", 5, 6, 7)
    push.advance(1)
    assert values(push, "n0") == [5, 6, 7]
    push.request("n0", "broadcast", message=1)
    push.advance(0.1)
    assert push.assert_sent(dest="n1").body["has"] == {"n1.00000A": 3}
    push.assert_sent(dest="n2")


def test_the_topology_is_acknowledged_and_ignored(push):
    assert push.request("n0", "topology", topology={"n0": ["n1"]}) == {
        "type": "topology_ok",
        "in_reply_to": 1,
    }
    push.request("n0", "broadcast", message=7)
    push.advance(0.1)
    push.assert_sent(dest="n1")
    push.assert_sent(dest="n2")


# Repair


def test_an_acknowledgement_that_comes_with_news_is_enough(push):
    push.request("n0", "broadcast", message=7)
    push.advance(0.1)
    for peer in ("n1", "n2"):
        push.assert_sent("n0", peer)
        say(push, peer, has={log(push)[0]: 1})
    push.assert_silent(30)


def test_a_peer_that_gets_the_next_value_asks_for_the_one_that_was_lost(simulate):
    cluster = simulate(SCRIPT, 3, latency=10)
    cluster.drop_next("n0", "n1")
    cluster.request("n0", "broadcast", message=7)
    cluster.request("n0", "broadcast", message=8)
    cluster.advance(0.05)
    assert (values(cluster, "n1"), values(cluster, "n2")) == ([8], [7, 8])
    assert cluster.sent("n1", "n0") == []  # it may only be late
    cluster.advance(0.2)
    assert len(cluster.sent("n1", "n0", "compare")) == 1
    assert values(cluster, "n1") == [7, 8]


def test_messages_do_not_grow_while_nobody_acknowledges_what_they_bring(push):
    for value in range(50):
        push.request("n0", "broadcast", message=value)
    push.advance(0.1)
    to_n1 = push.sent("n0", "n1", "news")
    assert [message.body["log"][1:] for message in to_n1] == [[value, value] for value in range(50)]
    push.ignore_the_rest()


def test_who_does_not_acknowledge_is_asked(push):
    for _ in range(20):  # n1 is heard often enough to be missed
        say(push, "n1")
        push.advance(0.1)
    push.request("n0", "broadcast", message=7)
    push.advance(0.1)
    push.assert_sent("n0", "n1")
    push.assert_sent("n0", "n2")
    say(push, "n2", has={log(push)[0]: 1})
    push.assert_silent(1.8)
    push.advance(1)
    push.assert_sent("n0", "n1", "compare", log=[log(push)[1], 1])


def test_after_the_answer_each_has_what_the_other_lacked(push):
    push.request("n0", "broadcast", message=7)
    push.advance(0.1)
    push.assert_sent("n0", "n1", "news")
    push.assert_sent("n0", "n2", "news")
    say(push, "n2", has={log(push)[0]: 1})
    push.eventually(lambda view: view.sent("n0", "n1", "compare"), within=10)
    push.advance(0.02)
    question = push.assert_sent("n0", "n1", "compare")
    in_reply_to = question.body["msg_id"]
    push.deliver("n1", "n0", "compare_ok", in_reply_to=in_reply_to, log=["00000A", 0, 5])
    push.advance(0.1)
    assert values(push, "n0") == [5, 7]
    push.assert_sent("n0", "n1", "news", log=[log(push)[1], 0, 7])
    push.ignore_the_rest()


def test_a_question_is_answered_with_what_the_peer_lacks(push):
    push.request("n0", "broadcast", message=7)
    push.advance(0.1)
    push.assert_sent(dest="n1")
    push.assert_sent(dest="n2")
    push.deliver("n1", "n0", "compare", msg_id=3, log=["00000A", 0])
    push.advance(0.1)
    push.assert_sent("n0", "n1", "compare_ok", in_reply_to=3, log=[log(push)[1], 0, 7])
    push.deliver("n2", "n0", "compare", msg_id=4, log=["00000A", 0], has={log(push)[0]: 1})
    push.advance(0.1)
    push.assert_sent("n0", "n2", "compare_ok", in_reply_to=4, log=[log(push)[1], 1])


def test_a_silent_peer_is_asked_now_and_then_and_sent_no_news(push):
    push.request("n0", "broadcast", message=7)
    push.advance(0.1)
    say(push, "n2", has={log(push)[0]: 1})
    push.advance(15)  # n1 has been asked, and hasn't answered
    push.forget()
    for value in range(20):
        push.request("n0", "broadcast", message=value)
    push.advance(20)
    to_n1 = push.sent("n0", "n1")
    assert {message.body["type"] for message in to_n1} == {"compare"}
    assert len(to_n1) < 30
    assert len({len(message.line) for message in to_n1}) <= 3  # a question doesn't grow
    push.ignore_the_rest()


def test_digests_do_not_grow_with_the_number_of_values(simulate):
    cluster = simulate(SCRIPT, 3, latency=10)

    def bytes_per_value(count: int) -> float:
        cluster.forget()
        for value in range(count):
            cluster.request("n0", "broadcast", message=1000 + value % 1000)
            cluster.advance(0.3)
            cluster.request("n1", "broadcast", message=1000 + value % 1000)
            cluster.advance(0.3)
        return sum(len(m.line) for m in cluster.sent() if m.src in ("n0", "n1")) / count

    early = bytes_per_value(50)
    bytes_per_value(200)
    assert bytes_per_value(50) < early * 1.1


def test_after_a_heal_everything_is_everywhere_within_a_second(simulate):
    cluster = simulate(SCRIPT, 5)
    cluster.partition(["n0", "n1"], ["n2", "n3", "n4"])
    for value in range(20):
        cluster.request(f"n{value % 5}", "broadcast", message=value)
        cluster.advance(0.5)
    assert values(cluster, "n0") != values(cluster, "n4")
    cluster.heal()
    cluster.advance(1)
    for node in cluster.nodes:
        assert values(cluster, node) == list(range(20))


# Batches


def test_spokes_send_to_the_hub_and_the_hub_to_everybody(simulate):
    cluster = simulate(SCRIPT, 5, latency=100, args=["--max-latency", "600ms"])
    cluster.advance(1)
    cluster.forget()
    for value in range(5):
        cluster.request(f"n{value}", "broadcast", message=value)
    cluster.advance(1.2)
    for node in cluster.nodes:
        assert values(cluster, node) == list(range(5))
    assert all("n0" in (message.src, message.dest) for message in cluster.sent(type="news"))


@pytest.mark.parametrize("seed", [1, 7])  # with which n1 starts late
def test_the_hub_measures_a_round_trip_and_not_how_long_a_peer_takes_to_start(simulate, seed):
    cluster = simulate(SCRIPT, 25, seed=seed, latency=100, args=["--max-latency", "600ms"])
    cluster.advance(1)
    cluster.request("n0", "broadcast", message=1)
    cluster.advance(1)
    told = [message.body["rtt"] for message in cluster.sent("n0", type="news")]
    assert told == pytest.approx([0.2] * len(cluster.nodes[1:]))


@pytest.mark.parametrize("gap", [0.02, 0.005])
def test_a_batch_arrives_just_before_the_hub_sends(simulate, monkeypatch, gap):
    """However many values there are in a round, a spoke sends one batch of them."""
    margin = 0.03
    cluster = simulate(SCRIPT, 9, latency=100, args=["--max-latency", "600ms"])
    arrivals, departures = [], []
    record = cluster.record

    def listen(event, time, message):
        record(event, time, message)
        if message.body["type"] == "news" and event == "recv" and message.dest == "n0":
            arrivals.append(cluster.now)
        if message.body["type"] == "news" and event == "send" and message.src == "n0":
            departures.append(cluster.now)

    monkeypatch.setattr(cluster, "record", listen)
    cluster.request("n0", "broadcast", message=-1)  # from then on spokes know when the hub sends
    cluster.advance(1)
    began = cluster.now
    while cluster.now < began + 10:
        cluster.request(f"n{len(cluster.messages) % 9}", "broadcast", message=cluster.now)
        cluster.advance(gap)
    rounds = (cluster.now - began) / (0.6 - 0.2 - 2 * margin)
    assert len(departures) <= 8 * (rounds + 2)
    assert len(arrivals) <= 8 * (rounds + 2)
    in_step = [time for time in arrivals if began + 2 < time < departures[-1]]
    assert len(in_step) > 4 * rounds
    for time in in_step:
        assert min(out for out in departures if out >= time) - time == pytest.approx(margin)


@pytest.mark.parametrize("latency", [0, 20, 100, 250])
def test_the_budget_is_kept_whatever_the_latency_is(simulate, latency):
    cluster = simulate(SCRIPT, 5, latency=latency, args=["--max-latency", "1s"])
    for value in range(40):
        cluster.request(f"n{value % 5}", "broadcast", message=value)
        cluster.advance(0.07)
    cluster.request("n3", "broadcast", message=99)
    cluster.advance(1.0)
    for node in cluster.nodes:
        assert 99 in values(cluster, node)


def test_without_the_hub_spokes_push_to_everybody(simulate):
    cluster = simulate(SCRIPT, 5, latency=10, args=["--max-latency", "600ms"])
    for number in range(50):  # all are used to hear the hub
        cluster.request(f"n{number % 5}", "broadcast", message=0)
        cluster.advance(0.2)
    cluster.isolate("n0")
    cluster.request("n1", "broadcast", message=1)
    cluster.advance(5)
    assert 1 in values(cluster, "n4")
    cluster.forget()
    cluster.request("n1", "broadcast", message=2)
    cluster.advance(0.1)
    for node in ("n2", "n3", "n4"):
        assert 2 in values(cluster, node)
    cluster.heal()
    cluster.advance(2)
    assert values(cluster, "n0") == [0, 1, 2]


# Whatever happens

FAULTS = st.sampled_from(["value", "pause", "cut", "partition", "heal", "advance", "isolate"])
STEPS = st.lists(st.tuples(FAULTS, st.integers(0, 4), st.integers(0, 4)), max_size=25)


@pytest.mark.parametrize("dial", DIALS)
@settings(max_examples=25, deadline=None)
@given(
    steps=STEPS,
    latency=st.sampled_from([0, 5, 50]),
    dist=st.sampled_from(["constant", "uniform", "exponential"]),
    loss=st.sampled_from([0, 0.1, 0.5]),
    duplicates=st.sampled_from([0, 0.3]),
    seed=st.integers(0, 1000),
)
def test_when_all_is_quiet_again_everybody_has_everything(
    dial, steps, latency, dist, loss, duplicates, seed
):
    given = []
    with simulated(
        SCRIPT,
        5,
        seed=seed,
        args=["--max-latency", dial],
        latency=latency,
        latency_dist=dist,
        p_loss=loss,
        p_duplicate=duplicates,
    ) as cluster:
        for step, a, b in steps:
            if step == "value":
                given.append(len(given))
                cluster.request(f"n{a}", "broadcast", message=given[-1])
            elif step == "cut" and a != b:
                cluster.cut(f"n{a}", f"n{b}")
            elif step == "partition":
                cluster.partition(cluster.nodes[: a + 1], cluster.nodes[a + 1 :])
            elif step == "isolate":
                cluster.isolate(f"n{a}")
            elif step == "heal":
                cluster.heal()
            elif step == "advance":
                cluster.advance(0.05 + a * b * 0.3)
        cluster.heal()
        cluster.lose(0)
        cluster.advance(15)
        for node in cluster.nodes:
            assert values(cluster, node) == given
