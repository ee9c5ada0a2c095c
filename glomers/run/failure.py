"""What a test fails for: the one definition of "the same reason" for all that compares failures."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from glomers.checkers.failures import error_code
from glomers.checkers.verdict import UNKNOWN
from glomers.history.operations import History
from glomers.report.reasons import Reason
from glomers.run.reasons import reasons

# What is wrong as a whole where only the cases name the anomaly.
GENERIC = ("anomalies", "log-errors")
# What makes no test invalid by itself, and comes and goes with the operations.
HARMLESS = ("never-read",)
# That operations fail says little without how they do. Among few operations, no other of its kind
# succeeds, which is no reason of its own.
OF_OPERATIONS = ("stats", "availability")

_NODE_ERROR = re.compile(r"Node \S+ (?P<problem>[^\n]*)")
_EXCEPTION = re.compile(r"(?:[\w.]*\.)?(\w+(?:Error|Exception|Exit|Interrupt|Warning))\b")


@dataclass(frozen=True, slots=True)
class Failure:
    """The kinds of what is wrong with a test, the most telling first."""

    kinds: tuple[str, ...]

    def __str__(self) -> str:
        return self.kinds[0]

    def is_shown_by(self, other: Failure | None) -> bool:
        """Whether another test fails for the same reason: its main kind is there, and no new one.

        A smaller test may lack the others, which would only make the story longer.
        """
        return (
            other is not None and self.kinds[0] in other.kinds and {*other.kinds} <= {*self.kinds}
        )


def failure(results: Mapping[str, Any], history: History, workload: str) -> Failure | None:
    """What a test fails for; None if it is valid or nothing could be proved.

    The kinds are the anomalies that the checkers name. Where operations only failed, they are how
    these did. A node that breaks the protocol or comes to an end hides everything else. Of a strict
    test that is only invalid for its warnings, they are those of the warnings.
    """
    if results["valid?"] is True or results["valid?"] == UNKNOWN:
        return None
    if "error" in results:
        return Failure((_of_error(str(results["error"])),))
    found = list(_kinds(reasons(results, workload), results, history))
    if not found:
        found = [f"warning: {kind}" for kind in map(_of_warning, results.get("warnings", ()))]
    return Failure(tuple(dict.fromkeys(found)))


def _of_error(text: str) -> str:
    """The kind of a NodeError: its first sentence without names and numbers, and the exception."""
    match = _NODE_ERROR.match(text)
    problem = match["problem"] if match else text.partition("\n")[0]
    kind = re.sub(r"\d+", "N", problem.partition(". ")[0].rstrip("."))
    raised = [name for line in text.split("\n") if (name := _exception(line.strip()))]
    return f"{kind} ({raised[-1]})" if raised else kind


def _kinds(found: list[Reason], results: Mapping[str, Any], history: History) -> Iterator[str]:
    cases = [reason for reason in found if not reason.summary]
    wholes = [reason for reason in found if reason.summary]
    parts = [(name, part) for name, part in results.items() if isinstance(part, Mapping)]
    unproved = [name for name, part in parts if part.get("valid?") == UNKNOWN]
    ordered = sorted((*cases, *wholes), key=lambda reason: reason.kind in OF_OPERATIONS)
    for reason in ordered:
        if reason.kind in OF_OPERATIONS:
            yield f"failed operations ({_how_operations_fail(results, history)})"
        elif reason.kind not in (*GENERIC, *HARMLESS, *unproved):
            yield reason.kind


def _how_operations_fail(results: Mapping[str, Any], history: History) -> str:
    """What failed most often, how, and for which exception, if nodes raised one."""
    ends: Counter[str] = Counter()
    for began, ended in history.pairs():
        if ended is not None and ended.type != "ok" and began.is_client:
            ends[f"{began.f} {ended.type} {error_code(ended.error)}".rstrip()] += 1
    kinds = [kind for kind in map(_of_warning, results.get("warnings", ())) if " " in kind]
    return ", ".join([*(what for what, _ in ends.most_common(1)), *sorted(set(kinds))])


def _of_warning(warning: Mapping[str, Any]) -> str:
    """A warning's kind, with the exception's class if it is one."""
    kind = str(warning["kind"]).lstrip(":")
    raised = _exception(str(warning["text"]).removeprefix("raised ")) if kind == "exception" else ""
    return f"{kind} {raised}".rstrip()


def _exception(text: str) -> str:
    match = _EXCEPTION.match(text)
    return match[1] if match else ""
