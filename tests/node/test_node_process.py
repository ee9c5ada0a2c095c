"""The node library on its real runtime: threads, pipes, signals, the end of input."""

from __future__ import annotations

import builtins
import json
import os
import re
import signal
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import PATIENCE, ROOT, Pipes, init, message, pipes, process, write_script

import maelstrom_node
from maelstrom_node import RPCError

ECHO = """
import threading, time
import maelstrom_node
from maelstrom_node import Node
node = Node()
@node.on("echo")
def echo(message):
    return {"type": "echo_ok", "echo": message.body["echo"]}
"""


@pytest.fixture(autouse=True)
def this_process_stays(monkeypatch):
    """A runtime that gives up on a handler must not take the tests with it."""

    def exit(status):
        raise AssertionError("the runtime gave up")

    monkeypatch.setattr(os, "_exit", exit)


@pytest.fixture
def unattended(monkeypatch):
    """Let the reader not look after requests that wait for a handler that blocks."""
    monkeypatch.setattr(maelstrom_node.StdioRuntime, "_look_after", lambda runtime, seconds: None)


@pytest.fixture
def stage():
    """A node with a handler for echo, not started."""
    with pipes() as stage:

        @stage.node.on("echo")
        def echo(message):
            return {"type": "echo_ok", "echo": message.body["echo"]}

        yield stage


@pytest.fixture
def gate(stage):
    """A handler for "wait" that blocks until the gate is set, unknown to the runtime."""
    gate = threading.Event()

    @stage.node.on("wait")
    def wait(message):
        gate.wait()
        return {"type": "wait_ok"}

    yield gate
    gate.set()


def echo(number: int) -> str:
    return message("c1", "n1", "echo", msg_id=number, echo=number)


def answered(messages) -> list:
    """Which requests were answered, as their msg_ids."""
    return sorted(sent["body"]["in_reply_to"] for sent in messages)


# Reading and writing


def test_a_lone_request_is_answered_at_once(stage):
    stage.start()
    for number in range(3):
        assert stage.ask("echo", echo=number)["echo"] == number
        stage.assert_silence()


def test_all_of_many_requests_are_answered_once(stage):
    stage.start()
    stage.put(*map(echo, range(5000)))
    assert answered(stage.end()) == list(range(5000))


def test_a_line_of_10_megabytes_comes_back(stage):
    stage.start()
    text = "x" * 10_000_000
    assert stage.ask("echo", echo=text)["echo"] == text
    assert stage.ask("echo", echo=1)["echo"] == 1


def test_long_lines_take_time_in_proportion(stage, monkeypatch):
    """Not to its square, as if each piece were joined to the others when it comes."""
    monkeypatch.setattr(maelstrom_node, "CHUNK", 64)
    stage.start()

    def cost(length: int) -> float:
        began = time.process_time()
        assert len(stage.ask("echo", echo="x" * length)["echo"]) == length
        return time.process_time() - began

    assert cost(2_000_000) / cost(500_000) < 10  # in proportion is 4, quadratic would be 16


def test_lines_are_written_whole_whatever_the_system_takes_at_once(stage, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
    stage.start()
    assert stage.ask("echo", echo="x" * 100)["echo"] == "x" * 100


def test_a_last_line_without_its_newline_is_a_line(stage):
    stage.start()
    stage.put_bytes(echo(1).encode())
    assert answered(stage.end()) == [1]


def test_a_last_line_that_is_cut_is_logged(stage, capsys):
    stage.start()
    stage.put(echo(1))
    stage.put_bytes(echo(2).encode()[:-5])
    assert answered(stage.end()) == [1]
    assert len(capsys.readouterr().err.splitlines()) == 1


@settings(deadline=None, max_examples=50)
@given(st.lists(st.binary(max_size=30) | st.none(), max_size=20), st.integers(1, 200))
def test_whatever_comes_in_whatever_pieces_every_request_is_answered_once(lines, size):
    with pipes() as stage:
        stage.node.on("echo")(lambda message: {"type": "echo_ok"})
        stage.start()
        data, expected = b"", []
        for number, line in enumerate(lines):
            if line is None:
                expected.append(number)
                line = b"\n" + echo(number).encode()
            data += line + b"\n"
        for start in range(0, len(data), size):
            stage.put_bytes(data[start : start + size])
        assert answered(stage.end()) == expected


def test_what_a_handler_sends_goes_out_while_it_blocks(stage, gate):
    @stage.node.on("tell")
    def tell(message):
        stage.node.send("n2", {"type": "told"})
        gate.wait()

    stage.start()
    stage.put(message("c1", "n1", "tell"))
    assert stage.next()["body"]["type"] == "told"


@pytest.mark.usefixtures("unattended")
@pytest.mark.parametrize("wait", ["sleep", "rpc"])
def test_what_a_handler_sends_goes_out_before_it_waits(stage, wait):
    waited = []

    @stage.node.on("tell")
    def tell(message):
        stage.node.send("n2", {"type": "told"})
        if wait == "sleep":
            stage.node.sleep(0.5)
        else:
            stage.node.rpc("n2", {"type": "ask"}, timeout=PATIENCE)
        waited.append(wait)

    stage.start()
    stage.put(message("c1", "n1", "tell"))
    assert stage.next()["body"]["type"] == "told"
    assert not waited
    if wait == "rpc":
        assert stage.next()["body"]["type"] == "ask"


def test_messages_from_the_background_go_out(stage):
    @stage.node.every(0.01)
    def tick():
        stage.node.send("n2", {"type": "tick"})

    @stage.node.on("init")
    def hook(message):
        stage.node.spawn(stage.node.send, "n3", {"type": "spawned"})

    stage.run()
    stage.put(init())
    assert {stage.next()["body"]["type"] for _ in range(3)} == {"spawned", "init_ok", "tick"}
    stage.end()


def test_a_stray_print_harms_nobody(tmp_path):
    source = ECHO.replace("return", "print('stray'); return") + "node.run(); print('after')"
    with process(*write_script(tmp_path, source), folder=tmp_path) as node:
        node.put(init(), echo(1))
        assert [node.next()["body"]["type"] for _ in range(2)] == ["init_ok", "echo_ok"]
        node.stdin.close()
        assert node.stdout.read() == b"after\n"
        assert node.wait() == (0, "stray\n")


# Handlers that block


def test_a_handler_can_wait_for_an_answer(stage):
    stage.node.on("get")(lambda message: stage.node.rpc("n2", {"type": "read"}))
    stage.start()
    stage.put(message("c1", "n1", "get", msg_id=1))
    stage.answer(stage.next(), type="read_ok", value=7)
    assert stage.next()["body"] == {"type": "read_ok", "value": 7, "in_reply_to": 1}


def test_an_init_hook_can_wait_for_an_answer(stage):
    stage.node.on("init")(lambda message: stage.node.rpc("n2", {"type": "read"}))
    stage.run()
    stage.put(init())
    read = stage.next()
    assert stage.ask("echo", echo=1)["code"] == 11
    stage.answer(read, type="read_ok")
    assert stage.next()["body"]["type"] == "init_ok"


@pytest.mark.usefixtures("unattended")
def test_hundreds_of_handlers_can_wait_for_answers(stage):
    many = 500
    stage.node.on("get")(lambda message: stage.node.rpc("n2", {"type": "read"}, timeout=PATIENCE))
    stage.start()
    stage.put(*(message("c1", "n1", "get", msg_id=number) for number in range(many)))
    reads = [stage.next() for _ in range(many)]
    assert len({read["body"]["msg_id"] for read in reads}) == many
    assert stage.ask("echo", echo="still there")["echo"] == "still there"
    for read in reads:
        stage.answer(read, type="read_ok")
    assert answered(stage.next() for _ in range(many)) == list(range(many))


@pytest.mark.usefixtures("unattended")
def test_sleeping_handlers_keep_nobody(stage):
    @stage.node.on("nap")
    def nap(message):
        stage.node.sleep(1)
        return {"type": "nap_ok"}

    stage.start()
    stage.put(*(message("c1", "n1", "nap", msg_id=number) for number in range(100)), echo(1000))
    assert stage.next()["body"]["in_reply_to"] == 1000
    assert answered(stage.next() for _ in range(100)) == list(range(100))


def test_a_handler_that_blocks_on_something_else_keeps_nobody(stage, gate):
    stage.start()
    stage.put(*(message("c1", "n1", "wait", msg_id=number) for number in range(10)))
    assert stage.ask("echo", echo=1)["echo"] == 1
    gate.set()
    assert answered(stage.next() for _ in range(10)) == list(range(10))


def test_answers_come_through_to_who_holds_a_lock(stage):
    lock = threading.Lock()

    @stage.node.on("get")
    def get(message):
        with lock:
            return stage.node.rpc("n2", {"type": "read"}, timeout=PATIENCE)

    stage.start()
    stage.put(*(message("c1", "n1", "get", msg_id=number) for number in range(40)))
    for _ in range(40):
        stage.answer(stage.next(), type="read_ok")
        stage.next()


def test_an_answer_comes_through_however_many_handlers_block(stage, gate):
    stage.node.on("get")(lambda message: stage.node.rpc("n2", {"type": "read"}, timeout=PATIENCE))
    stage.start()
    stage.put(message("c1", "n1", "get", msg_id=1000))
    read = stage.next()
    stage.put(*(message("c1", "n1", "wait", msg_id=number) for number in range(100)))
    stage.answer(read, type="read_ok")
    assert stage.next()["body"]["in_reply_to"] == 1000
    gate.set()
    assert answered(stage.next() for _ in range(100)) == list(range(100))


@pytest.mark.usefixtures("unattended", "gate")
def test_no_answer_waits_behind_a_request(stage):
    answered = threading.Event()

    @stage.node.on("get")
    def get(message):
        stage.node.rpc("n2", {"type": "read"}, timeout=PATIENCE)
        answered.set()

    stage.start()
    stage.put(message("c1", "n1", "get"))
    read = stage.next()
    answer = message("n2", "n1", "read_ok", in_reply_to=read["body"]["msg_id"])
    stage.put(*[message("c1", "n1", "wait")] * 3, answer)
    assert answered.wait(PATIENCE / 2)


@pytest.mark.usefixtures("unattended")
def test_an_answer_is_recognised_however_its_keys_are_spelt(stage):
    stage.node.on("get")(lambda message: stage.node.rpc("n2", {"type": "read"}, timeout=PATIENCE))
    stage.start()
    stage.put(message("c1", "n1", "get", msg_id=1))
    msg_id = stage.next()["body"]["msg_id"]
    spelt = message("n2", "n1", "read_ok", in_reply_to=msg_id).replace("in_reply", r"in\u005freply")
    stage.put(spelt)
    assert stage.next()["body"]["type"] == "read_ok"


def test_a_thousand_handlers_can_wait_for_the_next_request(stage):
    many = 1000
    here, enough = 0, threading.Condition()

    @stage.node.on("meet")
    def meet(message):
        nonlocal here
        with enough:
            here += 1
            enough.notify_all()
            assert enough.wait_for(lambda: here > many, PATIENCE)
        return {"type": "meet_ok"}

    stage.start()
    stage.put(*(message("c1", "n1", "meet", msg_id=number) for number in range(many)))
    with enough:
        assert enough.wait_for(lambda: here == many, PATIENCE)
    stage.assert_silence()
    stage.put(message("c1", "n1", "meet", msg_id=many))
    assert answered(stage.next() for _ in range(many + 1)) == list(range(many + 1))


def test_an_answer_goes_out_though_its_thread_goes_on_to_block(stage, gate):
    stage.start()
    stage.put(echo(1), message("c1", "n1", "wait", msg_id=2), echo(3))
    assert answered(stage.next() for _ in range(2)) == [1, 3]
    gate.set()
    assert stage.next()["body"]["in_reply_to"] == 2


def test_threads_are_added_only_if_no_request_was_taken_for_a_tick(monkeypatch):
    runtime, added, tick = maelstrom_node.StdioRuntime(), [], maelstrom_node.TICK
    monkeypatch.setattr(runtime, "_add_threads", added.append)
    runtime._busy = 4
    for _ in range(10):
        runtime._requests.put(b"")
    runtime._look_after(tick)  # they have just come
    runtime._requests.get()
    runtime._look_after(tick)  # one was taken
    runtime._look_after(tick / 2)
    assert added == []
    runtime._look_after(tick / 2)
    assert added == [4]  # as many again
    runtime._busy = 100
    runtime._look_after(tick / 2)
    assert added == [4]
    runtime._look_after(tick / 2)
    assert added == [4, 9]  # but no more than requests that wait


def test_threads_tell_what_they_are_for(stage):
    stage.node.on("who")(
        lambda message: {"type": "who_ok", "name": threading.current_thread().name}
    )
    stage.start()
    assert stage.ask("who")["name"].startswith("handler")
    names = [thread.name for thread in threading.enumerate()]
    assert "reader" in names
    assert any(name.startswith("handler") for name in names)


# Too many handlers, too little reading


@pytest.fixture
def three_threads(monkeypatch):
    monkeypatch.setattr(maelstrom_node, "MOST_THREADS", 3)


@pytest.mark.usefixtures("three_threads")
def test_a_request_for_which_there_is_no_thread_answers_11_at_once():
    gate = threading.Event()
    with pipes() as stage:

        @stage.node.on("wait")
        def wait(message):
            gate.wait(PATIENCE)
            return {"type": "wait_ok"}

        stage.start()
        stage.put(*(message("c1", "n1", "wait", msg_id=number) for number in range(5)))
        refused = [stage.next()["body"] for _ in range(2)]
        assert [body["code"] for body in refused] == [11, 11]
        assert "all 3 handlers are busy" in refused[0]["text"]
        gate.set()
        assert answered(stage.next() for _ in range(3)) == [0, 1, 2]
        assert stage.ask("wait")["type"] == "wait_ok"


def test_a_handler_thread_stays_for_the_next_request(stage, monkeypatch):
    stage.start()
    assert stage.ask("echo", echo=1)["type"] == "echo_ok"
    deadline = time.monotonic() + PATIENCE
    while stage.runtime._busy and time.monotonic() < deadline:
        time.sleep(0.001)
    monkeypatch.setattr(stage.runtime._pool, "submit", None)  # no task is given to the pool
    assert stage.ask("echo", echo=2)["type"] == "echo_ok"


def test_a_request_is_refused_if_the_system_has_no_more_threads(stage, monkeypatch):
    entered, gate = threading.Event(), threading.Event()

    @stage.node.on("hold")
    def hold(message):
        entered.set()
        assert gate.wait(PATIENCE)
        return {"type": "hold_ok"}

    def submit(work):
        raise RuntimeError("can't start new thread")

    stage.start()
    stage.put(message("c1", "n1", "hold", msg_id=2))
    assert entered.wait(PATIENCE)
    with monkeypatch.context() as patch:
        patch.setattr(stage.runtime._pool, "submit", submit)
        assert stage.ask("echo", echo=1)["code"] == 11
    assert stage.ask("echo", echo=1)["type"] == "echo_ok"
    gate.set()
    assert stage.next()["body"]["type"] == "hold_ok"


def test_a_function_for_which_there_is_no_thread_is_an_error_of_who_spawns_it(
    stage, monkeypatch, capsys
):
    @stage.node.on("spawn")
    def spawn(message):
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start)
            stage.node.spawn(print)

    usual = threading.Thread.start

    def start(thread):
        if thread.name == "background":
            raise RuntimeError("can't start new thread")
        usual(thread)

    stage.start()
    assert stage.ask("spawn")["code"] == 13
    assert stage.end() == []
    assert "RuntimeError: can't start new thread" in capsys.readouterr().err


def test_handlers_wait_if_nobody_reads_what_they_write(stage, monkeypatch):
    monkeypatch.setattr(maelstrom_node, "MOST_UNWRITTEN", 200)
    unwritten, full = [], threading.Event()

    @stage.node.on("flood")
    def flood(message):
        for _ in range(500):
            stage.node.send("n2", {"type": "told", "text": "x" * 1000})
            unwritten.append(len(stage.runtime._outbox))
            if unwritten[-1] >= 199:
                full.set()

    stage.start()
    stage.put(*(message("c1", "n1", "flood") for _ in range(3)))
    assert full.wait(PATIENCE)
    assert sum(stage.next()["body"]["type"] == "told" for _ in range(1500)) == 1500
    assert max(unwritten) <= 200 + 3  # and a line of each handler


def test_the_reader_waits_as_well_if_very_much_waits(stage, monkeypatch):
    monkeypatch.setattr(maelstrom_node, "MOST_UNWRITTEN", 0)
    monkeypatch.setattr(maelstrom_node, "MOST_UNHANDLED", 2)
    runtime = stage.runtime
    runtime.write("{}")
    assert stage.next() == {}
    with runtime._writing:
        runtime._outbox.append("{}")
        for _ in range(2):
            runtime._requests.put(b"")
        runtime._look_after(0.0)
        runtime._requests.put(b"")
        reader = threading.Thread(target=runtime._look_after, args=[0.0])
        reader.start()
        reader.join(0.05)
        assert reader.is_alive()
    reader.join(PATIENCE)
    assert not reader.is_alive()
    assert stage.next() == {}


# What goes wrong in the node itself


def test_a_reader_that_fails_ends_the_node(tmp_path):
    source = ECHO + "del node._dispatcher._answers\nnode.run()"
    with process(*write_script(tmp_path, source), folder=tmp_path) as node:
        node.put(message("n2", "n1", "read_ok", in_reply_to=1))
        status, log = node.wait()
        assert status == 1
        assert "AttributeError" in log.splitlines()[-1]


def test_a_writer_that_fails_ends_the_node(tmp_path):
    source = ECHO + "node.run()"
    with process(
        *write_script(tmp_path, f"import os; del os.write\n{source}"), folder=tmp_path
    ) as node:
        node.put(init())
        status, log = node.wait()
        assert status == 1
        assert "AttributeError" in log.splitlines()[-1]


def test_a_node_that_can_start_no_handler_thread_says_so_and_ends(tmp_path):
    source = (
        ECHO
        + """
start = threading.Thread.start
def start_others(thread):
    if thread.name.startswith("handler"):
        raise RuntimeError("can't start new thread")
    start(thread)
threading.Thread.start = start_others
node.run()
"""
    )
    with process(*write_script(tmp_path, source), folder=tmp_path) as node:
        node.put(init())
        status, log = node.wait()
        assert status == 1
        assert log.splitlines()[-1] == "RuntimeError: can't start new thread"


@pytest.mark.parametrize("error", ["SystemExit", "KeyboardInterrupt", "KeyError"])
def test_a_task_goes_on_whatever_it_raises(stage, error):
    errors = iter([vars(builtins)[error]] * 2)

    @stage.node.every(0.001)
    def tick():
        stage.node.send("n2", {"type": "tick"})
        for error in errors:
            raise error

    stage.run()
    stage.put(init())
    types: list[str] = []
    while types.count("tick") < 4 or "init_ok" not in types:
        types.append(stage.next()["body"]["type"])
    assert set(types) == {"init_ok", "tick"}


def test_a_late_answer_blocks_nothing(stage, capsys):
    @stage.node.on("get")
    def get(message):
        return stage.node.rpc("n2", {"type": "read"}, timeout=0.01)

    stage.start()
    for number in range(3):
        stage.put(message("c1", "n1", "get", msg_id=number))
        read, error = stage.next(), stage.next()
        assert error["body"]["code"] == 0
        stage.answer(read, type="read_ok")
        stage.answer(read, type="read_ok")
    assert stage.ask("echo", echo=1)["echo"] == 1
    assert len(capsys.readouterr().err.splitlines()) == 6


def test_message_ids_are_unique_whoever_sends(stage):
    def ask_often():
        for _ in range(200):
            stage.node.request("n2", {"type": "read"})

    stage.node.on("go")(lambda message: ask_often())
    stage.start()
    for _ in range(4):
        stage.node.spawn(ask_often)
        stage.put(message("c1", "n1", "go"))
    ids = [stage.next()["body"]["msg_id"] for _ in range(1600)]
    assert len(set(ids)) == 1600


# The end of input


def test_handlers_in_flight_are_finished_at_the_end_of_input(stage):
    @stage.node.on("nap")
    def nap(message):
        stage.node.sleep(0.05)
        return {"type": "nap_ok"}

    stage.start()
    stage.put(*(message("c1", "n1", "nap", msg_id=number) for number in range(50)))
    assert answered(stage.end()) == list(range(50))


def test_a_message_that_is_being_written_at_the_end_is_written_whole(stage, gate):
    text = "x" * 1_000_000

    @stage.node.on("tell")
    def tell(message):
        stage.node.send("n2", {"type": "told", "text": text})
        gate.wait()

    stage.start()
    stage.put(message("c1", "n1", "tell"))
    stage.wait_for_output()
    gate.set()
    assert not stage.ends_within(0.2)
    (told,) = stage.end()
    assert told["body"]["text"] == text


def test_a_stdout_that_is_read_late_makes_no_handler_too_slow(stage, monkeypatch):
    monkeypatch.setattr(maelstrom_node, "DRAIN", 0.05)
    monkeypatch.setattr(maelstrom_node, "MOST_UNWRITTEN", 10)
    text = "x" * 10_000
    stage.start()
    stage.put(*(message("c1", "n1", "echo", msg_id=number, echo=text) for number in range(100)))
    assert not stage.ends_within(0.2)
    assert answered(stage.end()) == list(range(100))


def test_requests_that_wait_are_handled_after_the_end_of_input_however_long_it_takes(
    stage, monkeypatch
):
    """Only a handler that takes too long is abandoned. The clock is the test's."""
    looked, now = threading.Event(), [0.0]
    look_after = stage.runtime._look_after

    def look(seconds):
        look_after(0.0)  # no request waits for a thread of its own
        looked.set()

    monkeypatch.setattr(stage.runtime, "_look_after", look)
    monkeypatch.setattr(stage.runtime, "now", lambda: now[0])

    @stage.node.on("step")
    def step(message):
        looked.clear()
        assert looked.wait(PATIENCE)
        now[0] += maelstrom_node.DRAIN / 2
        return {"type": "step_ok"}

    stage.start()
    stage.put(*(message("c1", "n1", "step", msg_id=number) for number in range(10)))
    assert answered(stage.end()) == list(range(10))


def test_a_request_that_no_thread_has_noticed_is_handled_after_the_end_of_input(stage, monkeypatch):
    """The only thread may have found the queue empty just before the request came."""
    add, notices = stage.runtime._add_threads, iter([False])
    stage.start()
    monkeypatch.setattr(
        stage.runtime, "_add_threads", lambda number: next(notices, True) and add(number)
    )
    stage.put(echo(1))
    assert answered(stage.end()) == [1]


def test_handlers_may_give_up_waiting_while_the_end_of_input_is_told(stage):
    """The answers that are waited for change while they are gone through."""
    dispatcher = maelstrom_node.Dispatcher(stage.node, stage.runtime)
    answers = [dispatcher.expect("a request") for _ in range(100)]
    given_up = iter(answers[:50])

    def give_up(frame, event, argument):  # as another thread may, before any line
        for answer in given_up:
            dispatcher.forget(answer)
            break
        return give_up

    before = sys.gettrace()
    sys.settrace(give_up)
    try:
        dispatcher.close()
    finally:
        sys.settrace(before)
    assert next(given_up, None) is None
    assert {answer.waiter.wait(0)["text"] for answer in answers[50:]} == {"end of input"}


def test_nobody_waits_for_answers_after_the_end_of_input(stage):
    stage.node.on("get")(lambda message: stage.node.rpc("n2", {"type": "read"}, timeout=100))
    stage.start()
    stage.put(message("c1", "n1", "get", msg_id=1))
    assert stage.next()["dest"] == "n2"
    (answer,) = stage.end()
    text = answer["body"].pop("text")
    assert text.startswith("end of input (test_node_process.py:")
    assert answer["body"] == {"type": "error", "code": 0, "in_reply_to": 1}


def test_background_tasks_end_with_the_input(stage):
    ended = threading.Event()

    @stage.node.on("init")
    def hook(message):
        stage.node.spawn(sleep_for_ever)
        stage.node.spawn(ask_for_ever)

    def sleep_for_ever():
        try:
            while True:
                stage.node.sleep(100)
        finally:
            ended.set()

    def ask_for_ever():
        try:
            while True:
                stage.node.rpc("n2", {"type": "read"}, timeout=100)
        except RPCError:
            stage.node.send("n2", {"type": "bye"})

    stage.node.every(100)(lambda: None)
    stage.run()
    stage.put(init())
    assert {stage.next()["body"]["type"] for _ in range(2)} == {"init_ok", "read"}
    began = time.monotonic()
    assert [sent["body"]["type"] for sent in stage.end()] == ["bye"]
    assert ended.is_set()
    assert time.monotonic() - began < maelstrom_node.DRAIN / 2


def test_a_node_can_ask_itself(stage):
    @stage.node.on("relay")
    def relay(message):
        return stage.node.rpc("n1", {**message.body, "type": "echo"})

    stage.start()
    stage.put(message("c1", "n1", "relay", msg_id=1, echo="x"))
    for _ in range(2):  # what it asks itself, and what it answers, as the network does
        stage.put(json.dumps(stage.next()))
    assert stage.next()["body"] == {"type": "echo_ok", "echo": "x", "in_reply_to": 1}


def test_a_request_for_which_none_was_returned_is_told_at_the_end_at_the_latest(tmp_path):
    source = f"{ECHO}@node.on('forget')\ndef forget(message): ...\nnode.run()"
    with process(*write_script(tmp_path, source), folder=tmp_path) as node:
        node.put(init(), *[message("c1", "n1", "forget", msg_id=number) for number in range(5)])
        rest, status, log = node.end()
    assert (answered(rest), status) == ([0], 0)
    (line,) = log.splitlines()
    assert re.fullmatch(
        r"maelstrom_node: the handler for 'forget' \(forget, node\.py:11\) returned None, "
        r"so the request has no answer: c1 sent {'type': 'forget', 'msg_id': \d}",
        line,
    )


def test_an_exception_in_a_thread_of_the_script_goes_to_the_log(tmp_path):
    source = f"{ECHO}threading.Thread(target=lambda: {{}}['missing']).start()\nnode.run()"
    with process(*write_script(tmp_path, source), folder=tmp_path) as node:
        rest, status, log = node.end()
    assert (rest, status) == ([], 0)
    assert "Traceback (most recent call last):" in log
    assert log.splitlines()[-1] == "KeyError: 'missing'"


def test_a_handler_that_never_ends_is_abandoned(tmp_path):
    source = (
        ECHO
        + """
maelstrom_node.DRAIN = 0.1
@node.on("hang")
def hang(message):
    while True:
        time.sleep(100)
node.run()
"""
    )
    with process(*write_script(tmp_path, source), folder=tmp_path) as node:
        node.put(init(), message("c1", "n1", "hang", msg_id=1), echo(2))
        rest, status, log = node.end()
        assert answered(rest) == [0, 2]
        assert status == 0
        (line,) = log.splitlines()
        assert line.startswith("maelstrom_node: gave up on handlers that took 0.1 s after the end")


def test_run_returns_at_the_end_of_input(tmp_path):
    source = ECHO + "node.run()\nimport sys; sys.exit(7)"
    with process(*write_script(tmp_path, source), folder=tmp_path) as node:
        assert node.end() == ([], 7, "")


@pytest.mark.parametrize("signal", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_without_a_traceback(tmp_path, signal):
    with process(*write_script(tmp_path, ECHO + "node.run()"), folder=tmp_path) as node:
        node.put(init())
        node.next()
        node.signal(signal)
        assert node.wait() == (-signal, "")


def test_a_script_may_end_on_a_signal_in_its_own_way(tmp_path):
    source = f"import signal, sys\n{ECHO}signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
    with process(*write_script(tmp_path, source + "node.run()"), folder=tmp_path) as node:
        node.put(init())
        node.next()
        node.signal(signal.SIGTERM)
        assert node.wait() == (3, "")


def test_a_broken_stdout_ends_it_quietly(tmp_path):
    with process(*write_script(tmp_path, ECHO + "node.run()"), folder=tmp_path) as node:
        node.put(init())
        node.next()
        node.stdout.close()
        node.put(echo(1))
        assert node.wait() == (0, "")


def test_a_full_disk_is_no_quiet_end(tmp_path):
    _, path = write_script(tmp_path, ECHO + "node.run()")
    command = f"ulimit -f 0; exec '{sys.executable}' '{path}' > full"  # as if the disk were
    with process("/bin/sh", "-c", command, folder=tmp_path) as node:
        node.put(init())
        status, log = node.wait()
        assert status == 1
        (line,) = log.splitlines()
        assert line.startswith("maelstrom_node: can't write to stdout: ")


def test_a_stdin_that_cannot_be_read_is_no_quiet_end(tmp_path):
    source = f"{ECHO}import os; os.set_blocking(0, False)\nnode.run()"
    with process(*write_script(tmp_path, source), folder=tmp_path) as node:
        status, log = node.wait()
        assert status == 1
        assert "BlockingIOError" in log.splitlines()[-1]


def test_a_closed_stderr_only_keeps_the_log_from_being_written(tmp_path):
    _, path = write_script(tmp_path, ECHO + "node.run()")
    command = f"exec '{sys.executable}' '{path}' 2>&-"
    with process("/bin/sh", "-c", command, folder=tmp_path) as node:
        node.put(init(), "no JSON", echo(1))
        rest, status, _ = node.end()
        assert (answered(rest), status) == ([0, 1], 0)


def test_a_closed_stdin_is_the_end_of_input(tmp_path):
    _, path = write_script(tmp_path, ECHO + "node.run()")
    command = f"exec '{sys.executable}' '{path}' <&-"
    with process("/bin/sh", "-c", command, folder=tmp_path) as node:
        assert node.wait() == (0, "")


# The scripts' surroundings


def test_a_script_finds_the_library_beside_itself_wherever_it_is_started(tmp_path):
    home = tmp_path / "a folder with spaces"
    home.mkdir()
    for name in ("echo.py", "maelstrom_node.py"):
        (home / name).write_bytes((ROOT / name).read_bytes())
    (home / "echo.py").chmod(0o755)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = elsewhere / "node"
    link.symlink_to(home / "echo.py")
    for command in (home / "echo.py", link):
        with process(command, folder=elsewhere) as node:
            node.put(init(), echo(1))
            rest, status, log = node.end()
            assert (answered(rest), status, log) == ([0, 1], 0, "")


def test_a_runtime_leaves_no_thread_and_no_file_behind():
    def open_files():
        return len(os.listdir("/dev/fd"))  # noqa: PTH208

    before, threads = open_files(), set(threading.enumerate())
    stage = Pipes().start()
    stage.end()
    assert open_files() == before
    left = {thread.name for thread in set(threading.enumerate()) - threads}
    assert left == set()


def test_ctrl_c_means_afterwards_what_it_meant_before(tmp_path):
    def handler(number, frame):
        pass

    before = signal.signal(signal.SIGINT, handler)
    try:
        inside, to = os.pipe()
        os.close(to)
        node = maelstrom_node.Node(maelstrom_node.StdioRuntime(inside, inside))
        node.run()
        os.close(inside)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
