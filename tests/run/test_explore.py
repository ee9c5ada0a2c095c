"""Exploration: every order of deliveries, and few faults, of small clusters."""

from __future__ import annotations

import re
import signal
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from glomers.cli import main
from glomers.exits import BAD_ARGUMENTS
from glomers.history.store import Store
from glomers.options import Options
from glomers.run import explore
from glomers.run.build import simulated_test
from glomers.run.choices import Job, Report, search_all
from glomers.run.explored import explore_run, tell_run
from glomers.run.small import Bounds, small

ROOT = Path(__file__).parents[2]
FLOOD = ROOT / "ladder" / "broadcast" / "1_flood.py"
NO_LIMITS = explore.Limits(10_000, 600)
TWO = ("n0", "n1")

# Every node has a copy; what is written comes to the others by a message.
COPIES = """
from maelstrom_node import Node
node = Node()
values = {}
def put(key, value):
    values[key] = value
    for peer in node.peers:
        node.send(peer, {"type": "copy", "key": key, "value": value})
@node.on("write")
def write(message):
    put(message.body["key"], message.body["value"])
    return {"type": "write_ok"}
@node.on("cas")
def cas(message):
    key, value = message.body["key"], message.body["from"]
    if values.get(key) != value:
        return {"type": "error", "code": 22}
    put(key, message.body["to"])
    return {"type": "cas_ok"}
@node.on("copy")
def copy(message):
    values[message.body["key"]] = message.body["value"]
@node.on("read")
def read(message):
    return {"type": "read_ok", "value": values.get(message.body["key"])}
node.run()
"""

# Leaves everything to lin-kv, which is right.
PROXY = """
from maelstrom_node import Node
node = Node()
@node.on("read")
def read(message):
    return {"type": "read_ok", "value": node.lin_kv.read(message.body["key"])}
@node.on("write")
def write(message):
    node.lin_kv.write(message.body["key"], message.body["value"])
    return {"type": "write_ok"}
@node.on("cas")
def cas(message):
    body = message.body
    node.lin_kv.cas(body["key"], body["from"], body["to"])
    return {"type": "cas_ok"}
node.run()
"""

COUNTING_IDS = """
from maelstrom_node import Node
node = Node()
count = 0
@node.on("generate")
def generate(message):
    global count
    count += 1
    return {"type": "generate_ok", "id": count}
node.run()
"""

RACE = """
import threading
from maelstrom_node import Node
node = Node()
lock = threading.Lock()
count = 0
@node.on("generate")
def generate(message):
    global count
    value = count
    count = value + 1
    return {"type": "generate_ok", "id": f"{node.id} {value}"}
node.run()
"""

# Takes the sum, asks, and adds to what it took: another add that comes meanwhile is undone.
LOST_UPDATE = """
from maelstrom_node import Node
node = Node()
@node.on("add")
def add(message):
    sum = node.lin_kv.read("sum", 0)
    node.lin_kv.write("sum", sum + message.body["delta"])
    return {"type": "add_ok"}
@node.on("read")
def read(message):
    return {"type": "read_ok", "value": node.lin_kv.read("sum", 0)}
node.run()
"""

# Asks n0 to add until there is an answer: it adds twice if the first answer is lost, or late.
REPEATED = """
from maelstrom_node import Node, RPCTimeout
node = Node()
sum = 0
@node.on("add")
def add(message):
    while True:
        try:
            node.rpc("n0", {"type": "more", "delta": message.body["delta"]})
            return {"type": "add_ok"}
        except RPCTimeout:
            pass
@node.on("more")
def more(message):
    global sum
    sum += message.body["delta"]
    return {"type": "more_ok"}
@node.on("read")
def read(message):
    return {"type": "read_ok", "value": node.rpc("n0", {"type": "sum"})["sum"]}
@node.on("sum")
def total(message):
    return {"type": "sum_ok", "sum": sum}
node.run()
"""

# Two nodes answer each other's answers.
ENDLESS = """
from maelstrom_node import Node
node = Node()
@node.on("generate")
def generate(message):
    node.send(node.peers[0], {"type": "ball"})
    return {"type": "generate_ok", "id": node.random.random()}
@node.on("ball")
def ball(message):
    node.send(message.src, {"type": "ball"})
node.run()
"""


def found(workload, script, nodes=TWO, limits=NO_LIMITS, seed=0, **bounds):
    """What an exploration of a script finds."""
    options = Options(workload, str(script), nodes=nodes, concurrency=len(nodes), seed=seed)
    if workload == "lin-kv":
        options = replace(options, concurrency=2 * len(nodes))
    within = Bounds(**bounds)
    return explore.explore(options, within, limits, Console(quiet=True))


def kinds(found):
    """The choices of a run that fails that are told, without the natural ones."""
    _, choices = found.failure
    natural = ("arrive", "begin", "pass", "end")
    return [choice.kind for choice in choices if choice.kind not in natural]


# What must fail


def test_a_value_that_is_sent_once_is_lost_with_its_message_and_without_a_loss_never():
    whole = found("broadcast", FLOOD, operations=2)
    assert whole.valid is True
    lossy = found("broadcast", FLOOD, operations=2, losses=1)
    assert lossy.valid is False
    assert kinds(lossy) == ["lose"]
    assert lossy.failure[0].operations == 1


def test_a_value_that_is_only_in_memory_is_lost_with_a_node_that_crashes_before_it_sends_it(script):
    push = script(FLOOD.read_text())
    crashed = found("broadcast", push, operations=1, crashes=1)
    assert crashed.valid is False
    assert kinds(crashed) == ["crash", "start"]


def test_ids_that_are_only_counted_are_given_twice_at_once(script):
    twice = found("unique-ids", script(COUNTING_IDS))
    assert twice.valid is False
    assert kinds(twice) == []
    assert twice.failure[0].operations == 2


def test_reads_of_a_copy_are_not_linearizable(script):
    # The seed has a write, and a cas from what it writes.
    stale = found("lin-kv", script(COPIES), operations=4, seed=2)
    assert stale.valid is False
    assert kinds(stale) == []


def test_an_update_between_a_read_and_a_write_is_lost_in_some_order(script):
    lost = found("g-counter", script(LOST_UPDATE), operations=3, seed=1)
    assert lost.valid is False
    assert lost.failure[0].operations == 3
    assert found("g-counter", script(LOST_UPDATE), operations=2, seed=1).valid is True


def test_a_check_and_an_act_between_which_a_thread_loses_its_turn_fail_with_one_switch(script):
    racing = script(RACE)
    assert found("unique-ids", racing, ("n0",), operations=2).valid is True
    switched = found("unique-ids", racing, ("n0",), operations=2, switches=1)
    assert switched.valid is False
    assert kinds(switched) == ["switch", "resume"]
    locked = script(
        RACE.replace("    value =", "    with lock:\n        value =").replace(
            "    count =", "        count ="
        )
    )
    assert found("unique-ids", locked, ("n0",), operations=2, switches=1).valid is True


def test_operations_are_left_out_that_a_failure_does_not_need(script):
    """The third operation comes to the node of the first one, so the second is of no use."""
    switched = found("unique-ids", script(RACE), operations=3, switches=1)
    bounds, choices = switched.failure
    assert bounds.left_out == {1}
    assert {choice.at for choice in choices if choice.kind == "begin"} == {"n0"}


def test_a_stale_answer_of_seq_kv_to_a_final_read_is_among_the_choices():
    stale = found("g-counter", ROOT / "tests" / "broken" / "counter_stale_sum.py", operations=1)
    assert stale.valid is False
    assert kinds(stale) == ["answer"]


@pytest.mark.parametrize(
    ("bounds", "fault"),
    [
        ({"losses": 1}, "lose"),
        ({"duplicates": 1}, "duplicate"),
        ({"early_timers": 1}, "early"),
    ],
)
def test_what_is_asked_again_until_it_is_answered_is_done_twice(script, bounds, fault):
    twice = script(REPEATED)
    assert found("g-counter", twice, operations=2).valid is True
    failing = found("g-counter", twice, operations=2, **bounds)
    assert failing.valid is False
    assert kinds(failing) == [fault]


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("import nothing", "n0 ended during the test: exit status 1."),
        ("print('hello')", "n0 printed a line that is not JSON."),
    ],
)
def test_a_node_that_breaks_off_fails_at_once(script, capsys, tmp_path, source, complaint):
    command = ["explore", "-w", "echo", "--bin", str(script(source)), "--node-count", "1"]
    assert main([*command, "--store", str(tmp_path / "store")]) == 1
    output = " ".join(capsys.readouterr().out.split())
    assert "1 run, 0 different states: invalid." in output
    assert complaint in output


def test_an_exception_fails_whatever_the_history_says(script):
    raising = script("""
from maelstrom_node import Node
node = Node()
@node.on("echo")
def echo(message):
    node.spawn(int, "x")
    return {"type": "echo_ok", "echo": message.body["echo"]}
node.run()
""")
    assert found("echo", raising, ("n0",), operations=1).valid is False


# What must not fail


@pytest.mark.parametrize(
    ("workload", "script", "bounds"),
    [
        ("unique-ids", "unique_ids.py", {"operations": 2, "crashes": 1}),
        ("broadcast", "broadcast.py", {"operations": 2, "losses": 1, "duplicates": 1}),
        ("g-counter", "counter.py", {"operations": 2}),
        ("broadcast", "ladder/broadcast/2_flood_with_retry.py", {"operations": 1, "losses": 2}),
        ("kafka", "kafka.py", {"operations": 2}),
    ],
)
def test_right_scripts_do_not_fail(workload, script, bounds):
    right = found(workload, ROOT / script, **bounds)
    assert right.complete
    assert right.valid is True


def test_a_cas_that_fails_as_it_should_is_an_answer_like_any_other(script):
    right = found("lin-kv", script(PROXY), operations=4, left_out=frozenset((0, 1)))
    assert right.begun == {"write", "cas"}
    assert right.valid is True


# Nothing is left out


@pytest.mark.parametrize(
    ("workload", "script", "bounds"),
    [
        ("broadcast", FLOOD, Bounds(2, losses=1, horizon=1)),
        ("broadcast", FLOOD, Bounds(1, crashes=1, duplicates=1, horizon=1)),
        ("broadcast", "ladder/broadcast/2_flood_with_retry.py", Bounds(1, losses=1, horizon=1)),
        ("g-counter", "counter.py", Bounds(1, early_timers=1, horizon=1)),
        ("unique-ids", "unique_ids.py", Bounds(2, switches=1, horizon=1)),
    ],
)
def test_the_reduction_loses_no_state_and_no_verdict(workload, script, bounds):
    options = Options(workload, str(ROOT / script), nodes=TWO, concurrency=2)
    states, verdicts, runs = [], [], []
    for reduced in (False, True):
        seen: dict = {}
        known = seen if reduced else None

        def run(job: Job, known=known) -> Report:
            return explore_run(options, bounds, job, known)

        ends, number = set(), 0
        for search, _, report in search_all(run, reduced):  # noqa: B007
            number += 1
            if report.end:
                ends.add((report.end.valid, report.end.succeeded))
        states.append({key for key in search.states if isinstance(key, bytes)})
        verdicts.append(ends)
        runs.append(number)
    assert states[0] == states[1]
    assert verdicts[0] == verdicts[1]
    assert runs[1] <= runs[0]


# Verdicts that there aren't


def test_a_limit_leaves_the_verdict_unknown():
    some = found(
        "g-counter", ROOT / "counter.py", limits=explore.Limits(5, 600), operations=2, losses=1
    )
    assert some.runs == 5
    assert not some.complete
    assert some.valid == "unknown"


def test_operations_that_never_succeed_prove_nothing(script):
    nothing = script("from maelstrom_node import Node\nnode = Node()\nnode.run()")
    none = found("unique-ids", nothing, operations=1)
    assert none.complete
    assert none.valid == "unknown"


def test_a_run_without_an_end_has_no_verdict(script, monkeypatch):
    monkeypatch.setattr("glomers.run.explored.MOST_STEPS", 50)
    endless = found("unique-ids", script(ENDLESS), operations=1)
    assert endless.valid == "unknown"
    assert list(endless.errors) == ["a run has more than 50 steps, and goes on at 0 s"]


# The command


def test_the_command_tells_that_none_failed(capsys):
    command = ["explore", "-w", "broadcast", "--bin", str(ROOT / "broadcast.py")]
    assert main([*command, "--operations", "1", "--losses", "1"]) == 0
    output = capsys.readouterr().out
    told = r"\d+ runs, \d+ different states: valid, in every order, with 1 operation on 2 nodes"
    assert re.search(told + " and at most 1 lost message.", output)


def test_the_command_tells_the_smallest_run_that_fails_and_keeps_it(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["explore", "3b", "--bin", str(FLOOD)]
    assert main([*command, "--losses", "1", "--store", "my store"]) == 1
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    story = [
        "0.00 s  client 0 asks n0: broadcast 0",
        "0.00 s  client 0: broadcast 0 is ok",
        '0.00 s  n0 → n1 gossip {"message": 0} is lost',
    ]
    begin = lines.index(story[0])
    assert lines[begin : begin + 3] == story
    assert "1 value was lost: 0" in lines
    folder = (tmp_path / "my store" / "latest").resolve()
    shown = folder.relative_to(tmp_path)
    assert lines[-2] == f"The whole run: {shown / 'report.html'}"
    assert lines[-1] == f"Again: python -m glomers test --scenario '{shown / 'scenario.json'}'"
    assert (folder / "report.html").is_file()
    assert main(["test", "--scenario", str(folder / "scenario.json"), "--store", "again"]) == 1


def test_a_store_that_is_none_is_refused_before_the_search(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").touch()
    command = ["explore", "3b", "--bin", str(FLOOD)]
    assert main([*command, "--losses", "1", "--store", "taken"]) == BAD_ARGUMENTS
    output = capsys.readouterr()
    assert "different state" not in output.out
    assert "taken is a file, not a folder" in output.err


@pytest.mark.parametrize(
    ("workload", "source", "bounds"),
    [
        ("unique-ids", RACE, {"operations": 2, "switches": 1, "nodes": ("n0",)}),
        ("g-counter", LOST_UPDATE, {"operations": 3}),
        ("g-counter", REPEATED, {"operations": 1, "duplicates": 1}),
    ],
)
def test_the_scenario_of_a_run_that_fails_makes_a_test_fail(script, workload, source, bounds):
    node = script(source)
    failing = found(workload, node, **bounds)
    nodes = bounds.get("nodes", TWO)
    part, choices = failing.failure
    options = Options(workload, str(node), nodes=nodes, concurrency=len(nodes))
    options = small(options, part)
    with closing(Store.create(node.parent / "store", workload)) as store:
        told = tell_run(options, part, choices, store)
    assert told.scenario is not None
    assert simulated_test(options, scenario=told.scenario).run()["valid?"] is False


def test_a_crash_has_no_scenario(script):
    push = script(FLOOD.read_text())
    part, choices = found("broadcast", push, operations=1, crashes=1).failure
    options = Options("broadcast", str(push), nodes=TWO, concurrency=2)
    with closing(Store.create(push.parent / "store", "broadcast")) as store:
        assert tell_run(small(options, part), part, choices, store).scenario is None


def test_an_interrupt_shows_what_is_known(monkeypatch, capsys):
    make_runs, calls = explore.make_runs, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return make_runs(*args)

    monkeypatch.setattr(explore, "make_runs", interrupted)
    command = ["explore", "4", "--losses", "1"]
    assert main(command) == 130
    output = capsys.readouterr().out
    assert "3 runs" in output
    assert "unknown, not every order was tried, since it was interrupted; so far none f" in output


def test_processes_find_the_same(monkeypatch):
    alone = found("broadcast", FLOOD, operations=2, duplicates=1)
    monkeypatch.setattr(explore, "ALONE", 0)
    together = found("broadcast", FLOOD, operations=2, duplicates=1)
    assert together.states == alone.states
    assert together.valid is alone.valid is True
