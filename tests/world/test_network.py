"""The network: when messages arrive, and which ones don't."""

from __future__ import annotations

import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glomers.history.times import MILLIS
from glomers.world.loop import Loop
from glomers.world.network import UNSENT, Flaky, Latency, Message, Network, UnknownEndpoint


class Journal:
    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []

    def record(self, event: str, time: int, message: Message) -> None:
        self.events.append((event, message.id))

    def count(self, event: str) -> int:
        return sum(1 for name, _ in self.events if name == event)


class Net:
    """A network whose endpoints write down what arrives, and when."""

    def __init__(self, *endpoints: str, latency: Latency | None = None, **faults: float) -> None:
        self.loop = Loop()
        self.journal = Journal()
        self.network = Network(self.loop, Random(1), self.journal, latency, **faults)
        self.arrivals: list[tuple[int, str, int]] = []  # ms, endpoint, value
        for endpoint in endpoints:
            self.network.join(endpoint, self._note)

    def _note(self, message: Message) -> None:
        at = self.loop.now // MILLIS
        self.arrivals.append((at, message.dest, message.body["value"]))

    def send(self, src: str, dest: str, value: int = 0, at: int = 0) -> None:
        body = {"value": value}
        line = json.dumps(body).encode()
        self.loop.call_at(at * MILLIS, self.network.send, src, dest, body, line)

    def at(self, ms: int, function, *args) -> None:
        self.loop.call_at(ms * MILLIS, function, *args)

    def run(self) -> list[tuple[int, str, int]]:
        self.loop.run()
        return self.arrivals


def test_servers_wait_for_the_latency_and_clients_do_not():
    net = Net("n0", "n1", "c0", latency=Latency(100))
    net.send("n0", "n1", 1)
    net.send("c0", "n0", 2)
    net.send("n0", "c0", 3)
    assert net.run() == [(0, "n0", 2), (0, "c0", 3), (100, "n1", 1)]


def test_services_are_servers():
    net = Net("n0", "lin-kv", latency=Latency(100))
    net.send("n0", "lin-kv")
    assert net.run() == [(100, "lin-kv", 0)]


def test_a_request_waits_behind_the_message_that_its_receiver_holds():
    """Maelstrom's receiver takes one message at a time and sleeps until it is due."""
    net = Net("n0", "n1", "c0", latency=Latency(100))
    net.send("n1", "n0", 1, at=0)
    net.send("c0", "n0", 2, at=30)
    assert net.run() == [(100, "n0", 1), (100, "n0", 2)]


def test_what_is_due_first_is_taken_first():
    net = Net("n0", "n1", "n2", "c0", latency=Latency(100))
    net.send("n1", "n0", 1, at=0)
    net.send("n2", "n0", 2, at=10)
    net.send("c0", "n0", 3, at=20)
    assert [value for _, _, value in net.run()] == [1, 3, 2]


def test_a_partition_drops_what_is_taken_while_it_lasts():
    net = Net("n0", "n1", latency=Latency(100))
    net.at(0, net.network.partition, {"n1": frozenset({"n0"})})
    net.send("n0", "n1", 1, at=5)
    net.at(50, net.network.heal)
    net.send("n0", "n1", 2, at=60)
    assert net.run() == [(160, "n1", 2)]
    assert net.journal.count("cut") == 1


def test_a_message_that_was_taken_before_the_partition_arrives():
    net = Net("n0", "n1", latency=Latency(100))
    net.send("n0", "n1", 1, at=0)
    net.at(50, net.network.partition, {"n1": frozenset({"n0"})})
    assert net.run() == [(100, "n1", 1)]


def test_a_partition_has_a_direction():
    net = Net("n0", "n1")
    net.at(0, net.network.partition, {"n1": frozenset({"n0"})})
    net.send("n0", "n1", 1, at=1)
    net.send("n1", "n0", 2, at=1)
    assert net.run() == [(1, "n0", 2)]


def test_a_message_behind_a_dropped_one_is_taken_at_once():
    net = Net("n0", "n1", "n2", latency=Latency(100))
    net.send("n2", "n1", 1, at=0)
    net.send("n0", "n1", 2, at=10)
    net.send("n2", "n1", 3, at=20)
    net.at(50, net.network.partition, {"n1": frozenset({"n0"})})
    assert net.run() == [(100, "n1", 1), (120, "n1", 3)]


def test_a_receiver_holds_one_message_at_a_time_and_a_partition_drops_the_others():
    net = Net("n0", "n1", "n2", latency=Latency(100))
    net.send("n0", "n1", 1, at=0)
    net.send("n0", "n1", 2, at=50)
    net.send("n2", "n1", 3, at=90)
    net.at(120, net.network.partition, {"n1": frozenset({"n2"})})
    assert net.run() == [(100, "n1", 1), (150, "n1", 2)]
    assert net.journal.count("cut") == 1


def test_partitions_of_different_names_last_beside_each_other():
    net = Net("n0", "n1", "n2")
    net.network.partition({"n0": frozenset({"n1"})}, "a")
    net.network.partition({"n0": frozenset({"n2"})}, "b")
    net.send("n1", "n0", 1, at=10)
    net.send("n2", "n0", 2, at=10)
    net.at(20, net.network.heal, "a")
    net.send("n1", "n0", 3, at=30)
    net.send("n2", "n0", 4, at=30)
    net.at(40, net.network.heal, "b")
    net.send("n1", "n0", 5, at=50)
    net.send("n2", "n0", 6, at=50)
    assert [value for _, _, value in net.run()] == [3, 5, 6]


def test_what_waits_for_a_node_that_crashes_is_gone_and_so_is_what_it_is_sent_before_it_joins():
    net = Net("n0", "n1", "c0", latency=Latency(100))
    net.send("n0", "n1", 1, at=0)  # held at the crash
    net.send("n0", "n1", 2, at=20)  # waits behind that
    net.at(50, net.network.crash, "n1")
    net.send("n0", "n1", 3, at=60)
    net.send("c0", "n1", 4, at=60)
    net.at(70, net.network.join, "n1", net._note)
    net.send("n0", "n1", 5, at=80)
    assert net.run() == [(180, "n1", 5)]
    assert (net.journal.count("send"), net.journal.count("drop")) == (5, 4)


def test_what_a_node_sent_before_it_crashed_arrives():
    net = Net("n0", "n1", latency=Latency(100))
    net.send("n1", "n0", 1, at=0)
    net.at(50, net.network.crash, "n1")
    assert net.run() == [(100, "n0", 1)]


def test_a_slow_node_is_slow_both_ways():
    net = Net("n0", "n1", latency=Latency(10))
    net.network.slowness["n1"] = 5
    net.send("n0", "n1", 1)
    net.send("n1", "n0", 2)
    assert net.run() == [(50, "n1", 1), (50, "n0", 2)]


def test_nobody_can_send_to_somebody_who_never_was():
    net = Net("n0")
    with pytest.raises(UnknownEndpoint):
        net.network.send("n0", "n7", {}, b"{}")


def test_late_messages_to_somebody_who_left_vanish():
    net = Net("n0", "c0", "n1", latency=Latency(100))
    net.send("n0", "n1", 1)
    net.at(50, net.network.leave, "n1")
    net.at(60, net.network.leave, "c0")
    net.send("n0", "c0", 2, at=70)
    assert net.run() == []


def test_an_answer_to_somebody_who_left_is_late_and_was_never_sent():
    net = Net("n0", "c0")
    net.at(50, net.network.leave, "c0")
    net.send("n0", "c0", 2, at=70)
    net.run()
    assert net.journal.events == [("late", UNSENT)]


def test_loss_spares_clients():
    net = Net("n0", "n1", "c0", p_loss=1.0)
    net.send("n0", "n1", 1)
    net.send("n0", "c0", 2)
    assert net.run() == [(0, "c0", 2)]
    assert (net.journal.count("send"), net.journal.count("lost")) == (2, 1)


def test_a_duplicate_arrives_twice():
    net = Net("n0", "n1", p_duplicate=1.0)
    net.send("n0", "n1", 1)
    assert net.run() == [(0, "n1", 1), (0, "n1", 1)]


NODES = frozenset(("n0", "n1"))


def test_flaky_links_spare_clients_and_services():
    for flaky, arrivals in ((Flaky(NODES, 1.0, 0.0), 0), (Flaky(NODES, 0.0, 1.0), 2)):
        net = Net("n0", "n1", "c0", "lin-kv")
        net.network.flaky = flaky
        net.send("n0", "n1", 1)
        net.send("n0", "c0", 2)
        net.send("n0", "lin-kv", 3)
        net.send("lin-kv", "n0", 4)
        assert sorted(value for _, _, value in net.run()) == [1] * arrivals + [2, 3, 4]


@pytest.mark.parametrize(
    ("distribution", "low", "high", "mean"),
    [("constant", 50, 50, 50), ("uniform", 0, 99, 49.5), ("exponential", 0, 2000, 49.5)],
)
def test_latencies_follow_their_distribution(distribution, low, high, mean):
    random = Random(7)
    draws = [Latency(50, distribution).draw(random) for _ in range(20_000)]
    assert min(draws) >= low
    assert max(draws) <= high
    assert sum(draws) / len(draws) == pytest.approx(mean, rel=0.03)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 3), st.integers(0, 3)), max_size=40),
    st.integers(0, 60),
)
def test_without_faults_everything_arrives_once_and_never_early(messages, latency):
    net = Net("n0", "n1", "n2", "n3", latency=Latency(latency))
    for value, (at, src, dest) in enumerate(messages):
        net.send(f"n{src}", f"n{dest}", value, at=at)
    arrivals = net.run()
    assert sorted(value for _, _, value in arrivals) == list(range(len(messages)))
    for at, dest, value in arrivals:
        sent, _, to = messages[value]
        assert dest == f"n{to}"
        assert at >= sent + latency
