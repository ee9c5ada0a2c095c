"""The one decision that makes the difference is put into a sentence."""

from __future__ import annotations

import pytest

from glomers.report.difference import difference
from glomers.scenario import Action, Fate, Invoke, Switch, Unsynced, View

SECOND, MILLI = 1_000_000_000, 1_000_000


@pytest.mark.parametrize(
    ("decision", "instead", "words"),
    [
        (
            Switch("n1", "ids.py:12", text="last = value + 1"),
            None,
            "n1 did not lose its turn before ids.py:12: `last = value + 1`",
        ),
        (Switch("n1", "ids.py:12"), None, "n1 did not lose its turn before ids.py:12"),
        (Fate("n0", "n1", "gossip", 3), None, "the 3rd gossip from n0 to n1 were not lost"),
        (
            Fate("n0", "n1", "gossip", 11, (1, 2)),
            None,
            "the 11th gossip from n0 to n1 arrived once, not 2 times",
        ),
        (
            Fate("n0", "n1", "gossip", 1, (25 * MILLI,)),
            None,
            "the 1st gossip from n0 to n1 took as long as other messages, not 25 ms",
        ),
        (
            View("seq-kv", "n1", "read", 2, behind=1),
            None,
            "seq-kv showed the 2nd read of n1 its newest state",
        ),
        (
            Unsynced("n1", 2, begin=5),
            None,
            "the 2nd kill of n1 lost nothing of what the node had not synced",
        ),
        (
            Action("kill", 2 * SECOND, nodes=("n1", "n2")),
            None,
            "the nemesis did not do kill of n1 and n2 at 2 s",
        ),
        (
            Invoke("read", None, SECOND // 2, 1),
            Invoke("read", None, SECOND, 1),
            "worker 1's read came at 1 s instead of 0.5 s",
        ),
        (Invoke("add", 7, SECOND), None, "worker 0's add 7 at 1 s were left out"),
    ],
)
def test_a_sentence_says_what_would_have_to_be_different(decision, instead, words):
    assert difference(decision, instead) == f"With one difference it passes: if {words}"
