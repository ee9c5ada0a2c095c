"""Echo: every answer must hold what was sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from glomers.checkers import Checker
from glomers.errors import quote
from glomers.history import edn
from glomers.history.operations import History, Operation
from glomers.history.values import identity
from glomers.options import Options
from glomers.report.figures import Figure


def check(history: History, options: Options) -> dict[str, Any]:
    """Maelstrom's echo checker.

    An error answer (`fail`) counts as a wrong answer. An operation of unknown outcome (`info`) is
    not judged.
    """
    errors = [
        ["Expected a message with :echo", invocation.value, "But received", completion.value]
        for invocation, completion in history.pairs()
        if completion is not None
        and completion.type != "info"
        and identity(_echoed(completion)) != identity(invocation.value)
    ]
    return {"valid?": not errors, "errors": errors}


def _echoed(completion: Operation) -> Any:
    answer = completion.value
    return answer.get("echo") if completion.type == "ok" and isinstance(answer, dict) else None


def figures(result: Mapping[str, Any]) -> Iterator[Figure]:
    """How many answers were wrong, and the first of them, if any was."""
    if errors := result["errors"]:
        yield Figure("wrong answers", len(errors), _difference(errors[0]))


def reasons(result: Mapping[str, Any]) -> Iterator[str]:
    if errors := result["errors"]:
        yield f"an answer was not what had been sent: {_difference(errors[0])}"


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


CHECKER = Checker(check, figures, reasons)
