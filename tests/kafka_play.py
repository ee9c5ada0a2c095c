"""Plays kafka tests: the workload's operations against logs in memory, in virtual time.

    history = play(Logs(), seed=1)

`Logs` answers as a good cluster would; a test breaks one thing in a subclass of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from random import Random
from typing import Any

from glomers.history.operations import History, Operation
from glomers.history.times import MILLIS, NANOS
from glomers.options import Options
from glomers.workloads.base import Conversation, Invocation, OperationGenerator, SessionCrash
from glomers.workloads.kafka import KafkaWorkload
from glomers.workloads.shapes import mismatch
from glomers.world.loop import Loop

LATENCY = MILLIS  # mean time from a request to its effect, and from there to the answer


class Refused(Exception):
    """Raised by a handler to answer with a definite error."""


class TimedOut(Exception):
    """Raised by a handler to give no answer."""


class Logs:
    """Kafka as it should be: for each key a list of messages; an offset is a place in it."""

    def __init__(self) -> None:
        self.logs: dict[str, list[Any]] = defaultdict(list)
        self.committed: dict[str, int] = {}
        self.random = Random(0)  # for what goes wrong now and then

    def send(self, key: str, msg: Any) -> dict[str, Any]:
        self.logs[key].append(msg)
        return {"offset": len(self.logs[key]) - 1}

    def read(self, key: str, offset: int) -> list[list[Any]]:
        """What a poll shows of one key."""
        return [[o, self.logs[key][o]] for o in range(offset, len(self.logs[key]))]

    def poll(self, offsets: dict[str, int]) -> dict[str, Any]:
        messages = {key: self.read(key, offset) for key, offset in offsets.items()}
        return {"msgs": {key: pairs for key, pairs in messages.items() if pairs}}

    def commit_offsets(self, offsets: dict[str, int]) -> dict[str, Any]:
        self.committed.update(offsets)
        return {}

    def list_committed_offsets(self, keys: list[str]) -> dict[str, Any]:
        return {"offsets": {key: self.committed[key] for key in keys if key in self.committed}}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request, of the shape that the workload expects."""
        fields = dict(request)
        type, shape = KafkaWorkload.answers[request["type"]]
        answer = {"type": type, **getattr(self, fields.pop("type"))(**fields)}
        assert not mismatch(answer, {"type": type, **shape})
        return answer


class Player:
    """The workers of one test, without nodes and network."""

    def __init__(self, logs: Logs, options: Options) -> None:
        self.logs = logs
        self.workload = KafkaWorkload(options, Random(options.seed))
        self.random = Random(-options.seed)
        self.loop = Loop()
        self.operations: list[Operation] = []
        workers = range(options.concurrency)
        self.processes = list(workers)
        self.sessions = [self.workload.session("n0") for _ in workers]
        self.free = set(workers)
        self.generator: OperationGenerator
        self.then: Callable[[int], None]
        self.deadline = float("inf")
        self.load: list[Operation] = []  # `operations` without the final phase

    def play(self) -> None:
        """The load, with gaps of 0 to 2/rate seconds; then the final phase."""
        options = self.workload.options
        self.generator = self.workload.generator()
        self.then = lambda worker: None
        due = 0.0
        while due < options.time_limit * NANOS:
            self.loop.call_at(int(due), self.invoke_any)
            due += self.random.uniform(0, 2 * NANOS / options.rate)
        self.loop.run()
        self.load = self.operations[:]
        final, limit = self.workload.final_generator(), self.workload.final_time_limit
        assert final
        assert limit
        self.generator = final
        self.then = self.invoke
        self.deadline = self.loop.now + limit * NANOS
        for worker in range(options.concurrency):
            self.invoke(worker)
        self.loop.run()

    def invoke_any(self) -> None:
        if self.free:
            self.invoke(self.random.choice(sorted(self.free)))

    def invoke(self, worker: int) -> None:
        if invocation := self.generator.next(self.processes[worker], worker):
            self.free.discard(worker)
            self.loop.call_later(int(invocation.wait * NANOS), self.begin, worker, invocation)

    def begin(self, worker: int, invocation: Invocation) -> None:
        if self.loop.now >= self.deadline:
            return
        self.record("invoke", worker, invocation)
        conversation = self.sessions[worker].invoke(invocation)
        self.proceed(worker, invocation, conversation, lambda: next(conversation))

    def proceed(
        self,
        worker: int,
        invocation: Invocation,
        conversation: Conversation,
        step: Callable[[], dict[str, Any]],
    ) -> None:
        """Make the conversation's next step; record the operation's end if it was the last."""
        try:
            request = step()
        except StopIteration as end:
            self.complete("ok", worker, invocation._replace(value=end.value))
        except (SessionCrash, TimedOut):
            retryable = invocation.f in self.workload.idempotent
            self.complete("fail" if retryable else "info", worker, invocation)
        except Refused:
            self.complete("fail", worker, invocation)
        else:
            self.loop.call_later(
                self.delay(), self.respond, worker, invocation, conversation, request
            )

    def respond(
        self,
        worker: int,
        invocation: Invocation,
        conversation: Conversation,
        request: dict[str, Any],
    ) -> None:
        try:
            answer = self.logs.answer(request)
            step = lambda: conversation.send(answer)  # noqa: E731
        except (Refused, TimedOut) as error:
            failure = error
            step = lambda: conversation.throw(failure)  # noqa: E731
        self.loop.call_later(self.delay(), self.proceed, worker, invocation, conversation, step)

    def complete(self, type: str, worker: int, invocation: Invocation) -> None:
        self.record(type, worker, invocation)
        if type == "info":
            self.processes[worker] += self.workload.options.concurrency
            self.sessions[worker] = self.workload.session("n0")
        self.free.add(worker)
        self.then(worker)

    def record(self, type: str, worker: int, what: Invocation) -> None:
        operation = Operation(
            len(self.operations),
            self.loop.now,
            type,
            self.processes[worker],
            what.f,
            what.value,
            final=what.final,
            extra=what.extra,
        )
        self.operations.append(operation)
        self.generator.update(operation, worker)

    def delay(self) -> int:
        return int(self.random.uniform(0, 2 * LATENCY))


def played(logs: Logs, **options: Any) -> Player:
    """Play one test: by default 8 s of load at rate 200 with 4 workers."""
    defaults = {"time_limit": 8, "rate": 200, "concurrency": 4, "workload": "kafka"}
    player = Player(logs, Options(**{**defaults, **options}))
    player.play()
    return player


def play(logs: Logs, **options: Any) -> History:
    """The history of one test."""
    return History(played(logs, **options).operations)
