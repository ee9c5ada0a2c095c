"""Which anomalies the consistency models forbid."""

from __future__ import annotations

import networkx as nx
import pytest

from glomers.checkers import consistency_models as models


@pytest.mark.parametrize(
    ("model", "forbidden", "allowed"),
    [
        ("read-uncommitted", ["G0", "cyclic-versions", "duplicate-elements"], ["G1a", "G1c"]),
        ("read-committed", ["G0", "G1a", "G1b", "G1c", "dirty-update"], ["G-single", "internal"]),
        ("monotonic-atomic-view", ["G1c"], ["G-single", "internal"]),
        ("read-atomic", ["internal", "future-read"], ["lost-update"]),
        ("cursor-stability", ["lost-update"], ["G-single"]),
        ("consistent-view", ["G-single-item"], ["G2-item"]),
        ("snapshot-isolation", ["G-single", "G-nonadjacent-item", "lost-update"], ["G2-item"]),
        ("repeatable-read", ["G2-item", "lost-update", "G-single-item"], ["G2", "G-single"]),
        ("serializable", ["G2", "G2-item", "internal"], ["G2-process", "G1c-realtime"]),
        ("strong-session-serializable", ["G2-item-process", "G0-process"], ["G2-realtime"]),
        ("strict-serializable", ["G2-realtime", "G0-process", "G0-realtime"], []),
        ("strong-read-committed", ["G1c-realtime", "G0-realtime"], ["G-single-realtime"]),
        ("linearizable", [], ["G0"]),
    ],
)
def test_what_a_model_forbids(model, forbidden, allowed):
    assert models.forbidden_anomalies([model]).issuperset(forbidden)
    assert models.forbidden_anomalies([model]).isdisjoint(allowed)


def test_a_stronger_model_forbids_whatever_a_weaker_one_does():
    for stronger, weaker in models.model_graph().edges:
        assert models.forbidden_anomalies([stronger]) >= models.forbidden_anomalies([weaker])


@pytest.mark.parametrize(
    ("anomaly", "weakest"),
    [
        ("G0", ["read-uncommitted"]),
        ("G1a", ["read-committed"]),
        ("internal", ["read-atomic"]),
        ("G-single-item", ["consistent-view", "repeatable-read"]),
        ("G-nonadjacent-item", ["repeatable-read", "snapshot-isolation"]),
        ("G2-item", ["repeatable-read"]),
        ("G2", ["serializable"]),
        ("lost-update", ["cursor-stability", "update-atomic"]),
        ("G-single-item-process", ["strong-session-snapshot-isolation"]),
        ("G-single-item-realtime", ["strong-snapshot-isolation"]),
        ("G2-item-realtime", ["strong-serializable"]),
        ("PL-2-cycle-exists", ["read-committed"]),
    ],
)
def test_the_weakest_models_that_an_anomaly_rules_out(anomaly, weakest):
    assert models.boundary([anomaly])[0] == weakest


def test_the_stronger_models_are_ruled_out_too():
    weakest, stronger = models.boundary(["lost-update"])
    assert {"snapshot-isolation", "serializable", "strong-serializable"} <= set(stronger)
    assert not set(weakest) & set(stronger)


@pytest.mark.parametrize(
    ("anomaly", "others"),
    [
        ("G0", ["G1c", "G1", "G0-process", "G1c-realtime"]),
        ("G2-item-process", ["G2-process", "G2-item-realtime"]),
        ("G-single-item", ["G-single", "G2-item", "GSI"]),
        ("lost-update", ["write-skew", "G2-item", "G2-realtime"]),
        ("incompatible-order", ["G1a", "G1"]),
        ("internal", []),
    ],
)
def test_an_anomaly_is_a_special_case_of_others(anomaly, others):
    assert models.implied_anomalies(anomaly) >= {anomaly, *others}
    for other in others:
        assert anomaly not in models.implied_anomalies(other)


def test_nothing_is_ruled_out_by_nothing():
    assert models.boundary([]) == ([], [])


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("PL-1", "read-uncommitted"),
        ("PL-2.99", "repeatable-read"),
        ("strict-serializable", "strong-serializable"),
        ("serializable", "serializable"),
    ],
)
def test_models_have_several_names(alias, name):
    assert models.model_name(alias) == name
    assert models.forbidden_anomalies([alias]) == models.forbidden_anomalies([name])


def test_an_unknown_model_is_an_error_that_names_them_all():
    with pytest.raises(ValueError) as error:
        models.forbidden_anomalies(["serialisable"])
    assert "'serialisable'" in str(error.value)
    for name in ("PL-SS", "read-committed", "strict-serializable", "monotonic-reads"):
        assert name in str(error.value)


def test_the_tables_name_only_known_models_and_lead_in_no_circle():
    assert set(models.FORBIDDEN) <= set(models.model_graph())
    assert set(models.ALIASES.values()) <= set(models.model_graph())
    assert nx.is_directed_acyclic_graph(models.model_graph())
    assert nx.is_directed_acyclic_graph(models.anomaly_graph())
