#!/usr/bin/env python3
"""Broadcast, third rung: push. A node that is given a value sends it straight to every other node.

Any node can send to any other, whatever topology it is offered. Delivering a single value to every
node takes at least n-1 messages and one hop, and this takes no more. Weakness: as in the first
rung, a lost message is lost for good.
"""

import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()  # guards `seen`
seen = set()


@node.on("topology")
def topology(message):
    return {"type": "topology_ok"}


@node.on("read")
def read(message):
    with lock:
        return {"type": "read_ok", "messages": list(seen)}


@node.on("broadcast")
def broadcast(message):
    value = message.body["message"]
    with lock:
        seen.add(value)
    for peer in node.peers:
        node.send(peer, {"type": "news", "message": value})
    return {"type": "broadcast_ok"}


@node.on("news")
def news(message):
    with lock:
        seen.add(message.body["message"])


if __name__ == "__main__":
    node.run()
