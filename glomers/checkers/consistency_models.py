"""What each consistency model forbids, and which models an anomaly rules out.

The tables are Elle's (`elle.consistency-model`), which takes them from Adya's "Weak Consistency",
from Bailis, Cerone, Daudjee and others. They hold three relations:

- one anomaly is a special case of others (G0 is also a G1c),
- one model is stronger than others (serializable is also repeatable read),
- a model forbids anomalies; the table leaves out those that a weaker model forbids already.

Names of models are those that Elle shows in its results; ALIASES gives the other names it knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

from glomers.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import networkx as nx

Table = Mapping[str, tuple[str, ...]]

# Anomalies that are cycles. Each exists in three kinds: plain, "-process" (the cycle needs the
# order of one process's transactions) and "-realtime" (the cycle needs the order in which
# transactions ended and began). The implications among plain ones hold among the other kinds, too.
CYCLES: Table = {
    "G0": ("G1c",),
    "G1c": ("G1",),
    "G1": (),
    "G-single-item": ("G-single", "G-nonadjacent-item"),
    "G-single": ("G-nonadjacent",),
    "G-nonadjacent-item": ("G-nonadjacent", "G2-item"),
    "G-nonadjacent": ("G2",),
    "G2-item": ("G2",),
    "G2": (),
}
OTHERS: Table = {
    "G1a": ("G1",),
    "G1b": ("G1",),
    "G-single": ("GSIb",),
    "GSIa": ("GSI",),
    "GSIb": ("GSI",),
    "incompatible-order": ("G1a",),
    "dirty-update": ("G1a",),
    "future-read": ("G1c",),
    "lost-update": ("write-skew", "G2-item"),
    "write-skew": ("G2",),
}

# Stronger -> weaker.
MODELS: Table = {
    "strong-serializable": (
        "serializable",
        "linearizable",
        "snapshot-isolation",
        "strong-snapshot-isolation",
        "strong-session-serializable",
        "session-serializable",
    ),
    "strong-session-serializable": ("serializable", "strong-session-snapshot-isolation"),
    "session-serializable": ("1SR",),
    "serializable": (
        "repeatable-read",
        "snapshot-isolation",
        "update-serializable",
        "view-serializable",
    ),
    "update-serializable": ("forward-consistent-view",),
    "strong-snapshot-isolation": ("strong-session-snapshot-isolation", "strong-read-committed"),
    "strong-session-snapshot-isolation": ("snapshot-isolation", "strong-session-read-committed"),
    "snapshot-isolation": (
        "forward-consistent-view",
        "monotonic-atomic-view",
        "monotonic-snapshot-read",
        "parallel-snapshot-isolation",
        "prefix",
    ),
    "parallel-snapshot-isolation": ("causal-cerone", "update-atomic"),
    "prefix": ("causal-cerone",),
    "causal-cerone": ("read-atomic",),
    "update-atomic": ("read-atomic",),
    "read-atomic": ("monotonic-atomic-view",),
    "repeatable-read": ("cursor-stability", "monotonic-atomic-view"),
    "forward-consistent-view": ("consistent-view",),
    "consistent-view": ("cursor-stability", "monotonic-view"),
    "cursor-stability": ("read-committed",),
    "monotonic-view": ("read-committed",),
    "monotonic-atomic-view": ("read-committed",),
    "monotonic-snapshot-read": ("read-committed",),
    "strong-read-committed": ("strong-session-read-committed", "strong-read-uncommitted"),
    "strong-session-read-committed": ("read-committed", "strong-session-read-uncommitted"),
    "read-committed": ("read-uncommitted",),
    "strong-read-uncommitted": ("strong-session-read-uncommitted",),
    "strong-session-read-uncommitted": ("read-uncommitted",),
    "linearizable": ("sequential",),
    "sequential": ("causal",),
    "causal": ("writes-follow-reads", "PRAM"),
    "PRAM": ("monotonic-reads", "monotonic-writes", "read-your-writes"),
}
ALIASES: Mapping[str, str] = {
    "PL-1": "read-uncommitted",
    "PL-2": "read-committed",
    "PL-2+": "consistent-view",
    "PL-2.99": "repeatable-read",
    "PL-2L": "monotonic-view",
    "PL-3": "serializable",
    "PL-3U": "update-serializable",
    "PL-CS": "cursor-stability",
    "PL-FCV": "forward-consistent-view",
    "PL-MSR": "monotonic-snapshot-read",
    "PL-SI": "snapshot-isolation",
    "PL-SS": "strong-serializable",
    "conflict-serializable": "serializable",
    "strict-serializable": "strong-serializable",
    "strong-PL-1": "strong-read-uncommitted",
    "strong-PL-2": "strong-read-committed",
    "strong-session-PL-1": "strong-session-read-uncommitted",
    "strong-session-PL-2": "strong-session-read-committed",
}

# An anomaly "…-cycle-exists" says that there is some cycle that the model forbids (cycles.py).
FORBIDDEN: Table = {
    "read-uncommitted": ("G0", "cyclic-versions", "duplicate-elements", "PL-1-cycle-exists"),
    "strong-session-read-uncommitted": ("G0-process", "strong-session-PL-1-cycle-exists"),
    "strong-read-uncommitted": ("G0-realtime", "strong-PL-1-cycle-exists"),
    "read-committed": ("G1", "PL-2-cycle-exists"),
    "strong-session-read-committed": ("G1c-process", "strong-session-PL-2-cycle-exists"),
    "strong-read-committed": ("G1c-realtime", "strong-PL-2-cycle-exists"),
    "cursor-stability": ("G1", "G-cursor", "lost-update"),
    "monotonic-view": ("G1", "G-monotonic"),
    "monotonic-snapshot-read": ("G1", "G-MSR"),
    "consistent-view": ("G1", "G-single"),
    "forward-consistent-view": ("G1", "G-SIb"),
    "read-atomic": ("internal", "G1a", "future-read"),
    "causal-cerone": ("internal", "G1a"),
    "update-atomic": ("lost-update",),
    "parallel-snapshot-isolation": ("internal", "G1a"),
    "prefix": ("internal", "G1a"),
    "repeatable-read": ("G1", "G2-item", "lost-update", "PL-2.99-cycle-exists"),
    "snapshot-isolation": ("internal", "G1", "G-SI", "G-nonadjacent", "PL-SI-cycle-exists"),
    "strong-session-snapshot-isolation": (
        "internal",
        "G1-process",
        "G-nonadjacent-process",
        "strong-session-snapshot-isolation-cycle-exists",
    ),
    "strong-snapshot-isolation": (
        "internal",
        "G1-realtime",
        "G-nonadjacent-realtime",
        "strong-snapshot-isolation-cycle-exists",
    ),
    "update-serializable": ("G1", "G-update"),
    "serializable": ("internal", "G1", "G2", "predicate-read-miss", "PL-3-cycle-exists"),
    "strong-session-serializable": (
        "G1-process",
        "G2-process",
        "strong-session-serializable-cycle-exists",
    ),
    "strong-serializable": ("G1", "G1c-realtime", "G2-realtime", "PL-SS-cycle-exists"),
}


class UnknownModelError(UsageError, ValueError):
    """There is no consistency model of that name."""


# networkx takes a quarter of a second to import, so it is only imported when a graph is needed.


@cache
def anomaly_graph() -> nx.DiGraph:
    """The graph with edges from each anomaly to those of which it is a special case."""
    import networkx as nx

    graph = nx.DiGraph({anomaly: list(implied) for anomaly, implied in OTHERS.items()})
    for anomaly, implied in CYCLES.items():
        for kind in ("", "-process", "-realtime"):
            graph.add_edges_from((anomaly + kind, other + kind) for other in implied)
        graph.add_edge(anomaly, f"{anomaly}-process")
        graph.add_edge(f"{anomaly}-process", f"{anomaly}-realtime")
    return graph


@cache
def model_graph() -> nx.DiGraph:
    """The graph with edges from each model to weaker ones."""
    import networkx as nx

    return nx.DiGraph({model: list(weaker) for model, weaker in MODELS.items()})


def _ahead(graph: nx.DiGraph, node: str) -> set[str]:
    """The nodes that can be reached from a node."""
    import networkx as nx

    return set(nx.descendants(graph, node))


def _behind(graph: nx.DiGraph, node: str) -> set[str]:
    """The nodes from which a node can be reached."""
    import networkx as nx

    return set(nx.ancestors(graph, node))


MODEL_NAMES = frozenset(chain(MODELS, *MODELS.values()))
KNOWN_MODELS = tuple(sorted({*MODEL_NAMES, *ALIASES}))


def model_name(name: str) -> str:
    """The name of a model as results show it. Raises UnknownModelError, which lists all names."""
    known = ALIASES.get(name, name)
    if known not in MODEL_NAMES:
        raise UnknownModelError(
            f"unknown consistency model {name!r}; {did_you_mean(name, KNOWN_MODELS)}"
            f"known models are {', '.join(KNOWN_MODELS)}"
        )
    return known


@cache
def implied_anomalies(anomaly: str) -> frozenset[str]:
    """The anomaly itself and those of which it is a special case."""
    if anomaly not in anomaly_graph():
        return frozenset({anomaly})
    return frozenset(_ahead(anomaly_graph(), anomaly) | {anomaly})


def forbidden_anomalies(models: Iterable[str]) -> frozenset[str]:
    """Every anomaly that one of these models forbids. Raises UnknownModelError."""
    return frozenset().union(*map(_forbidden_by, models))


@cache
def _forbidden_by(model: str) -> frozenset[str]:
    name = model_name(model)
    forbidden = {
        anomaly
        for weaker in _ahead(model_graph(), name) | {name}
        for anomaly in FORBIDDEN.get(weaker, ())
    }
    implying = (_behind(anomaly_graph(), a) for a in forbidden if a in anomaly_graph())
    return frozenset(forbidden.union(*implying))


def stronger_models(models: Iterable[str]) -> frozenset[str]:
    """These models and all models that imply one of them."""
    names = {model_name(model) for model in models}
    return frozenset(names.union(*(_behind(model_graph(), name) for name in names)))


def impossible_models(anomalies: Iterable[str]) -> frozenset[str]:
    """The models that these anomalies rule out."""
    found = frozenset().union(*map(implied_anomalies, anomalies))
    broken = (model for model, forbidden in FORBIDDEN.items() if not found.isdisjoint(forbidden))
    return stronger_models(broken)


def boundary(anomalies: Iterable[str]) -> tuple[list[str], list[str]]:
    """The weakest models that these anomalies rule out, and the stronger ones; both sorted."""
    impossible = impossible_models(anomalies)
    weakest = {model for model in impossible if impossible.isdisjoint(_ahead(model_graph(), model))}
    return sorted(weakest), sorted(impossible - weakest)
