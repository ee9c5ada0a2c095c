#!/usr/bin/env python3
"""Nodes keep their values in a module and hope that all nodes see them there.

Each node is a process of its own, and has its own modules, so no value leaves its node. Send it.
"""

from shared_values import seen  # the mistake

from maelstrom_node import Node

node = Node()


@node.on("broadcast")
def broadcast(message):
    seen.add(message.body["message"])
    return {"type": "broadcast_ok"}


@node.on("read")
def read(message):
    return {"type": "read_ok", "messages": sorted(seen)}


@node.on("topology")
def topology(message):
    return {"type": "topology_ok"}


if __name__ == "__main__":
    node.run()
