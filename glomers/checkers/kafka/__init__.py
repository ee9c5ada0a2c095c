"""Kafka: a log holds each message once, in one order, and no poll leaves a message out.

Theory, as in Jepsen's kafka checker (`jepsen.tests.kafka`). Every message is sent once. Offsets
may have gaps, so the checker uses a message's *index*: its place among all known messages of its
key (from acknowledged sends and from polls) in the order of their offsets. Given that order
(facts.py), most anomalies (anomalies.py) are found by comparing neighbours:

- `inconsistent-offsets`: two messages at one offset. `duplicate`: one message at two offsets.
- `lost-write`: a later message of the key was polled, but this one never was.
- `unseen`: the send was acknowledged, but no poll ever showed the message.
- `int-poll-skip`, `int-nonmonotonic-poll`: neighbours in one poll aren't neighbours in the log.
- `poll-skip`, `nonmonotonic-poll`: a poll doesn't go on where the process's last poll ended.
- `int-send-skip`, `int-nonmonotonic-send`, `nonmonotonic-send`: the same for sends.
- `G1a`: a poll shows a message whose send failed.
- `precommitted-read`: an operation polls a message that it sends itself.
- `G1c-realtime`: a poll ended before the message that it shows was sent. Jepsen finds this as a
  cycle of reads and real time. No other cycle can occur here, because an operation sends or polls,
  never both, and Maelstrom doesn't ask for cycles of writes.

The checker takes a few passes over the history, and sorts where an order is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from typing import Any

from glomers import challenges
from glomers.checkers import Checker
from glomers.checkers.kafka import reasons
from glomers.checkers.kafka.anomalies import Case, find, unseen
from glomers.checkers.kafka.beyond import phantoms, warnings
from glomers.checkers.kafka.facts import gather
from glomers.checkers.kafka.lag import worst_realtime_lag
from glomers.checkers.verdict import UNKNOWN
from glomers.history.edn import Keyword
from glomers.history.evidence import Evidence
from glomers.history.operations import History
from glomers.history.values import identity
from glomers.options import Options
from glomers.report.figures import Figure, kinds, milliseconds, word
from glomers.report.reasons import Reason, summary

__all__ = ["CHECKER", "anomalies", "check", "explain", "figures", "warnings"]

# Anomalies that don't make a history invalid. Jepsen's reason: the sends of processes interleave,
# so it is normal that a process's sends skip offsets. (Jepsen allows more anomalies in tests that
# subscribe, or that look for write cycles.)
ALLOWED = frozenset({"int-send-skip"})

# Which anomalies are explained first: the causes, then what may follow from them.
RANKS = (
    *("inconsistent-offsets", "duplicate", "G1a", "lost-write", "G1c-realtime", "unseen"),
    *("poll-skip", "int-poll-skip", "nonmonotonic-poll", "int-nonmonotonic-poll"),
    *("nonmonotonic-send", "int-nonmonotonic-send", "precommitted-read"),
)

by_delta = itemgetter("delta")


def by_values(case: Case) -> int:
    return len(case["values"])


# The cases of an anomaly that are shown: by which key they are sorted, and which part of them.
SHOWN: dict[str, tuple[Callable[[Case], Any], slice]] = {
    "duplicate": (itemgetter("count"), slice(32)),
    "inconsistent-offsets": (by_values, slice(32)),
    "int-nonmonotonic-poll": (by_delta, slice(8)),
    "int-nonmonotonic-send": (by_delta, slice(8)),
    "int-poll-skip": (by_delta, slice(-8, None)),
    "int-send-skip": (by_delta, slice(-8, None)),
    "nonmonotonic-poll": (by_delta, slice(8)),
    "nonmonotonic-send": (by_delta, slice(8)),
    "poll-skip": (by_delta, slice(-8, None)),
}
# Jepsen shows all cases of other anomalies, each with whole polls: gigabytes, if much is lost.
OTHERS_SHOWN = 16
UNSEEN_SHOWN = 32  # messages of each key


def check(history: History, options: Options) -> dict[str, Any]:
    """Jepsen's verdict on a history of sends, polls and assigns, with its keys.

    If a poll shows a message that nobody sent, Jepsen's checker fails and the verdict is "unknown".
    The same verdict is given here, with an `error`, unless there are anomalies, too.
    """
    facts = history.derived(gather)
    errors: dict[str, Any] = {
        kind: {"count": len(cases), "errs": _most_telling(kind, cases)}
        for kind, cases in find(facts).items()
    }
    if missing := unseen(facts):
        messages = {key: some[:UNSEEN_SHOWN] for key, some in missing["messages"].items()}
        errors["unseen"] = {**missing, "messages": messages}
    types = [Keyword(kind) for kind in sorted(errors)]
    bad = [kind for kind in types if kind not in ALLOWED]
    phantom = next(phantoms(facts), None)
    return {
        "valid?": False if bad else UNKNOWN if phantom else True,
        "worst-realtime-lag": worst_realtime_lag(facts),
        "bad-error-types": bad,
        "error-types": types,
        "info-txn-causes": _info_causes(history),
        **({"error": f"A poll shows a message that nobody sent: {phantom}"} if phantom else {}),
        **errors,
    }


def anomalies(history: History) -> dict[str, list[Case]]:
    """All cases of every anomaly except `unseen`, by Jepsen's names."""
    return find(gather(history))


def _most_telling(kind: str, cases: list[Case]) -> list[Case]:
    if kind not in SHOWN:
        return cases[:OTHERS_SHOWN]
    key, which = SHOWN[kind]
    return sorted(cases, key=key)[which]


def _info_causes(history: History) -> list[Any]:
    """The different errors of sends and polls whose outcome is unknown."""
    causes = {
        identity(operation.error): operation.error
        for operation in history.client_operations()
        if operation.type == "info" and operation.f in ("send", "poll", "txn")
    }
    return list(causes.values())


def figures(result: Mapping[str, Any]) -> Iterator[Figure]:
    bad = result["bad-error-types"] or ()
    yield Figure(challenges.LOG_ERRORS, len(bad), kinds(bad, result))
    if lag := result.get("worst-realtime-lag"):
        remark = f"of key {word(lag['key'])}" if "key" in lag else ""
        yield Figure("worst lag of a poll", lag["lag"] * 1000, remark, milliseconds)


def explain(result: Mapping[str, Any], evidence: Evidence) -> Iterator[Reason]:
    if bad := result["bad-error-types"]:
        yield summary("log-errors", kinds(bad, result))
        yield from reasons.explain(result, sorted(map(str, bad), key=_rank), evidence)


def _rank(kind: str) -> int:
    """From what a person sees at once to what takes some thought."""
    return RANKS.index(kind) if kind in RANKS else len(RANKS)


CHECKER = Checker(check, figures, explain, warnings)
