"""What a test is told to do: Maelstrom's flags as one frozen record."""

from __future__ import annotations

import argparse
import random
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from workbench.errors import UsageError

TOPOLOGY_NAMES = ("line", "grid", "tree", "tree2", "tree3", "tree4", "total")
LATENCY_DISTRIBUTIONS = ("constant", "uniform", "exponential")
NEMESES = ("partition", "pause", "kill", "slow")
DEFAULT_NODES = ("n1", "n2", "n3", "n4", "n5")


@dataclass(frozen=True)
class Options:
    """One test's options; the defaults are Maelstrom's.

    `time_limit` and `nemesis_interval` are in seconds, `latency` (the mean) in milliseconds,
    `rate` in operations per second for the whole cluster.
    """

    workload: str = "lin-kv"
    bin: str = ""
    args: tuple[str, ...] = ()
    nodes: tuple[str, ...] = DEFAULT_NODES
    time_limit: float = 60
    rate: float = 5
    concurrency: int = 5
    latency: int = 0
    latency_dist: str = "constant"
    topology: str = "grid"
    nemesis: tuple[str, ...] = ()
    nemesis_interval: float = 10
    availability: str | float | None = None
    consistency_models: tuple[str, ...] = ("strict-serializable",)
    key_count: int | None = None
    max_txn_length: int = 4
    max_writes_per_key: int = 16
    log_stderr: bool = False
    log_net_send: bool = False
    log_net_recv: bool = False
    seed: int = 0
    p_loss: float = 0.0
    p_duplicate: float = 0.0
    strict: bool = False


# Parsing

T = TypeVar("T")


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are UsageErrors."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see: {self.prog} --help)")


def checked(
    convert: Callable[[str], T], test: Callable[[T], bool], expected: str
) -> Callable[[str], T]:
    """An argument type: `convert` the text, `test` the value, or say what was `expected`."""

    def parse(text: str) -> T:
        try:
            value = convert(text)
            good = test(value)
        except ValueError:
            good = False
        if not good:
            raise argparse.ArgumentTypeError(f"expected {expected}, not {text!r}")
        return value

    return parse


positive = checked(int, lambda n: n > 0, "a positive integer")
fraction = checked(float, lambda x: 0 <= x <= 1, "a number from 0 to 1")
rate = checked(float, lambda x: 0 <= x < float("inf"), "a number >= 0")
seconds = checked(float, lambda x: 0 < x < float("inf"), "a positive number of seconds")


def _availability(text: str) -> str | float:
    return "total" if text == "total" else fraction(text)


def _names(text: str, known: Sequence[str], what: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(
                f"unknown {what} {name!r}; expected some of {', '.join(known)}"
            )
    return names


def _nodes(text: str) -> tuple[str, ...]:
    nodes = tuple(name.strip() for name in text.split(","))
    if not all(nodes) or len(set(nodes)) < len(nodes):
        raise argparse.ArgumentTypeError(f"expected different names, not {text!r}")
    if bad := [name for name in nodes if name.startswith("c")]:
        raise argparse.ArgumentTypeError(f"{bad[0]!r}: names that begin with c are for clients")
    return nodes


def add_check_flags(parser: argparse.ArgumentParser, workloads: Sequence[str]) -> None:
    """The flags on which a verdict may depend."""
    parser.add_argument(
        "-w",
        "--workload",
        required=True,
        choices=workloads,
        metavar="NAME",
        help=f"what to run: {', '.join(workloads)}",
    )
    parser.add_argument(
        "--availability",
        type=_availability,
        metavar="EXPECTED",
        help="what fraction of the operations must succeed: 'total', or a number from 0 to 1",
    )
    parser.add_argument(
        "--consistency-models",
        metavar="MODELS",
        default=("strict-serializable",),
        type=lambda text: tuple(name.strip() for name in text.split(",")),
        help="comma-separated consistency models to check (default: strict-serializable)",
    )
    parser.add_argument("--key-count", type=positive, metavar="INT", help="keys in use at a time")
    parser.add_argument(
        "--max-txn-length",
        type=positive,
        default=4,
        metavar="INT",
        help="most operations in a transaction (default: 4)",
    )
    parser.add_argument(
        "--max-writes-per-key",
        type=positive,
        default=16,
        metavar="INT",
        help="most writes to a key (default: 16)",
    )
    parser.add_argument("--strict", action="store_true", help="let warnings make a test invalid")


def add_test_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of a test, beside those on which its verdict depends."""
    add = parser.add_argument
    add("--bin", required=True, metavar="FILE", help="the program that runs a node")
    add("--node-count", type=positive, metavar="NUM", help="how many nodes; overrides --nodes")
    add("--nodes", type=_nodes, default=DEFAULT_NODES, metavar="NAMES",
        help="comma-separated names of the nodes (default: n1,n2,n3,n4,n5)")  # fmt: skip
    add("--time-limit", type=seconds, default=60.0, metavar="SECONDS",
        help="how long the load lasts (default: 60)")  # fmt: skip
    add("--rate", type=rate, default=5.0,
        metavar="RATE", help="operations per second of the whole cluster (default: 5)")  # fmt: skip
    add("--concurrency", default="1n", metavar="NUMBER",
        type=checked(str, lambda text: bool(re.fullmatch(r"0*[1-9]\d*n?", text)),
                     "a positive integer, optionally with n for 'times the nodes'"),
        help="how many workers; 4n for four a node (default: 1n)")  # fmt: skip
    add("--latency", type=checked(int, lambda n: n >= 0, "an integer >= 0"), default=0,
        metavar="MILLIS", help="mean latency between servers, in ms (default: 0)")  # fmt: skip
    add("--latency-dist", choices=LATENCY_DISTRIBUTIONS, default="constant",
        help="distribution of the latency (default: constant)")  # fmt: skip
    add("--topology", choices=TOPOLOGY_NAMES, default="grid",
        help="the topology to offer, in broadcast (default: grid)")  # fmt: skip
    add("--nemesis", type=lambda text: _names(text, NEMESES, "fault"), default=(), metavar="FAULTS",
        help=f"comma-separated faults: {', '.join(NEMESES)}")  # fmt: skip
    add("--nemesis-interval", type=seconds, default=10.0, metavar="SECONDS",
        help="mean time between the nemesis's actions (default: 10)")  # fmt: skip
    add("--p-loss", type=fraction, default=0.0, metavar="P",
        help="probability that a message between servers is lost (default: 0)")  # fmt: skip
    add("--p-duplicate", type=fraction, default=0.0, metavar="P",
        help="probability that one arrives twice (default: 0)")  # fmt: skip
    add("--seed", type=int, metavar="INT", help="seed of all randomness (default: a random one)")
    add("--log-stderr", action="store_true", help="show what the nodes print to standard error")
    add("--log-net-send", action="store_true", help="show every message when it is sent")
    add("--log-net-recv", action="store_true", help="show every message when it is received")


def parse_test(command: str, workloads: Sequence[str]) -> Options:
    """The options of a test from its command line, what comes after `test`. Raises UsageError."""
    flags, args = split_node_arguments(shlex.split(command))
    parser = Parser()
    add_check_flags(parser, workloads)
    add_test_flags(parser)
    return from_namespace(parser.parse_args(flags), args)


def split_node_arguments(arguments: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """What is before the first `--`, and what is after it: the arguments for the node."""
    if "--" not in arguments:
        return list(arguments), ()
    cut = list(arguments).index("--")
    return list(arguments[:cut]), tuple(arguments[cut + 1 :])


def from_namespace(parsed: argparse.Namespace, args: tuple[str, ...] = ()) -> Options:
    """Options from parsed flags; `args` are the arguments for the node."""
    values = {
        field: value
        for field, value in vars(parsed).items()
        if field in Options.__dataclass_fields__ and value is not None
    }
    if getattr(parsed, "node_count", None):
        values["nodes"] = tuple(f"n{number}" for number in range(parsed.node_count))
    nodes = values.get("nodes", DEFAULT_NODES)
    concurrency = values.get("concurrency", "1n")
    if concurrency.endswith("n"):
        values["concurrency"] = int(concurrency[:-1]) * len(nodes)
    else:
        values["concurrency"] = int(concurrency)
    values.setdefault("seed", random.SystemRandom().randrange(1_000_000))
    return Options(**values, args=args)
