#!/usr/bin/env python3
"""A handler sends its answer itself and leaves out `in_reply_to`, by which a client knows it.

The client ignores the message and waits on. Return the answer: the library adds the field, which is
the request's `msg_id`.
"""

from maelstrom_node import Node

node = Node()


@node.on("echo")
def echo(message):
    answer = {"type": "echo_ok", "echo": message.body["echo"]}
    node.send(message.src, answer)  # the mistake


if __name__ == "__main__":
    node.run()
