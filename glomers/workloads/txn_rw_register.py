"""Transactions over registers: a transaction reads some keys and writes others."""

from __future__ import annotations

from typing import Any

from glomers.checkers import txn_rw_register
from glomers.workloads.base import Values
from glomers.workloads.shapes import OneOf
from glomers.workloads.transactions import TransactionWorkload

# The shapes of micro-operations, when they are invoked and when they are ok.
ASKED = OneOf(("r", Any, None), ("w", Any, Any))
DONE = OneOf(("r", Any, Any), ("w", Any, Any))


class TxnRwRegisterWorkload(TransactionWorkload):
    name = "txn-rw-register"
    operations = {"txn": Values(asked=[ASKED], answered=OneOf([DONE], None))}
    answers = {"txn": ("txn_ok", {"txn": [DONE]})}
    checker = txn_rw_register.CHECKER
    write = "w"
