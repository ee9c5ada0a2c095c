"""A scenario as a file: what is written can be read, and what can't be one is refused in words."""

from __future__ import annotations

import json
import shlex
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_values import VALUES

from glomers.errors import UsageError
from glomers.options import Options, parse_test, words_of
from glomers.scenario import Action, Fate, Invoke, Scenario, Switch, Unsynced, View, parse, read
from glomers.workloads import WORKLOADS

SECOND, MILLI = 1_000_000_000, 1_000_000

texts = st.text(max_size=5)
spans = st.integers(0, 10**15) | st.integers(0, 10**10)
nths = st.integers(1, 10**6)
finite = VALUES.filter(lambda value: "Infinity" not in json.dumps(value))
marks = st.dictionaries(texts.map(lambda text: text + "?"), finite, max_size=2)
names = st.lists(texts, max_size=3).map(tuple)
invokes = st.builds(
    Invoke,
    f=texts,
    value=finite,
    time=spans,
    worker=st.integers(0, 10**6),
    wait=spans,
    marks=marks.map(lambda marks: tuple(marks.items())),
)
fates = st.builds(Fate, texts, texts, texts, nths, st.lists(spans, max_size=3).map(tuple))
views = st.builds(
    View,
    service=texts,
    caller=texts,
    type=texts,
    nth=nths,
    behind=st.integers(0, 40),
    replica=st.integers(0, 1),
    learner=st.none() | st.integers(0, 1),
)
actions = st.builds(
    Action,
    f=texts,
    time=spans,
    kind=st.none() | texts,
    nodes=st.none() | names,
    grudge=st.none() | st.dictionaries(texts, names, max_size=3),
)
lines = st.integers(1, 10**5).map(lambda line: f"my node.py:{line}")
unsynced = st.builds(
    lambda node, nth, begin, more: Unsynced(node, nth, begin, more and begin + more),
    *(texts, nths, st.integers(0, 100), st.none() | st.integers(1, 100)),
)
switches = st.builds(Switch, texts, lines, nths, spans, st.none() | st.integers(0, 10**5))


def tuples(entries, **settings):
    return st.lists(entries, max_size=3, **settings).map(tuple)


scenarios = st.builds(
    Scenario,
    command=names,
    latency=st.none() | spans,
    operations=st.none() | tuples(invokes),
    final=st.none() | tuples(invokes),
    messages=tuples(fates, unique_by=lambda fate: fate.message),
    views=tuples(views, unique_by=lambda view: view.message),
    faults=tuples(actions),
    unsynced=tuples(unsynced),
    switches=tuples(switches),
)


@given(scenarios)
def test_what_is_written_is_read_as_the_same(scenario):
    assert parse(str(scenario)) == scenario


def test_it_is_written_as_a_person_would_write_it():
    scenario = Scenario(
        command=("-w", "broadcast", "--bin", "my node.py"),
        latency=20 * MILLI,
        operations=(Invoke("broadcast", 7), Invoke("read", None, SECOND // 2 + 1, 3)),
        final=(),
        messages=(
            Fate("n0", "n1", "gossip", 3),
            Fate("n1", "n0", "gossip", 1, (1,)),
            Fate("n1", "n0", "ack", 1, (0, 1_500_000)),
        ),
        views=(View("seq-kv", "n0", "read", 2, behind=3), View("lww-kv", "n0", "cas", learner=0)),
        faults=(
            Action("start-partition", SECOND, "one", grudge={"n0": ("n1", "n2")}),
            Action("stop-partition", 2 * SECOND),
        ),
        switches=(Switch("n0", "my node.py:44"),),
    )
    assert (
        str(scenario)
        == """\
{
  "command": "-w broadcast --bin 'my node.py'",
  "latency": 20,
  "operations": [
    {"time": 0, "worker": 0, "f": "broadcast", "value": 7},
    {"time": 0.500000001, "worker": 3, "f": "read"}
  ],
  "final": [],
  "messages": [
    {"src": "n0", "dest": "n1", "type": "gossip", "nth": 3, "lost": true},
    {"src": "n1", "dest": "n0", "type": "gossip", "nth": 1, "latency": 0.000001},
    {"src": "n1", "dest": "n0", "type": "ack", "nth": 1, "latency": [0, 1.5]}
  ],
  "views": [
    {"service": "seq-kv", "caller": "n0", "type": "read", "nth": 2, "behind": 3},
    {"service": "lww-kv", "caller": "n0", "type": "cas", "nth": 1, "learner": 0}
  ],
  "faults": [
    {"time": 1, "f": "start-partition", "kind": "one", "grudge": {"n0": ["n1", "n2"]}},
    {"time": 2, "f": "stop-partition"}
  ],
  "switches": [
    {"node": "n0", "line": "my node.py:44", "nth": 1, "wait": 1}
  ]
}
"""
    )


def test_what_is_not_said_is_the_default():
    assert parse("{}") == Scenario()
    least = parse('{"operations": [{"f": "read"}], "switches": [{"node": "n0", "line": "a.py:1"}]}')
    assert least.operations == (Invoke("read", None, time=0, worker=0),)
    assert least.switches == (Switch("n0", "a.py:1", nth=1, wait=MILLI),)
    lost = '{"messages": [{"src": "n0", "dest": "n1", "type": "gossip", "lost": true}]}'
    assert parse(lost).messages == (Fate("n0", "n1", "gossip", nth=1),)


FATE = '{"src": "n0", "dest": "n1", "type": "x"'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "f.json is no JSON: line 1, column 1: Expecting value"),
        ('{"operations": [}', "line 1, column 17"),
        ("[]", 'f.json: []: expected a JSON object such as {"command"'),
        ('{"operation": []}', 'unknown key "operation"; did you mean operations?'),
        ('{"command": "echo \'"}', "command: expected a text that a shell could split"),
        ('{"latency": -1}', "latency: expected a number of milliseconds, at most 1,000,000,000"),
        ('{"latency": true}', "not true"),
        ('{"faults": {}}', "faults: expected a list, not {}"),
        ('{"faults": [7]}', 'faults, entry 1, 7: expected an object such as {"time": 2'),
        ('{"operations": [{"f": "a"}, {}]}', "operations, entry 2, {}: expected a text as `f`"),
        ('{"operations": [{"f": "a", "tiem": 1}]}', 'unknown key "tiem"; did you mean time?'),
        ('{"operations": [{"f": "a", "time": "1 s"}]}', "expected a number of seconds, at most"),
        ('{"operations": [{"f": "a", "time": 1e999}]}', "1e999 is too large a number"),
        ('{"operations": [{"f": "a", "value": NaN}]}', "NaN is no JSON"),
        ('{"operations": [{"f": "a", "worker": -1}]}', "worker: expected an integer from 0 on"),
        ('{"final": [{"f": "a", "worker": 0.5}]}', "final, entry 1"),
        ('{"messages": [{"src": "n0", "dest": "n1"}]}', "expected a text as `type`"),
        (f'{{"messages": [{FATE}}}]}}', 'expected either `"lost": true` or a `latency`'),
        (f'{{"messages": [{FATE}, "lost": false}}]}}', "lost: expected true, not false"),
        (f'{{"messages": [{FATE}, "lost": true, "latency": 1}}]}}', "expected either"),
        (f'{{"messages": [{FATE}, "latency": []}}]}}', "or a list of such"),
        (f'{{"messages": [{FATE}, "nth": 0, "lost": true}}]}}', "an integer from 1 on"),
        (f'{{"messages": [{FATE}, "lost": true}}, {FATE}, "latency": 1}}]}}', "came before"),
        ('{"views": [{"service": "lww-kv", "caller": "n1", "type": "a", "replica": 2}]}', "0 or 1"),
        ('{"faults": [{"f": "kill", "nodes": "n1"}]}', 'expected a list of nodes, not "n1"'),
        ('{"faults": [{"f": "start-partition", "grudge": {"n1": 2}}]}', "n0 drops what they send"),
        ('{"unsynced": [{"nth": 2}]}', "expected a text as `node`"),
        (
            '{"unsynced": [{"node": "n0", "begin": 5, "end": 5}]}',
            "an `end` that is greater than `begin`, 5",
        ),
        ('{"switches": [{"node": "n0", "line": 44}]}', 'such as "broadcast.py:44", not 44'),
        ('{"switches": [{"node": "n0", "line": "/a/b.py:44"}]}', "a file's name and a line"),
        ("[" * 100_000, "f.json is no scenario"),
        ("9" * 5000, "f.json"),
    ],
)
def test_an_error_names_the_file_quotes_the_entry_and_says_what_was_expected(text, complaint):
    with pytest.raises(UsageError) as refusal:
        parse(text, "f.json")
    assert "f.json" in str(refusal.value)
    assert complaint in str(refusal.value)


KEYS = [field.name for field in fields(Scenario) if field.name != "name"]
KINDS = (Invoke, Fate, View, Action, Switch)
ENTRY_KEYS = sorted({field.name for kind in KINDS for field in fields(kind)} | {"lost"})
entries = st.dictionaries(st.sampled_from(ENTRY_KEYS) | texts, VALUES, max_size=5)
objects = st.dictionaries(
    st.sampled_from(KEYS) | texts, VALUES | st.lists(entries | VALUES, max_size=3), max_size=4
)


@given(objects | VALUES)
def test_any_json_is_a_scenario_or_refused_in_words(content):
    try:
        scenario = parse(json.dumps(content))
    except UsageError:
        return
    assert parse(str(scenario)) == scenario


@given(st.binary(max_size=50))
def test_any_file_is_a_scenario_or_refused_in_words(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("files") / "f.json"
    file.write_bytes(content)
    try:
        read(file)
    except UsageError as error:
        refusal = str(error)
    else:
        return
    assert "f.json" in refusal


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"can't read the scenario .*none.json: No such file"):
        read(tmp_path / "none.json")


@pytest.mark.parametrize(
    "options",
    [
        Options(),
        Options(nodes=("a", "b"), concurrency=2, time_limit=0.1, rate=12.5, args=("--x", "1 2")),
        Options(workload="kafka", key_count=3, max_writes_per_key=5, availability="total"),
        Options(availability=0.5, consistency_models=("read-committed", "serializable")),
        Options(latency=3, latency_dist="uniform", topology="tree4", max_txn_length=2),
        Options(nemesis=("kill", "pause"), nemesis_interval=1.234, p_loss=0.1, p_duplicate=1e-9),
        Options(strict=True, hard=True, seed=-4, concurrency=17),
        Options(preempt=0.02, preempt_by="lines"),
        Options(check="/my check.py"),
    ],
)
def test_the_command_of_a_scenario_asks_for_the_same_options(options):
    options = replace(options, bin="my node.py")
    assert parse_test(shlex.join(words_of(options)), sorted(WORKLOADS)) == options
