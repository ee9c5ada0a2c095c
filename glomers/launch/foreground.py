"""Runs a command in the foreground, as a shell does: the command gets all signals."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO

from glomers.interrupts import handled


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    output: IO[bytes] | None = None,
    pass_fds: Collection[int] = (),
) -> int:
    """Run `command` to its end and return its exit status, or -n if signal n ended it or us.

    A signal that would end this process is passed on to the command, which may tidy up. This
    function returns when the command has ended.

    With `output` the command runs unseen, in a session of its own: its output goes to that file,
    a signal is passed on to all its processes, and those that outlive the command are killed then.
    Raises OSError if the command can't be started.
    """
    unseen = output is not None
    child: subprocess.Popen[bytes] | None = None
    received: list[int] = []

    def receive(number: int, _: FrameType | None) -> None:
        received.append(number)
        pass_on(number)

    def pass_on(number: int) -> None:
        if child is None:
            return
        if unseen:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, number)
        elif number != signal.SIGINT or not _in_foreground_of_terminal():
            child.send_signal(number)

    with handled(receive):
        child = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdout=output,
            stderr=output,
            pass_fds=pass_fds,
            start_new_session=unseen,
        )
        for number in received:  # signals that came before the child existed
            pass_on(number)
        status = child.wait()
        if received and unseen:
            pass_on(signal.SIGKILL)
    return -received[0] if received else status


def _in_foreground_of_terminal() -> bool:
    """Whether a SIGINT is the terminal's Ctrl-C, which every foreground process gets anyway."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
