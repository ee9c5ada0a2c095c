"""Nodes for Maelstrom and the Gossip Glomers, in plain blocking Python, ten lines at a time.

    from maelstrom_node import Node

    node = Node()

    @node.on("echo")
    def echo(message):
        return {"type": "echo_ok", "echo": message.body["echo"]}

    if __name__ == "__main__":
        node.run()

A handler returns the body of its answer, or None for no answer. A handler that raises RPCError
answers with that error. Handlers run in threads and may block, in `node.rpc` or anything else,
while other handlers go on; so state that handlers share needs a `threading.Lock`. While the node
runs, `print` writes to the log, which is stderr.

The library writes to the log, too: tracebacks of exceptions, as Python shows them, and lines that
begin with `maelstrom_node: ` where something is wrong that is no exception, such as a message of a
type that no handler takes. All times are in seconds.

Copy this file wherever you like: it needs only Python 3.10 or newer, and is faster where ujson is
installed. The protocol is Maelstrom's:
https://github.com/jepsen-io/maelstrom/blob/main/doc/protocol.md

Version 1.0. Licence: MIT, the Gossip Glomers in Python authors.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from errno import EBADF
from functools import lru_cache
from itertools import count
from math import ceil
from math import log as ln
from queue import Empty, SimpleQueue
from random import Random
from typing import Any, NamedTuple, TypeVar
from weakref import WeakValueDictionary
from zlib import crc32

try:
    from ujson import dumps, loads
except ImportError:
    from json import dumps, loads  # type: ignore[assignment]

__version__ = "1.0"
__all__ = [
    *("Node", "Message", "Answer", "Body", "Code", "RPCError", "RPCTimeout"),
    *("KV", "TSO", "Replication"),
    *("Runtime", "Waiter", "Dispatcher", "Stopped", "StdioRuntime"),  # for who writes a runtime
]

Body = dict[str, Any]
Handler = Callable[["Message"], "Body | None"]
F = TypeVar("F", bound=Callable[..., Any])


# ---------------------------------------------------------------------------------------------
# Errors
# ---------------------------------------------------------------------------------------------


class Code(IntEnum):
    """Maelstrom's error codes. Scripts may define their own from 1000 on.

    https://github.com/jepsen-io/maelstrom/blob/main/doc/protocol.md#errors
    """

    TIMEOUT = 0
    NODE_NOT_FOUND = 1
    NOT_SUPPORTED = 10
    TEMPORARILY_UNAVAILABLE = 11
    MALFORMED_REQUEST = 12
    CRASH = 13
    ABORT = 14
    KEY_DOES_NOT_EXIST = 20
    KEY_ALREADY_EXISTS = 21
    PRECONDITION_FAILED = 22
    TXN_CONFLICT = 30


NAMES = {int(code): code.name.lower().replace("_", "-") for code in Code}
DEFINITE = frozenset(Code) - {Code.TIMEOUT, Code.CRASH}


class RPCError(Exception):
    """A request failed. `node.rpc` raises it, and handlers raise it to answer with an error.

    `code` is a `Code` or a number of your own, `text` says what went wrong, to people.
    """

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(code, text)
        self.code = int(code)
        self.text = str(text)

    @property
    def definite(self) -> bool:
        """Whether the request certainly had no effect, and never will have one."""
        return self.code in DEFINITE

    def __str__(self) -> str:
        return f"{NAMES.get(self.code, 'error')} ({self.code}): {self.text}"


class RPCTimeout(RPCError):
    """No answer came in time. The request may have had its effect, or may have it later."""

    def __init__(self, text: str = "") -> None:
        super().__init__(Code.TIMEOUT, text)


class Stopped(BaseException):
    """The node has ended. The runtime raises this in code that waits, so that it ends as well."""


# ---------------------------------------------------------------------------------------------
# JSON
# ---------------------------------------------------------------------------------------------


# ujson takes some things that the standard library's json refuses. Whether it is installed makes
# no other difference:
# - to encode: a Decimal, an object with __json__ or toDict, and keys of any type, as their str
#   (so is a key that is a number with a str of its own, such as an IntEnum in Python 3.10, for
#   which the standard library writes the number);
# - to decode: the numbers 01, 1. and -, control characters in strings, and more than about a
#   thousand nested lists or objects, which the standard library may or may not take.


def encode(value: Any) -> str:
    """A value as one line of ASCII. Raises TypeError, ValueError or RecursionError.

    NaN and the infinities are no JSON: they are a ValueError.
    """
    try:
        text = dumps(value)
        if "NaN" not in text and "Infinity" not in text:
            return text
    except Exception:  # what is too deep for ujson need not be for the standard library
        pass
    import json

    return json.dumps(value, allow_nan=False)


def decode(line: bytes | str) -> Any:
    """The value of a line of JSON, in UTF-8 if it is bytes. Raises ValueError or RecursionError."""
    try:
        return loads(line)
    except Exception:  # as above; and the standard library says better what is wrong
        import json

        return json.loads(line)


def _encode_message(src: str, dest: str, body: Body) -> str:
    return f"{_envelope(src, dest)}{encode(body)}}}"


@lru_cache(maxsize=1024)
def _envelope(src: str, dest: str) -> str:
    return f'{{"src":{encode(src)},"dest":{encode(dest)},"body":'


def _quote(value: object) -> str:
    """A value as it is shown in the log: on one line, and not too much of it."""
    try:
        text = repr(value[:200] if isinstance(value, (bytes, str)) else value)
    except Exception as error:  # somebody's __repr__, or too deep for it
        text = f"{type(value).__name__} ({type(error).__name__})"
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", text)  # which no two runs have in common
    return text if len(text) <= 200 else f"{text[:200]}…"


# ---------------------------------------------------------------------------------------------
# What scripts pass in: functions
# ---------------------------------------------------------------------------------------------

NEVER_RUN = {  # flags of code that a plain call doesn't run, and what they say
    0x20: "a generator",
    0x80: "an async def",
    0x200: "an async generator",
}
STAR = 0x04  # the flag of code that takes *args


def _check_function(function: Any, args: Sequence[object], use: str, passed: str, fix: str) -> None:
    """Raise TypeError unless `function(*args)` runs the function.

    The error says who would call it (`use`), with what (`passed`), and what to write (`fix`).
    """
    if not callable(function):
        _close_coroutine(function)
        raise TypeError(f"{use} takes a function, not {_quote(function)}: {fix}")
    inner = _plain(function)
    code = getattr(inner, "__code__", None)
    flags = code.co_flags if code else 0
    for flag, kind in NEVER_RUN.items():
        if flags & flag:
            problem = f"{_describe(function)} is {kind}, which {use} can't run"
            raise TypeError(f"{problem}: write a def without async and yield; it may block")
    if code and not code.co_kwonlyargcount and inner is _unbound(function):
        number = len(args) + (inner is not function)
        most = sys.maxsize if flags & STAR else code.co_argcount
        if code.co_argcount - len(inner.__defaults__ or ()) <= number <= most:
            return
    import inspect  # takes long, so only for what isn't a function or a method that suits

    try:
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):  # some of those that are written in C have none
        return
    try:
        signature.bind(*args)
    except TypeError:
        problem = f"{_describe(function)} takes {signature}, but {use} passes {passed}"
        raise TypeError(f"{problem}: {fix}") from None


def _unbound(function: Any) -> Any:
    """The function of a bound method."""
    return getattr(function, "__func__", function)


def _plain(function: Any) -> Any:
    """The function that a partial, a bound method or a callable object calls in the end."""
    inner = _unbound(getattr(function, "func", function))
    return inner if hasattr(inner, "__code__") else type(inner).__call__


def _name(function: Any) -> str:
    """A function's name, without those of the functions around it."""
    function = getattr(function, "func", function)
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return str(name).rpartition("<locals>.")[2]


def _place(function: Any) -> str:
    """The file and the line where a function begins; empty if it is written in C."""
    code = getattr(_plain(function), "__code__", None)
    return f"{code.co_filename.rpartition(os.sep)[2]}:{code.co_firstlineno}" if code else ""


def _asked_in(error: RPCError) -> str:
    """Where a script made the request that failed, as in `, in add (mine.py:17)`; empty if the
    script raised the error itself."""
    where, by_library = "", False
    for frame, line in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        by_library = code.co_filename == _place.__code__.co_filename
        if not by_library:
            name = f", in {code.co_name}" if code.co_name.isidentifier() else ""  # as no lambda has
            where = f"{name} ({code.co_filename.rpartition(os.sep)[2]}:{line})"
    return where if by_library else ""


def _describe(function: Any) -> str:
    """A function's name and place, as in `gossip (mine.py:44)`."""
    place = _place(function)
    return f"{_name(function)} ({place})" if place else _name(function)


def _def(function: Any, otherwise: str) -> str:
    """A function's name as it stands after `def`."""
    name: str = getattr(function, "__name__", otherwise)
    return name if name.isidentifier() else otherwise


def _close_coroutine(value: Any) -> None:
    """Let Python not complain that a coroutine was never awaited: we say so better."""
    if type(value).__name__ == "coroutine":
        value.close()


# ---------------------------------------------------------------------------------------------
# The node
# ---------------------------------------------------------------------------------------------


class Message(NamedTuple):
    """A message that came in: who sent it, to whom, and its body.

    The body is a dict in which "type" is a string. It is the handler's own: nothing else uses it.
    """

    src: str
    dest: str
    body: Body


_new = tuple.__new__  # takes half the time of Message(...)


def _as_it_came(message: Message, type: str, msg_id: Any) -> Message:
    """The message with its type and msg_id, of which its handler may have left nothing."""
    body = {**message.body, "type": type, "msg_id": msg_id}
    if msg_id is None:
        del body["msg_id"]
    return Message(message.src, message.dest, body)


class _FromInit:
    """An attribute of a node before init. What init sets on the node itself is found first."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, node: object, owner: type) -> Any:
        if node is None:
            return self
        raise RuntimeError(
            f"node.{self._name} is known from init on; "
            'use it in a handler, or in a function under @node.on("init")'
        )


class Node:
    """A node as its script sees it: what to do about messages, and the means to do it.

    `id` is the node's name, a string; `ids` lists the names of all nodes, this one included, in
    Maelstrom's order; `peers` lists all but this one. The three are known from init on, and raise
    RuntimeError before. `lin_kv`, `seq_kv` and `lww_kv` are clients (`KV`) of Maelstrom's
    key-value services, `lin_tso` is one (`TSO`) of its timestamp oracle.

    `runtime` is for tests and simulations; a script makes a `Node()`.
    """

    id: str = _FromInit()  # type: ignore[assignment]
    ids: list[str] = _FromInit()  # type: ignore[assignment]
    peers: list[str] = _FromInit()  # type: ignore[assignment]

    def __init__(self, runtime: Runtime | None = None) -> None:
        self.lin_kv = KV(self, "lin-kv")
        self.seq_kv = KV(self, "seq-kv")
        self.lww_kv = KV(self, "lww-kv")
        self.lin_tso = TSO(self)
        self._runtime = runtime or default_runtime()
        self._dispatcher = Dispatcher(self, self._runtime)

    # What a script says

    def on(self, type: str) -> Callable[[F], F]:
        """Decorate the handler for messages of a type.

        The handler is called with each `Message`, in a thread of its own, and may block. It
        returns the body of the answer, a dict with a "type", or None for no answer. An RPCError
        that it raises is the answer as well; any other exception is logged and answered with
        error 13.

        Only "init" may have several handlers. They run before init_ok is sent, in the order in
        which they were decorated, and what they return is ignored.

        Raises ValueError for an empty type and for one that has a handler, TypeError for what
        can't be a handler: a handler is a plain function of one argument.
        """
        if not isinstance(type, str):
            if callable(type):
                name = _def(type, "gossip")
                problem = f'@node.on needs a type: write @node.on("{name}") for {_describe(type)}'
                raise TypeError(problem)
            problem = f'a type is a string, not {_quote(type)}: write, say, @node.on("gossip")'
            raise TypeError(problem)
        if not type:
            raise ValueError('a type is not empty: write, say, @node.on("gossip")')

        def register(handler: F) -> F:
            fix = f"write def {_def(handler, 'handle')}(message)"
            use = f'@node.on("{type}")'
            _check_function(handler, (None,), use, "one argument, the message", fix)
            self._dispatcher.add_handler(type, handler)
            return handler

        return register

    def every(self, seconds: float) -> Callable[[F], F]:
        """Decorate a function to be called periodically, for the first time one period after init.

        The function runs in the background and may block; a call that takes longer than a period
        delays the next one, so that it never overlaps with itself. Exceptions go to the log and
        don't end it.

        Raises TypeError or ValueError for a period that is no number of seconds above 0, TypeError
        for what isn't a plain function without arguments.
        """
        if not hasattr(seconds, "__float__"):
            if callable(seconds):
                problem = (
                    f"@node.every needs seconds: write @node.every(1.0) for {_describe(seconds)}"
                )
                raise TypeError(problem)
            problem = f"a period is a number of seconds, not {_quote(seconds)}"
            raise TypeError(f"{problem}: write, say, @node.every(1.0)")
        period = float(seconds)
        if not 0 < period <= threading.TIMEOUT_MAX:
            problem = f"a period is a number of seconds above 0, not {_quote(seconds)}"
            raise ValueError(f"{problem}: write, say, @node.every(1.0)")

        def register(task: F) -> F:
            fix = f"write def {_def(task, 'task')}()"
            _check_function(task, (), f"@node.every({seconds})", "no arguments", fix)
            self._dispatcher.add_task(period, task)
            return task

        return register

    def run(self) -> None:
        """Handle messages until the end of input: the script's last line. Blocks until then."""
        self._runtime.serve(self._dispatcher)

    # What its handlers use

    def send(self, dest: str, body: Body) -> None:
        """Send a message to a node, a client or a service, without waiting for an answer.

        Raises TypeError or ValueError if the body can't be encoded as JSON, RuntimeError before
        init.
        """
        try:
            src = self.id
        except RuntimeError:
            problem = "a node can't send before init, which tells it who it is"
            raise RuntimeError(problem) from None
        line = _encode_message(src, dest, body)
        if "in_reply_to" in body:
            self._dispatcher.answers_itself = True
        self._runtime.write(line)

    def rpc(self, dest: str, body: Body, timeout: float = 1.0) -> Body:
        """Send a request, wait for the answer, and return the answer's body.

        Blocks for `timeout` seconds at most; other handlers go on meanwhile. The library chooses
        the `msg_id`. Raises RPCTimeout if no answer comes in time, RPCError if the answer is an
        error, and what `send` raises.
        """
        answer = self.request(dest, body)
        try:
            return answer.result(timeout)
        finally:
            self._dispatcher.forget(answer)

    def request(self, dest: str, body: Body) -> Answer:
        """Send a request without waiting; `.result(timeout)` of what this returns waits.

        The answer is lost if nobody keeps what this returns. Raises what `send` raises.
        """
        whom = f"{dest}, this node itself," if dest == vars(self).get("id") else dest
        answer = self._dispatcher.expect(f"{body.get('type')!r} from {whom}")
        self.send(dest, {**body, "msg_id": answer.msg_id})
        return answer

    def spawn(self, function: Callable[..., object], *args: Any) -> None:
        """Run `function(*args)` in the background, where it may block; return at once.

        What it returns is lost; an exception in it goes to the log. Raises TypeError if the
        function can't be called with these arguments, or isn't a plain function.
        """
        passed = f"{len(args)} argument{'s' * (len(args) != 1)}"
        _check_function(function, args, "node.spawn", passed, "write node.spawn(f, x) to run f(x)")
        self._runtime.spawn(self._dispatcher.guard, function, *args)

    def sleep(self, seconds: float) -> None:
        """Block for so many seconds. At the end of input this ends a function in the background."""
        self._runtime.sleep(seconds)

    def now(self) -> float:
        """Seconds on a clock that never goes back. Only differences mean something."""
        return self._runtime.now()

    @property
    def random(self) -> Random:
        """A source of randomness; in a simulation the seed determines it."""
        return self._runtime.random

    def log(self, text: str) -> None:
        """Write a line to stderr, which Maelstrom keeps in node-logs/."""
        # If stderr is closed, or None because it was when Python started, nobody can be told.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"{text}\n")


class Answer:
    """The answer to a request, which may still be on its way. `node.request` returns it."""

    __slots__ = ("__weakref__", "msg_id", "request", "waiter")

    def __init__(self, msg_id: int, request: str, waiter: Waiter) -> None:
        self.msg_id = msg_id
        self.request = request  # as errors name it
        self.waiter = waiter

    def result(self, timeout: float = 1.0) -> Body:
        """Block until the answer is there, and return its body. May be called again.

        Raises RPCTimeout after `timeout` seconds, and at the end of input; RPCError if the answer
        is an error.
        """
        try:
            body: Body = self.waiter.wait(timeout)
        except TimeoutError:
            raise RPCTimeout(f"no answer to {self.request} within {timeout:g} s") from None
        if body["type"] != "error":
            return body
        code, text = body.get("code"), body.get("text", "")
        if type(code) is not int:
            raise RPCError(Code.CRASH, f"an error without a code: {text}")
        raise RPCTimeout(text) if code == Code.TIMEOUT else RPCError(code, text)


# ---------------------------------------------------------------------------------------------
# Lines in, lines out
# ---------------------------------------------------------------------------------------------

LATE = 1.0  # seconds after which a request whose handler returned None counts as unanswered


class Dispatcher:
    """Makes messages of lines, and lines of answers. A runtime calls it; scripts don't.

    `take_in` completes an answer that somebody waits for, or returns a message that is to be
    handled. It runs no handler, so a thread that reads can call it and go on reading. `handle` runs
    a handler, which may block. Any number of threads may call both at once. Neither raises anything
    but `Stopped`, whatever comes in and whatever handlers do.
    """

    def __init__(self, node: Node, runtime: Runtime) -> None:
        self._node = node
        self._runtime = runtime
        self._handlers: dict[str, Handler] = {}
        self._init_handlers: list[Handler] = []
        self._routes: dict[str, Handler] = {}  # the handlers, once init is done
        self._tasks: list[tuple[float, Callable[[], object]]] = []
        self._id = ""  # the node's, from init on
        self.answers_itself = False  # whether the script has sent an answer by `send`
        self._unanswered: dict[str, Message] = {}  # the first request for which None was returned
        self._msg_ids = count(1)
        self._answers: WeakValueDictionary[int, Answer] = WeakValueDictionary()
        self._closed = False

    # What a runtime calls

    def take_in(self, line: bytes | str) -> Message | None:
        """Take in a line of input, whatever it is. Return what is in it if it is to be handled."""
        try:
            message = decode(line)
        except Exception as error:
            self.complain("dropped a line that is not JSON", f"{_quote(line)}: {error}")
            return None
        try:
            src, dest, body = message["src"], message["dest"], message["body"]
            in_reply_to = body.get("in_reply_to")
            valid = isinstance(src, str) and isinstance(dest, str) and isinstance(body["type"], str)
        except (TypeError, KeyError, AttributeError):
            valid = False
        if valid and in_reply_to is None:
            return _new(Message, (src, dest, body))
        if not valid:
            self._refuse_malformed(message)
            return None
        answer = self._answers.pop(in_reply_to, None) if type(in_reply_to) is int else None
        if answer is None:
            self._drop_answer(src, body, line)
        else:
            answer.waiter.set(body)
        return None

    def handle(self, message: Message) -> str | None:
        """Let the handler of a message run. Return the line that answers it, if any."""
        body = message.body
        type, msg_id = body["type"], body.get("msg_id")  # before a handler changes the body
        try:
            handler = self._routes.get(type) or self._handle_other
            reply = handler(message)
        except RPCError as error:
            return self._fail(_as_it_came(message, type, msg_id), error)
        except Stopped:
            raise
        except BaseException as error:
            self.log(traceback.format_exc().rstrip())
            crash = RPCError(Code.CRASH, _quote(error))
            return self._error_line(_as_it_came(message, type, msg_id), crash)
        if reply is None:
            if msg_id is not None:
                self._note_unanswered(_as_it_came(message, type, msg_id))
            return None
        try:
            if not isinstance(reply["type"], str):
                raise TypeError("its type is no string")
            line = _encode_message(
                self._id or message.dest, message.src, {**reply, "in_reply_to": msg_id}
            )
        except Exception as error:
            return self._refuse_reply(_as_it_came(message, type, msg_id), reply, error)
        return None if msg_id is None else line  # without a msg_id nobody waits for it

    def receive(self, line: bytes | str) -> None:
        """Take in a line, handle what is in it, write the answer: for a runtime of one thread."""
        message = self.take_in(line)
        answer = None if message is None else self.handle(message)
        if answer is not None:
            self._runtime.write(answer)

    def refuse(self, message: Message, problem: str) -> str | None:
        """The line that says that a message can't be handled now, if somebody waits for it."""
        if message.body.get("msg_id") is None:
            self.complain(
                f"{problem}, so a message was dropped", f"{message.src} sent {_quote(message.body)}"
            )
        return self._error_line(message, RPCError(Code.TEMPORARILY_UNAVAILABLE, problem))

    def close(self) -> None:
        """No more input will come: let nobody wait for an answer."""
        self._closed = True
        self._end_waiting()

    def log(self, text: str) -> None:
        self._node.log(text)

    def complain(self, problem: str, example: str = "") -> None:
        """Log that something is wrong, in one line.

        `problem` has no ": " in it, and doesn't vary from message to message, so that lines which
        say the same can be counted.
        """
        text = f"{problem}: {example}" if example else problem
        self.log(f"maelstrom_node: {' '.join(text.splitlines())}")

    # What the node calls

    def add_handler(self, type: str, handler: Handler) -> None:
        if type == "init":
            self._init_handlers.append(handler)
            return
        first = self._handlers.setdefault(type, handler)
        if first is not handler:
            both = f"{_describe(first)} and {_describe(handler)}"
            raise ValueError(f"two handlers for {type!r}: {both}; a type has one handler")

    def add_task(self, seconds: float, task: Callable[[], object]) -> None:
        self._tasks.append((seconds, task))
        if self._is_ready:
            self._start(seconds, task)

    def expect(self, request: str) -> Answer:
        """An answer to wait for. `request` is what errors call it."""
        answer = Answer(next(self._msg_ids), request, self._runtime.waiter())
        self._answers[answer.msg_id] = answer
        if self._closed:
            self._end_waiting()
        return answer

    def forget(self, answer: Answer) -> None:
        self._answers.pop(answer.msg_id, None)

    def guard(self, function: Callable[..., object], *args: Any) -> None:
        """Run what is nobody's request: its errors go to the log."""
        try:
            function(*args)
        except RPCError as error:
            self.complain(f"{_describe(function)} raised {error}{_asked_in(error)}")
        except (Stopped, SystemExit):
            raise
        except BaseException:
            self.log(traceback.format_exc().rstrip())

    # Inside

    def _handle_other(self, message: Message) -> Body:
        """Handle init, and what has no handler or comes before init."""
        node = self._node
        type, id, ids = (message.body.get(key) for key in ("type", "node_id", "node_ids"))
        if type != "init":
            return self._refuse_type(message)
        if not isinstance(id, str) or not id or not isinstance(ids, list):
            raise RPCError(Code.MALFORMED_REQUEST, "init has a node_id and a list of node_ids")
        if not self._is_ready:
            node.id, node.ids, node.peers = id, ids, [other for other in ids if other != id]
            self._id = id
            for handler in self._init_handlers:
                handler(message)
            self._routes = self._handlers
            for seconds, task in self._tasks:
                self._start(seconds, task)
        elif (id, ids) != (node.id, node.ids):
            raise RPCError(Code.PRECONDITION_FAILED, f"this node is {node.id} already")
        return {"type": "init_ok"}

    def _refuse_type(self, message: Message) -> Body:
        """Say in the log, and in an answer, that nothing handles a message."""
        src, type = message.src, message.body["type"]
        if self._is_ready:
            code = Code.NOT_SUPPORTED
            sender = "a node" if src in self._node.ids else "a client"
            hint = _hint(type, tuple(self._handlers))
            problem = f"no handler takes {_quote(type)} from {sender} ({hint})"
        else:
            code = Code.TEMPORARILY_UNAVAILABLE
            problem = f"{_quote(type)} came before init was done"
        self.complain(problem, f"{src} sent {_quote(message.body)}")
        return {"type": "error", "code": code, "text": problem}

    def _refuse_reply(self, message: Message, reply: Any, error: Exception) -> str | None:
        """Say in the log, and to who waits for an answer, that a handler returned none."""
        kind, example = _kind(reply), _quote(reply)
        if isinstance(reply, dict) and isinstance(reply.get("type"), str):
            kind, example = f"{kind} that is not JSON", f"{example}: {error}"
        elif isinstance(reply, dict):
            kind += ' without a string as its "type"'
        _close_coroutine(reply)
        problem = (
            f"{self._handler_of(message)} returned {kind}, which is no answer "
            '(return a dict with a "type", or None for no answer)'
        )
        self.complain(problem, example)
        return self._error_line(message, RPCError(Code.CRASH, f"{problem}: {example}"))

    def _note_unanswered(self, message: Message) -> None:
        """Say in the log, once per type, that a handler returned None for a request.

        Not of scripts that answer by `send` instead. They may do so later, so this waits a while.
        """
        first = self._unanswered.setdefault(message.body["type"], message)
        if first is not message or self.answers_itself:
            return

        def tell() -> None:
            try:
                self._runtime.sleep(LATE)
            finally:
                if not self.answers_itself:
                    problem = f"{self._handler_of(message)} returned None"
                    problem += ", so the request has no answer"
                    self.complain(problem, f"{message.src} sent {_quote(message.body)}")

        with contextlib.suppress(RuntimeError):  # no thread can be started
            self._runtime.spawn(tell)

    def _handler_of(self, message: Message) -> str:
        """The handler of a message, as complaints name it."""
        type = message.body["type"]
        handler = self._handlers.get(type)
        if handler is None:  # as for init, which may have several
            return f"the handler for {_quote(type)}"
        about = ", ".join(filter(None, (_name(handler), _place(handler))))
        return f"the handler for {_quote(type)} ({about})"

    @property
    def _is_ready(self) -> bool:
        return self._routes is self._handlers

    def _start(self, seconds: float, task: Callable[[], object]) -> None:
        def run() -> None:
            with contextlib.suppress(SystemExit):  # which ends a call, but not the calls to come
                self.guard(task)

        self._runtime.every(seconds, run)

    def _fail(self, message: Message, error: RPCError) -> str | None:
        """The line that answers with an error; if nobody waits for an answer, log it instead."""
        where = _asked_in(error)
        if message.body.get("msg_id") is None:
            text = f"{error}{where}; {message.src} sent {_quote(message.body)}"
            self.complain(f"{self._handler_of(message)} raised {text}")
        return self._error_line(message, RPCError(error.code, error.text + where))

    def _drop_answer(self, src: str, body: Body, line: bytes | str) -> None:
        """Log that an answer came for which nobody waits."""
        # Ids ascend, so one that is taken now is above all that requests have had.
        asked = type(body["in_reply_to"]) is int and 0 < body["in_reply_to"] < next(self._msg_ids)
        type_ = _quote(body["type"])
        if asked:
            problem = f"dropped an answer that came late or twice, of type {type_}"
        else:
            problem = "dropped an answer to a request that it never made"
            problem += f", of type {type_} from {src}"
        text = line if isinstance(line, str) else line.decode(errors="replace")
        self.complain(problem, _quote(text))

    def _error_line(self, message: Message, error: RPCError) -> str | None:
        """The line that answers with an error, if somebody waits for an answer."""
        msg_id = message.body.get("msg_id")
        if msg_id is None:
            return None
        body = {"type": "error", "code": error.code, "text": error.text, "in_reply_to": msg_id}
        return _encode_message(self._id or message.dest, message.src, body)

    def _refuse_malformed(self, message: Any) -> None:
        """Answer what is no proper message with an error, or log it."""
        match message:
            case {"src": str(src), "body": {"msg_id": int()} as body, **rest}:
                dest = rest.get("dest")
                if body.get("in_reply_to") is None and (self._id or isinstance(dest, str)):
                    problem = "a message has a src, a dest and a body with a type"
                    error = RPCError(Code.MALFORMED_REQUEST, problem)
                    answer = self._error_line(Message(src, str(dest), body), error)
                    if answer is not None:
                        self._runtime.write(answer)
                    return
        self.complain("dropped a line that is not a message", _quote(message))

    def _end_waiting(self) -> None:
        for ref in self._answers.valuerefs():  # a copy, whatever other threads add meanwhile
            answer = self._answers.pop(ref.key, None)
            if answer is not None:
                answer.waiter.set({"type": "error", "code": 0, "text": "end of input"})


@lru_cache(maxsize=256)
def _hint(type: str, known: tuple[str, ...]) -> str:
    """What may be meant by a type that no handler takes."""
    if type.endswith("_ok"):
        return "an answer has an in_reply_to"
    from difflib import get_close_matches  # takes long to import

    for near in get_close_matches(type, known, 1):
        return f"did you mean {near!r}?"
    return f"there are handlers for {', '.join(map(repr, known))}" if known else "there are none"


def _kind(value: object) -> str:
    """What a value is: "a set", "an int"."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


# ---------------------------------------------------------------------------------------------
# Maelstrom's services
# ---------------------------------------------------------------------------------------------

REQUIRED: Any = object()
MISSING: Any = object()


class KV:
    """A client of one of Maelstrom's key-value services: lin-kv, seq-kv or lww-kv.

    lin-kv is linearizable; seq-kv is sequentially consistent, so that a read may be stale; lww-kv
    keeps the last write, by clocks that may be wrong. Keys and values are anything that JSON knows.

    Every method sends a request, or several, and blocks for `timeout` seconds at most for each.
    All raise RPCTimeout if no answer comes, and RPCError if the service answers with an error.
    https://github.com/jepsen-io/maelstrom/blob/main/doc/services.md
    """

    def __init__(self, node: Node, service: str, timeout: float = 1.0) -> None:
        self.timeout = timeout
        self._node = node
        self._service = service

    def read(self, key: Any, default: Any = REQUIRED) -> Any:
        """Return the value of a key.

        Where the key doesn't exist, return `default` if it is given, or raise RPCError 20.
        """
        try:
            return self._ask(type="read", key=key)["value"]
        except RPCError as error:
            if default is REQUIRED or error.code != Code.KEY_DOES_NOT_EXIST:
                raise
            return default

    def write(self, key: Any, value: Any) -> None:
        """Set a key to a value, whatever it was."""
        self._ask(type="write", key=key, value=value)

    def cas(self, key: Any, from_: Any, to: Any, create_if_not_exists: bool = False) -> None:
        """Change the value of a key from `from_` to `to` (compare and set).

        Raises RPCError 22 if the value is another one, 20 if the key doesn't exist; with
        `create_if_not_exists` the key is created instead.
        """
        body = {"type": "cas", "key": key, "from": from_, "to": to}
        if create_if_not_exists:
            body["create_if_not_exists"] = True
        self._ask(**body)

    def create_if_not_exists(self, key: Any, value: Any) -> None:
        """Set a key to a value if the key doesn't exist; do nothing if it does."""
        try:
            self.cas(key, value, value, create_if_not_exists=True)
        except RPCError as error:
            if error.code == Code.KEY_DOES_NOT_EXIST:  # lww-kv creates by writing only
                self.write(key, value)
            elif error.code not in (Code.KEY_ALREADY_EXISTS, Code.PRECONDITION_FAILED):
                raise

    def update(self, key: Any, function: Callable[[Any], Any], default: Any = REQUIRED) -> Any:
        """Replace a value by `function(value)` atomically, and return the new value.

        The function is called again whenever another client has changed the value meanwhile, so it
        should do nothing but compute. `default`, if given, is the value of a key that doesn't
        exist; without it such a key raises RPCError 20. An error after which the change may have
        happened (a time-out, 13) is raised, and not tried again.
        """
        races = (Code.KEY_DOES_NOT_EXIST, Code.KEY_ALREADY_EXISTS, Code.PRECONDITION_FAILED)
        cas_creates = True
        while True:
            old = self.read(key, default if default is REQUIRED else MISSING)
            exists = old is not MISSING
            old = old if exists else default
            new = function(decode(encode(old)))  # a copy, lest it changes `old` in place
            if not exists and not cas_creates:
                self.write(key, new)
                return new
            try:
                self.cas(key, old, new, create_if_not_exists=not exists)
                return new
            except RPCError as error:
                if error.code not in races:
                    raise
                # lww-kv ignores create_if_not_exists. There the last write wins anyway.
                cas_creates = exists or error.code != Code.KEY_DOES_NOT_EXIST

    def _ask(self, **body: Any) -> Body:
        return self._node.rpc(self._service, body, self.timeout)


class TSO:
    """A client of Maelstrom's timestamp oracle, lin-tso. `timeout` is in seconds."""

    def __init__(self, node: Node, timeout: float = 1.0) -> None:
        self.timeout = timeout
        self._node = node

    def ts(self) -> int:
        """Return an integer greater than any that the oracle has given to any node before.

        Blocks for `timeout` seconds at most. Raises RPCTimeout and RPCError.
        """
        ts: int = self._node.rpc("lin-tso", {"type": "ts"}, self.timeout)["ts"]
        return ts


# ---------------------------------------------------------------------------------------------
# Replication
# ---------------------------------------------------------------------------------------------


class Log:
    """The entries of one life of a node, as far as they are here. The first may be dropped."""

    __slots__ = ("dropped", "early", "entries")

    def __init__(self) -> None:
        self.dropped = 0  # how many entries there were before those in `entries`
        self.entries: list[Any] = []
        self.early: dict[int, Any] = {}  # entries before their turn, by number

    def __len__(self) -> int:
        """How many entries there have been, without a gap."""
        return self.dropped + len(self.entries)

    def since(self, number: int) -> list[Any]:
        return self.entries[number - self.dropped :]


class Replication:
    """Data that every node must have, despite lost messages, and lost nodes.

    Each node has a *log*, a list of entries to which only that node appends. Every node gets the
    entries of every log, in the order of the log. Entries are anything that JSON knows, but null,
    which stands for entries that are lost. A node that is started again has lost its memory, so
    each *life* of a node has a log of its own. It is named after the node and the time at which the
    life began: `n1.0kB3xF`. The node learns from its peers what it has forgotten.

    A *version vector* says how much of every log a node has: one number per log, however many
    entries there are. A message tells what in it is new to its receiver, so it acknowledges for
    free.

    - Push. `append` adds an entry, `push` sends it on its way: at once, or, with the dial
      `max_latency`, in a batch with what comes after it.
    - Repair. A node that has waited too long for an acknowledgement, or that sees a gap in what it
      is sent, sends "compare", and then each of the two sends what the other lacks.
    - Silence. A peer that doesn't answer is marked silent and is sent no more entries. It is probed
      now and then; as soon as one silent peer is heard, all are probed.
    - Disk. With `durable`, a folder, what a node has is in a file before the node relies on it. So
      it goes on with its life after a crash, and forgets nothing.
    - Memory. If `state` and `merge` are overridden, old entries are dropped: a peer that lacks some
      of them gets the state instead.

    A subclass says what an entry does, by overriding `apply`, and may override the other methods
    of the first group. They are called with the lock held, except `delay`, `first_asked` and
    `on_message`. The messages have the types "news" and "compare".

    `lock` is the script's: it guards the logs and whatever the script computes from them.
    `patience` is for how many seconds an entry may remain unacknowledged before the node asks; a
    peer that is seldom heard is given longer.

    A method that must be called with the lock held, or without it, raises RuntimeError otherwise.
    But a plain lock doesn't tell who holds it. So where the lock must be held, it is enough that
    any thread holds it; where the caller must not hold it, the error comes after LOCK_TIMEOUT.

    The idea is anti-entropy: Demers and others, Epidemic Algorithms for Replicated Database
    Maintenance, 1987; the vectors are those of Parker and others, 1983.
    """

    STABILITY = False  # must each node know what every node has, of every log? See `settle`
    BATCHES = 1  # how many batches after one another have to fit into `max_latency`
    MARGIN = 0.01  # seconds that a batch leaves early, for what computing takes
    KEPT = 10_000  # entries of the lives of a node that are not dropped
    MOST_PATIENCE = 9.0  # seconds, with a peer that is seldom heard
    CHECK_INTERVAL = 0.5  # seconds from one check for the unacknowledged to the next
    TIMEOUT = 0.7  # seconds that an answer may take
    GRACE = 0.1  # seconds that messages may overtake one another before a gap is a loss
    LOCK_TIMEOUT = 4.0  # seconds to wait for the lock: fewer than Maelstrom's clients wait, 5

    def __init__(self, node: Node, lock: threading.Lock, patience: float = 1.0) -> None:
        self.node = node
        self.max_latency = 0.0  # seconds until every node should have an entry; 0 is at once
        self.durable: str | None = None  # the folder of the files of all nodes
        self.lock = lock  # guards everything below, and what the script keeps
        self.patience = patience  # seconds that an entry may remain unacknowledged
        self.own = ""  # the log of this life of this node
        self.logs: dict[str, Log] = {}  # as far as they are here
        self._logs_of: dict[str, list[str]] = {}  # node -> the logs of its lives
        self.acked: dict[str, dict[str, int]] = {}  # peer -> how much it has of each, as it told us
        self.stable: dict[str, int] = {}  # log -> how many entries every node has, see `settle`
        self.silent: dict[str, bool] = {}  # who didn't answer, the one asked longest ago first
        self._lives: dict[str, str] = {}  # peer -> the log of its present life
        self._claimed: dict[str, dict[str, int]] = {}  # peer -> the same as `acked`, but unproved
        self._partly_known: set[str] = set()  # peers started again that haven't told all since
        self._sent: dict[str, dict[str, int]] = {}  # peer -> how much of which log it was sent
        self._told: dict[str, dict[str, int]] = {}  # peer -> what we acknowledged
        self._heard: dict[str, float] = {}  # peer -> when
        self._since = 0.0  # when this process began its life
        self._received = 0  # messages since
        self._intervals: dict[str, float] = {}  # peer -> seconds from message to message, about
        self._asked: set[str] = set()  # who has been asked, and may still answer
        self._to_meet: set[str] = set()  # who must be asked in this life
        self._met: set[str] = set()  # who has answered in this life
        self._suspected: set[str] = set()  # who has been asked as a suspect since the last check
        self._mending: set[str] = set()  # who sent something after a gap
        self._checks: list[dict[str, int]] = [{}]  # what we had at the last checks, and at first
        self._is_fresh = False  # is there something to send?
        self._batch_waits = False  # is there a batch that will be sent?
        self._round_trips: deque[float] = deque(maxlen=2)  # seconds that the last answers took
        self._journal: Journal | None = None
        self._recovered = False  # did this life begin before this process?
        node.on("init")(self._init)
        node.on("news")(self._news)
        node.on("compare")(self._compare)
        node.every(self.CHECK_INTERVAL)(self._check)
        node.every(self.TIMEOUT)(self._try_the_silent)

    # What a subclass may say

    def apply(self, log: str, entry: Any) -> None:
        """Let an entry of a log take effect.

        Called once for each entry, in the order of its log, with the lock held. It must not block.
        After a restart it is called again for entries of earlier lives. If `state` is overridden,
        it may also be called for entries whose effect `merge` has brought already.
        """

    def settle(self, log: str, entry: Any) -> None:
        """Called for each entry that is *stable*, in the order of its log, if STABILITY is set.

        Every node has it, and whatever a node had appended before it had the entry is here. So
        what is still unknown here was appended by nodes that knew this entry.
        """

    def state(self) -> Any:
        """Return what the entries up to now have brought about, as JSON. None: keep all entries."""

    def merge(self, state: Any) -> None:
        """Let a peer's state take effect, in addition to what is here."""

    def add_entries(self, log: str, first: int, entries: list[Any]) -> None:
        """Put entries into a log; the first of them has the number `first`.

        Entries that are there already are left alone; those after a gap wait until it is filled.
        Must be called with the lock held.
        """
        self._check_locked("add_entries")
        kept = self._log(log)
        before = len(kept)
        for number, entry in enumerate(entries, first):
            if number >= before:
                kept.early[number] = entry
        while len(kept) in kept.early:
            entry = kept.early.pop(len(kept))
            kept.entries.append(entry)
            if entry is not None:
                self.apply(log, entry)
        if self._journal and len(kept) > before:
            self._journal.append([log, before, *kept.since(before)])

    def unacknowledged(self) -> dict[str, dict[str, int]]:
        """Return the logs that this node brings to each peer.

        They are peer -> log -> number of entries that the peer has acknowledged. By default a node
        brings only its own logs, those of all its lives. Must be called with the lock held.
        """
        self._check_locked("unacknowledged")
        own = self.logs_of(self.node.id)
        return {
            peer: {log: self.acked[peer].get(log, 0) for log in own} for peer in self.node.peers
        }

    def acknowledges(self, peer: str) -> list[str]:
        """Return the logs that this node acknowledges to a peer: by default, those of the peer."""
        return list(self.logs) if self.STABILITY else self.logs_of(peer)

    def acknowledges_alone(self) -> bool:
        """Is an acknowledgement enough of a reason to send a batch?"""
        return self.STABILITY

    def delay(self) -> float:
        """Return how many seconds from now the next batch should leave; 0 is at once."""
        if not self.max_latency:
            return 0.0
        return max(0.0, self.max_latency / self.BATCHES - (self.rtt or 0.0) / 2 - self.MARGIN)

    def on_batch(self) -> Body:
        """Called when a batch leaves. Return further fields of its messages, for `on_message`."""
        return {}

    def on_message(self, peer: str, body: Body) -> None:
        """Called with the body of every message from a peer, after its entries are in the logs."""

    def first_asked(self) -> list[str]:
        """Return the peers to compare with when a life begins."""
        if self.STABILITY or self._recovered:
            return self.node.peers
        return self.node.peers[:2] if self.max_latency else []

    # What a script does

    def parse_args(self, description: str) -> None:
        """Take `--max-latency TIME` and `--durable FOLDER` from the command line."""
        import argparse  # most nodes don't need it, and it takes a while

        parser = argparse.ArgumentParser(description=description)
        parser.add_argument(
            "--max-latency",
            type=_seconds,
            default=0.0,
            metavar="TIME",
            help="how long it may take until every node has something: 0 (at once), 600ms, 2s, …",
        )
        parser.add_argument(
            "--durable",
            metavar="FOLDER",
            help="where each node keeps a file of what it has, to go on from after a crash; "
            "a new folder for each test",
        )
        args = parser.parse_args()
        self.max_latency, self.durable = args.max_latency, args.durable
        if self.durable:
            try:
                os.makedirs(self.durable, exist_ok=True)
            except OSError as error:
                parser.error(f"argument --durable: {error}")

    def append(self, entry: Any) -> None:
        """Append an entry, which isn't None, to this node's log.

        Must be called with the lock held.
        """
        self._check_locked("append")
        if entry is None:
            raise ValueError("append was given None, which stands for a lost entry in a log")
        self.add_entries(self.own, len(self.logs[self.own]), [entry])
        self._is_fresh = True
        self._find_stable()

    def push(self) -> None:
        """Send what was appended on its way, at once or in a batch; make it durable before.

        To be called after `append` and before a client is answered; doesn't wait for peers. Must be
        called without the lock.
        """
        self.sync()
        if self._is_fresh:
            self._send_soon()

    def sync(self) -> None:
        """Return when all that is in the logs is on the disk, if it is to be durable.

        Call it before you answer with something that would be missed after a crash.
        """
        if self._journal:
            self._journal.sync()

    def ask(self, peer: str) -> bool:
        """Compare vectors with a peer, so that each sends what the other lacks, of any log.

        Blocks for TIMEOUT at most. Return whether the peer answered; False, too, if it is being
        asked already. Must be called without the lock.
        """
        return self._compare_with(peer, True)

    def _compare_with(self, peer: str, everything: bool) -> bool:
        """Compare, either everything, or what the two bring and acknowledge to each other."""
        with self._locked_for("ask"):
            if peer in self._asked:
                return False
            self._asked.add(peer)
            question = self._about_us(peer, {}, everything)
        self.sync()
        began = self.node.now()
        answer, is_silent = None, False
        try:
            answer = self.node.rpc(peer, {"type": "compare", **question}, self.TIMEOUT)
        except RPCTimeout:
            is_silent = True
        except RPCError:
            pass  # such as one that isn't ready
        with self.lock:
            self._asked.discard(peer)
            if is_silent:
                was_silent = self.silent.pop(peer, False)  # the one asked last comes last
                self.silent[peer] = True
        if answer is None:
            if is_silent and not was_silent:
                self._send_soon()  # a subclass may know another way for what waits
            return False
        self._round_trips.append(self.node.now() - began)
        self._receive(peer, answer)
        with self.lock:
            counts_now = everything and self._note_met(peer)
            lacking = self._lacking(peer, everything)
            due = {peer: self._about_us(peer, lacking, everything)} if lacking else {}
        self._send_news(due)
        if counts_now and (self._is_fresh or self.STABILITY):
            self._send_soon()
        return True

    @property
    def rtt(self) -> float | None:
        """Seconds that a message and its answer take: the quicker of the last two measured."""
        return min(self._round_trips, default=None)

    def wait_until_met(self) -> None:
        """Return when the peers have told this life what earlier ones may have known.

        A node that numbers things so that all agree must know the numbers that it has seen. If any
        peer knows of an earlier life, all peers must have answered. Otherwise this is taken for the
        first one, and peers that are silent needn't. Blocks for LOCK_TIMEOUT at most, then raises
        RPCError 11. Must be called without the lock.
        """
        until = self.node.now() + self.LOCK_TIMEOUT
        while not self._knows_enough():
            if self.node.now() > until:
                missing = ", ".join(peer for peer in self.node.peers if peer not in self._met)
                problem = f"{self.node.id} has been started, but hasn't heard {missing} since"
                raise RPCError(Code.TEMPORARILY_UNAVAILABLE, problem)
            self.node.sleep(0.01)

    def logs_of(self, node: str) -> list[str]:
        """The logs of all lives of a node, as far as they are known here."""
        return self._logs_of.get(node, [])

    # Inside

    def _check_locked(self, method: str) -> None:
        if not self.lock.locked():
            name = f"{type(self).__name__}.{method}"
            raise RuntimeError(f"{name} must be called with the lock held, but nobody holds it")

    @contextlib.contextmanager
    def _locked_for(self, method: str) -> Iterator[None]:
        """Hold the lock, which the caller of the method must not hold, or it would wait for ever.

        In four tries: if the process stands still for a time, that spoils one of them at most.
        """
        tries = 4
        for _ in range(tries):
            if self.lock.acquire(timeout=self.LOCK_TIMEOUT / tries):
                break
        else:
            name = f"{type(self).__name__}.{method}"
            raise RuntimeError(
                f"{name} must be called without the lock, but the lock was held for "
                f"{self.LOCK_TIMEOUT:g} s, by the caller or by another thread"
            )
        try:
            yield
        finally:
            self.lock.release()

    # A life begins

    def _init(self, message: Message) -> None:
        self._since = self.node.now()
        with self.lock:
            for peer in self.node.peers:
                self._lives[peer] = ""
                self._forget(peer)
            if self.durable:
                self._recover(self.durable)
            if not self._recovered:
                self._begin(f"{self.node.id}.{_life(self.node._runtime.date())}")
        self._meet(self.first_asked())

    def _begin(self, log: str) -> None:
        """Begin a life."""
        self.own = log
        self._log(log)
        if self._journal:
            self._journal.append({"life": log})

    def _recover(self, folder: str) -> None:
        """Take in the file of this node."""
        name = self.node.id.replace("/", "%2F")
        journal = Journal(self.node._runtime, f"{folder}/{name}")
        for record in journal.recover():
            if isinstance(record, list):
                log, first, *entries = record
                self.add_entries(log, first, entries)
            elif "life" in record:
                self._begin(record["life"])
                self._recovered = True
            elif "met" in record:
                self._met.update(record["met"])
            elif "torn" in record:
                problem = "a file had a torn end, which is cut off"
                self.node._dispatcher.complain(problem, f"{record['torn']} bytes of {journal.path}")
            else:
                self._take_state(record)
        self._journal = journal

    def _meet(self, peers: list[str]) -> None:
        """Compare with peers; with those that can't be reached, once they can."""
        self._to_meet.update(peers)
        for peer in peers:
            self.node.spawn(self._meet_one, peer, 1 + (peer == peers[0]))

    def _meet_one(self, peer: str, times: int) -> None:
        """Compare with a peer; with one of them twice, since two answers tell the round trip.

        The first may have waited for the peer to start.
        """
        for _ in range(times):
            while not self.ask(peer) and peer not in self.silent:
                self.node.sleep(self.GRACE)

    def _counts(self) -> bool:
        """Does it count what this node has? Or may its earlier lives have had more?"""
        return len(self._met) >= len(self.node.peers)

    def _knows_enough(self) -> bool:
        """Does this node know what its earlier lives knew, if there were any?"""
        is_first = len(self.logs_of(self.node.id)) == 1
        return self._counts() or (is_first and self._to_meet <= self.silent.keys())

    def _note_met(self, peer: str) -> bool:
        """Note that a peer has told us everything. Return whether what we have counts now."""
        counted = self._counts()
        self._to_meet.discard(peer)
        self._met.add(peer)
        if counted or not self._counts():
            return False
        if self._journal:
            self._journal.append({"met": sorted(self._met)})
        for told in self._told.values():
            told.clear()  # it didn't count
        self._close_gaps()
        self._find_stable()
        return True

    def _close_gaps(self) -> None:
        """Let null stand for entries of earlier lives that nobody has, if somebody has later ones.

        Every peer has told what it has of these lives, and hears nothing of them but from us.
        """
        for log in self.logs_of(self.node.id):
            kept = self.logs[log]
            if kept.early:
                numbers = range(len(kept), max(kept.early) + 1)
                self.add_entries(log, len(kept), [kept.early.get(number) for number in numbers])
                self._is_fresh = True

    # Messages

    def _news(self, message: Message) -> None:
        self._receive(message.src, message.body)

    def _compare(self, message: Message) -> Body:
        self._receive(message.src, message.body)
        everything = message.body.get("everything", False)
        with self.lock:
            lacking = self._lacking(message.src, everything)
            answer = self._about_us(message.src, lacking, everything)
        self.sync()
        return {"type": "compare_ok", **answer}

    def _receive(self, peer: str, body: Body) -> None:
        """Take in the news of a peer, and what it has."""
        life, *own = body["log"]
        log = f"{peer}.{life}"
        news = {log: own, **body.get("others", {})}
        with self.lock:
            former = self._lives[peer]
            if log < former:
                return  # the peer sent this before it was started again
            if log > former:
                self._lives[peer] = log
                self._forget(peer)
                if former:
                    self._partly_known.add(peer)
            lives = len(self.logs_of(self.node.id))
            has_grown = self._take_in(peer, news, body)
            is_restart = lives == 1 < len(self.logs_of(self.node.id))
            self._believe(peer, body)
            self._find_stable()
            is_back = self.silent.pop(peer, False)
            suspects = self._suspects(peer)
            self._note_interval(peer)
            to_mend = peer not in self._mending and any(self.logs[log].early for log in news)
            if to_mend:
                self._mending.add(peer)
        if to_mend:
            self.node.spawn(self._mend, peer)
        for other in sorted(suspects):
            self.node.spawn(self._compare_with, other, self.STABILITY)
        if log > former != "":  # it may have forgotten what it told nobody but us
            self.node.spawn(self.ask, peer)
        if is_restart:
            self._meet(self.node.peers)
        elif is_back:  # so others may be
            for other in list(self.silent):
                self.node.spawn(self.ask, other)
        self.on_message(peer, body)
        if has_grown and (self._is_fresh or self.acknowledges_alone()):
            self._send_soon()

    def _take_in(self, peer: str, news: dict[str, list[Any]], body: Body) -> bool:
        """Put entries into the logs, and note what the peer has. Return whether any are new."""
        claimed, has_grown = self._claimed[peer], "state" in body
        if "state" in body:
            self._take_state(body)
            if self._journal:
                self._journal.append({"state": body["state"], "dropped": body["dropped"]})
        for log, (first, *entries) in news.items():
            before = len(self._log(log))
            self.add_entries(log, first, entries)
            has_grown = has_grown or len(self.logs[log]) > before
            claimed[log] = max(claimed.get(log, 0), first + len(entries))
            if log != self.own and _node_of(log) == self.node.id:
                for other, sent in self._sent.items():  # those that haven't been met will be asked
                    if other == peer or other not in self._met:
                        sent[log] = len(self.logs[log])
                self._is_fresh = True
        for log, early in body.get("early", {}).items():
            for number, entry in early:
                self.add_entries(log, number, [entry])
        for log, number in body.get("has", {}).items():
            self._log(log)
            claimed[log] = max(claimed.get(log, 0), number)
        latest = max(self.logs_of(self.node.id))
        if latest > self.own:  # an earlier life has a later name, so the clock has gone back
            self._begin(f"{latest}0")
        return has_grown

    def _take_state(self, body: Body) -> None:
        """Let a state stand for the entries that a peer has dropped."""
        self.merge(body["state"])
        for log, dropped in body["dropped"].items():
            kept = self._log(log)
            if len(kept) < dropped:
                kept.dropped, kept.entries = dropped, []
                kept.early = {number: e for number, e in kept.early.items() if number >= dropped}
                self.stable[log] = dropped
                self.add_entries(log, dropped, [])  # some may have come early

    def _believe(self, peer: str, body: Body) -> None:
        """Believe what peers have, once we have what they had appended when they said so.

        That matters to `settle`: an entry of theirs that is missing here may come before others. It
        may be one of an earlier life, so a new life must have told of all logs.
        """
        if body.get("new"):
            return
        if body.get("everything"):
            self._partly_known.discard(peer)
        claimed = self._claimed[peer]
        if peer not in self._partly_known and all(
            len(self.logs[log]) >= claimed.get(log, 0) for log in self.logs_of(peer)
        ):
            self.acked[peer].update(claimed)

    def _find_stable(self) -> None:
        if not self.STABILITY or not self._counts():
            return
        for log, kept in self.logs.items():
            known = self.stable.get(log, 0)
            if known < len(kept):
                numbers = [acked.get(log, 0) for acked in self.acked.values()]
                self.stable[log] = max(known, min([len(kept), *numbers]))
                for number in range(known, self.stable[log]):
                    entry = kept.entries[number - kept.dropped]
                    if entry is not None:
                        self.settle(log, entry)

    def _log(self, log: str) -> Log:
        """A log, which is empty until more is known of it."""
        if log not in self.logs:
            self.logs[log] = Log()
            self._logs_of.setdefault(_node_of(log), []).append(log)
        return self.logs[log]

    def _mend(self, peer: str) -> None:
        """Ask for what is missing in a log, unless it was only late."""
        self.node.sleep(self.GRACE + (self.rtt or 0.0))
        with self.lock:
            self._mending.discard(peer)
            has_gap = any(kept.early for kept in self.logs.values())
        if has_gap:
            self._compare_with(peer, self.STABILITY)

    def _forget(self, peer: str) -> None:
        """Know nothing of what a peer has, and has been told."""
        for known in (self.acked, self._claimed, self._sent, self._told):
            known[peer] = {}

    def _note_interval(self, peer: str) -> None:
        """Note how often a peer is heard. A silence counts no more than twice our patience."""
        now = self.node.now()
        if peer in self._heard:
            interval = min(now - self._heard[peer], 2 * self.patience)
            self._intervals[peer] = 0.9 * self._interval(peer) + 0.1 * interval
        self._heard[peer] = now
        self._received += 1

    def _interval(self, peer: str) -> float:
        """About how many seconds there are from one message of a peer to the next.

        If it hasn't been heard twice, it is taken for an average one.
        """
        if peer in self._intervals:
            return self._intervals[peer]
        average = (self.node.now() - self._since) * len(self.node.peers) / (self._received + 1)
        return min(average, 2 * self.patience)

    # What is sent

    def _send_soon(self) -> None:
        """Send what is new, at once or in a batch that leaves later."""
        delay = self.delay()
        if not delay:
            self._send()
            return
        with self._locked_for("push"):
            waits, self._batch_waits = self._batch_waits, True
        if not waits:
            self.node.spawn(self._send_later, delay)

    def _send_later(self, delay: float) -> None:
        self.node.sleep(delay)
        self._send()

    def _send(self) -> None:
        with self._locked_for("push"):
            self._batch_waits = self._is_fresh = False
            bodies = {peer: self._news_for(peer, known) for peer, known in self._due().items()}
            more = self.on_batch()
        self._send_news({peer: {**body, **more} for peer, body in bodies.items() if body})

    def _send_news(self, bodies: dict[str, Body]) -> None:
        """Send messages, and rely on what is in them only when it is on the disk."""
        if bodies:
            self.sync()
        for peer, body in bodies.items():
            self.node.send(peer, {"type": "news", **body})

    def _due(self) -> dict[str, dict[str, int]]:
        """What those who aren't silent haven't acknowledged."""
        every = self.unacknowledged()
        return {peer: known for peer, known in every.items() if peer not in self.silent}

    def _news_for(self, peer: str, known: dict[str, int]) -> Body:
        """What a peer wasn't sent yet, with the acknowledgements that are due. Empty: nothing."""
        news = self._unsent(peer, known)
        due = self._unacknowledged_to(peer)
        if not news and not (due and self.acknowledges_alone()):
            return {}
        is_all = self.STABILITY and due and not self._told[peer]
        body = self._body(peer, news, due)
        return {**body, "everything": True} if is_all else body

    def _unacknowledged_to(self, peer: str) -> dict[str, int]:
        """What is to be acknowledged to a peer. It can wait, if there is another message soon."""
        told, had = self._told[peer], self._had(1)
        waits = self._is_soon(peer) and not self.max_latency and not self.STABILITY
        due = {}
        for log in self._theirs(peer):
            number = len(self.logs[log])
            waited = had.get(log, 0) if waits else number
            if waited > told.get(log, 0):
                due[log] = number
        return due

    def _unsent(self, peer: str, known: dict[str, int]) -> dict[str, list[Any]]:
        """The entries beyond `known` that a peer wasn't sent, which counts them as sent."""
        news, sent = {}, self._sent[peer]
        for log, number in known.items():
            kept = self.logs[log]
            first = max(number, sent.get(log, 0), kept.dropped)
            if first < len(kept):
                news[log] = [first, *kept.since(first)]
                sent[log] = len(kept)
        return news

    def _body(self, peer: str, news: dict[str, list[Any]], has: dict[str, int]) -> Body:
        """A message: our log first; then other logs, and what we have without sending it."""
        own = news.pop(self.own, [len(self.logs[self.own])])
        self._told[peer].update(has)
        body: Body = {"log": [self.own.rpartition(".")[2], *own]}
        if news:
            body["others"] = news
        if has:
            body["has"] = has
        if self.STABILITY and not self._counts():
            body["new"] = True  # what we have doesn't count yet: we may lack what we once had
        return body

    def _about_us(self, peer: str, lacking: Body, everything: bool) -> Body:
        """A message with what a peer lacks, and all that we have of the logs that matter to it.

        Those are the logs that are acknowledged to it, or all.
        """
        logs = [log for log in self.logs if log != self.own] if everything else self._theirs(peer)
        has = {log: len(self.logs[log]) for log in logs if self.logs[log]}
        if everything:  # that there was another life matters, even if it said nothing
            has.update((log, len(self.logs[log])) for log in self._former_lives(peer))
        body = self._body(peer, lacking.pop("news", {}), has)
        return {**body, **({"everything": True} if everything else {}), **lacking}

    def _theirs(self, peer: str) -> list[str]:
        """The logs that are acknowledged to a peer; not ours, whose length each message tells."""
        return [log for log in self.acknowledges(peer) if log != self.own]

    def _former_lives(self, peer: str) -> list[str]:
        return [log for log in self.logs_of(peer) if log != self._lives[peer]]

    def _lacking(self, peer: str, everything: bool) -> Body:
        """What a peer lacks which has just said what it has. Empty: nothing.

        `news` are the entries, and `state` stands for those that are dropped.
        """
        claimed = self._claimed[peer]
        logs = list(self.logs) if everything else list(self.unacknowledged().get(peer, ()))
        dropped = {log: kept.dropped for log, kept in self.logs.items() if kept.dropped}
        self._sent[peer].update((log, claimed.get(log, 0)) for log in logs)
        lacking: Body = {}
        if news := self._unsent(peer, dict.fromkeys(logs, 0)):
            lacking["news"] = news
        if any(claimed.get(log, 0) < dropped.get(log, 0) for log in logs):
            lacking["state"], lacking["dropped"] = self.state(), dropped
        if early := self._early_of(peer):
            lacking["early"] = early
        return lacking

    def _early_of(self, peer: str) -> dict[str, list[tuple[int, Any]]]:
        """What is here, after a gap, of a peer's earlier lives: entries with their numbers."""
        early = {log: sorted(self.logs[log].early.items()) for log in self._former_lives(peer)}
        return {log: pairs for log, pairs in early.items() if pairs}

    # Now and then

    def _check(self) -> None:
        """Ask who should have acknowledged long ago, and acknowledge before others ask."""
        with self.lock:
            self._suspected.clear()
            self._checks.append({log: len(kept) for log, kept in self.logs.items()})
            longest = max(self.patience + self.max_latency, self.MOST_PATIENCE)
            del self._checks[: -ceil(longest / self.CHECK_INTERVAL) - 3]
            every = self._due()
            late = [peer for peer, known in every.items() if self._is_late(peer, known)]
            unmet = sorted(self._to_meet.difference(self.silent))
            if not self._met and len(self._checks) > self._patience_with(""):
                unmet += self._unheard()[:1]
            waiting = [peer for peer in every if self._keeps_waiting(peer)]
            due = {peer: self._body(peer, {}, self._unacknowledged_to(peer)) for peer in waiting}
            self._drop()
        self._send_news(due)
        for peer in dict.fromkeys([*late, *unmet]):
            self.node.spawn(self._compare_with, peer, self.STABILITY or peer in unmet)

    def _unheard(self) -> list[str]:
        """The peers of which nothing is known, as of those who said nothing since our restart.

        What others send tells when something is missing: it comes after a gap.
        """
        after = self.node.ids.index(self.node.id)
        ids = self.node.ids[after:] + self.node.ids[:after]
        return [id for id in ids[1:] if not self.logs_of(id) and id not in self.silent]

    def _patience_with(self, peer: str) -> int:
        """How many checks to wait for an acknowledgement of a peer."""
        patience = self.patience + self.max_latency
        if not self.STABILITY and not self.max_latency:  # it comes with what the peer says anyway
            # Of so many peers about one is not heard for so many intervals.
            usual = ln(max(1, len(self.node.peers))) * self._interval(peer)
            patience = max(patience, min(usual, self.MOST_PATIENCE))
        return ceil(patience / self.CHECK_INTERVAL)

    def _suspects(self, peer: str) -> set[str]:
        """Who lacks something that there was time to acknowledge, if that is so of `peer`.

        The peer has just been heard, so it was lost. What others lack may be lost as well: a
        partition may be over.
        """
        checks = 2 + self._is_soon(peer) + ceil(self.max_latency / self.CHECK_INTERVAL)
        own = self.logs_of(self.node.id)
        if not self._lacks(peer, {log: self.acked[peer].get(log, 0) for log in own}, checks):
            return set()
        due = self._due()
        suspects = {other for other, known in due.items() if self._lacks(other, known, checks)}
        if peer not in suspects:
            return set()
        suspects -= self._suspected
        self._suspected |= suspects
        return suspects

    def _is_soon(self, peer: str) -> bool:
        """Will there be another message soon to and from a peer?"""
        return self._interval(peer) < 2 * self.CHECK_INTERVAL

    def _had(self, checks: int) -> dict[str, int]:
        """What was here so many checks ago."""
        return self._checks[max(0, len(self._checks) - 1 - checks)]

    def _is_late(self, peer: str, known: dict[str, int]) -> bool:
        """Is it too long ago that something was here which a peer hasn't acknowledged?"""
        checks = self._patience_with(peer)
        checks += self.node.id > peer  # two that wait for each other need not both ask
        if self.STABILITY:
            acked = self.acked[peer]
            known = {log: acked.get(log, 0) for log in self.logs}
        return self._lacks(peer, known, checks)

    def _lacks(self, peer: str, known: dict[str, int], checks: int) -> bool:
        """Does a peer, which has so much, lack something that was here so many checks ago?"""
        had = self._had(checks)
        return any(number < had.get(log, 0) for log, number in known.items())

    def _keeps_waiting(self, peer: str) -> bool:
        """Will a peer ask soon, because of something that we haven't acknowledged?"""
        had, told = self._had(self._patience_with(peer) - 1), self._told[peer]
        return any(had.get(log, 0) > told.get(log, 0) for log in self._theirs(peer))

    def _drop(self) -> None:
        """Drop old entries, of a node's earliest life first, if the state can stand for them."""
        if type(self).state is Replication.state:
            return
        for logs in self._logs_of.values():
            surplus = sum(len(self.logs[log].entries) for log in logs) - self.KEPT
            if surplus <= self.KEPT:
                continue  # seldom, and many at a time
            for log in sorted(logs):
                kept = self.logs[log]
                number = min(surplus, len(kept.entries))
                if self.STABILITY:
                    number = min(number, self.stable.get(log, 0) - kept.dropped)
                del kept.entries[:number]
                kept.dropped += number
                surplus -= number

    def _try_the_silent(self) -> None:
        with self.lock:
            peer = next(iter(self.silent), None)
        if peer is not None:
            self.ask(peer)


def _node_of(log: str) -> str:
    return log.rpartition(".")[0]


def _life(date: float) -> str:
    """A name for a life that begins now: later ones are greater, if they begin before 2043.

    It has six digits in base 62 and counts hundredths of seconds since the beginning of 2025.
    """
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number = int((date - 1_735_689_600) * 100)
    return "".join(digits[number // 62**place % 62] for place in range(5, -1, -1))


def _seconds(text: str) -> float:
    """A duration such as 600ms, 2s or 0 in seconds."""
    number = text.removesuffix("ms") if text.endswith("ms") else text.removesuffix("s")
    seconds = float(number) / (1000 if text.endswith("ms") else 1)
    if not 0 <= seconds < float("inf"):
        raise ValueError(text)
    return seconds


class Journal:
    """A file of records, each of them JSON. It survives its process, and the failure of a machine.

    Each record is a line: its CRC-32 in hexadecimal, a space, and the JSON. A crash may leave an
    end of the file that was never synced, and is torn; then `recover` cuts it off.
    """

    def __init__(self, runtime: Runtime, path: str) -> None:
        self.path = path
        self._syncing = runtime.lock()  # held while the file is synced; guards `_synced`
        self._written = 0  # records
        self._synced = 0
        self._problem = ""  # what went wrong; from then on nothing is durable
        self._file: Any = None

    def recover(self) -> Iterator[Any]:
        """Return the records, and get ready to append. Raises OSError."""
        whole = 0
        if os.path.exists(self.path):
            with open(self.path, "rb") as file:
                for line in file:
                    checksum, _, text = line.partition(b" ")
                    if checksum != b"%08x" % crc32(text) or not text.endswith(b"\n"):
                        break
                    whole += len(line)
                    yield decode(text)
            torn = os.path.getsize(self.path) - whole
            if torn:
                yield {"torn": torn}
                os.truncate(self.path, whole)
        self._file = open(self.path, "ab")  # noqa: SIM115
        self._sync_folder()

    def append(self, record: Any) -> None:
        """Add a record; it is durable after the next `sync`. Not to be called by two at once."""
        text = encode(record).encode() + b"\n"
        try:
            self._file.write(b"%08x %b" % (crc32(text), text))
        except OSError as error:
            self._problem = f"can't write {self.path}: {error}"
        self._written += 1  # not before: a sync that is under way would count it

    def sync(self) -> None:
        """Return when what was appended is on the disk. Many may call it; they wait together.

        Raises RPCError 13 if the file can't be written, from then on always.
        """
        written = self._written
        if self._synced >= written:
            return
        with self._syncing:
            if self._synced >= written:
                return
            written = self._written  # before: the problem is known when its record counts
            if not self._problem:
                try:
                    self._file.flush()
                    os.fsync(self._file.fileno())
                    self._synced = written
                    return
                except OSError as error:
                    self._problem = f"can't write {self.path}: {error}"
            raise RPCError(Code.CRASH, self._problem)

    def _sync_folder(self) -> None:
        """Make the name of the file durable, too."""
        folder = os.open(os.path.dirname(self.path), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


# ---------------------------------------------------------------------------------------------
# The runtime: all that a node knows of the world
# ---------------------------------------------------------------------------------------------


class Waiter(ABC):
    """A value that one thread waits for and another supplies, once."""

    @abstractmethod
    def set(self, value: Any) -> None: ...

    @abstractmethod
    def wait(self, timeout: float) -> Any:
        """The value, as soon as it is set. Raises TimeoutError after `timeout` seconds."""


class Runtime(ABC):
    """All that a node knows of the world: its lines, its threads, its clock, its randomness.

    A runtime serves a `Dispatcher`. It calls `take_in` for every line of input; `handle` for every
    message that `take_in` returns, and writes the line that `handle` returns, if any; `refuse`
    instead of `handle` for a message that it can't handle soon; and `close` at the end of input.
    All of these may be called from any thread. `receive` does all of it for one line, for a
    runtime that runs handlers where it reads.

    A runtime may raise `Stopped` in code of a node that has ended, where that code waits or goes
    on. All times are in seconds.
    """

    random: Random

    def date(self) -> float:
        """Seconds since the beginning of 1970."""
        return time.time()

    def lock(self) -> threading.Lock:
        """Return a new lock, for what threads of a node share."""
        return threading.Lock()

    @abstractmethod
    def serve(self, dispatcher: Dispatcher) -> None:
        """Handle messages until the end of input."""

    @abstractmethod
    def write(self, line: str) -> None:
        """Send a line, which is given without its newline."""

    @abstractmethod
    def waiter(self) -> Waiter:
        """Return a new waiter, for one answer."""

    @abstractmethod
    def spawn(self, function: Callable[..., object], *args: Any) -> None:
        """Run a function in the background. SystemExit ends it, as it ends a thread.

        Raises RuntimeError if no thread can be started.
        """

    @abstractmethod
    def every(self, seconds: float, function: Callable[[], object]) -> None:
        """Run a function in the background once per period, after the first one has passed."""

    @abstractmethod
    def sleep(self, seconds: float) -> None:
        """Block the caller."""

    @abstractmethod
    def now(self) -> float:
        """Seconds on a clock that never goes back."""


# ---------------------------------------------------------------------------------------------
# The usual runtime: stdin, stdout and threads
# ---------------------------------------------------------------------------------------------

CHUNK = 1 << 16  # bytes to read at once
ANSWER = b"in_reply_to"  # what answers contain (the queue is for one that spells it otherwise)
TICK = 0.002  # seconds for which a handler may keep those behind it waiting
CROWD = 1_000  # waiting requests above which the reader leaves the handlers a TICK per chunk
MOST_THREADS = 2_000  # handlers that run or wait at once
MOST_UNWRITTEN = 1_000  # unwritten lines above which a thread that writes has to wait
MOST_UNHANDLED = 100_000  # waiting requests above which the reader has to wait for stdout, too
JOINED = 100  # lines to gather before they are written, while requests wait
DRAIN = 5.0  # seconds for which handlers may go on after the end of input


class StdioRuntime(Runtime):
    """Lines from stdin and to stdout, handlers in the threads of a ThreadPoolExecutor.

    One thread, the *reader*, reads all input. The reader completes answers itself, so that no
    answer waits behind a request, and puts requests into a queue. A *handler thread* takes requests
    from the queue until it is empty, and writes many answers at once: waking a thread for each
    request would cost several times as much as a quick handler. Then the thread stays, and waits to
    be woken: a task of its own for the pool would cost as much as the quick handler.

    A handler may block, and then its thread takes no more requests. So the reader adds a handler
    thread when a request comes into an empty queue, and doubles the number of threads whenever
    requests have waited for a TICK and none was taken: if a thousand handlers block, each has a
    thread after ten ticks. `rpc` and `sleep` are known to block, and add a thread at once. If no
    more threads can be started, the requests that wait are refused (error 11).

    If nobody reads stdout, threads that write wait; if very many requests wait as well, the reader
    waits, too. At the end of input the waiting requests are still handled; only a handler that
    takes longer than DRAIN is abandoned.

    What guards what: the queue guards itself, and so does the outbox, a list to which all threads
    append and from which only the holder of `_writing` takes. `_counting` guards `_threads` and
    `_busy`. `_waiting` and `_stalled` belong to the reader, and after the end of input to the
    thread that serves.
    """

    def __init__(self, stdin: int = 0, stdout: int = 1) -> None:
        self.random = Random()
        self._stdin = stdin
        self._stdout = stdout
        self._dispatcher: Dispatcher
        self._pool = ThreadPoolExecutor(MOST_THREADS, "handler")
        self._background: set[threading.Thread] = set()
        self._requests: SimpleQueue[bytes] = SimpleQueue()  # lines that no thread has taken
        self._waiting = 0  # how many those were at the last look
        self._stalled = 0.0  # seconds for which none has been taken
        self._threads = 0  # handler threads that there are
        self._busy = 0  # how many of those are at work, or about to be
        self._wakeups: SimpleQueue[bool] = SimpleQueue()  # for the others; False ends them
        self._counting = threading.Lock()
        self._outbox: list[str] = []  # lines to write
        self._writing = threading.Lock()
        self._ended = threading.Event()  # no more input will come
        self._status: int | None = None  # exit status, if the reader or a writer failed

    def serve(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        in_main = threading.current_thread() is threading.main_thread()
        # Ctrl-C is no reason for a traceback, and on stderr a stray print does no harm.
        interrupt = signal.signal(signal.SIGINT, signal.SIG_DFL) if in_main else None
        stdout, sys.stdout = sys.stdout, sys.stderr
        try:
            self._pool.submit(int)  # so that there is a thread; without any, it is an error here
            threading.Thread(target=self._read, name="reader", daemon=True).start()
            self._ended.wait()
            self._finish()
        finally:
            self._wakeups.put(False)  # an exception, too, ends the threads that wait
            sys.stdout = stdout
            if interrupt is not None:
                signal.signal(signal.SIGINT, interrupt)

    def write(self, line: str) -> None:
        self._outbox.append(line)
        if self._requests.empty() or len(self._outbox) >= JOINED:  # or else others will join it
            self._flush()

    def waiter(self) -> Waiter:
        return LockWaiter(self._wait)

    def spawn(self, function: Callable[..., object], *args: Any) -> None:
        def run() -> None:
            try:
                with contextlib.suppress(Stopped, SystemExit):
                    function(*args)
            finally:
                self._background.discard(thread)

        thread = threading.Thread(target=run, name="background", daemon=True)
        self._background.add(thread)
        try:
            thread.start()
        except RuntimeError:  # no more can be started
            self._background.discard(thread)
            raise

    def every(self, seconds: float, function: Callable[[], object]) -> None:
        def run() -> None:
            due = self.now()
            while True:
                due = max(due + seconds, self.now())
                self.sleep(due - self.now())
                function()

        self.spawn(run)

    def sleep(self, seconds: float) -> None:
        if threading.current_thread() not in self._background:
            self._wait(time.sleep, max(0.0, seconds))
        elif self._ended.wait(seconds):
            raise Stopped

    def now(self) -> float:
        return time.monotonic()

    def _wait(self, wait: Callable[..., Any], *args: Any) -> Any:
        """Call what waits; others go on meanwhile."""
        self._flush()
        if not self._requests.empty():
            self._add_threads(1)
        return wait(*args)

    # The reader

    def _read(self) -> None:
        """Take in all lines, until the end of input."""
        try:
            partial: list[bytes] = []  # of a line whose end has not come yet
            while chunk := self._next_chunk():
                lines, newline, rest = chunk.rpartition(b"\n")
                if not newline:
                    partial.append(chunk)
                    continue
                self._take_in(b"".join([*partial, lines]))
                partial = [rest] if rest else []
            if partial:
                self._take_in(b"".join(partial))
            self._dispatcher.close()
            self._ended.set()
        except BaseException:
            self._give_up()

    def _next_chunk(self) -> bytes:
        """Wait for input, and look after what waits meanwhile. Empty at the end of input."""
        try:
            while self._needs_looking_after():
                began = time.monotonic()
                crowded = self._requests.qsize() > CROWD
                if crowded:  # handlers come first, but for a TICK only: answers may be waited for
                    time.sleep(TICK)
                ready, _, _ = select.select([self._stdin], [], [], 0 if crowded else TICK)
                self._look_after(time.monotonic() - began)
                if ready:
                    break
            return os.read(self._stdin, CHUNK)
        except OSError as error:
            if error.errno != EBADF:
                raise
            return b""  # a closed stdin is one at its end

    def _needs_looking_after(self) -> bool:
        # In this order: the answer to a request is in the outbox before the next one is taken.
        return not self._requests.empty() or bool(self._outbox)

    def _is_at_work(self) -> bool:
        return bool(self._busy or self._background) or self._needs_looking_after()

    def _look_after(self, seconds: float) -> None:
        """Add threads if no request was taken while the reader let others run, for `seconds`."""
        waiting = self._requests.qsize()
        if len(self._outbox) > MOST_UNWRITTEN:  # handlers wait for stdout, and so would others
            if waiting > MOST_UNHANDLED:
                self._flush()
            return
        self._stalled = self._stalled + seconds if waiting == self._waiting else 0.0
        self._waiting = waiting
        if self._stalled >= TICK:
            self._stalled = 0.0
            if waiting:
                self._add_threads(min(waiting, max(1, self._busy)))
            elif self._outbox and not self._writing.locked():
                self._add_threads(1)  # which writes

    def _take_in(self, block: bytes) -> None:
        """Complete the answers among these lines, and leave the rest to handler threads."""
        lines = block.split(b"\n")
        if ANSWER in block:
            take_in = self._dispatcher.take_in
            lines = [line for line in lines if ANSWER not in line or take_in(line)]
        alone = bool(lines) and self._requests.empty()
        for line in lines:
            self._requests.put(line)
        self._waiting += len(lines)
        if alone:
            self._add_threads(1)

    # The handler threads

    def _add_threads(self, number: int) -> None:
        """Let more threads take requests; if there can't be more, refuse those that wait."""
        for _ in range(number):
            if not self._add_thread():
                self._refuse_requests()
                break

    def _add_thread(self) -> bool:
        with self._counting:
            if self._busy == MOST_THREADS:
                return False
            self._busy += 1
            if self._busy <= self._threads:
                self._wakeups.put(True)
                return True
            self._threads += 1
        try:
            self._pool.submit(self._work)
        except RuntimeError:  # no more can be started; the first thread that is free will do it
            with self._counting:
                self._threads -= 1
            self._wakeups.put(True)
            return False
        return True

    def _work(self) -> None:
        """Handle the requests that wait, and again whenever this is woken."""
        awake = True
        while awake:
            self._handle_waiting()
            with self._counting:
                self._busy -= 1
            awake = self._wakeups.get()
        self._wakeups.put(False)  # for the next

    def _handle_waiting(self) -> None:
        """Handle requests until none waits."""
        take_in, handle = self._dispatcher.take_in, self._dispatcher.handle
        requests, outbox = self._requests, self._outbox
        try:
            with contextlib.suppress(Empty):
                while True:
                    message = take_in(requests.get_nowait())
                    answer = handle(message) if message else None
                    if answer:
                        outbox.append(answer)  # as `write` does, whose call would cost 4 %
                    if requests.empty() or len(outbox) >= JOINED:
                        self._flush()
            self._flush()
        except BaseException:
            self._give_up()

    def _refuse_requests(self) -> None:
        problem = f"no thread is free, all {self._busy} handlers are busy"
        with contextlib.suppress(Empty):
            while True:
                message = self._dispatcher.take_in(self._requests.get_nowait())
                answer = self._dispatcher.refuse(message, problem) if message else None
                if answer:
                    self.write(answer)
        self._flush()

    # Writing

    def _flush(self) -> None:
        """Write the outbox. If another thread is at it, leave it to that one.

        If too much is in the outbox, wait for that thread.
        """
        while self._outbox and self._writing.acquire(len(self._outbox) > MOST_UNWRITTEN):
            try:
                lines = self._outbox[:]  # none, if another thread has been quicker
                del self._outbox[: len(lines)]
                data = memoryview("\n".join([*lines, ""]).encode())
                while data:
                    data = data[os.write(self._stdout, data) :]
            except BrokenPipeError:
                self._give_up("", status=0)  # nobody is there who could hear of it
            except OSError as error:
                self._give_up(f"can't write to stdout: {error}")
            except BaseException:
                self._give_up()
            finally:
                self._writing.release()

    # The end

    def _give_up(self, problem: str | None = None, status: int = 1) -> None:
        """Nothing can be read any more, or written: end the process.

        `problem` says why, or else the exception that is being handled.
        """
        if self._status is None:
            self._status = status
            if problem is None:
                self._dispatcher.log(traceback.format_exc().rstrip())
            elif problem:
                self._dispatcher.complain(problem)
        self._ended.set()

    def _finish(self) -> None:
        """Let what is in flight end and be written; give up on what makes no progress in DRAIN."""
        left, deadline = 0, self.now() + DRAIN
        while self._is_at_work() and self._status is None and self.now() < deadline:
            time.sleep(TICK)
            began = self.now()
            with self._writing:  # the time that stdout takes is no handler's fault
                deadline += self.now() - began
            self._look_after(TICK)
            if self._waiting != left:
                left, deadline = self._waiting, self.now() + DRAIN
        if self._status is None:
            with self._writing:  # so that a thread that is at it is through
                pass
            if self._busy:
                problem = f"gave up on handlers that took {DRAIN:g} s after the end of input"
                self._give_up(problem, status=0)
        if self._status is not None:
            os._exit(self._status)  # threads may wait for ever
        self._wakeups.put(False)
        self._pool.shutdown(cancel_futures=True)  # those that found no thread


class LockWaiter(Waiter):
    """A value that a thread waits for on a lock; `wait_for` calls what waits."""

    __slots__ = ("_lock", "_value", "_wait_for")

    def __init__(self, wait_for: Callable[..., Any]) -> None:
        self._wait_for = wait_for
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self, value: Any) -> None:
        self._value = value
        self._lock.release()

    def wait(self, timeout: float) -> Any:
        seconds = min(max(0.0, timeout), threading.TIMEOUT_MAX)
        there = self._lock.acquire(blocking=False)
        if not there and not self._wait_for(self._lock.acquire, True, seconds):
            raise TimeoutError
        self._lock.release()  # for who asks again
        return self._value


default_runtime: Callable[[], Runtime] = StdioRuntime
