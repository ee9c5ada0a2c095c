#!/usr/bin/env python3
"""A handler returns a string, the type of the answer alone.

The client gets an error. Return a dict: `{"type": "broadcast_ok"}`.
"""

from maelstrom_node import Node

node = Node()
seen = set()


@node.on("broadcast")
def broadcast(message):
    seen.add(message.body["message"])
    return "broadcast_ok"  # the mistake


@node.on("read")
def read(message):
    return {"type": "read_ok", "messages": sorted(seen)}


@node.on("topology")
def topology(message):
    return {"type": "topology_ok"}


if __name__ == "__main__":
    node.run()
