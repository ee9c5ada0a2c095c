"""The nemesis's partitions are Jepsen's."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from workbench.nemesis import PARTITIONS, majorities_ring, majority, minority_third, one

clusters = st.integers(1, 30).map(lambda size: [f"n{i}" for i in range(size)])
randoms = st.integers().map(Random)


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
