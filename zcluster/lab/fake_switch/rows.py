"""The rows of the core's database that a leg has: in `recovery`, `channels` and `calls`.

What must hold: the statements are FreeSWITCH's own in meaning (switch_core_sqldb.c, 3415 and the event handler),
with values bound instead of quoted. A leg is inserted into `recovery` once, then only its metadata is updated.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from zcluster.lab.fake_switch.leg import Leg
from zcluster.lab.fake_switch.metadata import write_record
from zcluster.lab.fake_switch.outputs import Now, Write

TECHNOLOGY = "sofia"

CHANNEL_COLUMNS = [
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
    "application",
    "application_data",
    "dialplan",
    "context",
    "read_codec",
    "read_rate",
    "read_bit_rate",
    "write_codec",
    "write_rate",
    "write_bit_rate",
    "secure",
    "hostname",
    "presence_id",
    "presence_data",
    "accountcode",
    "callstate",
    "callee_name",
    "callee_num",
    "callee_direction",
    "call_uuid",
    "sent_callee_name",
    "sent_callee_num",
    "initial_cid_name",
    "initial_cid_num",
    "initial_ip_addr",
    "initial_dest",
    "initial_dialplan",
    "initial_context",
]
REGISTRATION_COLUMNS = [
    "reg_user",
    "realm",
    "token",
    "url",
    "expires",
    "network_ip",
    "network_port",
    "network_proto",
    "hostname",
    "metadata",
]
_CALL_COLUMNS = ["call_uuid", "call_created", "call_created_epoch", "caller_uuid", "callee_uuid", "hostname"]
_RECOVERY_COLUMNS = ["runtime_uuid", "technology", "profile_name", "hostname", "uuid", "metadata"]

# Made anew at every start; `recovery` stays.
VOLATILE = {"channels": CHANNEL_COLUMNS, "calls": _CALL_COLUMNS, "registrations": REGISTRATION_COLUMNS}
_INTEGERS = {"created_epoch", "call_created_epoch", "expires"}


class Identity(NamedTuple):
    """One life of one switch."""

    core_uuid: str
    switchname: str


def schema(table: str, columns: list[str]) -> str:
    """The statement that makes a table."""
    typed = (f"{name} {'INTEGER' if name in _INTEGERS else 'VARCHAR(255)'}" for name in columns)
    return f"create table {table} ({', '.join(typed)})"


RECOVERY_SCHEMA = (
    "create table if not exists recovery (runtime_uuid VARCHAR(255), technology VARCHAR(255), "
    "profile_name VARCHAR(255), hostname VARCHAR(255), uuid VARCHAR(255), metadata text)",
    "create index if not exists recovery1 on recovery(technology)",
    "create index if not exists recovery2 on recovery(profile_name)",
    "create index if not exists recovery3 on recovery(uuid)",
    "create index if not exists recovery4 on recovery(runtime_uuid)",
)


def tracked(leg: Leg, identity: Identity) -> list[Write]:
    """The leg's record, new or newer."""
    record = write_record(leg, *identity)
    if leg.is_tracked:
        return [Write("update recovery set metadata=? where uuid=?", (record, leg.uuid))]
    values = (identity.core_uuid, TECHNOLOGY, leg.profile.name, identity.switchname, leg.uuid, record)
    return [Write(f"insert into recovery ({', '.join(_RECOVERY_COLUMNS)}) values (?,?,?,?,?,?)", values)]


def channel_added(leg: Leg, identity: Identity) -> list[Write]:
    """The leg as `show channels` has it."""
    host, _ = leg.dialog.peer
    codec = ("PCMU", "8000", "64000")
    values = (
        *(leg.uuid, leg.direction.value, _date(leg.created_us), leg.created_us // 1_000_000),
        *(leg.name, leg.state, leg.caller, leg.caller, host, leg.destination, "", "", "XML", "default"),
        *(*codec, *codec, "", identity.switchname, "", "", "", "RINGING", "", "", "SEND"),
        *(leg.variables.get("call_uuid", leg.uuid), "", ""),
        *(leg.caller, leg.caller, host, leg.destination, "XML", "default"),
    )
    return [Write(f"insert into channels values ({','.join('?' * len(CHANNEL_COLUMNS))})", values)]


def channel_changed(leg: Leg) -> list[Write]:
    """Its state and callstate."""
    return [Write("update channels set state=?, callstate='ACTIVE' where uuid=?", (leg.state, leg.uuid))]


def bridged(caller: Leg, callee: Leg, identity: Identity, now: Now) -> list[Write]:
    """Both legs are one call."""
    values = (caller.uuid, _date(now.wall_us), now.wall_s, caller.uuid, callee.uuid, identity.switchname)
    bridge = ("bridge", callee.name, caller.uuid)
    return [
        Write("update channels set application=?, application_data=? where uuid=?", bridge),
        *channel_changed(caller),
        *channel_changed(callee),
        Write("insert into calls values (?,?,?,?,?,?)", values),
    ]


def ended(leg: Leg) -> list[Write]:
    """Nothing is left of the leg."""
    both = (leg.uuid, leg.uuid)
    return [
        *([Write("delete from recovery where uuid=?", (leg.uuid,))] if leg.is_tracked else []),
        Write("delete from channels where uuid=?", (leg.uuid,)),
        Write("delete from calls where caller_uuid=? or callee_uuid=?", both),
    ]


def _date(wall_us: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(wall_us // 1_000_000))
