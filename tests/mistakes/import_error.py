#!/usr/bin/env python3
"""The script imports what isn't there: the library has no `Nodes`.

The script ends when it is started. The last line of its traceback says what is missing.
"""

from maelstrom_node import Nodes  # the mistake

node = Nodes()


@node.on("echo")
def echo(message):
    return {"type": "echo_ok", "echo": message.body["echo"]}


if __name__ == "__main__":
    node.run()
