"""Transactions over lists: a transaction reads some keys and appends to others."""

from __future__ import annotations

from typing import Any

from glomers.history.operations import History
from glomers.options import Options
from glomers.workloads.base import Values
from glomers.workloads.shapes import OneOf
from glomers.workloads.transactions import TransactionWorkload

# Micro-operations, as they are asked for and as they are done.
ASKED = OneOf(("r", Any, None), ("append", Any, Any))
DONE = OneOf(("r", Any, [Any]), ("append", Any, Any))


class TxnListAppendWorkload(TransactionWorkload):
    name = "txn-list-append"
    operations = {"txn": Values(asked=[ASKED], answered=[DONE])}
    answers = {"txn": ("txn_ok", {"txn": [DONE]})}
    write = "append"

    @staticmethod
    def check(history: History, options: Options) -> dict[str, Any]:
        from glomers.checkers import txn_list_append

        return txn_list_append.check(history, options)

    @staticmethod
    def warnings(history: History, options: Options) -> list[dict[str, Any]]:
        from glomers.checkers import txn_list_append

        return txn_list_append.warnings(history, options)
