"""Simulated clusters for your tests: `cluster = simulate("broadcast.py", nodes=5, seed=1)`.

    def test_a_value_reaches_everybody(simulate):
        cluster = simulate("broadcast.py", nodes=5)
        cluster.request("n0", "broadcast", message=7)
        cluster.advance(1)
        assert cluster.request("n4", "read")["messages"] == [7]

`simulate` is a fixture. pytest finds it if the package is installed; in a checkout, import it with
`from glomers.testing import simulate`.

Time is virtual: it passes only in `advance` and while the test waits for an answer. The test can
play nodes, which are named in `played`. They run no script. A message to such a node is answered by
a function (`play`), or waits until the test says that the message was expected (`assert_sent`).

A test fails if a node raises an exception that the test doesn't expect, or if messages that nobody
expected are left at its end. What nodes print is in pytest's captured output. See docs/testing.md.

`replay` runs a scenario, such as that of the smallest run that fails:
`replay(text, script).assert_valid()`.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, cast

from glomers.errors import NodeError, UsageError, did_you_mean, quote
from glomers.history.node_logs import Finding, LogReader
from glomers.history.times import NANOS, nanos
from glomers.options import LATENCY_DISTRIBUTIONS, PREEMPT, PREEMPT_BY, Options
from glomers.plugin import simulate as simulate
from glomers.run.build import make_world, scripts
from glomers.run.checks import Check, Denial
from glomers.run.hard import harder
from glomers.run.regression import Replayed as Replayed
from glomers.run.regression import replay as replay
from glomers.simulated.disk import lose_all
from glomers.simulated.nodes import SimulatedCluster
from glomers.simulated.turns import TurnLoop
from glomers.simulated.view import LogLine, Pattern, View, told, unknown
from glomers.world.error_codes import error_code
from glomers.world.network import Body, Message

# pytest leaves this module's lines out of tracebacks: a failure is shown at the test's own line.
__tracebackhide__ = True

CLIENT = re.compile(r"c\d+")


class RequestError(Exception):
    """A node answered with an error: its `code` (None if it has none), its `text`.

    If the node raised an exception meanwhile, `str(error)` also names the exception and its place.
    """

    def __init__(self, body: Body, cause: str = "") -> None:
        self.code: int | None = body.get("code")
        self.text: str = body.get("text", "")
        words = f"error {self.code} ({error_code(self.code).name}): {self.text}"
        super().__init__(f"{words}\n{cause}" if cause else words)


class UnexpectedException(AssertionError):
    """A node raised exceptions that the test doesn't expect (see `Simulation.expect_exception`).

    `exceptions` holds them, in order.
    """

    def __init__(self, exceptions: Sequence[RaisedException]) -> None:
        self.exceptions = tuple(exceptions)
        first = self.exceptions[0]
        super().__init__(
            f"{_told(self.exceptions)}\n"
            f'If it is expected: with cluster.expect_exception("{first.node}", {first.kind}):'
        )


class CheckFailed(AssertionError):
    """A check of `Simulation.always` didn't hold any more, or one of `eventually` never did.

    `time` is when, in virtual seconds.
    """

    def __init__(self, text: str, time: float) -> None:
        self.time = time
        super().__init__(text)


@dataclass(frozen=True)
class RaisedException:
    """An exception whose traceback a node logged.

    `kind` is the name of its class, `text` its last line with the function and the line of the
    node's code that raised it: "KeyError: 'vals' in gossip (mine.py:44)".
    """

    node: str
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.node} raised {self.text}"


class PendingRequest:
    """A request under way, made by `Simulation.start_request`."""

    def __init__(self, cluster: Simulation, node: str, type: str, client: str) -> None:
        self.node = node
        self.type = type
        self.client = client
        self._cluster = cluster
        self._answer: Body | None = None
        self._error_is_known = False

    @property
    def done(self) -> bool:
        """Whether the request has been answered, even if with an error."""
        return self._answer is not None

    def result(self, timeout: float = 5.0) -> Body:
        """Wait for the answer, at most `timeout` virtual seconds from now, and return its body.

        Raises RequestError for an error answer, TimeoutError if no answer comes, and what `advance`
        raises.
        """
        return self._cluster._result(self, timeout)


class AlwaysTrue:
    """A check that `Simulation.always` calls after every event, until `cancel` or the end of a
    `with` block of it."""

    def __init__(self, cluster: Simulation, check: Check) -> None:
        self._cluster = cluster
        self._check = check
        self._is_on = False
        self._look("when it was first asked")
        self._is_on = True
        cluster._loop.observe(self._after)

    def cancel(self) -> None:
        """Call the check no more. The second time, it does nothing."""
        if self._is_on:
            self._is_on = False
            self._cluster._loop.unobserve(self._after)

    def __enter__(self) -> AlwaysTrue:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def _after(self, function: Callable[..., object], args: Sequence[Any]) -> None:
        self._look(f"after {told(function, args)}")

    def _look(self, when: str) -> None:
        denial = self._cluster._ask(self._check)[1]
        if denial is not None:
            self.cancel()
            time = self._cluster.now
            text = f"not so at {time:.3f} s, {when}: {self._check}\nIt {denial.text}"
            raise CheckFailed(text, time) from denial.error


@dataclass
class ExpectedException:
    """The `with` block of `Simulation.expect_exception`; `raised` has the exceptions, in order."""

    cluster: Simulation
    node: str | None
    kind: type[BaseException] | str | None
    match: str | None
    raised: list[RaisedException] = field(default_factory=list)

    def __enter__(self) -> ExpectedException:
        self.cluster._read_exceptions()  # exceptions raised before don't count as expected
        self.cluster._expected.append(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.cluster._read_exceptions()
        self.cluster._expected.remove(self)
        if kind is None and not self.raised:
            others = self.cluster._raised
            instead = f"; instead, {_told(others)}" if others else ""
            raise AssertionError(f"{self} was not raised{instead}")

    def takes(self, exception: RaisedException) -> bool:
        """Whether this exception is expected."""
        return (
            self.node in (None, exception.node)
            and (self.kind in (None, Exception, BaseException) or exception.kind in self._kinds())
            and (self.match is None or re.search(self.match, exception.text) is not None)
        )

    def _kinds(self) -> set[str]:
        """The names of the expected class and its subclasses."""
        if isinstance(self.kind, str):
            return {self.kind}
        assert self.kind is not None
        kinds = [self.kind]
        for kind in kinds:
            kinds += [each for each in kind.__subclasses__() if each not in kinds]
        return {kind.__name__ for kind in kinds}

    def __str__(self) -> str:
        kind = self.kind.__name__ if isinstance(self.kind, type) else self.kind or "an exception"
        like = f" like {self.match!r}" if self.match is not None else ""
        return f"{kind}{like} of {self.node or 'any node'}"


class Simulation(View):
    """A cluster of simulated nodes, held by a test. Use the fixture `simulate` to make one.

    - `script`: the node's Python script.
    - `nodes`: how many nodes there are (n0, n1, …), or their names.
    - `args`: the arguments of the script.
    - `latency`: the mean latency between servers, in milliseconds, with the distribution
      `latency_dist` ("constant", "uniform", "exponential").
    - `p_loss`, `p_duplicate`: the probabilities that a message between servers is lost, or arrives
      twice.
    - `played`: the nodes that run no script, because the test plays them.
    - `seed`: all randomness comes from it.
    - `hard`: draw a latency from the seed, as `--hard` does.
    - `preempt`: the probability that a thread loses its turn before a line, as `--preempt` has it;
      True for the usual one. `preempt_by`: "lines", "bytecodes", "priorities" or "mixed".

    The constructor initialises all nodes. It raises NodeError if a node breaks the protocol,
    RequestError if it answers `init` with an error, UnexpectedException if it raises another
    exception, UsageError if there is no such script, ValueError for impossible settings.
    """

    def __init__(
        self,
        script: str | Path,
        nodes: int | Sequence[str] = 1,
        *,
        seed: int = 0,
        args: Sequence[str] = (),
        latency: int = 0,
        latency_dist: str = "constant",
        p_loss: float = 0.0,
        p_duplicate: float = 0.0,
        played: Sequence[str] = (),
        hard: bool = False,
        preempt: float | bool = False,
        preempt_by: str = "mixed",
    ) -> None:
        super().__init__()
        self.nodes = [f"n{i}" for i in range(nodes)] if isinstance(nodes, int) else list(nodes)
        self._played = list(played)
        self._plays: dict[tuple[str, str], Callable[[Message], Body | None]] = {}
        self._unexpected: list[Message] = []
        self._clients = (f"c{number}" for number in count())
        self._requests: dict[str, PendingRequest] = {}  # by client
        self._awaited: PendingRequest | None = None
        self._closed = False
        self._run = object()  # identifies the run of the loop that is under way
        self._drops: list[Pattern] = []
        self._grudge: dict[str, frozenset[str]] = {}
        self._log_read = 0  # how many lines of the log were searched for exceptions
        self._expected: list[ExpectedException] = []
        self._raised: list[RaisedException] = []  # exceptions that nobody expected
        self._began = 0
        self._no_time_passes_in = ""  # what runs now, if it must not let time pass
        self._check_names(latency_dist)
        _check_number("latency", latency)
        if latency != int(latency):
            raise ValueError(f"latency is {latency!r}: expected whole milliseconds")
        _check_probability("p_loss", p_loss)
        _check_probability("p_duplicate", p_duplicate)
        _check_probability("preempt", float(preempt))
        if preempt_by not in PREEMPT_BY:
            raise unknown("preempt_by", preempt_by, PREEMPT_BY)
        running = [node for node in self.nodes if node not in played]
        options = Options(
            bin=str(script),
            args=tuple(args),
            nodes=tuple(running),
            latency=latency,
            latency_dist=latency_dist,
            seed=seed,
            p_loss=p_loss,
            p_duplicate=p_duplicate,
            hard=hard,
            preempt=PREEMPT if preempt is True else float(preempt),
            preempt_by=preempt_by,
        )
        if hard:
            options = harder(options)
        self._loop = TurnLoop()
        cluster = partial(scripts, show_stderr=self._hear)
        world = make_world(options, self._loop, cluster, journal=self)
        self._network, self._cluster = world.network, cast(SimulatedCluster, world.cluster)
        self._cluster.disk.decide = lose_all
        self._network.filter = self._is_dropped
        for node in played:
            self._network.join(node, self._receive)
        try:
            self._cluster.start()
            self._initialise(running)
            self._began = self._loop.now
        except BaseException as error:
            self._cluster.stop()
            raise _without_the_workbench(error)  # noqa: B904 - the error is the same

    def _check_names(self, latency_dist: str) -> None:
        if not self.nodes or len(set(self.nodes)) < len(self.nodes):
            raise ValueError(f"expected at least one node, and no name twice, got {self.nodes}")
        for node in self._played:
            self._check_node(node)
        if latency_dist not in LATENCY_DISTRIBUTIONS:
            raise unknown("latency_dist", latency_dist, LATENCY_DISTRIBUTIONS)

    # Time

    @property
    def watchdog(self) -> float:
        """Seconds of real time that a node's code may run without a pause. Can be set."""
        return self._loop.watchdog

    @watchdog.setter
    def watchdog(self, seconds: float) -> None:
        _check_number("watchdog", seconds)
        self._loop.watchdog = seconds

    @property
    def now(self) -> float:
        """Virtual seconds since all nodes were initialised."""
        return (self._loop.now - self._began) / NANOS

    def advance(self, seconds: float) -> None:
        """Let `seconds` of virtual time pass.

        Raises NodeError if a node breaks the protocol, hangs or ends meanwhile,
        UnexpectedException if one raises an exception that no `expect_exception` expects.
        """
        _check_number("seconds", seconds)
        self._run_loop(seconds)
        self._raise_exceptions()

    def _run_loop(self, seconds: float, awaited: PendingRequest | None = None) -> None:
        """Let time pass, or only until the `awaited` request has been answered."""
        if self._no_time_passes_in:
            raise RuntimeError(f"{self._no_time_passes_in} can't let time pass")
        run = self._run = object()
        self._awaited = awaited
        self._loop.call_later(nanos(seconds), self._end_run, run)
        try:
            self._loop.run()
        except BaseException as error:
            if isinstance(error, NodeError):
                self._read_exceptions()
                self._raised = [each for each in self._raised if each.node != error.node]
            raise _without_the_workbench(error)  # noqa: B904 - the error is the same

    def _end_run(self, run: object) -> None:
        if run is self._run:
            self._loop.stop()

    # Checks

    def always(self, check: Callable[[Simulation], object]) -> AlwaysTrue:
        """Check now, and after every event from now on, that `check(cluster)` is true.

        The step in which it is false or raises an exception fails with CheckFailed, at the first
        such event. That lasts until the end of the test, or of a `with` block, or until `cancel` of
        what this method returns. A check only looks: see `View`.
        """
        return AlwaysTrue(self, Check(check))

    def eventually(self, check: Callable[[Simulation], Any], within: float = 5.0) -> Any:
        """Let time pass until `check(cluster)` is true, and return its value.

        Time stops at the first event after which it is true; if it is true already, none passes. An
        exception that the check raises counts as false. Raises CheckFailed after `within` virtual
        seconds, and what `advance` raises. A check only looks: see `View`.
        """
        _check_number("within", within)
        asked = Check(check)
        found: list[Any] = []
        denials: list[Denial] = []

        def look(*_: object) -> None:
            value, denial = self._ask(asked)
            if denial is None:
                found.append(value)
                self._loop.stop()
            denials[:] = [denial] if denial else []

        look()
        if not found:
            self._loop.observe(look)
            try:
                self._run_loop(within)
            finally:
                self._loop.unobserve(look)
            self._raise_exceptions()
        if not found:
            text = f"never so within {within:g} s, until {self.now:.3f} s: {asked}"
            raise CheckFailed(f"{text}\nAt last it {denials[0].text}", self.now)
        return found[0]

    def _ask(self, check: Check) -> tuple[object, Denial | None]:
        """Ask a check, which must not let time pass."""
        looking, self._no_time_passes_in = self._no_time_passes_in, "a check"
        try:
            return check.ask(self)
        finally:
            self._no_time_passes_in = looking

    # Requests and messages

    def request(self, node: str, type: str, *, timeout: float = 5.0, **fields: Any) -> Body:
        """Send a request from a new client, wait for the answer, and return its body.

        `fields` are the rest of the request's body. Raises RequestError for an error answer,
        TimeoutError if no answer comes within `timeout` virtual seconds, ValueError if there is no
        such node, and what `advance` raises.
        """
        _check_number("timeout", timeout)
        return self.start_request(node, type, **fields).result(timeout)

    def start_request(self, node: str, type: str, **fields: Any) -> PendingRequest:
        """Send a request from a new client without waiting, so that several can be under way.

        The request proceeds when time passes: see `PendingRequest.done` and
        `PendingRequest.result`. An error answer that no `result` has raised fails the test at its
        end. Raises ValueError if there is no such node.
        """
        self._check_known("node", node)
        client = next(name for name in self._clients if not self._network.knows(name))
        self._network.join(client, self._receive)
        self._requests[client] = request = PendingRequest(self, node, type, client)
        self.deliver(client, node, type, msg_id=1, **fields)
        return request

    def _result(self, request: PendingRequest, timeout: float) -> Body:
        _check_number("timeout", timeout)
        if not request.done:
            self._run_loop(timeout, awaited=request)
        answer = request._answer
        if answer is not None and answer.get("type") == "error":
            request._error_is_known = True
            self._read_exceptions()
            raise RequestError(answer, _told([x for x in self._raised if x.node == request.node]))
        self._raise_exceptions()
        if answer is None:
            strays = [_show(each) for each in self._unexpected if each.dest == request.client]
            instead = f"; what came instead: {strays[0]}" if strays else ""
            words = f"{request.node} did not answer {request.type!r} within {timeout:g} s{instead}"
            raise TimeoutError(words)
        return answer

    def deliver(self, src: str, dest: str, type: str, **fields: Any) -> None:
        """Send a message as `src`, a node or a client (any name such as "c7").

        `fields` are the rest of the body. The message arrives when time passes. Its answer must be
        expected with `assert_sent`. Raises ValueError if there is no such node or client.
        """
        if CLIENT.fullmatch(src) and not self._network.knows(src):
            self._network.join(src, self._receive)
        self._check_known("src", src)
        self._check_known("dest", dest)
        self._send(src, dest, {"type": type, **fields})

    def _send(self, src: str, dest: str, body: Body) -> None:
        line = json.dumps({"src": src, "dest": dest, "body": body}).encode()
        self._network.send(src, dest, body, line)

    def forget(self) -> None:
        """Forget the messages sent so far: `sent` only returns later ones."""
        self.messages.clear()

    def _receive(self, message: Message) -> None:
        """Take a message that has come to a client, or to a node that the test plays."""
        request = self._requests.get(message.dest)
        if request and not request.done and message.body.get("in_reply_to") == 1:
            request._answer = message.body
            if request is self._awaited:
                self._loop.stop()
            return
        play = self._plays.get((message.dest, str(message.body.get("type"))))
        if play is None:
            self._unexpected.append(message)
            return
        self._no_time_passes_in = "a function that plays a node"
        try:
            body = play(message)
        finally:
            self._no_time_passes_in = ""
        if body is not None:
            self._answer(message, body)

    # Nodes that the test plays

    def play(self, node: str, type: str, function: Callable[[Message], Body | None]) -> None:
        """From now on, let `function` answer the messages of a type that a played node receives.

        The function gets the message (`src`, `dest`, `body`). It returns the body of the answer,
        which needs a `type`, or None for no answer. These messages need not be expected by
        `assert_sent`. What the function raises is raised by `advance` or `request`. The function
        replaces an earlier one for the same type. Raises ValueError if the node isn't played.
        """
        self._check_played(node)
        self._plays[node, type] = function

    def reply(self, message: Message, type: str, **fields: Any) -> None:
        """Answer a message, such as `assert_sent` returns, as the played node that received it.

        `fields` are the rest of the body. Raises ValueError if the message has no `msg_id`, and so
        can't be answered, or if its receiver isn't played.
        """
        if not CLIENT.fullmatch(message.dest):
            self._check_played(message.dest)
        self._answer(message, {"type": type, **fields})

    def _answer(self, message: Message, body: Body) -> None:
        if not isinstance(body, Mapping) or "type" not in body:
            raise TypeError(
                f"the function that plays {message.dest} returned {quote(repr(body))} for "
                f'{message.body["type"]!r}: expected a body such as {{"type": "ok"}}, or None'
            )
        if "msg_id" not in message.body:
            raise ValueError(f"a message without msg_id can't be answered: {_show(message)}")
        answer = {**body, "in_reply_to": message.body["msg_id"]}
        self._send(message.dest, message.src, answer)

    # Assertions

    def assert_sent(
        self,
        src: str | None = None,
        dest: str | None = None,
        type: str | None = None,
        **fields: Any,
    ) -> Message:
        """Assert that a played node or a client has received such a message, and expect it.

        Returns the first message whose body has these fields (it may have others). Raises
        AssertionError if there is none, and ValueError if `src` or `dest` doesn't exist in the
        cluster, or if `dest` runs its script, which takes its messages itself (see `sent`).
        """
        pattern = self._pattern(src, dest, type)
        if dest in self.nodes:
            self._check_played(dest, f"; see sent(dest={dest!r})")
        for message in self._unexpected:
            if pattern.matches(message) and fields.items() <= message.body.items():
                self._unexpected.remove(message)
                return message
        wanted = ", ".join(filter(None, [str(pattern), *(f"{k}={v!r}" for k, v in fields.items())]))
        raise AssertionError(
            f"no message matches {wanted or 'anything'}; there is\n"
            + (_lines(self._unexpected) or "  nothing")
        )

    def assert_silent(self, seconds: float = 0.0) -> None:
        """Assert that played nodes and clients have no unexpected messages, now and for `seconds`.

        Raises AssertionError otherwise, and what `advance` raises.
        """
        _check_number("seconds", seconds)
        if seconds:
            self.advance(seconds)
        if self._unexpected:
            raise AssertionError(f"nobody expected\n{_lines(self._unexpected)}")

    def ignore_the_rest(self) -> None:
        """Expect all messages that played nodes and clients have received so far."""
        self._unexpected.clear()

    # What nodes print and raise

    def expect_exception(
        self,
        node: str | None = None,
        kind: type[BaseException] | str | None = None,
        match: str | None = None,
    ) -> ExpectedException:
        """Expect that a node raises exceptions in a `with` block, as `pytest.raises` does.

        `node` may be None for any node. `kind` is a class, which includes its subclasses, or the
        name of a class of the script's; None stands for any exception. `match` is a regular
        expression that is searched in `RaisedException.text`. The block's variable has a list
        `raised`. The end of the block raises AssertionError if no such exception was raised.

        If the exception makes a request end with an error answer, that still raises RequestError.
        """
        if node is not None:
            self._check_running(node)
        return ExpectedException(self, node, kind, match)

    def _hear(self, node: str, line: str) -> None:
        """Keep a line that a node has printed, and print it again, for pytest to capture."""
        self._log.append(LogLine(self.now, node, line))
        text = str(self._log[-1]).encode("utf-8", "backslashreplace").decode()
        print(text, file=sys.stderr)

    def _read_exceptions(self) -> None:
        """Search what was printed since the last call for exceptions."""
        new, self._log_read = self._log[self._log_read :], len(self._log)
        for exception in _exceptions(new):
            for expected in reversed(self._expected):
                if expected.takes(exception):
                    expected.raised.append(exception)
                    break
            else:
                self._raised.append(exception)

    def _raise_exceptions(self) -> None:
        self._read_exceptions()
        if self._raised:
            exceptions, self._raised = self._raised, []
            raise UnexpectedException(exceptions)

    # Faults

    def cut(self, a: str, b: str) -> None:
        """Cut the link between two nodes, both ways. Raises ValueError if one doesn't exist."""
        self._check_node(a)
        self._check_node(b)
        for one, other in ((a, b), (b, a)):
            self._grudge[one] = self._grudge.get(one, frozenset()) | {other}
        self._network.partition(dict(self._grudge))

    def partition(self, *groups: Sequence[str]) -> None:
        """Cut all links between groups of nodes: `partition(["n0"], ["n1", "n2"])`.

        Raises ValueError for a name that doesn't exist or is in two groups.
        """
        names = [name for group in groups for name in self._group(group)]
        for name, times in Counter(names).items():
            if times > 1:
                raise ValueError(f"{name} is named {times} times: expected groups that are apart")
        for group in groups:
            for other in groups:
                if other is not group:
                    for a in group:
                        for b in other:
                            self.cut(a, b)

    def isolate(self, node: str) -> None:
        """Cut a node off from all others. Raises ValueError if there is no such node."""
        self._check_node(node)
        self.partition([node], [other for other in self.nodes if other != node])

    def heal(self) -> None:
        """Restore all links."""
        self._grudge.clear()
        self._network.heal()

    def drop_next(
        self, src: str | None = None, dest: str | None = None, type: str | None = None
    ) -> None:
        """Lose the next message that matches.

        If no message matches, the test fails at its end. Raises ValueError if `src` or `dest`
        doesn't exist in the cluster.
        """
        self._drops.append(self._pattern(src, dest, type))

    def lose(self, probability: float) -> None:
        """From now on, lose messages between servers with this probability, from 0 to 1.

        Raises ValueError if it is no probability.
        """
        _check_probability("probability", probability)
        self._network.p_loss = probability

    def pause(self, node: str) -> None:
        """Make a node stand still; messages to it wait. Raises ValueError if it runs no script."""
        self._check_running(node)
        self._cluster.pause_node(node)

    def resume(self, node: str) -> None:
        """Let a paused node continue. Raises ValueError if it runs no script."""
        self._check_running(node)
        self._cluster.resume_node(node)

    def restart(self, node: str) -> None:
        """Kill a node, start it anew and initialise it: it has lost its state.

        It has its files again, without what it had not synced.

        Raises ValueError if it runs no script, and what `request` raises.
        """
        self._check_running(node)
        self._cluster.kill_nodes([node])
        self._cluster.start_node(node)
        self._initialise([node])

    def _initialise(self, nodes: Sequence[str]) -> None:
        """Send `init` to all these nodes at once."""
        ids = list(self.nodes)
        inits = [self.start_request(id, "init", node_id=id, node_ids=ids) for id in nodes]
        for init in inits:
            init.result()

    def _is_dropped(self, message: Message) -> bool:
        for pattern in self._drops:
            if pattern.matches(message):
                self._drops.remove(pattern)
                return True
        return False

    # Names

    def _check_played(self, name: str, hint: str = "") -> None:
        self._check_node(name)
        if name not in self._played:
            how = f"played=[{name!r}] lets the test play it"
            raise ValueError(f"{name} runs its script: {how}{hint}")

    def _check_running(self, name: str) -> None:
        self._check_node(name)
        if name in self._played:
            raise ValueError(f"{name} is played by the test: it runs no script")

    def _group(self, group: Sequence[str]) -> Sequence[str]:
        if isinstance(group, str):
            raise ValueError(f'expected groups of nodes, such as ["n0", "n1"], got {group!r}')
        for name in group:
            self._check_node(name)
        return group

    # The end

    def close(self) -> None:
        """End the simulation, as the fixture does at the end of a test that hasn't failed.

        Raises AssertionError for an exception, a message or an error answer that nobody expected,
        and for a `drop_next` that no message matched. The second time, it does nothing.
        """
        if self._closed:
            return
        self.abandon()
        self._read_exceptions()
        problems = [str(UnexpectedException(self._raised))] if self._raised else []
        for client, request in self._requests.items():
            answer = request._answer or {}
            if answer.get("type") == "error" and not request._error_is_known:
                shown = json.dumps(answer)
                problems.append(f"nobody asked for the result of {client}'s request: {shown}")
        if self._unexpected:
            problems.append(f"nobody expected\n{_lines(self._unexpected)}")
        problems += [self._never_matched(pattern) for pattern in self._drops]
        if problems:
            raise AssertionError("\n".join(problems))

    def _never_matched(self, pattern: Pattern) -> str:
        types = sorted({str(message.body.get("type")) for message in self.messages})
        near = did_you_mean(pattern.type, types) if pattern.type else ""
        return f"drop_next({pattern}) matched no message: {near}types sent: {', '.join(types)}"

    def abandon(self) -> None:
        """End the simulation without complaints, as the fixture does when the test has failed."""
        self._closed = True
        self._cluster.stop()

    def __enter__(self) -> Simulation:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()


def simulated(*args: Any, **kwargs: Any) -> Simulation:
    """A simulated cluster for a `with` statement, for tests that can't use a fixture (hypothesis).

    The arguments are those of `Simulation`. The end of the block raises what `Simulation.close`
    raises, unless the block has raised something itself.
    """
    return Simulation(*args, **kwargs)


def _show(message: Message) -> str:
    return f"{message.src} -> {message.dest}: {json.dumps(message.body)}"


def _lines(messages: Iterable[Message]) -> str:
    return "\n".join(f"  {_show(message)}" for message in messages)


def _told(exceptions: Sequence[RaisedException]) -> str:
    """A line for each of the exceptions that differ, with their counts."""
    counts = Counter(map(str, exceptions)).items()
    return "\n".join(f"{told}, {times:,} times" if times > 1 else told for told, times in counts)


def _check_number(what: str, value: float, most: float = math.inf) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{what} is {value!r}: expected a number")
    if not 0 <= value <= most or value == math.inf:
        limit = f"from 0 to {most:g}" if most < math.inf else "that is not negative"
        raise ValueError(f"{what} is {value!r}: expected a number {limit}")


def _check_probability(what: str, value: float) -> None:
    _check_number(what, value, most=1)


def _without_the_workbench(error: BaseException) -> BaseException:
    """The error without the workbench's part of its traceback.

    If the traceback has no other part and the error's text doesn't explain it, it is a mistake of
    the workbench, and its traceback stays.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("glomers."):
        trace = trace.tb_next
    if trace is None and not isinstance(error, NodeError | UsageError):
        return error
    return error.with_traceback(trace)


def _exceptions(log: Sequence[LogLine]) -> list[RaisedException]:
    """The exceptions whose tracebacks are in a log, node by node; the last one of each chain."""
    found: list[RaisedException] = []
    for node in dict.fromkeys(line.node for line in log):

        def hear(finding: Finding, node: str = node) -> None:
            if finding.kind == "exception":
                kind = finding.key.split()[0]
                found.append(RaisedException(node, kind, finding.text.removeprefix("raised ")))

        reader = LogReader(hear)
        for line in log:
            if line.node == node:
                reader.feed(f"{line.text}\n".encode("utf-8", "surrogatepass"))
        reader.end()
    return found
