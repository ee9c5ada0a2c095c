"""Kafka: append-only logs, one for each key. Clients send messages, and poll those of others.

The operations are Maelstrom's (`maelstrom.workload.kafka`, `jepsen.tests.kafka`, `elle.txn`):

- `send`, value [[:send key message]]: the node gives the message an offset.
- `poll`, value [[:poll]]: the node returns the messages of all assigned keys, each from the
  session's position on. The session then commits what it has seen. Half of the operations send,
  half poll.
- `assign`, value [keys]: from now on, the session polls these keys and no others. Before one in 64
  operations its key is assigned; a third of the time together with all keys that hold unpolled
  messages.
- `crash`: the session and its positions are lost; the worker continues as a new process.

In the final phase each worker crashes, assigns all keys from the beginning, and polls until it has
seen every known offset, for at most 10 s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from glomers.checkers import kafka
from glomers.checkers.verdict import warning
from glomers.history.edn import Keyword
from glomers.history.operations import History, Operation
from glomers.history.times import NANOS
from glomers.options import Options
from glomers.workloads.base import (
    ClientSession,
    Conversation,
    Invocation,
    OperationGenerator,
    SessionCrash,
    Values,
    Workload,
)
from glomers.workloads.shapes import OneOf

KEY_COUNT = 10  # keys in use at a time
ASSIGN_PROBABILITY = 1 / 64
CATCH_UP_PROBABILITY = 1 / 3
CRASH_INTERVAL = 30.0  # seconds, on average, for each worker
FINAL_POLL_INTERVAL = 0.2  # seconds, on average
ENOUGH_LISTINGS = 5  # requests for committed offsets, after which one should have been shown

SEND, POLL = Keyword("send"), Keyword("poll")
SEEK_TO_BEGINNING = ("seek-to-beginning?", True)

# The shapes of micro-operations, when they are invoked and when they are ok.
SENDING, SENT = ("send", str, Any), ("send", str, (OneOf(int, None), Any))
POLLING, POLLED = ("poll",), ("poll", {str: OneOf([(int, Any)], None)})

Offsets = dict[str, int]


# The load


class Sends:
    """Draws the next key and its message; each key gets the messages 1, 2, 3, … up to `most`.

    `count` keys are in use at a time, each twice as likely as the one before it. A key that has had
    its last message is replaced by a new one.
    """

    def __init__(self, random: Random, count: int, most: int) -> None:
        self._random = random
        self._most = most
        self._keys = list(range(count))
        self._sent = dict.fromkeys(self._keys, 0)

    def draw(self) -> tuple[str, int | None]:
        """A key, and the message to send to it; None as the message means to poll."""
        while True:
            sends = self._random.random() < 0.5
            index = self._random.randrange(1, 1 << len(self._keys)).bit_length() - 1
            key = self._keys[index]
            if not sends:
                return str(key), None
            if self._sent[key] < self._most:
                self._sent[key] += 1
                return str(key), self._sent[key]
            self._keys[index] = new = max(self._keys) + 1
            self._sent[new] = 0


class MainGenerator(OperationGenerator):
    """Sends, polls, assigns and crashes. `known` collects the highest known offset of each key."""

    def __init__(self, options: Options, random: Random, known: Offsets) -> None:
        self._random = random
        self._sends = Sends(random, options.key_count or KEY_COUNT, options.max_writes_per_key)
        self._coming = self._sends.draw()
        self._known = known
        self._unseen = Unseen()
        self._crash_interval = CRASH_INTERVAL / options.concurrency * NANOS
        self._crash_due = 0.0
        self._now = 0

    def next(self, process: int, worker: int) -> Invocation:
        random = self._random
        # A crash that is due is as likely to come next as any other operation.
        if self._now >= self._crash_due and random.random() < 0.5:
            self._crash_due = self._now + random.uniform(0, 2 * self._crash_interval)
            return Invocation("crash")
        key, message = self._coming
        if random.random() < ASSIGN_PROBABILITY:
            # The operation that was to come next follows the assign.
            catches_up = random.random() < CATCH_UP_PROBABILITY
            return Invocation("assign", self._unseen.keys_and(key) if catches_up else [key])
        self._coming = self._sends.draw()
        if message is None:
            return Invocation("poll", [[POLL]])
        return Invocation("send", [[SEND, key, message]])

    def update(self, operation: Operation, worker: int) -> None:
        self._now = operation.time
        if operation.type == "ok":
            sent, polled = sent_offsets(operation), polled_offsets(operation)
            for offsets in (sent, polled):
                raise_to(self._known, offsets)
            self._unseen.update(sent, polled)


class Unseen:
    """Keys with offsets that were sent but not polled yet; only some of them are followed."""

    def __init__(self) -> None:
        self._sent: Offsets = {}
        self._polled: Offsets = {}

    def keys_and(self, key: str) -> list[str]:
        return list({**self._sent, key: 0})

    def update(self, sent: Offsets, polled: Offsets) -> None:
        raise_to(self._sent, sent)
        raise_to(self._polled, polled)
        for key in {**sent, **polled}:
            if self._polled.get(key, -1) >= self._sent.get(key, -1):
                self._sent.pop(key, None)
                self._polled.pop(key, None)


def sent_offsets(operation: Operation) -> Offsets:
    """The offset of a successful send, by key."""
    if operation.f != "send":
        return {}
    return {key: max(0, offset) for _, key, (offset, _) in operation.value}


def polled_offsets(operation: Operation) -> Offsets:
    """The highest offset that a successful poll showed of each key; -1 if it showed none."""
    if operation.f != "poll":
        return {}
    [[_, messages]] = operation.value
    return {key: max([-1, *(o for o, _ in pairs or ())]) for key, pairs in messages.items()}


def raise_to(offsets: Offsets, others: Offsets) -> None:
    """Raise each offset to that in `others`, if that is higher."""
    for key, offset in others.items():
        offsets[key] = max(offset, offsets.get(key, offset))


# The final phase


@dataclass(slots=True)
class CatchUp:
    """One worker's progress in the final phase: what it must still see, and what it does next."""

    targets: Offsets
    steps_done: int = 0
    poll_due: float = 0.0  # nanoseconds


class FinalGenerator(OperationGenerator):
    """For each worker: crash, assign all keys from the beginning, poll until all is seen."""

    def __init__(self, random: Random, known: Mapping[str, int]) -> None:
        self._random = random
        self._known = known
        self._workers: dict[int, CatchUp] = {}
        self._now = 0

    def next(self, process: int, worker: int) -> Invocation | None:
        state = self._workers.setdefault(worker, CatchUp(dict(self._known)))
        if not state.targets:
            return None
        state.steps_done += 1
        if state.steps_done == 1:
            return Invocation("crash")
        if state.steps_done == 2:
            keys = sorted(self._known, key=lambda key: (len(key), key))
            return Invocation("assign", keys, extra=(SEEK_TO_BEGINNING,))
        begin = max(self._now, state.poll_due)
        state.poll_due = begin + self._random.uniform(0, 2 * FINAL_POLL_INTERVAL * NANOS)
        return Invocation("poll", [[POLL]], wait=(begin - self._now) / NANOS)

    def update(self, operation: Operation, worker: int) -> None:
        self._now = operation.time
        if operation.type == "ok" and worker in self._workers:
            targets = self._workers[worker].targets
            for key, offset in polled_offsets(operation).items():
                if offset >= targets.get(key, -1):
                    targets.pop(key, None)


# A client


@dataclass
class Commits:
    """How nodes treat commits: which keys have one, and how often they were listed.

    What another node acknowledged may not have come to the node that lists, so a few such requests
    prove nothing. A client's own commits were acknowledged by the node that it asks, so one is
    enough.
    """

    acknowledged: set[str] = field(default_factory=set)
    occasions: int = 0  # requests for the committed offsets of such a key
    own: int = 0  # those by a client that had committed an offset of the key itself
    shown: int = 0  # those that were answered with an offset

    def note(self, expected: set[str], own: set[str], listed: Offsets) -> None:
        self.occasions += len(expected)
        self.own += len(own)
        self.shown += len(expected & listed.keys())

    def warnings(self) -> list[dict[str, Any]]:
        if self.shown or not (self.own or self.occasions >= ENOUGH_LISTINGS):
            return []
        text = (
            "list_committed_offsets never showed an offset of a key whose commit_offsets had been"
            " acknowledged: commits seem to be dropped"
        )
        return [warning("commits-dropped", text, sorted(self.acknowledged))]


class Session(ClientSession):
    """A consumer and producer. `positions` has the next offset to poll of each assigned key."""

    def __init__(self, commits: Commits | None = None) -> None:
        self.positions: Offsets = {}
        self._committed: set[str] = set()
        self._commits = commits or Commits()

    def invoke(self, invocation: Invocation) -> Conversation:
        if invocation.f == "crash":
            raise SessionCrash
        if invocation.f == "assign":
            yield from self._assign(invocation.value, SEEK_TO_BEGINNING in invocation.extra)
            return invocation.value
        if invocation.f == "poll":
            return (yield from self._poll())
        [[_, key, message]] = invocation.value
        answer = yield {"type": "send", "key": key, "msg": message}
        return [[SEND, key, [answer["offset"], message]]]

    def _assign(self, keys: list[str], from_beginning: bool) -> Conversation:
        """Keep the positions of these keys; new keys begin at 0.

        As in Maelstrom, new keys should begin at their committed offsets, for which the session
        asks. But Maelstrom looks for the keys in the answer's body, not in its `offsets`, and so
        never finds any.
        """
        if from_beginning:
            self.positions = dict.fromkeys(keys, 0)
        else:
            expected = self._commits.acknowledged.intersection(keys)
            own = self._committed.intersection(keys)
            answer = yield {"type": "list_committed_offsets", "keys": keys}
            self._commits.note(expected, own, answer["offsets"])
            self.positions = {key: self.positions.get(key, 0) for key in keys}

    def _poll(self) -> Conversation:
        answer = yield {"type": "poll", "offsets": dict(self.positions)}
        messages = answer["msgs"]
        offsets = {key: [offset for offset, _ in pairs or ()] for key, pairs in messages.items()}
        raise_to(self.positions, {k: max(some, default=-1) + 1 for k, some in offsets.items()})
        if seen := {key: max(0, *some) for key, some in offsets.items() if some}:
            yield {"type": "commit_offsets", "offsets": seen}
            self._commits.acknowledged.update(seen)
            self._committed.update(seen)
        return [[POLL, messages]]


class KafkaWorkload(Workload):
    name = "kafka"
    operations = {
        "send": Values(asked=[SENDING], answered=[SENT]),
        "poll": Values(asked=[POLLING], answered=[POLLED]),
        "assign": Values(asked=[str], answered=[str]),
        "crash": Values(),
        # An operation of Jepsen's that Maelstrom leaves out.
        "txn": Values(asked=[OneOf(SENDING, POLLING)], answered=[OneOf(SENT, POLLED)]),
        "subscribe": Values(asked=[str], answered=[str]),
        "debug-topic-partitions": Values(asked=Any, answered=Any),
    }
    answers = {
        "send": ("send_ok", {"offset": int}),
        "poll": ("poll_ok", {"msgs": {str: [(int, Any)]}}),
        "commit_offsets": ("commit_offsets_ok", {}),
        "list_committed_offsets": ("list_committed_offsets_ok", {"offsets": {str: int}}),
    }
    checker = kafka.CHECKER
    idempotent = frozenset({"assign"})
    final_time_limit = 10.0

    def __init__(self, options: Options, random: Random) -> None:
        super().__init__(options, random)
        self._known: Offsets = {}
        self._commits = Commits()

    def generator(self) -> OperationGenerator:
        return MainGenerator(self.options, self.random, self._known)

    def final_generator(self) -> OperationGenerator:
        return FinalGenerator(self.random, dict(self._known))

    def session(self, node: str) -> ClientSession:
        return Session(self._commits)

    def warnings(self) -> list[dict[str, Any]]:
        return self._commits.warnings()

    def keyworded(self, f: str, value: Any) -> Any:
        if f in ("send", "poll"):
            return [[Keyword(name), *rest] for name, *rest in value]
        return value

    @classmethod
    def is_shared(cls, operation: Operation) -> bool:
        return operation.f == "send"

    @staticmethod
    def has_final_phase(history: History) -> bool:
        """Whether there is a final phase; there need be none if no send was acknowledged."""
        return any(SEEK_TO_BEGINNING in operation.extra for operation in history) or not any(
            operation.f == "send" and operation.type == "ok" for operation in history
        )
