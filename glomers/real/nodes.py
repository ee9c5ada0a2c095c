"""A node behind pipes: a program in any language that speaks JSON, one message a line.

A node's standard output goes into the network, and the network's messages go to its standard input.
Its standard error is kept in its log. No pipe ever blocks the workbench: messages that a slow node
does not read wait in memory. Each node leads a process group of its own and has a mark in its
environment, so that everything it started can be ended with it (`descendants.py`). A guardian, a
process outside the workbench, ends the nodes if the workbench itself is killed.
"""

from __future__ import annotations

import errno
import os
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

from glomers.errors import NodeError, UsageError, quote
from glomers.history.times import MILLIS
from glomers.interrupts import uninterrupted
from glomers.invocation import shown
from glomers.launch.program import problem as program_problem
from glomers.real import descendants
from glomers.world.cluster import (
    MOST_UNREAD,
    Cluster,
    NodeLog,
    closed_output,
    ended,
    tell_of_logs,
    unread_input,
)
from glomers.world.incidents import Incidents
from glomers.world.loop import RealLoop
from glomers.world.network import Message, Network
from glomers.world.protocol import Lines, Sender

CHUNK = 1 << 16
CHECK_INTERVAL = 100 * MILLIS
MOST_IN_PIPE = 16  # chunks that a pipe holds at most, with the system's usual limits
LAST_LINES = 15
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)  # not the node's mistake
GRACE = 1.0  # seconds between SIGTERM and SIGKILL


class Guardian:
    """Ends process groups, and all processes with `mark`, if the workbench dies before it does so.

    The guardian is a shell that reads the groups' numbers from a pipe. The pipe ends when the
    workbench ends, for whatever reason.
    """

    SCRIPT = """
        trap '' INT TERM HUP
        groups=
        while read -r action group; do
            case $action in
                watch) groups="$groups $group" ;;
                leave) exit 0 ;;
            esac
        done
        for group in $groups; do kill -KILL "-$group"; done
        exec "$@"
    """

    def __init__(self, mark: str) -> None:
        last = [sys.executable, "-IS", str(descendants.__file__), mark]
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", self.SCRIPT, "guardian", *last],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )

    def watch(self, group: int) -> None:
        self._tell(f"watch {group}\n")

    def dismiss(self) -> None:
        """End the guardian, when the groups have ended."""
        self._tell("leave\n")
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait()

    def _tell(self, line: str) -> None:
        assert self._shell.stdin is not None
        with suppress(BrokenPipeError):
            self._shell.stdin.write(line.encode())


class ProcessNode:
    """One node process on the network.

    If the node breaks the protocol or dies, an event of the loop raises NodeError. `mark` is put
    into its environment; no other node's mark begins with it. `log` receives the node's standard
    error; `show_stderr`, if given, is called with each of its lines.
    """

    def __init__(
        self,
        id: str,
        command: Sequence[str],
        loop: RealLoop,
        network: Network,
        guardian: Guardian,
        mark: str,
        log: NodeLog,
        show_stderr: Callable[[str], object] | None = None,
    ) -> None:
        self.id = id
        self._command = list(command)
        self._loop = loop
        self._network = network
        self._sender = Sender(id, network)
        self.mark = mark
        self._guardian = guardian
        self._show_stderr = show_stderr
        self._unread = bytearray()  # what waits for the node to read its standard input
        self._pipe_full = False  # the loop tells when the node has read some of it
        self._stdout = Lines(id)
        self._stderr = bytearray()
        self._last_stderr: deque[str] = deque(maxlen=LAST_LINES)
        self._stdout_closed_at: int | None = None
        self._running = True
        self._log = log
        self._process = self._start()

    # Life

    def _start(self) -> subprocess.Popen[bytes]:
        program = self._command[0]
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                cwd=tempfile.gettempdir(),
                env={**os.environ, descendants.VARIABLE: self.mark},
                start_new_session=True,
            )
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise UsageError(
                    f"node {self.id} can't be started: {error.strerror}; use fewer nodes, or raise "
                    "the system's limits (ulimit -n for files, ulimit -u for processes)"
                ) from None
            raise self._cannot_start(program, error) from None
        self._guardian.watch(process.pid)
        assert process.stdin
        assert process.stdout
        assert process.stderr
        self._stdin_fd = process.stdin.fileno()
        self._stdout_fd = process.stdout.fileno()
        self._stderr_fd = process.stderr.fileno()
        for fd in (self._stdin_fd, self._stdout_fd, self._stderr_fd):
            os.set_blocking(fd, False)
        self._loop.watch(self._stdout_fd, selectors.EVENT_READ, self._read_stdout)
        self._loop.watch(self._stderr_fd, selectors.EVENT_READ, self._read_stderr)
        self._network.join(self.id, self._deliver)
        self._loop.call_later(CHECK_INTERVAL, self._check)
        return process

    def _cannot_start(self, program: str, error: OSError) -> NodeError:
        path = Path(program)
        if wrong := program_problem(path):  # the program has changed since the test began
            problem, expected = f"can't be started: it {wrong}.", "an executable program"
        elif isinstance(error, FileNotFoundError):
            problem = "can't be started: the interpreter of its first line does not exist."
            expected = "a first line such as #!/usr/bin/env python3"
        elif error.strerror == "Exec format error":
            problem = "can't be started: the system does not know how to run it."
            expected = "a program for this machine, or a first line such as #!/usr/bin/env python3"
        else:
            problem = f"can't be started: {error.strerror}."
            expected = "an executable program"
        evidence = [program]
        if path.is_file():  # opening a named pipe would wait for its other end
            with suppress(OSError), path.open("rb") as file:
                first = file.readline(200)
                if first.startswith(b"#!"):
                    evidence.append(f"its first line: {quote(first.strip())}")
        return NodeError(self.id, problem, expected=expected, evidence=evidence)

    @property
    def pid(self) -> int | None:
        """The number of the node's process; None once the process is known to have ended."""
        return self._process.pid if self._process.returncode is None else None

    def signal(self, number: int) -> None:
        """Send a signal to the node's process group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def end(self, number: int) -> None:
        """Send the node a signal that ends it; `wait` makes sure that it ends.

        Find the node's children before that, because afterwards they may have no parents.
        """
        self._running = False
        self._loop.unwatch(self._stdin_fd)
        self._loop.unwatch(self._stdout_fd)
        self.signal(number)
        self.signal(signal.SIGCONT)

    def wait(self, deadline: float) -> bool:
        """Wait for the node's end, and kill it at `deadline` (of time.monotonic).

        Returns False if it had to be killed.
        """
        graceful = True
        try:
            self._process.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            graceful = False
        self.signal(signal.SIGKILL)
        self._process.wait()
        return graceful

    def close(self) -> None:
        """Close the pipes; what is left on standard error is kept.

        Must only be called when all processes that the node started have ended.
        """
        self._drain_stderr()
        self._loop.unwatch(self._stderr_fd)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()

    def _check(self) -> None:
        """Raise NodeError if the node has died or closed its output; check again later."""
        if not self._running:
            return
        status = self._process.poll()
        if status is not None:
            self._read_stdout()
            self._drain_stderr()
            self._running = False
            raise ended(self.id, status, self._last_words())
        closed_at = self._stdout_closed_at
        if closed_at is not None and self._loop.now - closed_at > 5 * CHECK_INTERVAL:
            self._running = False
            raise closed_output(self.id, self._last_words())
        self._loop.call_later(CHECK_INTERVAL, self._check)

    def evidence(self) -> list[str]:
        """The unfinished line on standard output, and the last lines of standard error."""
        self._drain_stderr()
        evidence = self._stdout.evidence()
        if self._stdout.heard_at is None:
            evidence.append("It printed nothing to standard output. Is every line flushed?")
        return [*evidence, *self._stderr_evidence()]

    def _last_words(self) -> list[str]:
        return [*self._stdout.evidence(), *self._stderr_evidence()]

    @property
    def unfinished_line(self) -> str:
        """The text after the last newline, if it was printed a while ago; "" otherwise."""
        return self._stdout.unfinished(self._loop.now)

    def _stderr_evidence(self) -> list[str]:
        if not self._last_stderr:
            return ["It printed nothing to standard error."]
        where = f"The last lines of its standard error (its log: {shown(Path(self._log.path))}):"
        return [where, *(f"  {line}" for line in self._last_stderr)]

    # Standard input

    def _deliver(self, message: Message) -> None:
        if not self._running:
            return
        if not self._unread:
            # A write wakes the node, which costs more than many messages; so it is done for all
            # that come together.
            self._loop.before_waiting(self._pass_on)
        self._unread += message.line
        self._unread += b"\n"
        if len(self._unread) > MOST_UNREAD:
            self._running = False
            raise unread_input(self.id, len(self._unread), self._stderr_evidence())

    def _pass_on(self) -> None:
        if self._running:
            self._write_stdin()

    def _write_stdin(self) -> None:
        try:
            while self._unread:
                # Not the whole buffer, because the slice is copied and a pipe takes only so much.
                written = os.write(self._stdin_fd, self._unread[:CHUNK])
                del self._unread[:written]
        except BlockingIOError:
            if not self._pipe_full:
                self._pipe_full = True
                self._loop.watch(self._stdin_fd, selectors.EVENT_WRITE, self._write_stdin)
            return
        except BrokenPipeError:
            # The node has died or closed its input; the next check tells which. Its messages are
            # lost from now on.
            self._unread.clear()
        if self._pipe_full:
            self._pipe_full = False
            self._loop.unwatch(self._stdin_fd)

    # Standard output

    def _read_stdout(self) -> None:
        chunk = _read(self._stdout_fd)
        if chunk is None:
            return
        if not chunk:
            self._loop.unwatch(self._stdout_fd)
            if self._stdout_closed_at is None:
                self._stdout_closed_at = self._loop.now
            return
        try:
            for line in self._stdout.feed(chunk, self._loop.now):
                self._sender.send(line)
        except NodeError:
            self._running = False
            raise

    # Standard error

    def _drain_stderr(self) -> None:
        """Read what is there now, but no more: a node may write faster than the workbench reads."""
        for _ in range(MOST_IN_PIPE):
            if not self._read_stderr():
                return

    def _read_stderr(self) -> bool:
        """Read a chunk of the standard error; False if there is none at present."""
        chunk = _read(self._stderr_fd)
        if not chunk:
            if chunk is not None:
                self._loop.unwatch(self._stderr_fd)
            return False
        show = None if self._log.is_full else self._show_stderr
        self._log.write(chunk)
        *lines, rest = bytes(self._stderr + chunk).split(b"\n")
        self._stderr = bytearray(rest[-CHUNK:])
        for line in lines[-LAST_LINES:] if show is None else lines:
            text = quote(line, limit=2000)
            self._last_stderr.append(text)
            if show:
                show(text)
        return True


class ProcessCluster(Cluster):
    """The nodes of a test as processes. `logs` is the folder for their standard error."""

    def __init__(
        self,
        nodes: Sequence[str],
        command: Sequence[str],
        loop: RealLoop,
        network: Network,
        incidents: Incidents,
        logs: Path,
        show_stderr: Callable[[str], object] | None = None,
    ) -> None:
        self._ids = nodes
        self._command = command
        self._loop = loop
        self._network = network
        self._folder = logs
        self._incidents = incidents
        self._logs: dict[str, NodeLog] = {}
        self._show_stderr = show_stderr
        self._mark = f"{secrets.token_hex(8)}."
        self._started = count()
        self._guardian = Guardian(self._mark)
        self._nodes: dict[str, ProcessNode] = {}

    def start(self) -> None:
        for id in self._ids:
            self.start_node(id)

    def start_node(self, id: str) -> None:
        show = partial(self._show, id) if self._show_stderr else None
        if id not in self._logs:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = (self._folder / f"{id}.log").open("wb")
            self._logs[id] = NodeLog(id, file, self._incidents)
        with uninterrupted():  # an interrupt here could leave a process that isn't recorded
            self._nodes[id] = ProcessNode(
                id,
                self._command,
                self._loop,
                self._network,
                self._guardian,
                f"{self._mark}{next(self._started)}.",
                self._logs[id],
                show,
            )

    def is_running(self, id: str) -> bool:
        return id in self._nodes

    def kill_nodes(self, ids: Sequence[str]) -> None:
        for id in ids:
            self._network.crash(id)
        with uninterrupted():
            self._end([self._nodes.pop(id) for id in ids], signal.SIGKILL)

    def pause_node(self, id: str) -> None:
        self._nodes[id].signal(signal.SIGSTOP)

    def resume_node(self, id: str) -> None:
        self._nodes[id].signal(signal.SIGCONT)

    def _show(self, id: str, line: str) -> None:
        assert self._show_stderr
        self._show_stderr(f"{id} {line}")

    def evidence(self, node: str) -> list[str]:
        return self._nodes[node].evidence()

    def unfinished_lines(self) -> list[tuple[str, str]]:
        return [(id, line) for id, node in self._nodes.items() if (line := node.unfinished_line)]

    def stop(self) -> list[str]:
        """End all nodes together, and the processes that they started. Returns warnings."""
        with uninterrupted():
            forced = self._end(list(self._nodes.values()), signal.SIGTERM)
            for log in self._logs.values():
                log.close()
            self._guardian.dismiss()
        warnings = tell_of_logs(self._logs, self._incidents)
        if forced:
            who = ", ".join(forced)
            warnings.append(f"{who} ignored SIGTERM for {GRACE:g} s and had to be killed.")
        return warnings

    def _end(self, nodes: Sequence[ProcessNode], number: int) -> list[str]:
        """End nodes together by a signal, and the processes that they started.

        Returns the nodes that ignored the signal. Finding the processes takes milliseconds, so it
        is done once for all nodes.
        """
        if not nodes:
            return []
        marks = tuple(node.mark for node in nodes)
        family = descendants.find(marks, [node.pid for node in nodes])
        for node in nodes:
            node.end(number)
        deadline = time.monotonic() + GRACE
        forced = [node.id for node in nodes if not node.wait(deadline)]
        descendants.end(marks, family)
        for node in nodes:
            node.close()
        return forced


def _read(fd: int) -> bytes | None:
    """Read a chunk: b"" at the end of the file, None if there is nothing at present."""
    try:
        return os.read(fd, CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        return b""
