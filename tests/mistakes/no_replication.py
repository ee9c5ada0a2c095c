#!/usr/bin/env python3
"""Transactions are kept on the node that they came to, and never reach the other one.

Each node answers at once and contradicts nobody, so read committed holds (6c). Send the writes of a
transaction to the other nodes when it has ended.
"""

import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()
values = {}


@node.on("txn")
def txn(message):
    answer = []
    with lock:
        for f, key, value in message.body["txn"]:
            if f == "w":
                values[key] = value
            answer.append([f, key, values.get(key)])
    return {"type": "txn_ok", "txn": answer}  # the mistake


if __name__ == "__main__":
    node.run()
