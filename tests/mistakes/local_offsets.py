#!/usr/bin/env python3
"""Each of two nodes counts a log's offsets by itself, so both give away offset 0, and 1, and 2.

Two messages have the same offset, and polls contradict each other. Let one node own a key, or take
offsets from lin-kv.
"""

import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()
logs = {}  # key -> messages
committed = {}  # key -> offset


@node.on("send")
def send(message):
    with lock:
        log = logs.setdefault(message.body["key"], [])
        log.append(message.body["msg"])
        return {"type": "send_ok", "offset": len(log) - 1}  # the mistake


@node.on("poll")
def poll(message):
    with lock:
        offsets = message.body["offsets"].items()
        msgs = {key: list(enumerate(logs.get(key, [])))[offset:] for key, offset in offsets}
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
