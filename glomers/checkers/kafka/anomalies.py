"""The anomalies: what a history of sends and polls may not show. See the package's theory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from glomers.checkers.kafka.facts import ByKey, Completion, Facts, Message, plain
from glomers.history.operations import Operation, as_map
from glomers.history.values import order

Case = dict[str, Any]
Errors = dict[str, list[Case]]


def find(facts: Facts) -> Errors:
    """All cases of every anomaly except `unseen`, by Jepsen's names and with its keys."""
    errors: Errors = {
        "inconsistent-offsets": list(_inconsistent_offsets(facts)),
        "duplicate": list(_duplicates(facts)),
        "lost-write": list(_lost_writes(facts)),
        "G1a": list(_aborted_reads(facts)),
        "G1c-realtime": list(_reads_of_the_future(facts)),
        "precommitted-read": list(_precommitted_reads(facts)),
        "nonmonotonic-send": list(_external_sends(facts)),
        **_internal(facts, "poll", lambda completion: completion.polls),
        **_internal(facts, "send", lambda completion: completion.sends),
        **_external_polls(facts),
    }
    return {kind: cases for kind, cases in errors.items() if cases}


def unseen(facts: Facts) -> Case | None:
    """The acknowledged messages that no poll showed, by key; None if there are none.

    `time` (in nanoseconds) is when the last successful send or poll ended.
    """
    messages: dict[str, list[Message]] = defaultdict(list)
    for key in sorted(facts.writers):
        for message, writer in facts.writers[key].items():
            if writer.type == "ok" and message not in facts.seen[key]:
                messages[key].append(message)
    if not messages:
        return None
    ended = (c.operation for c in reversed(facts.completions) if c.sends or c.operation.f == "poll")
    return {
        "time": next(operation.time for operation in ended if operation.type == "ok"),
        "unseen": {key: len(missing) for key, missing in messages.items()},
        "messages": {
            key: sorted(map(plain, missing), key=order) for key, missing in messages.items()
        },
    }


# In the log


def _inconsistent_offsets(facts: Facts) -> Iterator[Case]:
    for key, log in facts.logs.items():
        for index, (offset, messages) in enumerate(log.messages.items()):
            if len(messages) > 1:
                values = frozenset(m[1] if isinstance(m, tuple) else m for m in messages)
                yield {"key": key, "offset": offset, "index": index, "values": values}


def _duplicates(facts: Facts) -> Iterator[Case]:
    for key, log in facts.logs.items():
        places: dict[Message, list[int]] = defaultdict(list)
        for offset, messages in log.messages.items():
            for message in messages:
                places[message].append(offset)
        for message, offsets in places.items():
            if (count := len(offsets)) > 1:
                yield {"key": key, "value": plain(message), "count": count, "offsets": offsets}


def _lost_writes(facts: Facts) -> Iterator[Case]:
    """Messages that no poll showed, although polls showed later ones.

    If a message has several offsets, a poll of it only proves that everything before its first
    offset should have been seen. The message itself should only have been seen if a poll went
    beyond its last offset.
    """
    for key, seen in facts.seen.items():
        first: dict[Message, int] = {}
        last: dict[Message, int] = {}
        for index, messages in enumerate(facts.log(key).messages.values()):
            for message in messages:
                first.setdefault(message, index)
                last[message] = index
        bound = max((first[message] for message in seen if message in first), default=-1)
        missing = [m for m, index in last.items() if index <= bound and m not in seen]
        if not missing:
            continue
        furthest = next(m for m in facts.readers[key] if m in seen and first.get(m) == bound)
        for message in sorted(missing, key=last.__getitem__):
            writer = facts.writers[key].get(message)
            if writer and writer.type == "ok":
                yield {
                    "key": key,
                    "value": plain(message),
                    "index": first[message],
                    "max-read-index": bound,
                    "writer": as_map(writer),
                    "max-read": as_map(facts.readers[key][furthest]),
                }


# Polls compared with the sends of the messages that they show


def _aborted_reads(facts: Facts) -> Iterator[Case]:
    failed = {
        key: {message: writer for message, writer in writers.items() if writer.type == "fail"}
        for key, writers in facts.writers.items()
    }
    for completion in facts.completions if any(failed.values()) else ():
        if completion.operation.type != "ok":
            continue
        for key, polled in completion.polls.items():
            for message in polled.messages if failed.get(key) else ():
                if writer := failed[key].get(message):
                    yield _read(key, message, writer, completion.operation)


def _reads_of_the_future(facts: Facts) -> Iterator[Case]:
    """Polls that ended before their message was sent: a case for each component of Jepsen's graph.

    Everything from the end of such a poll to the beginning of the send is in one component, so
    cases that overlap count once.
    """
    end = -1  # index at which the last component ends
    for key, message, poll in facts.premature:
        writer = facts.writers[key].get(message)
        if writer is None:
            continue  # the message was never sent: see beyond.py
        if poll.index > end:
            yield _read(key, message, writer, poll)
        invocation = facts.history.invocation(writer) or writer
        end = max(end, invocation.index)


def _read(key: str, message: Message, writer: Operation, reader: Operation) -> Case:
    return {
        "key": key,
        "value": plain(message),
        "writer": as_map(writer),
        "reader": as_map(reader),
    }


def _precommitted_reads(facts: Facts) -> Iterator[Case]:
    for completion in facts.completions:
        for key, sent in completion.sends.items() if completion.polls else ():
            polled = completion.polls[key].messages if key in completion.polls else []
            if own := set(polled).intersection(sent.messages):
                value = plain(next(message for message in sent.messages if message in own))
                yield {"op": as_map(completion.operation), "key": key, "value": value}
                break


# Within one operation, and from one operation to the next


def _internal(facts: Facts, side: str, part: Callable[[Completion], ByKey]) -> Errors:
    """Messages that one operation sends or polls one after the other, but aren't so in the log."""
    errors: Errors = {f"int-{side}-skip": [], f"int-nonmonotonic-{side}": []}
    for completion in facts.completions:
        for key, entries in part(completion).items():
            if len(entries.messages) < 2:
                continue
            log = facts.log(key)
            for before, after, delta in log.jumps(entries.messages):
                case: Case = {"key": key, "values": [plain(before), plain(after)], "delta": delta}
                case["op"] = as_map(completion.operation)
                if delta > 1:
                    case["skipped"] = log.between(before, after)
                    errors[f"int-{side}-skip"].append(case)
                else:
                    errors[f"int-nonmonotonic-{side}"].append(case)
    return errors


def _external_polls(facts: Facts) -> Errors:
    """Polls of a key that don't begin where the process's previous poll of that key ended.

    A key's position is forgotten when an assign leaves the key out. As in Jepsen, it is forgotten
    as well when a poll names the key but shows none of its messages.
    """
    skips: list[Case] = []
    backwards: list[Case] = []
    for completions in facts.by_process():
        previous: dict[str, Completion] = {}
        for completion in completions:
            previous = _still_assigned(previous, completion.operation)
            for key, polled in completion.polls.items():
                last = previous.get(key)
                if last is None or not polled.messages or not last.polls[key].messages:
                    continue
                log, before, after = (
                    facts.log(key),
                    last.polls[key].messages[-1],
                    polled.messages[0],
                )
                delta = log.delta(before, after)
                if delta == 1:
                    continue
                case = {"key": key, "delta": delta, "ops": _ops(last, completion)}
                if delta > 1:
                    skips.append({**case, "skipped": log.between(before, after)})
                else:
                    backwards.append({**case, "values": [plain(before), plain(after)]})
            previous.update(dict.fromkeys(completion.polls, completion))
    return {"poll-skip": skips, "nonmonotonic-poll": backwards}


def _external_sends(facts: Facts) -> Iterator[Case]:
    """Sends whose place in the log isn't after that of the process's previous send to the key."""
    for completions in facts.by_process():
        previous: dict[str, Completion] = {}
        for completion in completions:
            if completion.operation.type == "fail":
                continue
            previous = _still_assigned(previous, completion.operation)
            for key, sent in completion.sends.items():
                if last := previous.get(key):
                    before, after = last.sends[key].messages[-1], sent.messages[0]
                    delta = facts.log(key).delta(before, after)
                    if delta < 1:
                        yield {
                            "key": key,
                            "values": [plain(before), plain(after)],
                            "delta": delta,
                            "ops": _ops(last, completion),
                        }
            previous.update(dict.fromkeys(completion.sends, completion))


def _still_assigned(previous: dict[str, Completion], operation: Operation) -> dict[str, Completion]:
    if operation.f != "assign" or operation.type == "fail":
        return previous
    return {key: previous[key] for key in operation.value if key in previous}


def _ops(*completions: Completion) -> list[Case]:
    return [as_map(completion.operation) for completion in completions]
