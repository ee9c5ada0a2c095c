"""The load of the transactional workloads: random transactions over a pool of keys.

The generator is Elle's (`elle.txn/wr-txns`), as recorded runs of Maelstrom show it. A few keys are
in use at a time, each twice as often as the one before it. A key that has been written
`--max-writes-per-key` times is replaced by a new one. The values written to a key are 1, 2, 3, …,
so no two are the same.
"""

from __future__ import annotations

import math
from random import Random
from typing import Any, ClassVar

from glomers.checkers import consistency_models
from glomers.history.edn import Keyword
from glomers.history.operations import Operation
from glomers.options import Options
from glomers.workloads.base import (
    Conversation,
    Invocation,
    OperationGenerator,
    PlainWorkload,
)

KEY_COUNT = 10
MIN_LENGTH = 1
READ = Keyword("r")


class TransactionGenerator(OperationGenerator):
    """Transactions without end. `write` is the name of a write's micro-operation."""

    def __init__(self, options: Options, random: Random, write: str) -> None:
        self._options = options
        self._random = random
        self._write = Keyword(write)
        self._keys = list(range(options.key_count or KEY_COUNT))
        self._next_key = len(self._keys)
        self._doublings = min(len(self._keys), 1000)  # a float can't hold many more
        self._span = 2**self._doublings - 1
        self._writes: dict[int, int] = {}

    def next(self, process: int, worker: int) -> Invocation:
        # randint includes both ends.
        longest = max(MIN_LENGTH, self._options.max_txn_length)
        length = self._random.randint(MIN_LENGTH, longest)
        transaction: list[Any] = []
        while len(transaction) < length:
            is_write = self._random.random() < 0.5
            place = self._place()
            key = self._keys[place]
            written = self._writes.get(key, 0)
            if not is_write:
                transaction.append([READ, key, None])
            elif written < self._options.max_writes_per_key:
                self._writes[key] = written + 1
                transaction.append([self._write, key, written + 1])
            else:
                del self._writes[key]
                self._keys[place] = self._next_key
                self._next_key += 1
        return Invocation("txn", transaction)

    def _place(self) -> int:
        """A random place among the keys, each twice as likely as the one before."""
        from_the_first = math.log2(1 + self._random.random() * self._span)
        return len(self._keys) - self._doublings + int(from_the_first)


class TransactionWorkload(PlainWorkload):
    """A workload whose only request is `txn`.

    Raises UsageError if a consistency model is unknown.
    """

    write: ClassVar[str]  # the name of a write's micro-operation
    reusable_clients = True

    def __init__(self, options: Options, random: Random) -> None:
        super().__init__(options, random)
        consistency_models.forbidden_anomalies(options.consistency_models)

    def generator(self) -> OperationGenerator:
        return TransactionGenerator(self.options, self.random, self.write)

    def keyworded(self, f: str, value: Any) -> Any:
        return [[Keyword(name), key, each] for name, key, each in value]

    @classmethod
    def is_shared(cls, operation: Operation) -> bool:
        return operation.f == "txn" and any(f != READ for f, _, _ in operation.value)

    def invoke(self, invocation: Invocation) -> Conversation:
        request = [[str(f), key, value] for f, key, value in invocation.value]
        answer = yield {"type": "txn", "txn": request}
        return [[Keyword(f), key, value] for f, key, value in answer["txn"] or ()]
