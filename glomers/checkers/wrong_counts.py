"""How a counter came to be wrong: which final reads, by how much, and what they may have missed.

The operations tell by how much a read is off, and since when its node's reads are. If the missing
part is the sum of what other nodes acknowledged, or of a single add, that is said. The messages to
and from a service tell of two mistakes that only they can show: a node that overwrote another's
update, and one that used an old value.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from glomers.history.evidence import Evidence
from glomers.history.messages import Messages, Sent
from glomers.history.operations import Operation
from glomers.history.values import identity
from glomers.report.figures import word
from glomers.report.incidents import names
from glomers.report.reasons import CASES, Reason, at, first, indices

KIND = "wrong-count"
SERVICES = ("seq-kv", "lin-kv")  # lww-kv may drop a write that comes later
MOST_NODES = 12  # whose sums are tried together
Bounds = Sequence[Sequence[int]]


def explain(wrong: Sequence[Operation], acceptable: Bounds, evidence: Evidence) -> Iterator[Reason]:
    """Why these final reads are wrong: each of the first by itself, then what messages tell."""
    yield from first(_reason(read, acceptable, evidence) for read in wrong[: CASES - 1])
    yield from _of_services(wrong, evidence)


def _reason(read: Operation, acceptable: Bounds, evidence: Evidence) -> Reason:
    who = evidence.who(read)
    if type(read.value) is not int:
        text = f"{who}'s final read {at(read.time)} is no integer: {word(read.value)}"
        return Reason(KIND, text, read.time, (read.index,), (), evidence.nodes_of(read))
    limits = [bound for pair in acceptable for bound in pair]
    nearest = min(limits, key=lambda bound: abs(bound - read.value))
    off = read.value - nearest
    how = f"{abs(off):,} too {'much' if off > 0 else 'little'}"
    text = f"{who}'s final read {at(read.time)} is {read.value:,}, {how}"
    why, adds = _missing(-off, evidence.node(read), evidence)
    text += f", {why}" if why else ""
    since = _wrong_since(read, evidence)
    if since:
        before, after = since
        text += f"; its reads are wrong from {after.time / 1e9:.2f} s on"
        text += f", the last right one was {at(before.time)}" if before else ""
    operations = indices((read, *(since or ()), *adds))
    return Reason(KIND, text, read.time, operations, (), evidence.nodes_of(read, *adds))


def _adds(evidence: Evidence) -> list[Operation]:
    """The adds that were acknowledged."""
    return [
        ended
        for began, ended in evidence.history.pairs()
        if began.f == "add" and ended and ended.type == "ok"
    ]


def _missing(amount: int, reader: str, evidence: Evidence) -> tuple[str, list[Operation]]:
    """What a read that lacks `amount` seems to have missed, if that can be told, and which adds.

    First the sums of whole nodes, but for that of the reader, are tried: a node that never hears
    of others lacks just theirs. Then single adds; only one that is the only one of its size says
    something.
    """
    adds = _adds(evidence)
    sums: Counter[str] = Counter()
    for add in adds:
        sums[evidence.node(add)] += add.value
    nodes = [node for node in evidence.nodes if sums[node] and node != reader]
    if len(nodes) <= MOST_NODES:
        fitting = [
            group
            for size in range(1, len(nodes) + 1)
            for group in combinations(nodes, size)
            if sum(sums[node] for node in group) == amount
        ]
        if len(fitting) == 1:
            return f"just what {names(fitting[0])} acknowledged", []
    same = [add for add in adds if add.value == amount]
    if len(same) == 1:
        [add] = same
        return f"as if the add of {add.value} to {evidence.who(add)} {at(add.time)} were lost", same
    return "", []


def _wrong_since(final: Operation, evidence: Evidence) -> tuple[Operation | None, Operation] | None:
    """The last read of the same node that may be right, and the next, from which on none is.

    A read may be right if it lies between all that had been acknowledged when it began and all
    that had begun when it ended. None if only the final read is wrong.
    """
    low = high = 0
    lowest: dict[int, int] = {}  # by invocation's index
    right: Operation | None = None
    wrong: Operation | None = None
    for operation in evidence.history.client_operations():
        value = operation.value if type(operation.value) is int else 0
        if operation.f == "add":
            positive = value > 0
            if operation.type == "invoke":
                low, high = (low, high + value) if positive else (low + value, high)
            elif operation.type == "ok":
                low, high = (low + value, high) if positive else (low, high + value)
            elif operation.type == "fail":
                low, high = (low, high - value) if positive else (low - value, high)
        elif operation.f == "read" and evidence.who(operation) == evidence.who(final):
            if operation.type == "invoke":
                lowest[operation.index] = low
            elif operation.type == "ok":
                began = evidence.history.invocation(operation)
                least = lowest.get(began.index, low) if began else low
                if least <= value <= high:
                    right, wrong = operation, None
                elif wrong is None:
                    wrong = operation
    return None if wrong is None or wrong.index == final.index else (right, wrong)


# By the messages


@dataclass(slots=True)
class Key:
    """A key of a service, as the service took requests: its value, and who wrote that."""

    value: Any = None
    writer: Sent | None = None


def _of_services(wrong: Sequence[Operation], evidence: Evidence) -> Iterator[Reason]:
    """An update that another one overwrote, and an old value that a wrong read is made of."""
    lost, stale = _look(evidence.messages, [*_windows(wrong, evidence)])
    if lost:
        read, between, write = lost
        key = word(write.body.get("key"))
        text = (
            f"{write.src} read {word(read.body.get('value'))} as key {key} of {write.dest}"
            f" {at(read.time)} and then wrote {word(write.body.get('value'))}, over the"
            f" {word(between.body.get('value', between.body.get('to')))} that {between.src} had"
            f" written {at(between.time)}: that update was lost"
        )
        ids = (write.id, between.id, read.id)
        nodes = (write.src, between.src, write.dest)
        picture = _exchange(read, between, write)
        yield Reason("lost-update", text, write.time, (), ids, nodes, picture)
    if stale:
        answer, newest = stale
        text = (
            f"{answer.src} answered {answer.dest} {at(answer.time)} with the old value"
            f" {word(answer.body.get('value'))} of key {word(newest.body.get('key'))}, which"
            f" {newest.src} had overwritten {at(newest.time)}"
        )
        nodes = (answer.dest, answer.src, newest.src)
        picture = _exchange(newest, answer)
        concerned = (answer.id, newest.id)
        yield Reason("stale-read", text, answer.time, (), concerned, nodes, picture)


def _exchange(*messages: Sent) -> dict[str, Any]:
    """A picture of messages in the order of sending: id, from, to, when (ns), what they say."""
    in_order = sorted(messages, key=lambda sent: sent.place)
    return {
        "form": "exchange",
        "messages": [[sent.id, sent.src, sent.dest, sent.time, _words(sent)] for sent in in_order],
    }


def _words(sent: Sent) -> str:
    """What a message says: "write 7"."""
    value = sent.body.get("value", sent.body.get("to"))
    return f"{word(sent.body.get('type'))} {word(value)}"


Update = tuple[Sent, Sent, Sent]
Stale = tuple[Sent, Sent]
Window = tuple[str, int, int]  # a node, and from when to when (ns)


def _windows(wrong: Sequence[Operation], evidence: Evidence) -> Iterator[Window]:
    """When which node was busy with a wrong read."""
    for read in wrong:
        if (began := evidence.history.invocation(read)) and (node := evidence.node(read)):
            yield node, began.time, read.time


def _look(messages: Messages, windows: Sequence[Window]) -> tuple[Update | None, Stale | None]:
    """The first lost update (the answer to a read, another node's write, the write that is based
    on the read), and the first stale answer that a node had in one of its windows, with the newest
    write."""
    moments: list[tuple[int, bool, Sent]] = []  # a request arrives, or an answer is sent
    for service in SERVICES:
        for sent in messages.naming(service):
            if sent.src in SERVICES:
                moments.append((sent.place, False, sent))
            elif sent.dest in SERVICES and (arrival := sent.arrival):
                moments.append((arrival.place, True, sent))
    keys: dict[tuple[str, Any], Key] = defaultdict(Key)
    # A node's read of a key since it last wrote that: the value, and the request.
    reads: dict[tuple[str, str, Any], tuple[Any, Sent]] = {}
    requests: dict[tuple[str, Any], Sent] = {}
    lost: Update | None = None
    stale: Stale | None = None
    for _, is_request, sent in sorted(moments, key=lambda moment: moment[0]):
        body = sent.body
        if is_request:
            requests[sent.src, identity(body.get("msg_id"))] = sent
            if body.get("type") == "write":
                name = identity(body.get("key"))
                key, read = keys[sent.dest, name], reads.pop((sent.src, sent.dest, name), None)
                others = key.writer if key.writer and key.writer.src != sent.src else None
                if read and others and read[0] != key.value and not lost:
                    lost = read[1], others, sent
                _write(key, sent, body.get("value"))
            continue
        request = requests.get((sent.dest, identity(body.get("in_reply_to"))))
        if request is None:
            continue
        name = identity(request.body.get("key"))
        key = keys[request.dest, name]
        if body.get("type") == "cas_ok":
            _write(key, request, request.body.get("to"))
        elif body.get("type") == "read_ok":
            reads[sent.dest, sent.src, name] = identity(body.get("value")), sent
            writer = key.writer
            old = writer and writer.src != sent.dest and identity(body.get("value")) != key.value
            if writer and old and not stale and _in_a_window(sent, windows):
                stale = sent, writer
    return lost, stale


def _in_a_window(answer: Sent, windows: Sequence[Window]) -> bool:
    return any(node == answer.dest and begin <= answer.time <= end for node, begin, end in windows)


def _write(key: Key, by: Sent, value: Any) -> None:
    key.value = identity(value)
    key.writer = by
