#!/usr/bin/env python3
"""A node adds up what seq-kv says, and seq-kv may say what was true long ago.

Its order is everybody's, but not its time: a final read may miss adds. Write something first,
which brings the node to the newest state, and read then.
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
    sums = [node.seq_kv.read(id, 0) for id in node.ids]  # the mistake
    return {"type": "read_ok", "value": sum(sums)}


if __name__ == "__main__":
    node.run()
