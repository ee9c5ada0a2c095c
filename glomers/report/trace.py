"""A test in the Chrome trace format, for Perfetto (https://ui.perfetto.dev) and chrome://tracing.

The format is that of
https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU: JSON objects with a
phase `ph`, microseconds `ts`, a process `pid` and a thread `tid`.

Theory of operation. A node is a process; what it does at the same time stands on several threads:

- a *handler* is a slice from the receipt of a request to the sending of its answer;
- a *wait* is a slice from the sending of a request to the receipt of its answer;
- any other message is a slice without length where it is sent, and another where it is received.

A message that arrives is a flow from where it is sent (`s`) to where it is received (`f`); each
copy of it has its own. A flow belongs to the slice that is open on its thread, so slices are
written as beginnings and ends (`B`, `E`) with the flows between them, and all of it in the order in
which it happened. Where times are the same, a message is sent before it is received, and received
before what its receiver sends thereupon: that is the order of sending, in which rows are numbered.
"""

from __future__ import annotations

import heapq
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from glomers.report.columns import TextReader
from glomers.report.journal import ARRIVED, FATES, LATE, NONE, Messages
from glomers.report.page import Run, written_whole

Event = dict[str, Any]

SENT, RECEIVED = 0, 1
CLIENTS, FAULTS, PROBLEMS = "clients", "faults", "what went wrong"


def write(run: Run, file: Path) -> None:
    """Write the trace of a run, event by event. Raises OSError if the file can't be written."""
    about = {"test": f"{run.workload}/{run.folder}", "load began at (µs)": -_earliest(run)}
    encode = json.JSONEncoder(separators=(",", ":")).encode
    with written_whole(file) as out:
        out.write(f'{{"displayTimeUnit": "ms", "otherData": {json.dumps(about)}, "traceEvents": [')
        for number, event in enumerate(events(run)):
            out.write(",\n" if number else "\n")
            out.write(encode(event))
        out.write("\n]}\n")


def events(run: Run) -> Iterator[Event]:
    """All events of a run. Times count from the first of them, since none may be negative."""
    tracks = _Tracks()
    origin = _earliest(run)
    parts = _operations(run, tracks), _faults(run, tracks), _moments(run, tracks, origin)
    for event in chain(*parts, _messages(run.messages, tracks)):
        yield from tracks.announced()
        yield {**event, "ts": event["ts"] - origin}


def _earliest(run: Run) -> int:
    """When the first event was, in microseconds since the load began; it began no later than 0."""
    others = [log.times for log in run.logs.values()]
    times = [time // 1000 for some in others for time in some if time is not None]
    return min((0, *run.messages.at[:1], *times))


# Processes and threads


class _Tracks:
    """Gives numbers to processes and threads; each is announced by name before its first event."""

    def __init__(self) -> None:
        self._processes: dict[str, int] = {}
        self._threads: dict[tuple[str, str], int] = {}
        self._news: list[Event] = []
        self._free: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._lanes: dict[tuple[str, str], int] = defaultdict(int)

    def track(self, process: str, thread: str) -> Event:
        """The fields of an event there."""
        pid = self._processes.get(process)
        if pid is None:
            pid = self._processes[process] = len(self._processes) + 1
            self._tell(pid, 0, "process_name", name=process)
            self._tell(pid, 0, "process_sort_index", sort_index=_rank(process))
        tid = self._threads.get((process, thread))
        if tid is None:
            tid = self._threads[process, thread] = len(self._threads) + 1
            self._tell(pid, tid, "thread_name", name=thread)
            self._tell(pid, tid, "thread_sort_index", sort_index=_rank_of_thread(thread))
        return {"pid": pid, "tid": tid}

    def take(self, process: str, kind: str) -> tuple[Event, int]:
        """A thread of this kind that has no open slice, and its number to give it back."""
        free = self._free[process, kind]
        if free:
            lane = heapq.heappop(free)
        else:
            lane = self._lanes[process, kind] = self._lanes[process, kind] + 1
        return self.lane(process, kind, lane), lane

    def lane(self, process: str, kind: str, number: int) -> Event:
        return self.track(process, kind if number == 1 else f"{kind} {number}")

    def give_back(self, process: str, kind: str, lane: int) -> None:
        heapq.heappush(self._free[process, kind], lane)

    def announced(self) -> Iterator[Event]:
        """What has come since the last call."""
        yield from self._news
        self._news.clear()

    def _tell(self, pid: int, tid: int, what: str, **args: Any) -> None:
        event = {"ph": "M", "name": what, "ts": 0, "pid": pid, "tid": tid, "args": args}
        self._news.append(event)


def _rank(process: str) -> int:
    """The place of a process from top to bottom: problems, faults, clients, nodes, services."""
    first = (PROBLEMS, FAULTS, CLIENTS)
    if process in first:
        return first.index(process)
    number = re.fullmatch(r"n(\d{1,6})", process)
    return len(first) + (int(number[1]) if number else 1_000_000)


def _rank_of_thread(thread: str) -> int:
    """The place of a thread in its process: by kind, and then by number."""
    kinds = ("process", "handlers", "waits", "messages")
    kind = next((n for n, kind in enumerate(kinds) if kind in thread), len(kinds))
    number = re.search(r"\d{1,6}", thread)
    return kind * 1_000_000 + (int(number[0]) if number else 0)


# Beside the messages


def _operations(run: Run, tracks: _Tracks) -> Iterator[Event]:
    """Each operation as a slice of the process that did it."""
    end = max(run.messages.end, run.history[-1].time // 1000 if len(run.history) else 0)
    for began, ended in run.history.pairs():
        start = began.time // 1000
        took = (end if ended is None else ended.time // 1000) - start
        outcome = ended.type if ended else "no answer"
        args = {"outcome": outcome, "asked": json.dumps(began.value)}
        if ended is not None and ended.type == "ok":
            args["answered"] = json.dumps(ended.value)
        if ended is not None and ended.error is not None:
            args["error"] = json.dumps(ended.error)
        yield {
            "ph": "X",
            "cat": f"operation,{outcome}",
            "name": began.f,
            "ts": start,
            "dur": took,
            **tracks.track(CLIENTS, f"process {began.process}"),
            "args": args,
        }


def _faults(run: Run, tracks: _Tracks) -> Iterator[Event]:
    """Each fault as a slice; faults of different names may overlap."""
    end = max(run.messages.end, run.history[-1].time // 1000 if len(run.history) else 0)
    for span in run.faults:
        start = span.start // 1000
        until = end if span.end is None else span.end // 1000
        args = {"nodes": " ".join(span.nodes)} if span.nodes else {"cut": json.dumps(span.cut)}
        yield {
            "ph": "X",
            "cat": "fault",
            "name": f"{span.name} ({span.kind})",
            "ts": start,
            "dur": max(0, until - start),
            "args": args,
            **tracks.track(FAULTS, span.name),
        }


def _moments(run: Run, tracks: _Tracks, origin: int) -> Iterator[Event]:
    """What went wrong, and what nodes printed, where the time of it is known."""
    for problem in run.problems:
        if problem.time is not None:
            yield {
                "ph": "i",
                "s": "p",
                "cat": problem.level,
                "name": problem.text,
                "ts": max(problem.time // 1000, origin),
                **tracks.track(PROBLEMS, "problems"),
            }
    for node, log in run.logs.items():
        for line, time in zip(log.lines, log.times):
            if time is not None:
                yield {
                    "ph": "i",
                    "s": "t",
                    "cat": "stderr",
                    "name": line or " ",
                    "ts": time // 1000,
                    **tracks.track(node, "stderr"),
                }


# Messages


class _Matches:
    """Which receipt begins a handler and which ends a wait. A flow's id is that of a delivery.

    The delivery of a message has its row's number, those of its copies come after all rows.
    """

    def __init__(self, messages: Messages) -> None:
        self.deliveries: dict[int, list[tuple[int, int]]] = defaultdict(list)  # time and id, by row
        count = len(messages)
        fates = zip(range(count), messages.took, messages.fate)
        for id, (row, took, fate) in enumerate((*fates, *messages.copies)):
            if fate in (ARRIVED, LATE) and took != NONE:
                self.deliveries[row].append((messages.at[row] + took, id))
        self.handled: dict[int, int] = {}  # by the row of a request: the delivery that was answered
        self.answers: dict[int, int] = {}  # by the row of an answer: its request
        self.waited: dict[
            int, int
        ] = {}  # by the row of a request: the delivery that ended the wait
        seen: set[int] = set()
        for answer, request in enumerate(messages.request):
            if request == NONE or request in seen:
                continue
            seen.add(request)
            before = [d for d in self.deliveries[request] if d[0] <= messages.at[answer]]
            if before and messages.src[answer] == messages.dest[request]:
                self.handled[request] = min(before)[1]
                self.answers[answer] = request
            if after := self.deliveries[answer]:
                self.waited[request] = min(after)[1]


def _messages(messages: Messages, tracks: _Tracks) -> Iterator[Event]:
    """Handlers, waits, and all else that was sent and received, with the flows between them."""
    matches = _Matches(messages)
    ends = {delivery: request for request, delivery in matches.waited.items()}
    names, types = list(messages.endpoints), list(messages.types)
    texts = TextReader(messages.texts)
    handlers: dict[int, int] = {}  # by the row of the request: the lane of the open slice
    waits: dict[int, int] = {}

    def begun(ts: int, track: Event, kind: str, row: int, name: str) -> Event:
        args = {"message": texts[row], "fate": FATES[messages.fate[row]]}
        head = {"ph": "B", "cat": kind, "name": name, "ts": ts}
        return {**head, **track, "args": args}

    def flows(ph: str, ts: int, track: Event, row: int, ids: Iterable[int]) -> Iterator[Event]:
        name = types[messages.type[row]]
        for id in ids:
            event = {"ph": ph, "cat": "message", "name": name, "id": id, "ts": ts, **track}
            yield {**event, "bp": "e"} if ph == "f" else event

    for ts, row, what, id in _points(messages, matches):
        src, dest = names[messages.src[row]], names[messages.dest[row]]
        type = types[messages.type[row]]
        if what == SENT:
            process, prefix = _place(src)
            leaving = [id for _, id in matches.deliveries.get(row, ())]
            request = matches.answers.get(row, NONE)
            ends_handler = request in handlers
            if ends_handler:
                lane = handlers.pop(request)
                track = tracks.lane(process, f"{prefix}handlers", lane)
                yield from flows("s", ts, track, row, leaving)
                yield {"ph": "E", "ts": ts, **track}
                tracks.give_back(process, f"{prefix}handlers", lane)
                leaving = []
            if row in matches.waited:
                track, waits[row] = tracks.take(process, f"{prefix}waits")
                yield begun(ts, track, "wait", row, f"{type} to {dest}")
                yield from flows("s", ts, track, row, leaving)
            elif not ends_handler:
                track = tracks.track(process, f"{prefix}messages")
                yield begun(ts, track, "sent", row, f"{type} to {dest}")
                yield from flows("s", ts, track, row, leaving)
                yield {"ph": "E", "ts": ts, **track}
            continue
        process, prefix = _place(dest)
        if matches.handled.get(row) == id:
            track, handlers[row] = tracks.take(process, f"{prefix}handlers")
            yield begun(ts, track, "handler", row, f"{type} from {src}")
            yield from flows("f", ts, track, row, [id])
        elif ends.get(id) in waits:
            lane = waits.pop(ends[id])
            track = tracks.lane(process, f"{prefix}waits", lane)
            yield from flows("f", ts, track, row, [id])
            yield {"ph": "E", "ts": ts, **track}
            tracks.give_back(process, f"{prefix}waits", lane)
        else:
            track = tracks.track(process, f"{prefix}messages")
            yield begun(ts, track, "received", row, f"{type} from {src}")
            yield from flows("f", ts, track, row, [id])
            yield {"ph": "E", "ts": ts, **track}


def _points(messages: Messages, matches: _Matches) -> list[tuple[int, int, int, int]]:
    """Each sending and each receipt: its time, the message's row, which of both, the delivery."""
    points = [(at, row, SENT, row) for row, at in enumerate(messages.at)]
    points += [
        (time, row, RECEIVED, id)
        for row, deliveries in matches.deliveries.items()
        for time, id in deliveries
    ]
    points.sort()
    return points


def _place(endpoint: str) -> tuple[str, str]:
    """The process of an endpoint, and how its threads are called there: clients share one."""
    return (CLIENTS, f"{endpoint} ") if endpoint[:1] == "c" else (endpoint, "")
