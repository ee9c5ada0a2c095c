#!/usr/bin/env python3
"""Double-checked locking without the second check: two threads make a log, and one log is lost.

The race is between the line that finds no log and the lock: who waited for it looks no more.
"""

import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()  # guards the next two
logs: dict[str, list[object]] = {}
committed: dict[str, int] = {}


@node.on("send")
def send(message):
    key = message.body["key"]
    if key not in logs:
        with lock:
            logs[key] = []
    with lock:
        logs[key].append(message.body["msg"])
        offset = len(logs[key]) - 1
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
