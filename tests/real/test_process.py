"""Nodes as processes: one clear error for each way to misbehave, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from glomers.cli import main
from glomers.real import descendants
from glomers.real.nodes import ProcessCluster
from glomers.run.recorder import MessageJournal
from glomers.world.incidents import Incidents
from glomers.world.loop import RealLoop
from glomers.world.network import Network

ROOT = Path(__file__).parents[2]

# A node in a dozen lines. The second line is a string to Python, and to the shell a command that
# runs this with the Python of the tests, even if there are spaces in its path.
NODE = """#!/bin/sh
"exec" "{python}" "-IS" "$0" "$@"
import json, os, signal, sys, time
def say(line):
    os.write(1, line.encode() + b"\\n")
def answer(message, **body):
    body["in_reply_to"] = message["body"]["msg_id"]
    say(json.dumps({{"src": message["dest"], "dest": message["src"], "body": body}}))
{start}
for line in sys.stdin:
    message = json.loads(line)
    if message["body"]["type"] == "init":
        me = message["dest"]
        {init}
    else:
        {echo}
{end}
"""


def write_node(
    path: Path,
    echo: str = 'answer(message, type="echo_ok", echo=message["body"]["echo"])',
    init: str = 'answer(message, type="init_ok")',
    start: str = "",
    end: str = "",
) -> Path:
    path.write_text(NODE.format(python=sys.executable, start=start, init=init, echo=echo, end=end))
    path.chmod(0o755)
    return path


IGNORE_SIGTERM = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


@pytest.fixture
def run(tmp_path, capfd):
    """Run the echo workload with such a node; return the exit status and what was printed."""

    def run(*, flags: tuple[str, ...] = (), **code: str) -> tuple[int, str]:
        return test(write_node(tmp_path / "a node.py", **code), *flags)

    def test(node: Path, *flags: str) -> tuple[int, str]:
        arguments = ["test", "-w", "echo", "--bin", str(node), "--node-count", "1"]
        arguments += ["--time-limit", "0.6", "--rate", "50", "--store", str(tmp_path / "store")]
        status = main([*arguments, *flags])
        return status, capfd.readouterr().out

    run.test = test
    yield run
    assert not alive(tmp_path), "a process was left behind"


def alive(where: Path) -> str:
    """The processes whose command line mentions a folder."""
    listing = subprocess.run(
        ["ps", "-wweo", "pid,args"], capture_output=True, text=True, check=True
    )
    lines = [line for line in listing.stdout.splitlines() if f"{where}/" in line]
    return "\n".join(line for line in lines if "ps -wweo" not in line)


def test_a_good_node_is_valid(run):
    status, output = run()
    assert status == 0
    assert "Everything looks good!" in output


# It can't be started


def test_no_such_interpreter(run, tmp_path):
    (tmp_path / "node").write_text("#!/no/such/python\n")
    (tmp_path / "node").chmod(0o755)
    output = run.test(tmp_path / "node")[1]
    assert "the interpreter of its first line does not exist" in output
    assert "#!/no/such/python" in output


def test_no_program_at_all(run, tmp_path):
    (tmp_path / "node").write_bytes(b"\x00\x01\x02")
    (tmp_path / "node").chmod(0o755)
    assert "does not know how to run it" in run.test(tmp_path / "node")[1]


# It ends, or says nothing


def test_it_exits_early(run):
    status, output = run(echo='sys.stderr.write("out of cheese\\n"); sys.exit(3)')
    assert status == 1
    assert "Node n0 ended during the test: exit status 3." in output
    assert "out of cheese" in output


def test_it_dies_of_a_signal(run):
    assert "killed by SIGSEGV" in run(echo="os.kill(os.getpid(), signal.SIGSEGV)")[1]


def test_it_never_answers_init(run, tmp_path, monkeypatch):
    monkeypatch.setattr("glomers.world.setup.INIT_TIMEOUT", 0.5)
    node = tmp_path / "node.sh"  # which starts faster than Python, however busy the machine is
    node.write_text("#!/bin/sh\necho thinking >&2\ncat >/dev/null\n")
    node.chmod(0o755)
    status, output = run.test(node)
    assert status == 1
    assert "Node n0 did not answer init within 0.5 s." in output
    assert "thinking" in output


def test_it_answers_init_with_an_error(run):
    output = run(init='answer(message, type="error", code=11, text="not today")')[1]
    assert "answered init with an error" in output
    assert "not today" in output


def test_it_closes_stdout(run):
    assert "closed its standard output" in run(echo="os.close(1)", end="time.sleep(9)")[1]


# It forgets the newline


def test_it_ends_in_the_middle_of_a_line(run):
    output = run(echo="os.write(1, b'half a mess'); sys.exit(3)")[1]
    assert "ended during the test: exit status 3." in output
    assert (
        "ends with a line that has no newline, so it was never read:\n      half a mess" in output
    )


def test_it_answers_without_a_newline(run, monkeypatch):
    monkeypatch.setattr("glomers.workloads.base.Workload.request_timeout", 0.8)
    status, output = run(echo="os.write(1, b'forgotten')", flags=("--rate", "1"))
    assert status == 1
    assert "no echo succeeded" in output
    assert "  n0 ended its standard output with a line that has no newline" in output
    assert " s: forgotten\n" in output


def test_it_prints_nothing_at_all(run, monkeypatch, tmp_path):
    monkeypatch.setattr("glomers.world.setup.INIT_TIMEOUT", 0.2)
    node = tmp_path / "node.sh"
    node.write_text("#!/bin/sh\ncat >/dev/null\n")
    node.chmod(0o755)
    assert "printed nothing to standard output. Is every line flushed?" in run.test(node)[1]


# It answers, but not what was asked


def test_an_answer_to_init_that_answers_nothing_is_quoted(run, monkeypatch):
    # The node has to be running by then.
    monkeypatch.setattr("glomers.world.setup.INIT_TIMEOUT", 3.0)
    odd = 'say(json.dumps({"src": me, "dest": "c0", "body": {"type": "init_ok"}}))'
    status, output = run(init=odd)
    assert status == 1
    assert (
        "did not answer init within 3 s.\n  n0 sent a client a message without `in_reply_to`"
        in output
    )
    assert ', during set-up: {"src": "n0", "dest": "c0"' in output


def test_answers_to_the_wrong_client_are_told_beside_the_verdict(run, monkeypatch):
    monkeypatch.setattr("glomers.workloads.base.Workload.request_timeout", 0.5)
    wrong = 'message["src"] = "c0"; message["body"]["msg_id"] = 7; answer(message, type="echo_ok")'
    status, output = run(echo=wrong, flags=("--strict",))
    assert status == 1
    verdict, _, figures = output.partition("\n\n  operations")
    assert " sent a client an answer to a request that it never made" in verdict
    assert "c0 made no request 7), " in verdict
    assert '{"src": "n0", "dest": "c0", ' in verdict
    assert figures


# What it prints is no message


@pytest.mark.parametrize(
    ("printed", "problem"),
    [
        ("'hello world'", "printed a line that is not JSON. Is it meant for standard error?"),
        ("'[1, 2]'", "printed JSON that is not an object"),
        ('\'{"dest": "c1", "body": {}}\'', "sent a message without `src`"),
        ('\'{"src": "n0", "body": {}}\'', "sent a message without `dest`"),
        ('\'{"src": "n0", "dest": "c1"}\'', "sent a message without `body`"),
        ('\'{"src": "n0", "dest": "c1", "body": 7}\'', "whose `body` is 7, which is no object"),
        ('\'{"src": 7, "dest": "c1", "body": {}}\'', "whose `src` is 7, which is no string"),
        ('\'{"src": "n9", "dest": "c1", "body": {}}\'', "from 'n9', which does not exist"),
        ('\'{"src": "n0", "dest": "n9", "body": {}}\'', "to 'n9', which does not exist"),
        ('\'{"src": "n0"} {"src": "n0"}\'', "printed more than one message on a line"),
        ("'[' * 100_000", "nested too deeply"),
    ],
)
def test_a_bad_line(run, printed, problem):
    status, output = run(echo=f"say({printed})")
    assert status == 1
    assert "Node n0 " in output
    assert problem in output
    assert "Expected: {" in output


def test_a_line_that_is_not_utf_8(run):
    assert "not UTF-8" in run(echo="os.write(1, b'\\xff\\xfe\\n')")[1]


def test_an_endless_line(run, monkeypatch):
    monkeypatch.setattr("glomers.world.protocol.LONGEST_LINE", 1 << 20)
    assert "without an end of line" in run(echo="while True: os.write(1, b'x' * 65536)")[1]


def test_a_flood_of_messages_does_not_keep_the_test_from_ending(run):
    flood = (
        'spam = json.dumps({"src": me, "dest": "lin-kv", "body": {"type": "read", "key": 1}})'
        "\n        while True: say(spam)"
    )
    began = time.monotonic()
    run(echo=flood)
    assert time.monotonic() - began < 30


def test_an_answer_of_the_wrong_shape(run):
    status, output = run(echo='answer(message, type="echo_ok", eco=1)')
    assert status == 1
    assert "gave an answer of the wrong shape: `echo` is missing" in output
    assert '"type": "echo"' in output  # the request
    assert '"eco": 1' in output  # the answer
    assert 'Expected: {"type": "echo_ok", "in_reply_to": 1, "echo": anything}' in output


# It doesn't listen, or doesn't go


def test_a_node_that_does_not_read_blocks_nobody(run, monkeypatch):
    monkeypatch.setattr("glomers.real.nodes.MOST_UNREAD", 1 << 18)
    answer_and_send = (
        'answer(message, type="init_ok")\n        if me == "n1": time.sleep(60)\n'
        '        for _ in range(50): say(json.dumps({"src": me, "dest": "n1", '
        '"body": {"type": "x", "pad": "x" * 20000}}))'
    )
    status, output = run(init=answer_and_send, flags=("--node-count", "2"))
    assert status == 1
    assert "Node n1 does not read its standard input" in output


def test_messages_that_come_together_are_written_to_a_node_together(tmp_path, monkeypatch):
    loop = RealLoop()
    network = Network(loop, Random(1), MessageJournal(None))
    cluster = ProcessCluster(["n0"], ["/bin/cat"], loop, network, Incidents(), tmp_path)
    written = []
    try:
        cluster.start()
        network.join("c1", lambda message: None)
        for number in range(3):
            loop.call_at(0, network.send, "c1", "n0", {}, b"%d" % number)
        monkeypatch.setattr(
            "glomers.real.nodes.os.write", lambda fd, data: written.append(data) or len(data)
        )
        loop.before_waiting(loop.stop)
        loop.run()
    finally:
        monkeypatch.undo()
        cluster.stop()
        loop.close()
    assert written == [b"0\n1\n2\n"]


def test_a_node_that_ignores_sigterm_is_killed(run):
    status, output = run(start=IGNORE_SIGTERM, end="time.sleep(60)")
    assert status == 0
    assert "warning: n0 ignored SIGTERM" in output


def with_child(where: Path, how: str = "") -> str:
    """Code that starts a child, and waits until it is there; `alive(where)` finds it.

    `how` are further arguments of Popen, or "daemon" for one whose parent is gone.
    """
    sign = where / "child"
    code = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(987)"
    if how == "daemon":
        code = f"import os; os.fork() and os._exit(0); os.setsid(); {code}"
    return f"""
import subprocess
subprocess.Popen([{sys.executable!r}, "-ISc", {code!r}, {str(sign)!r}], {how.replace("daemon", "")})
while not os.path.exists({str(sign)!r}):
    time.sleep(0.01)
"""


ways_to_leave = pytest.mark.parametrize(
    "how", ["", "start_new_session=True", "start_new_session=True, env={}", "daemon"]
)


@ways_to_leave
def test_what_a_node_started_ends_with_it(run, tmp_path, how):
    run(start=with_child(tmp_path, how))
    assert (tmp_path / "child").exists()


@ways_to_leave
def test_what_a_node_started_ends_when_it_is_killed(tmp_path, how):
    node = write_node(tmp_path / "node.py", start=with_child(tmp_path, how))
    loop = RealLoop()
    network = Network(loop, Random(1), MessageJournal(None))
    cluster = ProcessCluster(["n0"], [str(node)], loop, network, Incidents(), tmp_path / "logs")
    try:
        cluster.start()
        wait_until((tmp_path / "child").exists)
        cluster.kill_nodes(["n0"])
        assert not alive(tmp_path)
    finally:
        cluster.stop()
        loop.close()


def test_a_listing_of_ps_says_what_is_marked():
    listing = """
    1     0 Ss   Thu Nov 26 01:17:12 2026 /sbin/launchd
   77     1 S+   Thu Nov 26 01:18:00 2026 python n.py A=1 MAELSTROM_NODE_MARK=0af.3. B=2
   78    77 Z    Thu Nov 26 01:18:01 2026 (sleep)
    9     1 S    Thu Nov 26 01:18:01 2026
"""
    assert list(descendants.from_ps(listing.strip("\n"))) == [
        descendants.Process(1, 0, "Thu Nov 26 01:17:12 2026", ""),
        descendants.Process(77, 1, "Thu Nov 26 01:18:00 2026", "0af.3."),
        descendants.Process(9, 1, "Thu Nov 26 01:18:01 2026", ""),
    ]


# The nemesis


def test_nodes_are_killed_and_paused_and_come_back(run, tmp_path):
    faults = ("--nemesis", "kill,pause", "--nemesis-interval", "0.2", "--seed", "1")
    status, output = run(
        flags=("--node-count", "3", "--concurrency", "30n", "--time-limit", "3", *faults)
    )
    assert status == 0, output
    kept = tmp_path / "store" / "latest"
    history = (kept / "history.edn").read_text()
    assert {":killed", ":started", ":paused", ":resumed"} <= set(re.findall(r":[a-z]+", history))
    assert (kept / "messages.jsonl").read_text().count('"type": "init"') > 3


# What is kept


def test_what_was_recorded_until_then_is_kept(run, tmp_path):
    run(echo='answer(message, type="echo_ok", echo=1 if me else 2)\n        sys.exit(5)')
    kept = tmp_path / "store" / "latest"
    results = json.loads((kept / "results.json").read_text())
    assert results["valid?"] is False
    assert "exit status 5" in results["error"]
    assert (kept / "history.edn").read_text().startswith("{:index 0, :time ")
    assert '"type": "init"' in (kept / "messages.jsonl").read_text()


def test_what_happens_can_be_read_while_the_test_runs(tmp_path):
    node = write_node(tmp_path / "node.py")
    store = tmp_path / "store"
    command = ["-w", "echo", "--bin", str(node), "--node-count", "1", "--time-limit", "60"]
    test = subprocess.Popen(
        [sys.executable, "-m", "glomers", "test", *command, "--rate", "1", "--store", str(store)],
        stdout=subprocess.DEVNULL,
    )
    try:
        for name in ("messages.jsonl", "history.jsonl", "history.edn"):
            wait_until(lambda file=store / "latest" / name: file.exists() and file.read_text())
        test.kill()
        test.wait()
        assert '"type": "init_ok"' in (store / "latest" / "messages.jsonl").read_text()
    finally:
        test.kill()
        test.wait()


def test_standard_error_is_kept_and_shown_if_asked_for(run, tmp_path):
    output = run(start='sys.stderr.write("good morning\\n")', flags=("--log-stderr",))[1]
    assert "n0 good morning" in output
    assert (tmp_path / "store/latest/node-logs/n0.log").read_text() == "good morning\n"


FLOOD = 'while True: os.write(2, b"x" * 99 + b"\\n")'


def test_a_log_has_a_largest_size_and_says_where_it_ends(run, tmp_path, monkeypatch):
    monkeypatch.setattr("glomers.world.cluster.MOST_LOG", 1 << 20)
    code = """for number in range(0, 12_000, 100):  # few writes: they are to be over before init
    os.write(2, b"".join(b"%099d\\n" % n for n in range(number, number + 100)))"""
    echo = 'answer(message, type="echo_ok", echo=message["body"]["echo"]); sys.exit(4)'
    output = run(start=code, echo=echo, flags=("--log-stderr",))[1]
    log = (tmp_path / "store/latest/node-logs/n0.log").read_text()
    assert log.startswith(f"{0:099}\n{1:099}\n")
    assert log.endswith("\n[The log ends here: it has 1 MiB.]\n")
    assert len(log) == (1 << 20) + len("\n[The log ends here: it has 1 MiB.]\n")
    warning = (
        "warning: n0 printed more than 1 MiB to standard error; the log has only the beginning"
    )
    assert warning in output
    assert warning in (tmp_path / "store/latest/run.log").read_text()
    assert f"  {11_999:099}" in output, "the last lines are shown all the same"


def test_a_node_that_never_stops_printing_can_be_asked_for_its_last_lines(
    run, tmp_path, monkeypatch
):
    monkeypatch.setattr("glomers.world.setup.INIT_TIMEOUT", 0.5)
    monkeypatch.setattr("glomers.world.cluster.MOST_LOG", 1 << 20)
    output = run(start=f"os.fork() or exec({FLOOD!r})\nos.fork() or exec({FLOOD!r})\n{FLOOD}")[1]
    assert "did not answer init" in output
    assert "x" * 99 in output


# When the workbench itself is ended


@pytest.mark.parametrize(
    ("number", "moment", "status"),
    [
        (signal.SIGINT, "starting", 130),
        (signal.SIGTERM, "starting", 130),
        (signal.SIGINT, "running", 130),
        (signal.SIGTERM, "running", 130),
        (signal.SIGKILL, "running", -9),
    ],
)
def test_no_process_outlives_the_workbench(tmp_path, number, moment, status):
    """Not even one that won't end by itself, nor if the second node is just being started."""
    there = tmp_path / "there"
    leave_a_sign = f"open({str(there)!r}, 'a').write('.')"
    child = with_child(tmp_path, "daemon") if moment == "running" else ""
    node = write_node(
        tmp_path / "node.py",
        start=f"{IGNORE_SIGTERM}; {leave_a_sign if moment == 'starting' else 'pass'}{child}",
        echo=leave_a_sign,
        end="time.sleep(60)",
    )
    arguments = ["test", "-w", "echo", "--bin", str(node), "--node-count", "2", "--rate", "50"]
    workbench = subprocess.Popen(
        [sys.executable, "-m", "glomers", *arguments, "--store", str(tmp_path / "store")],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until(there.exists)
    os.kill(workbench.pid, number)
    assert workbench.wait(20) == status
    wait_until(lambda: not alive(tmp_path))
    if number != signal.SIGKILL:
        results = json.loads((tmp_path / "store/latest/results.json").read_text())
        assert results["error"] == "interrupted"


def wait_until(condition, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
