#!/usr/bin/env python3
"""Challenge 5, Kafka-style logs: one for each key, to append to and to read from.

Every node appends what its clients send, and answers at once. No other node is asked.

- Offsets. Node i of n assigns offsets that are i modulo n, each greater than any that it has seen
  for the key. So no two messages get the same, and offsets grow, with gaps.
- Replication. Messages and commits are entries of the node's log, and `Replication` brings every
  log to every node: at once, or, with `--max-latency TIME`, in batches.
- Poll. A message can be read as soon as every node has it. From then on all nodes assign greater
  offsets to the key, and what they had appended before is here. So nothing can come before the
  message any more: all nodes show the same messages in the same order, some of them a little later
  than others. During a partition polls show nothing new.
- Commit. Of the offsets that were committed for a key the greatest counts.

A node that is started again has forgotten which offsets it has seen. So before it assigns any it
asks the others, and waits for all if one of them knows it from before. With `--durable FOLDER` it
forgets nothing.
"""

import threading
from bisect import bisect_left, bisect_right
from typing import Any

from maelstrom_node import Node, Replication

node = Node()
lock = threading.Lock()  # guards everything below

messages: dict[str, list[Any]] = {}  # key -> [offset, message], in the order of offsets
readable: dict[str, int] = {}  # key -> the greatest offset that clients may see
committed: dict[str, int] = {}  # key -> offset


class Entries(Replication):
    """The logs of messages, each [key, offset, message], and of commits, each {key: offset}."""

    STABILITY = True
    BATCHES = 2  # until a message can be read: with it, and with the acknowledgement

    def apply(self, log, entry):
        if isinstance(entry, dict):
            advance(committed, entry)
        else:
            insert(*entry)

    def settle(self, log, entry):
        if not isinstance(entry, dict):
            key, offset, _ = entry
            advance(readable, {key: offset})

    def state(self):
        return [messages, readable, committed]

    def merge(self, state):
        for key, pairs in state[0].items():
            for offset, message in pairs:
                insert(key, offset, message)
        advance(readable, state[1])
        advance(committed, state[2])


entries = Entries(node, lock)


@node.on("send")
def send(message):
    entries.wait_until_met()
    key = message.body["key"]
    with lock:
        offset = next_offset(key)
        entries.append([key, offset, message.body["msg"]])
    entries.push()
    return {"type": "send_ok", "offset": offset}


@node.on("poll")
def poll(message):
    with lock:
        msgs = {key: read(key, offset) for key, offset in message.body["offsets"].items()}
    entries.sync()
    return {"type": "poll_ok", "msgs": msgs}


@node.on("commit_offsets")
def commit_offsets(message):
    with lock:
        entries.append(message.body["offsets"])
    entries.push()
    return {"type": "commit_offsets_ok"}


@node.on("list_committed_offsets")
def list_committed_offsets(message):
    with lock:
        offsets = {key: committed[key] for key in message.body["keys"] if key in committed}
    entries.sync()
    return {"type": "list_committed_offsets_ok", "offsets": offsets}


# With the lock held


def next_offset(key):
    """The least offset of this node's that is greater than those of all messages here."""
    pairs = messages.get(key)
    least = pairs[-1][0] + 1 if pairs else 0
    return least + (node.ids.index(node.id) - least) % len(node.ids)


def insert(key, offset, message):
    """Put a message into its place, unless it is there."""
    pairs = messages.setdefault(key, [])
    place = bisect_left(pairs, offset, key=offset_of)
    if pairs[place : place + 1] != [[offset, message]]:
        pairs.insert(place, [offset, message])


def read(key, offset):
    """The messages of a key from an offset on, as far as they can be read."""
    pairs = messages.get(key, [])
    last = bisect_right(pairs, readable.get(key, -1), key=offset_of)
    return pairs[bisect_left(pairs, offset, key=offset_of) : last]


def offset_of(pair):
    return pair[0]


def advance(offsets, further):
    for key, offset in further.items():
        offsets[key] = max(offset, offsets.get(key, offset))


if __name__ == "__main__":
    entries.parse_args("A node for challenge 5, logs as in Kafka.")
    node.run()
