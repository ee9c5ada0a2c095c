"""The one decision that makes the difference between a run that fails and one that passes."""

from __future__ import annotations

import json

from glomers.errors import quote
from glomers.history.times import NANOS
from glomers.report.happenings import MOST_SOURCE, MOST_VALUE, milliseconds
from glomers.report.reasons import listed
from glomers.scenario import Action, Entry, Fate, Invoke, Switch, Unsynced, View


def difference(decision: Entry, instead: Entry | None = None) -> str:
    """A sentence: with which one difference a failing run passes.

    The passing run lacks the `decision` of the failing one, or has `instead` of it.
    """
    if isinstance(decision, Switch):
        text = f": `{quote(decision.text, MOST_SOURCE)}`" if decision.text else ""
        return _if(f"{decision.node} did not lose its turn before {decision.line}{text}")
    if isinstance(decision, Unsynced):
        kill = _numbered(decision.nth, f"kill of {decision.node}")
        return _if(f"{kill} lost nothing of what the node had not synced")
    if isinstance(decision, Fate):
        return _if(_of_message(decision))
    if isinstance(decision, View):
        what = _numbered(decision.nth, f"{decision.type} of {decision.caller}")
        return _if(f"{decision.service} showed {what} its newest state")
    if isinstance(decision, Action):
        return _if(f"the nemesis did not do {_action(decision)} at {_seconds(decision.time)}")
    if isinstance(instead, Invoke):
        when = f"came at {_seconds(instead.time)} instead of {_seconds(decision.time)}"
        return _if(f"{_operation(decision)} {when}")
    return _if(f"{_operation(decision)} at {_seconds(decision.time)} were left out")


def _if(what: str) -> str:
    return f"With one difference it passes: if {what}"


def _of_message(fate: Fate) -> str:
    what = _numbered(fate.nth, f"{quote(fate.type, MOST_VALUE)} from {fate.src} to {fate.dest}")
    if not fate.delays:
        return f"{what} were not lost"
    if len(fate.delays) > 1:
        return f"{what} arrived once, not {len(fate.delays)} times"
    return f"{what} took as long as other messages, not {milliseconds(fate.delays[0])}"


def _numbered(nth: int, what: str) -> str:
    """Which of several it is, if that is known."""
    ends = {1: "st", 2: "nd", 3: "rd"}
    end = "th" if nth % 100 in (11, 12, 13) else ends.get(nth % 10, "th")
    return f"the {nth:,}{end} {what}" if nth else f"the {what}"


def _action(action: Action) -> str:
    nodes = f" of {listed(action.nodes)}" if action.nodes else ""
    kind = f" ({action.kind})" if action.kind else ""
    return f"{action.f}{nodes}{kind}"


def _operation(invoke: Invoke) -> str:
    value = "" if invoke.value is None else f" {quote(json.dumps(invoke.value), MOST_VALUE)}"
    return f"worker {invoke.worker}'s {invoke.f}{value}"


def _seconds(time: int) -> str:
    return f"{time / NANOS:g} s"
