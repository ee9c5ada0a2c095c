#!/usr/bin/env python3
"""The loop goes over a copy, which is made with the lock held."""

import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()  # guards the elements
elements: set[int] = set()
told: set[int] = set()  # those that the peers were told of


@node.on("add")
def add(message):
    with lock:
        elements.add(message.body["element"])
    return {"type": "add_ok"}


@node.every(0.2)
def gossip():
    with lock:
        known = list(elements)
    for element in known:
        if element not in told:
            told.add(element)
            for peer in node.peers:
                node.send(peer, {"type": "gossip", "element": element})


@node.on("gossip")
def learn(message):
    with lock:
        elements.add(message.body["element"])


@node.on("read")
def read(message):
    with lock:
        return {"type": "read_ok", "value": list(elements)}


if __name__ == "__main__":
    node.run()
