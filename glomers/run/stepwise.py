"""A test whose load is begun step by step by whoever explores it, and how it ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from glomers.checkers import stats
from glomers.checkers.verdict import UNKNOWN
from glomers.errors import NodeError
from glomers.history.operations import Operation
from glomers.run.drive import BROKE_OFF, Results, Test
from glomers.workloads.base import Invocation, OncePerWorker, OperationGenerator
from glomers.world.error_codes import PRECONDITION_FAILED

NEVER_SUCCEEDED = "nothing-succeeded"  # the kind of a warning


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended: its verdict, and which kinds of operations were begun and succeeded."""

    valid: Any
    begun: frozenset[str] = frozenset()
    succeeded: frozenset[str] = frozenset()
    error: str = ""


class TooLong(Exception):
    """A run has more steps than any that is worth exploring."""


class StepwiseTest(Test):
    """A test whose load is chosen step by step."""

    run_load: Callable[[Callable[[], object]], object]
    last_read = ""  # the node that is the last to be read in the final phase
    is_final = False  # whether the final operations have begun

    def _run_load(self) -> None:
        self._begin_load()
        self.run_load(self._end_faults)

    def _recover(self) -> None:
        if isinstance(self._final, OncePerWorker):
            workers = self.load.workers
            ordered = sorted(workers, key=lambda worker: worker.node == self.last_read)
            self._final = _InTurn(self._final, [worker.number for worker in ordered])
        super()._recover()

    def _run_final(self, generator: OperationGenerator) -> None:
        self.is_final = True
        super()._run_final(generator)

    def drive(self) -> NodeError | TooLong | None:
        """Run all phases; return what ended them early. Nothing is judged."""
        try:
            self._next_phase()
            self.world.loop.run()
        except (NodeError, TooLong) as error:
            return error
        finally:
            self.world.end()
            self.recorder.end()
        return None

    def end(self, error: NodeError | TooLong | None) -> End:
        """How the run ended."""
        operations = list(self.history.client_operations())
        begun = frozenset(each.f for each in operations if not each.final) - {*stats.EXEMPT}
        succeeded = frozenset(each.f for each in operations if each.type == "ok" or _refused(each))
        if isinstance(error, TooLong):
            return End(UNKNOWN, begun, succeeded, str(error))
        if error is not None or fails(results := self.judge(), self.options.strict):
            return End(False, begun, succeeded)
        problems = [results[name].get("error", "") for name in ("workload", "availability")]
        broken = next((problem for problem in problems if BROKE_OFF in problem), "")
        return End(UNKNOWN if broken else True, begun, succeeded, broken)


def fails(results: Results, strict: bool = False) -> bool:
    """Whether a run is one that must not be: its history is wrong, or a node raised an exception.

    With `strict`, no warning may be. But that a kind of operation never succeeded says little about
    a run of a few operations.
    """
    parts = (results[name]["valid?"] for name in ("workload", "availability"))
    kinds = {str(warning["kind"]) for warning in results.get("warnings", ())} - {NEVER_SUCCEEDED}
    return False in parts or "exception" in kinds or (strict and bool(kinds))


def _refused(operation: Operation) -> bool:
    """Whether a cas failed because the value was another, which is an answer as good as any."""
    error = operation.error
    return isinstance(error, list) and error[:1] == [PRECONDITION_FAILED.name]


class _InTurn(OperationGenerator):
    """The operations of a generator that has one for each worker, in this order of workers."""

    def __init__(self, generator: OperationGenerator, workers: Sequence[int]) -> None:
        self._generator = generator
        self._coming = deque(workers)

    def next(self, process: int, worker: int) -> Invocation | None:
        if not self._coming or worker != self._coming[0]:
            return None
        self._coming.popleft()
        return self._generator.next(process, worker)
