"""The journal of messages, read for a page: what became of each message, and what it answers."""

from __future__ import annotations

import base64
import json
import zlib

import pytest

from glomers.errors import UsageError
from glomers.report import journal
from glomers.report.journal import FATES, NONE
from tests.report.pages import became, sent


@pytest.fixture
def read(tmp_path):
    def read(*events, end=""):
        file = tmp_path / "messages.jsonl"
        file.write_text("".join(json.dumps(event) + "\n" for event in events) + end)
        return journal.read(file)

    return read


def fates(messages):
    return [FATES[fate] for fate in messages.fate]


def test_each_message_has_its_fate_and_how_long_it_took(read):
    messages = read(
        *(sent(1000, id, "n0", "n1", type="x") for id in range(5)),
        became("recv", 101_000, 0),
        became("lost", 1000, 1),
        became("cut", 51_000, 2),
        became("drop", 2000, 3),
    )
    assert fates(messages) == ["arrived", "lost", "cut", "dropped", "under way"]
    assert messages.took == [100, 0, 50, 1, NONE]


def test_a_message_that_arrives_twice_has_a_copy(read):
    messages = read(
        sent(0, 7, "n0", "n1", type="x"), became("recv", 1000, 7), became("recv", 3000, 7)
    )
    assert (fates(messages), messages.copies) == (["arrived"], [(0, 3, FATES.index("arrived"))])


def test_an_answer_knows_its_request_by_who_asked_and_the_id(read):
    messages = read(
        sent(0, 0, "c1", "n0", type="read", msg_id=1),
        sent(0, 1, "n0", "lin-kv", type="read", msg_id=1),
        sent(0, 2, "lin-kv", "n0", type="read_ok", in_reply_to=1),
        sent(0, 3, "n0", "c1", type="read_ok", in_reply_to=1),
        sent(0, 4, "n0", "c2", type="read_ok", in_reply_to=1),
    )
    assert messages.request == [NONE, NONE, 1, 0, NONE]


def test_an_answer_to_a_client_that_has_gone_on_is_late(read):
    messages = read(
        sent(0, 0, "c1", "n0", type="read", msg_id=1),
        sent(0, 1, "n0", "c1", type="read_ok", in_reply_to=1),
        sent(5000, 2, "c1", "n0", type="read", msg_id=2),
        became("recv", 6000, 1),
        {**sent(7000, -1, "n0", "c0", type="read_ok", in_reply_to=9), "event": "late"},
    )
    assert fates(messages) == ["under way", "late", "under way", "late"]


def test_a_node_may_ask_much_at_once_and_no_answer_is_late(read):
    messages = read(
        sent(0, 0, "n0", "n1", type="x", msg_id=1),
        sent(0, 1, "n0", "n1", type="x", msg_id=2),
        sent(0, 2, "n1", "n0", type="x_ok", in_reply_to=1),
        became("recv", 1000, 2),
    )
    assert fates(messages)[2] == "arrived"


@pytest.mark.parametrize("odd", [[1], {"a": 1}, True, 1.5, "1", None])
def test_ids_and_types_may_be_any_json_value(read, odd):
    messages = read(
        sent(0, 0, "c1", "n0", type=odd, msg_id=odd),
        sent(0, 1, "n0", "c1", type=odd, in_reply_to=odd),
    )
    assert len(messages.types) == 1
    assert messages.request == [NONE, NONE if odd is None else 0]


def test_texts_stay_as_their_senders_wrote_them(tmp_path):
    file = tmp_path / "messages.jsonl"
    text = '{"src":"n0",  "dest":"n1","body":{"type":"x","big":12345678901234567890.0}}'
    file.write_text(f'{{"time": 0, "event": "send", "id": 0, "message": {text}}}\n')
    (chunk,) = journal.read(file).texts.chunks
    assert zlib.decompress(base64.b64decode(chunk)).decode() == text


def test_a_last_line_that_is_cut_off_is_passed_over(read):
    assert len(read(sent(0, 0, "n0", "n1", type="x"), end='{"time": 5, "ev')) == 1


@pytest.mark.parametrize(
    "line", ["nonsense", '{"time": 1}', "[1]", '{"time": "x", "event": "recv", "id": 1}']
)
def test_what_is_no_event_is_named_with_its_place(read, line):
    with pytest.raises(UsageError, match=r"messages.jsonl, line 2: this is no event"):
        read(sent(0, 0, "n0", "n1", type="x"), end=f"{line}\n")


def test_without_a_journal_there_are_no_messages(tmp_path):
    assert len(journal.read(tmp_path / "messages.jsonl")) == 0
