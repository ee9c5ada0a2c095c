"""Code that never lets go of the interpreter is ended all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import threading

import pytest

from glomers import exits
from glomers.errors import NodeError
from glomers.simulated import seizing

STUCK = {
    "a sum in C": "sum(range(10**15))",
    "an endless iterator": "collections.deque(itertools.repeat(1), 0)",
    "a search in C": "re.match('(a*)*b', 'a' * 99)",
    "a loop that swallows everything": """
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
""",
}

NO_PERIOD = """
from maelstrom_node import Node
node = Node()
@node.every(1e-12)
def tick():
    pass
node.run()
"""


@pytest.fixture
def stuck(simulate, script, monkeypatch):
    """Make a cluster whose node has been asked for what never ends."""
    monkeypatch.setattr(exits, "must_leave_at_once", False)

    def make(code: str):
        nodes = simulate(
            script(f"""
import collections, itertools, re
from maelstrom_node import Node
node = Node()
@node.on("stick")
def stick(message):
    {code.strip()}
@node.on("echo")
def echo(message):
    return {{"type": "echo_ok"}}
node.run()
""")
        )
        nodes.deliver("c9", "n0", "stick")
        nodes.watchdog = 0.2
        return nodes

    return make


@pytest.mark.parametrize("code", STUCK.values(), ids=STUCK)
def test_the_watchdog_names_the_line_and_the_process_goes_on(stuck, simulate, tmp_path, code):
    with pytest.raises(NodeError, match=r"n0 has been running for 0.2 s of real time") as error:
        stuck(code).advance(1)
    assert "node.py:" in error.value.evidence[-1]
    assert " in stick: " in error.value.evidence[-1]
    for _ in range(20):
        answer = simulate(tmp_path / "node.py").request("n0", "echo")
        assert answer == {"type": "echo_ok", "in_reply_to": 1}


def test_ctrl_c_interrupts_it(stuck, simulate, script):
    nodes = stuck(STUCK["a sum in C"])
    nodes.watchdog = 1
    killer = subprocess.Popen(["/bin/sh", "-c", f"sleep 0.5; kill -INT {os.getpid()}"])
    with pytest.raises(KeyboardInterrupt):  # rather than the watchdog's error
        nodes.advance(1)
    killer.wait()
    # CPython must not go on looking for an exception that the thread will never take.
    standing = simulate(script(NO_PERIOD))
    with pytest.raises(NodeError, match="lets time stand still"):
        standing.advance(1)


def test_a_signal_that_nobody_took_stops_no_thread_of_the_next_run():
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGVTALRM])
    try:
        signal.pthread_kill(threading.get_ident(), signal.SIGVTALRM)
        assert signal.SIGVTALRM in signal.sigpending()
        with seizing.watched(threading.get_ident(), patience=60):
            assert signal.SIGVTALRM not in signal.sigpending()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
