"""Small runs that fail, as scenarios: the scripts, and how to run them."""

from __future__ import annotations

import shlex
from contextlib import closing
from pathlib import Path
from typing import Any

from challenge_runs import ROOT

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


__all__ = ["IDS", "ROOT", "SAME_IDS", "keep"]
