"""Which lines of the nodes' own code have run, by `sys.monitoring`, which Python has from 3.12 on.

It costs next to nothing: a line that has been seen once is not watched any more, and only the
script and the modules beside it are watched at all, not the library. A line counts if code belongs
to it, so comments and blank lines don't.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import CodeType
from typing import Any

from glomers.simulated import imports
from glomers.simulated.hooks import all_codes, free_tool, monitoring

TOOL = "glomers: lines that run"
TOOL_IDS = (1, 3)  # the first is for coverage, and may be taken; 4 is for what hooks.py follows

_one_at_a_time = threading.Lock()


class Coverage:
    """Watches which lines run in a `with` block. One does so at a time; others wait for its end."""

    def __init__(self) -> None:
        self._lines: dict[str, set[int]] | None = None
        self._id: int | None = None
        self._codes: list[CodeType] = []

    def __enter__(self) -> Coverage:
        _one_at_a_time.acquire()
        if monitoring is None:
            return self
        self._id = free_tool(TOOL_IDS)
        if self._id is None:
            return self
        monitoring.use_tool_id(self._id, TOOL)
        monitoring.register_callback(self._id, monitoring.events.LINE, self._ran)
        monitoring.restart_events()  # lines that were seen in an earlier block are watched again
        self._lines = {}
        imports.observers.append(self._watch)
        return self

    def __exit__(self, *_: object) -> None:
        if self._id is not None:
            imports.observers.remove(self._watch)
            for code in self._codes:
                monitoring.set_local_events(self._id, code, 0)
            monitoring.register_callback(self._id, monitoring.events.LINE, None)
            monitoring.free_tool_id(self._id)
        _one_at_a_time.release()

    def found(self) -> dict[str, list[int]] | None:
        """The lines that have run, in order, by file; None where Python can't tell."""
        if self._lines is None:
            return None
        return {file: sorted(ran) for file, ran in self._lines.items()}

    def _watch(self, path: Path, code: CodeType) -> None:
        """A node runs a file of its own."""
        assert self._lines is not None
        if path.stem == imports.LIBRARY or str(path) in self._lines:
            return
        self._lines[str(path)] = set()
        for each in all_codes(code):
            monitoring.set_local_events(self._id, each, monitoring.events.LINE)
            self._codes.append(each)

    def _ran(self, code: CodeType, line: int) -> Any:
        assert self._lines is not None
        self._lines[code.co_filename].add(line)
        return monitoring.DISABLE


def missing(reached: Mapping[str, Collection[int]]) -> Iterator[tuple[str, str]]:
    """The lines that have not run, such as "88-91, 104", of each file that has some.

    A range goes over comments and blank lines. A file that can't be read is left out.
    """
    for file, ran in sorted(reached.items()):
        try:
            code = compile(Path(file).read_bytes(), file, "exec", dont_inherit=True)
        except (OSError, SyntaxError, ValueError):
            continue
        lines = {line for each in all_codes(code) for _, _, line in each.co_lines() if line}
        if found := ", ".join(_ranges(sorted(lines), ran)):
            yield file, found


def _ranges(lines: Collection[int], ran: Collection[int]) -> Iterator[str]:
    """Runs of lines that are not among those that `ran`."""
    begun: list[int] = []
    for line in [*lines, None]:
        if line is not None and line not in ran:
            begun.append(line)
        elif begun:
            yield f"{begun[0]}-{begun[-1]}" if len(begun) > 1 else f"{begun[0]}"
            begun = []
