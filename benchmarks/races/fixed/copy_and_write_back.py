#!/usr/bin/env python3
"""The lock is held from the copy until it is written back. Readers may do without."""

import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()  # held by who replaces the elements
elements: list[int] = []


def add_all(new):
    global elements
    with lock:
        merged = list(elements)
        merged += [element for element in new if element not in merged]
        elements = merged


@node.on("add")
def add(message):
    add_all([message.body["element"]])
    return {"type": "add_ok"}


@node.every(0.2)
def gossip():
    for peer in node.peers:
        node.send(peer, {"type": "gossip", "elements": elements})


@node.on("gossip")
def learn(message):
    add_all(message.body["elements"])


@node.on("read")
def read(message):
    return {"type": "read_ok", "value": elements}


if __name__ == "__main__":
    node.run()
