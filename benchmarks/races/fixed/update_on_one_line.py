#!/usr/bin/env python3
"""The lock is held during the whole update."""

import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()  # guards the total
total = 0


@node.on("add")
def add(message):
    global total
    with lock:
        total += int(message.body["delta"])
    return {"type": "add_ok"}


@node.on("read")
def read(message):
    return {"type": "read_ok", "value": total}


if __name__ == "__main__":
    node.run()
