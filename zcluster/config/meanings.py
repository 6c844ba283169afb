"""What each key of the cluster's file means, in a sentence: the words of docs/configuration.md and of the man page.

What must hold: every key of `zcluster.config.schema` stands here once, under the head of its table.
"""

from __future__ import annotations

from collections.abc import Mapping

from zcluster.config import schema

TABLES: tuple[tuple[str, str, type[schema.Table]], ...] = (
    ("[cluster]", "What concerns all of it.", schema.ClusterTable),
    (
        "[timing]",
        "Single durations, in milliseconds, over those of the preset. What depends on one and is not given follows it.",
        schema.TimingTable,
    ),
    (
        "[[link]]",
        "One network that beats travel on. A host matches the network against its own addresses.",
        schema.LinkTable,
    ),
    ("[[group]]", "What moves together. Each group has exactly one master.", schema.GroupTable),
    (
        "[[site]]",
        "A place whose nodes share their fate: a power feed, a switch, a building.",
        schema.SiteTable,
    ),
    (
        "[switch]",
        "The FreeSWITCH beside each node. Without this table addresses move, and calls end with their host.",
        schema.SwitchTable,
    ),
    (
        "[[switch.condition]]",
        "An event of the switch that means it is broken; its groups are given away.",
        schema.ConditionTable,
    ),
    (
        "[[limit]]",
        "Numbers that all hosts together never pass. At least one of rate and sessions is there.",
        schema.LimitTable,
    ),
    ("[tools]", "Who may read what happens, and where. Nobody changes anything here.", schema.ToolsTable),
    (
        "[[hook]]",
        "What is run or told when something happens. Either command or url is there.",
        schema.HookTable,
    ),
    ("[log]", "How each daemon writes its log.", schema.LogTable),
)

MEANINGS: Mapping[str, Mapping[str, str]] = {
    "[cluster]": {
        "name": "what the cluster is called",
        "expected-nodes": "how many hosts vote; they found the cluster together, once",
        "preset": "how quick: standard replaces a dead host in a fifth of a second; fast needs real-time scheduling; "
        "patient is for restless virtual machines",
        "key-file": "the cluster's secret, mode 0600, the same on every host; `zcluster keygen` makes it",
        "state-dir": "what must survive a power cut: ballots, founding, journal, recording",
        "run-dir": "where the control socket is",
        "several-groups-per-node": "may a node hold more than one group when nodes run out?",
        "failback": "does a group return to its preferred node once that is back?",
        "never-master": "nodes that never carry traffic",
        "witnesses": "nodes that vote, never carry traffic, and need not be on every network",
        "survivor-claims": "of two nodes without a witness: may the survivor go on alone? needs reference addresses",
        "forget-after-s": "dead for so many seconds: no vote any more, until it is back; never below three voters",
        "mode": "observe: touch nothing, and say what would have been done",
        "recording": "on: keep the last hours of every input of the control core, for `zcluster replay`",
    },
    "[timing]": {
        "beat-ms": "a beat so often",
        "silence-ms": "a peer that was not heard for so long is silent",
        "lease-ms": "how long a holder may serve after a majority confirmed it",
        "margin-ms": "how much longer voters wait than the holder may serve",
        "grant-ms": "how long a voter promises nobody else; lease and margin",
        "first-probe-ms": "the network is asked who uses the addresses, so long after the old holder's last sign",
        "second-probe-ms": "and once more",
        "probe-wait-ms": "how long an answer is waited for after the second question",
        "rank-step-ms": "each slave further down the line waits so much longer before it claims",
        "claim-limit-ms": "a claim that is not won by then is begun anew",
        "timer-a-ms": "a starting node listens so long before it takes a part",
        "timer-b-ms": "alone at the start: wait so long; -1 waits for an operator",
    },
    "[[link]]": {
        "name": "what the link is called",
        "role": "service: the network that telephones see, which carries floating addresses, and beats as well",
        "network": "the network; no two links may overlap",
        "multicast": "where beats are sent; needed unless discovery is unicast",
        "beacon-port": "UDP, for beats",
        "bus-port": "TCP, for the bus of the cluster",
        "data-port": "TCP, for calls and registrations, and the port after it; left out, the one after bus-port",
        "ttl": "1 stays on this network",
        "reference": "on a service link: who answers ARP whenever this network works for us, such as the router",
        "discovery": "unicast: ask peers, where multicast does not pass",
        "peers": "with unicast: every node, by address or DNS name; a node skips itself",
    },
    "[[group]]": {
        "name": "what the group is called",
        "addresses": "the floating addresses",
        "interface": "where they live: the network of a service link, or an interface; left out, the one service link",
        "priority": "when nodes run out, higher keeps its master",
        "allowed": "nodes that may hold it",
        "preferred": "nodes to choose first",
        "apart-from": "groups whose master should stand at another site",
        "profiles": "the SIP profiles of FreeSWITCH that live on its addresses, the same on every host",
    },
    "[[site]]": {"name": "what the place is called", "nodes": "the nodes there"},
    "[switch]": {
        "event-socket": "where mod_event_socket of this host listens",
        "password-file": "a file, mode 0600, with the event socket's password; left out, the one FreeSWITCH comes with",
        "core-db": "FreeSWITCH's core database, on a disk of this host",
        "pulse-ms": "an event goes through the switch and back so often",
        "pulse-limit-ms": "not back within so many milliseconds: the switch hangs, and its groups are given away",
        "limits-port": "on 127.0.0.1: mod_hash asks here what the other hosts count",
        "batch-calls": "calls recovered at once after a takeover",
    },
    "[[switch.condition]]": {
        "event": "the event's name, or the subclass of a CUSTOM one",
        "match": "every one of these headers must have exactly this value",
    },
    "[[limit]]": {
        "name": "what the dialplan limits with `limit hash REALM RESOURCE`; or sessions-per-second, the core's rate",
        "rate": "calls in one second, all hosts together",
        "sessions": "calls at a time, all hosts together: the dialplan's own number",
    },
    "[tools]": {
        "listen": 'where the bus for tools is: "loopback", or names of links; [] for nowhere',
        "port": "TCP: what happens is published here; questions are answered on the next port",
        "readers": "who is let in: `zcluster reader-key NAME`; a name taken out is let in no more",
        "metrics": 'the HTTP endpoint for Prometheus and load balancers, unencrypted: "off", "loopback", or a link',
        "metrics-port": "TCP, of that endpoint",
        "switch-events": "events also go into the switch of each host, as CUSTOM `zcluster::CODE`",
    },
    "[[hook]]": {
        "name": "what the hook is called",
        "command": "a program and its arguments; no shell is run",
        "url": "where a POST goes",
        "codes": "only events with these codes; [] for all",
        "levels": "only events of these levels",
        "groups": "only events of these groups; [] for all",
        "nodes": "who does it: every node, the holder of the event's group, or one node of the cluster",
        "timeout-s": "seconds before it counts as failed",
        "attempts": "how often it is tried",
    },
    "[log]": {
        "format": '"auto": entries of systemd\'s journal where the service runs under it, else lines; or always '
        '"journal", "json" (one object a line) or "plain"',
    },
}
