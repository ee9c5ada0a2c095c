#!/usr/bin/env python3
"""Challenge 6, transactions: each node answers from what it has, and all nodes come to agree.

A transaction takes effect on the node that it is sent to, at once and as a whole, and is answered
then, whichever other nodes can be reached. Its writes get a *stamp*: Lamport time and the name of
the node's log. A node's time is ahead of all stamps it has seen, so a transaction that overwrites
or reads a value has a later stamp than that value. Of each key a node keeps the value with the
latest stamp. Hence all nodes agree, whatever the order in which they hear of writes, and no two
transactions come before each other.

What a transaction wrote is one entry of its node's log, which other nodes apply as a whole.
`Replication` brings every log to every node, despite lost messages: at once, or, with
`--max-latency TIME`, in batches.
"""

import threading

from maelstrom_node import Code, Node, Replication, RPCError

node = Node()
lock = threading.Lock()  # guards everything below

lamport_time = 0  # the latest that was seen in any stamp
values: dict[object, object] = {}  # key -> its value
stamps: dict[object, tuple[int, str]] = {}  # key -> the stamp of its value


class Transactions(Replication):
    """The logs of the transactions that wrote something: [Lamport time, [[key, value], …]]."""

    def apply(self, log, transaction):
        stamp_time, writes = transaction
        for key, value in writes:
            write(key, value, (stamp_time, log))

    def state(self):
        return [[key, value, *stamps[key]] for key, value in values.items()]

    def merge(self, state):
        for key, value, *stamp in state:
            write(key, value, tuple(stamp))


transactions = Transactions(node, lock)


@node.on("txn")
def txn(message):
    with lock:
        answer, writes = execute(message.body["txn"])
        if writes:
            transactions.append([lamport_time + 1, writes])
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


def write(key, value, stamp):
    """Let a write show, unless it is overwritten already."""
    global lamport_time
    lamport_time = max(lamport_time, stamp[0])
    if stamp > stamps.get(key, (0, "")):
        values[key], stamps[key] = value, stamp


if __name__ == "__main__":
    transactions.parse_args("A node for challenge 6, transactions.")
    node.run()
