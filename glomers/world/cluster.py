"""The nodes of a test, whatever they are made of: processes behind pipes, or simulated scripts."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from random import Random
from typing import BinaryIO

from glomers.history.node_logs import Finding, LogReader
from glomers.world.incidents import Incidents

MOST_LOG = 1 << 26  # bytes of standard error that are kept of a node
MOST_TIMES = 100_000  # moments at which a node printed something, that are kept


def stream(seed: int, name: str) -> Random:
    """One of the separate streams of randomness that a test's seed gives.

    Each part of a test draws from its own, so that one part's use never shifts another's.
    """
    return Random(f"{seed}/{name}")


class NodeLog:
    """What a node prints to standard error: it is kept, and read for incidents.

    Only MOST_LOG bytes are, since a disk is finite. Without a file nothing is kept.
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
        """Nothing more will come."""
        self.reader.end()
        if self._file:
            self._file.close()

    def _hear(self, finding: Finding) -> None:
        self._incidents.add(
            finding.kind, finding.key, finding.text, {self.node: 1}, finding.line, finding.time
        )


def tell_of_logs(logs: Mapping[str, NodeLog], incidents: Incidents) -> list[str]:
    """Note what looks like errors in the logs, by node, beside what has been recognised.

    Returns a warning if some of the logs are not complete.
    """
    alarming = {id: log.reader for id, log in logs.items() if log.reader.alarm}
    if alarming:
        lines = {id: reader.lines for id, reader in alarming.items()}
        text = f"printed {sum(lines.values()):,} lines to standard error, the last like an error"
        example = " / ".join(next(iter(alarming.values())).block)
        incidents.add("stderr", "stderr", text, dict.fromkeys(lines, 1), example, time=None)
    full = [node for node, log in logs.items() if log.is_full]
    if not full:
        return []
    return [
        f"{', '.join(full)} printed more than {_mebibytes(MOST_LOG)} to standard error; "
        "the log has only the beginning."
    ]


def describe_status(status: int) -> str:
    """How a process ended, as its exit status or -n for signal n says."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def _mebibytes(count: int) -> str:
    return f"{count / (1 << 20):g} MiB"


class Cluster(ABC):
    """Starts and ends the nodes of one test.

    A node that misbehaves raises NodeError out of the event in which it shows.
    """

    _logs: dict[str, NodeLog]

    @abstractmethod
    def start(self) -> None:
        """Start every node and join it to the network."""

    @abstractmethod
    def start_node(self, id: str) -> None:
        """Start a node, the first time or again, with nothing of its former state."""

    @abstractmethod
    def is_running(self, id: str) -> bool:
        """Is a node alive, paused or not? It isn't from `kill_nodes` to the next `start_node`."""

    @abstractmethod
    def kill_nodes(self, ids: Sequence[str]) -> None:
        """End nodes at once, as a crash would. Messages to them vanish."""

    @abstractmethod
    def pause_node(self, id: str) -> None:
        """Let a node stand still; its messages wait."""

    @abstractmethod
    def resume_node(self, id: str) -> None:
        """Let a node go on, if it is paused."""

    @abstractmethod
    def evidence(self, node: str) -> list[str]:
        """The last that `node` printed, above all to standard error, for an error message."""

    def unfinished_lines(self) -> list[tuple[str, str]]:
        """Nodes whose standard output ends with a line that nothing has ended for a while."""
        return []

    def log_times(self) -> dict[str, list[tuple[int, int]]]:
        """For each node when (ns) it printed what its log has from a byte on, in order."""
        return {id: log.times for id, log in self._logs.items()}

    @abstractmethod
    def stop(self) -> list[str]:
        """End all nodes. Returns what is worth a warning."""
