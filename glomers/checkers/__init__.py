"""Checkers: pure functions from a history to a result, with the keys that Maelstrom uses."""
