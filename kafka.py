#!/usr/bin/env python3
"""Challenge 5, Kafka-style logs: one for each key, to append to and to read from.

Each key has an *owner*, the node that its hash chooses. The owner has the key's log and committed
offset, and it alone assigns offsets, so no two messages get the same. Other nodes forward.

- Send. Messages go to their owner in numbered batches. One batch is under way at a time, and sends
  that come meanwhile share the next. A batch is repeated until it is answered; the owner knows the
  last one of each sender, and appends it once.
- Commit. It is acknowledged at once, and goes along with the next batch to the owner, or after
  `FLUSH` seconds. If this node is lost before, messages are read again; none is skipped.
- Poll. One request goes to each other node that owns some of the keys.

With `--storage lin-kv` an owner writes each batch to lin-kv before it takes effect: a *journal*,
whose entries are numbered and written once. A node that is started again replays its own.
"""

import argparse
import threading
import zlib
from itertools import count
from typing import Any

from maelstrom_node import Code, Node, RPCError, RPCTimeout

FLUSH = 0.05  # seconds that a commit may wait for a batch
TIMEOUT = 1.0  # seconds that an answer may take before the request is repeated
REPLAYED = 16  # entries of the journal to ask for at a time
PATIENCE = 4.0  # seconds after which a client is told that there is no answer

node = Node()
node.lin_kv.timeout = TIMEOUT
journaling = False  # does the log lie in lin-kv?

lock = threading.Lock()  # guards the next four
logs: dict[str, list[Any]] = {}  # key -> its messages; the offset of a message is its place
committed: dict[str, int] = {}  # key -> offset, as far as this node has heard of it
done: dict[str, Any] = {}  # sender -> the number of its last batch, and the offsets it was given
batches: dict[str, "Batch"] = {}  # owner -> the batch that goes to it next

sending: dict[str, threading.Lock] = {}  # owner -> held while a batch is under way
numbers = count()
life = 0  # later lives of this node have higher ones

accepting = threading.Lock()  # held while a batch is journaled; guards the next one
entries = 0  # how many the journal has


class Batch:
    """Sends and commits for one owner, and the offsets of the sends once they are assigned."""

    def __init__(self):
        self.number = [life, next(numbers)]
        self.sends = []
        self.commits = {}
        self.offsets: list[int] = []
        self.is_done = False


# Clients' requests; "poll" and "list_committed_offsets" come from other nodes as well


@node.on("init")
def init(message):
    global life
    life = persist(node.lin_tso.ts)
    for id in node.ids:
        batches[id], sending[id] = Batch(), threading.Lock()
    if journaling:
        replay()


@node.on("send")
def send(message):
    key = message.body["key"]
    with lock:
        batch = batches[owner(key)]
        place = len(batch.sends)
        batch.sends.append([key, message.body["msg"]])
    deliver(owner(key), batch)
    return {"type": "send_ok", "offset": batch.offsets[place]}


@node.on("poll")
def poll(message):
    offsets = message.body["offsets"]
    parts = split(offsets)
    mine = parts.pop(node.id, [])
    for peer, keys in parts.items():
        parts[peer] = {"type": "poll", "offsets": {key: offsets[key] for key in keys}}
    answers = ask_all(parts)
    with lock:
        msgs = {key: read(key, offsets[key]) for key in mine}
    for answer in answers:
        msgs.update(answer["msgs"])
    return {"type": "poll_ok", "msgs": msgs}


@node.on("commit_offsets")
def commit_offsets(message):
    with lock:
        for key, offset in message.body["offsets"].items():
            advance(committed, key, offset)
            advance(batches[owner(key)].commits, key, offset)
    return {"type": "commit_offsets_ok"}


@node.on("list_committed_offsets")
def list_committed_offsets(message):
    keys = message.body["keys"]
    parts = split(keys)
    parts.pop(node.id, None)
    for peer, part in parts.items():
        parts[peer] = {"type": "list_committed_offsets", "keys": part}
    answers = ask_all(parts)
    with lock:
        for answer in answers:
            for key, offset in answer["offsets"].items():
                advance(committed, key, offset)
        offsets = {key: committed[key] for key in keys if key in committed}
    return {"type": "list_committed_offsets_ok", "offsets": offsets}


def owner(key):
    return node.ids[zlib.crc32(key.encode()) % len(node.ids)]


def split(keys):
    """The keys by their owners."""
    parts: dict[str, Any] = {}
    for key in keys:
        parts.setdefault(owner(key), []).append(key)
    return parts


def advance(offsets, key, offset):
    offsets[key] = max(offset, offsets.get(key, offset))


# From a node to the owners


def deliver(owner, batch):
    """Return when the owner has taken the batch: send it, unless another thread does."""
    if not sending[owner].acquire(timeout=PATIENCE):
        raise RPCTimeout(f"{owner}, the owner, does not answer")
    try:
        if batch.is_done:
            return
        with lock:
            if batches[owner] is batch:
                batches[owner] = Batch()
        content = [batch.number, batch.sends, batch.commits]
        if owner == node.id:
            batch.offsets = accept(node.id, *content)
        else:
            answer = persist(node.rpc, owner, {"type": "batch", "content": content}, TIMEOUT)
            batch.offsets = answer["offsets"]
        batch.is_done = True
    finally:
        sending[owner].release()


@node.every(FLUSH)
def flush():
    """Pass on the commits that wait for a batch."""
    for id, batch in list(batches.items()):
        if batch.commits and not sending[id].locked():
            node.spawn(deliver, id, batch)


def ask_all(requests):
    """The answers of other nodes, which are asked all at the same time."""
    until = node.now() + PATIENCE - TIMEOUT
    waiting = [(peer, body, node.request(peer, body)) for peer, body in requests.items()]
    answers = []
    for peer, body, answer in waiting:
        try:
            answers.append(answer.result(TIMEOUT))
        except RPCTimeout:
            answers.append(persist(node.rpc, peer, body, TIMEOUT, until=until))
    return answers


def persist(ask, *args, until=float("inf")):
    """Ask until there is an answer."""
    while True:
        try:
            return ask(*args)
        except RPCError as error:
            passing = (Code.TIMEOUT, Code.TEMPORARILY_UNAVAILABLE)
            if error.code not in passing or node.now() > until:
                raise
            node.sleep(0.05)


# The owner


@node.on("batch")
def batch(message):
    return {"type": "batch_ok", "offsets": accept(message.src, *message.body["content"])}


def accept(sender, number, sends, commits):
    """Let a batch take effect, once; return the offsets of its sends."""
    with accepting:
        last, offsets = done.get(sender, ([], []))
        if number == last:
            return offsets
        if number < last:
            raise RPCError(Code.CRASH, f"batch {number} comes after {last}")
        if journaling:
            journal([sender, number, sends, commits])
        return apply(sender, number, sends, commits)


def read(key, start):
    """The messages of a log from an offset on, each with its offset; with the lock held."""
    return list(enumerate(logs.get(key, [])[start:], start))


def apply(sender, number, sends, commits):
    offsets = []
    with lock:
        for key, msg in sends:
            log = logs.setdefault(key, [])
            offsets.append(len(log))
            log.append(msg)
        for key, offset in commits.items():
            advance(committed, key, offset)
        done[sender] = number, offsets
    return offsets


# The journal


def journal(entry):
    """Write an entry. What another life of this node wrote late comes before it."""
    global entries
    while True:
        key = f"{node.id}/{entries}"
        try:
            persist(node.lin_kv.cas, key, None, entry, True)
            found = entry
        except RPCError as error:
            if error.code != Code.PRECONDITION_FAILED:
                raise
            found = persist(node.lin_kv.read, key)
        entries += 1
        if found == entry:
            return
        apply(*found)


def replay():
    """Do again what the journal says; ask for several entries at a time."""
    global entries
    while True:
        keys = [f"{node.id}/{entries + ahead}" for ahead in range(REPLAYED)]
        asked = [node.request("lin-kv", {"type": "read", "key": key}) for key in keys]
        for key, answer in zip(keys, asked):
            try:
                entry = answer.result(TIMEOUT)["value"]
            except RPCError:
                entry = persist(node.lin_kv.read, key, None)
            if entry is None:
                return
            apply(*entry)
            entries += 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A node for challenge 5, logs as in Kafka.")
    parser.add_argument("--storage", choices=["memory", "lin-kv"], default="memory")
    journaling = parser.parse_args().storage == "lin-kv"
    node.run()
