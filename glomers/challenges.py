"""The challenges of Gossip Glomers (https://fly.io/dist-sys/): their commands and targets.

Commands and targets are only written here. `./run.sh` runs these commands, on Maelstrom or on the
workbench, and lists the challenges in its help. The summary of a test shows these targets.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from glomers.errors import UsageError, did_you_mean

# The folder of the scripts that the commands name: in the package, if it is installed, otherwise
# the top of the checkout. The node library is beside the package in both cases.
_PACKAGE = Path(__file__).resolve().parent
LIBRARY = _PACKAGE.parent / "maelstrom_node.py"
SCRIPTS = _PACKAGE / "scripts" if (_PACKAGE / "scripts").is_dir() else _PACKAGE.parent

# The names of those figures of a summary that have a target in some challenge.
AVAILABILITY = "availability"
SERVER_MESSAGES = "server messages per operation"
MEDIAN_LATENCY = "stable latency median"
MAX_LATENCY = "stable latency max"
LOST_VALUES = "values lost"
DUPLICATED_IDS = "ids given twice"
WRONG_COUNTS = "final reads that are wrong"
LOG_ERRORS = "kinds of log errors"
ANOMALIES = "kinds of anomalies"


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure has to be: less than `limit` (`<`), or exactly `limit` (`=`).

    A fraction is from 0 to 1 (1 is 100 %), a latency is in milliseconds.
    """

    figure: str
    relation: str
    limit: float

    def reached(self, value: float) -> bool:
        return value < self.limit if self.relation == "<" else value == self.limit


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge. Each run has one of the `commands`: the words after `maelstrom test`.

    A command may end with `--` and arguments for the node. Its `--bin` is in the folder SCRIPTS.
    """

    name: str
    title: str
    asks: str
    commands: tuple[str, ...]
    targets: tuple[Target, ...] = ()

    @property
    def script(self) -> Path:
        """The script that all its commands run."""
        words = shlex.split(self.commands[0])
        return SCRIPTS / words[words.index("--bin") + 1]


TOTAL = Target(AVAILABILITY, "=", 1)
NOTHING_LOST = Target(LOST_VALUES, "=", 0)

BROADCAST = "-w broadcast --bin broadcast.py"
EFFICIENT = f"{BROADCAST} --node-count 25 --time-limit 20 --rate 100 --latency 100"
KAFKA = "-w kafka --bin kafka.py"
KAFKA_LOAD = "--concurrency 2n --time-limit 20 --rate 1000"
TXN = "-w txn-rw-register --bin txn.py"
TXN_LOAD = "--time-limit 20 --rate 1000 --concurrency 2n"

CHALLENGES = (
    Challenge(
        "1",
        "Echo",
        "every message comes back",
        ("-w echo --bin echo.py --node-count 1 --time-limit 10",),
    ),
    Challenge(
        "2",
        "Unique ID Generation",
        "unique ids, and every request is answered",
        (
            "-w unique-ids --bin unique_ids.py --time-limit 30 --rate 1000 --node-count 3 "
            "--availability total --nemesis partition",
        ),
        (TOTAL, Target(DUPLICATED_IDS, "=", 0)),
    ),
    Challenge(
        "3a",
        "Single-Node Broadcast",
        "every value is read back",
        (f"{BROADCAST} --node-count 1 --time-limit 20 --rate 10",),
        (NOTHING_LOST,),
    ),
    Challenge(
        "3b",
        "Multi-Node Broadcast",
        "every value reaches every node",
        (f"{BROADCAST} --node-count 5 --time-limit 20 --rate 10",),
        (NOTHING_LOST,),
    ),
    Challenge(
        "3c",
        "Fault Tolerant Broadcast",
        "the same in spite of partitions",
        (f"{BROADCAST} --node-count 5 --time-limit 20 --rate 10 --nemesis partition",),
        (NOTHING_LOST,),
    ),
    Challenge(
        "3d",
        "Efficient Broadcast, Part I",
        "< 30 messages/op; median < 400, max < 600 ms",
        (f"{EFFICIENT} -- --max-latency 600ms",),
        (
            NOTHING_LOST,
            Target(SERVER_MESSAGES, "<", 30),
            Target(MEDIAN_LATENCY, "<", 400),
            Target(MAX_LATENCY, "<", 600),
        ),
    ),
    Challenge(
        "3e",
        "Efficient Broadcast, Part II",
        "< 20 messages/op; median < 1, max < 2 s",
        (f"{EFFICIENT} -- --max-latency 2s",),
        (
            NOTHING_LOST,
            Target(SERVER_MESSAGES, "<", 20),
            Target(MEDIAN_LATENCY, "<", 1000),
            Target(MAX_LATENCY, "<", 2000),
        ),
    ),
    Challenge(
        "4",
        "Grow-Only Counter",
        "final reads show the sum of the adds",
        (
            "-w g-counter --bin counter.py --node-count 3 --rate 100 --time-limit 20 "
            "--nemesis partition",
        ),
        (Target(WRONG_COUNTS, "=", 0),),
    ),
    Challenge(
        "5a",
        "Single-Node Kafka-Style Log",
        "no write is lost, offsets only grow",
        (f"{KAFKA} --node-count 1 {KAFKA_LOAD}",),
        (Target(LOG_ERRORS, "=", 0),),
    ),
    Challenge(
        "5b",
        "Multi-Node Kafka-Style Log",
        "the same on two nodes",
        (f"{KAFKA} --node-count 2 {KAFKA_LOAD}",),
        (Target(LOG_ERRORS, "=", 0),),
    ),
    Challenge(
        "5c",
        "Efficient Kafka-Style Log",
        "the same with fewer messages",
        (f"{KAFKA} --node-count 2 {KAFKA_LOAD} -- --max-latency 100ms",),
        (Target(LOG_ERRORS, "=", 0),),
    ),
    Challenge(
        "6a",
        "Single-Node, Totally-Available Transactions",
        "every request is answered",
        (
            f"{TXN} --node-count 1 {TXN_LOAD} "
            "--consistency-models read-uncommitted --availability total",
        ),
        (TOTAL, Target(ANOMALIES, "=", 0)),
    ),
    Challenge(
        "6b",
        "Totally-Available, Read Uncommitted Transactions",
        "no dirty writes; then again with partitions",
        (
            f"{TXN} --node-count 2 {TXN_LOAD} "
            "--consistency-models read-uncommitted --availability total",
            f"{TXN} --node-count 2 {TXN_LOAD} "
            "--consistency-models read-uncommitted --availability total --nemesis partition",
        ),
        (TOTAL, Target(ANOMALIES, "=", 0)),
    ),
    Challenge(
        "6c",
        "Totally-Available, Read Committed Transactions",
        "nor dirty reads, in spite of partitions",
        (
            f"{TXN} --node-count 2 {TXN_LOAD} "
            "--consistency-models read-committed --availability total --nemesis partition "
            "-- --max-latency 100ms",
        ),
        (TOTAL, Target(ANOMALIES, "=", 0)),
    ),
)


def is_number(word: str) -> bool:
    """Whether a word looks like a challenge's number, such as 3c; it need not exist, such as 3f."""
    return word[:1].isdigit()


def find(name: str) -> Challenge:
    """The challenge of that name, such as "3c". Raises UsageError if there is none."""
    for challenge in CHALLENGES:
        if challenge.name == name.lower():
            return challenge
    names = [challenge.name for challenge in CHALLENGES]
    hint = did_you_mean(name, names)
    raise UsageError(f"there is no challenge {name!r}; {hint}choose one of {', '.join(names)}")
