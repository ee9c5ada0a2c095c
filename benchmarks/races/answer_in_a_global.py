#!/usr/bin/env python3
"""The offset lies in a variable that all threads share, until it is answered.

The race is between the call of `append` and the line that answers: another send may have changed
`offset` meanwhile.
"""

import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()  # guards the next two
logs: dict[str, list[object]] = {}
committed: dict[str, int] = {}

offset = -1


def append(key, msg):
    global offset
    with lock:
        log = logs.setdefault(key, [])
        log.append(msg)
        offset = len(log) - 1


@node.on("send")
def send(message):
    append(message.body["key"], message.body["msg"])
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
