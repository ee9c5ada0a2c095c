#!/usr/bin/env python3
"""What the node library costs: echo.py beside a bare loop that does the same without it.

- 100,000 requests are piped in at once; every one must be answered, once. The bare loop has
  Python's buffered stdout, so it writes 8 KB at a time, and could not answer a lone request.
- A lone request is sent when the one before has been answered. Here the bare loop flushes.
- How long it takes to import the library, on top of the start of Python.

Runs of both alternate, so that what else the machine does hits both. The ratios are what counts.
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
ROUNDS = 7
PINGS = 500  # per round

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


def ping(process: subprocess.Popen[bytes], requests: Sequence[bytes]) -> float:
    """The median of the seconds from a request to its answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    to, back = process.stdin.fileno(), process.stdout.fileno()
    times = []
    for line in requests:
        began = time.perf_counter()
        os.write(to, line)
        os.read(back, 1 << 16)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def lone() -> list[tuple[float, float]]:
    """For each round, the seconds that a lone request takes: to the bare loop, to echo.py."""
    nodes = start((*BARE, "flush")), start(ECHO)
    init, *requests = [request(msg_id) for msg_id in range(PINGS + 1)]
    for node in nodes:
        ping(node, [init, *requests])  # warm up
    times = [(ping(nodes[0], requests), ping(nodes[1], requests)) for _ in range(ROUNDS)]
    for node in nodes:
        node.communicate()
    return times


def import_time() -> tuple[float, float]:
    """Seconds that Python takes to start, alone and with the library."""

    def run(source: str) -> float:
        began = time.perf_counter()
        folder = Path(ECHO[1]).parent
        subprocess.run([sys.executable, "-c", source], check=True, cwd=folder, env=ENVIRONMENT)
        return time.perf_counter() - began

    times = [(run("pass"), run("import maelstrom_node")) for _ in range(ROUNDS)]
    alone, together = zip(*times)
    return min(alone), min(together)


def row(
    name: str, times: Sequence[tuple[float, float]], goal: float, unit: float, form: str
) -> bool:
    """Print a line of the table; return whether the goal is reached."""
    bare, echo = (statistics.median(each) for each in zip(*times))
    ratio = statistics.median(echo / bare for bare, echo in times)
    reached = ratio <= goal
    figures = f"{form.format(bare / unit):>12}{form.format(echo / unit):>12}{ratio:8.2f}"
    print(f"{name:<22}{figures}{goal:>8}  {'reached' if reached else 'MISSED'}")
    return reached


def main() -> int:
    requests = b"".join(map(request, range(REQUESTS + 1)))
    floods = [(flood(BARE, requests), flood(ECHO, requests)) for _ in range(ROUNDS)]
    pings = lone()
    python, library = import_time()
    print(f"{'':<22}{'bare loop':>12}{'echo.py':>12}{'ratio':>8}{'goal':>8}")
    reached = row(f"{REQUESTS:,} requests", floods, 1.3, 1, "{:.3f} s")
    reached &= row("a lone request", pings, 1.5, 1e-6, "{:.1f} µs")
    print(f"{'import':<22}{python * 1e3:>9.0f} ms{library * 1e3:>9.0f} ms")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
