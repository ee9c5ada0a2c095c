"""Simulation finds bugs: each broken variant of a script fails with some seed, the real ones never.

A variant is the script itself with a few lines changed, so it stays broken in just one way.
"""

from __future__ import annotations

import re
from dataclasses import replace
from inspect import getsource
from pathlib import Path

import pytest
from challenge_runs import cases, first_failure, kept_failure

from glomers.history.operations import read_history
from glomers.options import Options
from glomers.report.reasons import Reason
from glomers.run.build import simulated_test
from maelstrom_node import Replication

ROOT = Path(__file__).parents[2]
FIVE = ("n0", "n1", "n2", "n3", "n4")
CHALLENGE_3C = Options(
    workload="broadcast", nodes=FIVE, time_limit=20, rate=10, nemesis=("partition",)
)
WITH_HUB = replace(CHALLENGE_3C, latency=100, args=("--max-latency", "600ms"))
DURABLE = replace(
    WITH_HUB,
    nemesis=("kill",),
    nemesis_interval=3,
    args=("--max-latency", "600ms", "--durable", "disk"),
)
UNIQUE_IDS = Options(
    workload="unique-ids",
    nodes=("n0", "n1", "n2"),
    concurrency=6,
    time_limit=3,
    rate=300,
    latency=20,
)
SEEDS = 200  # within which a failure must show


IMPORT = "from maelstrom_node import Node, Replication\n"
WITH_ITS_CLASS = f"""import maelstrom_node
globals().update({{n: v for n, v in vars(maelstrom_node).items() if not n.startswith("__")}})
{getsource(Replication)}"""


def variant(script: str, *changes: tuple[str, str]) -> str:
    """A script and the class it is based on, with some passages changed, all of them there."""
    source = (ROOT / script).read_text()
    for old, new in ((IMPORT, WITH_ITS_CLASS), *changes):
        assert source.count(old) == 1, f"it has changed: {old!r}"
        source = source.replace(old, new)
    return source


def broadcast_but(*changes: tuple[str, str]) -> str:
    return variant("broadcast.py", *changes)


NO_QUESTIONS = ("for peer in dict.fromkeys([*late, *unmet]):\n", "for peer in ():\n")
NO_RETRIES = ("        if peer is not None:\n            self.ask(peer)\n", "")
SUSPECTS_LEFT = ("        for other in sorted(suspects):\n", "        for other in ():\n")
GAPS_LEFT = ("            self.node.spawn(self._mend, peer)\n", "            pass\n")
NO_PUSHES = ("for peer, body in bodies.items():\n", "for peer, body in ():\n")

BROKEN = {
    "no repair": (CHALLENGE_3C, [NO_QUESTIONS, NO_RETRIES, GAPS_LEFT, SUSPECTS_LEFT]),
    "a repair that only comes with news": (CHALLENGE_3C, [NO_QUESTIONS, NO_RETRIES]),
    "a retry that gives up": (CHALLENGE_3C, [NO_RETRIES]),
    "a repair that forgets one link": (
        replace(CHALLENGE_3C, nodes=FIVE[:3], concurrency=3),
        [
            NO_PUSHES,
            (
                "            if peer in self._asked:\n",
                "            if peer in self._asked or {peer, self.node.id} == {'n1', 'n2'}:\n",
            ),
        ],
    ),
    "what was sent is believed to have come": (
        CHALLENGE_3C,
        [
            GAPS_LEFT,
            SUSPECTS_LEFT,
            ("any(number < had.get", "any(max(number, self._sent[peer].get(log, 0)) < had.get"),
        ],
    ),
    "what came before its turn is acknowledged like all": (
        replace(CHALLENGE_3C, nemesis=(), p_loss=0.1),
        [("early[number] = entry", "early[len(kept) + len(kept.early)] = entry")],
    ),
    "a hub that passes on its own values only": (
        WITH_HUB,
        [
            (
                "{peer: {log: self.acked[peer].get(log, 0) for log in self.logs} for peer in own}",
                "own",
            )
        ],
    ),
}


# What is said of the first value that each of them loses.
LOST_HOW = {
    "no repair": "its message to n2 was cut by the partition (one) at",
    "a repair that only comes with news": "was cut by the partition (one) at",
    "a retry that gives up": "was cut by the partition (one) at",
    "a repair that forgets one link": "no message to n2 held it; n2 never had it",
    "what was sent is believed to have come": "to n2 was cut by the partition (one) at",
    "what came before its turn is acknowledged like all": "lost on the way at",
    "a hub that passes on its own values only": "no message to n1, n3 and n4 held it; n1, n3 and",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_broadcast_is_found_and_how_values_were_lost(name, script, tmp_path):
    options, changes = BROKEN[name]
    options = replace(options, bin=str(script(broadcast_but(*changes))))
    failure = kept_failure(options, range(SEEDS), tmp_path)
    reason = cases(failure)["lost"]
    assert LOST_HOW[name] in reason.text
    assert set(reason.picture["without"]) == missing(reason, tmp_path)


def test_a_value_that_is_acknowledged_before_it_is_on_the_disk_is_found(script):
    early = ("        self.sync()\n        if self._is_fresh:\n", "        if self._is_fresh:\n")
    failure = first_failure(replace(DURABLE, bin=str(script(broadcast_but(early)))), range(SEEDS))
    told = cases(failure)["lost"].text
    assert re.search(r"; no read ever showed it; n\d was killed at [\d.]+ s$", told)


def missing(reason: Reason, root: Path) -> set[str]:
    """The nodes whose final reads miss the value of a reason."""
    history = read_history(root / "latest")
    value = history[reason.operations[0]].value
    finals = [read for read in history if read.final and read.type == "ok"]
    return {f"n{int(read.process) % 5}" for read in finals if value not in read.value}


@pytest.mark.parametrize("options", [CHALLENGE_3C, WITH_HUB, DURABLE])
def test_without_a_change_a_variant_is_as_good_as_the_original(options, script):
    variant = replace(options, bin=str(script(broadcast_but())))
    original = replace(options, bin=str(ROOT / "broadcast.py"))
    for seed in range(3):
        one, other = (simulated_test(replace(o, seed=seed)).run() for o in (variant, original))
        assert one == other


def test_without_repair_most_seeds_lose_values_and_name_them(script):
    options, changes = BROKEN["no repair"]
    options = replace(options, bin=str(script(broadcast_but(*changes))))
    results = [simulated_test(replace(options, seed=seed)).run() for seed in range(10)]
    losses = [result["workload"]["lost"] for result in results if result["valid?"] is False]
    assert len(losses) > 5
    assert all(losses)


SEQUENCE = """
import threading
from maelstrom_node import Node
node = Node()
lock = threading.Lock()
next_id = 0

@node.on("generate")
def generate(message):
    global next_id
    with lock:
        id = next_id
        node.lin_kv.write(node.id, id + 1)  # so that it survives a restart
        next_id = id + 1
    return {"type": "generate_ok", "id": f"{node.id}-{id}"}

node.run()
"""
CLOCK = """
import time
from maelstrom_node import Node
node = Node()

@node.on("generate")
def generate(message):
    return {"type": "generate_ok", "id": time.time_ns() // 1_000_000}

node.run()
"""


def test_a_lock_that_is_left_out_around_a_blocking_call_is_found(script):
    right = replace(UNIQUE_IDS, bin=str(script(SEQUENCE)))
    assert all(simulated_test(replace(right, seed=seed)).run()["valid?"] for seed in range(5))
    without = SEQUENCE.replace("    with lock:\n", "    if True:\n")
    failure = first_failure(replace(UNIQUE_IDS, bin=str(script(without))), range(SEEDS))
    [gave, _] = cases(failure)["duplicate-id"].text.split(" and ")
    assert re.fullmatch(r"id (n\d)-0 was given by \1 at 0.04 s \(process \d\)", gave)


def test_ids_from_a_clock_only_are_found(script):
    failure = first_failure(replace(UNIQUE_IDS, bin=str(script(CLOCK))), range(SEEDS))
    assert len(cases(failure)["duplicate-id"].nodes) == 2


KAFKA = Options(
    workload="kafka",
    nodes=("n0", "n1", "n2"),
    concurrency=6,
    time_limit=2,
    rate=300,
    latency=20,
    latency_dist="exponential",
    p_loss=0.1,
)
SHOW = "advance(readable, {entry[0]: entry[1]})\n"
SKIPPED = r"offset \d+\) and next \d+ \(offset \d+\) of key \d+, without \d+ between them"

# For each broken variant: what is changed, what the checker finds, and what it says of that.
BROKEN_KAFKA = {
    "the same offset twice": (
        [("return least + (node.ids.index(node.id) - least) % len(node.ids)", "return least")],
        "inconsistent-offsets",
        r"holds \d+ \(n\d acknowledged it there at \d.\d\d s\) and \d+ \(n\d acknowledged it there",
    ),
    "a message is shown as soon as it is here": (
        [("            insert(*entry)\n", f"            insert(*entry)\n            {SHOW}")],
        "int-poll-skip",
        SKIPPED,
    ),
    "a message is shown when most nodes have it": (
        [("min([len(kept), *numbers])", "sorted([len(kept), *numbers])[len(numbers) // 2]")],
        "int-poll-skip",
        SKIPPED,
    ),
    "a message is shown before what its readers had appended earlier": (
        [("peer not in self._partly_known and all(", "peer not in self._partly_known or all(")],
        "int-poll-skip",
        SKIPPED,
    ),
}


@pytest.mark.parametrize("name", BROKEN_KAFKA)
def test_a_broken_kafka_is_found_and_what_it_showed(name, script):
    changes, kind, says = BROKEN_KAFKA[name]
    options = replace(KAFKA, bin=str(script(variant("kafka.py", *changes))))
    failure = first_failure(options, range(5))
    assert kind in failure["workload"]["bad-error-types"]
    reason = cases(failure)[kind]
    assert re.search(says, reason.text)
    assert reason.nodes


@pytest.mark.parametrize(
    ("script_name", "options"),
    [
        ("broadcast.py", CHALLENGE_3C),
        ("broadcast.py", WITH_HUB),
        ("kafka.py", KAFKA),
        ("broadcast.py", DURABLE),
        ("unique_ids.py", replace(UNIQUE_IDS, nemesis=("partition",), availability="total")),
    ],
)
def test_the_real_scripts_raise_no_alarm(script_name, options):
    options = replace(options, bin=str(ROOT / script_name))
    for seed in range(10):
        assert simulated_test(replace(options, seed=seed)).run()["valid?"] is True
