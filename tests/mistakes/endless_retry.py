#!/usr/bin/env python3
"""Values are sent again and again, whether they have been acknowledged or not.

Everything arrives, and the messages become more and more (3d allows 30 for an operation). Forget
what a peer has acknowledged: `unacknowledged[peer].discard(value)`.
"""

from collections import defaultdict

from maelstrom_node import Node

node = Node()
seen = set()
unacknowledged = defaultdict(set)  # peer -> values


@node.on("broadcast")
def broadcast(message):
    seen.add(message.body["message"])
    for peer in node.peers:
        unacknowledged[peer].add(message.body["message"])
    return {"type": "broadcast_ok"}


@node.every(0.2)
def resend():
    for peer in node.peers:
        for value in sorted(unacknowledged[peer]):
            node.send(peer, {"type": "gossip", "value": value})


@node.on("gossip")
def gossip(message):
    seen.add(message.body["value"])
    node.send(message.src, {"type": "acknowledge", "value": message.body["value"]})


@node.on("acknowledge")
def acknowledge(message):
    unacknowledged[message.src].copy().discard(message.body["value"])  # the mistake


@node.on("read")
def read(message):
    return {"type": "read_ok", "messages": sorted(seen)}


@node.on("topology")
def topology(message):
    return {"type": "topology_ok"}


if __name__ == "__main__":
    node.run()
