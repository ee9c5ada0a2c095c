"""The lin-kv workload's checker: every key by itself must be a linearizable register.

Keys of the result are those of Jepsen's `independent` checker around Knossos, including the results
of the timeline, which are always valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from glomers.checkers import Checker, linearizability, misfits
from glomers.checkers.linearizability import IMPOSSIBLE, Call, Configuration, Result
from glomers.checkers.verdict import UNKNOWN, merge_valid, warning
from glomers.history.evidence import Evidence
from glomers.history.operations import History, Operation, as_map
from glomers.history.values import identity, order
from glomers.options import Options
from glomers.report.figures import Figure, some
from glomers.report.reasons import Reason, first, summary

BUDGET = 300_000  # configurations looked at for each key, which takes some seconds
Pair = tuple[Operation, Operation | None]


def check(history: History, options: Options) -> dict[str, Any]:
    """The verdict on each key; `failures` are the keys that are not linearizable."""
    results = {}
    for key, pairs in _by_key(history):
        linearizable = _as_map(linearizability.check(pairs, BUDGET))
        valid = linearizable["valid?"]
        results[key] = {
            "linearizable": linearizable,
            "timeline": {"valid?": True},
            "valid?": valid,
        }
    merged = {
        "valid?": merge_valid(result["valid?"] for result in results.values()),
        "results": results,
        "failures": [key for key, result in results.items() if result["valid?"] is False],
    }
    if merged["valid?"] == UNKNOWN:
        undecided = {key: result["linearizable"].get("error") for key, result in results.items()}
        merged["error"] = "; ".join(f"key {key}: {why}" for key, why in undecided.items() if why)
    return merged


def _by_key(history: History) -> list[tuple[Any, list[Pair]]]:
    """The operations on each key, sorted by key; their values are without the key."""
    keys: dict[Any, Any] = {}
    pairs: dict[Any, list[Pair]] = {}
    for invocation, completion in history.pairs():
        key = invocation.value[0]
        keys[identity(key)] = key
        pairs.setdefault(identity(key), []).append(
            (_on_register(invocation), completion and _on_register(completion))
        )
    return sorted(
        ((keys[name], found) for name, found in pairs.items()), key=lambda item: order(item[0])
    )


def _on_register(operation: Operation) -> Operation:
    return replace(operation, value=operation.value[1])


def _as_map(result: Result) -> dict[str, Any]:
    configurations = result.configurations
    shown: dict[str, Any] = {
        "valid?": UNKNOWN if result.valid is None else result.valid,
        "configs": [_configuration(configuration) for configuration in configurations],
        "final-paths": [],
    }
    if result.call is None:
        return shown
    if result.previous is not None:
        shown["previous-ok"] = shown["last-op"] = _completion(result.previous)
    shown["op"] = _completion(result.call)
    if result.valid is None:
        shown["error"] = (
            f"too many concurrent operations: gave up after {BUDGET:,} configurations,"
            f" at operation {shown['op']['index']}"
        )
    else:
        shown["final-paths"] = [
            [
                {
                    "op": shown["op"],
                    "model": {"msg": _contradiction(result.call, configuration.value)},
                }
            ]
            for configuration in configurations
        ]
    return shown


def _configuration(configuration: Configuration) -> dict[str, Any]:
    return {
        "model": {"value": configuration.value},
        "pending": [_pending(call) for call in configuration.open],
    }


def _pending(call: Call) -> dict[str, Any]:
    """The invocation, with the value that its answer would have."""
    answer = call.completion or call.invocation
    return as_map(replace(call.invocation, value=answer.value))


def _completion(call: Call) -> dict[str, Any]:
    return as_map(call.completion or call.invocation)


def _contradiction(call: Call, value: Any) -> str:
    """Why the call can't be the next to take effect on a register that holds `value`."""
    if call.apply(value) is not IMPOSSIBLE:
        return f"can't {call.f} without contradicting what completed later"
    if call.f == "read":
        return f"can't read {call.argument!r} from register {value!r}"
    before, after = call.argument
    return f"can't CAS {value!r} from {before!r} to {after!r}"


def warnings(history: History, options: Options) -> list[dict[str, Any]]:
    """Warnings of reads that answer null, since Knossos takes null for any value."""
    null_reads = [
        {"op": as_map(operation)}
        for operation in history.client_operations()
        if operation.type == "ok" and operation.f == "read" and operation.value[1] is None
    ]
    if not null_reads:
        return []
    text = "a read answered null instead of error 20 or a value: the verdict says nothing about it"
    return [warning("null-read", text, null_reads)]


def figures(result: Mapping[str, Any]) -> Iterator[Figure]:
    keys = result["failures"]
    yield Figure("keys that are not linearizable", len(keys), some(keys))


def explain(result: Mapping[str, Any], evidence: Evidence) -> Iterator[Reason]:
    if not (keys := result["failures"]):
        return
    what = f"not linearizable: {'keys' if len(keys) > 1 else 'key'} {some(keys)}"
    yield summary(misfits.KIND, what)
    failed = set(map(identity, keys))
    wrong = (part for part in _by_key(evidence.history) if identity(part[0]) in failed)
    for key, pairs in first(wrong):
        if misfit := _misfit(result["results"].get(key) or {}, pairs):
            yield misfits.reason(key, misfit, pairs, evidence)


def _misfit(judged: Mapping[str, Any], pairs: list[Pair]) -> Call | None:
    """The call at which a key's history can't be explained any more, as the result has it.

    Knossos may name another one, or none; then it is looked for.
    """
    index = (judged.get("linearizable", {}).get("op") or {}).get("index")
    for began, ended in pairs:
        if ended is not None and ended.index == index and ended.type == "ok":
            return linearizability.call_of(began, ended)
    return linearizability.check(pairs, BUDGET).call


CHECKER = Checker(check, figures, explain, warnings)
