"""What the checks of a run see of its cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from glomers.history.operations import Operation
from glomers.history.times import NANOS, nanos
from glomers.report.reasons import at
from glomers.run.recorder import Recorder
from glomers.simulated.nodes import SimulatedCluster
from glomers.simulated.turns import Observer, TurnLoop
from glomers.simulated.view import LogLine, View, message_of, told
from glomers.world.network import Journal, Message
from glomers.world.world import World


class RunView(View):
    """A run's cluster, to look at. What the network tells it goes on to the `journal`.

    `operations` are those of the history until now, that of the nemesis included.
    """

    def __init__(self, recorder: Recorder, journal: Journal) -> None:
        super().__init__()
        self._recorder = recorder
        self._journal = journal

    def watch(self, world: World[TurnLoop]) -> None:
        """Look at this world, which uses the view as its journal, from its beginning."""
        self._loop = world.loop
        self._network = world.network
        self._cluster = cluster = cast(SimulatedCluster, world.cluster)
        self.nodes = list(cluster.nodes)
        show = cluster.show_stderr

        def hear(node: str, line: str) -> None:
            self._log.append(LogLine(self.now, node, line))
            show(node, line)

        cluster.show_stderr = hear

    @property
    def now(self) -> float:
        """Virtual seconds since the load began."""
        return self._recorder.elapsed / NANOS

    @property
    def operations(self) -> Sequence[Operation]:
        """What clients and the nemesis have done so far, in order."""
        return self._recorder.operations

    def record(self, event: str, time: int, message: Message) -> None:
        super().record(event, time, message)
        self._journal.record(event, time, message)

    # For the checks of the run

    def observe(self, observer: Observer) -> None:
        self._loop.observe(observer)

    def unobserve(self, observer: Observer) -> None:
        self._loop.unobserve(observer)

    def call_later(self, seconds: float, function: Callable[..., object], *args: Any) -> None:
        self._loop.call_later(nanos(seconds), function, *args)

    @property
    def when(self) -> str:
        return at(self._recorder.elapsed)

    def told(self, function: Callable[..., object], args: Sequence[Any]) -> str:
        """After which event, in words."""
        return f"after {told(function, args)}"

    def message_of(self, function: Callable[..., object], args: Sequence[Any]) -> Message | None:
        """The message whose arrival the event is."""
        return message_of(args)
