"""How the transaction checker's time grows with the length of the history.

    python -m benchmarks.txn_checker

The histories are as of two nodes at rate 1000 that hold registers with last-write-wins, and tell
each other of their writes 20 ms later: valid at read-committed, full of cycles at
strict-serializable. For each length it prints the processor time per transaction, and its ratio
to the shortest history's: 1.0 everywhere if the checker is linear.

Then the memory that Python allocates for each transaction, when such a history is read from a file
and judged as `check` does it: what the history holds, and the most that it and the checker hold
together. Little of it is fixed, so a million transactions need about a million times as much.
"""

from __future__ import annotations

import heapq
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from glomers.checkers import txn_rw_register
from glomers.history.operations import History, Operation, read_history, to_edn_line
from glomers.options import Options
from glomers.workloads.transactions import TransactionGenerator

LENGTHS = (2_500, 5_000, 10_000, 20_000)
MODELS = ("read-committed", "serializable", "strict-serializable")
NODES = 2
WORKERS = 4
ROUNDS = 2
REPLICATION_MS = 20.0

Clock = tuple[int, int]


class Replica:
    """Registers of which the write with the highest clock wins."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.time = 0
        self.registers: dict[int, tuple[Clock, int]] = {}

    def transact(self, transaction: list[Any]) -> tuple[list[Any], Clock, dict[int, int]]:
        self.time += 1
        clock = self.time, self.number
        answer, writes = [], {}
        for f, key, value in transaction:
            if f == "w":
                writes[key] = value
            answer.append([f, key, value if f == "w" else self._read(key, writes)])
        self.merge(clock, writes)
        return answer, clock, writes

    def _read(self, key: int, writes: dict[int, int]) -> int | None:
        return writes[key] if key in writes else self.registers.get(key, ((0, 0), None))[1]

    def merge(self, clock: Clock, writes: dict[int, int]) -> None:
        self.time = max(self.time, clock[0])
        for key, value in writes.items():
            if key not in self.registers or self.registers[key][0] < clock:
                self.registers[key] = clock, value


def operations(length: int, seed: int = 1) -> Iterator[Operation]:
    """A history of `length` transactions, one each millisecond, that take less than WORKERS ms."""
    random = Random(seed)
    load = TransactionGenerator(Options(), random, "w")
    replicas = [Replica(number) for number in range(NODES)]
    waiting: list[tuple[float, int, Callable[[], Operation | None]]] = []
    sequence = count()

    def at(time_ms: float, what: Callable[[], Operation | None]) -> None:
        heapq.heappush(waiting, (time_ms, next(sequence), what))

    def transaction(start: float, worker: int) -> None:
        request = load.next(worker, worker).value
        end = start + random.uniform(0.1, WORKERS - 0.1)
        replica = replicas[worker % NODES]
        answer: list[Any] = []

        def take_effect() -> None:
            done, clock, writes = replica.transact(request)
            answer.extend(done)
            for other in replicas:
                if other is not replica:
                    at(now + REPLICATION_MS, partial(other.merge, clock, writes))

        operation = Operation(0, 0, "invoke", worker, "txn", request)
        at(start, lambda: operation)
        at((start + end) / 2, take_effect)
        at(end, lambda: replace(operation, type="ok", value=answer))

    for number in range(length):
        transaction(float(number), number % WORKERS)
    indices = count()
    while waiting:
        now, _, what = heapq.heappop(waiting)
        if (operation := what()) is not None:
            yield replace(operation, index=next(indices), time=round(now * 1e6))


def seconds(history: History, model: str) -> float:
    start = time.process_time()
    txn_rw_register.check(history, Options(consistency_models=(model,)))
    return time.process_time() - start


def memory(length: int) -> tuple[int, int]:
    """Bytes held by a history as it was read, and the most held while it is judged."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "history.edn"
        path.write_text("".join(f"{to_edn_line(each)}\n" for each in operations(length)), "utf-8")
        tracemalloc.start()
        history = read_history(path)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    txn_rw_register.check(history, Options(consistency_models=(MODELS[-1],)))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held, most


def main() -> None:
    histories = {length: History(operations(length)) for length in LENGTHS}
    for model in MODELS:
        print(model)
        first = 0.0
        for length, history in histories.items():
            each = min(seconds(history, model) for _ in range(ROUNDS)) / length
            first = first or each
            print(f"  {length:6,} txns  {each * 1e6:6.1f} µs each  ratio {each / first:.2f}")
    held, most = (bytes / LENGTHS[-1] for bytes in memory(LENGTHS[-1]))
    print(f"memory, {MODELS[-1]}, {LENGTHS[-1]:,} txns")
    print(f"  {held:,.0f} bytes each in the history, {most:,.0f} at most while it is judged")


if __name__ == "__main__":
    main()
