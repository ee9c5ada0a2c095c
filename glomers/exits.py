"""How a command ends: with an exit status and, unless that is a verdict, a reason on stderr.

0, 1, 2, 254 and 255 are Jepsen's; the others are a shell's statuses for SIGINT and SIGPIPE.
This module uses only the standard library, because it reports modules that aren't installed.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from glomers.errors import HelpShown, UsageError
from glomers.interrupts import terminable

VALID, INVALID, UNKNOWN = 0, 1, 2  # the verdicts; VALID also for help that was asked for
BAD_ARGUMENTS = 254  # the command can't be carried out as it was given
BROKEN = 255  # the workbench failed, or memory, a disk or the output did
INTERRUPTED = 130  # by Ctrl-C, SIGTERM or SIGHUP
UNREAD = 141  # the reader of the output went away
SIGNALLED = 128  # plus the number of the signal that ended a command we ran, as in a shell

VERDICT_STATUSES = (VALID, UNKNOWN, INVALID)  # best first

CANT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

# True if a simulated thread stands still in C code, where it may hold a lock that Python needs to
# shut down. The process then ends without Python's shutdown.
must_leave_at_once = False

ROOT = Path(__file__).resolve().parent.parent


def of_verdict(valid: Any) -> int:
    """The exit status for a `valid?`: True, False or "unknown"."""
    return VALID if valid is True else UNKNOWN if valid == "unknown" else INVALID


def run(command: Callable[[], int]) -> int:
    """Run a command and return its exit status. If there is no verdict, print why in a sentence.

    Every exception is caught and becomes an exit status. SIGTERM and SIGHUP interrupt the command
    as Ctrl-C does.
    """
    try:
        with terminable():
            status = command()
        sys.stdout.flush()
        return status
    except HelpShown:
        return VALID
    except UsageError as error:
        return _end(BAD_ARGUMENTS, str(error))
    except KeyboardInterrupt:
        return _end(INTERRUPTED, "interrupted")
    except BrokenPipeError:
        _give_up(sys.stdout)
        return _end(UNREAD, "the output was no longer read, so the command ended early")
    except OSError as error:
        return _end(BROKEN, _explain(error))
    except MemoryError:
        return _end(BROKEN, "there is not enough memory")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("", "glomers", "maelstrom_node"):
            return _mistake()
        return _end(BAD_ARGUMENTS, _is_not_installed(str(error.name)))
    except SystemExit as end:
        if not isinstance(end.code, int) or end.code <= SIGNALLED:
            return _mistake()  # only a signal may end a command by SystemExit
        return _end(end.code, f"ended by {signal.Signals(end.code - SIGNALLED).name}")
    except BaseException:
        return _mistake()


def leave(status: int) -> int:
    """Return the exit status; if `must_leave_at_once`, end the process with it instead."""
    if must_leave_at_once:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)
    return status


def prepare_streams() -> None:
    """Replace closed standard streams, and let the others write every character.

    A closed stream is replaced, or the next file that is opened would get its number. A character
    that a stream's encoding (such as ASCII) lacks is written as a question mark.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # the stream is closed, so the file opened here gets its number
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]


def fix_hash_key() -> None:
    """If the command simulates, run it anew with the key 0 for the hashes of text.

    The order of a set of text depends on a key that Python draws for each process. A seed must give
    the same run in every process, so the key is fixed. It can't be changed in a running process,
    so this process is replaced by another. The workers of a sweep inherit the key.
    """
    words = {word.partition("=")[0] for word in sys.argv}
    commands = "sweep", "explore", "shrink", "again"
    simulates = not words.isdisjoint(("--simulate", "--scenario", *commands))
    ignored = sys.flags.ignore_environment or os.environ.get("PYTHONHASHSEED") == "0"
    if simulates and sys.flags.hash_randomization and not ignored:
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def _end(status: int, reason: str) -> int:
    with suppress(OSError, ValueError):
        print(f"error: {reason}", file=sys.stderr)
    return status


def _mistake() -> int:
    with suppress(OSError, ValueError):
        traceback.print_exc()
    return _end(BROKEN, "that was a mistake of the workbench, not of your node")


def _explain(error: OSError) -> str:
    _give_up(sys.stdout)
    if error.filename:
        return f"{error.filename}: {error.strerror}"
    unnamed = " (standard output, or a node's log)" if error.errno in CANT_WRITE else ""
    return f"{error.strerror or error}{unnamed}"


def _give_up(stream: TextIO) -> None:
    """Lead a stream that can't be written to /dev/null, so that Python's shutdown can flush it."""
    try:
        stream.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _is_not_installed(module: str) -> str:
    missing = f"the Python module {module!r} is not installed for {sys.executable}; "
    requirements = ROOT / "requirements.txt"
    if not requirements.is_file():  # the package is installed, this is no checkout
        return f"{missing}pip install {module}"
    return (
        f"{missing}./run.sh 1 sets up .venv for all (then: source .venv/bin/activate); "
        f"or: pip install -r {requirements}"
    )
