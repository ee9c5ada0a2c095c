"""`.venv`: made once, by one at a time, and made again if it was left half done."""

from __future__ import annotations

import fcntl
import sys
import threading
from pathlib import Path

import pytest

from glomers.errors import UsageError
from glomers.launch import environment, foreground
from glomers.launch.environment import DEVELOPMENT, REQUIREMENTS, Environment

MAKE = "venv"
INSTALL = "install -r requirements.txt"
INSTALL_ALL = "install -r requirements.txt -r requirements-dev.txt"


class Steps:
    """Stands in for `foreground.run`: notes the steps, and does what `venv` and pip would do.

    `answers` says, for the steps that are to go wrong, their exit status and what they print.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.taken: list[str] = []
        self.answers: dict[str, tuple[int, bytes]] = {}

    def __call__(self, command, *, cwd, output, pass_fds):
        assert cwd == self.root
        assert len(pass_fds) == 1  # the lock
        if "venv" in command:
            assert command == [sys.executable, "-Im", "venv", "--clear", ".venv"]
            step = MAKE
        else:
            assert command[:4] == [str(self.root / ".venv/bin/python"), "-Im", "pip", "install"]
            step = " ".join(["install", *command[command.index("-r") :]])
        self.taken.append(step)
        status, words = self.answers.get(step, (0, b""))
        output.write(words)
        if step == MAKE and status == 0:
            python = self.root / ".venv" / "bin" / "python"
            python.parent.mkdir(parents=True, exist_ok=True)
            python.unlink(missing_ok=True)
            python.touch(mode=0o755)
        return status

    def take(self) -> list[str]:
        """The steps that were taken since the last time."""
        taken, self.taken = self.taken, []
        return taken


@pytest.fixture
def root(tmp_path):
    (tmp_path / "requirements.txt").write_text("ujson==1\n")
    (tmp_path / "requirements-dev.txt").write_text("ruff==1\n")
    return tmp_path


@pytest.fixture
def steps(root, monkeypatch):
    steps = Steps(root)
    monkeypatch.setattr(foreground, "run", steps)
    return steps


def provide(root, requirements=REQUIREMENTS):
    Environment(root).provide(requirements)


def test_first_call_makes_it_and_the_second_does_nothing(root, steps, capsys):
    provide(root)
    assert steps.take() == [MAKE, INSTALL]
    assert "Setting up .venv" in capsys.readouterr().out
    provide(root)
    assert steps.take() == []
    assert capsys.readouterr().out == ""


def test_development_comes_on_top_and_holds_the_rest(root, steps):
    provide(root)
    steps.take()
    provide(root, DEVELOPMENT)
    assert steps.take() == [INSTALL_ALL]
    provide(root)
    provide(root, DEVELOPMENT)
    assert steps.take() == []


@pytest.mark.parametrize("text", ["ujson==2\n", "ujson==1\nrich==1\n", "ujson==", "ujson==1"])
def test_other_requirements_are_installed_on_top(root, steps, text):
    provide(root)
    steps.take()
    (root / "requirements.txt").write_text(text)
    provide(root)
    assert steps.take() == [INSTALL]


def test_another_python_makes_it_anew(root, steps, monkeypatch):
    provide(root)
    steps.take()
    monkeypatch.setattr(sys, "version", "3.99")
    provide(root)
    assert steps.take() == [MAKE, INSTALL]


def test_a_checkout_that_moved_makes_it_anew(root, steps):
    provide(root)
    moved = root.with_name(root.name + " moved")
    root.rename(moved)
    steps.root = moved
    steps.take()
    provide(moved)
    assert steps.take() == [MAKE, INSTALL]


def test_a_python_that_vanished_makes_it_anew(root, steps):
    provide(root)
    steps.take()
    (root / ".venv/bin/python").unlink()
    (root / ".venv/bin/python").symlink_to(root / "uninstalled")
    provide(root)
    assert steps.take() == [MAKE, INSTALL]


@pytest.mark.parametrize("step", [MAKE, INSTALL])
@pytest.mark.parametrize("status", [1, -2], ids=["failed", "interrupted"])
def test_what_was_left_half_done_is_made_anew(root, steps, step, status):
    steps.answers[step] = (status, b"")
    with pytest.raises((UsageError, SystemExit)):
        provide(root)
    steps.answers.clear()
    steps.take()
    provide(root)
    assert steps.take() == [MAKE, INSTALL]


def test_what_was_left_half_done_on_top_is_made_anew(root, steps):
    provide(root)
    steps.answers[INSTALL_ALL] = (-15, b"")
    with pytest.raises(SystemExit) as ended:
        provide(root, DEVELOPMENT)
    assert ended.value.code == 128 + 15
    steps.take()
    provide(root)
    assert steps.take() == [MAKE, INSTALL]


@pytest.mark.parametrize(
    ("step", "words", "sentence"),
    [
        (MAKE, b"No space left\n\n", f"{sys.executable} can't make .venv: No space left"),
        (MAKE, b"", f"{sys.executable} can't make .venv: it gave no reason"),
        (
            INSTALL,
            b"WARNING: connection broken by 'NewConnectionError'\nERROR: No matching distribution",
            "pip can't reach the package index: check the network and call again "
            "(pip's output is in .venv/pip.log)",
        ),
        (
            INSTALL,
            b"Collecting ujson\nERROR: No matching distribution found for ujson==1\n",
            "pip can't install requirements.txt: ERROR: No matching distribution found for "
            "ujson==1 (its whole output is in .venv/pip.log)",
        ),
    ],
)
def test_a_failure_is_one_sentence(root, steps, step, words, sentence):
    steps.answers[step] = (1, words)
    with pytest.raises(UsageError) as failure:
        provide(root)
    assert str(failure.value) == sentence
    if step == INSTALL:
        assert (root / ".venv/pip.log").read_bytes() == words


def test_no_place_to_set_up_is_one_sentence(root, steps):
    (root / "requirements.txt").unlink()
    with pytest.raises(UsageError, match=r"can't set up .*: No such file or directory"):
        provide(root)


def test_one_at_a_time_and_only_the_first_does_it(root, steps, monkeypatch):
    waits = threading.Event()
    monkeypatch.setattr(environment, "print", lambda *_, **__: waits.set(), raising=False)
    with (root / "requirements.txt").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = threading.Thread(target=provide, args=[root])
        second.start()
        assert waits.wait(10)
        assert steps.take() == []
        python = root / ".venv/bin/python"  # the first one does it
        python.parent.mkdir(parents=True)
        python.touch(mode=0o755)
        (root / ".venv/installed").write_text(Environment(root).wanted(REQUIREMENTS))
    second.join(10)
    assert not second.is_alive()
    assert steps.take() == []
