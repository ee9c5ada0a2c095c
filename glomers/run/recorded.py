"""Histories that were recorded before, by us or by Maelstrom: what `check` judges.

A test hands its checkers a complete history of its own workload. A file may hold a history of
another workload, or one that is cut off. A history of another workload is refused, because a
checker that finds nothing to judge finds nothing wrong either. A history that is cut off is judged,
with a warning.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glomers.checkers.verdict import warning
from glomers.history.operations import History, HistoryError, as_map, read_history, refusal
from glomers.options import Options
from glomers.run import checks
from glomers.run.checks import Checks
from glomers.run.drive import Results, check
from glomers.run.reasons import evidence_beside, with_reasons
from glomers.workloads import WORKLOADS
from glomers.workloads.base import Workload
from glomers.workloads.shapes import describe


def judge(path: Path, options: Options) -> Results:
    """Judge the history at `path`.

    Raises HistoryError if it can't be one of `options.workload`, and UsageError if the file of
    checks can't be used.
    """
    file = checks.load(Path(options.check), simulated=False) if options.check else None
    workload = WORKLOADS[options.workload]
    history = read(path, workload)
    results = check(history, options, cut_off(history, workload))
    if file:
        results = Checks(file).results(results, history)
    return with_reasons(results, workload.name, evidence_beside(history, path))


def read(path: Path, workload: type[Workload]) -> History:
    """The history at `path`. Raises HistoryError if it can't be one of `workload`.

    The error names the first operation that doesn't fit, its place in the file, and the workloads
    that fit all operations.
    """
    history = read_history(path)
    operations = list(history.client_operations())
    if not operations:
        raise HistoryError(f"{path} holds no operation of a client: there is nothing to judge")
    for operation in operations:
        if problem := workload.misfit(operation):
            expected = _expected(operation.f, workload)
            if names := look_alikes(history):
                expected += f"\nThis looks like a history of {' or '.join(names)}"
            raise refusal(path, operation, problem, expected)
    return history


def look_alikes(history: History) -> list[str]:
    """The names of the workloads that fit all operations of a history."""
    return [
        name
        for name, workload in WORKLOADS.items()
        if not any(map(workload.misfit, history.client_operations()))
    ]


def _expected(f: str, workload: type[Workload]) -> str:
    """What an error message expects: the workload's operations, or the values of its `f`."""
    if f not in workload.operations:
        return f"the operations of {workload.name}: {', '.join(map(_keyword, workload.operations))}"
    values = workload.operations[f]
    asked, answered = describe(values.asked), describe(values.answered)
    return f":value {asked} where a {_keyword(f)} begins, and {answered} where it is :ok"


def _keyword(f: str) -> str:
    return f":{f}"


def cut_off(history: History, workload: type[Workload]) -> list[dict[str, Any]]:
    """Warnings of a history that ends before its test did."""
    warnings = []
    if running := [{"op": as_map(began)} for began, ended in history.pairs() if ended is None]:
        text = "operations were still open at the end: the history seems to be cut off"
        warnings.append(warning("open-operations", text, running))
    if not workload.has_final_phase(history):
        text = (
            "the history ends without final reads, so it seems to be cut off: nobody knows"
            " what came later, or never"
        )
        warnings.append(warning("no-final-reads", text, [{"op": as_map(history[-1])}]))
    return warnings
