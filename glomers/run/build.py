"""Puts tests together: first a world, then a test in it. Both functions are lists of parts.

A real and a simulated test differ in two parts: the loop, and the cluster that runs on it. Each
part that needs randomness has a stream of its own, so the parts may be made in any order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from glomers.history.lost_turns import LostTurn
from glomers.history.store import Store
from glomers.history.times import MILLIS
from glomers.options import Options, words_of
from glomers.run import checks
from glomers.run.checks import Checks
from glomers.run.drive import Log, Test
from glomers.run.hard import drawn, harder
from glomers.run.recorder import MessageJournal, Recorder
from glomers.scenario import Scenario, Switch
from glomers.workloads import WORKLOADS
from glomers.world import services
from glomers.world.cluster import Cluster, stream
from glomers.world.decisions import (
    Clock,
    Recording,
    ToldFates,
    ToldLosses,
    check_operations,
    check_switches,
    tell_services,
    usual_delays,
)
from glomers.world.incidents import Incidents
from glomers.world.load import Load
from glomers.world.loop import Loop, RealLoop
from glomers.world.nemesis import Nemesis
from glomers.world.network import Journal, Latency, Network
from glomers.world.setup import Setup
from glomers.world.witness import Witness
from glomers.world.world import World

if TYPE_CHECKING:
    from glomers.simulated.preempting import Preempter
    from glomers.simulated.turns import TurnLoop

MOST_MESSAGES = 1 << 28  # bytes of messages.jsonl; no verdict depends on it
KEPT_AFTER = 20 * MILLIS  # nanoseconds until what happened can be read, or survives a kill

L = TypeVar("L", bound=Loop)
MakeCluster = Callable[[Options, L, Network, Incidents], Cluster]


@dataclass(frozen=True, slots=True)
class Parts:
    """What makes those parts of a test that an exploration has of its own.

    None stands for what every test has.
    """

    network: Callable[..., Network] = Network
    test: Callable[..., Test] | None = None
    preempter: Callable[[TurnLoop], Preempter] | None = None


USUAL = Parts()


def silent(line: str) -> None:
    """Log nothing."""


def real_test(options: Options, store: Store, log: Log = silent) -> Test:
    """A test in real time, with a process for each node."""
    loop = RealLoop()
    loop.repeat(KEPT_AFTER, store.flush)
    return _test(options, loop, partial(processes, store=store, log=log), store, log)


def simulated_test(
    options: Options,
    store: Store | None = None,
    log: Log = silent,
    scenario: Scenario | None = None,
    parts: Parts = USUAL,
    records: bool = False,
) -> Test:
    """A test in virtual time, with nodes in this process; without a store, nothing is kept.

    If there is a scenario, what it says is not drawn from the seed. `Test.scenario` has what was
    decided, if there is a scenario or a store, or if the test `records` it.
    Raises UsageError if the scenario doesn't fit the options.
    """
    from glomers.simulated.turns import TurnLoop  # here, because a real test doesn't need it

    loop = TurnLoop()
    clock = Clock(lambda: loop.now)
    make_cluster = partial(
        scripts, store=store, log=log, told=scenario, clock=clock, make=parts.preempter
    )
    records = records or store is not None or scenario is not None
    recorded = clock if records else None
    return _test(options, loop, make_cluster, store, log, scenario, recorded, True, parts)


def _test(
    options: Options,
    loop: L,
    make_cluster: MakeCluster[L],
    store: Store | None,
    log: Log,
    told: Scenario | None = None,
    clock: Clock | None = None,
    simulated: bool = False,
    parts: Parts = USUAL,
) -> Test:
    """A test, put together from its parts.

    The decisions are those that a scenario has `told`, or else drawn from the seed. With a `clock`,
    the test records them.
    """
    command = tuple(words_of(options))  # before --hard: it draws the same again
    if options.hard:
        options = harder(options)
        log(f"--hard drew: {drawn(options)}")
    journal = MessageJournal(
        store.open("messages.jsonl", MOST_MESSAGES) if store else None,
        log_send=log if options.log_net_send else None,
        log_recv=log if options.log_net_recv else None,
    )
    recorder = Recorder(loop, store, journal)
    file = checks.load(Path(options.check), simulated) if options.check else None
    view = None
    if file and file.needs_a_cluster:
        from glomers.run.run_view import RunView

        view = RunView(recorder, journal)
    world = make_world(options, loop, make_cluster, view or journal, parts)
    if view:
        view.watch(cast(World[Any], world))
    workload = WORKLOADS[options.workload](options, stream(options.seed, "load"))
    client_names = (f"c{number}" for number in count())
    setup = Setup(options, world, workload, client_names)
    load = Load(
        loop,
        world.network,
        workload,
        stream(options.seed, "workers"),
        recorder.record,
        client_names,
        world.incidents,
    )
    check_operations(told, workload)
    nemesis = Nemesis(
        options,
        loop,
        world.network,
        world.cluster,
        stream(options.seed, "nemesis"),
        recorder.record,
        setup.initialise,
        told,
    )
    recording = Recording(usual_delays(told, options), clock) if clock else None
    if told and clock:
        fates = ToldFates(told, options, clock)
        world.network.fate = fates.decide
        tell_services(world.services, told, clock)
    if recording:
        world.network.fate = recording.of_messages(world.network.fate)
        for name, service in world.services.items():
            recording.of_service(name, service)
        world.cluster.record_switches(
            partial(_switched, recording, recorder), lambda: recorder.journal.events
        )
        world.cluster.record_losses(recording.unsynced)
        load.chosen, nemesis.decided = recording.operation, recording.fault
    scenario = replace(told or Scenario(), command=command)
    test = (parts.test or Test)(
        options,
        world,
        workload,
        setup,
        load,
        nemesis,
        recorder,
        log,
        scenario,
        recording,
        Checks(file, view) if file else None,
    )
    if told and clock:
        test.notes += [fates.notes, world.cluster.notes]
    return test


def _switched(recording: Recording, recorder: Recorder, switch: Switch, lost: LostTurn) -> None:
    recording.switch(switch)
    recorder.lost_turns.append(lost)


def make_world(
    options: Options,
    loop: L,
    make_cluster: MakeCluster[L],
    journal: Journal,
    parts: Parts = USUAL,
) -> World[L]:
    """A world whose nodes haven't been started. `journal` is called with every message."""
    incidents = Incidents(lambda: loop.now)
    witness = Witness(journal, incidents)
    network = parts.network(
        loop,
        stream(options.seed, "network"),
        witness,
        Latency(options.latency, options.latency_dist),
        options.p_loss,
        options.p_duplicate,
    )
    served = services.start_all(network, stream(options.seed, "services"), incidents)
    cluster = make_cluster(options, loop, network, incidents)
    return World(loop, network, cluster, incidents, witness, served)


# Clusters


def processes(
    options: Options,
    loop: RealLoop,
    network: Network,
    incidents: Incidents,
    store: Store,
    log: Log,
) -> Cluster:
    """A cluster with a process for each node."""
    from glomers.real.nodes import ProcessCluster

    return ProcessCluster(
        options.nodes,
        [str(Path(options.bin).absolute()), *options.args],
        loop,
        network,
        incidents,
        store.path / "node-logs",
        log if options.log_stderr else None,
    )


def scripts(
    options: Options,
    loop: TurnLoop,
    network: Network,
    incidents: Incidents,
    store: Store | None = None,
    log: Log = silent,
    show_stderr: Callable[[str, str], object] | None = None,
    told: Scenario | None = None,
    make: Callable[[TurnLoop], Preempter] | None = None,
    clock: Clock | None = None,
) -> Cluster:
    """A cluster that runs a script for each node in this process.

    If there is a scenario, threads only lose their turn, and kills only lose what wasn't synced,
    where it has `told` that. The `clock` is that of the decisions.

    `show_stderr(node, line)` is called with each line that a node writes to standard error.
    """
    from glomers.simulated.nodes import START_SPREAD, SimulatedCluster
    from glomers.simulated.preempting import Preempter, Told
    from glomers.simulated.preempting import drawn as switching

    def log_stderr(node: str, line: str) -> None:
        if options.log_stderr:
            log(f"{node} {line}")

    preempter = make(loop) if make else None
    losses = None
    if told:
        check_switches(told, options.nodes)
        clock = clock or Clock(lambda: loop.now)
        preempter = Told(loop, told, clock) if told.switches else None
        losses = ToldLosses(told, options.nodes, clock)
    elif options.preempt:
        how, random = switching(options)
        log(f"--preempt drew: --preempt-by {how.by}")
        preempter = Preempter(loop, how, random)
    return SimulatedCluster(
        options.nodes,
        Path(options.bin).absolute(),
        options.args,
        loop,
        network,
        incidents,
        options.seed,
        (lambda id: store.open(f"node-logs/{id}.log")) if store else None,
        show_stderr or log_stderr,
        START_SPREAD if options.hard else None,
        preempter,
        losses,
    )
