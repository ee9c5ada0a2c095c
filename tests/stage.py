"""Stages on which tests let a node play.

`Stage`: the node in this thread, on a runtime whose time is virtual and whose other nodes are
functions. `Pipes`: the node on its real runtime, in this process, behind two pipes. `Process`: a
script as a process of its own. All speak in the same verbs, and silence can be asserted.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import maelstrom_node
from maelstrom_node import Body, Node

ROOT = Path(maelstrom_node.__file__).parent
PATIENCE = 10.0  # seconds after which a test has failed; nothing takes that long


def message(src: str, dest: str, type: str, **fields: Any) -> str:
    return json.dumps({"src": src, "dest": dest, "body": {"type": type, **fields}})


def init(id: str = "n1", ids: tuple[str, ...] = ("n1", "n2", "n3")) -> str:
    return message("c0", id, "init", msg_id=0, node_id=id, node_ids=list(ids))


class StageWaiter(maelstrom_node.Waiter):
    def __init__(self, runtime: StageRuntime) -> None:
        self._runtime = runtime
        self._values: list[Any] = []

    def set(self, value: Any) -> None:
        self._values.append(value)

    def wait(self, timeout: float) -> Any:
        if not self._values:
            self._runtime.time += timeout
            raise TimeoutError
        return self._values[0]


class StageRuntime(maelstrom_node.Runtime):
    """Everything happens at once, in the order in which it is asked for."""

    def __init__(self, seed: int = 0, time: float = 0.0) -> None:
        self.random = Random(seed)
        self.time = time
        self.sent: list[dict[str, Any]] = []
        self.periodic: list[tuple[float, Callable[[], object]]] = []
        self.players: dict[str, Callable[[Body], Body | None]] = {}
        self.dispatcher: maelstrom_node.Dispatcher

    def serve(self, dispatcher: maelstrom_node.Dispatcher) -> None:
        self.dispatcher = dispatcher

    def write(self, line: str) -> None:
        assert "\n" not in line
        sent = json.loads(line)
        self.sent.append(sent)
        play = self.players.get(sent["dest"])
        answer = play(sent["body"]) if play else None
        if answer is not None:
            answer = {**answer, "in_reply_to": sent["body"]["msg_id"]}
            self.dispatcher.receive(
                json.dumps({"src": sent["dest"], "dest": sent["src"], "body": answer})
            )

    def waiter(self) -> StageWaiter:
        return StageWaiter(self)

    def spawn(self, function: Callable[..., object], *args: Any) -> None:
        function(*args)

    def every(self, seconds: float, function: Callable[[], object]) -> None:
        self.periodic.append((seconds, function))

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def now(self) -> float:
        return self.time


class Stage:
    """A node and the world around it: `stage.ask("read")` is what a client says to it."""

    def __init__(self, runtime: StageRuntime | None = None) -> None:
        self.runtime = runtime or StageRuntime()
        self.node = Node(self.runtime)
        self.node.run()
        self._msg_id = 0

    def init(self) -> Stage:
        """Tell the node that it is n1 of three."""
        self.receive(init())
        self.assert_sent(dest="c0", type="init_ok")
        self.assert_silence()
        return self

    def receive(self, line: str | bytes) -> None:
        self.runtime.dispatcher.receive(line)

    def play(self, id: str, play: Callable[[Body], Body | None]) -> None:
        """Let `play` answer what is sent to another node; None is no answer."""
        self.runtime.players[id] = play

    def ask(self, type: str, **fields: Any) -> Body:
        """Send a request as a client; return the body of the answer, the only one there is."""
        self._msg_id += 1
        self.receive(message("c1", "n1", type, msg_id=self._msg_id, **fields))
        answer = self.assert_sent(src="n1", dest="c1", in_reply_to=self._msg_id)
        return {key: value for key, value in answer.items() if key != "in_reply_to"}

    def assert_sent(self, src: str | None = None, dest: str | None = None, **fields: Any) -> Body:
        """One message like this was sent, which is herewith ticked off; return its body."""
        like = [
            sent
            for sent in self.runtime.sent
            if src in (None, sent["src"])
            and dest in (None, sent["dest"])
            and fields.items() <= sent["body"].items()
        ]
        assert len(like) == 1, f"sent: {self.runtime.sent}"
        self.runtime.sent.remove(like[0])
        body: Body = like[0]["body"]
        return body

    def assert_silence(self) -> None:
        """Nothing else was sent."""
        assert self.runtime.sent == []


class Lines:
    """What comes out of a pipe, line by line."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rest = b""

    def next(self) -> Any:
        """The next line, as JSON; None at the end. Fails when there is none for too long."""
        pieces = [self._rest]
        while b"\n" not in pieces[-1]:
            assert select.select([self._fd], [], [], PATIENCE)[0], "no answer"
            chunk = os.read(self._fd, 1 << 20)
            if not chunk:
                assert pieces == [b""], "the last line is cut"
                return None
            pieces.append(chunk)
        line, _, self._rest = b"".join(pieces).partition(b"\n")
        return json.loads(line)

    def rest(self) -> list[Any]:
        return list(iter(self.next, None))

    def wait_for_output(self) -> None:
        """Wait until there is something to read, and leave it there."""
        assert select.select([self._fd], [], [], PATIENCE)[0], "no output"

    def assert_silence(self) -> None:
        assert self._rest == b""
        assert not select.select([self._fd], [], [], 0)[0]


class Pipes:
    """A node on threads, behind pipes: `pipes.put(line)`, `pipes.next()`."""

    def __init__(self) -> None:
        self._to: int | None
        inside, self._to = os.pipe()
        back, outside = os.pipe()
        self._inside = (inside, outside)
        self._back = back
        self.runtime = maelstrom_node.StdioRuntime(inside, outside)
        self.node = Node(self.runtime)
        self._out = Lines(back)
        self.next = self._out.next
        self.assert_silence = self._out.assert_silence
        self.wait_for_output = self._out.wait_for_output
        self._thread = threading.Thread(target=self._run)
        self._rest: list[Any] | None = None

    def _run(self) -> None:
        self.node.run()
        for fd in self._inside:
            os.close(fd)

    def run(self) -> None:
        """Let the node run."""
        self._thread.start()

    def start(self) -> Pipes:
        """Let the node run, as n1 of three."""
        self.run()
        self.put(init())
        assert self.next()["body"]["type"] == "init_ok"
        return self

    def put(self, *lines: str | bytes) -> None:
        data = b"".join(
            (line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines
        )
        self.put_bytes(data)

    def put_bytes(self, data: bytes) -> None:
        assert self._to is not None
        while data:
            data = data[os.write(self._to, data) :]

    def ask(self, type: str, **fields: Any) -> Body:
        """Send a request as a client; the next message must be its answer: return the body."""
        self.put(message("c1", "n1", type, msg_id=1, **fields))
        answer = self.next()
        assert (answer["dest"], answer["body"]["in_reply_to"]) == ("c1", 1)
        body: Body = answer["body"]
        return body

    def answer(self, request: dict[str, Any], **body: Any) -> None:
        """Answer what the node has asked."""
        in_reply_to = request["body"]["msg_id"]
        self.put(message(request["dest"], "n1", in_reply_to=in_reply_to, **body))

    def ends_within(self, seconds: float) -> bool:
        """End the input; return whether the node ends although nobody reads what it writes."""
        self._end_input()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _end_input(self) -> None:
        if self._to is not None:
            os.close(self._to)
            self._to = None

    def end(self) -> list[Any]:
        """End the input, wait for the node to end; return what it sent meanwhile."""
        if self._rest is None:
            if self._thread.ident is None:
                self.run()
            self._end_input()
            self._rest = self._out.rest()
            os.close(self._back)
            self._thread.join(PATIENCE)
            assert not self._thread.is_alive()
        return self._rest


@contextlib.contextmanager
def pipes() -> Iterator[Pipes]:
    stage = Pipes()
    try:
        yield stage
    finally:
        stage.end()


class Process:
    """A script as a process; `folder` is where it is started."""

    def __init__(self, *command: str | Path, folder: Path) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=folder, bufsize=0
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.stdin, self.stdout = self._process.stdin, self._process.stdout
        self._out = Lines(self.stdout.fileno())
        self.next = self._out.next
        self.signal = self._process.send_signal

    def put(self, *lines: str) -> None:
        self.stdin.write("".join(f"{line}\n" for line in lines).encode())

    def wait(self) -> tuple[int, str]:
        """Wait until it ends by itself: return its exit status and what it printed to stderr."""
        assert self._process.stderr is not None
        try:
            self._process.wait(PATIENCE)
            return self._process.returncode, self._process.stderr.read().decode()
        finally:
            self.close()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for file in (self.stdin, self.stdout, self._process.stderr):
            assert file is not None
            file.close()

    def end(self) -> tuple[list[Any], int, str]:
        """End its input: return what it still sends, its exit status and its stderr."""
        self.stdin.close()
        rest = self._out.rest()
        return rest, *self.wait()


@contextlib.contextmanager
def process(*command: str | Path, folder: Path) -> Iterator[Process]:
    stage = Process(*command, folder=folder)
    try:
        yield stage
    finally:
        stage.close()


def write_script(folder: Path, source: str) -> tuple[str, Path]:
    """Write a script into a folder; return the command that runs it with our library."""
    path = folder / "node.py"
    path.write_text(f"import sys\nsys.path.insert(1, {str(ROOT)!r})\n{source}")
    return sys.executable, path
