"""Watches the messages of a test for incidents: errors, and requests that nobody answered."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from glomers.errors import quote
from glomers.history.times import NANOS
from glomers.report.incidents import names
from glomers.world.error_codes import error_code
from glomers.world.incidents import Incidents
from glomers.world.network import Journal, Message

IN_FLIGHT = NANOS  # ns before the end of a test; later requests may still be answered


@dataclass(slots=True)
class Request:
    """A request of a node that has not been answered yet: its type, time (ns) and line.

    `lost` tells whether the request, or an answer to it, was lost on the way.
    """

    type: str
    time: int
    line: bytes
    lost: bool = False


@dataclass(slots=True)
class Silence:
    """The requests of one type that had no answer: how many each node sent, and to which peers."""

    first: Request
    nodes: Counter[str] = field(default_factory=Counter)
    peers: Counter[str] = field(default_factory=Counter)
    lost: int = 0


@dataclass(slots=True)
class Arrivals:
    """The messages of one type that arrived, and whose senders wait for no answer: by sender.

    A node that ignores them, as it knows the type by another name, says nothing of it.
    """

    time: int
    line: bytes
    nodes: Counter[str] = field(default_factory=Counter)


class Witness:
    """A journal that looks for incidents in all messages, and passes them on to another journal."""

    def __init__(self, journal: Journal, incidents: Incidents) -> None:
        self._journal = journal
        self._incidents = incidents
        self._open: dict[tuple[str, str, int], Request] = {}  # by sender, receiver and msg_id
        self._nodes: Counter[str] = Counter()  # the nodes that were initialised
        self._arrived: dict[str, Arrivals] = {}  # by type
        self._talked = False  # whether a node has sent a message to another node or a service

    def record(self, event: str, time: int, message: Message) -> None:
        self._journal.record(event, time, message)
        body = message.body
        reply_to, msg_id = body.get("in_reply_to"), body.get("msg_id")
        if reply_to is not None:
            if type(reply_to) is int:
                self._see_answer(event, message, (message.dest, message.src, reply_to))
        elif type(msg_id) is int:
            self._see_request(event, time, message, (message.src, message.dest, msg_id))
        elif message.of_client:
            pass
        elif event == "recv":
            self._see_arrival(time, message)
        elif event != "send":
            self._see_loss(message)

    def _see_request(
        self, event: str, time: int, message: Message, key: tuple[str, str, int]
    ) -> None:
        if event == "send":
            request = Request(str(message.body.get("type")), time, message.line)
            self._open.setdefault(key, request)
            self._talked |= not message.of_client
        elif event == "recv":
            if message.of_client and message.body.get("type") == "init":
                self._nodes[message.dest] = 1
        elif key in self._open:
            self._open[key].lost = True

    def _see_loss(self, message: Message) -> None:
        """Note that a message was lost whose sender waits for no answer, and so can't know."""
        type = quote(str(message.body.get("type")), 40)
        self._talked = True
        text = f"sent {type!r}, which was lost on the way, and waits for no answer"
        self._incidents.add("lost", type, text, {message.src: 1}, message.line)

    def _see_arrival(self, time: int, message: Message) -> None:
        type = str(message.body.get("type"))
        arrivals = self._arrived.get(type)
        if arrivals is None:
            self._talked = True
            arrivals = self._arrived[type] = Arrivals(time, message.line)
        arrivals.nodes[message.src] += 1

    def _see_answer(self, event: str, message: Message, key: tuple[str, str, int]) -> None:
        if event == "send":
            if message.body.get("type") == "error":
                self._see_error(message, self._open.get(key))
        elif event == "recv":
            self._open.pop(key, None)
        elif key in self._open:
            self._open[key].lost = True

    def _see_error(self, message: Message, request: Request | None) -> None:
        code = message.body.get("code")
        name = error_code(code).name if type(code) is int else "unknown"
        asked = quote(request.type, 40) if request else "?"
        text = f"answered {asked!r} with error {quote(str(code), 40)} ({name})"
        line = quote(str(message.body.get("text", "")))
        self._incidents.add("error", text, text, {message.src: 1}, line)

    def end(self) -> None:
        """End the test: note the requests that were never answered."""
        silences: dict[str, Silence] = {}
        until = self._incidents.now() - IN_FLIGHT
        for (src, dest, _), request in self._open.items():
            if src[0] == "c" or request.time > until:
                continue
            silence = silences.get(request.type)
            if silence is None:
                silence = silences[request.type] = Silence(request)
            silence.nodes[src] += 1
            silence.peers[dest] += 1
            silence.lost += request.lost
        for type, silence in silences.items():
            every = silence.lost == silence.nodes.total()
            lost = "all" if every else f"{silence.lost:,}" if silence.lost else ""
            lost = lost and f" ({lost} lost on the way)"
            whom = names(silence.peers)
            text = f"got no answer to {quote(type, 40)!r} from {whom}{lost}"
            first = silence.first
            self._incidents.add("unanswered", type, text, silence.nodes, first.line, first.time)
        self._open.clear()
        for type, arrivals in self._arrived.items():
            text = f"sent {quote(type, 40)!r}, which arrived and asks for no answer"
            self._incidents.add("arrived", type, text, arrivals.nodes, arrivals.line, arrivals.time)
        self._arrived.clear()
        if len(self._nodes) > 1 and not self._talked:
            text = "sent no message to another node, nor to a service"
            self._incidents.add("alone", "", text, self._nodes, time=None)
