"""The workloads, one module each: their operations, their final phase and their checker."""

from __future__ import annotations

from workbench.workloads.base import Workload
from workbench.workloads.broadcast import BroadcastWorkload
from workbench.workloads.counters import GCounterWorkload, PNCounterWorkload
from workbench.workloads.echo import EchoWorkload
from workbench.workloads.g_set import GSetWorkload
from workbench.workloads.kafka import KafkaWorkload
from workbench.workloads.lin_kv import LinKVWorkload
from workbench.workloads.txn_list_append import TxnListAppendWorkload
from workbench.workloads.txn_rw_register import TxnRwRegisterWorkload
from workbench.workloads.unique_ids import UniqueIdsWorkload

WORKLOADS: dict[str, type[Workload]] = {
    workload.name: workload
    for workload in (
        BroadcastWorkload,
        EchoWorkload,
        GCounterWorkload,
        GSetWorkload,
        KafkaWorkload,
        LinKVWorkload,
        PNCounterWorkload,
        TxnListAppendWorkload,
        TxnRwRegisterWorkload,
        UniqueIdsWorkload,
    )
}
