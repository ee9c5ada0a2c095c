#!/usr/bin/env python3
"""A handler does its work and returns nothing, and None is no answer.

The client waits in vain until its time is up. Return `{"type": "broadcast_ok"}`.
"""

from maelstrom_node import Node

node = Node()
seen = set()


@node.on("broadcast")
def broadcast(message):
    seen.add(message.body["message"])  # the mistake: no return


@node.on("read")
def read(message):
    return {"type": "read_ok", "messages": sorted(seen)}


@node.on("topology")
def topology(message):
    return {"type": "topology_ok"}


if __name__ == "__main__":
    node.run()
