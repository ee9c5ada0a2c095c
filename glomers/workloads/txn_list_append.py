"""Transactions over lists: a transaction reads some keys and appends to others."""

from __future__ import annotations

from typing import Any

from glomers.checkers import txn_list_append
from glomers.workloads.base import Values
from glomers.workloads.shapes import OneOf
from glomers.workloads.transactions import TransactionWorkload

# The shapes of micro-operations, when they are invoked and when they are ok.
ASKED = OneOf(("r", Any, None), ("append", Any, Any))
DONE = OneOf(("r", Any, [Any]), ("append", Any, Any))


class TxnListAppendWorkload(TransactionWorkload):
    name = "txn-list-append"
    operations = {"txn": Values(asked=[ASKED], answered=[DONE])}
    answers = {"txn": ("txn_ok", {"txn": [DONE]})}
    checker = txn_list_append.CHECKER
    write = "append"
