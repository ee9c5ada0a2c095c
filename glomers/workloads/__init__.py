"""The workloads, one module each: their operations, their final phase and their checker."""

from __future__ import annotations

from glomers.workloads.base import Workload
from glomers.workloads.broadcast import BroadcastWorkload
from glomers.workloads.counters import GCounterWorkload, PNCounterWorkload
from glomers.workloads.echo import EchoWorkload
from glomers.workloads.g_set import GSetWorkload
from glomers.workloads.kafka import KafkaWorkload
from glomers.workloads.lin_kv import LinKVWorkload
from glomers.workloads.txn_list_append import TxnListAppendWorkload
from glomers.workloads.txn_rw_register import TxnRwRegisterWorkload
from glomers.workloads.unique_ids import UniqueIdsWorkload

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
