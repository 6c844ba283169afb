"""What happened in a cluster one evening, and what a hostile node told beside it.

The events that a real FreeSWITCH made of it are in tests/switch/captures/zcluster-events.*: it was told by
`zcluster.tools.switch_events`, and two clients listened.
"""

from __future__ import annotations

from zcluster.adapters.journal import Record

TAKEOVER = Record(
    at_ms=1_795_721_725_271,
    node="pbx2",
    level="notice",
    code="takeover",
    text="pbx2 took sip1 over from pbx1",
    facts={
        "group": "sip1",
        "epoch": 7,
        "from_node": "pbx1",
        "why": "pbx1 is silent",
        "silent_ms": 141,
        "links": {"ring1": 141, "ring2": 150},
        "votes": {"pbx2": 0, "pbx3": 2},
        "quorum": 2,
        "roster": 3,
        "won_ms": 2,
        "probes_ms": [5, 9],
        "quiet_ms": 20,
        "open_ms": 25,
    },
    incarnation=1_795_700_000_000,
    number=12,
)
LOST = Record(
    at_ms=1_795_721_726_004,
    node="pbx2",
    level="notice",
    code="call-lost",
    text="a call of 1000 to 9000 is lost: the row did not come in time",
    facts={
        "uuid": "7b6dbcd7-f2ae-4bd4-bbd3-d48bbfac1aa5",
        "caller": '"Björn" <1000>',
        "callee": "9000",
        "group": "sip1",
        "started_s": 1_795_721_700,
        "node": "pbx1",
    },
    incarnation=1_795_700_000_000,
    number=13,
)
RECOVERED = LOST._replace(
    code="calls-recovered",
    text="38 legs of sip1 came back in 96 ms, 1 are lost",
    facts={"group": "sip1", "recovered": 38, "lost": 1, "ms": 96, "reasons": {"late": 1}, "is_first": True},
    number=14,
)
HOSTILE = Record(
    at_ms=1_795_721_727_000,
    node="pbx9\n\napi fsctl shutdown now",
    level="alarm",
    code="silent",
    text="evil\r\n\r\nContent-Length: 5\n\nhello\x1b[2J\x9b31m%0a${system(reboot)}\u202e"
    ";;`reboot` reload mod_event_socket",
    facts={
        "group": "ARRAY::a|:b",
        "epoch": None,
        "Content-Length": "5",
        "unique_id": "x",
        "a\nb": "1",
        "a: b": "2",
        "deep": [["${x}", "\n"], {"\n": "\ud800"}],
        "  ": 1,
        "note": " unload mod_event_socket ",
        "a_b": 1,
        "a-b": 2,
    },
    incarnation=0,
    number=0,
)
LONG = LOST._replace(text="z" * 65536, facts={"uuids": ["f" * 36] * 3000}, number=15)

SCENE = (TAKEOVER, LOST, RECOVERED, HOSTILE, LONG)
