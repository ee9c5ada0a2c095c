"""Echo: every answer holds what was sent."""

from __future__ import annotations

from typing import Any

from glomers.history.operations import History, Operation
from glomers.history.values import identity
from glomers.options import Options


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
