#!/usr/bin/env python3
"""Kafka-style logs, first rung: each key's whole log is one value in lin-kv, changed by cas.

A send reads the log and puts a longer one in its place, if it is still the same; otherwise it
begins again. A poll reads the log. Committed offsets lie in lin-kv, too. Nodes keep nothing, so
none of them can be behind or lose anything.

This passes 5a, 5b and 5c, and whoever is killed, nothing is lost. Weaknesses: a send carries the
whole log three times, and the logs grow. All senders of a key contend: of those that have read the
same log only one succeeds. Every operation waits for lin-kv, a poll for each of its keys in turn.
And a send isn't done once: if the network delivers its cas twice, and the answer of the second one,
that it has failed, comes first, then the message is appended again.
"""

from maelstrom_node import Node

node = Node()


@node.on("send")
def send(message):
    msg = message.body["msg"]
    log = node.lin_kv.update(f"log/{message.body['key']}", lambda log: [*log, msg], [])
    return {"type": "send_ok", "offset": len(log) - 1}


@node.on("poll")
def poll(message):
    msgs = {}
    for key, start in message.body["offsets"].items():
        log = node.lin_kv.read(f"log/{key}", [])
        msgs[key] = list(enumerate(log[start:], start))
    return {"type": "poll_ok", "msgs": msgs}


@node.on("commit_offsets")
def commit_offsets(message):
    for key, offset in message.body["offsets"].items():
        node.lin_kv.update(f"committed/{key}", lambda old, new=offset: max(old, new), -1)
    return {"type": "commit_offsets_ok"}


@node.on("list_committed_offsets")
def list_committed_offsets(message):
    offsets = {key: node.lin_kv.read(f"committed/{key}", None) for key in message.body["keys"]}
    known = {key: offset for key, offset in offsets.items() if offset is not None}
    return {"type": "list_committed_offsets_ok", "offsets": known}


if __name__ == "__main__":
    node.run()
