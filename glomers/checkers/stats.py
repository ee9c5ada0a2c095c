"""Statistics: how many operations succeeded, failed, or had an unknown outcome."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from glomers.checkers import Checker
from glomers.checkers.failures import explain as reasons_of_failures
from glomers.checkers.verdict import UNKNOWN, merge_valid, warning
from glomers.errors import quote
from glomers.history.evidence import Evidence
from glomers.history.operations import History, as_map
from glomers.options import Options
from glomers.report.figures import Figure, word
from glomers.report.reasons import Reason, summary

# Operations that need not succeed (jepsen.tests.kafka/stats-checker).
EXEMPT = ("crash", "debug-topic-partitions")


def check(history: History, options: Options) -> dict[str, Any]:
    """Jepsen's stats checker: valid if an operation of every kind succeeded.

    Unlike in Jepsen, it is "unknown" if there was no operation, because that proves nothing.
    """
    ended = Counter((op.f, op.type) for op in history.client_operations() if op.type != "invoke")
    by_f: dict[str, Counter[str]] = defaultdict(Counter)
    for (f, type), count in ended.items():
        by_f[f][type] += count
    results = {f: _counts(by_f[f]) for f in sorted(by_f)}
    overall = _counts(sum(by_f.values(), Counter()))
    verdicts = [part["valid?"] for f, part in results.items() if f not in EXEMPT]
    if not verdicts:
        error = "no operation ended, so the run proves nothing"
        return {**overall, "valid?": UNKNOWN, "by-f": results, "error": error}
    return {**overall, "valid?": merge_valid(verdicts), "by-f": results}


def _counts(types: Counter[str]) -> dict[str, Any]:
    return {
        "valid?": types["ok"] > 0,
        "count": types.total(),
        "ok-count": types["ok"],
        "fail-count": types["fail"],
        "info-count": types["info"],
    }


def failures(history: History, results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Warnings with the errors of each kind of operation that never succeeded.

    `results` are those of `check`. Maelstrom only says which kinds did not succeed.
    """
    found = []
    for f, counts in results.get("by-f", {}).items():
        if f in EXEMPT or counts["valid?"]:
            continue
        failed = [op for op in history.client_operations() if op.f == f and op.error is not None]
        if failed:
            text = f"no {f} succeeded; the first to fail ended with {_words(failed[0].error)}"
            found.append(warning("nothing-succeeded", text, [as_map(op) for op in failed]))
    return found


def _words(error: Any) -> str:
    """An operation's error, for example "crash: KeyError('vals')"."""
    parts = error if isinstance(error, (list, tuple)) else [error]
    return quote(": ".join(str(part) for part in parts if part is not None))


def figures(result: Mapping[str, Any]) -> Iterator[Figure]:
    counts = [f"{result[f'{type}-count']:,} {type}" for type in ("ok", "fail", "info")]
    yield Figure("operations", result["count"], ", ".join(counts))


def explain(result: Mapping[str, Any], evidence: Evidence) -> Iterator[Reason]:
    if without := [f for f, counts in result["by-f"].items() if not counts["ok-count"]]:
        yield summary("stats", f"no {' and no '.join(map(word, without))} succeeded")
        yield from reasons_of_failures("stats", evidence, without)


CHECKER = Checker(check, figures, explain)
