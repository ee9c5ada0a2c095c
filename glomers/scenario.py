"""A scenario: every decision of a simulated run, as a small file that a person can read and write.

The file is a JSON object. What it doesn't say is the default: a message takes the latency of the
command, isn't lost and arrives once; no fault happens; no thread loses its turn.

- `command`: the words of the test's command after `glomers test`, as shell text. Its `--seed`
  decides what isn't written down: the nodes' own random numbers, clocks and start times.
- `latency`: that of all messages between servers of which nothing else is said, in milliseconds;
  by default the mean, `--latency`.
- `operations`: those of the load; without it they are drawn from the seed, as in any test. An
  operation waits for its worker if that is still busy. Worker i talks to node i mod n.
- `final`: those of the final phase; without it, the workload's own.
- `messages`: what becomes of messages between servers: `"lost": true`, or a `latency`, or one for
  each time that the message arrives. A message is named by its sender, its receiver, its type, and
  `nth`: it is the nth of these (by default the first), so that a name keeps its meaning when
  messages of other kinds come or go.
- `views`: which state the nth request of a `type` by `caller` sees at a `service`. In seq-kv it is
  that many states `behind` the newest (by default 0); in lww-kv it is that of a `replica` (0 or 1),
  after the `learner`, a replica, has learnt from the other one.
- `faults`: what the nemesis does: `f` as in the history, and the `grudge` (whose messages a node
  drops) or the `nodes` that are hit.
- `unsynced`: what the nth kill of `node` loses of what the node had changed on its disk and not
  synced: of all these steps (each byte written is one, as is each creation, renaming, removal and
  truncation of a file) those from `begin` (by default 0) up to `end` (by default all the rest).
- `switches`: a thread of `node` loses its turn before the nth time that the node is about to run
  `line` (such as "broadcast.py:44"), or the bytecode at `offset` of that line, for `wait`. If the
  source of that line is not `text`, the nearest line that is takes its place: the file may have
  changed since.

`time` is in seconds since the load began, in `final` since the final phase began; `latency` and
`wait` are in milliseconds. All are exact to the nanosecond.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from glomers.errors import UsageError, did_you_mean, quote
from glomers.history.times import MILLIS, NANOS
from glomers.history.values import depth

FILE = "scenario.json"
LONGEST = 1_000_000  # seconds, as for the options of a test
MOST_COPIES = 1_000  # arrivals of one message
Name = tuple[str, str, str, int]  # of a message: sender, receiver, type, the how manieth of these
DEEPEST = 100  # levels of lists and objects in an operation's value


@dataclass(frozen=True, slots=True)
class Invoke:
    """An operation that a worker begins. `time` and `wait` are in nanoseconds.

    The worker does nothing for `wait` first. `marks` are further keys of the history, such as
    ("final?", True).
    """

    f: str
    value: Any = None
    time: int = 0
    worker: int = 0
    wait: int = 0
    marks: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of the nth message of its kind: it arrives after each of `delays` (ns).

    Without a delay it is lost. `nth` counts from 1. `at` is when it was sent (decisions.Clock), if
    that was recorded; where `nth` is 0, the first message from then on is meant.
    """

    src: str
    dest: str
    type: str
    nth: int = 1
    delays: tuple[int, ...] = ()
    at: int | None = field(default=None, compare=False)

    @property
    def message(self) -> Name:
        return self.src, self.dest, self.type, self.nth


@dataclass(frozen=True, slots=True)
class View:
    """The state that the nth request of a kind sees at a service; see `services.State`.

    `at` is as that of a Fate.
    """

    service: str
    caller: str
    type: str
    nth: int = 1
    behind: int = 0
    replica: int = 0
    learner: int | None = None
    at: int | None = field(default=None, compare=False)

    @property
    def message(self) -> Name:
        """The request."""
        return self.caller, self.service, self.type, self.nth


@dataclass(frozen=True, slots=True)
class Action:
    """What the nemesis does at `time` (ns): `f`, and what precisely, if that starts a fault.

    `grudge` maps nodes to those whose messages they drop; `nodes` are the nodes that are hit.
    """

    f: str
    time: int = 0
    kind: str | None = None
    nodes: tuple[str, ...] | None = None
    grudge: Mapping[str, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Unsynced:
    """What the nth kill of `node` loses of the steps that it has not synced: from `begin` up to
    `end`, or all the rest if that is None. `at` is as that of a Fate."""

    node: str
    nth: int = 1
    begin: int = 0
    end: int | None = None
    at: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Switch:
    """A thread of `node` loses its turn for `wait` ns, before the nth run of a line.

    `line` is the file's name and the line's number, such as "broadcast.py:44". `nth` counts from 1.
    With an `offset`, the turn changes before the bytecode at that offset. `at` is as that of a
    Fate. `text` is the line's source, without the spaces around it; "" if nobody knows.
    """

    node: str
    line: str
    nth: int = 1
    wait: int = MILLIS
    offset: int | None = None
    at: int | None = field(default=None, compare=False)
    text: str = field(default="", compare=False)


Entry = Invoke | Fate | View | Action | Unsynced | Switch


@dataclass(frozen=True, slots=True)
class Scenario:
    """The decisions of a run; see the head of this module. `name` is for error messages."""

    command: tuple[str, ...] = ()
    latency: int | None = None  # nanoseconds
    operations: tuple[Invoke, ...] | None = None
    final: tuple[Invoke, ...] | None = None
    messages: tuple[Fate, ...] = ()
    views: tuple[View, ...] = ()
    faults: tuple[Action, ...] = ()
    unsynced: tuple[Unsynced, ...] = ()
    switches: tuple[Switch, ...] = ()
    name: str = field(default="the scenario", compare=False)

    def refusal(self, entry: Entry, problem: str) -> UsageError:
        """The error for an entry that doesn't fit the test."""
        return UsageError(self.remark(entry, problem))

    def remark(self, entry: Entry, text: str) -> str:
        """What there is to say of an entry."""
        return f"{self.name}: {quote(line_of(entry), 200)}: {text}"

    def __str__(self) -> str:
        """The text of the file: one decision a line."""
        parts = []
        if self.command:
            parts.append(f'"command": {json.dumps(shlex.join(self.command))}')
        if self.latency is not None:
            parts.append(f'"latency": {_decimal(self.latency, MILLIS)}')
        for name in _ENTRIES:
            entries = getattr(self, name)
            if entries or (entries is not None and name in ("operations", "final")):
                lines = ",\n".join(f"    {line_of(entry)}" for entry in entries)
                parts.append(f'"{name}": [\n{lines}\n  ]' if lines else f'"{name}": []')
        return "{\n" + ",\n".join(f"  {part}" for part in parts) + "\n}\n"


# Writing


def _decimal(nanoseconds: int, unit: int) -> str:
    """Nanoseconds as a number of units, exactly, as a person would write it."""
    whole, rest = divmod(nanoseconds, unit)
    digits = len(str(unit)) - 1
    return f"{whole}.{rest:0{digits}d}".rstrip("0").rstrip(".") if rest else str(whole)


def line_of(entry: Entry) -> str:
    """An entry as a JSON object, without what is the default."""
    said: dict[str, str | None] = {}
    if isinstance(entry, Invoke):
        said["time"] = _decimal(entry.time, NANOS)
        said["worker"] = str(entry.worker)
        said["f"] = json.dumps(entry.f)
        said["value"] = None if entry.value is None else json.dumps(entry.value)
        said["wait"] = _decimal(entry.wait, MILLIS) if entry.wait else None
        said.update((name, json.dumps(value)) for name, value in entry.marks)
    elif isinstance(entry, Fate):
        said.update((name, json.dumps(getattr(entry, name))) for name in ("src", "dest", "type"))
        said["nth"] = str(entry.nth)
        delays = [_decimal(delay, MILLIS) for delay in entry.delays]
        said["lost"] = None if delays else "true"
        said["latency"] = delays[0] if len(delays) == 1 else f"[{', '.join(delays)}]"
        said["latency"] = said["latency"] if delays else None
    elif isinstance(entry, View):
        for name in ("service", "caller", "type", "nth", "behind", "replica", "learner"):
            value = getattr(entry, name)
            needless = name in ("behind", "replica") and value == 0
            said[name] = None if value is None or needless else json.dumps(value)
    elif isinstance(entry, Action):
        said["time"] = _decimal(entry.time, NANOS)
        for name in ("f", "kind", "nodes", "grudge"):
            value = getattr(entry, name)
            said[name] = None if value is None else json.dumps(value)
    elif isinstance(entry, Unsynced):
        said["node"], said["nth"] = json.dumps(entry.node), str(entry.nth)
        said["begin"] = str(entry.begin) if entry.begin else None
        said["end"] = None if entry.end is None else str(entry.end)
    else:
        said["node"], said["line"] = json.dumps(entry.node), json.dumps(entry.line)
        said["nth"] = str(entry.nth)
        said["offset"] = None if entry.offset is None else str(entry.offset)
        said["wait"] = _decimal(entry.wait, MILLIS)
        said["text"] = json.dumps(entry.text) if entry.text else None
    parts = (f"{json.dumps(name)}: {text}" for name, text in said.items() if text is not None)
    return "{" + ", ".join(parts) + "}"


# Reading


def read(path: Path, name: str = "") -> Scenario:
    """The scenario in a file. Raises UsageError if it can't be read, or holds something else.

    Errors call the file `name`.
    """
    name = name or str(path)
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise UsageError(f"can't read the scenario {name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{name} is no scenario: it is not UTF-8 text") from None
    return parse(text, name)


def parse(text: str, name: str = "the scenario") -> Scenario:
    """The scenario in a text. Raises UsageError, which calls the text `name`, if it holds none."""
    try:
        content = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise UsageError(f"{name} is no JSON: {where}: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name} is no scenario: {quote(str(error), 100)}") from None
    try:
        if not isinstance(content, dict):
            raise _Misfit(f"{_quoted(content)}: expected a JSON object such as {_EXAMPLE}")
        _check_keys(content, ("command", "latency", *_ENTRIES))
        return Scenario(
            command=_whole(content, "command", _command, "a text that a shell could split", ()),
            latency=_whole(content, "latency", _milliseconds, _MILLISECONDS, None),
            operations=_entries(content, "operations", None),
            final=_entries(content, "final", None),
            messages=_different(content, "messages", _entries(content, "messages", ())),
            views=_different(content, "views", _entries(content, "views", ())),
            faults=_entries(content, "faults", ()),
            unsynced=_entries(content, "unsynced", ()),
            switches=_entries(content, "switches", ()),
            name=name,
        )
    except _Misfit as problem:
        raise UsageError(f"{name}: {problem}") from None


class _Misfit(Exception):
    """Why a part of the file can't be one of a scenario."""


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large a number")
    return number


def _quoted(value: Any) -> str:
    return quote(json.dumps(value), 200)


def _check_keys(content: Mapping[str, Any], known: Iterable[str]) -> None:
    for key in content:
        if key not in known:
            hint = did_you_mean(key, known)
            raise _Misfit(f"unknown key {_quoted(key)}; {hint}expected {', '.join(known)}")


def _whole(
    content: Mapping[str, Any],
    key: str,
    convert: Callable[[Any], Any],
    expected: str,
    default: Any,
) -> Any:
    """The value of `key`, converted. Raises _Misfit, which says what was `expected`."""
    if key not in content:
        return default
    try:
        return convert(content[key])
    except ValueError:
        problem = f"{key}: expected {expected}, not {_quoted(content[key])}"
        raise _Misfit(problem) from None


def _entries(content: Mapping[str, Any], key: str, default: Any) -> Any:
    """The entries of a list. Raises _Misfit, which quotes the entry."""
    if key not in content:
        return default
    make, example = _ENTRIES[key]
    entries = content[key]
    if not isinstance(entries, list):
        raise _Misfit(f"{key}: expected a list, not {_quoted(entries)}")
    made = []
    for number, entry in enumerate(entries, 1):
        try:
            if not isinstance(entry, dict):
                raise _Misfit(f"expected an object such as {example}")
            made.append(make(entry))
        except _Misfit as problem:
            where = f"{key}, entry {number}, {_quoted(entry)}"
            raise _Misfit(f"{where}: {problem}") from None
    return tuple(made)


N = TypeVar("N", Fate, View)


def _different(content: Mapping[str, Any], key: str, entries: tuple[N, ...]) -> tuple[N, ...]:
    """The entries, if no two are of the same message."""
    known = set()
    for number, entry in enumerate(entries):
        if entry.message in known:
            where = f"{key}, entry {number + 1}, {_quoted(content[key][number])}"
            raise _Misfit(f"{where}: this message came before")
        known.add(entry.message)
    return entries


# What a key's value can be. Each raises ValueError for anything else.


def _command(value: Any) -> tuple[str, ...]:
    return tuple(shlex.split(_text(value)))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _whole_number(least: int, most: float = math.inf) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise ValueError
        return value

    return convert


def _span(unit: int) -> Callable[[Any], int]:
    """Nanoseconds, from a number of units."""

    def convert(value: Any) -> int:
        if type(value) not in (int, float) or not 0 <= value <= LONGEST * (NANOS // unit):
            raise ValueError
        nanoseconds: int = round(value * unit)
        return nanoseconds

    return convert


_seconds, _milliseconds = _span(NANOS), _span(MILLIS)


def _shallow(value: Any) -> Any:
    if depth(value) > DEEPEST:
        raise ValueError
    return value


def _true(value: Any) -> bool:
    if value is not True:
        raise ValueError
    return True


def _latencies(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list):
        return (_milliseconds(value),)
    if not 1 <= len(value) <= MOST_COPIES:
        raise ValueError
    return tuple(map(_milliseconds, value))


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError
    return tuple(map(_text, value))


def _grudge(value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise ValueError
    return {node: _names(others) for node, others in value.items()}


def _place(value: Any) -> str:
    if not re.fullmatch(r"[^/]+:[1-9][0-9]*", _text(value)):
        raise ValueError
    return str(value)


_MILLISECONDS = f"a number of milliseconds, at most {1000 * LONGEST:,}"
_TEXT = _text, "a text"
_TIME = _seconds, f"a number of seconds, at most {LONGEST:,}"
_WAIT = _milliseconds, _MILLISECONDS
_NTH = _whole_number(1), "an integer from 1 on"
_COUNT = _whole_number(0), "an integer from 0 on"
_REPLICA = _whole_number(0, 1), "0 or 1"

Keys = Mapping[str, tuple[Callable[[Any], Any], str]]


def _fields(entry: Mapping[str, Any], known: Keys, needed: Iterable[str]) -> dict[str, Any]:
    """The converted values of an entry's keys. Raises _Misfit if one is unknown or missing."""
    _check_keys(entry, known)
    for key in needed:
        if key not in entry:
            raise _Misfit(f"expected {known[key][1]} as `{key}`")
    return {key: _whole(entry, key, *known[key], None) for key in entry}


def _invoke(entry: Mapping[str, Any]) -> Invoke:
    marks = {key: value for key, value in entry.items() if key.endswith("?")}
    others = {key: value for key, value in entry.items() if key not in marks}
    return Invoke(**_fields(others, _INVOKE, ["f"]), marks=tuple(marks.items()))


def _fate(entry: Mapping[str, Any]) -> Fate:
    said = _fields(entry, _FATE, ["src", "dest", "type"])
    lost, delays = said.pop("lost", False), said.pop("latency", ())
    if lost == bool(delays):
        raise _Misfit('expected either `"lost": true` or a `latency`')
    return Fate(**said, delays=delays)


def _view(entry: Mapping[str, Any]) -> View:
    return View(**_fields(entry, _VIEW, ["service", "caller", "type"]))


def _action(entry: Mapping[str, Any]) -> Action:
    return Action(**_fields(entry, _ACTION, ["f"]))


def _unsynced(entry: Mapping[str, Any]) -> Unsynced:
    said = Unsynced(**_fields(entry, _UNSYNCED, ["node"]))
    if said.end is not None and said.end <= said.begin:
        raise _Misfit(f"expected an `end` that is greater than `begin`, {said.begin}")
    return said


def _switch(entry: Mapping[str, Any]) -> Switch:
    return Switch(**_fields(entry, _SWITCH, ["node", "line"]))


_INVOKE: Keys = {
    "time": _TIME,
    "worker": _COUNT,
    "f": _TEXT,
    "value": (_shallow, f"a value that is nested at most {DEEPEST} deep"),
    "wait": _WAIT,
}
_FATE: Keys = {
    "src": _TEXT,
    "dest": _TEXT,
    "type": _TEXT,
    "nth": _NTH,
    "lost": (_true, "true"),
    "latency": (_latencies, f"{_MILLISECONDS}, or a list of such, one for each arrival"),
}
_VIEW: Keys = {
    "service": _TEXT,
    "caller": _TEXT,
    "type": _TEXT,
    "nth": _NTH,
    "behind": _COUNT,
    "replica": _REPLICA,
    "learner": _REPLICA,
}
_ACTION: Keys = {
    "time": _TIME,
    "f": _TEXT,
    "kind": _TEXT,
    "nodes": (_names, "a list of nodes"),
    "grudge": (_grudge, 'an object such as {"n0": ["n1", "n2"]}: n0 drops what they send'),
}
_UNSYNCED: Keys = {"node": _TEXT, "nth": _NTH, "begin": _COUNT, "end": _COUNT}
_SWITCH: Keys = {
    "node": _TEXT,
    "line": (_place, 'a file\'s name and a line, such as "broadcast.py:44"'),
    "nth": _NTH,
    "wait": _WAIT,
    "offset": _COUNT,
    "text": _TEXT,
}
_OPERATION_EXAMPLE = '{"time": 0.5, "worker": 0, "f": "read"}'
_ENTRIES: Mapping[str, tuple[Callable[[Mapping[str, Any]], Any], str]] = {
    "operations": (_invoke, _OPERATION_EXAMPLE),
    "final": (_invoke, _OPERATION_EXAMPLE),
    "messages": (_fate, '{"src": "n0", "dest": "n1", "type": "gossip", "nth": 1, "lost": true}'),
    "views": (_view, '{"service": "seq-kv", "caller": "n0", "type": "read", "behind": 1}'),
    "faults": (_action, '{"time": 2, "f": "kill", "nodes": ["n1"]}'),
    "unsynced": (_unsynced, '{"node": "n1", "nth": 1, "begin": 20}'),
    "switches": (_switch, '{"node": "n0", "line": "broadcast.py:44", "nth": 3, "wait": 1.5}'),
}
_EXAMPLE = f'{{"command": "-w echo --bin echo.py", "operations": [{_OPERATION_EXAMPLE}]}}'
