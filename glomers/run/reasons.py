"""Why a test isn't valid: what the checkers of its parts say of what is known of it.

The reasons are made once, after the verdict, and stand among the results from then on. For a test
that Maelstrom kept they are made from its history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from glomers.checkers import availability, stats
from glomers.errors import quote
from glomers.history.evidence import Evidence
from glomers.history.operations import History, HistoryError, read_history
from glomers.options import Options
from glomers.report.reasons import Reason, summary
from glomers.run import checks
from glomers.workloads import WORKLOADS

Results = Mapping[str, Any]
Explain = Callable[[Results, Evidence], Iterator[Reason]]

KEY = "reasons"  # among the results
WHY = 400  # characters of what a checker says of itself
JOURNAL = "messages.jsonl"


def reasons(
    results: Results, workload: str | None, evidence: Evidence | None = None
) -> list[Reason]:
    """Why the checkers did not find a test valid: for each part what is wrong as a whole, then
    the first cases, those of the workload before the others.

    These are those that stand among the results already. Without them and without evidence, only
    what is wrong as a whole.
    """
    if KEY in results:
        return [Reason.of_result(reason) for reason in results[KEY]]
    if results.get("valid?") is True:
        return []
    explanations = {
        "stats": stats.CHECKER.explain,
        "availability": availability.CHECKER.explain,
        checks.PART: checks.explain,
    }
    if workload:
        explanations["workload"] = WORKLOADS[workload].checker.explain
    wholes: list[Reason] = []
    cases: list[Reason] = []
    for name, judged in results.items():
        if not isinstance(judged, Mapping) or judged.get("valid?") in (True, None):
            continue
        why = judged.get("error")
        known = explanations.get(name) if not why and part(results, name) else None
        told = list(_explained(known, judged, evidence or Evidence())) if known else []
        told = told or [summary(name, f"{name} ({quote(str(why), WHY)})" if why else name)]
        wholes += [reason for reason in told if reason.summary]
        found = [reason for reason in told if not reason.summary]
        cases = [*found, *cases] if name == "workload" else [*cases, *found]
    return [*wholes, *cases]


def _explained(explain: Explain, judged: Results, evidence: Evidence) -> Iterator[Reason]:
    """The reasons of one part. A mistake in them does not cost the verdict."""
    try:
        yield from explain(judged, evidence)
    except Exception as error:
        text = (
            f"the search for reasons broke off ({type(error).__name__}: {quote(str(error), WHY)})"
        )
        yield Reason("mistake", f"{text}, which is a mistake of the workbench")


def part(results: Results, name: str) -> Results:
    """A checker's result; nothing if it is only a verdict, and why there is no more."""
    judged: Results = results.get(name) or {}
    return judged if judged.keys() - {"valid?", "error"} else {}


def evidence_of(history: History, options: Options, folder: Path | None = None) -> Evidence:
    """What is known of a test with these options, which is kept in `folder` if anywhere."""
    journal = folder / JOURNAL if folder else None
    return Evidence(history, options.nodes, options.concurrency, journal)


def with_reasons(results: Results, workload: str, evidence: Evidence) -> dict[str, Any]:
    """The results, with the reasons among them if there are any."""
    found = reasons(results, workload, evidence)
    return {**results, KEY: [reason.as_result() for reason in found]} if found else {**results}


def of_kept(results: Results, workload: str | None, folder: Path) -> list[Reason]:
    """The reasons of results that were kept in `folder`. If none stand among them, as in those of
    Maelstrom, they are made from the history."""
    if KEY in results or results.get("valid?") is True or not workload:
        return reasons(results, workload)
    try:
        history = read_history(folder)
    except HistoryError:
        return reasons(results, workload)
    return reasons(results, workload, evidence_beside(history, folder))


def evidence_beside(history: History, path: Path) -> Evidence:
    """What is known of a test by its history, and by what else is kept in the same folder.

    Which nodes there were is told by their logs. How many workers, by the processes, as long as
    none of these took another's place.
    """
    folder = path if path.is_dir() else path.parent
    logs = (file.stem for file in folder.glob("node-logs/*.log"))
    nodes = tuple(sorted(logs, key=lambda node: (len(node), node)))
    operations = list(history.client_operations())
    replaced = any(operation.type == "info" for operation in operations)
    workers = 1 + max((int(operation.process) for operation in operations), default=0)
    return Evidence(history, nodes, 0 if replaced else workers, folder / JOURNAL)
