"""Unique ids: every answer holds an id that no other answer holds."""

from __future__ import annotations

from typing import Any

from glomers.checkers import unique_ids
from glomers.workloads.base import (
    Conversation,
    Forever,
    Invocation,
    OperationGenerator,
    PlainWorkload,
    Values,
)


class UniqueIdsWorkload(PlainWorkload):
    name = "unique-ids"
    operations = {"generate": Values(answered=Any)}
    answers = {"generate": ("generate_ok", {"id": Any})}
    checker = unique_ids.CHECKER
    reusable_clients = True

    def generator(self) -> OperationGenerator:
        return Forever(lambda: Invocation("generate"))

    def invoke(self, invocation: Invocation) -> Conversation:
        answer = yield {"type": "generate"}
        return answer["id"]
