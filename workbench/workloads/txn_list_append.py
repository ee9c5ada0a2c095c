"""Transactions over lists: a transaction reads some keys and appends to others."""

from __future__ import annotations

from typing import Any

from workbench.history import History
from workbench.options import Options
from workbench.shapes import OneOf
from workbench.workloads.base import ClientSession, OperationGenerator, Workload
from workbench.workloads.transactions import Session, TransactionGenerator

MICRO_OPERATION = OneOf(("r", Any, OneOf([Any], None)), ("append", Any, Any))


class TxnListAppendWorkload(Workload):
    name = "txn-list-append"
    answers = {"txn": ("txn_ok", {"txn": [MICRO_OPERATION]})}
    reusable_clients = True

    def generator(self) -> OperationGenerator:
        return TransactionGenerator(self.options, self.random, "append")

    def session(self, node: str) -> ClientSession:
        return Session()

    # The checker is imported late, because networkx takes a quarter of a second.

    @staticmethod
    def check(history: History, options: Options) -> dict[str, Any]:
        from workbench.checkers import txn_list_append

        return txn_list_append.check(history, options)

    @staticmethod
    def warnings(history: History, options: Options) -> list[dict[str, Any]]:
        from workbench.checkers import txn_list_append

        return txn_list_append.warnings(history, options)
