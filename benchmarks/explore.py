#!/usr/bin/env python3
"""How many data races a sweep with `--preempt` finds.

    python -m benchmarks.explore                  all suspects, 200 seeds each
    python -m benchmarks.explore kafka double     those with such a word in their names
    python -m benchmarks.explore --innocent       scripts without a race, which must not be accused

With `--preempt 0` threads change turns only where they block, and with `--preempt-by` only one of
the strategies is used.

Suspects are of two kinds:

- Mutants. Each lock of our scripts, and of `Replication`, is removed, one at a time.
- Races. benchmarks/races/ holds classic mistakes, as beginners make them. Each has a twin in
  benchmarks/races/fixed/ that does it right.

A suspect's seeds take its commands in turn, and end with the first that finds something: an invalid
test, or a valid one in which a node raised an exception, or was very slow without any fault. What
nothing can find has a sentence in UNSEEN that says why.

Within 200 seeds 34 of the 36 that something could find were found (Python 3.11, in two minutes on
two cores). The others were missed because they need a switch within a line, at a rare moment:
`batch` of broadcast.py (a node may stop batching), and `ask 2` of `Replication` (a loop over the
silent peers may raise RuntimeError).
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.mutants import without_locks
from glomers.challenges import MAX_LATENCY
from glomers.options import PREEMPT, PREEMPT_BY, Options, parse_test
from glomers.report.incidents import sentences
from glomers.report.reasons import headline
from glomers.run.build import silent, simulated_test
from glomers.run.drive import Log
from glomers.run.figures import figures
from glomers.run.reasons import reasons
from glomers.workloads import WORKLOADS

ROOT = Path(__file__).parent.parent
SCRIPTS = Path(__file__).parent / "races"
LIBRARY = "maelstrom_node"
SEEDS = 200

# Several workers on each node, since a race needs two requests at once; and short tests.
TOTAL = "--availability total"
BROADCAST = "-w broadcast --node-count 5 --concurrency 4n --rate 100 --time-limit 3"
COUNTER = "-w g-counter --node-count 3 --concurrency 4n --rate 100 --time-limit 3"
KAFKA = "-w kafka --node-count 2 --concurrency 5n --rate 200 --time-limit 3"
TXN = (
    "-w txn-rw-register --node-count 2 --concurrency 5n --rate 200 --time-limit 3 "
    "--consistency-models read-committed"
)
IDS = "-w unique-ids --node-count 3 --concurrency 4n --rate 100 --time-limit 2"

PARTITIONS = "--nemesis partition --nemesis-interval 0.5"
KILLS = "--concurrency 20n --nemesis kill --nemesis-interval 0.7 --time-limit 12"
LOSSES = "--p-loss 0.3 --concurrency 1n --rate 10 --time-limit 20"
OVERTAKING = "--latency 30 --latency-dist exponential"
SLOW = "--latency 200 --latency-dist exponential"  # some answers come after a time-out
HUB = "--latency 100 -- --max-latency 400ms"
SLOWEST = 1000  # milliseconds until a value is everywhere, without faults

# The commands of each script, without its path.
COMMANDS = {
    "unique_ids.py": (f"{IDS} {TOTAL}",),
    "broadcast.py": (f"{BROADCAST} {TOTAL} {HUB}",),
    "counter.py": (f"{COUNTER} {TOTAL}", f"{COUNTER} {SLOW}", f"{COUNTER} {KILLS} --rate 200"),
    "kafka.py": (
        f"{KAFKA} {OVERTAKING} --availability 0.95",  # an operation that crashes never succeeds
        f"{KAFKA} {PARTITIONS}",
        f"{KAFKA} -- --max-latency 50ms",
    ),
    "txn.py": (f"{TXN} {TOTAL}", f"{TXN} {PARTITIONS}"),
}
# Those that run `Replication`: with faults, or nothing is repaired.
REPLICATION = (
    ("broadcast.py", f"{BROADCAST} {PARTITIONS}"),
    ("broadcast.py", f"{BROADCAST} {LOSSES}"),
    ("txn.py", f"{TXN} {PARTITIONS}"),
    ("kafka.py", f"{KAFKA} {PARTITIONS} --concurrency 10"),
    ("txn.py", f"{TXN} {PARTITIONS} -- --max-latency 50ms"),
)


# The races of benchmarks/races/ and the test of each. Nodes that don't talk are alone.
ALONE = "--node-count 1 --concurrency 10 --rate 200 --time-limit 2"
LIN_KV = f"-w lin-kv {ALONE} --rate 1000"
BEGINNING = "-w unique-ids --node-count 10 --concurrency 10n --rate 5000 --time-limit 0.1"
MANY_KEYS = "--key-count 3 --max-writes-per-key 4"
RACES = {
    "act_across_rpc": COUNTER,
    "answer_in_a_global": f"-w kafka {ALONE}",
    "check_then_act": LIN_KV,
    "checked_once": f"-w kafka {ALONE} {MANY_KEYS}",
    "copy_and_write_back": "-w g-set --node-count 3 --concurrency 4n --rate 100 --time-limit 2",
    "double_start": BEGINNING,
    "iteration_while_adding": "-w g-set --node-count 3 --concurrency 4n --rate 100 --time-limit 2",
    "lock_made_twice": f"-w kafka {ALONE} {MANY_KEYS} --latency 5 --concurrency 20",
    "lock_of_its_own": f"-w g-counter {ALONE}",
    "lost_update": f"-w g-counter {ALONE}",
    "lost_wake_up": f"-w echo {ALONE} --availability total",
    "published_too_early": BEGINNING,
    "released_too_early": f"-w kafka {ALONE}",
    "stale_cache": LIN_KV,
    "torn_read": f"-w txn-rw-register {ALONE}",
    "two_orders": f"-w txn-rw-register {ALONE}",
    "update_on_one_line": f"-w pn-counter {ALONE}",
    "wait_without_loop": IDS,
}


# Locks that no seed finds missing, by file, function and lock, and why.
UNSEEN = {
    "broadcast.py read: lock": "under the GIL list(seen) is one step",
    "counter.py read: refreshing": "two refreshes at once may let a read be staler than promised, "
    "for a moment; the checker judges final reads only",
    "kafka.py poll: lock": "what can be read never changes, and what is inserted comes after it",
    "kafka.py list_committed_offsets: lock": "a lost commit lets messages be read again, as after "
    "a crash, and no checker forbids that",
    "maelstrom_node.py _compare_with: self._locked_for('ask')": "a peer may be asked twice at "
    "once, which costs two messages",
    "maelstrom_node.py _init: self.lock": "nothing else runs before a node is initialised",
}


@dataclass(frozen=True)
class Suspect:
    """What may have a race: a script, or a changed copy of it, and the commands that test it.

    `commands` are pairs of a script's path and flags. `changed` are sources by the names of their
    files, for those files that differ from what lies in the checkout.
    """

    name: str
    commands: tuple[tuple[Path, str], ...]
    changed: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Outcome:
    """What the seeds of a suspect showed. `seed` is the first that found something, or None, and
    `by` the strategy that it drew."""

    name: str
    seed: int | None
    by: str
    told: str
    seconds: float


def mutants() -> Iterator[Suspect]:
    for script, flags in COMMANDS.items():
        for mutant in without_locks((ROOT / script).read_text()):
            yield Suspect(
                f"{script}:{mutant.line} {mutant.function}: {mutant.lock}",
                tuple((ROOT / script, each) for each in flags),
                ((script, mutant.source),),
            )
    library = f"{LIBRARY}.py"
    for mutant in without_locks((ROOT / library).read_text(), within="Replication"):
        yield Suspect(
            f"{library}:{mutant.line} {mutant.function}: {mutant.lock}",
            tuple((ROOT / script, each) for script, each in REPLICATION),
            ((library, mutant.source),),
        )


def races(folder: Path = SCRIPTS) -> Iterator[Suspect]:
    for name, flags in RACES.items():
        yield Suspect(name, ((folder / f"{name}.py", flags),))


def innocent() -> Iterator[Suspect]:
    """Our own scripts, and the twins of the races that do it right."""
    for script, flags in COMMANDS.items():
        others = [each for name, each in REPLICATION if name == script]
        yield Suspect(script, tuple((ROOT / script, each) for each in (*flags, *others)))
    yield from races(SCRIPTS / "fixed")


def options_of(suspect: Suspect, folder: Path | None = None) -> list[Options]:
    """The suspect's tests. If there is a folder, the scripts are copied to it, and run there."""
    tests = []
    for script, flags in suspect.commands:
        path = script
        if folder is not None:
            path = folder / script.name
            if not path.exists():
                path.write_text(script.read_text())
        tests.append(parse_test(f"--bin {shlex.quote(str(path))} {flags}", sorted(WORKLOADS)))
    return tests


def hunt(suspect: Suspect, seeds: int, **options: Any) -> Outcome:
    """Run seeds until one finds something. To be called in a process of its own, once.

    `options` are further options of all tests.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for name, source in suspect.changed:
            (Path(folder) / name).write_text(source)
            if name == f"{LIBRARY}.py":
                _load_library(Path(folder) / name)
        tests = options_of(suspect, Path(folder) if suspect.changed else None)
        for seed in range(seeds):
            drawn: list[str] = []
            test = replace(tests[seed % len(tests)], seed=seed, **options)
            told = what_is_wrong(test, drawn.append)
            if told:
                by = drawn[0].rpartition(" ")[2] if drawn else ""
                return Outcome(suspect.name, seed, by, told, time.monotonic() - began)
    return Outcome(suspect.name, None, "", "", time.monotonic() - began)


def what_is_wrong(options: Options, log: Log = silent) -> str:
    """Run a test: why it isn't valid, or, if it is, which exception a node raised, or how slow it
    was; "" if nothing is wrong."""
    results = simulated_test(options, log=log).run()
    exceptions = [each for each in results.get("incidents") or () if each["kind"] == "exception"]
    told = sentences({**results, "incidents": exceptions})
    if options.workload == "broadcast" and not options.nemesis and not options.p_loss:
        told += [
            f"{figure.name}: {figure.value} ms"
            for figure in figures(results, options.workload)
            if figure.name == MAX_LATENCY and (figure.value or 0) > SLOWEST
        ]
    if results["valid?"] is not True:
        error = str(results.get("error", "")).partition("\n")[0]
        told = [error or headline(reasons(results, options.workload)), *told]
    return told[0] if told else ""


def _load_library(path: Path) -> None:
    """Let simulated nodes use this copy of the library, as the workbench's own."""
    assert LIBRARY not in sys.modules, "the workbench has its library already"
    spec = importlib.util.spec_from_file_location(LIBRARY, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[LIBRARY] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def hunt_all(suspects: Sequence[Suspect], seeds: int, **options: Any) -> Iterator[Outcome]:
    """Hunt each suspect in a process of its own, on all cores; yield outcomes as they come."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        yield from pool.imap_unordered(partial(hunt, seeds=seeds, **options), suspects)


def row(outcome: Outcome) -> str:
    """The suspect, the first seed that found something, by which strategy, seconds, and what."""
    seed = "-" if outcome.seed is None else str(outcome.seed)
    told = outcome.told or unseen(outcome.name)
    return f"{outcome.name:<55} {seed:>4} {outcome.by:<10} {outcome.seconds:>6.1f}  {told}".rstrip()


def summary(outcomes: Sequence[Outcome], seeds: int) -> str:
    """How many were found, of those that something could find."""
    found = sum(outcome.seed is not None for outcome in outcomes)
    explained = sum(outcome.seed is None and unseen(outcome.name) != "" for outcome in outcomes)
    could = len(outcomes) - explained
    share = f" ({found / could:.0%})" if could else ""
    text = f"Found within {seeds} seeds: {found} of {could}{share}."
    return f"{text} Nothing can find {explained} others." if explained else text


def unseen(name: str) -> str:
    """Why nothing can find this mutant; "" if that isn't known."""
    return UNSEEN.get(re.sub(r":\d+", "", name), "")


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("words", nargs="*", help="hunt only suspects with such a word in the name")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"(default: {SEEDS})")
    parser.add_argument("--innocent", action="store_true", help="hunt scripts without a race")
    parser.add_argument("--preempt", type=float, default=PREEMPT, help=f"(default: {PREEMPT})")
    parser.add_argument("--preempt-by", choices=PREEMPT_BY, default=PREEMPT_BY[0])
    parsed = parser.parse_args()
    how = {"preempt": parsed.preempt, "preempt_by": parsed.preempt_by}
    suspects = list(innocent()) if parsed.innocent else [*mutants(), *races()]
    if parsed.words:
        suspects = [s for s in suspects if any(word in s.name for word in parsed.words)]
    print(f"{'suspect':<55} seed {'found by':<10} {'s':>6}  told")
    outcomes = []
    for outcome in hunt_all(suspects, parsed.seeds, **how):
        outcomes.append(outcome)
        print(row(outcome), flush=True)
    print(summary(outcomes, parsed.seeds))


if __name__ == "__main__":
    main()
