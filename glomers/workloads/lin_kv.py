"""A linearizable key-value store: registers with the operations read, write and cas.

(cas: compare and set, which writes a value if the present one is as expected.)

As in Jepsen's `linearizable-register`, workers form groups, with two workers for each node. Each
group works on a key of its own. The group takes a new key when twenty processes have worked on the
old one, because some crashed; so the checker's search stays short. The first workers, as many as
there are nodes, only read; the others write a third of the time, and otherwise cas.
"""

from __future__ import annotations

from itertools import count
from random import Random
from typing import Any

from glomers.checkers import lin_kv
from glomers.errors import UsageError
from glomers.history.operations import Operation
from glomers.options import Options
from glomers.workloads.base import (
    Conversation,
    Invocation,
    OperationGenerator,
    PlainWorkload,
    Values,
)

PROCESSES_PER_KEY = 20
VALUES = 5
LEAST_TIMEOUT = 1.0  # seconds


class RegisterGenerator(OperationGenerator):
    def __init__(self, options: Options, random: Random) -> None:
        self._random = random
        self._readers = len(options.nodes)
        self._group_size = 2 * self._readers
        self._new_keys = count()
        groups = options.concurrency // self._group_size
        self._keys = [next(self._new_keys) for _ in range(groups)]
        self._processes = [self._group_size] * groups

    def next(self, process: int, worker: int) -> Invocation:
        key = self._keys[worker // self._group_size]
        random = self._random
        if worker < self._readers:
            return Invocation("read", [key, None])
        if random.randrange(3) == 0:
            return Invocation("write", [key, random.randrange(VALUES)])
        return Invocation("cas", [key, [random.randrange(VALUES), random.randrange(VALUES)]])

    def update(self, operation: Operation, worker: int) -> None:
        """A crashed process is replaced by a new one; too many of them end the key."""
        if operation.type != "info":
            return
        group = worker // self._group_size
        self._processes[group] += 1
        if self._processes[group] > PROCESSES_PER_KEY:
            self._keys[group] = next(self._new_keys)
            self._processes[group] = self._group_size


class LinKVWorkload(PlainWorkload):
    name = "lin-kv"
    operations = {
        "read": Values(asked=(Any, None), answered=(Any, Any)),
        "write": Values(asked=(Any, Any), answered=(Any, Any)),
        "cas": Values(asked=(Any, (Any, Any)), answered=(Any, (Any, Any))),
    }
    answers = {
        "read": ("read_ok", {"value": Any}),
        "write": ("write_ok", {}),
        "cas": ("cas_ok", {}),
    }
    checker = lin_kv.CHECKER
    idempotent = frozenset({"read"})
    reusable_clients = True

    def __init__(self, options: Options, random: Random) -> None:
        super().__init__(options, random)
        self.request_timeout = max(10 * options.latency / 1000, LEAST_TIMEOUT)
        group = 2 * len(options.nodes)
        if options.concurrency % group:
            raise UsageError(
                f"in lin-kv {group} workers (two for each node) share a key, so --concurrency"
                f" must be a multiple of {group}, not {options.concurrency}; try --concurrency 2n"
            )

    def generator(self) -> OperationGenerator:
        return RegisterGenerator(self.options, self.random)

    @classmethod
    def is_shared(cls, operation: Operation) -> bool:
        return operation.f in ("write", "cas")

    def invoke(self, invocation: Invocation) -> Conversation:
        key, argument = invocation.value
        if invocation.f == "read":
            answer = yield {"type": "read", "key": key}
            return [key, answer["value"]]
        if invocation.f == "write":
            yield {"type": "write", "key": key, "value": argument}
        else:
            yield {"type": "cas", "key": key, "from": argument[0], "to": argument[1]}
        return invocation.value
