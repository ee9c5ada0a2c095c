"""Kept tests and their pages, for the tests of pages."""

from __future__ import annotations

import base64
import json
import re
import zlib
from array import array
from contextlib import closing
from pathlib import Path
from typing import Any

from glomers.history import edn
from glomers.history.store import Store
from glomers.run.build import simulated_test
from glomers.run.kept import write_page
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
