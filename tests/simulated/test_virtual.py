"""The standard library of a simulated node: a name is virtual, refused with a reason, or real."""

from __future__ import annotations

import os
import queue
import random
import re
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from glomers.errors import NodeError
from glomers.history.times import NANOS
from glomers.simulated import virtual

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "simulation.md").read_text()

HEAD = """
import os, queue, sys, threading, time
from maelstrom_node import Node
node = Node()

@node.on("init")
def start(message):
    global initialised_at
    initialised_at = node.now()

def age():  # seconds since init, on this node's clock
    return round(node.now() - initialised_at, 6)

def fails(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except Exception as error:
        return f"{type(error).__name__}: {error}"

@node.on("ask")
def ask(message):
    return {"type": "ask_ok", "answer": answer()}
"""


@pytest.fixture
def ask(simulate, script):
    """What `answer()` of a script returns."""

    def ask(source: str, **settings):
        return simulate(script(HEAD + source + "\nnode.run()\n"), **settings).request(
            "n0", "ask", timeout=100
        )["answer"]

    return ask


# threading


def table(heading: str) -> dict[str, str]:
    """What a table of the docs says of each name: the text of the second column."""
    part = DOCS.partition(f"| `{heading}`")[2].partition("\n\n")[0]
    rows = [line.split("|") for line in part.splitlines() if line.startswith("| `")]
    return {name: row[2] for row in rows for name in re.findall(r"`(\w+)`", row[1])}


@pytest.mark.parametrize("module", [threading, queue], ids=lambda module: module.__name__)
def test_the_docs_say_of_each_public_name_what_becomes_of_it(module):
    told = table(module.__name__)
    assert set(module.__all__) <= told.keys()
    for text in told.values():
        assert re.match(r" (virtual|real|refused)\b", text)


def test_each_public_name_of_threading_is_what_the_docs_say(ask):
    told = table("threading")
    answer = ask(f"""
import maelstrom_node
real = maelstrom_node.threading
def kind(name):
    value = getattr(threading, name)
    if value is getattr(real, name):
        return "real"
    if "trace" in name or "profile" in name:
        return "refused" if "traced" in (fails(value, None) or "") else "virtual"
    return "virtual"
def answer():
    return {{name: kind(name) for name in {threading.__all__!r}}}
""")
    assert answer == {name: told[name].split()[0].rstrip(":;,") for name in threading.__all__}


MISUSES = [
    "threading.Lock().release",
    "threading.RLock().release",
    "threading.Condition().notify",
    "threading.Condition().notify_all",
    "threading.Condition().wait",
    "lambda: threading.Condition(threading.Lock()).notify()",
    "lambda: threading.Lock().acquire(False, 1)",
    "lambda: threading.Lock().acquire(timeout=-2)",
    "lambda: threading.Lock().acquire(timeout=threading.TIMEOUT_MAX * 2)",
    "lambda: threading.Semaphore(-1)",
    "lambda: threading.Semaphore().release(0)",
    "lambda: threading.Semaphore().acquire(False, 1)",
    "threading.BoundedSemaphore().release",
    "lambda: threading.Thread().join()",
    "lambda: threading.current_thread().join()",
    "lambda: [thread.start() for thread in [threading.Thread()] * 2]",
    "lambda: setattr(threading.current_thread(), 'daemon', True)",
    "lambda: time.sleep(-1)",
    "lambda: queue.Queue().get(timeout=-1)",
    "lambda: queue.Queue().get_nowait()",
    "lambda: os.environ.update(x=1)",
    "lambda: os.environ['no such']",
    "lambda: os.chdir('/no such')",
]


@pytest.mark.parametrize("misuse", MISUSES)
def test_misuse_raises_as_it_does_for_real(ask, misuse):
    names = {"threading": threading, "time": time, "queue": queue, "os": os}
    with pytest.raises(Exception) as real:
        eval(misuse, names)()
    assert ask(f"answer = lambda: fails({misuse})") == f"{real.type.__name__}: {real.value}"


def test_an_rlock_is_released_by_its_owner_only(ask):
    source = """
lock = threading.RLock()
def answer():
    lock.acquire()
    said = []
    thread = threading.Thread(target=lambda: said.append(fails(lock.release)))
    thread.start()
    thread.join()
    return said
"""
    assert ask(source) == ["RuntimeError: cannot release un-acquired lock"]


def test_a_barrier_lets_all_go_when_the_last_has_come_round_after_round(ask):
    source = """
log, opened = [], []
barrier = threading.Barrier(3, action=lambda: opened.append(age()))
def come(n):
    for round in (1, 2):
        node.sleep(n)
        log.append([round, barrier.wait(), age()])
def answer():
    threads = [threading.Thread(target=come, args=[n]) for n in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [sorted(log), opened, barrier.n_waiting, barrier.broken]
"""
    rounds = [[round, n, 3.0 * round] for round in (1, 2) for n in range(3)]
    assert ask(source) == [rounds, [3.0, 6.0], 0, False]


def test_a_barrier_that_is_waited_for_too_long_breaks_until_it_is_reset(ask):
    source = """
barrier = threading.Barrier(2, timeout=5)
def answer():
    said = [fails(barrier.wait), age(), fails(barrier.wait), age(), barrier.broken]
    barrier.reset()
    thread = threading.Thread(target=barrier.wait)
    thread.start()
    return [*said, barrier.wait(), barrier.broken]
"""
    broken = "BrokenBarrierError: "
    assert ask(source) == [broken, 5.0, broken, 5.0, True, 0, False]


@pytest.mark.parametrize("way", ["reset", "abort"])
def test_who_waits_at_a_barrier_hears_of_its_reset_and_its_end(ask, way):
    source = f"""
barrier = threading.Barrier(2)
def answer():
    said = []
    thread = threading.Thread(target=lambda: said.append(fails(barrier.wait)))
    thread.start()
    node.sleep(1)
    barrier.{way}()
    thread.join()
    return [said, barrier.broken]
"""
    assert ask(source) == [["BrokenBarrierError: "], way == "abort"]


def test_a_barrier_whose_action_fails_is_broken(ask):
    source = """
barrier = threading.Barrier(1, action=lambda: 1 / 0)
answer = lambda: [fails(barrier.wait), fails(barrier.wait), barrier.broken]
"""
    assert ask(source) == ["ZeroDivisionError: division by zero", "BrokenBarrierError: ", True]


def test_threads_know_each_other(ask):
    source = """
def answer():
    seen = []
    def work():
        me = threading.current_thread()
        seen.extend([me is thread, me.ident == threading.get_ident(), me in threading.enumerate()])
    thread = threading.Thread(target=work, name="worker")
    before = [thread.is_alive(), thread.ident]
    thread.start()
    seen.append(thread.is_alive())
    count = threading.active_count()
    thread.join()
    main = threading.main_thread()
    return [before, seen, count, thread.is_alive(), threading.active_count(), main.name]
"""
    before, seen, *rest = ask(source)
    assert before == [False, None]
    assert seen == [True] * 4
    assert rest == [2, False, 1, "MainThread"]


def test_an_exception_in_a_thread_goes_to_the_excepthook(ask):
    source = """
heard = []
def work():
    1 / 0
def answer():
    before = threading.excepthook
    threading.excepthook = lambda args: heard.append([args.exc_type.__name__, args.thread.name])
    thread = threading.Thread(target=work, name="worker")
    thread.start()
    thread.join()
    threading.excepthook = before
    return heard
"""
    assert ask(source) == [["ZeroDivisionError", "worker"]]


def test_locals_of_a_class_of_ones_own_begin_anew_in_each_thread(ask):
    source = """
class Count(threading.local):
    made = []
    def __init__(self, start):
        self.made.append(start)
        self.value = start
count = Count(5)
def answer():
    count.value += 1
    seen = []
    thread = threading.Thread(target=lambda: seen.append(count.value))
    thread.start()
    thread.join()
    return [count.value, seen, fails(lambda: count.other)]
"""
    value, seen, missing = ask(source)
    assert (value, seen) == (6, [5])
    assert missing.startswith("AttributeError")


def test_context_variables_begin_anew_in_each_thread(simulate, script):
    source = """
import contextvars
seen = contextvars.ContextVar("seen", default=[])
def answer():
    before = seen.get()
    seen.set([*before, "handler"])
    time.sleep(0.1)
    thread = threading.Thread(target=lambda: seen.set([*seen.get(), "thread"]))
    thread.start()
    thread.join()
    return [before, seen.get()]
"""
    cluster = simulate(script(HEAD + source + "\nnode.run()\n"))
    pending = [cluster.start_request("n0", "ask") for _ in range(3)]
    pending.append(cluster.start_request("n0", "ask"))
    assert [each.result()["answer"] for each in pending] == [[[], ["handler"]]] * 4


def test_classes_of_threading_can_be_extended_and_recognised(ask):
    source = """
class Worker(threading.Thread):
    def run(self):
        self.result = age()
def answer():
    worker = Worker()
    worker.start()
    worker.join()
    timer = threading.Timer(1, print)
    return [worker.result, isinstance(timer, threading.Thread),
            isinstance(threading.Event(), threading.Event)]
"""
    assert ask(source) == [0, True, True]


# time


CLOCKS = """
def clocks():
    return [
        time.time_ns(), time.time() * 1e9, time.clock_gettime(time.CLOCK_REALTIME) * 1e9,
    ], [
        time.monotonic_ns(), time.monotonic() * 1e9, node.now() * 1e9,
        time.perf_counter_ns(), time.perf_counter() * 1e9,
        time.clock_gettime_ns(time.CLOCK_MONOTONIC), time.clock_gettime(time.CLOCK_MONOTONIC) * 1e9,
    ], [
        time.process_time_ns(), time.thread_time_ns(),
        time.process_time() * 1e9, time.thread_time() * 1e9, os.times().elapsed * 1e9,
    ]
"""


def test_every_clock_is_virtual(ask):
    source = """
def answer():
    before = clocks()
    time.sleep(2)
    return before, clocks(), time.asctime() == time.ctime()
"""
    before, after, same = ask(CLOCKS + source)
    for earlier, later in zip(before, after):
        assert earlier == pytest.approx([earlier[0]] * len(earlier), rel=0, abs=1_000)
        assert later == pytest.approx([earlier[0] + 2 * NANOS] * len(later), rel=0, abs=1_000)
    walls, monotonic, process = (clocks[0] for clocks in before)
    assert virtual.EPOCH < walls / NANOS < virtual.EPOCH + 1  # a process takes a while to start
    assert 0 < process / NANOS < 1
    assert monotonic / NANOS > 1_000  # as on a machine that has been running for a while
    assert same


def test_each_node_has_a_monotonic_clock_of_its_own_and_all_have_the_same_wall_clock(
    simulate, script
):
    source = CLOCKS + "answer = lambda: [clock[0] for clock in clocks()]"
    cluster = simulate(script(HEAD + source + "\nnode.run()\n"), 2)
    one, other = (cluster.request(node, "ask")["answer"] for node in cluster.nodes)
    assert one[0] == other[0]
    assert abs(one[1] - other[1]) > NANOS


@pytest.mark.parametrize("name", ["clock_settime", "pthread_getcpuclockid"])
def test_what_belongs_to_the_machine_is_refused(ask, name):
    if hasattr(time, name):
        assert "can't be simulated" in ask(f"answer = lambda: fails(time.{name}, 1)")


# os: environment, folder, processes


def test_each_node_has_an_environment_of_its_own(simulate, script, monkeypatch):
    monkeypatch.setenv("COLOUR", "red")
    source = script(
        HEAD
        + """
def answer():
    before = os.environ["COLOUR"], os.getenv("COLOUR"), os.path.expandvars("$COLOUR")
    os.environ["COLOUR"] = node.id
    os.putenv("OTHER", "1")
    node.sleep(1)
    expanded = os.path.expandvars("$COLOUR$OTHER")
    after = os.environ["COLOUR"], expanded, os.getenvb(b"COLOUR").decode()
    os.unsetenv("OTHER")
    return [before, after, os.getenv("OTHER"), "COLOUR" in os.environ]
node.run()
"""
    )
    nodes = simulate(source, 2)
    for node in nodes.nodes:
        nodes.deliver("c9", node, "ask", msg_id=1)
    nodes.advance(2)
    for node in nodes.nodes:
        answer = nodes.assert_sent(node, "c9").body["answer"]
        assert answer == [["red"] * 3, [node, f"{node}1", node], None, True]
    nodes.restart("n0")
    assert nodes.request("n0", "ask")["answer"][0] == ["red"] * 3
    assert os.environ["COLOUR"] == "red"
    assert "OTHER" not in os.environ


def test_each_node_has_a_folder_of_its_own(simulate, script, tmp_path):
    source = script(
        HEAD
        + f"""
from pathlib import Path
def answer():
    first = os.getcwd()
    os.makedirs({str(tmp_path)!r} + "/" + node.id)
    os.chdir({str(tmp_path)!r} + "/" + node.id)
    node.sleep(1)
    Path("data").write_text(node.id)
    with open("data") as file:
        return [first, os.getcwd(), file.read(), os.listdir("."), os.path.abspath("data")]
node.run()
"""
    )
    here = Path.cwd()
    nodes = simulate(source, 2)
    for node in nodes.nodes:
        nodes.deliver("c9", node, "ask", msg_id=1)
    nodes.advance(2)
    for node in nodes.nodes:
        own = str(tmp_path / node)
        first, *rest = nodes.assert_sent(node, "c9").body["answer"]
        assert Path(first) == Path(tempfile.gettempdir()).resolve()
        assert rest == [own, node, ["data"], f"{own}/data"]
    assert Path.cwd() == here


@pytest.mark.parametrize("name", sorted(virtual.OS_REFUSED))
def test_what_needs_a_process_is_refused(ask, name):
    if hasattr(os, name):
        said = ask(f"answer = lambda: fails(os.{name})")
        assert said == f"OSError: os.{name} can't be simulated: {virtual.OS_REFUSED[name]}"


def test_the_workbench_keeps_its_file_descriptors(ask):
    source = """
def answer():
    return [fails(getattr(os, name), *args) for name, *args in (
        ("lseek", 0, 0, 0), ("ftruncate", 1, 0), ("sendfile", 5, 0, 0, 1), ("ttyname", 2),
    )]
"""
    for said in ask(source):
        assert "of a pipe can't be simulated: use os.read or os.write" in said


def test_files_can_be_used_by_their_descriptors(ask, tmp_path):
    source = f"""
def answer():
    fd = os.open({str(tmp_path / "file")!r}, os.O_CREAT | os.O_RDWR)
    os.write(fd, b"hello")
    os.lseek(fd, 0, os.SEEK_SET)
    try:
        return [os.read(fd, 10).decode(), os.isatty(fd), os.isatty(0)]
    finally:
        os.close(fd)
"""
    assert ask(source) == ["hello", False, False]


# Standard streams


@pytest.mark.parametrize(
    "reading",
    [
        "input()",
        "input('name? ')",
        "sys.stdin.readline()",
        "sys.stdin.read()",
        "sys.stdin.buffer.read()",
        "next(iter(sys.stdin))",
        "sys.__stdin__.readline()",
        "os.read(0, 1)",
        "os.read(sys.stdin.fileno(), 1)",
        "open(0).read()",
        "os.fdopen(0).readline()",
        "open('/dev/stdin').readline()",
        "open('/dev/tty')",
        "os.open('/dev/tty', os.O_RDONLY)",
        "__import__('io').open(0).read()",
        "next(__import__('fileinput').input([]))",
        "breakpoint()",
    ],
)
def test_nobody_but_the_node_library_reads_and_nobody_reads_the_terminal(ask, reading):
    said = ask(f"answer = lambda: fails(lambda: {reading})")
    assert said.startswith("OSError: ")
    assert "can't be simulated" in said


def test_who_reads_beside_the_node_library_is_told_what_is_wrong(ask):
    said = ask("answer = lambda: fails(lambda: next(iter(sys.stdin)))")
    assert "node.run() reads it, and another reader would take its messages" in said


def log_of(simulate, script, source: str) -> str:
    """What a node that runs this has printed to standard error."""
    nodes = simulate(script(HEAD + source + "\nanswer = lambda: None\nnode.run()\n"))
    nodes.request("n0", "ask")
    return nodes.logs()


@pytest.mark.parametrize(
    "printing",
    [
        "print('hello', file=sys.stderr)",
        "sys.stderr.write('hello\\n')",
        "sys.stderr.buffer.write(b'hello\\n')",
        "os.write(2, b'hello\\n')",
        "sys.stdout = sys.stderr; print('hello')",
        "import contextlib\nwith contextlib.redirect_stdout(sys.stderr): print('hello')",
        "sys.stdout = sys.stderr; import pprint; pprint.pprint('hello')",
        "import logging; logging.warning('hello')",
        "open(2, 'w').write('hello\\n')",
        "sys.stderr.write('hel'); sys.stderr.write('lo\\n')",
        "__import__('traceback').print_stack(); print('hello', file=sys.stderr)",
    ],
)
def test_whatever_prints_to_standard_error_prints_to_the_nodes_log(
    simulate, script, printing, capfd
):
    log = log_of(simulate, script, printing)
    assert "hello" in log
    assert capfd.readouterr() == ("", log)


@pytest.mark.parametrize(
    "printing",
    [
        "print('he', 'llo')",
        "sys.stdout.write('he ' 'llo\\n')",
        "sys.stdout.buffer.write(b'he llo\\n')",
    ],
)
def test_what_is_printed_before_the_node_runs_is_judged_by_the_line(simulate, script, printing):
    with pytest.raises(NodeError, match="not JSON") as error:
        simulate(script(f"import sys\n{printing}\n"))
    assert error.value.evidence == ("he llo",)


def test_streams_are_the_real_ones_again_when_the_run_is_over(ask):
    before = sys.stdin, sys.stdout, sys.stderr, sys.argv, os.environ
    source = """
sys.stdout = sys.stderr
sys.argv.clear()
sys.setrecursionlimit(5000)
answer = lambda: sys.argv
"""
    limit = sys.getrecursionlimit()
    assert ask(source, args=["one"]) == []
    assert (sys.stdin, sys.stdout, sys.stderr, sys.argv, os.environ) == before
    assert sys.getrecursionlimit() == limit


def test_functions_that_are_to_run_at_the_end_run_at_the_nodes(simulate, script):
    source = """
import atexit, sys
atexit.register(sys.stderr.write, "good\\n")
atexit.register(sys.stderr.write, "never\\n")
atexit.unregister(print)
atexit.register(lambda text: sys.stderr.write(text), text="bye\\n")
"""
    with pytest.raises(NodeError, match="exit status 0") as error:
        simulate(script(source))
    assert [line.strip() for line in error.value.evidence[1:]] == ["bye", "never", "good"]


def test_finalizers_that_are_to_run_at_the_end_run_at_the_nodes(simulate, script):
    source = """
import sys, weakref
class Thing: pass
thing = Thing()
weakref.finalize(thing, sys.stderr.write, "bye\\n")
"""
    with pytest.raises(NodeError, match="exit status 0") as error:
        simulate(script(source))
    assert [line.strip() for line in error.value.evidence[1:]] == ["bye"]


def test_a_thread_that_read_when_the_node_begins_to_run_is_told_what_is_wrong(simulate, script):
    nodes = simulate(
        script("""
import sys, threading, time
from maelstrom_node import Node
def read():
    try:
        time.sleep(1)
        list(sys.stdin)
    except OSError as error:
        print(error, file=sys.stderr)
threading.Thread(target=read).start()
Node().run()
""")
    )
    nodes.advance(3)
    assert "node.run() reads it, and another reader would take its messages" in nodes.logs()


# Descriptors and signals


def test_a_node_has_pipes_of_its_own(ask):
    source = """
def answer():
    back, to = os.pipe()
    threading.Timer(1, os.write, (to, b"hello")).start()
    said = [os.read(back, 2).decode(), age()]
    copy = os.dup(to)
    os.close(to)
    said += [os.read(back, 9).decode(), fails(os.write, to, b"x")]
    with open(copy, "w") as file:
        file.write("a line")
    return [*said, os.read(back, 99).decode(), os.read(back, 99).decode(), os.isatty(back)]
"""
    bad = "OSError: [Errno 9] Bad file descriptor"
    assert ask(source) == ["he", 1.0, "llo", bad, "a line", "", False]


def test_handlers_of_signals_are_kept_and_never_called(ask):
    source = """
import signal
before = [signal.signal(signal.SIGTERM, print) is signal.SIG_DFL,
          signal.signal(signal.SIGINT, signal.SIG_IGN) is signal.default_int_handler]
kept = [signal.getsignal(signal.SIGTERM) is print, signal.getsignal(2) is signal.SIG_IGN]
wrong = [fails(signal.signal, signal.SIGKILL, print), fails(signal.signal, 2, "x")]
def answer():
    return [before, kept, wrong, fails(signal.signal, 2, print), fails(signal.alarm, 1)]
"""
    import signal

    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    assert ask(source) == [
        [True, True],
        [True, True],
        [
            "OSError: [Errno 22] Invalid argument",
            "TypeError: signal handler must be signal.SIG_IGN, signal.SIG_DFL,"
            " or a callable object",
        ],
        "ValueError: signal only works in main thread of the main interpreter",
        "OSError: signal.alarm can't be simulated: use a threading.Timer",
    ]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers


def test_select_waits_in_virtual_time_for_a_nodes_own_pipes_only(ask, tmp_path):
    source = f"""
import select
def answer():
    back, to = os.pipe()
    began = time.monotonic()
    said = [select.select([back], [], [], 2), round(time.monotonic() - began, 3)]
    said += [[len(part) for part in select.select([back], [to], [])], hasattr(select, "epoll")]
    os.write(to, b"x")
    with open({str(tmp_path / "file")!r}, "w") as file:
        said.append(fails(select.select, [file], [], [], 0)[-45:])
    return [*said, len(select.select([back], [], [])[0]), fails(select.select, [], [], [], -1)]
"""
    assert ask(source) == [
        [[], [], []],
        2.0,
        [0, 1, 0],
        False,
        "be simulated: it is not one of a node's pipes",
        1,
        "ValueError: timeout must be non-negative",
    ]


# random


def test_what_random_gives_does_not_depend_on_when_it_was_imported(ask):
    early = ask("import random\nvalue = random.random()\nanswer = lambda: value")
    late = ask(
        "def answer():\n    node.random.random()\n    import random\n    return random.random()"
    )
    assert early == late != random.random()
