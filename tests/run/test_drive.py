"""The phases of a test: what order they have, and where a test ends that can't go on."""

from __future__ import annotations

import gc
from contextlib import contextmanager

import pytest
from challenge_runs import options

from glomers.history.operations import read_history
from glomers.history.store import Store
from glomers.run import build, drive, recorder
from glomers.run.build import simulated_test
from glomers.run.drive import Phase


@pytest.fixture
def entered(monkeypatch):
    """The phases that tests enter."""
    entered: list[Phase] = []

    class Watched(drive.Test):
        def __setattr__(self, name, value):
            if name == "phase":
                entered.append(value)
            super().__setattr__(name, value)

    monkeypatch.setattr(build, "Test", Watched)
    return entered


@pytest.mark.parametrize("challenge", ["3c", "4"], ids=["no final operations", "final operations"])
def test_a_test_goes_through_all_phases_in_their_order(challenge, entered):
    test = simulated_test(options(challenge, time_limit=1))
    del entered[:]
    assert test.run()["valid?"] is True
    assert entered == list(Phase)


BROKEN = {
    Phase.INITIALISING: ("1 / 0", "ended during the test"),
    Phase.SETTING_UP: ("Node().run()", "answered the set-up request with an error"),
    Phase.RUNNING: (
        "node = Node()\n"
        "node.on('topology')(lambda message: {'type': 'topology_ok'})\n"
        "node.on('broadcast')(lambda message: {'type': 'broadcast_ok', 'surprise': 1})\n"
        "node.on('read')(lambda message: {'type': 'read_ok', 'messages': 1})\n"
        "node.run()",
        "gave an answer of the wrong shape",
    ),
}


@pytest.mark.parametrize("phase", BROKEN, ids=lambda phase: phase.name.lower())
def test_a_node_that_breaks_the_protocol_ends_the_test_in_that_phase(phase, script):
    source, problem = BROKEN[phase]
    node = script(f"from maelstrom_node import *\n{source}\n")
    test = simulated_test(options("3a", bin=str(node), time_limit=1))
    results = test.run()
    assert test.phase is phase
    assert results["valid?"] is False
    assert f"Node n0 {problem}" in results["error"]


def test_a_history_that_grows_without_end_ends_the_test_and_is_kept_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "MOST_HISTORY", 10_000)
    store = Store(tmp_path)
    test = simulated_test(options("1"), store)
    results = test.run()
    store.close()
    assert results["valid?"] == "unknown"
    assert results["error"].startswith("the test ended early: its history has more than 10,000 byt")
    kept = read_history(tmp_path)
    assert len(kept) == len(test.recorder.operations)
    assert 10_000 < (tmp_path / "history.edn").stat().st_size < 10_500


LOCAL = """
from maelstrom_node import *
node, values = Node(), {}
@node.on("txn")
def txn(message):
    answer = []
    for f, key, value in message.body["txn"]:
        if f == "w":
            values[key] = value
        answer.append([f, key, values.get(key)])
    return {"type": "txn_ok", "txn": answer}
node.run()
"""


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({}, True),
        ({"nodes": ("n0",)}, False),
        ({"concurrency": 1}, False),
        ({"rate": 0.5}, False),
    ],
    ids=["two nodes", "one node", "a single client", "hardly any operations"],
)
def test_nodes_that_keep_what_clients_write_to_themselves_are_told_of(flags, told, script):
    usual = {"bin": str(script(LOCAL)), "rate": 50, "time_limit": 2, **flags}
    results = simulated_test(options("6c", **usual)).run()
    kinds = [str(warning["kind"]) for warning in results.get("warnings", ())]
    assert ("unreplicated" in kinds) is told
    assert simulated_test(options("6c", strict=True, **usual)).run()["valid?"] is not told


def test_python_looks_rarely_for_garbage_while_a_test_runs_and_as_before_afterwards():
    usual = gc.get_threshold()
    meanwhile = []

    @contextmanager
    def judging():
        meanwhile.append(gc.get_threshold())
        yield

    simulated_test(options("1")).run(judging)
    assert meanwhile == [drive.RARELY]
    assert gc.get_threshold() == usual
