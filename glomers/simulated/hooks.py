"""How the interpreter tells that it is about to run a line, or a bytecode, of a node's code.

From Python 3.12 on by `sys.monitoring`, for that code only; before that by `sys.settrace`, which
makes all calls slower while a node's code runs. Where nothing is followed, neither is used.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import CodeType, FrameType
from typing import Any, ClassVar, Protocol

from glomers.errors import UsageError, quote
from glomers.simulated.turns import TurnLoop

# Called with the code, the line (0 if it must be looked up), and the offset of a bytecode.
Before = Callable[..., None]

monitoring: Any = getattr(sys, "monitoring", None)  # None before Python 3.12


def free_tool(ids: Sequence[int]) -> int | None:
    """The first of these tools of `sys.monitoring` that nobody uses; None if there is none."""
    return next((id for id in ids if monitoring.get_tool(id) is None), None)


def all_codes(code: CodeType) -> Iterator[CodeType]:
    """This code, and that of all functions and classes in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from all_codes(constant)


class Hook(Protocol):
    """Calls a function before each line, or bytecode, of some code."""

    def add(self, code: CodeType) -> None:
        """Follow this code, too."""

    def running(self) -> AbstractContextManager[None]:
        """The context in which the loop runs."""

    def close(self) -> None:
        """Follow nothing any more."""


class Tracing:
    """By `sys.settrace`, while a node's code runs."""

    def __init__(self, before: Before, loop: TurnLoop, bytecodes: bool) -> None:
        # What follows the lines of each code, which a frame tells at some cost (an audit event).
        self._within_code: dict[CodeType, Callable[..., Any]] = {}
        self._before = before
        self._bytecodes = bytecodes
        self._loop = loop

    def add(self, code: CodeType) -> None:
        def within(frame: FrameType, event: str, _: Any) -> Any:
            if event == "line":
                self._before(code, frame.f_lineno)
            elif event == "opcode":
                self._before(code, frame.f_lineno, frame.f_lasti)
            return within

        self._within_code[code] = within

    def _enter(self, frame: FrameType, event: str, _: Any) -> Any:
        within = self._within_code.get(frame.f_code)
        if within is None:
            return None
        frame.f_trace_opcodes = self._bytecodes
        frame.f_trace_lines = not self._bytecodes
        return within

    @contextmanager
    def running(self) -> Iterator[None]:
        self._loop.trace = self._enter
        yield

    def close(self) -> None:
        """Nothing is left, since the loop runs no more."""


class Monitoring:
    """By `sys.monitoring`, from Python 3.12 on. Several may follow the same code; only the one
    whose simulation runs hears of it."""

    TOOLS = (4, 3)  # 0 is for debuggers, 1 for coverage, 2 for profilers, 5 for optimizers

    _tool: ClassVar[int]  # one of TOOLS that nobody else used
    _all: ClassVar[list[Monitoring]] = []
    _running: ClassVar[Monitoring | None] = None

    def __init__(self, before: Before, loop: TurnLoop, bytecodes: bool) -> None:
        self._before = before
        self._bytecodes = bytecodes
        events = monitoring.events
        self._event = events.INSTRUCTION if bytecodes else events.LINE
        self._codes: set[CodeType] = set()
        if not self._all:
            self._take_tool()
        self._all.append(self)

    @classmethod
    def _take_tool(cls) -> None:
        tool = free_tool(cls.TOOLS)
        if tool is None:
            names = " and ".join(quote(str(monitoring.get_tool(each))) for each in cls.TOOLS)
            raise UsageError(
                f"turns between lines (--preempt) need sys.monitoring, which {names} use up; "
                "expected nobody else to follow all lines meanwhile"
            )
        cls._tool = tool
        monitoring.use_tool_id(cls._tool, __name__)
        monitoring.register_callback(cls._tool, monitoring.events.LINE, cls._line)
        monitoring.register_callback(cls._tool, monitoring.events.INSTRUCTION, cls._bytecode)

    @classmethod
    def _line(cls, code: CodeType, line: int) -> None:
        if cls._running is not None and not cls._running._bytecodes:
            cls._running._before(code, line)

    @classmethod
    def _bytecode(cls, code: CodeType, offset: int) -> None:
        if cls._running is not None and cls._running._bytecodes:
            cls._running._before(code, 0, offset)

    def add(self, code: CodeType) -> None:
        if code not in self._codes:
            self._codes.add(code)
            self._follow(code)

    def _follow(self, code: CodeType) -> None:
        events = 0
        for each in self._all:
            events |= each._event if code in each._codes else 0
        monitoring.set_local_events(self._tool, code, events)

    @contextmanager
    def running(self) -> Iterator[None]:
        Monitoring._running = self
        try:
            yield
        finally:
            Monitoring._running = None

    def close(self) -> None:
        self._all.remove(self)
        for code in self._codes:
            self._follow(code)
        if not self._all:
            for event in (monitoring.events.LINE, monitoring.events.INSTRUCTION):
                monitoring.register_callback(self._tool, event, None)
            monitoring.free_tool_id(self._tool)
