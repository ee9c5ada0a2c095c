"""Echo: a node answers with what it was sent."""

from __future__ import annotations

from typing import Any

from glomers.checkers import echo
from glomers.history.edn import Keyword
from glomers.workloads.base import (
    Conversation,
    Forever,
    Invocation,
    OperationGenerator,
    PlainWorkload,
    Values,
)


class EchoWorkload(PlainWorkload):
    name = "echo"
    operations = {"echo": Values(asked=Any, answered={str: Any})}
    answers = {"echo": ("echo_ok", {"echo": Any})}
    checker = echo.CHECKER

    def generator(self) -> OperationGenerator:
        return Forever(lambda: Invocation("echo", f"Please echo {self.random.randrange(128)}"))

    def invoke(self, invocation: Invocation) -> Conversation:
        answer = yield {"type": "echo", "echo": invocation.value}
        # Maelstrom's history shows the whole answer, its own field names as keywords.
        return {Keyword(field): value for field, value in answer.items()}
