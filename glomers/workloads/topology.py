"""The topologies that the broadcast workload offers: a map from each node to its neighbours.

Names and shapes are Maelstrom's (`maelstrom.workload.broadcast`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

Topology = dict[str, list[str]]


def line(nodes: Sequence[str]) -> Topology:
    """A single line. A single node gets no entry, as in Maelstrom."""
    if len(nodes) < 2:
        return {}
    return {
        node: [nodes[j] for j in (i - 1, i + 1) if 0 <= j < len(nodes)]
        for i, node in enumerate(nodes)
    }


def grid(nodes: Sequence[str]) -> Topology:
    """A roughly square grid: at most four neighbours each."""
    side = math.ceil(math.sqrt(len(nodes)))

    def at(row: int, column: int) -> list[str]:
        index = row * side + column
        inside = row >= 0 and 0 <= column < side and index < len(nodes)
        return [nodes[index]] if inside else []

    return {
        node: at(row + 1, column) + at(row - 1, column) + at(row, column + 1) + at(row, column - 1)
        for node, (row, column) in zip(
            nodes, (divmod(i, side) for i in range(len(nodes))), strict=True
        )
    }


def tree(branches: int, nodes: Sequence[str]) -> Topology:
    """A tree in level order; each node has its parent first, then up to `branches` children."""
    neighbours: Topology = {}
    for i, node in enumerate(nodes):
        parent = [nodes[(i - 1) // branches]] if i else []
        first = i * branches + 1
        neighbours[node] = parent + list(nodes[first : first + branches])
    return neighbours


def total(nodes: Sequence[str]) -> Topology:
    """Every node is a neighbour of every other node."""
    return {node: [other for other in nodes if other != node] for node in nodes}


TOPOLOGIES: dict[str, Callable[[Sequence[str]], Topology]] = {
    "line": line,
    "grid": grid,
    "tree": partial(tree, 2),
    "tree2": partial(tree, 2),
    "tree3": partial(tree, 3),
    "tree4": partial(tree, 4),
    "total": total,
}
