"""Faults: what the nemesis can do to a cluster. Each fault is a class; one table lists them all.

`partition`, `pause` and `kill` are Maelstrom's, which takes them from Jepsen
(`jepsen.nemesis.combined`); they write the same into the history. `one-way`, `flaky` and `slow` are
ours, in the same form.

The invocation of a fault has its *kind*: how the network is cut (PARTITIONS, ONE_WAY), what its
links do (FLAKY), or which nodes are hit (TARGETS). The completion says what happened: which nodes
drop whose messages, what the links do, or what became of each node.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from glomers.history.edn import Keyword
from glomers.scenario import Action
from glomers.world.cluster import Cluster
from glomers.world.network import Flaky, Network

SLOWNESS = 10
FLAKINESS = 0.1  # the probability of each fault; the help says "a tenth"

Grudge = dict[str, frozenset[str]]


def shuffled(nodes: Sequence[str], random: Random) -> list[str]:
    return random.sample(nodes, len(nodes))


# Partitions, as in `jepsen.nemesis`


def components(*groups: Sequence[str]) -> Grudge:
    """The grudge in which each node drops all messages from outside its group."""
    everybody = frozenset(node for group in groups for node in group)
    return {node: everybody - frozenset(group) for group in groups for node in group}


def one(nodes: Sequence[str], random: Random) -> Grudge:
    """A single node is cut off from all others."""
    loner = random.choice(nodes)
    return components([loner], [node for node in nodes if node != loner])


def minority_third(nodes: Sequence[str], random: Random) -> Grudge:
    """Fewer than a third of the nodes are cut off from the others."""
    order = shuffled(nodes, random)
    size = (len(nodes) - 1) // 3
    return components(order[:size], order[size:])


def majority(nodes: Sequence[str], random: Random) -> Grudge:
    """The nodes are cut into two halves; with an odd number, the second is larger."""
    return components(*_halves(nodes, random))


def _halves(nodes: Sequence[str], random: Random) -> tuple[list[str], list[str]]:
    order = shuffled(nodes, random)
    half = len(nodes) // 2
    return order[:half], order[half:]


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


# One-way partitions: a node drops another's messages, but its own messages reach that node


def deaf(nodes: Sequence[str], others: Sequence[str]) -> Grudge:
    """`nodes` drop the messages of `others`, which receive those of `nodes`."""
    return {node: frozenset(others) for node in nodes if others}


def one_deaf(nodes: Sequence[str], random: Random) -> Grudge:
    """A single node drops all messages of others; the others receive its messages."""
    loner = random.choice(nodes)
    return deaf([loner], [node for node in nodes if node != loner])


def one_mute(nodes: Sequence[str], random: Random) -> Grudge:
    """All others drop the messages of a single node, which receives theirs."""
    loner = random.choice(nodes)
    return deaf([node for node in nodes if node != loner], [loner])


def one_link(nodes: Sequence[str], random: Random) -> Grudge:
    """A single node drops the messages of a single other one."""
    listener, *others = shuffled(nodes, random)
    return deaf([listener], others[:1])


def minority_deaf(nodes: Sequence[str], random: Random) -> Grudge:
    """The smaller half drops the messages of the larger one; the larger receives all messages."""
    return deaf(*_halves(nodes, random))


def majority_deaf(nodes: Sequence[str], random: Random) -> Grudge:
    """The larger half drops the messages of the smaller one; the smaller receives all messages."""
    small, large = _halves(nodes, random)
    return deaf(large, small)


ONE_WAY: dict[str, Callable[[Sequence[str], Random], Grudge]] = {
    "one-deaf": one_deaf,
    "one-mute": one_mute,
    "one-link": one_link,
    "minority-deaf": minority_deaf,
    "majority-deaf": majority_deaf,
}


# Links that lose messages, or deliver them twice


def _flaky(p_loss: float, p_duplicate: float) -> Callable[[Sequence[str], Random], Flaky]:
    return lambda nodes, random: Flaky(frozenset(nodes), p_loss, p_duplicate)


FLAKY: dict[str, Callable[[Sequence[str], Random], Flaky]] = {
    "loss": _flaky(FLAKINESS, 0),
    "duplicates": _flaky(0, FLAKINESS),
    "loss-and-duplicates": _flaky(FLAKINESS, FLAKINESS),
}


# Which nodes are hit, as in `jepsen.nemesis.combined/db-nodes`. The minority of a small cluster is
# empty; then no node is hit, as in Jepsen.


def _some(count: Callable[[int], int]) -> Callable[[Sequence[str], Random], list[str]]:
    return lambda nodes, random: shuffled(nodes, random)[: count(len(nodes))]


TARGETS: dict[str | None, Callable[[Sequence[str], Random], list[str]]] = {
    None: lambda nodes, random: random.sample(nodes, random.randint(1, len(nodes))),
    "one": _some(lambda n: 1),
    "minority-third": _some(lambda n: (n - 1) // 3),
    "minority": _some(lambda n: n // 2),  # Jepsen's minority of an even number is half of it
    "majority": _some(lambda n: n // 2 + 1),
    "all": lambda nodes, random: list(nodes),
}


# The faults


def _keyword(kind: str | None) -> Keyword | None:
    return None if kind is None else Keyword(kind)


def _check_nodes(named: Iterable[str], nodes: Sequence[str]) -> None:
    for node in named:
        if node not in nodes:
            raise ValueError(f"unknown node {node!r}; expected some of {', '.join(nodes)}")


@dataclass(frozen=True, slots=True)
class Plan:
    """How a fault is to start: the kind that the history shows, and what precisely is hit."""

    kind: Keyword | None
    target: Any


@dataclass
class Fault(ABC):
    """A fault that can be started and stopped.

    `random` is the nemesis's own stream. `initialise(node, then)` sends `init` to a node, and calls
    `then(node)` when the node has answered.
    """

    nodes: Sequence[str]
    random: Random
    network: Network
    cluster: Cluster
    initialise: Callable[[str, Callable[[str], object]], object]
    on: bool = False

    name: ClassVar[str]
    help: ClassVar[str]  # for the flag and the documentation
    f: ClassVar[tuple[str, str]]  # the history's names for its start and its stop
    kinds: ClassVar[Mapping[Any, Callable[[Sequence[str], Random], Any]]]
    stop_value: ClassVar[Any] = None  # the value of the stop's invocation in the history
    # Faults of the same package share a schedule; by default, each has its own.
    package: ClassVar[str] = ""

    def plan(self) -> Plan:
        """The next start of this fault, drawn at random."""
        kind = self.random.choice(list(self.kinds))
        target = self.kinds[kind](self.nodes, self.random)
        return Plan(_keyword(kind), target)

    def told(self, action: Action) -> Plan | None:
        """The start that an action of a scenario asks for, None for a stop.

        Raises ValueError if it doesn't fit.
        """
        if action.f == self.f[1]:
            if (action.kind, action.nodes, action.grudge) != (None, None, None):
                raise ValueError("expected only a `time`: all of the fault stops")
            return None
        if action.kind is not None and action.kind not in self.kinds:
            kinds = ", ".join(kind for kind in self.kinds if kind)
            raise ValueError(f"expected as `kind` one of {kinds}")
        return Plan(_keyword(action.kind), self.target(action))

    @abstractmethod
    def target(self, action: Action) -> Any:
        """What precisely an action of a scenario hits. Raises ValueError if that isn't said."""

    @abstractmethod
    def action(self, time: int, plan: Plan) -> Action:
        """What a scenario says of a start."""

    @abstractmethod
    def start(self, target: Any, done: Callable[[Any], object]) -> None:
        """Start the fault; then call `done` with what happened."""

    @abstractmethod
    def stop(self, done: Callable[[Any], object]) -> None:
        """Stop the fault, if it is on; then call `done` with what happened."""


class Partition(Fault):
    name = "partition"
    help = "the network is cut: one node alone, a third, two halves, or overlapping majorities"
    f = ("start-partition", "stop-partition")
    kinds: ClassVar[Mapping[Any, Callable[[Sequence[str], Random], Grudge]]] = PARTITIONS

    def target(self, action: Action) -> Grudge:
        if action.grudge is None or action.nodes is not None:
            raise ValueError("expected a `grudge`: whose messages each node drops")
        grudge = {node: frozenset(others) for node, others in action.grudge.items()}
        _check_nodes((node for some in (grudge, *grudge.values()) for node in some), self.nodes)
        return grudge

    def action(self, time: int, plan: Plan) -> Action:
        grudge = {node: tuple(sorted(others)) for node, others in plan.target.items()}
        return Action(self.f[0], time, plan.kind, grudge=grudge)

    def start(self, target: Grudge, done: Callable[[Any], object]) -> None:
        self.network.partition(target, self.name)
        done([Keyword("isolated"), target])

    def stop(self, done: Callable[[Any], object]) -> None:
        self.network.heal(self.name)
        done(Keyword("network-healed"))


class OneWay(Partition):
    name = "one-way"
    help = "messages are cut off in one direction only: to or from one node, a half, or on a link"
    f = ("start-one-way", "stop-one-way")
    kinds = ONE_WAY


class FlakyLinks(Fault):
    name = "flaky"
    help = "a tenth of the messages between nodes is lost, or arrives twice, or both"
    f = ("start-flaky", "stop-flaky")
    kinds: ClassVar[Mapping[Any, Callable[[Sequence[str], Random], Flaky]]] = FLAKY

    def target(self, action: Action) -> Flaky:
        """A scenario says of each message what becomes of it, so no other is lost or doubled."""
        if action.grudge is not None or action.nodes is not None:
            raise ValueError("expected neither `grudge` nor `nodes`: all links are flaky")
        return Flaky()

    def action(self, time: int, plan: Plan) -> Action:
        return Action(self.f[0], time, plan.kind)

    def start(self, target: Flaky, done: Callable[[Any], object]) -> None:
        self.network.flaky = target
        done(Keyword("links-flaky"))

    def stop(self, done: Callable[[Any], object]) -> None:
        self.network.flaky = Flaky()
        done(Keyword("links-reliable"))


class NodeFault(Fault):
    """A fault that hits some nodes. Stopping it ends it for all nodes."""

    kinds = TARGETS
    stop_value = Keyword("all")

    def target(self, action: Action) -> list[str]:
        if action.nodes is None or action.grudge is not None:
            raise ValueError("expected the `nodes` that are hit")
        _check_nodes(action.nodes, self.nodes)
        return list(action.nodes)

    def action(self, time: int, plan: Plan) -> Action:
        return Action(self.f[0], time, plan.kind, nodes=tuple(plan.target))

    def start(self, target: Sequence[str], done: Callable[[Any], object]) -> None:
        done(self.begin(target))

    def stop(self, done: Callable[[Any], object]) -> None:
        done(self.end(self.nodes))

    @abstractmethod
    def begin(self, nodes: Sequence[str]) -> dict[str, Keyword]:
        """Begin the fault for these nodes. Returns what became of each."""

    @abstractmethod
    def end(self, nodes: Sequence[str]) -> dict[str, Keyword]:
        """End the fault for those of these nodes that it has hit. Returns what became of each."""


class Pause(NodeFault):
    name = "pause"
    help = "nodes stand still (SIGSTOP), and go on later; their messages wait"
    f = ("pause", "resume")
    package = "nodes"

    def begin(self, nodes: Sequence[str]) -> dict[str, Keyword]:
        return self._let_running(nodes, self.cluster.pause_node, "paused")

    def end(self, nodes: Sequence[str]) -> dict[str, Keyword]:
        return self._let_running(nodes, self.cluster.resume_node, "resumed")

    def _let_running(
        self, nodes: Sequence[str], change: Callable[[str], object], became: str
    ) -> dict[str, Keyword]:
        running = [node for node in nodes if self.cluster.is_running(node)]
        for node in running:
            change(node)
        return {node: Keyword(became if node in running else "not-running") for node in nodes}


class Kill(NodeFault):
    """Nodes die. They stay known to the network, but messages to them are dropped.

    As in Maelstrom, a node that is started anew gets `init` again, but no other request of the
    set-up, such as broadcast's `topology`.
    """

    name = "kill"
    help = "nodes die (SIGKILL), and start anew later, with nothing but a new init and their files"
    f = ("kill", "start")
    package = "nodes"

    def begin(self, nodes: Sequence[str]) -> dict[str, Keyword]:
        running = [node for node in nodes if self.cluster.is_running(node)]
        self.cluster.kill_nodes(running)
        return {node: Keyword("killed" if node in running else "not-running") for node in nodes}

    def end(self, nodes: Sequence[str]) -> dict[str, Keyword]:
        dead = [node for node in nodes if not self.cluster.is_running(node)]
        for node in dead:
            self.cluster.start_node(node)
        return {node: Keyword("started" if node in dead else "already-running") for node in nodes}

    def stop(self, done: Callable[[Any], object]) -> None:
        """Start the dead nodes; call `done` when all of them have answered `init`."""
        result = self.end(self.nodes)
        started = [node for node, became in result.items() if became == "started"]
        waiting = set(started)

        def initialised(node: str) -> None:
            waiting.remove(node)
            if not waiting:
                done(result)

        for node in started:
            self.initialise(node, initialised)
        if not started:
            done(result)


class Slow(NodeFault):
    name = "slow"
    help = f"messages to and from some nodes take {SLOWNESS} times as long"
    f = ("slow", "fast")

    def begin(self, nodes: Sequence[str]) -> dict[str, Keyword]:
        self.network.slowness.update(dict.fromkeys(nodes, SLOWNESS))
        return dict.fromkeys(nodes, Keyword("slowed"))

    def end(self, nodes: Sequence[str]) -> dict[str, Keyword]:
        self.network.slowness.clear()
        return dict.fromkeys(nodes, Keyword("fast"))


# In the order in which they are stopped at the end of the load, which is Jepsen's.
FAULTS: dict[str, type[Fault]] = {
    fault.name: fault for fault in (Partition, OneWay, FlakyLinks, Pause, Kill, Slow)
}
HELP_OF_FAULTS = {name: fault.help for name, fault in FAULTS.items()}
