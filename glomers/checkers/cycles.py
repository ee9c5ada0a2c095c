"""Cycles of dependencies: each proves that a consistency model does not hold.

Every strongly connected component of the dependency graph is searched by itself. The first search
asks whether there are cycles that a model forbids, such as a cycle of ww and wr (`existing`). The
second looks for one short example of each class of cycle, the worst class first (`examples`).
Classes, names and their order are Elle's (`elle.txn`):

    G0                  ww only
    G1c                 ww and wr, at least one wr
    G-single-item       exactly one rw
    G-nonadjacent-item  several rw, no two of them next to each other
    G2-item             several rw

Each class also exists with process or realtime edges: "G0-process", "G0-realtime". The names end
with "-item" because a register is read by its key, not by a predicate.

Elle searches paths until a time limit. Here every step is linear in the size of the component:

- A cycle that may use some relations lies inside a strongly connected component of the graph with
  only these relations.
- A cycle with exactly one rw is an rw edge from u to v, and a path from v back to u without rw.
  Which nodes reach which is found for some thousand edges at once, by sets of bits that are passed
  backwards through the components.
- A cycle with no two adjacent rw is a cycle of the graph that has each transaction twice, as
  entered by rw and as entered otherwise, where an rw leads from the second kind to the first only.
- The example is a shortest path back from one end of an edge to the other. Edges are tried until
  the work done is a few times the size of the component.

So an example is short, but there may be a shorter one. If a component has a G1c, a
G-nonadjacent-item beside it may be overlooked; no other class of cycle ever is.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from glomers.checkers import consistency_models as models
from glomers.checkers.dependencies import (
    NAMES,
    PROCESS,
    REALTIME,
    RW,
    WR,
    WW,
    DependencyGraph,
)

BITS = 4096  # edges whose reachability is found at once
EFFORT = 8  # edges looked at for an example, in multiples of the component's edges
DATA = WW | WR

# Returns those relations of a pair that count.
Relations = Callable[[int], int]
Edge = tuple[int, int]
Node = TypeVar("Node", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Cycle:
    """Transactions in a cycle: each comes before the next, and the last before the first."""

    type: str
    transactions: tuple[int, ...]
    relations: tuple[int, ...]  # of each transaction to the next


@dataclass(frozen=True, slots=True)
class Existence:
    """The `transactions` hold a cycle of some of the `relations`, which `model` forbids."""

    type: str
    model: str
    relations: tuple[str, ...]
    transactions: tuple[int, ...]


def every(bits: int) -> int:
    """All relations of a pair."""
    return bits


def components(graph: DependencyGraph) -> Iterator[Component]:
    """The strongly connected components of two or more transactions, ordered by their first."""
    candidates = _around_steps_back(graph.successors)
    groups = (nodes for nodes in strongly_connected(candidates) if len(nodes) > 1)
    for nodes in sorted(map(sorted, groups)):
        yield Component(nodes, graph)


def _around_steps_back(successors: Mapping[int, Mapping[int, int]]) -> Mapping[int, Iterable[int]]:
    """The part of a graph that holds all its cycles: what edges to lower numbers span.

    A cycle must come back from its highest number to its lowest, so such edges span all that is
    between. Numbers are the order in which transactions ended, so most edges lead to higher ones,
    and there is little left in which to search for components.
    """
    starts: list[int] = []
    ends: list[int] = []
    back = ((min(after), node) for node, after in successors.items())
    for start, end in sorted((low, node) for low, node in back if low < node):
        if ends and start <= ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            starts.append(start)
            ends.append(end)
    return {
        node: after
        for node, after in successors.items()
        if (place := bisect_right(starts, node)) and node <= ends[place - 1]
    }


def strongly_connected(successors: Mapping[Node, Iterable[Node]]) -> Iterator[list[Node]]:
    """The strongly connected components of a graph, each after those that it leads to.

    Nodes without successors may be left out of `successors`, and are then left out of the result.
    The algorithm is Tarjan's, without recursion. networkx has it, too, but needs a graph of its
    own, which takes kilobytes for each transaction.
    """
    nodes = list(successors)
    number = {node: i for i, node in enumerate(nodes)}
    found = array("q", bytes(8 * len(nodes)))  # when each was found, from 1; 0 if not found yet
    low = array("q", bytes(8 * len(nodes)))  # the earliest found that it is known to lead back to
    closed = len(nodes) + 1  # the value in `found` for members of a complete component
    waiting: list[int] = []  # nodes that were found, but whose component isn't complete
    path: list[tuple[int, Iterator[Node]]] = []
    count = 0
    for root in range(len(nodes)):
        ahead: int | None = None if found[root] else root
        while path or ahead is not None:
            if ahead is not None:
                count += 1
                found[ahead] = low[ahead] = count
                waiting.append(ahead)
                path.append((ahead, iter(successors[nodes[ahead]])))
                ahead = None
            node, following = path[-1]
            for after in map(number.get, following):
                if after is None:
                    continue
                if not found[after]:
                    ahead = after
                    break
                if found[after] < low[node]:
                    low[node] = found[after]
            else:
                path.pop()
                if path and low[node] < low[path[-1][0]]:
                    low[path[-1][0]] = low[node]
                if low[node] == found[node]:
                    group: list[int] = []
                    while not group or group[-1] != node:
                        group.append(waiting.pop())
                        found[group[-1]] = closed
                    yield [nodes[member] for member in group]


class Subgraph:
    """A graph of the nodes 0 … size-1 with some of the edges."""

    def __init__(self, size: int, edges: Iterable[Edge]) -> None:
        self.successors: list[list[int]] = [[] for _ in range(size)]
        for a, b in edges:
            self.successors[a].append(b)

    @cached_property
    def groups(self) -> list[list[int]]:
        """The strongly connected components; each comes after those that it leads to."""
        following = dict(enumerate(self.successors))
        return [sorted(group) for group in strongly_connected(following)]

    @cached_property
    def group(self) -> list[int]:
        """The number of each node's group."""
        number = [0] * len(self.successors)
        for index, nodes in enumerate(self.groups):
            for node in nodes:
                number[node] = index
        return number

    @cached_property
    def smallest(self) -> list[int]:
        """The smallest group of two or more nodes; empty if there is none."""
        return min((nodes for nodes in self.groups if len(nodes) > 1), key=len, default=[])

    def inside(self, edges: Iterable[Edge]) -> list[Edge]:
        """Those edges that are part of a cycle, because both their ends are in one group."""
        group = self.group
        return [(a, b) for a, b in edges if group[a] == group[b]]

    def closed_by(self, edges: Sequence[Edge]) -> list[Edge]:
        """Some of those edges (a, b) that have a path from b to a; [] if no edge has one."""
        group = self.group
        for start in range(0, len(edges), BITS):
            block = edges[start : start + BITS]
            reached = [0] * len(self.groups)
            for bit, (a, _) in enumerate(block):
                reached[group[a]] |= 1 << bit
            for index, nodes in enumerate(self.groups):
                bits = reached[index]
                for node in nodes:
                    for after in self.successors[node]:
                        bits |= reached[group[after]]
                reached[index] = bits
            closed = [(a, b) for bit, (a, b) in enumerate(block) if reached[group[b]] >> bit & 1]
            if closed:
                return closed
        return []

    def shortest_loop(self, edges: Iterable[Edge]) -> list[int]:
        """A short cycle through one of these edges (a, b): the nodes from b on, ending with a."""
        best: list[int] = []
        effort = EFFORT * (sum(map(len, self.successors)) + len(self.successors))
        for a, b in edges:
            path, looked_at = self._path(b, a, len(best) - 1 if best else len(self.successors))
            best = path or best
            effort -= looked_at
            if effort <= 0 or len(best) == 2:
                break
        return best

    def _path(self, start: int, end: int, longest: int) -> tuple[list[int], int]:
        """A shortest path of at most `longest` nodes, or [], and how many edges were looked at."""
        came_from = {start: start}
        shell, looked_at = [start], 0
        while shell and end not in came_from and longest > 1:
            longest -= 1
            following = []
            for node in shell:
                looked_at += len(self.successors[node])
                for after in self.successors[node]:
                    if after not in came_from:
                        came_from[after] = node
                        following.append(after)
            shell = following
        if end not in came_from:
            return [], looked_at
        path = [end]
        while path[-1] != start:
            path.append(came_from[path[-1]])
        return path[::-1], looked_at


class Component:
    """A strongly connected component. Its nodes are the positions of its transactions."""

    def __init__(self, transactions: Sequence[int], graph: DependencyGraph) -> None:
        self.transactions = transactions
        position = {transaction: i for i, transaction in enumerate(transactions)}
        self.relations = [
            {position[b]: bits for b, bits in graph.successors[a].items() if b in position}
            for a in transactions
        ]
        self.present = {bits for after in self.relations for bits in after.values()}
        self._subgraphs: dict[tuple[frozenset[int], frozenset[int] | None], Subgraph] = {}

    def has(self, relation: int) -> bool:
        return any(bits & relation for bits in self.present)

    def edges(self, mask: int, by: Relations) -> list[Edge]:
        """The pairs of transactions with some relation of `mask`, among those that `by` returns."""
        kinds = self._kinds(mask, by)
        return [
            (a, b)
            for a, after in enumerate(self.relations)
            for b, bits in after.items()
            if bits in kinds
        ]

    def subgraph(self, mask: int, by: Relations) -> Subgraph:
        key = (self._kinds(mask, by), None)
        if key not in self._subgraphs:
            self._subgraphs[key] = Subgraph(len(self.transactions), self.edges(mask, by))
        return self._subgraphs[key]

    def leaping(self, steps: int, leaps: int, by: Relations) -> Subgraph:
        """The graph in whose paths no two leaps are adjacent.

        Transaction i is node 2i if entered by a step, and node 2i+1 if entered by a leap.
        """
        key = (self._kinds(steps, by), self._kinds(leaps, by))
        if key not in self._subgraphs:
            walked = self.edges(steps, by)
            edges = [(2 * a, 2 * b) for a, b in walked]
            edges += [(2 * a + 1, 2 * b) for a, b in walked]
            edges += [(2 * a, 2 * b + 1) for a, b in self.edges(leaps, by)]
            self._subgraphs[key] = Subgraph(2 * len(self.transactions), edges)
        return self._subgraphs[key]

    def _kinds(self, mask: int, by: Relations) -> frozenset[int]:
        return frozenset(bits for bits in self.present if by(bits) & mask)


# Whether a cycle exists


@dataclass(frozen=True, slots=True)
class Rule:
    """A model forbids cycles of these relations, also with `leaps` if no two are adjacent."""

    model: str
    relations: int
    leaps: int = 0


# The weakest models first (`elle.txn/cycle-exists-specs`).
RULES = (
    Rule("PL-1", WW),
    Rule("PL-2", DATA),
    Rule("PL-SI", DATA, leaps=RW),
    Rule("PL-2.99", DATA | RW),
    Rule("PL-3", DATA | RW),
    Rule("strong-session-PL-1", WW | PROCESS),
    Rule("strong-session-PL-2", DATA | PROCESS),
    Rule("strong-session-snapshot-isolation", DATA | PROCESS, leaps=RW),
    Rule("strong-session-serializable", DATA | RW | PROCESS),
    Rule("strong-PL-1", WW | REALTIME),
    Rule("strong-PL-2", DATA | REALTIME),
    Rule("strong-snapshot-isolation", DATA | REALTIME, leaps=RW),
    Rule("PL-SS", DATA | RW | REALTIME),
)


def existing(component: Component) -> list[Existence]:
    """The weakest models that cycles of the component break, each with where such a cycle is."""
    found: list[Existence] = []
    broken: frozenset[str] = frozenset()
    for rule in RULES:
        if models.model_name(rule.model) in broken:
            continue
        nodes = _cyclic(component, rule)
        if nodes:
            names = tuple(NAMES[r] for r in NAMES if r & (rule.relations | rule.leaps))
            transactions = tuple(component.transactions[node] for node in nodes)
            model = models.model_name(rule.model)
            found.append(Existence(f"{rule.model}-cycle-exists", model, names, transactions))
            broken |= models.stronger_models([rule.model])
    return found


def _cyclic(component: Component, rule: Rule) -> list[int]:
    """The smallest set of transactions that are on a cycle which the rule forbids."""
    if not rule.leaps:
        return component.subgraph(rule.relations, every).smallest
    leaping = component.leaping(rule.relations, rule.leaps, every)
    group = leaping.group
    # A transaction only counts if the cycle leaves it by a step.
    cyclic = (
        sorted({
            node // 2
            for node in nodes
            if any(after % 2 == 0 and group[after] == number for after in leaping.successors[node])
        })
        for number, nodes in enumerate(leaping.groups)
        if len(nodes) > 1
    )  # fmt: skip
    return min(cyclic, key=len, default=[])


# Examples


def examples(
    component: Component, existences: Iterable[Existence], preference: Sequence[int]
) -> list[Cycle]:
    """One cycle of each class in the component, except classes that found ones imply.

    If two transactions are related in several ways, the first relation of `preference` names the
    edge, and cycles are searched for by these names. A G0 or G1c is also searched for by all
    relations; a cycle that is found this way may have the name of another class.
    """
    found: list[Cycle] = []
    skipped = _impossible_cycles(existences)
    label = {bits: next(r for r in preference if r & bits) for bits in component.present}
    for kind, order in (("", 0), ("-process", PROCESS), ("-realtime", REALTIME)):
        if order and not component.has(order):
            continue
        for name, search in SEARCHES.items():
            if name + kind in skipped:
                continue
            nodes = search(component, order, label.__getitem__)
            if not nodes and name in ("G0", "G1c"):
                nodes = search(component, order, every)
            if nodes:
                skipped |= models.implied_anomalies(name + kind)
                cycle = _named(component, nodes, label)
                if cycle not in found:
                    found.append(cycle)
    return found


def _impossible_cycles(existences: Iterable[Existence]) -> frozenset[str]:
    """The classes that have no cycle, because a model that forbids them is not broken."""
    broken = models.stronger_models(existence.model for existence in existences)
    return models.forbidden_anomalies(
        rule.model for rule in RULES if models.model_name(rule.model) not in broken
    )


# The searches. `order` is a relation by time (PROCESS or REALTIME) that edges may use, too, or 0.


def _g0(component: Component, order: int, by: Relations) -> list[int]:
    graph = component.subgraph(WW | order, by)
    return graph.shortest_loop(graph.inside(component.edges(order or WW, by)))


def _g1c(component: Component, order: int, by: Relations) -> list[int]:
    graph = component.subgraph(DATA | order, by)
    return graph.shortest_loop(graph.inside(component.edges(WR, by)))


def _g_single(component: Component, order: int, by: Relations) -> list[int]:
    graph = component.subgraph(DATA | order, by)
    return graph.shortest_loop(graph.closed_by(component.edges(RW, by)))


def _g_nonadjacent(component: Component, order: int, by: Relations) -> list[int]:
    graph = component.leaping(DATA | order, RW, by)
    leaps = [(2 * a, 2 * b + 1) for a, b in component.edges(RW, by)]
    return _simple_loop(graph.shortest_loop(graph.inside(leaps)))


def _g2(component: Component, order: int, by: Relations) -> list[int]:
    graph = component.subgraph(DATA | RW | order, by)
    return graph.shortest_loop(graph.inside(component.edges(RW, by)))


# The worst classes come first, so that the classes that they imply can be skipped.
SEARCHES: Mapping[str, Callable[[Component, int, Relations], list[int]]] = {
    "G0": _g0,
    "G1c": _g1c,
    "G-single-item": _g_single,
    "G-nonadjacent-item": _g_nonadjacent,
    "G2-item": _g2,
}


def _simple_loop(states: list[int]) -> list[int]:
    """The transactions of a cycle of Component.leaping, or of a part that visits none twice.

    A cycle may visit a transaction twice, entered by a step (even) and by a leap (odd). The part
    from the second visit to the first is a cycle, too, and no leaps are adjacent where it closes.
    """
    while True:
        where = {state: i for i, state in enumerate(states)}
        twice = next((state for state in states if state % 2 and state - 1 in where), None)
        if twice is None:
            return [state // 2 for state in states]
        start, end = where[twice], where[twice - 1]
        turned = states[start + 1 :] + states[: start + 1]
        part = turned[: (end - start) % len(states)]
        if not any(state % 2 for state in part):
            return []  # the cycle has no rw
        states = part


def _named(component: Component, nodes: list[int], label: Mapping[int, int]) -> Cycle:
    """The cycle of these nodes, beginning with its first transaction, and its class."""
    first = nodes.index(min(nodes))
    nodes = nodes[first:] + nodes[:first]
    pairs = zip(nodes, nodes[1:] + nodes[:1], strict=True)
    relations = tuple(label[component.relations[a][b]] for a, b in pairs)
    transactions = tuple(component.transactions[node] for node in nodes)
    return Cycle(class_of(relations), transactions, relations)


def class_of(relations: Sequence[int]) -> str:
    """The class of a cycle whose edges have these relations, in order."""
    kind = "-realtime" if REALTIME in relations else "-process" if PROCESS in relations else ""
    neighbours = zip(relations, [*relations[1:], relations[0]], strict=True)
    if relations.count(RW) == 1:
        return f"G-single-item{kind}"
    if (RW, RW) in neighbours:
        return f"G2-item{kind}"
    if RW in relations:
        return f"G-nonadjacent-item{kind}"
    return f"G1c{kind}" if WR in relations else f"G0{kind}"
