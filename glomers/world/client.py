"""A client: sends a request to a node, waits for the answer, and decides how the operation ended.

The rules are Maelstrom's (`maelstrom.client`). A client does one operation at a time and waits a
few seconds for each answer. How an operation ends:

- A time-out makes it `info`, because nobody knows whether it happened. An operation that is safe to
  repeat becomes a `fail` instead.
- An `error` answer makes it a `fail` if its code is definite (or the operation safe to repeat), and
  otherwise an `info`.
- An answer of the wrong shape is the node's mistake, and ends the test.

A message that answers no request of the client is ignored, and noted as an incident unless it is
only late.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from glomers.errors import NodeError, quote
from glomers.history.edn import Keyword
from glomers.history.times import nanos
from glomers.workloads.base import Conversation, SessionCrash
from glomers.workloads.shapes import describe, mismatch
from glomers.world.error_codes import error_code
from glomers.world.incidents import Incidents
from glomers.world.loop import Loop
from glomers.world.network import Body, Message, Network


class RequestFailed(Exception):
    """A request had no success. `error` is what the history shows of it.

    `definite` means that the request certainly had no effect.
    """

    def __init__(self, error: Any, *, definite: bool) -> None:
        super().__init__(error)
        self.error = error
        self.definite = definite


class Outcome(NamedTuple):
    """How an operation ended: `type` is "ok", "fail" or "info"; `value` is only used for "ok"."""

    type: str
    value: Any = None
    error: Any = None


Answers = Mapping[str, tuple[str, Mapping[Any, Any]]]


@dataclass(slots=True)
class Talk:
    """A conversation under way: its last request, and when that was sent (ns)."""

    node: str
    conversation: Conversation
    timeout: int  # nanoseconds
    done: Callable[[Outcome], object]
    idempotent: bool
    request: Body = field(default_factory=dict)
    sent: int = 0


class Client:
    """One endpoint that holds conversations with nodes, one at a time."""

    def __init__(
        self,
        loop: Loop,
        network: Network,
        name: str,
        answers: Answers,
        incidents: Incidents | None = None,
    ) -> None:
        self.name = name
        self._incidents = incidents or Incidents()
        self._loop = loop
        self._network = network
        self._answers = answers
        self._last_id = 0
        self._awaited: int | None = None
        self._unanswered: set[int] = set()  # ids of requests that timed out
        self._talk: Talk
        network.join(name, self._on_message)

    def close(self) -> None:
        """Leave the network. Answers that come later are dropped."""
        if self._awaited is not None:
            self._unanswered.add(self._awaited)
        self._awaited = None
        self._network.leave(self.name, self._pass_over)

    def converse(
        self,
        node: str,
        conversation: Conversation,
        timeout: float,
        done: Callable[[Outcome], object],
        *,
        idempotent: bool = False,
    ) -> None:
        """Hold a conversation with `node`; call `done` with its outcome.

        `timeout` is in seconds, for each request.
        """
        self._talk = talk = Talk(node, conversation, nanos(timeout), done, idempotent)
        self._proceed(talk, next, conversation)

    def _proceed(self, talk: Talk, step: Callable[..., Body], *args: Any) -> None:
        """Go on with a conversation: `step(*args)` makes its next request, or ends it."""
        try:
            body = step(*args)
        except StopIteration as end:
            talk.done(Outcome("ok", end.value))
        except SessionCrash as crash:
            talk.done(Outcome("info", error=str(crash) or None))
        except RequestFailed as failure:
            certain = failure.definite or talk.idempotent
            talk.done(Outcome("fail" if certain else "info", error=failure.error))
        else:
            self._request(talk, body)

    def _request(self, talk: Talk, body: Body) -> None:
        """Send one request, and wait for its answer."""
        self._last_id += 1
        self._awaited = id = self._last_id
        talk.request = request = {**body, "msg_id": id}
        talk.sent = self._loop.now
        # The timer outlives the answer, so it holds on to nothing but the id.
        self._loop.call_later(talk.timeout, self._expire, id)
        message = {"src": self.name, "dest": talk.node, "body": request}
        self._network.send(self.name, talk.node, request, json.dumps(message).encode())

    def _expire(self, id: int) -> None:
        """The time for an answer to this request is over."""
        if self._awaited == id:
            self._unanswered.add(id)
            self._note_silence(self._talk)
            self._answered(None)

    def _answered(self, answer: Body | None) -> None:
        """Go on with the answer to the request that waits for one; None after the time-out."""
        self._awaited = None
        talk = self._talk
        try:
            answer = self._checked(talk.node, talk.request, answer)
        except RequestFailed as failure:
            self._proceed(talk, talk.conversation.throw, failure)
        else:
            self._proceed(talk, talk.conversation.send, answer)

    def _on_message(self, message: Message) -> None:
        reply_to = message.body.get("in_reply_to")
        if self._awaited is not None and type(reply_to) is int and reply_to == self._awaited:
            self._answered(message.body)
        else:
            self._pass_over(message.src, message.body, message.line)

    def _pass_over(self, src: str, body: Body, line: bytes) -> None:
        """Note a message that answers no request, unless it is late, after the time-out."""
        reply_to = body.get("in_reply_to")
        remark = ""
        if "in_reply_to" not in body:
            kind = "no-in-reply-to"
        elif type(reply_to) is not int:
            kind = "in-reply-to-no-integer"
        elif not 1 <= reply_to <= self._last_id:
            kind, remark = "answer-to-nothing", f"{self.name} made no request {reply_to}"
        elif reply_to not in self._unanswered:
            kind, remark = "answered-before", f"request {reply_to} of {self.name}"
        else:
            return
        self._incidents.note(kind, src, line, remark)

    def _note_silence(self, talk: Talk) -> None:
        """Note that a request timed out, and what the node did instead of answering."""
        node, request, sent = talk.node, talk.request, talk.sent
        when, latest = self._network.latest.get(node, (-1, None))
        instead = "it sent nothing after that"
        if latest and when >= sent:
            instead = f"its last message is {quote(latest.line)}"
        text = f"never answered {request['type']!r} ({instead})"
        self._incidents.add(
            "no-answer", request["type"], text, {node: 1}, json.dumps(request), sent
        )

    def _checked(self, node: str, request: Body, answer: Body | None) -> Body:
        """The answer, if it is as it should be.

        Raises RequestFailed for a time-out or an error, NodeError for an answer of the wrong shape.
        """
        if answer is None:
            raise RequestFailed(Keyword("net-timeout"), definite=False)
        if answer.get("type") == "error":
            code = answer.get("code")
            if not isinstance(code, int) or isinstance(code, bool):
                self._incidents.note("code-no-integer", node, json.dumps(answer))
                code = None
            known = error_code(code)
            raise RequestFailed([Keyword(known.name), answer.get("text")], definite=known.definite)
        type, fields = self._answers[request["type"]]
        shape = {"type": type, "in_reply_to": int, **fields}
        problem = mismatch(answer, shape, optional={"msg_id": int})
        if problem:
            raise self._wrong_shape(node, request, answer, problem)
        return answer

    def _wrong_shape(self, node: str, request: Body, answer: Body, problem: str) -> NodeError:
        type, fields = self._answers[request["type"]]
        shape = {"type": type, "in_reply_to": request["msg_id"], **fields}
        return NodeError(
            node,
            f"gave an answer of the wrong shape: {problem}.",
            evidence=(
                f"request: {quote(json.dumps(request))}",
                f"answer:  {quote(json.dumps(answer))}",
            ),
            expected=describe(shape),
        )
