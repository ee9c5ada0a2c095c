"""Replication: every entry reaches every node, whatever is lost, whoever is started again."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import Stage

from glomers.testing import RequestError, Simulation, simulated
from maelstrom_node import Replication

SCRIPT = '''
"""A node that appends what it is told to, and shows what all have appended, in its order."""

import threading

from maelstrom_node import Node, Replication

node = Node()
lock = threading.Lock()
applied = []


class Entries(Replication):
    def apply(self, log, entry):
        applied.append(entry)


class Meeting(Entries):
    """Asks all peers when a life begins."""

    def first_asked(self):
        return self.node.peers


class Dropping(Replication):
    """The same entries, each of them once; not many are kept in a log."""

    KEPT = 3

    def apply(self, log, entry):
        if entry not in applied:
            applied.append(entry)

    def state(self):
        return list(applied)

    def merge(self, state):
        for entry in state:
            self.apply("", entry)


entries = Entries(node, lock)


@node.on("append")
def append(message):
    with lock:
        for entry in message.body["entries"]:
            entries.append(entry)
    entries.push()
    return {"type": "append_ok"}


@node.on("meet")
def meet(message):
    entries.wait_until_met()
    return {"type": "meet_ok"}


entries.parse_args("A node for tests.")
node.run()
'''
DROPPING = SCRIPT.replace("entries = Entries(", "entries = Dropping(")
MEETING = SCRIPT.replace("entries = Entries(", "entries = Meeting(")

LIFE = "00000A"  # of nodes that tests play


def append(cluster: Simulation, node: str, *entries: object) -> None:
    cluster.request(node, "append", entries=entries)


def seen(cluster: Simulation, node: str) -> list:
    """All entries that a node has applied, in its order."""
    return list(cluster[node].applied)


def own_log(cluster: Simulation, node: str = "n0") -> str:
    return cluster[node].entries.own


def life(cluster: Simulation, node: str = "n0") -> str:
    """The present life of a node, as its messages have it."""
    return own_log(cluster, node).partition(".")[2]


def say(cluster: Simulation, peer: str, *entries: object, first: int = 0, **fields: object) -> None:
    """Let a played node send n0 what it has appended, and something else."""
    cluster.deliver(peer, "n0", "news", **{"log": [LIFE, first, *entries], **fields})


def answer(cluster: Simulation, peer: str, *entries: object, **fields: object) -> dict:
    """Let a played node answer n0's question, which is returned."""
    question = cluster.assert_sent("n0", peer, "compare").body
    fields = {"log": [LIFE, 0, *entries], "in_reply_to": question["msg_id"], **fields}
    cluster.deliver(peer, "n0", "compare_ok", **fields)
    cluster.advance(0.03)
    return question


def acknowledges_alone(cluster: Simulation, number: int) -> None:
    """n0 tells n1 how many entries of it it has, in a message of its own, and nothing else."""
    cluster.advance(10)
    cluster.assert_sent("n0", "n1", "news", log=[life(cluster), 0], has={f"n1.{LIFE}": number})
    cluster.assert_silent(30)


@pytest.fixture
def push(simulate, script):
    """n0 pushes at once; n1 and n2, which it has heard of, are played by the test."""
    cluster = simulate(script(SCRIPT), 3, played=["n1", "n2"], latency=10)
    for peer in ("n1", "n2"):
        say(cluster, peer)
    cluster.advance(0.02)
    return cluster


@pytest.fixture
def three(simulate, script):
    """Three nodes that push at once."""
    return simulate(script(SCRIPT), 3, latency=10)


# Push


def test_an_entry_goes_straight_to_every_peer(push):
    append(push, "n0", "a")
    push.advance(0.1)
    for peer in ("n1", "n2"):
        body = push.assert_sent("n0", peer).body
        assert body == {"type": "news", "log": [life(push), 0, "a"]}
    push.assert_silent()


def test_entries_that_are_pushed_together_share_a_message(push):
    append(push, "n0", "a", "b")
    append(push, "n0", "c")
    push.advance(0.1)
    sent = [message.body["log"][1:] for message in push.sent("n0", "n1")]
    assert sent == [[0, "a", "b"], [2, "c"]]
    push.ignore_the_rest()


def test_a_node_that_is_alone_has_nobody_to_tell(simulate, script):
    alone = simulate(script(SCRIPT), 1)
    append(alone, "n0", "a")
    alone.advance(30)
    assert seen(alone, "n0") == ["a"]


def test_what_comes_is_applied_and_not_passed_on(push):
    say(push, "n1", "a", "b")
    push.advance(0.1)
    assert seen(push, "n0") == ["a", "b"]
    acknowledges_alone(push, 2)


def test_entries_are_applied_once_and_in_their_order_whichever_comes_first(push):
    say(push, "n1", "c", first=2)
    say(push, "n1", "b", first=1)
    push.advance(0.02)
    assert seen(push, "n0") == []
    say(push, "n1", "a")
    say(push, "n1", "a", "b", "c")
    push.advance(0.1)
    assert seen(push, "n0") == ["a", "b", "c"]
    acknowledges_alone(push, 3)


def test_messages_do_not_grow_while_nobody_acknowledges_what_they_bring(push):
    for number in range(50):
        append(push, "n0", number)
    push.advance(0.1)
    logs = [message.body["log"][1:] for message in push.sent("n0", "n1", "news")]
    assert logs == [[number, number] for number in range(50)]
    push.ignore_the_rest()


def test_a_peer_that_sends_something_after_a_gap_is_asked_unless_the_gap_is_filled_soon(push):
    say(push, "n1", "b", first=1)
    push.assert_silent(Replication.GRACE)
    push.advance(0.05)
    question = answer(push, "n1", "a", "b")
    assert f"n1.{LIFE}" not in question.get("has", {})
    assert seen(push, "n0") == ["a", "b"]

    say(push, "n1", "d", first=3)
    push.advance(0.02)
    say(push, "n1", "c", first=2)
    push.advance(0.1)
    assert seen(push, "n0") == ["a", "b", "c", "d"]
    acknowledges_alone(push, 4)


# Acknowledgements


def test_what_came_is_acknowledged_to_its_sender_with_what_goes_anyway(push):
    push["n0"].entries.patience = 3.0
    say(push, "n1", "a")
    push.assert_silent(1)
    append(push, "n0", "x")
    push.advance(0.1)
    assert push.assert_sent("n0", "n1", "news").body["has"] == {f"n1.{LIFE}": 1}
    assert "has" not in push.assert_sent("n0", "n2", "news").body
    push.assert_silent()


def test_an_acknowledgement_goes_alone_and_once_before_the_peer_asks_for_it(simulate, script):
    cluster = simulate(script(SCRIPT), 2, latency=10)
    append(cluster, "n0", "a")
    append(cluster, "n1", "b")
    cluster.advance(30)
    cluster.forget()
    append(cluster, "n0", "c")
    cluster.advance(30)
    between = [message for message in cluster.sent() if message.dest in cluster.nodes]
    assert [(m.src, m.body["log"]) for m in between if m.src in cluster.nodes] == [
        ("n0", [life(cluster, "n0"), 1, "c"]),
        ("n1", [life(cluster, "n1"), 1]),
    ]


def test_an_acknowledgement_to_a_peer_that_says_much_waits_half_a_second_for_more(push):
    for number in range(20):
        append(push, "n0", number)
        say(push, "n1", number, first=number)
        push.advance(0.1)
    told = [message.body.get("has", {}) for message in push.sent("n0", "n1")]
    numbers = [number for has in told for number in has.values()]
    assert 2 <= len(numbers) <= 4
    assert max(numbers) >= 10
    push.ignore_the_rest()


def test_what_came_while_a_question_was_under_way_is_acknowledged_though_nothing_is_missing(push):
    say(push, "n1", "b", first=1)
    push.advance(Replication.GRACE + 0.05)
    say(push, "n1", "a", "b")
    push.advance(0.02)
    answer(push, "n1")
    acknowledges_alone(push, 2)


def test_what_has_been_acknowledged_is_not_acknowledged_again(push):
    say(push, "n1", "a")
    push.advance(10)
    append(push, "n0", "x")
    say(push, "n1", first=1)
    push.advance(10)
    told = [message.body.get("has") for message in push.sent("n0", "n1", "news")]
    assert told == [{f"n1.{LIFE}": 1}, None]
    push.ignore_the_rest()


def test_a_peer_that_acknowledges_is_not_asked(push):
    append(push, "n0", "a")
    push.advance(0.1)
    for peer in ("n1", "n2"):
        push.assert_sent("n0", peer)
        say(push, peer, has={own_log(push): 1})
    push.assert_silent(30)


def test_a_peer_that_does_not_acknowledge_is_asked_and_each_gets_what_it_lacked(push):
    append(push, "n0", "a", "b")
    push.advance(0.1)
    push.assert_sent("n0", "n1")
    push.assert_sent("n0", "n2")
    say(push, "n2", has={own_log(push): 2})
    push.eventually(lambda view: view.sent("n0", "n1", "compare"), within=10)
    push.advance(0.02)
    question = answer(push, "n1", "x", has={own_log(push): 1})
    assert question["log"] == [life(push), 2]
    assert seen(push, "n0") == ["a", "b", "x"]
    push.assert_sent("n0", "n1", "news", log=[life(push), 1, "b"])
    say(push, "n1", first=1, has={own_log(push): 2})
    push.assert_silent(30)


def test_a_question_is_answered_with_what_the_peer_lacks(push):
    append(push, "n0", "a", "b")
    push.advance(0.1)
    push.forget()
    say(push, "n2", "z")
    for has, lacks in ((0, ["a", "b"]), (1, ["b"]), (2, [])):
        push.deliver("n1", "n0", "compare", msg_id=has, log=[LIFE, 0], has={own_log(push): has})
        push.advance(0.1)
        body = push.assert_sent("n0", "n1", "compare_ok", in_reply_to=has).body
        assert body["log"][2:] == lacks
        assert "others" not in body
    push.ignore_the_rest()


def test_a_question_for_everything_is_answered_with_the_logs_of_others_too(push):
    say(push, "n2", "z")
    push.advance(0.1)
    push.deliver("n1", "n0", "compare", msg_id=3, log=[LIFE, 0], everything=True)
    push.advance(0.1)
    push.assert_sent("n0", "n1", "compare_ok", in_reply_to=3, others={f"n2.{LIFE}": [0, "z"]})


@pytest.mark.parametrize(("interval", "asked_after"), [(0.1, (1, 1.5)), (1.0, (2, 3))])
def test_a_peer_that_is_seldom_heard_is_given_longer_until_it_is_asked(
    simulate, script, interval, asked_after
):
    """With 8 peers there is usually none that isn't heard for ln 8 = 2.1 intervals."""
    peers = [f"n{number}" for number in range(1, 9)]
    cluster = simulate(script(SCRIPT), 9, played=peers, latency=10)
    for tick in range(200):
        for peer in peers if tick % round(interval / 0.1) == 0 else peers[1:]:
            say(cluster, peer)
        cluster.advance(0.1)
    append(cluster, "n0", "a")
    for peer in peers[1:]:
        say(cluster, peer, has={own_log(cluster): 1})
    least, most = asked_after
    cluster.advance(least - 0.05)
    assert not cluster.sent("n0", type="compare")
    cluster.eventually(lambda view: view.sent("n0", "n1", "compare"), within=most - least + 0.1)
    assert not cluster.sent("n0", "n2", "compare")
    cluster.ignore_the_rest()


def test_a_peer_that_speaks_but_acknowledges_nothing_is_asked_with_all_that_may_lack_it(push):
    push["n0"].entries.patience = 5.0
    append(push, "n0", "a")
    push.advance(2.1)
    push.forget()
    say(push, "n1")
    push.advance(0.05)
    assert {message.dest for message in push.sent("n0", type="compare")} == {"n1", "n2"}
    push.ignore_the_rest()


def test_one_of_the_peers_that_are_never_heard_is_asked_for_there_may_have_been_an_earlier_life(
    simulate, script
):
    cluster = simulate(script(SCRIPT), 3, played=["n1", "n2"], latency=10)
    cluster.assert_silent(1)
    cluster.eventually(lambda view: view.sent("n0", "n1", "compare"), within=2)
    cluster.advance(0.02)
    assert answer(cluster, "n1")["everything"] is True
    cluster.assert_silent(30)


def test_if_that_one_is_silent_another_one_is_asked(simulate, script):
    cluster = simulate(script(SCRIPT), 3, played=["n1", "n2"], latency=10)
    cluster.advance(Replication.MOST_PATIENCE + 2)
    assert cluster.sent("n0", "n2", "compare")
    cluster.ignore_the_rest()


# Batches


@pytest.fixture
def batches(simulate, script):
    """Three nodes with a dial. They have met, so they know that a round trip takes 200 ms."""
    cluster = simulate(script(SCRIPT), 3, latency=100, args=["--max-latency", "600ms"])
    cluster.advance(1)
    cluster.forget()
    return cluster


def test_a_batch_leaves_when_its_first_entry_will_just_be_in_time(batches):
    append(batches, "n0", "a")
    batches.advance(0.2)
    append(batches, "n0", "b")
    batches.advance(0.28)
    assert batches.sent("n0", "n1") == []
    batches.advance(0.02)
    [message] = batches.sent("n0", "n1")
    assert message.body["log"] == [life(batches), 0, "a", "b"]
    batches.advance(0.1)
    assert seen(batches, "n1") == seen(batches, "n2") == ["a", "b"]


def test_a_batch_acknowledges_what_came_until_it_leaves(batches):
    append(batches, "n0", "a")
    batches.advance(0.3)
    append(batches, "n1", "b")
    batches.advance(0.6)
    [message] = batches.sent("n1", "n0", "news")
    assert message.body["has"] == {own_log(batches, "n0"): 1}


@pytest.mark.parametrize("latency", [0, 20, 250])
def test_every_entry_is_everywhere_in_time_whatever_a_message_takes(simulate, script, latency):
    cluster = simulate(script(SCRIPT), 3, latency=latency, args=["--max-latency", "600ms"])
    cluster.advance(3)
    for number in range(20):
        append(cluster, f"n{number % 3}", number)
        cluster.advance(0.07)
    append(cluster, "n1", "last")
    cluster.advance(0.6)
    for node in cluster.nodes:
        assert set(seen(cluster, node)) == {*range(20), "last"}


def test_two_peers_are_asked_first_for_the_round_trip_only_if_there_is_a_budget(simulate, script):
    for args, asked in (([], []), (["--max-latency", "600ms"], ["n1", "n2"])):
        cluster = simulate(script(SCRIPT), 4, played=["n1", "n2", "n3"], args=args)
        cluster.advance(0.5)
        assert [message.dest for message in cluster.sent("n0", type="compare")] == asked
        cluster.ignore_the_rest()


def test_without_an_answer_nobody_knows_the_round_trip_and_a_batch_waits_longer(simulate, script):
    args = ["--max-latency", "600ms"]
    cluster = simulate(script(SCRIPT), 2, played=["n1"], latency=100, args=args)
    append(cluster, "n0", "a")
    cluster.advance(0.58)
    assert cluster.sent("n0", "n1", "news") == []
    cluster.advance(0.02)
    assert len(cluster.sent("n0", "n1", "news")) == 1
    cluster.advance(0.2)
    cluster.ignore_the_rest()


# Silence


def test_a_peer_that_does_not_answer_is_asked_now_and_then_and_sent_no_entries(push):
    append(push, "n0", "a")
    push.advance(0.1)
    say(push, "n2", has={own_log(push): 1})
    push.advance(15)
    push.forget()
    for number in range(20):
        append(push, "n0", number)
    push.advance(20)
    to_n1 = push.sent("n0", "n1")
    assert {message.body["type"] for message in to_n1} == {"compare"}
    assert 10 < len(to_n1) < 30
    assert len({len(message.line) for message in to_n1}) <= 3  # a question doesn't grow
    push.ignore_the_rest()


def test_as_soon_as_one_silent_peer_is_heard_all_are_asked(simulate, script):
    peers = ["n1", "n2", "n3", "n4", "n5"]
    cluster = simulate(script(SCRIPT), 6, played=peers, latency=10)
    append(cluster, "n0", "a")
    cluster.advance(20)
    assert set(cluster["n0"].entries.silent) == set(peers)
    cluster.forget()
    cluster.advance(Replication.TIMEOUT)
    assert len(cluster.sent("n0", type="compare")) == 1  # one after another, otherwise
    say(cluster, "n1")
    cluster.advance(Replication.TIMEOUT)
    assert {message.dest for message in cluster.sent("n0", type="compare")} >= set(peers[1:])
    cluster.ignore_the_rest()


def test_after_a_heal_everything_is_everywhere_within_a_second(simulate, script):
    cluster = simulate(script(SCRIPT), 5, latency=10)
    cluster.partition(["n0", "n1"], ["n2", "n3", "n4"])
    for number in range(40):
        append(cluster, f"n{number % 5}", number)
        cluster.advance(0.5)
    cluster.heal()
    cluster.advance(1)
    for node in cluster.nodes:
        assert sorted(seen(cluster, node)) == list(range(40))


def test_an_entry_that_is_lost_is_there_within_ten_seconds_even_if_nothing_else_is_said(three):
    three.advance(30)
    three.drop_next("n0", "n1")
    append(three, "n0", "a")
    three.eventually(lambda view: seen(view, "n1") == ["a"], within=10)


# Lives


def test_a_node_that_is_started_again_has_a_new_log_and_learns_everything_back(three):
    append(three, "n0", "a")
    append(three, "n1", "b")
    three.advance(1)
    former = own_log(three)
    three.restart("n0")
    assert own_log(three) > former
    assert seen(three, "n0") == []
    append(three, "n0", "c")
    three.advance(5)
    for node in three.nodes:
        assert sorted(seen(three, node)) == ["a", "b", "c"]
        logs = three[node].entries.logs
        assert [logs[former].entries, logs[own_log(three)].entries] == [["a"], ["c"]]


@pytest.mark.parametrize("later", [[], ["b"]])
@pytest.mark.parametrize("knows", ["n1", "n2"])
def test_what_it_had_told_only_one_peer_comes_back_to_everybody(three, knows, later):
    ignorant = {"n1": "n2", "n2": "n1"}[knows]
    three.cut("n0", ignorant)
    append(three, "n0", "a")
    three.advance(0.1)
    three.restart("n0")
    three.heal()
    for entry in later:
        append(three, "n0", entry)
    three.advance(1 if later else 10)  # a client reads 10 s after the last fault
    for node in three.nodes:
        assert sorted(seen(three, node)) == ["a", *later]


def test_what_came_after_a_gap_that_nobody_can_fill_comes_to_all(three):
    for peer in ("n1", "n2", "n2"):
        three.drop_next("n0", peer)
    append(three, "n0", "lost")
    append(three, "n0", "kept")
    log = own_log(three)
    three.advance(0.02)
    three.restart("n0")
    three.advance(10)
    for node in three.nodes:
        assert seen(three, node) == ["kept"]
        assert three[node].entries.logs[log].entries == [None, "kept"]


def test_no_entry_is_none_for_that_stands_for_a_lost_one(replication):
    with replication.lock, pytest.raises(ValueError, match="append was given None"):
        replication.append(None)


def test_what_an_earlier_life_sent_and_comes_late_is_ignored(push):
    say(push, "n1", "a", log=["00000A", 0, "a"])
    say(push, "n1", "b", log=["00000B", 0, "b"])
    say(push, "n1", "c", log=["00000A", 1, "c"], has={own_log(push): 1})
    push.advance(0.1)
    assert seen(push, "n0") == ["a", "b"]
    push.ignore_the_rest()


def test_a_peer_that_was_started_again_is_asked_and_gets_back_what_it_forgot(push):
    say(push, "n1", log=["00000A", 0, "a"])
    push.advance(0.1)
    say(push, "n1", log=["00000B", 0, "b"])
    push.advance(0.1)
    question = answer(push, "n1", log=["00000B", 1])
    assert question["everything"] is True
    push.assert_sent("n0", "n1", "news", others={"n1.00000A": [0, "a"]})


def test_what_a_peer_acknowledged_in_an_earlier_life_is_forgotten(push):
    append(push, "n0", "a")
    for peer in ("n1", "n2"):
        say(push, peer, has={own_log(push): 1})
    push.advance(0.1)
    push.ignore_the_rest()
    say(push, "n1", log=["00000B", 0])
    push.advance(0.1)
    answer(push, "n1", log=["00000B", 0], everything=True)
    push.assert_sent("n0", "n1", "news", log=[life(push), 0, "a"])


def test_a_node_whose_clock_went_back_begins_a_life_that_is_later_all_the_same(push):
    former = own_log(push)
    append(push, "n0", "x")
    push.advance(0.1)
    push.ignore_the_rest()
    say(push, "n1", others={"n0.zzzzzz": [0, "a"]})
    push.advance(0.1)
    assert own_log(push) == "n0.zzzzzz0"
    for peer in ("n1", "n2"):
        question = push.assert_sent("n0", peer, "compare").body
        assert (question["log"], question["everything"]) == (["zzzzzz0", 0], True)
        say(push, peer, has={former: 1, "n0.zzzzzz": 1})
    append(push, "n0", "y")
    push.advance(0.1)
    assert seen(push, "n0") == ["x", "a", "y"]
    push.assert_sent("n0", "n1", "news", log=["zzzzzz0", 0, "y"])
    push.ignore_the_rest()


def test_what_numbers_things_waits_until_all_have_told_what_they_know(simulate, script):
    cluster = simulate(script(MEETING), 3, latency=10)
    cluster.advance(1)
    assert cluster.request("n0", "meet") == {"type": "meet_ok", "in_reply_to": 1}
    cluster.isolate("n2")
    cluster.restart("n0")
    with pytest.raises(RequestError, match="n0 has been started, but hasn't heard n2 since") as e:
        cluster.request("n0", "meet")
    assert e.value.code == 11
    cluster.heal()
    cluster.advance(2)
    cluster.request("n0", "meet")


# State


@pytest.fixture
def dropping(simulate, script):
    """Three nodes that keep few entries, and n2 has been away while there were many."""
    cluster = simulate(script(DROPPING), 3, latency=10)
    append(cluster, "n2", "early")
    cluster.advance(1)
    cluster.isolate("n2")
    for number in range(20):
        append(cluster, f"n{number % 2}", number)
        cluster.advance(0.7)
    return cluster


def test_entries_for_which_the_state_can_stand_are_dropped(dropping):
    dropping.advance(1)
    for node in ("n0", "n1"):
        for log in ("n0", "n1"):
            kept = dropping[node].entries.logs[own_log(dropping, log)]
            assert len(kept) == 10
            assert len(kept.entries) <= 2 * 3
        assert sorted(map(str, seen(dropping, node))) == sorted(map(str, ["early", *range(20)]))


def test_of_all_lives_of_a_node_no_more_is_kept_than_of_one(dropping):
    dropping.heal()
    for life in range(5):
        dropping.restart("n1")
        append(dropping, "n1", *(f"{life}.{number}" for number in range(4)))
        dropping.advance(2)
    for node in dropping.nodes:
        logs = dropping[node].entries.logs
        kept = {log: len(logs[log].entries) for log in sorted(logs) if log.startswith("n1.")}
        assert len(kept) == 6
        assert 3 <= sum(kept.values()) <= 2 * 3
        assert list(kept.values())[-1] >= 3  # the latest are kept
    dropping.restart("n2")
    dropping.advance(10)
    assert set(seen(dropping, "n2")) == set(seen(dropping, "n0"))


def test_a_peer_that_was_away_gets_the_state_and_what_follows_fits(dropping):
    dropping.heal()
    dropping.advance(1)
    assert set(seen(dropping, "n2")) == {"early", *range(20)}
    assert dropping.sent("n0", "n2", "compare") + dropping.sent("n2", "n0", "compare")
    append(dropping, "n0", "next")
    append(dropping, "n2", "own")
    dropping.advance(0.1)
    for node in dropping.nodes:
        assert set(seen(dropping, node)) == {"early", *range(20), "next", "own"}
        logs = dropping[node].entries.logs
        assert sorted(len(log) for log in logs.values()) == [2, 10, 11]
        assert not any(log.early for log in logs.values())
    dropping.forget()
    dropping.advance(30)
    assert not any("state" in message.body for message in dropping.sent())


def test_a_node_that_is_started_again_gets_the_state(dropping):
    dropping.heal()
    dropping.advance(1)
    dropping.restart("n1")
    append(dropping, "n1", "after")
    dropping.advance(5)
    for node in dropping.nodes:
        assert set(seen(dropping, node)) == {"early", *range(20), "after"}


def test_the_state_stands_for_what_was_dropped_and_only_goes_to_those_that_lack_it(
    simulate, script
):
    cluster = simulate(script(DROPPING), 2, played=["n1"], latency=10)
    append(cluster, "n0", *range(10))
    cluster.advance(1)
    cluster.ignore_the_rest()
    for number, (has, state, log) in enumerate(
        [
            (0, list(range(10)), [7, 7, 8, 9]),
            (6, list(range(10)), [7, 7, 8, 9]),
            (7, None, [7, 7, 8, 9]),
            (9, None, [9, 9]),
            (10, None, [10]),
        ]
    ):
        cluster.deliver(
            "n1", "n0", "compare", msg_id=number, log=[LIFE, 0], has={own_log(cluster): has}
        )
        cluster.advance(0.1)
        body = cluster.assert_sent("n0", "n1", "compare_ok", in_reply_to=number).body
        assert body["log"] == [life(cluster), *log]
        assert body.get("state") == state
        assert body.get("dropped") == ({own_log(cluster): 7} if state else None)
    cluster.ignore_the_rest()


@pytest.mark.parametrize("log", ["n1", "n2"])
def test_after_a_state_entries_that_had_come_early_have_their_turn(simulate, script, log):
    """Whether the state stands for the log of its sender, or for that of another node."""
    cluster = simulate(script(DROPPING), 3, played=["n1", "n2"], latency=10)
    say(cluster, log, "f", first=5)
    state = {"state": ["a", "b", "c", "d", "e"], "dropped": {f"{log}.{LIFE}": 5}}
    say(cluster, "n1", log=[LIFE, 5 if log == "n1" else 0], **state)
    say(cluster, "n1", log=[LIFE, 5 if log == "n1" else 0], **state)
    cluster.advance(0.05)
    assert seen(cluster, "n0") == ["a", "b", "c", "d", "e", "f"]
    cluster.ignore_the_rest()
    cluster.advance(0.3)
    assert not cluster.sent("n0", log, "compare")  # nothing is missing


# Whatever happens


FAULTS = st.sampled_from(["append", "append", "cut", "partition", "heal", "restart", "advance"])
STEPS = st.lists(st.tuples(FAULTS, st.integers(0, 3), st.integers(0, 3)), max_size=25)


@pytest.mark.parametrize("source", [SCRIPT, DROPPING], ids=["logs", "state"])
@pytest.mark.parametrize("dial", ["0", "600ms"])
@settings(max_examples=25)
@given(
    steps=STEPS,
    latency=st.sampled_from([0, 5, 50]),
    loss=st.sampled_from([0, 0.1, 0.5]),
    duplicates=st.sampled_from([0, 0.3]),
    seed=st.integers(0, 1000),
)
def test_when_all_is_quiet_again_everybody_has_whatever_anybody_has(
    tmp_path_factory, source, dial, steps, latency, loss, duplicates, seed
):
    """n3 is never started again. So what it had once is never lost, and neither is what it said."""
    path = tmp_path_factory.getbasetemp() / f"{'state' if source == DROPPING else 'logs'}.py"
    path.write_text(source)
    faults = {"latency": latency, "latency_dist": "exponential", "p_loss": loss}
    args = ["--max-latency", dial]
    number = 0
    with simulated(path, 4, seed=seed, args=args, p_duplicate=duplicates, **faults) as cluster:
        for step, a, b in steps:
            if step == "append":
                number += 1
                append(cluster, f"n{a}", number)
            elif step == "cut" and a != b:
                cluster.cut(f"n{a}", f"n{b}")
            elif step == "partition":
                cluster.partition(cluster.nodes[: a + 1], cluster.nodes[a + 1 :])
            elif step == "heal":
                cluster.heal()
            elif step == "restart" and a < 3:
                cluster.restart(f"n{a}")
            elif step == "advance":
                cluster.advance(0.05 + a * b * 0.3)
        kept = set(seen(cluster, "n3"))
        cluster.heal()
        cluster.lose(0)
        cluster.advance(15)
        for node in cluster.nodes:
            assert sorted(seen(cluster, node)) == sorted(seen(cluster, "n3"))
            assert len(set(seen(cluster, node))) == len(seen(cluster, node))
            assert kept <= set(seen(cluster, node))
            for log in cluster[node].entries.logs:
                entries = list(cluster[node].entries.logs[log].entries)
                assert entries == sorted(entries)


# The lock, and memory


@pytest.fixture
def bare():
    return Stage()


def test_a_replication_remembers_no_more_checks_than_its_patience_needs(bare):
    replication = Replication(bare.node, threading.Lock(), patience=10.0)
    bare.init()
    interval = Replication.CHECK_INTERVAL
    (check,) = [task for seconds, task in bare.runtime.periodic if seconds == interval]
    for _ in range(50):
        check()
    assert len(replication._checks) == 10.0 / interval + 3


@pytest.fixture
def replication(bare):
    """One whose lock nobody holds, and which doesn't wait long for it."""

    class Entries(Replication):
        LOCK_TIMEOUT = 0.02

    replication = Entries(bare.node, threading.Lock())
    bare.init()
    return replication


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("append", ["entry"]), ("add_entries", ["n1", 0, ["entry"]]), ("unacknowledged", [])],
)
def test_what_needs_the_lock_of_a_replication_says_so(replication, method, arguments):
    problem = rf"^Entries\.{method} must be called with the lock held, but nobody holds it$"
    with pytest.raises(RuntimeError, match=problem):
        getattr(replication, method)(*arguments)
    assert not any(map(len, replication.logs.values()))
    with replication.lock:
        getattr(replication, method)(*arguments)


@pytest.mark.parametrize(("method", "arguments"), [("push", []), ("ask", ["n2"])])
def test_what_takes_the_lock_of_a_replication_says_that_it_is_held(replication, method, arguments):
    problem = rf"^Entries\.{method} must be called without the lock, but .* held for 0\.02 s, by "
    with replication.lock:
        replication.append("entry")
    with pytest.raises(RuntimeError, match=problem), replication.lock:
        getattr(replication, method)(*arguments)
    getattr(replication, method)(*arguments)
    assert not replication.lock.locked()
