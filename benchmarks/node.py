#!/usr/bin/env python3
"""What the node library costs: echo.py beside a bare loop that does the same without it.

- 100,000 requests are piped in at once; every one must be answered, once. The bare loop has
  Python's buffered stdout, so it writes 8 KB at a time, and could not answer a lone request.
- A lone request is sent when the one before has been answered. Here the bare loop flushes. All
  share one processor: to wake another one takes longer than all the rest, and may or may not
  happen.
- How long it takes to import the library, on top of the start of Python.

Runs of both alternate, so that what else the machine does hits both. Shown are medians; the ratio
is the median of that of each pair of runs. The times include the start of Python.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

REQUESTS = 100_000
ROUNDS = 15
PINGS = 10_000

ECHO = (sys.executable, str(Path(__file__).parents[1] / "echo.py"))
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
BARE = (sys.executable, "-c", BARE_LOOP)
SLOW = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE")
ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in SLOW}


def request(msg_id: int) -> bytes:
    body: dict[str, object] = {"type": "echo", "msg_id": msg_id, "echo": f"Please echo {msg_id}"}
    if msg_id == 0:
        body = {"type": "init", "msg_id": 0, "node_id": "n0", "node_ids": ["n0"]}
    message = {"id": msg_id, "src": "c1", "dest": "n0", "body": body}
    return json.dumps(message).encode() + b"\n"


def start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, bufsize=0, env=ENVIRONMENT)


def flood(command: Sequence[str], requests: bytes) -> float:
    """Seconds from the start of a node until it has answered everything and ended."""

    def feed() -> None:
        with process.stdin:  # type: ignore[union-attr]
            process.stdin.write(requests)  # type: ignore[union-attr]

    began = time.perf_counter()
    process = start(command)
    assert process.stdin is not None
    assert process.stdout is not None
    feeder = threading.Thread(target=feed)
    feeder.start()
    with process.stdout:
        answers = []
        while chunk := os.read(process.stdout.fileno(), 1 << 20):
            answers.append(chunk)
    status = process.wait()
    seconds = time.perf_counter() - began
    feeder.join()
    if status != 0:
        raise SystemExit(f"{command[-1]} ended with status {status}")
    check(b"".join(answers))
    return seconds


def check(output: bytes) -> None:
    """Exit unless every request has its answer, and one only."""
    expected = {msg_id: f"Please echo {msg_id}" for msg_id in range(1, REQUESTS + 1)}
    for line in output.splitlines()[1:]:
        body = json.loads(line)["body"]
        if expected.pop(body["in_reply_to"], None) != body["echo"]:
            raise SystemExit(f"a wrong answer, or a second one: {line!r}")
    if expected:
        raise SystemExit(f"{len(expected)} requests were not answered")


def ping(process: subprocess.Popen[bytes], line: bytes) -> float:
    """Seconds from a request to its answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    began = time.perf_counter()
    os.write(process.stdin.fileno(), line)
    os.read(process.stdout.fileno(), 1 << 16)
    return time.perf_counter() - began


def lone() -> list[tuple[float, float]]:
    """The seconds that each of many lone requests takes: to the bare loop, to echo.py."""
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(processors)})
    bare, echo = nodes = start((*BARE, "flush")), start(ECHO)
    times = [(ping(bare, line), ping(echo, line)) for line in map(request, range(PINGS))]
    for node in nodes:
        node.communicate()
    os.sched_setaffinity(0, processors)
    return times


def import_time() -> tuple[float, float]:
    """Seconds that Python takes to start, alone and with the library."""

    def run(source: str) -> float:
        began = time.perf_counter()
        folder = Path(ECHO[1]).parent
        subprocess.run([sys.executable, "-c", source], check=True, cwd=folder, env=ENVIRONMENT)
        return time.perf_counter() - began

    times = [(run("pass"), run("import maelstrom_node")) for _ in range(ROUNDS)]
    return min(alone for alone, _ in times), min(together for _, together in times)


def row(name: str, times: Sequence[tuple[float, float]], goal: float, unit: str) -> bool:
    """Print a line of the table; return whether the goal is reached."""
    bare, echo = (statistics.median(pair[i] for pair in times) for i in (0, 1))
    ratio = statistics.median(echo / bare for bare, echo in times)
    scale = 1e6 if unit == "µs" else 1
    figures = f"{bare * scale:>9.3g} {unit:<2}{echo * scale:>9.3g} {unit:<2}{ratio:8.2f}"
    reached = ratio <= goal
    print(f"{name:<22}{figures}{goal:>8}  {'reached' if reached else 'MISSED'}")
    return reached


def main() -> int:
    requests = b"".join(map(request, range(REQUESTS + 1)))
    floods = [(flood(BARE, requests), flood(ECHO, requests)) for _ in range(ROUNDS)]
    pings = lone()
    python, library = import_time()
    print(f"{'':<22}{'bare loop':>12}{'echo.py':>12}{'ratio':>8}{'goal':>8}")
    reached = row(f"{REQUESTS:,} requests", floods, 1.3, "s")
    reached &= row("a lone request", pings, 1.5, "µs")
    print(f"{'import':<22}{python * 1e3:>9.0f} ms{library * 1e3:>9.0f} ms")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
