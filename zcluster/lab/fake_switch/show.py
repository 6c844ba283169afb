"""`show channels|calls|registrations|modules`, as text, JSON or a count.

What must hold: rows come from the core's database, so they are as old as its batches, as in the real one.
"""

from __future__ import annotations

import json

from zcluster.lab.fake_switch.rows import CHANNEL_COLUMNS
from zcluster.lab.fake_switch.state import SwitchState

Rows = list[dict[str, str]]
MODULES = {
    "mod_commands": ("api", "status"),
    "mod_event_socket": ("api", "event_sink"),
    "mod_hash": ("limit", "hash"),
    "mod_sofia": ("endpoint", "sofia"),
}
_LEG_COLUMNS = [
    "uuid",
    "direction",
    "created",
    "created_epoch",
    "name",
    "state",
    "cid_name",
    "cid_num",
    "ip_addr",
    "dest",
    "presence_id",
    "presence_data",
    "accountcode",
    "callstate",
    "callee_name",
    "callee_num",
    "callee_direction",
]
_SENT_COLUMNS = ("sent_callee_name", "sent_callee_num")
_CALLS = (
    "select {} from calls join channels a on a.uuid=caller_uuid join channels b on b.uuid=callee_uuid".format(
        ", ".join(
            (
                *(f"a.{name} as {name}" for name in _LEG_COLUMNS),
                "calls.call_uuid as call_uuid, calls.hostname as hostname",
                *(f"a.{name} as {name}" for name in _SENT_COLUMNS),
                *(f"b.{name} as b_{name}" for name in (*_LEG_COLUMNS, *_SENT_COLUMNS)),
                "call_created_epoch",
            )
        )
    )
)
_CHANNELS = f"select {', '.join(CHANNEL_COLUMNS)} from channels"
_STATEMENTS = {
    "channels": _CHANNELS,
    "calls": _CALLS,
    "bridged_calls": _CALLS,
    "registrations": "select * from registrations",
}


def show(state: SwitchState, words: list[str]) -> str:
    """The output of `show WORDS`."""
    what, *form = words or [""]
    if what == "modules":
        found = [
            {"type": kind, "name": name, "ikey": module, "filename": f"/usr/lib/freeswitch/mod/{module}.so"}
            for module, (kind, name) in MODULES.items()
        ]
    elif what in _STATEMENTS:
        found = state.database.select(_STATEMENTS[what])
    else:
        return "-USAGE: codec|endpoint|application|api|dialplan|file|timer|calls [count]|channels [count]\n"
    match form:
        case ["as", "json"]:
            return _as_json(found)
        case ["count", "as", "json"]:
            return json.dumps({"row_count": len(found)}, separators=(",", ":"))
        case ["count"]:
            return f"\n{len(found)} total.\n"
        case []:
            return _as_text(found)
    return "-ERR the fake switch does not know this form\n"


def _as_json(found: Rows) -> str:
    if not found:
        return '{"row_count": 0}'
    return json.dumps({"row_count": len(found), "rows": found}, ensure_ascii=False, separators=(",", ":"))


def _as_text(found: Rows) -> str:
    if not found:
        return "\n0 total.\n"
    lines = [",".join(found[0]), *(",".join(row.values()) for row in found)]
    return "".join(f"{line}\n" for line in lines) + f"\n{len(found)} total.\n"
