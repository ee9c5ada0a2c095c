"""Messages as they were journalled: what became of each, and how a value went through a cluster."""

from __future__ import annotations

import json

import pytest

from glomers.history.messages import Messages, carrying_places, places, spread


class Journal:
    """Writes a journal by hand; each event is a millisecond after the one before."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.sent = 0

    def send(self, src: str, dest: str, *fates: str, **body: object) -> int:
        """A message is sent, and that becomes of it, at once."""
        id, self.sent = self.sent, self.sent + 1
        message = json.dumps({"src": src, "dest": dest, "body": body})
        self._write("send", id, f', "message": {message}')
        for fate in fates:
            self._write(fate, id)
        return id

    def _write(self, event: str, id: int, more: str = "") -> None:
        time = len(self.lines) * 1_000_000
        self.lines.append(f'{{"time": {time}, "event": "{event}", "id": {id}{more}}}\n')

    def read(self) -> Messages:
        return Messages(self.lines)


@pytest.fixture
def journal():
    return Journal()


def test_each_message_has_its_fates(journal):
    journal.send("n0", "n1", "recv", "recv", type="x")
    journal.send("n0", "n2", "cut", type="x")
    journal.send("n0", "n3", type="x")
    first, second, third = journal.read()
    assert [(fate.event, fate.time) for fate in first.fates] == [
        ("recv", 10**6),
        ("recv", 2 * 10**6),
    ]
    assert (second.src, second.dest, second.body) == ("n0", "n2", {"type": "x"})
    assert second.arrival is None
    assert third.fates == []


def test_what_is_no_event_is_left_out(journal, tmp_path):
    journal.send("n0", "n1", "recv", type="x")
    file = tmp_path / "messages.jsonl"
    file.write_text("".join(["nonsense\n", *journal.lines, '{"time": 5, "event": "se']))
    assert len(Messages.read(file)) == 1
    assert len(Messages.read(tmp_path / "none")) == 0


@pytest.mark.parametrize(
    ("whole", "value", "expected"),
    [
        ({"message": 5}, 5, {("message",)}),
        ({"news": {"n3": [5, 6]}}, 5, {("news", "*", "first")}),
        ({"log": ["00A", 5, 6]}, 5, {("log", "first")}),
        ({"log": ["00A", 5, 6]}, 6, {("log", "*")}),
        ({"log": ["00A", 5]}, 5, {("log", "first")}),
        ({"news": {"n3": [5, 6]}}, 6, {("news", "*", "*")}),
        ({"log": [[0, 5], [1, 7]]}, 7, {("log", "*", "*")}),
        ({"a": 5.0, "b": True, "c": "5", "d": [15, 51]}, 5, set()),
        ({"a": 1.0, "b": [True]}, 1, set()),
        ({"a": [[1, 2]]}, [1, 2], {("a", "first")}),
    ],
)
def test_where_a_value_is(whole, value, expected):
    assert set(places(whole, value)) == expected


def test_a_number_of_a_message_is_not_its_value(journal):
    journal.send("c1", "n0", "recv", type="broadcast", message=7, msg_id=5)
    assert list(journal.read().holding(5)) == []


def test_a_value_spreads_by_those_who_have_it(journal):
    journal.send("n1", "n2", "recv", type="count", of=17)  # n1 doesn't have it yet
    journal.send("c1", "n0", "recv", type="broadcast", message=17, msg_id=1)
    journal.send("n0", "n1", "recv", type="gossip", message=17)
    cut = journal.send("n1", "n2", "cut", type="gossip", message=17)
    way = spread(journal.read(), 17, ("broadcast",))
    assert list(way.had) == ["n0", "n1"]
    assert way.carriers[-1].id == cut


def test_high_values_tell_where_low_ones_are_to_be_looked_for(journal):
    for value in (90, 91):
        journal.send("c1", "n0", "recv", type="broadcast", message=value)
        journal.send("n0", "n1", "recv", type="news", log=[3, value], have=[2, 4])
    journal.send("c1", "n0", "recv", type="broadcast", message=2)
    journal.send("n0", "n2", "recv", type="news", log=[2, 90], have=[2, 4])
    messages = journal.read()
    carried = carrying_places(messages, [90, 91], ("broadcast",))
    assert carried == {("broadcast", "message"), ("news", "log", "*")}
    assert list(spread(messages, 2, ("broadcast",), carried).had) == ["n0"]
    assert list(spread(messages, 2, ("broadcast",)).had) == ["n0", "n2"]


def test_the_first_of_a_list_is_a_value_where_some_lists_hold_nothing_else(journal):
    journal.send("c1", "n0", "recv", type="broadcast", message=2)
    journal.send("n0", "n1", "recv", type="gossip", values=[2])
    for value in (90, 91):
        journal.send("c1", "n0", "recv", type="broadcast", message=value)
        journal.send("n0", "n2", "recv", type="gossip", values=[2, value])
    messages = journal.read()
    carried = carrying_places(messages, [90, 91], ("broadcast",))
    assert ("gossip", "values", "first") in carried
    assert list(spread(messages, 2, ("broadcast",), carried).had) == ["n0", "n1", "n2"]
