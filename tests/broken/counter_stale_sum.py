#!/usr/bin/env python3
"""A counter with a key in seq-kv for each node, whose sum is what happens to be read.

No add is lost, and yet a read may miss some for ever: seq-kv may show a node that changes nothing
the same old state again and again.
"""

import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()
total = 0


@node.on("add")
def add(message):
    global total
    with lock:
        total += message.body["delta"]
        node.seq_kv.write(node.id, total)
    return {"type": "add_ok"}


@node.on("read")
def read(message):
    value = sum(node.seq_kv.read(id, 0) for id in node.ids)
    return {"type": "read_ok", "value": value}


if __name__ == "__main__":
    node.run()
