#!/usr/bin/env python3
"""Transactions, second rung: each node executes its own, and then pushes what they wrote.

A transaction takes effect on the node that it is sent to, at once and as a whole, and is answered
then: no partition can keep it from that. Its writes get a *stamp*, Lamport time and the node's
name, and of each key a node keeps the value with the latest stamp. So it doesn't matter in which
order nodes hear of writes. The writes of a transaction go to every other node in one message.

This passes 6a, 6b and 6c. Weaknesses: a write whose message is lost never comes to the other nodes,
so after a partition they differ for good, until somebody overwrites the key. The checkers don't
notice: read committed doesn't ask that nodes agree. And each transaction travels alone.
"""

import threading

from maelstrom_node import Code, Node, RPCError

node = Node()
lock = threading.Lock()  # guards the next three
lamport_time = 0  # the latest that was seen in any stamp
values = {}  # key -> its value
stamps = {}  # key -> the stamp of its value


@node.on("txn")
def txn(message):
    operations = message.body["txn"]
    if unknown := {f for f, _, _ in operations} - {"r", "w"}:
        raise RPCError(Code.NOT_SUPPORTED, f"there is no operation {unknown.pop()!r}")
    writes = {key: value for f, key, value in operations if f == "w"}  # the last of each key
    with lock:
        answer = execute(operations)
        stamp = [lamport_time + 1, node.id]
        if writes:
            apply(stamp, writes.items())
    for peer in node.peers if writes else []:
        node.send(peer, {"type": "news", "stamp": stamp, "writes": list(writes.items())})
    return {"type": "txn_ok", "txn": answer}


def execute(operations):
    """What a transaction answers; nothing of it shows yet."""
    answer, written = [], {}
    for f, key, value in operations:
        if f == "w":
            written[key] = value
        answer.append([f, key, written.get(key, values.get(key))])
    return answer


@node.on("news")
def news(message):
    with lock:
        apply(message.body["stamp"], message.body["writes"])


def apply(stamp, writes):
    """Let the writes of a transaction show, those that aren't overwritten already."""
    global lamport_time
    lamport_time = max(lamport_time, stamp[0])
    for key, value in writes:
        if stamp > stamps.get(key, [0, ""]):
            values[key], stamps[key] = value, stamp


if __name__ == "__main__":
    node.run()
