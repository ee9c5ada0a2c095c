"""Simulated nodes: an unmodified Python script, run many times over in this process.

Each node runs the script's source in a namespace of its own, as `__main__`, on a runtime that
supplies virtual time, the simulated network and seeded randomness. `turns.py` explains how blocking
code works in virtual time, `virtual.py` how the standard library is replaced.

A node gets its messages in one of two ways. `node.run()` of the workbench's own library blocks, and
a message that arrives calls the node's code inline. Any other node reads its standard input, where
messages arrive as they do in a process, and prints its own to standard output.
"""

from __future__ import annotations

import json
import os
import re
import signal
import tempfile
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from random import Random
from types import ModuleType, TracebackType
from typing import Any, NoReturn, TextIO, cast

import maelstrom_node
from glomers.errors import NodeError, quote
from glomers.history.lost_turns import LostTurn
from glomers.history.times import MILLIS, NANOS, nanos
from glomers.launch.program import check_script
from glomers.scenario import Switch, Unsynced
from glomers.simulated import guard
from glomers.simulated.borrowed import Belongings, lender
from glomers.simulated.descriptors import Descriptors
from glomers.simulated.disk import Disk, Range, drawn
from glomers.simulated.files import Files
from glomers.simulated.hashes import virtual_hash
from glomers.simulated.imports import Importer, Makers
from glomers.simulated.preempting import Preempter
from glomers.simulated.turns import NodeStopped, Strand, TurnLoop, running
from glomers.simulated.virtual import (
    EPOCH,
    Environ,
    Node,
    refuse,
    refuse_all,
    virtual_atexit,
    virtual_datetime,
    virtual_io,
    virtual_os,
    virtual_processes,
    virtual_random,
    virtual_time,
    virtual_uuid,
)
from glomers.simulated.virtual_posix import (
    virtual_select,
    virtual_signal,
    virtual_socket,
    virtual_subprocess,
    virtual_warnings,
)
from glomers.simulated.virtual_threading import World, virtual_thread, virtual_threading
from glomers.world.cluster import (
    MOST_UNREAD,
    Cluster,
    NodeLog,
    closed_output,
    ended,
    stream,
    tell_of_logs,
    unread_input,
)
from glomers.world.decisions import ToldLosses
from glomers.world.incidents import Incidents
from glomers.world.network import Message, Network
from glomers.world.protocol import Lines, Sender

HERE = Path(__file__).parent

LAST_LINES = 15
CLOSED_FOR = 500 * MILLIS  # after which a node that closed its output is told of, if it goes on

# Nanoseconds until a process reads its input. Real processes that are started together are ready
# one after the other: 5 nodes within 40 to 60 ms, 25 within 150 to 250 (Python 3.11, two cores).
SOONEST_START = 50 * MILLIS
START_SPREAD_PER_NODE = 10 * MILLIS
START_SPREAD = 500 * MILLIS  # at most

# Nanoseconds by which a process's monotonic clock may be ahead of the test's.
CLOCKS = (1_000 * NANOS, 10_000 * NANOS)


class SimulatedWaiter(maelstrom_node.Waiter):
    """What an RPC waits for: its strand is parked until an answer is set or the time is up."""

    def __init__(self, loop: TurnLoop) -> None:
        self._loop = loop
        self._value: Any = None
        self._done = False
        self._strand: Strand | None = None

    def set(self, value: Any) -> None:
        if not self._done:
            self._done = True
            self._value = value
            if self._strand is not None:
                self._loop.call_at(self._loop.now, self._loop.resume, self._strand)

    def wait(self, timeout: float) -> Any:
        if not self._done:
            strand = self._strand = self._loop.strand
            assert strand is not None
            self._loop.call_later(self._loop.span(timeout), self._expire, strand)
            self._loop.park()
            self._strand = None
        if not self._done:
            raise TimeoutError
        return self._value

    def _expire(self, strand: Strand) -> None:
        # An expired timer must not end a later wait of the same strand.
        if self._strand is strand and not self._done:
            self._loop.resume(strand)


class SimulatedRuntime(maelstrom_node.Runtime):
    """The runtime of one simulated node."""

    def __init__(self, host: Host, loop: TurnLoop, random: Random) -> None:
        self.random = random
        self._host = host
        self._loop = loop

    def date(self) -> float:
        return EPOCH + self._loop.now / NANOS

    def lock(self) -> Any:
        return self._host.make_lock()

    def serve(self, dispatcher: maelstrom_node.Dispatcher) -> None:
        self._host.serve(dispatcher)

    def write(self, line: str) -> None:
        self._host.send(line)

    def waiter(self) -> SimulatedWaiter:
        return SimulatedWaiter(self._loop)

    def spawn(self, function: Callable[..., object], *args: Any) -> None:
        self._host.call_at(self._loop.now, "spawned", function, *args)

    def every(self, seconds: float, function: Callable[[], object]) -> None:
        period = nanos(seconds)

        def run(due: int) -> None:
            self._host.run(function)
            again = max(due + period, self._loop.now)
            self._host.call_at(again, "every", run, again)

        first = self._loop.now + period
        self._host.call_at(first, "every", run, first)

    def sleep(self, seconds: float) -> None:
        self._loop.sleep(seconds)

    def now(self) -> float:
        self._loop.check_stopped()
        return (self._loop.now + self._host.clock) / NANOS


class Host:
    """One life of a simulated node: its script, inbox and log. A killed Host never runs again."""

    def __init__(
        self, id: str, cluster: SimulatedCluster, random: Random, incarnation: int
    ) -> None:
        self.id = id
        self.alive = True
        # The properties of the process come from another stream than the script's random numbers.
        process = cluster.stream(f"process {id} {incarnation}")
        self.starts_in = cluster.soonest_start + process.randrange(cluster.start_spread)
        self.clock = process.randrange(*CLOCKS)
        self.dispatcher: maelstrom_node.Dispatcher | None = None
        self._cluster = cluster
        self._loop = cluster.loop
        self._sender = Sender(id, cluster.network)
        self._lines = Lines(id)
        self._last_stderr: deque[str] = deque(maxlen=LAST_LINES)
        self._partial = ""
        self.runtime = SimulatedRuntime(self, self._loop, random)
        argv = [str(cluster.script), *cluster.args]
        # The working directory is that of a real node.
        folder = str(Path(tempfile.gettempdir()).resolve())
        self.belongings = Belongings(argv, Environ(cluster.environ), folder)
        hash = virtual_hash(process.randbytes(16))
        self._descriptors = Descriptors(self._loop, self._make_lock)
        files = Files(
            id, cluster.disk, self._loop, self.belongings, self._descriptors, self._is_running
        )
        self.streams = Node(
            self.belongings,
            self._descriptors,
            files,
            print_out=self.print,
            close_out=self._close_output,
            print_error=self.log,
            exit=self.exit,
            hash=hash,
            unbuffered=cluster.unbuffered,
        )
        modules = self._virtual_modules(random, 1000 + incarnation)
        self._importer = Importer(
            cluster.script.parent,
            self.streams,
            modules,
            self._inner_modules(),
            cluster.preempter,
        )

    def make_lock(self) -> Any:
        return self._importer.load("threading").Lock()

    def _make_lock(self) -> Any:
        return self._importer.load("threading").RLock()

    def _virtual_modules(self, random: Random, pid: int) -> Makers:
        loop = self._loop
        nobody = Strand(self, "finalizer", 0)
        world = World(loop, self._spawn_thread, self._deadlock, self.log, nobody)

        seed = random.getrandbits(64)

        def load(name: str) -> ModuleType:
            return self._importer.load(name)

        def make_os() -> ModuleType:
            module = virtual_os(random, loop, pid, self.streams)
            self._importer.add("os", module)
            module.path = load(os.path.__name__)  # type: ignore[attr-defined]
            return module

        return {
            "_thread": lambda: virtual_thread(load("threading"), world),
            "atexit": virtual_atexit,
            "concurrent.futures.process": virtual_processes,
            "datetime": lambda: virtual_datetime(loop),
            "io": lambda: virtual_io(self.streams),
            "os": make_os,
            "os.path": lambda: cast(ModuleType, vars(load("os"))["path"]),
            "random": lambda: virtual_random(random, seed),
            "select": lambda: virtual_select(self._descriptors),
            "signal": lambda: virtual_signal(loop, load("threading"), refuse_all),
            "threading": lambda: virtual_threading(world, load),
            "time": lambda: virtual_time(loop, self.clock),
            "uuid": lambda: virtual_uuid(random, loop),
        }

    def _inner_modules(self) -> Makers:
        def no_ssl() -> ModuleType:
            raise ImportError

        return {
            "socket": lambda: virtual_socket(self._descriptors, refuse),
            "ssl": no_ssl,
            "subprocess": lambda: virtual_subprocess(refuse),
            "warnings": virtual_warnings,
        }

    # Called by the loop

    def take_over(self) -> None:
        lender.hand_over(self.belongings)

    def owns(self, file: str) -> bool:
        return file in self._importer.files

    def files(self, name: str) -> Any:
        """The node's `os` or `open`."""
        return self._importer.load("os") if name == "os" else self.streams.open

    @property
    def script(self) -> ModuleType | None:
        """The script as a module; None before it has begun to run."""
        return self.belongings.modules.get("__main__")

    # Running its code

    def call_at(self, when: int, name: str, function: Callable[..., object], *args: Any) -> None:
        """Run `function` as a strand of this node at `when`, if the node is alive then."""
        self._loop.count()
        self._loop.call_at(when, self._enter, name, function, *args)

    def _enter(self, name: str, function: Callable[..., object], *args: Any) -> None:
        if not self.alive:
            return
        if not self._loop.postpone(self, self._enter, name, function, *args):
            self._loop.enter(self, name, self.run, function, *args)

    def run(self, function: Callable[..., object], *args: Any) -> None:
        """Call code of the node. An exception only ends this call.

        As in a real process, SystemExit ends a thread silently; other exceptions go to the log.
        """
        try:
            function(*args)
        except (NodeStopped, SystemExit) as end:
            if isinstance(end, NodeStopped):
                raise
        except BaseException as error:
            self.log("".join(traceback.format_exception(*self._told(error))))

    def _told(self, error: BaseException) -> tuple[type[BaseException], BaseException, Any]:
        """An exception as a real process would print it: its traceback begins in the script, and
        has no frame of the workbench, nor of what the workbench calls."""
        kept: list[TracebackType] = []
        trace, hidden = error.__traceback__, True
        while trace is not None:
            file = trace.tb_frame.f_code.co_filename
            hidden = not self.owns(file) and (hidden or Path(file).parent == HERE)
            if not hidden:
                kept.append(trace)
            trace = trace.tb_next
        told: TracebackType | None = None
        for each in reversed(kept):
            told = TracebackType(told, each.tb_frame, each.tb_lasti, each.tb_lineno)
        if told is None and not isinstance(error, SyntaxError):  # that has no line yet
            told = error.__traceback__
        return type(error), error, told

    def _spawn_thread(self, name: str, function: Callable[[], object]) -> None:
        self.call_at(self._loop.now, name, function)

    def begin(self) -> None:
        """Start the script, after the time that a process takes to start."""
        self.call_at(self._loop.now + self.starts_in, "main", self._run_script)

    def _run_script(self) -> None:
        """Run the script, and what Python does at its end. A script should not end."""
        status = self._status_of(lambda: self._importer.run_script(self._cluster.script))
        load = self._importer.load
        status = self._status_of(load("threading")._shutdown) or status
        status = self._status_of(load("atexit")._run_exitfuncs) or status
        self._flush()
        self.exit(status)

    def exit(self, status: int) -> NoReturn:
        """End the process, as `os._exit` does. A node should not end during a test."""
        words = self._last_words()
        if self._importer.shares_library:
            expected = "a script that calls node.run(), which answers until its input ends"
            self._end(ended(self.id, status, words, expected))
        self._end(ended(self.id, status, words))

    def _status_of(self, function: Callable[[], object]) -> int:
        """The exit status of a Python whose main thread calls `function`; tracebacks are logged."""
        try:
            function()
        except NodeStopped:
            raise
        except SystemExit as end:
            if end.code is None or isinstance(end.code, int):
                return (end.code or 0) & 0xFF
            self.log(f"{end.code}\n")
            return 1
        except BaseException as error:
            self.streams.sys.excepthook(*self._told(error))
            return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
        return 0

    def serve(self, dispatcher: maelstrom_node.Dispatcher) -> None:
        """`node.run()`: take messages until the end of the simulation."""
        streams = self.streams
        self._flush()
        self._send(bytes(self._lines.rest))
        self.dispatcher = dispatcher
        vars(streams.sys)["stdout"] = streams.sys.stderr  # as the library does in a real process
        for line in bytes(streams.input.content).split(b"\n"):
            if line:
                self.call_at(self._loop.now, "message", dispatcher.receive, line)
        streams.input.refuse("node.run() reads it, and another reader would take its messages")
        self._loop.park()

    def deliver(self, message: Message) -> None:
        """Hand an arrived message to the node."""
        if self._loop.seems_still and message.body.get("type") == "error":
            self._loop.note(f"{message.src} → {self.id} error {message.body.get('code')}")
        if self.dispatcher is not None:
            self._enter("message", self._receive, message)
            return
        input = self.streams.input
        input.put(message.line + b"\n")
        if len(input.content) > MOST_UNREAD:
            raise unread_input(self.id, len(input.content), self._stderr_evidence())

    def _receive(self, message: Message) -> None:
        assert self.dispatcher is not None
        assert self._loop.strand is not None
        self._loop.strand.message = message.id
        self.dispatcher.receive(message.line)

    # Called by the node's code

    def send(self, line: str) -> None:
        """Send a message of the node, given as a line without its newline."""
        self._send(line.encode("utf-8", "surrogatepass"))

    def _send(self, line: bytes) -> None:
        self._loop.check_stopped()
        if not self.alive or not line.strip():
            return
        try:
            with self._loop.outside():
                self._sender.send(line)
        except NodeError as error:
            self._end(error)
        if self._loop.seems_still:
            message = json.loads(line)
            self._loop.note(f"{self.id} → {message['dest']} {message['body'].get('type')}")
        self._loop.count()

    def fail(self, problem: str, *, evidence: Sequence[str], expected: str) -> NoReturn:
        """End the test with a NodeError, because this node broke the protocol."""
        self._end(NodeError(self.id, problem, evidence=evidence, expected=expected))

    def _end(self, error: NodeError) -> NoReturn:
        self._loop.fail(error)
        raise NodeStopped

    def _deadlock(self, chain: Sequence[str]) -> None:
        lines = _script_lines(self._cluster.script)
        if len(chain) == 1:
            self.fail(
                "is in a deadlock: a thread waits for a lock that it holds itself.",
                evidence=lines,
                expected="a lock that is taken once at a time, or a threading.RLock",
            )
        self.fail(
            "is in a deadlock: threads wait for each other's locks.",
            evidence=(" waits for ".join([*chain, chain[0]]), *lines),
            expected="locks that are always taken in the same order",
        )

    def log(self, text: str) -> None:
        """Log what the node printed to standard error."""
        if not self._is_running():
            return
        self._loop.check_stopped()
        with self._loop.outside():
            self._cluster.write_log(self.id, text)
            *lines, self._partial = (self._partial + text).split("\n")
            self._keep(lines)

    def end_log(self) -> None:
        """Log the last line, if it has no newline."""
        if self._partial:
            self._keep([self._partial])
            self._partial = ""

    def _keep(self, lines: Sequence[str]) -> None:
        """Show whole lines of standard error, and keep the last ones for error messages."""
        self._last_stderr.extend(quote(line) for line in lines)
        for line in lines:
            self._cluster.show_stderr(self.id, line)

    def print(self, data: bytes) -> None:
        """Take what the node wrote to its standard output, where only messages belong."""
        if not self._is_running():
            return
        self._loop.check_stopped()
        try:
            lines = self._lines.feed(data, self._loop.now)
        except NodeError as error:
            self._end(error)
        for line in lines:
            self._send(line)

    def _is_running(self) -> bool:
        """Whether this node's code runs, rather than a finalizer, which Python runs at any time."""
        strand = self._loop.strand
        return strand is not None and strand.node is self

    def _flush(self) -> None:
        """Print what waits in the buffers of standard output, as Python does at the end."""
        for file in (self.streams.sys.stdout, self.streams.stdout):
            with suppress(ValueError, AttributeError):  # it is closed, or no file
                file.flush()

    def _close_output(self) -> None:
        self._loop.call_later(CLOSED_FOR, self._tell_of_closed_output)

    def _tell_of_closed_output(self) -> None:
        if self.alive:
            raise closed_output(self.id, self._last_words())

    def unfinished_line(self) -> str:
        """The text after the last newline, if it was printed a while ago; "" otherwise."""
        return self._lines.unfinished(self._loop.now)

    def evidence(self) -> list[str]:
        """The unfinished line on standard output, and the last lines of standard error."""
        evidence = self._lines.evidence()
        if self.dispatcher is None and self._lines.heard_at is None:
            evidence.append("It printed nothing to standard output. Is every line flushed?")
        return [*evidence, *self._stderr_evidence()]

    def _last_words(self) -> list[str]:
        return [*self._lines.evidence(), *self._stderr_evidence()]

    def _stderr_evidence(self) -> list[str]:
        if not self._last_stderr:
            return ["It printed nothing to standard error."]
        return ["The last lines of its standard error:", *(f"  {x}" for x in self._last_stderr)]


class SimulatedCluster(Cluster):
    """The nodes of a test as simulated scripts.

    `open_log` opens the log of a node, which the store closes; None keeps no logs.
    `show_stderr(node, line)` is called with each line of a node's standard error, without newline.
    `start_spread` is how many nanoseconds later than another a process may start; by default as
    many as with real processes. With a `preempter`, threads change turns between lines, too.
    What a kill loses of what wasn't synced is as `losses` say, or else drawn from the seed.
    """

    def __init__(
        self,
        nodes: Sequence[str],
        script: Path,
        args: Sequence[str],
        loop: TurnLoop,
        network: Network,
        incidents: Incidents,
        seed: int,
        open_log: Callable[[str], TextIO] | None = None,
        show_stderr: Callable[[str, str], object] = lambda node, line: None,
        start_spread: int | None = None,
        preempter: Preempter | None = None,
        losses: ToldLosses | None = None,
    ) -> None:
        usual = min(START_SPREAD_PER_NODE * len(nodes), START_SPREAD)
        self.start_spread = usual if start_spread is None else start_spread
        self.preempter = preempter
        self.soonest_start = SOONEST_START
        self.script = script
        self.unbuffered = False
        self.loop = loop
        self.network = network
        self.args = args
        self.environ = dict(os.environ)
        self.nodes = nodes
        self._seed = seed
        self._incidents = incidents
        self._open_log = open_log
        self.show_stderr = show_stderr
        self._logs: dict[str, NodeLog] = {}
        self._hosts: dict[str, Host] = {}
        self._incarnations = 0
        self._losses = losses
        decide = losses.decide if losses is not None else drawn(self.stream("disk"))
        self.disk = Disk(lambda: EPOCH * NANOS + loop.now, decide)
        self.disk.lost = self._note_loss
        self._note_unsynced: Callable[[Unsynced], object] = lambda entry: None
        guard.install()
        loop.borrow = self._borrow
        loop.patience += 10 * len(nodes) ** 2

    def start(self) -> None:
        check_script(self.script)
        self.unbuffered = _is_unbuffered(self.script, self.environ)
        for id in self.nodes:
            self.write_log(id, "")  # so that each node has a log, as in a real run
            self.start_node(id)

    def start_node(self, id: str) -> None:
        self._incarnations += 1
        random = self.stream(f"node {id} {self._incarnations}")
        host = self._hosts[id] = Host(id, self, random, self._incarnations)
        self.network.join(id, host.deliver)
        host.begin()

    def stream(self, name: str) -> Random:
        """The stream of random numbers with that name, made from the test's seed."""
        return stream(self._seed, name)

    def is_running(self, id: str) -> bool:
        return self._hosts[id].alive

    def host(self, id: str) -> Host | None:
        """The present life of a node, or its last; None if it has none."""
        return self._hosts.get(id)

    def kill_nodes(self, ids: Sequence[str]) -> None:
        for id in ids:
            self._hosts[id].alive = False
            self.network.crash(id)
            self.loop.end_strands(self._hosts[id])
            self._hosts[id].end_log()
            self.disk.kill(id)

    def pause_node(self, id: str) -> None:
        self.loop.pause(self._hosts[id])

    def resume_node(self, id: str) -> None:
        self.loop.unpause(self._hosts[id])

    def write_log(self, id: str, text: str) -> None:
        if id not in self._logs:
            file = self._open_log(id).buffer if self._open_log else None
            self._logs[id] = NodeLog(id, file, self._incidents)
        self._logs[id].write(text.encode("utf-8", "surrogatepass"))

    def record_switches(
        self, note: Callable[[Switch, LostTurn], object], events: Callable[[], int]
    ) -> None:
        if self.preempter is not None:
            self.preempter.record(note, events)

    def record_losses(self, note: Callable[[Unsynced], object]) -> None:
        self._note_unsynced = note

    def _note_loss(self, node: str, nth: int, lost: Range, steps: int) -> None:
        """A kill has lost a range of the steps that a node had not synced."""
        begin, end = lost
        self._note_unsynced(Unsynced(node, nth, begin, None if end == steps else end))
        files = ", ".join(self.disk.unsynced(node))
        line = f"{end - begin:,} of {steps:,} steps not synced, in {files}"
        self._incidents.note("unsynced", node, line)

    def notes(self) -> list[str]:
        notes = self.preempter.notes() if self.preempter is not None else []
        return [*notes, *(self._losses.notes() if self._losses is not None else ())]

    def evidence(self, node: str) -> list[str]:
        return self._hosts[node].evidence()

    def unfinished_lines(self) -> list[tuple[str, str]]:
        hosts = self._hosts.items()
        return [(id, line) for id, host in hosts if host.alive and (line := host.unfinished_line())]

    def stop(self) -> list[str]:
        self.loop.shut_down()
        if self.preempter is not None:
            self.preempter.close()
        for host in self._hosts.values():
            host.end_log()
        for log in self._logs.values():
            log.reader.end()
        return tell_of_logs(self._logs, self._incidents)

    @contextmanager
    def _borrow(self) -> Iterator[None]:
        """Lend process-wide things to nodes, while their code runs."""
        followed = self.preempter.running() if self.preempter is not None else nullcontext()
        with lender.lend(_own_stream, _own_files, _own_runtime), followed:
            yield


def _own_stream(name: str) -> Any:
    """The running node's standard stream of that name; None if no node's code runs."""
    strand = running()
    return None if strand is None else getattr(cast(Host, strand.node).streams.sys, name)


def _own_files(name: str) -> Any:
    """The running node's `os` or `open`; None if no node's code runs."""
    strand = running()
    return None if strand is None else cast(Host, strand.node).files(name)


def _own_runtime() -> maelstrom_node.Runtime:
    strand = running()
    assert strand is not None, "a node is made by its script"
    return cast(Host, strand.node).runtime


def _is_unbuffered(script: Path, environ: Mapping[str, str]) -> bool:
    """Whether a real process of this script would print without a buffer."""
    if environ.get("PYTHONUNBUFFERED"):
        return True
    with script.open("rb") as file:
        return re.match(rb"#!.*python[\d.]*(\s+-\w+)*\s+-\w*u", file.readline()) is not None


def _script_lines(script: Path) -> list[str]:
    """The lines of the script in which the running code is."""
    stack = traceback.extract_stack()
    return [
        f"{entry.filename}:{entry.lineno} in {entry.name}: {entry.line}"
        for entry in stack
        if entry.filename == str(script)
    ]
