#!/usr/bin/env python3
"""Challenge 6, transactions: each node answers from what it has, and all come to have the same.

A transaction takes effect on the node that it is sent to, at once and as a whole, and is answered
then, whoever else can be reached. Its writes get a *stamp*: Lamport time and the node's name. A
node's time is ahead of all stamps it has seen, so who overwrites or reads something has the later
stamp. Of each key a node keeps the value with the latest stamp. Hence all nodes agree, whatever
the order in which they hear of writes, and no two transactions come before each other.

- Log. Each node numbers its transactions: that is its *log*. A *version vector* says how much of
  every log a node has. Every message carries its sender's, and so acknowledges for free.
- Push. What a transaction wrote goes to all other nodes, as a whole. They apply it as a whole, and
  a node's transactions in their order.
- Repair. Who has waited too long for an acknowledgement asks, and both send what the other lacks.
  Who doesn't answer is silent: it is sent nothing more, but asked again now and then. As soon as
  one silent node is heard, all are asked.
"""

import threading
from collections import deque
from typing import Any

from maelstrom_node import Code, Node, RPCError

CHECK = 0.25  # seconds from one look for the unacknowledged to the next
PATIENCE = 4  # how many such looks a transaction may remain unacknowledged
TIMEOUT = 0.7  # seconds that an answer may take

node = Node()
lock = threading.Lock()  # guards everything below

time = 0  # Lamport time: the latest that was seen in any stamp
values: dict[object, object] = {}  # key -> its value
stamps: dict[object, tuple[int, str]] = {}  # key -> the stamp of its value

logs: dict[str, list[Any]] = {}  # node -> its transactions as far as they are here: [time, writes]
early: dict[str, dict[int, Any]] = {}  # node -> its transactions before their turn, by number
acked: dict[str, list[int]] = {}  # peer -> its version vector, as it told us
sent: dict[str, int] = {}  # peer -> how much of this node's log we have sent it
lengths = deque([0], PATIENCE)  # how long this node's log was at the last looks
silent: dict[str, bool] = {}  # peers that didn't answer, the one asked longest ago first
asked: set[str] = set()  # peers that have been asked and may still answer


# Handlers


@node.on("init")
def init(message):
    for id in node.ids:
        logs[id], early[id], sent[id] = [], {}, 0
        acked[id] = [0] * len(node.ids)


@node.on("txn")
def txn(message):
    with lock:
        answer, writes = execute(message.body["txn"])
        if writes:
            take(node.id, len(logs[node.id]), [[time + 1, writes]])
    if writes:
        push()
    return {"type": "txn_ok", "txn": answer}


@node.on("news")
def news(message):
    hear(message.src, message.body)


@node.on("compare")
def compare(message):
    hear(message.src, message.body)
    with lock:
        return {"type": "compare_ok", **update_for(message.src)}


# Transactions; to be called with the lock held


def execute(operations):
    """What a transaction answers, and what it leaves behind: [key, value] for each key written."""
    answer, writes = [], {}
    for f, key, value in operations:
        if f == "w":
            writes[key] = value
        elif f != "r":
            raise RPCError(Code.NOT_SUPPORTED, f"there is no operation {f!r}")
        answer.append([f, key, value if f == "w" else writes.get(key, values.get(key))])
    return answer, list(writes.items())


def apply(origin, stamp_time, writes):
    """Let the writes of a transaction show, those that aren't overwritten already."""
    global time
    time = max(time, stamp_time)
    stamp = (stamp_time, origin)
    for key, value in writes:
        if stamp > stamps.get(key, (0, "")):
            values[key], stamps[key] = value, stamp


# Logs and version vectors; to be called with the lock held


def take(origin, first, transactions):
    """Take transactions into a log and apply them; the first of them has the number `first`."""
    log, waiting = logs[origin], early[origin]
    for number, transaction in enumerate(transactions, first):
        if number >= len(log):
            waiting[number] = transaction
    while len(log) in waiting:
        transaction = waiting.pop(len(log))
        log.append(transaction)
        apply(origin, *transaction)


def update(have):
    """What the logs hold beyond the numbers in `have`, and our version vector."""
    news = {id: [start, *logs[id][start:]] for id, start in have.items() if start < len(logs[id])}
    return {"news": news, "have": [len(logs[id]) for id in node.ids]}


def update_for(peer):
    """What a peer lacks for all we know."""
    sent[peer] = len(logs[node.id])
    return update(dict(zip(node.ids, acked[peer])))


# Spreading what is new


def push():
    """Send all peers what we haven't sent them yet, except those that are silent."""
    with lock:
        length = len(logs[node.id])
        peers = [id for id in node.peers if id not in silent and sent[id] < length]
        updates = {id: update({node.id: sent[id]}) for id in peers}
        sent.update(dict.fromkeys(peers, length))
    for peer, body in updates.items():
        node.send(peer, {"type": "news", **body})


def hear(peer, body):
    """Take in the news of a peer, and what it has."""
    with lock:
        for origin, (first, *transactions) in body["news"].items():
            take(origin, first, transactions)
        acked[peer] = list(map(max, acked[peer], body["have"]))
        is_back = silent.pop(peer, False)
    if is_back:  # so others may be
        for other in list(silent):
            node.spawn(ask, other)


# Repair


@node.every(CHECK)
def look_for_the_unacknowledged():
    """Ask those who should have acknowledged something long ago."""
    me = node.ids.index(node.id)
    with lock:
        late = [id for id in node.peers if id not in silent and acked[id][me] < lengths[0]]
        lengths.append(len(logs[node.id]))
    for peer in late:
        node.spawn(ask, peer)


@node.every(TIMEOUT)
def try_the_silent():
    with lock:
        peer = next(iter(silent), None)
    if peer is not None:
        ask(peer)


def ask(peer):
    """Compare notes with a peer: each sends what the other lacks."""
    with lock:
        if peer in asked:
            return
        asked.add(peer)
        body = update({})
    try:
        answer = node.rpc(peer, {"type": "compare", **body}, timeout=TIMEOUT)
    except RPCError:
        with lock:
            silent.pop(peer, None)
            silent[peer] = True
        return
    finally:
        with lock:
            asked.discard(peer)
    hear(peer, answer)
    with lock:
        body = update_for(peer)
    if body["news"]:
        node.send(peer, {"type": "news", **body})


if __name__ == "__main__":
    node.run()
