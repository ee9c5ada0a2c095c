#!/usr/bin/env python3
"""Transactions, first rung: one node, the *leader*, executes them all, one after the other.

Other nodes forward to it. There is one copy of the values, so all agree, and transactions are
serializable, which is far more than read committed.

Weaknesses: while the leader is out of reach, the other nodes have no answer. So this passes 6a, and
6b only without partitions; with them it isn't available, which 6b and 6c ask for. And each
transaction of another node costs a message and an answer, even one that only reads.
"""

import threading

from maelstrom_node import Code, Node, RPCError

node = Node()
lock = threading.Lock()  # guards `values`
values = {}  # key -> its value; the leader's only


@node.on("txn")
def txn(message):
    operations = message.body["txn"]
    leader = node.ids[0]
    if node.id != leader:
        return {
            "type": "txn_ok",
            "txn": node.rpc(leader, {"type": "txn", "txn": operations})["txn"],
        }
    with lock:
        return {"type": "txn_ok", "txn": execute(operations)}


def execute(operations):
    """Let a transaction take effect, and return what it answers; with the lock held."""
    if unknown := {f for f, _, _ in operations} - {"r", "w"}:
        raise RPCError(Code.NOT_SUPPORTED, f"there is no operation {unknown.pop()!r}")
    answer = []
    for f, key, value in operations:
        if f == "w":
            values[key] = value
        answer.append([f, key, values.get(key)])
    return answer


if __name__ == "__main__":
    node.run()
