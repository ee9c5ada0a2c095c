"""Echo: a node's answer repeats the request's `echo`."""

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
        # As in Maelstrom, the history shows the whole answer; field names it knows are keywords.
        return {Keyword(field): value for field, value in answer.items()}
