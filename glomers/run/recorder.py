"""Records a test while it runs: writes every operation and message to its folder.

A real test flushes the files many times a second, so that who watches sees what happens, and little
is lost if the workbench is killed.

Times are in nanoseconds since `begin`, when the load starts. The set-up before it has negative
times.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

from glomers.history import lost_turns
from glomers.history.lost_turns import LostTurn
from glomers.history.operations import Operation, to_edn_line, to_json_line
from glomers.history.store import Store
from glomers.workloads.base import Invocation
from glomers.world.loop import Loop
from glomers.world.network import Message

MOST_HISTORY = 1 << 30  # bytes of history.edn; history.jsonl has about as many


class HistoryFull(Exception):
    """So much has been recorded that the test must end: a verdict needs the whole history."""


@dataclass
class Traffic:
    """Counts of one class of messages, under Maelstrom's names; `bytes` is our own.

    `messages` counts a message once, even if it arrives twice. `bytes` is the length of its JSON
    text.
    """

    sends: int = 0
    receipts: int = 0
    messages: int = 0
    bytes: int = 0

    def as_result(self) -> dict[str, Any]:
        return {
            "send-count": self.sends,
            "recv-count": self.receipts,
            "msg-count": self.messages,
            "byte-count": self.bytes,
        }


@dataclass
class MessageJournal:
    """Counts messages and writes `messages.jsonl`, with one event a line.

    `send` and `late` have the whole message, other events (see `network.Journal`) only its id.
    """

    out: TextIO | None
    clients: Traffic = field(default_factory=Traffic)
    servers: Traffic = field(default_factory=Traffic)
    events: int = 0
    log_send: Callable[[str], object] | None = None
    log_recv: Callable[[str], object] | None = None
    _origin: int | None = None
    _before: list[tuple[str, int, Message]] = field(default_factory=list)

    def begin(self, origin: int) -> None:
        """Set time zero to `origin` (nanoseconds), and write the events that waited for it."""
        self._origin = origin
        for event in self._before:
            self._write(*event)
        self._before.clear()

    def record(self, event: str, time: int, message: Message) -> None:
        self.events += 1
        traffic = self.clients if message.of_client else self.servers
        if event == "send":
            traffic.sends += 1
            traffic.messages += 1
            traffic.bytes += len(message.line)
            if self.log_send:
                self.log_send(f"send {message.line.decode()}")
        elif event == "recv":
            traffic.receipts += 1
            if self.log_recv:
                self.log_recv(f"recv {message.line.decode()}")
        if self.out is None:
            return
        if self._origin is None:
            self._before.append((event, time, message))
        else:
            self._write(event, time, message)

    def _write(self, event: str, time: int, message: Message) -> None:
        assert self.out is not None
        assert self._origin is not None
        what = f'{{"time": {time - self._origin}, "event": "{event}", "id": {message.id}'
        if event in ("send", "late"):
            # As the sender wrote it: nothing is lost, and nothing need be encoded again.
            self.out.write(f'{what}, "message": {message.line.decode()}}}\n')
        else:
            self.out.write(f"{what}}}\n")

    def totals(self, operations: int) -> dict[str, Any]:
        """The `:net` part of the results; `operations` is the number of client invocations."""
        everything = Traffic(
            self.clients.sends + self.servers.sends,
            self.clients.receipts + self.servers.receipts,
            self.clients.messages + self.servers.messages,
            self.clients.bytes + self.servers.bytes,
        )
        totals = {
            "all": everything.as_result(),
            "clients": self.clients.as_result(),
            "servers": self.servers.as_result(),
        }
        if operations:
            for name, traffic in (("all", everything), ("servers", self.servers)):
                totals[name]["msgs-per-op"] = traffic.messages / operations
                totals[name]["bytes-per-op"] = traffic.bytes / operations
        return {**totals, "valid?": True}


class Recorder:
    """Keeps the history of a test and, if there is a store, writes each operation to it.

    The recorder tells `journal`, which records messages, when the load starts.
    """

    def __init__(self, loop: Loop, store: Store | None, journal: MessageJournal) -> None:
        self.operations: list[Operation] = []
        self.lost_turns: list[LostTurn] = []  # in times of the loop
        self.invocations = 0
        self.journal = journal
        self._loop = loop
        self._store = store
        self._begun = False
        self.origin = 0  # when the load started
        self._edn = store.open("history.edn") if store else None
        self._jsonl = store.open("history.jsonl") if store else None
        self._written = 0  # bytes, or characters, of history.edn

    def begin(self) -> None:
        """Take the present time as the start of the load."""
        self._begun = True
        self.origin = self._loop.now
        self.journal.begin(self.origin)

    def end(self, log_times: Mapping[str, Sequence[tuple[int, int]]] | None = None) -> None:
        """The test is over, perhaps before the load started.

        `log_times` has for each node when it printed what its log has from a byte on.
        """
        if not self._begun:
            self.begin()
        if self._store:
            self._keep_times(self._store, log_times or {})
            if self.lost_turns:
                lost_turns.write(
                    map(self._since_begin, self.lost_turns), self._store.open(lost_turns.FILE)
                )
            self._store.flush()

    def _since_begin(self, lost: LostTurn) -> LostTurn:
        ended = None if lost.ended is None else lost.ended - self.origin
        return replace(lost, began=lost.began - self.origin, ended=ended)

    def _keep_times(self, store: Store, log_times: Mapping[str, Sequence[tuple[int, int]]]) -> None:
        """Write the times of logs: an event a line, a node's in order."""
        if not any(log_times.values()):
            return
        out = store.open("log-times.jsonl")
        for node, times in log_times.items():
            for time, byte in times:
                event = {"time": time - self.origin, "node": node, "byte": byte}
                out.write(json.dumps(event) + "\n")

    @property
    def folder(self) -> Path | None:
        """Where the test is kept, if it is."""
        return self._store.path if self._store else None

    @property
    def elapsed(self) -> int:
        """Nanoseconds since the load started."""
        return self._loop.now - self.origin

    def record(
        self, type: str, process: int | str, what: Invocation, error: Any = None
    ) -> Operation:
        """Record one operation, at the present time. Raises HistoryFull once it is too much."""
        operation = Operation(
            index=len(self.operations),
            time=self.elapsed,
            type=type,
            process=process,
            f=what.f,
            value=what.value,
            error=error,
            final=what.final,
            extra=what.extra,
        )
        self.operations.append(operation)
        if type == "invoke":
            self.invocations += 1
        if self._edn and self._jsonl:
            self._written += self._edn.write(to_edn_line(operation) + "\n")
            self._jsonl.write(to_json_line(operation) + "\n")
            if self._written > MOST_HISTORY:
                raise HistoryFull(
                    f"the test ended early: its history has more than {MOST_HISTORY:,} bytes; "
                    "a lower --rate or --time-limit makes it shorter"
                )
        return operation
