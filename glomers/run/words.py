"""The choices of a run in words."""

from __future__ import annotations

import json
from typing import Any

from glomers.errors import quote
from glomers.history.operations import Operation
from glomers.run.choices import Choice
from glomers.world.services import NEWEST, State

SHOWN = 80  # characters of a message's body, or of a value

# A fault in words: one, and several.
FAULT_WORDS = {
    "losses": ("lost message", "lost messages"),
    "duplicates": ("message that arrives twice", "messages that arrive twice"),
    "crashes": ("crash", "crashes"),
    "switches": ("switch between lines", "switches between lines"),
    "early_timers": ("early timer", "early timers"),
}


def words(choice: Choice) -> str:
    """What happens, for a person to read; "" for what isn't worth a word."""
    kind, at, detail = choice.kind, choice.at, choice.detail
    if kind in ("arrive", "duplicate", "lose"):
        happens = {
            "arrive": "arrives",
            "duplicate": "arrives, the first time of two",
            "lose": "is lost",
        }
        message = json.loads(detail)
        body = {k: v for k, v in message["body"].items() if k not in ("type", "msg_id")}
        type = message["body"].get("type")
        told = f"{type} {quote(json.dumps(body), SHOWN)}" if body else f"{type}"
        return f"{message['src']} → {at} {told} {happens[kind]}"
    if kind == "begin":
        worker, _, what = detail.partition(" ")
        return f"client {worker} asks {at}: {what}"
    if kind == "answer":
        return f"{at} answers from a state {detail}" if detail else ""
    where = detail.rpartition(" ")[2]
    return {
        "resume": f"{at} goes on at {where}",
        "crash": f"{at} crashes",
        "start": f"{at} starts anew",
        "early": "a timer is quicker",
    }.get(kind, "")


def state_in_words(state: State) -> str:
    """A state as it is told; "" for the newest."""
    if state.behind:
        return f"{state.behind} behind the newest"
    if state == NEWEST:
        return ""
    learner = "" if state.learner is None else f", now that replica {state.learner} has learnt"
    return f"of replica {state.replica}{learner}"


def operation_in_words(f: str, value: Any) -> str:
    """What an operation does."""
    return f if value is None else f"{f} {quote(json.dumps(value, default=str), SHOWN)}"


def ending_in_words(operation: Operation) -> str:
    """How an operation ended."""
    error = "" if operation.error is None else f" ({quote(str(operation.error), SHOWN)})"
    how = {"ok": "is ok", "fail": "fails", "info": "has no answer"}[operation.type]
    what = operation_in_words(operation.f, operation.value)
    return f"client {operation.process}: {what} {how}{error}"
