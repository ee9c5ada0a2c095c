"""What happened to the nodes of a test, in sentences. See `glomers.world.incidents`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from glomers.errors import quote
from glomers.history import edn
from glomers.history.node_logs import Finding, read_logs
from glomers.history.times import NANOS
from glomers.invocation import shown
from glomers.report.reasons import listed

Results = Mapping[str, Any]

# Kinds of incidents: first the likeliest causes of an invalid test, last what may be normal.
RANKS = (
    *("exception", "complaint", "mistake", "no-answer"),
    *("stderr", "unsynced", "error", "late", "unanswered", "lost", "arrived", "alone"),
)
SERIOUS = RANKS[: RANKS.index("stderr")]  # a mistake even if the test is valid
NO_HARM = ("unsynced", "lost", "arrived", "alone")  # no mistake if the test is valid
LAST_RESORT = {"arrived", "alone"}  # told if nothing else is known
NO_EVENT = ("alone", "unreplicated")  # so there is no count and no time
IN_THE_LOG = ("exception", "complaint", "stderr")
SHOWN = 5  # incidents that are written out; the rest is only counted
EXAMPLE = 160  # characters of an example
COMPARED = 200  # characters of a complaint that make it the same as another

# Errors that are business as usual, by the type of the request and the code; and when they are.
USUAL = {
    ("cas", 22): "usual where several write at once",
    ("cas", 20): "usual before the first write",
    ("read", 20): "usual before the first write",
    ("txn", 30): "usual where several write at once",
}


def in_order(results: Results) -> list[Results]:
    """The incidents that matter, the likeliest cause first."""
    incidents = [*_mistakes(results), *(results.get("incidents") or ())]
    logged = [incident for incident in incidents if _kind(incident) in ("exception", "complaint")]
    incidents = [each for each in incidents if not _is_echo(each, logged)]
    left_out = set(NO_HARM) if results.get("valid?") is True else set()
    if "error" in results or {_kind(incident) for incident in incidents} - LAST_RESORT:
        left_out |= LAST_RESORT
    incidents = [incident for incident in incidents if _kind(incident) not in left_out]
    return sorted(
        incidents,
        key=lambda incident: (_rank(incident), bool(_usual(incident)), -incident["count"]),
    )


def _usual(incident: Results) -> str:
    """When such an incident is business as usual, in a few words; "" if it never is."""
    if _kind(incident) == "error":
        for (type, code), when in USUAL.items():
            if incident["text"].startswith(f"answered {type!r} with error {code} "):
                return when
    return ""


def _is_echo(incident: Results, logged: Iterable[Results]) -> bool:
    """Whether it is an answer that says what its node has `logged`, and so is told once."""
    if _kind(incident) != "error":
        return False
    causes = [cause for cause in logged if incident["nodes"].keys() <= cause["nodes"].keys()]
    answer = incident["first"]["line"]
    known = sum(cause["count"] for cause in causes)
    return incident["count"] <= known and any(_is_answer(answer, cause) for cause in causes)


def _is_answer(text: str, cause: Results) -> bool:
    """Whether the text of an error is what the node library answers after a complaint or an
    exception, of which it shows the `repr`."""
    if _kind(cause) == "complaint":
        return text.startswith(cause["text"][:COMPARED])
    type, bracket, _ = text.partition("(")
    return bool(bracket) and re.match(rf"raised {re.escape(type)}\b", cause["text"]) is not None


def warnings_beside(results: Results) -> list[Results]:
    """The warnings that are not about nodes, but for those that an incident tells as well."""
    told = in_order(results)
    warnings = [each for each in results.get("warnings") or () if not is_incident(each)]
    return [warning for warning in warnings if not any(_tells(each, warning) for each in told)]


def _tells(incident: Results, warning: Results) -> bool:
    """Whether an incident tells why nothing succeeded, so that a warning of it says no more."""
    if str(warning["kind"]) != "nothing-succeeded":
        return False
    error = edn.to_json(warning["first"]).get("error")
    kind = _kind(incident)
    if not isinstance(error, list):
        return kind == "no-answer" and error == "net-timeout"
    text = quote(str(error[-1]))
    if kind in ("exception", "complaint"):
        return _is_answer(text, incident)
    return kind == "error" and bool(text) and text == incident["first"]["line"]


def sentences(results: Results, folder: Path | None = None) -> list[str]:
    """One for each incident, the likeliest cause first. `folder` is where the test is kept."""
    return [sentence(incident, folder) for incident in in_order(results)]


def serious_sentences(results: Results) -> list[str]:
    """The sentences of incidents that are mistakes even if the test is valid."""
    known = [incident for incident in results.get("incidents") or () if _kind(incident) in SERIOUS]
    return sentences({**results, "incidents": known})


def usual_sentences(results: Results) -> list[str]:
    """The sentences of what is business as usual, as the test is valid."""
    if results.get("valid?") is not True:
        return []
    return [sentence(incident) for incident in in_order(results) if _usual(incident)]


def first_sentences(results: Results, folder: Path | None = None) -> list[str]:
    """The first SHOWN sentences, but for the usual ones, and how many more there are."""
    usual = usual_sentences(results)
    every = [told for told in sentences(results, folder) if told not in usual]
    if (more := len(every) - SHOWN) > 1:
        return [*every[:SHOWN], f"and {more} more kinds of incident: see results.edn"]
    return every


def is_incident(warning: Results) -> bool:
    """Whether a warning of the results is about nodes, rather than about the history."""
    return "nodes" in warning


def _mistakes(results: Results) -> list[Results]:
    return [warning for warning in results.get("warnings") or () if is_incident(warning)]


def _rank(incident: Results) -> int:
    return RANKS.index(_kind(incident))


def _kind(incident: Results) -> str:
    """The incident's kind, which is one of RANKS."""
    kind = str(incident["kind"])
    return kind if kind in RANKS else "mistake"


def sentence(incident: Results, folder: Path | None = None) -> str:
    """An incident in words: nodes, what happened, how often, when first, an example, the log."""
    kind, nodes, first = str(incident["kind"]), incident["nodes"], incident["first"]
    words = f"{names(nodes)}{':' if kind == 'complaint' else ''} {incident['text']}"
    if kind in NO_EVENT:
        return words
    if incident["count"] > 1:
        words += f", {incident['count']:,} times"
    if when := _usual(incident):
        words += f" ({when})"
    if first.get("time") is not None:
        at = f"at {first['time'] / NANOS:.2f} s" if first["time"] >= 0 else "during set-up"
        words += f", {'first ' if incident['count'] > 1 else ''}{at}"
    if first.get("line"):
        words += f": {quote(first['line'], EXAMPLE)}"
    if folder and kind in IN_THE_LOG:
        log = folder / "node-logs" / f"{max(nodes, key=nodes.__getitem__)}.log"
        words += f"; all of it in {shown(log)}"
    return words


def names(nodes: Iterable[str]) -> str:
    """The names of some nodes, as they are listed in a sentence."""
    return listed(sorted(nodes, key=lambda node: (len(node), node)))


def of_logs(folder: Path) -> list[dict[str, Any]]:
    """The incidents in the node-logs of a test, in the form that results have, without times."""
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
