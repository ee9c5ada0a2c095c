"""The options of a test: Maelstrom's flags as one frozen record, and how they are parsed."""

from __future__ import annotations

import argparse
import random
import re
import shlex
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from glomers import invocation
from glomers.challenges import is_number
from glomers.errors import HelpShown, UsageError, did_you_mean, quote
from glomers.invocation import named

TOPOLOGY_NAMES = ("line", "grid", "tree", "tree2", "tree3", "tree4", "total")
PREEMPT = 0.01  # the probability of `--preempt` alone
PREEMPT_BY = ("mixed", "lines", "bytecodes", "priorities")
LATENCY_DISTRIBUTIONS = ("constant", "uniform", "exponential")
SERVICES = ("lin-kv", "seq-kv", "lww-kv", "lin-tso")
DEFAULT_NODES = ("n1", "n2", "n3", "n4", "n5")

# Limits. Larger values would exhaust memory, open files or the system's clocks during the test.
MOST_NODES = 1_000
MOST_WORKERS = 10_000
MOST_KEYS = 100_000
MOST_WRITES = 1_000_000_000  # to a key
LONGEST_TRANSACTION = 10_000
FASTEST, SLOWEST = 1_000_000, 0.001  # operations per second
LONGEST, SHORTEST = 1_000_000, 0.001  # seconds
LONGEST_NAME = 200  # bytes of a node's name, which is part of a file's name
NODES_FILE = 1 << 20  # bytes that are read of a --nodes-file

KEPT = 100  # runs that a store keeps by default

EXPLORED_NODES = 2  # unless a flag says how many
MOST_EXPLORED = 100  # operations, or faults of a kind; many fewer take for ever
FAULTS_OF_EXPLORATION = {
    "losses": "messages between servers are lost",
    "duplicates": "messages between servers arrive twice",
    "crashes": "nodes crash, and start anew",
    "switches": "times a thread loses its turn before a line",
    "early-timers": "timers go off although something else could happen first",
}

OF_A_CHALLENGE = ("sweep", "explore", "shrink")  # commands that simulate a test many times

TEST_USAGE = "%(prog)s --bin FILE [FLAG ...] [[--] ARGUMENT ...]"

# The dashes that web pages and word processors put in place of two hyphens.
DASHES = "‐‑‒–—―−﹣－"

# Jepsen's flags that have no effect here: the name of their value (None: no value), and why.
_LOCAL = "nodes are processes of this machine: nobody logs in anywhere"
IGNORED = {
    "--username": ("USER", _LOCAL),
    "--password": ("PASS", _LOCAL),
    "--strict-host-key-checking": (None, _LOCAL),
    "--no-ssh": (None, _LOCAL),
    "--ssh-private-key": ("FILE", _LOCAL),
    "--leave-db-running": (None, "nodes end with their test"),
    "--logging-json": (None, "results.json and messages.jsonl are there for programs anyway"),
}


@dataclass(frozen=True)
class Options:
    """One test's options; the defaults are Maelstrom's.

    `time_limit` and `nemesis_interval` are in seconds, `latency` (the mean) in milliseconds,
    `rate` in operations per second for the whole cluster. `preempt` is the probability with which
    a thread loses its turn before a line; 0 for never.
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
    hard: bool = False
    preempt: float = 0.0
    preempt_by: str = "mixed"
    check: str = ""


# Parsing


def program() -> str:
    """The program as the person called it: `./run.sh`, or `glomers`, where that is installed."""
    return invocation.present().program


T = TypeVar("T")


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError for mistakes, and HelpShown after --help."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    @property
    def flags(self) -> Collection[str]:
        """Every flag that this parser knows."""
        return self._option_string_actions

    @property
    def flags_with_value(self) -> list[str]:
        """Those that take the word after them."""
        return [flag for flag, action in self._option_string_actions.items() if action.nargs != 0]

    def parse(self, arguments: Sequence[str]) -> tuple[argparse.Namespace, tuple[str, ...]]:
        """The flags, and the arguments for the node. Raises UsageError for unknown flags.

        As in Maelstrom (by tools.cli), arguments for the node are all words after `--`, and those
        before it that are neither flags nor their values.
        """
        words, node_arguments = split_node_arguments(arguments)
        parsed, others = self.parse_known_args(words)
        if wrong := [word for word in others if word.startswith("-") and word != "-"]:
            self.error(f"unknown flag {wrong[0]!r}")
        return parsed, (*others, *node_arguments)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        if args is not None:
            try:
                check_flags(split_node_arguments(args)[0], self.flags)
            except UsageError as error:
                self.error(str(error))
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see: {self.prog} --help)")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise HelpShown


def check_flags(words: Iterable[str], known: Collection[str] | None = None) -> None:
    """Raise UsageError for a word that looks like a flag and isn't one.

    If `known`, the flags that there are, is None, only dashes other than `-` are looked for.
    """
    for word in words:
        bare = word.lstrip("-" + DASHES)
        if dash := next((c for c in word[: len(word) - len(bare)] if c in DASHES), None):
            name = unicodedata.name(dash).lower()
            name = f"{'an' if name[0] in 'aeiou' else 'a'} {name} (U+{ord(dash):04X})"
            raise UsageError(
                f"{word!r} begins with {name}, as copies from web pages do, and is no flag; "
                f"write --{bare}"
            )
        if known is None or not re.match(r"--?[A-Za-z]", word):
            continue
        flag = word.partition("=")[0]
        if flag[1] != "-":
            if "-" + flag in known:
                raise UsageError(f"{word!r} has a single hyphen; write -{word}")
            flag = flag[:2]
        if flag not in known:
            raise UsageError(f"unknown flag {flag!r}; {did_you_mean(flag, known)}".rstrip("; "))


class _Ignore(argparse.Action):
    """Collects in `ignored` the flags of the command line that have no effect here."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        namespace.ignored = (*getattr(namespace, "ignored", ()), option_string)


def checked(
    convert: Callable[[str], T], test: Callable[[T], bool], expected: str
) -> Callable[[str], T]:
    """An argument type: `convert` the text and `test` the value; errors say what was `expected`."""

    def parse(text: str) -> T:
        try:
            value = convert(text)
            good = test(value)
        except ValueError:
            good = False
        if not good:
            raise argparse.ArgumentTypeError(f"expected {expected}, not '{quote(text, 80)}'")
        return value

    return parse


def limited(parse: Callable[[str], T], most: float, least: float = 0) -> Callable[[str], T]:
    """An argument type for numbers from `least` to `most`, or 0 if `parse` allows it."""

    def within(text: str) -> T:
        value: Any = parse(text)
        if value and not least <= value <= most:
            limit = f"at most {most:,}" if value > most else f"at least {least:g}"
            raise argparse.ArgumentTypeError(f"expected {limit}, not '{quote(text, 80)}'")
        return value  # type: ignore[no-any-return]

    return within


def one_of(known: Sequence[str], what: str) -> Callable[[str], str]:
    """An argument type: one of the `known` words."""

    def parse(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(
                f"unknown {what} '{quote(text, 80)}'; {did_you_mean(text, known)}"
                f"expected one of {', '.join(known)}"
            )
        return text

    return parse


positive = checked(int, lambda n: n > 0, "a positive integer")
natural = checked(int, lambda n: n >= 0, "an integer >= 0")
fraction = checked(float, lambda x: 0 <= x <= 1, "a number from 0 to 1")


def _keep(text: str) -> int | None:
    """How many runs the store keeps; None for all."""
    return None if text == "all" else int(text)


keep = checked(_keep, lambda n: n is None or n > 0, "a positive integer, or all")
rate = limited(
    checked(float, lambda x: 0 <= x < float("inf"), "a number >= 0"), FASTEST, least=SLOWEST
)
seconds = limited(
    checked(float, lambda x: 0 < x < float("inf"), "a positive number of seconds"),
    LONGEST,
    least=SHORTEST,
)
latency = limited(natural, LONGEST)


def _availability(text: str) -> str | float:
    return "total" if text == "total" else fraction(text)


def _names(text: str, known: Collection[str], what: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(known)}, not {text!r}")
    for name in names if known else ():
        if name not in known:
            raise argparse.ArgumentTypeError(
                f"unknown {what} {name!r}; {did_you_mean(name, known)}"
                f"expected some of {', '.join(known)}"
            )
    return names


def _concurrency(text: str) -> str:
    number = re.fullmatch(r"0*([1-9][0-9]*)n?", text)
    if not number:
        raise argparse.ArgumentTypeError(
            "expected a positive integer, optionally with n for 'times the nodes', "
            f"not '{quote(text, 80)}'"
        )
    limited(positive, MOST_WORKERS)(number[1])
    return text


def check_nodes(names: Sequence[str]) -> None:
    """Raise UsageError unless these can be the names of a test's nodes.

    A name may be any text (Maelstrom takes host names) that can be a file's name and isn't the name
    of a client or a service.
    """
    if len(names) > MOST_NODES:
        raise UsageError(f"expected at most {MOST_NODES:,} nodes, not {len(names):,}")
    if not all(names) or len(set(names)) < len(names):
        raise UsageError(f"nodes: expected different names, not '{quote(','.join(names))}'")
    for name in names:
        if name.startswith("c"):
            problem = "names that begin with c are for clients"
        elif name in SERVICES:
            problem = f"that is a service; the services are {', '.join(SERVICES)}"
        elif "/" in name or not name.isprintable():
            problem = "a node's log is named after it, so it can't hold '/' or control characters"
        elif len(name.encode()) > LONGEST_NAME:
            problem = f"expected at most {LONGEST_NAME} bytes, not {len(name.encode()):,}"
        else:
            continue
        raise UsageError(f"node '{quote(name, 80)}': {problem}")


def _read_nodes(path: str) -> list[str]:
    """The names in a file, one a line. Raises UsageError if it can't be read or holds none."""
    try:
        with Path(path).open("rb") as file:
            text = file.read(NODES_FILE).decode()
    except OSError as error:
        raise UsageError(f"--nodes-file: can't read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--nodes-file: {path} is not UTF-8 text") from None
    if names := [line.strip() for line in text.splitlines() if line.strip()]:
        return names
    raise UsageError(f"--nodes-file: {path} holds no names: expected one a line")


def add_check_flags(
    parser: argparse.ArgumentParser, workloads: Sequence[str], default: str | None = None
) -> None:
    """Add the flags that a verdict may depend on. Without a `default`, `-w` is required."""
    parser.add_argument(
        "-w",
        "--workload",
        required=default is None,
        default=default,
        type=one_of(workloads, "workload"),
        metavar="NAME",
        help=f"what to run: {', '.join(workloads)}" + (f" (default: {default})" if default else ""),
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
    parser.add_argument(
        "--key-count",
        type=limited(positive, MOST_KEYS),
        metavar="INT",
        help="keys in use at a time",
    )
    parser.add_argument(
        "--max-txn-length",
        type=limited(positive, LONGEST_TRANSACTION),
        default=4,
        metavar="INT",
        help="most operations in a transaction (default: 4)",
    )
    parser.add_argument(
        "--max-writes-per-key",
        type=limited(positive, MOST_WRITES),
        default=16,
        metavar="INT",
        help="most writes to a key (default: 16)",
    )
    parser.add_argument("--strict", action="store_true", help="let warnings make a test invalid")
    parser.add_argument(
        "--check",
        type=checked(lambda text: text and str(named(text)), bool, "the path of a Python file"),
        metavar="FILE",
        help="judge by functions of this Python file, too: check(history) and, if nodes are "
        "simulated, always(cluster) and eventually(cluster)",
    )


def add_test_flags(parser: argparse.ArgumentParser, faults: Mapping[str, str]) -> None:
    """Add the flags of a test that its verdict doesn't depend on.

    `faults` says what each fault does, by its name.
    """
    add = parser.add_argument
    add("--bin", required=True, type=checked(str, bool, "the path of a program"), metavar="FILE",
        help="the program that runs a node; ARGUMENTs are passed to it")  # fmt: skip
    add("--node-count", type=limited(positive, MOST_NODES), metavar="NUM",
        help="how many nodes: n0, n1, …; overrides --nodes")  # fmt: skip
    add("--nodes", type=lambda text: [name.strip() for name in text.split(",")], metavar="NAMES",
        help=f"comma-separated names of nodes (default: {','.join(DEFAULT_NODES)})")  # fmt: skip
    add("-n", "--node", action="append", metavar="NAME",
        help="the name of a node, beside those of --nodes; may be repeated")  # fmt: skip
    add("--nodes-file", metavar="FILE", help="a file with names of nodes, one a line")
    add("--time-limit", type=seconds, default=60.0, metavar="SECONDS",
        help="how long the load lasts (default: 60)")  # fmt: skip
    add("--rate", type=rate, default=5.0,
        metavar="RATE", help="operations per second of the whole cluster (default: 5)")  # fmt: skip
    add("--concurrency", default="1n", metavar="NUMBER", type=_concurrency,
        help="how many workers; 4n for four a node (default: 1n)")  # fmt: skip
    add("--latency", type=latency, default=0,
        metavar="MILLIS", help="mean latency between servers, in ms (default: 0)")  # fmt: skip
    add("--latency-dist", type=one_of(LATENCY_DISTRIBUTIONS, "latency distribution"),
        default="constant", metavar="TYPE",
        help=f"{', '.join(LATENCY_DISTRIBUTIONS)} (default: constant)")  # fmt: skip
    add("--topology", type=one_of(TOPOLOGY_NAMES, "topology"), default="grid", metavar="NAME",
        help=f"offered in broadcast: {', '.join(TOPOLOGY_NAMES)} (default: grid)")  # fmt: skip
    kinds = "; ".join(f"{name} ({what})" for name, what in faults.items())
    add("--nemesis", type=lambda text: _names(text, faults, "fault"), default=(),
        metavar="FAULTS", help=f"comma-separated faults: {kinds}")  # fmt: skip
    add("--nemesis-interval", type=seconds, default=10.0, metavar="SECONDS",
        help="mean time between the nemesis's actions (default: 10)")  # fmt: skip
    add("--p-loss", type=fraction, default=0.0, metavar="P",
        help="probability that a message between servers is lost (default: 0)")  # fmt: skip
    add("--p-duplicate", type=fraction, default=0.0, metavar="P",
        help="probability that a message between servers arrives twice (default: 0)")  # fmt: skip
    add("--hard", action="store_true",
        help="more concurrency, latency and faults, drawn from the seed, but no faults "
        "of a kind that the other flags rule out")  # fmt: skip
    add("--preempt", nargs="?", type=fraction, const=PREEMPT, default=0.0, metavar="P",
        help="let threads of simulated nodes lose their turn before a line with probability P "
        f"(default: {PREEMPT})")  # fmt: skip
    add("--preempt-by", type=one_of(PREEMPT_BY, "way to preempt"), default="mixed", metavar="HOW",
        help="lines (each is as likely), bytecodes (within lines, too), priorities (few switches, "
        "long ones), or mixed: each seed draws one (default: mixed)")  # fmt: skip
    add("--seed", type=int, metavar="INT", help="seed of all randomness (default: a random one)")
    add("--log-stderr", action="store_true", help="show what the nodes print to standard error")
    add("--log-net-send", action="store_true", help="show every message when it is sent")
    add("--log-net-recv", action="store_true", help="show every message when it is received")
    ignored = parser.add_argument_group("flags of Maelstrom's that are accepted and ignored")
    for flag, (takes, why) in IGNORED.items():
        ignored.add_argument(flag, action=_Ignore, nargs=None if takes else 0, metavar=takes,
                             default=argparse.SUPPRESS, help=why)  # fmt: skip


def parser_of_test(workloads: Sequence[str] = (), faults: Mapping[str, str] = {}) -> Parser:
    """The parser of `test`. Without `workloads` or `faults`, any name of one is accepted."""
    parser = Parser(prog=f"{program()} test", usage=TEST_USAGE, description="Run a test.")
    add_check_flags(parser, workloads, default=Options.workload)
    add_test_flags(parser, faults)
    add = parser.add_argument
    add("--store", type=checked(str, bool, "a folder"), metavar="FOLDER",
        default="store", help="where tests are kept (default: store)")  # fmt: skip
    add("--keep", type=keep, default=KEPT, metavar="NUM",
        help=f"how many of the last runs to keep there, or 'all' (default: {KEPT})")  # fmt: skip
    add("--challenge", metavar="NAME", help="show this challenge's targets")
    add("--simulate", action="store_true",
        help="run the Python script --bin here, in virtual time")  # fmt: skip
    add("--scenario", type=checked(str, bool, "a file"), metavar="FILE",
        help="simulate the decisions of a run that are written in FILE; its flags are added, "
        "and those given here win")  # fmt: skip
    add("--test-count", type=positive, default=1, metavar="NUM",
        help="how many tests to run, each with the next seed, until one is not valid "
        "(default: 1)")  # fmt: skip
    return parser


def parser_of_exploration(workloads: Sequence[str] = (), faults: Mapping[str, str] = {}) -> Parser:
    """The parser of `explore`. Without `workloads` or `faults`, any name of one is accepted."""
    parser = Parser(
        prog=f"{program()} explore",
        usage=TEST_USAGE,
        description="Simulate a small test in every order in which things can happen. Of the flags "
        "of `test`, those for rates, times and random faults have no effect.",
    )
    add_check_flags(parser, workloads, default=Options.workload)
    add_test_flags(parser, faults)
    parser.set_defaults(nodes=list(DEFAULT_NODES[:EXPLORED_NODES]), seed=0)
    add = parser.add_argument
    add("--operations", type=limited(positive, MOST_EXPLORED), default=3, metavar="NUM",
        help="how many operations clients begin, before the final ones (default: 3)")  # fmt: skip
    for flag, what in FAULTS_OF_EXPLORATION.items():
        add(f"--{flag}", type=limited(natural, MOST_EXPLORED), default=0, metavar="NUM",
            help=f"at most so many {what} (default: 0)")  # fmt: skip
    add("--horizon", type=limited(seconds, LONGEST), default=3.0, metavar="SECONDS",
        help="for how long after the last operation the order is chosen (default: 3)")  # fmt: skip
    add("--most-runs", type=positive, default=100_000, metavar="NUM",
        help="give up after so many runs (default: 100000)")  # fmt: skip
    add("--most-seconds", type=seconds, default=600.0, metavar="SECONDS",
        help="give up after so long (default: 600)")  # fmt: skip
    add("--store", type=checked(str, bool, "a folder"), metavar="FOLDER",
        default="store", help="where a run that fails is kept (default: store)")  # fmt: skip
    add("--challenge", metavar="NAME", help="show this challenge's targets")
    return parser


def parse_test(command: str, workloads: Sequence[str]) -> Options:
    """The options of a test from its command line, the words after `test`. Raises UsageError."""
    return from_namespace(*parser_of_test(workloads).parse(shlex.split(command)))


def words_of(options: Options) -> list[str]:
    """The command line of a test, the words after `test`, that has these options.

    What each test shows a person (--log-stderr and the like) is left out.
    """
    words = ["-w", options.workload, "--bin", options.bin]
    count = len(options.nodes)
    if options.nodes == tuple(f"n{number}" for number in range(count)):
        words += ["--node-count", str(count)] if options.nodes != DEFAULT_NODES else []
    else:
        words += ["--nodes", ",".join(options.nodes)]
    if options.concurrency != count:
        words += ["--concurrency", str(options.concurrency)]
    for name in _PLAIN:
        value = getattr(options, name)
        if value != getattr(Options, name):
            words += [f"--{name.replace('_', '-')}", _word(value)]
    words += [f"--{name}" for name in ("strict", "hard") if getattr(options, name)]
    words += ["--seed", str(options.seed)]
    return join_node_arguments(words, options.args)


# Options whose flag has the same name and is left out if it has the default.
_PLAIN = (
    *("time_limit", "rate", "latency", "latency_dist", "topology", "nemesis", "nemesis_interval"),
    *("availability", "consistency_models", "key_count", "max_txn_length", "max_writes_per_key"),
    *("p_loss", "p_duplicate", "preempt", "preempt_by", "check"),
)


def _word(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return str(value)


def split_node_arguments(arguments: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """The words before the first `--`, and those after it, which are arguments for the node."""
    if "--" not in arguments:
        return list(arguments), ()
    cut = list(arguments).index("--")
    return list(arguments[:cut]), tuple(arguments[cut + 1 :])


def join_node_arguments(words: Sequence[str], node_arguments: Sequence[str]) -> list[str]:
    """A command line of words that have no `--`, with arguments for the node if there are any."""
    return [*words, "--", *node_arguments] if node_arguments else list(words)


def challenge_first(words: Sequence[str]) -> list[str]:
    """A command line whose challenge stands before its flags, if it stood among them.

    That is of a command which begins with a flag, and of those of OF_A_CHALLENGE, unless that
    names a workload.
    """
    begin = 1 if words and words[0] in OF_A_CHALLENGE else 0
    flags, node_arguments = split_node_arguments(words[begin:])
    given = {flag.partition("=")[0] for flag in flags}
    if not flags or not flags[0].startswith("-") or given & {"-w", "--workload"}:
        return list(words)
    parsers = parser_of_test(), parser_of_exploration()
    valued = {flag for parser in parsers for flag in parser.flags_with_value}
    valued |= {"--engine", "--seeds", "--dask", "--save", "--within"}
    place = 0
    while place < len(flags) and flags[place].startswith("-"):
        alone = flags[place] == "--preempt" and any(map(is_number, flags[place + 1 : place + 2]))
        place += 2 if flags[place] in valued and not alone else 1
    if not any(map(is_number, flags[place : place + 1])):
        return list(words)
    ordered = [*words[:begin], flags.pop(place), *flags]
    return [*ordered, "--", *node_arguments] if "--" in words else ordered


def with_flags(words: Sequence[str], *flags: str) -> list[str]:
    """A command line with further flags, inserted before the arguments for the node."""
    cut = words.index("--") if "--" in words else len(words)
    return [*words[:cut], *flags, *words[cut:]]


def without_flags(words: Sequence[str], *flags: str) -> list[str]:
    """A command line without some flags and their values; the node's arguments stay."""
    cut = words.index("--") if "--" in words else len(words)
    kept: list[str] = []
    rest = iter(words[:cut])
    for word in rest:
        if word in flags:
            next(rest, None)
        elif word.partition("=")[0] not in flags:
            kept.append(word)
    return [*kept, *words[cut:]]


def from_namespace(parsed: argparse.Namespace, args: tuple[str, ...] = ()) -> Options:
    """Options from parsed flags; `args` are the arguments for the node. Raises UsageError."""
    values = {
        field: value
        for field, value in vars(parsed).items()
        if field in Options.__dataclass_fields__ and value is not None
    }
    values["nodes"] = nodes = _all_nodes(parsed)
    concurrency = values.get("concurrency", "1n")
    workers = int(concurrency.rstrip("n")) * (len(nodes) if concurrency.endswith("n") else 1)
    if workers > MOST_WORKERS:
        raise UsageError(
            f"--concurrency {concurrency} is {workers:,} workers; expected at most {MOST_WORKERS:,}"
        )
    values["concurrency"] = workers
    values.setdefault("seed", random.SystemRandom().randrange(1_000_000))
    return Options(**values, args=args)


def _all_nodes(parsed: argparse.Namespace) -> tuple[str, ...]:
    """All nodes, in Jepsen's order: of --nodes-file, of --nodes or --node-count, of --node."""
    given = vars(parsed)
    names = _read_nodes(given["nodes_file"]) if given.get("nodes_file") else []
    if given.get("node_count"):
        names += [f"n{number}" for number in range(given["node_count"])]
    else:
        names += given.get("nodes") or []
    names += given.get("node") or []
    check_nodes(names)
    return tuple(names) or DEFAULT_NODES
