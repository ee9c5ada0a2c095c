"""The node library: what a node does about every kind of message. No threads, no clock."""

from __future__ import annotations

import functools
import gc
import json
import math
import random
import re
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from unittest.mock import Mock

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from stage import ROOT, Stage, init, message

import maelstrom_node
from maelstrom_node import KV, TSO, Code, Message, Node, RPCError, RPCTimeout


@pytest.fixture
def bare():
    """A node that has not heard of init yet."""
    return Stage()


@pytest.fixture
def stage(bare):
    """A node that has, with a handler for echo."""

    @bare.node.on("echo")
    def echo(message):
        return {"type": "echo_ok", "echo": message.body["echo"]}

    return bare.init()


@pytest.fixture
def logged(capsys):
    """The lines that have been logged since the last call."""
    return lambda: capsys.readouterr().err.splitlines()


@pytest.fixture
def complaint(logged):
    """What the library complains of, in one line since the last call: problem and example."""

    def complaint():
        (line,) = logged()
        assert line.startswith("maelstrom_node: ")
        problem, _, example = line.removeprefix("maelstrom_node: ").partition(": ")
        return problem, example

    return complaint


def place(function, before=" ("):
    """A function of this file as it is shown in the log."""
    code = function.__code__
    return f"{code.co_name}{before}test_node.py:{code.co_firstlineno}{')' * (before == ' (')}"


def works(stage):
    return stage.ask("echo", echo="still") == {"type": "echo_ok", "echo": "still"}


# Handlers


def test_what_a_handler_returns_is_the_answer(stage):
    assert stage.ask("echo", echo="hello") == {"type": "echo_ok", "echo": "hello"}
    stage.assert_silence()


def test_a_handler_gets_the_message(stage):
    @stage.node.on("look")
    def look(message):
        assert message == Message("c1", "n1", message.body)
        assert (message.src, message.dest, message.body["at"]) == ("c1", "n1", "me")
        return {"type": "look_ok"}

    assert stage.ask("look", at="me") == {"type": "look_ok"}


def test_none_is_no_answer(stage):
    stage.node.on("quiet")(lambda message: None)
    stage.receive(message("c1", "n1", "quiet", msg_id=1))
    stage.assert_silence()


def test_a_message_without_msg_id_is_handled_but_not_answered(stage, logged):
    seen = []
    stage.node.on("news")(lambda message: seen.append(message.body["value"]) or {"type": "news_ok"})
    stage.receive(message("n2", "n1", "news", value=3))
    assert seen == [3]
    stage.assert_silence()
    assert logged() == []


def test_msg_id_0_is_answered_like_any_other(stage):
    stage.receive(message("c1", "n1", "echo", msg_id=0, echo=1))
    stage.assert_sent(dest="c1", in_reply_to=0)


def test_in_reply_to_null_is_a_request(stage):
    stage.receive(message("c1", "n1", "echo", msg_id=1, in_reply_to=None, echo=1))
    stage.assert_sent(dest="c1", in_reply_to=1)


def test_a_handler_that_raises_an_rpc_error_answers_with_it(stage, logged):
    @stage.node.on("read")
    def read(message):
        raise RPCError(1234, "no such thing")

    assert stage.ask("read") == {"type": "error", "code": 1234, "text": "no such thing"}
    assert logged() == []


@pytest.mark.parametrize(
    "error", [KeyError("x"), SystemExit(3), RecursionError(), KeyboardInterrupt(), GeneratorExit()]
)
def test_any_other_exception_answers_13_and_is_logged_with_its_traceback(stage, logged, error):
    @stage.node.on("read")
    def read(message):
        raise error

    answer = stage.ask("read")
    assert (answer["type"], answer["code"]) == ("error", 13)
    assert type(error).__name__ in answer["text"]
    log = "\n".join(logged())
    assert "Traceback" in log
    assert "raise error" in log
    assert works(stage)


def test_an_exception_that_cannot_be_shown_is_answered_all_the_same(stage, logged):
    class Unspeakable(Exception):
        def __repr__(self):
            raise ValueError

        __str__ = __repr__

    @stage.node.on("read")
    def read(message):
        raise Unspeakable

    assert stage.ask("read")["code"] == 13
    assert works(stage)


@pytest.mark.parametrize(
    ("type", "hint"),
    [
        ("ecko", "did you mean 'echo'?"),
        ("fly", "there are handlers for 'echo', 'read'"),
        ("echo_ok", "an answer has an in_reply_to"),
    ],
)
@pytest.mark.parametrize(("sender", "kind"), [("n2", "a node"), ("c1", "a client")])
def test_every_message_of_an_unknown_type_is_logged_with_what_may_be_meant(
    stage, complaint, type, hint, sender, kind
):
    stage.node.on("read")(lambda message: None)
    for _ in range(2):
        stage.receive(message(sender, "n1", type, value=3))
        problem, example = complaint()
        assert problem == f"no handler takes '{type}' from {kind} ({hint})"
        assert example == f"{sender} sent {{'type': '{type}', 'value': 3}}"
    stage.assert_silence()


def test_a_request_of_an_unknown_type_answers_10_and_says_the_same(stage, complaint):
    answer = stage.ask("ecko")
    problem, _ = complaint()
    assert answer == {"type": "error", "code": 10, "text": problem}
    assert "'echo'" in problem


def test_an_endless_type_is_not_repeated_in_full(stage, complaint):
    for fields in ({}, {"in_reply_to": 9}):
        stage.receive(message("n2", "n1", "x" * 100_000, **fields))
        assert len("".join(complaint())) < 1000


def test_a_node_without_handlers_says_that_it_has_none(bare):
    assert "(there are none)" in bare.init().ask("fly")["text"]


def test_an_rpc_error_that_nobody_waits_for_is_logged(stage, complaint):
    @stage.node.on("fail")
    def fail(message):
        raise RPCError(Code.ABORT, "can't\nnow")

    stage.receive(message("n2", "n1", "fail", why="because\nof that"))
    stage.assert_silence()
    problem, example = complaint()
    assert problem == f"the handler for 'fail' ({place(fail, ', ')}) raised abort (14)"
    assert example == r"can't now; n2 sent {'type': 'fail', 'why': 'because\nof that'}"


def test_an_exception_is_logged_as_a_traceback_only(stage, logged):
    stage.node.on("fail")(lambda message: message.body["no"])
    stage.receive(message("n2", "n1", "fail"))
    log = logged()
    assert (log[0], log[-1]) == ("Traceback (most recent call last):", "KeyError: 'no'")


class Unknown:
    """Nothing that JSON knows."""

    def __repr__(self) -> str:
        return "unknown"


class Odd:
    """Nothing that can even be asked for a type."""

    def __contains__(self, key: object) -> bool:
        raise KeyError(key)

    def __repr__(self) -> str:
        return "odd"


CIRCLE: list = []
CIRCLE.append(CIRCLE)


async def coroutine():
    """Nothing that anybody awaits."""


NO_ANSWERS = {
    "a str": (lambda: "text", "'text'"),
    "an int": (lambda: 5, "5"),
    "a bool": (lambda: True, "True"),
    "a list": (lambda: ["list"], "['list']"),
    "a set": (lambda: {"type"}, "{'type'}"),
    "an Odd": (Odd, "odd"),
    "a coroutine": (coroutine, "<coroutine object coroutine>"),
    'a dict without a string as its "type"': (lambda: {"no": "type"}, "{'no': 'type'}"),
    "a dict that is not JSON": (lambda: {"type": "x", "value": Unknown()}, "{'type': 'x', 'value'"),
}


@pytest.mark.filterwarnings("error")  # such as that a coroutine was never awaited
@pytest.mark.parametrize("kind", NO_ANSWERS)
@pytest.mark.parametrize("fields", [{}, {"msg_id": 1}], ids=["a message", "a request"])
def test_a_handler_that_returns_no_answer_is_named_with_what_it_returned(
    stage, complaint, kind, fields
):
    make, shown = NO_ANSWERS[kind]

    @stage.node.on("read")
    def read(message):
        return make()

    stage.receive(message("c1", "n1", "read", **fields))
    problem, example = complaint()
    assert problem == (
        f"the handler for 'read' ({place(read, ', ')}) returned {kind}, which is no answer "
        '(return a dict with a "type", or None for no answer)'
    )
    assert example.startswith(shown)
    if fields:
        assert stage.assert_sent(dest="c1", in_reply_to=1) == {
            "type": "error", "code": 13, "text": f"{problem}: {example}", "in_reply_to": 1
        }  # fmt: skip
    stage.assert_silence()
    assert works(stage)


@pytest.mark.parametrize("reply", [{"type": 5}, {"type": "x", "value": {1, 2}},
                                   {"type": "x", "value": CIRCLE}, {"type": "x", "value": b"b"}],
                         ids=repr)  # fmt: skip
def test_a_dict_that_cannot_be_sent_answers_13_and_is_logged(stage, complaint, reply):
    stage.node.on("read")(lambda message: reply)
    answer = stage.ask("read")
    assert (answer["type"], answer["code"]) == ("error", 13)
    assert "'read'" in complaint()[0]
    assert works(stage)


def test_a_handler_that_returns_none_for_a_request_is_named_once_per_type(stage, complaint, logged):
    @stage.node.on("read")
    def read(message): ...

    @stage.node.on("write")
    def write(message): ...

    for handler in (read, write):
        name = handler.__name__
        for _ in range(2):
            stage.receive(message("c1", "n1", name, msg_id=1))
        assert complaint() == (
            f"the handler for '{name}' ({place(handler, ', ')}) returned None, "
            "so the request has no answer",
            f"c1 sent {{'type': '{name}', 'msg_id': 1}}",
        )
    stage.receive(message("c1", "n1", "read"))
    assert logged() == []


@pytest.mark.parametrize("when", ["first", "soon"])
def test_a_handler_may_return_none_where_the_script_answers_by_send(bare, logged, when):
    def answer():
        body = {"type": "read_ok", "in_reply_to": 1}
        bare.node.send("c1", body)

    class Slow(type(bare.runtime)):
        def sleep(self, seconds):
            assert seconds > 0.5
            answer()

    if when == "soon":
        bare.runtime.__class__ = Slow
    bare.node.on("read")(lambda message: answer() if when == "first" else None)
    bare.init().receive(message("c1", "n1", "read", msg_id=1))
    bare.assert_sent(dest="c1", type="read_ok", in_reply_to=1)
    assert logged() == []


# Misuse is told where it happens


def gossip(message): ...


async def asleep(message): ...


def generator(message):
    yield


def nothing(): ...


def two(message, lock): ...


def with_options(message, lock=None, *rest, key=1): ...


def needs_a_key(message, *, key): ...


class Methods:
    def one(self, message): ...

    def none(self): ...

    async def asleep(self, message): ...

    def __call__(self, message): ...


class AsleepWhenCalled:
    async def __call__(self, message): ...


def wrapped(function):
    return functools.wraps(function)(lambda *args: function(*args))


SUITABLE = [
    gossip, with_options, Methods().one, Methods(), lambda message, name="n1": None,
    lambda *args: None, [].append, functools.partial(two, lock=1), functools.partial(two, 1),
    print, dict, Message._make, wrapped(two), wrapped(asleep), staticmethod(gossip), Mock(),
]  # fmt: skip


@pytest.mark.parametrize("handler", SUITABLE)
def test_whatever_can_be_called_with_a_message_can_be_a_handler(bare, handler):
    assert bare.node.on("gossip")(handler) is handler


ON = '@node.on("gossip")'
A_MESSAGE = "passes one argument, the message"
PLAIN = "write a def without async and yield; it may block"
UNSUITABLE = [
    (asleep, f"{place(asleep)} is an async def, which {ON} can't run: {PLAIN}"),
    (Methods().asleep, f"Methods.{place(Methods.asleep)} is an async def, which"),
    (functools.partial(asleep, 1), f"{place(asleep)} is an async def, which"),
    (AsleepWhenCalled(), "AsleepWhenCalled (test_node.py:"),
    (generator, f"{place(generator)} is a generator, which {ON} can't run: {PLAIN}"),
    (nothing, f"{place(nothing)} takes (), but {ON} {A_MESSAGE}: write def nothing(message)"),
    (two, f"{place(two)} takes (message, lock), but {ON} {A_MESSAGE}: write def two(message)"),
    (needs_a_key, f"{place(needs_a_key)} takes (message, *, key), but"),
    (Methods().none, f"Methods.{place(Methods.none)} takes (), but"),
    (Methods.one, f"Methods.{place(Methods.one)} takes (self, message), but"),
    (lambda: None, f"takes (), but {ON} {A_MESSAGE}: write def handle(message)"),
    (functools.partial(two, 1, 2), f"{place(two)} takes (), but"),
    (5, f"{ON} takes a function, not 5: write def handle(message)"),
    (None, f"{ON} takes a function, not None: write def handle(message)"),
]


@pytest.mark.parametrize(("handler", "problem"), UNSUITABLE)
def test_what_cannot_be_a_handler_is_refused_with_its_place_and_a_remedy(bare, handler, problem):
    with pytest.raises(TypeError, match=re.escape(problem)):
        bare.node.on("gossip")(handler)
    bare.node.on("gossip")(gossip)


def test_what_cannot_handle_init_is_refused_too(bare):
    with pytest.raises(TypeError, match=r'@node\.on\("init"\) passes one argument'):
        bare.node.on("init")(nothing)


@pytest.mark.parametrize(
    ("type", "error", "problem"),
    [
        (gossip, TypeError, f'@node.on needs a type: write @node.on("gossip") for {place(gossip)}'),
        (5, TypeError, 'a type is a string, not 5: write, say, @node.on("gossip")'),
        (None, TypeError, "a type is a string, not None"),
        ("", ValueError, 'a type is not empty: write, say, @node.on("gossip")'),
    ],
)
def test_on_takes_a_type(bare, type, error, problem):
    with pytest.raises(error, match=f"^{re.escape(problem)}"):
        bare.node.on(type)


@pytest.mark.parametrize(
    ("seconds", "error", "problem"),
    [
        (nothing, TypeError, "@node.every needs seconds: write @node.every(1.0) for "),
        ("1", TypeError, "a period is a number of seconds, not '1': write, say, @node.every(1.0)"),
        (None, TypeError, "a period is a number of seconds, not None"),
        (0, ValueError, "a period is a number of seconds above 0, not 0: write, say, @node."),
        (-0.5, ValueError, "above 0, not -0.5"),
        (math.nan, ValueError, "above 0, not nan"),
        (math.inf, ValueError, "above 0, not inf"),
    ],
)
def test_every_takes_a_number_of_seconds(bare, seconds, error, problem):
    with pytest.raises(error, match=re.escape(problem)):
        bare.node.every(seconds)


@pytest.mark.parametrize("seconds", [1, 0.5, Fraction(1, 2), Decimal("0.5")])
def test_every_takes_any_kind_of_number(bare, seconds):
    bare.node.every(seconds)(nothing)
    bare.init()
    assert [period for period, _ in bare.runtime.periodic] == [seconds]


@pytest.mark.parametrize(
    ("task", "problem"),
    [
        (gossip, f"{place(gossip)} takes (message), but @node.every(0.1) passes no arguments: "
                 "write def gossip()"),
        (asleep, f"{place(asleep)} is an async def, which @node.every(0.1) can't run: {PLAIN}"),
        (None, "@node.every(0.1) takes a function, not None"),
    ],
)  # fmt: skip
def test_every_takes_a_function_without_arguments(bare, task, problem):
    with pytest.raises(TypeError, match=f"^{re.escape(problem)}"):
        bare.node.every(0.1)(task)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("function", "args", "problem"),
    [
        (None, (), "node.spawn takes a function, not None: write node.spawn(f, x) to run f(x)"),
        (coroutine, None, "node.spawn takes a function, not <coroutine object coroutine>: write"),
        (asleep, (1,), f"{place(asleep)} is an async def, which node.spawn can't run: {PLAIN}"),
        (two, (1,), f"{place(two)} takes (message, lock), but node.spawn passes 1 argument: "
                    "write node.spawn(f, x) to run f(x)"),
        (two, (), "takes (message, lock), but node.spawn passes 0 arguments"),
    ],
)  # fmt: skip
def test_spawn_takes_a_function_and_its_arguments(stage, function, args, problem):
    with pytest.raises(TypeError, match=re.escape(problem)):
        stage.node.spawn(*((function(),) if args is None else (function, *args)))


def test_a_script_that_is_right_does_not_import_inspect(tmp_path):
    """It takes long."""
    program = """
import sys, threading
from maelstrom_node import Node, Replication
sys.modules["inspect"] = None  # importing it fails
node = Node()
Replication(node, threading.Lock())
node.on("echo")(lambda message, name="n1": {"type": "echo_ok"})
"""
    subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": str(ROOT)}, check=True)


def test_a_second_handler_for_a_type_is_an_error(bare):
    @bare.node.on("read")
    def first(message): ...

    with pytest.raises(ValueError, match=r"'read'.*first.*test_node.py.*second.*test_node.py"):

        @bare.node.on("read")
        def second(message): ...


def test_nothing_that_is_passed_in_is_changed(stage):
    body, reply = {"type": "x"}, {"type": "read_ok"}
    stage.node.on("read")(lambda message: reply)
    stage.play("n2", lambda request: {"type": "x_ok"})
    stage.ask("read")
    stage.node.send("n3", body)
    stage.node.request("n3", body)
    stage.node.rpc("n2", body)
    assert (body, reply) == ({"type": "x"}, {"type": "read_ok"})


@pytest.mark.parametrize("change", [dict.clear, lambda body: body.update(type="x", msg_id=99)])
@pytest.mark.parametrize(
    ("end", "answer"),
    [
        ("return", {"type": "take_ok"}),
        ("refuse", {"type": "error", "code": 22, "text": "not now"}),
        ("crash", {"type": "error", "code": 13, "text": "KeyError('value')"}),
    ],
)
def test_a_handler_that_changes_the_message_answers_all_the_same(
    stage, logged, change, end, answer
):
    @stage.node.on("take")
    def take(message):
        change(message.body)
        if end == "refuse":
            raise RPCError(22, "not now")
        return {"type": "take_ok"} if end == "return" else message.body["value"]

    assert stage.ask("take") == answer
    stage.receive(message("c1", "n1", "take"))
    stage.assert_silence()


def test_a_handler_that_changes_the_message_is_named_by_the_type_that_came(stage, complaint):
    @stage.node.on("take")
    def take(message):
        message.body.clear()
        return {1, 2}

    stage.ask("take")
    problem, _ = complaint()
    assert problem.startswith("the handler for 'take' (take, test_node.py:")


# Init


def test_the_init_hook_runs_before_init_ok_goes_out(bare):
    @bare.node.on("init")
    def hook(message):
        node = bare.node
        assert (node.id, node.ids, node.peers) == ("n1", ["n1", "n2", "n3"], ["n2", "n3"])
        assert message.body["node_id"] == "n1"
        node.send("n2", {"type": "hello"})

    bare.receive(init())
    assert [sent["body"]["type"] for sent in bare.runtime.sent] == ["hello", "init_ok"]


def test_init_may_have_several_handlers_which_run_in_their_order(bare):
    calls = []
    for name in "abc":
        bare.node.on("init")(lambda message, name=name: calls.append(name))
    bare.init()
    assert calls == ["a", "b", "c"]


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_request_before_init_is_done_answers_11_in_the_name_it_was_sent_to(bare, when):
    bare.node.on("echo")(lambda message: {"type": "echo_ok"})

    def ask():
        assert bare.ask("echo")["code"] == 11

    if when == "before":
        ask()
    else:
        bare.node.on("init")(lambda message: ask())
        bare.receive(init())
    bare.receive(init())
    assert bare.ask("echo") == {"type": "echo_ok"}


def test_a_message_before_init_is_logged(bare, complaint):
    bare.receive(message("n2", "n1", "news", value=3))
    bare.assert_silence()
    assert complaint() == (
        "'news' came before init was done",
        "n2 sent {'type': 'news', 'value': 3}",
    )


@pytest.mark.parametrize("fields", [{}, {"node_id": "n1"}, {"node_id": 1, "node_ids": ["n1"]},
                                    {"node_id": "", "node_ids": []}])  # fmt: skip
def test_an_init_that_says_too_little_answers_12(bare, fields):
    assert bare.ask("init", **fields)["code"] == 12
    bare.init()


def test_init_again_changes_nothing(bare):
    calls = []
    bare.node.on("init")(calls.append)
    bare.init().init()
    assert len(calls) == 1
    assert bare.ask("init", node_id="n9", node_ids=["n9"])["code"] == 22
    assert bare.node.id == "n1"


def test_a_hook_that_fails_fails_init(bare):
    @bare.node.on("init")
    def hook(message):
        raise RPCError(Code.TEMPORARILY_UNAVAILABLE, "not today")

    assert bare.ask("init", node_id="n1", node_ids=["n1"])["text"] == "not today"


@pytest.mark.parametrize("name", ["id", "ids", "peers"])
def test_what_init_tells_is_not_known_before(bare, name):
    with pytest.raises(RuntimeError, match=rf"^node\.{name} is known from init on; use it in a ha"):
        getattr(bare.node, name)
    bare.init()
    assert getattr(bare.node, name)


def test_a_node_that_does_not_know_its_name_cannot_send(bare):
    with pytest.raises(RuntimeError, match="init"):
        bare.node.send("n2", {"type": "hello"})
    with pytest.raises(RuntimeError, match="init"):
        bare.node.rpc("n2", {"type": "hello"})


# Bad input

ECHO = {"type": "echo", "echo": 1}


def line(**message):
    return json.dumps(message)


UNANSWERABLE = {
    "no JSON": "hello",
    "half JSON": '{"src": "c1", "dest": "n1", "bo',
    "two messages": message("c1", "n1", "echo", msg_id=1) * 2,
    "empty": "",
    "blank": " \t ",
    "no UTF-8": b'{"src": "c1", "dest": "n1", "body": {"type": "echo", "echo": "\xff"}}',
    "NUL": b"\0",
    "too deep": "[" * 100_000 + "]" * 100_000,
    "too long a number": "9" * 5000,
    "a list": "[]",
    "a number": "5",
    "a string": '"src"',
    "null": "null",
    "no src": line(dest="n1", body={**ECHO, "msg_id": 1}),
    "src is no string": line(src=5, dest="n1", body={**ECHO, "msg_id": 1}),
    "no body": line(src="c1", dest="n1"),
    "body is no object": line(src="c1", dest="n1", body=[]),
    "body is null": line(src="c1", dest="n1", body=None),
    "body is a string": line(src="c1", dest="n1", body="type"),
    "no type, no msg_id": line(src="c1", dest="n1", body={}),
    "no dest, no msg_id": line(src="c1", body=ECHO),
    "no type, an answer": line(src="c1", dest="n1", body={"msg_id": 1, "in_reply_to": 1}),
    "an answer to nobody": line(src="c1", dest="n1", body={**ECHO, "msg_id": 1, "in_reply_to": 7}),
    "in_reply_to 0": line(src="c1", dest="n1", body={**ECHO, "msg_id": 1, "in_reply_to": 0}),
    "in_reply_to a list": line(src="c1", dest="n1", body={**ECHO, "msg_id": 1, "in_reply_to": []}),
}  # fmt: skip
MALFORMED = {
    "no dest": line(src="c1", body={**ECHO, "msg_id": 1}),
    "dest is no string": line(src="c1", dest=None, body={**ECHO, "msg_id": 1}),
    "no type": line(src="c1", dest="n1", body={"echo": 1, "msg_id": 1}),
    "type is no string": line(src="c1", dest="n1", body={"type": ["echo"], "msg_id": 1}),
}


@pytest.mark.parametrize("bad", UNANSWERABLE.values(), ids=UNANSWERABLE)
def test_what_cannot_be_answered_is_logged_in_one_line(stage, complaint, bad):
    stage.receive(bad)
    stage.assert_silence()
    problem, example = complaint()
    assert problem.startswith("dropped ")
    assert example
    assert works(stage)


@pytest.mark.parametrize("bad", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_answers_12(stage, logged, bad):
    stage.receive(bad)
    assert stage.assert_sent(src="n1", dest="c1", type="error", in_reply_to=1)["code"] == 12
    assert works(stage)


@pytest.mark.parametrize("bad", [*UNANSWERABLE.values(), *MALFORMED.values()],
                         ids=[*UNANSWERABLE, *MALFORMED])  # fmt: skip
def test_no_bad_line_harms_a_node_that_waits_for_init(bare, bad):
    bare.receive(bad)
    bare.runtime.sent.clear()
    bare.init()


def test_a_log_that_nobody_reads_harms_nobody(stage, monkeypatch):
    closed = open(sys.stderr.fileno(), "w", closefd=False)  # noqa: SIM115
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    stage.receive("nonsense")
    assert works(stage)


LINES = st.one_of(
    st.binary(max_size=60).filter(lambda data: b"\n" not in data),
    st.text(max_size=30).map(lambda text: text.replace("\n", "").encode("utf-8", "surrogatepass")),
    st.sampled_from(list(UNANSWERABLE.values())),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.dictionaries(
                st.sampled_from(["src", "dest", "body", "type", "msg_id", "in_reply_to"]), inner
            )
            | st.lists(inner, max_size=2)
        ),
    ).map(json.dumps),
)


@settings(deadline=None)
@given(st.lists(LINES | st.none()))
def test_whatever_comes_between_every_valid_request_is_answered_once(lines):
    stage = Stage()
    stage.node.on("echo")(lambda message: {"type": "echo_ok", "echo": message.body["echo"]})
    stage.init()
    expected = []
    for number, bad in enumerate(lines):
        if bad is None:
            expected.append(number)
            stage.receive(message("client", "n1", "echo", msg_id=number, echo=number))
        else:
            stage.receive(bad)
    answers = [sent["body"] for sent in stage.runtime.sent if sent["dest"] == "client"]
    assert answers == [{"type": "echo_ok", "echo": n, "in_reply_to": n} for n in expected]


# JSON


def same(one, other):
    """Whether two values are equal, of the same types, to the last bit."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return repr(one) == repr(other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return one == other


TEXTS = st.text(st.characters())  # surrogates included
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**50), 10**50)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)
NUMERALS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,4})?", fullmatch=True
)


ODD_VALUES = [
    '"NaN"', '"-Infinity"', r'"\/"', '"/"', r'"\ud800"', r'"\ud83d\ude00"', '"\u2028"',
    r'"\u0000"', '{"a": 1, "a": 2}', "[" * 700 + "]" * 700, '{"a":' * 700 + "1" + "}" * 700,
]  # fmt: skip


@pytest.fixture(params=["ujson", "json"])
def codec(request, monkeypatch):
    """The library with ujson and without."""
    module = pytest.importorskip(request.param)
    monkeypatch.setattr(maelstrom_node, "loads", module.loads)
    monkeypatch.setattr(maelstrom_node, "dumps", module.dumps)


def echoed(text):
    """What comes back when a value is sent as this text."""
    stage = Stage()
    stage.node.on("echo")(lambda message: {"type": "echo_ok", "echo": message.body["echo"]})
    stage.init()
    request = (
        f'{{"src": "c1", "dest": "n1", "body": {{"type": "echo", "msg_id": 1, "echo": {text}}}}}'
    )
    stage.receive(request.encode("utf-8"))
    return stage.assert_sent(dest="c1", type="echo_ok")["echo"]


with_both_codecs = pytest.mark.usefixtures("codec")


@with_both_codecs
@settings(deadline=None)
@given(VALUES, st.booleans())
def test_every_value_comes_back_as_it_went(value, ascii):
    text = json.dumps(value, ensure_ascii=ascii).encode("utf-8", "backslashreplace").decode()
    assert same(echoed(text), json.loads(text))


@with_both_codecs
@settings(deadline=None)
@given(NUMERALS)
@example("1e400")
@example("-1e-400")
@example("-0")
@example("-0.0")
@example("18446744073709551616")
@example("-9223372036854775809")
def test_every_number_comes_back_to_the_last_digit(numeral):
    assume(math.isfinite(json.loads(numeral)))
    assert same(echoed(numeral), json.loads(numeral))


@with_both_codecs
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_in_json_is_not_sent(stage, number):
    stage.node.on("read")(lambda message: {"type": "read_ok", "value": [number, "NaN"]})
    assert stage.ask("read")["code"] == 13
    with pytest.raises(ValueError, match="JSON"):
        stage.node.send("n2", {"type": "told", "value": {"deep": number}})
    stage.assert_silence()


class WithMethods:
    def __json__(self):
        return "1"

    toDict = dict


# What is a difference that the library knows of; each other one is a fault.
ONLY_WITH_UJSON = {
    "encode": {
        "a Decimal": Decimal("1.5"),
        "an object with __json__": WithMethods(),
        "a tuple as a key": {(1, 2): 3},
        "bytes as a key": {b"a": 1},
        "an object as a key": {Fraction(1, 2): 1},
    },
    "decode": {
        "01": "01", "1.": "1.", "-": "-", "a control character": '"\t"',
    },
}  # fmt: skip
FOR_BOTH_OR_NEITHER = {
    "encode": [
        {True: 1, None: 2, 7: 3, 1.5: 4}, {1}, object(), len, range(2), 1 + 1j, Fraction(1, 2),
        b"x", iter(()), Code.CRASH, Message("a", "b", {}), (1, 2), 2**70, -0.0, "\ud800", math.nan,
    ],
    "decode": [
        "+1", ".5", "1e", "--1", "[1,]", "{'a': 1}", "True", "nul", "1 2", "", " ", '"\\x"',
        '"\\u12"', "\xa01", b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"', "1E5", "[" * 5000,
    ],
}  # fmt: skip


def outcome(codec, name, value, monkeypatch):
    """What comes of encoding or decoding a value; an error if nothing does."""
    module = pytest.importorskip(codec)
    monkeypatch.setattr(maelstrom_node, "loads", module.loads)
    monkeypatch.setattr(maelstrom_node, "dumps", module.dumps)
    try:
        result = getattr(maelstrom_node, name)(value)
    except (TypeError, ValueError, RecursionError):
        return "an error"
    return json.loads(result) if name == "encode" else result


@pytest.mark.parametrize("name", ["encode", "decode"])
def test_with_ujson_and_without_the_same_is_taken(name, monkeypatch):
    for value in FOR_BOTH_OR_NEITHER[name]:
        with_ujson = outcome("ujson", name, value, monkeypatch)
        assert outcome("json", name, value, monkeypatch) == with_ujson, value


@pytest.mark.parametrize(
    ("name", "what"), [(name, what) for name, whats in ONLY_WITH_UJSON.items() for what in whats]
)
def test_but_for_a_list_of_things_that_only_ujson_takes(name, what, monkeypatch):
    value = ONLY_WITH_UJSON[name][what]
    assert outcome("ujson", name, value, monkeypatch) != "an error"
    assert outcome("json", name, value, monkeypatch) == "an error"


class NumberWithAName(int):
    def __str__(self):
        return "two"


@pytest.mark.parametrize(("codec", "key"), [("ujson", "two"), ("json", "2")])
def test_a_key_that_is_a_number_is_its_str_with_ujson_and_its_digits_without(
    codec, key, monkeypatch
):
    assert outcome(codec, "encode", {NumberWithAName(2): 1}, monkeypatch) == {key: 1}
    assert outcome(codec, "encode", NumberWithAName(2), monkeypatch) == 2


@with_both_codecs
@pytest.mark.parametrize("text", ODD_VALUES)
def test_odd_values_come_back_as_they_went(text):
    assert json.dumps(echoed(text)) == json.dumps(json.loads(text))


def test_what_ujson_cannot_carry_the_standard_library_does(monkeypatch):
    def give_up(value):
        raise OverflowError

    monkeypatch.setattr(maelstrom_node, "loads", give_up)
    monkeypatch.setattr(maelstrom_node, "dumps", give_up)
    assert echoed('[1, {"a": "é"}]') == [1, {"a": "é"}]


@with_both_codecs
def test_values_come_back_from_as_deep_as_the_standard_library_goes():
    text = "[" * 1100 + "]" * 1100  # ujson goes as deep as 1024
    try:
        json.dumps([[json.loads(text)]])
    except RecursionError:
        pytest.skip("the standard library doesn't go so deep here")
    assert json.dumps(echoed(text)) == text


def test_the_library_works_without_ujson(tmp_path):
    (tmp_path / "ujson.py").write_text("raise ImportError")
    (tmp_path / "node.py").write_text(
        "import maelstrom_node; print(maelstrom_node.loads.__module__)"
    )
    found = subprocess.run(
        [sys.executable, tmp_path / "node.py"],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "json\n"


# Requests of our own


def test_rpc_returns_the_body_of_the_answer(stage):
    stage.play("n2", lambda body: {"type": "read_ok", "value": body["key"] * 2})
    assert stage.node.rpc("n2", {"type": "read", "key": 4})["value"] == 8


def test_rpc_raises_the_error_that_is_answered(stage):
    stage.play("n2", lambda body: {"type": "error", "code": 22, "text": "too late"})
    with pytest.raises(RPCError, match="too late") as raised:
        stage.node.rpc("n2", {"type": "cas"})
    assert (raised.value.code, raised.value.definite) == (22, True)
    assert str(raised.value) == "precondition-failed (22): too late"


def test_rpc_raises_a_timeout_when_no_answer_comes(stage):
    before = stage.node.now()
    with pytest.raises(RPCTimeout, match=r"'read'.*n2.*0\.25 s") as raised:
        stage.node.rpc("n2", {"type": "read"}, timeout=0.25)
    assert stage.node.now() - before == 0.25
    assert (raised.value.code, raised.value.definite) == (0, False)


def test_error_code_0_is_an_error_and_a_timeout(stage):
    stage.play("n2", lambda body: {"type": "error", "code": 0, "text": "gave up"})
    with pytest.raises(RPCTimeout, match="gave up"):
        stage.node.rpc("n2", {"type": "read"})


@pytest.mark.parametrize("code", [None, "22", True])
def test_an_error_without_a_proper_code_is_a_crash(stage, code):
    stage.play("n2", lambda body: {"type": "error", "code": code, "text": "odd"})
    with pytest.raises(RPCError, match="odd") as raised:
        stage.node.rpc("n2", {"type": "read"})
    assert raised.value.code == 13


def test_a_handler_may_pass_an_error_on_and_the_answer_says_where_it_asked(stage):
    def ask():
        return stage.node.rpc("n2", {"type": "read"})

    stage.node.on("read")(lambda message: ask())
    stage.play("n2", lambda body: {"type": "error", "code": 30, "text": "conflict"})
    stage.receive(message("c1", "n1", "read", msg_id=1))
    where = f"in ask ({line_after(ask)})"
    assert stage.runtime.sent[-1]["body"] == {
        "type": "error", "code": 30, "text": f"conflict, {where}", "in_reply_to": 1,
    }  # fmt: skip


def test_an_answer_to_a_lambda_that_asked_has_the_place_without_a_name(stage):
    asking = lambda message: stage.node.seq_kv.read("sum")  # noqa: E731
    stage.node.on("read")(asking)
    place = f"test_node.py:{asking.__code__.co_firstlineno}"
    assert stage.ask("read")["text"] == f"no answer to 'read' from seq-kv within 1 s ({place})"


def line_after(function):
    """The file, and the line after the one in which a function begins."""
    return f"test_node.py:{function.__code__.co_firstlineno + 1}"


DEFINITE = {1, 10, 11, 12, 14, 20, 21, 22, 30}


@pytest.mark.parametrize("code", [*Code, 15, 999, 1000, 1001, 5000])
def test_errors_are_definite_as_maelstrom_defines_it(code):
    assert RPCError(code).definite == (code in DEFINITE)


def test_a_late_answer_is_logged_and_blocks_nothing(stage, complaint):
    with pytest.raises(RPCTimeout) as raised:
        stage.node.rpc("n2", {"type": "read"})
    msg_id = stage.assert_sent(dest="n2")["msg_id"]
    for value in range(3):
        stage.receive(message("n2", "n1", "read_ok", in_reply_to=msg_id, value=value))
        problem, example = complaint()
        assert problem == "dropped an answer that came late or twice, of type 'read_ok'"
        assert f'"value": {value}' in example
    assert works(stage)
    del raised  # only now, since the exception might keep the request alive


@pytest.mark.parametrize("never", [0, -1, 99, "1", 1.0, True])
def test_an_answer_to_a_request_that_was_never_made_is_logged_as_such(stage, complaint, never):
    stage.node.request("n2", {"type": "read"})
    stage.receive(message("n2", "n1", "read_ok", in_reply_to=never))
    problem, example = complaint()
    assert problem == "dropped an answer to a request that it never made, of type 'read_ok' from n2"
    assert f'"in_reply_to": {json.dumps(never)}' in example


def test_of_an_answer_that_comes_twice_the_first_counts(stage, logged):
    answer = stage.node.request("n2", {"type": "read"})
    msg_id = stage.assert_sent(dest="n2")["msg_id"]
    stage.receive(message("n2", "n1", "read_ok", in_reply_to=msg_id, value=1))
    stage.receive(message("n2", "n1", "read_ok", in_reply_to=msg_id, value=2))
    assert answer.result()["value"] == 1
    assert len(logged()) == 1


def test_true_is_not_the_answer_to_1(stage, logged):
    answer = stage.node.request("n2", {"type": "read"})
    assert stage.assert_sent(dest="n2")["msg_id"] == 1
    stage.receive(message("n2", "n1", "read_ok", in_reply_to=True))
    assert len(logged()) == 1
    with pytest.raises(RPCTimeout):
        answer.result()


def test_a_request_can_be_waited_for_again(stage):
    answer = stage.node.request("n2", {"type": "read"})
    with pytest.raises(RPCTimeout):
        answer.result(timeout=0.1)
    msg_id = stage.assert_sent(dest="n2")["msg_id"]
    stage.receive(message("n2", "n1", "read_ok", in_reply_to=msg_id))
    assert answer.result() == answer.result() == {"type": "read_ok", "in_reply_to": msg_id}


def test_a_request_that_nobody_remembers_is_forgotten(stage):
    for _ in range(100):
        stage.node.request("n2", {"type": "read"})
    gc.collect()
    assert len(stage.runtime.dispatcher._answers) == 0


def test_after_the_end_of_input_nobody_waits(stage):
    before = stage.node.now()
    answer = stage.node.request("n2", {"type": "read"})
    stage.runtime.dispatcher.close()
    with pytest.raises(RPCTimeout, match="end of input"):
        answer.result(timeout=100)
    with pytest.raises(RPCTimeout, match="end of input"):
        stage.node.rpc("n2", {"type": "read"}, timeout=100)
    assert stage.node.now() == before


# Services


class Service:
    """A key-value service as Maelstrom's; `before_cas` are things that happen to it before one."""

    def __init__(self, creates=True):
        self.values = {}
        self.creates = creates  # lww-kv's cas doesn't
        self.before_cas = []
        self.asked = []

    def __call__(self, body):
        self.asked.append(body["type"])
        key, exists = body["key"], body["key"] in self.values
        if body["type"] == "write":
            self.values[key] = body["value"]
            return {"type": "write_ok"}
        if body["type"] == "cas" and self.before_cas:
            code = self.before_cas.pop(0)(self)
            if code:
                return {"type": "error", "code": code, "text": "raced"}
            exists = key in self.values
        if not exists and not (self.creates and body.get("create_if_not_exists")):
            return {"type": "error", "code": 20, "text": "key does not exist"}
        if body["type"] == "read":
            return {"type": "read_ok", "value": self.values[key]}
        if exists and self.values[key] != body["from"]:
            return {"type": "error", "code": 22, "text": "another value"}
        self.values[key] = body["to"]
        return {"type": "cas_ok"}


@pytest.fixture(params=["lin-kv", "seq-kv", "lww-kv"])
def service(request, stage):
    service = Service(creates=request.param != "lww-kv")
    stage.play(request.param, service)
    service.kv = getattr(stage.node, request.param.replace("-", "_"))
    return service


def test_what_is_written_is_read(service):
    service.kv.write("k", [1])
    assert service.kv.read("k") == [1]


def test_a_default_is_read_where_there_is_no_value(service):
    assert service.kv.read("k", 0) == 0
    assert service.kv.read("k", None) is None
    with pytest.raises(RPCError) as raised:
        service.kv.read("k")
    assert raised.value.code == Code.KEY_DOES_NOT_EXIST


def test_cas_changes_what_is_as_expected(service):
    with pytest.raises(RPCError, match="20"):
        service.kv.cas("k", 0, 1)
    service.kv.write("k", 0)
    service.kv.cas("k", 0, 1)
    with pytest.raises(RPCError, match="22"):
        service.kv.cas("k", 0, 2)
    assert service.values == {"k": 1}


def test_cas_creates_when_it_is_told_to(stage):
    stage.play("lin-kv", service := Service())
    stage.node.lin_kv.cas("k", 0, 1, create_if_not_exists=True)
    assert service.values == {"k": 1}


@pytest.mark.parametrize("code", [Code.TEMPORARILY_UNAVAILABLE, Code.TIMEOUT, Code.ABORT])
def test_create_if_not_exists_tells_of_errors_that_are_no_race(stage, code):
    stage.play("lin-kv", lambda body: {"type": "error", "code": code, "text": "not now"})
    with pytest.raises(RPCError, match="not now"):
        stage.node.lin_kv.create_if_not_exists("k", 1)


@pytest.mark.parametrize("code", [Code.KEY_ALREADY_EXISTS, Code.PRECONDITION_FAILED])
def test_create_if_not_exists_takes_either_error_to_mean_that_the_key_exists(stage, code):
    stage.play("lin-kv", lambda body: {"type": "error", "code": code, "text": "there is one"})
    stage.node.lin_kv.create_if_not_exists("k", 1)


def test_create_if_not_exists_leaves_alone_what_exists(service):
    service.kv.create_if_not_exists("k", 1)
    service.kv.create_if_not_exists("k", 2)
    assert service.values == {"k": 1}


def test_update_applies_a_function(service):
    service.kv.write("k", 1)
    assert service.kv.update("k", lambda value: value + 1) == 2
    assert service.values == {"k": 2}


def test_update_starts_from_the_default(service):
    assert service.kv.update("k", lambda value: [*value, 1], default=[]) == [1]
    with pytest.raises(RPCError, match="20"):
        service.kv.update("other", lambda value: value)


@pytest.mark.parametrize("code", [20, 21, 22])
def test_update_tries_again_when_it_lost_a_race(service, code):
    def race(service):
        service.values["k"] = 10
        return code

    service.before_cas = [race, race]
    assert service.kv.update("k", lambda value: value + 1, default=0) == 11
    assert service.asked == ["read", "cas"] * 3


def test_update_sees_a_key_that_is_created_meanwhile(service):
    service.before_cas = [lambda service: service.values.update(k=10)]
    assert service.kv.update("k", lambda value: value + 1, default=0) == 11


def test_update_works_with_a_function_that_changes_what_it_gets(service):
    service.values["k"] = [1]
    assert service.kv.update("k", lambda value: value.append(2) or value) == [1, 2]
    default = []
    service.kv.update("new", lambda value: value.append(2) or value, default)
    assert default == []


def test_update_does_not_repeat_what_may_have_happened(service):
    service.values["k"] = 1
    service.before_cas = [lambda service: 13]
    with pytest.raises(RPCError, match="13"):
        service.kv.update("k", lambda value: value + 1)
    assert service.asked == ["read", "cas"]


def test_services_time_out(stage):
    with pytest.raises(RPCTimeout, match=r"lin-kv within 0\.5 s"):
        KV(stage.node, "lin-kv", timeout=0.5).read("k")
    with pytest.raises(RPCTimeout, match=r"lin-tso within 0\.5 s"):
        TSO(stage.node, timeout=0.5).ts()


def test_the_oracle_tells_timestamps(stage):
    stage.play("lin-tso", lambda body: {"type": "ts_ok", "ts": 17})
    assert stage.node.lin_tso.ts() == 17


# In the background


def test_periodic_tasks_start_with_init(bare):
    ran = []
    bare.node.every(0.5)(lambda: ran.append("early"))
    assert bare.runtime.periodic == []
    bare.init()
    bare.node.every(2)(lambda: ran.append("late"))
    assert [seconds for seconds, _ in bare.runtime.periodic] == [0.5, 2]
    for _, task in bare.runtime.periodic:
        task()
    assert ran == ["early", "late"]


@pytest.mark.parametrize("start", ["every", "spawn"])
def test_an_exception_in_the_background_is_logged(stage, logged, start):
    def run(function):
        if start == "spawn":
            stage.node.spawn(function)
        else:
            stage.node.every(1)(function)
            stage.runtime.periodic.pop()[1]()

    run(lambda: {}["missing"])
    assert logged()[-1] == "KeyError: 'missing'"


@pytest.mark.parametrize("start", ["every", "spawn"])
def test_an_rpc_error_in_the_background_is_a_complaint(stage, complaint, start):
    def ask():
        stage.node.rpc("n2", {"type": "read"})

    if start == "spawn":
        stage.node.spawn(ask)
    else:
        stage.node.every(1)(ask)
        stage.runtime.periodic.pop()[1]()
    assert complaint() == (
        f"{place(ask)} raised timeout (0)",
        f"no answer to 'read' from n2 within 1 s, in ask ({line_after(ask)})",
    )  # fmt: skip


def test_a_request_to_oneself_that_has_no_answer_is_named_as_such(stage):
    with pytest.raises(RPCTimeout, match="no answer to 'gossip' from n1, this node itself, within"):
        stage.node.rpc("n1", {"type": "gossip"})


def test_spawn_passes_arguments(stage):
    got = []
    stage.node.spawn(lambda *args: got.extend(args), 1, 2)
    assert got == [1, 2]


def test_a_node_takes_time_and_chance_from_its_runtime(stage):
    stage.node.sleep(2.5)
    assert stage.node.now() == 2.5
    assert stage.node.random is stage.runtime.random
    assert stage.node.random.random() == random.Random(0).random()


def test_a_node_runs_on_the_runtime_that_is_usual(monkeypatch):
    runtime = Stage().runtime
    monkeypatch.setattr(maelstrom_node, "default_runtime", lambda: runtime)
    node = Node()
    node.run()
    assert runtime.dispatcher is node._dispatcher


def test_decoding_is_strict_about_utf8():
    with pytest.raises(ValueError, match="utf-8"):
        maelstrom_node.decode(b'"\xff"')
    assert maelstrom_node.decode('"é"'.encode()) == maelstrom_node.decode('"é"') == "é"
    assert math.isinf(maelstrom_node.decode("1e400"))


def test_the_example_in_the_documentation_runs(monkeypatch):
    example = maelstrom_node.__doc__.split("\n\n", 1)[1].split("\nA handler ")[0]
    source = "\n".join(line[4:] for line in example.splitlines())
    stage = Stage()
    monkeypatch.setattr(maelstrom_node, "default_runtime", lambda: stage.runtime)
    exec(compile(source, str(Path(__file__)), "exec"), {"__name__": "__main__"})
    assert works(stage.init())
