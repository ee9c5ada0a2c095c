#!/usr/bin/env python3
"""Which node owns a key is decided by `hash(key)`, which differs from process to process.

Each node thinks that other keys are its own, so a key has two owners and two logs. Take a hash that
is the same everywhere: `zlib.crc32(key.encode())`.
"""

import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()
logs = {}  # key -> messages
committed = {}  # key -> offset


def owner(key):
    return node.ids[hash(key) % len(node.ids)]  # the mistake


@node.on("send")
def send(message):
    body = message.body
    if owner(body["key"]) != node.id and message.src not in node.peers:
        return node.rpc(owner(body["key"]), body)
    with lock:
        log = logs.setdefault(body["key"], [])
        log.append(body["msg"])
        return {"type": "send_ok", "offset": len(log) - 1}


@node.on("poll")
def poll(message):
    msgs = {}
    for key, offset in message.body["offsets"].items():
        if owner(key) == node.id or message.src in node.peers:
            msgs[key] = list(enumerate(logs.get(key, [])))[offset:]
        else:
            msgs |= node.rpc(owner(key), {"type": "poll", "offsets": {key: offset}})["msgs"]
    return {"type": "poll_ok", "msgs": msgs}


@node.on("commit_offsets")
def commit_offsets(message):
    committed.update(message.body["offsets"])
    return {"type": "commit_offsets_ok"}


@node.on("list_committed_offsets")
def list_committed_offsets(message):
    offsets = {key: committed[key] for key in message.body["keys"] if key in committed}
    return {"type": "list_committed_offsets_ok", "offsets": offsets}


if __name__ == "__main__":
    node.run()
