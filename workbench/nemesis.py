"""The nemesis: cuts the network in two, or worse, and heals it again.

Partitions are Jepsen's (`jepsen.nemesis`, `jepsen.nemesis.combined`): the nemesis starts one at
once and then alternates stop and start, each after a random wait, uniform from 0 to twice the
interval. Each start picks one of `one` (a node alone), `minority-third`, `majority` (a shuffled
bisection) and `majorities-ring` (every node sees a majority, no two nodes the same one).

Faults beyond Maelstrom's befall a minority of the nodes: `pause` (they stand still), `kill` (they
die, and start anew with nothing of their state) and `slow` (their messages take ten times as long).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from workbench.cluster import Cluster
from workbench.edn import Keyword
from workbench.history import NEMESIS, Operation
from workbench.loop import Loop, nanos
from workbench.network import Network
from workbench.options import Options
from workbench.workloads.base import Invocation

SLOWNESS = 10

Grudge = dict[str, frozenset[str]]


def components(*groups: Sequence[str]) -> Grudge:
    """Nobody hears anybody outside the own group."""
    everybody = frozenset(node for group in groups for node in group)
    return {node: everybody - frozenset(group) for group in groups for node in group}


def shuffled(nodes: Sequence[str], random: Random) -> list[str]:
    return random.sample(nodes, len(nodes))


def one(nodes: Sequence[str], random: Random) -> Grudge:
    """A single node alone."""
    loner = random.choice(nodes)
    return components([loner], [node for node in nodes if node != loner])


def minority_third(nodes: Sequence[str], random: Random) -> Grudge:
    """Fewer than a third of the nodes, split away."""
    order = shuffled(nodes, random)
    size = (len(nodes) - 1) // 3
    return components(order[:size], order[size:])


def majority(nodes: Sequence[str], random: Random) -> Grudge:
    """Two halves; an odd node goes to the second."""
    order = shuffled(nodes, random)
    half = len(nodes) // 2
    return components(order[:half], order[half:])


def majorities_ring(nodes: Sequence[str], random: Random) -> Grudge:
    """Every node sees a majority, but no two nodes the same one."""
    if len(nodes) <= 5:
        return _perfect_ring(nodes, random)
    return _grown_ring(nodes, random)


def _perfect_ring(nodes: Sequence[str], random: Random) -> Grudge:
    order = shuffled(nodes, random)
    size = len(nodes) // 2 + 1
    grudge: Grudge = {}
    for start in range(len(order)):
        seen = [order[(start + step) % len(order)] for step in range(size)]
        grudge[seen[size // 2]] = frozenset(nodes) - frozenset(seen)
    return grudge


def _grown_ring(nodes: Sequence[str], random: Random) -> Grudge:
    """Link the least connected nodes until each sees a majority, itself included."""
    sees = {node: {node} for node in nodes}
    size = len(nodes) // 2 + 1
    while True:
        order = sorted(shuffled(nodes, random), key=lambda node: len(sees[node]))
        least = order[0]
        if len(sees[least]) >= size:
            return {node: frozenset(nodes) - frozenset(sees[node]) for node in nodes}
        partner = next(node for node in order if node not in sees[least])
        sees[least].add(partner)
        sees[partner].add(least)


PARTITIONS: dict[str, Callable[[Sequence[str], Random], Grudge]] = {
    "one": one,
    "minority-third": minority_third,
    "majority": majority,
    "majorities-ring": majorities_ring,
}


# Faults


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that can be started and stopped; `f` names both in the history.

    `start` and `stop` return what the history tells of it.
    """

    f: tuple[str, str]
    plan: Callable[[], Any]  # what is about to happen
    start: Callable[[Any], Any]
    stop: Callable[[], Any]


class Nemesis:
    """Starts and stops faults while the load runs, each on a schedule of its own.

    `random` is the nemesis's own stream. `revive` is called with a node that has been started anew.
    """

    def __init__(
        self,
        options: Options,
        loop: Loop,
        network: Network,
        cluster: Cluster,
        random: Random,
        record: Callable[..., Operation],
        revive: Callable[[str], object],
    ) -> None:
        self.active: dict[str, str] = {}  # faults that are on, and what they do
        self._options = options
        self._loop = loop
        self._network = network
        self._cluster = cluster
        self._random = random
        self._record_operation = record
        self._revive = revive
        self._deadline = 0
        self._targets: dict[str, list[str]] = {}  # fault -> the nodes that suffer it
        self._faults = {name: self._fault(name) for name in options.nemesis}

    def start(self) -> None:
        """The load starts now; there are faults until its time limit."""
        self._deadline = self._loop.now + nanos(self._options.time_limit)
        for name in self._faults:
            self._start(name)

    def end(self) -> None:
        """End all faults for good."""
        for name in self._faults:
            self._stop(name)

    # The schedule

    def _start(self, name: str) -> None:
        fault = self._faults[name]
        plan = fault.plan()
        self._record(fault.f[0], plan)
        self._record(fault.f[0], fault.start(plan))
        self.active[name] = plan if isinstance(plan, str) else " ".join(plan)
        self._after_a_while(self._stop_and_go_on, name)

    def _stop_and_go_on(self, name: str) -> None:
        self._stop(name)
        self._after_a_while(self._start, name)

    def _stop(self, name: str) -> None:
        fault = self._faults[name]
        self._record(fault.f[1], None)
        self._record(fault.f[1], fault.stop())
        self.active.pop(name, None)

    def _after_a_while(self, action: Callable[[str], None], name: str) -> None:
        wait = self._random.uniform(0, 2 * self._options.nemesis_interval)
        when = self._loop.now + nanos(wait)
        if when < self._deadline:
            self._loop.call_at(when, action, name)

    def _record(self, f: str, value: Any) -> None:
        self._record_operation("info", NEMESIS, Invocation(f, value))

    # What the faults do

    def _fault(self, name: str) -> Fault:
        cluster = self._cluster
        if name == "partition":
            return Fault(
                ("start-partition", "stop-partition"),
                lambda: Keyword(self._random.choice(list(PARTITIONS))),
                self._partition,
                self._heal,
            )
        if name == "pause":
            return self._node_fault(
                name, ("pause", "resume"), cluster.pause_node, cluster.resume_node
            )
        if name == "kill":
            return self._node_fault(name, ("kill", "start"), cluster.kill_node, self._restart)
        assert name == "slow"
        return self._node_fault(name, ("slow", "fast"), self._slow, self._network.slowness.pop)

    def _node_fault(
        self,
        name: str,
        f: tuple[str, str],
        begin: Callable[[str], object],
        end: Callable[[str], object],
    ) -> Fault:
        """A fault that befalls a minority of the nodes, the first time or again."""

        def start(nodes: list[str]) -> list[str]:
            self._targets[name] = nodes
            for node in nodes:
                begin(node)
            return nodes

        def stop() -> list[str]:
            nodes = self._targets.pop(name, [])
            for node in nodes:
                end(node)
            return nodes

        return Fault(f, self._minority, start, stop)

    def _minority(self) -> list[str]:
        """Some nodes that no other fault of theirs holds: at least one, less than half."""
        taken = {node for nodes in self._targets.values() for node in nodes}
        free = [node for node in self._options.nodes if node not in taken]
        most = max(1, (len(self._options.nodes) - 1) // 2)
        return self._random.sample(free, min(len(free), self._random.randint(1, most)))

    def _partition(self, name: str) -> Any:
        grudge = PARTITIONS[name](self._options.nodes, self._random)
        self._network.partition(grudge)
        return [Keyword("isolated"), grudge]

    def _heal(self) -> Any:
        self._network.heal()
        return Keyword("network-healed")

    def _slow(self, node: str) -> None:
        self._network.slowness[node] = SLOWNESS

    def _restart(self, node: str) -> None:
        self._cluster.start_node(node)
        self._revive(node)
