"""The node library on its real runtime: threads, pipes, signals, the end of input."""

from __future__ import annotations

import os
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
def no_watchdog(monkeypatch):
    """Let nobody look after a handler that blocks."""
    monkeypatch.setattr(maelstrom_node, "TICK", 1e6)


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


@pytest.mark.usefixtures("no_watchdog")
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


@pytest.mark.usefixtures("no_watchdog")
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


@pytest.mark.usefixtures("no_watchdog")
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


def test_a_crowd_that_blocks_keeps_no_answer_back(stage, gate):
    """More handlers block than may run: what comes then has to wait, but answers have not."""
    crowd = 2 * maelstrom_node.CROWD
    stage.node.on("get")(lambda message: stage.node.rpc("n2", {"type": "read"}, timeout=PATIENCE))
    stage.start()
    stage.put(message("c1", "n1", "get", msg_id=1000))
    read = stage.next()
    stage.put(*(message("c1", "n1", "wait", msg_id=number) for number in range(crowd)))
    stage.put(echo(2000))
    stage.answer(read, type="read_ok")
    assert stage.next()["body"]["in_reply_to"] == 1000
    gate.set()
    assert answered(stage.next() for _ in range(crowd + 1)) == [*range(crowd), 2000]


def test_a_handler_that_raises_what_is_no_exception_keeps_nobody(stage, capsys):
    @stage.node.on("stop")
    def stop(message):
        raise KeyboardInterrupt

    stage.start()
    stage.put(message("c1", "n1", "stop", msg_id=1))
    assert stage.ask("echo", echo=1)["echo"] == 1
    assert "KeyboardInterrupt" in capsys.readouterr().err


def test_what_had_to_wait_for_a_crowd_is_handled_when_it_dissolves(stage, gate, monkeypatch):
    monkeypatch.setattr(maelstrom_node, "CROWD", 1)
    stage.start()
    answer = stage.node.request("n2", {"type": "read"})
    read = stage.next()
    stage.put(message("c1", "n1", "wait", msg_id=1), *map(echo, range(2, 9)))
    stage.answer(read, type="read_ok")
    answer.result(PATIENCE)  # so the lines before it have been taken in
    stage.assert_silence()
    gate.set()
    assert answered(stage.next() for _ in range(8)) == list(range(1, 9))


def test_a_crowd_dissolves_when_some_of_it_wait_for_answers(stage, gate, monkeypatch):
    monkeypatch.setattr(maelstrom_node, "CROWD", 1)

    @stage.node.on("get")
    def get(message):
        gate.wait()
        return stage.node.rpc("n2", {"type": "read"}, timeout=PATIENCE)

    stage.start()
    answer = stage.node.request("n2", {"type": "read"})
    read = stage.next()
    stage.put(message("c1", "n1", "get", msg_id=1), *map(echo, range(2, 9)))
    stage.answer(read, type="read_ok")
    answer.result(PATIENCE)
    stage.assert_silence()
    gate.set()
    messages = [stage.next() for _ in range(8)]
    (read,) = [sent for sent in messages if sent["dest"] == "n2"]
    messages.remove(read)
    assert answered(messages) == list(range(2, 9))
    stage.answer(read, type="read_ok")
    assert stage.next()["body"]["in_reply_to"] == 1


@pytest.mark.usefixtures("no_watchdog")
def test_an_answer_goes_out_though_its_thread_goes_on_to_block(stage, gate, monkeypatch):
    monkeypatch.setattr(maelstrom_node, "CROWD", 1)
    entered, leave = threading.Event(), threading.Event()

    @stage.node.on("get")
    def get(message):
        stage.node.rpc("n2", {"type": "read"}, timeout=PATIENCE)
        entered.set()
        leave.wait(PATIENCE)
        return {"type": "get_ok"}

    stage.start()
    stage.put(message("c1", "n1", "get", msg_id=1))
    stage.answer(stage.next(), type="read_ok")
    assert entered.wait(PATIENCE)
    answer = stage.node.request("n2", {"type": "read"})
    read = stage.next()
    stage.put(echo(2), message("c1", "n1", "wait", msg_id=3))
    stage.answer(read, type="read_ok")
    answer.result(PATIENCE)  # so the lines before it have been taken in, and put off
    leave.set()
    assert answered(stage.next() for _ in range(2)) == [1, 2]


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


def test_an_answer_that_the_watchdog_is_writing_at_the_end_is_written_whole(stage, gate):
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


def test_nobody_waits_for_answers_after_the_end_of_input(stage):
    stage.node.on("get")(lambda message: stage.node.rpc("n2", {"type": "read"}, timeout=100))
    stage.start()
    stage.put(message("c1", "n1", "get", msg_id=1))
    assert stage.next()["dest"] == "n2"
    (answer,) = stage.end()
    assert answer["body"] == {
        "type": "error", "code": 0, "text": "end of input", "in_reply_to": 1,
    }  # fmt: skip


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
        assert len(log.splitlines()) == 1


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
        assert len(log.splitlines()) == 1


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
    assert left <= {"watchdog"}
