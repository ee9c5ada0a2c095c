"""The services: what each may answer, and what not."""

from __future__ import annotations

import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glomers.options import SERVICES
from glomers.run.recorder import MessageJournal
from glomers.world.incidents import Incidents
from glomers.world.loop import Loop
from glomers.world.network import Network
from glomers.world.services import (
    LastWriteWinsKV,
    LinearizableKV,
    SequentialKV,
    Service,
    State,
    TimestampOracle,
    default_services,
    start,
    start_all,
)


class Caller:
    """Calls a service in verbs."""

    def __init__(self, service: Service, name: str = "n0") -> None:
        self.service = service
        self.name = name

    def ask(self, type, **fields):
        return self.service.answer(self.name, {"type": type, "msg_id": 1, **fields})

    def read(self, key="k"):
        answer = self.ask("read", key=key)
        assert answer.get("code") in (None, 20)
        return answer.get("value")

    def write(self, value, key="k"):
        return self.ask("write", key=key, value=value)["type"]

    def cas(self, old, new, key="k", **fields):
        answer = self.ask("cas", key=key, **{"from": old, "to": new}, **fields)
        return answer.get("code", answer["type"])


def stores(seed: int = 0) -> list[Service]:
    return [LinearizableKV(), SequentialKV(Random(seed)), LastWriteWinsKV(Random(seed))]


@pytest.mark.parametrize("service", stores(), ids=lambda s: type(s).__name__)
def test_a_missing_key(service):
    caller = Caller(service)
    assert caller.read() is None
    assert caller.cas(1, 2) == 20


@pytest.mark.parametrize("service", stores(), ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("type", ["frobnicate", "", None, [], {}, 7, True, ["read"]])
def test_a_request_of_an_unknown_type_is_not_supported(service, type):
    answer = Caller(service).ask(type)
    assert answer["code"] == 10
    assert answer["text"].startswith(f"request type {json.dumps(type)} is not supported")


def test_a_request_without_a_type_is_not_supported():
    assert LinearizableKV().answer("n0", {"msg_id": 1})["code"] == 10


@pytest.mark.parametrize("service", stores(), ids=lambda s: type(s).__name__)
def test_what_a_request_has_besides_is_ignored(service):
    caller = Caller(service)
    more = {"in_reply_to": None, "trace": {"id": 7}, "msg_id": "a"}
    assert caller.ask("write", key="k", value=1, **more) == {"type": "write_ok"}
    assert caller.ask("cas", key="k", to=1, **{"from": 1}, **more)["type"] in ("cas_ok", "error")
    assert caller.ask("read", key="other", value=7, **more)["code"] == 20
    assert TimestampOracle().answer("n0", {"type": "ts", **more}) == {"type": "ts_ok", "ts": 0}


def test_what_a_request_lacks_is_null():
    caller = Caller(LinearizableKV())
    assert caller.ask("read")["code"] == 20
    assert caller.ask("write") == {"type": "write_ok"}
    assert caller.ask("read", key=None) == {"type": "read_ok", "value": None}
    assert caller.ask("cas", to=1) == {"type": "cas_ok"}
    assert caller.ask("read") == {"type": "read_ok", "value": 1}
    assert caller.ask("cas", **{"from": 1}) == {"type": "cas_ok"}
    assert caller.ask("read") == {"type": "read_ok", "value": None}


@pytest.mark.parametrize(
    ("value", "creates"),
    [(True, True), (0, True), ("", True), ([], True), ({}, True), (False, False), (None, False)],
)
def test_create_if_not_exists_may_be_anything_but_null_and_false(value, creates):
    caller = Caller(LinearizableKV())
    assert caller.cas(0, 1, create_if_not_exists=value) == ("cas_ok" if creates else 20)


def test_an_answer_says_to_which_message_if_that_had_an_id():
    loop, answers = Loop(), []
    network = Network(loop, Random(1), MessageJournal(None))
    start("lin-tso", TimestampOracle(), network, Incidents())
    network.join("n0", lambda message: answers.append((message.src, message.body)))
    for body in ({"type": "ts", "msg_id": 7}, {"type": "ts", "msg_id": 0}, {"type": "ts"}):
        network.send("n0", "lin-tso", body, b"")
    loop.run()
    assert answers == [
        ("lin-tso", {"type": "ts_ok", "ts": 0, "in_reply_to": 7}),
        ("lin-tso", {"type": "ts_ok", "ts": 1, "in_reply_to": 0}),
        ("lin-tso", {"type": "ts_ok", "ts": 2, "in_reply_to": None}),
    ]


def test_the_names_that_no_node_may_have_are_those_of_the_services():
    assert tuple(default_services(Random(0))) == SERVICES


def test_lin_kv_sees_the_newest_state():
    a, b = (Caller(service, name) for service in [LinearizableKV()] for name in ("n0", "n1"))
    assert a.write(1) == "write_ok"
    assert b.read() == 1
    assert b.cas(1, 2) == "cas_ok"
    assert a.cas(1, 3) == 22
    assert a.read() == 2


def test_create_if_not_exists_needs_no_key_and_respects_one():
    caller = Caller(LinearizableKV())
    assert caller.cas(0, 1, create_if_not_exists=True) == "cas_ok"
    assert caller.cas(0, 2, create_if_not_exists=True) == 22
    assert caller.read() == 1


def test_lww_kv_ignores_create_if_not_exists():
    assert Caller(LastWriteWinsKV(Random(0))).cas(0, 1, create_if_not_exists=True) == 20


def test_json_values_of_different_types_are_different():
    caller = Caller(LinearizableKV())
    caller.write(1)
    assert caller.cas(True, 2) == 22
    assert caller.cas(1.0, 2) == 22
    caller.write([1], key=[2, {"a": 1}])
    assert caller.read(key=[2, {"a": 1}]) == [1]
    caller.write("int", key=1)
    caller.write("string", key="1")
    assert caller.read(key=1) == "int"


def test_the_order_of_keys_is_nothing_to_an_object():
    caller = Caller(LinearizableKV())
    caller.write({"a": 1, "b": [{"c": 2, "d": 3}]}, key={"x": 1, "y": 2})
    assert caller.cas({"b": [{"d": 3, "c": 2}], "a": 1}, 5, key={"y": 2, "x": 1}) == "cas_ok"


def test_lin_tso_counts():
    caller = Caller(TimestampOracle())
    assert [caller.ask("ts")["ts"] for _ in range(3)] == [0, 1, 2]


@given(st.integers(0, 1000))
def test_seq_kv_never_goes_back_in_a_callers_own_time(seed):
    service = SequentialKV(Random(seed))
    writer, reader = Caller(service, "n0"), Caller(service, "n1")
    last = 0
    for value in range(1, 60):
        writer.write(value)
        assert writer.read() == value
        seen = reader.read() or 0
        assert seen >= last
        last = seen


def test_seq_kv_is_stale_for_those_who_only_read():
    stale = 0
    for seed in range(50):
        service = SequentialKV(Random(seed))
        writer = Caller(service, "n0")
        for value in range(1, 30):
            writer.write(value)
        stale += Caller(service, "n1").read() != 29
    assert stale > 40


def test_seq_kv_shows_any_of_the_last_32_states():
    seen = set()
    for seed in range(400):
        service = SequentialKV(Random(seed))
        writer = Caller(service, "n0")
        for value in range(1, 100):
            writer.write(value)
        seen.add(Caller(service, "n1").read())
    assert seen == set(range(99 - 31, 100))


def test_a_fresh_write_brings_the_caller_to_the_newest_state_of_seq_kv():
    for seed in range(50):
        service = SequentialKV(Random(seed))
        writer, reader = Caller(service, "n0"), Caller(service, "n1")
        for value in range(1, 30):
            writer.write(value)
        reader.write("fresh", key="mine")
        assert reader.read() == 29


def test_writing_what_is_there_may_leave_the_caller_in_the_past():
    stale = 0
    for seed in range(50):
        service = SequentialKV(Random(seed))
        writer, reader = Caller(service, "n0"), Caller(service, "n1")
        writer.write("same", key="mine")
        for value in range(1, 30):
            writer.write(value)
        reader.write("same", key="mine")
        stale += reader.read() != 29
    assert stale > 10


def test_a_failed_cas_of_seq_kv_may_be_judged_by_an_old_state_but_a_good_one_never_is():
    for seed in range(100):
        service = SequentialKV(Random(seed))
        writer, other = Caller(service, "n0"), Caller(service, "n1")
        writer.write(1)
        writer.write(2)
        assert other.cas(1, 3) in (20, 22)
        assert writer.read() == 2


def test_seq_kv_tells_the_states_that_make_a_difference_the_oldest_of_those_with_the_same_answer():
    service = SequentialKV(Random(0))
    writer, reader = Caller(service), Caller(service, "n1")
    for value in (1, 1, 2):
        writer.write(value)
        writer.write(value, key="another")
    asked = {"type": "read", "key": "k"}
    assert service.states("n0", asked) == [State(0)]
    assert service.states("n1", asked) == [State(1), State(3), State(4)]  # 2, 1, and no value
    service.look = lambda caller, body, count: State(3)
    assert reader.read() == 1
    assert service.states("n1", asked) == [State(1), State(3)]


def test_a_request_that_changes_something_sees_one_state_of_seq_kv():
    service = SequentialKV(Random(0))
    for value in (1, 2):
        Caller(service).write(value)
    assert service.states("n1", {"type": "write", "key": "k", "value": 3}) == [State(0)]
    # In the state in which 2 is there, nothing changes.
    assert service.states("n1", {"type": "write", "key": "k", "value": 2}) == [State(0), State(1)]


def test_lww_kv_can_lose_a_write_but_its_replicas_agree_in_the_end():
    lost = 0
    for seed in range(50):
        service = LastWriteWinsKV(Random(seed))
        a = Caller(service)
        a.write(1)
        a.write(2)
        values = [a.read() for _ in range(200)][-20:]
        assert len(set(values)) == 1
        lost += values[0] != 2
    assert 0 < lost < 50


# On the network


class World:
    """Services, and a node n0 that writes down what they answer."""

    def __init__(self) -> None:
        self.incidents = Incidents()
        self.network = Network(Loop(), Random(0), self)
        self.answers = []
        start_all(self.network, Random(0), self.incidents)
        self.network.join("n0", lambda message: self.answers.append(message.body))

    def record(self, event, time, message):
        pass

    def ask(self, dest, **body):
        line = json.dumps({"src": "n0", "dest": dest, "body": body}).encode()
        self.network.send("n0", dest, body, line)
        self.network.loop.run()
        answers, self.answers[:] = self.answers[:], []
        return answers

    def warnings(self):
        return {warning["kind"]: warning for warning in self.incidents.warnings()}


def test_an_answer_replies_to_the_msg_id_whatever_that_is():
    world = World()
    for msg_id in (1, "a", None, [7]):
        assert world.ask("lin-tso", type="ts", msg_id=msg_id)[0]["in_reply_to"] == msg_id
    assert world.ask("lin-tso", type="ts") == [{"type": "ts_ok", "ts": 4, "in_reply_to": None}]
    assert world.warnings() == {}


def test_refusals_are_counted_and_the_first_is_quoted():
    world = World()
    [answer] = world.ask("seq-kv", type="get", msg_id=7, key="a")
    assert (answer["code"], answer["in_reply_to"]) == (10, 7)
    world.ask("lin-tso", type="read", msg_id=8)
    warning = world.warnings()["service-refused"]
    assert warning["count"] == 2
    assert '(seq-kv: request type "get" is not supported; try one of read,' in warning["text"]
    assert '"body": {"type": "get", "msg_id": 7, "key": "a"}}' in warning["first"]["line"]


def test_ordinary_errors_of_a_store_are_no_refusals():
    world = World()
    assert world.ask("lin-kv", type="read", key=1, msg_id=1)[0]["code"] == 20
    world.ask("lin-kv", type="write", key=1, value=1, msg_id=1)
    assert world.ask("lin-kv", type="cas", key=1, to=2, msg_id=1, **{"from": 3})[0]["code"] == 22
    assert world.warnings() == {}


def test_whoever_waits_for_no_answer_gets_no_refusal():
    """Else a node that answers every message with an error would never come to an end with us."""
    world = World()
    assert world.ask("lin-kv", type="error", code=10, in_reply_to=None) == []
    assert world.warnings()["service-refused"]["count"] == 1


def test_a_field_that_was_left_out_is_named():
    world = World()
    world.ask("lin-kv", type="write", key="a", msg_id=1)
    world.ask("lin-kv", type="cas", key="a", msg_id=1)
    warning = world.warnings()["field-left-out"]
    assert warning["count"] == 2
    assert "which counts as null (`value` of lin-kv)" in warning["text"]
