"""When the history of a register is linearizable."""

from __future__ import annotations

from itertools import combinations, permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glomers.checkers.linearizability import check
from glomers.history.operations import History, Operation

INVOKE = {"write": 1, "cas": 2, "read": 0}


def history(*lines):
    """`"0 write 1"` begins an operation of process 0; `"0 ok"`, `"0 ok 1"`, `"0 info"` end it."""
    operations = []
    running = {}
    for line in lines:
        process, word, *values = line.split()
        if word in INVOKE:
            numbers = [int(value) for value in values]
            value = numbers if word == "cas" else numbers[0] if numbers else None
            running[process] = word, value
            type, f = "invoke", word
        else:
            type, (f, value) = word, running.pop(process)
            if values:
                value = None if values == ["nil"] else int(values[0])
        index = len(operations)
        operations.append(Operation(index, index, type, int(process), f, value))
    return History(operations)


def linearizable(*lines):
    return check(history(*lines).pairs()).valid


def test_one_after_the_other():
    assert linearizable("0 write 1", "0 ok", "0 read", "0 ok 1")
    assert not linearizable("0 write 1", "0 ok", "0 read", "0 ok 2")


def test_a_read_of_what_had_been_overwritten():
    assert not linearizable(
        "0 write 1", "0 ok", "0 write 2", "0 ok", "1 read", "1 ok 1"
    )  # fmt: skip


def test_a_read_during_a_write_may_see_it_or_not():
    for seen in (1, 2):
        assert linearizable("0 write 1", "0 ok", "0 write 2", "1 read", f"1 ok {seen}", "0 ok")
    assert not linearizable("0 write 1", "0 ok", "0 write 2", "1 read", "1 ok 3", "0 ok")


def test_once_a_read_has_seen_a_write_later_reads_see_it_too():
    write = ("0 write 1", "0 ok", "0 write 2")
    assert linearizable(*write, "1 read", "1 ok 1", "2 read", "2 ok 2", "0 ok")
    assert not linearizable(*write, "1 read", "1 ok 2", "2 read", "2 ok 1", "0 ok")


def test_compare_and_set():
    assert linearizable("0 write 1", "0 ok", "0 cas 1 2", "0 ok", "0 read", "0 ok 2")
    assert not linearizable("0 write 1", "0 ok", "0 cas 2 3", "0 ok")
    assert not linearizable("0 cas 1 2", "0 ok")


def test_of_two_that_compare_with_the_same_value_only_one_can_succeed():
    both = ("0 write 1", "0 ok", "0 cas 1 2", "1 cas 1 3")
    assert linearizable(*both, "0 ok", "1 fail", "0 read", "0 ok 2")
    assert not linearizable(*both, "0 ok", "1 ok")


def test_they_may_need_each_other_in_the_opposite_order():
    assert linearizable("0 write 1", "0 ok", "0 cas 2 3", "1 cas 1 2", "0 ok", "1 ok")


def test_what_failed_did_not_happen():
    assert linearizable("0 write 1", "0 ok", "0 write 2", "0 fail", "0 read", "0 ok 1")
    assert not linearizable("0 write 1", "0 ok", "0 write 2", "0 fail", "0 read", "0 ok 2")


@pytest.mark.parametrize("end", ["info", None])
def test_what_has_an_unknown_outcome_may_happen_at_once_or_later_or_never(end):
    crash = ["0 write 1", "0 ok", "1 write 2", *([f"1 {end}"] if end else [])]
    assert linearizable(*crash, "0 read", "0 ok 2", "0 read", "0 ok 2")
    assert linearizable(*crash, "0 read", "0 ok 1", "0 read", "0 ok 2")
    assert linearizable(*crash, "0 read", "0 ok 1", "0 read", "0 ok 1")
    assert not linearizable(*crash, "0 read", "0 ok 2", "0 read", "0 ok 1")


def test_it_does_not_happen_before_it_began():
    assert not linearizable("0 write 1", "0 ok", "0 read", "0 ok 2", "1 write 2", "1 info")


def test_it_happens_only_once():
    crash = ("0 write 1", "0 ok", "1 write 2", "1 info")
    there_and_back = ("0 read", "0 ok 2", "0 write 1", "0 ok", "0 read", "0 ok 2")
    assert not linearizable(*crash, *there_and_back)
    assert linearizable(*crash, "2 write 2", "2 info", *there_and_back)


def test_a_read_of_unknown_outcome_or_of_nil_says_nothing():
    assert linearizable("0 write 1", "0 ok", "0 read", "0 info")
    assert linearizable("0 write 1", "0 ok", "0 read", "0 ok nil")


def test_the_first_operation_that_nothing_explains():
    result = check(
        history(
            "0 write 1", "0 ok", "1 read", "2 read", "1 ok 1", "2 ok 2", "0 read", "0 ok 3"
        ).pairs()
    )
    assert result.valid is False
    assert (result.call.completion.index, result.previous.completion.index) == (5, 4)
    (configuration,) = result.configurations
    assert configuration.value == 1
    assert [call.completion.index for call in configuration.open] == [5]


def test_all_that_a_wrong_history_may_have_come_to_before():
    writes = ("0 write 1", "1 write 2", "0 ok", "1 ok")
    result = check(history(*writes, "0 read", "0 ok 3").pairs())
    assert sorted(configuration.value for configuration in result.configurations) == [1, 2]


def test_what_a_right_history_may_have_come_to():
    result = check(history("0 write 1", "1 write 2", "0 ok", "1 ok").pairs())
    assert result.valid is True
    assert result.configurations[0].value in (1, 2)
    assert result.configurations[0].open == ()


def test_a_budget_that_is_too_small_leaves_it_open():
    pairs = list(history("0 write 1", "0 ok", "0 read", "0 ok 1").pairs())
    assert check(pairs, budget=1).valid is None
    assert check(pairs, budget=3).valid is True
    assert check(pairs, budget=None).valid is True


# The search stays short: a thousand operations may cost about as many configurations


def crashed(f):
    """Twenty operations of unknown outcome, each by a process of its own."""
    return [line for number in range(1, 21) for line in (f"{number} {f(number)}", f"{number} info")]


WRITES = ["0 write 0", "0 ok", *crashed(lambda number: f"write {number % 5}")]
READS = [line for number in range(500) for line in ("0 read", f"0 ok {number // 25 % 5}")]
UNEXPLAINED = ["0 read", "0 ok 7"]


def costs_at_most(budget, lines):
    return check(history(*lines).pairs(), budget=budget).valid


def test_what_has_an_unknown_outcome_is_used_only_when_it_explains_something():
    assert costs_at_most(600, WRITES + READS) is True
    assert costs_at_most(600, WRITES + READS + UNEXPLAINED) is False


def test_what_has_an_unknown_outcome_is_left_alone_where_it_explains_nothing():
    assert costs_at_most(60, WRITES + ["0 write 1", "0 ok"] * 20 + UNEXPLAINED) is False


def test_ways_to_use_more_are_not_followed():
    cas = crashed(lambda number: f"cas {number % 3} {(number + 1) % 3}")
    reads = [line for number in range(12) for line in ("0 read", f"0 ok {number % 3}")]
    assert costs_at_most(60, ["0 write 0", "0 ok", *cas, *reads, *UNEXPLAINED]) is False


def overlapping(seen):
    """Fifteen writes, and a read that ends before them."""
    lines = [f"{number} write {number % 5}" for number in range(15)]
    return [*lines, "99 read", f"99 ok {seen}", *(f"{number} ok" for number in range(15))]


def test_many_operations_at_once():
    assert costs_at_most(40, overlapping(3)) is True
    assert costs_at_most(40, overlapping(7)) is False


def begun_and_ended(*operations):
    """Operations that begin one after the other, and then end in that order."""
    ends = [
        f"{n} ok" + (f" {o.split()[-1]}" if "read" in o else "") for n, o in enumerate(operations)
    ]
    begins = [f"{n} {'read' if 'read' in o else o}" for n, o in enumerate(operations)]
    return [*begins, *ends]


def read_after(*values):
    return [line for value in values for line in ("99 read", f"99 ok {value}")]


WRONG_AFTER = {"a value that nobody wrote": (99,), "a value that comes back": (3, 4, 3)}


@pytest.mark.parametrize("reads", WRONG_AFTER.values(), ids=WRONG_AFTER)
def test_concurrent_writes_cost_no_more_than_their_square(reads):
    for count in (10, 20, 40):
        lines = begun_and_ended(*(f"write {n}" for n in range(count)))
        assert costs_at_most(2 * count**2, lines + read_after(*reads)) is False


def test_a_value_that_nobody_wrote_is_found_however_much_goes_on():
    both = [f"{f} {n}" for n in range(20) for f in ("write", "read")]
    tangled = [f"cas {n} {n * 3 % 20}" for n in range(20)] + [f"write {n}" for n in range(20)]
    for operations in (both, tangled):
        lines = begun_and_ended(*operations) + read_after(99)
        result = check(history(*lines).pairs(), budget=3_000)
        assert result.valid is False
        assert result.call.argument == 99


def test_a_value_that_nobody_wrote_is_found_beyond_what_the_budget_reaches():
    lines = begun_and_ended(*(f"{f} {n}" for n in range(20) for f in ("write", "read")))
    result = check(history(*lines, *read_after(0, 1, 0, 99)).pairs(), budget=100)
    assert (result.valid, result.call.argument) == (False, 99)


def test_a_register_holds_nil_before_anything_is_written():
    cas = [
        Operation(0, 0, "invoke", 0, "cas", [None, 1]),
        Operation(1, 1, "ok", 0, "cas", [None, 1]),
    ]
    assert check(History(cas).pairs()).valid is True


def test_of_two_ways_to_explain_something_the_one_that_uses_less_is_enough():
    crashes = [line for n in range(1, 13) for line in (f"{n} write {n % 3}", f"{n} info")]
    begun = [f"{30 + n} write {n % 3}" for n in range(6)]
    reads = [line for n in range(9) for line in ("0 read", f"0 ok {(n + 1) % 3}")]
    ended = [f"{30 + n} ok" for n in range(6)]
    lines = ["0 write 0", "0 ok", *crashes, *begun, *reads, *ended, *UNEXPLAINED]
    assert costs_at_most(1_000, lines) is False


@pytest.mark.parametrize(("reads_every", "budget"), [(3, 600), (1, 800)])
def test_most_of_what_is_right_is_explained_at_the_first_try(reads_every, budget):
    """Ten clients write without a pause, another one reads."""
    lines = [f"{client} write {client % 5}" for client in range(10)]
    for number in range(200):
        lines += [f"{number % 10} ok", f"{number % 10} write {number * 7 % 5}"]
        if number % reads_every == reads_every - 1:
            lines += ["99 read", f"99 ok {number * 3 % 5}"]
    assert costs_at_most(budget, lines) is True


# Every order of every choice of operations


def explained(pairs):
    """Is there an order of the operations in which a register gives these answers?"""
    certain = [(a, b) for a, b in pairs if b is not None and b.type == "ok"]
    unknown = [(a, b) for a, b in pairs if b is None or b.type == "info"]
    return any(
        register_allows(order) and in_time(order)
        for count in range(len(unknown) + 1)
        for happened in combinations(unknown, count)
        for order in permutations([*certain, *happened])
    )


def in_time(order):
    return not any(
        later[1] is not None and later[1].type == "ok" and later[1].index < earlier[0].index
        for earlier, later in combinations(order, 2)
    )


def register_allows(order):
    value = None
    for invocation, completion in order:
        if invocation.f == "write":
            value = invocation.value
        elif invocation.f == "cas":
            if value != invocation.value[0]:
                return False
            value = invocation.value[1]
        elif (completion.value if completion else None) not in (None, value):
            return False
    return True


@st.composite
def histories(draw):
    """Up to seven operations of three clients; reads and outcomes are random."""
    values = st.integers(0, 2)
    calls = st.one_of(
        st.just("read"),
        st.builds("write {}".format, values),
        st.builds("cas {} {}".format, values, values),
    )
    lines, running, left = [], {}, draw(st.integers(1, 7))
    names = {0: 0, 1: 1, 2: 2}  # client -> process, another one after a crash
    while left or running:
        client = draw(st.sampled_from(sorted(running) if not left else [0, 1, 2]))
        process = names[client]
        if client not in running:
            running[client] = draw(calls)
            lines.append(f"{process} {running[client]}")
            left -= 1
            continue
        is_read = running.pop(client) == "read"
        end = draw(st.sampled_from(["ok", "ok", "ok", "info", "fail"]))
        if end == "info":
            names[client] += 3
        answer = f" {draw(values)}" if is_read and end == "ok" else ""
        lines.append(f"{process} {end}{answer}")
    return history(*lines)


@given(histories())
def test_the_search_agrees_with_trying_every_order(recorded):
    pairs = list(recorded.pairs())
    assert check(pairs, budget=None).valid is explained(pairs)


def random_history(random):
    """Up to six operations of four clients, half of which have no certain outcome."""
    lines, running, processes, left = [], {}, [0, 1, 2, 3], random.randint(2, 6)
    while left or running:
        client = random.choice(sorted(running)) if not left else random.randrange(4)
        process = processes[client]
        if client not in running:
            call = random.choice(["read", "write {}", "write {}", "cas {} {}"])
            running[client] = call.format(random.randrange(3), random.randrange(3))
            lines.append(f"{process} {running[client]}")
            left -= 1
            continue
        is_read = running.pop(client) == "read"
        if random.random() < (0.1 if is_read else 0.5):
            processes[client] += 4
            lines.append(f"{process} info")
        else:
            lines.append(f"{process} ok" + (f" {random.randrange(3)}" if is_read else ""))
    return history(*lines)


def test_it_agrees_on_some_thousand_histories_and_on_where_they_go_wrong():
    random, wrong = Random(0), 0
    for _ in range(3_000):
        operations = list(random_history(random))
        pairs = list(History(operations).pairs())
        result = check(pairs)
        assert result.valid is explained(pairs), operations
        if not result.valid:
            wrong += 1
            bad = result.call.completion.index
            assert not explained(list(History(operations[: bad + 1]).pairs())), operations
            assert explained(list(History(operations[:bad]).pairs())), operations
    assert 500 < wrong < 2_500
