"""Every fault of the laboratory by its name, in the order in which help lists them."""

from __future__ import annotations

from zcluster.lab.faults import (
    CutLinks,
    CutService,
    Fault,
    Isolate,
    KillDaemon,
    KillHost,
    PauseHost,
    PowerAll,
    RestartDaemon,
    StopDaemon,
    Switchover,
)
from zcluster.lab.network_faults import FlushRules, NoMulticast, ProxyArp
from zcluster.lab.roster_faults import AddNode, RemoveNode, TwoNodes
from zcluster.lab.switch_faults import KillSwitch, StallSwitch

FAULTS: dict[str, type[Fault]] = {
    fault.name: fault
    for fault in (
        KillHost,
        CutService,
        CutLinks,
        KillDaemon,
        StopDaemon,
        Isolate,
        PauseHost,
        RestartDaemon,
        Switchover,
        PowerAll,
        NoMulticast,
        FlushRules,
        ProxyArp,
        TwoNodes,
        AddNode,
        RemoveNode,
        KillSwitch,
        StallSwitch,
    )
}
