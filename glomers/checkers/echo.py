"""Echo: every answer must hold what was sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from glomers.checkers import Checker
from glomers.errors import quote
from glomers.history import edn
from glomers.history.evidence import Evidence
from glomers.history.operations import History, Operation
from glomers.history.values import identity
from glomers.options import Options
from glomers.report.figures import Figure
from glomers.report.reasons import Reason, indices, summary

KIND = "wrong-answer"


def check(history: History, options: Options) -> dict[str, Any]:
    """Maelstrom's echo checker.

    An error answer (`fail`) counts as a wrong answer. An operation of unknown outcome (`info`) is
    not judged.
    """
    errors = [
        ["Expected a message with :echo", invocation.value, "But received", completion.value]
        for invocation, completion in _wrong(history)
    ]
    return {"valid?": not errors, "errors": errors}


def _wrong(history: History) -> Iterator[tuple[Operation, Operation]]:
    """The operations whose answer is not what was sent."""
    for invocation, completion in history.pairs():
        if (
            completion is not None
            and completion.type != "info"
            and identity(_echoed(completion)) != identity(invocation.value)
        ):
            yield invocation, completion


def _echoed(completion: Operation) -> Any:
    answer = completion.value
    return answer.get("echo") if completion.type == "ok" and isinstance(answer, dict) else None


def figures(result: Mapping[str, Any]) -> Iterator[Figure]:
    """How many answers were wrong, and the first of them, if any was."""
    if errors := result["errors"]:
        yield Figure("wrong answers", len(errors), _difference(errors[0]))


def explain(result: Mapping[str, Any], evidence: Evidence) -> Iterator[Reason]:
    """The first wrong answer says it all."""
    if errors := result["errors"]:
        text = f"an answer was not what had been sent: {_difference(errors[0])}"
        same = (pair for pair in _wrong(evidence.history) if pair[0].value == errors[0][1])
        for began, ended in same:
            nodes = evidence.nodes_of(ended)
            yield Reason(KIND, text, ended.time, indices((began, ended)), (), nodes, summary=True)
            return
        yield summary(KIND, text)


def _difference(error: Sequence[Any]) -> str:
    """What was sent and what came back. The result doesn't keep the text of an error answer."""
    _, sent, _, answer = error
    if not isinstance(answer, Mapping):
        return f"sent {_shown(sent)}, answered with an error"
    if "echo" not in answer:
        return f"sent {_shown(sent)}, got {_shown(answer)}, which has no `echo`"
    got = answer["echo"]
    same = " (it looks the same, but the type differs)" if str(sent) == str(got) else ""
    return f"sent {_shown(sent)}, got {_shown(got)}{same}"


def _shown(value: Any) -> str:
    return quote(json.dumps(edn.to_json(value), ensure_ascii=False))


CHECKER = Checker(check, figures, explain)
