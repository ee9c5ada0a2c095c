#!/usr/bin/env python3
"""Kafka-style logs, second rung: each key has an *owner*, the node that its hash chooses.

The owner has the key's log and committed offset, and it alone assigns offsets, so no two messages
get the same. Other nodes ask it.

- Send. Messages go to their owner in numbered batches. One batch is under way at a time, and sends
  that come meanwhile share the next. A batch is repeated until it is answered; the owner knows the
  last one of each sender, and appends it once.
- Commit. It is acknowledged at once, and goes along with the next batch, or after `FLUSH` seconds.
  If this node is killed before, messages are read again; none is skipped.
- Poll. One request goes to each other node that owns some of the keys.

This passes 5a, 5b and 5c. Weaknesses: a send or a poll that concerns another owner costs a message
and an answer, and waits for them. While an owner is out of reach, nothing can be sent to its keys,
and nothing read from them. And there is no copy: when a node is killed, its logs are gone, with
what was committed; it begins again with offset 0, and gives offsets for the second time.
"""

import threading
import time
import zlib
from itertools import count

from maelstrom_node import Node, RPCError

FLUSH = 0.05  # seconds that a commit may wait for a batch

node = Node()
lock = threading.Lock()  # guards the next four
logs = {}  # key -> its messages; the offset of a message is its place
committed = {}  # key -> offset, as far as this node has heard of it
done = {}  # sender -> the number of its last batch, and the offsets it was given
batches = {}  # owner -> the batch that goes to it next
sending = {}  # owner -> a lock, held while a batch is under way
numbers = count(time.time_ns())  # of batches; another life of this node begins with a higher one


class Batch:
    """Sends and commits for one owner, and the offsets of the sends once they are assigned."""

    def __init__(self):
        self.number, self.sends, self.commits, self.offsets = next(numbers), [], {}, None


@node.on("init")
def init(message):
    for peer in node.peers:
        batches[peer], sending[peer] = Batch(), threading.Lock()


# Clients' requests; "poll" and "list_committed_offsets" come from other nodes as well


@node.on("send")
def send(message):
    key, msg = message.body["key"], message.body["msg"]
    peer = owner(key)
    with lock:
        if peer == node.id:
            return {"type": "send_ok", "offset": append(key, msg)}
        batch = batches[peer]
        place = len(batch.sends)
        batch.sends.append([key, msg])
    deliver(peer, batch)
    return {"type": "send_ok", "offset": batch.offsets[place]}


@node.on("poll")
def poll(message):
    offsets = message.body["offsets"]
    mine, others = split(offsets)
    parts = {peer: {key: offsets[key] for key in keys} for peer, keys in others.items()}
    answers = ask({peer: {"type": "poll", "offsets": part} for peer, part in parts.items()})
    with lock:
        msgs = {key: read(key, offsets[key]) for key in mine}
    for answer in answers:
        msgs.update(answer["msgs"])
    return {"type": "poll_ok", "msgs": msgs}


@node.on("commit_offsets")
def commit_offsets(message):
    with lock:
        offsets = message.body["offsets"]
        advance(committed, offsets)
        for peer, keys in split(offsets)[1].items():
            advance(batches[peer].commits, {key: offsets[key] for key in keys})
    return {"type": "commit_offsets_ok"}


@node.on("list_committed_offsets")
def list_committed_offsets(message):
    type, keys = message.body["type"], message.body["keys"]
    _, others = split(keys)
    answers = ask({peer: {"type": type, "keys": part} for peer, part in others.items()})
    with lock:
        for answer in answers:
            advance(committed, answer["offsets"])
        offsets = {key: committed[key] for key in keys if key in committed}
    return {"type": "list_committed_offsets_ok", "offsets": offsets}


def owner(key):
    return node.ids[zlib.crc32(key.encode()) % len(node.ids)]


def split(keys):
    """This node's own keys, and those of the others by their owners."""
    parts = {node.id: []}
    for key in keys:
        parts.setdefault(owner(key), []).append(key)
    return parts.pop(node.id), parts


# From a node to the owners


def ask(requests):
    """The answers of other nodes, which are asked all at the same time."""
    asked = [node.request(peer, body) for peer, body in requests.items()]
    return [answer.result() for answer in asked]


def deliver(owner, batch):
    """Return when the owner has taken the batch: send it, unless another thread has."""
    with sending[owner]:
        if batch.offsets is not None:
            return
        with lock:
            batches[owner] = Batch()
        body = {"number": batch.number, "sends": batch.sends, "commits": batch.commits}
        while batch.offsets is None:
            try:
                batch.offsets = node.rpc(owner, {"type": "batch", **body})["offsets"]
            except RPCError:  # it is out of reach, or not ready yet
                node.sleep(FLUSH)


@node.every(FLUSH)
def flush():
    """Pass on the commits that no send has taken along."""
    for peer, batch in list(batches.items()):
        if batch.commits and not sending[peer].locked():
            node.spawn(deliver, peer, batch)


# The owner


@node.on("batch")
def batch(message):
    """Let a batch take effect, once. Nobody waits for the answer to one before the last."""
    with lock:
        last, offsets = done.get(message.src, (0, []))
        if message.body["number"] > last:
            offsets = [append(key, msg) for key, msg in message.body["sends"]]
            advance(committed, message.body["commits"])
            done[message.src] = message.body["number"], offsets
    return {"type": "batch_ok", "offsets": offsets}


def append(key, msg):
    log = logs.setdefault(key, [])
    log.append(msg)
    return len(log) - 1


def read(key, start):
    """The messages of a log from an offset on, each with its offset."""
    return list(enumerate(logs.get(key, [])[start:], start))


def advance(offsets, others):
    """Raise each offset to that in `others`, if that is higher."""
    for key, offset in others.items():
        offsets[key] = max(offset, offsets.get(key, offset))


if __name__ == "__main__":
    node.run()
