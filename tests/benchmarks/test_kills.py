"""What kills lose is told apart by who had it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from benchmarks.kills import Losses, added, measure, options
from benchmarks.measuring import ROOT

SEEDS = range(10)
FORGETFUL = """    values.ask = lambda peer: False
    values._unheard = lambda: []
    node.run()"""
SECRETIVE = '    if message.body["message"] % 2:\n        values.push()\n'


def losses(*args: str, **changes: object) -> list[Losses]:
    return [measure(replace(options(args, seed), **changes)) for seed in SEEDS]


def broken(old: str, new: str) -> str:
    source = (ROOT / "broadcast.py").read_text()
    assert source.count(old) == 1
    return source.replace(old, new)


def test_what_is_in_memory_is_lost_only_if_all_nodes_are_killed():
    runs = losses()
    assert {run.all_dead for run in runs if run.lost} == {True}
    assert set(added(runs).lost) == {"all killed"}


def test_what_is_durable_is_never_lost():
    assert added(losses("--durable", "disk")).lost == Counter()


def test_a_node_that_keeps_a_value_which_others_lack_is_noticed(script):
    path = script(broken("    node.run()", FORGETFUL))
    assert added(losses(bin=str(path))).lost["kept"] > 0


def test_a_value_that_its_node_sent_to_nobody_is_noticed(script):
    path = script(broken("    values.push()\n", SECRETIVE))
    assert added(losses(bin=str(path))).lost["sent to nobody"] > 0
