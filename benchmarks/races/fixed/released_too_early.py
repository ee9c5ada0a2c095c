#!/usr/bin/env python3
"""The lock is held until the message has its place."""

import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()  # guards the next two
logs: dict[str, list[object]] = {}
committed: dict[str, int] = {}


@node.on("send")
def send(message):
    with lock:
        log = logs.setdefault(message.body["key"], [])
        offset = len(log)
        log.append(message.body["msg"])
    return {"type": "send_ok", "offset": offset}


@node.on("poll")
def poll(message):
    with lock:
        msgs = {
            key: list(enumerate(logs.get(key, [])))[start:]
            for key, start in message.body["offsets"].items()
        }
    return {"type": "poll_ok", "msgs": msgs}


@node.on("commit_offsets")
def commit_offsets(message):
    with lock:
        committed.update(message.body["offsets"])
    return {"type": "commit_offsets_ok"}


@node.on("list_committed_offsets")
def list_committed_offsets(message):
    with lock:
        offsets = {key: committed[key] for key in message.body["keys"] if key in committed}
    return {"type": "list_committed_offsets_ok", "offsets": offsets}


if __name__ == "__main__":
    node.run()
