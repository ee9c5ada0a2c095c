#!/usr/bin/env python3
"""Logs with one owner for all keys, which answers a poll with the newest messages only.

Nobody wants old ones, and answers stay small. But who polls goes on after the last message that it
was given, and never sees those before.
"""

import threading

from maelstrom_node import Node

NEWEST = 3  # messages of a key in an answer

node = Node()
lock = threading.Lock()
logs: dict[str, list[object]] = {}


@node.on("send")
def send(message):
    if node.id != node.ids[0]:
        answer = node.rpc(node.ids[0], {**message.body})
        return {"type": "send_ok", "offset": answer["offset"]}
    with lock:
        log = logs.setdefault(message.body["key"], [])
        log.append(message.body["msg"])
        return {"type": "send_ok", "offset": len(log) - 1}


@node.on("poll")
def poll(message):
    if node.id != node.ids[0]:
        answer = node.rpc(node.ids[0], {**message.body})
        return {"type": "poll_ok", "msgs": answer["msgs"]}

    def read(key, start):
        return list(enumerate(logs.get(key, [])))[start:][-NEWEST:]

    with lock:
        msgs = {key: read(key, start) for key, start in message.body["offsets"].items()}
    return {"type": "poll_ok", "msgs": msgs}


@node.on("commit_offsets")
def commit_offsets(message):
    return {"type": "commit_offsets_ok"}


@node.on("list_committed_offsets")
def list_committed_offsets(message):
    return {"type": "list_committed_offsets_ok", "offsets": {}}


if __name__ == "__main__":
    node.run()
