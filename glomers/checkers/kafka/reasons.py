"""The anomalies of a history in sentences: the key, offsets and messages, who sent, who polled.

The cases are those of the result, which are few; who sent and polled what is looked up in the
history. A picture is the log of a key around the case, as each operation saw it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from glomers.checkers.kafka.facts import ByKey, Facts, Message, gather, plain, polls, sends
from glomers.checkers.lost_values import killed
from glomers.history import edn
from glomers.history.evidence import Evidence
from glomers.history.operations import Operation
from glomers.history.values import identity
from glomers.report.figures import some, word
from glomers.report.reasons import Reason, at, in_turn, indices, listed

AROUND = 4  # offsets of a picture before and after the case
SIDES = 24  # operations of a picture

Case = Mapping[str, Any]
Told = tuple[str, list[Operation | None]]


def explain(result: Case, kinds: Sequence[str], evidence: Evidence) -> Iterator[Reason]:
    """The first cases: one of each kind, then the second of each."""
    if not len(evidence.history):
        return
    teller = Teller(evidence.history.derived(gather), evidence)
    yield from in_turn([teller.cases(kind, result[kind]) for kind in kinds if kind in result])


class Teller:
    """Makes a sentence of each case, and finds the operations that it is about."""

    def __init__(self, facts: Facts, evidence: Evidence) -> None:
        self.facts = facts
        self.evidence = evidence
        self.sentences: dict[str, Callable[[Case], Told]] = {
            "inconsistent-offsets": self._inconsistent_offsets,
            "duplicate": self._duplicate,
            "lost-write": self._lost_write,
            "unseen": self._unseen,
            "G1a": self._aborted_read,
            "G1c-realtime": self._read_of_the_future,
            "precommitted-read": self._precommitted_read,
            "poll-skip": self._poll_skip,
            "nonmonotonic-poll": self._nonmonotonic_poll,
            "int-poll-skip": self._internal_poll,
            "int-nonmonotonic-poll": self._internal_poll,
            "int-nonmonotonic-send": self._internal_send,
            "nonmonotonic-send": self._nonmonotonic_send,
        }

    def cases(self, kind: str, found: Any) -> Iterator[Reason]:
        """The cases of an anomaly, as the result has them."""
        cases = _unseen(found) if kind == "unseen" else found["errs"]
        for case in cases if kind in self.sentences else ():
            text, operations = self.sentences[kind](edn.to_json(case))
            known = [operation for operation in operations if operation]
            yield Reason(
                kind,
                text,
                max((operation.time for operation in known), default=None),
                indices(known),
                (),
                self.evidence.nodes_of(*known),
                self._picture(case["key"], case, known),
            )

    # Words

    def _did(self, operation: Operation | None, what: str = "") -> str:
        """Who did it when: "n1 at 2.10 s"."""
        if operation is None:
            return f"somebody{what}"
        return f"{self.evidence.who(operation)}{what} {at(operation.time)}"

    def _poll(self, operation: Operation | None) -> str:
        if operation is None:
            return "a poll"
        return f"the poll of {self.evidence.who(operation)} {at(operation.time)}"

    def _op(self, shown: Any) -> Operation | None:
        """The operation that stands in a case."""
        return self.evidence.operation(shown.get("index")) if isinstance(shown, Mapping) else None

    def _writer(self, key: str, message: Any) -> Operation | None:
        return self.facts.writers[key].get(identity(message))

    def _reader(self, key: str, message: Any) -> Operation | None:
        return self.facts.readers[key].get(identity(message))

    def _offset(self, key: str, message: Any) -> Any:
        offsets = self.facts.log(key).messages.items()
        name = identity(message)
        return next((offset for offset, messages in offsets if name in messages), None)

    # Sentences

    def _inconsistent_offsets(self, case: Case) -> Told:
        key, offset = case["key"], case["offset"]
        texts, operations = [], []
        for message in case["values"]:
            writer, reader = self._writer(key, message), self._reader(key, message)
            if self._sent_at(writer, key, message) == offset:
                texts.append(f"{_shown(message)} ({self._did(writer, ' acknowledged it there')})")
                operations.append(writer)
            else:
                texts.append(f"{_shown(message)} (shown by {self._poll(reader)})")
                operations += [reader, writer]
        return f"offset {offset} of key {word(key)} holds {listed(texts)}", operations

    def _sent_at(self, writer: Operation | None, key: str, message: Message) -> Any:
        """The offset that the answer to a send gave; None if there was none."""
        if writer is None or writer.type != "ok" or key not in (sent := sends(writer)):
            return None
        name = identity(message)
        return next((offset for offset, one in sent[key].pairs() if one == name), None)

    def _duplicate(self, case: Case) -> Told:
        key, message = case["key"], case["value"]
        offsets = case.get("offsets") or [
            offset
            for offset, messages in self.facts.log(key).messages.items()
            if identity(message) in messages
        ]
        writer = self._writer(key, message)
        text = f"message {_shown(message)} of key {word(key)} is at offsets {some(offsets)}"
        sent_at = self._sent_at(writer, key, message)
        operations = [writer]
        if sent_at is not None:
            text += f": {self._did(writer, f' acknowledged it at {sent_at}')}"
        other = next((offset for offset in offsets if offset != sent_at), None)
        reader = self._who_saw(key, message, other)
        if reader:
            text += f", {self._poll(reader)} showed it at {other}"
        return text, [*operations, reader]

    def _who_saw(self, key: str, message: Any, offset: Any) -> Operation | None:
        """The first poll that showed the message at that offset."""
        pair = offset, identity(message)
        for completion in self.facts.completions:
            if key in completion.polls and pair in completion.polls[key].pairs():
                return completion.operation
        return None

    def _lost_write(self, case: Case) -> Told:
        key, message = case["key"], case["value"]
        writer, reader = self._op(case["writer"]), self._op(case["max-read"])
        offset = self._offset(key, message)
        text = (
            f"message {_shown(message)} of key {word(key)}:"
            f" {self._did(writer, f' acknowledged it at offset {offset}')}, but no poll ever"
            f" showed it, though {self._poll(reader)} showed what is behind it"
        )
        beyond = self._beyond(reader, key, offset)
        return text + beyond + self._killed(writer), [writer, reader]

    def _killed(self, writer: Operation | None) -> str:
        """When the node that had acknowledged something was killed."""
        node = self.evidence.node(writer) if writer else ""
        had = {node: writer.time} if writer and node else {}
        return "".join(f"; {clause}" for clause in killed(had, self.evidence))

    def _beyond(self, reader: Operation | None, key: str, offset: Any) -> str:
        """The first message behind that offset that a poll showed."""
        if reader is None or offset is None or key not in (seen := polls(reader)):
            return ""
        later = [pair for pair in seen[key].pairs() if pair[0] > offset]
        if not later:
            return ""
        place, message = min(later, key=lambda pair: pair[0])
        return f" ({_message(message)} at offset {place})"

    def _unseen(self, case: Case) -> Told:
        key, message = case["key"], case["value"]
        writer = self._writer(key, message)
        where = f" acknowledged it at offset {self._offset(key, message)}"
        text = (
            f"message {_shown(message)} of key {word(key)}: {self._did(writer, where)},"
            f" but no poll showed it until the end"
        )
        return text + self._killed(writer), [writer]

    def _aborted_read(self, case: Case) -> Told:
        key, message = case["key"], case["value"]
        writer, reader = self._op(case["writer"]), self._op(case["reader"])
        text = (
            f"{self._poll(reader)} showed message {_shown(message)} of key {word(key)},"
            f" whose send had failed ({self._did(writer)})"
        )
        return text, [reader, writer]

    def _read_of_the_future(self, case: Case) -> Told:
        key, message = case["key"], case["value"]
        writer, reader = self._op(case["writer"]), self._op(case["reader"])
        began = self.evidence.history.invocation(writer) if writer else None
        text = (
            f"{self._poll(reader)} showed message {_shown(message)} of key {word(key)}"
            f" before it was sent ({self._did(began or writer, ' was asked to')})"
        )
        return text, [reader, writer]

    def _precommitted_read(self, case: Case) -> Told:
        operation = self._op(case["op"])
        text = (
            f"an operation of {self._did(operation)} polled message {_shown(case['value'])}"
            f" of key {word(case['key'])}, which it sent itself"
        )
        return text, [operation]

    def _poll_skip(self, case: Case) -> Told:
        before, after = map(self._op, case["ops"])
        key = case["key"]
        text = (
            f"process {_process(after)}'s polls of key {word(key)} left out"
            f" {some(case.get('skipped') or ())}: {self._poll(before)} ended with"
            f" {self._end(before, key, -1)}, and {self._poll(after)} began with"
            f" {self._end(after, key, 0)}"
        )
        return text, [after, before]

    def _nonmonotonic_poll(self, case: Case) -> Told:
        before, after = map(self._op, case["ops"])
        key = case["key"]
        text = (
            f"process {_process(after)}'s polls of key {word(key)} went back:"
            f" {self._poll(before)} ended with {self._end(before, key, -1)},"
            f" and {self._poll(after)} began with {self._end(after, key, 0)}"
        )
        return text, [after, before]

    def _end(self, operation: Operation | None, key: str, place: int) -> str:
        """The first (0) or last (-1) message of a poll, and its offset."""
        seen = polls(operation) if operation else {}
        if key not in seen or not seen[key].messages:
            return "nothing"
        offset, message = list(seen[key].pairs())[place]
        return f"{_message(message)} (offset {offset})"

    def _internal_poll(self, case: Case) -> Told:
        operation = self._op(case["op"])
        seen = polls(operation) if operation else {}
        text = f"{self._poll(operation)} showed {self._next_to(seen, case)}"
        return text, [operation]

    def _internal_send(self, case: Case) -> Told:
        operation = self._op(case["op"])
        sent = sends(operation) if operation else {}
        text = f"{self._did(operation)} was sent {self._next_to(sent, case)}"
        return text, [operation]

    def _next_to(self, entries: ByKey, case: Case) -> str:
        """Two neighbours of an operation with their offsets there, and what is wrong with them."""
        before, after = case["values"]
        names = identity(before), identity(after)
        pairs = list(entries[case["key"]].pairs()) if case["key"] in entries else []
        offsets = [
            (one, other)
            for (one, message), (other, following) in pairwise(pairs)
            if (message, following) == names
        ]
        one, other = offsets[0] if offsets else (None, None)
        text = (
            f"{_shown(before)} (offset {one}) and next {_shown(after)} (offset {other})"
            f" of key {word(case['key'])}"
        )
        if skipped := case.get("skipped"):
            return f"{text}, without {some(skipped)} between them"
        return f"{text}, which does not stand behind it in the log"

    def _nonmonotonic_send(self, case: Case) -> Told:
        before, after = map(self._op, case["ops"])
        key = case["key"]
        one, other = case["values"]
        text = (
            f"process {_process(after)} sent {_shown(one)} to key {word(key)}"
            f" ({self._did(before)}, offset {self._offset(key, one)}) and then {_shown(other)}"
            f" ({self._did(after)}, offset {self._offset(key, other)}),"
            " which does not stand behind it in the log"
        )
        return text, [after, before]

    # The picture

    def _picture(self, key: str, case: Case, known: Sequence[Operation]) -> dict[str, Any]:
        """The log of a key around a case: what each operation sent or saw there, by offset."""
        centre = self._centre(key, case)
        if centre is None:
            return {}
        log = self.facts.log(key)
        low, high = centre - AROUND, centre + AROUND
        near = log.offsets[max(0, low) : high + 1]
        sides: list[list[Any]] = []
        first, last = (near[0], near[-1]) if near else (0, -1)
        chosen = {operation.index for operation in known}
        for completion in self.facts.completions:
            operation = completion.operation
            parts = [part[key] for part in (completion.sends, completion.polls) if key in part]
            pairs = [
                [offset, plain(message)]
                for part in parts
                for offset, message in part.pairs()
                if offset is not None and first <= offset <= last
            ]
            if (parts and operation.index in chosen) or (pairs and len(sides) < SIDES):
                who = self.evidence.node(operation)
                sides.append([operation.index, who, operation.f, operation.time, pairs])
        follow = [key, plain(log.order[centre])]
        return {"form": "log", "key": key, "follow": follow, "offsets": near, "sides": sides}

    def _centre(self, key: str, case: Case) -> int | None:
        """The index in the log that a case is about."""
        log = self.facts.log(key)
        if "index" in case:
            return int(case["index"])
        if "value" in case:
            return log.index.get(identity(case["value"]))
        if case.get("values"):
            return log.index.get(identity(next(iter(case["values"]))))
        skipped = case.get("skipped")
        return log.index.get(identity(skipped[0])) if skipped else None


def _unseen(found: Case) -> Iterator[Case]:
    """One case for each message, of one key after another."""
    for key, messages in found["messages"].items():
        for message in edn.to_json(messages):
            yield {"key": str(key), "value": message}


def _shown(value: Any) -> str:
    """A message as it was sent, in a sentence."""
    return word(json.dumps(value, ensure_ascii=False))


def _message(message: Message) -> str:
    return _shown(plain(message))


def _process(operation: Operation | None) -> str:
    return str(operation.process) if operation else "?"
