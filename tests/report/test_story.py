"""The story of a small run: what happened, in the order of time, and why that is wrong."""

from __future__ import annotations

import json
import re
from textwrap import wrap

import small_runs
from small_runs import keep

from glomers.history import edn
from glomers.history.operations import read_history
from glomers.report.story import MOST
from glomers.run.story import of_kept


def story(scenario, source, script, tmp_path):
    """The story of a run, with long lines broken."""
    results, folder = keep(scenario, script(source), tmp_path)
    lines = of_kept(folder, read_history(folder), edn.to_json(results))
    told = [line.replace(f"{tmp_path}/", "") for line in lines]
    return (
        "\n".join(part for line in told for part in wrap(line, 96, subsequent_indent="    | "))
        + "\n"
    )


def test_it_tells_where_a_thread_lost_its_turn_and_what_others_did_meanwhile(script, tmp_path):
    assert (
        story(small_runs.SAME_IDS, small_runs.IDS, script, tmp_path)
        == """\
0.0 ms  process 0 asks n0: generate
0.0 ms  n0 loses its turn in generate (for process 0) before node.py:11: `last = value + 1`
1.0 ms  process 1 asks n0: generate; it answers generate_ok "n0-0"
2.0 ms  n0 goes on with node.py:11
2.0 ms  n0 answers process 0: generate_ok "n0-0"
So the test is invalid: id n0-0 was given by n0 at 0.00 s (process 1) and n0 at 0.00 s (process
    | 0)
"""
    )


def test_what_happens_in_the_same_nanosecond_is_told_in_its_order(script, tmp_path):
    told = small_runs.SAME_IDS.replace('"time": 0.001', '"time": 0')
    assert (
        story(told, small_runs.IDS, script, tmp_path)
        == """\
0.0 ms  process 0 asks n0: generate
0.0 ms  process 1 asks n0: generate
0.0 ms  n0 loses its turn in generate (for process 0) before node.py:11: `last = value + 1`
0.0 ms  n0 answers process 1: generate_ok "n0-0"
2.0 ms  n0 goes on with node.py:11
2.0 ms  n0 answers process 0: generate_ok "n0-0"
So the test is invalid: id n0-0 was given by n0 at 0.00 s (process 1) and n0 at 0.00 s (process
    | 0)
"""
    )


def test_it_tells_of_requests_to_services_before_the_answer_that_needs_them(script, tmp_path):
    scenario = small_runs.STALE_SUM.replace("--latency 5", "--latency 0")
    assert (
        story(scenario, small_runs.COUNTER, script, tmp_path)
        == """\
     0.0 ms  process 0 asks n0: add 3
     0.0 ms  n0 asks seq-kv: read "sum"; it answers error (code 20, text "key does not exist")
     0.0 ms  n0 asks seq-kv: write (key "sum", value 3); it answers write_ok
     0.0 ms  n0 answers process 0: add_ok
11,000.0 ms  process 1 asks n1: read (final)
11,000.0 ms  n1 asks seq-kv: read "sum"; it answers from an old state (1 change ago): error
    | (code 20, text "key does not exist")
11,000.0 ms  n1 answers process 1: read_ok 0
So the test is invalid: n1's final read at 11.00 s is 0, 3 too little, just what n0 acknowledged
"""
    )


def test_it_tells_which_message_was_lost_and_which_arrived_twice(script, tmp_path):
    assert (
        story(small_runs.LOST_MESSAGE, small_runs.GOSSIP, script, tmp_path)
        == """\
     0.0 ms  process 0 asks n0: broadcast 7; it answers broadcast_ok
     0.0 ms  n0 sends n1 gossip 7, which arrives twice
     0.0 ms  n0 sends n2 gossip 7, which is lost
     5.0 ms  n0's gossip 7 reaches n1
    10.0 ms  n0's gossip 7 reaches n1 again
11,000.0 ms  process 0 asks n0: read (final); it answers read_ok [7]
11,001.0 ms  process 2 asks n2: read (final); it answers read_ok []
So the test is invalid: value 7: n0 acknowledged it at 0.00 s; its message to n2 was lost on the
    | way at 0.00 s and never sent again; n2 never had it
"""
    )


def test_it_tells_of_a_stale_read(script, tmp_path):
    assert (
        story(small_runs.STALE_READ, small_runs.COPIES, script, tmp_path)
        == """\
  0.0 ms  process 0 asks n1: write (key 0, value 1); it answers write_ok
  0.0 ms  n1 sends n2 copy (key 0, value 1), which arrives after 10 ms
100.0 ms  process 0 asks n1: write (key 0, value 2); it answers write_ok
100.0 ms  n1 sends n2 copy (key 0, value 2), which is lost
101.0 ms  process 1 asks n2: read 0; it answers read_ok 1
So the test is invalid: read of key 0 by process 1 on n2 returned 1 at 0.10 s, though a write on
    | n1 had written 2 at 0.10 s
"""
    )


def test_it_tells_which_answer_of_a_service_was_old(script, tmp_path):
    assert (
        story(small_runs.STALE_SUM, small_runs.COUNTER, script, tmp_path)
        == """\
     0.0 ms  process 0 asks n0: add 3
     0.0 ms  n0 asks seq-kv: read "sum"; it answers after 5 ms: error (code 20, text "key does
    | not exist"), which arrives after 5 ms
    10.0 ms  n0 asks seq-kv: write (key "sum", value 3); it answers after 5 ms: write_ok, which
    | arrives after 5 ms
    20.0 ms  n0 answers process 0: add_ok
11,000.0 ms  process 1 asks n1: read (final)
11,000.0 ms  n1 asks seq-kv: read "sum"; it answers from an old state (1 change ago) after 5 ms:
    | error (code 20, text "key does not exist"), which arrives after 5 ms
11,010.0 ms  n1 answers process 1: read_ok 0
So the test is invalid: n1's final read at 11.01 s is 0, 3 too little, just what n0 acknowledged
"""
    )


def test_it_tells_of_a_transaction_that_saw_half_of_another(script, tmp_path):
    assert (
        story(small_runs.INTERMEDIATE_READ, small_runs.TRANSACTIONS, script, tmp_path)
        == """\
0.0 ms  process 0 asks n0: txn [["w", 1, 1], ["w", 1, 2]]
0.0 ms  n0 loses its turn in txn (for process 0) before node.py:10: `for f, key, value in
    | message.body["txn"]:`
1.0 ms  process 1 asks n0: txn [["r", 1, null]]; it answers txn_ok [["r", 1, 1]]
2.0 ms  n0 goes on with node.py:10
2.0 ms  n0 answers process 0: txn_ok [["w", 1, 1], ["w", 1, 2]]
So the test is invalid: T1 (n0 at 0.00 s) read 1 of key 1, which T2 (n0 at 0.00 s) wrote on the
    | way only: it went on to write 2
"""
    )


def test_it_ends_with_what_a_node_did_wrong(script, tmp_path):
    assert (
        story(small_runs.DEADLOCK, small_runs.TWO_LOCKS, script, tmp_path)
        == """\
0.0 ms  process 0 asks n0: echo 1
0.0 ms  n0 loses its turn in echo (for process 0) before node.py:13: `with second:`
1.0 ms  process 1 asks n0: echo 2
2.0 ms  n0 goes on with node.py:13
So the test ends: Node n0 is in a deadlock: threads wait for each other's locks.
    message waits for message waits for message
    node.py:13 in echo: with second:
Expected: locks that are always taken in the same order
"""
    )


def test_it_tells_which_exception_a_node_raised(script, tmp_path):
    assert (
        story(small_runs.EXCEPTION, small_runs.RAISING, script, tmp_path)
        == """\
0.0 ms  process 0 asks n0: echo "hi"; it answers error (code 13, text "KeyError('hi')")
0.0 ms  n0 raises KeyError: 'hi' in echo (node.py:9)
So the test is invalid: n0: 1 of 1 echo operations ended with an unknown outcome (crash), the
    | first at 0.00 s
"""
    )


def test_what_happens_to_several_nodes_at_once_is_told_in_one_line(script, tmp_path):
    scenario = small_runs.LOST_MESSAGE.replace('"lost": true', '"latency": 10')
    scenario = scenario.replace('"latency": [5, 10]', '"latency": 10')
    assert "n0 sends n1 and n2 gossip 7, which arrives after 10 ms" in story(
        scenario, small_runs.GOSSIP, script, tmp_path
    )


def test_a_partition_and_what_it_cuts_off_are_told(script, tmp_path):
    told = json.loads(small_runs.LOST_MESSAGE)
    grudge = {"n2": ["n0", "n1"]}
    told["faults"] = [{"time": 0, "f": "start-partition", "kind": "one", "grudge": grudge}]
    del told["messages"]
    text = story(json.dumps(told), small_runs.GOSSIP, script, tmp_path)
    assert "a partition begins: n2 no longer hears n0 and n1\n" in text
    assert "n0 sends n2 gossip 7, which the partition (one) cuts off\n" in text
    assert "the partition ends\n" in text


def test_an_operation_without_an_answer_is_told_of(script, tmp_path):
    silent = small_runs.RAISING.replace("return {", "{").replace("seen[", "(")
    silent = silent.replace("]}", ")}")
    text = story(small_runs.EXCEPTION, silent, script, tmp_path)
    assert 'process 0 asks n0: echo "hi"\n' in text
    assert "n0 complains: the handler for 'echo'" in text
    assert "5,000.0 ms  process 0 gets no answer\n" in text


def test_a_longer_story_is_condensed_and_says_what_it_leaves_out(script, tmp_path):
    told = json.loads(small_runs.LOST_MESSAGE)
    told["operations"] += [
        {"time": n / 100, "worker": 1, "f": "broadcast", "value": 100 + n} for n in range(40)
    ]
    lines = story(json.dumps(told), small_runs.GOSSIP, script, tmp_path).splitlines()
    whole = [line for line in lines if "    | " not in line]
    assert len(whole) <= MOST
    assert any("n0 sends n2 gossip 7, which is lost" in line for line in lines)
    assert any("process 2 asks n2: read (final); it answers read_ok [" in line for line in lines)
    text = " ".join(lines)
    counted = [int(n) for n in re.findall(r"(\d+) more broadcast message", text)]
    assert sum(counted) == 40
    counted = [int(n) for n in re.findall(r"(\d+) more gossip message", text)]
    assert sum(counted) == 80
