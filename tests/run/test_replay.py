"""A run is replayed from its scenario, byte by byte; and people write scenarios by hand."""

from __future__ import annotations

import shlex
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from challenge_runs import ROOT, options

from glomers.cli import main
from glomers.errors import UsageError
from glomers.exits import BAD_ARGUMENTS, VALID
from glomers.history.operations import read_history
from glomers.history.store import Store
from glomers.options import Options, parse_test
from glomers.run.build import simulated_test
from glomers.scenario import Action, Fate, Invoke, Scenario, Switch, Unsynced, View, parse, read
from glomers.workloads import WORKLOADS
from glomers.world import decisions
from glomers.world.faults import FAULTS

SECOND, MILLI = 1_000_000_000, 1_000_000

G_SET = """
from maelstrom_node import Node

node = Node()
elements = set()

@node.on("add")
def add(message):
    elements.add(message.body["element"])
    for peer in node.peers:
        node.send(peer, {"type": "tell", "element": message.body["element"]})
    return {"type": "add_ok"}

@node.on("tell")
def tell(message):
    elements.add(message.body["element"])

@node.on("read")
def read(message):
    return {"type": "read_ok", "value": sorted(elements)}

node.run()
"""

REGISTERS = """
from maelstrom_node import Node

node = Node()

@node.on("read")
@node.on("write")
@node.on("cas")
def forward(message):
    body = {k: v for k, v in message.body.items() if k != "msg_id"}
    answer = node.rpc(SERVICE, body)
    return {k: v for k, v in answer.items() if k not in ("in_reply_to", "msg_id")}

node.run()
"""

SCRIPTS = {
    "echo": ROOT / "echo.py",
    "unique-ids": ROOT / "unique_ids.py",
    "broadcast": ROOT / "broadcast.py",
    "g-set": G_SET,
    "g-counter": ROOT / "counter.py",
    "pn-counter": ROOT / "counter.py",
    "kafka": ROOT / "kafka.py",
    "txn-rw-register": ROOT / "txn.py",
    "txn-list-append": ROOT / "txn.py",
    "lin-kv": REGISTERS.replace("SERVICE", '"lin-kv"'),
}

RECORDS = ("messages.jsonl", "history.jsonl", "history.edn")


class Kept:
    """A simulated test that was kept: its results, its scenario, and what it recorded."""

    def __init__(self, options: Options, root: Path, scenario: Scenario | None = None) -> None:
        with closing(Store.create(root, options.workload)) as store:
            test = simulated_test(options, store, scenario=scenario)
            self.results = test.run()
            store.flush()
        self.scenario = test.scenario
        self.records = {name: (store.path / name).read_bytes() for name in RECORDS}


def test_there_is_a_script_for_every_workload():
    assert SCRIPTS.keys() == WORKLOADS.keys()


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("workload", SCRIPTS)
def test_a_replay_is_the_same_byte_by_byte_under_all_faults(workload, seed, script, tmp_path):
    node = SCRIPTS[workload]
    options = Options(
        workload=workload,
        bin=str(script(node) if isinstance(node, str) else node),
        nodes=("n1", "n2", "n3"),
        concurrency=6,
        time_limit=4,
        rate=40,
        latency=15,
        latency_dist="exponential",
        nemesis=tuple(FAULTS),
        nemesis_interval=1,
        p_loss=0.05,
        p_duplicate=0.05,
        hard=True,
        seed=seed,
    )
    original = Kept(options, tmp_path)
    scenario = parse(str(original.scenario))
    assert scenario.operations
    assert scenario.faults
    replay = Kept(options, tmp_path, scenario)
    assert replay.records == original.records
    assert replay.scenario == scenario == original.scenario


@pytest.mark.parametrize(
    ("challenge", "changes"),
    [
        ("3c", {"hard": True}),
        ("5c", {"time_limit": 2, "rate": 500}),
        ("5b", {"time_limit": 2, "rate": 500, "hard": True}),
        ("6c", {"time_limit": 2, "rate": 500, "hard": True}),
        ("3c", {"time_limit": 4, "hard": True, "preempt": 0.02, "preempt_by": "lines"}),
        ("3c", {"time_limit": 2, "hard": True, "preempt": 0.02, "preempt_by": "bytecodes"}),
        ("3c", {"time_limit": 4, "hard": True, "preempt": 0.02, "preempt_by": "priorities"}),
        ("5c", {"time_limit": 2, "rate": 99, "hard": True, "preempt": 0.02}),
    ],
)
def test_a_replay_of_a_challenge_is_the_same_byte_by_byte(challenge, changes, tmp_path):
    asked = options(challenge, **changes, seed=3)
    original = Kept(asked, tmp_path)
    assert bool(original.scenario.switches) == ("preempt" in changes)
    replay = Kept(asked, tmp_path, parse(str(original.scenario)))
    assert replay.records == original.records
    assert replay.scenario == original.scenario


@pytest.mark.parametrize("service", ["seq-kv", "lww-kv"])
def test_a_service_shows_the_same_states_again(service, script, tmp_path):
    asked = Options(
        bin=str(script(REGISTERS.replace("SERVICE", f'"{service}"'))),
        nodes=("n0", "n1"),
        concurrency=4,
        rate=50,
        time_limit=4,
        latency=5,
    )
    original = Kept(asked, tmp_path)
    assert {view.service for view in original.scenario.views} == {service}
    again = Kept(asked, tmp_path, parse(str(original.scenario)))
    assert again.records == original.records
    assert again.scenario == original.scenario
    fresh = Kept(asked, tmp_path, replace(original.scenario, views=()))
    assert fresh.results["workload"]["valid?"] is True
    assert again.results["workload"]["valid?"] is False


def test_a_replay_draws_nothing_of_what_is_told(tmp_path):
    asked = options("3c", hard=True, seed=3, time_limit=5)
    scenario = Kept(asked, tmp_path).scenario
    assert scenario is not None
    others = replace(asked, p_loss=0.5, p_duplicate=0.5, rate=99, nemesis_interval=0.1)
    again = simulated_test(others, scenario=scenario)
    again.run()
    assert replace(again.scenario, command=()) == replace(scenario, command=())


def test_the_command_of_a_scenario_asks_for_the_same_test(tmp_path):
    asked = options("3c", hard=True, seed=3, time_limit=2)
    scenario = Kept(asked, tmp_path).scenario
    assert parse_test(shlex.join(scenario.command), sorted(WORKLOADS)) == asked


def test_without_a_store_or_a_scenario_nothing_is_recorded():
    test = simulated_test(options("1", time_limit=1))
    test.run()
    assert test.scenario is None


def test_a_run_of_too_many_decisions_has_no_scenario(tmp_path, monkeypatch):
    monkeypatch.setattr(decisions, "MOST_DECISIONS", 20)
    assert Kept(options("1", time_limit=1), tmp_path).scenario is not None
    assert Kept(options("1", time_limit=9), tmp_path).scenario is None


# Written by hand

RELAY = """
from maelstrom_node import Node

node = Node()
values = []

@node.on("topology")
def topology(message):
    return {"type": "topology_ok"}

@node.on("broadcast")
def broadcast(message):
    values.append(message.body["message"])
    for peer in node.peers:
        node.send(peer, {"type": "tell", "message": message.body["message"]})
    return {"type": "broadcast_ok"}

@node.on("tell")
def tell(message):
    values.append(message.body["message"])

@node.on("read")
def read(message):
    return {"type": "read_ok", "messages": values}

node.run()
"""


@pytest.fixture
def relay(script):
    """A test of `RELAY` on three nodes that has been run, with the scenario in a text."""

    def run(text, **changes):
        nodes = ("n0", "n1", "n2")
        asked = Options("broadcast", str(script(RELAY)), nodes=nodes, concurrency=3, time_limit=5)
        said: list[str] = []
        test = simulated_test(replace(asked, **changes), log=said.append, scenario=parse(text))
        test.results = test.run()
        test.said = [line for line in said if line.startswith("note: ")]
        return test

    return run


def reads(test):
    """What each of the workers read at last."""
    found = [o for o in test.history if o.type == "ok" and o.final]
    return {int(o.process): o.value for o in found}


def test_three_operations_and_one_lost_message(relay):
    test = relay("""
    {
      "operations": [
        {"time": 1, "worker": 0, "f": "broadcast", "value": 7},
        {"time": 2, "worker": 1, "f": "broadcast", "value": 8},
        {"time": 3, "worker": 2, "f": "read"}
      ],
      "messages": [{"src": "n0", "dest": "n2", "type": "tell", "lost": true}]
    }
    """)
    invoked = [(o.time, o.process, o.f, o.value) for o in test.history if o.type == "invoke"]
    assert invoked[:3] == [
        (1 * SECOND, 0, "broadcast", 7),
        (2 * SECOND, 1, "broadcast", 8),
        (3 * SECOND, 2, "read", None),
    ]
    assert reads(test) == {0: [7, 8], 1: [7, 8], 2: [8]}


def test_a_message_takes_the_latency_that_is_said_of_it_or_else_that_of_the_scenario(relay):
    """A request waits while its node holds a message, so a read ends when that has arrived."""
    text = """
    {
      "operations": [
        {"f": "broadcast", "value": 7},
        {"time": 0.01, "worker": 1, "f": "read"},
        {"time": 0.01, "worker": 2, "f": "read"},
        {"time": 0.04, "worker": 2, "f": "read"}
      ],
      "final": [],
      %s
      "messages": [{"src": "n0", "dest": "n2", "type": "tell", "latency": [30.1, 50.1]}]
    }
    """
    for said, latency in (('"latency": 100,', 3), ("", 100)):
        test = relay(text % said, latency=latency)
        ended = [(o.time / MILLI, o.f, o.value) for o in test.history if o.type == "ok"]
        assert ended == [
            (0, "broadcast", 7), (30.1, "read", [7]), (50.1, "read", [7, 7]), (100, "read", [7]),
        ]  # fmt: skip


def test_an_operation_waits_for_its_worker_and_holds_up_no_other(relay):
    test = relay("""
    {
      "operations": [
        {"time": 1, "worker": 0, "f": "broadcast", "value": 1},
        {"time": 1, "worker": 0, "f": "read"},
        {"time": 1.5, "worker": 1, "f": "broadcast", "value": 2},
        {"time": 2, "worker": 1, "f": "broadcast", "value": 3}
      ],
      "final": [],
      "faults": [{"time": 0.5, "f": "pause", "nodes": ["n0"]}, {"time": 3, "f": "resume"}]
    }
    """)
    ended = [(o.time / SECOND, o.f, o.value) for o in test.history if o.type == "ok"]
    assert ended == [
        (1.5, "broadcast", 2), (2, "broadcast", 3), (3, "broadcast", 1), (3, "read", [1, 2, 3]),
    ]  # fmt: skip


def test_faults_come_when_and_as_the_scenario_says(relay):
    test = relay("""
    {
      "operations": [
        {"time": 1.5, "f": "broadcast", "value": 7},
        {"time": 2.5, "f": "broadcast", "value": 8}
      ],
      "faults": [
        {"time": 1, "f": "start-one-way", "grudge": {"n1": ["n0"]}},
        {"time": 2, "f": "stop-one-way"}
      ]
    }
    """)
    assert reads(test) == {0: [7, 8], 1: [8], 2: [7, 8]}
    nemesis = [(o.time // SECOND, o.f) for o in test.history if o.process == "nemesis"]
    ends = [(5, "stop-one-way")] * 2
    assert nemesis == [(1, "start-one-way")] * 2 + [(2, "stop-one-way")] * 2 + ends


LOST_UPDATE = """
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


def ids(script, *switches):
    """The ids that a node gives to two clients that ask 1 ms after one another."""
    invokes = (Invoke("generate", time=SECOND), Invoke("generate", time=SECOND + MILLI, worker=1))
    asked = Options(
        "unique-ids", str(script(LOST_UPDATE)), nodes=("n0",), concurrency=2, time_limit=3
    )
    scenario = Scenario(operations=invokes, switches=switches)
    said: list[str] = []
    test = simulated_test(asked, log=said.append, scenario=parse(str(scenario)))
    results = test.run()
    ended = [(o.time, o.process, o.value) for o in test.history if o.type == "ok"]
    return results["valid?"], ended, test.scenario.switches, said


def test_a_thread_loses_its_turn_before_the_line_that_a_scenario_names(script):
    line = "node.py:" + str(1 + LOST_UPDATE.split("\n").index("    last = value + 1"))
    one, other = SECOND, SECOND + MILLI
    assert ids(script) == (True, [(one, 0, "n0-0"), (other, 1, "n0-1")], (), [])
    for switch, late in (
        (Switch("n0", line, wait=2 * MILLI), (one + 2 * MILLI, 0, "n0-0")),
        (Switch("n0", line, wait=MILLI // 2), (one + MILLI // 2, 0, "n0-0")),
        (Switch("n0", line, nth=2, wait=5), (other + 5, 1, "n0-1")),
    ):
        valid, ended, switches, said = ids(script, switch)
        assert valid is (switch.wait != 2 * MILLI)
        assert late in ended
        assert switches == (switch,)
        assert said == []


def test_a_switch_that_was_never_reached_is_named(script):
    _, _, switches, said = ids(script, Switch("n0", "node.py:999"))
    assert switches == ()
    assert said == [
        'note: the scenario: {"node": "n0", "line": "node.py:999", "nth": 1, "wait": 1}: '
        "the node did not come there so often"
    ]


def test_a_message_that_was_never_sent_is_named(relay):
    test = relay("""
    {
      "operations": [{"f": "broadcast", "value": 7}],
      "messages": [
        {"src": "n0", "dest": "n1", "type": "tell", "nth": 2, "lost": true},
        {"src": "n1", "dest": "n0", "type": "tell", "lost": true}
      ]
    }
    """)
    first, second = test.said
    assert first.startswith(
        'note: the scenario: {"src": "n0", "dest": "n1", "type": "tell", "nth": 2'
    )
    assert first.endswith("this message was never sent; n0 sent n1 1 of tell")
    assert second.endswith("n1 sent n0 nothing")
    assert test.scenario.messages == ()


def test_operations_are_drawn_from_the_seed_if_a_scenario_has_none(relay):
    assert len(relay('{"faults": []}').history) > 10
    assert [o.f for o in relay('{"operations": []}').history] == ["read"] * 6
    assert len(relay('{"operations": [], "final": []}').history) == 0


@pytest.mark.parametrize(
    ("scenario", "complaint"),
    [
        (Scenario(operations=(Invoke("raed"),)), 'f": "raed"}: broadcast has no operation :raed'),
        (Scenario(operations=(Invoke("read", worker=3),)), "expected a `worker` from 0 to 2"),
        (Scenario(final=(Invoke("read", worker=9),)), "expected a `worker` from 0 to 2"),
        (Scenario(messages=(Fate("n0", "n7", "x"),)), "unknown node 'n7'; expected one of n0, n1"),
        (Scenario(views=(View("kv", "n0", "x"),)), "unknown service 'kv'; expected one of lin-kv"),
        (Scenario(switches=(Switch("n7", "node.py:1"),)), "unknown node 'n7'"),
        (Scenario(unsynced=(Unsynced("n7"),)), "unknown node 'n7'"),
        (
            Scenario(switches=(Switch("n1", "node.py:1"), Switch("n1", "node.py:2", offset=4))),
            "expected an `offset` in all switches, or in none",
        ),
        (Scenario(faults=(Action("kil"),)), "expected as `f` one of start-partition, "),
        (Scenario(faults=(Action("kill"),)), "expected the `nodes` that are hit"),
        (Scenario(faults=(Action("kill", nodes=("n7",)),)), "unknown node 'n7'"),
        (Scenario(faults=(Action("kill", kind="on", nodes=()),)), "expected as `kind` one of one"),
        (Scenario(faults=(Action("start", nodes=("n1",)),)), "expected only a `time`"),
        (Scenario(faults=(Action("start-partition", nodes=()),)), "expected a `grudge`"),
        (Scenario(faults=(Action("start-flaky", nodes=()),)), "expected neither `grudge` nor"),
    ],
)
def test_a_scenario_that_does_not_fit_the_test_is_refused(scenario, complaint, relay):
    with pytest.raises(UsageError) as refusal:
        relay(str(scenario))
    assert "the scenario: {" in str(refusal.value)
    assert complaint in str(refusal.value)


def test_a_final_phase_is_refused_where_there_is_none():
    with pytest.raises(UsageError, match="`final`: echo has no final phase"):
        simulated_test(options("1"), scenario=Scenario(final=()))


# From the command line


@pytest.fixture
def folder(tmp_path, monkeypatch, script):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GLOMERS_INVOCATION", raising=False)
    script(RELAY)
    return tmp_path


def glomers(capsys, *words):
    status = main(words)
    output = capsys.readouterr()
    return status, output.out + output.err


def test_a_simulated_run_keeps_its_scenario_which_is_enough_to_run_it_again(folder, capsys):
    flags = "-w broadcast --bin node.py --node-count 3 --time-limit 2 --p-loss 0.2 --latency 9"
    glomers(capsys, "test", *flags.split(), "--simulate", "--seed", "5")
    first = (folder / "store" / "latest").resolve()
    scenario = read(first / "scenario.json")
    assert scenario.command[:4] == ("-w", "broadcast", "--bin", "node.py")
    glomers(capsys, "test", "--scenario", str(first / "scenario.json"))
    second = (folder / "store" / "latest").resolve()
    for name in (*RECORDS, "scenario.json"):
        assert (second / name).read_bytes() == (first / name).read_bytes()
    glomers(capsys, "again")
    third = (folder / "store" / "latest").resolve()
    assert (third / "history.jsonl").read_bytes() == (first / "history.jsonl").read_bytes()


def test_flags_that_are_given_win_over_those_of_the_scenario(folder, capsys):
    scenario = Scenario(
        command=("-w", "broadcast", "--bin", "none.py", "--node-count", "3", "--", "old"),
        operations=(Invoke("broadcast", 7),),
        messages=(Fate("n0", "n1", "tell"),),
    )
    (folder / "lost.json").write_text(str(scenario))
    status, said = glomers(capsys, "test", "--scenario", "lost.json")
    assert status == BAD_ARGUMENTS
    assert "none.py" in said
    words = ["--bin", "node.py", "--time-limit", "1", "--", "new"]
    status, said = glomers(capsys, "test", "--scenario", "lost.json", *words)
    assert status == VALID, said
    kept = read(folder / "store" / "latest" / "scenario.json")
    assert kept.command == (
        "-w", "broadcast", "--bin", "node.py", "--node-count", "3", "--time-limit", "1",
        "--seed", "0", "--", "new",
    )  # fmt: skip
    assert kept.messages == scenario.messages
    assert read_history(folder / "store" / "latest")[0].value == 7


@pytest.mark.parametrize(
    ("content", "words", "complaint"),
    [
        ("{", [], "s.json is no JSON"),
        ('{"command": "--bin node.py --raet 3"}', [], "with the command of s.json, this is: test"),
        ("{}", [], "the following arguments are required: --bin"),
        (
            '{"operations": [{"f": "red"}]}',
            ["--bin", "node.py", "-w", "broadcast"],
            's.json: {"time": 0, "worker": 0, "f": "red"}: broadcast has no operation :red',
        ),
    ],
)
def test_a_scenario_that_cannot_be_run_is_named(content, words, complaint, folder, capsys):
    (folder / "s.json").write_text(content)
    status, said = glomers(capsys, "test", "--scenario", "s.json", *words)
    assert status == BAD_ARGUMENTS
    assert complaint in said
    assert "Traceback" not in said
