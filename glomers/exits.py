"""How a command ends: its exit status and, unless that is a verdict, why, on standard error.

0, 1, 2, 254 and 255 are Jepsen's; the others are what a shell makes of SIGINT and SIGPIPE.
Only the standard library is used here, since it must be able to say that something is missing.
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
BROKEN = 255  # the workbench failed, or what it needs (memory, a disk, its output) did
INTERRUPTED = 130  # by Ctrl-C, SIGTERM or SIGHUP
UNREAD = 141  # whoever read the output went away
SIGNALLED = 128  # and a signal's number, as in a shell: that ended a command which we ran

VERDICT_STATUSES = (VALID, UNKNOWN, INVALID)  # from good to bad

CANT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

# A thread stands still in the midst of C code, where it may hold what Python needs to tidy up.
must_leave_at_once = False

ROOT = Path(__file__).resolve().parent.parent


def of_verdict(valid: Any) -> int:
    """The exit status for a `valid?`: True, False or "unknown"."""
    return VALID if valid is True else UNKNOWN if valid == "unknown" else INVALID


def run(command: Callable[[], int]) -> int:
    """Run a command and return its exit status. If there is no verdict, say why in a sentence.

    Whatever is raised ends here. SIGTERM and SIGHUP interrupt it as Ctrl-C does.
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
            return _mistake()  # nothing else may end us
        return _end(end.code, f"ended by {signal.Signals(end.code - SIGNALLED).name}")
    except BaseException:
        return _mistake()


def leave(status: int) -> int:
    """Return the exit status, or end the process with it at once if a thread can't be ended."""
    if must_leave_at_once:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)
    return status


def prepare_streams() -> None:
    """Make standard streams that are closed, or can't show every character, do no harm.

    A file that is opened must not take the number of a closed stream, and what an encoding such as
    ASCII lacks is shown as a question mark.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # it is closed, so this gets its number
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]


def fix_hash_key() -> None:
    """Begin anew, with the key 0 for the hashes of text, if the command is to simulate.

    A set of text is iterated in an order that depends on the key, which Python draws for each
    process; but a seed must give the same run in all of them. In another process, since a key
    can't be changed; workers of a sweep inherit it.
    """
    simulates = any(word in sys.argv for word in ("--simulate", "sweep", "again"))
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
    """If nothing more can be written, don't try again at the end of the process."""
    try:
        stream.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _is_not_installed(module: str) -> str:
    missing = f"the Python module {module!r} is not installed for {sys.executable}; "
    requirements = ROOT / "requirements.txt"
    if not requirements.is_file():  # it is no checkout
        return f"{missing}pip install {module}"
    return (
        f"{missing}./run.sh 1 sets up .venv for all (then: source .venv/bin/activate); "
        f"or: pip install -r {requirements}"
    )
