"""A command in the foreground: it gets the signals, we get its exit status.

"We" is a process of its own here: the tests' own has threads, and should not get the signals.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from glomers.launch import foreground

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE = 300  # seconds; only a hang takes them

# Runs the code in its first argument in the foreground, and says what came of it.
WE = """
import signal, sys
from pathlib import Path
from glomers.launch import foreground
from glomers.interrupts import INTERRUPTS
{prepare}
def run(output=None):
    command = [sys.executable, "-c", sys.argv[1]]
    return foreground.run(command, cwd=Path.cwd(), output=output)
before = [signal.getsignal(number) for number in INTERRUPTS]
if {unseen}:
    with open("output", "w+b") as output:
        status = run(output)
else:
    status = run()
assert before == [signal.getsignal(number) for number in INTERRUPTS]
print(status, end="")
"""

# What the command is: this, with the signal's name filled in.
TIDIES_UP = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.{name}])
os.kill(os.getppid(), signal.{name})
signal.sigwait([signal.{name}])
open("tidied up", "w")
sys.exit(3)
"""

# Sends us two signals, and when it has the second says whether the first has come to it as well.
WAS_INTERRUPTED = """
import os, signal
from pathlib import Path
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
os.kill(os.getppid(), signal.SIGINT)
os.kill(os.getppid(), signal.SIGTERM)
signal.sigwait([signal.SIGTERM])
Path("answer").write_text(str(signal.SIGINT in signal.sigpending()))
"""

# Starts a process that is deaf to the signal (the block is inherited) and keeps our output open.
HAS_A_DEAF_CHILD = """
import os, signal, subprocess
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
subprocess.Popen(["sleep", "60"], pass_fds=[{pipe}])
os.kill(os.getppid(), signal.SIGTERM)
signal.sigwait([signal.SIGTERM])
os._exit(0)
"""

# Takes a terminal as its own, and says whether it is in its foreground, and a child of its too.
ON_TERMINAL = """
import fcntl, os, sys, termios
from glomers.launch.foreground import _in_foreground_of_terminal
terminal = os.open(sys.argv[1], os.O_RDWR)
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
print(_in_foreground_of_terminal(), flush=True)
child = os.fork()
if not child:
    os.setpgid(0, 0)
    print(_in_foreground_of_terminal(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


def python(folder, *arguments, **settings):
    """What a Python in a session of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        check=True,
        start_new_session=True,
        timeout=PATIENCE,
        **settings,
    )
    return done.stdout.decode()


def run(code, folder, *, unseen=False, prepare="", **settings):
    """The status that `foreground.run` returns for a command that runs this code."""
    return int(python(folder, WE.format(unseen=unseen, prepare=prepare), code, **settings))


def test_exit_status_is_passed_on(tmp_path):
    assert run("raise SystemExit(7)", tmp_path) == 7


def test_death_by_a_signal_is_its_negative_number(tmp_path):
    assert run("import os; os.kill(os.getpid(), 9)", tmp_path) == -9


def test_a_command_that_cannot_be_started(tmp_path):
    with pytest.raises(FileNotFoundError):
        foreground.run([str(tmp_path / "nothing")], cwd=tmp_path)


def test_it_runs_where_and_with_what_it_is_told(tmp_path):
    code = "import os; print(os.getcwd(), os.environ['WORD'], flush=True)"
    with (tmp_path / "output").open("w+b") as output:
        command = [sys.executable, "-c", code]
        assert foreground.run(command, cwd=tmp_path, output=output, env={"WORD": "hello"}) == 0
    assert (tmp_path / "output").read_text() == f"{tmp_path} hello\n"


@pytest.mark.parametrize("unseen", [False, True], ids=["seen", "unseen"])
@pytest.mark.parametrize(("name", "number"), [("SIGHUP", 1), ("SIGINT", 2), ("SIGTERM", 15)])
def test_a_signal_goes_to_the_command_which_may_tidy_up(tmp_path, name, number, unseen):
    assert run(TIDIES_UP.format(name=name), tmp_path, unseen=unseen) == -number
    assert (tmp_path / "tidied up").exists()


@pytest.mark.parametrize("in_foreground", [True, False])
def test_the_terminals_interrupt_is_not_passed_on_twice(tmp_path, in_foreground):
    prepare = f"foreground._in_foreground_of_terminal = lambda: {in_foreground}"
    assert run(WAS_INTERRUPTED, tmp_path, prepare=prepare) < 0
    assert (tmp_path / "answer").read_text() == str(not in_foreground)


def test_who_is_in_the_foreground_of_a_terminal(tmp_path):
    ours, theirs = os.openpty()
    try:
        assert python(tmp_path, ON_TERMINAL, os.ttyname(theirs)).split() == ["True", "False"]
    finally:
        os.close(ours)
        os.close(theirs)


def test_what_is_ignored_stays_ignored(tmp_path):
    code = "import os, signal; os.kill(os.getppid(), signal.SIGHUP); os.kill(os.getpid(), 1)"
    prepare = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    assert run(code, tmp_path, prepare=prepare) == 0


def test_unseen_whatever_it_has_started_ends_with_it(tmp_path):
    """The grandchild holds the pipe; while it lives, not even the end can be read from it."""
    read_end, write_end = os.pipe()
    try:
        code = HAS_A_DEAF_CHILD.format(pipe=write_end)
        prepare = f"from functools import partial; fds = [{write_end}]\n"
        prepare += "foreground.run = partial(foreground.run, pass_fds=fds)"
        status = run(code, tmp_path, unseen=True, prepare=prepare, pass_fds=[write_end])
    finally:
        os.close(write_end)
    try:
        ended, _, _ = select.select([read_end], [], [], 20)
    finally:
        os.close(read_end)
    assert ended
    assert status == -15
