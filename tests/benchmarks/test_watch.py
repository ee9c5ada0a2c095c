"""A watch finds out from outside when every node shows what one has acknowledged."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from benchmarks.broadcast import BroadcastWatch
from glomers.options import parse_test
from glomers.run import drive
from glomers.run.build import simulated_test
from glomers.scenario import parse
from tests.small_runs import GOSSIP

PERIOD = 0.01  # seconds
LATENCY = 0.03
RESENT = 0.2
# Repeats all values every 0.2 s, and says nothing before.
RESENDING = GOSSIP.replace(
    """\
    for peer in node.peers:
        node.send(peer, {"type": "gossip", "value": message.body["message"]})
""",
    "",
).replace(
    "\n\nnode.run()",
    f"""

@node.every({RESENT})
def resend():
    for peer in node.peers:
        for value in sorted(seen):
            node.send(peer, {{"type": "gossip", "value": value}})


node.run()""",
)
COMMAND = "-w broadcast --node-count 3 --latency 30 --time-limit 2"
WRITES = [{"time": time, "worker": 0, "f": "broadcast", "value": time} for time in (0, 0.3, 1)]
CUT_OFF = [
    {"time": 0.2, "f": "start-partition", "grudge": {"n2": ["n0", "n1"], "n0": ["n2"]}},
    {"time": 0.5, "f": "stop-partition"},
]


class Always(BroadcastWatch):
    always = True


def simulated(source: str, folder: Path, *faults: dict[str, Any]) -> drive.Test:
    """A test with three values, at 0, 0.3 and 1 s, all sent to n0."""
    script = folder / "node.py"
    script.write_text(source)
    told = parse(json.dumps({"operations": WRITES, "final": [], "faults": list(faults)}))
    command = shlex.join([*shlex.split(COMMAND), "--bin", str(script)])
    return simulated_test(parse_test(command, ["broadcast"]), scenario=told)


def watched(kind: type[BroadcastWatch], test: drive.Test) -> BroadcastWatch:
    watch = kind(test, PERIOD)
    test.run()
    watch.finish()
    return watch


def test_a_lag_is_how_long_a_value_takes_to_the_last_node(tmp_path):
    watch = watched(Always, simulated(GOSSIP, tmp_path))
    assert watch.lags == pytest.approx([LATENCY] * 3, abs=PERIOD)
    assert min(watch.lags) >= LATENCY


def test_what_never_comes_counts_with_the_time_that_it_had(tmp_path):
    test = simulated(GOSSIP, tmp_path, *CUT_OFF)
    watch = watched(Always, test)
    acknowledged = 0.3
    end = test.recorder.elapsed / 1e9
    assert max(watch.lags) == pytest.approx(end - acknowledged)
    assert watch.heals == pytest.approx([end - 0.5])


@pytest.mark.parametrize("kind", [BroadcastWatch, Always])
def test_after_a_heal_it_counts_until_the_last_node_has_what_came_before(tmp_path, kind):
    watch = watched(kind, simulated(RESENDING, tmp_path, *CUT_OFF))
    [seconds] = watch.heals
    assert LATENCY <= seconds <= RESENT + LATENCY + PERIOD


def test_another_partition_ends_the_time_after_a_heal(tmp_path):
    again = [{**fault, "time": fault["time"] + 0.4} for fault in CUT_OFF]
    watch = watched(BroadcastWatch, simulated(GOSSIP, tmp_path, *CUT_OFF, *again))
    first, _ = watch.heals
    assert first == pytest.approx(0.1, abs=PERIOD)


def test_a_heal_with_nothing_to_catch_up_takes_no_time(tmp_path):
    early = [
        {"time": 0.1, "f": "start-partition", "grudge": {"n2": ["n0"]}},
        {"time": 0.2, "f": "stop-partition"},
    ]
    watch = watched(Always, simulated(GOSSIP, tmp_path, *early))
    assert watch.heals == [0]


def test_a_watch_is_no_part_of_the_history_and_sends_nothing_between_servers(tmp_path):
    plain = simulated(GOSSIP, tmp_path)
    alone = plain.run()
    test = simulated(GOSSIP, tmp_path)
    watched(Always, test)
    results = test.judge()
    assert results["net"]["servers"] == alone["net"]["servers"]
    assert [op.value for op in test.history] == [op.value for op in plain.history]
