#!/usr/bin/env python3
"""The cost of the node library: echo.py beside a bare loop that does the same without it.

- 100,000 requests are piped in at once; every one must be answered, once. The bare loop has
  Python's buffered stdout, so it writes 8 KB at a time, and could not answer a lone request.
- A lone request is sent when the one before has been answered. Here the bare loop flushes. All
  share one processor: to wake another one takes longer than all the rest, and may or may not
  happen.
- A handler calls `rpc`, and gets its answer at once.
- A thousand handlers wait in a `threading.Condition` until the next request comes; the time is
  that from this request to the last answer. No bare loop can do that.
- How long it takes to import the library, on top of the start of Python.

Runs alternate, so that other work of the machine hits all of them. The times shown are medians; the
ratio is the median of the ratios of all pairs of runs. The times include the start of Python,
except for the lone request and the lines after it.

With `--beside FOLDER`, the library in that folder is measured as well, and the ratio is to that. So
two versions can be compared; `git worktree add ../before COMMIT` makes such a folder.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

REQUESTS = 100_000
ROUNDS = 15
PINGS = 10_000
MEETINGS = 10

LONGEST_FLOOD = 1.4  # of the time of the bare loop
LONGEST_PING = 60e-6  # seconds

ROOT = Path(__file__).resolve().parents[1]
BARE_LOOP = """
import sys, ujson
flush = len(sys.argv) > 1
for line in sys.stdin:
    message = ujson.loads(line)
    body = message["body"]
    if body["type"] == "init":
        id = body["node_id"]
        reply = {"type": "init_ok", "in_reply_to": body["msg_id"]}
    else:
        reply = {"type": "echo_ok", "echo": body["echo"], "in_reply_to": body["msg_id"]}
    sys.stdout.write(ujson.dumps({"src": id, "dest": message["src"], "body": reply}) + "\\n")
    if flush:
        sys.stdout.flush()
"""
NODE = """
import threading
from maelstrom_node import Node

node = Node()
meeting = threading.Condition()
here = 0

@node.on("echo")
def echo(message):
    return {"type": "echo_ok", "echo": message.body["echo"]}

@node.on("ask")
def ask(message):
    return node.rpc("n1", {"type": "read"}, timeout=60)

@node.on("meet")
def meet(message):
    global here
    with meeting:
        here += 1
        if message.body["last"]:
            here = 0
            meeting.notify_all()
        else:
            meeting.wait(60)
    return {"type": "meet_ok"}

@node.on("count")
def count(message):
    return {"type": "count_ok", "here": here}

node.run()
"""
MANY = 1000  # handlers that wait

Command = tuple[str, ...]
BARE: Command = (sys.executable, "-c", BARE_LOOP)
SLOW = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE")
ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in SLOW}


def node(folder: Path) -> Command:
    """The command of a node on the library in a folder."""
    return (sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r}){NODE}")


def line(type: str, msg_id: int, **fields: object) -> bytes:
    body = {"type": type, "msg_id": msg_id, **fields}
    return json.dumps({"id": msg_id, "src": "c1", "dest": "n0", "body": body}).encode() + b"\n"


def request(msg_id: int) -> bytes:
    """The requests of a node's life: init, then echo."""
    if msg_id == 0:
        return line("init", 0, node_id="n0", node_ids=["n0"])
    return line("echo", msg_id, echo=f"Please echo {msg_id}")


class Process:
    """A node, and how to talk to it."""

    def __init__(self, command: Sequence[str]) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, bufsize=0, env=ENVIRONMENT
        )
        assert self._process.stdin
        assert self._process.stdout
        self._stdin, self._stdout = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._rest = b""

    def put(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._stdin, data) :]

    def next(self) -> bytes:
        """The next line that it prints, as soon as it is there."""
        while b"\n" not in self._rest:
            chunk = os.read(self._stdout, 1 << 16)
            if not chunk:
                raise SystemExit("a node ended during the benchmark")
            self._rest += chunk
        answer, _, self._rest = self._rest.partition(b"\n")
        return answer

    def ask(self, data: bytes) -> bytes:
        self.put(data)
        return self.next()

    def flood(self, data: bytes) -> bytes:
        """Put in what there is, read all that comes out, and let it end."""

        def feed() -> None:
            self.put(data)
            self._close_stdin()

        feeder = threading.Thread(target=feed)
        feeder.start()
        answers = []
        while chunk := os.read(self._stdout, 1 << 20):
            answers.append(chunk)
        feeder.join()
        self._end()
        return b"".join(answers)

    def end(self) -> None:
        self._close_stdin()
        self._end()

    def _close_stdin(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()

    def _end(self) -> None:
        assert self._process.stdout
        self._process.stdout.close()
        if self._process.wait() != 0:
            raise SystemExit(f"a node ended with status {self._process.returncode}")


Times = list[list[float]]  # a row per round, in it the seconds of each command
Play = Callable[[Process, int], float]  # what is done with a node in a round: how long it takes


def floods(commands: Sequence[Command]) -> Times:
    """The seconds from the start of a node until it has answered everything and ended."""
    requests = b"".join(map(request, range(REQUESTS + 1)))

    def flood(command: Command) -> float:
        began = time.perf_counter()
        output = Process(command).flood(requests)
        seconds = time.perf_counter() - began
        check(output)
        return seconds

    return [[flood(command) for command in commands] for _ in range(ROUNDS)]


def check(output: bytes) -> None:
    """Exit unless every request has its answer, and one only."""
    expected = {msg_id: f"Please echo {msg_id}" for msg_id in range(1, REQUESTS + 1)}
    for answer in output.splitlines():
        body = json.loads(answer)["body"]
        if body["type"] != "init_ok" and expected.pop(body["in_reply_to"], None) != body["echo"]:
            raise SystemExit(f"a wrong answer, or a second one: {answer!r}")
    if expected:
        raise SystemExit(f"{len(expected)} requests were not answered")


def in_turn(commands: Sequence[Command], rounds: int, play: Play) -> Times:
    """What `play` returns in each round for each node, which have been initialised."""
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(processors)})
    nodes = [Process(command) for command in commands]
    for node in nodes:
        node.ask(request(0))
    times = [[play(node, number) for node in nodes] for number in range(1, rounds + 1)]
    for node in nodes:
        node.end()
    os.sched_setaffinity(0, processors)
    return times


def ping(node: Process, number: int) -> float:
    """Seconds from a lone request to its answer."""
    asked = request(number)
    began = time.perf_counter()
    node.ask(asked)
    return time.perf_counter() - began


def rpc(node: Process, number: int) -> float:
    """Seconds from a request to its answer, if the handler asks another node in between."""
    asked = line("ask", number)
    began = time.perf_counter()
    msg_id = json.loads(node.ask(asked))["body"]["msg_id"]
    body = {"type": "read_ok", "in_reply_to": msg_id}
    node.ask(json.dumps({"src": "n1", "dest": "n0", "body": body}).encode() + b"\n")
    return time.perf_counter() - began


def meet(node: Process, number: int) -> float:
    """Seconds until all answers are there when many handlers have waited for one request."""
    node.put(b"".join(line("meet", id, last=False) for id in range(MANY)))
    while json.loads(node.ask(line("count", 0)))["body"]["here"] < MANY:
        pass
    began = time.perf_counter()
    node.put(line("meet", MANY, last=True))
    for _ in range(MANY + 1):
        node.next()
    return time.perf_counter() - began


def imports(folders: Sequence[Path]) -> Times:
    """Seconds that Python takes to start, alone and with each library."""

    def run(source: str, folder: Path) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", source], check=True, cwd=folder, env=ENVIRONMENT)
        return time.perf_counter() - began

    return [
        [run("pass", ROOT), *(run("import maelstrom_node", folder) for folder in folders)]
        for _ in range(ROUNDS)
    ]


def show(name: str, times: Times, columns: Sequence[str], unit: str, goal: str = "") -> None:
    """Print a line of the table."""
    scale = {"s": 1.0, "ms": 1e3, "µs": 1e6}[unit]
    cells = dict.fromkeys(("bare loop", "before", "here"), "")
    for number, column in enumerate(columns):
        cells[column] = f"{statistics.median(row[number] for row in times) * scale:.3g} {unit}"
    ratio = f"{median_ratio(times, len(columns) - 2):.2f}" if len(columns) > 1 else ""
    against = f"to {columns[-2]}" if len(columns) > 1 else ""
    print(f"{name:<34}" + "".join(f"{cell:>12}" for cell in cells.values()), end="")
    print(f"{ratio:>8} {against:<13}{goal}")


def median_ratio(times: Times, number: int) -> float:
    """The last command's time as a multiple of that of another."""
    return statistics.median(row[-1] / row[number] for row in times)


def main() -> int:
    parser = argparse.ArgumentParser(description="What the node library costs.")
    parser.add_argument("--beside", type=Path, metavar="FOLDER", help="another library to measure")
    before = parser.parse_args().beside
    folders = [*([before.resolve()] if before else []), ROOT]
    nodes = [node(folder) for folder in folders]
    names = ["before", "here"][-len(nodes) :]

    flooded = floods([BARE, *nodes])
    pinged = in_turn([(*BARE, "flush"), *nodes], PINGS, ping)
    print(f"{'':<34}{'bare loop':>12}{'before':>12}{'here':>12}{'ratio':>8}")
    ratio = median_ratio(flooded, 0)
    reached = ratio <= LONGEST_FLOOD
    beside = f"{ratio:.2f} to bare loop " if before else ""  # or else it is the row's own ratio
    goal = f"{beside}goal {LONGEST_FLOOD}: {word(reached)}"
    show(f"{REQUESTS:,} requests", flooded, ["bare loop", *names], "s", goal)
    quick = statistics.median(row[-1] for row in pinged) <= LONGEST_PING
    goal = f"goal {LONGEST_PING * 1e6:.0f} µs: {word(quick)}"
    show("a lone request", pinged, ["bare loop", *names], "µs", goal)
    show("a request whose handler calls rpc", in_turn(nodes, PINGS // 2, rpc), names, "µs")
    # An older library need not be able to do this.
    show(f"{MANY:,} handlers that wait", in_turn(nodes[-1:], MEETINGS, meet), ["here"], "ms")
    show("import", imports(folders), ["bare loop", *names], "ms")
    return 0 if reached and quick else 1


def word(reached: bool) -> str:
    return "reached" if reached else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
