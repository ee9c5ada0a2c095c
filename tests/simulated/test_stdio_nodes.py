"""Nodes that don't use the node library: they read standard input, and print to standard output."""

from __future__ import annotations

import gc
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from challenge_runs import ROOT, options
from hypothesis import given, settings
from hypothesis.strategies import booleans, integers, sampled_from

from glomers.errors import NodeError
from glomers.options import Options
from glomers.run.build import simulated_test
from glomers.run.single import run

# A node that answers "echo"; `lines()` are the lines of its input, `say(line)` prints one.
ECHO = """
import fileinput, io, json, os, queue, select, selectors, sys, threading, time
from concurrent.futures import ThreadPoolExecutor

def lines():
    return sys.stdin

def say(line):
    print(line, flush=True)

def answer(line):
    global me
    message = json.loads(line)
    body = message["body"]
    if body["type"] == "init":
        me = body["node_id"]
    reply = {**body, "type": body["type"] + "_ok", "in_reply_to": body["msg_id"]}
    return json.dumps({"src": me, "dest": message["src"], "body": reply})

def main():
    for line in lines():
        say(answer(line))
"""
MAIN = "\nmain()\n"

READS = {
    "for line in sys.stdin": "",
    "sys.stdin.readline": 'lines = lambda: iter(sys.stdin.readline, "")',
    "sys.stdin.buffer": "lines = lambda: sys.stdin.buffer",
    "sys.stdin.buffer.readline": 'lines = lambda: iter(sys.stdin.buffer.readline, b"")',
    "sys.__stdin__": "lines = lambda: sys.__stdin__",
    "input()": "lines = lambda: iter(input, None)",
    "open(0)": "lines = lambda: open(0)",
    "open(0, 'rb', 0)": "lines = lambda: open(0, 'rb', 0)",
    "open('/dev/stdin')": "lines = lambda: open('/dev/stdin')",
    "os.fdopen(0)": "lines = lambda: os.fdopen(0)",
    "os.fdopen(os.dup(0))": "lines = lambda: os.fdopen(os.dup(0))",
    "io.FileIO(0)": "lines = lambda: io.BufferedReader(io.FileIO(0))",
    "io.TextIOWrapper": "lines = lambda: io.TextIOWrapper(sys.stdin.buffer, 'utf-8')",
    "fileinput": "lines = lambda: fileinput.input([])",
    "os.read": """
def lines():
    rest = b""
    while chunk := os.read(0, 7):
        *whole, rest = (rest + chunk).split(b"\\n")
        yield from whole
""",
    "os.read without blocking": """
def lines():
    os.set_blocking(0, False)
    rest = b""
    while True:
        try:
            *whole, rest = (rest + os.read(sys.stdin.fileno(), 4096)).split(b"\\n")
            yield from whole
        except BlockingIOError:
            time.sleep(0.001)
""",
    "select": """
def lines():
    while True:
        ready, _, _ = select.select([sys.stdin], [], [], 0.1)
        if ready:
            yield sys.stdin.readline()
""",
    "poll": """
def lines():
    poll = select.poll()
    poll.register(0, select.POLLIN)
    while True:
        for _ in poll.poll(100):
            yield sys.stdin.readline()
""",
    "selectors": """
def lines():
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select(0.1):
            yield key.fileobj.readline()
""",
    "a reader thread": """
def lines():
    def read():
        for line in sys.stdin:
            taken.put(line)
    taken = queue.Queue()
    threading.Thread(target=read, daemon=True).start()
    return iter(taken.get, None)
""",
    "a pool": """
def main():
    with ThreadPoolExecutor(4) as pool:
        for line in sys.stdin:
            pool.submit(lambda line: say(answer(line)), line)
""",
}

PRINTS = {
    "sys.stdout.write": "def say(line): sys.stdout.write(line + '\\n'); sys.stdout.flush()",
    "sys.stdout.buffer": "def say(line):\n sys.stdout.buffer.write(line.encode() + b'\\n')\n"
    " sys.stdout.buffer.flush()",
    "os.write": "def say(line): os.write(1, line.encode() + b'\\n')",
    "in parts": "def say(line):\n for part in (line[:9], line[9:], '\\n'):\n"
    "  print(part, end='', flush=True)",
    "line buffering": "sys.stdout.reconfigure(line_buffering=True)\n"
    "def say(line): print(line)",
    "open(1, 'w', 1)": "out = open(1, 'w', 1)\ndef say(line): print(line, file=out)",
    "stdout moved away": "out = os.dup(1)\nos.dup2(2, 1)\nprint('starting', flush=True)\n"
    "def say(line): os.write(out, line.encode() + b'\\n')",
    "with a huge line": "def say(line): print(line.replace('\"body\": {', "
    "'\"body\": {\"pad\": \"' + 'x' * 100_000 + '\", '), flush=True)",
}  # fmt: skip


ASYNCIO = """
import asyncio, contextlib

async def handle(line):
    reply = json.loads(answer(line))
    body = reply["body"]
    if "what" in body:
        body["answer"] = await globals()[body["what"]]()
    say(json.dumps(reply))

async def serve(lines):
    tasks = set()
    async for line in lines():
        task = asyncio.create_task(handle(line))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

async def by_pipe():
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    async for line in reader:
        yield line

async def by_thread():
    while True:
        yield await asyncio.to_thread(sys.stdin.readline)

async def by_executor():
    with ThreadPoolExecutor(1) as pool:
        while True:
            yield await asyncio.get_running_loop().run_in_executor(pool, sys.stdin.readline)

async def by_reader():
    def read():
        nonlocal rest
        *lines, rest = (rest + os.read(0, 99)).split(b"\\n")
        for line in lines:
            taken.put_nowait(line)
    rest, taken = b"", asyncio.Queue()
    asyncio.get_running_loop().add_reader(0, read)
    while True:
        yield await taken.get()

async def by_fed_thread():
    def read():
        for line in sys.stdin:
            loop.call_soon_threadsafe(taken.put_nowait, line)
    loop, taken = asyncio.get_running_loop(), asyncio.Queue()
    threading.Thread(target=read, daemon=True).start()
    while True:
        yield await taken.get()
"""


@pytest.fixture(autouse=True)
def usual_environment(monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


@pytest.fixture
def echo(simulate, script):
    """A cluster of nodes that answer "echo", some of their code replaced."""

    def start(changed: str = "", nodes: int = 2, main: str = MAIN, **settings):
        return simulate(script(ECHO + changed + main), nodes, **settings)

    return start


def assert_echoes(nodes, values=("a", "ü", 3)):
    for value in values:
        assert nodes.request("n1", "echo", echo=value)["echo"] == value


@pytest.mark.parametrize("reading", READS.values(), ids=READS)
def test_a_node_may_read_its_standard_input_in_any_way(echo, reading):
    assert_echoes(echo(reading))


@pytest.mark.parametrize("printing", PRINTS.values(), ids=PRINTS)
def test_a_node_may_print_its_messages_in_any_way(echo, printing):
    assert_echoes(echo(printing))


def test_two_threads_that_read_share_the_messages(echo):
    """Python's buffer of bytes gives each line to one of them."""
    nodes = echo("""
def main():
    def work():
        for line in iter(sys.stdin.buffer.readline, b""):
            time.sleep(0.01)
            say(answer(line))
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
""")
    requests = [nodes.start_request("n0", "echo", echo=number) for number in range(5)]
    assert [request.result()["echo"] for request in requests] == list(range(5))
    assert nodes.now < 0.2  # two at a time


def test_what_was_read_ahead_is_not_there_for_select(echo):
    """A common mistake: who reads a line takes in more, of which select knows nothing."""
    nodes = echo(READS["select"])
    requests = [nodes.start_request("n0", "echo", echo=number) for number in range(2)]
    requests[0].result()
    with pytest.raises(TimeoutError):
        requests[1].result(timeout=5)


LOST = {
    "not flushed": (
        "print(line)",
        "It printed nothing to standard output. Is every line flushed?",
    ),
    "no newline": (
        "print(line, end='', flush=True)",
        "Its standard output ends with a line that has no newline, so it was never read:",
    ),
}


@pytest.mark.parametrize(("printing", "hint"), LOST.values(), ids=LOST)
def test_what_a_process_would_not_have_sent_is_not_sent(script, printing, hint):
    path = script(f"{ECHO}\ndef say(line): {printing}\n{MAIN}")
    results = simulated_test(Options("echo", str(path), nodes=("n0",), time_limit=1)).run()
    assert "did not answer init within 10 s" in results["error"]
    assert hint in results["error"]


@pytest.mark.parametrize("unbuffered", ["first line", "environment"])
def test_an_unbuffered_python_flushes_by_itself(simulate, script, monkeypatch, unbuffered):
    first = ""
    if unbuffered == "environment":
        monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    else:
        first = "#!/usr/bin/env -S python3 -u\n"
    source = f"{first}{ECHO}\ndef say(line): print(line)\n{MAIN}"
    assert_echoes(simulate(script(source), 2))


BREAKS = {
    "what is no JSON": ("print('starting', flush=True)", "a line that is not JSON"),
    "a message before init": (
        """print('{"src": "n0", "dest": "n1", "body": {}}', flush=True); main()""",
        "sent a message to 'n1', which does not exist. It had not been initialised yet",
    ),
    "a message from nobody": (
        """print('{"src": null, "dest": "n0", "body": {}}', flush=True); main()""",
        "sent a message whose `src` is null, which is no string",
    ),
    "the end": ("sys.exit(3)", "ended during the test: exit status 3"),
    "the end of a thread": ("threading.Thread(target=os._exit, args=[7]).start(); main()",
                            "ended during the test: exit status 7"),
    "the end in the middle of a line": ("print('half', end='')",
                                        "ended during the test: exit status 0"),
    "an exception": ("1 / 0", "ended during the test: exit status 1"),
    "a closed output": ("os.close(1); time.sleep(9)", "closed its standard output"),
}  # fmt: skip


@pytest.mark.parametrize(("main", "problem"), BREAKS.values(), ids=BREAKS)
def test_a_node_that_breaks_off_is_told_as_a_process_is(script, tmp_path, main, problem):
    path = script(f'#!/bin/sh\n"exec" "{sys.executable}" "$0" "$@"\n{ECHO}\n{main}\n')
    path.chmod(0o755)
    told = []
    for simulation in (True, False):
        test = Options("echo", str(path), nodes=("n0",), time_limit=1)
        results, _ = run(test, tmp_path / "store", None, simulation)
        assert results["valid?"] is False
        told.append(re.sub(r" \(its log: .*\)", "", results["error"]))
    assert problem in told[0]
    assert told[0] == told[1]


def test_a_node_that_never_reads_is_told_so(echo, monkeypatch):
    monkeypatch.setattr("glomers.simulated.nodes.MOST_UNREAD", 1 << 16)
    nodes = echo("""
def main():
    say(answer(sys.stdin.readline()))
    time.sleep(1000)
""")
    with pytest.raises(NodeError, match="does not read its standard input: 0 MiB wait for it"):
        nodes.request("n0", "echo", echo="x" * (1 << 16))


def test_messages_to_a_node_that_closed_its_input_are_lost(echo):
    nodes = echo("""
def main():
    say(answer(os.read(0, 4096)))
    os.close(0)
    time.sleep(1000)
""")
    with pytest.raises(TimeoutError):
        nodes.request("n0", "echo", echo=1, timeout=3)


# Faults, and the end


SOUND = {
    "a loop": (ECHO, MAIN),
    "a pool": (ECHO + READS["a pool"], MAIN),
    "asyncio": (ECHO + ASYNCIO, "\nasyncio.run(serve(by_pipe))\n"),
}


@pytest.mark.parametrize(("source", "main"), SOUND.values(), ids=SOUND)
def test_a_node_that_passes_as_a_process_passes_simulated(script, tmp_path, source, main):
    path = script(f'#!/bin/sh\n"exec" "{sys.executable}" "$0" "$@"\n{source}{main}')
    path.chmod(0o755)
    test = Options("echo", str(path), nodes=("n0",), time_limit=1)
    for simulation in (True, False):
        assert run(test, tmp_path / "store", None, simulation)[0]["valid?"] is True


def test_the_messages_of_a_paused_node_wait(echo):
    nodes = echo()
    nodes.pause("n0")
    request = nodes.start_request("n0", "echo", echo=1)
    nodes.advance(3)
    assert not request.done
    nodes.resume("n0")
    assert request.result()["echo"] == 1


def test_a_node_that_is_killed_while_it_reads_starts_anew(echo):
    nodes = echo("""
count = 0
def answer(line, old=answer):
    global count
    count += 1
    return old(line).replace('"msg_id": ', f'"count": {count}, "msg_id": ', 1)
""")
    assert nodes.request("n0", "echo", echo=1)["count"] == 2
    nodes.restart("n0")
    assert nodes.request("n0", "echo", echo=1)["count"] == 2


def test_a_parked_read_ends_with_the_test_and_nothing_that_follows_it_counts(echo):
    nodes = echo(
        """
seen = []
def main():
    try:
        for line in sys.stdin:
            say(answer(line))
        seen.append("no test has an end of input")
    except Exception:
        print("nonsense", flush=True)
    finally:
        seen.append("finally")
""",
        nodes=1,
    )
    script = nodes["n0"]
    nodes.close()
    assert script.seen == ["finally"]


def test_messages_that_came_before_node_run_are_handled(simulate, script):
    nodes = simulate(
        script("""
import time
from maelstrom_node import Node
node = Node()
@node.on("echo")
def echo(message):
    return {"type": "echo_ok", "echo": message.body["echo"]}
time.sleep(1)
node.run()
"""),
        2,
    )
    assert_echoes(nodes)


# concurrent.futures

FUTURES = {
    "list(pool.map(lambda x: time.sleep(1) or x * x, range(6)))": [0, 1, 4, 9, 16, 25],
    "pool.submit(lambda: 7).result()": 7,
    "attempt(pool.submit(lambda: 1 / 0).result)": "ZeroDivisionError",
    "attempt(pool.submit(time.sleep, 9).result, 1)": "TimeoutError",
    "attempt(list, pool.map(time.sleep, [9], timeout=1))": "TimeoutError",
    "[f.result() for f in as_completed([pool.submit(nap, s) for s in (3, 1, 2)])]": [1, 2, 3],
    "[len(part) for part in wait([pool.submit(nap, s) for s in (1, 5)], 3)]": [1, 1],
    "[len(p) for p in wait([pool.submit(nap, s) for s in (1, 5)], None, FIRST_COMPLETED)]": [1, 1],
    "[[pool.submit(nap, 9) for _ in range(3)], pool.submit(nap, 1).cancel()][1]": True,
    "attempt(ProcessPoolExecutor)": "OSError",
    "time.sleep(0.5) or round(time.time() % 1, 3)": None,
}


def test_futures_take_virtual_time(echo):
    nodes = echo("""
from concurrent.futures import *
from concurrent.futures import ProcessPoolExecutor

def nap(seconds):
    time.sleep(seconds)
    return seconds

def attempt(function, *args):
    try:
        return function(*args)
    except Exception as error:
        return type(error).__name__

def answer(line, old=answer):
    reply = json.loads(old(line))
    what = reply["body"].get("what")
    if what:
        with ThreadPoolExecutor(3) as pool:
            reply["body"]["answer"] = eval(what, globals() | {"pool": pool})
    return json.dumps(reply)
""")
    for what, expected in FUTURES.items():
        said = nodes.request("n0", "ask", what=what, timeout=100)["answer"]
        assert said == expected or expected is None


# The node library as a module of the node's own


@pytest.fixture(scope="module")
def own_library(tmp_path_factory):
    """A folder with the scripts of all challenges, and another version of the node library."""
    folder = tmp_path_factory.mktemp("own")
    text = (ROOT / "maelstrom_node.py").read_text()
    (folder / "maelstrom_node.py").write_text(f"{text}\n# mine\n")
    for name in ("echo", "unique_ids", "broadcast", "counter", "kafka", "txn"):
        shutil.copy(ROOT / f"{name}.py", folder)
    return folder


RUNS = {
    "1": {"time_limit": 2},
    "2": {"time_limit": 1, "rate": 100},
    "3c": {"time_limit": 5},
    "4": {"time_limit": 2, "rate": 50},
    "5c": {"time_limit": 1, "rate": 100},
    "6c": {"time_limit": 1, "rate": 100},
}


@given(
    challenge=sampled_from(sorted(RUNS)),
    seed=integers(0, 1 << 20),
    hard=booleans(),
    preempt=sampled_from([0.0, 0.01, 0.1]),
)
@settings(max_examples=25)
def test_the_librarys_own_threads_solve_the_challenges_in_every_schedule(
    own_library, challenge, seed, hard, preempt
):
    test = options(challenge, seed=seed, hard=hard, preempt=preempt, **RUNS[challenge])
    test = replace(test, bin=str(own_library / Path(test.bin).name))
    results = simulated_test(test).run()
    assert results["valid?"] is True
    assert "warnings" not in results  # of requests that were answered twice, for example


def test_the_librarys_own_threads_give_the_same_run_from_the_same_seed(own_library):
    test = replace(options("3c", hard=True), bin=str(own_library / "broadcast.py"))
    first, second = (simulated_test(test) for _ in range(2))
    first.run()
    second.run()
    assert first.recorder.operations == second.recorder.operations
    assert len(first.recorder.operations) > 100


def test_a_script_that_makes_the_usual_runtime_itself_runs_on_its_own_threads(simulate, script):
    nodes = simulate(
        script("""
import threading
from maelstrom_node import Node, StdioRuntime
node = Node(StdioRuntime())
@node.on("echo")
def echo(message):
    return {"type": "echo_ok", "echo": threading.current_thread().name}
node.run()
"""),
        2,
    )
    assert nodes.request("n1", "echo")["echo"] == "handler_0"


# asyncio


@pytest.mark.parametrize("lines", ["pipe", "thread", "executor", "reader", "fed_thread"])
def test_an_asyncio_node_may_read_its_standard_input_in_any_way(echo, lines):
    assert_echoes(echo(ASYNCIO, main=f"\nasyncio.run(serve(by_{lines}))\n"))


AWAITED = {
    "sleep": ("await asyncio.sleep(2); return round(time.monotonic() - began, 2)", 2.0),
    "wait_for": (
        "with contextlib.suppress(asyncio.TimeoutError):\n"
        "        await asyncio.wait_for(asyncio.sleep(9), 1)\n"
        "    return round(time.monotonic() - began, 2)",
        1.0,
    ),
    "gather": ("return await asyncio.gather(*(asyncio.sleep(n, n) for n in (2, 1)))", [2, 1]),
    "lock": (
        "lock = asyncio.Lock()\n"
        "    async def hold():\n"
        "        async with lock: await asyncio.sleep(1)\n"
        "    await asyncio.gather(hold(), hold())\n"
        "    return round(time.monotonic() - began, 2)",
        2.0,
    ),
    "queue": (
        "taken = asyncio.Queue()\n"
        "    asyncio.get_running_loop().call_later(1, taken.put_nowait, 7)\n"
        "    return await taken.get()",
        7,
    ),
    "threads": (
        "naps = [asyncio.to_thread(time.sleep, 1) for _ in range(3)]\n"
        "    await asyncio.gather(*naps); return round(time.monotonic() - began, 2)",
        1.0,
    ),
    "yielding": ("for _ in range(50): await asyncio.sleep(0)\n    return 1", 1),
    "generators": (
        "async def numbers():\n"
        "        for n in range(9): await asyncio.sleep(1); yield n\n"
        "    async for n in numbers():\n"
        "        if n == 3: return n",
        3,
    ),
    "signals": (
        "import signal\n"
        "    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, sys.exit)\n"
        "    return 1",
        1,
    ),
    "sockets": (
        "try: await asyncio.open_connection('localhost', 1)\n"
        "    except OSError as error: return str(error)",
        "socket.getaddrinfo can't be simulated: a node talks by its messages only",
    ),
    "processes": (
        "try: await asyncio.create_subprocess_exec('true')\n"
        "    except OSError as error: return str(error)",
        "subprocess.Popen can't be simulated: a simulated node has no process",
    ),
}


def test_what_asyncio_nodes_await_takes_virtual_time(echo):
    functions = "".join(
        f"\nasync def {name}():\n    began = time.monotonic()\n    {code}\n"
        for name, (code, _) in AWAITED.items()
    )
    nodes = echo(f"{ASYNCIO}\n{functions}", main="\nasyncio.run(serve(by_pipe))\n")
    said = {
        name: nodes.request("n0", "ask", what=name, timeout=20).get("answer") for name in AWAITED
    }
    assert said == {name: expected for name, (_, expected) in AWAITED.items()}


def test_asyncio_nodes_are_restarted_and_paused_as_others_are(echo):
    nodes = echo(ASYNCIO, main="\nasyncio.run(serve(by_pipe))\n")
    nodes.pause("n0")
    request = nodes.start_request("n0", "echo", echo=1)
    nodes.advance(3)
    nodes.resume("n0")
    assert request.result()["echo"] == 1
    nodes.restart("n1")
    assert_echoes(nodes)


@pytest.mark.parametrize("what", ["asyncio.sleep(9)", "asyncio.to_thread(time.sleep, 9)"])
def test_nothing_of_a_node_complains_after_the_test(echo, capfd, what):
    unfinished = f"\nasync def wait():\n    await {what}\n"
    nodes = echo(ASYNCIO + unfinished, main="\nasyncio.run(serve(by_pipe))\n")
    nodes.start_request("n0", "ask", what="wait")
    nodes.advance(1)
    nodes.abandon()
    del nodes
    gc.collect()
    assert capfd.readouterr() == ("", "")


def test_an_asyncio_node_that_never_waits_is_ended(echo):
    """It lets time stand still: the watchdog isn't needed."""
    spinning = """
async def spin():
    while True:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            pass
"""
    nodes = echo(ASYNCIO + spinning, main="\nasyncio.run(serve(by_pipe))\n")
    with pytest.raises(NodeError, match="lets time stand still"):
        nodes.request("n0", "ask", what="spin")
