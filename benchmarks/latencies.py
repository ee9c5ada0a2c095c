"""How long clients waited in a kept test, for each kind of operation.

    python -m benchmarks.latencies store/kafka/latest

PATH is a history or a folder with one, recorded by the workbench or by Maelstrom.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

from glomers.history.operations import read_history
from glomers.history.times import MILLIS
from glomers.history.values import quantile


def main() -> None:
    parser = argparse.ArgumentParser(description="Print the latencies of successful operations.")
    parser.add_argument("path", type=Path, metavar="PATH")
    latencies: dict[str, list[float]] = defaultdict(list)
    for invocation, completion in read_history(parser.parse_args().path).pairs():
        if completion is not None and completion.type == "ok":
            waited = completion.time - invocation.time
            latencies[invocation.f].append(waited / MILLIS)
    print(f"{'ms':<10}{'count':>8}{'median':>9}{'p99':>9}{'max':>9}")
    for f, values in sorted(latencies.items()):
        values.sort()
        spread = "".join(f"{quantile(values, q):>9.2f}" for q in (0.5, 0.99, 1))
        print(f"{f:<10}{len(values):>8,}{spread}")


if __name__ == "__main__":
    main()
