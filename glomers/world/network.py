"""The network between nodes, clients and services: latency, loss, partitions, and a journal.

Theory of operation. The network works as Maelstrom's (`maelstrom.net`), including the order of
events, because latencies are measured through it:

- Every endpoint has an inbox, ordered by the time at which each message is due. A message is due
  when it is sent if a client sends or receives it, otherwise after a latency drawn for it.
- The receiver *takes* the message that is due first, as soon as it has delivered the one before.
  If at that moment a partition cuts off the sender, the message is dropped. Otherwise the
  receiver holds it until it is due, and delivers it. Messages that arrive meanwhile wait, even a
  client's request that is due at once.

A partition is a *grudge*: for each node, the nodes whose messages it drops. Messages from and to
clients and services are never dropped by a grudge. A node that has crashed stays known: it can be
sent messages, but they are dropped, and so are those that waited for it.

What becomes of a message between servers (*fate*: the delay of each of its copies; none if it is
lost) is drawn at random when it is sent, unless a scenario tells it (decisions.py).

Faults beyond Maelstrom's: a message can be lost when it is sent (`p_loss`), or arrive twice
(`p_duplicate`). `flaky` links do both for a time, but only between nodes. A node can be slow: its
messages take `slowness` times as long.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple, Protocol

from glomers.history.times import MILLIS
from glomers.world.loop import Loop

Body = dict[str, Any]

UNSENT = -1
AT_ONCE = (0,)


class Message(NamedTuple):
    """A message under way. `line` is its JSON text, without the newline.

    `of_client` tells whether a client sends or receives it. Such messages count as local: they
    take no time, and are never lost.
    """

    id: int
    src: str
    dest: str
    body: Body
    line: bytes
    of_client: bool


class UnknownEndpoint(Exception):
    """A message was sent to or by an endpoint that does not exist."""


class Journal(Protocol):
    """Hears of every message: `send`, and what becomes of it.

    It arrives (`recv`), is lost (`lost`), is cut off by a partition (`cut`), or vanishes because
    its receiver has crashed or left (`drop`). An answer to a client that has left is `late`, and
    nothing else: it was never on the network, and its id is UNSENT.
    """

    def record(self, event: str, time: int, message: Message) -> None: ...


@dataclass(frozen=True)
class Latency:
    """How long a message between servers is under way, with a mean of `mean` milliseconds.

    As in Maelstrom, the distribution is `constant`, `uniform` from 0 to twice the mean, or
    `exponential`, and latencies are whole milliseconds.
    """

    mean: int = 0
    distribution: str = "constant"

    def draw(self, random: Random) -> int:
        """Draw a latency, in milliseconds."""
        if self.mean == 0 or self.distribution == "constant":
            return self.mean
        if self.distribution == "uniform":
            return random.randrange(2 * self.mean)
        return int(random.expovariate(1 / self.mean))


@dataclass(frozen=True)
class Flaky:
    """Probabilities that a message between `nodes` (not to or from services) is lost or doubled."""

    nodes: frozenset[str] = frozenset()
    p_loss: float = 0.0
    p_duplicate: float = 0.0

    def between(self, message: Message) -> bool:
        return message.src in self.nodes and message.dest in self.nodes


# Called with a message to an endpoint that has left: its sender, its body, and its line.
Late = Callable[[str, Body, bytes], object]

# When it is due (nanoseconds), a tie-breaker, and the message.
Entry = tuple[int, int, Message]


@dataclass(slots=True)
class Inbox:
    """The messages that wait for one endpoint. `deliver` is None if the endpoint has crashed."""

    deliver: Callable[[Message], object] | None
    waiting: list[Entry] = field(default_factory=list)
    holds: bool = False


class Network:
    """Carries messages between endpoints on a loop. `random` is the network's own stream."""

    def __init__(
        self,
        loop: Loop,
        random: Random,
        journal: Journal,
        latency: Latency | None = None,
        p_loss: float = 0.0,
        p_duplicate: float = 0.0,
    ) -> None:
        self.loop = loop
        self.random = random
        self.latency = latency or Latency()
        self.p_loss = p_loss
        self.p_duplicate = p_duplicate
        self.slowness: dict[str, int] = {}
        self.flaky = Flaky()
        self.fate: Callable[[Message], Sequence[int]] = self._draw_fate  # nanoseconds
        self.filter: Callable[[Message], bool] | None = None  # True: lose the message
        self.latest: dict[str, tuple[int, Message]] = {}  # sender -> its last message, when sent
        self._grudges: dict[str, Mapping[str, frozenset[str]]] = {}
        self._cut_off: Mapping[str, frozenset[str]] = {}  # all grudges together
        self._journal = journal
        self._inboxes: dict[str, Inbox] = {}
        self._former: dict[str, Late] = {}
        self._sent = 0
        self._arrivals = 0

    # Endpoints

    def join(self, endpoint: str, deliver: Callable[[Message], object]) -> None:
        """Add an endpoint: from now on, `deliver` is called with each message to it."""
        self._inboxes[endpoint] = Inbox(deliver)
        self._former.pop(endpoint, None)

    def leave(self, endpoint: str, late: Late = lambda src, body, line: None) -> None:
        """Remove `endpoint` and what waits for it. Later messages to it only reach `late`."""
        del self._inboxes[endpoint]
        self._former[endpoint] = late

    def knows(self, endpoint: str) -> bool:
        """Whether `endpoint` is on the network, or once was."""
        return endpoint in self._inboxes or endpoint in self._former

    def crash(self, endpoint: str) -> None:
        """Drop all messages that wait for `endpoint`, and those to it until it joins again."""
        for _, _, message in self._inboxes[endpoint].waiting:
            self._journal.record("drop", self.loop.now, message)
        self._inboxes[endpoint] = Inbox(None)

    # Partitions

    def partition(self, grudge: Mapping[str, frozenset[str]], name: str = "") -> None:
        """Each node of `grudge` drops the messages of the nodes that it names.

        A partition replaces the one of the same name; those of other names stay.
        """
        self._grudges[name] = grudge
        self._join_grudges()

    def heal(self, name: str = "") -> None:
        """End the partition of that name, if there is one."""
        self._grudges.pop(name, None)
        self._join_grudges()

    def _join_grudges(self) -> None:
        joined: dict[str, frozenset[str]] = {}
        for grudge in self._grudges.values():
            for node, dropped in grudge.items():
                joined[node] = joined.get(node, frozenset()) | dropped
        self._cut_off = joined

    def is_cut(self, src: str, dest: str) -> bool:
        """Whether `dest` drops the messages of `src` now, because of a partition."""
        return any(src in grudge.get(dest, ()) for grudge in self._grudges.values())

    # Messages

    def send(self, src: str, dest: str, body: Body, line: bytes) -> None:
        """Send a message, whose text is `line`. Raises UnknownEndpoint if `dest` never joined."""
        inbox = self._inboxes.get(dest)
        if inbox is None:
            if dest in self._former:
                late = Message(UNSENT, src, dest, body, line, True)
                self._journal.record("late", self.loop.now, late)
                self._former[dest](src, body, line)
                return
            raise UnknownEndpoint(dest)
        now = self.loop.now
        message = Message(self._sent, src, dest, body, line, src[0] == "c" or dest[0] == "c")
        self._sent += 1
        self.latest[src] = now, message
        self._journal.record("send", now, message)
        if inbox.deliver is None:
            self._journal.record("drop", now, message)
            return
        if self.filter and self.filter(message):
            delays: Sequence[int] = ()
        elif message.of_client:
            delays = AT_ONCE
        else:
            delays = self.fate(message)
        if not delays:
            self._journal.record("lost", now, message)
        for delay in delays:
            if self.slowness:
                delay *= self._slowness(message)
            self._enqueue(inbox, message, now + delay)

    def _draw_fate(self, message: Message) -> Sequence[int]:
        p_loss, p_duplicate = self.p_loss, self.p_duplicate
        if self.flaky.nodes and self.flaky.between(message):
            p_loss = max(p_loss, self.flaky.p_loss)
            p_duplicate = max(p_duplicate, self.flaky.p_duplicate)
        draw, random = self.latency.draw, self.random
        if p_loss and random.random() < p_loss:
            return ()
        delay = draw(random) * MILLIS
        if p_duplicate and random.random() < p_duplicate:
            return delay, draw(random) * MILLIS
        return (delay,)

    def _slowness(self, message: Message) -> int:
        return max(self.slowness.get(message.src, 1), self.slowness.get(message.dest, 1))

    def _enqueue(self, inbox: Inbox, message: Message, due: int) -> None:
        if inbox.holds:
            self._arrivals += 1
            heapq.heappush(inbox.waiting, (due, self._arrivals, message))
        else:  # the receiver has taken all that came before
            self._take(inbox, due, message)

    def _take(self, inbox: Inbox, due: int, message: Message) -> None:
        """Hold a message until it is due, unless its sender is cut off at this moment."""
        if message.src in self._cut_off.get(message.dest, ()):
            self._journal.record("cut", self.loop.now, message)
        else:
            inbox.holds = True
            self.loop.call_at(due, self._deliver, inbox, message)

    def _deliver(self, inbox: Inbox, message: Message) -> None:
        inbox.holds = False
        if self._inboxes.get(message.dest) is not inbox:
            # The endpoint left or crashed while the message was held.
            self._journal.record("drop", self.loop.now, message)
            return
        assert inbox.deliver is not None, "a crashed endpoint takes no messages"
        self._journal.record("recv", self.loop.now, message)
        while inbox.waiting and not inbox.holds:
            due, _, after = heapq.heappop(inbox.waiting)
            self._take(inbox, due, after)
        inbox.deliver(message)
