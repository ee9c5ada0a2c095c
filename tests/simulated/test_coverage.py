"""Which lines of the nodes' own code have run, and which no seed of a sweep reached."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace

import pytest

from glomers.cli import main
from glomers.options import Options
from glomers.run.sweep import run_seed
from glomers.simulated.coverage import TOOL, Coverage, missing

needs_monitoring = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="sys.monitoring is there from Python 3.12 on"
)

NODE = '''"""A node."""
import logging
from functools import lru_cache
from maelstrom_node import Node

import beside

node = Node()
biggest = 0


def unused(
    one,
    other,
):
    """Nobody calls it."""
    # It says nothing.

    return one


@lru_cache
def double(n):
    if n > 10**9:
        return 0
    return [
        2 * each
        for each in [n]
        if each or unused(1, 2)
    ][0]


@node.on("echo")
def echo(message):
    try:
        value = beside.check(message.body["echo"])
    except ValueError:
        value = None
    else:
        double(3)
    while True:
        if value:
            break
        raise KeyError
    key = (lambda: 1 /
        0)
    return {"type": "echo_ok", "echo": value}


class Never:
    here = 1

    def method(self):
        pass


node.run()
'''
BESIDE = """
def check(value):
    if not value:
        raise ValueError
    return value
"""


@pytest.fixture
def options(script):
    script(BESIDE, "beside.py")
    return Options("echo", str(script(NODE)), nodes=("n0",), concurrency=1, time_limit=1)


@needs_monitoring
def test_lines_that_no_seed_ran_are_told_as_ranges_over_what_is_no_code(options):
    told = dict(missing(run_seed(options).lines))
    (script, ranges), (beside, others) = sorted(told.items(), reverse=True)
    assert script == options.bin
    assert ranges == "19, 25, 37-38, 44, 46, 54"
    assert beside.endswith("beside.py")
    assert others == "4"


@needs_monitoring
def test_only_the_nodes_own_code_is_watched(options):
    lines = run_seed(options).lines
    assert sorted(file.rpartition("/")[2] for file in lines) == ["beside.py", "node.py"]


@needs_monitoring
def test_each_seed_tells_all_lines_that_it_ran(options):
    first, second = run_seed(options), run_seed(options)
    assert first.lines == second.lines


@needs_monitoring
def test_a_line_costs_something_once_only(options, monkeypatch):
    calls = Counter()
    ran = Coverage._ran

    def count(self, code, line):
        calls[longer] += 1
        return ran(self, code, line)

    monkeypatch.setattr(Coverage, "_ran", count)
    for longer in False, True:
        run_seed(replace(options, time_limit=10 if longer else 1))
    assert calls[True] == calls[False] > 20


@needs_monitoring
def test_nothing_is_watched_afterwards(options):
    run_seed(options)
    assert TOOL not in map(sys.monitoring.get_tool, range(6))


@needs_monitoring
def test_another_tool_keeps_its_place(options):
    taken = sys.monitoring.get_tool(1) is None
    if taken:
        sys.monitoring.use_tool_id(1, "another")
    before = sys.monitoring.get_tool(1)
    try:
        assert run_seed(options).lines
        assert sys.monitoring.get_tool(1) == before
    finally:
        if taken:
            sys.monitoring.free_tool_id(1)


@needs_monitoring
def test_lines_are_told_while_threads_lose_their_turns(options):
    with_turns = run_seed(replace(options, preempt=0.05))
    assert with_turns.lines == run_seed(options).lines


@needs_monitoring
def test_a_sweep_tells_what_no_seed_reached(options, capsys):
    command = ["sweep", "-w", "echo", "--bin", options.bin, "--node-count", "1"]
    assert main([*command, "--time-limit", "1", "--seeds", "0..1"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "Never run by any seed:" in told
    assert "beside.py:4; " in told
    assert told.endswith("node.py:19, 25, 37-38, 44, 46, 54")


@needs_monitoring
def test_a_sweep_tells_that_all_was_reached(script, capsys):
    node = script(
        "from maelstrom_node import Node\nnode = Node()\nnode.on('echo')("
        "lambda message: {'type': 'echo_ok', 'echo': message.body['echo']})\nnode.run()"
    )
    command = ["sweep", "-w", "echo", "--bin", str(node), "--node-count", "1"]
    assert main([*command, "--time-limit", "1", "--seeds", "0"]) == 0
    assert "node.py was run by some seed." in " ".join(capsys.readouterr().out.split())


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this Python can tell")
def test_an_older_python_says_nothing(options, capsys):
    assert run_seed(options).lines is None
    command = ["sweep", "-w", "echo", "--bin", options.bin, "--node-count", "1"]
    assert main([*command, "--time-limit", "1", "--seeds", "0"]) == 0
    assert "seed:" not in capsys.readouterr().out
