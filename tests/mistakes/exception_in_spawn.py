#!/usr/bin/env python3
"""A function in the background raises an exception: the attribute is called `peers`.

The client has its answer by then, so every request succeeds, and no value reaches another node.
What runs in the background has nobody to tell of it: look into the log.
"""

from maelstrom_node import Node

node = Node()
seen = set()


@node.on("broadcast")
def broadcast(message):
    seen.add(message.body["message"])
    node.spawn(forward, message.body["message"])
    return {"type": "broadcast_ok"}


def forward(value):
    for peer in node.neighbours:  # the mistake
        node.send(peer, {"type": "gossip", "value": value})


@node.on("gossip")
def gossip(message):
    seen.add(message.body["value"])


@node.on("read")
def read(message):
    return {"type": "read_ok", "messages": sorted(seen)}


@node.on("topology")
def topology(message):
    return {"type": "topology_ok"}


if __name__ == "__main__":
    node.run()
