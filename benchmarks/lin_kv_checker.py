"""How the lin-kv checker's search grows with the number of concurrent writes.

    python -m benchmarks.lin_kv_checker

All writes overlap. Reads after them show a value that nobody wrote, or one that comes back after
another. Such a history is wrong, and to be sure of that the search must rule out every order. For
each number of writes the benchmark prints the processor time, and its ratio to the time for half as
many: about 8 if it grows with the cube, 2^(n/2) if all subsets of the writes are looked at.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from glomers.checkers.linearizability import check
from glomers.history.operations import History, Operation

NUMBERS = (10, 20, 40, 80)
READS = {"a value that nobody wrote": (-1,), "a value that comes back": (0, 1, 0)}
ROUNDS = 5


def operations(writes: int, reads: Sequence[int]) -> Iterator[Operation]:
    """`writes` writes at once, and these reads one after the other."""
    moments: list[tuple[str, str, int, int | None]] = []
    moments += [("invoke", "write", process, process) for process in range(writes)]
    moments += [("ok", "write", process, process) for process in range(writes)]
    for shown in reads:
        moments += [("invoke", "read", writes, None)]
        moments += [("ok", "read", writes, shown)]
    for index, (type, f, process, value) in enumerate(moments):
        yield Operation(index, index, type, process, f, value)


def seconds(writes: int, reads: Sequence[int]) -> float:
    pairs = list(History(operations(writes, reads)).pairs())
    start = time.process_time()
    assert check(pairs).valid is False
    return time.process_time() - start


def main() -> None:
    for what, reads in READS.items():
        print(what)
        before = 0.0
        for writes in NUMBERS:
            taken = min(seconds(writes, reads) for _ in range(ROUNDS))
            ratio = f"  ratio {taken / before:.1f}" if before else ""
            print(f"  {writes:3} writes  {taken * 1e3:7.2f} ms{ratio}")
            before = taken


if __name__ == "__main__":
    main()
