"""Writes histories by hand: `history(invoke(0, "add", 1), ok(0), …)`.

Operations follow each other in steps of one millisecond, unless `at` says when one happened, in
milliseconds. What a process completes is what it last invoked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from glomers.history.operations import NEMESIS, History, Operation

MILLI = 1_000_000  # nanoseconds

Step = Callable[[list[Operation]], Operation]
SAME = object()  # what was invoked


def history(*steps: Step) -> History:
    operations: list[Operation] = []
    for step in steps:
        operations.append(step(operations))
    return History(operations)


def invoke(
    process: int, f: str, value: Any = None, *, final: bool = False, at: float | None = None
) -> Step:
    return lambda before: Operation(
        len(before), _time(before, at), "invoke", process, f, value, final=final
    )


def ok(process: int, value: Any = SAME, *, at: float | None = None) -> Step:
    return _completion("ok", process, value, None, at)


def fail(process: int, error: Any = None, *, at: float | None = None) -> Step:
    return _completion("fail", process, SAME, error, at)


def info(process: int, error: Any = "net-timeout", *, at: float | None = None) -> Step:
    return _completion("info", process, SAME, error, at)


def nemesis(f: str, value: Any = None, *, at: float | None = None) -> Step:
    return lambda before: Operation(len(before), _time(before, at), "info", NEMESIS, f, value)


def _completion(type: str, process: int, value: Any, error: Any, at: float | None) -> Step:
    def step(before: list[Operation]) -> Operation:
        invoked = next(o for o in reversed(before) if o.process == process)
        assert invoked.type == "invoke", f"process {process} does nothing that could end"
        answer = invoked.value if value is SAME else value
        time = _time(before, at)
        return Operation(
            len(before), time, type, process, invoked.f, answer, error, final=invoked.final
        )

    return step


def _time(before: list[Operation], at: float | None) -> int:
    last = before[-1].time if before else 0
    time = last + MILLI if at is None else round(at * MILLI)
    assert time >= last, "a history goes forward in time"
    return time
