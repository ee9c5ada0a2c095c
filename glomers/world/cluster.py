"""What the real and the simulated nodes of a test have in common."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import BinaryIO

from glomers.errors import NodeError
from glomers.history.lost_turns import LostTurn
from glomers.history.node_logs import Finding, LogReader
from glomers.scenario import Switch, Unsynced
from glomers.world.incidents import Incidents

MOST_LOG = 1 << 26  # bytes of standard error that are kept of a node
MOST_UNREAD = 1 << 28  # bytes that a node may leave unread
MOST_TIMES = 100_000  # moments at which a node printed something, that are kept


def stream(seed: int, name: str) -> Random:
    """The stream of random numbers with that name, made from a test's seed.

    Each part of a test draws from a stream of its own, so its draws don't affect other parts.
    """
    return Random(f"{seed}/{name}")


class NodeLog:
    """Keeps what a node prints to standard error, and searches it for incidents.

    Only the first MOST_LOG bytes are kept, to save the disk. Without a file nothing is kept.
    """

    def __init__(self, node: str, file: BinaryIO | None, incidents: Incidents) -> None:
        self.node = node
        self._file = file
        self._incidents = incidents
        self._room = MOST_LOG
        self.times: list[tuple[int, int]] = []  # when (ns), and from which byte on
        self.reader = LogReader(self._hear, incidents.now)

    @property
    def path(self) -> str:
        return str(self._file.name) if self._file else ""

    @property
    def is_full(self) -> bool:
        return self._room <= 0

    def write(self, text: bytes) -> None:
        if self.is_full:
            return
        self.reader.feed(text)
        self._note_time()
        self._keep(text[: self._room])
        self._room -= len(text)
        if self.is_full:
            self._keep(f"\n[The log ends here: it has {_mebibytes(MOST_LOG)}.]\n".encode())

    def _note_time(self) -> None:
        now = self._incidents.now()
        known = self.times and self.times[-1][0] == now
        if self._file and not known and len(self.times) < MOST_TIMES:
            self.times.append((now, MOST_LOG - self._room))

    def _keep(self, text: bytes) -> None:
        if self._file:
            self._file.write(text)
            self._file.flush()

    def close(self) -> None:
        """End the log: nothing more will come."""
        self.reader.end()
        if self._file:
            self._file.close()

    def _hear(self, finding: Finding) -> None:
        self._incidents.add(
            finding.kind, finding.key, finding.text, {self.node: 1}, finding.line, finding.time
        )


def tell_of_logs(logs: Mapping[str, NodeLog], incidents: Incidents) -> list[str]:
    """Note incidents for logs that seem to end with an error, unless the error was recognised.

    `logs` maps nodes to their logs. Returns a warning if some of the logs are not complete.
    """
    alarming = {id: log.reader for id, log in logs.items() if log.reader.alarms}
    if alarming:
        lines = sum(reader.lines for reader in alarming.values())
        text = f"printed what looks like an error to standard error (of {lines:,} lines)"
        example = " / ".join(next(iter(alarming.values())).block)
        alarms = {id: reader.alarms for id, reader in alarming.items()}
        incidents.add("stderr", "stderr", text, alarms, example, time=None)
    full = [node for node, log in logs.items() if log.is_full]
    if not full:
        return []
    return [
        f"{', '.join(full)} printed more than {_mebibytes(MOST_LOG)} to standard error; "
        "the log has only the beginning."
    ]


def describe_status(status: int) -> str:
    """How a process ended, in words. `status` is its exit status, or -n for signal n."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


# How nodes break off. `evidence` is what they printed last.


def ended(
    node: str,
    status: int,
    evidence: Sequence[str],
    expected: str = "a node that answers until its standard input ends",
) -> NodeError:
    """The error of a node that ended during the test; `status` as in `describe_status`."""
    problem = f"ended during the test: {describe_status(status)}."
    return NodeError(node, problem, evidence=evidence, expected=expected)


def closed_output(node: str, evidence: Sequence[str]) -> NodeError:
    """The error of a node that closed its standard output."""
    return NodeError(
        node,
        "closed its standard output.",
        evidence=evidence,
        expected="standard output to stay open until the end of the test",
    )


def unread_input(node: str, size: int, evidence: Sequence[str]) -> NodeError:
    """The error of a node that leaves `size` bytes unread, which are more than MOST_UNREAD."""
    return NodeError(
        node,
        f"does not read its standard input: {size >> 20} MiB wait for it.",
        evidence=evidence,
        expected="a node that reads its messages",
    )


def _mebibytes(count: int) -> str:
    return f"{count / (1 << 20):g} MiB"


class Cluster(ABC):
    """Starts and ends the nodes of one test.

    If a node breaks the protocol, the event of the loop that detects it raises NodeError.
    """

    _logs: dict[str, NodeLog]

    @abstractmethod
    def start(self) -> None:
        """Start every node and join it to the network."""

    @abstractmethod
    def start_node(self, id: str) -> None:
        """Start a node, for the first time or again; of its former state it has only its files."""

    @abstractmethod
    def is_running(self, id: str) -> bool:
        """Whether a node is alive, even if paused; not from `kill_nodes` to its next start."""

    @abstractmethod
    def kill_nodes(self, ids: Sequence[str]) -> None:
        """End nodes at once, as a crash would. Messages to them are dropped."""

    @abstractmethod
    def pause_node(self, id: str) -> None:
        """Make a node stand still; messages to it wait."""

    @abstractmethod
    def resume_node(self, id: str) -> None:
        """Let a node go on, if it is paused."""

    @abstractmethod
    def evidence(self, node: str) -> list[str]:
        """The last lines that `node` printed, mainly to standard error, for an error message."""

    def unfinished_lines(self) -> list[tuple[str, str]]:
        """Pairs of a node and the end of its output, if that has lacked a newline for a while."""
        return []

    def log_times(self) -> dict[str, list[tuple[int, int]]]:
        """For each node when (ns) it printed what its log has from a byte on, in order."""
        return {id: log.times for id, log in self._logs.items()}

    def record_switches(  # noqa: B027
        self, note: Callable[[Switch, LostTurn], object], events: Callable[[], int]
    ) -> None:
        """Call `note` with each switch of a thread between lines, if the cluster decides them.

        Times count as those of the loop. `events()` tells how many events of messages there were.
        """

    def record_losses(self, note: Callable[[Unsynced], object]) -> None:  # noqa: B027
        """Call `note` when a kill loses what wasn't synced, if the cluster decides that."""

    def notes(self) -> list[str]:
        """What to tell a person at last of what a scenario says of nodes."""
        return []

    @abstractmethod
    def stop(self) -> list[str]:
        """End all nodes. Returns warnings."""
