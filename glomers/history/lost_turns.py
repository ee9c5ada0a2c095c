"""When threads of simulated nodes lost their turn: `switches.jsonl` in a run's folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

FILE = "switches.jsonl"


@dataclass(frozen=True, slots=True)
class LostTurn:
    """A thread of `node` had no turn from `began` to `ended` (ns since the load began; None if the
    run ended before).

    It was about to run `line` (such as "broadcast.py:44"), whose source is `text`, in `function`.
    `message` is the id of the message that it handled, if it was called for one. `place` and
    `end_place` tell how many events of messages (messages.jsonl) came before it lost its turn, and
    before it got it back: some are in the same nanosecond.
    """

    node: str
    line: str
    text: str
    function: str
    began: int
    ended: int | None
    message: int | None
    place: int
    end_place: int | None


def write(lost: Iterable[LostTurn], out: TextIO) -> None:
    """Write them, one a line, in the order in which they began."""
    for each in sorted(lost, key=lambda each: (each.began, each.place)):
        out.write(json.dumps(asdict(each)) + "\n")


def read(folder: Path) -> list[LostTurn]:
    """Those that are kept in a run's folder. What is no such line is passed over."""
    found = []
    with suppress(OSError):
        for line in (folder / FILE).read_text("utf-8").splitlines():
            with suppress(ValueError, TypeError):
                found.append(LostTurn(**json.loads(line)))
    return found
