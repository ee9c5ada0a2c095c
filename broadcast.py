#!/usr/bin/env python3
"""Challenge 3, broadcast: a value sent to one node must become readable on every node.

The values that clients give to a node are that node's log. `Replication` brings every log to every
node, despite lost messages. This script decides when to send what to whom.

- Push. With `--max-latency 0ms` a new value goes straight to every other node, in one hop.
- Batch. With a latency budget, nodes send what is new to a hub, and once per round the hub sends
  it on to everybody. At worst a value waits for a round and travels twice, so a round lasts for the
  latency budget less one round trip and a safety margin. Spokes time their batches to arrive just
  before the hub sends.
- Without its hub a spoke pushes to everybody.

The topology is ignored: any node can send to any other, and a path of one hop is the shortest.
"""

import argparse
import threading
from itertools import cycle

from maelstrom_node import Node, Replication

PATIENCE = 2.0  # seconds that a pushed value may remain unacknowledged
MARGIN = 0.03  # seconds by which a batch should reach the hub before it sends

node = Node()
lock = threading.Lock()  # guards the next two, and the logs
seen: set[int] = set()  # every value, as clients read them
batch_waits = False  # is there a batch that will be sent?

budget = 0.0  # seconds that a value may take to reach everybody

# Estimates, of which the last one counts; so they need no lock.
rtt: float | None = None  # seconds that a message and its answer take, as the hub measured
hub_sent_at: float | None = None  # when the hub sent last


# The logs


class Values(Replication):
    """Which node sends what to whom, and what else there is in a message."""

    def add_entries(self, origin, first, values):
        seen.update(values)  # they show even before their turn
        super().add_entries(origin, first, values)

    def unacknowledged(self):
        """With a hub, everything goes to the hub, and from there to everybody."""
        hub, own = node.ids[0], super().unacknowledged()
        if budget and is_hub():
            return {peer: self.acked[peer] for peer in node.peers}
        if budget and has_hub():
            return {hub: own[hub]}
        if budget:  # what the hub has, it passes on
            at_hub = own[hub][node.id]
            return {peer: {node.id: max(at_hub, known[node.id])} for peer, known in own.items()}
        return own

    def on_message(self, peer, body):
        global hub_sent_at, rtt
        if "rtt" in body:
            rtt = body["rtt"]
            hub_sent_at = node.now() - rtt / 2
        if budget and is_hub() and body.get("news"):
            spread()


values = Values(node, lock)


def is_hub():
    return node.id == node.ids[0]


def has_hub():
    """Is there a hub that sees to it that everybody gets everything?"""
    return budget and node.ids[0] not in values.silent


# Handlers


@node.on("init")
def init(message):
    values.patience = PATIENCE + budget
    if budget and is_hub() and node.peers:
        node.spawn(measure)


@node.on("topology")
def topology(message):
    return {"type": "topology_ok"}


@node.on("read")
def read(message):
    with lock:
        return {"type": "read_ok", "messages": list(seen)}


@node.on("broadcast")
def broadcast(message):
    with lock:
        values.append(message.body["message"])
    spread()
    return {"type": "broadcast_ok"}


# Spreading what is new


def spread():
    """Send what is new on its way: in a batch if there is time and a hub, otherwise at once."""
    global batch_waits
    with lock:
        pushing = not has_hub()
        batching = not pushing and not batch_waits
        batch_waits = batch_waits or batching
    if pushing:
        values.push()
    elif batching:
        node.spawn(batch)


def batch():
    """Wait for the moment to send, then send: the hub to everybody, a spoke to the hub."""
    global batch_waits, hub_sent_at
    if rtt is not None and hub_sent_at is not None:
        round_length = max(0.0, budget - rtt - 2 * MARGIN)
        if is_hub():
            node.sleep(max(0.0, hub_sent_at + round_length - node.now()))
        elif round_length:
            node.sleep((hub_sent_at - rtt / 2 - MARGIN - node.now()) % round_length)
    with lock:
        batch_waits = False
        if is_hub() and rtt is not None:
            hub_sent_at = node.now()
    if is_hub() and rtt is not None:
        values.push(rtt=rtt)
    else:
        values.push()


def measure():
    """Find out how long a message takes, and so how long a round may be.

    Of two answers the quicker one counts: the first may have waited for the peer to start.
    """
    global rtt
    measured = []
    for peer in cycle(node.peers):
        began = node.now()
        if values.ask(peer):
            measured.append(node.now() - began)
            rtt = min(measured)
            if len(measured) == 2:
                break
        else:
            node.sleep(0.1)


def seconds(text):
    """A duration such as 600ms, 2s or 0 in seconds."""
    number = text.removesuffix("ms") if text.endswith("ms") else text.removesuffix("s")
    return float(number) / (1000 if text.endswith("ms") else 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A node for challenge 3, broadcast.")
    parser.add_argument("--max-latency", type=seconds, default=0.0, metavar="TIME")
    budget = parser.parse_args().max_latency
    node.run()
