#!/usr/bin/env python3
"""Commits are acknowledged and thrown away: `list_committed_offsets` never has any.

No rule of the challenge is broken, since no client relies on what is listed (5b), so this is valid
with a warning. Keep the offsets.
"""

import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()
logs = {}  # key -> messages; only the first node has them


def forwarded(handle):
    """Let the first node do it."""
    return lambda message: (
        handle(message.body) if node.id == node.ids[0] else node.rpc(node.ids[0], message.body)
    )


@node.on("send")
@forwarded
def send(body):
    with lock:
        log = logs.setdefault(body["key"], [])
        log.append(body["msg"])
        return {"type": "send_ok", "offset": len(log) - 1}


@node.on("poll")
@forwarded
def poll(body):
    offsets = body["offsets"].items()
    with lock:
        msgs = {key: list(enumerate(logs.get(key, [])))[offset:] for key, offset in offsets}
    return {"type": "poll_ok", "msgs": msgs}


@node.on("commit_offsets")
def commit_offsets(message):
    return {"type": "commit_offsets_ok"}  # the mistake


@node.on("list_committed_offsets")
def list_committed_offsets(message):
    return {"type": "list_committed_offsets_ok", "offsets": {}}


if __name__ == "__main__":
    node.run()
