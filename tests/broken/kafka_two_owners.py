#!/usr/bin/env python3
"""Logs to which every node appends by itself, and tells the others what it has appended.

Two nodes that append to the same key at once give two messages the same offset.
"""

import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()
logs: dict[str, dict[int, object]] = {}  # key -> offset -> message
committed: dict[str, int] = {}


@node.on("send")
def send(message):
    key, msg = message.body["key"], message.body["msg"]
    with lock:
        log = logs.setdefault(key, {})
        offset = max(log, default=-1) + 1
        log[offset] = msg
    for peer in node.peers:
        node.rpc(peer, {"type": "copy", "key": key, "offset": offset, "msg": msg})
    return {"type": "send_ok", "offset": offset}


@node.on("copy")
def copy(message):
    body = message.body
    with lock:
        logs.setdefault(body["key"], {})[body["offset"]] = body["msg"]
    return {"type": "copy_ok"}


@node.on("poll")
def poll(message):
    def read(key, start):
        return sorted(entry for entry in logs.get(key, {}).items() if entry[0] >= start)

    with lock:
        msgs = {key: read(key, start) for key, start in message.body["offsets"].items()}
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
