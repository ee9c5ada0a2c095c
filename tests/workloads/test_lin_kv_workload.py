"""The lin-kv workload: who does what to which key, and what goes to the node."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from glomers.errors import UsageError
from glomers.history.operations import Operation
from glomers.options import Options
from glomers.run.build import simulated_test
from glomers.workloads.base import Invocation
from glomers.workloads.lin_kv import PROCESSES_PER_KEY, LinKVWorkload

TWO_NODES = ("n0", "n1")


def workload(**options):
    return LinKVWorkload(Options(**{"nodes": TWO_NODES, "concurrency": 8, **options}), Random(1))


def crash(generator, worker):
    generator.update(Operation(0, 0, "info", worker, "write", [0, 1]), worker)


def test_each_group_of_two_workers_for_each_node_has_a_key_of_its_own():
    generator = workload().generator()
    keys = [generator.next(worker, worker).value[0] for worker in range(8)]
    assert keys == [0, 0, 0, 0, 1, 1, 1, 1]


def test_as_many_workers_as_there_are_nodes_read_and_the_others_write():
    """As recorded: all of them in the first group."""
    generator = workload().generator()
    readers = {w for w in range(8) for _ in range(20) if generator.next(w, w).f == "read"}
    assert readers == {0, 1}


def test_two_of_three_that_write_compare_and_set():
    generator = workload().generator()
    done = [generator.next(2, 2) for _ in range(3_000)]
    counts = Counter(invocation.f for invocation in done)
    assert counts["cas"] / counts["write"] == pytest.approx(2, rel=0.1)
    assert {i.value[1] for i in done if i.f == "write"} == set(range(5))
    assert {v for i in done if i.f == "cas" for v in i.value[1]} == set(range(5))


def test_when_too_many_processes_have_crashed_a_group_takes_a_new_key():
    generator = workload().generator()
    for _ in range(PROCESSES_PER_KEY - 4):
        assert generator.next(2, 2).value[0] == 0
        crash(generator, 2)
    assert generator.next(3, 3).value[0] == 0
    crash(generator, 2)
    assert [generator.next(w, w).value[0] for w in (2, 3, 4)] == [2, 2, 1]
    crash(generator, 2)
    assert generator.next(2, 2).value[0] == 2


def test_other_completions_are_no_crash():
    generator = workload().generator()
    for type in ("ok", "fail", "invoke") * PROCESSES_PER_KEY:
        generator.update(Operation(0, 0, type, 2, "write", [0, 1]), 2)
    assert generator.next(2, 2).value[0] == 0


@pytest.mark.parametrize("concurrency", [1, 2, 5, 6])
def test_workers_that_form_no_groups_are_a_mistake_of_the_command(concurrency):
    with pytest.raises(UsageError, match=f"multiple of 4, not {concurrency}; try --concurrency 2n"):
        workload(concurrency=concurrency)


@pytest.mark.parametrize(("latency", "seconds"), [(0, 1), (50, 1), (100, 1), (500, 5)])
def test_a_client_waits_ten_latencies_but_at_least_a_second(latency, seconds):
    assert workload(latency=latency).request_timeout == seconds


@pytest.mark.parametrize(
    ("f", "value", "request_body", "answer", "result"),
    [
        ("read", [7, None], {"type": "read", "key": 7}, {"value": 3}, [7, 3]),
        ("write", [7, 3], {"type": "write", "key": 7, "value": 3}, {}, [7, 3]),
        ("cas", [7, [1, 2]], {"type": "cas", "key": 7, "from": 1, "to": 2}, {}, [7, [1, 2]]),
    ],
)
def test_an_operation_is_one_request(f, value, request_body, answer, result):
    conversation = workload().session("n0").invoke(Invocation(f, value))
    assert next(conversation) == request_body
    with pytest.raises(StopIteration) as end:
        conversation.send({"type": f"{f}_ok", **answer})
    assert end.value.value == result


NODE = """
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


@pytest.mark.parametrize(("service", "valid"), [("lin-kv", True), ("lww-kv", False)])
def test_a_simulated_node_that_forwards_to_a_service(service, valid, script):
    options = Options(
        workload="lin-kv",
        bin=str(script(NODE.replace("SERVICE", f"{service!r}"))),
        nodes=TWO_NODES,
        concurrency=8,
        rate=100,
        time_limit=10,
        latency=5,
        seed=1,
    )
    assert simulated_test(options).run()["workload"]["valid?"] is valid
