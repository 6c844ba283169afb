"""Codes of nodes, votes and the cluster document: who is there, who may vote, what was agreed."""

from __future__ import annotations

from zcluster.codes.entry import Code

CODES = (
    Code(
        "document-fork",
        ("alarm",),
        "pbx3 has another document of generation 5: two operators forced different rosters; ...",
        "Two halves of the cluster were each forced to go on (`zcluster roster force`) and have agreed to different "
        "things since. They do not trust each other's votes; the same address may have two holders.",
        (
            "Decide which side stays: the one whose holders your callers should reach.",
            "On every host of the other side: `systemctl stop zcluster`, then remove its state directory "
            "(/var/lib/zcluster unless the file says otherwise).",
            "`zcluster roster show` on the side that stays; start the others again one by one, and `zcluster roster "
            "add` each.",
        ),
    ),
    Code(
        "duplicate-name",
        ("alarm",),
        "another node calls itself pbx2: give one of the two hosts another name",
        "Two hosts run zcluster under one name: a copied virtual machine, or two hosts with one host name. Each "
        "ignores the other, so both vote as one.",
        (
            "Find both: their addresses on the links are in `zcluster watch --json` of any node, or look for the "
            "host name in your inventory.",
            "Stop zcluster on the wrong one, give it its own host name, remove its state directory, start it.",
        ),
    ),
    Code(
        "foreign-cluster",
        ("alarm",),
        "pbx9 belongs to another cluster (pbx7-18a..) with the same key",
        "A node with this cluster's key says that it was founded with others. It is not listened to. Either a host "
        "was founded alone while it was cut off, or a key was copied to another cluster.",
        (
            "If it should belong here: on it, `systemctl stop zcluster`, remove its state directory, start it; then "
            "`zcluster roster add` on a host of this cluster.",
            "If it is another cluster: give that one its own key (`zcluster keygen`) and its own multicast group.",
        ),
    ),
    Code(
        "founded",
        ("notice",),
        "founded cluster pbx1-19a2f of 3 voters",
        "All expected nodes agreed to be one cluster. This happens once in its life.",
    ),
    Code(
        "founding-refused",
        ("alarm",),
        "these nodes are not those that this one agreed to found a cluster with: ...",
        "This node had agreed to found a cluster with other nodes than those it hears now, and may not agree twice.",
        (
            "The text names both sets. Start those that it agreed with; or, if that founding never came about and "
            "never will, `systemctl stop zcluster` here, remove its state directory, start it.",
        ),
    ),
    Code(
        "frozen",
        ("warning",),
        "nothing moves any more: frozen by alice on pbx1 for ...: upgrade of the network",
        "An operator froze the cluster. Holders keep serving; no group moves, whatever happens to them.",
        ("`zcluster thaw` ends it. `zcluster status` says who froze it, why and for how long.",),
    ),
    Code(
        "frozen-holders",
        ("info",),
        "frozen: sip1 on pbx1, sip2 on pbx2",
        "The cluster document now says on which node each group stays while the cluster is frozen.",
    ),
    Code(
        "generation",
        ("notice",),
        "generation 4 from pbx2",
        "The cluster document was changed (voters, pins, a freeze): a majority agreed, and this node acts on it.",
        ("`zcluster roster show` and `zcluster status` show what it says now.",),
    ),
    Code(
        "joined",
        ("notice",),
        "joined cluster pbx1-19a2f of 5 voters",
        "This node had no memory of a cluster and took the document of the one that it hears. It votes when it is a "
        "member of it.",
        ("If `zcluster status` calls it not admitted: `zcluster roster add NODE`.",),
    ),
    Code(
        "left",
        ("info",),
        "pbx3 has left: last heard on hb1 12 ms ago",
        "A node was stopped in good order and handed over what it held.",
    ),
    Code(
        "older-life",
        ("alarm",),
        "pbx3 is not listened to: it numbers its life below its last one, ...",
        "A node lost its state directory and its clock is set back. To the others it sounds like a recording of its "
        "own past, so they ignore it.",
        (
            "On that host set the clock right (`timedatectl`, chrony or systemd-timesyncd), then `systemctl restart "
            "zcluster`.",
        ),
    ),
    Code(
        "silent",
        ("warning",),
        "pbx1 fell silent: last heard on hb1 201 ms ago, hb2 203 ms ago",
        "A node is heard on no link any more: it died, it was cut off, or it stands still. What it held is taken over "
        "when its lease is surely over.",
        (
            "`zcluster status`: is every group held? Then nobody waits for you.",
            "Is that host alive (console, ping on another network)? If yes, `zcluster status` there, and the links "
            "that it names; if its daemon is gone, `journalctl -u zcluster` says how it ended.",
            "A host that stays away loses its vote after a while by itself; it gets it back when it returns.",
        ),
    ),
    Code(
        "state",
        ("info",),
        "pbx2: STARTING -> SLAVE",
        "The node changed its state: STARTING listens, SLAVE stands ready or gets ready, MASTER holds a group, "
        "STOPPING hands over.",
    ),
    Code(
        "thaw-asked",
        ("notice",),
        "alice ends the freeze, on pbx2",
        "An operator asked for the end of the freeze; a majority must agree to it.",
    ),
    Code(
        "thawed",
        ("notice",),
        "the cluster is thawed: groups move again (upgrade of the network)",
        "The freeze is over. Groups without a holder are taken now.",
    ),
    Code(
        "too-many-nodes",
        ("alarm",),
        "4 nodes want to found a cluster of 3: correct expected-nodes in the file, or stop the nodes ...",
        "More nodes than `expected-nodes` hear each other before the founding. It is not guessed which of them belong.",
        (
            "`zcluster status` lists them. Stop those that do not belong, or correct `expected-nodes` in the file on "
            "every host, `zcluster check` it, and restart.",
        ),
    ),
)
