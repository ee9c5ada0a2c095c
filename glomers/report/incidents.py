"""What befell the nodes of a test, in sentences. See `glomers.world.incidents`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from glomers.errors import quote
from glomers.history.node_logs import Finding, read_logs
from glomers.history.times import NANOS
from glomers.invocation import shown
from glomers.report.reasons import listed

Results = Mapping[str, Any]

# From what is most likely to be the cause to what may be business as usual.
RANKS = (
    *("exception", "complaint", "mistake", "no-answer"),
    *("stderr", "error", "unanswered", "lost", "alone"),
)
SERIOUS = RANKS[: RANKS.index("stderr")]  # business as usual in no test
NO_HARM = ("lost", "alone")  # if the test is valid
IN_THE_LOG = ("exception", "complaint", "stderr")
SHOWN = 5  # incidents, before it says how many more there are
EXAMPLE = 160  # characters of an example


def in_order(results: Results) -> list[Results]:
    """The incidents that matter, the likeliest cause first."""
    incidents = [*_mistakes(results), *(results.get("incidents") or ())]
    if results.get("valid?") is True:
        incidents = [incident for incident in incidents if _kind(incident) not in NO_HARM]
    return sorted(incidents, key=lambda incident: (_rank(incident), -incident["count"]))


def sentences(results: Results, folder: Path | None = None) -> list[str]:
    """One for each incident, the likeliest cause first. `folder` is where the test is kept."""
    return [sentence(incident, folder) for incident in in_order(results)]


def serious_sentences(results: Results) -> list[str]:
    """Those of what is hardly ever business as usual, valid or not."""
    known = [incident for incident in results.get("incidents") or () if _kind(incident) in SERIOUS]
    return sentences({**results, "incidents": known})


def first_sentences(results: Results, folder: Path | None = None) -> list[str]:
    """Those that a person should see at once, and how many more there are."""
    every = sentences(results, folder)
    if (more := len(every) - SHOWN) > 1:
        return [*every[:SHOWN], f"and {more} more kinds of incident: see results.edn"]
    return every


def is_incident(warning: Results) -> bool:
    """Is a warning of the results one that a node gave rise to, rather than the history?"""
    return "nodes" in warning


def _mistakes(results: Results) -> list[Results]:
    return [warning for warning in results.get("warnings") or () if is_incident(warning)]


def _rank(incident: Results) -> int:
    return RANKS.index(_kind(incident))


def _kind(incident: Results) -> str:
    """One of RANKS."""
    kind = str(incident["kind"])
    return kind if kind in RANKS else "mistake"


def sentence(incident: Results, folder: Path | None = None) -> str:
    """An incident in words: who, what, how often, when first, an example, and where it is kept."""
    kind, nodes, first = str(incident["kind"]), incident["nodes"], incident["first"]
    words = f"{names(nodes)}{':' if kind == 'complaint' else ''} {incident['text']}"
    if kind == "alone":  # no event, so there is no count and no time
        return words
    if incident["count"] > 1:
        words += f", {incident['count']:,} times"
    if first.get("time") is not None:
        at = f"{'first ' if incident['count'] > 1 else ''}at {first['time'] / NANOS:.2f} s"
        words += f", {at}"
    if first.get("line"):
        words += f": {quote(first['line'], EXAMPLE)}"
    if folder and kind in IN_THE_LOG:
        log = folder / "node-logs" / f"{max(nodes, key=nodes.__getitem__)}.log"
        words += f"; all of it in {shown(log)}"
    return words


def names(nodes: Iterable[str]) -> str:
    """Some nodes in a sentence."""
    return listed(sorted(nodes, key=lambda node: (len(node), node)))


def of_logs(folder: Path) -> list[dict[str, Any]]:
    """The incidents that the node-logs of a test tell, as results have them; without times."""
    found: dict[tuple[str, str], dict[str, Any]] = {}

    def hear(node: str, finding: Finding) -> None:
        incident = found.setdefault(
            (finding.kind, finding.key),
            {
                "kind": finding.kind,
                "text": finding.text,
                "count": 0,
                "nodes": {},
                "first": {"time": None, "line": finding.line},
            },
        )
        incident["count"] += 1
        incident["nodes"][node] = incident["nodes"].get(node, 0) + 1

    read_logs(sorted(folder.glob("node-logs/*.log")), hear)
    return list(found.values())
