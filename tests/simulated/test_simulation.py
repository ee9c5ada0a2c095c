"""Simulation: scripts run unmodified, in virtual time, and the same way each time."""

from __future__ import annotations

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest

import maelstrom_node
from glomers.errors import NodeError
from glomers.options import Options
from glomers.run.single import run
from glomers.testing import RequestError, Simulation

HEAD = """
import threading
from maelstrom_node import Node, RPCError
node = Node()
lock = threading.Lock()

@node.on("init")
def start(message):
    global initialised_at
    initialised_at = node.now()

def age():  # seconds since init, on this node's clock
    return round(node.now() - initialised_at, 6)
"""
RUN = "\nnode.run()\n"


@pytest.fixture
def cluster(simulate, script):
    """A cluster of nodes with the given handlers."""

    def make(handlers: str, nodes: int = 1, **settings):
        return simulate(script(HEAD + handlers + RUN), nodes, **settings)

    return make


# Time


def test_sleeping_takes_virtual_time_only(cluster):
    nodes = cluster("""
import time
@node.on("nap")
def nap(message):
    began = time.time(), time.monotonic(), node.now()
    time.sleep(1000)
    node.sleep(1000)
    return {"type": "nap_ok", "slept": [time.time() - began[0], node.now() - began[2]]}
""")
    assert nodes.request("n0", "nap", timeout=3000)["slept"] == [2000, 2000]
    assert nodes.now == 2000


def test_an_rpc_blocks_its_handler_but_nobody_else(cluster):
    nodes = cluster(
        """
@node.on("relay")
def relay(message):
    return {"type": "relay_ok", "got": node.rpc("n1", {"type": "ping"}, timeout=5)["type"]}

@node.on("ping")
def ping(message):
    return {"type": "ping_ok"}
""",
        nodes=2,
        latency=100,
    )
    began = nodes.now
    assert nodes.request("n0", "relay")["got"] == "ping_ok"
    assert nodes.now - began == pytest.approx(0.2)


def test_an_rpc_times_out_in_virtual_time(cluster):
    nodes = cluster(
        """
@node.on("relay")
def relay(message):
    try:
        node.rpc("n1", {"type": "ping"}, timeout=3)
    except RPCError as error:
        return {"type": "relay_ok", "code": error.code}

@node.on("ping")
def ping(message):
    return {"type": "ping_ok"}
""",
        nodes=2,
    )
    nodes.cut("n0", "n1")
    began = nodes.now
    assert nodes.request("n0", "relay")["code"] == 0
    assert nodes.now - began == pytest.approx(3)


def test_periodic_tasks_come_when_they_should(cluster):
    nodes = cluster("""
times = []
@node.every(0.5)
def tick():
    times.append(age())
@node.on("times")
def read(message):
    return {"type": "times_ok", "times": times}
""")
    nodes.advance(2.1)
    assert nodes.request("n0", "times")["times"] == [0.5, 1.0, 1.5, 2.0]


TICKING = """
import time
born, ticks = time.time_ns(), []
@node.every(0.1)
def tick():
    ticks.append(time.time_ns())
@node.on("times")
def read(message):
    return {"type": "times_ok", "born": born, "ticks": ticks}
"""


def starts_and_phases(cluster, **settings):
    """When the nodes' processes started, and when in 100 ms their timers fire; nanoseconds."""
    nodes = cluster(TICKING, nodes=5, **settings)
    nodes.advance(1)
    answers = [nodes.request(node, "times") for node in nodes.nodes]
    return [a["born"] for a in answers], [{tick % 10**8 for tick in a["ticks"]} for a in answers]


def test_processes_start_and_timers_fire_at_times_of_their_own(cluster):
    starts, phases = starts_and_phases(cluster)
    assert len(set(starts)) == 5
    assert 1 < (max(starts) - min(starts)) / 10**6 < 50  # as real processes, 10 ms for each
    assert all(phase == {start % 10**8} for start, phase in zip(starts, phases))


def test_when_processes_start_comes_from_the_seed(cluster):
    assert starts_and_phases(cluster, seed=1) == starts_and_phases(cluster, seed=1)
    assert starts_and_phases(cluster, seed=1) != starts_and_phases(cluster, seed=2)


def test_hundreds_of_handlers_can_wait_at_once(cluster):
    nodes = cluster("""
@node.on("wait")
def wait(message):
    node.sleep(1)
    node.send("n0", {"type": "done"})
count = 0
@node.on("done")
def done(message):
    global count
    count += 1
@node.on("count")
def read(message):
    return {"type": "count_ok", "count": count}
""")
    for _ in range(500):
        nodes.deliver("c9", "n0", "wait")
    nodes.advance(1.5)
    assert nodes.request("n0", "count")["count"] == 500


# Locks and threads


def test_a_lock_may_be_held_across_a_blocking_call(cluster):
    nodes = cluster("""
order = []
@node.on("step")
def step(message):
    with lock:
        order.append(("in", message.body["n"]))
        node.sleep(1)
        order.append(("out", message.body["n"]))
@node.on("order")
def read(message):
    return {"type": "order_ok", "order": order}
""")
    for n in range(3):
        nodes.deliver("c9", "n0", "step", n=n)
    nodes.advance(5)
    assert nodes.request("n0", "order")["order"] == [
        [way, n] for n in range(3) for way in ("in", "out")
    ]


def test_a_deadlock_is_reported(cluster):
    nodes = cluster("""
other = threading.Lock()
@node.on("one")
def one(message):
    with lock:
        node.sleep(1)
        with other:
            pass
@node.on("two")
def two(message):
    with other:
        node.sleep(1)
        with lock:
            pass
""")
    nodes.deliver("c9", "n0", "one")
    nodes.deliver("c9", "n0", "two")
    with pytest.raises(NodeError, match="threads wait for each other's locks") as error:
        nodes.advance(5)
    assert "with lock" in str(error.value) or "with other" in str(error.value)


def test_a_lock_that_is_taken_twice_is_a_deadlock(cluster):
    nodes = cluster("""
@node.on("twice")
def twice(message):
    with lock:
        with lock:
            pass
""")
    nodes.deliver("c9", "n0", "twice")
    with pytest.raises(NodeError, match="waits for a lock that it holds itself"):
        nodes.advance(1)


@pytest.mark.parametrize("wanted", ["lock", "other"])
def test_a_lock_that_is_waited_for_with_a_time_out_is_no_deadlock(cluster, wanted):
    nodes = cluster(f"""
other = threading.Lock()
@node.on("one")
def one(message):
    with lock:
        node.sleep(1)
        return {{"type": "one_ok", "got": {wanted}.acquire(timeout=2)}}

@node.on("two")
def two(message):
    with other:
        node.sleep(2)
        with lock:
            return {{"type": "two_ok"}}
""")
    nodes.deliver("c9", "n0", "two")
    assert nodes.request("n0", "one")["got"] is False


def test_the_time_out_of_a_lock_ends_no_later_wait(cluster):
    nodes = cluster("""
@node.on("hold")
def hold(message):
    with lock:
        node.sleep(2)

@node.on("wait")
def wait(message):
    first = lock.acquire(timeout=3)
    node.spawn(hold, message)
    lock.release()
    node.sleep(0.5)
    second = lock.acquire()
    return {"type": "wait_ok", "got": [first, second], "at": age()}
""")
    nodes.deliver("c9", "n0", "hold")
    answer = nodes.request("n0", "wait")
    assert answer["got"] == [True, True]
    assert answer["at"] == pytest.approx(4)


@pytest.mark.parametrize(
    ("handler", "problem"),
    [
        ("with lock: entries.append(1); entries.push()", "push must be called without the lock"),
        ("entries.append(1)", "append must be called with the lock held"),
    ],
)
def test_a_replication_checks_virtual_locks_as_it_checks_real_ones(cluster, handler, problem):
    nodes = cluster(f"""
from maelstrom_node import Replication
entries = Replication(node, lock)

@node.on("broadcast")
def broadcast(message):
    {handler}
    return {{"type": "broadcast_ok"}}
""")
    with nodes.expect_exception("n0", RuntimeError, match=problem), pytest.raises(RequestError):
        nodes.request("n0", "broadcast", message=1)


def test_threads_conditions_events_and_queues_are_virtual(cluster):
    nodes = cluster("""
import queue
jobs, results = queue.Queue(), queue.Queue()
started = threading.Event()

def work():
    started.set()
    while True:
        job = jobs.get()
        node.sleep(1)
        results.put(job * 2)

threading.Thread(target=work, daemon=True).start()

@node.on("work")
def on_work(message):
    started.wait()
    jobs.put(message.body["job"])
    return {"type": "work_ok", "result": results.get(timeout=5)}

@node.on("empty")
def on_empty(message):
    try:
        results.get(timeout=2)
    except queue.Empty:
        return {"type": "empty_ok", "at": age()}
""")
    assert nodes.request("n0", "work", job=21)["result"] == 42
    assert nodes.now == 1
    assert nodes.request("n0", "empty")["at"] == 3


def test_semaphores_timers_and_locals_are_virtual(cluster):
    nodes = cluster("""
permits = threading.BoundedSemaphore(2)
local = threading.local()
log = []

def finish(n):
    log.append((n, age()))
    permits.release()

@node.on("go")
def go(message):
    permits.acquire()
    assert not hasattr(local, "n")
    local.n = message.body["n"]
    threading.Timer(1.0, finish, [local.n]).start()

@node.on("log")
def read(message):
    return {"type": "log_ok", "log": log}
""")
    for n in range(4):
        nodes.deliver("c9", "n0", "go", n=n)
    nodes.advance(5)
    assert nodes.request("n0", "log")["log"] == [[0, 1], [1, 1], [2, 2], [3, 2]]


# What would be real


def test_time_randomness_and_uuids_are_seeded(simulate, script):
    source = script("""
import datetime, os, random, time, uuid
from maelstrom_node import Node
node = Node()
@node.on("draw")
def draw(message):
    return {"type": "draw_ok", "drawn": [
        time.time(), str(datetime.datetime.now(datetime.timezone.utc)), random.random(),
        random.Random().random(), random.SystemRandom().random(), random.sample(range(99), 5),
        str(uuid.uuid1()), str(uuid.uuid4()), os.urandom(8).hex(), os.getpid(),
        node.random.random(),
    ]}
node.run()
""")

    def draw(seed, node="n0"):
        return simulate(source, 2, seed=seed).request(node, "draw")["drawn"]

    assert draw(1) == draw(1)
    assert all(a != b for a, b in zip(draw(1)[2:9], draw(2)[2:9]))
    assert all(a != b for a, b in zip(draw(1, "n0")[2:9], draw(1, "n1")[2:9]))


@pytest.mark.parametrize(
    "module",
    ["multiprocessing", "secrets", "socket", "subprocess"],
)
def test_what_cannot_be_simulated_is_refused_with_a_remedy(simulate, script, module):
    with pytest.raises(NodeError, match=r"exit status 1") as error:
        simulate(script(f"import {module}"))
    assert "can't be simulated" in str(error.value)


def test_nodes_share_no_state_not_even_in_modules_beside_the_script(simulate, script):
    script("values = []\n", "shared.py")
    nodes = simulate(
        script("""
import shared
from maelstrom_node import Node
node = Node()
@node.on("add")
def add(message):
    shared.values.append(message.body["value"])
    return {"type": "add_ok", "values": shared.values}
node.run()
"""),
        2,
    )
    assert nodes.request("n0", "add", value=1)["values"] == [1]
    assert nodes.request("n1", "add", value=2)["values"] == [2]


def test_scripts_see_their_arguments(simulate, script):
    source = script("""
import argparse
from maelstrom_node import Node
parser = argparse.ArgumentParser()
parser.add_argument("--word")
word = parser.parse_args().word
node = Node()
@node.on("word")
def read(message):
    return {"type": "word_ok", "word": word}
node.run()
""")
    assert simulate(source, args=["--word", "hello"]).request("n0", "word")["word"] == "hello"


# Scripts that go wrong


def test_a_busy_loop_is_found_by_the_watchdog(cluster):
    nodes = cluster("""
@node.on("spin")
def spin(message):
    while True:
        pass
""")
    nodes.watchdog = 0.2
    nodes.deliver("c9", "n0", "spin")
    with pytest.raises(NodeError, match="without coming back") as error:
        nodes.advance(1)
    assert "in spin" in str(error.value)
    assert "node.py" in str(error.value)


def test_a_handler_that_swallows_exceptions_ends_with_the_simulation(cluster):
    nodes = cluster("""
@node.on("stubborn")
def stubborn(message):
    while True:
        try:
            node.sleep(1)
        except Exception:
            pass
""")
    nodes.deliver("c9", "n0", "stubborn")
    nodes.advance(3)


def test_a_script_that_ends_is_reported(simulate, script):
    with pytest.raises(NodeError, match="exit status 0"):
        simulate(script("x = 1"))


def test_a_script_that_fails_is_reported_with_its_traceback(simulate, script):
    with pytest.raises(NodeError, match="exit status 1") as error:
        simulate(script("import sys\nsys.stderr.write('hello\\n')\n1/0"))
    assert "ZeroDivisionError" in str(error.value)
    assert "hello" in str(error.value)
    assert "glomers" not in str(error.value)  # which is no part of the script


@pytest.mark.parametrize(
    ("failing", "last"),
    [
        ("import nowhere_at_all", "script"),
        ("from maelstrom_node import Nodes", "script"),
        ("import socket", "script"),
        ("import broken", "broken"),
        ("open('/dev/tty')", "script"),
        ("__import__('time').sleep(-1)", "script"),
    ],
)
def test_a_traceback_has_no_frame_of_the_workbench(simulate, script, failing, last):
    path = script(failing)
    path.with_name("broken.py").write_text("1/0")
    with pytest.raises(NodeError) as error:
        simulate(path)
    files = [line.split('"')[1] for line in str(error.value).splitlines() if 'File "' in line]
    expected = [str(path), *([str(path.with_name("broken.py"))] if last == "broken" else [])]
    assert files == expected


def test_printing_before_the_node_runs_breaks_the_protocol(simulate, script):
    with pytest.raises(NodeError, match="not JSON") as error:
        simulate(script("print('starting up')"))
    assert "starting up" in str(error.value)


def test_printing_while_the_node_runs_goes_to_its_log(cluster, capsys):
    nodes = cluster("""
@node.on("hello")
def hello(message):
    print("hello")
    return {"type": "hello_ok"}
""")
    assert nodes.request("n0", "hello")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("mistake", "problem"),
    [
        ("print(node.id)", "RuntimeError: node.id is known from init on; use it in a handler"),
        ("@node.on\ndef gossip(message): ...", 'write @node.on("gossip") for gossip (node.py:'),
    ],
)
def test_misuse_of_the_library_ends_the_run_with_what_to_write_instead(cluster, mistake, problem):
    with pytest.raises(NodeError, match=re.escape(problem)):
        cluster(mistake)


def test_a_message_to_nobody_is_reported(cluster):
    nodes = cluster("""
@node.on("call")
def call(message):
    node.send("n77", {"type": "hello"})
""")
    nodes.deliver("c9", "n0", "call")
    with pytest.raises(NodeError, match="'n77', which does not exist"):
        nodes.advance(1)


def test_a_simulated_node_is_held_to_the_rules_of_a_real_one(cluster):
    nodes = cluster("""
@node.on("bad")
def bad(message):
    node._runtime.write(message.body["line"])
""")
    with pytest.raises(NodeError, match="JSON has no NaN"):
        nodes.request("n0", "bad", line='{"src": "n0", "dest": "n0", "body": {"v": NaN}}')


# The test's own verbs


def test_an_error_answer_raises(cluster):
    nodes = cluster("""
@node.on("fail")
def fail(message):
    raise RPCError(14, "no")
""")
    with pytest.raises(RequestError, match=r"14 \(abort\): no"):
        nodes.request("n0", "fail")


def test_no_answer_raises(cluster):
    nodes = cluster("""
@node.on("quiet")
def quiet(message):
    pass
""")
    with pytest.raises(TimeoutError, match="did not answer 'quiet' within 2 s"):
        nodes.request("n0", "quiet", timeout=2)
    assert nodes.now == 2


def test_what_came_instead_of_an_answer_is_told(cluster):
    nodes = cluster("""
@node.on("odd")
def odd(message):
    node.send(message.src, {"type": "odd_ok", "in_reply_to": "1"})
""")
    came = r"instead: n0 -> c1: \{.type.: .odd_ok., .in_reply_to.: .1.\}"
    with pytest.raises(TimeoutError, match=came):
        nodes.request("n0", "odd", timeout=2)
    nodes.ignore_the_rest()


def test_a_message_that_nobody_expected_fails_the_test(script):
    source = script(HEAD + "@node.on('x')\ndef x(m):\n    node.send('n1', {'type': 'y'})\n" + RUN)
    nodes = Simulation(source, 2, played=["n1"])
    nodes.deliver("n1", "n0", "x")
    nodes.advance(1)
    with pytest.raises(AssertionError, match=r'nobody expected\n  n0 -> n1: {"type": "y"}'):
        nodes.close()


def test_a_restarted_node_has_lost_its_state(cluster):
    nodes = cluster("""
count = 0
@node.on("count")
def add(message):
    global count
    count += 1
    return {"type": "count_ok", "count": count}
@node.every(1)
def tick():
    node.sleep(0.5)
""")
    nodes.request("n0", "count")
    nodes.advance(1.2)
    assert nodes.request("n0", "count")["count"] == 2
    nodes.restart("n0")
    assert nodes.request("n0", "count")["count"] == 1


def test_nothing_of_a_killed_node_goes_on(cluster):
    nodes = cluster("""
life = node.random.random()
@node.every(1)
def tick():
    node.log(f"tick {life}")
@node.on("init")
def begin(message):
    def work():
        try:
            node.sleep(2)
        finally:
            node.log(f"end {life}")
    node.spawn(work)
    threading.Timer(1.5, lambda: node.log(f"timer {life}")).start()
""")
    before = len(nodes.logs("n0").splitlines())
    nodes.restart("n0")
    nodes.advance(3.5)
    logged = [line.split() for line in nodes.logs("n0").splitlines()[before:]]
    assert [what for what, _ in logged] == ["tick", "timer", "end", "tick", "tick"]
    assert len({life for _, life in logged}) == 1


def test_drop_next_loses_just_one_message(cluster):
    nodes = cluster(
        """
@node.on("tell")
def tell(message):
    node.send("n1", {"type": "told", "n": message.body["n"]})
""",
        nodes=2,
        played=["n1"],
    )
    nodes.drop_next("n0", "n1")
    for n in range(2):
        nodes.deliver("n1", "n0", "tell", n=n)
    nodes.advance(1)
    nodes.assert_sent("n0", "n1", "told", n=1)
    nodes.assert_silent(1)


def test_a_paused_node_stands_still_and_goes_on_with_what_it_missed(cluster):
    nodes = cluster("""
ticks = []
@node.every(1)
def tick():
    ticks.append(age())
@node.on("nap")
def nap(message):
    node.sleep(1)
    return {"type": "nap_ok", "at": age(), "ticks": ticks}
""")
    nodes.deliver("c9", "n0", "nap", msg_id=1)
    nodes.advance(0.5)
    nodes.pause("n0")
    nodes.advance(4)
    nodes.resume("n0")
    nodes.advance(0.1)
    assert nodes.assert_sent("n0", "c9", "nap_ok").body["at"] == 4.5
    assert nodes.request("n0", "nap")["ticks"][:3] == [4.5, 4.5, 5.5]


# What a node's code raises


RAISED = {
    "an exception": "1 / 0",
    "SystemExit": "raise SystemExit(0)",
    "sys.exit": "import sys; sys.exit('no more')",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "GeneratorExit": "raise GeneratorExit",
    "one of its own": "raise type('Mine', (BaseException,), {})",
}


@pytest.mark.parametrize("raising", RAISED.values(), ids=RAISED)
@pytest.mark.parametrize(
    "place",
    [
        "threading.Thread(target=fail).start()",
        "threading.Timer(0.1, fail).start()",
        "node.spawn(fail)",
        "node.every(0.1)(fail)",
        "fail()",
    ],
)
def test_whatever_is_raised_ends_no_more_than_its_strand(cluster, place, raising):
    nodes = cluster(f"""
def fail():
    {raising}
@node.on("fail")
def on_fail(message):
    {place}
@node.on("ping")
def ping(message):
    return {{"type": "ping_ok"}}
""")
    nodes.deliver("c9", "n0", "fail")
    is_silent = "exit" in raising.lower() and "Generator" not in raising and place != "fail()"
    with nullcontext() if is_silent else nodes.expect_exception("n0"):
        nodes.advance(1)
        assert nodes.request("n0", "ping")["type"] == "ping_ok"


@pytest.mark.parametrize(
    ("ending", "status", "told"),
    [
        ("sys.exit()", "exit status 0", ""),
        ("sys.exit(3)", "exit status 3", ""),
        ("sys.exit(-1)", "exit status 255", ""),
        ("sys.exit('out of cheese')", "exit status 1", "out of cheese"),
        ("raise KeyboardInterrupt", "killed by SIGINT", "KeyboardInterrupt"),
        ("raise type('Mine', (BaseException,), {})('why')", "exit status 1", "Mine: why"),
    ],
)
def test_whatever_ends_the_script_ends_its_node(simulate, script, ending, status, told):
    with pytest.raises(NodeError, match=f"ended during the test: {status}") as error:
        simulate(script(f"import sys\n{ending}"))
    assert told in str(error.value)


def test_a_script_that_ends_goes_on_as_long_as_its_threads_do(simulate, script):
    source = script(
        HEAD
        + """
@node.on("ping")
def ping(message):
    return {"type": "ping_ok"}
def work():
    node.run()
threading.Thread(target=work).start()
"""
    )
    nodes = simulate(source)
    nodes.advance(100)
    assert nodes.request("n0", "ping")["type"] == "ping_ok"
    source = script("import threading, time\nthreading.Thread(target=time.sleep, args=[3]).start()")
    with pytest.raises(NodeError, match="exit status 0"):
        simulate(source)


# Several simulations at once


COUNT = """
import sys
count = 0
@node.on("count")
def add(message):
    global count
    count += 1
    print("counted")
    return {"type": "count_ok", "count": count, "args": sys.argv[1:], "at": node.now()}
"""


@pytest.mark.parametrize("first_to_close", [0, 1])
def test_two_clusters_live_side_by_side(script, first_to_close, capfd):
    def process():
        streams = sys.stdin, sys.stdout, sys.stderr
        return streams, sys.argv, os.environ, maelstrom_node.default_runtime, Path.cwd()

    before = process()
    source = script(HEAD + COUNT + RUN)
    clusters = [Simulation(source, 2, args=[str(n)]) for n in range(2)]
    assert process() == before
    for round in range(1, 4):
        for n, cluster in enumerate(clusters):
            answer = cluster.request("n1", "count")
            assert (answer["count"], answer["args"]) == (round, [str(n)])
            assert process() == before
    for n, cluster in enumerate(clusters):
        cluster.restart("n1")
        cluster.advance(n + 1)
        assert cluster.request("n1", "count")["count"] == 1
    clusters[first_to_close].close()
    other = clusters[1 - first_to_close]
    assert other.request("n1", "count")["count"] == 2
    other.restart("n0")
    assert other.request("n0", "count")["count"] == 1
    other.close()
    assert process() == before
    print("heard")
    assert capfd.readouterr().out == "heard\n"


def test_simulations_in_several_threads_do_not_disturb_each_other(script):
    source = script(HEAD + COUNT + RUN)

    def play(n):
        cluster = Simulation(source, 3, args=[str(n)])
        answers = [cluster.request("n0", "count") for _ in range(20)]
        cluster.close()
        return [answer["count"] for answer in answers], {*map(tuple, (a["args"] for a in answers))}

    with ThreadPoolExecutor(4) as pool:
        for n, (counts, args) in enumerate(pool.map(play, range(8))):
            assert counts == list(range(1, 21))
            assert args == {(str(n),)}


def test_what_the_workbench_prints_for_a_node_reaches_the_real_terminal(tmp_path, script, capfd):
    source = script(HEAD + COUNT.replace("count", "echo") + RUN)
    options = Options(
        "echo",
        str(source),
        nodes=("n0",),
        time_limit=1,
        log_stderr=True,
        log_net_send=True,
        log_net_recv=True,
    )
    run(options, tmp_path / "store", None, simulated=True)
    out = capfd.readouterr().out
    shown = [line for line in out.splitlines() if line.startswith(("n0 ", "send ", "recv "))]
    kept = (tmp_path / "store" / "echo" / "latest" / "run.log").read_text().splitlines()
    assert shown == kept[: len(shown)]
    messages = (tmp_path / "store" / "echo" / "latest" / "messages.jsonl").read_text()
    for event in ("send", "recv"):
        told = [line for line in shown if line.startswith(event)]
        assert len(told) == len(set(told)) == messages.count(f'"event": "{event}"') > 0
    logged = [line for line in shown if line.startswith("n0 ")]
    assert set(logged) == {"n0 echoed"}
    (log,) = (tmp_path / "store" / "echo" / "latest" / "node-logs").iterdir()
    assert set(log.read_text().splitlines()) == {"echoed"}
