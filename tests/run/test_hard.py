"""`--hard` finds what a challenge's own flags don't, and calls no right node wrong."""

from __future__ import annotations

from dataclasses import replace

import challenge_runs
import pytest

from glomers.challenges import CHALLENGES
from glomers.options import Options, parse_test
from glomers.run.build import simulated_test
from glomers.run.hard import drawn, harder
from glomers.run.single import run
from glomers.run.sweep import run_seed
from glomers.workloads import WORKLOADS

COMMANDS = [(c.name, command) for c in CHALLENGES for command in c.commands]
SEEDS = range(100)


def draws(options: Options) -> list[Options]:
    return [harder(replace(options, seed=seed)) for seed in SEEDS]


# What is drawn


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_a_challenge_becomes_harder_by_nothing_that_its_flags_rule_out(name, command):
    options = parse_test(command, sorted(WORKLOADS))
    for seed, hard in enumerate(draws(options)):
        assert hard == replace(
            options,
            seed=seed,
            concurrency=hard.concurrency,
            latency=hard.latency,
            latency_dist=hard.latency_dist,
            nemesis=hard.nemesis,
            nemesis_interval=hard.nemesis_interval,
        )
        assert hard.concurrency in [options.concurrency * factor for factor in (2, 3, 4, 5)]
        assert hard.latency == options.latency or 0 < hard.latency <= 30
        losing = "partition" in options.nemesis
        assert set(hard.nemesis) - set(options.nemesis) <= ({"flaky"} if losing else set())
        assert set(options.nemesis) <= set(hard.nemesis)
        assert 0 < hard.nemesis_interval <= options.nemesis_interval


def test_every_seed_draws_its_own_and_the_same_each_time():
    options = Options(nemesis=("partition",))
    hard = draws(options)
    assert hard == draws(options)
    assert len({replace(one, seed=0) for one in hard}) == len(SEEDS)
    for what in ("concurrency", "latency", "latency_dist", "nemesis", "nemesis_interval"):
        assert len({getattr(one, what) for one in hard}) > 1


def test_a_long_latency_stays_and_gets_no_long_tail():
    assert {hard.latency for hard in draws(Options(latency=100))} == {100}
    found = {hard.latency_dist for hard in draws(Options(latency=100))}
    assert found == {"constant", "uniform"}
    assert {hard.latency_dist for hard in draws(Options(latency=1000))} == {"constant"}


def test_where_messages_may_be_lost_links_may_be_flaky():
    assert ("flaky",) in {hard.nemesis for hard in draws(Options(p_loss=0.1))}
    assert {hard.nemesis for hard in draws(Options(nemesis=("kill",)))} == {("kill",)}


def test_the_flags_that_are_shown_say_what_was_drawn():
    options = Options(workload="g-counter", nemesis=("partition",))
    for hard in draws(options):
        command = f"-w g-counter --bin x --seed {hard.seed} {drawn(hard)}"
        assert replace(parse_test(command, sorted(WORKLOADS)), bin="") == hard


def test_a_person_is_shown_what_was_drawn_and_it_is_kept(tmp_path, capsys):
    options = challenge_runs.options("3b", time_limit=1, hard=True)
    run(options, tmp_path, None, simulated=True)
    line = f"--hard drew: {drawn(harder(options))}"
    assert line in capsys.readouterr().out
    assert line in (tmp_path / "latest" / "run.log").read_text()


def test_a_test_runs_with_what_was_drawn():
    options = challenge_runs.options("3b", time_limit=2, hard=True)
    test = simulated_test(options)
    assert test.options == harder(options)
    assert test.load.concurrency == harder(options).concurrency


# What it finds

LOCK_FORGOTTEN = """
from maelstrom_node import Node
node = Node()

@node.on("add")
def add(message):
    value = node.lin_kv.read(node.id, 0)
    node.lin_kv.write(node.id, value + message.body["delta"])
    return {"type": "add_ok"}

@node.on("read")
def read(message):
    return {"type": "read_ok", "value": sum(node.lin_kv.read(id, 0) for id in node.ids)}

node.run()
"""
LOCKED = LOCK_FORGOTTEN.replace("Node()", "Node()\nlock = __import__('threading').Lock()").replace(
    """    value = node.lin_kv.read(node.id, 0)
    node.lin_kv.write(node.id, value + message.body["delta"])
""",
    """    with lock:
        value = node.lin_kv.read(node.id, 0)
        node.lin_kv.write(node.id, value + message.body["delta"])
""",
)


def verdicts(options: Options) -> list[object]:
    return [run_seed(replace(options, seed=seed)).valid for seed in range(5)]


def test_a_lock_that_is_forgotten_around_an_rpc_is_found(script):
    options = challenge_runs.options("4", bin=str(script(LOCK_FORGOTTEN)), time_limit=3)
    assert verdicts(options) == [True] * 5
    assert verdicts(replace(options, hard=True)) == [False] * 5


def test_with_the_lock_it_is_right(script):
    options = challenge_runs.options("4", bin=str(script(LOCKED)), time_limit=3)
    assert verdicts(replace(options, hard=True)) == [True] * 5


def test_logs_without_an_owner_are_found():
    script = str(challenge_runs.BROKEN / "kafka_two_owners.py")
    options = challenge_runs.options("5b", bin=script, time_limit=1, rate=200)
    assert verdicts(options)[:4] == [True] * 4
    assert verdicts(replace(options, hard=True))[:4] == [False] * 4


@pytest.mark.parametrize("name", [challenge.name for challenge in CHALLENGES])
def test_our_scripts_are_right(name):
    options = challenge_runs.options(name, time_limit=3, hard=True)
    options = replace(options, rate=min(options.rate, 100))
    for seed in range(2):
        assert run_seed(replace(options, seed=seed)).valid is True


# In the fixture


def test_a_cluster_of_a_test_can_be_harder_too(simulate, script):
    source = script("from maelstrom_node import Node\nNode().run()\n")
    easy, hard = simulate(source, 2, seed=1), simulate(source, 2, seed=1, hard=True)
    assert easy._network.latency.mean == 0
    assert hard._network.latency.mean > 0
