#!/usr/bin/env python3
"""Locks are made with another lock held."""

import threading

from maelstrom_node import Node

node = Node()
making = threading.Lock()  # guards the locks
locks: dict[str, threading.Lock] = {}  # key -> held while its log in lin-kv is changed
committed: dict[str, int] = {}


def lock_of(key):
    with making:
        if key not in locks:
            locks[key] = threading.Lock()
        return locks[key]


@node.on("send")
def send(message):
    key = message.body["key"]
    with lock_of(key):
        log = node.lin_kv.read(key, [])
        node.lin_kv.write(key, [*log, message.body["msg"]])
    return {"type": "send_ok", "offset": len(log)}


@node.on("poll")
def poll(message):
    msgs = {}
    for key, start in message.body["offsets"].items():
        msgs[key] = list(enumerate(node.lin_kv.read(key, [])))[start:]
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
