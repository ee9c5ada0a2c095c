#!/usr/bin/env python3
"""Transactions that write first and then look whether they may: an aborted one leaves its writes.

A transaction is aborted if another one came meanwhile from the other node. What it wrote was there
for others to read.
"""

import threading

from maelstrom_node import Code, Node, RPCError

node = Node()
lock = threading.Lock()
values: dict[object, object] = {}
version = 0


@node.on("txn")
def txn(message):
    global version
    began, answer, writes = version, [], []
    with lock:
        for f, key, value in message.body["txn"]:
            if f == "w":
                values[key] = value
                writes.append([key, value])
            answer.append([f, key, values.get(key)])
    for peer in node.peers:
        node.rpc(peer, {"type": "prepare"})
    if version != began:
        raise RPCError(Code.TXN_CONFLICT, "another transaction was quicker")
    version += 1
    for peer in node.peers:
        node.send(peer, {"type": "commit", "writes": writes})
    return {"type": "txn_ok", "txn": answer}


@node.on("prepare")
def prepare(message):
    return {"type": "prepare_ok"}


@node.on("commit")
def commit(message):
    global version
    with lock:
        version += 1
        values.update((key, value) for key, value in message.body["writes"])


if __name__ == "__main__":
    node.run()
