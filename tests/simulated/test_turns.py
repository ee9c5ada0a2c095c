"""Strands and virtual time: waits end, time passes, and nothing outlives the end."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glomers.errors import NodeError, UsageError
from glomers.history.times import NANOS
from glomers.simulated import turns
from glomers.simulated.turns import TurnLoop
from glomers.testing import simulated

HEAD = """
import queue, threading, time
from maelstrom_node import Node
node = Node()
"""


@pytest.fixture
def cluster(simulate, script):
    def make(source: str, nodes: int = 1, **settings):
        return simulate(script(HEAD + source + "\nnode.run()\n"), nodes, **settings)

    return make


# Waits

CLOCK = st.integers(0, 10**18)  # nanoseconds: 31 years
SECONDS = st.floats(0, 10**6, exclude_min=True)


@given(CLOCK, SECONDS)
def test_no_wait_is_shorter_than_asked_as_the_node_sees_it(now, seconds):
    loop = TurnLoop()
    loop.now = now
    span = loop.span(seconds)
    began, ended = now / NANOS, (now + span) / NANOS
    assert span > 0
    assert ended >= began + seconds
    assert ended - began >= seconds
    assert span <= seconds * NANOS + max(2, (ended - began) * 1e-6, ended * 1e-6)


@given(CLOCK, SECONDS)
def test_waiting_for_a_deadline_ends(now, seconds):
    loop = TurnLoop()
    loop.now = now
    deadline = now / NANOS + seconds
    for _ in range(4):
        loop.now += loop.span(deadline - loop.now / NANOS)
    assert loop.now / NANOS >= deadline


@given(CLOCK)
def test_no_time_is_no_wait(now):
    loop = TurnLoop()
    loop.now = now
    assert loop.span(0) == loop.span(-1) == 0


DEADLINES = {
    "queue.get": "queue.Queue().get(timeout={t})",
    "queue.put": "full.put(2, timeout={t})",
    "event": "threading.Event().wait({t})",
    "condition": "wait_for(lambda: False, {t})",
    "lock": "held.acquire(timeout={t})",
    "semaphore": "threading.Semaphore(0).acquire(timeout={t})",
    "join": "sleeper.join({t})",
    "loop": "sleep_until(time.monotonic, time.monotonic() + {t})",
    "wall clock": "sleep_until(time.time, time.time() + {t})",
}


@pytest.mark.parametrize("wait", DEADLINES.values(), ids=DEADLINES)
def test_every_way_of_waiting_ends_when_it_should(cluster, wait):
    # 0.1 s from an odd moment on leaves a remainder of 1e-17 s.
    nodes = cluster(f"""
full = queue.Queue(1)
full.put(1)
held = threading.Lock()
condition = threading.Condition()
sleeper = threading.Thread(target=time.sleep, args=[10**6], daemon=True)

def wait_for(*args):
    with condition:
        return condition.wait_for(*args)

def sleep_until(clock, deadline):
    while (rest := deadline - clock()) > 0:
        time.sleep(rest)

def hold():
    held.acquire()
    time.sleep(10**6)

@node.on("wait")
def on_wait(message):
    if not sleeper.ident:
        sleeper.start()
        node.spawn(hold)
    time.sleep(0.123456789)
    took = []
    for t in (0.1, 1 / 3, 1e-9, 1e-12, 0.7, 2.3):
        began = time.monotonic()
        try:
            {wait.format(t="t")}
        except (queue.Empty, queue.Full):
            pass
        took.append(time.monotonic() - began)
    return {{"type": "wait_ok", "took": took}}
""")
    took = nodes.request("n0", "wait")["took"]
    assert took == pytest.approx([0.1, 1 / 3, 1e-9, 1e-9, 0.7, 2.3], abs=1e-6)


# Time that stands still

STANDING = {
    "a task with no nanosecond": "@node.every(1e-12)\ndef tick():\n    counted = 1",
    "a task with hardly any": "@node.every(1e-9)\ndef tick():\n    counted = 1",
    "a function that spawns itself": "def tick():\n    node.spawn(tick)\nnode.every(1)(tick)",
    "a loop of sleep(0)": "@node.every(1)\ndef tick():\n    while True:\n        time.sleep(0)",
    "a queue that is looked into": """
@node.every(1)
def tick():
    try:
        while True:
            queue.Queue().get(timeout=1e-12)
    except queue.Empty:
        node.spawn(tick)
""",
    "a thread that starts the next": """
def tick():
    threading.Thread(target=tick).start()
node.every(1)(tick)
""",
    "messages without end": """
@node.every(1)
def tick():
    while True:
        node.send("n0", {"type": "news"})
""",
    "functions without end": """
@node.every(1)
def tick():
    while True:
        node.spawn(print)
""",
    "requests to a service without latency": """
@node.every(1)
def tick():
    while node.lin_kv.read("x", 0) == 0:
        pass
""",
}


@pytest.mark.parametrize("standing", STANDING.values(), ids=STANDING)
def test_time_that_stands_still_is_told_with_the_line(cluster, standing, monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE", 2000)
    nodes = cluster(standing)
    with pytest.raises(NodeError, match="n0 lets time stand still") as error:
        nodes.advance(5)
    assert "in tick: " in "\n".join(error.value.evidence)
    assert "node.py:" in "\n".join(error.value.evidence)


def test_what_goes_round_in_a_circle_is_named_and_counted(cluster, monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE", 2000)
    nodes = cluster("""
from maelstrom_node import RPCError
@node.every(0.08)
def tick():
    while True:
        try:
            node.seq_kv.cas("missing", 1, 2)
        except RPCError:
            pass
""")
    with pytest.raises(NodeError, match=r"it goes on and on at 0\.[0-9]+ s") as error:
        nodes.advance(5)
    line, *circle = error.value.evidence[-3:]
    assert 'node.seq_kv.cas("missing", 1, 2)' in line
    assert {words.rpartition(":")[0] for words in circle} == {
        "seq-kv → n0 error 20",
        "n0 → seq-kv cas",
    }
    assert all(int(words.split()[-2]) > 300 for words in circle)


def test_nodes_that_answer_each_others_answers_are_told(cluster, monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE", 2000)
    nodes = cluster(
        """
@node.on("ball")
def ball(message):
    node.send(node.peers[0], {"type": "ball"})
""",
        nodes=2,
    )
    nodes.deliver("c9", "n0", "ball")
    with pytest.raises(NodeError, match="time stand still") as error:
        nodes.advance(1)
    assert "in ball: node.send(" in "\n".join(error.value.evidence)


def test_handlers_that_wait_for_more_and_more_of_their_kind_end_the_run(cluster, monkeypatch):
    nodes = cluster(
        """
@node.on("forward")
def forward(message):
    return node.rpc(node.peers[0], {"type": "forward"})
""",
        nodes=2,
    )
    monkeypatch.setattr(turns, "MOST_WAITING", 20)
    with pytest.raises(NodeError, match="20 threads are waiting") as error:
        nodes.request("n0", "forward")
    assert "in forward: return node.rpc(node.peers[0]" in str(error.value)


def test_time_that_stands_still_is_found_after_the_same_turn_in_every_run(cluster, monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE", 2000)
    found = set()
    for _ in range(2):
        with pytest.raises(NodeError) as error:
            cluster("@node.every(1e-12)\ndef tick():\n    node.log('tick')").advance(1)
        found.add(str(error.value))
    assert len(found) == 1


def test_many_nodes_may_do_much_at_once(cluster, monkeypatch):
    # Every node tells every other one something, at one instant.
    monkeypatch.setattr(turns, "PATIENCE", 0)
    nodes = cluster(
        """
@node.on("go")
def go(message):
    for peer in node.peers:
        node.send(peer, {"type": "news"})
@node.on("news")
def news(message):
    pass
""",
        nodes=30,
    )
    for node in nodes.nodes:
        nodes.deliver("c9", node, "go")
    nodes.advance(1)
    assert len(nodes.sent(type="news")) == 30 * 29


# The end


def test_shutting_down_gives_up_on_what_is_really_stuck(cluster, monkeypatch):
    # A lock of the real library, which no simulated script gets in any other way.
    nodes = cluster("""
import maelstrom_node
really = maelstrom_node.threading.Lock()
really.acquire()
@node.on("stuck")
def stuck(message):
    try:
        node.sleep(1)
    finally:
        really.acquire()
""")
    for _ in range(3):
        nodes.deliver("c9", "n0", "stuck")
    nodes.advance(0.5)
    clock = iter([0.0])
    monkeypatch.setattr(turns.time, "monotonic", lambda: next(clock, 1000 * turns.GRACE))
    # The clock says at once that the time is up. What waits longer, waits for ever.
    closing = threading.Thread(target=nodes.close, daemon=True)
    closing.start()
    closing.join(20)
    assert not closing.is_alive()


@pytest.mark.parametrize("swallowed", ["", " BaseException"])
@pytest.mark.parametrize("end", ["close", "restart"])
def test_code_that_swallows_even_the_end_is_left_behind(cluster, end, swallowed):
    nodes = cluster(f"""
@node.on("stubborn")
def stubborn(message):
    while True:
        try:
            node.sleep(1)
        except{swallowed}:
            pass
""")
    nodes.deliver("c9", "n0", "stubborn")
    nodes.advance(3)
    if end == "restart":
        nodes.restart("n0")
        nodes.advance(3)


def test_a_simulated_node_cannot_run_a_simulation(script):
    inner = script(HEAD + "node.run()", "inner.py")
    source = script(
        HEAD
        + f"""
from glomers.testing import Simulation
@node.on("nest")
def nest(message):
    Simulation({str(inner)!r})
node.run()
"""
    )
    with simulated(source) as nodes:
        nodes.deliver("c9", "n0", "nest", msg_id=1)
        with nodes.expect_exception("n0", RuntimeError):
            nodes.advance(1)
        answer = nodes.assert_sent("n0", "c9", "error").body
        assert "a simulated node can't run a simulation" in answer["text"]


def test_no_thread_ends_with_a_simulation(script):
    # greenlet looks for references to those of a thread that ends, and may then drop one too many.
    path = script(HEAD + "node.run()")
    with simulated(path), simulated(path):
        pass
    threads = threading.active_count()
    for _ in range(5):
        with simulated(path), simulated(path):
            assert threading.active_count() == threads


def test_a_check_that_never_ends_is_no_nodes_fault(cluster):
    def check(cluster):
        while cluster.now > 0.5:
            pass
        return True

    simulation = cluster("node.every(0.1)(lambda: None)")
    simulation.watchdog = 0.2
    simulation.always(check)
    with pytest.raises(UsageError, match=r"no node's has been running .* in check: .*a check that"):
        simulation.advance(1)
