"""Where a test is kept: `store/<workload>/<time>/`, and `store/latest`, a link to the last one."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, TextIO

from workbench import edn
from workbench.errors import UsageError


class Store:
    """One test's folder and the files that are being written in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: list[TextIO] = []

    @classmethod
    def create(cls, root: Path, workload: str) -> Store:
        """Make a new folder for a test, and let `latest` point to it.

        Raises UsageError if the folder cannot be made.
        """
        stamp = datetime.now().astimezone().strftime("%Y%m%dT%H%M%S.%f")[:-3]
        try:
            for attempt in count():
                path = root / workload / (f"{stamp}-{attempt}" if attempt else stamp)
                with suppress(FileExistsError):
                    path.mkdir(parents=True)
                    break
            _link(root / "latest", path)
            _link(root / workload / "latest", path)
        except OSError as error:
            raise UsageError(f"cannot keep the test in {root}: {error.strerror}") from None
        return cls(path)

    def open(self, name: str) -> TextIO:
        """A file of this folder to write to; `close` closes it."""
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        file = path.open("w", encoding="utf-8", errors="surrogatepass", newline="\n")
        self._files.append(file)
        return file

    def write_results(self, results: dict[str, Any]) -> None:
        """Keep the results as Maelstrom does (results.edn) and for programs (results.json)."""
        (self.path / "results.edn").write_text(edn.pretty(edn.keywordized(results)) + "\n", "utf-8")
        text = json.dumps(edn.to_json(results), indent=2)
        (self.path / "results.json").write_text(text + "\n", "utf-8")

    def flush(self) -> None:
        for file in self._files:
            file.flush()

    def close(self) -> None:
        for file in self._files:
            file.close()


def _link(link: Path, target: Path) -> None:
    """Point `link` to `target` in one step, so that two tests at once don't trip over it."""
    temporary = link.with_name(f".{link.name}-{os.getpid()}")
    with suppress(FileNotFoundError):
        temporary.unlink()
    temporary.symlink_to(os.path.relpath(target, link.parent))
    temporary.replace(link)
