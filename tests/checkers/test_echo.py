"""Echo: which answers count as echoes."""

from __future__ import annotations

from handwritten import fail, history, info, invoke, ok

from glomers.checkers import echo
from glomers.options import Options


def check(*steps):
    return echo.check(history(*steps), Options())


def answer(value):
    return {"type": "echo_ok", "echo": value, "in_reply_to": 1}


def wrong(sent, received):
    return ["Expected a message with :echo", sent, "But received", received]


def test_answers_that_hold_what_was_sent_are_right():
    result = check(
        invoke(0, "echo", "a"),
        invoke(1, "echo", {"b": [1, None]}),
        ok(1, answer({"b": [1, None]})),
        ok(0, answer("a")),
    )
    assert result == {"valid?": True, "errors": []}


def test_a_wrong_answer_is_shown_beside_what_was_sent():
    result = check(
        invoke(0, "echo", "a"), ok(0, answer("a!")), invoke(0, "echo", "b"), ok(0, answer("b"))
    )
    assert result == {"valid?": False, "errors": [wrong("a", answer("a!"))]}


def test_two_answers_that_were_mixed_up_are_two_errors():
    result = check(
        invoke(0, "echo", "a"), invoke(1, "echo", "b"), ok(1, answer("a")), ok(0, answer("b"))
    )
    assert result["errors"] == [wrong("a", answer("b")), wrong("b", answer("a"))]


def test_an_answer_without_an_echo_is_wrong():
    assert check(invoke(0, "echo", "a"), ok(0, {"type": "echo_ok"}))["valid?"] is False


def test_values_that_only_python_calls_equal_are_not():
    result = check(
        invoke(0, "echo", 1), ok(0, answer(1.0)), invoke(0, "echo", [True]), ok(0, answer([1]))
    )
    assert len(result["errors"]) == 2


def test_a_refusal_is_wrong():
    result = check(invoke(0, "echo", "a"), fail(0, ["not-supported", "?"]))
    assert result["errors"] == [wrong("a", "a")]


def test_what_nobody_knows_is_not_judged():
    result = check(invoke(0, "echo", "a"), info(0), invoke(1, "echo", "b"))
    assert result == {"valid?": True, "errors": []}
