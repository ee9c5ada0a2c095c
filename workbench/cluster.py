"""The nodes of a test, whatever they are made of: processes behind pipes, or simulated scripts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from random import Random


def stream(seed: int, name: str) -> Random:
    """One of the separate streams of randomness that a test's seed gives.

    Each part of a test draws from its own, so that one part's use never shifts another's.
    """
    return Random(f"{seed}/{name}")


class Cluster(ABC):
    """Starts and ends the nodes of one test.

    A node that misbehaves raises NodeError out of the event in which it shows.
    """

    @abstractmethod
    def start(self) -> None:
        """Start every node and join it to the network."""

    @abstractmethod
    def start_node(self, id: str) -> None:
        """Start a node, the first time or again, with nothing of its former state."""

    @abstractmethod
    def is_running(self, id: str) -> bool:
        """Is a node alive, paused or not? It isn't from `kill_node` to the next `start_node`."""

    @abstractmethod
    def kill_node(self, id: str) -> None:
        """End a node at once, as a crash would. Messages to it vanish."""

    @abstractmethod
    def pause_node(self, id: str) -> None:
        """Let a node stand still; its messages wait."""

    @abstractmethod
    def resume_node(self, id: str) -> None:
        """Let a node go on, if it is paused."""

    @abstractmethod
    def last_words(self, node: str) -> list[str]:
        """The last that `node` printed, above all to standard error, for an error message."""

    def unfinished_lines(self) -> list[str]:
        """What stands in the standard output of nodes, and no newline has ended it for a while."""
        return []

    @abstractmethod
    def stop(self) -> list[str]:
        """End all nodes. Returns what is worth a warning."""
