"""The nemesis: how it cuts the network, whom it hits, when, and what the history says of it.

What Jepsen and Maelstrom do is in `jepsen.nemesis`, `jepsen.nemesis.combined` and
`jepsen.generator` (`stagger`, `mix`, `flip-flop`).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glomers.history.edn import dumps
from glomers.history.times import NANOS, nanos
from glomers.options import Options
from glomers.world.faults import (
    FAULTS,
    ONE_WAY,
    PARTITIONS,
    TARGETS,
    majorities_ring,
    majority,
    minority_third,
    one,
)
from glomers.world.loop import Loop
from glomers.world.nemesis import Nemesis
from glomers.world.network import Network

clusters = st.integers(1, 30).map(lambda size: [f"n{i}" for i in range(size)])
randoms = st.integers().map(Random)


# Partitions


def hears(grudge, a, b):
    return b not in grudge.get(a, frozenset())


@given(clusters, randoms)
def test_nobody_drops_its_own_messages(nodes, random):
    for partition in PARTITIONS.values():
        grudge = partition(nodes, random)
        assert all(node not in enemies for node, enemies in grudge.items())


@given(clusters, randoms)
def test_partitions_cut_both_ways(nodes, random):
    for name, partition in PARTITIONS.items():
        if name == "majorities-ring" and len(nodes) == 3:
            continue  # There a majority is two: each node hears one neighbour, as in Jepsen.
        grudge = partition(nodes, random)
        assert all(hears(grudge, a, b) == hears(grudge, b, a) for a in nodes for b in nodes)


def component_sizes(grudge, nodes):
    return sorted({node: sum(hears(grudge, node, b) for b in nodes) for node in nodes}.values())


@given(clusters, randoms)
def test_one_leaves_a_single_node_alone(nodes, random):
    sizes = component_sizes(one(nodes, random), nodes)
    assert sizes == [1] + [len(nodes) - 1] * (len(nodes) - 1)


@given(clusters, randoms)
def test_a_majority_is_a_bisection_with_the_odd_node_in_the_second_half(nodes, random):
    small = len(nodes) // 2
    big = len(nodes) - small
    assert component_sizes(majority(nodes, random), nodes) == [small] * small + [big] * big


@given(clusters, randoms)
def test_a_minority_third_is_less_than_a_third(nodes, random):
    grudge = minority_third(nodes, random)
    small = (len(nodes) - 1) // 3
    assert small < len(nodes) / 3 or small == 0
    expected = [small] * small + [len(nodes) - small] * (len(nodes) - small)
    assert component_sizes(grudge, nodes) == sorted(expected)


@given(clusters, randoms)
def test_in_a_ring_everybody_sees_a_majority(nodes, random):
    grudge = majorities_ring(nodes, random)
    for node in nodes:
        assert sum(hears(grudge, node, other) for other in nodes) > len(nodes) / 2


@given(st.integers(3, 5), randoms)
def test_in_a_small_ring_no_two_nodes_see_the_same_majority(size, random):
    nodes = [f"n{i}" for i in range(size)]
    grudge = majorities_ring(nodes, random)
    views = {frozenset(other for other in nodes if hears(grudge, node, other)) for node in nodes}
    assert len(views) == size


# One-way partitions


@given(clusters, randoms)
def test_in_a_one_way_partition_nobody_is_deaf_to_somebody_who_is_deaf_to_it(nodes, random):
    for partition in ONE_WAY.values():
        grudge = partition(nodes, random)
        for node, enemies in grudge.items():
            assert enemies, "nothing is said of who hears everybody"
            assert all(hears(grudge, enemy, node) for enemy in enemies)


@pytest.mark.parametrize("count", [1, 2, 5, 6])
@pytest.mark.parametrize(
    ("kind", "deaf", "unheard"),
    [
        ("one-deaf", lambda n: 1, lambda n: n - 1),
        ("one-mute", lambda n: n - 1, lambda n: 1),
        ("one-link", lambda n: 1, lambda n: 1),
        ("minority-deaf", lambda n: n // 2, lambda n: n - n // 2),
        ("majority-deaf", lambda n: n - n // 2, lambda n: n // 2),
    ],
)
def test_how_many_are_deaf_to_how_many(kind, deaf, unheard, count):
    nodes = [f"n{i}" for i in range(count)]
    grudge = ONE_WAY[kind](nodes, Random(1))
    if count == 1:
        assert grudge == {}
    else:
        assert len(grudge) == deaf(count)
        assert {len(enemies) for enemies in grudge.values()} == {unheard(count)}


def test_every_kind_of_one_way_partition_is_tried():
    assert set(ONE_WAY) == {kind for seed in range(30) for kind in kinds("one-way", seed)}


# Whom it hits


@given(clusters, randoms)
def test_targets_are_those_of_jepsen(nodes, random):
    count = len(nodes)
    sizes = {kind: len(set(choose(nodes, random))) for kind, choose in TARGETS.items()}
    assert 1 <= sizes.pop(None) <= count
    assert sizes == {
        "one": 1,
        "minority-third": (count - 1) // 3,
        "minority": count // 2,
        "majority": count // 2 + 1,
        "all": count,
    }
    for choose in TARGETS.values():
        assert set(choose(nodes, random)) <= set(nodes)


def test_a_random_subset_may_be_of_any_size_but_empty():
    nodes = ["n0", "n1", "n2", "n3"]
    assert {len(TARGETS[None](nodes, Random(seed))) for seed in range(60)} == {1, 2, 3, 4}


# The schedule


FIVE = Options(nodes=("n0", "n1", "n2", "n3", "n4"), time_limit=100, nemesis_interval=5)


class Played:
    """A nemesis and what it does, on a cluster of nodes that answer init after some seconds."""

    def __init__(self, *faults: str, seed: int = 1, init: float = 0.0, **options) -> None:
        self.history: list[tuple[float, str, object]] = []
        self.done: list[str] = []  # node and what happened to it
        self.ended_at = 0.0
        self._loop = Loop()
        self._init = init
        self._dead: set[str] = set()
        network = Network(self._loop, Random(1), SimpleNamespace(record=lambda *_: None))
        for node in FIVE.nodes:
            network.join(node, lambda message: None)
        self.nemesis = Nemesis(
            replace(FIVE, nemesis=faults, **options),
            self._loop,
            network,
            self,
            Random(seed),
            lambda _, __, what: self.history.append((self._now, what.f, what.value)),
            self._initialise,
        )
        self.nemesis.start()
        self._loop.call_at(nanos(100), self.nemesis.end, self._end)
        self._loop.run()

    @property
    def _now(self) -> float:
        return self._loop.now / NANOS

    def _initialise(self, node: str, then) -> None:
        self._loop.call_later(nanos(self._init), then, node)

    def _end(self) -> None:
        self.ended_at = self._now

    def acts(self) -> list[tuple[float, str]]:
        """When it did what: every other line of the history is a completion."""
        return [(time, f) for time, f, _ in self.history[::2]]

    # The cluster

    def is_running(self, node: str) -> bool:
        return node not in self._dead

    def start_node(self, node: str) -> None:
        self._dead.remove(node)

    def kill_nodes(self, nodes: list[str]) -> None:
        assert self._dead.isdisjoint(nodes)
        self._dead.update(nodes)

    def pause_node(self, node: str) -> None:
        assert node not in self._dead

    def resume_node(self, node: str) -> None:
        assert node not in self._dead


def kinds(fault: str, seed: int) -> set[str]:
    played = Played(fault, seed=seed)
    begins = FAULTS[fault].f[0]
    return {value for _, f, value in played.history[::2] if f == begins}


def test_every_kind_of_target_is_tried():
    assert set(TARGETS) == {kind for seed in range(30) for kind in kinds("kill", seed)}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("seed", range(3))
def test_a_fault_begins_at_once_and_is_stopped_and_started_in_turn(fault, seed):
    acts = Played(fault, seed=seed).acts()
    assert acts[0][0] == 0
    begins, ends = FAULTS[fault].f
    *during, last = [f for _, f in acts]
    assert during == [(begins, ends)[turn % 2] for turn in range(len(during))]
    assert last == ends


def waits(played: Played, *names: str) -> list[float]:
    times = [time for time, f in played.acts()[:-1] if f in names]
    return [after - before for before, after in pairwise(times)]


def test_waits_are_uniform_from_0_to_twice_the_interval():
    runs = [Played("partition", seed=seed, nemesis_interval=2) for seed in range(40)]
    drawn = [wait for run in runs for wait in waits(run, "start-partition", "stop-partition")]
    assert min(drawn) < 0.05
    assert 3.95 < max(drawn) <= 4
    assert sum(drawn) / len(drawn) == pytest.approx(2, rel=0.05)


def acts_per_interval(*faults: str) -> float:
    runs = [Played(*faults, seed=seed) for seed in range(30)]
    finals = len(faults) * len(runs)
    return (sum(len(run.acts()) for run in runs) - finals) / len(runs) / 20


def test_kill_and_pause_share_a_schedule_and_the_others_have_their_own():
    assert acts_per_interval("kill") == pytest.approx(1, rel=0.1)
    assert acts_per_interval("kill", "pause") == pytest.approx(1, rel=0.1)
    assert acts_per_interval("kill", "partition") == pytest.approx(2, rel=0.1)
    assert acts_per_interval("partition", "one-way", "slow") == pytest.approx(3, rel=0.1)


def test_a_node_can_be_killed_while_it_is_paused():
    runs = [Played("kill", "pause", seed=seed) for seed in range(5)]
    steps = {step for run in runs for step in pairwise(f for _, f in run.acts())}
    assert {("pause", "kill"), ("kill", "pause"), ("kill", "resume")} <= steps


def test_nothing_else_happens_while_nodes_are_being_initialised():
    played = Played("kill", "partition", init=3, nemesis_interval=2)
    invoked, completed = played.history[::2], played.history[1::2]
    for (began, f, _), (ended, g, result) in zip(invoked, completed, strict=True):
        assert f == g
        started = f == "start" and "started" in result.values()
        assert ended - began == pytest.approx(3 if started else 0)
    assert played.history == sorted(played.history, key=lambda line: line[0])


def test_at_the_end_all_faults_are_stopped_whether_they_are_on_or_not():
    played = Played("slow", "kill", "pause", "flaky", "one-way", "partition", init=3)
    last = [f for _, f in played.acts()[-6:]]
    assert last == ["stop-partition", "stop-one-way", "stop-flaky", "resume", "start", "fast"]
    assert played.nemesis.active == {}


def test_recovery_waits_until_the_last_nodes_have_been_initialised():
    for seed in range(10):
        played = Played("kill", init=7, seed=seed)
        completed = [time for time, _, _ in played.history]
        assert played.ended_at == completed[-1] >= 100
    assert any(Played("kill", init=7, seed=seed).ended_at > 101 for seed in range(10))


# The history


def lines(*faults: str) -> set[str]:
    runs = [Played(*faults, seed=seed) for seed in range(20)]
    return {f"{f} {dumps(value)}" for run in runs for _, f, value in run.history}


def test_what_the_history_says_of_nodes():
    said = lines("kill", "pause")
    assert "kill :all" in said
    assert "kill nil" in said
    assert 'kill {"n0" :killed, "n1" :killed, "n2" :killed, "n3" :killed, "n4" :killed}' in said
    assert "start :all" in said
    assert "start nil" not in said
    assert any('"n0" :started' in line and '"n1" :already-running' in line for line in said)
    assert any(line.startswith("pause {") and ":not-running" in line for line in said)
    assert any(line.startswith("pause {") and ":paused" in line for line in said)
    assert any(line.startswith("resume {") and ":resumed" in line for line in said)


def test_what_the_history_says_of_partitions():
    said = lines("partition", "one-way")
    assert "start-partition :majorities-ring" in said
    assert "stop-partition nil" in said
    assert "stop-partition :network-healed" in said
    assert "start-one-way :one-mute" in said
    assert 'start-one-way [:isolated {"n1" #{"n0"}}]' in said
    assert "stop-one-way :network-healed" in said


def test_with_one_node_a_minority_is_nobody():
    assert TARGETS["minority"](["n0"], Random(1)) == []
    assert TARGETS["minority-third"](["n0", "n1", "n2"], Random(1)) == []
