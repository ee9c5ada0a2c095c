"""The ladder of broadcast designs: each rung does what its docstring and docs/broadcast.md say."""

from __future__ import annotations

from pathlib import Path

import pytest

from glomers.testing import Simulation

LADDER = Path(__file__).parents[2] / "ladder" / "broadcast"
FLOOD = LADDER / "1_flood.py"
RETRY = LADDER / "2_flood_with_retry.py"
PUSH = LADDER / "3_push.py"
REPAIR = LADDER / "4_push_with_repair.py"
RUNGS = (FLOOD, RETRY, PUSH, REPAIR)

LINE = {"n0": ["n1"], "n1": ["n0", "n2"], "n2": ["n1", "n3"], "n3": ["n2"]}

every_rung = pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.stem)
safe_rungs = pytest.mark.parametrize("rung", [RETRY, REPAIR], ids=lambda rung: rung.stem)
unsafe_rungs = pytest.mark.parametrize("rung", [FLOOD, PUSH], ids=lambda rung: rung.stem)


@pytest.fixture
def cluster(simulate):
    """Four nodes of a rung, in a line, with 10 ms between them."""

    def start(rung: Path) -> Simulation:
        cluster = simulate(rung, 4, latency=10)
        for node in cluster.nodes:
            assert cluster.request(node, "topology", topology=LINE)["type"] == "topology_ok"
        return cluster

    return start


def values(cluster: Simulation, node: str) -> list:
    return sorted(cluster.request(node, "read")["messages"])


def everybody_has(cluster: Simulation, expected: list) -> bool:
    return all(values(cluster, node) == expected for node in cluster.nodes)


def give_during_a_partition(cluster: Simulation) -> None:
    """Give 0 and 1 to either side while the line is cut in the middle."""
    cluster.partition(["n0", "n1"], ["n2", "n3"])
    cluster.request("n0", "broadcast", message=0)
    cluster.request("n3", "broadcast", message=1)
    cluster.advance(5)
    cluster.heal()


def server_messages(cluster: Simulation) -> int:
    return sum(message.src in cluster.nodes and message.dest in cluster.nodes
               for message in cluster.sent())  # fmt: skip


def test_all_rungs_are_tested():
    assert sorted(LADDER.glob("[0-9]*.py")) == list(RUNGS)


@every_rung
def test_a_value_comes_to_be_read_everywhere(cluster, rung):
    nodes = cluster(rung)
    nodes.request("n0", "broadcast", message=0)
    nodes.request("n2", "broadcast", message=1)
    nodes.advance(0.2)
    assert everybody_has(nodes, [0, 1])


@unsafe_rungs
def test_without_repair_what_a_partition_swallows_is_lost_for_good(cluster, rung):
    nodes = cluster(rung)
    give_during_a_partition(nodes)
    nodes.advance(60)
    assert 1 not in values(nodes, "n0")
    assert 0 not in values(nodes, "n3")


@safe_rungs
def test_with_repair_nothing_is_lost(cluster, rung):
    nodes = cluster(rung)
    give_during_a_partition(nodes)
    nodes.advance(20)
    assert everybody_has(nodes, [0, 1])


@safe_rungs
def test_with_repair_lost_messages_do_not_matter(cluster, rung):
    nodes = cluster(rung)
    nodes.lose(0.5)
    for value in range(10):
        nodes.request(f"n{value % 4}", "broadcast", message=value)
        nodes.advance(0.1)
    nodes.advance(60)
    assert everybody_has(nodes, list(range(10)))


def test_a_flood_takes_one_hop_after_the_other(cluster):
    nodes = cluster(FLOOD)
    nodes.request("n0", "broadcast", message=0)
    nodes.advance(0.019)  # the third hop hasn't begun
    assert values(nodes, "n3") == []
    nodes.advance(0.012)
    assert values(nodes, "n3") == [0]


def test_a_push_takes_one_hop(cluster):
    nodes = cluster(PUSH)
    nodes.request("n0", "broadcast", message=0)
    nodes.advance(0.011)
    assert everybody_has(nodes, [0])


@pytest.mark.parametrize(
    ("rung", "messages"), [(FLOOD, 3), (RETRY, 6), (PUSH, 3)], ids=["flood", "retry", "push"]
)
def test_messages_of_a_value(cluster, rung, messages):
    """On a line a flood sends nothing twice; acknowledgements double it."""
    nodes = cluster(rung)
    nodes.forget()
    nodes.request("n0", "broadcast", message=0)
    nodes.advance(10)
    assert server_messages(nodes) == messages


def test_retry_repeats_everything_while_a_neighbour_is_unreachable(cluster):
    nodes = cluster(RETRY)
    nodes.isolate("n3")
    for value in range(10):
        nodes.request("n0", "broadcast", message=value)
    nodes.advance(1)
    nodes.forget()
    nodes.advance(20)
    assert len(nodes.sent("n2", "n3")) == 10 * 20


def test_nodes_compare_notes_for_ever_though_nothing_is_missing(cluster):
    nodes = cluster(REPAIR)
    nodes.request("n0", "broadcast", message=0)
    nodes.advance(5)
    nodes.forget()
    nodes.advance(10)
    assert len(nodes.sent(type="compare")) == server_messages(nodes) == 4 * 10


def test_a_digest_does_not_grow_with_the_number_of_values(cluster):
    nodes = cluster(REPAIR)
    for value in range(200):
        nodes.request("n0", "broadcast", message=value)
    nodes.advance(5)
    assert {len(message.body["have"]) for message in nodes.sent(type="compare")} == {4}
