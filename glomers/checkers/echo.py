"""Echo: every answer holds what was sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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

    A refusal (`fail`) counts as a wrong answer; where nobody knows what happened (`info`) there
    is nothing to judge.
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
        first = json.dumps(edn.to_json(errors[0]), ensure_ascii=False)
        yield Figure("wrong answers", len(errors), quote(first))


CHECKER = Checker(check, figures)
