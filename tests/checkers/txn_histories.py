"""Histories of transactions in few words.

history("w x 1", "r x 1")                     one after the other, by one process
history(together("w x 1", "r x 1, w y 2"))    at the same time, by processes 0, 1, …
history("fail: w x 1", "info: a y 1")         how it ended, if not well
history("r x [1 2], a x 3")                   a list; nil is -
history("w x 1 -> w x 2")                     what was asked, and what was answered
"""

from __future__ import annotations

from typing import Any

from glomers.history.edn import Keyword
from glomers.history.operations import History, Operation

NAMES = {"r": Keyword("r"), "w": Keyword("w"), "a": Keyword("append")}


class together(tuple):
    """Transactions that overlap."""

    def __new__(cls, *transactions: str) -> together:
        return super().__new__(cls, transactions)


def history(*groups: str | together, processes: list[int] | None = None) -> History:
    """Groups of transactions, one group after the other.

    `processes` are the processes of the transactions, if not 0, 1, … in every group.
    """
    operations: list[Operation] = []
    given = iter(processes or ())

    def record(type: str, process: int, value: Any) -> None:
        index = len(operations)
        operations.append(Operation(index, index * 1_000_000, type, process, "txn", value))

    for group in groups:
        texts = group if isinstance(group, together) else (group,)
        members = [(next(given, number), *parse(text)) for number, text in enumerate(texts)]
        for process, _, request, _ in members:
            record("invoke", process, request)
        for process, type, request, answer in members:
            record(type, process, answer if type == "ok" else request)
    return History(operations)


def parse(text: str) -> tuple[str, list[Any], list[Any]]:
    """How it ended, what was asked, and what was answered."""
    type, _, rest = text.rpartition(": ")
    asked, arrow, answered = rest.partition(" -> ")
    answer = [micro_operation(part) for part in (answered if arrow else asked).split(", ")]
    request = [micro_operation(part) for part in asked.split(", ")]
    return type or "ok", [[f, k, None if f == "r" else v] for f, k, v in request], answer


def micro_operation(text: str) -> list[Any]:
    f, key, value = text.split(" ", 2)
    return [NAMES[f], key, parsed_value(value)]


def parsed_value(text: str) -> Any:
    if text.startswith("["):
        return [int(element) for element in text[1:-1].split()]
    return None if text == "-" else int(text)


def types(result: dict[str, Any]) -> list[str]:
    """The types of anomalies in a checker's result; checks that the rest of it agrees."""
    found = [str(name) for name in result["anomaly-types"]]
    assert found == sorted(result["anomalies"] or {})
    assert result["valid?"] is (not found)
    return found
