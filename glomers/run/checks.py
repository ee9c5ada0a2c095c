"""A person's own checks: functions of a cluster's state, or of a history.

A check holds if what it returns is true; it doesn't if that is false, None included, or if it
raises an exception. None doesn't count as true, because a check that never says so could pass for
ever without having looked.
"""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from glomers.errors import quote

# pytest leaves these lines out of tracebacks: a failure is shown at the test's own line.
__tracebackhide__ = True

VALUE = 300  # characters of a value in an error


@dataclass(frozen=True, slots=True)
class Denial:
    """What a check said when it didn't hold: in words, and the exception if it raised one."""

    text: str
    error: Exception | None = None

    @property
    def is_mistake(self) -> bool:
        """Whether the check broke off, so that it neither holds nor doesn't."""
        return self.error is not None and not isinstance(self.error, AssertionError)


@dataclass(frozen=True, slots=True)
class Check:
    """A function of one argument that is asked whether something holds."""

    function: Callable[[Any], object]

    def denial(self, subject: Any) -> Denial | None:
        """What the check says if it doesn't hold; None if it holds."""
        return self.ask(subject)[1]

    def ask(self, subject: Any) -> tuple[object, Denial | None]:
        """The check's value, and what it says if it doesn't hold."""
        try:
            value = self.function(subject)
            if value:
                return value, None
        except Exception as error:
            return None, Denial(f"raised {_last_line(error)}{self._where(error)}", error)
        hint = " (what holds is true: a check that only asserts ends with `return True`)"
        told = f"returned {quote(repr(value), VALUE)}{hint if value is None else ''}"
        return value, Denial(told)

    @property
    def name(self) -> str:
        return str(getattr(self.function, "__name__", self.function))

    def __str__(self) -> str:
        """The check with its place and its first line: `lambda (test_mine.py:12): …`."""
        code = getattr(self.function, "__code__", None)
        if code is None:
            return self.name
        name = self.name.strip("<>")
        file, line = code.co_filename, code.co_firstlineno
        source = quote(linecache.getline(file, line).strip(), VALUE)
        return f"{name} ({Path(file).name}:{line}): {source}"

    def _where(self, error: Exception) -> str:
        """The line of the check's own file in which the exception was raised, or came by."""
        file = getattr(getattr(self.function, "__code__", None), "co_filename", None)
        lines = [line for name, line in _frames(error.__traceback__) if name == file]
        return f" ({Path(str(file)).name}:{lines[-1]})" if lines else ""


def _frames(trace: TracebackType | None) -> list[tuple[str, int]]:
    return [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(trace)]


def _last_line(error: Exception) -> str:
    """The exception as the last line of a traceback names it."""
    text = f"{type(error).__name__}: {error}".removesuffix(": ")
    return quote(text, VALUE)
