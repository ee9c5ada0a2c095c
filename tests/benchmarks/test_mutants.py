"""Every place where a source holds a lock is found, and a mutant lacks just that one."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from benchmarks.mutants import Mutant, without_locks

ROOT = Path(__file__).parents[2]
SOURCE = """import threading
from contextlib import contextmanager

lock = threading.Lock()
locks: dict[str, threading.Lock] = {}


class Counter:
    def __init__(self, other: threading.Lock):
        self.mine = threading.RLock()
        self.other = other

    def add(self):
        with self.mine:
            with open("file"):
                "ä"; self.other.acquire(timeout=1)
            self.other.release()

    @contextmanager
    def held(self):
        lock.acquire()
        yield
        lock.release()

    def read(self):
        with lock:
            pass
        with self.held():
            pass


def by_key(key):
    if not locks[key].acquire(timeout=1):
        return
    locks[key].release()
"""


def places(mutants: list[Mutant]) -> list[tuple[int, str, str]]:
    return [(mutant.line, mutant.function, mutant.lock) for mutant in mutants]


def changes(source: str, mutant: Mutant) -> list[str]:
    """The changed lines: removed ones with a -, added ones with a +."""
    lines = difflib.ndiff(source.splitlines(), mutant.source.splitlines())
    return [line[0] + line[2:].strip() for line in lines if line[0] in "+-"]


def test_locks_are_found_in_with_statements_and_between_acquire_and_release():
    assert places(without_locks(SOURCE)) == [
        (14, "add", "self.mine"),
        (16, "add 2", "self.other"),
        (21, "held", "lock"),
        (26, "read", "lock"),
        (28, "read 2", "self.held()"),
        (33, "by_key", "locks[key]"),
    ]


def test_a_mutant_lacks_one_lock_and_its_lines_keep_their_numbers():
    changed = [changes(SOURCE, mutant) for mutant in without_locks(SOURCE)]

    assert changed[0] == ["-with self.mine:", "+if True:"]
    assert changed[1] == [
        '-"ä"; self.other.acquire(timeout=1)',
        "-self.other.release()",
        '+"ä"; True',
        "+True",
    ]
    assert changed[4] == ["-with self.held():", "+if True:"]


def test_only_the_locks_of_a_class_are_found_if_one_is_named():
    assert {mutant.function for mutant in without_locks(SOURCE, "Counter")} == {
        *("add", "add 2", "held", "read", "read 2")
    }


@pytest.mark.parametrize(
    ("file", "part", "functions"),
    [
        ("unique_ids.py", None, ""),
        ("broadcast.py", None, "read, broadcast"),
        ("counter.py", None, "add, read, save, save 2"),
        ("kafka.py", None, "send, poll, commit_offsets, list_committed_offsets"),
        ("txn.py", None, "txn"),
        (
            "maelstrom_node.py",
            "Replication",
            "_compare_with, _compare_with 2, _compare_with 3, _locked_for, _init, _compare, "
            "_receive, _mend, _send_soon, _send, _check, _try_the_silent",
        ),
    ],
)
def test_the_locks_of_our_scripts_are_found_and_each_mutant_compiles(file, part, functions):
    mutants = without_locks((ROOT / file).read_text(), part)

    assert ", ".join(mutant.function for mutant in mutants) == functions
    for mutant in mutants:
        compile(mutant.source, file, "exec")
