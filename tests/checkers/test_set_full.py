"""Sets: which elements are stable, lost or never read, and how long they took.

At the end, a plain transcription of Jepsen's way, element by element at every read, is the
reference for random histories.
"""

from __future__ import annotations

from handwritten import fail, history, info, invoke, ok
from hypothesis import given, settings
from hypothesis import strategies as st
from json_values import VALUES

from glomers.checkers import set_full
from glomers.history import edn
from glomers.history.operations import History, Operation, as_map
from glomers.options import Options


def check(*steps):
    return set_full.check(history(*steps), Options())


def added(process, value, at=None):
    return [invoke(process, "broadcast", value, at=at), ok(process)]


def read(process, values, at=None):
    return [invoke(process, "read", at=at), ok(process, values)]


def lists(result):
    return {name: result[name] for name in ("lost", "never-read", "stale")}


# Outcomes


def test_a_read_of_null_shows_nothing():
    def steps(shown):
        return [*read(0, shown), *added(0, 1), *read(1, shown), *read(0, [1])]

    assert check(*steps(None)) == check(*steps([]))


def test_elements_that_every_read_shows():
    result = check(*added(0, 1), *added(1, 2), *read(0, [1, 2]), *read(1, [2, 1]))
    assert result == {
        "valid?": True,
        "attempt-count": 2,
        "stable-count": 2,
        "lost-count": 0,
        "lost": [],
        "never-read-count": 0,
        "never-read": [],
        "stale-count": 0,
        "stale": [],
        "worst-stale": [],
        "stable-latencies": {0: 0, 0.5: 0, 0.95: 0, 0.99: 0, 1: 0},
        "duplicated-count": 0,
        "duplicated": {},
    }


def test_an_acknowledged_element_that_no_later_read_shows_is_lost():
    result = check(*added(0, 1, at=10), *added(0, 2), *read(1, [2]))
    assert result["valid?"] is False
    assert lists(result) == {"lost": [1], "never-read": [], "stale": []}
    assert result["lost-latencies"] == {0: 0, 0.5: 0, 0.95: 0, 0.99: 0, 1: 0}


def test_an_element_that_vanishes_is_lost_from_the_last_read_that_showed_it():
    result = check(*added(0, 1, at=10), *read(1, [1], at=50), *read(1, [], at=90))
    assert result["lost"] == [1]
    # Acknowledged at 11 ms, last seen by a read at 50 ms.
    assert result["lost-latencies"][1] == 39


def test_an_element_that_some_reads_miss_is_stale_until_the_last_of_them():
    result = check(
        *added(0, 1, at=10), *read(1, [], at=50), *read(0, [1], at=60), *read(1, [1], at=70)
    )
    assert result["valid?"] is True
    assert lists(result) == {"lost": [], "never-read": [], "stale": [1]}
    assert result["stable-latencies"][0.5] == 39


def test_a_single_late_read_decides():
    """One node that lags at the end makes lost what all others show."""
    result = check(*added(0, 1), *read(0, [1]), *read(1, [1]), *read(2, []))
    assert result["lost"] == [1]


def test_the_last_read_is_the_one_that_began_last():
    result = check(
        *added(0, 1),
        invoke(1, "read"),
        invoke(2, "read"),
        ok(2, [1]),
        ok(1, []),  # began before the other, so it may be older
    )
    assert result["valid?"] is True
    assert result["stable-count"] == 1


def test_of_the_reads_that_miss_an_element_the_one_that_began_last_counts():
    result = check(
        *added(0, 1, at=10),
        invoke(1, "read", at=20),
        invoke(2, "read", at=30),
        ok(2, [], at=40),
        ok(1, [], at=50),
        *read(0, [1], at=60),
    )
    assert result["stable-latencies"][1] == 19


def test_a_read_that_began_before_the_acknowledgement_proves_no_loss():
    result = check(
        invoke(0, "broadcast", 1, at=10), invoke(1, "read", at=11), ok(0, at=12), ok(1, [], at=13)
    )
    assert lists(result) == {"lost": [], "never-read": [1], "stale": []}
    assert result["valid?"] == "unknown"


def test_a_read_that_ended_before_the_add_began_says_nothing():
    result = check(
        invoke(2, "read"),
        *read(1, []),  # began after the other, but ended too early
        *added(0, 1),
        ok(2, [1]),
    )
    assert result["stable-count"] == 1


def test_not_even_if_it_shows_the_element():
    result = check(*read(1, [1]), invoke(0, "broadcast", 1), info(0))
    assert result["never-read"] == [1]


def test_an_element_nobody_confirmed_need_not_exist():
    result = check(
        invoke(0, "broadcast", 1),
        info(0),
        invoke(1, "broadcast", 2),
        fail(1),
        invoke(2, "broadcast", 3),
        *added(3, 4),
        *read(3, [4]),
    )
    assert lists(result) == {"lost": [], "never-read": [1, 2, 3], "stale": []}
    assert result["valid?"] is True


def test_but_once_it_was_seen_it_must_stay():
    result = check(invoke(0, "broadcast", 1), info(0), *read(1, [1]), *read(1, []))
    assert result["lost"] == [1]


def test_an_element_is_known_when_a_read_shows_it_even_before_it_is_acknowledged():
    result = check(
        invoke(0, "broadcast", 1, at=10),
        *read(1, [1], at=20),  # known at 21 ms
        *read(2, [], at=30),
        ok(0, at=100),
        *read(2, [1], at=200),
    )
    assert result["stale"] == [1]
    assert result["stable-latencies"][1] == 9


def test_without_any_stable_element_nothing_is_proved():
    assert check()["valid?"] == "unknown"
    assert check(*added(0, 1))["valid?"] == "unknown"
    assert "stable-latencies" not in check(*added(0, 1))


def test_a_read_that_failed_shows_nothing():
    result = check(*added(0, 1), *read(0, [1]), invoke(1, "read"), fail(1))
    assert result["valid?"] is True


def test_what_nobody_added_is_ignored():
    result = check(*added(0, 1), *read(0, [1, 99]))
    assert result["attempt-count"] == 1
    assert result["valid?"] is True


def test_elements_that_are_read_twice_go_unnoticed_as_in_jepsen():
    result = check(*added(0, 1), *read(0, [1, 1]))
    assert result["valid?"] is True
    assert result["duplicated"] == {}


# Details


def test_the_eight_worst_stale_elements_come_with_the_operations_that_show_it():
    adds = [step for value in range(10) for step in added(0, value, at=10 * value)]
    steps = [*adds, *read(1, [0], at=200), *read(1, list(range(10)), at=300)]
    result = check(*steps)
    assert [worst["element"] for worst in result["worst-stale"]] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert result["worst-stale"][0] == {
        "element": 1,
        "outcome": "stable",
        "stable-latency": 189,
        "lost-latency": None,
        "known": {**as_map(history(*steps)[3]), "f": "add"},
        "last-absent": as_map(history(*steps)[20]),
    }


def test_of_equally_stale_elements_the_highest_come_first():
    steps = [invoke(n, "add", n, at=0) for n in range(10)] + [ok(n, at=1) for n in range(10)]
    result = check(*steps, *read(0, [], at=50), *read(0, list(range(10)), at=60))
    assert [worst["element"] for worst in result["worst-stale"]] == [9, 8, 7, 6, 5, 4, 3, 2]


def test_latencies_are_whole_milliseconds_rounded_down():
    def latency(missed_at):
        steps = [*added(0, 1, at=10), *read(1, [], at=missed_at), *read(1, [1])]
        return check(*steps)["stable-latencies"][1]

    assert latency(missed_at=13.9) == 2
    assert latency(missed_at=13.999999) == 3  # it ends a nanosecond after the read began
    assert latency(missed_at=11.5) == 0


def test_quantiles_are_values_that_occurred():
    assert set_full.quantiles([7]) == {0: 7, 0.5: 7, 0.95: 7, 0.99: 7, 1: 7}
    assert set_full.quantiles(list(range(99, -1, -1))) == {0: 0, 0.5: 50, 0.95: 95, 0.99: 99, 1: 99}


def test_elements_are_listed_numbers_first_and_then_by_kind():
    values = ["b", 10, {"k": 1}, 9, [2], None, "a", True, [1, 1], 2.5]
    adds = [step for value in values for step in added(0, value)]
    assert check(*adds, *read(1, []))["lost"] == [
        None, 2.5, 9, 10, True, "a", "b", [2], [1, 1], {"k": 1},
    ]  # fmt: skip


def test_values_that_only_python_calls_equal_are_different_elements():
    result = check(*added(0, 1), *added(0, 1.0), *added(0, True), *read(1, [1.0]))
    assert result["attempt-count"] == 3
    assert edn.dumps(result["lost"]) == "[1 true]"


def test_an_answer_that_is_no_list_shows_nothing():
    assert check(*added(0, 1), *read(1, None))["lost"] == [1]


@given(st.lists(VALUES, min_size=1, max_size=4))
def test_any_json_value_is_an_element(values):
    adds = [step for value in values for step in added(0, value)]
    result = check(*adds, *read(1, values))
    assert result["valid?"] is True
    lost = check(*adds, *read(1, []))
    assert lost["lost-count"] == result["stable-count"] == result["attempt-count"]


# The reference


def jepsens_way(history: History) -> dict:
    """Element -> (outcome, stable latency, lost latency), by updating all at every read."""
    elements: dict = {}
    for operation in history.client_operations():
        if operation.f == "add":
            if operation.type == "invoke":
                elements[operation.value] = {"known": None, "present": None, "absent": None}
            elif operation.type == "ok":
                element = elements[operation.value]
                element["known"] = element["known"] or operation
        elif operation.type == "ok":
            began = history.invocation(operation)
            for value, element in elements.items():
                there = value in operation.value
                if there:
                    element["known"] = element["known"] or operation
                side = "present" if there else "absent"
                if element[side] is None or element[side].index < began.index:
                    element[side] = began
    return {value: _judged(**element) for value, element in elements.items()}


def _judged(known: Operation | None, present: Operation | None, absent: Operation | None) -> tuple:
    last_present = present.index if present else -1
    last_absent = absent.index if absent else -1
    if present and last_absent < last_present:
        stable_time = absent.time + 1 if absent else 0
        return ("stable", max(0, stable_time - known.time) // 1_000_000, None)
    if known and absent and last_present < last_absent and known.index < last_absent:
        lost_time = present.time + 1 if present else 0
        return ("lost", None, max(0, lost_time - known.time) // 1_000_000)
    return ("never-read", None, None)


@st.composite
def histories(draw) -> History:
    """Adds and reads of a few processes that overlap, end in all ways and show anything."""
    running: dict[int, str] = {}
    values = st.integers(0, 2)
    steps = []
    for process in draw(st.lists(st.integers(0, 2), min_size=10, max_size=40)):
        if process not in running:
            running[process] = draw(st.sampled_from(["add", "read", "read"]))
            value = draw(values) if running[process] == "add" else None
            steps.append(invoke(process, running[process], value))
        elif (end := draw(st.sampled_from([ok, ok, ok, fail, info]))) is ok:
            shown = running.pop(process) == "read"
            steps.append(ok(process, draw(st.lists(values, max_size=3))) if shown else ok(process))
        else:
            del running[process]
            steps.append(end(process))
    return history(*steps)


@settings(max_examples=300)
@given(histories())
def test_going_backwards_through_the_reads_finds_what_jepsen_finds(recorded):
    expected = jepsens_way(recorded)
    result = set_full.check(recorded, Options())

    def having(outcome):
        return sorted(value for value, judged in expected.items() if judged[0] == outcome)

    stable, lost = having("stable"), having("lost")
    assert result["attempt-count"] == len(expected)
    assert result["stable-count"] == len(stable)
    assert result["lost"] == lost
    assert result["never-read"] == having("never-read")
    assert result["stale"] == [value for value in stable if expected[value][1]]
    if stable:
        latencies = [expected[value][1] for value in stable]
        assert result["stable-latencies"] == set_full.quantiles(latencies)
    if lost:
        latencies = [expected[value][2] for value in lost]
        assert result["lost-latencies"] == set_full.quantiles(latencies)
