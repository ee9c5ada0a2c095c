"""The page of a test: one file that shows the whole run, offline, in a browser.

Theory of operation. Whatever comes from the test (messages, operations, logs, verdicts) is data:
it stands in the page compressed and in base64, so none of it can be taken for markup, and the
script only ever shows it as text. The Content-Security-Policy lets run what this module has put
there, by its hash, and nothing else, and lets nothing be fetched.

The script, the style and the frame are the files of `template`; the modules of the script are put
one after the other, as SCRIPTS has them.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from glomers.errors import quote
from glomers.history.lost_turns import LostTurn
from glomers.history.operations import NEMESIS, History, Operation
from glomers.report import incidents, journal
from glomers.report.columns import Texts, column, moments, packed, steps
from glomers.report.journal import NONE, Messages
from glomers.report.reasons import Reason
from glomers.report.summary import LAST_LINES, Row

TEMPLATE = Path(__file__).parent / "template"
SCRIPTS = (
    "unpack.js",
    "run.js",
    "view.js",
    "paint.js",
    "tracks.js",
    "messages.js",
    "operations.js",
    "follow.js",
    "filter.js",
    "details.js",
    "logs.js",
    "pictures.js",
    "problems.js",
    "top.js",
    "main.js",
)
OUTCOMES = ("ok", "fail", "info", "open")
SHOWN = 20  # cases of a kind
LONG = 400  # characters of a case
NOT_LINEARIZABLE = "not-linearizable"
# What a kind of cases in a checker's result is called among reasons, if otherwise.
ALSO = {"duplicated": ("duplicate-id",), "wrong": ("wrong-count", "wrong-answer")}
MOST_LOG = 1 << 18  # bytes of a node's log that the page has: its beginning and its end
MOST_LINE = 2000  # characters of a line of it
LARGEST_TIME = 2**63
SAME_MOMENT = 1000  # microseconds within which an invocation and its request are together


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that went wrong, in a sentence, and the way to it.

    `time` is in nanoseconds since the load began. `values` are what can be followed: values that
    were written, or pairs of key and value. `level` is "error" for what the verdict rests on,
    otherwise "warning". `operations` are indices in the history and `messages` ids in the journal
    that it is about, `picture` is data for a drawing, as in a `Reason`.
    """

    text: str
    level: str = "error"
    time: int | None = None
    values: Sequence[Any] = ()
    operations: Sequence[int] = ()
    messages: Sequence[int] = ()
    nodes: Sequence[str] = ()
    picture: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """A fault from its start to its end (nanoseconds), and what it did.

    `cut` has for each node those whose messages it dropped; `nodes` are those that were hit.
    """

    name: str
    kind: str
    start: int
    end: int | None
    cut: Mapping[str, Sequence[str]] = field(default_factory=dict)
    nodes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Log:
    """What a node printed to standard error, and when (nanoseconds) each line, if that is known."""

    lines: Sequence[str]
    times: Sequence[int | None]


@dataclass(frozen=True, slots=True)
class Run:
    """What a page shows of a test.

    `stable` has for each value of a set when it was known (nanoseconds) and its stable latency
    (milliseconds). `logs` are those of nodes. `command` brings the run back, as far
    as it is known. `lost_turns` are in the order in which they began. A small run has a `story`, in
    lines.
    """

    folder: str
    workload: str
    verdict: Any
    reasons: Sequence[str]
    rows: Sequence[Row]
    problems: Sequence[Problem]
    history: History
    messages: Messages
    faults: Sequence[Span]
    stable: Sequence[tuple[Any, int, int]] = ()
    logs: Mapping[str, Log] = field(default_factory=dict)
    command: str = ""
    last_line: str = ""
    lost_turns: Sequence[LostTurn] = ()
    story: Sequence[str] = ()


def write(run: Run, file: Path) -> None:
    """Write the page of a run. Raises OSError if the file can't be written."""
    with written_whole(file) as out:
        out.write(render(run))


@contextmanager
def written_whole(file: Path) -> Iterator[TextIO]:
    """A file to write, which takes its place when all of it is there.

    Another process may write the same one: each has a file of its own until then. Raises OSError,
    with the file's name, if it can't be written.
    """
    temporary = file.with_name(f".{file.name}-{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as out:
            yield out
        temporary.replace(file)
    except OSError as error:  # which may have no name, as where the disk is full
        raise OSError(error.errno, error.strerror, str(file)) from None
    finally:
        temporary.unlink(missing_ok=True)


def render(run: Run) -> str:
    """The page of a run."""
    style, script = _style_and_script()
    parts = {
        "title": html.escape(f"{run.workload} · {run.folder}"),
        "policy": policy(),
        "style": style,
        "script": script,
        "data": "\n".join(_blocks(run)),
    }
    page = (TEMPLATE / "page.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], page)


def policy() -> str:
    """The Content-Security-Policy of a page: its own style and script, and nothing else."""
    style, script = map(_hash, _style_and_script())
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _style_and_script() -> tuple[str, str]:
    style = (TEMPLATE / "page.css").read_text("utf-8")
    return style, "\n".join((TEMPLATE / name).read_text("utf-8") for name in SCRIPTS)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


# What the script reads


def _blocks(run: Run) -> Iterator[str]:
    """The data of a page, as elements that a browser neither shows nor runs."""
    texts = Texts()
    operations = _operations(run.history, run.messages, texts)
    texts.close()
    places, turns = _lost_turns(run)
    sources = {"message": run.messages.texts, "operation": texts}
    yield _block(
        "about", packed(json.dumps({**_about(run, sources), "places": places}).encode("utf-8"))
    )
    columns = {f"message-{name}": data for name, data in run.messages.columns().items()}
    columns |= {f"operation-{name}": data for name, data in operations.items()}
    columns |= {f"stable-{name}": data for name, data in _stable(run).items()}
    columns |= {f"turn-{name}": data for name, data in turns.items()}
    for name, data in columns.items():
        yield _block(name, packed(data))
    for name, source in sources.items():
        for number, chunk in enumerate(source.chunks):
            yield _block(f"{name}-text-{number}", chunk)
    for number, log in enumerate(run.logs.values()):
        yield _block(f"log-{number}", packed("\n".join(log.lines).encode("utf-8", "replace")))
        yield _block(f"log-time-{number}", packed(moments(map(_micros, log.times))))


def _block(name: str, content: str) -> str:
    return f'<script type="text/plain" id="{name}">{content}</script>'


def _about(run: Run, sources: Mapping[str, Texts]) -> dict[str, Any]:
    """Everything of which there is not much. Times are in microseconds, as in the columns."""
    ends = [operation.time for operation in run.history[-1:]]
    ends += [lost.ended for lost in run.lost_turns if lost.ended is not None]
    return {
        "folder": run.folder,
        "workload": run.workload,
        "verdict": run.verdict,
        "lastLine": run.last_line or LAST_LINES[run.verdict],
        "reasons": list(run.reasons),
        "story": list(run.story),
        "command": run.command,
        "rows": [asdict(row) for row in run.rows],
        "problems": list(_problems(run)),
        "faults": [
            {**asdict(span), "start": _micros(span.start), "end": _micros(span.end)}
            for span in run.faults
        ],
        "endpoints": list(run.messages.endpoints),
        "types": list(run.messages.types),
        "fates": journal.FATES,
        "outcomes": OUTCOMES,
        "f": list(_names(run.history)),
        "stable": [value for value, _, _ in run.stable],
        "logs": list(run.logs),
        "firsts": {name: source.firsts for name, source in sources.items()},
        "end": max([run.messages.end, *(time // 1000 for time in ends)]),
    }


def _problems(run: Run) -> Iterator[dict[str, Any]]:
    """What went wrong; the operations and messages that it is about by their rows in the page."""
    rows: dict[int, int] = {}  # by index in the history
    for row, (began, ended) in enumerate(run.history.pairs() if run.problems else ()):
        rows[began.index] = row
        if ended is not None:
            rows[ended.index] = row
    for problem in run.problems:
        yield {
            **asdict(problem),
            "time": _micros(problem.time),
            "operations": _located(problem.operations, rows),
            "messages": _located(problem.messages, run.messages.rows),
            "picture": _drawable(problem.picture, rows, run.messages.rows),
        }


def _located(ids: Iterable[int], rows: Mapping[int, int]) -> list[int]:
    """The rows of what is in the page, each once."""
    return list(dict.fromkeys(rows[id] for id in ids if id in rows))


def _drawable(
    picture: Mapping[str, Any], operations: Mapping[int, int], messages: Mapping[int, int]
) -> dict[str, Any]:
    """A picture, with a row or NONE as the first of everything that has its index or id there."""
    drawable = dict(picture)
    for name, rows in {
        **dict.fromkeys(("transactions", "sides", "order"), operations),
        "messages": messages,
    }.items():
        if name in picture:
            drawable[name] = [[rows.get(id, NONE), *rest] for id, *rest in picture[name]]
    if "misfit" in picture:
        id, *rest = picture["misfit"]
        drawable["misfit"] = [operations.get(id, NONE), *rest]
    return drawable


def _micros(time: int | None) -> int | None:
    return None if time is None else time // 1000


def _names(history: History) -> dict[str, int]:
    """The names of operations, with their numbers."""
    names: dict[str, int] = {}
    for operation in history.client_operations():
        names.setdefault(operation.f, len(names))
    return names


def _operations(history: History, messages: Messages, texts: Texts) -> dict[str, bytes]:
    """The clients' operations in columns; what they asked and what was answered, in `texts`."""
    names = _names(history)
    pairs = list(history.pairs())
    for began, ended in pairs:
        texts.add(json.dumps(_text(began, ended), separators=(",", ":")))
    return {
        "at": column(steps(began.time // 1000 for began, _ in pairs)),
        "took": column(
            NONE if ended is None else ended.time // 1000 - began.time // 1000
            for began, ended in pairs
        ),
        "process": column(int(began.process) for began, _ in pairs),
        "f": column(names[began.f] for began, _ in pairs),
        "outcome": column(OUTCOMES.index(ended.type if ended else "open") for _, ended in pairs),
        "message": column(_requests([began for began, _ in pairs], messages)),
    }


def _text(began: Operation, ended: Operation | None) -> dict[str, Any]:
    """What an operation asked and what came of it; what is null is left out.

    Each is JSON by itself, which the page shows as it stands: it would round large numbers.
    """
    fields = {"asked": began.value, "extra": dict(began.extra) or None}
    if ended is not None:
        fields["answered"] = ended.value if ended.type == "ok" else None
        fields["error"] = ended.error
    texts = {name: json.dumps(value) for name, value in fields.items() if value is not None}
    return {**texts, "final": True} if began.final else texts


def _requests(invocations: Sequence[Operation], messages: Messages) -> Iterator[int]:
    """For each invocation the row of the request that it led to, or NONE.

    A request follows its invocation at once, before anything else is invoked, and has its name;
    so the two sequences need only be gone through together.
    """
    clients = {n for name, n in messages.endpoints.items() if name[:1] == "c"}
    types = list(messages.types)
    rows = [row for row, src in enumerate(messages.src) if src in clients]
    place = 0
    for invocation in invocations:
        time = invocation.time // 1000
        while place < len(rows) and messages.at[rows[place]] < time:
            place += 1
        look = place
        found = NONE
        while look < len(rows) and messages.at[rows[look]] <= time + SAME_MOMENT:
            if types[messages.type[rows[look]]] == invocation.f:
                found, place = rows[look], look + 1
                break
            look += 1
        yield found


def _stable(run: Run) -> dict[str, bytes]:
    return {
        "known": moments(known // 1000 for _, known, _ in run.stable),
        "latency": column(latency for _, _, latency in run.stable),
    }


def _lost_turns(run: Run) -> tuple[list[dict[str, str]], dict[str, bytes]]:
    """The places where turns were lost, and the lost turns in columns."""
    lost = run.lost_turns
    of = [(each.node, each.function, each.line, each.text) for each in lost]
    numbers = {place: number for number, place in enumerate(dict.fromkeys(of))}
    rows = run.messages.rows
    columns = {
        "at": column(steps(each.began // 1000 for each in lost)),
        "took": column(
            NONE if each.ended is None else each.ended // 1000 - each.began // 1000 for each in lost
        ),
        "place": column(numbers[place] for place in of),
        "message": column(
            NONE if each.message is None else rows.get(each.message, NONE) for each in lost
        ),
    }
    return [dict(zip(("node", "function", "line", "text"), place)) for place in numbers], columns


# What happened beside the operations


def spans(history: History, faults: Mapping[str, tuple[str, str]]) -> list[Span]:
    """The faults of a history. `faults` has for each by its name what starts and what stops it.

    The nemesis does one thing at a time, and says when it begins and when it is done. A fault
    counts from when it was there to when its end began.
    """
    starts = {start: name for name, (start, _) in faults.items()}
    stops = {stop: name for name, (_, stop) in faults.items()}
    found: list[Span] = []
    open_spans: dict[str, Span] = {}
    begun: Operation | None = None
    for operation in history:
        if operation.process != NEMESIS:
            continue
        if begun is None or begun.f != operation.f:
            begun = operation
            continue
        if operation.f in starts:
            name = starts[operation.f]
            open_spans[name] = _span(name, begun, operation)
        elif operation.f in stops and (span := open_spans.pop(stops[operation.f], None)):
            found.append(_ended(span, begun.time))
        begun = None
    found += open_spans.values()
    return sorted(found, key=lambda span: span.start)


def _span(name: str, begun: Operation, done: Operation) -> Span:
    value = done.value
    cut = value[1] if isinstance(value, list) and len(value) == 2 else None
    if isinstance(cut, dict):
        return Span(name, str(begun.value), done.time, None, cut=cut)
    hit = value.items() if isinstance(value, dict) else ()
    nodes = [node for node, became in hit if became != "not-running"]
    return Span(name, str(begun.value or "some"), done.time, None, nodes=nodes)


def _ended(span: Span, time: int) -> Span:
    return Span(span.name, span.kind, span.start, time, span.cut, span.nodes)


def logs(folder: Path) -> dict[str, Log]:
    """The logs of the nodes that printed anything; of a long one its beginning and its end."""
    known = _log_times(folder / "log-times.jsonl")
    found = {}
    for file in sorted(
        (folder / "node-logs").glob("*.log"), key=lambda file: (len(file.name), file.name)
    ):
        if content := file.read_bytes():
            found[file.stem] = _log(content, known.get(file.stem, []))
    return found


def _log_times(file: Path) -> dict[str, list[tuple[int, int]]]:
    """For each node from which byte of its log on which time counts; none for what is no such."""
    found: dict[str, list[tuple[int, int]]] = {}
    if file.is_file():
        for line in file.read_text("utf-8").splitlines():
            with suppress(ValueError, LookupError, TypeError):
                event = json.loads(line)
                found.setdefault(str(event["node"]), []).append((event["byte"], event["time"]))
    return found


def _log(content: bytes, known: Sequence[tuple[int, int]]) -> Log:
    lines: list[str] = []
    times: list[int | None] = []
    place = skipped = 0
    for raw in content.splitlines(keepends=True):
        if MOST_LOG // 2 <= place < len(content) - MOST_LOG // 2:
            skipped += 1
        else:
            if skipped and place >= len(content) - MOST_LOG // 2:
                lines.append(f"[… {skipped:,} lines …]")
                times.append(None)
                skipped = 0
            lines.append(raw.decode("utf-8", "replace").rstrip("\r\n")[:MOST_LINE])
            after = bisect_right(known, (place, LARGEST_TIME))
            times.append(known[after - 1][1] if after else None)
        place += len(raw)
    return Log(lines, times)


def problems(results: Mapping[str, Any], reasons: Iterable[Reason]) -> list[Problem]:
    """What went wrong, as the results have it, in the shapes of JSON: the gravest first.

    A kind of which reasons explain cases has no others. Of many cases of another kind only the
    first have a line of their own.
    """
    found = []
    reasons = list(reasons)
    explained = {reason.kind for reason in reasons if reason.operations or not reason.summary}
    if "error" in results:
        found.append(Problem(str(results["error"])))
    else:
        found += [_reason(reason) for reason in reasons]
    for incident in incidents.in_order(results):
        text, time = incidents.sentence(incident), incident["first"].get("time")
        found.append(Problem(text, "warning", time))
    for warning in results.get("warnings") or ():
        if not incidents.is_incident(warning):
            found.append(_warning(warning))
    judged = results.get("workload") or {}
    if judged.get("valid?") is False:
        for kind in ("lost", "duplicated"):
            values = list(judged.get(kind) or ())
            if values and explained.isdisjoint({kind, *ALSO.get(kind, ())}):
                found.append(_values(kind, values))
        for kind, cases in _kinds(judged):
            if not explained.isdisjoint({kind, *ALSO.get(kind, ())}):
                continue
            found += [_case(kind, case) for case in cases[:SHOWN]]
            if len(cases) > SHOWN:
                found.append(Problem(f"{kind}: {len(cases) - SHOWN:,} more"))
    return found


def _reason(reason: Reason) -> Problem:
    """Why the test isn't valid; a case has a place."""
    return Problem(
        f"Not valid: {reason.text}" if reason.summary else reason.text,
        time=reason.time,
        values=[reason.picture["follow"]] if "follow" in reason.picture else (),
        operations=reason.operations,
        messages=reason.messages,
        nodes=reason.nodes,
        picture=reason.picture,
    )


def _warning(item: Mapping[str, Any]) -> Problem:
    """What a checker lets pass."""
    many = f" ({item['count']:,}×)" if item["count"] > 1 else ""
    return Problem(f"{item['text']}{many}", "warning", _first_time(item["first"]))


def _values(kind: str, values: Sequence[Any]) -> Problem:
    """Values that had the same fate; the first of them can be followed."""
    return Problem(f"{len(values):,} {kind}", values=values[:SHOWN])


def _kinds(judged: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    """What a checker found wrong: a kind, and its cases."""
    if isinstance(errors := judged.get("errors"), list):
        yield "wrong", errors
    for kind in judged.get("bad-error-types") or ():
        cases = judged.get(kind)
        yield kind, cases.get("errs") or () if isinstance(cases, Mapping) else cases or ()
    for kind, cases in (judged.get("anomalies") or {}).items():
        yield kind, cases if isinstance(cases, list) else [cases]
    for key, result in (judged.get("results") or {}).items():
        linear = result.get("linearizable") if isinstance(result, Mapping) else None
        if isinstance(linear, Mapping) and linear.get("valid?") is False:
            configs = linear.get("configs") or [{}]
            yield NOT_LINEARIZABLE, [{"key": key, "config": config} for config in configs]


def _case(kind: str, case: Any) -> Problem:
    text = json.dumps(_shortened(case), ensure_ascii=False)
    values = []
    if isinstance(case, Mapping) and "key" in case and "value" in case:
        values = [[case["key"], case["value"]]]
    return Problem(f"{kind}: {quote(text, LONG)}", time=_first_time(case), values=values)


def _shortened(case: Any) -> Any:
    """A case without what only serves to find an operation."""
    if isinstance(case, Mapping):
        if _is_operation(case):
            words = (f"process {case['process']}", case["f"], json.dumps(case.get("value")))
            return " ".join(map(str, words))
        return {name: _shortened(item) for name, item in case.items()}
    if isinstance(case, list):
        return [_shortened(item) for item in case]
    return case


def _is_operation(case: Any) -> bool:
    return isinstance(case, Mapping) and {"index", "time", "process", "f"} <= case.keys()


def _first_time(case: Any) -> int | None:
    """When the first of the operations in a case was, or what else has a time in it."""
    if isinstance(case, Mapping):
        if type(time := case.get("time")) is int:
            return time
        case = list(case.values())
    if not isinstance(case, list):
        return None
    times = [time for time in map(_first_time, case) if time is not None]
    return min(times, default=None)
