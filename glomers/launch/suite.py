"""What `./run.sh test` does: lint, format, types and tests of this project."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from glomers.exits import SIGNALLED
from glomers.launch import foreground
from glomers.launch.environment import Environment

STEPS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("pytest", "-n", "auto"),
)


def run(environment: Environment, pytest_arguments: Sequence[str] = ()) -> int:
    """Run all steps and print which failed; return 0 if none did, otherwise 1."""
    failed = []
    for step in STEPS:
        title = " ".join(step)
        print(f"== {title}", flush=True)
        command = [str(environment.python), "-m", *step]
        if step[0] == "pytest":
            command += pytest_arguments
        status = foreground.run(command, cwd=environment.root)
        if status < 0:
            raise SystemExit(SIGNALLED - status)
        if status != 0:
            failed.append(title)
    if failed:
        print(f"error: failed: {'; '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0
