#!/usr/bin/env python3
"""Broadcast, second rung: flood, and repeat each message until it is acknowledged.

No value is lost any more. Weaknesses: every message has an answer, which doubles their number.
While a neighbour is unreachable, every value that it lacks is sent to it again and again; the
longer that lasts, the more values there are to repeat.
"""

import sys
import threading

from maelstrom_node import Node, RPCTimeout

RETRY = float(sys.argv[1]) if sys.argv[1:] else 1.0  # seconds until a message is sent again

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
    return {"type": "gossip_ok"}


def learn(value, source):
    with lock:
        if value in seen:
            return
        seen.add(value)
    for neighbour in neighbours:
        if neighbour != source:
            node.spawn(tell, neighbour, value)


def tell(neighbour, value):
    while True:
        try:
            node.rpc(neighbour, {"type": "gossip", "message": value}, timeout=RETRY)
            return
        except RPCTimeout:
            pass


if __name__ == "__main__":
    node.run()
