"""A person's own checks: functions of a cluster's state, or of a history.

A check holds if what it returns is true; it doesn't if that is false, None included, or if it
raises an exception. None doesn't count as true, because a check that never says so could pass for
ever without having looked.

A file of checks (`--check FILE`) is a Python file with functions that are called so, or whose names
begin so and go on with an underscore:

- `always(cluster)` is asked when the load begins, and after every event from then on.
- `eventually(cluster)` is asked when everything is over, all faults included, and must come to hold
  within 10 virtual seconds, or as many as the default of its parameter `within` says.
- `check(history)` is asked once, about all operations.
"""

from __future__ import annotations

import inspect
import linecache
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from glomers.checkers.verdict import UNKNOWN, merge_valid
from glomers.errors import UsageError, quote
from glomers.history.evidence import Evidence
from glomers.history.operations import History
from glomers.history.times import nanos
from glomers.invocation import shown
from glomers.report.reasons import CASES, Reason, listed, summary

if TYPE_CHECKING:
    from glomers.run.run_view import RunView

# pytest leaves these lines out of tracebacks: a failure is shown at the test's own line.
__tracebackhide__ = True

VALUE = 300  # characters of a value in an error
WITHIN = 10.0  # virtual seconds
PART = "check"  # among the results
PROMISES = (  # what is called and has not run yet
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
)
KINDS = ("always", "eventually", "check")


@dataclass(frozen=True, slots=True)
class Denial:
    """What a check said when it didn't hold: in words, and the exception if it raised one."""

    text: str
    error: Exception | SystemExit | None = None

    @property
    def is_mistake(self) -> bool:
        """Whether the check broke off, so that it neither holds nor doesn't."""
        return self.error is not None and not isinstance(self.error, AssertionError)


@dataclass(frozen=True, slots=True)
class Check:
    """A function of one argument that is asked whether something holds.

    Raises TypeError for a function that can't say it.
    """

    function: Callable[[Any], object]

    def __post_init__(self) -> None:
        function = self.function
        if not callable(function):
            raise TypeError(f"{quote(repr(function), VALUE)} is no function, so it is no check")
        if any(is_it(function) for is_it in PROMISES):
            raise TypeError(f"{self.name} is async or has a yield: it can't say at once what holds")
        try:
            inspect.signature(function).bind(None)
        except TypeError:
            raise TypeError(f"{self.name} can't be called with one argument") from None
        except ValueError:  # a function in C that doesn't tell
            return

    def denial(self, subject: Any) -> Denial | None:
        """What the check says if it doesn't hold; None if it holds."""
        return self.ask(subject)[1]

    def ask(self, subject: Any) -> tuple[object, Denial | None]:
        """The check's value, and what it says if it doesn't hold."""
        try:
            value = self.function(subject)
            if value:
                return value, None
        except (Exception, SystemExit) as error:
            return None, Denial(f"raised {_last_line(error)}{self._where(error)}", error)
        hint = " (what holds is true: a check that only asserts ends with `return True`)"
        told = f"returned {_shown(value)}{hint if value is None else ''}"
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

    def _where(self, error: BaseException) -> str:
        """The line of the check's own file in which the exception was raised, or came by."""
        file = getattr(getattr(self.function, "__code__", None), "co_filename", None)
        lines = [line for name, line in _frames(error.__traceback__) if name == file]
        return f" ({Path(str(file)).name}:{lines[-1]})" if lines else ""


def _frames(trace: TracebackType | None) -> list[tuple[str, int]]:
    return [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(trace)]


def _last_line(error: BaseException) -> str:
    """The exception as the last line of a traceback names it."""
    try:
        text = f"{type(error).__name__}: {error}".removesuffix(": ")
    except Exception:
        text = f"{type(error).__name__}: <exception str() failed>"
    return quote(text, VALUE)


def _shown(value: object) -> str:
    """The value as an error shows it."""
    try:
        return quote(repr(value), VALUE)
    except Exception as error:
        return f"a {type(value).__name__} whose repr() raised {_last_line(error)}"


# Files of checks


@dataclass(frozen=True, slots=True)
class CheckFile:
    """The checks of a file, by kind."""

    path: Path
    checks: Mapping[str, Sequence[Check]]

    @property
    def needs_a_cluster(self) -> bool:
        """Whether there are checks that look at a simulated cluster."""
        return bool(self.checks["always"] or self.checks["eventually"])


_cache: dict[tuple[Path, int], CodeType] = {}


def load(path: Path, simulated: bool = True) -> CheckFile:
    """The checks in a file, which is run anew each time.

    Raises UsageError if the file can't be run or has no checks, or one that needs simulation in a
    test that isn't `simulated`.
    """
    module = _run(path)
    checks: dict[str, list[Check]] = {kind: [] for kind in KINDS}
    for name, value in vars(module).items():
        kind = name.partition("_")[0]
        if kind not in KINDS or isinstance(value, ModuleType | type):
            continue
        if getattr(value, "__module__", module.__name__) != module.__name__:
            continue  # imported
        try:
            checks[kind].append(Check(value))
        except TypeError as error:
            raise UsageError(f"--check {shown(path)}: {error}") from None
    for check in checks["eventually"]:
        _within(path, check)
    file = CheckFile(path, checks)
    if not any(checks.values()):
        raise UsageError(
            f"--check {shown(path)}: it has no check: expected a function always(cluster), "
            "eventually(cluster) or check(history)"
        )
    if file.needs_a_cluster and not simulated:
        which = listed(check.name for kind in KINDS[:2] for check in checks[kind])
        raise UsageError(
            f"--check {shown(path)}: {which} can only look at a simulated cluster, "
            "with --simulate; without it there is check(history)"
        )
    return file


def _run(path: Path) -> ModuleType:
    """Run a file as a module of its own."""

    def wrong(problem: str) -> UsageError:
        return UsageError(f"--check {shown(path)}: {problem}")

    try:
        key = path, path.stat().st_mtime_ns
        if key not in _cache:
            _cache[key] = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except OSError as error:
        raise wrong(f"can't read it: {error.strerror}") from None
    except SyntaxError as error:
        raise wrong(f"line {error.lineno} is no Python: {error.msg}") from None
    except ValueError as error:
        raise wrong(f"it is no Python: {error}") from None
    # Others find it by its name, as dataclasses do; nobody imports one with a space.
    module = sys.modules[f"checks of {path.stem}"] = ModuleType(f"checks of {path.stem}")
    module.__file__ = str(path)
    folder = str(path.absolute().parent)
    sys.path.insert(0, folder)
    try:
        exec(_cache[key], vars(module))
    except (Exception, SystemExit) as error:
        lines = [line for file, line in _frames(error.__traceback__) if file == str(path)]
        where = f"line {lines[-1]} " if lines else ""
        raise wrong(f"{where}raised {_last_line(error)}") from None
    finally:
        with suppress(ValueError):  # the file has removed it
            sys.path.remove(folder)
    return module


def _within(path: Path, check: Check) -> float:
    """Virtual seconds within which a check must come to hold."""
    parameter = inspect.signature(check.function).parameters.get("within")
    within = WITHIN if parameter is None else parameter.default
    if isinstance(within, bool) or not isinstance(within, int | float) or not 0 <= within < 1e6:
        raise UsageError(
            f"--check {shown(path)}: {check.name} has within={within!r}: expected how many virtual "
            "seconds it may take to hold"
        )
    return within


class Checks:
    """The checks of one run: asks them in time, and keeps what they say. One that has failed is not
    asked again, and the run goes on.

    `view` is what those of a cluster look at; there is none in real time.
    """

    def __init__(self, file: CheckFile, view: RunView | None = None) -> None:
        self._file = file
        self._view = view
        self._always: list[Check] = []
        self._awaited: list[Check] = []
        self._then: Callable[[], object] = lambda: None
        self._failures: list[dict[str, Any]] = []

    @property
    def must_settle(self) -> bool:
        """Whether there is something that must come to hold when all is over."""
        return bool(self._file.checks["eventually"])

    def begin(self) -> None:
        """The load begins."""
        self._always = list(self._file.checks["always"])
        if self._view and self._always:
            self._look_always()
            self._view.observe(self._look_always)

    def _look_always(self, *event: Any) -> None:
        assert self._view is not None
        for check in list(self._always):
            if (denial := check.denial(self._view)) is not None:
                self._always.remove(check)
                told = self._view.told(*event) if event else "when the load began"
                self._fail(check, denial, f"{denial.text} {self._view.when}, {told}", event)

    def settle(self, then: Callable[[], object]) -> None:
        """All is over: let time pass until what must come to hold does, then call `then`."""
        self._awaited = list(self._file.checks["eventually"])
        self._then = then
        assert self._view is not None
        self._view.observe(self._look_awaited)
        for check in self._awaited:
            self._view.call_later(_within(self._file.path, check), self._give_up, check)

    def _look_awaited(self, *_: object) -> None:
        assert self._view is not None
        self._awaited = [check for check in self._awaited if check.denial(self._view)]
        if not self._awaited:
            self._view.unobserve(self._look_awaited)
            self._then()

    def _give_up(self, check: Check) -> None:
        assert self._view is not None
        if check in self._awaited and (denial := check.denial(self._view)) is not None:
            self._awaited.remove(check)
            within = _within(self._file.path, check)
            told = f"did not come to hold within {within:g} s of the end: at last it {denial.text}"
            self._fail(check, denial, told)

    def results(self, results: Mapping[str, Any], history: History) -> dict[str, Any]:
        """The results of a run, and among them those of its checks."""
        for check in self._file.checks["check"]:
            if (denial := check.denial(history)) is not None:
                self._fail(check, denial, denial.text)
        wrong = [failure for failure in self._failures if not failure["mistake"]]
        part: dict[str, Any] = {
            "valid?": False if wrong else UNKNOWN if self._failures else True,
            "file": self._file.path.name,
            "asked": [check.name for kind in KINDS for check in self._file.checks[kind]],
            "failures": self._failures,
        }
        if self._failures and not wrong:
            part["error"] = "; ".join(failure["text"] for failure in self._failures)
        verdict = merge_valid([results["valid?"], part["valid?"]])
        return {**results, PART: part, "valid?": verdict}

    def _fail(self, check: Check, denial: Denial, told: str, event: Sequence[Any] = ()) -> None:
        """Keep that a check has failed, after `event` if that is known."""
        code = getattr(check.function, "__code__", None)
        place = f" ({self._file.path.name}:{code.co_firstlineno})" if code else ""
        in_time = self._view is not None and check not in self._file.checks["check"]
        failure: dict[str, Any] = {
            "function": check.name,
            "text": f"{check.name}{place} {told}",
            "mistake": denial.is_mistake,
            "time": nanos(self._view.now) if self._view and in_time else None,
            "messages": [],
            "nodes": [],
        }
        if self._view and event and (message := self._view.message_of(*event)):
            failure["messages"] = [message.id]
            failure["nodes"] = [node for node in (message.src, message.dest) if node[:1] != "c"]
        self._failures.append(failure)


def explain(result: Mapping[str, Any], evidence: Evidence) -> Iterator[Reason]:
    """Why the checks of a file make a run not valid: what they said, in the order of failing."""
    wrong = [failure for failure in result["failures"] if not failure["mistake"]]
    names = listed(str(failure["function"]) for failure in wrong)
    hold = "does" if len(wrong) == 1 else "do"
    yield summary(PART, f"{names} of {result['file']} {hold} not hold")
    for failure in sorted(result["failures"], key=lambda each: bool(each["mistake"]))[:CASES]:
        yield Reason(
            str(failure["function"]),
            str(failure["text"]),
            failure["time"],
            messages=tuple(failure["messages"]),
            nodes=tuple(map(str, failure["nodes"])),
        )
