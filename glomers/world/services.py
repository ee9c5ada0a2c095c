"""The services that Maelstrom offers to nodes: lin-kv, seq-kv, lww-kv and lin-tso.

Semantics are those of `maelstrom.service`. Each service is an endpoint of the network that answers
at once. The services differ in the state that an operation sees:

- `lin-kv` is linearizable: every operation sees the newest state.
- `seq-kv` is sequential: an operation that changes nothing (a read, a failed cas, a write of the
  present value) may see any of the last 32 states that is not older than one that the same caller
  has seen. An operation that changes something sees the newest state.
- `lww-kv` is eventually consistent: it has two replicas, each with a Lamport clock. An operation
  sees one of them, and from time to time one learns from the other. The last write wins.
- `lin-tso` hands out the integers 0, 1, 2, …

The state that an operation sees is drawn at random, unless a scenario tells it (decisions.py).
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from glomers.errors import quote
from glomers.history.values import as_text, identity
from glomers.world.error_codes import (
    KEY_DOES_NOT_EXIST,
    NOT_SUPPORTED,
    PRECONDITION_FAILED,
    ErrorCode,
)
from glomers.world.incidents import Incidents
from glomers.world.network import Body, Message, Network

STATES_KEPT = 32


def error(code: ErrorCode, text: str) -> Body:
    """The body of an `error` answer."""
    return {"type": "error", "code": code.code, "text": text}


KEY_MISSING = error(KEY_DOES_NOT_EXIST, "key does not exist")


@dataclass(frozen=True, slots=True)
class Write:
    """A change that a request asks for. `key` is the key's identity (history/values.py)."""

    key: Any
    value: Any


def execute(
    body: Body, read: Callable[[Any], Any], *, may_create: bool
) -> tuple[Body, Write | None]:
    """The answer of a key-value store to `body`, and the change it makes, if any.

    `read(key)` reads the state: it returns the value in a list, or an empty list if there is none.
    """
    key = identity(body.get("key"))
    found = read(key)
    if body["type"] == "read":
        return ({"type": "read_ok", "value": found[0]} if found else KEY_MISSING), None
    if body["type"] == "write":
        return {"type": "write_ok"}, Write(key, body.get("value"))
    if not found and not (may_create and _holds(body.get("create_if_not_exists"))):
        return KEY_MISSING, None
    if found and identity(found[0]) != identity(body.get("from")):
        text = f"current value {as_text(found[0])} is not {as_text(body.get('from'))}"
        return error(PRECONDITION_FAILED, text), None
    return {"type": "cas_ok"}, Write(key, body.get("to"))


def _holds(value: Any) -> bool:
    """Whether Clojure takes a value for true: all values except null and false, also 0 and ""."""
    return value is not None and value is not False


@dataclass(frozen=True, slots=True)
class State:
    """The state that an operation sees.

    Of seq-kv, it is that many states `behind` the newest. Of lww-kv, it is that of `replica` 0 or 1
    after the `learner` has learnt from the other replica, unless that is None.
    """

    behind: int = 0
    replica: int = 0
    learner: int | None = None


NEWEST = State()


class Service(ABC):
    """A service, which answers requests. `requests` has their types, each with its fields."""

    requests: Mapping[str, tuple[str, ...]] = {
        "read": ("key",),
        "write": ("key", "value"),
        "cas": ("key", "from", "to"),
    }

    # Says which state the request of a caller sees, out of how many it may see.
    look: Callable[[str, Body, int], State] = staticmethod(lambda caller, body, count: NEWEST)
    # Called with the state that the last request has seen, if that matters to it.
    seen: Callable[[State], object] = staticmethod(lambda state: None)

    def states(self, caller: str, body: Body) -> list[State]:
        """The states that a request may see, the newest first, as far as they differ to it."""
        return [NEWEST]

    @abstractmethod
    def handle(self, caller: str, body: Body) -> Body:
        """The body of the answer."""

    def answer(self, caller: str, body: Body) -> Body:
        """The answer; an error if the type of the request is unknown.

        As in Maelstrom, nothing else is checked: a missing field counts as null, and additional
        fields are ignored.
        """
        type = body.get("type")
        if not isinstance(type, str) or type not in self.requests:
            known = ", ".join(self.requests)
            text = f"request type {quote(json.dumps(type))} is not supported; try one of {known}"
            return error(NOT_SUPPORTED, text)
        return self.handle(caller, body)

    def missing(self, body: Body) -> list[str]:
        """The fields that the request's type needs and that the request lacks."""
        return [field for field in self.requests.get(body["type"], ()) if field not in body]


class LinearizableKV(Service):
    def __init__(self) -> None:
        self._values: dict[Any, list[Any]] = {}

    def handle(self, caller: str, body: Body) -> Body:
        answer, write = execute(body, lambda key: self._values.get(key, []), may_create=True)
        if write:
            self._values[write.key] = [write.value]
        return answer


class SequentialKV(Service):
    """Keeps every key's versions, numbered by the state in which they appeared."""

    def __init__(self, random: Random) -> None:
        self.look = self._draw
        self._random = random
        self._newest = 0
        self._seen: dict[str, int] = {}  # caller -> the state it saw last
        self._versions: dict[Any, tuple[list[int], list[Any]]] = {}

    def handle(self, caller: str, body: Body) -> Body:
        count = self._count(caller)
        behind = min(self.look(caller, body, count).behind, count - 1)
        state = self._newest - behind
        answer, write = self._execute(body, state)
        if write is None:
            self._seen[caller] = state
            self.seen(State(behind))
            return answer
        answer, write = self._execute(body, self._newest)
        if write is not None:
            self._newest += 1
            numbers, values = self._versions.setdefault(write.key, ([], []))
            numbers.append(self._newest)
            values.append(write.value)
        self._seen[caller] = self._newest
        return answer

    def states(self, caller: str, body: Body) -> list[State]:
        found: dict[str, State] = {}
        for behind in range(self._count(caller)):
            answer, write = self._execute(body, self._newest - behind)
            if write is None:  # of states with the same answer, the oldest leaves most open
                found[json.dumps(answer)] = State(behind)
            else:  # which sees the newest state in any case
                found.setdefault("", State(behind))
        return list(found.values())

    def _count(self, caller: str) -> int:
        """How many states a caller may see."""
        return min(self._newest - self._seen.get(caller, 0) + 1, STATES_KEPT)

    def _draw(self, caller: str, body: Body, count: int) -> State:
        return State(count - 1 - self._random.randrange(count))

    def _execute(self, body: Body, state: int) -> tuple[Body, Write | None]:
        """The answer in `state`, and the change that the request makes there, if any."""
        answer, write = execute(body, lambda key: self._read(key, state), may_create=True)
        if write:
            present = self._read(write.key, state)
            if present and identity(present[0]) == identity(write.value):
                write = None
        return answer, write

    def _read(self, key: Any, state: int) -> list[Any]:
        numbers, values = self._versions.get(key, ((), ()))
        index = bisect_right(numbers, state)
        return [values[index - 1]] if index else []


@dataclass
class Replica:
    """One copy of lww-kv: a Lamport clock, and each key's value and when it was written."""

    clock: int = 0
    values: dict[Any, tuple[int, Any]] = field(default_factory=dict)

    def learn(self, other: Replica) -> None:
        """Take over values that are newer in `other`, or equally new: both replicas then agree."""
        self.clock = max(self.clock, other.clock)
        for key, (time, value) in other.values.items():
            if key not in self.values or self.values[key][0] <= time:
                self.values[key] = (time, value)


class LastWriteWinsKV(Service):
    def __init__(self, random: Random) -> None:
        self.look = self._draw
        self._random = random
        self._replicas = (Replica(), Replica())

    def states(self, caller: str, body: Body) -> list[State]:
        numbers = range(len(self._replicas))
        return [State(replica=r, learner=learner) for learner in (None, *numbers) for r in numbers]

    def _draw(self, caller: str, body: Body, count: int) -> State:
        source, learner, replica = (self._random.randrange(count) for _ in range(3))
        return State(replica=replica, learner=None if source == learner else learner)

    def handle(self, caller: str, body: Body) -> Body:
        state = self.look(caller, body, len(self._replicas))
        if state.learner is not None:
            self._replicas[state.learner].learn(self._replicas[1 - state.learner])
        replica = self._replicas[state.replica]
        self.seen(state)
        # As in Maelstrom, lww-kv ignores create_if_not_exists.
        answer, write = execute(
            body, lambda key: list(replica.values.get(key, ())[1:]), may_create=False
        )
        if write:
            replica.values[write.key] = (replica.clock, write.value)
            replica.clock += 1
        return answer


class TimestampOracle(Service):
    requests = {"ts": ()}

    def __init__(self) -> None:
        self._next = 0

    def handle(self, caller: str, body: Body) -> Body:
        self._next += 1
        return {"type": "ts_ok", "ts": self._next - 1}


def default_services(random: Random) -> dict[str, Service]:
    """The services that every test has."""
    return {
        "lin-kv": LinearizableKV(),
        "seq-kv": SequentialKV(random),
        "lww-kv": LastWriteWinsKV(random),
        "lin-tso": TimestampOracle(),
    }


def start_all(
    network: Network, random: Random, incidents: Incidents | None = None
) -> dict[str, Service]:
    """Let all services answer on the network; return them by their names."""
    services = default_services(random)
    for name, service in services.items():
        start(name, service, network, incidents or Incidents())
    return services


def start(name: str, service: Service, network: Network, incidents: Incidents) -> None:
    """Let `service` answer on the network as `name`."""

    def on_message(message: Message) -> None:
        answer = service.answer(message.src, message.body)
        msg_id = message.body.get("msg_id")
        if answer.get("code") == NOT_SUPPORTED.code:
            remark = f"{name}: {answer['text']}"
            incidents.note("service-refused", message.src, message.line, remark)
            if msg_id is None:
                return  # nobody waits for an answer, and two services might send errors for ever
        elif missing := service.missing(message.body):
            fields = " and ".join(f"`{field}`" for field in missing)
            incidents.note("field-left-out", message.src, message.line, f"{fields} of {name}")
        body = {**answer, "in_reply_to": msg_id}
        reply = {"src": name, "dest": message.src, "body": body}
        network.send(name, message.src, body, json.dumps(reply).encode())

    network.join(name, on_message)
