"""A watch finds out from outside when every node shows what one has acknowledged."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from benchmarks.broadcast import BroadcastWatch
from benchmarks.kafka import KafkaWatch
from benchmarks.txn import WRITE_EVERY, TxnWatch
from benchmarks.watch import Watch
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
# Each node appends to every log by itself, and tells the others.
LOGS = """\
from maelstrom_node import Node

node = Node()
logs = {}


def append(key, offset, msg):
    logs.setdefault(key, {})[offset] = msg


@node.on("send")
def send(message):
    key, msg = message.body["key"], message.body["msg"]
    offset = len(node.ids) * len(logs.get(key, ())) + node.ids.index(node.id)
    append(key, offset, msg)
    for peer in node.peers:
        node.send(peer, {"type": "copy", "copy": [key, offset, msg]})
    return {"type": "send_ok", "offset": offset}


@node.on("copy")
def copy(message):
    append(*message.body["copy"])


@node.on("poll")
def poll(message):
    asked = message.body["offsets"].items()
    found = {key: sorted(logs.get(key, {}).items()) for key, _ in asked}
    msgs = {key: [pair for pair in found[key] if pair[0] >= start] for key, start in asked}
    return {"type": "poll_ok", "msgs": msgs}


@node.on("commit_offsets")
def commit_offsets(message):
    return {"type": "commit_offsets_ok"}


@node.on("list_committed_offsets")
def list_committed_offsets(message):
    return {"type": "list_committed_offsets_ok", "offsets": {}}


node.run()
"""
VALUES = """\
from maelstrom_node import Node

node = Node()
values = {}


@node.on("txn")
def txn(message):
    done = []
    for f, key, value in message.body["txn"]:
        if f == "w":
            values[key] = value
            for peer in node.peers:
                node.send(peer, {"type": "copy", "copy": [key, value]})
        done.append([f, key, values.get(key)])
    return {"type": "txn_ok", "txn": done}


@node.on("copy")
def copy(message):
    key, value = message.body["copy"]
    values[key] = value


node.run()
"""
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


def loaded(workload: str, source: str, folder: Path) -> drive.Test:
    """A test of two nodes with a load of its own."""
    script = folder / "node.py"
    script.write_text(source)
    command = f"-w {workload} --node-count 2 --latency 30 --rate 50 --time-limit 2 --seed 0"
    return simulated_test(parse_test(f"{command} --bin {shlex.quote(str(script))}", [workload]))


def watched(kind: type[Watch], test: drive.Test) -> Watch:
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


def test_the_lag_of_a_message_is_that_until_all_nodes_poll_it(tmp_path):
    test = loaded("kafka", LOGS, tmp_path)
    watch = watched(KafkaWatch, test)
    sends = [op for op in test.history if (op.f, op.type) == ("send", "ok")]
    assert len(watch.lags) == len(sends)
    # A message that comes meanwhile holds up a poll for another 30 ms at most.
    assert min(watch.lags) >= LATENCY
    assert max(watch.lags) <= 2 * LATENCY + PERIOD


def test_transactions_are_watched_by_writes_of_their_own(tmp_path):
    test = loaded("txn-rw-register", VALUES, tmp_path)
    watch = watched(TxnWatch, test)
    assert len(watch.lags) == watch.operations == pytest.approx(2 / WRITE_EVERY, rel=0.1)
    *all_but_last, _ = watch.lags  # the test may end before the last one shows
    assert min(all_but_last) >= LATENCY
    assert max(all_but_last) <= 2 * LATENCY + 2 * PERIOD
    assert "watch" not in str([op.value for op in test.history])
