#!/usr/bin/env python3
"""Challenge 3, broadcast: a value that one node is given comes to be read on all.

Each node numbers the values that its clients give it: they are its *log*. A *version vector*
says how much of every log a node has: one number per node, however many values there are. Every
message carries its sender's, and so acknowledges for free.

- Push. With `--max-latency 0ms` a new value goes straight to every other node, in one hop.
- Batch. With a budget of latency, nodes send what is new to a hub, and once per round the hub
  sends it on to everybody. At worst a value waits for a round and travels twice, so rounds are
  as long as the budget allows. Spokes time their batches to arrive just before the hub sends.
- Repair. Who has waited too long for an acknowledgement asks, and both send what the other lacks.
  Who doesn't answer is silent: it is sent nothing more, but asked again now and then. As soon as
  one silent node is heard, all are asked. Without its hub a spoke pushes to everybody.

The topology is ignored: any node can send to any other, and a path of one hop is the shortest.
"""

import argparse
import threading

from maelstrom_node import Node, RPCError

PATIENCE = 2.0  # seconds that a pushed value may remain unacknowledged
TIMEOUT = 0.7  # seconds that an answer may take
MARGIN = 0.03  # seconds by which a batch should reach the hub before it sends

node = Node()
lock = threading.Lock()  # guards everything below

seen: set[int] = set()  # every value, as clients read them
logs: dict[str, list[int]] = {}  # node -> its values, in order, as far as they are here
have: list[int] = []  # our version vector: how long each log is here, in the order of node.ids
place: dict[str, int] = {}  # node -> its place in a version vector
times: dict[str, list[float]] = {}  # node -> when each of them came here
early: dict[str, dict[int, int]] = {}  # node -> its values that came before their turn, by number
acked: dict[str, list[int]] = {}  # peer -> its version vector, as it told us
silent: dict[str, bool] = {}  # peers that didn't answer, the one asked longest ago first
asked: set[str] = set()  # peers that have been asked and may still answer

budget = 0.0  # seconds that a value may take to reach everybody
rtt: float | None = None  # seconds that a message and its answer take, as the hub measured
hub_sent_at: float | None = None  # when the hub sent last
batch_waits = False  # is there a batch that will be sent?


# Handlers


@node.on("init")
def init(message):
    for number, id in enumerate(node.ids):
        logs[id], times[id], early[id] = [], [], {}
        acked[id] = [0] * len(node.ids)
        place[id] = number
        have.append(0)
    if budget and len(node.ids) > 1 and node.id == node.ids[0]:
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
        add(node.id, len(logs[node.id]), [message.body["message"]])
    spread()
    return {"type": "broadcast_ok"}


@node.on("news")
def news(message):
    hear(message.src, message.body)


@node.on("compare")
def compare(message):
    hear(message.src, message.body)
    with lock:
        return {"type": "compare_ok", **update(dict(zip(node.ids, acked[message.src])))}


# Logs and version vectors; to be called with the lock held


def add(origin, first, values):
    """Put values into a log; the first of them has the number `first`."""
    log = logs[origin]
    for number, value in enumerate(values, first):
        if number >= len(log):
            early[origin][number] = value
            seen.add(value)
    while len(log) in early[origin]:
        log.append(early[origin].pop(len(log)))
        times[origin].append(node.now())
        have[place[origin]] += 1


def update(known):
    """What the logs hold beyond the numbers in `known`, and our version vector."""
    news = {id: [start, *logs[id][start:]] for id, start in known.items() if start < len(logs[id])}
    return {"news": news, "have": have[:]}


def owed(peer):
    """Which logs we must see that `peer` gets, and how much of each it has for all we know."""
    hub, me = node.ids[0], place[node.id]
    if not budget or peer == hub:
        return {node.id: acked[peer][me]}
    if node.id == hub:
        return {id: number for id, number in zip(node.ids, acked[peer]) if id != peer}
    if not has_hub():
        return {node.id: max(acked[peer][me], acked[hub][me])}
    return {}


def has_hub():
    """Is there a hub that sees to it that everybody gets everything?"""
    return budget and node.ids[0] not in silent


# Spreading what is new


def hear(peer, body):
    """Take in the news of a peer, and what it has."""
    global hub_sent_at, rtt
    with lock:
        for origin, (first, *values) in body.get("news", {}).items():
            add(origin, first, values)
        if sum(body["have"]) > sum(acked[peer]):  # older messages may come later
            acked[peer] = body["have"]
        if "rtt" in body:
            rtt = body["rtt"]
            hub_sent_at = node.now() - body["rtt"] / 2
        is_back = peer in silent
        silent.pop(peer, None)
    if is_back:
        ask_all()
    if budget and node.id == node.ids[0] and body.get("news"):
        spread()


def spread():
    """Send what is new on its way: in a batch if there is time and a hub, otherwise at once."""
    global batch_waits
    with lock:
        pushing = not has_hub()
        batching = not pushing and not batch_waits
        batch_waits = batch_waits or batching
    if pushing:
        push(node.peers)
    elif batching:
        node.spawn(batch)


def batch():
    """Wait for the moment to send, then send: the hub to everybody, a spoke to the hub."""
    global batch_waits, hub_sent_at
    is_hub = node.id == node.ids[0]
    if rtt is not None and hub_sent_at is not None:
        round_length = max(0.0, budget - rtt - 2 * MARGIN)
        if is_hub:
            node.sleep(max(0.0, hub_sent_at + round_length - node.now()))
        elif round_length:
            node.sleep((hub_sent_at - rtt / 2 - MARGIN - node.now()) % round_length)
    with lock:
        batch_waits = False
        if is_hub and rtt is not None:
            hub_sent_at = node.now()
    if not is_hub:
        push(node.ids[:1])
    elif rtt is None:
        push(node.peers)
    else:
        push(node.peers, rtt=rtt)


def push(peers, **extra):
    """Send peers what we owe them, except those that are silent."""
    with lock:
        updates = {peer: update(owed(peer)) for peer in peers if peer not in silent}
    for peer, body in updates.items():
        node.send(peer, {"type": "news", **body, **extra})


def measure():
    """Find out how long a message takes, and so how long a round may be."""
    while rtt is None:
        ask(node.peers[0])
        node.sleep(0.1)


# Repair


@node.every(0.5)
def look_for_the_unacknowledged():
    """Ask those who should have acknowledged something long ago; of the silent, one at a time."""
    now = node.now()
    with lock:
        is_spoke = has_hub() and node.id != node.ids[0]
        peers = node.ids[:1] if is_spoke else node.peers
        late = [peer for peer in peers if peer not in silent and is_late(peer, now)]
    for peer in late:
        node.spawn(ask, peer)


def is_late(peer, now):
    # Two that wait for each other's acknowledgement need not both ask.
    patience = PATIENCE + budget + (0.5 if node.id > peer else 0)
    return any(
        number < len(logs[id]) and times[id][number] < now - patience
        for id, number in owed(peer).items()
    )


@node.every(TIMEOUT)
def try_the_silent():
    with lock:
        peer = next(iter(silent), None)
    if peer is not None:
        ask(peer)


def ask_all():
    """Somebody is back, so others may be: ask everybody who was silent."""
    for peer in list(silent):
        node.spawn(ask, peer)


def ask(peer):
    """Compare notes with a peer: each sends what the other lacks."""
    global rtt
    with lock:
        if peer in asked:
            return
        asked.add(peer)
        question = {"type": "compare", "have": have[:]}
    began = node.now()
    try:
        answer = node.rpc(peer, question, timeout=TIMEOUT)
    except RPCError:
        with lock:
            silent.pop(peer, None)
            silent[peer] = True
        return
    finally:
        with lock:
            asked.discard(peer)
    if node.id == node.ids[0]:
        rtt = min(node.now() - began, rtt or TIMEOUT)
    hear(peer, answer)
    with lock:
        body = update(dict(zip(node.ids, acked[peer])))
    if body["news"]:
        node.send(peer, {"type": "news", **body})


def seconds(text):
    """A duration such as 600ms, 2s or 0 in seconds."""
    number = text.removesuffix("ms") if text.endswith("ms") else text.removesuffix("s")
    return float(number) / (1000 if text.endswith("ms") else 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A node for challenge 3, broadcast.")
    parser.add_argument("--max-latency", type=seconds, default=0.0, metavar="TIME")
    budget = parser.parse_args().max_latency
    node.run()
