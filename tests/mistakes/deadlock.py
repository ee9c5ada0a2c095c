#!/usr/bin/env python3
"""A handler holds a lock and calls a function that takes the same lock: it waits for itself.

It never answers, nor does any other handler that needs the lock. Let one function take the lock and
the others be called with it held, or use a `threading.RLock`.
"""

import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()
seen = set()


@node.on("broadcast")
def broadcast(message):
    with lock:
        remember(message.body["message"])
    return {"type": "broadcast_ok"}


def remember(value):
    with lock:  # the mistake
        seen.add(value)


@node.on("read")
def read(message):
    with lock:
        return {"type": "read_ok", "messages": sorted(seen)}


@node.on("topology")
def topology(message):
    return {"type": "topology_ok"}


if __name__ == "__main__":
    node.run()
