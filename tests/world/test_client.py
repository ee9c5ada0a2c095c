"""Clients: what counts as an answer, and what is said of what doesn't."""

from __future__ import annotations

import gc
import json
import weakref
from random import Random

import pytest

from glomers.history.times import nanos
from glomers.world.client import Client, RequestFailed
from glomers.world.incidents import Incidents
from glomers.world.loop import Loop
from glomers.world.network import Network

ANSWERS = {"echo": ("echo_ok", {"echo": str})}


class World:
    """A client c1 that asks node n0, whose answers the test gives."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.network = Network(self.loop, Random(0), self)
        self.incidents = Incidents()
        self.requests = []
        self.outcomes = []
        self.network.join("n0", lambda message: self.requests.append(message.body))
        self.client = Client(self.loop, self.network, "c1", ANSWERS, self.incidents)

    def record(self, event, time, message):
        pass

    def ask(self):
        def conversation():
            return (yield {"type": "echo", "echo": "hi"})["echo"]

        self.conversation = conversation()
        self.client.converse("n0", self.conversation, 5.0, self.outcomes.append)
        self.wait(0.1)

    def answer(self, **body):
        body = {"type": "echo_ok", "echo": "hi", **body}
        line = json.dumps({"src": "n0", "dest": "c1", "body": body}).encode()
        self.network.send("n0", "c1", body, line)
        self.wait(0.1)

    def wait(self, seconds):
        self.loop.call_later(nanos(seconds), self.loop.stop)
        self.loop.run()

    @property
    def odd(self):
        return {warning["kind"]: warning["count"] for warning in self.incidents.warnings()}


@pytest.fixture
def world():
    return World()


def test_the_answer_to_the_request_is_taken(world):
    world.ask()
    world.answer(in_reply_to=1)
    assert [outcome.type for outcome in world.outcomes] == ["ok"]
    assert world.odd == {}


def test_an_operation_that_has_ended_is_forgotten_at_once(world):
    """It has to be in no cycle: a test has thousands, which the collector would go through."""
    world.ask()
    first = weakref.ref(world.conversation)
    gc.disable()
    try:
        world.answer(in_reply_to=1)
        world.ask()  # the time-out of the first request is still to come
        assert first() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ({}, "no-in-reply-to", "without `in_reply_to`"),
        ({"in_reply_to": "1"}, "in-reply-to-no-integer", "whose `in_reply_to` is no integer"),
        ({"in_reply_to": None}, "in-reply-to-no-integer", "whose `in_reply_to` is no integer"),
        ({"in_reply_to": 1.0}, "in-reply-to-no-integer", "whose `in_reply_to` is no integer"),
        ({"in_reply_to": True}, "in-reply-to-no-integer", "whose `in_reply_to` is no integer"),
        ({"in_reply_to": [1]}, "in-reply-to-no-integer", "whose `in_reply_to` is no integer"),
        ({"in_reply_to": 2}, "answer-to-nothing", "(c1 made no request 2)"),
        ({"in_reply_to": 0}, "answer-to-nothing", "(c1 made no request 0)"),
    ],
)
def test_what_answers_nothing_is_passed_over_counted_and_quoted(world, body, kind, words):
    world.ask()
    world.answer(**body)
    world.answer(**body)
    assert world.outcomes == []
    assert world.odd == {kind: 2}
    [warning] = world.incidents.warnings()
    assert words in warning["text"]
    assert json.loads(warning["first"]["line"])["body"].items() >= body.items()


def test_a_late_answer_is_nothing_odd(world):
    world.ask()
    world.wait(6)
    assert [outcome.error for outcome in world.outcomes] == ["net-timeout"]
    world.answer(in_reply_to=1)
    world.client.close()
    world.answer(in_reply_to=1)
    assert world.odd == {}


@pytest.mark.parametrize("left", [False, True])
def test_an_answer_to_what_has_been_answered_is_odd(world, left):
    world.ask()
    world.answer(in_reply_to=1)
    if left:  # as the client that sent init has: its id is often taken for another's
        world.client.close()
    world.answer(in_reply_to=1)
    [warning] = world.incidents.warnings()
    assert warning["kind"] == "answered-before"
    assert "(request 1 of c1)" in warning["text"]


def test_what_comes_to_a_client_that_has_left_may_be_odd(world):
    world.ask()
    world.client.close()
    world.answer(in_reply_to=7)
    world.answer(in_reply_to="1")
    assert world.odd == {"answer-to-nothing": 1, "in-reply-to-no-integer": 1}


# Errors


def failure(world, **error):
    """How the client understands an error."""
    answer = {"type": "error", "in_reply_to": 1, **error}
    with pytest.raises(RequestFailed) as failed:
        world.client._checked("n0", {"type": "echo", "msg_id": 1}, answer)
    return failed.value.error, failed.value.definite


@pytest.mark.parametrize("code", ["11", None, 11.0, True, [], {"a": 1}])
def test_a_code_that_is_no_integer_means_unknown_as_in_maelstrom(world, code):
    assert failure(world, code=code, text="no") == (["unknown", "no"], False)
    assert world.odd == {"code-no-integer": 1}


def test_an_error_without_code_and_text(world):
    assert failure(world) == (["unknown", None], False)


@pytest.mark.parametrize("code", [1000, -1, 2, 10**30])
def test_codes_of_ones_own_are_allowed(world, code):
    assert failure(world, code=code, text=[1]) == (["unknown", [1]], False)
    assert world.odd == {}


def test_errors_may_carry_more(world):
    assert failure(world, code=11, text="t", msg_id="x", extra=1) == (
        ["temporarily-unavailable", "t"],
        True,
    )
