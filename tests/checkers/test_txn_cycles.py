"""The search for cycles, beside one that tries every cycle."""

from __future__ import annotations

from itertools import pairwise, product
from random import Random

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glomers.checkers import consistency_models as models
from glomers.checkers import cycles
from glomers.checkers.cycles import RULES, Subgraph, class_of
from glomers.checkers.dependencies import NAMES, PROCESS, REALTIME, RW, WR, WW, DependencyGraph

PREFERENCE = (WR, WW, RW, PROCESS, REALTIME)


def graph(*edges):
    made = DependencyGraph()
    for a, b, relation in edges:
        made.link(a, b, relation)
    return made


def found(made, preference=PREFERENCE):
    """The classes of cycles that were found, by component."""
    return [
        [cycle.type for cycle in cycles.examples(c, cycles.existing(c), preference)]
        for c in cycles.components(made)
    ]


@pytest.mark.parametrize(
    ("relations", "name"),
    [
        ([WW, WW], "G0"),
        ([WW, WR], "G1c"),
        ([WW, WR, RW], "G-single-item"),
        ([WW, RW, WR, RW], "G-nonadjacent-item"),
        ([WW, RW, RW], "G2-item"),
        ([RW, WW, RW], "G2-item"),
        ([WW, PROCESS], "G0-process"),
        ([WR, WW, REALTIME], "G1c-realtime"),
        ([RW, REALTIME], "G-single-item-realtime"),
        ([RW, PROCESS, RW, PROCESS], "G-nonadjacent-item-process"),
        ([RW, RW, REALTIME], "G2-item-realtime"),
    ],
)
def test_a_cycle_is_named_by_its_edges(relations, name):
    assert class_of(relations) == name
    edges = [(i, (i + 1) % len(relations), relation) for i, relation in enumerate(relations)]
    assert found(graph(*edges)) == [[name]]


def test_a_way_that_does_not_close_is_no_cycle():
    assert found(graph((0, 1, WW), (1, 2, WR), (0, 2, RW))) == []


def test_a_shorter_cycle_is_preferred():
    long = [(i, i + 1, WW) for i in range(6)] + [(6, 0, WW)]
    (component,) = cycles.components(graph(*long, (4, 2, WW)))
    (cycle,) = cycles.examples(component, cycles.existing(component), PREFERENCE)
    assert cycle.transactions == (2, 3, 4)


def test_preference_names_an_edge_of_several_relations():
    both = [(0, 1, WW), (0, 1, WR), (1, 0, WW)]
    assert found(graph(*both), (WR, WW)) == [["G1c"]]
    assert found(graph(*both), (WW, WR)) == [["G0"]]


def test_one_cycle_of_a_class_for_each_component():
    pairs = [(i, i + 1, WW) for i in (0, 10, 20)] + [(i + 1, i, WW) for i in (0, 10, 20)]
    assert found(graph(*pairs)) == [["G0"], ["G0"], ["G0"]]


def test_a_class_that_another_implies_is_left_out():
    """A G0 is a G1c as well; a G-single is not."""
    edges = [(0, 1, WW), (1, 0, WW), (1, 2, WR), (2, 1, WR), (2, 0, RW)]
    assert found(graph(*edges)) == [["G0", "G-single-item"]]


def test_a_cycle_is_found_by_all_relations_but_named_by_the_preferred():
    """By ww and realtime it is a G0-realtime, which the G1c beside it does not imply."""
    edges = [(0, 1, WR), (1, 0, WR), (1, 2, WW | WR), (2, 1, REALTIME)]
    assert found(graph(*edges)) == [["G1c", "G1c-realtime"]]


def test_the_same_cycle_is_given_only_once():
    """It is found as a G-single-item and, by realtime instead of rw, as a G1c-realtime."""
    assert found(graph((0, 1, WR), (1, 0, RW | REALTIME))) == [["G-single-item"]]


def test_a_way_that_visits_a_transaction_twice_is_no_example():
    """By way of 1 the rw edges at 0 are not adjacent, but 0 <-> 1 is a cycle of its own."""
    edges = [(0, 1, WW), (1, 0, WW), (0, 2, RW), (2, 3, WW), (3, 0, RW)]
    assert found(graph(*edges)) == [["G0", "G2-item"]]


@pytest.mark.parametrize(
    ("relations", "types"),
    [
        ([WW, WW], ["PL-1"]),
        ([WW, WR], ["PL-2"]),
        ([WR, RW], ["PL-SI", "PL-2.99"]),
        ([WR, RW, WW, RW], ["PL-SI", "PL-2.99"]),
        ([RW, RW], ["PL-2.99"]),
        ([WW, PROCESS], ["strong-session-PL-1"]),
        ([RW, PROCESS], ["strong-session-snapshot-isolation"]),
        ([RW, RW, PROCESS], ["strong-session-serializable"]),
        ([WR, REALTIME], ["strong-PL-2"]),
        ([RW, REALTIME], ["strong-snapshot-isolation"]),
        ([RW, RW, REALTIME], ["PL-SS"]),
    ],
)
def test_which_models_have_a_cycle_against_them(relations, types):
    edges = [(i, (i + 1) % len(relations), relation) for i, relation in enumerate(relations)]
    (component,) = cycles.components(graph(*edges))
    expected = [f"{type}-cycle-exists" for type in types]
    assert [existence.type for existence in cycles.existing(component)] == expected


def test_large_components_are_searched_in_no_time():
    """A ring of 5,000 with an rw edge back from everywhere to its predecessor."""
    size = 5_000
    ring = [(i, i + 1, WR) for i in range(size - 1)] + [(i + 1, i, RW) for i in range(size - 1)]
    assert found(graph(*ring, (size - 1, 0, REALTIME))) == [["G-single-item", "G1c-realtime"]]


# All cycles of small graphs

RELATIONS = st.sampled_from([WW, WR, RW, WW | WR, WR | RW, WW | RW])
NODES = st.integers(0, 5)


@st.composite
def graphs(draw):
    """Up to six transactions; those by realtime all lead from lower to higher numbers."""
    order = draw(st.sampled_from([0, PROCESS, REALTIME]))
    made = graph(*draw(st.lists(st.tuples(NODES, NODES, RELATIONS), min_size=2, max_size=14)))
    if order:
        for a, b in draw(st.lists(st.tuples(NODES, NODES), max_size=6)):
            made.link(min(a, b), max(a, b), order)
    return made


def all_cycles(made, nodes):
    directed = nx.DiGraph((a, b) for a, b in made.edges() if {a, b} <= set(nodes))
    return [[*cycle, cycle[0]] for cycle in nx.simple_cycles(directed)]


def bits_of(made, cycle):
    return [made.successors[a][b] for a, b in pairwise(cycle)]


def label(bits):
    return next(relation for relation in PREFERENCE if relation & bits)


@given(graphs())
def test_every_example_is_a_cycle_of_its_class(made):
    for component in cycles.components(made):
        for cycle in cycles.examples(component, cycles.existing(component), PREFERENCE):
            nodes = cycle.transactions
            assert len(set(nodes)) == len(nodes)
            bits = bits_of(made, [*nodes, nodes[0]])
            assert [label(b) for b in bits] == list(cycle.relations)
            assert cycle.type == class_of(cycle.relations)


def implied_by(made, cycle):
    """The classes that need no example beside it, also by the relations that don't name it."""
    bits = bits_of(made, [*cycle.transactions, cycle.transactions[0]])
    classes = {cycle.type}
    for kind, order in (("", 0), ("-process", PROCESS), ("-realtime", REALTIME)):
        if all(b & (WW | order) for b in bits):
            classes.add(f"G0{kind}")
        if all(b & (WW | WR | order) for b in bits) and any(b & WR for b in bits):
            classes.add(f"G1c{kind}")
    return set().union(*map(models.implied_anomalies, classes))


@given(graphs())
def test_no_class_of_cycles_is_overlooked(made):
    """But a G-nonadjacent-item may be where there is a G1c."""
    for component in cycles.components(made):
        examples = cycles.examples(component, cycles.existing(component), PREFERENCE)
        covered = set().union(*(implied_by(made, cycle) for cycle in examples))
        there = {
            class_of([label(bits) for bits in bits_of(made, cycle)])
            for cycle in all_cycles(made, component.transactions)
        }
        if "G1c" in covered:
            there = {name for name in there if not name.startswith("G-nonadjacent-item")}
        assert there <= covered


def test_there_is_one_example_of_each_class_and_none_that_others_imply():
    """With several relations for a pair; without time, by which a cycle may have two names."""
    random, several = Random(0), 0
    relations = [WW, WR, RW, WW | WR, WR | RW, WW | RW, WW | WR | RW]
    for _ in range(600):
        edges = [(random.randrange(6), random.randrange(6)) for _ in range(random.randint(2, 14))]
        for classes in found(graph(*((a, b, random.choice(relations)) for a, b in edges))):
            several += len(classes) > 1
            for number, name in enumerate(classes):
                others = classes[:number] + classes[number + 1 :]
                assert name not in set().union(*map(models.implied_anomalies, others)), classes
    assert several > 50


def compositions(made, nodes, rule):
    """Elle's definition: steps, and steps followed by a leap, as a graph of its own."""
    steps = [(a, b) for a, b in made.edges() if made.successors[a][b] & rule.relations]
    leaps = [(a, b) for a, b in made.edges() if made.successors[a][b] & rule.leaps]
    over = [(a, d) for (a, b), (c, d) in product(steps, leaps) if b == c]
    return nx.DiGraph((a, b) for a, b in steps + over if {a, b} <= set(nodes))


@given(graphs())
def test_a_cycle_exists_if_it_exists(made):
    for component in cycles.components(made):
        existences = {e.type: e for e in cycles.existing(component)}
        broken = models.stronger_models(e.model for e in existences.values())
        for rule in RULES:
            directed = compositions(made, component.transactions, rule)
            cyclic = [
                set(nodes)
                for nodes in nx.strongly_connected_components(directed)
                if len(nodes) > 1 or directed.has_edge(*list(nodes) * 2)
            ]
            if f"{rule.model}-cycle-exists" in existences:
                assert set(existences[f"{rule.model}-cycle-exists"].transactions) in cyclic
            elif models.model_name(rule.model) not in broken:
                assert cyclic == []


@given(graphs())
def test_existence_names_only_the_weakest_models(made):
    for component in cycles.components(made):
        named = [existence.model for existence in cycles.existing(component)]
        for model in named:
            assert not (models.stronger_models([model]) - {model}) & set(named)


@given(
    st.lists(st.tuples(NODES, NODES), max_size=12), st.lists(st.tuples(NODES, NODES), max_size=8)
)
def test_edges_that_are_closed_by_a_way_back(edges, asked):
    subgraph = Subgraph(6, dict.fromkeys(edges))
    directed = nx.DiGraph(edges)
    directed.add_nodes_from(range(6))
    closed = [(a, b) for a, b in asked if nx.has_path(directed, b, a)]
    assert subgraph.closed_by(asked) == closed


def test_more_edges_than_are_looked_at_at_once(monkeypatch):
    monkeypatch.setattr(cycles, "BITS", 2)
    subgraph = Subgraph(6, [(0, 1), (1, 2)])
    assert subgraph.closed_by([(3, 4), (0, 5), (2, 1), (2, 0), (1, 0)]) == [(2, 1), (2, 0)]


def test_names_of_relations():
    assert list(NAMES.values()) == ["ww", "wr", "rw", "process", "realtime"]
