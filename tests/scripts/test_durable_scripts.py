"""With `--durable` the scripts lose nothing when nodes are killed, since they sync in time.

A variant that does something before the disk has what it relies on fails with some seed.
"""

from __future__ import annotations

from dataclasses import replace
from inspect import getsource
from pathlib import Path

import pytest
from challenge_runs import cases, kept_failure, options

from glomers.options import Options
from glomers.run.build import simulated_test
from maelstrom_node import Replication

ROOT = Path(__file__).parents[2]
SEEDS = 160  # within which a failure must show
FAULTS = {"nemesis": ("kill", "partition"), "nemesis_interval": 3.0, "p_loss": 0.05}
CHALLENGES = {
    "3c": options("3c", **FAULTS),
    "5c": options("5c", **FAULTS, rate=50.0, time_limit=20.0),
    "6c": options("6c", **FAULTS, rate=50.0, time_limit=20.0, availability=None),
}
ITS_CLASS = f"""import maelstrom_node
globals().update({{n: v for n, v in vars(maelstrom_node).items() if not n.startswith("__")}})
{getsource(Replication)}"""
IN_BATCHES, AT_ONCE = "100ms", "0"

# It is on its way to the disk when the client is answered, but not synced before the batch leaves.
ANSWERED_BEFORE = (
    "        self.sync()\n        if self._is_fresh:\n",
    "        if self._journal:\n            self._journal._file.flush()\n"
    "        if self._is_fresh:\n",
)
TOLD_BEFORE = ("        self.sync()\n        for peer, body", "        for peer, body")


def durable(test: Options, dial: str) -> Options:
    return replace(test, args=("--durable", "disk", "--max-latency", dial))


def changed(script: str, old: str, new: str) -> str:
    """The script and the class it is based on, with one passage changed."""
    lines = (ROOT / script).read_text().splitlines(keepends=True)
    source = "".join(
        ITS_CLASS if line.startswith("from maelstrom_node import") else line for line in lines
    )
    assert source.count(old) == 1, f"it has changed: {old!r}"
    return source.replace(old, new)


@pytest.mark.parametrize("dial", [AT_ONCE, IN_BATCHES])
@pytest.mark.parametrize("challenge", CHALLENGES)
def test_durable_nodes_lose_nothing(challenge, dial):
    test = durable(CHALLENGES[challenge], dial)
    results = [simulated_test(replace(test, seed=seed)).run() for seed in range(5)]
    assert [result["valid?"] for result in results] == [True] * 5


@pytest.mark.parametrize(("challenge", "kind"), [("3c", "lost"), ("5c", "unseen")])
def test_an_answer_before_the_disk_has_the_batch_is_found(challenge, kind, script, tmp_path):
    source = changed(Path(CHALLENGES[challenge].bin).name, *ANSWERED_BEFORE)
    test = durable(replace(CHALLENGES[challenge], bin=str(script(source))), IN_BATCHES)
    failure = kept_failure(test, range(SEEDS), tmp_path)
    assert "killed at" in cases(failure)[kind].text
    assert "unsynced" in {str(each["kind"]) for each in failure["incidents"]}


@pytest.mark.parametrize("challenge", ["3c", "5c"])
def test_news_before_the_disk_has_what_they_acknowledge_are_found(challenge, script, tmp_path):
    source = changed(Path(CHALLENGES[challenge].bin).name, *TOLD_BEFORE)
    test = durable(replace(CHALLENGES[challenge], bin=str(script(source))), IN_BATCHES)
    assert kept_failure(test, range(SEEDS), tmp_path)
