"""What a node may print: messages, one a line. Real and simulated nodes follow the same rules.

The rules are Maelstrom's (`parse-msg` in `maelstrom.process`; `Message` and `validate-msg` in
`maelstrom.net`): a message has a `src`, a `dest`, a `body`, perhaps an integer `id`, and nothing
else; `src` and `dest` are names of the network. A node may send with another's name, as one does
that passes a client's request on as it came. Where ours are stricter, docs/workbench.md says why.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any, NoReturn

from glomers.errors import PROTOCOL, NodeError, quote
from glomers.history.times import MILLIS
from glomers.history.values import depth
from glomers.world.network import Network

MESSAGE = '{"src": "n1", "dest": "c1", "body": {"type": "…", …}}, one JSON object on a line'
ENVELOPE = ("src", "dest", "body")

LONGEST_LINE = 1 << 28  # bytes; more without a newline is no message
UNFINISHED_AFTER = 500 * MILLIS  # after which a line without a newline counts as unfinished

# Levels of nested lists and objects. Functions that handle values recurse up to 3 times a level.
DEEPEST = 500
CALLS = 4 * DEEPEST
SHALLOW = 100  # levels for which Python's recursion limit of 1,000 calls is enough


class Lines:
    """Cuts into lines what one node prints to its standard output.

    `rest` is what has no newline yet. `heard_at` is when (ns) the node printed last, or None.
    """

    def __init__(self, node: str) -> None:
        self._node = node
        self.rest = bytearray()
        self.heard_at: int | None = None

    def feed(self, chunk: bytes, now: int) -> list[bytes]:
        """Take in what the node has printed; return the lines that are complete.

        Raises NodeError if a line is longer than LONGEST_LINE.
        """
        start = len(self.rest)
        self.rest += chunk
        self.heard_at = now
        if b"\n" not in chunk:
            if start > LONGEST_LINE:
                raise NodeError(
                    self._node,
                    f"printed {start >> 20} MiB without an end of line.",
                    evidence=(quote(bytes(self.rest[:200])),),
                    expected=MESSAGE,
                )
            return []
        *lines, rest = bytes(self.rest).split(b"\n")
        self.rest = bytearray(rest)
        return lines

    def unfinished(self, now: int) -> str:
        """The text after the last newline, if it was printed a while ago; "" otherwise."""
        if not self.rest or self.heard_at is None or now - self.heard_at < UNFINISHED_AFTER:
            return ""
        return quote(bytes(self.rest))

    def evidence(self) -> list[str]:
        """The text after the last newline, for an error message."""
        if not self.rest:
            return []
        where = "Its standard output ends with a line that has no newline, so it was never read:"
        return [where, f"  {quote(bytes(self.rest))}"]


class Sender:
    """Sends the lines that one node prints into the network."""

    def __init__(self, node: str, network: Network) -> None:
        self._node = node
        self._network = network
        self._initialised = False

    def send(self, line: bytes) -> None:
        """Send the message of a line, which comes without its newline. An empty line is ignored.

        Raises NodeError if the line is no message.
        """
        if not line.strip():
            return
        message: Any = None
        try:
            message = _parsed(line)
            src, dest, body = self._checked(message)
        except _BadLine as problem:
            words = str(problem)
            if not self._initialised and isinstance(message, dict) and not _is_init_ok(message):
                words += (
                    " It had not been initialised yet: `init` tells a node its id, and until it"
                    " has answered that, it should be silent."
                )
            expected = f"{MESSAGE} (see {PROTOCOL})"
            raise NodeError(self._node, words, evidence=(quote(line),), expected=expected) from None
        if not self._initialised:
            self._initialised = _is_init_ok(message)
        self._network.send(src, dest, body, line)

    def _checked(self, message: Any) -> tuple[str, str, dict[str, Any]]:
        """The parts of a message. Raises _BadLine."""
        if not isinstance(message, dict):
            raise _BadLine("printed JSON that is not an object.")
        src, dest, body = message.get("src"), message.get("dest"), message.get("body")
        if not (isinstance(src, str) and isinstance(dest, str) and isinstance(body, dict)):
            _refuse_envelope(message)
        if len(message) > len(ENVELOPE):
            _check_rest(message)
        if src != self._node and not self._network.knows(src):
            raise _BadLine(f"sent a message from {src!r}, which does not exist.")
        if not self._network.knows(dest):
            raise _BadLine(f"sent a message to {dest!r}, which does not exist.")
        return src, dest, body


class _BadLine(Exception):
    """What is wrong with a line, in words that continue "Node n0 …"."""


def _refuse_envelope(message: dict[str, Any]) -> NoReturn:
    """Raise _BadLine for what a message lacks of `src`, `dest` and `body`."""
    types = {"src": (str, "string"), "dest": (str, "string"), "body": (dict, "object")}
    for field, (type, name) in types.items():
        if field not in message:
            raise _BadLine(f"sent a message without `{field}`.")
        if not isinstance(message[field], type):
            shown = quote(json.dumps(message[field]), 40)
            raise _BadLine(f"sent a message whose `{field}` is {shown}, which is no {name}.")
    raise AssertionError(message)


def _check_rest(message: dict[str, Any]) -> None:
    """Check the fields beside `src`, `dest` and `body`: there may only be an integer `id`.

    Raises _BadLine.
    """
    if "id" in message and type(message["id"]) is not int:
        shown = quote(json.dumps(message["id"]), 40)
        raise _BadLine(
            f"sent a message whose `id` is {shown}, which is no integer."
            " Leave it out: the network numbers messages itself."
        )
    if extra := [f"`{quote(key, 40)}`" for key in message if key not in (*ENVELOPE, "id")]:
        raise _BadLine(
            f"sent a message with {' and '.join(extra)} beside `src`, `dest` and `body`."
            " Everything that a message carries belongs into its body."
        )


def _is_init_ok(message: dict[str, Any]) -> bool:
    body = message.get("body")
    return isinstance(body, dict) and body.get("type") == "init_ok"


def _parsed(line: bytes) -> Any:
    """The JSON of a line. Raises _BadLine."""
    try:
        value = _decode(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise _BadLine("printed a line that is not UTF-8.") from None
    except RecursionError:
        raise _BadLine(_TOO_DEEP) from None
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            raise _BadLine("printed more than one message on a line.") from None
        hint = " Is it meant for standard error?" if line[:1] != b"{" else ""
        raise _BadLine(f"printed a line that is not JSON.{hint}") from None
    except ValueError:  # Python refuses integers with too many digits
        most = sys.get_int_max_str_digits()
        raise _BadLine(f"printed a number of more than {most:,} digits.") from None
    if line.count(b"[") + line.count(b"{") > SHALLOW and (levels := depth(value)) > SHALLOW:
        if levels > DEEPEST:
            raise _BadLine(_TOO_DEEP)
        sys.setrecursionlimit(max(CALLS, sys.getrecursionlimit()))
    return value


def _decode(text: str) -> Any:
    """The value of a JSON text. Raises what JSONDecoder.decode does.

    That looks for white space around the value, which takes as long as a short message.
    """
    try:
        value, end = _DECODER.raw_decode(text)
    except json.JSONDecodeError:
        end = -1
    return value if end == len(text) else _DECODER.decode(text)


def _refuse_constant(name: str) -> NoReturn:
    raise _BadLine(f"printed a line that is not JSON: JSON has no {name}; null is usual instead.")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _BadLine(f"printed a number that is too large for a float: {quote(text, 40)}.")
    return number


_TOO_DEEP = f"printed a line that is nested too deeply: more than {DEEPEST} levels."
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
