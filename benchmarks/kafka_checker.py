"""The kafka checker on long histories: `python -m benchmarks.kafka_checker`.

Histories of a good cluster; at rate 1000 and with 4 workers, 20 s make 40,000 operations (lines:
invocations and completions). Prints the seconds for the verdict and for the warnings, and the
time for one operation as a ratio to that in the shortest history: 1.00 is linear.
"""

from __future__ import annotations

import time
import timeit
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from random import Random
from typing import Any

from glomers.checkers import kafka
from glomers.history.operations import History, Operation
from glomers.options import Options
from glomers.workloads.base import Invocation, OperationGenerator, SessionCrash
from glomers.workloads.kafka import KafkaWorkload, Session

SIZES = (5_000, 10_000, 20_000, 40_000)
WORKERS = 4
STEP = 500_000  # nanoseconds between operations: 1000 invocations a second
REPEATS = 5


class Cluster:
    """Logs in memory and the clients that use them, one at a time."""

    def __init__(self) -> None:
        self.logs: dict[str, list[int]] = defaultdict(list)
        self.processes = list(range(WORKERS))
        self.sessions = [Session() for _ in range(WORKERS)]
        self.operations: list[Operation] = []

    def perform(self, worker: int, invocation: Invocation, generator: OperationGenerator) -> None:
        def record(type: str, value: Any) -> None:
            index, process = len(self.operations), self.processes[worker]
            f, extra = invocation.f, invocation.extra
            operation = Operation(index, index * STEP, type, process, f, value, extra=extra)
            self.operations.append(operation)
            generator.update(operation, worker)

        record("invoke", invocation.value)
        conversation = self.sessions[worker].invoke(invocation)
        try:
            request = next(conversation)
            while True:
                request = conversation.send(self.answer(request))
        except StopIteration as end:
            record("ok", end.value)
        except SessionCrash:
            record("info", None)
            self.processes[worker] += WORKERS
            self.sessions[worker] = Session()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["type"] == "send":
            log = self.logs[request["key"]]
            log.append(request["msg"])
            return {"offset": len(log) - 1}
        if request["type"] == "poll":
            starts = request["offsets"].items()
            found = {key: list(enumerate(self.logs[key]))[start:] for key, start in starts}
            return {"msgs": {key: list(map(list, pairs)) for key, pairs in found.items() if pairs}}
        return {}


def history(size: int) -> History:
    """A load of `size` operations, and the final phase."""
    random, cluster = Random(size), Cluster()
    workload = KafkaWorkload(Options(workload="kafka", concurrency=WORKERS), random)
    load = workload.generator()
    while len(cluster.operations) < size:
        worker = random.randrange(WORKERS)
        if invocation := load.next(worker, worker):
            cluster.perform(worker, invocation, load)
    if final := workload.final_generator():
        for worker in range(WORKERS):
            while invocation := final.next(worker, worker):
                cluster.perform(worker, invocation, final)
    return History(cluster.operations)


def fastest(function: Callable[[], Any]) -> float:
    """Seconds of CPU time, the best of some. The garbage collector is off, as always in timeit."""
    return min(timeit.repeat(function, timer=time.process_time, number=1, repeat=REPEATS))


def main(sizes: Iterable[int] = SIZES) -> None:
    print("operations     check   ratio  warnings   ratio")
    options = Options()
    first: tuple[float, float] | None = None
    for size in sizes:
        long = history(size)
        assert kafka.check(long, options)["valid?"] is True
        assert kafka.warnings(long, options) == []
        check = fastest(partial(kafka.check, long, options))
        warnings = fastest(partial(kafka.warnings, long, options))
        each = check / len(long), warnings / len(long)
        first = first or each
        figures = check, each[0] / first[0], warnings, each[1] / first[1]
        print("{:10,}  {:6.3f} s  {:6.2f}  {:6.3f} s  {:6.2f}".format(len(long), *figures))


if __name__ == "__main__":
    main()
