"""Maelstrom's error codes (its doc/protocol.md): their names, and which of them are definite."""

from __future__ import annotations

from random import Random

import pytest

import maelstrom_node
from glomers.run.recorder import MessageJournal
from glomers.world.client import Client, Outcome
from glomers.world.error_codes import ERROR_CODES
from glomers.world.loop import Loop
from glomers.world.network import Network

CODES = [
    (0, "timeout", "info"),
    (1, "node-not-found", "fail"),
    (10, "not-supported", "fail"),
    (11, "temporarily-unavailable", "fail"),
    (12, "malformed-request", "fail"),
    (13, "crash", "info"),
    (14, "abort", "fail"),
    (20, "key-does-not-exist", "fail"),
    (21, "key-already-exists", "fail"),
    (22, "precondition-failed", "fail"),
    (30, "txn-conflict", "fail"),
]
UNKNOWN = [(2, "unknown", "info"), (99, "unknown", "info"), (1000, "unknown", "info")]


def outcome(code: int, *, idempotent: bool = False) -> Outcome:
    """How an operation ends that is answered with an error."""
    loop = Loop()
    network = Network(loop, Random(1), MessageJournal(None))

    def refuse(message) -> None:
        answer = {"type": "error", "in_reply_to": 1, "code": code, "text": "no"}
        network.send("n0", message.src, answer, b"")

    def conversation():
        yield {"type": "echo"}

    outcomes: list[Outcome] = []
    network.join("n0", refuse)
    client = Client(loop, network, "c0", {"echo": ("echo_ok", {})})
    client.converse("n0", conversation(), 5, outcomes.append, idempotent=idempotent)
    loop.run()
    [only] = outcomes
    return only


@pytest.mark.parametrize(("code", "name", "type"), [*CODES, *UNKNOWN])
def test_what_an_error_makes_of_an_operation(code, name, type):
    assert outcome(code) == Outcome(type, error=[name, "no"])
    assert outcome(code, idempotent=True) == Outcome("fail", error=[name, "no"])


def test_these_are_all():
    assert sorted(ERROR_CODES) == [code for code, _, _ in CODES]


def test_the_library_that_nodes_copy_has_the_same():
    assert {int(code) for code in maelstrom_node.Code} == set(ERROR_CODES)
    for code in maelstrom_node.Code:
        ours = ERROR_CODES[code]
        assert ours.name == maelstrom_node.NAMES[code]
        assert ours.definite == (code in maelstrom_node.DEFINITE)
