#!/usr/bin/env python3
"""Broadcast, fourth rung: push, and let random pairs of nodes compare notes every second.

Each node numbers the values that it is given: its *log*. How much of every log a node has, its
*version vector*, is one number per node, however many values there are. A node that
gets such a vector answers with what its sender lacks. So a lost value comes later, from any node
that has it.

Weaknesses: a node may be unlucky with its random peers, and so behind for seconds after a heal;
nodes compare notes for ever, though nothing is missing; and each value travels alone.
"""

import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()  # guards `seen` and `logs`
seen = set()  # every value
logs = {}  # node -> its values in order, as far as none is missing


@node.on("init")
def init(message):
    logs.update({id: [] for id in node.ids})


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
        number = len(logs[node.id])
        add(node.id, number, [value])
    for peer in node.peers:
        node.send(peer, {"type": "news", "news": {node.id: [number, value]}})
    return {"type": "broadcast_ok"}


@node.on("news")
def news(message):
    with lock:
        for origin, (first, *values) in message.body["news"].items():
            add(origin, first, values)


def add(origin, first, values):
    """Put values into a log, the first of them with the number `first`, unless one is missing."""
    log = logs[origin]
    seen.update(values)
    if first <= len(log):
        log += values[len(log) - first :]


@node.every(1.0)
def compare():
    with lock:
        have = {id: len(log) for id, log in logs.items()}
    if node.peers:
        node.send(node.random.choice(node.peers), {"type": "compare", "have": have})


@node.on("compare")
def answer(message):
    have = message.body["have"]
    with lock:
        lacks = {
            id: [have[id], *log[have[id] :]] for id, log in logs.items() if have[id] < len(log)
        }
    if lacks:
        node.send(message.src, {"type": "news", "news": lacks})


if __name__ == "__main__":
    node.run()
