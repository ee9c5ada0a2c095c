#!/usr/bin/env python3
"""A periodic function raises an exception: it takes values out of the set that it iterates over.

The function is called again after each period, and fails again, and most values are never sent.
Iterate over a copy: `for value in list(unsent)`.
"""

from maelstrom_node import Node

node = Node()
seen = set()
unsent = set()


@node.on("broadcast")
def broadcast(message):
    seen.add(message.body["message"])
    unsent.add(message.body["message"])
    return {"type": "broadcast_ok"}


@node.every(0.2)
def gossip():
    for value in unsent:  # the mistake
        unsent.remove(value)
        for peer in node.peers:
            node.send(peer, {"type": "gossip", "value": value})


@node.on("gossip")
def receive(message):
    seen.add(message.body["value"])


@node.on("read")
def read(message):
    return {"type": "read_ok", "messages": sorted(seen)}


@node.on("topology")
def topology(message):
    return {"type": "topology_ok"}


if __name__ == "__main__":
    node.run()
