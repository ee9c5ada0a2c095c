#!/usr/bin/env python3
"""A node answers the client that it remembers, not the one that asked.

Several clients talk to a node, so most answers go to somebody who never asked. Answer the
request's `src`; what a handler returns goes there.
"""

from maelstrom_node import Node

node = Node()
clients = []


@node.on("echo")
def echo(message):
    clients.append(message.src)
    answer = {"type": "echo_ok", "echo": message.body["echo"]}
    node.send(clients[0], {**answer, "in_reply_to": message.body["msg_id"]})  # the mistake


if __name__ == "__main__":
    node.run()
