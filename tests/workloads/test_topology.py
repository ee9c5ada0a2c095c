"""The topologies that broadcast offers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glomers.workloads.topology import TOPOLOGIES

NINE = [f"n{i}" for i in range(9)]


def test_line():
    assert TOPOLOGIES["line"](NINE[:3]) == {"n0": ["n1"], "n1": ["n0", "n2"], "n2": ["n1"]}


def test_grid_has_three_rows_of_three():
    grid = TOPOLOGIES["grid"](NINE)
    assert grid["n0"] == ["n3", "n1"]
    assert grid["n4"] == ["n7", "n1", "n5", "n3"]


def test_trees_have_the_parent_first():
    assert TOPOLOGIES["tree"](NINE)["n1"] == ["n0", "n3", "n4"]
    assert TOPOLOGIES["tree3"](NINE)["n1"] == ["n0", "n4", "n5", "n6"]
    assert TOPOLOGIES["tree4"](NINE)["n0"] == ["n1", "n2", "n3", "n4"]
    assert TOPOLOGIES["tree"](NINE) == TOPOLOGIES["tree2"](NINE)


def test_total():
    assert TOPOLOGIES["total"](NINE)["n4"] == [node for node in NINE if node != "n4"]


@given(st.integers(2, 40), st.sampled_from(sorted(TOPOLOGIES)))
def test_neighbours_are_mutual_and_everybody_is_reached(size, name):
    nodes = [f"n{i}" for i in range(size)]
    topology = TOPOLOGIES[name](nodes)
    assert list(topology) == nodes or set(topology) == set(nodes)
    for node, neighbours in topology.items():
        assert all(node in topology[neighbour] for neighbour in neighbours)
    reached, frontier = {"n0"}, ["n0"]
    while frontier:
        frontier = [n for node in frontier for n in topology[node] if n not in reached]
        reached.update(frontier)
    assert reached == set(nodes)


@pytest.mark.parametrize("name", sorted(TOPOLOGIES))
def test_a_single_node_has_no_neighbours(name):
    assert not TOPOLOGIES[name](["n0"]).get("n0")
