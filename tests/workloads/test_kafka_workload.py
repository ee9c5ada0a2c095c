"""The kafka workload: its sessions, its load against recorded ones, and what it finds."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from kafka_play import Logs, Refused, TimedOut, play, played

from glomers.checkers import kafka
from glomers.history.operations import History, read_history
from glomers.history.times import NANOS
from glomers.options import Options
from glomers.workloads.base import Invocation, SessionCrash
from glomers.workloads.kafka import ENOUGH_LISTINGS, SEEK_TO_BEGINNING, Commits, Sends, Session

HISTORIES = Path(__file__).parent.parent / "histories"

# Sessions


def assert_talk(session, f, value, *exchanges, result, extra=()):
    """The operation sends these requests, gets these answers, and ends with `result`."""
    conversation = session.invoke(Invocation(f, value, extra=extra))
    answer = None
    for request, next_answer in exchanges:
        assert conversation.send(answer) == request
        answer = next_answer
    with pytest.raises(StopIteration) as end:
        conversation.send(answer)
    assert end.value.value == result


def asks(session):
    """The offsets that a poll of the session asks for."""
    return next(session.invoke(Invocation("poll", [["poll"]])))["offsets"]


def assign(session, *keys, committed=None):
    request = {"type": "list_committed_offsets", "keys": list(keys)}
    answer = {"type": "list_committed_offsets_ok", "offsets": committed or {}}
    assert_talk(session, "assign", list(keys), (request, answer), result=list(keys))


def poll(session, messages, committed):
    request = {"type": "poll", "offsets": dict(session.positions)}
    exchanges = [(request, {"type": "poll_ok", "msgs": messages})]
    if committed:
        commit = {"type": "commit_offsets", "offsets": committed}
        exchanges.append((commit, {"type": "commit_offsets_ok"}))
    assert_talk(session, "poll", [["poll"]], *exchanges, result=[["poll", messages]])


def test_a_send_ends_with_its_offset():
    request = {"type": "send", "key": "7", "msg": 3}
    exchange = (request, {"type": "send_ok", "offset": 12})
    invoked, ended = [["send", "7", 3]], [["send", "7", [12, 3]]]
    assert_talk(Session(), "send", invoked, exchange, result=ended)


def test_a_new_session_polls_nothing():
    poll(Session(), {}, committed=None)


def test_a_poll_commits_what_it_saw_and_moves_on():
    session = Session()
    assign(session, "1", "2")
    poll(session, {"1": [[0, 1], [5, 2]], "2": []}, committed={"1": 5})
    assert asks(session) == {"1": 6, "2": 0}


@pytest.mark.parametrize(("listed", "dropped"), [({}, True), ({"1": 0}, False)])
def test_commits_that_no_listing_ever_shows_are_told_of(listed, dropped):
    commits = Commits()
    poll(Session(commits), {"1": [[0, 1]]}, committed={"1": 0})
    for _ in range(ENOUGH_LISTINGS):
        assert commits.warnings() == []
        assign(Session(commits), "1", committed=listed)
    assert [str(w["kind"]) for w in commits.warnings()] == ["commits-dropped"] * dropped


def test_one_listing_is_enough_for_the_client_that_made_the_commit():
    commits = Commits()
    session = Session(commits)
    assign(session, "1")
    poll(session, {"1": [[0, 1]]}, committed={"1": 0})
    assign(session, "2")
    assert commits.warnings() == []
    assign(session, "1")
    assert [str(w["kind"]) for w in commits.warnings()] == ["commits-dropped"]


def test_null_is_an_empty_list_of_messages():
    session = Session()
    assign(session, "1", "2")
    poll(session, {"1": [[0, 1]], "2": None}, committed={"1": 0})
    poll(session, {"1": None, "3": None}, committed=None)
    assert asks(session) == {"1": 1, "2": 0, "3": 0}


def test_a_log_that_shows_null_for_nothing_is_as_good():
    class Null(Logs):
        def poll(self, offsets):
            messages = super().poll(offsets)["msgs"]
            return {"msgs": {key: messages.get(key) or None for key in offsets}}

    history = play(Null(), seed=1)
    assert any(o.f == "poll" and None in o.value[0][1].values() for o in history if o.type == "ok")
    assert kafka.check(history, Options(workload="kafka"))["valid?"] is True
    assert kafka.warnings(history, Options(workload="kafka")) == []


def test_a_poll_never_moves_back():
    session = Session()
    assign(session, "1")
    poll(session, {"1": [[5, 2]]}, committed={"1": 5})
    poll(session, {"1": [[2, 1]]}, committed={"1": 2})
    assert asks(session) == {"1": 6}


def test_a_key_that_was_not_asked_for_is_polled_from_then_on():
    session = Session()
    poll(session, {"9": [[0, 1]]}, committed={"9": 0})
    assert asks(session) == {"9": 1}


def test_an_assign_keeps_positions_and_begins_new_keys_at_0_whatever_is_committed():
    session = Session()
    assign(session, "1", "2")
    poll(session, {"1": [[0, 1]], "2": [[0, 1]]}, committed={"1": 0, "2": 0})
    assign(session, "2", "3", committed={"2": 0, "3": 7})
    assert asks(session) == {"2": 1, "3": 0}


def test_a_seek_to_the_beginning_asks_for_nothing():
    session = Session()
    assign(session, "1")
    poll(session, {"1": [[0, 1]]}, committed={"1": 0})
    assert_talk(session, "assign", ["1", "2"], result=["1", "2"], extra=(SEEK_TO_BEGINNING,))
    assert asks(session) == {"1": 0, "2": 0}


def test_a_crash_ends_the_session():
    with pytest.raises(SessionCrash):
        next(Session().invoke(Invocation("crash")))


# The load


def test_keys_get_1_2_3_and_are_replaced_when_they_are_full():
    sends = Sends(Random(1), 10, 16)
    drawn = [sends.draw() for _ in range(5000)]
    messages = {}
    for key, message in drawn:
        if message is not None:
            messages.setdefault(key, []).append(message)
    assert all(sent == list(range(1, len(sent) + 1)) for sent in messages.values())
    full = [key for key, sent in messages.items() if len(sent) == 16]
    assert all(len(sent) <= 16 for sent in messages.values())
    assert len(messages) - len(full) <= 10, "all but the keys in use are full"


def test_each_key_is_twice_as_likely_as_the_one_before():
    sends = Sends(Random(1), 4, most=10**9)
    drawn = Counter(sends.draw()[0] for _ in range(15_000))
    assert all(abs(drawn[str(key)] / 1000 / 2**key - 1) < 0.1 for key in range(4))


def test_as_many_keys_as_the_options_say():
    sends = Sends(Random(1), 3, most=10**9)
    assert {sends.draw()[0] for _ in range(1000)} == {"0", "1", "2"}
    assert {o.value[0][1] for o in play(Logs(), key_count=1, seed=1) if o.f == "send"} > {"0", "1"}
    most = max(
        o.value[0][2]
        for o in play(Logs(), max_writes_per_key=3, seed=1)
        if o.f == "send" and o.type == "invoke"
    )
    assert most == 3


def test_the_same_seed_gives_the_same_history():
    assert list(play(Logs(), seed=7)) == list(play(Logs(), seed=7))
    assert list(play(Logs(), seed=7)) != list(play(Logs(), seed=8))


def test_what_was_coming_comes_after_an_assign_of_its_key():
    load = [o for o in played(Logs(), seed=1).load if o.type == "invoke" and o.f != "crash"]
    assigned = [(o, after) for o, after in pairwise(load) if o.f == "assign"]
    assert len(assigned) > 10
    assert all(
        after.f == "assign" or after.f == "poll" or after.value[0][1] in o.value
        for o, after in assigned
    )


def test_an_assign_catches_up_with_keys_that_nobody_polled():
    sent, polled, caught_up = {}, {}, 0
    for operation in played(Logs(), seed=1).load:
        if operation.f == "assign" and operation.type == "invoke" and len(operation.value) > 1:
            unseen = {key for key, offset in sent.items() if polled.get(key, -1) < offset}
            assert set(operation.value) >= unseen
            assert len(operation.value) - len(unseen) <= 1
            caught_up += 1
        elif operation.type == "ok" and operation.f == "send":
            [[_, key, [offset, _]]] = operation.value
            sent[key] = max(offset, sent.get(key, -1))
        elif operation.type == "ok" and operation.f == "poll":
            for key, pairs in operation.value[0][1].items():
                polled[key] = max(pairs[-1][0], polled.get(key, -1))
    assert caught_up >= 3


def described(load):
    """Figures of one load: shares of the operations, and what keys they use."""
    invoked = [operation for operation in load if operation.type == "invoke"]
    counts = Counter(operation.f for operation in invoked)
    keys = Counter(operation.value[0][1] for operation in invoked if operation.f == "send")
    assigns = [len(operation.value) for operation in invoked if operation.f == "assign"]
    return {
        "sends": counts["send"] / len(invoked),
        "polls": counts["poll"] / len(invoked),
        "assigns": counts["assign"] / len(invoked),
        "crashes": counts["crash"],
        "sends a key": counts["send"] / len(keys),
        "first ten keys": [keys[str(key)] for key in range(10)],
        "assigns that catch up": sum(size > 1 for size in assigns) / len(assigns),
        "keys an assign": sum(assigns) / len(assigns),
    }


def averages(loads):
    described_loads = [described(load) for load in loads]
    first_ten = [d.pop("first ten keys") for d in described_loads]
    figures = {name: sum(d[name] for d in described_loads) for name in described_loads[0]}
    keys = {f"sends to key {key}": sum(counts[key] for counts in first_ten) for key in range(10)}
    return {name: total / len(loads) for name, total in {**figures, **keys}.items()}


def recorded_load(case):
    """A recorded history up to its final phase, which begins with a crash of every process."""
    recorded = list(read_history(case))
    end = next(i for i, o in enumerate(recorded) if SEEK_TO_BEGINNING in o.extra)
    while recorded[end - 1].f == "crash":
        end -= 1
    return [operation for operation in recorded[:end] if operation.is_client]


def test_the_load_is_like_maelstroms():
    """Averages over the six recorded runs (8 s, rate 200, 4 workers) and six of ours.

    The bounds are some four standard deviations of the difference.
    """
    cases = [case for case in HISTORIES.glob("kafka-*") if case.name != "kafka-good-part"]
    assert len(cases) == 6
    theirs = averages([recorded_load(case) for case in cases])
    ours = averages([played(Logs(), seed=seed).load for seed in range(len(cases))])
    within = {
        "sends": 0.03,
        "polls": 0.03,
        "assigns": 0.005,
        "crashes": 1,
        "sends a key": 1,
        "assigns that catch up": 0.1,
        "keys an assign": 1,
        **{f"sends to key {key}": 2 + 0.75 * key for key in range(10)},
    }
    assert set(within) == set(ours)
    far = {name for name in within if abs(ours[name] - theirs[name]) > within[name]}
    assert not far, [(name, ours[name], theirs[name]) for name in far]


def test_crashes_come_every_thirty_seconds_for_each_worker():
    load = played(Logs(), seed=1, time_limit=600, rate=10, concurrency=6).load
    crashes = [o.time / NANOS for o in load if o.f == "crash" and o.type == "invoke"]
    assert crashes[0] < 1, "the first is due at once"
    assert 0.8 < len(crashes) / (600 / 30 * 6) < 1.2
    assert all(after - before <= 10 + 1 for before, after in pairwise(crashes))


def test_a_crash_makes_a_new_process_with_a_new_session():
    history = play(Logs(), seed=1)
    ends = [o for o in history if o.f == "crash" and o.type == "info"]
    later = {o.process for o in history}
    assert ends
    assert all(end.process + 4 in later for end in ends)
    for end in ends:
        after = [o for o in history if o.process == end.process and o.index > end.index]
        assert not after


# The final phase


def final_of(player):
    return player.operations[len(player.load) :]


def test_in_the_end_every_worker_crashes_rewinds_and_polls_until_it_has_seen_all():
    player = played(Logs(), seed=1)
    final = [operation for operation in final_of(player) if operation.type == "invoke"]
    assert Counter(o.f for o in final) == {"crash": 4, "assign": 4, "poll": 4}
    keys = sorted({o.value[0][1] for o in player.load if o.f == "send"}, key=int)
    for assigned in (operation for operation in final if operation.f == "assign"):
        assert [key for key in assigned.value if key in keys] == keys
        assert assigned.value == sorted(assigned.value, key=int)
        assert assigned.extra == (SEEK_TO_BEGINNING,)


class Slow(Logs):
    """Shows one message at a time."""

    def read(self, key, offset):
        return super().read(key, offset)[:1]


def test_final_polls_go_on_as_long_as_it_takes_at_random_intervals():
    player = played(Slow(), seed=1)
    polls = [o for o in final_of(player) if o.f == "poll" and o.type == "invoke"]
    by_worker = [[o.time for o in polls if o.process % 4 == worker] for worker in range(4)]
    assert [len(times) for times in by_worker] == [16] * 4, "no key has more messages than that"
    gaps = [after - before for times in by_worker for before, after in pairwise(times)]
    assert 0.15 < sum(gaps) / len(gaps) / NANOS < 0.25
    assert max(gaps) < 0.41 * NANOS
    assert kafka.check(History(player.operations), Options())["valid?"] is True


def test_final_polls_end_after_ten_seconds():
    class Forgetful(Logs):
        def send(self, key, msg):
            return {"offset": 99}

    player = played(Forgetful(), seed=1)
    final = final_of(player)
    assert 9.5 < (final[-1].time - final[0].time) / NANOS < 10.1
    assert 100 < len([o for o in final if o.f == "poll"]) / 2 < 300


def test_no_final_phase_if_nothing_is_known():
    class Refuses(Logs):
        def answer(self, request):
            raise Refused

    player = played(Refuses(), seed=1)
    assert final_of(player) == []


# What it finds


@pytest.mark.parametrize("seed", range(3))
def test_a_good_cluster_passes(seed):
    history = play(Logs(), seed=seed)
    assert kafka.check(history, Options())["error-types"] == []
    assert kafka.warnings(history, Options()) == []


class Flaky(Logs):
    """Loses one answer in ten: what was asked for may have happened or not."""

    def answer(self, request):
        if self.random.random() < 0.05:
            raise TimedOut
        answer = super().answer(request)
        if self.random.random() < 0.05:
            raise TimedOut
        return answer


@pytest.mark.parametrize("seed", range(3))
def test_a_cluster_that_does_not_always_answer_passes(seed):
    history = play(Flaky(), seed=seed)
    kinds = Counter((operation.f, operation.type) for operation in history)
    assert kinds["send", "info"] > 20
    assert kinds["poll", "info"] > 20
    assert kinds["assign", "fail"] > 0, "an assign is safe to repeat"
    assert kafka.check(history, Options())["error-types"] == []
    assert kafka.warnings(history, Options()) == []


class Loses(Logs):
    """Acknowledges one message in fifty without keeping it."""

    def send(self, key, msg):
        answer = super().send(key, msg)
        if self.random.random() < 0.02:
            self.logs[key][-1] = None
        return answer

    def read(self, key, offset):
        return [pair for pair in super().read(key, offset) if pair[1] is not None]


class Duplicates(Logs):
    def send(self, key, msg):
        answer = super().send(key, msg)
        if self.random.random() < 0.02:
            self.logs[key].append(msg)
        return answer


class AssignsOffsetsTwice(Logs):
    """Two nodes that each think they own every key."""

    def __init__(self):
        super().__init__()
        self.others = Logs()

    def read(self, key, offset):
        return (self.others.read if self.random.random() < 0.5 else super().read)(key, offset)

    def send(self, key, msg):
        return (self.others.send if self.random.random() < 0.5 else super().send)(key, msg)


class Reorders(Logs):
    def read(self, key, offset):
        return super().read(key, offset)[::-1]


class SkipsTheFirst(Logs):
    """Leaves out the message at the position that was asked for, now and then."""

    def read(self, key, offset):
        return super().read(key, offset)[self.random.random() < 0.2 :]


class SkipsOneBetween(Logs):
    def read(self, key, offset):
        pairs = super().read(key, offset)
        return pairs[:1] + pairs[2:] if self.random.random() < 0.2 else pairs


class RepeatsTheLast(Logs):
    """Takes the offset to begin with for the last one seen."""

    def read(self, key, offset):
        return super().read(key, max(0, offset - 1)) if super().read(key, offset) else []


class NumbersBackwards(Logs):
    """New messages get lower offsets."""

    def send(self, key, msg):
        return {"offset": 1000 - super().send(key, msg)["offset"]}

    def read(self, key, offset):
        numbered = [[1000 - place, msg] for place, msg in enumerate(self.logs[key])]
        return sorted(pair for pair in numbered if pair[0] >= offset)


class ShowsAborted(Logs):
    def send(self, key, msg):
        answer = super().send(key, msg)
        if self.random.random() < 0.02:
            raise Refused
        return answer


class Foretells(Logs):
    """Makes up the next message, correctly."""

    def read(self, key, offset):
        pairs = super().read(key, offset)
        return [*pairs, [pairs[-1][0] + 1, pairs[-1][1] + 1]] if 1 < len(pairs) < 16 else pairs


class HidesTheLast(Logs):
    """Never shows the newest message of a key."""

    def read(self, key, offset):
        return [[o, m] for o, m in super().read(key, offset) if o < len(self.logs[key]) - 1]


BROKEN = [
    (Loses, "lost-write"),
    (Loses, "unseen"),
    (Duplicates, "duplicate"),
    (AssignsOffsetsTwice, "inconsistent-offsets"),
    (Reorders, "int-nonmonotonic-poll"),
    (SkipsTheFirst, "poll-skip"),
    (SkipsOneBetween, "int-poll-skip"),
    (RepeatsTheLast, "nonmonotonic-poll"),
    (NumbersBackwards, "nonmonotonic-send"),
    (ShowsAborted, "G1a"),
    (Foretells, "G1c-realtime"),
    (HidesTheLast, "unseen"),
]


@pytest.mark.parametrize(("logs", "anomaly"), BROKEN, ids=lambda x: getattr(x, "__name__", x))
@pytest.mark.parametrize("seed", range(2))
def test_a_broken_cluster_is_found(logs, anomaly, seed):
    result = kafka.check(play(logs(), seed=seed, time_limit=4), Options())
    assert anomaly in result["bad-error-types"]
    assert result["valid?"] is False


class ReturnsNothing(Logs):
    def read(self, key, offset):
        return []


class ReturnsAllKeys(Logs):
    def poll(self, offsets):
        return super().poll({**dict.fromkeys(self.logs, 0), **offsets})


class ReturnsNothingToHalfOfThem(Logs):
    """Says nothing to who polls from the beginning, one time in two."""

    def poll(self, offsets):
        answer = super().poll(offsets)
        silent = len(offsets) > 30 and self.random.random() < 0.5
        return {"msgs": {key: [] for key in offsets}} if silent else answer


WARNED = [
    (ReturnsNothing, "silent"),
    (ReturnsAllKeys, "unasked-key"),
    (SkipsTheFirst, "gap"),
    (RepeatsTheLast, "below-offset"),
    (Reorders, "unsorted"),
    (Foretells, "phantom"),
    (HidesTheLast, "incomplete"),
]


@pytest.mark.parametrize(("logs", "kind"), WARNED, ids=lambda x: getattr(x, "__name__", x))
def test_what_is_wrong_beyond_maelstrom_is_a_warning(logs, kind):
    warnings = {w["kind"]: w for w in kafka.warnings(play(logs(), seed=1, time_limit=4), Options())}
    assert warnings[kind]["count"] >= 1
