#!/usr/bin/env python3
"""The answer holds a set, and JSON has none.

The client gets an error instead of each read. Send a list: `sorted(seen)`.
"""

from maelstrom_node import Node

node = Node()
seen = set()


@node.on("broadcast")
def broadcast(message):
    seen.add(message.body["message"])
    return {"type": "broadcast_ok"}


@node.on("read")
def read(message):
    return {"type": "read_ok", "messages": seen}  # the mistake


@node.on("topology")
def topology(message):
    return {"type": "topology_ok"}


if __name__ == "__main__":
    node.run()
