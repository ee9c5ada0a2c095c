"""Transactions over registers: a transaction reads some keys and writes others."""

from __future__ import annotations

from typing import Any

from workbench.history import History
from workbench.options import Options
from workbench.shapes import OneOf
from workbench.workloads.base import ClientSession, OperationGenerator, Workload
from workbench.workloads.transactions import Session, TransactionGenerator


class TxnRwRegisterWorkload(Workload):
    name = "txn-rw-register"
    answers = {"txn": ("txn_ok", {"txn": [OneOf(("r", Any, Any), ("w", Any, Any))]})}
    reusable_clients = True

    def generator(self) -> OperationGenerator:
        return TransactionGenerator(self.options, self.random, "w")

    def session(self, node: str) -> ClientSession:
        return Session()

    # The checker is imported late, because networkx takes a quarter of a second.

    @staticmethod
    def check(history: History, options: Options) -> dict[str, Any]:
        from workbench.checkers import txn_rw_register

        return txn_rw_register.check(history, options)

    @staticmethod
    def warnings(history: History, options: Options) -> list[dict[str, Any]]:
        from workbench.checkers import txn_rw_register

        return txn_rw_register.warnings(history, options)
