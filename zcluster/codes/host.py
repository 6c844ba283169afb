"""Codes of a host and its daemon: links, disk, clock, processes, and the end and beginning of its lives."""

from __future__ import annotations

from zcluster.codes.entry import Code

_ABOUT_LINKS = (
    "`ip -s link` on this host: is the interface up, has it an address, do its errors grow? If it says DOWN: `ip link "
    "set IF up`.",
    "Cable, switch port, VLAN, and a firewall that drops its ports (UDP 7700 and TCP 7701, unless the file says "
    "otherwise).",
)

CODES = (
    Code(
        "continued",
        ("notice",),
        "goes on with sip1, sip2: a planned restart",
        "The daemon was restarted in the planned way and holds what it held. Nothing moved.",
    ),
    Code(
        "daemon-failed",
        ("alarm",),
        "the daemon ends by a defect: KeyError: 'sip1'",
        "An error of ours. The kernel closes what the host held, another node takes over, and systemd starts the "
        "daemon again. It stands in the log alone.",
        (
            "`zcluster status` on another host: is every group held? Then nobody waits for you.",
            "`zcluster report` on this host, and send it: the log has the trace.",
            "If it ends again and again: `systemctl stop zcluster` here, and leave the host out until it is mended.",
        ),
    ),
    Code(
        "data-abandoned",
        ("warning",),
        "the data process has said nothing for 5 s, and is ended",
        "The process beside the daemon, which watches the switch and keeps the copies, hung or said nonsense. It is "
        "ended and started again; no address moves for it.",
        (
            "Once: nothing. If it repeats, `zcluster report` has the evidence; is the machine overloaded "
            "(`zcluster doctor --stalls 60`)?",
        ),
    ),
    Code(
        "data-ended",
        ("warning",),
        "the data process was ended by signal 9; no address moves, and it starts again in 200 ms",
        "The process that watches the switch and keeps the copies ended. Until it is back and full, a slave is not "
        "ready, and a holder's calls are not watched.",
        (
            "`journalctl -u zcluster` on this host says how it ended: out of memory, or an error of ours with its "
            "trace.",
            "`zcluster status` there: how often it was begun anew. If it does not stay up, `zcluster move` what the "
            "host holds to another node and send `zcluster report`.",
        ),
    ),
    Code(
        "data-failed",
        ("alarm",),
        "the data process cannot run: /etc/zcluster/event-socket.password: no such file",
        "The process that watches the switch and keeps the copies could not begin, or ended by an error of ours. It "
        "stands in the log alone; data-ended in the story says the same without the reason. Addresses are safe, calls "
        "of this host are not.",
        (
            "The text has the reason, mostly a file: password, key or core database. `zcluster doctor` on this host "
            "checks all of them.",
            "A defect (with a trace in the log): `zcluster report`, and `zcluster move` its groups to another node.",
        ),
    ),
    Code(
        "held-back",
        ("notice",),
        "140 more lines of link-silent within a minute, the last: hb1: nobody is heard here any more; ...",
        "The same thing was told so often that the log was spared the rest. It stands in the log alone; the story and "
        "the journal of zcluster have every record (`zcluster why --json`).",
        ("Look up the code that repeats: `zcluster explain` knows it.",),
    ),
    Code(
        "hook-failed",
        ("warning",),
        "the hook pager failed for takeover (pbx1-18c-42): exit status 1; it is tried again",
        "A program or a URL of `[[hook]]` failed, was given up for an event, or is so slow that events are dropped. It "
        "stands in the log alone; other hooks and the cluster do not wait for it.",
        (
            "The text has what the program said last, or the answer of the URL. Run the program by hand, as the user "
            "of the daemon, with the event of docs/hooks.md on its standard input.",
            "Given up: that event is not told any more; `zcluster why` has it.",
            "Too slow: give it a longer `timeout-s` only if it needs it; better a program that returns at once.",
        ),
    ),
    Code(
        "host",
        ("notice", "warning"),
        "real-time scheduling (SCHED_RR 50) was refused: ...",
        "Something about this host is not as zcluster would have it: a privilege, a kernel setting, an interface, or "
        "what a last life left. It works, with less margin. Told at the start, and shown as long as the daemon runs.",
        (
            "The text has the mend. `zcluster doctor` lists all of them, with what each costs.",
            "After the mend: `zcluster restart-daemon`, which moves nothing.",
        ),
        in_status=True,
    ),
    Code(
        "link-heard",
        ("notice",),
        "hb1: heard again after 4.2 s",
        "Nodes are heard again on a link of this host that had been silent.",
    ),
    Code(
        "link-silent",
        ("warning",),
        "hb1: nobody is heard here any more; 2 of 2 are, on other links",
        "A whole link of this host is dead, while the others carry. Nothing moves for it, but the next loss may.",
        (
            *_ABOUT_LINKS,
            "`zcluster status` on each host: does only this host miss the link (its cable), or do all (the switch)?",
        ),
    ),
    Code(
        "memory-damaged",
        ("alarm",),
        "/var/lib/zcluster/state was damaged (..); it is now ...; this node starts without its memory",
        "What this node must remember over restarts could not be read. It was put aside. The node does not vote until "
        "everything that it may have promised is over, then it goes on.",
        (
            "Is the disk well? `dmesg`, `df`, `smartctl` on this host.",
            "`zcluster status`: it should be a voter again within a minute. `zcluster roster show` on another host "
            "must list it.",
        ),
    ),
    Code(
        "planned-restart",
        ("notice",),
        "sip1 stays open for the next life of this daemon",
        "The daemon ends for a planned restart (`zcluster restart-daemon`, `systemctl reload`), and is back in a "
        "second.",
    ),
    Code(
        "records-lost",
        ("warning",),
        "12 records of pbx1 did not reach its tools process: ...",
        "The tools process could not read for so long that the daemon's ring went on without it. Its subscribers miss "
        "that many events.",
        (
            "Is the host overloaded? `zcluster doctor --stalls 60`. What happened is in `zcluster why --json`.",
        ),
    ),
    Code(
        "restart-refused",
        ("warning",),
        "given up before all was written down: nothing was restarted, nothing has moved",
        "A planned restart that was asked for by a signal (`systemctl reload`) could not be made: no majority promised "
        "to wait. The daemon goes on as it was.",
        (
            "`zcluster status`: does this node hear a majority? Mend that, and `zcluster restart-daemon` again.",
            "If you must restart now: `systemctl restart zcluster` hands over what it holds first.",
        ),
    ),
    Code(
        "stalled",
        ("warning",),
        "pbx1 was not given a processor for 83 ms",
        "The daemon stood still for a good part of a lease: a busy machine, a paused or migrated virtual machine, or a "
        "slow kernel. A little longer, and its addresses would have closed.",
        (
            "`zcluster doctor --stalls 60` measures how long this machine stands still and names the preset that it "
            "can keep.",
            'Real-time scheduling refused is the usual reason: `zcluster status` then has a line "real-time scheduling '
            '(SCHED_RR ...) was refused" with its mend, and so has `zcluster doctor`.',
            "A virtual machine: reserve its processors, and do not migrate it live while it holds a group "
            "(`zcluster move` first).",
        ),
    ),
    Code(
        "started",
        ("notice",),
        "zcluster 0.5.0 starts as pbx1 of example",
        "A daemon begins a life.",
    ),
    Code(
        "stop-cut-short",
        ("warning",),
        "the orderly stop took too long; the kernel ends what is left of the leases",
        "The daemon was stopped and could not hand everything over in two seconds. The kernel closes the addresses "
        "when their leases end, and another node takes over then.",
        ("`zcluster status` on another host: is every group held?",),
    ),
    Code(
        "store-failed",
        ("alarm",),
        "could not write what must survive: No space left on device",
        "This node could not write its state directory. It makes no promise that it could forget, so it cannot vote or "
        "take over; what it holds, it goes on serving for now.",
        (
            "`df /var/lib/zcluster`, `mount`: full, or read-only after a disk error (`dmesg`)?",
            "Make room or mend the disk. It goes on by itself at the next write. If it cannot be mended: `zcluster "
            "move` its groups away, then stop it.",
        ),
    ),
    Code(
        "tools-ended",
        ("warning",),
        "the tools process ended with status 1; no address and no call needs it, and it starts again in 500 ms",
        "The process that serves subscribers, metrics, hooks and events in the switch ended, and is started again.",
        ("`journalctl -u zcluster` says why. Monitoring has a gap; the cluster is not touched.",),
    ),
    Code(
        "tools-failed",
        ("warning",),
        "the tools process cannot run: /etc/zcluster/cluster.key: there is no cluster key; ...",
        "The process that serves subscribers, metrics, hooks and events in the switch could not begin, or ended by an "
        "error of ours. It stands in the log alone; tools-ended in the story says the same without the reason. No "
        "address and no call needs it.",
        (
            "The text has the reason, mostly a file: `zcluster check` on this host.",
            "A defect (with a trace in the log): `zcluster report`.",
        ),
    ),
    Code(
        "tools-not-listening",
        ("warning",),
        "no bus on hb1 yet: no address of this host is in 10.1.1.0/24, the network of hb1",
        "The bus for tools or the metrics should listen on an address that is not there, or on a port that another "
        "program has. It is tried again every few seconds, and no more is said of it. It stands in the log alone.",
        (
            "`ss -ltnp` on this host shows who has the port; `port` or `metrics-port` of `[tools]` is another one, in "
            "the file of every host.",
            "No address: `ip address`; mend the link that is named.",
        ),
    ),
    Code(
        "would-have-closed",
        ("notice",),
        "would have ceased to answer for 10.0.0.1",
        'Mode "observe": this node touches no address, and says what it would have done.',
    ),
    Code(
        "would-have-opened",
        ("notice",),
        "would have begun to answer for 10.0.0.1",
        'Mode "observe": this node touches no address, and says what it would have done.',
    ),
    # ---- only in the status
    Code(
        "beats-unsendable",
        ("warning",),
        "link all links: report: longer than 65536 bytes",
        "This node cannot put what it must say into a packet, so it sends nothing and looks dead to the others.",
        (
            "Too many groups or nodes for one packet? `zcluster check` says the bounds.",
            "`zcluster report` has the evidence: this should not happen.",
        ),
        in_status=True,
        in_story=False,
    ),
    Code(
        "link-broken",
        ("warning",),
        "link hb1 (interface eth1) is down",
        "A link of this host cannot be used: its interface is missing, down or without its address, or the kernel "
        "refuses its packets. The other links carry; the next loss may move something.",
        _ABOUT_LINKS,
        in_status=True,
        in_story=False,
    ),
    Code(
        "peer-unresolved",
        ("warning",),
        "pbx3-hb.example.net cannot be resolved: ...",
        "A name in `peers` of a link is not answered by the name server. What it meant last is used meanwhile, if it "
        "was ever known.",
        (
            "`getent hosts NAME` on this host. Correct the name server, or /etc/hosts, or write addresses into the "
            "file instead of names: they need no server at night.",
        ),
        in_status=True,
        in_story=False,
    ),
    Code(
        "other-file",
        ("warning",),
        "pbx3 runs another file: compare `sha256sum` of it on both hosts",
        "The cluster's file must be the same bytes on every host. Two nodes disagree on groups, timers or links.",
        (
            "`sha256sum /etc/zcluster/zcluster.toml` on both; `diff` them; decide which is right; `zcluster check` it.",
            "Copy it, then `zcluster restart-daemon` on the host that had the wrong one.",
        ),
        in_status=True,
        in_story=False,
    ),
    Code(
        "clock-difference",
        ("warning",),
        "clocks differ from that of pbx1 (pbx3: +2100 ms): telephones may refuse re-INVITEs; ...",
        "The wall clocks of hosts differ by more than half a second. Addresses do not care; calls that move do, and "
        "the order of records in `zcluster why` is confusing.",
        (
            "`timedatectl` on each host: is it synchronised? Install chrony or systemd-timesyncd, with the same "
            "servers everywhere.",
        ),
        in_status=True,
        in_story=False,
    ),
    Code(
        "different-builds",
        ("warning",),
        "different builds of FreeSWITCH (pbx1: 1.10.12.., pbx2: 1.10.11..): addresses move between them, calls do not",
        "Calls are brought back only by the same build of FreeSWITCH. A takeover to another build ends them.",
        (
            "`fs_cli -x version` on each host; install the same package on all, one host at a time: `zcluster move` "
            "its groups away first.",
        ),
        in_status=True,
        in_story=False,
    ),
    Code(
        "same-switchname",
        ("warning",),
        "the switches of pbx1, pbx2 are all called pbx, so their calls and registrations cannot be told apart",
        "FreeSWITCH marks its rows in its databases with its switchname. Two switches with one name own each other's "
        "rows.",
        (
            'Set `<param name="switchname" value="..."/>` in switch.conf.xml of each host to its own name; restart '
            "FreeSWITCH one host at a time, its groups moved away first.",
        ),
        in_status=True,
        in_story=False,
    ),
)
