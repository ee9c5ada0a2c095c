"""Operations that did not succeed: which, on which node, how often, and how they ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any

from glomers.history.edn import dumps
from glomers.history.evidence import Evidence
from glomers.history.operations import Operation
from glomers.report.figures import word
from glomers.report.reasons import Reason, at, first

OPERATIONS = 100  # that a reason refers to


def explain(kind: str, evidence: Evidence, fs: Collection[str] | None = None) -> Iterator[Reason]:
    """What failed most often, by node, operation and error; of all operations, or of these."""
    failed: dict[tuple[str, str, str], list[tuple[Operation, Operation | None]]]
    failed = defaultdict(list)
    done: dict[tuple[str, str], int] = defaultdict(int)
    for began, ended in evidence.history.pairs():
        if fs is not None and began.f not in fs:
            continue
        node = evidence.node(began)
        done[node, began.f] += 1
        if ended is None or ended.type != "ok":
            failed[node, began.f, _error(ended)].append((began, ended))
    often = sorted(failed.items(), key=lambda item: -len(item[1]))
    yield from first(
        _reason(kind, node, f, how, cases, done[node, f]) for (node, f, how), cases in often
    )


def _error(ended: Operation | None) -> str:
    """How an operation ended, in a sentence; its code is enough."""
    if ended is None:
        return "was still open at the end"
    how = "failed" if ended.type == "fail" else "ended with an unknown outcome"
    code = error_code(ended.error)
    return f"{how} ({code})" if code else how


def error_code(error: Any) -> str:
    """The code of an operation's error without its text, in a sentence; "" if there is none."""
    code = error[0] if isinstance(error, (list, tuple)) and error else error
    if code is None:
        return ""
    return word(code if isinstance(code, str) else dumps(code))


def _reason(
    kind: str,
    node: str,
    f: str,
    how: str,
    cases: list[tuple[Operation, Operation | None]],
    of: int,
) -> Reason:
    began, ended = cases[0]
    last = ended or began
    where = f"{node}: " if node else ""
    text = f"{where}{len(cases):,} of {of:,} {word(f)} operations {how}, the first {at(last.time)}"
    operations = tuple((ended or began).index for began, ended in cases[:OPERATIONS])
    return Reason(kind, text, last.time, operations, (), (node,) if node else ())
