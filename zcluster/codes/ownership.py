"""Codes of who holds a group: claims, leases, releases, and other users of an address."""

from __future__ import annotations

from zcluster.codes.entry import Code

CODES = (
    Code(
        "address-conflict",
        ("alarm",),
        "sip1 is held by pbx1, but a machine outside the cluster (52:54:00:ab:cd:ef) answers for its address too: "
        "callers may reach it",
        "A machine that is not the holder answers for one of the group's addresses while this node holds it. "
        "Callers reach one or the other. The holder announces itself again, and asks until it is over; with two "
        "voters and the other node's hardware address it closes instead.",
        (
            "The text names the hardware address. If it names a node of this cluster, run `zcluster status` there: "
            "it should hold nothing; if it does not answer, stop zcluster on it (`systemctl stop zcluster`).",
            "A machine outside the cluster: find it. `ip neigh | grep MAC` on several hosts: another address of the "
            "same machine often stands there; a host where nothing is found may be the machine itself "
            "(`ip -br link | grep MAC`). Else find the port in your switch's table of hardware addresses. Often it is "
            "an old host, or a copy of a virtual machine.",
            "On that machine take the group's address away, and no other one: `ip address del ADDRESS dev IF`.",
            "The holder asks the network each second: `conflict-over` in `zcluster why GROUP` ends the alarm within "
            "ten seconds. While the machine still answers, the alarm is told again every ten seconds.",
        ),
    ),
    Code(
        "claim-withdrawn",
        ("info",),
        "sip1: claim 8 withdrawn, votes ['pbx3']",
        "This node asked for the group and gave up: another was faster, or no majority answered in time. Whoever has "
        "the better claim goes on; this node tries again by itself if nobody does.",
        (
            "Once or twice in a takeover is usual. If it repeats for seconds, see whether `zcluster status` hears a "
            "majority, and mend the links that it names.",
        ),
    ),
    Code(
        "close-failed",
        ("alarm",),
        "sip1: could not close, so nobody else may open: ...",
        "The kernel refused to close the group's addresses on this host, so they may still answer here, and no other "
        "node may open them: better nobody than two.",
        (
            "Read the kernel's reason in the text, and `zcluster doctor` on this host: privileges and packet filter.",
            "`systemctl stop zcluster` on this host: when its lease has run out, the others take over.",
            "If the addresses still answer (`ip address` shows them on this host), power the host off.",
        ),
    ),
    Code(
        "conflict-over",
        ("notice",),
        "sip1: 52:54:00:ab:cd:ef answers for its address no more; pbx1 alone does",
        "The holder had seen another machine answer for the group's address (address-conflict), has asked the network "
        "once a second since, and nobody but itself has answered for five seconds.",
    ),
    Code(
        "epoch-exchanged",
        ("info",),
        "sip1: epoch 7 continues as 8, for voters that started anew",
        "Voters were restarted and did not know the holder's epoch any more. It was given a newer one. Nothing moved.",
    ),
    Code(
        "gate-failed",
        ("alarm",),
        "sip1: pbx1 still answers (52:54:00:..) after its lease ended; not opening",
        "This node has won the group, but the last holder still answers for its address although its lease is over: "
        "the packet rules of that host do not do what they should. Nobody opens before it is silent.",
        (
            "On the host that is named: `systemctl stop zcluster`, then `ip address` must not show the address; if it "
            "does, `ip address del ADDRESS dev INTERFACE`.",
            "If you cannot log in there, power it off. The group is opened within seconds.",
            "Before it comes back: `zcluster doctor` on it (packet filter, kernel), and look for other tools that "
            "write packet rules (see gate-lost).",
        ),
    ),
    Code(
        "gate-lost",
        ("alarm",),
        "another tool removed our rules; they stand again",
        "Something on this host deleted zcluster's packet rules: usually `nft flush ruleset`, a restart of firewalld, "
        "or a firewall script. They were installed again, closed; the next beat opens what is held. Until then this "
        "host's addresses were silent.",
        (
            "Find the tool: `journalctl --since -5min` on this host, for nftables, firewalld, ufw or docker.",
            "Have it delete its own tables only, never the whole ruleset.",
        ),
    ),
    Code(
        "health-frozen",
        ("alarm",),
        "sip1: stays here although switch: no pulse: frozen by ...",
        "The holder cannot serve the group, and would have handed it over; the cluster is frozen, so it stays.",
        (
            "Mend the switch of the host that tells it (`zcluster status` there says what is wrong), or",
            "`zcluster thaw`: the group then moves by itself to a node that is ready. While the cluster is frozen "
            "`zcluster move` is refused too.",
        ),
    ),
    Code(
        "health-release",
        ("warning",),
        "sip1: released to pbx2: switch: no pulse",
        "The holder's switch (or another condition of the file) broke, so it gave the group to a node that is ready.",
        (
            "The group is served. On the host that tells it: `zcluster status` says what is still wrong with its "
            "switch; mend it, so that it can be a slave again.",
            "`zcluster why GROUP` shows how long the takeover took, and `zcluster calls --lost` what did not survive.",
        ),
    ),
    Code(
        "lease-lapsed",
        ("warning",),
        "sip1: no majority acknowledged us for 140 ms; the kernel closed epoch 7",
        "The holder was not heard by a majority in time. Its kernel closed the addresses, as it must: the others may "
        "already have taken over. If nobody has, the holder opens again as soon as it is heard.",
        (
            "`zcluster why GROUP` on another host: was it taken over (takeover), or did it come back "
            "(lease-regained)?",
            "`zcluster status` names links on which nodes are not heard: check their cables and switch ports.",
            "If the links are well, see whether this host stood still at that moment (stalled, in `zcluster why`); "
            "then `zcluster doctor --stalls 60` tells what preset this machine can keep.",
        ),
    ),
    Code(
        "lease-regained",
        ("warning",),
        "sip1: open again at epoch 7 after 310 ms without a majority; nobody held it meanwhile",
        "The holder was cut off for a moment and opened again. Callers heard nothing from the address so long.",
        ("The cause is that of lease-lapsed: look for the record just before, and follow its recipe.",),
    ),
    Code(
        "moves-exhausted",
        ("alarm",),
        "sip1: moved three times within a minute for health; stays here whatever comes",
        "Each node that took the group found its switch not well and gave it on. So that it does not go round for "
        "ever, it stays where it is for now, although that node is not well.",
        (
            "What is broken is common to all hosts: `zcluster status` on each says what is wrong with its switch (a "
            "profile that does not start, a condition of the file, a database).",
            "Mend one host, `zcluster clear-faults` there, then `zcluster move GROUP --to` that node.",
        ),
    ),
    Code(
        "open-failed",
        ("alarm",),
        "sip1: ...",
        "This node has won the group but the kernel refused to bring its addresses up. It gives the group back, and "
        "another node may take it.",
        (
            "The text has the kernel's reason. `zcluster doctor` on this host: interfaces, privileges, packet filter.",
            "Is the interface of the group there and up? `ip link`. `zcluster check` says which one it should be.",
        ),
    ),
    Code(
        "proxy",
        ("warning",),
        "00:11:22:33:44:55 answers for an address that nobody holds: a proxy, ignored",
        "A router or a firewall answers ARP for whatever it is asked (proxy ARP). zcluster ignores it from now on, but "
        "callers may be sent to it.",
        ("Switch proxy ARP off on that device, on the group's network. `zcluster doctor` asks again.",),
    ),
    Code(
        "released",
        ("notice",),
        "sip1: epoch 8 closed and released (operator)",
        "A holder gave the group up in good order: for an operator, for its stop, for its health, or for another "
        "group. Whoever takes it next need not wait.",
    ),
    Code(
        "stepped-aside",
        ("warning",),
        "sip3 gives way to sip1: nodes have run out and it has the higher priority",
        "Fewer nodes are ready than there are groups. The holder of the least important group gave it up for one that "
        "had no holder.",
        (
            "Bring nodes back: `zcluster status` names who is silent or not ready, and why.",
            "The lesser group is taken again by itself when a node is ready for it.",
        ),
    ),
    Code(
        "stopped-frozen",
        ("warning",),
        "sip1: closed, and given to nobody: frozen by ...",
        "The holder was stopped while the cluster is frozen. Nothing may move, so the group has no holder until that "
        "node is back, or the cluster is thawed.",
        ("Start zcluster on that host again, or `zcluster thaw` on any other.",),
    ),
    Code(
        "stranger",
        ("alarm",),
        "sip1: a machine outside the cluster (52:54:00:ab:cd:ef) answers for its address, so pbx2 does not open it",
        "This node has won the group, but a machine that is no node of this cluster answers for its address. Opening "
        "would put two machines on one address, so the group stays closed, and the network is asked again and again.",
        (
            "Find that machine: the hardware address is in the text; `ip neigh | grep MAC` on any host may show "
            "another address of it; else ask your switch on which port it is. Often an old host, a copy of a virtual "
            "machine, or a node that runs with another key.",
            "Take the address off it. The group opens by itself within seconds; `zcluster watch` shows it.",
        ),
    ),
    Code(
        "superseded",
        ("warning",),
        "sip1: pbx2 holds epoch 9; our epoch 8 had run out",
        "A node that was cut off or stood still came back and found that another holds its group now. Its kernel had "
        "closed the addresses before. Nothing is to be done for the group.",
        (
            "Find out why it was away: look at the lease-lapsed, stalled or silent records just before, with "
            "`zcluster why GROUP`.",
        ),
    ),
    Code(
        "takeover",
        ("notice",),
        "sip1: pbx2 holds epoch 9 after pbx1 (silence)",
        "The group changed its holder. The record has every step with its time.",
        (
            "`zcluster why GROUP` tells the whole story: who fell silent, who voted, when the address was open.",
            "`zcluster calls --lost` on the new holder lists calls that could not be brought back.",
        ),
    ),
    Code(
        "takeover-frozen",
        ("alarm",),
        "sip1: has no holder, and pbx1 alone may take it again: frozen by ...",
        "The holder failed while the cluster is frozen. Nobody else may take the group, so its callers reach nobody.",
        (
            "Bring the node that is named back (start zcluster there), or",
            "`zcluster thaw` on any host that hears a majority: a ready node takes the group at once.",
        ),
    ),
)
