"""Kept tests and their pages, for the tests of pages."""

from __future__ import annotations

import base64
import json
import re
import zlib
from array import array
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from glomers.history import edn, lost_turns
from glomers.history.lost_turns import LostTurn
from glomers.history.operations import History, to_json_line
from glomers.history.store import Store
from glomers.options import Options
from glomers.run.build import simulated_test
from glomers.run.drive import check
from glomers.run.kept import write_page
from glomers.run.reasons import evidence_of, with_reasons
from tests import challenge_runs


def kept(root: Path, challenge: str, **changes: Any) -> Path:
    """The folder of a simulated test of a challenge, with its page."""
    options = challenge_runs.options(challenge, **changes)
    with closing(Store.create(root, options.workload)) as store:
        store.write_results(simulated_test(options, store).run())
    write_page(store.path)
    return store.path


def written(
    folder: Path, messages: list[dict[str, Any]], history: str = "", **results: Any
) -> Path:
    """A folder as a test might have left it: journal, history (lines of JSON) and results."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "messages.jsonl").write_text("".join(json.dumps(event) + "\n" for event in messages))
    (folder / "history.jsonl").write_text(history)
    found = edn.keywordized({"valid?": True, **results})
    (folder / "results.edn").write_text(edn.pretty(found))
    return folder


def judged(
    root: Path,
    workload: str,
    history: History,
    messages: Sequence[dict[str, Any]] = (),
    **asked: Any,
) -> Path:
    """The folder of a test of three nodes with this history, judged, and with its page."""
    options = Options(workload=workload, nodes=("n0", "n1", "n2"), concurrency=3, **asked)
    lines = "".join(f"{to_json_line(operation)}\n" for operation in history)
    folder = written(root / workload / "1", list(messages), lines)
    evidence = evidence_of(history, options, folder)
    results = with_reasons(check(history, options), workload, evidence)
    assert results["valid?"] is False
    (folder / "results.edn").write_text(edn.pretty(results))
    write_page(folder)
    return folder


def lose_turns(folder: Path, *lost: LostTurn) -> None:
    """Put lost turns into the folder of a test."""
    with (folder / lost_turns.FILE).open("w") as out:
        lost_turns.write(lost, out)


def sent(time: int, id: int, src: str, dest: str, **body: Any) -> dict[str, Any]:
    message = {"src": src, "dest": dest, "body": body}
    return {"time": time, "event": "send", "id": id, "message": message}


def became(event: str, time: int, id: int) -> dict[str, Any]:
    return {"time": time, "event": event, "id": id}


def block(page: str, name: str) -> bytes:
    """The data of a page that have this name."""
    found = re.search(rf'<script type="text/plain" id="{name}">([^<]*)</script>', page)
    assert found, name
    return zlib.decompress(base64.b64decode(found[1]))


def about(page: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(block(page, "about"))
    return found


def column(page: str, name: str, type: str = "i") -> list[int]:
    return array(type, block(page, name)).tolist()
