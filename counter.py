#!/usr/bin/env python3
"""Challenge 4, a counter: an add on one node must become part of the sum on every node.

The counter lies in seq-kv, one key for each node, and only that node writes its key. So nodes don't
contend, and no node can undo what another has added.

- Add. It is acknowledged when seq-kv has stored the new sum. One save is under way at a time; adds
  that come meanwhile share the next one. A save is a cas (compare and set), so a message that comes
  late, or twice, can't put an old sum in the place of a newer one.
- Read. It answers with the sum of all keys as they were `--max-staleness` ago or later; a node
  remembers the others' sums for that long. seq-kv may answer with an old state. But that state is
  never older than one that the caller has seen, and a caller that changes something sees the newest
  state. So a node saves first, and then reads the others' keys. Each save has a mark of its own,
  which makes it a change in any case.

Nodes don't talk to each other, so partitions between them mean nothing.
"""

import argparse
import threading

from maelstrom_node import Code, Node, RPCError, RPCTimeout

TIMEOUT = 0.5  # seconds that seq-kv may take to answer, before it is asked again

node = Node()
node.seq_kv.timeout = TIMEOUT

lock = threading.Lock()  # guards the next two
unsaved = 0  # the sum of the adds that no save has taken along
next_save = 0  # the number of the save that will

saving = threading.Lock()  # held during a save; guards the next three
saves = 0  # how many are done
stored: list[int] = []  # what seq-kv holds for this node: the sum of all its adds, and a mark
saved_at = float("-inf")  # when the last one began

refreshing = threading.Lock()  # held while the others' keys are read; guards the next two
others = 0  # the sum of what they have stored
fresh_at = float("-inf")  # when that was true

max_staleness = 1.5  # seconds


# Handlers


@node.on("add")
def add(message):
    global unsaved
    if message.body["delta"]:
        with lock:
            unsaved += message.body["delta"]
            number = next_save
        save(number)
    return {"type": "add_ok"}


@node.on("read")
def read(message):
    came = node.now()
    with refreshing:
        if fresh_at < came - max_staleness:
            refresh(came)
        return {"type": "read_ok", "value": stored[0] + others}


# What seq-kv holds


def save(number):
    """Return when the save of that number is done, by this thread or by another."""
    global next_save, saved_at, saves, stored, unsaved
    with saving:
        if saves > number:
            return
        with lock:
            delta, unsaved = unsaved, 0
            next_save += 1
        began = node.now()
        stored = change(stored, delta)
        saved_at = began
        saves += 1


def change(before, delta):
    """Add to the sum in seq-kv, once, however often it takes; return what is there then."""
    mark = node.random.getrandbits(50)
    while True:
        after = [delta + sum(before[:1]), mark]
        try:
            node.seq_kv.cas(node.id, before, after, create_if_not_exists=not before)
            return after
        except RPCTimeout:
            node.sleep(0.01)  # it may be done, or not: the same again does no harm
        except RPCError as error:
            if error.code != Code.PRECONDITION_FAILED:
                raise
            # It was done before, or this node was started again and has forgotten its sum.
            found = persist(node.seq_kv.read, node.id)
            if found == after:
                return after
            before = found


def refresh(came):
    """Read the others' keys, in a state that is no older than a read that came then may see."""
    global fresh_at, others
    if saved_at < came - max_staleness / 2:
        save(next_save)
    fresh = saved_at
    others = sum(persist(node.seq_kv.read, peer, [0])[0] for peer in node.peers)
    fresh_at = fresh


def persist(ask, *args):
    """Ask until there is an answer."""
    while True:
        try:
            return ask(*args)
        except RPCTimeout:
            node.sleep(0.01)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A node for challenge 4, a counter.")
    parser.add_argument("--max-staleness", type=float, default=1.5, metavar="SECONDS")
    max_staleness = parser.parse_args().max_staleness
    node.run()
