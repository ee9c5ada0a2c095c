"""What happened in a test: a history of operations, ours or one that Maelstrom wrote.

A history is a list of operations in the order in which they happened. A client's operation
appears twice: as an `invoke`, and as its completion `ok`, `fail` or `info`. One process does one
thing at a time, so a completion belongs to the last invocation of its process. An operation
that was still open when the test ended has no completion.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, overload

from glomers.errors import UsageError, quote
from glomers.history import edn
from glomers.history.edn import Keyword, Record

NEMESIS = "nemesis"
NONE = -1  # the place where there is no operation
TYPES = ("invoke", "ok", "fail", "info")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of a history, in Jepsen's terms.

    `time` is in nanoseconds since the test began. `type` is "invoke", "ok", "fail" (it certainly
    did not happen) or "info" (nobody knows). `process` is a client process's number or "nemesis".
    `f` names what was done ("read", "broadcast", "start-partition"). `final` marks the reads of
    the final phase. `extra` holds further keys that a workload adds ("seek-to-beginning?").
    """

    index: int
    time: int
    type: str
    process: int | str
    f: str
    value: Any = None
    error: Any = None
    final: bool = False
    extra: tuple[tuple[str, Any], ...] = ()

    @property
    def is_client(self) -> bool:
        return self.process != NEMESIS


class History(Sequence[Operation]):
    """The operations of one test, in order, and which completion belongs to which invocation."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._operations = list(operations)
        # For each place in the history: the place of the pair's other operation, or NONE. This is
        # an array, because a dict of operations takes several times as much memory.
        self._partners = array("q", [NONE]) * len(self._operations)
        open_by_process: dict[int | str, int] = {}
        for place, operation in enumerate(self._operations):
            if operation.process == NEMESIS:
                continue
            if operation.type == "invoke":
                open_by_process[operation.process] = place
            elif (began := open_by_process.pop(operation.process, None)) is not None:
                self._partners[began], self._partners[place] = place, began
        # The place of each operation, unless that is its index.
        self._places: dict[int, int] | None = None
        if any(operation.index != place for place, operation in enumerate(self._operations)):
            self._places = {operation.index: i for i, operation in enumerate(self._operations)}
        self._derived: dict[Callable[[History], Any], Any] = {}

    def derived(self, make: Callable[[History], T]) -> T:
        """`make(history)`, made once for all who ask, and kept as long as the history is."""
        if make not in self._derived:
            self._derived[make] = make(self)
        made: T = self._derived[make]
        return made

    def __len__(self) -> int:
        return len(self._operations)

    @overload
    def __getitem__(self, index: int) -> Operation: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Operation]: ...
    def __getitem__(self, index: int | slice) -> Operation | Sequence[Operation]:
        return self._operations[index]

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._operations)

    def client_operations(self) -> Iterator[Operation]:
        """All operations except the nemesis's."""
        return (operation for operation in self._operations if operation.process != NEMESIS)

    def completion(self, invocation: Operation) -> Operation | None:
        """The operation that ended `invocation`, or None if the test ended first."""
        return self._partner(invocation.index)

    def invocation(self, completion: Operation) -> Operation | None:
        """The invocation that `completion` ended, or None if there is none."""
        return self._partner(completion.index)

    def pairs(self) -> Iterator[tuple[Operation, Operation | None]]:
        """Every client invocation with its completion, in order of invocation."""
        for place, operation in enumerate(self._operations):
            if operation.is_client and operation.type == "invoke":
                yield operation, self._at(self._partners[place])

    def _partner(self, index: int) -> Operation | None:
        place = index if self._places is None else self._places.get(index, NONE)
        return self._at(self._partners[place]) if 0 <= place < len(self._partners) else None

    def _at(self, place: int) -> Operation | None:
        return None if place == NONE else self._operations[place]


# Writing


def as_map(operation: Operation) -> Record:
    """The operation as results show it: `#jepsen.history.Op{:index 0, …}`."""
    fields: dict[str, Any] = {
        "index": operation.index,
        "time": operation.time,
        "type": Keyword(operation.type),
        "process": operation.process if operation.is_client else Keyword(NEMESIS),
        "f": Keyword(operation.f),
        "value": operation.value,
    }
    if operation.error is not None:
        fields["error"] = operation.error
    if operation.final:
        fields["final?"] = True
    fields.update(operation.extra)
    return Record(((Keyword(name), value) for name, value in fields.items()), "jepsen.history.Op")


def to_edn_line(operation: Operation) -> str:
    """The operation as a line of `history.edn`, without the line's end.

    The line is byte for byte what Maelstrom writes. Optimised, because this is called for every
    operation while a test runs.
    """
    process = operation.process if operation.is_client else ":nemesis"
    parts = [
        f"{{:index {operation.index}, :time {operation.time}, :type :{operation.type}, "
        f":process {process}, :f :{operation.f}, :value {edn.dumps(operation.value)}"
    ]
    if operation.error is not None:
        parts.append(f":error {edn.dumps(operation.error)}")
    if operation.final:
        parts.append(":final? true")
    parts += [f":{name} {edn.dumps(value)}" for name, value in operation.extra]
    return ", ".join(parts) + "}"


def to_json_line(operation: Operation) -> str:
    """The operation as a line of `history.jsonl`, without the line's end.

    The keys are those of EDN. JSON has neither keywords nor sets: they become strings and sorted
    lists. Optimised like `to_edn_line`.
    """
    process = operation.process if operation.is_client else f'"{NEMESIS}"'
    parts = [
        f'{{"index": {operation.index}, "time": {operation.time}, "type": "{operation.type}", '
        f'"process": {process}, "f": {_json(operation.f)}, "value": {_json(operation.value)}'
    ]
    if operation.error is not None:
        parts.append(f'"error": {_json(operation.error)}')
    if operation.final:
        parts.append('"final?": true')
    parts += [f"{_json(name)}: {_json(value)}" for name, value in operation.extra]
    return ", ".join(parts) + "}"


_json = json.JSONEncoder(default=edn.to_json).encode


# Reading


class HistoryError(UsageError):
    """A file holds no history that can be judged. The error says where, and what was expected."""


def read_history(path: Path, so_far: bool = False) -> History:
    """Read a history: EDN or JSON, plain or gzipped, or the folder of a test that holds one.

    One that is only there `so_far` may be empty, and end within a line, which is left out.

    The file has one operation a line, or all of them in one vector. Values come in the shapes of
    JSON (see edn.to_json), so that both notations give the same operations. Raises HistoryError.
    """
    file = _file(path)
    reader = _Reader()
    text = _text(file)
    if so_far:
        text = text[: text.rfind("\n") + 1]
    try:
        operations = [reader.operation(*entry) for entry in _entries(text)]
    except _Unreadable as problem:
        raise HistoryError(f"{file}, {problem}") from None
    except RecursionError:
        raise HistoryError(f"{file} holds a value that is nested too deeply") from None
    if not operations and not so_far:
        raise HistoryError(f"{file} is empty; expected operations like {_EXAMPLE}")
    return History(operations)


def refusal(path: Path, operation: Operation, problem: str, expected: str) -> HistoryError:
    """The error for an operation of the history at `path` that isn't as it should be.

    The error says where the operation is in the file, and quotes it.
    """
    file = _file(path)
    entries = _entries(_text(file))
    where, _, source = next(e for e in entries if e[1]["index"] == operation.index)
    return HistoryError(f"{file}, {_Unreadable(where, problem, source, expected)}")


def _file(path: Path) -> Path:
    """The history's file: `path` itself or, if that is the folder of a test, the file in it."""
    return _history_in(path) if path.is_dir() else path


def _history_in(folder: Path) -> Path:
    names = [f"history.{notation}" for notation in ("jsonl", "jsonl.gz", "edn", "edn.gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise HistoryError(f"{folder} holds no history; expected one of {', '.join(names)}")


def _text(file: Path) -> str:
    try:
        content = file.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        return content.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise HistoryError(f"{file}, line {line}: this is no text (not UTF-8)") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise HistoryError(f"{file}: gzip says that it is damaged or cut off: {error}") from None
    except OSError as error:
        raise HistoryError(f"can't read {file}: {error.strerror}") from None


class _Unreadable(Exception):
    """What is wrong with an entry of the file, and where the entry is."""

    def __init__(self, where: str, problem: str, source: str = "", expected: str = "") -> None:
        evidence = f": {quote(source.strip(), 200)}" if source else ""
        expected = expected or f"operations like {_EXAMPLE}"
        super().__init__(f"{where}: {problem}{evidence}\nExpected {expected}")


def _entries(text: str) -> Iterator[tuple[str, Any, str]]:
    """For each entry of the file: where it is, its value, and its text."""
    if text.lstrip().startswith("["):
        for number, item in enumerate(_parse(text, 1), 1):
            yield f"operation {number}", item, edn.dumps(item)
    else:
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip() and not line.lstrip().startswith(";"):
                yield f"line {number}", _parse(line, number), line


def _parse(source: str, line: int) -> Any:
    """The value of `source`, which begins in line `line` of the file."""
    try:
        return json.loads(source) if _IS_JSON.match(source) else edn.loads(source, shared=True)
    except edn.EDNError as error:
        where = f"line {line + error.line - 1}, column {error.column}"
        problem = f"this is no EDN, {error.problem}"
    except json.JSONDecodeError as error:
        where = f"line {line + error.lineno - 1}, column {error.colno}"
        problem = f"this is no JSON, {error.msg}"
    raise _Unreadable(where, problem, source)


_IS_JSON = re.compile(r'[\s\[]*\{\s*"')
_EXAMPLE = "{:index 0, :time 22712901, :type :invoke, :process 0, :f :echo, :value …}"
_REQUIRED = ("index", "time", "type", "process", "f")
_KNOWN = frozenset((*_REQUIRED, "value", "error", "final?"))


class _Reader:
    """Makes operations from a file's entries, and checks that together they can be a history."""

    def __init__(self) -> None:
        self._last_index = -1
        self._last_time: int | None = None
        # For each process: where in the file its open invocation is, and the invocation.
        self._running: dict[int | str, tuple[str, Operation]] = {}

    def operation(self, where: str, fields: Any, source: str) -> Operation:
        try:
            self._check_fields(fields)
            operation = self._in_sequence(where, _operation(fields))
        except ValueError as problem:
            raise _Unreadable(where, str(problem), source) from None
        return operation

    def _check_fields(self, fields: Any) -> None:
        if not isinstance(fields, dict):
            raise ValueError("not an operation")
        if missing := [f":{name}" for name in _REQUIRED if name not in fields]:
            raise ValueError(f"an operation without {' and '.join(missing)}")
        if fields["type"] not in TYPES:
            raise ValueError(f"unknown :type, none of {', '.join(TYPES)}")
        if type(fields["index"]) is not int or type(fields["time"]) is not int:
            raise ValueError(":index and :time must be integers")
        if type(fields["process"]) is not int and fields["process"] != NEMESIS:
            raise ValueError(":process must be an integer or :nemesis")
        if not isinstance(fields["f"], str):
            raise ValueError(":f must be a keyword")

    def _in_sequence(self, where: str, operation: Operation) -> Operation:
        """The operation, if it can come next. Raises ValueError otherwise.

        Indices must rise, time must not go back, and a process does one operation at a time. A
        completion that isn't `ok` and has no value gets the value of its invocation.
        """
        if operation.index <= self._last_index:
            raise ValueError(f":index must rise, but an earlier one is {self._last_index}")
        self._last_index = operation.index
        if self._last_time is not None and operation.time < self._last_time:
            raise ValueError(f":time must not go back, but an earlier one is {self._last_time}")
        self._last_time = operation.time
        process = operation.process
        if process == NEMESIS:
            return operation
        if operation.type == "invoke":
            if process in self._running:
                busy, _ = self._running[process]
                raise ValueError(f"process {process} still does what it began at {busy}")
            self._running[process] = where, operation
            return operation
        if process not in self._running:
            raise ValueError(f"process {process} ends what it never began")
        began, invocation = self._running.pop(process)
        if operation.f != invocation.f:
            raise ValueError(
                f"process {process} ends :{operation.f},"
                f" but what it began at {began} is :{invocation.f}"
            )
        if operation.type != "ok" and operation.value is None:
            return replace(operation, value=invocation.value)
        return operation


def _operation(fields: dict[str, Any]) -> Operation:
    index, time, type, process, f = (fields[name] for name in _REQUIRED)
    value, error = edn.to_json(fields.get("value")), edn.to_json(fields.get("error"))
    others = [name for name in fields if name not in _KNOWN]
    extra = tuple((name, edn.to_json(fields[name])) for name in others)
    return Operation(index, time, type, process, f, value, error, bool(fields.get("final?")), extra)
