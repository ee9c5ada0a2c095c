#!/usr/bin/env python3
"""A handler calls an `async` function without awaiting it, and so returns a coroutine.

The client gets an error. Nothing here is asynchronous: write `def`, and block where you have to.
"""

from maelstrom_node import Node

node = Node()


@node.on("echo")
def echo(message):
    return answer(message.body["echo"])  # the mistake


async def answer(text):
    return {"type": "echo_ok", "echo": text}


if __name__ == "__main__":
    node.run()
