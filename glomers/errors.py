"""Errors, by whose mistake they are: the person's at the command line, the node's, or ours.

A `UsageError` says what is wrong with the command. A `NodeError` says which node broke the
protocol, quotes the evidence and says what was expected. Any other exception that reaches the
command line is a mistake of the workbench itself.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

PROTOCOL = "https://github.com/jepsen-io/maelstrom/blob/main/doc/protocol.md"


class UsageError(Exception):
    """The command cannot be carried out as it was given."""


class HelpShown(Exception):
    """Help was asked for and has been printed: there is nothing more to do."""


class NodeError(Exception):
    """A node broke the protocol or died.

    `evidence` holds lines that prove it: the node's output, exit status or last stderr lines.
    """

    def __init__(
        self, node: str, problem: str, *, expected: str = "", evidence: Sequence[str] = ()
    ) -> None:
        self.node = node
        self.problem = problem
        self.expected = expected
        self.evidence = tuple(evidence)
        super().__init__(f"Node {node} {problem}")

    def __str__(self) -> str:
        lines = [f"Node {self.node} {self.problem}"]
        lines += [f"    {line}" for line in self.evidence]
        if self.expected:
            lines.append(f"Expected: {self.expected}")
        return "\n".join(lines)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The question which of the `known` words was meant by an unknown one; "" if none is near."""
    bare = {name.lstrip("-"): name for name in known}  # hyphens would make all flags look alike
    near = difflib.get_close_matches(word.lstrip("-").lower(), bare, 1)
    return f"did you mean {bare[near[0]]}? " if near else ""


def quote(line: str | bytes, limit: int = 300) -> str:
    """A line as an error shows it: printable, and cut off after `limit` characters."""
    text = line.decode("utf-8", "backslashreplace") if isinstance(line, bytes) else line
    if len(text) > limit:
        text = f"{text[:limit]}… ({len(text):,} characters)"
    return text.encode("unicode_escape").decode() if not text.isprintable() else text
