#!/usr/bin/env python3
"""Broadcast, first rung: flood. A node that learns a value forwards it to its other neighbours.

Weaknesses: a lost message is lost for good, and the value perhaps with it. And every link carries
every value, some both ways, one hop after the other.
"""

import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()  # guards `seen`
seen = set()
neighbours = []


@node.on("topology")
def topology(message):
    neighbours[:] = message.body["topology"].get(node.id, [])
    return {"type": "topology_ok"}


@node.on("read")
def read(message):
    with lock:
        return {"type": "read_ok", "messages": list(seen)}


@node.on("broadcast")
def broadcast(message):
    learn(message.body["message"], message.src)
    return {"type": "broadcast_ok"}


@node.on("gossip")
def gossip(message):
    learn(message.body["message"], message.src)


def learn(value, source):
    with lock:
        if value in seen:
            return
        seen.add(value)
    for neighbour in neighbours:
        if neighbour != source:
            node.send(neighbour, {"type": "gossip", "message": value})


if __name__ == "__main__":
    node.run()
