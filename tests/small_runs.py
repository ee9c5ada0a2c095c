"""Small runs that fail, as scenarios: the scripts, and how to run them."""

from __future__ import annotations

import shlex
from contextlib import closing
from pathlib import Path
from typing import Any

from glomers.history.store import Store
from glomers.options import parse_test
from glomers.run import replay
from glomers.run.build import simulated_test
from glomers.scenario import parse
from glomers.workloads import WORKLOADS

IDS = """\
from maelstrom_node import Node

node = Node()
last = 0


@node.on("generate")
def generate(message):
    global last
    value = last
    last = value + 1
    return {"type": "generate_ok", "id": f"{node.id}-{value}"}


node.run()
"""
# Two clients ask at nearly the same time; the first one's handler loses its turn meanwhile.
SAME_IDS = """
{
  "command": "-w unique-ids --bin node.py --node-count 1 --concurrency 2 --time-limit 1",
  "operations": [
    {"time": 0, "worker": 0, "f": "generate"},
    {"time": 0.001, "worker": 1, "f": "generate"}
  ],
  "switches": [
    {"node": "n0", "line": "node.py:11", "nth": 1, "wait": 2, "text": "last = value + 1"}
  ]
}
"""
GOSSIP = """\
from maelstrom_node import Node

node = Node()
seen = set()


@node.on("topology")
def topology(message):
    return {"type": "topology_ok"}


@node.on("broadcast")
def broadcast(message):
    seen.add(message.body["message"])
    for peer in node.peers:
        node.send(peer, {"type": "gossip", "value": message.body["message"]})
    return {"type": "broadcast_ok"}


@node.on("gossip")
def gossip(message):
    seen.add(message.body["value"])


@node.on("read")
def read(message):
    return {"type": "read_ok", "messages": sorted(seen)}


node.run()
"""
LOST_MESSAGE = """
{
  "command": "-w broadcast --bin node.py --node-count 3 --latency 10 --time-limit 1",
  "operations": [{"time": 0, "worker": 0, "f": "broadcast", "value": 7}],
  "final": [
    {"time": 0, "worker": 0, "f": "read", "final?": true},
    {"time": 0.001, "worker": 2, "f": "read", "final?": true}
  ],
  "messages": [
    {"src": "n0", "dest": "n1", "type": "gossip", "latency": [5, 10]},
    {"src": "n0", "dest": "n2", "type": "gossip", "lost": true}
  ]
}
"""
COPIES = """\
from maelstrom_node import Node

node = Node()
store = {}


@node.on("read")
def read(message):
    return {"type": "read_ok", "value": store[message.body["key"]]}


@node.on("write")
def write(message):
    store[message.body["key"]] = message.body["value"]
    copy = {"type": "copy", "key": message.body["key"], "value": message.body["value"]}
    for peer in node.peers:
        node.send(peer, copy)
    return {"type": "write_ok"}


@node.on("copy")
def take(message):
    store[message.body["key"]] = message.body["value"]


node.run()
"""
STALE_READ = """
{
  "command": "-w lin-kv --bin node.py --nodes n1,n2 --concurrency 2n --latency 10 --time-limit 1",
  "operations": [
    {"time": 0, "worker": 0, "f": "write", "value": [0, 1]},
    {"time": 0.1, "worker": 0, "f": "write", "value": [0, 2]},
    {"time": 0.101, "worker": 1, "f": "read", "value": [0, null]}
  ],
  "messages": [{"src": "n1", "dest": "n2", "type": "copy", "nth": 2, "lost": true}]
}
"""
COUNTER = """\
from maelstrom_node import KV, Node

node = Node()
kv = KV(node, "seq-kv")


@node.on("add")
def add(message):
    value = kv.read("sum", 0)
    kv.write("sum", value + message.body["delta"])
    return {"type": "add_ok"}


@node.on("read")
def read(message):
    return {"type": "read_ok", "value": kv.read("sum", 0)}


node.run()
"""
STALE_SUM = """
{
  "command": "-w g-counter --bin node.py --node-count 2 --latency 5 --time-limit 1",
  "operations": [{"time": 0, "worker": 0, "f": "add", "value": 3}],
  "final": [{"time": 0, "worker": 1, "f": "read", "final?": true}],
  "views": [{"service": "seq-kv", "caller": "n1", "type": "read", "nth": 1, "behind": 1}]
}
"""
TWO_LOCKS = """\
import threading
from maelstrom_node import Node

node = Node()
one = threading.Lock()
other = threading.Lock()


@node.on("echo")
def echo(message):
    first, second = (one, other) if message.body["echo"] == 1 else (other, one)
    with first:
        with second:
            return {"type": "echo_ok", "echo": message.body["echo"]}


node.run()
"""
DEADLOCK = """
{
  "command": "-w echo --bin node.py --node-count 1 --concurrency 2 --time-limit 1",
  "operations": [
    {"time": 0, "worker": 0, "f": "echo", "value": 1},
    {"time": 0.001, "worker": 1, "f": "echo", "value": 2}
  ],
  "switches": [
    {"node": "n0", "line": "node.py:13", "nth": 1, "wait": 2, "text": "with second:"}
  ]
}
"""
RAISING = """\
from maelstrom_node import Node

node = Node()
seen = {}


@node.on("echo")
def echo(message):
    return {"type": "echo_ok", "echo": seen[message.body["echo"]]}


node.run()
"""
EXCEPTION = """
{
  "command": "-w echo --bin node.py --node-count 1 --time-limit 1",
  "operations": [{"time": 0, "worker": 0, "f": "echo", "value": "hi"}]
}
"""
TRANSACTIONS = """\
from maelstrom_node import Node

node = Node()
store = {}


@node.on("txn")
def txn(message):
    done = []
    for f, key, value in message.body["txn"]:
        if f == "r":
            value = store.get(key)
        else:
            store[key] = value
        done.append([f, key, value])
    return {"type": "txn_ok", "txn": done}


node.run()
"""
INTERMEDIATE_READ = """
{
  "command": "-w txn-rw-register --bin node.py --node-count 1 --concurrency 2 --time-limit 1",
  "operations": [
    {"time": 0, "worker": 0, "f": "txn", "value": [["w", 1, 1], ["w", 1, 2]]},
    {"time": 0.001, "worker": 1, "f": "txn", "value": [["r", 1, null]]}
  ],
  "switches": [
    {"node": "n0", "line": "node.py:10", "nth": 2, "wait": 2}
  ]
}
"""


def keep(scenario: str, script: Path, root: Path) -> tuple[Any, Path]:
    """Run a scenario with a script; the test, its results among it, and the folder that keeps it.

    The scenario's command names the script as `node.py`.
    """
    told = parse(scenario)
    words = [str(script) if word == "node.py" else word for word in told.command]
    words += ["--seed", "0"]
    options = parse_test(shlex.join(words), sorted(WORKLOADS))
    with closing(Store.create(root, options.workload)) as store:
        test = simulated_test(options, store, scenario=told)
        results = test.run()
        store.write_results(results)
        if test.scenario:
            replay.keep(test.scenario, store)
    return results, store.path
