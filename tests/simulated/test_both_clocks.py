"""The same scripts as processes and simulated: where the two share a rule, they behave the same.

To start a process takes a while, so one script answers all questions, and one process each shows
how scripts end.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import uuid
from pathlib import Path

import pytest
from stage import ROOT, init, message, process

from glomers.options import Options
from glomers.run.single import run
from glomers.testing import RequestError, simulated

# The second line is a string to Python, and to the shell a command: see test_process.py.
HEAD = f"""#!/bin/sh
"exec" "{sys.executable}" "$0" "$@"
import os, sys, time, queue, threading, random, uuid
from maelstrom_node import Node, RPCError
node = Node()
"""

SCRIPT = """
import importlib, logging, pickle
from dataclasses import dataclass
from pathlib import Path
import beside, package.inner
from package import sibling

STARTED_IN = os.getcwd()

@dataclass
class Point:
    x: int

@node.on("ask")
def ask(message):
    return {"type": "ask_ok", "answer": globals()[message.body["what"]]()}

@node.on("nonsense")
def nonsense(message):
    return 5

def attempt(function, *args):
    try:
        return function(*args)
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def in_a_thread(function, *args):
    said = []
    thread = threading.Thread(target=lambda: said.append(attempt(function, *args)))
    thread.start()
    thread.join()
    return said
"""

# What a function of the script returns, or the code of the error that answers instead.
QUESTIONS = {
    "return sys.argv[1:]": ["--flag", "a value"],
    "return __name__": "__main__",
    "return [Path(__file__).with_name('data').read_text(), beside.value]": ["some data", 1],
    "return [package.inner.name, sibling.name]": ["package.inner", "package.sibling"],
    "return importlib.import_module('.sibling', 'package') is sibling": True,
    "return attempt(importlib.import_module, 'nothing')": (
        "ModuleNotFoundError: No module named 'nothing'"
    ),
    "return pickle.loads(pickle.dumps(Point(3))).x": 3,
    "return sys.modules['__main__'].Point is Point": True,
    "return STARTED_IN": os.path.realpath(tempfile.gettempdir()),
    "os.chdir(Path(__file__).parent); return Path('data').read_text()": "some data",
    "os.environ['COLOUR'] = 'red'; return os.path.expandvars('$COLOUR')": "red",
    "return attempt(os.environ.__setitem__, 'COLOUR', 1)": "TypeError: str expected, not int",
    "raise ValueError('no')": 13,
    "raise RPCError(14, 'no')": 14,
    "sys.exit(3)": 13,
    "return {1, 2}": 13,
    "return attempt(queue.Queue().get, True, 0.01)": "Empty: ",
    "return attempt(threading.Lock().release)": "RuntimeError: release unlocked lock",
    "return in_a_thread(lambda: 7)": [7],
    "return in_a_thread(sys.exit)": [],
    "threading.Thread(target=lambda: 1 / 0).start()": None,
    "node.spawn(sys.exit)": None,
    "b = time.monotonic(); time.sleep(0.003); return time.monotonic() - b >= 0.003": True,
    "e = threading.Event(); return [e.wait(0.001), e.wait(0)]": [False, False],
    "b = threading.Barrier(2); threading.Thread(target=b.wait).start(); return b.wait(5) < 2": True,
    "return random.Random(5).random()": random.Random(5).random(),
    "return str(uuid.uuid5(uuid.NAMESPACE_URL, 'x'))": str(uuid.uuid5(uuid.NAMESPACE_URL, "x")),
    "print('for the log'); logging.warning('so is this')": None,
    "return [threading.main_thread().name, threading.current_thread().name == 'x']": [
        "MainThread",
        False,
    ],
}


@pytest.fixture
def folder(tmp_path):
    """A folder with the node library, a module, a package and a file."""
    shutil.copy(ROOT / "maelstrom_node.py", tmp_path)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "inner.py").write_text("from . import sibling\nname = __name__")
    (tmp_path / "package" / "sibling.py").write_text("name = __name__")
    (tmp_path / "beside.py").write_text("value = 1")
    (tmp_path / "data").write_text("some data")
    return tmp_path


def write(folder: Path, source: str) -> Path:
    script = folder / "node.py"
    script.write_text(f"{HEAD}{source}\nnode.run()\n")
    script.chmod(0o755)
    return script


def test_a_script_gives_the_same_answers_as_a_process_and_simulated(folder):
    functions = [
        f"def q{n}():\n    {code.replace('; ', chr(10) + '    ')}\n"
        for n, code in enumerate(QUESTIONS)
    ]
    source = SCRIPT + "\n".join(functions)
    script = write(folder, source)
    requests = [{"type": "ask", "what": f"q{n}"} for n in range(len(QUESTIONS))]
    requests += [{"type": "nonsense"}, {"type": "unheard of"}, {"type": "ask"}]
    expected = [*QUESTIONS.values(), 13, 10, 13]

    def outcome(body):
        return body["code"] if body["type"] == "error" else body.get("answer")

    def ask(cluster, request):
        try:
            return outcome(cluster.request("n1", **request))
        except RequestError as error:
            return error.code

    arguments = ["--flag", "a value"]
    with simulated(script, ["n1"], args=arguments) as cluster, cluster.expect_exception("n1"):
        assert [ask(cluster, request) for request in requests] == expected

    real = []
    with process(script, *arguments, folder=Path(tempfile.gettempdir())) as node:
        node.put(init("n1", ("n1",)))
        assert node.next()["body"]["type"] == "init_ok"
        for request in requests:
            node.put(message("c1", "n1", msg_id=1, **request))
            real.append(outcome(node.next()["body"]))
        _, status, log = node.end()
    assert real == expected
    assert status == 0
    assert "for the log" in log


ENDINGS = {
    "sys.exit at the top": ("sys.exit(3)", "exit status 3"),
    "sys.exit with a text": ("sys.exit('out of cheese')", "exit status 1"),
    "an exception at the top": ("1 / 0", "exit status 1"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", "killed by SIGINT"),
    "a mistake of syntax": ("x = = 1", "exit status 1"),
    "the end, after its threads": (
        "threading.Thread(target=time.sleep, args=[0.01]).start(); sys.exit(5)",
        "exit status 5",
    ),
    "a print before run": ("print('starting', flush=True)", "not JSON"),
    "a message to nobody": (
        "@node.on('init')\ndef init(message):\n    node.send('n77', {'type': 'hello'})",
        "'n77', which does not exist",
    ),
}


@pytest.mark.parametrize(("ending", "told"), ENDINGS.values(), ids=ENDINGS)
def test_a_script_ends_in_the_same_way_as_a_process_and_simulated(folder, ending, told):
    script = write(folder, ending)
    options = Options("echo", str(script), nodes=("n0",), time_limit=1)
    problems = set()
    for simulation in (False, True):
        results, _ = run(options, folder / "store", None, simulation)
        assert results["valid?"] is False
        problems.add(results["error"].splitlines()[0])
    (problem,) = problems
    assert told in problem
