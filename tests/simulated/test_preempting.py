"""Turns between lines: a thread may lose its turn anywhere in a node's code, and nowhere else."""

from __future__ import annotations

import sys
import threading
from inspect import getsourcelines
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import maelstrom_node
from glomers.errors import UsageError
from glomers.history.times import MILLIS
from glomers.simulated import greenlet_thread, preempting
from glomers.simulated.hooks import Monitoring, monitoring
from glomers.simulated.preempting import ChangePoints, RandomTurns
from maelstrom_node import Replication

ROOT = Path(__file__).parent.parent.parent

COUNTER = """
import threading
from maelstrom_node import Node
node = Node()
lock = threading.Lock()
counter = 0

@node.on("next")
def next(message):
    global counter
{body}
    return {{"type": "next_ok", "value": value}}

node.run()
"""
TWO_LINES = COUNTER.format(body="    value = counter\n    counter = value + 1")
LOCKED = COUNTER.format(
    body="""
    with lock:
        value = counter
        counter = value + 1
        value = counter
"""
)
ONE_LINE = COUNTER.format(body="    value = counter = counter + 1")
WAYS = ("lines", "bytecodes", "priorities")


def values(simulate, path, requests=300, **settings):
    """What a counter answers to requests that come a millisecond apart."""
    cluster = simulate(path, **settings)
    pending = []
    for _ in range(requests):
        pending.append(cluster.start_request("n0", "next"))
        cluster.advance(0.001)
    return [request.result()["value"] for request in pending]


def are_unique(found):
    return len(set(found)) == len(found)


@pytest.mark.parametrize("way", WAYS)
def test_an_update_in_two_lines_is_lost(simulate, script, way):
    path = script(TWO_LINES)
    assert are_unique(values(simulate, path, preempt=False))
    runs = [values(simulate, path, preempt=0.03, preempt_by=way, seed=s) for s in range(8)]
    assert not all(map(are_unique, runs))


def test_an_update_in_one_line_is_lost_between_bytecodes_only(simulate, script):
    path = script(ONE_LINE)
    for seed in range(3):
        assert are_unique(values(simulate, path, preempt=0.1, preempt_by="lines", seed=seed))
    runs = [values(simulate, path, preempt=0.1, preempt_by="bytecodes", seed=s) for s in range(5)]
    assert not all(map(are_unique, runs))


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_lost_behind_a_lock(simulate, script, way):
    path = script(LOCKED)
    for seed in range(3):
        assert are_unique(values(simulate, path, preempt=0.05, preempt_by=way, seed=seed))


def test_the_seed_repeats_the_switches(simulate, script):
    path = script(TWO_LINES)

    def run(seed):
        return values(simulate, path, preempt=0.05, preempt_by="mixed", seed=seed)

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_two_clusters_may_take_turns(simulate, script):
    first, second = (
        simulate(script(TWO_LINES, f"{n}.py"), preempt=0.5, preempt_by=way, seed=3)
        for n, way in enumerate(("lines", "bytecodes"))
    )
    alone = simulate(script(TWO_LINES), preempt=0.5, preempt_by="lines", seed=3)
    for _ in range(50):
        first.start_request("n0", "next")
        first.advance(0.001)
        second.start_request("n0", "next")
        second.advance(0.001)
        alone.start_request("n0", "next")
        alone.advance(0.001)
    assert [m.body for m in first.messages] == [m.body for m in alone.messages]


def test_a_module_beside_the_script_is_preempted_too(simulate, script):
    script(
        """
value = 0
def take():
    global value
    mine = value
    value = mine + 1
    return mine
""",
        "ids.py",
    )
    path = script(COUNTER.format(body="    import ids\n    value = ids.take()"))
    runs = [values(simulate, path, preempt=0.1, preempt_by="lines", seed=s) for s in range(3)]
    assert not all(map(are_unique, runs))


def test_the_library_is_followed_in_replication_only(simulate, monkeypatch):
    followed = set()
    before = preempting.Preempter._before

    def note(self, code, *where):
        followed.add(code)
        before(self, code, *where)

    monkeypatch.setattr(preempting.Preempter, "_before", note)
    cluster = simulate(ROOT / "broadcast.py", nodes=2, preempt=True, preempt_by="lines")
    cluster.request("n0", "broadcast", message=1)
    cluster.advance(2)
    files = {Path(code.co_filename).name for code in followed}
    assert files == {"broadcast.py", "maelstrom_node.py"}
    library = {code for code in followed if code.co_filename == maelstrom_node.__file__}
    lines, first = getsourcelines(Replication)
    assert all(first <= code.co_firstlineno < first + len(lines) for code in library)
    assert Replication.append.__code__ in library


@pytest.mark.parametrize("way", WAYS)
def test_a_node_stays_alive_however_often_it_loses_its_turn(simulate, script, way):
    cluster = simulate(script(LOCKED), preempt=1, preempt_by=way)
    for _ in range(20):
        began = cluster.now
        cluster.request("n0", "next", timeout=1)
        assert cluster.now - began < 1


def test_a_strand_that_lost_its_turn_stands_still_while_its_node_is_paused(simulate, script):
    cluster = simulate(script(LOCKED), preempt=1, preempt_by="lines")
    pending = [cluster.start_request("n0", "next") for _ in range(3)]
    cluster.pause("n0")
    cluster.advance(2)
    assert not any(request.done for request in pending)
    cluster.resume("n0")
    assert {request.result()["value"] for request in pending} == {1, 2, 3}


def test_nothing_is_followed_afterwards(simulate, script):
    cluster = simulate(script(LOCKED), preempt=True)
    cluster.request("n0", "next")
    cluster.close()
    assert sys.gettrace() is None or "preempting" not in repr(sys.gettrace())
    if monitoring:
        assert [monitoring.get_tool(tool) for tool in Monitoring.TOOLS] == [None, None]


@pytest.fixture
def others():
    """Other tools that follow lines: `others(n)` makes as many of those that we may be."""
    taken = []

    def take(n):
        for tool in Monitoring.TOOLS[:n]:
            monitoring.use_tool_id(tool, f"other {tool}")
            taken.append(tool)

    yield take
    for tool in taken:
        monitoring.free_tool_id(tool)


@pytest.mark.skipif(not monitoring, reason="from Python 3.12 on")
def test_another_tool_may_follow_lines_at_the_same_time(simulate, script, others):
    others(1)
    found = values(simulate, script(TWO_LINES), preempt=0.2)
    assert len(set(found)) < len(found)


@pytest.mark.skipif(not monitoring, reason="from Python 3.12 on")
def test_tools_that_leave_no_room_are_named(simulate, script, others):
    others(2)
    with pytest.raises(UsageError, match="other 4 and other 3"):
        simulate(script(TWO_LINES), preempt=True)


def test_who_traces_all_threads_goes_on_afterwards(simulate, script, monkeypatch):
    monkeypatch.setattr(greenlet_thread, "_free", [])
    calls = []

    def trace(frame, event, _):
        if frame.f_code.co_name == "next":
            calls.append(event)

    before = threading.gettrace()
    threading.settrace(trace)
    try:
        with simulate(script(LOCKED), preempt=True) as cluster:
            cluster.request("n0", "next")
    finally:
        threading.settrace(before)
    calls.clear()
    with simulate(script(LOCKED)) as cluster:  # in the same thread
        cluster.request("n0", "next")
    assert calls == ["call"]


@given(st.integers(), st.integers(1, 40))
def test_every_stretch_of_lines_has_as_many_change_points(seed, stretches):
    points = ChangePoints(Random(seed))
    at, found = 0, []
    for _ in range(stretches * points.depth):
        step = points.countdown()
        assert step > 0
        at += step
        found.append((at - 1) // points.length)
    assert all(found.count(stretch) == points.depth for stretch in range(stretches))


@given(st.integers(), st.floats(0, 1, exclude_min=True))
def test_a_wait_has_its_bounds(seed, probability):
    turns = RandomTurns(Random(seed), probability)
    assert turns.countdown() >= 1
    assert preempting.SHORTEST - 1 <= turns.wait().longest <= preempting.LONGEST
    assert preempting.LONGEST < 1000 * MILLIS


def test_preempt_needs_a_simulation(capsys):
    from glomers.cli import main

    assert main(["test", "-w", "echo", "--bin", "echo.py", "--preempt"]) == 254
    assert "--preempt needs --simulate" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [[], ["--preempt", "0"], ["--preempt"]])
def test_a_way_to_preempt_that_has_no_effect_is_noted(tmp_path, capsys, flags):
    from glomers.cli import main

    test = ["test", "-w", "echo", "--bin", str(ROOT / "echo.py"), "--node-count", "1"]
    test += ["--time-limit", "1", "--simulate", "--store", str(tmp_path), "--preempt-by", "lines"]
    assert main([*test, *flags]) == 0
    noted = "note: --preempt-by has no effect without --preempt" in capsys.readouterr().err
    assert noted == (flags != ["--preempt"])
