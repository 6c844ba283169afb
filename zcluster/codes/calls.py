"""Codes of the switch, and of the calls, registrations and limits that the cluster keeps copies of."""

from __future__ import annotations

from zcluster.codes.entry import Code

CODES = (
    Code(
        "call-lost",
        ("notice",),
        "a call of 1001 to 1002 is lost: ...",
        "A takeover could not bring one leg of a call back; the text says why: it was ringing, it was too young to "
        "have been copied, its codec or its endpoint cannot be recovered, or the switch refused it.",
        (
            "`zcluster calls --lost` has all of them, with UUID and times, for billing.",
            "Always the same reason? docs/freeswitch.md says what can be recovered and which settings it needs.",
        ),
    ),
    Code(
        "calls-not-ended",
        ("alarm",),
        "3 legs of sip1 could not be ended, or its profiles not put to rest",
        "This node gave the group away, but its switch did not end the calls of it. They are ghosts: the other node "
        "has brought them back, and both may send.",
        (
            'On this host: `fs_cli -x "show calls"`; end what is left with `fs_cli -x "uuid_kill UUID"`.',
            "Does the switch answer at all (`zcluster status`)? If not, restart FreeSWITCH on this host: it holds "
            "nothing.",
        ),
    ),
    Code(
        "calls-of-another",
        ("warning",),
        "legs of sip1 live here, but another node holds it: they end",
        "The switch of this host has calls of a group that another node holds. They are ended here: the other node has "
        "brought them back.",
        (
            "Usual after a holder was cut off. If it repeats, `zcluster why GROUP` says why the group keeps moving.",
        ),
    ),
    Code(
        "calls-recovered",
        ("notice",),
        "42 legs of sip1 came back in 380 ms, 1 are lost",
        "The new holder brought the calls of the group back.",
        ("`zcluster calls --lost` lists those that are lost, each with its reason.",),
    ),
    Code(
        "condition-met",
        ("alarm",),
        "CUSTOM foo was fired as the file's condition 1 says",
        "An event that the file calls a failure (`[[switch.condition]]`) was fired by the switch. The node is not well "
        "until the switch starts anew or an operator says so, and hands over what it holds.",
        (
            "Find and mend what fired it; the event and its headers are in `zcluster why --json`.",
            "Then, on that host: `zcluster clear-faults`.",
        ),
    ),
    Code(
        "copies-incomplete",
        ("warning",),
        "ready without complete copies of pbx3: waited for long enough",
        "This node has waited for the whole of another node's calls and registrations and will not get them: nobody "
        "alive has more. It may take over now, with what it has.",
        (
            "If the node that is named is alive, see whether it is heard on all links (`zcluster status`) and its data "
            "process runs there.",
        ),
    ),
    Code(
        "copy-settled",
        ("warning",),
        "no survivor has more of this stream",
        "A node died, and the most complete copy of what it knew has gaps. What the survivors have is what there is; "
        "phones that are missing are known again when they register next.",
    ),
    Code(
        "core-database",
        ("warning",),
        "calls cannot be followed: ...",
        "The switch's core database (`core-db`) cannot be read, so this host's calls are not copied, and a takeover "
        "would lose them.",
        (
            "The text has the reason. `zcluster doctor` on this host checks place, permissions and the table.",
            "`ls -l` of the database: the daemon's user must be in the switch's group, and the group may write "
            "(docs/service.md).",
        ),
    ),
    Code(
        "limits-name",
        ("warning",),
        "the limit 'a\\'b' cannot be told to other switches: no slash, quote or backslash",
        "A limit of the dialplan has a name that the others cannot be told safely. It counts on this host alone.",
        ("Give it a plain name in the dialplan.",),
    ),
    Code(
        "limits-no-hash",
        ("warning",),
        "the switch has no mod_hash: no limit of it is counted",
        "`limit hash` needs mod_hash; without it there is nothing to count for the cluster.",
        ('Load it (modules.conf.xml, `fs_cli -x "load mod_hash"`), or take `[[limit]]` out of the file.',),
    ),
    Code(
        "limits-port",
        ("warning",),
        "limits are this switch's own alone: ...",
        "The port on which mod_hash of this host asks for the other nodes' counts (`limits-port`) cannot be opened.",
        (
            "The text has the reason: mostly another program has the port (`ss -ltnp`). Choose another one in the file "
            "and in hash.conf.xml, then `zcluster restart-daemon`.",
        ),
    ),
    Code(
        "limits-remote",
        ("alarm", "notice", "warning"),
        "mod_hash has not asked 127.0.0.1:8022 for 10 s: the limits of this host are its own alone. ...",
        "mod_hash of this host does not ask zcluster, so its limits do not count the other nodes; an alarm where a "
        "limit of the file must never be passed. The notice says that it asks again.",
        (
            "Is the remote in hash.conf.xml as conf/freeswitch shows it, with the event socket's password?",
            '`fs_cli -x "reload mod_hash"` after a change; the notice comes within seconds.',
        ),
    ),
    Code(
        "profile-not-recovered",
        ("alarm",),
        "`recover` failed: internal: ...",
        "The new holder's switch refused to bring the calls of a profile back. It is asked again; the calls wait.",
        (
            '`fs_cli -x "sofia status"` on that host: does the profile run, on the group\'s address?',
            'If it does not: `fs_cli -x "sofia profile NAME start"`; its log says why it could not bind.',
            "`zcluster calls --lost` tells later which calls did not come back.",
        ),
    ),
    Code(
        "rate-name",
        ("warning",),
        "the rate 'a b' cannot be a variable's name",
        "A `[[limit]]` with `rate` has a name that the switch cannot have as a global variable, so it is not shared "
        "out.",
        ("Give it a name of letters, digits and underscores in the file.",),
    ),
    Code(
        "registrations-not-listed",
        ("warning",),
        "internal: the switch did not list its registrations; those from before become known by and by",
        "When the data process started, the switch did not answer what is registered. Each phone becomes known to the "
        "other nodes when it registers next.",
        (
            '`fs_cli -x "sofia status profile NAME reg"` on that host: does it answer? An overloaded or hung switch '
            "does not.",
        ),
    ),
    Code(
        "registrations-too-many",
        ("warning",),
        "internal has 250000 registrations, too many to list: ...",
        "The switch has more registrations than can be listed at once. They become known when each phone registers "
        "again; for an hour this host's copies are called incomplete.",
        ("Start data processes before the load comes, or spread phones over more profiles.",),
    ),
)
