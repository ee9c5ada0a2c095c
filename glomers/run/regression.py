"""A failing run as a test for pytest: the text of the file, and `replay`, by which it runs.

The file embeds the scenario as readable text, and names the node's script by a path from itself. So
it can be read, changed and moved together with the script. It fails as long as the bug is there.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import tempfile
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from glomers.errors import UsageError
from glomers.history.operations import History
from glomers.history.store import Store
from glomers.invocation import named, shown
from glomers.launch.launcher import rebased_paths
from glomers.launch.program import check_script
from glomers.options import Options, parse_test, with_flags, without_flags
from glomers.run import story
from glomers.run.build import simulated_test
from glomers.run.replay import keep
from glomers.scenario import Scenario, parse, read
from glomers.workloads import WORKLOADS

__tracebackhide__ = True  # as in glomers.testing

FILE = "regression.py"  # in a run's folder, where pytest only runs it if it is named
LONGEST_NAME = 60  # characters of what a test fails for, in its name
WIDTH = 96  # columns of the story in a test
HEAD = "from glomers.testing import replay\n"
TEXT = '''\
r"""{headline}

{story}
"""

from pathlib import Path

{head}
SCRIPT = Path(__file__).parent / {script}

SCENARIO = r\'\'\'
{scenario}\'\'\'


def {name}():
    replay(SCENARIO, SCRIPT).assert_valid()
'''


# Running it


@dataclass(frozen=True)
class Replayed:
    """A scenario that was run: its `results`, its `history`, and what happened, line by line.

    `notes` name decisions of the scenario that were never reached.
    """

    results: Mapping[str, Any]
    history: History
    story: Sequence[str]
    notes: Sequence[str] = ()

    def assert_valid(self) -> None:
        """Assert that the run is valid, and proves something.

        Raises AssertionError, which tells what happened, if the run is invalid; or says why nothing
        is proved, if its verdict is unknown or no operation succeeded. Warns of decisions of the
        scenario that were never reached.
        """
        __tracebackhide__ = True
        valid = self.results["valid?"]
        if valid is False:
            raise AssertionError("\n".join(["the run is invalid", *self.story]))
        pairs = list(self.history.pairs())
        ends = [ended for _, ended in pairs if ended is not None]
        if not any(ended.type == "ok" for ended in ends):
            first = f"the first ended with {ends[0].type} {ends[0].error!r}" if ends else ""
            why = f"none of the {len(pairs):,} operations succeeded" if pairs else "it has none"
            raise AssertionError("\n".join(filter(None, [f"the run proves nothing: {why}", first])))
        if valid is not True:
            error = self.results.get("error") or "; ".join(_errors(self.results))
            raise AssertionError(f"the run proves nothing: {error or 'its verdict is unknown'}")
        for note in self.notes:
            warnings.warn(note, stacklevel=2)


def replay(scenario: str | Path | Mapping[str, Any], script: str | Path | None = None) -> Replayed:
    """Run a scenario, as `glomers test --scenario` does, and keep nothing.

    The scenario is its text, its content, or its file. `script` is the node's, instead of the one
    that the scenario's command names. Raises UsageError if there is no such file, or the scenario
    doesn't fit the test.
    """
    __tracebackhide__ = True
    told = _scenario(scenario)
    options = _options(told, script)
    check_script(Path(options.bin))
    said: list[str] = []
    with tempfile.TemporaryDirectory() as root:
        with closing(Store.create(Path(root), options.workload)) as store:
            test = simulated_test(options, store, said.append, told)
            results = test.run()
            if test.scenario:
                keep(test.scenario, store)
        lines = story.of_kept(store.path, test.history, results)
    notes = [line.removeprefix("note: ") for line in said if line.startswith("note: ")]
    return Replayed(results, test.history, lines, notes)


def _scenario(scenario: str | Path | Mapping[str, Any]) -> Scenario:
    if isinstance(scenario, Path):
        return read(scenario)
    return parse(scenario if isinstance(scenario, str) else json.dumps(scenario))


def _options(told: Scenario, script: str | Path | None) -> Options:
    words = rebased_paths(told.command, named(""), str)
    if script is not None:
        own = "--bin", str(Path(script).absolute())
        words = with_flags(without_flags(words, "--bin"), *own)
    try:
        return parse_test(shlex.join(["--seed", "0", *words]), sorted(WORKLOADS))
    except UsageError as error:
        raise UsageError(f"{told.name}: {error}") from None


def _errors(results: Mapping[str, Any]) -> list[str]:
    parts = [part for part in results.values() if isinstance(part, Mapping)]
    return [
        str(part["error"]) for part in parts if part.get("valid?") is not True and "error" in part
    ]


# Writing it


def write(file: Path, scenario: Scenario, script: Path, reason: str, lines: Sequence[str]) -> Path:
    """Write the test of a scenario that fails for a `reason`, with its story; return its path.

    If `file` is a folder, the test gets a name in it: test_<script>_<reason>.py. Raises UsageError
    if it can't be written, or would replace something else.
    """
    name = f"test_{_word(script.stem)}_{_word(reason)}"
    if file.is_dir():
        file = file / f"{name}.py"
    check(file)
    near = os.path.relpath(script.absolute(), file.absolute().parent)
    command = tuple(without_flags(scenario.command, "--bin"))
    told = str(replace(scenario, command=command))
    wrapped = [
        part for line in lines for part in textwrap.wrap(line, WIDTH, subsequent_indent="    ")
    ]
    text = TEXT.format(
        head=HEAD,
        headline=_raw(f"{script.name} fails: {reason}."),
        story=_raw("\n".join(wrapped)),
        script=json.dumps(near),
        scenario=told.replace("'''", "''\\u0027"),
        name=name,
    )
    try:
        file.write_text(text, "utf-8", "backslashreplace")
    except OSError as error:
        raise UsageError(f"can't write the test {file}: {error.strerror}") from None
    return file


def check(file: Path) -> None:
    """Raise UsageError if a test can't be written to that file, or would replace something else
    than such a test."""
    if file.is_dir():
        return
    if not file.parent.is_dir():
        raise UsageError(f"can't write the test {shown(file)}: there is no folder for it")
    try:
        others = file.exists() and HEAD not in file.read_text("utf-8", "replace")
    except OSError as error:
        raise UsageError(f"can't write the test {shown(file)}: {error.strerror}") from None
    if others:
        raise UsageError(f"{shown(file)} is there already, and is no test that was written by this")


def _word(text: str) -> str:
    """A part of a function's name."""
    word = re.sub(r"[^a-z0-9]+", "_", text.lower())[:LONGEST_NAME].strip("_")
    return word or "fails"


def _raw(text: str) -> str:
    """Text that a raw docstring can hold."""
    return text.replace('"""', "'''")
