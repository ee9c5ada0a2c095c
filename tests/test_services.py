"""The services: what each may answer, and what not."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.services import (
    LastWriteWinsKV,
    LinearizableKV,
    SequentialKV,
    Service,
    TimestampOracle,
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
def test_bad_requests_get_the_right_code(service):
    caller = Caller(service)
    assert caller.ask("frobnicate")["code"] == 10
    assert caller.ask("read")["code"] == 12
    assert "`key` is missing" in caller.ask("read")["text"]
    assert caller.ask("write", key=1)["code"] == 12


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


def test_seq_kv_shows_at_least_one_of_the_last_states():
    for seed in range(50):
        service = SequentialKV(Random(seed))
        writer = Caller(service, "n0")
        for value in range(1, 100):
            writer.write(value)
        assert Caller(service, "n1").read() >= 99 - 31


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
