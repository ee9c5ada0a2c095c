"""`--scenario FILE`: runs a test whose decisions are written down (scenario.py)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from glomers.errors import UsageError
from glomers.history.store import Store
from glomers.invocation import named, present, shown
from glomers.launch.launcher import rebased_paths, take_flag
from glomers.options import join_node_arguments, split_node_arguments
from glomers.scenario import FILE, Scenario, read


def scenario_of(arguments: Sequence[str]) -> tuple[Scenario | None, list[str]]:
    """The scenario that a command line of `test` names, and the command line with its flags.

    Flags that are given win over those of the scenario, as do arguments for the node. Paths in the
    scenario are relative to the folder of the person. Raises UsageError if there is no such file.
    """
    flags, node_arguments = split_node_arguments(arguments)
    file, _ = take_flag(flags, "--scenario")
    if not file:
        return None, list(arguments)
    scenario = read(named(file), shown(named(file)))
    own_words = rebased_paths(scenario.command, present().folder, str)
    own_flags, own_node_arguments = split_node_arguments(own_words)
    words = ["--seed", "0", *own_flags, *flags]
    return scenario, join_node_arguments(words, node_arguments or own_node_arguments)


@contextmanager
def naming(scenario: Scenario | None, arguments: Sequence[str]) -> Iterator[None]:
    """Let errors in a command line say that a scenario has a part in it."""
    try:
        yield
    except UsageError as error:
        if scenario is None or not scenario.command:
            raise
        command = f"with the command of {scenario.name}, this is: test {shlex.join(arguments)}"
        raise UsageError(f"{error}\n{command}") from None


def keep(scenario: Scenario, store: Store) -> None:
    """Write a scenario into a run's folder, with its paths as the person would write them."""
    words = rebased_paths(scenario.command, Path.cwd())
    store.open(FILE).write(str(replace(scenario, command=tuple(words))))
