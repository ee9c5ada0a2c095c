#!/usr/bin/env python3
"""The script prints something before `node.run()`, when standard output is for messages.

A line that is no message ends the test. Print to standard error: `print(…, file=sys.stderr)`. (From
`node.run()` on, what is printed goes to the log.)
"""

from maelstrom_node import Node

node = Node()


@node.on("echo")
def echo(message):
    return {"type": "echo_ok", "echo": message.body["echo"]}


if __name__ == "__main__":
    print("starting the node")  # the mistake
    node.run()
