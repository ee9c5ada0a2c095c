"""What a node may print: which lines are messages, and what is said of those that are none."""

from __future__ import annotations

import json
import sys
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_values import VALUES

from glomers.errors import NodeError
from glomers.history import edn
from glomers.history.values import depth, identity, order
from glomers.world.loop import Loop
from glomers.world.network import Network
from glomers.world.protocol import DEEPEST, Sender


class Heard:
    """A network of n0, n1, c1 and lin-kv, which writes down what is sent."""

    def __init__(self) -> None:
        self.messages = []
        self.network = Network(Loop(), Random(0), self)
        for endpoint in ("n0", "n1", "c1", "lin-kv"):
            self.network.join(endpoint, lambda message: None)
        self.sender = Sender("n0", self.network)

    def record(self, event, time, message):
        if event == "send":
            self.messages.append(message)

    def initialised(self):
        self.sender.send(envelope(dest="c1", body={"type": "init_ok", "in_reply_to": 1}))
        self.messages.clear()
        return self


def envelope(**fields):
    return json.dumps({"src": "n0", "dest": "n1", "body": {}, **fields}).encode()


def sent(line):
    """The one message that n0 sends by printing a line."""
    heard = Heard().initialised()
    heard.sender.send(line)
    [message] = heard.messages
    return message


def refusal(line, world=None):
    """What is said of a line that is refused."""
    world = world or Heard().initialised()
    with pytest.raises(NodeError) as refused:
        world.sender.send(line)
    assert world.messages == []
    assert refused.value.evidence, "the line is quoted"
    assert refused.value.expected.startswith('{"src": "n1", "dest": "c1", "body": {')
    return str(refused.value)


def nested(levels, kinds="["):
    """A message of so many levels: lists, objects, or both in turn."""
    inner = [kinds[level % len(kinds)] for level in range(levels - 2)]
    opening = "".join({"[": "[", "{": '{"a": '}[kind] for kind in inner)
    closing = "".join({"[": "]", "{": "}"}[kind] for kind in reversed(inner))
    return f'{{"src": "n0", "dest": "n1", "body": {{"v": {opening}1{closing}}}}}'.encode()


# What is taken


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=3))
def test_a_body_may_hold_whatever_json_can_carry(body):
    message = sent(envelope(body=body))
    assert (message.src, message.dest, identity(message.body)) == ("n0", "n1", identity(body))
    assert message.line == envelope(body=body), "the line goes on as it came"


@pytest.mark.parametrize("src", ["n0", "n1", "c1", "lin-kv"])
def test_a_node_may_send_with_the_name_of_anybody_on_the_network(src):
    assert sent(envelope(src=src)).src == src


def test_or_of_anybody_who_was_on_it_once():
    heard = Heard().initialised()
    heard.network.leave("c1")
    heard.sender.send(envelope(src="c1"))
    assert [message.src for message in heard.messages] == ["c1"]


def test_a_late_message_to_somebody_who_has_left_vanishes():
    heard = Heard().initialised()
    heard.network.leave("c1")
    heard.sender.send(envelope(dest="c1"))
    assert heard.messages == []


@pytest.mark.parametrize("id", [0, 7, -1, 10**30])
def test_an_integer_id_is_taken(id):
    assert sent(envelope(id=id)).dest == "n1"


@pytest.mark.parametrize("line", [b"", b"  ", b"\r"])
def test_an_empty_line_is_no_message(line):
    heard = Heard()
    heard.sender.send(line)
    assert heard.messages == []


@pytest.mark.parametrize("around", [(b"  ", b""), (b"", b"\r"), (b"\t", b" ")])
def test_space_around_a_message_is_taken(around):
    before, after = around
    assert sent(before + envelope() + after).dest == "n1"


def test_of_a_key_that_is_there_twice_the_last_counts():
    assert sent(b'{"src": "n0", "dest": "n1", "body": {"a": 1, "a": 2}}').body == {"a": 2}


def test_a_node_that_knows_its_name_may_speak_before_init():
    heard = Heard()
    heard.sender.send(envelope())
    assert len(heard.messages) == 1


# What is refused


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"hello world", "printed a line that is not JSON. Is it meant for standard error?"),
        (b'{"src": "n0",', "printed a line that is not JSON."),
        (b"[1, 2]", "printed JSON that is not an object."),
        (b"\xff\xfe", "printed a line that is not UTF-8."),
        (envelope() + b" " + envelope(), "printed more than one message on a line."),
        (b'{"dest": "c1", "body": {}}', "sent a message without `src`."),
        (b'{"src": "n0", "body": {}}', "sent a message without `dest`."),
        (b'{"src": "n0", "dest": "c1"}', "sent a message without `body`."),
        (envelope(src=7), "sent a message whose `src` is 7, which is no string."),
        (envelope(dest=None), "sent a message whose `dest` is null, which is no string."),
        (envelope(body=None), "sent a message whose `body` is null, which is no object."),
        (envelope(body=[["type", "x"]]), 'whose `body` is [["type", "x"]], which is no object.'),
        (envelope(src="n9"), "sent a message from 'n9', which does not exist."),
        (envelope(src=""), "sent a message from '', which does not exist."),
        (envelope(dest="n9"), "sent a message to 'n9', which does not exist."),
        (envelope(trace="abc"), "with `trace` beside `src`, `dest` and `body`. Everything"),
        (envelope(a=1, b=2, id=3), "with `a` and `b` beside"),
        (envelope(id=None), "sent a message whose `id` is null, which is no integer. Leave it out"),
        (envelope(id=1.0), "sent a message whose `id` is 1.0, which is no integer."),
        (envelope(id=True), "sent a message whose `id` is true, which is no integer."),
        (envelope(id="1"), 'sent a message whose `id` is "1", which is no integer.'),
    ],
)
def test_a_line_that_is_refused_is_quoted_and_says_what_is_wrong(line, problem):
    assert problem in refusal(line)


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize(
    "line",
    [
        '{"src": "n0", "dest": "n1", "body": {"v": [1, {"w": %s}]}}',
        '{"src": "n0", "dest": "n1", "body": %s}',
        '{"src": "n0", "dest": "n1", "body": {}, "id": %s}',
        "%s",
    ],
)
def test_what_is_no_json_is_refused_wherever_it_stands(line, name):
    assert f"not JSON: JSON has no {name}; null is usual instead." in refusal(
        (line % name).encode()
    )


def test_numbers_that_nothing_can_hold_are_refused():
    assert "too large for a float: 1e400." in refusal(b'{"src": "n0", "v": [1e400]}')
    digits = b'{"src": "n0", "v": ' + b"1" * 5000 + b"}"
    assert "printed a number of more than 4,300 digits." in refusal(digits)


# Before init


@pytest.mark.parametrize("fields", [{"src": None}, {"src": ""}, {"dest": "n9"}, {"trace": 1}])
def test_a_bad_message_before_init_says_that_the_node_was_not_initialised(fields):
    words = "It had not been initialised yet: `init` tells a node its id"
    assert words in refusal(envelope(**fields), Heard())
    assert words not in refusal(envelope(**fields))


def test_but_not_the_answer_to_init_itself():
    line = envelope(dest="c1", body={"type": "init_ok", "in_reply_to": 1}, trace=1)
    assert "initialised" not in refusal(line, Heard())


# Nesting


@pytest.fixture
def usual_limit():
    """Python's usual limit for calls, whoever raised it before."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.parametrize("kinds", ["[", "{", "[{"])
def test_what_is_nested_as_deeply_as_is_allowed_can_be_handled_everywhere(usual_limit, kinds):
    value = sent(nested(DEEPEST, kinds)).body
    handled = (edn.dumps, edn.pretty, edn.keywordized, edn.to_json, identity, order, edn.hashable)
    for handle in (*handled, json.dumps, lambda value: json.dumps(value, indent=2)):
        assert handle({"answer": [value]})
    assert hash(edn.hashable(value)) == hash(edn.hashable(edn.loads(edn.dumps(value))))


@pytest.mark.parametrize("levels", [DEEPEST + 1, 600, 20_000])
def test_what_is_nested_deeper_is_refused(usual_limit, levels):
    assert "nested too deeply: more than 500 levels." in refusal(nested(levels))


@given(VALUES)
def test_the_depth_of_a_value(value):
    def slowly(value):
        if not isinstance(value, (list, dict)):
            return 0
        parts = value.values() if isinstance(value, dict) else value
        return 1 + max(map(slowly, parts), default=0)

    assert depth(value) == slowly(value)


def test_many_brackets_side_by_side_are_not_deep():
    assert sent(envelope(body={"msgs": [[i, i] for i in range(10_000)]})).dest == "n1"
