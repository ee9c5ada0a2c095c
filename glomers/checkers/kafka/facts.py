"""The facts of a history of sends and polls: who sent and saw each message, and each key's log."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any

from glomers.history.operations import History, Operation
from glomers.history.values import identity

# A message as a key of a dict: the `identity` of what was sent. Our workload sends integers.
Message = Any


def plain(message: Message) -> Any:
    """A message as it was sent."""
    return json.loads(message[1]) if isinstance(message, tuple) else message


@dataclass(slots=True)
class Entries:
    """An operation's messages of one key, in its order, with their offsets.

    The offset of a send is None if it isn't known.
    """

    offsets: list[Any] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    def extend(self, pairs: Sequence[Sequence[Any]]) -> None:
        for offset, message in pairs:
            self.offsets.append(offset)
            self.messages.append(message if type(message) is int else identity(message))

    def pairs(self) -> Iterator[tuple[Any, Message]]:
        return zip(self.offsets, self.messages, strict=True)


ByKey = dict[str, Entries]


@dataclass(frozen=True, slots=True)
class Completion:
    """The end of an operation, with what it sent and what its polls showed."""

    operation: Operation
    sends: ByKey
    polls: ByKey


class Log:
    """What is known of one key's log: the messages at each offset, normally one.

    `order` has the message at each index, `index` the index of each message.
    """

    def __init__(self, entries: Iterable[tuple[int, Message]]) -> None:
        by_offset = groupby(sorted(entries, key=itemgetter(0)), key=itemgetter(0))
        self.messages = {offset: [message for _, message in group] for offset, group in by_offset}
        self.offsets = list(self.messages)
        self.last_offset = self.offsets[-1] if self.offsets else -1
        self.order = [messages[0] for messages in self.messages.values()]
        self.index = {message: index for index, message in enumerate(self.order)}

    def delta(self, before: Message, after: Message) -> int:
        """How many places after `before` the message `after` is; 1 if one of them isn't known."""
        first, second = self.index.get(before), self.index.get(after)
        return 1 if first is None or second is None else second - first

    def between(self, before: Message, after: Message) -> list[Any]:
        """The messages between two messages of the log."""
        return list(map(plain, self.order[self.index[before] + 1 : self.index[after]]))

    def jumps(self, messages: list[Message]) -> Iterator[tuple[Message, Message, int]]:
        """Neighbours in `messages` that aren't neighbours in the log, with their delta."""
        if len(self.index) == len(self.order) and messages:
            first = self.index.get(messages[0], len(self.order))
            if messages == self.order[first : first + len(messages)]:
                return  # the usual case takes only one comparison
        for before, after in pairwise(messages):
            delta = self.delta(before, after)
            if delta != 1:
                yield before, after, delta


EMPTY = Log(())


@dataclass
class Facts:
    """What the checks look up; made by `gather`.

    `writers` has the send of each message: its completion, or its invocation if it has none.
    `seen` has the messages that successful polls showed. `premature` has polls of messages not sent
    at the time, as (key, message, poll).
    """

    history: History
    completions: list[Completion] = field(default_factory=list)
    writers: dict[str, dict[Message, Operation]] = field(default_factory=lambda: defaultdict(dict))
    seen: dict[str, set[Message]] = field(default_factory=lambda: defaultdict(set))
    premature: list[tuple[str, Message, Operation]] = field(default_factory=list)
    logs: dict[str, Log] = field(default_factory=dict)

    @cached_property
    def readers(self) -> dict[str, dict[Message, Operation]]:
        """The first poll that showed each message."""
        readers: dict[str, dict[Message, Operation]] = defaultdict(dict)
        for completion in reversed(self.completions):
            for key, entries in completion.polls.items():
                readers[key].update(dict.fromkeys(entries.messages, completion.operation))
        return readers

    def log(self, key: str) -> Log:
        return self.logs.get(key, EMPTY)

    def by_process(self) -> Iterable[list[Completion]]:
        processes = defaultdict(list)
        for completion in self.completions:
            processes[completion.operation.process].append(completion)
        return processes.values()


def gather(history: History) -> Facts:
    """Gather the facts of a history."""
    facts = Facts(history)
    for operation in history.client_operations():
        sent = sends(operation)
        for key, entries in sent.items():
            writers = facts.writers[key]
            for message in entries.messages:
                writers[message] = operation
        if operation.type == "invoke":
            continue
        polled = polls(operation)
        facts.completions.append(Completion(operation, sent, polled))
        for key, entries in polled.items():
            known = facts.writers[key]
            facts.premature += [(key, m, operation) for m in entries.messages if m not in known]
            if operation.type == "ok":
                facts.seen[key].update(entries.messages)
    facts.logs = _logs(facts)
    return facts


def sends(operation: Operation) -> ByKey:
    """What an operation sends. If it succeeded, [offset, message] stands for each message."""
    sent: ByKey = {}
    if operation.f in ("send", "txn"):
        for action, *arguments in operation.value:
            if action == "send":
                key, what = arguments
                pair = what if operation.type == "ok" else (None, what)
                sent.setdefault(key, Entries()).extend([pair])
    return sent


def polls(operation: Operation) -> ByKey:
    """What an operation's polls show. A key may have no messages, or null."""
    polled: ByKey = {}
    if operation.f in ("poll", "txn"):
        for action, *shown in operation.value:
            if action == "poll" and shown:
                for key, pairs in shown[0].items():
                    polled.setdefault(key, Entries()).extend(pairs or ())
    return polled


def _logs(facts: Facts) -> dict[str, Log]:
    """Each key's log: all messages that were polled or acknowledged."""
    found: dict[str, dict[tuple[int, Message], None]] = defaultdict(dict)
    for completion in facts.completions:
        for key, entries in completion.polls.items():
            found[key].update(dict.fromkeys(entries.pairs()))
        if completion.operation.type == "ok":
            for key, entries in completion.sends.items():
                found[key].update(dict.fromkeys(entries.pairs()))
    return {key: Log(pairs) for key, pairs in found.items()}
