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

import threading

from maelstrom_node import Node, Replication

PATIENCE = 2.0  # seconds that a pushed value may remain unacknowledged
MARGIN = 0.03  # seconds by which a batch should reach the hub before it sends

node = Node()
lock = threading.Lock()  # guards the next one, and the logs
seen: set[int] = set()  # every value, as clients read them

# Estimates, of which the last one counts; so they need no lock.
rtt: float | None = None  # seconds that a message and its answer take, as the hub measured
hub_sent_at: float | None = None  # when the hub sent last


class Values(Replication):
    """Which node sends what to whom, when, and what else there is in a message."""

    def add_entries(self, log, first, values):
        seen.update(value for value in values if value is not None)  # even before their turn
        super().add_entries(log, first, values)

    def state(self):
        return list(seen)

    def merge(self, state):
        seen.update(state)

    def unacknowledged(self):
        """With a hub, everything goes to the hub, and from there to everybody."""
        hub, own = node.ids[0], super().unacknowledged()
        if is_hub():
            return {peer: {log: self.acked[peer].get(log, 0) for log in self.logs} for peer in own}
        if has_hub():
            return {hub: own[hub]}
        if self.max_latency:  # what the hub has, it passes on
            at_hub = self.acked[hub]
            return {
                peer: {log: max(number, at_hub.get(log, 0)) for log, number in known.items()}
                for peer, known in own.items()
            }
        return own

    def acknowledges(self, peer):
        """The hub brings all logs, so all are acknowledged to it."""
        return list(self.logs) if self.max_latency and peer == node.ids[0] else self.logs_of(peer)

    def acknowledges_alone(self):
        return is_hub()

    def first_asked(self):
        """The hub finds out how long a message takes, and so how long a round may be."""
        return super().first_asked() if is_hub() or not self.max_latency else []

    def delay(self):
        """The seconds until the hub sends, or until a batch will reach the hub just before."""
        if rtt is None or hub_sent_at is None or not has_hub():
            return 0.0
        round_length = max(0.0, self.max_latency - rtt - 2 * MARGIN)
        if is_hub():
            return max(0.0, hub_sent_at + round_length - node.now())
        if not round_length:
            return 0.0
        return (hub_sent_at - rtt / 2 - MARGIN - node.now()) % round_length

    def on_batch(self):
        """The hub tells how long a message takes."""
        global rtt, hub_sent_at
        if not is_hub() or self.rtt is None:
            return {}
        rtt, hub_sent_at = self.rtt, node.now()
        return {"rtt": rtt}

    def on_message(self, peer, body):
        global rtt, hub_sent_at
        if "rtt" in body:
            rtt = body["rtt"]
            hub_sent_at = node.now() - rtt / 2


values = Values(node, lock, PATIENCE)


def is_hub():
    return bool(values.max_latency) and node.id == node.ids[0]


def has_hub():
    """Is there a hub that sees to it that everybody gets everything?"""
    return bool(values.max_latency) and node.ids[0] not in values.silent


@node.on("topology")
def topology(message):
    return {"type": "topology_ok"}


@node.on("read")
def read(message):
    with lock:
        messages = list(seen)
    values.sync()
    return {"type": "read_ok", "messages": messages}


@node.on("broadcast")
def broadcast(message):
    with lock:
        values.append(message.body["message"])
    values.push()
    return {"type": "broadcast_ok"}


if __name__ == "__main__":
    values.parse_args("A node for challenge 3, broadcast.")
    node.run()
