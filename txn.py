#!/usr/bin/env python3
"""Challenge 6, transactions: each node answers from what it has, and all nodes come to agree.

A transaction takes effect on the node that it is sent to, at once and as a whole, and is answered
then, whichever other nodes can be reached. Its writes get a *stamp*: Lamport time and the node's
name. A node's time is ahead of all stamps it has seen, so a transaction that overwrites or reads a
value has a later stamp than that value. Of each key a node keeps the value with the latest stamp.
Hence all nodes agree, whatever the order in which they hear of writes, and no two transactions come
before each other.

The writes of a transaction go to all other nodes at once, in one message. A node applies them as a
whole, and another node's transactions in their order: these are that node's log. `Replication`
brings every log to every node, despite lost messages.
"""

import threading

from maelstrom_node import Code, Node, Replication, RPCError

node = Node()
lock = threading.Lock()  # guards everything below

lamport_time = 0  # the latest that was seen in any stamp
values: dict[object, object] = {}  # key -> its value
stamps: dict[object, tuple[int, str]] = {}  # key -> the stamp of its value


class Transactions(Replication):
    """A log for each node of the transactions that wrote something: [Lamport time, writes]."""

    def apply(self, origin, transaction):
        """Let the writes of a transaction show, those that aren't overwritten already."""
        global lamport_time
        stamp_time, writes = transaction
        lamport_time = max(lamport_time, stamp_time)
        stamp = (stamp_time, origin)
        for key, value in writes:
            if stamp > stamps.get(key, (0, "")):
                values[key], stamps[key] = value, stamp


transactions = Transactions(node, lock)


@node.on("txn")
def txn(message):
    with lock:
        answer, writes = execute(message.body["txn"])
        if writes:
            transactions.append([lamport_time + 1, writes])
    if writes:
        transactions.push()
    return {"type": "txn_ok", "txn": answer}


def execute(operations):
    """What a transaction answers, and what it leaves behind: [key, value] for each key written.

    To be called with the lock held.
    """
    answer, writes = [], {}
    for f, key, value in operations:
        if f == "w":
            writes[key] = value
        elif f != "r":
            raise RPCError(Code.NOT_SUPPORTED, f"there is no operation {f!r}")
        answer.append([f, key, value if f == "w" else writes.get(key, values.get(key))])
    return answer, list(writes.items())


if __name__ == "__main__":
    node.run()
